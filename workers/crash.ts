// SPDX-License-Identifier: Apache-2.0
// What a worker reports of an exception: the core's own last words if it left any, else what the engine says.
import {
  MachineShared_fatal, MachineShared_fatal_message, sizeof_MachineShared_fatal_message,
} from '../build/generated/layout.ts';
import { sharedString } from './core.ts';
import { describeError } from './platform.ts';
import type { ErrorReport, WorkerStart } from './protocol.ts';

/** `who` begins a sentence, such as "Hart 1". */
export function crashReport(who: string, error: unknown, { memory, shared }: WorkerStart): ErrorReport {
  const { message, detail } = describeError(error);
  const fatal = Atomics.load(new Int32Array(memory.buffer, shared), MachineShared_fatal / 4) !== 0
    ? sharedString(memory.buffer, shared + MachineShared_fatal_message, sizeof_MachineShared_fatal_message)
    : '';
  return { code: 'worker-crashed', message: `${who} crashed: ${fatal || message}`, detail };
}
