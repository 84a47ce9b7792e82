// SPDX-License-Identifier: Apache-2.0
// Checks who may include whom: the layers of host/, the borders of the TypeScript folders, and that no DOM types are
// asked for in workers/. Prints each offence as file:line and fails if there is one.
//
//   node tools/check-layers.mjs
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// What each folder of host/ may include besides itself; `base` is for all.
const layers = {
  base: [],
  shm: [],
  isa: [],
  fdt: [],
  memory: ['shm'],
  hart: ['isa', 'memory', 'shm'],
  wasm: [],
  jit: ['hart', 'isa', 'memory', 'shm', 'wasm'],
  devices: ['memory', 'shm'],
  sbi: ['hart', 'isa', 'memory', 'shm'],
  boot: ['fdt', 'memory', 'shm'],
  debug: ['hart', 'isa', 'memory', 'shm'],
  machine: ['boot', 'debug', 'devices', 'fdt', 'hart', 'isa', 'jit', 'memory', 'sbi', 'shm'],
  api: ['boot', 'debug', 'devices', 'fdt', 'hart', 'isa', 'jit', 'machine', 'memory', 'sbi', 'shm'],
};
// What TypeScript folders may import by path: prefixes from the project's root.
const typescript = {
  workers: ['workers/', 'build/generated/'],
  'web/api': ['web/api/', 'workers/protocol.ts', 'workers/wait.ts', 'build/generated/'],
  'web/shared': ['web/shared/', 'web/api/', 'build/generated/'],
  'web/page': ['web/page/', 'web/api/', 'web/shared/', 'build/generated/'],
  'web/embed': ['web/embed/', 'web/api/', 'web/shared/', 'web/page/'],
};

const offences = [];
let checked = 0;

function* files(folder, pattern) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && pattern.test(entry.name)) yield relative(root, path);
  }
}

function* linesOf(file) {
  checked++;
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  for (const [index, line] of lines.entries()) yield [line, `${file}:${index + 1}`];
}

for (const file of files('host', /\.(h|cpp|inc)$/)) {
  const layer = file.split('/')[1];
  const allowed = layers[layer];
  if (!allowed) {
    offences.push(`${file}: host/${layer} is not a layer; add it to tools/check-layers.mjs`);
    continue;
  }
  for (const [line, place] of linesOf(file)) {
    const included = line.match(/^\s*#\s*include\s+"([^"]+)"/)?.[1];
    if (included === undefined) continue;
    const target = included.split('/')[0];
    if (included.includes('..') || !(target in layers)) {
      offences.push(`${place}: includes "${included}"; write it from host/, as "layer/file.h"`);
    } else if (target !== layer && target !== 'base' && !allowed.includes(target)) {
      offences.push(`${place}: ${layer} may not include ${target}`);
    }
  }
}

for (const [folder, allowed] of Object.entries(typescript)) {
  for (const file of files(folder, /\.ts$/)) {
    if (/\/test\/|\.test\.ts$/.test(file)) continue;
    for (const [line, place] of linesOf(file)) {
      const imported = line.match(/(?:from|import\()\s*['"](\.[^'"]+)['"]/)?.[1];
      if (imported !== undefined) {
        const target = normalize(join(dirname(file), imported));
        if (!allowed.some((prefix) => target.startsWith(prefix)))
          offences.push(`${place}: ${folder} may not import ${target}`);
      }
      if (folder === 'workers' && /reference\s+lib="dom"/.test(line)) offences.push(`${place}: no DOM types in workers`);
    }
  }
}

for (const offence of offences) console.log(offence);
console.log(`layers: ${checked} files checked, ${offences.length} offences`);
process.exitCode = offences.length === 0 ? 0 : 1;
