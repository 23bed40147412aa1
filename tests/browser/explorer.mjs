// Walks through the explorer in a real browser, by clicks:
//
//   node explorer.mjs URL [--screenshots DIR] [--chromium PATH]
//
// Ends with 0 when each step answered what its tab promises, no request left the gateway's origin, and the page
// neither broke its Content-Security-Policy nor wrote an error to the console. Prints one line per step.
import assert from 'node:assert/strict';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: 'string' }, chromium: { type: 'string', default: '/usr/bin/chromium' } },
});
const address = new URL(positionals[0]);
const BUILD_MS = 240_000; // a build takes about 15 s on two free cores, and was seen to take 70 on busy ones
const ANSWER_MS = 15_000; // longer than any answer but a build's may take
const METRICS_MS = 20_000; // as promised

const FLAGS = [
  '--no-sandbox', // the runner is root in a container
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const tabOf = (page, name) => page.getByRole('tablist').getByTitle(name, { exact: true });

const browser = await chromium.launch({ executablePath: values.chromium, args: FLAGS });
try {
  await walk(await browser.newPage({ viewport: { width: 1360, height: 820 } }));
} finally {
  await browser.close();
}

async function walk(page) {
  const seen = await observe(page);
  await page.goto(address.href);
  await tabOf(page, 'CreateWorkspace').waitFor();
  assert.equal(await page.title(), 'Blue FaaS');
  await schemaLoaded(page);

  const workspace = await run(page, 'CreateWorkspace', ({ data }) => data?.createWorkspace.workspace);
  assert.match(workspace.id, /^ws-/);

  const created = await run(page, 'CreateFunction', ({ data }) => data?.createFunction.function);
  assert.match(created.id, /^fn-/);
  await screenshot(page, 'create');

  const build = await run(page, 'DeployFunction', ({ data }) => data?.deployFunction.build);
  assert.equal(build.kind, 'DEPLOY');

  const finished = await run(page, 'WatchBuild', ({ data }) => data?.buildProgress.build.isFinished && data.buildProgress, BUILD_MS);
  assert.equal(finished.status, 'DONE', `the build ended ${finished.status}: ${finished.build.error}`);
  const statuses = finished.build.steps.map(({ status }) => status);
  assert.deepEqual(statuses, ['PENDING', 'BUILDING', 'PUSHING', 'DEPLOYING', 'DONE']);
  // The server ends the stream: the button offers to run again, not to stop.
  await page.getByRole('button', { name: /^Execute query/ }).waitFor({ timeout: ANSWER_MS });
  await screenshot(page, 'watch');

  const { executionLog } = await run(page, 'InvokeFunction', ({ data }) => data?.invokeFunction);
  assert.equal(executionLog.statusCode, 200, JSON.stringify(executionLog));
  assert.equal(executionLog.responseBody, 'Hello, Blue!');

  const observed = await runUntil(page, 'ObserveFunction', METRICS_MS, ({ data }) => {
    const { logs, metrics } = data?.function ?? {};
    return logs?.nodes.length && metrics?.cpu?.points.length && data.function;
  });
  assert.match(observed.logs.nodes[0].line, /hello from GET/);
  assert.equal(observed.executionLogs.nodes[0].statusCode, 200);
  await screenshot(page, 'observe');

  await ownTabsStay(page);
  await prefilled(page);
  assert.deepEqual(seen.outside, [], 'requests left the origin');
  assert.deepEqual(seen.violations, [], 'the page broke its Content-Security-Policy');
  assert.deepEqual(seen.complaints, [], 'the console has errors');
  assert.ok(seen.sockets > 0, 'the subscription used no WebSocket');
  await unanswered(page); // last: the console complains about it, rightly
}

/** What the page does that it should not, collected while it runs. */
async function observe(page) {
  const seen = { outside: [], violations: [], complaints: [], sockets: 0 };
  const note = (url) => {
    if (!['data:', 'blob:'].includes(new URL(url).protocol) && new URL(url).host !== address.host) seen.outside.push(url);
  };
  // The context's, not the page's: it sees the workers' requests too.
  page.context().on('request', (request) => note(request.url()));
  page.on('websocket', (socket) => {
    seen.sockets += 1;
    note(socket.url());
  });
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text());
  });
  await page.exposeFunction('noteViolation', (text) => seen.violations.push(text));
  await page.addInitScript(() => {
    // GraphiQL's answers live in a Monaco model; the page shows only the lines that are in view.
    window.responseModel = () =>
      window.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith('response.json'));
    document.addEventListener('securitypolicyviolation', (event) =>
      window.noteViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`),
    );
  });
  return seen;
}

async function schemaLoaded(page) {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.getByText('root types', { exact: false }).first().waitFor({ timeout: ANSWER_MS });
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
}

/** Opens the tab, presses play, and gives what `pick` finds in the answer; GraphQL errors end it. */
async function run(page, tab, pick, timeout = ANSWER_MS) {
  await tabOf(page, tab).click();
  return press(page, tab, pick, timeout);
}

/** The same, pressing play again every second until `pick` finds it. */
async function runUntil(page, tab, timeout, pick) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await run(page, tab, (result) => result);
    const found = pick(answer);
    if (found) return found;
    assert.ok(Date.now() < deadline, `${tab}: not there after ${timeout} ms: ${JSON.stringify(answer)}`);
    await page.waitForTimeout(1000);
  }
}

async function press(page, tab, pick, timeout) {
  const started = Date.now();
  await page.evaluate(() => responseModel().setValue(''));
  await page.getByRole('button', { name: /^Execute query/ }).click();
  const deadline = started + timeout;
  let text = '';
  while (Date.now() < deadline) {
    text = await page.evaluate(() => responseModel().getValue());
    if (text.trim()) {
      const answer = JSON.parse(text);
      assert.ok(!answer.errors, `${tab}: ${JSON.stringify(answer.errors)}`);
      const found = pick(answer);
      if (found) {
        console.log(`${tab}: ${Date.now() - started} ms`);
        return found;
      }
    }
    await page.waitForTimeout(50);
  }
  throw new Error(`${tab}: nothing came within ${timeout} ms; the last answer was ${text || 'empty'}`);
}

/** What a reader wrote is there after a reload, and so is the walk. */
async function ownTabsStay(page) {
  await page.getByRole('button', { name: 'New tab' }).click();
  await page.locator('.graphiql-query-editor .monaco-editor').click();
  await page.keyboard.type('query MyOwn { __typename');
  await tabOf(page, 'MyOwn').waitFor();
  await page.waitForTimeout(1000); // GraphiQL stores half a second after the last key
  await page.reload();
  await tabOf(page, 'MyOwn').waitFor();
  assert.equal(await page.getByRole('tab').count(), 8);
  console.log('tabs stay: ok');
}

/** A link can carry a query and its variables. */
async function prefilled(page) {
  const link = new URL(address);
  link.searchParams.set('q', 'query Linked($id: ID!) { node(id: $id) { id } }');
  link.searchParams.set('variables', '{"id": "ws-linked1"}');
  await page.goto(link.href);
  await page.locator('[role=tab][aria-selected=true]', { hasText: 'Linked' }).waitFor();
  await page.getByText('"ws-linked1"').waitFor();
  console.log('a linked query: ok');
}

/** A gateway that does not answer is said in words, until it answers again. */
async function unanswered(page) {
  const notice = page.getByRole('alert').filter({ hasText: 'The gateway does not answer.' });
  await tabOf(page, 'FindIds').click();
  await page.context().setOffline(true);
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await notice.waitFor({ timeout: ANSWER_MS });
  await page.context().setOffline(false);
  await press(page, 'FindIds', ({ data }) => data?.workspaces, ANSWER_MS);
  await notice.waitFor({ state: 'detached', timeout: ANSWER_MS });
  console.log('no answer: ok');
}

async function screenshot(page, name) {
  if (values.screenshots) await page.screenshot({ path: path.join(values.screenshots, `explorer-${name}.png`) });
}
