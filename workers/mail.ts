// SPDX-License-Identifier: Apache-2.0
// The sender's side of a hart's mail. While the core runs, a hart's worker receives nothing; so whoever posts to it first
// posts the message, then counts it, then sets the attention bit that brings the hart out of the core (hart-loop.ts takes
// it from there).
import {
  HartShared_attention, HartShared_in_wfi, HartShared_mail_posted, HartShared_mail_taken, MachineShared_harts,
  kAttentionMail, sizeof_HartShared,
} from '../build/generated/layout.ts';
import type { ToTranslations } from './protocol.ts';

/** The words of struct HartShared. */
export function hartWords(buffer: ArrayBufferLike, shared: number, hart: number): Int32Array {
  return new Int32Array(buffer, shared + MachineShared_harts + hart * sizeof_HartShared, sizeof_HartShared / 4);
}

/** So many messages may wait for a hart that sleeps. */
const kPatience = 16;

export class HartMailbox {
  private readonly port: MessagePort;
  private readonly words: Int32Array;

  /** `words`: of the hart's struct HartShared. */
  constructor(port: MessagePort, words: Int32Array) {
    this.port = port;
    this.words = words;
  }

  /** One message for all of them. A hart that sleeps gets it when it wakes, unless much has gathered. */
  post(messages: readonly ToTranslations[]): void {
    this.port.postMessage(messages);
    const posted = Atomics.add(this.words, HartShared_mail_posted / 4, 1) + 1;
    Atomics.or(this.words, HartShared_attention / 4, kAttentionMail);
    // A hart that falls asleep just now finds the bit; one that sleeps finds it whatever wakes it.
    const waiting = (posted - Atomics.load(this.words, HartShared_mail_taken / 4)) | 0;
    if (waiting < kPatience && Atomics.load(this.words, HartShared_in_wfi / 4) !== 0) return;
    Atomics.notify(this.words, HartShared_attention / 4);
  }

  /** Wakes a hart that has mail, if it sleeps; false: it has none. It may have to be called again: see hart-loop.ts. */
  hurry(): boolean {
    if (Atomics.load(this.words, HartShared_mail_posted / 4) === Atomics.load(this.words, HartShared_mail_taken / 4)) return false;
    Atomics.or(this.words, HartShared_attention / 4, kAttentionMail);
    Atomics.notify(this.words, HartShared_attention / 4);
    return true;
  }
}
