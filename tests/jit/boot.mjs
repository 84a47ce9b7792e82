// SPDX-License-Identifier: Apache-2.0
// A cold boot of Linux to its prompt and from there to power off, interpreted and compiled, with time that passes by
// instructions: console bytes, instructions retired and RAM must agree in the end, and the instructions retired between
// all calls of the machine.
//
//   node --test tests/jit/boot.mjs        needs build/wasm/hartwood_core.wasm and build/guest/ (npm test)
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../tools/lib/project.mjs';
import { SyncMachine } from './sync-core.mjs';

const files = {
  kernel: readFileSync(join(root, 'build/guest/kernel/Image')),
  initrd: readFileSync(join(root, 'build/guest/initramfs/initramfs.cpio')),
};
const prompt = 'root@hartwood:~# ';
// Processes, pipes, files and a shell that computes, before the end.
const typed = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; find /bin /etc | sort | md5sum; ' +
  'for n in 1 2 3; do seq 1 2000 | gzip | gunzip | sha1sum; done; echo $i; poweroff\n';
const limit = 2e9; // several times what a boot takes

/** `engine`: of the configuration. Asks the agent at the prompt, then types; ends with the machine. `slice`: instructions of one call. */
function boot(engine, slice = 100_000) {
  const started = performance.now();
  const machine = new SyncMachine(
    { harts: 1, memory: 128, append: 'console=hvc0', clock: 'virtual', seed: 5, ...engine }, files);
  let console = '', agent = '', asked = false, prompted = false;
  const places = []; // retired after each call
  const look = () => {
    places.push(machine.retired);
    console += machine.output().toString('latin1');
    agent += machine.agentOutput();
    // It starts in what time the boot leaves; until then the line is not taken.
    if (!asked && console.includes(prompt)) asked = machine.agentSend('ping');
    if (!prompted && agent !== '') {
      prompted = true;
      machine.input(typed);
    } else if (machine.asleep && (prompted || !asked)) {
      throw new Error(`sleeps for ever:\n${console.slice(-1500)}`);
    }
    if (machine.retired > limit) throw new Error(`no end:\n${console.slice(-1500)}`);
  };
  while (machine.run(slice)) look();
  look();
  return {
    console, agent, places, prompted, power: machine.power, retired: machine.retired,
    ram: createHash('sha256').update(machine.ram).digest('hex'),
    compiled: engine.compiler ? machine.compiled : undefined, modules: machine.modules,
    seconds: ((performance.now() - started) / 1000).toFixed(1),
  };
}

function same(other, first) {
  const different = other.places.findIndex((retired, i) => retired !== first.places[i]);
  assert.equal(different, -1, `call ${different} ended after ${other.places[different]} instructions, not ${first.places[different]}`);
  assert.equal(other.console, first.console);
  assert.equal(other.agent, first.agent);
  assert.equal(other.retired, first.retired, 'instructions');
  assert.equal(other.ram, first.ram, 'RAM');
  assert.equal(other.power, first.power);
}

const interpreted = boot({});

test('Linux boots to its prompt and powers off, interpreted', (t) => {
  assert.ok(interpreted.prompted);
  assert.equal(interpreted.agent, 'pong\n', 'the agent was asked, and has answered');
  assert.equal(interpreted.power, 1, 'powered off');
  const numbers = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`).join('');
  const sum = createHash('sha1').update(numbers).digest('hex');
  assert.equal(interpreted.console.split(sum).length, 4, 'three right sums');
  assert.match(interpreted.console, /\n300\r/);
  t.diagnostic(`${interpreted.retired} instructions, ${interpreted.seconds} s`);
});

test('a second time it is the same execution', () => same(boot({}), interpreted));

for (const [name, engine, slice] of [
  ['compiled', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 100_000],
  ['compiled in short slices', { compiler: true, compiler_visits: 20, compiler_after: 0 }, 7919],
  ['compiled eagerly', { compiler: true, compiler_eager: true }, 50_000],
]) {
  test(`${name} it is the same execution`, (t) => {
    const compiled = boot(engine, slice);
    t.diagnostic(`${compiled.modules} modules, ${compiled.compiled.instructions} of ${compiled.retired} instructions in compiled code, ${compiled.seconds} s`);
    same(compiled, slice === 100_000 ? interpreted : boot({}, slice));
    assert.ok(compiled.compiled.instructions > compiled.retired / 5, 'much of it is compiled');
  });
}
