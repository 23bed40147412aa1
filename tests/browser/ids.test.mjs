// How the explorer carries ids from tab to tab: node --test ids.test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carryIds, fillIn, idsMadeBy } from '../../gateway/web/explorer/src/ids.js';

test('ids are found in what the walk creates, and nowhere else', () => {
  assert.deepEqual(idsMadeBy({ createWorkspace: { workspace: { id: 'ws-1' } } }), { workspaceId: 'ws-1' });
  assert.deepEqual(idsMadeBy({ createFunction: { function: { id: 'fn-1' } } }), { functionId: 'fn-1' });
  assert.deepEqual(idsMadeBy({ deployFunction: { build: { id: 'b-1' } } }), { buildId: 'b-1' });
  for (const data of [null, undefined, {}, { createFunction: null }, { createFunction: { function: { name: 'x' } } }]) {
    assert.deepEqual(idsMadeBy(data), {});
  }
});

test('only variables that are there are filled in', () => {
  assert.equal(fillIn('{"functionId": "?", "path": "/"}', { functionId: 'fn-1' }), '{\n  "functionId": "fn-1",\n  "path": "/"\n}');
  assert.equal(fillIn('{"functionId": "fn-1"}', { functionId: 'fn-1' }), null);
  for (const text of ['{"path": "/"}', '', '{"functionId": ', '// a comment', 'null', '3']) {
    assert.equal(fillIn(text, { functionId: 'fn-1' }), null, text);
  }
});

test("the walk's tabs are written to, the open one through its editor, a reader's own never", () => {
  const tabs = [
    { operationName: 'InvokeFunction', variables: '{"functionId": "?"}' },
    { operationName: 'ObserveFunction', variables: '{"functionId": "?"}' },
    { operationName: 'MyOwn', variables: '{"functionId": "mine"}' },
    { operationName: 'WatchBuild', variables: null },
  ];
  const written = [];
  const stored = [];
  const editor = { variableEditor: { setValue: (text) => written.push(text) }, storeTabs: (state) => stored.push(state) };
  carryIds({ functionId: 'fn-1' }, { tabs, activeTabIndex: 1, ...editor });
  assert.deepEqual(
    tabs.map(({ variables }) => variables),
    ['{\n  "functionId": "fn-1"\n}', '{"functionId": "?"}', '{"functionId": "mine"}', null],
  );
  assert.deepEqual(written, ['{\n  "functionId": "fn-1"\n}']);
  assert.deepEqual(stored, [{ tabs, activeTabIndex: 1 }]);
});
