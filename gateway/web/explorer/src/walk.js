// The walk: the tabs a newcomer finds, in the order they are run, and how the ids that one tab makes get into the others.

const texts = import.meta.glob(['./walk/*.graphql', './walk/*.json'], { query: '?raw', import: 'default', eager: true });

/** GraphiQL's `defaultTabs`: each document with the variables of the JSON file of the same name. */
export const walkTabs = Object.keys(texts)
  .filter((path) => path.endsWith('.graphql'))
  .sort()
  .map((path) => ({ query: texts[path], variables: texts[path.replace('.graphql', '.json')]?.trim() }));
