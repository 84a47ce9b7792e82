// SPDX-License-Identifier: Apache-2.0
// Pausing, going on and stepping: the order of things with a stand-in for the machine, and what a real guest sees of it.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MachineError } from '../api/errors.ts';
import type { Machine } from '../api/machine.ts';
import { Suspension, type Suspendable } from '../api/suspension.ts';
import { host, kPrompt, kSlow, linux, terminateAll } from './guest.ts';

afterEach(terminateAll);

/** A machine whose harts stop when they are told to by stopNow(). */
class StandIn implements Suspendable {
  readonly harts = 2;
  readonly log: string[] = [];
  readonly suspension: Suspension = new Suspension(this);
  readonly running = new Set<number>();
  clockRuns = false;

  stopHart(hart: number): void {
    this.log.push(`stop ${hart}`);
  }
  releaseHart(hart: number): void {
    this.log.push(`release ${hart}`);
  }
  runHart(hart: number): void {
    this.log.push(`run ${hart}`);
    this.running.add(hart);
  }
  stepHart(hart: number, count: number): void {
    this.log.push(`step ${hart} ${count}`);
  }
  stopClock(): void {
    this.log.push('stop clock');
  }
  runClock(): void {
    this.log.push('run clock');
    this.clockRuns = true;
  }
  async freeze(): Promise<void> {
    assert.deepEqual([this.running.size, this.clockRuns], [0, false], 'frozen while somebody runs');
    this.log.push('freeze');
  }
  async thaw(): Promise<void> {
    this.log.push('thaw');
  }
  hartStops(hart: number): void {
    this.running.delete(hart);
    this.suspension.hartIsOut(hart);
  }
  clockStops(): void {
    this.clockRuns = false;
    this.suspension.clockIsOut();
  }
  take(): string[] {
    return this.log.splice(0);
  }
}

const turn = (): Promise<void> => setTimeout(0);

test('a pause waits for every hart and the clock before time stands still', async () => {
  const machine = new StandIn();
  machine.suspension.begin();
  assert.deepEqual(machine.take(), ['run 0', 'run 1', 'run clock']);
  let done = false;
  const pause = machine.suspension.pause().then(() => (done = true));
  await turn();
  assert.deepEqual(machine.take(), ['stop 0', 'stop 1', 'stop clock']);
  machine.hartStops(1);
  machine.clockStops();
  await turn();
  assert.equal(done, false);
  machine.hartStops(0);
  await pause;
  assert.deepEqual(machine.take(), ['freeze']);
  await machine.suspension.pause(); // again: nothing to do
  assert.deepEqual(machine.take(), []);
  await machine.suspension.resume();
  assert.deepEqual(machine.take(), ['release 0', 'release 1', 'thaw', 'run 0', 'run 1', 'run clock']);
});

test('a resume that is asked for during a stop comes after it', async () => {
  const machine = new StandIn();
  machine.suspension.begin();
  machine.take();
  const pause = machine.suspension.pause();
  const resume = machine.suspension.resume();
  await turn();
  assert.deepEqual(machine.take(), ['stop 0', 'stop 1', 'stop clock']);
  for (const hart of [0, 1]) machine.hartStops(hart);
  machine.clockStops();
  await Promise.all([pause, resume]);
  assert.deepEqual(machine.take(), ['freeze', 'release 0', 'release 1', 'thaw', 'run 0', 'run 1', 'run clock']);
});

test('a hart that was stopped by itself stays so when the machine goes on', async () => {
  const machine = new StandIn();
  machine.suspension.begin();
  const one = machine.suspension.pause(1);
  await turn();
  machine.hartStops(1);
  await one;
  machine.take();
  const all = machine.suspension.pause();
  await turn();
  machine.hartStops(0);
  machine.clockStops();
  await all;
  machine.take();
  await machine.suspension.resume();
  assert.deepEqual(machine.take(), ['release 0', 'thaw', 'run 0', 'run clock']);
  await machine.suspension.resume(1);
  assert.deepEqual(machine.take(), ['release 1', 'run 1']);
});

