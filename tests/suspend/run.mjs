// SPDX-License-Identifier: Apache-2.0
// The guest's suspend program in the native machine: in virtual time, where lateness and shares are the machine's own
// and have limits, on one hart and on two; and once in wall time, where they are only told. e2e/suspend.ts runs the
// same on the page.
//
//   node --test tests/suspend/run.mjs        needs build/native/hartwood, build/guest/ kernel and suspend (npm test)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
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

const oneHart = kinds.filter((name) => name !== 'hotplug');
// Shares and weights are of one hart, however many there are.
const twoHarts = kinds.filter((name) => name !== 'shares' && name !== 'nice');

const machines = [
  { title: 'virtual time, 1 hart', words: 'exact all', expected: oneHart, args: ['--deterministic', '--harts', '1'] },
  { title: 'virtual time, 2 harts', words: `exact ${twoHarts.join(' ')}`, expected: twoHarts, args: ['--deterministic', '--harts', '2'] },
  { title: 'wall time, 2 harts', words: 'loose all', expected: kinds, args: ['--harts', '2'] },
];
for (const { title, words, expected, args } of machines) {
  test(title, async (context) => {
    const output = await outputOf(words, args);
    for (const line of checkOutput(output, expected)) context.diagnostic(line);
  });
}
