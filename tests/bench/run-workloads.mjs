// SPDX-License-Identifier: Apache-2.0
// Every workload of the benchmark, a small part of each, on our native binary and on QEMU: what they compute is the same.
// Its name keeps it out of the part `tools`, which takes every *.test.mjs of this folder and sets up no guest.
//
//   node --test tests/bench/run-workloads.mjs     after npm run setup -- --tests native kernel initramfs workloads
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withGuest } from '../../tools/bench/program-side.mjs';
import { runWorkloads, untuned, workloadInitrd, workloads } from '../../tools/bench/workloads.mjs';
import { buildDir } from '../../tools/lib/project.mjs';

const divisor = 20;
const guest = (path) => realpathSync(join(buildDir, 'guest', path));

test('the workloads compute the same here and in QEMU', async (t) => {
  const machine = { kernel: guest('kernel/Image'), initrd: await workloadInitrd(guest('initramfs/initramfs.cpio')) };
  const names = [...Object.keys(workloads), ...Object.keys(untuned), 'make1', 'make2'];
  const results = {};
  for (const side of ['native', 'qemu']) {
    results[side] = await withGuest(side, machine, 2, (run) => runWorkloads(run, names, divisor));
  }
  for (const name of names) {
    await t.test(name, () => assert.equal(results.native.get(name).result, results.qemu.get(name).result));
  }
  await t.test('a build on two harts gives what one on one gives', () =>
    assert.equal(results.native.get('make2').result, results.native.get('make1').result));
});

test('a workload that fails says so', async (t) => {
  const machine = { kernel: guest('kernel/Image'), initrd: await workloadInitrd(guest('initramfs/initramfs.cpio')) };
  await withGuest('native', machine, 1, async (run) => {
    await assert.rejects(runWorkloads(run, ['nothing'], 1), /no workload nothing/);
    // Each workload without a program that it needs.
    const programs = {
      shell1000: 'true', gzip: 'gzip', gunzip: 'gzip', find: 'find', sort: 'sort', awk: 'mawk', sha256: 'sha256sum', lua_nbody: 'lua5.4',
      lua_trees: 'lua5.4', lua_strings: 'lua5.4', python_start: 'python3.13', python_mix: 'python3.13', gcc: 'as', sqlite: 'sqlite3',
      bzip2: 'bzip2', xz: 'xz', zstd: 'zstd', openssl: 'openssl', perl: 'perl', git: 'git', gcc_o2: 'as', vim: 'vim.tiny', bc: 'bc', jq: 'jq', grep: 'grep', sed: 'sed',
      make1: 'riscv64-linux-gnu-ld', make2: 'make',
    };
    for (const [name, program] of Object.entries(programs)) {
      await t.test(`${name} without ${program}`, async () => {
        await run(`cd /debian/usr/bin && mv ${program} /tmp/kept; cd; echo bench moved 1 0000000000000000`);
        await assert.rejects(runWorkloads(run, [name], divisor), new RegExp(`workload ${name} failed`));
        await run(`mv /tmp/kept /debian/usr/bin/${program}; echo bench moved 1 0000000000000000`);
      });
    }
  });
});
