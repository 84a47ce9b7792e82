// SPDX-License-Identifier: Apache-2.0
// The initramfs that the benchmark's machines boot: the page's own, with a second archive behind it that holds
// /root/bench (tests/bench/bench.c). The kernel unpacks one after the other.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from '../lib/content-cache.mjs';
import { buildDir, output, run, UserError } from '../lib/project.mjs';

const compiler = process.env.HARTWOOD_GUEST_CC ?? 'riscv64-linux-gnu-gcc';
const flags = ['-O2', '-static', '-march=rv64gc', '-fno-math-errno', '-Wall', '-Wextra', '-Werror'];

const padded = (data, multiple) => Buffer.concat([data, Buffer.alloc((multiple - data.length % multiple) % multiple)]);

/** One entry of a "newc" archive; its contents begin at a multiple of eight bytes, if the entry does. */
function entry(name, mode, data) {
  const headerBytes = 110;
  const text = padded(Buffer.concat([Buffer.alloc(headerBytes), Buffer.from(`${name}\0`)]), 8);
  const links = 1, inode = 1;
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, text.length - headerBytes, 0];
  text.write(`070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}`, 'latin1');
  return Buffer.concat([text, padded(data, 8)]);
}

/** `archive` with the files { path: contents } behind it, all of them executable. */
export function appendFiles(archive, files) {
  const entries = Object.entries(files).map(([path, data]) => entry(path, 0o100755, data));
  return padded(Buffer.concat([padded(archive, 512), ...entries, entry('TRAILER!!!', 0, Buffer.alloc(0))]), 512);
}

/** The path of an initramfs made of `initrd` and the benchmark program. */
export async function benchInitrd(initrd) {
  const version = await output(compiler, ['-dumpfullversion']);
  if (version === undefined) throw new UserError(`${compiler} cannot be run; npm run setup -- --tests installs it`);
  const { folder } = await cached({
    name: 'bench-program',
    paths: ['tests/bench/bench.c'],
    values: [compiler, version, ...flags],
    make: (out) => run(compiler, [...flags, '-o', join(out, 'bench'), 'tests/bench/bench.c']),
  });
  const file = join(buildDir, 'bench', 'initramfs.cpio');
  mkdirSync(join(buildDir, 'bench'), { recursive: true });
  writeFileSync(file, appendFiles(readFileSync(initrd), { 'root/bench': readFileSync(join(folder, 'bench')) }));
  return file;
}
