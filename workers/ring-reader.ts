// SPDX-License-Identifier: Apache-2.0
// The consumer's side of shm/ring.h, for the io worker. One reader per ring. `written` and `read` count modulo 2^32; the
// reader stores `read` only after it has copied, so the producer never overwrites what is being read.
import { ByteRing_data, ByteRing_dropped, ByteRing_kCapacity, ByteRing_read, ByteRing_written } from '../build/generated/layout.ts';
import type { WaitForChange } from './wait.ts';

export class RingReader {
  private readonly words: Int32Array;
  private readonly data: Uint8Array;

  /** `address`: of the struct ByteRing in `buffer`, a multiple of 4. */
  constructor(buffer: ArrayBufferLike, address: number) {
    this.words = new Int32Array(buffer, address, ByteRing_data / 4);
    this.data = new Uint8Array(buffer, address + ByteRing_data, ByteRing_kCapacity);
  }

  /** Bytes that wait in the ring. A count that no producer of ours can write is treated as a full ring. */
  available(): number {
    const count = (Atomics.load(this.words, ByteRing_written / 4) - Atomics.load(this.words, ByteRing_read / 4)) >>> 0;
    return Math.min(count, ByteRing_kCapacity);
  }

  /** Bytes that found no room, counted by the producer modulo 2^32. */
  dropped(): number {
    return Atomics.load(this.words, ByteRing_dropped / 4) >>> 0;
  }

  /** Takes at most `limit` bytes out, as a copy outside shared memory, and wakes a producer that waits for room. */
  take(limit: number = ByteRing_kCapacity): Uint8Array<ArrayBuffer> {
    const size = Math.min(this.available(), limit);
    const bytes = new Uint8Array(size);
    if (size === 0) return bytes;
    const at = Atomics.load(this.words, ByteRing_read / 4) >>> 0;
    const offset = at % ByteRing_kCapacity;
    const first = Math.min(size, ByteRing_kCapacity - offset);
    bytes.set(this.data.subarray(offset, offset + first));
    bytes.set(this.data.subarray(0, size - first), first);
    Atomics.store(this.words, ByteRing_read / 4, (at + size) | 0);
    Atomics.notify(this.words, ByteRing_read / 4);
    return bytes;
  }

  /** Resolves when there is something to take. */
  async ready(wait: WaitForChange): Promise<void> {
    for (;;) {
      const written = Atomics.load(this.words, ByteRing_written / 4);
      if (this.available() > 0) return;
      await wait(this.words, ByteRing_written / 4, written);
    }
  }
}
