// SPDX-License-Identifier: Apache-2.0
// Executions in seeded slices (tests/machine/sliced.h) are the same natively and in Wasm, interpreted and compiled: guest
// programs of several harts, and a boot of Linux on two harts, work at its prompt, and power off. Compared are console bytes, instructions, RAM,
// and where each slice ended.
//
//   node --test tests/machine/sliced.mjs        needs build/native, build/wasm and build/guest/ (npm test)
// HARTWOOD_GUEST: a folder with Image and initramfs.cpio to use instead.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../tools/lib/project.mjs';

const build = join(root, 'build');
const jobs = 6, numbers = 3000;
const typed = `for n in $(seq ${jobs}); do seq 1 ${numbers} | gzip | gunzip | sha1sum & done; wait; poweroff`;
const sum = createHash('sha1').update(Array.from({ length: numbers }, (_, i) => `${i + 1}\n`).join('')).digest('hex');

let guest = process.env.HARTWOOD_GUEST;
const work = mkdtempSync(join(tmpdir(), 'hartwood-sliced-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
if (!guest) {
  guest = work;
  symlinkSync(join(build, 'guest/kernel/Image'), join(work, 'Image'));
  symlinkSync(join(build, 'guest/initramfs/initramfs.cpio'), join(work, 'initramfs.cpio'));
}

/** The lines that the test binary prints of its executions, and all of its output. `engine` null: natively. */
function run(engine, filter, env = {}) {
  const [command, args] = engine === null ? [join(build, 'native/hartwood_tests'), []] : [process.execPath, [join(build, 'wasm/hartwood_tests.cjs')]];
  return new Promise((done, fail) => {
    const child = spawn(command, [...args, `--gtest_filter=${filter}`],
      { env: { ...process.env, ...(engine && { HARTWOOD_ENGINE: engine }), ...env }, timeout: 300_000 });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { text += bytes; });
    child.on('error', fail);
    child.on('close', (code) => {
      if (code !== 0) fail(new Error(`${command} ended with ${code}:\n${text.slice(-3000)}`));
      else done({ lines: text.split('\n').filter((line) => line.startsWith('sliced ')), text });
    });
  });
}

test('guest programs are executed the same natively and in Wasm, there interpreted and compiled', async (t) => {
  const filter = 'Sliced.OneSeedIsOneExecutionHoweverItIsExecuted';
  const native = await run(null, filter), wasm = await run('interpreted', filter);
  assert.ok(native.lines.length > 20);
  assert.deepEqual(wasm.lines, native.lines);
  t.diagnostic(`${native.lines.length} programs; ${/\d+ of \d+ instructions were compiled/.exec(wasm.text)[0]}`);
});

test('Linux boots on two harts the same natively and in Wasm, interpreted and compiled', async (t) => {
  const env = { HARTWOOD_GUEST: guest, HARTWOOD_SLICED_TYPED: typed, HARTWOOD_SLICED_EXPECTED: sum };
  const native = await run(null, 'Sliced.LinuxBoots', env);
  assert.equal(native.lines.length, 1);
  assert.match(native.text, new RegExp(`"${sum}" ${jobs} times`));
  for (const engine of ['interpreted', 'compiled', 'compiled-plain']) {
    const { lines, text } = await run(engine, 'Sliced.LinuxBoots', env);
    assert.deepEqual(lines, native.lines, engine);
    t.diagnostic(`${engine}: ${/hart 1 executed.*/.exec(text)[0]}`);
  }
});
