// SPDX-License-Identifier: Apache-2.0
// The text that a machine has printed, as far as somebody may still wait for a part of it: waitFor looks through what
// came since the last match, so that a command's answer is not mistaken for an earlier one's.
import { MachineError } from './errors.ts';

const kKept = 256 * 1024; // characters
const kShownTail = 400;

export interface WaitOptions {
  /** Milliseconds; without it the wait ends with the machine. */
  timeout?: number;
}

interface Waiter {
  pattern: RegExp;
  resolve: (match: RegExpExecArray) => void;
  reject: (error: MachineError) => void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Transcript {
  private readonly decoder = new TextDecoder();
  private readonly waiters = new Set<Waiter>();
  private text = '';
  private ended: string | null = null;

  append(bytes: Uint8Array): void {
    this.text += this.decoder.decode(bytes, { stream: true });
    if (this.waiters.size > 0) this.serve();
    if (this.text.length > kKept) this.text = this.text.slice(-kKept / 2);
  }

  /** Rejects who still waits; `why` ends the sentence "The machine ... before". */
  end(why: string): void {
    this.ended = why;
    for (const waiter of [...this.waiters]) this.reject(waiter, this.endedError(waiter.pattern));
  }

  waitFor(pattern: RegExp | string, { timeout }: WaitOptions = {}): Promise<RegExpExecArray> {
    const searched = typeof pattern === 'string'
      ? new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      : new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { pattern: searched, resolve, reject, timer: undefined };
      this.waiters.add(waiter);
      this.serve();
      if (!this.waiters.has(waiter)) return;
      if (this.ended !== null) {
        this.reject(waiter, this.endedError(searched));
      } else if (timeout !== undefined) {
        waiter.timer = setTimeout(() => {
          const text = `${searched} did not appear within ${timeout} ms. The output ends with: ${this.tail()}`;
          this.reject(waiter, new MachineError('timeout', text));
        }, timeout);
      }
    });
  }

  private serve(): void {
    let used = 0;
    for (const waiter of [...this.waiters]) {
      const match = waiter.pattern.exec(this.text);
      if (match === null) continue;
      used = Math.max(used, match.index + match[0].length);
      this.waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve(match);
    }
    this.text = this.text.slice(used);
  }

  private reject(waiter: Waiter, error: MachineError): void {
    this.waiters.delete(waiter);
    clearTimeout(waiter.timer);
    waiter.reject(error);
  }

  private endedError(pattern: RegExp): MachineError {
    return new MachineError('ended', `The machine ${this.ended} before ${pattern} appeared. The output ends with: ${this.tail()}`);
  }

  private tail(): string {
    return JSON.stringify(this.text.slice(-kShownTail));
  }
}
