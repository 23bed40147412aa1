// Builds the explorer into static/: index.html, and assets/ with hashed names, text among them gzipped.
import { createHash } from 'node:crypto';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';
import { licensesFile } from './licenses.mjs';

// Where gateway/web/explorer.py serves assets/, seen from the page at …/graphql.
const ASSETS = 'graphql/explorer-assets/';

// GraphiQL's stylesheet carries 35 faces as data: URLs. Kept are upright Latin; other scripts fall back to the
// reader's own fonts, and the icons come with Monaco's stylesheet. As files, font-src needs no data:.
function fontsAsFiles() {
  const isKept = (face) => /U\+0000-00FF/i.test(face) && !/font-style:\s*italic/.test(face);
  return {
    name: 'fonts-as-files',
    enforce: 'pre',
    transform(css, id) {
      if (!id.endsWith('graphiql/dist/style.css')) return null;
      const faces = css.replace(/@font-face\s*\{[^}]*\}/g, (face) => (isKept(face) ? face : ''));
      return faces.replace(/url\(data:font\/(\w+);base64,([^)]+)\)/g, (_url, kind, base64) => {
        const source = Buffer.from(base64, 'base64');
        const hash = createHash('sha256').update(source).digest('hex').slice(0, 8);
        const reference = this.emitFile({ type: 'asset', fileName: `assets/font-${hash}.${kind}`, source });
        return `url(__VITE_ASSET__${reference}__)`;
      });
    },
  };
}

// Text is kept as .gz only: every browser takes it, and the gateway unpacks it for the rare client that does not.
// Brotli would save another fifth, once per reader, for twice the bytes in the repository.
function gzipped() {
  let folder;
  return {
    name: 'gzipped',
    apply: 'build',
    configResolved(config) {
      folder = path.resolve(config.root, config.build.outDir, 'assets');
    },
    async closeBundle() {
      const names = (await readdir(folder)).filter((name) => /\.(js|css|svg|ttf)$/.test(name));
      for (const name of names) {
        const file = path.join(folder, name);
        await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
        await rm(file);
      }
    },
  };
}

const licenses = licensesFile('licenses.md');

export default defineConfig({
  logLevel: 'warn',
  plugins: [fontsAsFiles(), gzipped(), licenses.ofPage],
  worker: { format: 'es', plugins: () => [licenses.ofWorkers] },
  resolve: {
    // One copy of the formatter, not a CommonJS and a module one.
    alias: { 'prettier/parser-graphql': 'prettier/plugins/graphql' },
    dedupe: ['react', 'react-dom', 'graphql', '@graphiql/react', 'monaco-editor'],
  },
  experimental: {
    renderBuiltUrl(filename, { hostType }) {
      return hostType === 'html' ? ASSETS + path.posix.basename(filename) : { relative: true };
    },
  },
  build: {
    outDir: 'static',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 8000,
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
