// SPDX-License-Identifier: Apache-2.0
// The real Linux under Node, for tests. HARTWOOD_GUEST or build/guest has the kernel and the initramfs.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Machine } from '../api/machine.ts';
import type { BootOptions, RestoreOptions, SnapshotInput } from '../api/options.ts';
import { makeNodeHost } from './node-host.ts';

const kBuild = fileURLToPath(new URL('../../build/guest', import.meta.url));

export function guestFile(folder: string, name: string): Uint8Array {
  const given = process.env['HARTWOOD_GUEST'];
  const places = [...(given === undefined ? [] : [join(given, name)]), join(kBuild, folder, name)];
  const file = places.find((each) => existsSync(each));
  assert.ok(file !== undefined, `${name} is in none of ${places.join(', ')}`);
  return readFileSync(file);
}

export const kPrompt = /:~# /;
export const kSlow = { timeout: 60_000 };
export const host = makeNodeHost();
const machines: Machine[] = [];

export async function linux(options: BootOptions = {}, on = host): Promise<Machine> {
  const files = { kernel: guestFile('kernel', 'Image'), initrd: guestFile('initramfs', 'initramfs.cpio') };
  const machine = await Machine.boot({ memory: 128, ...files, ...options }, on);
  machines.push(machine);
  return machine;
}

export async function restore(source: SnapshotInput | SnapshotInput[], options: RestoreOptions = {}): Promise<Machine> {
  const machine = await Machine.restore(source, options, host);
  machines.push(machine);
  return machine;
}

/** For afterEach: a machine that a failed test left would keep the process alive. */
export function terminateAll(): void {
  for (const machine of machines.splice(0)) machine.terminate();
}
