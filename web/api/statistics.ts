// SPDX-License-Identifier: Apache-2.0
// What the status line shows, read straight out of shared memory: it costs the machine nothing.
import {
  HartShared_hsm_state, HartShared_in_wfi, HartShared_retired, MachineShared_harts, kHsmStarted, sizeof_HartShared,
} from '../../build/generated/layout.ts';

export interface HartStatistics {
  /** Instructions since the start; the core updates it at every slice. */
  instructions: number;
  /** Millions of instructions a second. */
  mips: number;
  state: 'running' | 'idle' | 'offline';
}

export interface Statistics {
  /** Milliseconds since the machine started to run. */
  uptime: number;
  instructions: number;
  mips: number;
  /** Bytes of shared memory that the machine holds, guest RAM included; 0 once it has ended, unless it is kept. */
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
  /** What rates are measured against, and the rates of harts that were measured last. */
  private base: { time: number; instructions: number[] };
  private rates: number[];

  /** `now`: milliseconds. */
  constructor(buffer: ArrayBufferLike, shared: number, hartCount: number, now: number) {
    this.buffer = buffer;
    this.hartCount = hartCount;
    this.words = new Int32Array(buffer, shared + MachineShared_harts, (hartCount * sizeof_HartShared) / 4);
    this.counters = new BigInt64Array(buffer, shared + MachineShared_harts, (hartCount * sizeof_HartShared) / 8);
    this.started = now;
    this.base = { time: now, instructions: this.instructions() };
    this.rates = this.base.instructions.map(() => 0);
  }

  /** Counts and states of this moment, rates of the last sample period. */
  read(now: number): Statistics {
    const instructions = this.instructions();
    const elapsed = now - this.base.time;
    if (elapsed >= kShortestSample) {
      this.rates = instructions.map((count, hart) => (count - (this.base.instructions[hart] ?? 0)) / elapsed / 1000);
      this.base = { time: now, instructions };
    }
    const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
    return {
      uptime: now - this.started,
      instructions: sum(instructions),
      mips: sum(this.rates),
      memory: this.buffer.byteLength,
      harts: instructions.map((count, hart) => ({ instructions: count, mips: this.rates[hart] ?? 0, state: this.state(hart) })),
    };
  }

  private instructions(): number[] {
    return Array.from({ length: this.hartCount }, (_, hart) =>
      Number(Atomics.load(this.counters, (hart * sizeof_HartShared + HartShared_retired) / 8)));
  }

  private state(hart: number): HartStatistics['state'] {
    const word = (offset: number): number => Atomics.load(this.words, (hart * sizeof_HartShared + offset) / 4);
    if (word(HartShared_hsm_state) !== kHsmStarted) return 'offline';
    return word(HartShared_in_wfi) !== 0 ? 'idle' : 'running';
  }
}
