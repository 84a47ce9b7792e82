// SPDX-License-Identifier: Apache-2.0
// One hart's loop: slices of the core, and between them the mail. Separate from the worker so that tests can drive it with
// a core of their own. While the core runs, the worker receives no messages, so a sender posts the message, then counts
// it in mail_posted, then sets kAttentionMail; the core returns, and we let the event loop turn until the counts agree.
// Between two turns the hart runs on: nothing guarantees that a message arrives in the very next turn.
import { HartShared_mail_posted, HartShared_mail_taken } from '../build/generated/layout.ts';
import { kExitEnded, kExitStopped } from './core.ts';

/** Instructions of a slice. At several hundred million a second this is some tens of milliseconds. */
const kSlice = 10_000_000;
/** While mail is on its way we look again soon. */
const kSliceAwaitingMail = 100_000;

export interface HartLoop {
  /** hw_hart_run for this hart. */
  run(budget: number): number;
  /** The words of this hart's struct HartShared. */
  words: Int32Array;
  turn(): Promise<void>;
}

/** Runs until the hart is stopped (kExitStopped) or the machine ended (kExitEnded), which it returns. */
export async function runHart({ run, words, turn }: HartLoop): Promise<number> {
  for (;;) {
    const mailWaits = () =>
      Atomics.load(words, HartShared_mail_posted / 4) !== Atomics.load(words, HartShared_mail_taken / 4);
    const exit = run(mailWaits() ? kSliceAwaitingMail : kSlice);
    if (exit === kExitStopped || exit === kExitEnded) return exit;
    if (mailWaits()) await turn();
  }
}
