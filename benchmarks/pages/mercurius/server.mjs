// The three pages by Mercurius with JIT and the AWS SDK, with the same upstream calls; its address goes to stdout.
import { BatchGetItemCommand, DynamoDBClient, QueryCommand } from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import Fastify from "fastify";
import { GraphQLScalarType } from "graphql";
import mercurius from "mercurius";
import { Pool } from "undici";

const TABLE = process.env.DYNAMODB_TABLE_NAME ?? "bench";
const HOURS = 24;
const dynamodb = new DynamoDBClient({ region: process.env.AWS_REGION, endpoint: process.env.AWS_ENDPOINT_URL });
const loki = new Pool(process.env.LOKI_SERVICE_URL);
const prometheus = new Pool(process.env.PROMETHEUS_SERVICE_URL);
const hourNow = () => Math.floor(Date.now() / 3_600_000);
const hourNames = (hour) => Array.from({ length: HOURS }, (_, back) => ["i", "e", "d"].map((k) => `${k}${hour - back}`)).flat();

const projection = (names) => ({
  ProjectionExpression: names.map((_, index) => `#${index}`).join(", "),
  ExpressionAttributeNames: Object.fromEntries(names.map((name, index) => [`#${index}`, name])),
});

async function query([pk, low, high], names, limit, { index = false, back = false } = {}) {
  const answer = await dynamodb.send(
    new QueryCommand({
      TableName: TABLE,
      IndexName: index ? "GSI1" : undefined,
      KeyConditionExpression: "#0 = :0 AND #1 BETWEEN :1 AND :2",
      ExpressionAttributeValues: { ":0": { S: pk }, ":1": { S: low }, ":2": { S: high } },
      Limit: limit + 1,
      ScanIndexForward: !back,
      ...projection([...(index ? ["GSI1PK", "GSI1SK"] : ["PK", "SK"]), ...names]),
    }),
  );
  return answer.Items.map((item) => unmarshall(item));
}

async function rows(keys, names) {
  const wanted = { Keys: keys.map(([pk, sk]) => ({ PK: { S: pk }, SK: { S: sk } })), ...projection(["PK", "SK", ...names]) };
  const answer = await dynamodb.send(new BatchGetItemCommand({ RequestItems: { [TABLE]: wanted } }));
  const found = new Map(answer.Responses[TABLE].map((item) => [`${item.PK.S} ${item.SK.S}`, unmarshall(item)]));
  return keys.map(([pk, sk]) => found.get(`${pk} ${sk}`));
}

const cut = /([+-]\d\d:\d\d|Z)$/;
function kst(text) {
  if (text.endsWith("+09:00")) return text;
  return `${new Date(Date.parse(text) + 9 * 3_600_000).toISOString().replace(cut, "")}+09:00`;
}
function kstOfMs(ms, micros = 0) {
  const text = new Date(ms + 9 * 3_600_000).toISOString();
  const fraction = text.slice(20, 23) + String(micros).padStart(3, "0");
  return `${text.slice(0, 19)}${fraction === "000000" ? "" : `.${fraction}`}+09:00`;
}

function withFigures(target, row = {}) {
  const newest = hourNow();
  let invocations = 0, errors = 0, duration = 0;
  for (let hour = newest - HOURS + 1; hour <= newest; hour++) {
    invocations += row[`i${hour}`] ?? 0;
    errors += row[`e${hour}`] ?? 0;
    duration += row[`d${hour}`] ?? 0;
  }
  target.invocations24h = invocations;
  target.errors24h = errors;
  target.errorRate = invocations ? (errors / invocations) * 100 : 0;
  target.avgDuration = invocations ? duration / invocations : 0;
  return target;
}

const toFunction = (row) => ({
  ...row,
  status: row.status.toUpperCase(),
  lastModified: kst(row.lastModified),
  environmentVariables: () => Object.entries(row.environmentVariables).sort().map(([name, value]) => ({ name, value })),
});
const toLog = (row) => ({
  ...row,
  status: row.status.toUpperCase(),
  timestamp: kst(row.timestamp),
  requestBody: row.requestBody && JSON.parse(row.requestBody),
  responseBody: row.responseBody && JSON.parse(row.responseBody),
});
const toBuild = (row) => ({
  id: row.task_id,
  kind: row.kind.toUpperCase(),
  status: row.status === "completed" ? "DONE" : row.status.toUpperCase(),
  appName: row.app_name,
  createdAt: kst(row.created_at),
  updatedAt: kst(row.updated_at),
});

