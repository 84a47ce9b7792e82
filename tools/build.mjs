// SPDX-License-Identifier: Apache-2.0
// npm run build: set everything up and make dist/, a folder of static files for any host and any path.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { needNewNode } from './lib/node-version.mjs';
import { root, runMain } from './lib/project.mjs';
import { setUp } from './setup.mjs';

await runMain(async () => {
  await needNewNode();
  await setUp(['dist']);
  const dist = join(root, 'dist');
  const files = (await readdir(dist, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = new Map();
  for (const entry of files) {
    const file = join(entry.parentPath, entry.name);
    sizes.set(file, (await stat(file)).size);
  }
  const plain = [...sizes].filter(([file]) => !/\.(br|gz)$/.test(file));
  const total = plain.reduce((sum, [, size]) => sum + size, 0);
  const packed = plain.reduce((sum, [file, size]) => sum + (sizes.get(`${file}.br`) ?? size), 0);
  console.log(`dist/: ${plain.length} files, ${(total / 1e6).toFixed(1)} MB, ${(packed / 1e6).toFixed(1)} MB with Brotli`);
});
