// Writes licenses.md beside the assets: name, version, licence and its text of every package with a module in them.
// Vite's own list leaves out what workers alone import, and has no text where a package ships none.
import { existsSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

// Packages that ship no licence text, each with a package of the same repository that does.
const TEXT_IS_IN = {
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};

// Fonts inside GraphiQL's and Monaco's packages; the versions are those in the files. Texts are in licenses/.
const FONTS = [
  { name: 'codicons', version: '1.11', license: 'CC-BY-4.0' },
  { name: 'fira-code', version: '5.2', license: 'OFL-1.1' },
  { name: 'roboto', version: '2.137', license: 'Apache-2.0' },
];

const INTRODUCTION = `# Licences

What the explorer's assets are made of: packages, then fonts, then the notices that packages carry for others.
`;

// Plugins for the page's build and for its workers' builds; the page's, which ends last, writes the file.
export function licensesFile(fileName) {
  const folders = new Set();
  let output;
  const collect = (_options, bundle) => {
    for (const { moduleIds = [] } of Object.values(bundle)) {
      moduleIds.map(packageFolder).filter(Boolean).forEach((folder) => folders.add(folder));
    }
  };
  const ofPage = {
    name: 'licenses-of-page',
    apply: 'build',
    configResolved(config) {
      output = path.resolve(config.root, config.build.outDir, fileName);
    },
    generateBundle: collect,
    async closeBundle() {
      await writeFile(output, await document(folders));
    },
  };
  return { ofPage, ofWorkers: { name: 'licenses-of-workers', generateBundle: collect } };
}

function packageFolder(moduleId) {
  const match = moduleId.match(/^(?!\0)(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//);
  return match?.[1];
}

async function document(folders) {
  const read = await Promise.all([...folders].map(describe));
  const packages = [...new Map(read.map((one) => [`${one.name}@${one.version}`, one])).entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, described]) => described);
  const fonts = await Promise.all(
    FONTS.map(async (font) => ({
      ...font,
      text: await readFile(path.join(import.meta.dirname, 'licenses', `${font.name}.txt`), 'utf8'),
    })),
  );
  const licences = [...packages, ...fonts].map(
    ({ name, version, license, text }) => `\n## ${name} - ${version} (${license})\n\n${text.trim()}\n`,
  );
  const notices = packages
    .filter(({ notices }) => notices)
    .map(({ name, version, notices }) => `\n# Notices of ${name} - ${version}\n\n${indented(notices.trim())}\n`);
  return [INTRODUCTION, ...licences, ...notices].join('');
}

async function describe(folder) {
  const { name, version, license } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  if (!license) throw new Error(`${name} ${version} says no licence`);
  const text = await ownFile(folder, /^(licen[sc]e|copying)/i) ?? (await borrowed(name));
  if (!text) throw new Error(`${name} ${version} ships no licence text: name its repository's package in TEXT_IS_IN`);
  return { name, version, license: license.trim(), text, notices: await ownFile(folder, /^third-?party-?notices/i) };
}

async function ownFile(folder, pattern) {
  const name = (await readdir(folder)).sort().find((entry) => pattern.test(entry));
  return name && readFile(path.join(folder, name), 'utf8');
}

async function borrowed(name) {
  const folder = path.join(import.meta.dirname, 'node_modules', TEXT_IS_IN[name] ?? '');
  return TEXT_IS_IN[name] && existsSync(folder) ? ownFile(folder, /^licen[sc]e/i) : undefined;
}

// Headings of notices are none of this document's.
function indented(text) {
  return text.replace(/^(?=.)/gm, '    ');
}
