// The audits of npm's graphql-http, each a test: node graphql_http.mjs URL
// They ask for `{ __typename }` and the like, so any schema does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';

const audits = serverAudits({ url: process.argv[2], fetchFn: fetch });

test('there are 61 audits', () => assert.equal(audits.length, 61));

for (const { id, name, fn } of audits) {
  test(`${id} ${name}`, async () => {
    const { status, reason, response } = await fn();
    assert.equal(status, 'ok', `${reason} (HTTP ${response?.status}, ${response?.headers.get('content-type')})`);
  });
}
