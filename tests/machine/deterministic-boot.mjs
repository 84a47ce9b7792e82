// SPDX-License-Identifier: Apache-2.0
// Linux in deterministic mode, on two harts: it boots to its prompt, the same seed gives the same console bytes,
// instruction count and RAM, and another seed gives another schedule.
//
//   node --test tests/machine/deterministic-boot.mjs        needs build/native/hartwood and build/guest/ (npm test)
// HARTWOOD_GUEST: a folder with Image and initramfs.cpio to use instead.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');
const guest = process.env.HARTWOOD_GUEST;
const kernel = guest ? join(guest, 'Image') : join(root, 'build/guest/kernel/Image');
const initramfs = guest ? join(guest, 'initramfs.cpio') : join(root, 'build/guest/initramfs/initramfs.cpio');
const limitExit = 124;

/** Boots once. Resolves to { code, console, instructions, ram } when the machine has executed `instructions`. */
function boot(seed, instructions) {
  return new Promise((done, fail) => {
    const child = spawn(join(root, 'build/native/hartwood'), ['--deterministic', '--seed', String(seed), '--harts', '2',
      '--memory', '128M', '--kernel', kernel, '--initrd', initramfs, '--append', 'console=hvc0', '--stats',
      '--max-instructions', String(instructions)], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 });
    const output = [], errors = [];
    child.stdout.on('data', (bytes) => output.push(bytes));
    child.stderr.on('data', (bytes) => errors.push(bytes));
    child.on('error', fail);
    child.on('close', (code) => {
      const text = Buffer.concat(errors).toString();
      const stats = /(\d+) instructions.*RAM hash ([0-9a-f]{16})/.exec(text);
      if (!stats) fail(new Error(`no statistics; exit code ${code}: ${text}`));
      else done({ code, console: Buffer.concat(output), instructions: Number(stats[1]), ram: stats[2] });
    });
  });
}

const enough = 300_000_000;

test('boots Linux to a prompt; one seed is one execution', async () => {
  const first = await boot(1, enough);
  assert.equal(first.code, limitExit, 'ends at its limit');
  assert.match(first.console.toString(), /root@hartwood:~# /);
  assert.ok(first.instructions > enough * 0.9);
  const second = await boot(1, enough);
  assert.ok(first.console.equals(second.console), 'console bytes');
  assert.deepEqual({ ...second, console: null }, { ...first, console: null });
});

test('another seed is another execution', async () => {
  const early = 20_000_000;
  const [first, other] = [await boot(1, early), await boot(2, early)];
  assert.notEqual(other.ram, first.ram);
});

test('the first program has a console, whichever hart is faster', async () => {
  const silent = [];
  for (let seed = 1; seed <= 16; seed++) {
    const append = 'console=hvc0 quiet hartwood.run="echo it can write; poweroff"';
    const child = spawn(join(root, 'build/native/hartwood'), ['--deterministic', '--seed', String(seed), '--harts', '2',
      '--memory', '128M', '--kernel', kernel, '--initrd', initramfs, '--append', append], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
    await new Promise((done, fail) => child.on('close', done).on('error', fail));
    if (!text.includes('it can write')) silent.push(seed);
  }
  assert.deepEqual(silent, [], 'seeds with which it prints nothing');
});
