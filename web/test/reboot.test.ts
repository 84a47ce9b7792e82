// SPDX-License-Identifier: Apache-2.0
// Machines that are switched on again after their end, booted and restored ones; and starts that nobody wants any more.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { MachineError } from '../api/errors.ts';
import type { MachineHost } from '../api/host.ts';
import { Machine } from '../api/machine.ts';
import type { BootOptions } from '../api/options.ts';
import { guestFile, host, kPrompt, kSlow, linux, restore, terminateAll } from './guest.ts';

const machines: Machine[] = [];
const keep = (machine: Machine): Machine => {
  machines.push(machine);
  return machine;
};
afterEach(() => {
  for (const machine of machines.splice(0)) machine.terminate();
  terminateAll();
});

/** A host with the guest's files as those that come with the page. */
const withFiles: MachineHost = {
  ...host,
  files: { kernel: { bytes: guestFile('kernel', 'Image') }, initrd: { bytes: guestFile('initramfs', 'initramfs.cpio') }, snapshot: null },
};
const boot = async (options: BootOptions): Promise<Machine> => keep(await Machine.boot({ memory: 128, harts: 1, ...options }, withFiles));

async function says(machine: Machine, command: string, pattern: RegExp): Promise<void> {
  machine.console.write(`${command}\n`);
  await machine.waitFor(pattern, kSlow);
}

async function end(machine: Machine, command: 'reboot' | 'poweroff'): Promise<void> {
  machine.console.write(`${command}\n`);
  assert.equal((await machine.exited).reason, command);
}

const refused = (why: RegExp) => (error: MachineError): boolean => error.code === 'cannot-reboot' && why.test(error.message);

test('a machine reboots as it was, with its disk as the guest left it; so does one restored from it, twice', async () => {
  let machine = await boot({ append: 'quiet mark=saved', disk: new Blob([new Uint8Array(1 << 20)]) });
  await machine.waitFor(kPrompt, kSlow);
  const check = async (mark: string): Promise<void> => {
    await machine.waitFor(kPrompt, kSlow);
    assert.deepEqual([machine.harts, machine.memory], [1, 128]);
    await says(machine, 'cat /proc/cmdline', /\n[^\n]*mark=saved/);
    await says(machine, 'echo =$(head -c 5 /dev/vda)=$(cat /sys/block/vda/size)=$(nproc)=', new RegExp(`=${mark}=2048=1=`));
  };
  const write = (mark: string): Promise<void> => says(machine, `echo ${mark} > /dev/vda; sync; echo written`, /\nwritten/);
  await write('first');
  await end(machine, 'reboot');
  machine = keep(await machine.reboot());
  await check('first');
  await write('saved');
  const blob = await machine.snapshot();
  machine.terminate();
  machine = keep(await Machine.restore(blob, { compiler: false }, withFiles));
  await write('later');
  await end(machine, 'reboot');
  machine = keep(await machine.reboot({ compiler: false }));
  await check('later');
  await end(machine, 'poweroff');
  machine = keep(await machine.reboot({ compiler: false }));
  await check('later');
});

test('what cannot start again says why', async () => {
  const given = await linux({ harts: 1 }); // its files are bytes
  await given.waitFor(kPrompt, kSlow);
  await assert.rejects(given.reboot(), refused(/it has not ended/));
  await assert.rejects(given.reboot({ harts: 2 } as object), /no option "harts"/);
  const blob = await given.snapshot();
  given.terminate();
  const again = keep(await given.reboot()); // this page still has them
  await again.waitFor(kPrompt, kSlow);
  const restored = await restore(blob);
  restored.terminate();
  await assert.rejects(restored.reboot(), refused(/its kernel was given to it as bytes and is not in the saved machine/));

  const withDisk = await boot({ disk: new Blob([new Uint8Array(4096)]) });
  withDisk.terminate();
  await assert.rejects(withDisk.reboot(), refused(/its disks are gone/));
});

test('a start that nobody wants any more ends, whenever that is', async () => {
  const machine = await boot({});
  await machine.waitFor(kPrompt, kSlow);
  const blob = await machine.snapshot();
  machine.terminate();
  const ended = (error: MachineError): boolean => error.code === 'ended';
  for (const start of [
    (signal: AbortSignal) => Machine.restore(blob, { signal, lazy: false }, withFiles),
    (signal: AbortSignal) => Machine.boot({ signal, memory: 128 }, withFiles),
  ]) {
    await assert.rejects(start(AbortSignal.abort()), ended);
    const soon = new AbortController();
    const started = start(soon.signal);
    soon.abort();
    await assert.rejects(started, ended);
    const late = new AbortController();
    const runs = keep(await start(late.signal));
    late.abort();
    assert.equal(runs.state, 'running');
    runs.terminate();
  }
  // While the chunks arrive: their first message is when the machine exists and does not run.
  const reading = new AbortController();
  await assert.rejects(Machine.restore(blob, { signal: reading.signal, lazy: false, onProgress: () => reading.abort() }, withFiles), ended);
});
