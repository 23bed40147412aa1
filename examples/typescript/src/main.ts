/** A walk through the gateway: deploy a function, watch its build, call it, read its logs; build an upload. */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "graphql-ws";
import { connect, followBuild, type BuildEvent } from "./builds.js";
import { GatewayError } from "./errors.js";
import * as operations from "./operations.js";
import { items } from "./pages.js";
import { request, requestPartly } from "./request.js";

const SOURCE = await readFile(new URL("../hello.py", import.meta.url));

async function createFunction(workspaceId: string, name: string, memory = 128): Promise<string> {
  const { createFunction } = await request(operations.CreateFunction, {
    input: { workspaceId, name, memory, httpMethods: ["GET"], code: SOURCE.toString("base64") },
  });
  return createFunction.function.id;
}

/** Print a build's changes as they come, and answer the last. */
async function watch(client: Client, buildId: string): Promise<BuildEvent> {
  let last: BuildEvent | undefined;
  for await (const event of followBuild(client, buildId)) {
    console.log(`  ${event.sequence} ${event.status}`);
    last = event;
  }
  if (!last?.build.isFinished) throw new Error("the subscription ended before the build did");
  return last;
}

async function deploy(client: Client, functionId: string): Promise<void> {
  const { deployFunction } = await request(operations.DeployFunction, { input: { functionId } });
  console.log("deploy:");
  const { status, build } = await watch(client, deployFunction.build.id);
  if (status !== "DONE") throw new Error(build.error ?? `the build is ${status}`);
}

async function upload(client: Client, workspaceId: string): Promise<void> {
  const file = new File([SOURCE], "uploaded.py", { type: "text/x-python" });
  const { startBuild } = await request(operations.StartBuild, { input: { workspaceId, file } });
  console.log(`upload of ${startBuild.build.appName}:`);
  await watch(client, startBuild.build.id);
}

async function invoke(functionId: string): Promise<void> {
  const input = { functionId, path: "/?name=Ada" };
  const { invokeFunction } = await request(operations.InvokeFunction, { input });
  const { statusCode, responseBody } = invokeFunction.executionLog;
  console.log(`answer: ${statusCode} ${JSON.stringify(responseBody)}`);
}

/** Print what the function has written; a line is at Loki a moment after it was written. */
async function readLogs(id: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { data, errors } = await requestPartly(operations.ObserveFunction, { id });
    const lines = data.function?.logs?.nodes ?? [];
    if (lines.length > 0 || attempt === 20 || errors.some(({ retryable }) => !retryable)) {
      for (const { code, message } of errors) console.log(`${code}: ${message}`);
      for (const { line } of lines) console.log(`log: ${line}`);
      return;
    }
    await sleep(500);
  }
}

async function listFunctions(id: string): Promise<void> {
  const functions = items(async (after) => {
    const { workspace } = await request(operations.FunctionsOfWorkspace, { id, first: 2, after });
    if (!workspace) throw new Error(`there is no workspace ${id}`);
    return workspace.functions;
  });
  for await (const { name, status } of functions) console.log(`function: ${name} ${status}`);
}

/** What a form would do with a value that the gateway refuses. */
async function showRefusal(workspaceId: string): Promise<void> {
  try {
    await createFunction(workspaceId, "too small", 64);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== "VALIDATION_ERROR") throw error;
    console.log(`refused: ${error.field}: ${error.message}`);
  }
}

const { createWorkspace } = await request(operations.CreateWorkspace, { input: { name: "TypeScript" } });
const workspaceId = createWorkspace.workspace.id;
const functionId = await createFunction(workspaceId, "hello");
await createFunction(workspaceId, "spare 1");
await createFunction(workspaceId, "spare 2");

const client = await connect();
await deploy(client, functionId);
await invoke(functionId);
await readLogs(functionId);
await upload(client, workspaceId);
await client.dispose();
await listFunctions(workspaceId);
await showRefusal(workspaceId);
