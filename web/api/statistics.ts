// SPDX-License-Identifier: Apache-2.0
// What the status line shows, read straight out of shared memory: it costs the machine nothing.
import {
  HartShared_hsm_state, HartShared_in_wfi, HartShared_retired, MachineShared_harts, kHsmStarted, sizeof_HartShared,
} from '../../build/generated/layout.ts';

export interface HartStatistics {
  /** Instructions since the start; the core updates it at every slice. */
  instructions: number;
  /** Millions of instructions a second, over the time since the last sample. */
  mips: number;
  state: 'running' | 'idle' | 'offline';
}

export interface Statistics {
  /** Milliseconds since the machine started to run. */
  uptime: number;
  instructions: number;
  mips: number;
  /** Bytes of shared memory that the machine holds, guest RAM included; 0 once it has ended. */
  memory: number;
  harts: HartStatistics[];
}

const kShortestSample = 200; // ms

export class StatisticsReader {
  private readonly buffer: ArrayBufferLike;
  private readonly words: Int32Array;
  private readonly counters: BigInt64Array;
  private readonly hartCount: number;
  private readonly started: number;
  private last: { time: number; statistics: Statistics };

  /** `now`: milliseconds. */
  constructor(buffer: ArrayBufferLike, shared: number, hartCount: number, now: number) {
    this.buffer = buffer;
    this.hartCount = hartCount;
    this.words = new Int32Array(buffer, shared + MachineShared_harts, (hartCount * sizeof_HartShared) / 4);
    this.counters = new BigInt64Array(buffer, shared + MachineShared_harts, (hartCount * sizeof_HartShared) / 8);
    this.started = now;
    this.last = { time: now, statistics: this.sample(now, null) };
  }

  read(now: number): Statistics {
    if (now - this.last.time >= kShortestSample) {
      this.last = { time: now, statistics: this.sample(now, this.last) };
    }
    return { ...this.last.statistics, uptime: now - this.started };
  }

  private sample(now: number, before: { time: number; statistics: Statistics } | null): Statistics {
    const elapsed = before === null ? 0 : now - before.time;
    const rate = (now: number, then: number): number => (elapsed > 0 ? (now - then) / elapsed / 1000 : 0);
    const harts = Array.from({ length: this.hartCount }, (_, hart): HartStatistics => {
      const at = hart * sizeof_HartShared;
      const word = (offset: number): number => Atomics.load(this.words, (at + offset) / 4);
      const instructions = Number(Atomics.load(this.counters, (at + HartShared_retired) / 8));
      return {
        instructions,
        mips: rate(instructions, before?.statistics.harts[hart]?.instructions ?? instructions),
        state: word(HartShared_hsm_state) !== kHsmStarted ? 'offline' : word(HartShared_in_wfi) !== 0 ? 'idle' : 'running',
      };
    });
    return {
      uptime: now - this.started,
      instructions: harts.reduce((sum, hart) => sum + hart.instructions, 0),
      mips: harts.reduce((sum, hart) => sum + hart.mips, 0),
      memory: this.buffer.byteLength,
      harts,
    };
  }
}
