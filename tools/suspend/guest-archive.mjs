#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Builds the guest's suspend program (tests/suspend/) and an initramfs that has it as ~/suspend: the page's own, with a
// second archive behind it.
//
//   node tools/suspend/guest-archive.mjs OUTDIR INITRAMFS      leaves initramfs.cpio and the program in OUTDIR
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendFiles } from '../bench/guest-archive.mjs';
import { root, run, runMain } from '../lib/project.mjs';

const compiler = process.env.HARTWOOD_GUEST_CC ?? 'riscv64-linux-gnu-gcc';
// A worker's values are computed at two places, which must round alike.
const flags = ['-O2', '-march=rv64gc', '-ffp-contract=off', '-Wall', '-Wextra', '-Werror', '-static', '-pthread', '-Wl,--build-id=none'];
const folder = join(root, 'tests/suspend');

await runMain(async ([out, initramfs]) => {
  const program = join(out, 'suspend');
  const sources = readdirSync(folder).filter((file) => file.endsWith('.c')).sort();
  await run(compiler, [...flags, '-o', program, ...sources.map((file) => join(folder, file))]);
  writeFileSync(join(out, 'initramfs.cpio'), appendFiles(readFileSync(initramfs), { 'root/suspend': readFileSync(program) }));
});
