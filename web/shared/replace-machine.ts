// SPDX-License-Identifier: Apache-2.0
// A saved machine in place of the one that runs. That one need only be ended when the saved one is here, whole and checked;
// it stands still meanwhile, and goes on if there is anything wrong.
import { Machine, type CommonOptions, type SnapshotInput } from '../api/index.ts';

/**
 * The saved machine, which runs; `old` is paused then, and the caller's to end. Rejects as Machine.restore does, with `old`
 * as it was before. For a while there are both, so this needs the memory of both.
 */
export async function replaceMachine(old: Machine | null, saved: SnapshotInput, options: CommonOptions): Promise<Machine> {
  const stopped = old?.state === 'running';
  try {
    if (stopped) await old.pause();
    return await Machine.restore(saved, { ...options, lazy: false });
  } catch (error) {
    if (stopped) await old.resume().catch(() => {}); // it may have ended by itself, which is shown
    throw error;
  }
}
