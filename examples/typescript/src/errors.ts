/** The gateway's errors as exceptions: a code to decide by, a message to show. */
import type { GraphQLFormattedError } from "graphql";

export class GatewayError extends Error {
  override readonly name = "GatewayError";

  constructor(
    message: string,
    /** Such as VALIDATION_ERROR, NOT_FOUND or LOKI_CONNECTION_ERROR. */
    readonly code: string,
    /** Whether the same operation may work a little later. */
    readonly retryable: boolean,
    /** The value that was refused, as its path below `input`. */
    readonly field?: string,
  ) {
    super(message);
  }
}

/** An error as it stands in an answer's `errors`. */
export function gatewayError({ message, extensions = {} }: GraphQLFormattedError): GatewayError {
  const { code, retryable, field } = extensions;
  return new GatewayError(
    message,
    typeof code === "string" ? code : "INTERNAL_SERVER_ERROR",
    retryable === true,
    typeof field === "string" ? field : undefined,
  );
}
