// SPDX-License-Identifier: Apache-2.0
// The real core, workers and Linux under Node.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { MachineError } from '../api/errors.ts';
import type { MachineHost, WorkerKind } from '../api/host.ts';
import { guestFile, host, kPrompt, kSlow, linux, terminateAll } from './guest.ts';

afterEach(terminateAll);

test('Linux boots on two harts, runs commands and powers off', async () => {
  const progress = new Map<string, number>();
  const machine = await linux({ onProgress: ({ kind, loaded }) => progress.set(kind, loaded) });
  await machine.waitFor(kPrompt, kSlow);
  assert.deepEqual([...progress.keys()].sort(), ['initrd', 'kernel']);
  machine.console.write('echo $(nproc) $(uname -m)\n');
  await machine.waitFor('2 riscv64', kSlow);
  const statistics = machine.stat();
  assert.ok(statistics.instructions > 1e6);
  assert.ok(statistics.memory > 128 << 20);
  assert.equal(statistics.harts.length, 2);
  machine.console.write('poweroff\n');
  assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
  assert.equal(machine.state, 'ended');
  assert.equal(machine.stat().memory, 0);
});

test('the console has the size it was told', async () => {
  const machine = await linux({ harts: 1, size: { columns: 91, rows: 37 } });
  await machine.waitFor(kPrompt, kSlow);
  machine.console.write('stty size\n');
  await machine.waitFor('37 91', kSlow);
  machine.resize(120, 40);
  machine.console.write('stty size\n');
  await machine.waitFor('40 120', kSlow);
  machine.terminate();
  assert.equal((await machine.exited).reason, 'terminated');
});

test('a busy hart answers mail, pauses and resumes', async () => {
  const machine = await linux({ harts: 1 });
  await machine.waitFor(kPrompt, kSlow);
  machine.console.write('i=0; while :; do i=$((i+1)); done\n');
  const before = machine.stat().instructions;
  while (machine.stat().instructions < before + 50e6) await new Promise((resolve) => setTimeout(resolve, 20));
  for (let i = 0; i < 20; i++) await machine.ping(0);

  await machine.pause();
  assert.equal(machine.state, 'paused');
  const paused = machine.stat().instructions;
  for (const start = performance.now(); performance.now() - start < 300;) await machine.ping(0);
  assert.equal(machine.stat().instructions, paused, 'a paused hart goes on');
  await machine.resume();
  machine.console.write('\x03echo on$((1+1))\n');
  await machine.waitFor('on2', kSlow);
  machine.terminate();
});

test('guest RAM can be read while the machine runs, and after its end only where it is kept', async () => {
  const kernel = guestFile('kernel', 'Image');
  const header = kernel.subarray(0, 64);
  for (const keepMemory of [false, true]) {
    const machine = await linux({ harts: 1, memory: 64, keepMemory });
    await machine.waitFor(kPrompt, kSlow);
    assert.deepEqual(machine.readMemory(0x8020_0000, 64), new Uint8Array(header)); // where the kernel's Image was put
    assert.equal(machine.readMemory(0x8000_0000, 64 << 20).length, 64 << 20);
    assert.throws(() => machine.readMemory(0x8400_0000, 1), /not all in guest RAM/);
    machine.console.write('poweroff -f\n');
    assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
    const gone = (error: unknown): boolean =>
      error instanceof MachineError && error.code === 'ended' && /keepMemory/.test(error.message);
    if (keepMemory) {
      assert.deepEqual(machine.readMemory(0x8020_0000, 64), new Uint8Array(header));
      assert.ok(machine.stat().memory > 64 << 20);
      machine.terminate();
      assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
    }
    assert.throws(() => machine.readMemory(0x8020_0000, 64), gone);
    assert.equal(machine.stat().memory, 0);
  }
});

test('the compiler is a worker, as soon as there is something to compile, and statistics; and neither without it', async () => {
  for (const compiler of [true, false]) {
    const kinds: string[] = [];
    const counting: MachineHost = {
      ...host,
      startWorker<In, Out>(kind: WorkerKind, name: string) {
        kinds.push(kind);
        return host.startWorker<In, Out>(kind, name);
      },
    };
    const logged: string[] = [];
    const machine = await linux(
      { harts: 2, memory: 64, compiler, onLog: (level, text) => void (level === 0 && logged.push(text)) }, counting);
    await machine.waitFor(kPrompt, kSlow);
    const first = ['io', 'hart', 'hart', 'clock'];
    assert.deepEqual(kinds, first, 'a boot has no compiler');
    machine.console.write('i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo $((i * 7))\n');
    await machine.waitFor('420000', kSlow);
    const statistics = machine.stat();
    assert.deepEqual(kinds, [...first, ...(compiler ? ['compiler'] : [])]);
    if (compiler) assert.notEqual(statistics.compiler?.requests, 0);
    if (compiler) assert.equal(statistics.compiler?.modulesFailed, 0);
    else assert.equal(statistics.compiler, null);
    await machine.pause();
    await machine.resume();
    machine.console.write('poweroff -f\n');
    assert.deepEqual(await machine.exited, { reason: 'poweroff', code: 0 });
    assert.deepEqual(logged, []);
  }
});

test('a broken kernel is an error of boot and of onError', async () => {
  const errors: MachineError[] = [];
  const boot = linux({ kernel: new Uint8Array(100_000).fill(0x5a), onError: (error) => errors.push(error) });
  await assert.rejects(boot, (error: unknown) => error instanceof MachineError && error.code === 'bad-file' && error.message.length > 10);
  assert.equal(errors.length, 1);
});

test('an option that the core refuses reaches the caller', async () => {
  await assert.rejects(linux({ harts: 99 }), /whole number from 1 to 8/);
});
