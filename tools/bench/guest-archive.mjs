// SPDX-License-Identifier: Apache-2.0
// The initramfs that the benchmark's machines boot: the page's own, with a second archive behind it that holds the programs
// of tests/bench in /root. The kernel unpacks one after the other.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir } from '../lib/project.mjs';
import { compiledPrograms, programs } from './programs.mjs';

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

/** The path of an initramfs made of `initrd` and the benchmark's programs. */
export async function benchInitrd(initrd) {
  const names = Object.keys(programs);
  const folder = await compiledPrograms('guest', names);
  const file = join(buildDir, 'bench', 'initramfs.cpio');
  mkdirSync(join(buildDir, 'bench'), { recursive: true });
  const files = Object.fromEntries(names.map((name) => [`root/${name}`, readFileSync(join(folder, name))]));
  writeFileSync(file, appendFiles(readFileSync(initrd), files));
  return file;
}
