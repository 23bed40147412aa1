// Runs an example of the documents as a browser would: node run.mjs FOLDER, with example.js in it.
// Node 20 has no WebSocket of its own; and what uses Relay's compiler is compiled first, as a bundler would do.
// With CUTS in the environment, so many sockets and event streams are cut, each after its first event.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from '@babel/core';
import WebSocket from 'ws';

const here = import.meta.dirname;
const folder = process.argv[2];
const file = join(folder, 'example.js');
let cuts = Number(process.env.CUTS ?? 0);

class CutWebSocket extends WebSocket {
  emit(event, ...values) {
    const heard = super.emit(event, ...values);
    if (event === 'message' && cuts > 0 && JSON.parse(values[0]).type === 'next') {
      cuts -= 1;
      this.terminate();
    }
    return heard;
  }
}

const uncut = globalThis.fetch;

async function cutFetch(...given) {
  const response = await uncut(...given);
  if (cuts === 0 || response.headers.get('content-type') !== 'text/event-stream') return response;
  cuts -= 1;
  let isCut = false;
  const transform = (chunk, stream) => {
    const text = new TextDecoder().decode(chunk);
    const event = text.indexOf('event: next');
    if (isCut) return;
    stream.enqueue(event < 0 ? chunk : new TextEncoder().encode(text.slice(0, text.indexOf('\n\n', event) + 2)));
    if (event < 0) return;
    isCut = true;
    // Later: graphql-sse does not see a stream end while it hands an event on, and waits for ever.
    setTimeout(() => stream.terminate(), 100);
  };
  return new Response(response.body.pipeThrough(new TransformStream({ transform })), response);
}

/** Relay's own two steps: artifacts from the graphql tags, and imports of these in the tags' places. */
function compileRelay() {
  mkdirSync(join(folder, '__generated__'), { recursive: true });
  symlinkSync(join(here, '../../../schema/schema.graphql'), join(folder, 'schema.graphql'));
  const artifacts = { eagerEsModules: true, artifactDirectory: join(folder, '__generated__') };
  const config = { src: '.', schema: './schema.graphql', language: 'javascript', eagerEsModules: true };
  writeFileSync(join(folder, 'relay.config.json'), JSON.stringify({ ...config, artifactDirectory: './__generated__' }));
  const compiler = join(here, 'node_modules/relay-compiler/cli.js');
  execFileSync(process.execPath, [compiler, 'relay.config.json'], { cwd: folder });
  const plugins = [['babel-plugin-relay', artifacts]];
  const { code } = transformSync(readFileSync(file, 'utf8'), { filename: file, cwd: folder, plugins, configFile: false });
  writeFileSync(file, code);
  // A bundler finds `X.graphql.js` where `X.graphql` is imported.
  const resolve = 'export const resolve = (name, context, next) => next(name.replace(/\\.graphql$/, "$&.js"), context)';
  register(`data:text/javascript,${encodeURIComponent(resolve)}`);
}

globalThis.WebSocket = CutWebSocket;
globalThis.fetch = cutFetch;
rmSync(join(folder, 'node_modules'), { force: true });
symlinkSync(join(here, 'node_modules'), join(folder, 'node_modules'));
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
if (readFileSync(file, 'utf8').includes('relay-runtime')) compileRelay();
await import(pathToFileURL(file));