test('only a hart that is stopped takes steps', async () => {
  const machine = new StandIn();
  machine.suspension.begin();
  await assert.rejects(machine.suspension.step(0, 5), { code: 'bad-option' });
  const pause = machine.suspension.pause(0);
  await turn();
  machine.hartStops(0);
  await pause;
  machine.take();
  const step = machine.suspension.step(0, 5);
  await turn();
  assert.deepEqual(machine.take(), ['step 0 5']);
  machine.suspension.hartHasStepped(3);
  assert.equal(await step, 3);
});

test("the machine's end reaches whoever waits, and whoever comes later", async () => {
  const machine = new StandIn();
  machine.suspension.begin();
  const pause = machine.suspension.pause();
  await turn();
  machine.suspension.end(new MachineError('ended', 'over'));
  await assert.rejects(pause, { code: 'ended' });
  await assert.rejects(machine.suspension.resume(), { code: 'ended' });
});

// ------------------------------------------------------------------------------------------------------ a real guest

async function answer(machine: Machine, command: string, pattern: RegExp): Promise<string> {
  machine.console.write(`${command}\n`);
  const match = await machine.waitFor(pattern, kSlow);
  return match[1] ?? match[0];
}
const uptime = async (machine: Machine): Promise<number> => Number(await answer(machine, 'cat /proc/uptime', /\n(\d+\.\d+) \d/));

test('time stands still in a pause, and what is typed waits; idle, in a tight loop, while code is compiled', async () => {
  const machine = await linux({ harts: 2, compiler: 'early' });
  await machine.waitFor(kPrompt, kSlow);
  for (const load of ['', 'while :; do :; done &', 'i=0; while :; do i=$((i+1)); done &']) {
    if (load !== '') await answer(machine, load, kPrompt);
    const before = await uptime(machine);
    await machine.pause();
    assert.equal(machine.state, 'paused');
    const stopped = machine.stat().instructions;
    machine.console.write('cat /proc/uptime\n');
    await setTimeout(1500);
    assert.equal(machine.stat().instructions, stopped, 'a paused hart goes on');
    await machine.resume();
    assert.equal(machine.state, 'running');
    const after = Number((await machine.waitFor(/\n(\d+\.\d+) \d/, kSlow))[1]);
    assert.ok(after - before < 1.4, `${after - before} s of the guest's went by`);
    await machine.waitFor(kPrompt, kSlow);
  }
});

test("the wall clock follows the host's over a pause, or stops", async () => {
  for (const clock of ['follow', 'stop'] as const) {
    const machine = await linux({ harts: 1, clock });
    await machine.waitFor(kPrompt, kSlow);
    const date = async (): Promise<number> => Number(await answer(machine, 'date +%s', /\n(\d{10})\r/));
    const before = await date();
    await machine.pause();
    await setTimeout(4000);
    await machine.resume();
    await setTimeout(2000); // the agent may just have been started
    const passed = (await date()) - before;
    if (clock === 'follow') assert.ok(passed >= 4, `${passed} s`);
    else assert.ok(passed <= 2, `${passed} s`);
    machine.terminate();
  }
});

test('steps are exact, also of a hart whose neighbour runs', async () => {
  const machine = await linux({ harts: 2 });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'while :; do :; done & while :; do :; done &', kPrompt);
  await assert.rejects(machine.step(1), { code: 'bad-option' });
  await machine.pause();
  const retired = (hart: number): number => machine.stat().harts[hart]?.instructions ?? NaN;
  const quiet = retired(0);
  for (const count of [1, 2, 1000, 3_000_000]) {
    const before = retired(1);
    assert.equal(await machine.step(count, { hart: 1 }), count);
    const traps = count - (retired(1) - before);
    assert.ok(traps >= 0 && traps <= count / 100 + 1, `${traps} of ${count} trapped`);
  }
  assert.equal(retired(0), quiet);
  await machine.resume();
  await machine.pause({ hart: 1 });
  assert.equal(machine.state, 'running');
  const [running, still] = [retired(0), retired(1)];
  await setTimeout(300);
  assert.ok(retired(0) > running);
  assert.equal(retired(1), still);
  assert.equal(await machine.step(7, { hart: 1 }), 7);
  await machine.resume({ hart: 1 });
  await setTimeout(300);
  assert.ok(retired(1) > still + 7);
  await answer(machine, 'kill %1 %2; echo on$((1+1))', /on2/);
});

