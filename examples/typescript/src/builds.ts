/** Builds, followed to their end over a WebSocket that may break at any time. */
import { createClient, type Client } from "graphql-ws";
import type { GraphQLFormattedError } from "graphql";
import { gatewayError } from "./errors.js";
import type { BuildProgressSubscription } from "./gql/graphql.js";
import { BuildProgress } from "./operations.js";
import { url } from "./request.js";

export type BuildEvent = BuildProgressSubscription["buildProgress"];

const PING_EVERY_MS = 5_000;
const PONG_WITHIN_MS = 5_000;
const LONGEST_WAIT_MS = 10_000;

/** A client that connects for its first subscription, closes after the last, and never gives up in between. */
export async function connect(): Promise<Client> {
  // Browsers have a WebSocket of their own, and Node from version 22 on.
  const { WebSocket } = globalThis.WebSocket ? globalThis : await import("ws");
  let silence: NodeJS.Timeout | undefined;
  const client = createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    retryAttempts: Infinity,
    // The default gives up where nothing listens, which is so for a moment when a gateway is replaced.
    shouldRetry: () => true,
    retryWait: (retries) => {
      const longest = Math.min(250 * 2 ** retries, LONGEST_WAIT_MS);
      // Half of it by chance: a thousand consoles should not come back in the same instant.
      return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
    },
    keepAlive: PING_EVERY_MS,
    on: {
      // A network that went away says nothing: without a pong the socket is given up for a new one.
      ping: (received) => {
        if (!received) silence = setTimeout(() => client.terminate(), PONG_WITHIN_MS);
      },
      pong: (received) => {
        if (received) clearTimeout(silence);
      },
      closed: () => clearTimeout(silence),
    },
  });
  return client;
}

/**
 * Every change of a build, each once and in order, whatever happens to the connection; it ends when the build has.
 *
 * graphql-ws subscribes again by itself and sends the variables as they are by then: with the newest sequence in
 * `after`, the gateway goes on with what follows it.
 */
export async function* followBuild(client: Client, id: string): AsyncGenerator<BuildEvent> {
  const variables = { id, after: 0 };
  const results = client.iterate<BuildProgressSubscription>({ query: BuildProgress.toString(), variables });
  try {
    for await (const { data, errors } of results) {
      if (errors?.[0]) throw gatewayError(errors[0]);
      // What had arrived, but was not taken from the iterator when the connection broke, comes a second time.
      if (!data || data.buildProgress.sequence <= variables.after) continue;
      variables.after = data.buildProgress.sequence;
      yield data.buildProgress;
    }
  } catch (error) {
    // An operation that is refused, as for a build that does not exist, is thrown as the list of its errors.
    if (Array.isArray(error)) throw gatewayError(error[0] as GraphQLFormattedError);
    throw error instanceof Error ? error : new Error("the gateway closed the socket for good", { cause: error });
  }
}
