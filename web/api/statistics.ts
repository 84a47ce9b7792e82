// SPDX-License-Identifier: Apache-2.0
// What the status line shows, read straight out of shared memory: it costs the machine nothing.
import {
  CompilerStatistics_bytes_emitted, CompilerStatistics_modules_compiled, CompilerStatistics_modules_evicted,
  CompilerStatistics_modules_failed, CompilerStatistics_modules_live, CompilerStatistics_regions_compiled,
  CompilerStatistics_requests, HartShared_hsm_state, HartShared_in_wfi, HartShared_modules_installed, HartShared_retired,
  MachineShared_compiler, MachineShared_harts, kHsmStarted, sizeof_HartShared,
} from '../../build/generated/layout.ts';

export interface HartStatistics {
  /** Instructions since the start; the core updates it at every slice. */
  instructions: number;
  /** Millions of instructions a second. */
  mips: number;
  state: 'running' | 'idle' | 'offline';
  /** Modules of translated code that the hart has received since the start. */
  modulesInstalled: number;
}

/** What the compiler has done since the start. */
export interface CompilerStatistics {
  /** Pieces of code that harts found hot and asked for. */
  requests: number;
  /** Functions and loops of the guest that were translated. */
  regionsCompiled: number;
  /** WebAssembly modules that they were put into. */
  modulesCompiled: number;
  modulesLive: number;
  modulesEvicted: number;
  /** Modules that the browser refused: a bug of ours, see onLog. */
  modulesFailed: number;
  /** Bytes of WebAssembly. */
  bytesEmitted: number;
}

export interface Statistics {
  /** Milliseconds since the machine started to run. */
  uptime: number;
  instructions: number;
  mips: number;
  /** Bytes of shared memory that the machine holds, guest RAM included; 0 once it has ended, unless it is kept. */
  memory: number;
  harts: HartStatistics[];
  /** null: the machine has no compiler. */
  compiler: CompilerStatistics | null;
}

const kShortestSample = 200; // ms

export class StatisticsReader {
  private readonly buffer: ArrayBufferLike;
  private readonly shared: number;
  private readonly words: Int32Array;
  private readonly counters: BigInt64Array;
  private readonly hartCount: number;
  private readonly hasCompiler: boolean;
  private readonly started: number;
  /** What rates are measured against, and the rates of harts that were measured last. */
  private base: { time: number; instructions: number[] };
  private rates: number[];

  /** `now`: milliseconds. */
  constructor(buffer: ArrayBufferLike, shared: number, hartCount: number, hasCompiler: boolean, now: number) {
    this.buffer = buffer;
    this.shared = shared;
    this.hartCount = hartCount;
    this.hasCompiler = hasCompiler;
    this.words = new Int32Array(buffer);
    this.counters = new BigInt64Array(buffer);
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
      harts: instructions.map((count, hart) => ({
        instructions: count, mips: this.rates[hart] ?? 0, state: this.state(hart),
        modulesInstalled: this.word(this.hartAt(hart) + HartShared_modules_installed),
      })),
      compiler: this.hasCompiler ? this.compiler() : null,
    };
  }

  private instructions(): number[] {
    return Array.from({ length: this.hartCount }, (_, hart) => this.counter(this.hartAt(hart) + HartShared_retired));
  }

  private state(hart: number): HartStatistics['state'] {
    if (this.word(this.hartAt(hart) + HartShared_hsm_state) !== kHsmStarted) return 'offline';
    return this.word(this.hartAt(hart) + HartShared_in_wfi) !== 0 ? 'idle' : 'running';
  }

  private compiler(): CompilerStatistics {
    const at = this.shared + MachineShared_compiler;
    return {
      requests: this.word(at + CompilerStatistics_requests),
      regionsCompiled: this.word(at + CompilerStatistics_regions_compiled),
      modulesCompiled: this.word(at + CompilerStatistics_modules_compiled),
      modulesLive: this.word(at + CompilerStatistics_modules_live),
      modulesEvicted: this.word(at + CompilerStatistics_modules_evicted),
      modulesFailed: this.word(at + CompilerStatistics_modules_failed),
      bytesEmitted: this.counter(at + CompilerStatistics_bytes_emitted),
    };
  }

  private hartAt(hart: number): number {
    return this.shared + MachineShared_harts + hart * sizeof_HartShared;
  }
  private word(address: number): number {
    return Atomics.load(this.words, address / 4) >>> 0;
  }
  private counter(address: number): number {
    return Number(Atomics.load(this.counters, address / 8));
  }
}
