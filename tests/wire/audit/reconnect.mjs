// Subscribes with graphql-ws and prints what it sees, for a test that restarts the server: node reconnect.mjs URL
// Lines: `result`, and `closed CODE`. It goes on until its second result, and ends with 0 then.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const client = createClient({
  url: process.argv[2].replace(/^http/, 'ws'),
  webSocketImpl: WebSocket,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 200)),
  retryAttempts: 100, // 20 s in all
  // By default it gives up when nothing listens, as is so for a moment while the server is restarted.
  shouldRetry: () => true,
  on: { closed: ({ code }) => console.log(`closed ${code}`) },
});

let results = 0;
for await (const { data } of client.iterate({ query: 'subscription { silent }' })) {
  if (data.silent !== 1) throw new Error(JSON.stringify(data));
  console.log('result');
  results += 1;
  if (results === 2) break;
}
if (results < 2) throw new Error('the server completed the subscription');
await client.dispose();
