// SPDX-License-Identifier: Apache-2.0
// Saving and restoring real machines under Node: what was in them is in what goes on, and what is damaged is refused.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { MachineHost, WorkerHandle, WorkerKind } from '../api/host.ts';
import type { Machine } from '../api/machine.ts';
import type { RestoreOptions } from '../api/options.ts';
import { ConsoleTail, readNotes, writeNotes } from '../api/console-tail.ts';
import { host, kPrompt, kSlow, linux, restore, terminateAll } from './guest.ts';

afterEach(terminateAll);

async function answer(machine: Machine, command: string, pattern: RegExp): Promise<string> {
  machine.console.write(`${command}\n`);
  const match = await machine.waitFor(pattern, kSlow);
  return match[1] ?? match[0];
}
const sum = (machine: Machine, file: string): Promise<string> => answer(machine, `md5sum ${file}`, /\n([0-9a-f]{32}) /);
const bytesOf = async (blob: Blob): Promise<Uint8Array<ArrayBuffer>> => new Uint8Array(await blob.arrayBuffer());

/** A machine at work: a counter, a pipeline that always gives the same, a file. */
async function busy(harts: number): Promise<{ machine: Machine; file: string }> {
  const machine = await linux({ harts, compiler: 'early' });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'X=kept; dd if=/dev/urandom of=/tmp/file bs=64k count=20 2>/dev/null', kPrompt);
  const file = await sum(machine, '/tmp/file');
  await answer(machine, 'n=0; while :; do n=$((n+1)); echo $n > /tmp/n.new; mv /tmp/n.new /tmp/n; done &', kPrompt);
  await answer(machine, 'while :; do seq 200 | sort -n | md5sum >> /tmp/sums; done &', kPrompt);
  return { machine, file };
}

/** That it goes on. Leaves the loops running. */
async function check(machine: Machine, file: string): Promise<void> {
  assert.equal(await answer(machine, 'echo $X$((40+2))', /\n(kept42)/), 'kept42');
  assert.equal(await sum(machine, '/tmp/file'), file);
  const count = async (): Promise<number> => Number(await answer(machine, 'echo =$(cat /tmp/n)=', /\n=(\d+)=/));
  const before = await count();
  await answer(machine, 'sleep 0.3', kPrompt);
  assert.ok(await count() > before, 'a process does not go on');
  assert.equal(await answer(machine, 'echo =$(head -n -1 /tmp/sums | sort -u | wc -l)=', /\n=(\d+)=/), '1', 'a pipeline computed something else');
  await answer(machine, 'clear; dmesg | grep -w -i -e stall -e lockup -e bug -e oops; echo complaints: none', /\[J(complaints: none)/);
}

for (const harts of [1, 2, 4]) {
  test(`a busy machine of ${harts} harts goes on after each of three restores, and so does the one that was saved`, async () => {
    const { machine, file } = await busy(harts);
    let blob = await machine.snapshot();
    await check(machine, file);
    for (const options of [{}, { lazy: false }, { compiler: false }] as RestoreOptions[]) {
      const restored = await restore(blob, options);
      assert.equal(restored.harts, harts);
      await check(restored, file);
      await restored.loaded;
      blob = await restored.snapshot();
      restored.terminate();
    }
  });
}

/** The host, and of what its io workers are told and say, the names of `types`. */
function listeningHost(types: readonly string[]): { listening: MachineHost; said: string[] } {
  const said: string[] = [];
  const note = (message: unknown): void => {
    const { type } = message as { type: string };
    if (types.includes(type)) said.push(type);
  };
  const startWorker = <In, Out>(kind: WorkerKind, name: string): WorkerHandle<In, Out> => {
    const worker = host.startWorker<In, Out>(kind, name);
    if (kind !== 'io') return worker;
    return {
      post(message, transfer) {
        note(message);
        worker.post(message, transfer);
      },
      set onMessage(listener: (message: Out) => void) {
        worker.onMessage = (message) => {
          note(message);
          listener(message);
        };
      },
      set onError(listener: (message: string) => void) {
        worker.onError = listener;
      },
      terminate: () => worker.terminate(),
    };
  };
  return { listening: { ...host, startWorker }, said };
}

test('nothing runs while memory is copied, whoever resumes, and a pause of somebody outlives a snapshot', async () => {
  const { listening, said } = listeningHost(['freeze', 'thaw', 'save', 'copied']);
  const steps = (): string => said.splice(0).join(' ');
  const machine = await linux({ harts: 2 }, listening);
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'while :; do seq 200 | sort -n | md5sum >> /tmp/sums; done &', kPrompt);

  await machine.pause();
  steps();
  const first = machine.snapshot();
  await setTimeout(0);
  await machine.resume();
  assert.equal(steps(), 'save copied thaw');
  await first;
  assert.equal(machine.state, 'running');

  const second = machine.snapshot();
  await setTimeout(0);
  assert.equal(machine.state, 'running', 'nobody paused it');
  await machine.pause();
  await second;
  assert.equal(machine.state, 'paused');
  assert.equal(steps(), 'freeze save copied');
  const { instructions } = machine.stat();
  await setTimeout(300);
  assert.equal(machine.stat().instructions, instructions);
  await machine.resume();

  steps();
  const both = await Promise.all([machine.snapshot(), machine.snapshot()]);
  assert.equal(steps().replace(/freeze |thaw ?/g, '').trim(), 'save copied save copied');
  machine.terminate();
  for (const blob of both) {
    const restored = await restore(blob, { lazy: false });
    assert.equal(await answer(restored, 'echo =$(head -n -1 /tmp/sums | sort -u | wc -l)=', /\n=(\d+)=/), '1');
    restored.terminate();
  }
});

