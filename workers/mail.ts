// SPDX-License-Identifier: Apache-2.0
// The sender's side of a hart's mail. While the core runs, a hart's worker receives nothing; so whoever posts to it first
// posts the message, then counts it, then sets the attention bit that brings the hart out of the core (hart-loop.ts takes
// it from there).
import {
  HartShared_attention, HartShared_mail_posted, MachineShared_harts, kAttentionMail, sizeof_HartShared,
} from '../build/generated/layout.ts';
import type { ToTranslations } from './protocol.ts';

/** The words of struct HartShared. */
export function hartWords(buffer: ArrayBufferLike, shared: number, hart: number): Int32Array {
  return new Int32Array(buffer, shared + MachineShared_harts + hart * sizeof_HartShared, sizeof_HartShared / 4);
}

export class HartMailbox {
  private readonly port: MessagePort;
  private readonly words: Int32Array;

  /** `words`: of the hart's struct HartShared. */
  constructor(port: MessagePort, words: Int32Array) {
    this.port = port;
    this.words = words;
  }

  post(message: ToTranslations): void {
    this.port.postMessage(message);
    Atomics.add(this.words, HartShared_mail_posted / 4, 1);
    Atomics.or(this.words, HartShared_attention / 4, kAttentionMail);
    Atomics.notify(this.words, HartShared_attention / 4);
  }
}
