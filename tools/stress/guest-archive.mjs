#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Builds the guest's stress program (tests/stress/) and an initramfs that has it: the page's own, with a second archive
// behind it. ~/stress is linked statically; ~/stress-dynamic loads libraries and has the C library beside it.
//
//   node tools/stress/guest-archive.mjs OUTDIR INITRAMFS      leaves initramfs.cpio and the programs in OUTDIR
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { appendFiles } from '../bench/guest-archive.mjs';
import { output, root, run, runMain, UserError } from '../lib/project.mjs';

const compiler = process.env.HARTWOOD_GUEST_CC ?? 'riscv64-linux-gnu-gcc';
// Series must round as written; the known results come from another compiler.
const flags = ['-O2', '-march=rv64gc', '-ffp-contract=off', '-frounding-math', '-fno-math-errno', '-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none'];
const loader = 'ld-linux-riscv64-lp64d.so.1';
const libraries = 3;
const folder = join(root, 'tests/stress');
const apart = ['dynamic.c', 'library.c', 'known.c'];

/** The compiler's own copy of a file of the guest's C library. */
async function libraryFile(name) {
  const path = (await output(compiler, [`-print-file-name=${name}`]))?.trim();
  if (!path?.startsWith('/')) throw new UserError(`${compiler} has no ${name}; libc6-riscv64-cross of Debian has it`);
  return path;
}

await runMain(async ([out, initramfs]) => {
  const compile = (name, sources, ...more) => run(compiler, [...flags, ...more, '-o', join(out, name), ...sources.map((file) => join(folder, file)), '-lm']);
  const sources = readdirSync(folder).filter((file) => file.endsWith('.c') && !apart.includes(file)).sort();
  await compile('stress', sources, '-static', '-pthread');
  await compile('stress-dynamic', ['dynamic.c'], '-pthread', `-Wl,--dynamic-linker=/root/${loader}`, '-Wl,-rpath,/root');
  for (let i = 0; i < libraries; i++) await compile(`libstress${i}.so`, ['library.c'], '-shared', '-fPIC', `-DLIBRARY=${i}`, '-Wl,-rpath,/root');
  const made = readdirSync(out).map((name) => join(out, name));
  const files = {};
  for (const path of [...made, await libraryFile(loader), await libraryFile('libc.so.6')]) files[`root/${basename(path)}`] = readFileSync(path);
  writeFileSync(join(out, 'initramfs.cpio'), appendFiles(readFileSync(initramfs), files));
});
