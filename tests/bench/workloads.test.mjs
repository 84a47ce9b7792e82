// SPDX-License-Identifier: Apache-2.0
// Every workload of the benchmark, a small part of each, on our native binary and on QEMU: what they compute is the same.
//
//   node --test tests/bench/workloads.test.mjs     after npm run setup -- --tests native kernel initramfs workloads
import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withGuest } from '../../tools/bench/program-side.mjs';
import { runWorkloads, workloadInitrd, workloads } from '../../tools/bench/workloads.mjs';
import { buildDir } from '../../tools/lib/project.mjs';

const divisor = 20;
const guest = (path) => realpathSync(join(buildDir, 'guest', path));

test('the workloads compute the same here and in QEMU', async (t) => {
  const machine = { kernel: guest('kernel/Image'), initrd: await workloadInitrd(guest('initramfs/initramfs.cpio')) };
  const names = [...Object.keys(workloads), 'make1', 'make2'];
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

test('a workload that fails says so', async () => {
  const machine = { kernel: guest('kernel/Image'), initrd: await workloadInitrd(guest('initramfs/initramfs.cpio')) };
  await assert.rejects(withGuest('native', machine, 1, (run) => runWorkloads(run, ['nothing'], 1)), /no workload nothing/);
});
