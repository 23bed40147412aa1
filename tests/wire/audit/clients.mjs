// The clients that frontends use, graphql-ws and graphql-sse, against the app of tests/wire/app.py: node clients.mjs URL
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import WebSocket from 'ws';

const url = process.argv[2];

async function all(results) {
  const values = [];
  for await (const { data, errors } of results) {
    assert.equal(errors, undefined, JSON.stringify(errors));
    values.push(data);
  }
  return values;
}

/** The GraphQL errors an operation ends with, whether thrown by the client or in its last result. */
async function errorsOf(results) {
  let last;
  try {
    for await (const result of results) last = result;
  } catch (errors) {
    assert.ok(Array.isArray(errors), `not GraphQL errors: ${errors}`);
    return errors;
  }
  return last?.errors;
}

function conversations(client) {
  const ask = (query) => client.iterate({ query });

  test('a query', async () => assert.deepEqual(await all(ask('{ hello(name: "you") }')), [{ hello: 'hello you' }]));

  test('a mutation', async () => {
    assert.deepEqual(await all(ask('mutation { create(input: { name: "thing" }) }')), [{ create: 'thing' }]);
  });

  test('a subscription is completed by the server', async () => {
    assert.deepEqual(await all(ask('subscription { count(to: 3) }')), [{ count: 1 }, { count: 2 }, { count: 3 }]);
  });

  test('many subscriptions at once keep their results apart', async () => {
    const runs = await Promise.all([2, 5, 9].map((to) => all(ask(`subscription { count(to: ${to}) }`))));
    assert.deepEqual(runs.map((values) => values.map(({ count }) => count)), [
      [1, 2],
      [1, 2, 3, 4, 5],
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    ]);
  });

  for (const [what, query, code] of [
    ['a document that does not parse', 'subscription {', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', 'subscription { nope }', 'GRAPHQL_VALIDATION_FAILED'],
    ['a subscription that is refused', 'subscription { conflicts }', 'CONFLICT'],
    ['a subscription that breaks before its first result', 'subscription { fails }', 'INTERNAL_SERVER_ERROR'],
    ['a subscription that breaks after some', 'subscription { fails(first: 2) }', 'INTERNAL_SERVER_ERROR'],
  ]) {
    test(`${what} is an error with a code, and the client works on`, async () => {
      const [error] = await errorsOf(ask(query));
      assert.equal(error.extensions?.code, code);
      assert.doesNotMatch(JSON.stringify(error), /hunter2/);
      assert.deepEqual(await all(ask('{ hello }')), [{ hello: 'hello world' }]);
    });
  }

  test('a subscription that is left ends, and the client works on', async () => {
    const silent = ask('subscription { silent }');
    assert.deepEqual((await silent.next()).value, { data: { silent: 1 } });
    await silent.return();
    assert.deepEqual(await all(ask('{ hello }')), [{ hello: 'hello world' }]);
  });
}

describe('graphql-ws', () => {
  const client = createWS({ url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, retryAttempts: 0, lazy: false });
  after(() => client.dispose());
  conversations(client);
});

describe('graphql-ws, a socket for each operation', () => {
  const client = createWS({ url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 });
  after(() => client.dispose());
  conversations(client);
});

describe('graphql-sse, distinct connections', () => {
  const client = createSSE({ url, retryAttempts: 0 });
  after(() => client.dispose());
  conversations(client);
});