test('increments have what has changed, and follow each other', async () => {
  const { machine, file } = await busy(2);
  await assert.rejects(machine.snapshot({ increment: true }), { code: 'bad-option' });
  const chain = [await machine.snapshot()];
  for (const name of ['one', 'two']) {
    await answer(machine, `echo ${name} > /tmp/${name}`, kPrompt);
    chain.push(await machine.snapshot({ increment: true }));
  }
  assert.ok((chain[1]?.size ?? NaN) < (chain[0]?.size ?? NaN) / 4, 'an increment as large as a snapshot');
  machine.terminate();
  const restored = await restore(chain);
  await check(restored, file);
  assert.equal(await answer(restored, 'cat /tmp/one /tmp/two', /\n(one\r\ntwo)/), 'one\r\ntwo');
  const next = await restored.snapshot({ increment: true });
  restored.terminate();
  await check(await restore([...chain, next]), file);
  for (const wrong of [[chain[0], chain[2]], [chain[1]], [chain[1], chain[0]]]) {
    await assert.rejects(restore(wrong as Blob[]), { code: 'bad-snapshot' });
  }
});

test('a disk is in the snapshot', async () => {
  const machine = await linux({ disk: new Blob([new Uint8Array(5 << 20).fill(7)]) });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, 'dd if=/dev/urandom of=/dev/vda bs=4k count=300 conv=fsync 2>/dev/null', kPrompt);
  const disk = await sum(machine, '/dev/vda');
  const blob = await machine.snapshot();
  await answer(machine, 'dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=900 conv=fsync 2>/dev/null', kPrompt);
  const changed = await sum(machine, '/dev/vda');
  const increment = await machine.snapshot({ increment: true });
  machine.terminate();
  const first = await restore(blob);
  await answer(first, 'echo 3 > /proc/sys/vm/drop_caches', kPrompt);
  assert.equal(await sum(first, '/dev/vda'), disk);
  first.terminate();
  const second = await restore([blob, increment]);
  await answer(second, 'echo 3 > /proc/sys/vm/drop_caches', kPrompt);
  assert.equal(await sum(second, '/dev/vda'), changed);
});

test('two machines of one snapshot draw different random numbers, and have the time of day', async () => {
  const machine = await linux({ harts: 1 });
  await machine.waitFor(kPrompt, kSlow);
  await machine.compact(); // so long the agent has been listening
  await answer(machine, 'date -s "2001-02-03 04:05:06"', kPrompt);
  const blob = await machine.snapshot();
  machine.terminate();
  const drawn = new Set<string>();
  for (const clock of ['follow', 'follow', 'stop'] as const) {
    const restored = await restore(blob, { clock });
    drawn.add(await answer(restored, 'head -c 16 /dev/urandom | md5sum', /\n([0-9a-f]{32}) /));
    await answer(restored, 'sleep 0.5', kPrompt);
    const now = Number(await answer(restored, 'date +%s', /\n(\d{9,10})\r/));
    if (clock === 'follow') assert.ok(Math.abs(now - Date.now() / 1000) < 5, `${now} is not now`);
    else assert.equal(await answer(restored, 'date +%Y', /\n(\d{4})\r/), '2001');
    restored.terminate();
  }
  assert.equal(drawn.size, 3);
});