const kRounds = Number(process.env['PAUSE_ROUNDS'] ?? 1000);

test(`${kRounds} pauses under load lose nothing`, { timeout: 120_000 + kRounds * 50 }, async () => {
  const machine = await linux({ harts: 2 });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'n=0; while :; do n=$((n+1)); echo $n > /tmp/n; done &', kPrompt);
  await answer(machine, 'while :; do seq 100 | sort -n | md5sum >> /tmp/sums; done &', kPrompt);
  for (let round = 0; round < kRounds; round++) {
    await machine.pause();
    await machine.resume();
    if (round % 50 === 0) assert.equal(await answer(machine, `echo $((${round}+1))`, new RegExp(`\\n(${round + 1})\\r`)), String(round + 1));
  }
  assert.equal(await answer(machine, 'kill %1 %2; wait; sort -u /tmp/sums | wc -l', /\n(\d+)\r/), '1', 'a pipeline computed something else');
  await answer(machine, 'clear; dmesg | grep -w -i -e stall -e lockup -e bug -e oops; echo complaints: none', /\[J(complaints: none)/);
});

const kPauseSeconds = Number(process.env['PAUSE_SECONDS'] ?? 3);

test(`nobody in the guest complains of a pause under load of ${kPauseSeconds} s, by either clock`, { timeout: 120_000 + kPauseSeconds * 1000 }, async () => {
  await Promise.all((['follow', 'stop'] as const).map(async (clock) => {
    const machine = await linux({ harts: 2, clock });
    await machine.waitFor(kPrompt, kSlow);
    // Busy in the kernel too: grace periods of RCU are under way at any time.
    for (let i = 0; i < 3; i++) await answer(machine, 'while :; do (echo) > /dev/null; done &', kPrompt);
    await machine.pause();
    await setTimeout(kPauseSeconds * 1000);
    await machine.resume();
    await answer(machine, 'sleep 3', kPrompt);
    await answer(machine, 'kill %1 %2 %3; clear; dmesg | grep -w -i -e stall -e lockup -e bug -e hung -e blocked; echo complaints: none',
      /\[J(complaints: none)/);
  }));
});

test('a page that the browser freezes is a pause for the guest, from when its workers stop, though the page hears of it later', async () => {
  let tell = (_frozen: boolean): void => {};
  let watching = 0;
  const machine = await linux({ harts: 2 }, {
    ...host,
    watchFreezing(listener) {
      tell = listener;
      watching++;
      return () => void watching--;
    },
  });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'while :; do :; done &', kPrompt);
  const kFrozen = 2000; // ms
  const asked = performance.now();
  const before = await uptime(machine);
  tell(true);
  await setTimeout(0);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, kFrozen); // as a page that gets no messages
  tell(false);
  const passed = (await uptime(machine)) - before;
  const most = (performance.now() - asked - kFrozen) / 1000 + 0.1;
  assert.ok(passed <= most, `${passed} s of the guest's went by, of at most ${most}`);
  assert.equal(machine.state, 'running');

  await machine.pause();
  tell(true);
  await setTimeout(10);
  tell(false);
  await setTimeout(100);
  assert.equal(machine.state, 'paused', 'somebody else paused it');
  const { instructions } = machine.stat();
  await setTimeout(100);
  assert.equal(machine.stat().instructions, instructions);
  await machine.resume();
  await answer(machine, 'echo on$((1+1))', /on2/);
  machine.terminate();
  assert.equal(watching, 0);
  tell(true); // late: nothing
});
