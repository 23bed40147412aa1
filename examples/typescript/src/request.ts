/** Queries and mutations over HTTP; files among the variables are sent as the multipart request spec says. */
import type { GraphQLFormattedError } from "graphql";
import { GatewayError, gatewayError } from "./errors.js";
import type { TypedDocumentString } from "./gql/graphql.js";

export const url = process.env["BLUE_URL"] ?? "http://127.0.0.1:8000/graphql";

/** The data of an operation; the first of its errors is thrown. */
export async function request<Data, Variables>(
  document: TypedDocumentString<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const { data, errors } = await requestPartly(document, variables);
  if (errors[0]) throw errors[0];
  return data;
}

/** The data of an operation, and the errors of fields that are null for it; thrown where there is no data. */
export async function requestPartly<Data, Variables>(
  document: TypedDocumentString<Data, Variables>,
  variables: Variables,
): Promise<{ data: Data; errors: GatewayError[] }> {
  const { body, headers } = encode(document.toString(), variables);
  const response = await fetch(url, {
    method: "POST",
    headers: { accept: "application/graphql-response+json", ...headers },
    body,
  });
  if (!response.headers.get("content-type")?.includes("json")) {
    // It is not the gateway's answer, but that of a proxy before it.
    throw new GatewayError(response.statusText, `HTTP_${response.status}`, response.status >= 500);
  }
  const answer = (await response.json()) as { data?: Data | null; errors?: GraphQLFormattedError[] };
  const errors = (answer.errors ?? []).map(gatewayError);
  if (answer.data == null) throw errors[0] ?? new GatewayError("no data", `HTTP_${response.status}`, false);
  return { data: answer.data, errors };
}

function encode(query: string, variables: unknown): { body: string | FormData; headers: Record<string, string> } {
  const files: [path: string, file: File][] = [];
  const operation = JSON.stringify({ query, variables: takeFiles(variables, "variables", files) });
  if (files.length === 0) return { body: operation, headers: { "content-type": "application/json" } };
  const form = new FormData(); // its parts have to come in this order
  form.append("operations", operation);
  form.append("map", JSON.stringify(Object.fromEntries(files.map(([path], n) => [n, [path]]))));
  files.forEach(([, file], n) => form.append(String(n), file));
  // Browsers send forms to other sites without asking; the gateway wants a header that they have to ask for.
  return { body: form, headers: { "graphql-require-preflight": "true" } };
}

/** The same value with null for each file, which goes to `files` with its path. */
function takeFiles(value: unknown, path: string, files: [string, File][]): unknown {
  if (value instanceof File) {
    files.push([path, value]);
    return null;
  }
  if (Array.isArray(value)) return value.map((each, n) => takeFiles(each, `${path}.${n}`, files));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, takeFiles(each, `${path}.${name}`, files)]),
  );
}