test('what is no snapshot, or no whole one, or a newer one, is refused', async () => {
  const machine = await linux({ harts: 1 });
  await machine.waitFor(kPrompt, kSlow);
  const whole = await bytesOf(await machine.snapshot());
  machine.terminate();
  // Single bits of packed data may mean nothing: lengths of codes that are not used.
  const altered = (at: number, count = 1): Uint8Array => {
    const copy = whole.slice();
    for (let i = at; i < at + count; i++) copy[i] = (copy[i] ?? 0) ^ 0xff;
    return copy;
  };
  const refused = async (file: Uint8Array, why: RegExp, options: RestoreOptions = { lazy: false }): Promise<void> => {
    await assert.rejects(restore(file, options), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'bad-snapshot', error.message);
      assert.match(error.message, why);
      return true;
    });
  };
  await refused(new Uint8Array(0), /no snapshot/);
  await refused(new TextEncoder().encode('<!doctype html>'.repeat(100)), /no snapshot/);
  const newer = whole.slice();
  newer[8] = 2;
  await refused(newer, /newer/);
  for (const at of [0, 5]) await refused(altered(at), /no snapshot/);
  for (const at of [20, 60, 200, 1000]) await refused(altered(at), /damaged/);
  for (const length of [8, 31, 100, 5000, Math.floor(whole.length / 2), whole.length - 1]) {
    await refused(whole.slice(0, length), /no snapshot|damaged|cut off/);
  }
  for (const at of [whole.length - 10, Math.floor(whole.length / 2)]) await refused(altered(at, 8), /damaged/);
  await assert.rejects(restore([]), { code: 'bad-option' });
  await assert.rejects(restore(whole, { lasy: true } as RestoreOptions), { code: 'bad-option' });
});

test('damage that is found while the machine runs ends it with a message', async () => {
  const machine = await linux({ harts: 1 });
  await machine.waitFor(kPrompt, kSlow);
  const whole = await bytesOf(await machine.snapshot());
  machine.terminate();
  for (let at = whole.length - 10; at < whole.length - 2; at++) whole[at] = (whole[at] ?? 0) ^ 0xff;
  const errors: (Error & { code?: string })[] = [];
  const restored = await restore(whole, { onError: (error) => errors.push(error) });
  const exit = await restored.exited;
  assert.equal(exit.reason, 'failed');
  assert.equal(errors[0]?.code, 'bad-snapshot');
  assert.match(errors[0]?.message ?? '', /damaged/);
});

test("the console's last bytes come first on a restored machine's console, without what a terminal would answer", async () => {
  const machine = await linux({ harts: 1 });
  await machine.waitFor(kPrompt, kSlow);
  await answer(machine, "printf 'ma''rk\\033[6n\\033[c\\n'", /mark/);
  await machine.waitFor(kPrompt, kSlow);
  const blob = await machine.snapshot();
  machine.terminate();
  const restored = await restore(blob);
  let printed = '';
  restored.console.onData((bytes) => void (printed += new TextDecoder().decode(bytes)));
  assert.match(printed, /mark\r\n[^]*:~# $/);
  assert.doesNotMatch(printed, /\x1b\[6n|\x1b\[c/);
});

test('notes: the last 64 KiB, in any bytes; none where there are none', () => {
  const tail = new ConsoleTail();
  tail.append(new Uint8Array(100_000).fill(65));
  tail.append(Uint8Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0x1b && (byte < 0x80 || byte >= 0xa0))); // no sequences begin
  const kept = tail.bytes();
  assert.equal(kept.length, 65536);
  assert.equal(kept.at(-1), 255);
  const read = readNotes(writeNotes(kept));
  assert.equal(read.length, kept.length - 1, 'an enquiry (5) is dropped');
  for (const none of ['', '{}', 'no JSON', '{"console":3}', '{"console":"%"}']) assert.equal(readNotes(none).length, 0, none);
});
