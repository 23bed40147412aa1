// How operations travel to the gateway: queries and mutations over HTTP, subscriptions over
// graphql-transport-ws, both at the address the page came from.
import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';

const UNREACHABLE =
  'The gateway does not answer. If you started it with `blue-gateway local` or `make run`, see whether it is ' +
  'still running, then press the play button again.';

/**
 * The operation that `params` asks for, read from the query itself: right after a change of tabs GraphiQL still has
 * the former tab's operation name and document. A query that does not parse is left to the gateway to refuse.
 */
function chosenOperation({ query, operationName }) {
  let document;
  try {
    document = parse(query, { noLocation: true });
  } catch {
    return { operationName, isSubscription: false };
  }
  const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  const chosen = operations.length > 1 ? operations.find(({ name }) => name?.value === operationName) : operations[0];
  return {
    operationName: operations.length > 1 ? operationName : chosen?.name?.value,
    isSubscription: chosen?.operation === 'subscription',
  };
}

/** A GraphiQL fetcher. `onNotice` gets why the gateway cannot be reached, or null once it answers; `onData` each result's data. */
export function createFetcher({ url, onNotice, onData }) {
  // Not an Error: GraphiQL would show its stack to the reader.
  function fail(message) {
    onNotice(message);
    return { message };
  }

  async function post(params, headers) {
    const response = await fetch(url, {
      method: 'POST',
      body: JSON.stringify(params),
      headers: {
        accept: 'application/graphql-response+json, application/json;q=0.9',
        'content-type': 'application/json',
        ...headers,
      },
    }).catch(() => {
      throw fail(UNREACHABLE);
    });
    const result = await response.json().catch(() => {
      throw fail(`${url} answered with HTTP ${response.status} and no GraphQL. Is there a proxy before the gateway?`);
    });
    onNotice(null);
    onData(result.data);
    return result;
  }

  function subscribe(params, headers) {
    const socketUrl = url.replace(/^http/, 'ws');
    return {
      subscribe(observer) {
        const client = createClient({
          url: socketUrl,
          connectionParams: headers,
          // By default it gives up where nothing listens, as is so for a moment while the gateway is restarted.
          shouldRetry: () => true,
          on: {
            connected: () => onNotice(null),
            closed: (event) => {
              if (event.code !== 1000) onNotice('The connection to the gateway was lost; trying again.');
            },
          },
        });
        const end = client.subscribe(params, {
          next: (result) => observer.next(result),
          error: (error) => {
            observer.error(error instanceof Event ? fail(UNREACHABLE) : error);
            client.dispose();
          },
          complete: () => {
            observer.complete();
            client.dispose();
          },
        });
        return { unsubscribe: end };
      },
    };
  }

  return (params, { headers } = {}) => {
    const { operationName, isSubscription } = chosenOperation(params);
    const send = isSubscription ? subscribe : post;
    return send({ ...params, operationName }, headers);
  };
}
