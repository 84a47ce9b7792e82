// SPDX-License-Identifier: Apache-2.0
// What the guest's suspend program prints, and what is expected of it; for run.mjs and e2e/suspend.ts.
import assert from 'node:assert/strict';

/** The checks, in their order. */
export const kinds = ['stop', 'alarm', 'ptrace', 'timers', 'nice', 'shares', 'sleep', 'blocking', 'hotplug'];

/** The lines of the checks `expected`, all of which must have passed, and no others. */
export function checkOutput(output, expected) {
  const lines = output.replaceAll('\r', '').split('\n').filter((line) => /^(ok|FAILED) /.test(line));
  assert.deepEqual(lines.filter((line) => !line.startsWith('ok ')), [], output);
  assert.deepEqual(lines.map((line) => line.split(' ')[1]), expected, output);
  assert.match(output, new RegExp(`^suspend passed ${expected.length}\\r?$`, 'm'), output);
  return lines;
}