async function post(path, form) {
  const { body } = await prometheus.request({
    path, method: "POST", body: new URLSearchParams(form).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  return (await body.json()).data.result[0];
}

async function series(unit) {
  const [now, ranged] = await Promise.all([post("/api/v1/query", { query: unit }), post("/api/v1/query_range", { query: unit })]);
  const points = ranged.values.map(([at, text]) => ({ timestamp: kstOfMs(at * 1000), value: Number(text) }));
  const values = points.map((point) => point.value);
  return {
    unit, current: Number(now.value[1]), points,
    average: values.reduce((sum, value) => sum + value, 0) / values.length, peak: Math.max(...values),
  };
}

const WORKSPACE = ["id", "name", "description", "createdAt", "functionCount"];
const FUNCTION = ["id", "name", "description", "runtime", "memory", "timeout", "httpMethods", "status", "invocationUrl", "lastModified"];
const LOG = ["id", "functionId", "timestamp", "status", "duration", "statusCode", "level"];
const known = new Map();

const schema = `
  scalar JSON
  type Query { workspaces(first: Int = 50): Workspaces! workspace(id: ID!): Workspace function(id: ID!): Function }
  type PageInfo { hasNextPage: Boolean! }
  type Workspaces { nodes: [Workspace!]! pageInfo: PageInfo! }
  type Workspace {
    id: ID! name: String! description: String! createdAt: String! functionCount: Int!
    invocations24h: Int! errors24h: Int! errorRate: Float!
    functions(first: Int = 50): Functions! executionLogs(first: Int = 50): ExecutionLogs! builds(first: Int = 50): Builds!
  }
  type Functions { totalCount: Int! nodes: [Function!]! pageInfo: PageInfo! }
  type Variable { name: String! value: String! }
  type Function {
    id: ID! name: String! description: String! runtime: String! memory: Int! timeout: Int! httpMethods: [String!]!
    status: String! invocationUrl: String lastModified: String! environmentVariables: [Variable!]!
    invocations24h: Int! errors24h: Int! errorRate: Float! avgDuration: Float!
    executionLogs(first: Int = 100): ExecutionLogs! logs(first: Int = 100): Lines metrics(window: Int = 3600): Metrics
  }
  type ExecutionLogs { nodes: [ExecutionLog!]! }
  type ExecutionLog {
    id: ID! functionId: ID! timestamp: String! status: String! duration: Float! statusCode: Int!
    requestBody: JSON responseBody: JSON logs: [String!]! level: String!
  }
  type Builds { nodes: [Build!]! }
  type Build { id: ID! kind: String! status: String! appName: String! createdAt: String! updatedAt: String! }
  type Lines { nodes: [Line!]! }
  type Line { timestamp: String! line: String! level: String labels: [Label!]! }
  type Label { name: String! value: String! }
  type Metrics { cpu: Series memory: Series replicas: Series }
  type Series { unit: String! current: Float average: Float peak: Float points: [Point!]! }
  type Point { timestamp: String! value: Float! }
`;

const resolvers = {
  JSON: new GraphQLScalarType({ name: "JSON", serialize: (value) => value }),
  Query: {
    async workspaces(_, { first }) {
      const found = await query(["WORKSPACES", " ", "~"], WORKSPACE, first, { index: true, back: true });
      const stats = await rows(found.map((row) => [`WS#${row.id}`, "WSSTATS"]), hourNames(hourNow()));
      const nodes = found.map((row, place) => withFigures({ ...row, createdAt: kst(row.createdAt) }, stats[place]));
      return { nodes, pageInfo: { hasNextPage: false } };
    },
    async workspace(_, { id }) {
      const pk = `WS#${id}`;
      const [row, stats] = await rows([[pk, "METADATA"], [pk, "WSSTATS"]], [...WORKSPACE, ...hourNames(hourNow())]);
      return row && withFigures({ ...row, createdAt: kst(row.createdAt) }, stats);
    },
    async function(_, { id }) {
      if (!known.has(id)) known.set(id, (await rows([[`FN#${id}`, "METADATA"]], ["workspace_id"]))[0].workspace_id);
      const pk = `WS#${known.get(id)}`;
      const names = [...FUNCTION, "environmentVariables", ...hourNames(hourNow())];
      const [row, stats] = await rows([[pk, `FN#${id}`], [pk, `FNSTATS#${id}`]], names);
      return row && withFigures(toFunction(row), stats);
    },
  },
  Workspace: {
    async functions({ id, functionCount }, { first }) {
      const pk = `WS#${id}`;
      const [found, stats] = await Promise.all([
        query([pk, "FN#", "FN#~"], FUNCTION, first),
        query([pk, "FNSTATS#", "FNSTATS#~"], hourNames(hourNow()), first),
      ]);
      const byId = new Map(stats.map((row) => [row.SK.slice(8), row]));
      const nodes = found.map((row) => withFigures(toFunction(row), byId.get(row.id)));
      return { totalCount: functionCount, nodes, pageInfo: { hasNextPage: false } };
    },
    async executionLogs({ id }, { first }) {
      return { nodes: (await query([`WS#${id}#LOGS`, " ", "~"], LOG, first, { index: true, back: true })).map(toLog) };
    },
    async builds({ id }, { first }) {
      const names = ["task_id", "kind", "status", "app_name", "created_at", "updated_at"];
      return { nodes: (await query([`WS#${id}#BUILDS`, " ", "~"], names, first, { index: true, back: true })).map(toBuild) };
    },
  },
  Function: {
    async executionLogs({ id }, { first }) {
      const names = [...LOG, "logs", "requestBody", "responseBody"];
      return { nodes: (await query([`FN#${id}`, "LOG#", "LOG#~"], names, first, { back: true })).map(toLog) };
    },
    async logs({ id }, { first }) {
      const params = new URLSearchParams({ query: `{function_id="${id}"}`, limit: first, direction: "backward" });
      const { body } = await loki.request({ path: `/loki/api/v1/query_range?${params}`, method: "GET" });
      const found = [];
      for (const { stream, values } of (await body.json()).data.result) {
        const labels = Object.entries(stream).sort().map(([name, value]) => ({ name, value }));
        for (const [at, line] of values) {
          const ns = BigInt(at);
          const timestamp = kstOfMs(Number(ns / 1_000_000n), Number((ns / 1000n) % 1000n));
          found.push({ ns, timestamp, line, level: stream.detected_level, labels });
        }
      }
      found.sort((one, other) => (one.ns < other.ns ? 1 : one.ns > other.ns ? -1 : 0));
      return { nodes: found.slice(0, first) };
    },
    metrics: () => ({}),
  },
  Metrics: { cpu: () => series("cores"), memory: () => series("bytes"), replicas: () => series("pods") },
};

const app = Fastify();
app.register(mercurius, { schema, resolvers, jit: 1 });
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(`http://127.0.0.1:${app.server.address().port}`);
