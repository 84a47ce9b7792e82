// SPDX-License-Identifier: Apache-2.0
// Makes the folder of static files from what is built: bundles page and workers, gives every file a name with its content's
// hash, fills in the two pages and the licences page. Everything refers to its neighbours relatively, so the folder works
// below any path.
//
//   node tools/build-web.mjs [OUT]        default dist; without precompression unless --compress is given
//
// Needs build/wasm/hartwood_core.wasm and a C++ compiler. HARTWOOD_GUEST names a folder with Image, initramfs.cpio,
// licences.json and prompt.hws; without it build/guest/{kernel,initramfs,licences,snapshot} have them. HARTWOOD_CORE names another core.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { compressFolder } from './lib/compress.mjs';
import { buildDir, readOptions, root, runMain, UserError } from './lib/project.mjs';
import { makeLayout } from './layout/make-layout.mjs';
import { licencesPage } from './lib/licences.mjs';

const csp = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  // Kernels and disks may come from anywhere; the guest itself reaches no network.
  "connect-src 'self' http: https: blob: data:",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const hashOf = (data) => createHash('sha256').update(data).digest('hex').slice(0, 10);

/** The folders that hold the guest's files. */
function guestFolders() {
  const given = process.env.HARTWOOD_GUEST;
  return given ? [given] : [join(buildDir, 'guest', 'kernel'), join(buildDir, 'guest', 'initramfs'), join(buildDir, 'guest', 'licences'), join(buildDir, 'guest', 'snapshot')];
}

function needFile(file, how) {
  if (!existsSync(file)) throw new UserError(`${relative(root, file) || file} is missing; ${how}`);
  return file;
}

function guestFile(name) {
  const found = guestFolders().map((folder) => join(folder, name)).find((file) => existsSync(file));
  if (!found) throw new UserError(`no ${name} in ${guestFolders().join(' or ')}; npm run setup makes it`);
  return found;
}

const kWorkers = ['io', 'hart', 'clock', 'compiler', 'pager', 'storage'];

class Assets {
  constructor(out) {
    this.folder = join(out, 'assets');
    mkdirSync(this.folder, { recursive: true });
  }

  /** Copies `file` to a hashed name; returns { file: that name, size: bytes }. */
  copy(file, name, extension) {
    const data = readFileSync(file);
    const hashed = `${name}-${hashOf(data)}${extension}`;
    copyFileSync(file, join(this.folder, hashed));
    return { file: hashed, size: statSync(file).size };
  }
}

const common = {
  bundle: true,
  format: 'esm',
  target: ['es2022'],
  minify: true,
  sourcemap: 'linked',
  legalComments: 'none',
  metafile: true,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  absWorkingDir: root,
  logLevel: 'warning',
};

/** Entry point (below the project) -> the name of its output, and which chunks it imports. */
function outputsOf(metafile) {
  const found = new Map();
  for (const [file, output] of Object.entries(metafile.outputs)) {
    if (output.entryPoint) found.set(output.entryPoint, { name: basename(file), imports: output.imports });
  }
  return found;
}

function fill(template, values) {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (!(name in values)) throw new Error(`the page's template asks for "${name}"`);
    return values[name];
  });
}

/** Links that make the browser fetch a script's chunks beside it, the terminal's too. */
function preloads({ imports }, all, terminal) {
  const names = imports.filter((each) => each.kind === 'import-statement').map((each) => basename(each.path));
  names.push(terminal.name, ...terminal.imports.filter((each) => each.kind === 'import-statement').map((each) => basename(each.path)));
  return [...new Set(names)].map((name) => `<link rel="modulepreload" href="assets/${name}">`).join('\n');
}

async function buildWeb(out) {
  const core = needFile(process.env.HARTWOOD_CORE || join(buildDir, 'wasm', 'hartwood_core.wasm'), 'npm run setup wasm makes it');
  await makeLayout();
  const kernel = guestFile('Image');
  const initrd = guestFile('initramfs.cpio');

  rmSync(out, { recursive: true, force: true });
  const assets = new Assets(out);
  const workers = await build({
    ...common, outdir: assets.folder,
    entryPoints: kWorkers.map((kind) => `workers/${kind}-worker.ts`),
  });
  const workerOutputs = outputsOf(workers.metafile);
  const coreAsset = assets.copy(core, 'core', '.wasm');
  const known = {
    core: coreAsset.file,
    workers: Object.fromEntries(kWorkers.map((kind) => [kind, workerOutputs.get(`workers/${kind}-worker.ts`).name])),
    kernel: assets.copy(kernel, 'kernel', '.bin'),
    initrd: assets.copy(initrd, 'initramfs', '.cpio'),
    snapshot: assets.copy(guestFile('prompt.hws'), 'prompt', '.hws'),
  };
  const scripts = await build({
    ...common, outdir: assets.folder, splitting: true,
    entryPoints: ['web/page/main.ts', 'web/embed/embed.ts', 'web/shared/terminal-view.ts', 'web/api/index.ts'],
    entryNames: '[dir]-[name]-[hash]', outbase: 'web',
    define: { HARTWOOD_ASSETS: JSON.stringify(known) },
  });
  const styles = await build({
    ...common, outdir: assets.folder, entryPoints: ['web/page/style.css', 'web/embed/embed.css', 'web/page/licences.css'],
  });
  const scriptOutputs = outputsOf(scripts.metafile);
  const styleOutputs = outputsOf(styles.metafile);
  const icon = assets.copy(join(root, 'web/page/icon.svg'), 'icon', '.svg').file;

  const shared = { csp, icon: `assets/${icon}`, core: `assets/${known.core}` };
  for (const [page, script, style] of [['page/index.html', 'page/main.ts', 'page/style.css'], ['embed/embed.html', 'embed/embed.ts', 'embed/embed.css']]) {
    const entry = scriptOutputs.get(`web/${script}`);
    writeFileSync(join(out, basename(page)), fill(readFileSync(join(root, 'web', page), 'utf8'), {
      ...shared,
      script: `assets/${entry.name}`,
      style: `assets/${styleOutputs.get(`web/${style}`).name}`,
      preload: preloads(entry, scriptOutputs, scriptOutputs.get('web/shared/terminal-view.ts')),
    }));
  }
  // The API under a name that does not change, for pages of one's own.
  writeFileSync(join(out, 'hartwood.js'), `export * from './assets/${scriptOutputs.get('web/api/index.ts').name}';\n`);
  writeFileSync(join(out, 'licences.html'), licencesPage({
    metafiles: [workers.metafile, scripts.metafile, styles.metafile],
    guestLicences: dirname(guestFile('licences.json')),
    csp, icon: shared.icon, style: `assets/${styleOutputs.get('web/page/licences.css').name}`,
  }));
  writeFileSync(join(out, '_headers'), headersFile());
}

/** What a static host has to send, in the form that several of them read. */
function headersFile() {
  return [
    '/*',
    '  Cross-Origin-Opener-Policy: same-origin',
    '  Cross-Origin-Embedder-Policy: require-corp',
    '  Cross-Origin-Resource-Policy: cross-origin',
    '  X-Content-Type-Options: nosniff',
    '/embed.html',
    '  Document-Isolation-Policy: isolate-and-require-corp',
    '/assets/*',
    '  Cache-Control: public, max-age=31536000, immutable',
    '',
  ].join('\n');
}

await runMain(async (args) => {
  const { options, rest } = readOptions(args, { compress: false });
  const out = rest[0] ?? join(root, 'dist');
  await buildWeb(out);
  if (options.compress) await compressFolder(out);
});
