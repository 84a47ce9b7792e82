// SPDX-License-Identifier: Apache-2.0
// What to say of an error, and of an end, to a person.
import type { MachineExit } from '../api/machine.ts';
import type { ErrorCode } from '../api/errors.ts';

export interface Explanation {
  title: string;
  /** What to do about it; '' where there is nothing to say. */
  advice: string;
}

const kExplanations: Record<ErrorCode, Explanation> = {
  'bad-option': {
    title: 'These settings do not work',
    advice: 'Correct the address, or start with the usual settings.',
  },
  'no-shared-memory': {
    title: 'This page cannot share memory between workers',
    advice: 'If it is your server, the documentation lists the headers. If not, tell whoever runs it.',
  },
  'out-of-memory': {
    title: 'There is not enough memory',
    advice: 'Close other tabs, or choose less memory in the settings.',
  },
  'fetch-failed': {
    title: 'A file could not be loaded',
    advice: 'Check the connection and the address. A server elsewhere must allow this page to load the file (CORS).',
  },
  'bad-file': {
    title: 'The machine cannot use a file',
    advice: 'The kernel must be a riscv64 Linux Image or an ELF file; the settings show which files are used.',
  },
  'bad-snapshot': {
    title: 'The saved machine cannot be used',
    advice: 'It may be damaged, or made by a newer Hartwood. Another copy of it may work.',
  },
  'cannot-reboot': { title: 'The machine cannot restart', advice: 'Restore it again, or start with the usual settings.' },
  'not-loaded': { title: 'Not all of the machine is here yet', advice: 'Try again in a moment.' },
  'core-failed': { title: 'The emulator has a fault', advice: 'That is a bug of Hartwood. The details help to find it.' },
  'worker-crashed': { title: 'A part of the machine crashed', advice: 'That is a bug of Hartwood. The details help to find it.' },
  timeout: { title: 'That took too long', advice: '' },
  ended: { title: 'The machine has ended', advice: '' },
};

export const explain = (code: ErrorCode): Explanation => kExplanations[code];

export function describeExit(exit: MachineExit): string {
  switch (exit.reason) {
    case 'poweroff':
      return 'The machine is powered off.';
    case 'reboot':
      return 'The machine restarts.';
    case 'crashed':
      return 'The machine crashed: its software cannot go on.';
    case 'exited':
      return exit.code === 0 ? 'The program ended.' : `The program ended with code ${exit.code}.`;
    case 'terminated':
      return 'The machine was turned off.';
    case 'failed':
      return exit.error?.message ?? 'The machine failed.';
  }
}
