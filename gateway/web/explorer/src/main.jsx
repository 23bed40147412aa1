import './workers.js';
import { useEffect, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import './explorer.css';
import { createFetcher } from './gateway.js';
import { carryIds, idsMadeBy } from './ids.js';
import { walkTabs } from './walk.js';

// The page's events reach React through this target: what the fetcher has to say, and the data it saw.
const events = new EventTarget();
let notice = null;

const fetcher = createFetcher({
  url: location.origin + location.pathname,
  onNotice(text) {
    notice = text;
    events.dispatchEvent(new Event('notice'));
  },
  onData(data) {
    const ids = idsMadeBy(data);
    if (Object.keys(ids).length) events.dispatchEvent(new CustomEvent('ids', { detail: ids }));
  },
});

function onNotice(listener) {
  events.addEventListener('notice', listener);
  return () => events.removeEventListener('notice', listener);
}

function Notice() {
  const text = useSyncExternalStore(onNotice, () => notice);
  return (
    <div role="alert" className={text ? 'explorer-notice' : undefined}>
      {text}
    </div>
  );
}

function IdCarrier() {
  const { storeTabs } = useGraphiQLActions();
  const { tabs, activeTabIndex, variableEditor } = useGraphiQL((state) => ({
    tabs: state.tabs,
    activeTabIndex: state.activeTabIndex,
    variableEditor: state.variableEditor,
  }));
  useEffect(() => {
    const carry = ({ detail }) => carryIds(detail, { tabs, activeTabIndex, variableEditor, storeTabs });
    events.addEventListener('ids', carry);
    return () => events.removeEventListener('ids', carry);
  }, [tabs, activeTabIndex, variableEditor, storeTabs]);
  return null;
}

const asked = new URLSearchParams(location.search);
const query = asked.get('query') ?? asked.get('q') ?? undefined;
const variables = asked.get('variables') ?? undefined;
const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];
const tabs = query === undefined ? walkTabs : [{ query, variables }, ...walkTabs];

createRoot(document.getElementById('explorer')).render(
  <>
    <Notice />
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      defaultTabs={tabs}
      initialQuery={query}
      initialVariables={query && variables}
      defaultEditorToolsVisibility="variables"
      inputValueDeprecation
      schemaDescription
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <span className="explorer-name">Blue FaaS</span>
      </GraphiQL.Logo>
      <IdCarrier />
    </GraphiQL>
  </>,
);
