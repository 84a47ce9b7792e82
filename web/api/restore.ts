// SPDX-License-Identifier: Apache-2.0
// From a snapshot's head to the plan of the machine that goes on with it.
import { kMaxHarts } from '../../build/generated/layout.ts';
import type { FileSource, FromPager, MachineConfiguration } from '../../workers/protocol.ts';
import { MachineError } from './errors.ts';
import {
  checkRestoreOptions, compilerConfiguration, fileSource, kMemorySizes, type BootPlan, type RestoreOptions, type SnapshotInput,
} from './options.ts';

const kMostMemory = Math.max(...kMemorySizes); // MiB

/** Throws MachineError 'bad-option'. */
export function snapshotSources(
  source: SnapshotInput | readonly SnapshotInput[], options: RestoreOptions, base: string | undefined,
): FileSource[] {
  checkRestoreOptions(options);
  const list: readonly SnapshotInput[] = Array.isArray(source) ? source : [source];
  if (list.length === 0) throw new MachineError('bad-option', 'Machine.restore needs a snapshot.');
  return list.map((each) => fileSource('The snapshot', each, base));
}

/** Throws MachineError 'bad-snapshot'. */
export function planRestore(
  { heads, configuration, diskBytes }: Extract<FromPager, { type: 'heads' }>, options: RestoreOptions,
): BootPlan {
  const saved = configuration as Partial<MachineConfiguration> | null;
  const { harts, memory } = saved ?? {};
  const whole = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1;
  // Workers are started, and the memory is made, before the core has looked at any of this.
  if (!whole(harts) || harts > kMaxHarts || !whole(memory) || memory > kMostMemory) {
    throw new MachineError('bad-snapshot', 'The snapshot is damaged: its configuration makes no sense.');
  }
  const lazy = (options.lazy ?? true) && heads.length === 1 && diskBytes === 0;
  return {
    configuration: { ...saved as MachineConfiguration, ...compilerConfiguration(options.compiler) },
    files: [],
    restore: { heads, diskBytes, lazy },
  };
}
