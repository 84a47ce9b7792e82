// SPDX-License-Identifier: Apache-2.0
// How a page gets the machine that its address asks for: where that is the default one, at its prompt at once; else, or if
// that cannot be had, by booting.
import { Machine, MachineError, type BootOptions, type CommonOptions } from '../api/index.ts';

/** What a machine at its prompt can still be given: all else was decided when it booted. */
const kAnyMachine: ReadonlySet<string> = new Set<keyof CommonOptions>([
  'compiler', 'clock', 'size', 'keepMemory', 'signal', 'onProgress', 'onLog', 'onError',
]);

/** `cold`: boots in any case. */
export async function startMachine(options: BootOptions, cold: boolean): Promise<Machine> {
  if (!cold && Object.keys(options).every((name) => kAnyMachine.has(name))) {
    try {
      return await Machine.instant(options as CommonOptions);
    } catch (error) {
      // A server that lost the file, or damaged it on the way: booting needs it no more than it ever did.
      const lost = error instanceof MachineError && (error.code === 'fetch-failed' || error.code === 'bad-snapshot');
      if (!lost) throw error;
      console.warn(`hartwood: booting, because there is no machine at its prompt: ${error.message}`);
    }
  }
  return Machine.boot(options);
}
