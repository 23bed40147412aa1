// Ids made in one tab are carried into the variables of the walk's other tabs, so that nobody has to copy them.

/** The operations of the walk that take an id; a reader's own tabs are never written to. */
const FOLLOWERS = new Set(['CreateFunction', 'DeployFunction', 'WatchBuild', 'InvokeFunction', 'ObserveFunction']);

/** The ids in a result's data, by the variable they are for: `{workspaceId}`, `{functionId}`, `{buildId}`. */
export function idsMadeBy(data) {
  const made = {
    workspaceId: data?.createWorkspace?.workspace?.id,
    functionId: data?.createFunction?.function?.id,
    buildId: data?.deployFunction?.build?.id,
  };
  return Object.fromEntries(Object.entries(made).filter(([, id]) => typeof id === 'string'));
}

/** `text` (a tab's variables) with the ids it has a place for, or null where there is nothing to change. */
export function fillIn(text, ids) {
  let variables;
  try {
    variables = JSON.parse(text);
  } catch {
    return null; // half-written or commented: the reader is at work on it
  }
  if (variables === null || typeof variables !== 'object') return null;
  const changed = Object.entries(ids).filter(([name, id]) => name in variables && variables[name] !== id);
  return changed.length ? JSON.stringify({ ...variables, ...Object.fromEntries(changed) }, null, 2) : null;
}

/** Writes `ids` into the tabs of the walk, and into the variables editor where one of them is open. */
export function carryIds(ids, { tabs, activeTabIndex, variableEditor, storeTabs }) {
  tabs.forEach((tab, index) => {
    if (!FOLLOWERS.has(tab.operationName)) return;
    const filled = fillIn(tab.variables ?? '', ids);
    if (filled === null) return;
    if (index === activeTabIndex) variableEditor?.setValue(filled);
    // In place: GraphiQL reads a tab's variables when it is opened, and has no action that changes one in the background.
    else tab.variables = filled;
  });
  storeTabs({ tabs, activeTabIndex });
}
