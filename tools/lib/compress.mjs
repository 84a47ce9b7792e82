// SPDX-License-Identifier: Apache-2.0
// Precompression: beside each file that is worth it, FILE.br and FILE.gz, made once at build time at the highest
// level, so that any static server can send them. Results are kept in the cache by content: the kernel takes half a
// minute, once.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { cacheDir } from './project.mjs';

const alreadyCompressed = new Set(['.br', '.gz', '.zst', '.xz', '.png', '.jpg', '.webp', '.avif', '.woff2', '.hws']);
const smallest = 512;

const encoders = {
  br: (data) => promisify(brotliCompress)(data, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
    },
  }),
  gz: (data) => promisify(gzip)(data, { level: 9 }),
};

async function compressFile(file) {
  const data = await readFile(file);
  const name = createHash('sha256').update(data).digest('hex').slice(0, 32);
  const store = join(cacheDir, 'compressed');
  await mkdir(store, { recursive: true });
  for (const [extension, encode] of Object.entries(encoders)) {
    const kept = join(store, `${name}.${extension}`);
    if (!await stat(kept).catch(() => undefined)) {
      const packed = await encode(data);
      const partial = `${kept}.partial-${process.pid}`;
      await writeFile(partial, packed);
      await rename(partial, kept);
    }
    if ((await stat(kept)).size < data.length * 0.95) await copyFile(kept, `${file}.${extension}`);
  }
}

/** Compress every file below `folder` that gains from it. */
export async function compressFolder(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !alreadyCompressed.has(extname(entry.name)));
  await Promise.all(files.map(async (entry) => {
    const file = join(entry.parentPath, entry.name);
    if ((await stat(file)).size >= smallest) await compressFile(file);
  }));
}
