// SPDX-License-Identifier: Apache-2.0
// The API as a page imports it.
import { makeBrowserHost } from './browser-host.ts';
import { Machine as AnyMachine } from './machine.ts';
import type { BootOptions, RestoreOptions, SnapshotInput } from './options.ts';

/** The guest physical address of the first byte of RAM, as on QEMU's virt board. */
export { kRamBase } from '../../build/generated/layout.ts';
export { whyUnsupported } from './browser-host.ts';
export type { ConsoleListener, ConsoleStream } from './console.ts';
export { MachineError, type ErrorCode } from './errors.ts';
export type { MachineExit, MachineState } from './machine.ts';
export {
  kConsoles, kDefaults, kMemorySizes, kPagings, type BootOptions, type BootProgress, type CommonOptions, type FileInput,
  type RestoreOptions, type SnapshotInput, type SnapshotOptions,
} from './options.ts';
export type { CompilerStatistics, HartStatistics, Statistics } from './statistics.ts';
export type { WaitOptions } from './transcript.ts';

export type Machine = AnyMachine;

const host = makeBrowserHost();

export const Machine = {
  /** Starts a machine in this page; see BootOptions. */
  boot: (options: BootOptions = {}): Promise<AnyMachine> => AnyMachine.boot(options, host),
  /** The machine of boot()'s defaults at its first prompt, at once; see RestoreOptions. */
  instant: (options: RestoreOptions = {}): Promise<AnyMachine> => AnyMachine.instant(options, host),
  /** Goes on with a machine that was saved by machine.snapshot(); see RestoreOptions. */
  restore: (source: SnapshotInput | readonly SnapshotInput[], options: RestoreOptions = {}): Promise<AnyMachine> =>
    AnyMachine.restore(source, options, host),
};
