// SPDX-License-Identifier: Apache-2.0
// The built core as a file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { coreFile } from './node-host.ts';

test("the linker's optimiser has kept the fence that is the guest's FENCE", () => {
  // e2e/programs.test.ts shows what its absence does, but only where two processors are free.
  const kAtomicFence = Buffer.from([0xfe, 0x03, 0x00]);
  assert.ok(readFileSync(coreFile).includes(kAtomicFence), 'there is no atomic.fence in the core; see its link options in CMakeLists.txt');
});
