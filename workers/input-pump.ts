// SPDX-License-Identifier: Apache-2.0
// Console input on its way to the guest. The core takes what fits and counts a word of shared memory once there is room
// again, so nobody asks twice for nothing. Separate from the io worker so that tests can drive it with a core of their own.
import type { WaitForChange } from './wait.ts';

/** What one call into the core may carry. */
export const kInputChunk = 4096;

export interface InputSink {
  /** Offers at most kInputChunk bytes; returns how many were taken. */
  offer(bytes: Uint8Array): number;
  /** MachineShared.console_room. */
  words: Int32Array;
  room: number;
  wait: WaitForChange;
}

export class InputPump {
  private readonly queue: Uint8Array[] = [];
  private readonly failed: (error: unknown) => void;
  private sink: InputSink | null = null;
  private busy = false;
  private held = false;

  constructor(failed: (error: unknown) => void) {
    this.failed = failed;
  }

  /** Input that comes before there is a machine waits for it. */
  connect(sink: InputSink): void {
    this.sink = sink;
    this.start();
  }

  push(bytes: Uint8Array): void {
    this.queue.push(bytes);
    this.start();
  }

  /** Nothing is offered until release(): the machine must not change. */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    this.start();
  }

  private start(): void {
    if (this.sink === null || this.busy || this.held) return;
    this.busy = true;
    this.drain(this.sink).then(() => {
      this.busy = false;
      if (this.queue.length > 0) this.start(); // held, and released before this turn
    }, this.failed);
  }

  private async drain({ offer, words, room, wait }: InputSink): Promise<void> {
    for (let next = this.queue[0]; next !== undefined && !this.held; next = this.queue[0]) {
      const chunk = next.subarray(0, kInputChunk);
      const seen = Atomics.load(words, room); // before the offer: room that is made after it is not missed
      const accepted = offer(chunk);
      if (accepted === next.length) this.queue.shift();
      else this.queue[0] = next.subarray(accepted);
      if (accepted < chunk.length) await wait(words, room, seen);
    }
  }
}
