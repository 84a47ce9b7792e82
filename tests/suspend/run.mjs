// SPDX-License-Identifier: Apache-2.0
// The guest's suspend program in the native machine: in virtual time, where lateness and shares are the machine's own
// and have limits, on one hart and on two; and once in wall time, where they are only told. e2e/suspend.ts runs the
// same on the page.
//
//   node --test tests/suspend/run.mjs        needs build/native/hartwood, build/guest/ kernel and suspend (npm test)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { checkOutput, kinds } from './output.mjs';

const root = resolve(import.meta.dirname, '../..');
const hartwood = process.env.HARTWOOD_BINARY ?? join(root, 'build/native/hartwood');
const files = ['--kernel', join(root, 'build/guest/kernel/Image'), '--initrd', join(root, 'build/guest/suspend/initramfs.cpio')];

/** What a machine prints that runs ~/suspend with these words, and powers off. */
async function outputOf(words, args) {
  const append = `console=hvc0 quiet hartwood.run="~/suspend ${words}; poweroff"`;
  const child = spawn(hartwood, [...files, ...args, '--memory', '256M', '--append', append], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  const code = await new Promise((done, fail) => child.on('close', done).on('error', fail));
  assert.equal(code, 0, text);
  return text;
}

// Shares and weights are of one hart, however many there are.
const twoHarts = kinds.filter((name) => name !== 'shares' && name !== 'nice');
const others = twoHarts.filter((name) => name !== 'hotplug');

const virtual = [
  { harts: 1, seed: 1, names: ['shares'] },
  { harts: 1, seed: 2, names: [...others, 'nice'] },
  { harts: 2, seed: 3, names: twoHarts },
];
describe('in virtual time', { concurrency: 2 }, () => {
  for (const { harts, seed, names } of virtual) {
    test(`${harts} hart(s): ${names.join(', ')}`, async (context) => {
      const output = await outputOf(`exact ${names.join(' ')}`, ['--deterministic', '--seed', `${seed}`, '--harts', `${harts}`]);
      for (const line of checkOutput(output, names)) context.diagnostic(line);
    });
  }
});
test('in wall time, 2 harts: all', async (context) => {
  for (const line of checkOutput(await outputOf('loose all', ['--harts', '2']), kinds)) context.diagnostic(line);
});
