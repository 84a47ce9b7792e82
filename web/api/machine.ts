// SPDX-License-Identifier: Apache-2.0
// One machine: its workers, its console, its end. Page side; never blocks and does not instantiate the core. Several
// machines on one page know nothing of each other.
//
// A machine ends once: by itself (power-off, reboot, exit, crash), by terminate(), or by a failure. Whatever the reason,
// its workers are stopped and every reference to the memory is dropped, because browsers free such a memory only when
// nothing refers to it any more (with the option keepMemory: at terminate()).
import {
  CompilerStatistics_requests, HartShared_attention, HartShared_mail_posted, MachineShared_clock_word,
  MachineShared_compiler, MachineShared_event, MachineShared_harts, MachineShared_power, kAttentionMail,
  kAttentionStop, kPowerCrashed, kPowerExited, kPowerOff, kPowerOn, kPowerReboot, sizeof_HartShared,
  sizeof_MachineShared,
} from '../../build/generated/layout.ts';
import type { FromClock, FromCompiler, FromHart, FromIo, ToClock, ToCompiler, ToHart, ToIo } from '../../workers/protocol.ts';
import { makeWaitForChange } from '../../workers/wait.ts';
import { ConsoleStream } from './console.ts';
import { MachineError } from './errors.ts';
import type { MachineHost, WorkerHandle } from './host.ts';
import { checkConsoleSize, checkRamRange, planBoot, type BootOptions, type BootPlan } from './options.ts';
import { StatisticsReader, type Statistics } from './statistics.ts';
import { Transcript, type WaitOptions } from './transcript.ts';

export type MachineState = 'loading' | 'running' | 'paused' | 'ended' | 'failed';

export interface MachineExit {
  reason: 'poweroff' | 'reboot' | 'crashed' | 'exited' | 'terminated' | 'failed';
  /** The exit code of a bare-metal program; 0 where there is none. */
  code: number;
  /** With reason 'failed'. */
  error?: MachineError;
}

const kReasons: Record<number, MachineExit['reason']> = {
  [kPowerOff]: 'poweroff',
  [kPowerReboot]: 'reboot',
  [kPowerCrashed]: 'crashed',
  [kPowerExited]: 'exited',
};
const kEndings: Record<MachineExit['reason'], string> = {
  poweroff: 'powered off',
  reboot: 'rebooted',
  crashed: 'crashed',
  exited: 'exited',
  terminated: 'was terminated',
  failed: 'failed',
};

const kMiB = 1 << 20;

/** What exists only while the machine does. */
interface Running {
  memory: WebAssembly.Memory;
  shared: number;
  statistics: StatisticsReader;
  /**
   * Those between the compiler and the harts. Ours no longer, but kept: when Firefox collects the object of a port that was
   * posted elsewhere, what is under way on that port loses its WebAssembly.Modules and cannot be read any more.
   */
  ports: MessagePort[];
}

export class Machine {
  /** The guest's console. */
  readonly console: ConsoleStream;
  /** What the 16550 prints where it is not the console; it takes no input then. */
  readonly serial: ConsoleStream;
  readonly harts: number;
  /** MiB of guest RAM. */
  readonly memory: number;
  /** Never rejects. */
  readonly exited: Promise<MachineExit>;
  /** Called when the machine fails: a worker crashed, the core found a bug of its own. */
  onerror: ((error: MachineError) => void) | null;

  private readonly options: BootOptions;
  private readonly transcript = new Transcript();
  private readonly epoch: number;
  private readonly io: WorkerHandle<ToIo, FromIo>;
  private readonly hartWorkers: WorkerHandle<ToHart, FromHart>[];
  private readonly clock: WorkerHandle<ToClock, FromClock>;
  private readonly host: MachineHost;
  private readonly hasCompiler: boolean;
  private compiler: WorkerHandle<ToCompiler, FromCompiler> | null = null;
  private readonly pings = new Map<number, () => void>();
  private readonly started: Promise<void>;
  private settleStart!: { resolve: () => void; reject: (error: MachineError) => void };
  private settleExit!: (exit: MachineExit) => void;
  private current: MachineState = 'loading';
  private running: Running | null = null;
  /** Guest RAM, as long as it can be read. */
  private ram: Uint8Array | null = null;
  private lastStatistics: Statistics | null = null;
  private module: WebAssembly.Module | null = null;
  private readyWorkers = 0;
  private filesReady = false;
  private nextPing = 1;

  /**
   * Starts a machine; resolves when its harts run. Rejects with MachineError: 'bad-option' and 'no-shared-memory' before
   * anything was started, else with everything taken down again.
   */
  static async boot(options: BootOptions, host: MachineHost): Promise<Machine> {
    const plan = planBoot(options, host.files, host.baseUrl);
    host.checkSupport();
    const machine = new Machine(options, plan, host);
    await machine.started;
    return machine;
  }

  private constructor(options: BootOptions, plan: BootPlan, host: MachineHost) {
    this.options = options;
    this.host = host;
    this.hasCompiler = plan.configuration.compiler;
    this.onerror = options.onError ?? null;
    this.harts = plan.configuration.harts;
    this.memory = plan.configuration.memory;
    this.epoch = performance.timeOrigin + performance.now();
    this.exited = new Promise((resolve) => (this.settleExit = resolve));
    this.started = new Promise((resolve, reject) => (this.settleStart = { resolve, reject }));
    this.started.catch(() => {}); // boot() hears of it
    this.console = new ConsoleStream((bytes) => this.send({ type: 'input', bytes }));
    this.serial = new ConsoleStream(() => {});

    // The io worker first: it has the longest way to go, and its files can arrive while the others start.
    this.io = host.startWorker('io', 'hartwood io');
    this.io.onMessage = (message) => this.fromIo(message);
    this.io.onError = (message) => this.crash('The io worker', message);
    this.io.post({ type: 'load', files: plan.files, epoch: this.epoch });
    this.hartWorkers = Array.from({ length: this.harts }, (_, hart) => {
      const worker = host.startWorker<ToHart, FromHart>('hart', `hartwood hart ${hart}`);
      worker.onMessage = (message) => this.fromHart(hart, message);
      worker.onError = (message) => this.crash(`The worker of hart ${hart}`, message);
      return worker;
    });
    this.clock = host.startWorker('clock', 'hartwood clock');
    this.clock.onMessage = (message) => this.fromClock(message);
    this.clock.onError = (message) => this.crash('The clock worker', message);

    if (options.size !== undefined) this.resize(options.size.columns, options.size.rows);
    host.compileCore().then(
      (module) => {
        if (this.over) return;
        this.module = module;
        this.io.post({ type: 'create', module, configuration: plan.configuration });
      },
      (error: unknown) => this.fail(asMachineError(error)),
    );
  }

  get state(): MachineState {
    return this.current;
  }

  /** Resolves with the first match in what the console printed since the last match. */
  waitFor(pattern: RegExp | string, options?: WaitOptions): Promise<RegExpExecArray> {
    return this.transcript.waitFor(pattern, options);
  }

  /** Tells the guest its console's size in characters. */
  resize(columns: number, rows: number): void {
    this.send({ type: 'resize', ...checkConsoleSize(columns, rows) });
  }

  /** Instructions, speed, memory. After the end: the last ones. */
  stat(): Statistics {
    if (this.running !== null) this.lastStatistics = this.running.statistics.read(performance.now());
    return this.lastStatistics ?? { uptime: 0, instructions: 0, mips: 0, memory: 0, harts: [], compiler: null };
  }

  /** Stops every hart until resume(). The guest's clock runs on. */
  pause(): void {
    if (this.current !== 'running') return;
    this.current = 'paused';
    this.eachHart((words) => raise(words, kAttentionStop));
  }

  resume(): void {
    if (this.current !== 'paused') return;
    this.current = 'running';
    this.eachHart((words) => Atomics.and(words, HartShared_attention / 4, ~kAttentionStop));
    // One that has not looked yet runs on and takes no notice of this.
    for (const worker of this.hartWorkers) worker.post({ type: 'run' });
  }

  /**
   * Sends a message to a hart's worker and waits for its answer; resolves with the milliseconds that took. A hart answers
   * while its guest runs at full speed, because it leaves the core for mail.
   */
  ping(hart: number): Promise<number> {
    const worker = this.hartWorkers[hart];
    if (this.running === null || worker === undefined) {
      return Promise.reject(new MachineError('ended', `There is no running hart ${hart}.`));
    }
    const id = this.nextPing++;
    const sent = performance.now();
    return new Promise((resolve) => {
      this.pings.set(id, () => resolve(performance.now() - sent));
      worker.post({ type: 'ping', id }); // first the message, then the count, then the bit
      this.touchHart(hart, (words) => {
        Atomics.add(words, HartShared_mail_posted / 4, 1);
        raise(words, kAttentionMail);
      });
    });
  }

  /**
   * A copy of guest RAM: `length` bytes from the physical address on, of which kRamBase is the first. Harts that still run
   * may change it while it is copied; to stop them, pause() and then ping() each of them. After the machine's end this needs
   * the option keepMemory. Throws MachineError: 'bad-option' for bytes that are not RAM, 'ended' without memory.
   */
  readMemory(address: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.ram === null) {
      throw new MachineError('ended', this.over
        ? 'The machine has ended and its memory is gone; the option keepMemory keeps it.'
        : 'The machine has no memory yet.');
    }
    const offset = checkRamRange(address, length, this.ram.length);
    return this.ram.slice(offset, offset + length);
  }

  /** Ends the machine at once, as if its power cord was pulled. After the end: gives memory back that was kept. */
  terminate(): void {
    if (this.over) this.dropMemory();
    this.finish({ reason: 'terminated', code: 0 });
  }

  private get over(): boolean {
    return this.current === 'ended' || this.current === 'failed';
  }

  private send(message: ToIo): void {
    if (!this.over) this.io.post(message);
  }

  private fromIo(message: FromIo): void {
    if (this.over) return;
    switch (message.type) {
      case 'progress':
        this.options.onProgress?.({ kind: message.kind, loaded: message.loaded, total: message.total });
        break;
      case 'created':
        this.created(message);
        break;
      case 'started':
        this.filesReady = true;
        this.maybeRun();
        break;
      case 'output':
        this.output(message.from, message.bytes);
        break;
      case 'log':
        this.options.onLog?.(message.level, message.text);
        break;
      case 'ended':
        this.finish({ reason: kReasons[message.power] ?? 'crashed', code: message.exitCode });
        break;
      case 'error':
        this.fail(MachineError.from(message.error));
        break;
    }
  }

  private created({ memory, shared, ram, hartStacks, clockStack, compilerStack }: Extract<FromIo, { type: 'created' }>): void {
    const module = this.module;
    if (module === null) return;
    const ports: MessagePort[] = [];
    this.running = { memory, shared, statistics: this.readerOf(memory, shared), ports };
    this.ram = new Uint8Array(memory.buffer, ram, this.memory * kMiB);
    const common = { type: 'start', module, memory, shared, epoch: this.epoch } as const;
    const compilerPorts: MessagePort[] = [];
    this.hartWorkers.forEach((worker, hart) => {
      const stack = hartStacks[hart];
      if (stack === undefined) return;
      if (!this.hasCompiler) {
        worker.post({ ...common, stack, hart, translations: null });
      } else {
        const { port1, port2 } = new MessageChannel();
        compilerPorts.push(port1);
        ports.push(port1, port2);
        worker.post({ ...common, stack, hart, translations: port2 }, [port2]);
      }
    });
    this.clock.post({ ...common, stack: clockStack });
    if (this.hasCompiler) {
      this.startCompiler({ ...common, stack: compilerStack, harts: compilerPorts }).catch((error: unknown) => this.fail(asMachineError(error)));
    }
  }

  /** Its worker exists only when there is something to compile: a boot has better uses for processors. */
  private async startCompiler(start: ToCompiler): Promise<void> {
    const requests = (start.shared + MachineShared_compiler + CompilerStatistics_requests) / 4;
    const words = new Int32Array(start.memory.buffer);
    const wait = makeWaitForChange();
    while (Atomics.load(words, requests) === 0) await wait(words, requests, 0);
    if (this.over) return;
    this.compiler = this.host.startWorker<ToCompiler, FromCompiler>('compiler', 'hartwood compiler');
    this.compiler.onMessage = (message) => this.fromCompiler(message);
    this.compiler.onError = (message) => this.crash('The compiler worker', message);
    this.compiler.post(start, start.harts);
  }

  private readerOf(memory: WebAssembly.Memory, shared: number): StatisticsReader {
    return new StatisticsReader(memory.buffer, shared, this.harts, this.hasCompiler, performance.now());
  }

  private maybeRun(): void {
    if (!this.filesReady || this.readyWorkers < this.harts + 1 || this.running === null) return;
    const { memory, shared } = this.running;
    this.running.statistics = this.readerOf(memory, shared);
    this.current = 'running';
    for (const worker of this.hartWorkers) worker.post({ type: 'run' });
    this.clock.post({ type: 'run' });
    this.settleStart.resolve();
  }

  private fromHart(hart: number, message: FromHart): void {
    if (this.over) return;
    switch (message.type) {
      case 'pong':
        this.pings.get(message.id)?.();
        this.pings.delete(message.id);
        break;
      case 'stopped':
        // A resume may have overtaken the stop: then the hart must not stay out.
        if (this.current === 'running') this.hartWorkers[hart]?.post({ type: 'run' });
        break;
      default:
        this.fromClock(message);
    }
  }

  private fromClock(message: FromClock): void {
    if (this.over) return;
    if (message.type === 'ready') {
      this.readyWorkers++;
      this.maybeRun();
    } else if (message.type !== 'ended') {
      this.fromCompiler(message);
    }
  }

  private fromCompiler(message: FromCompiler): void {
    if (this.over) return;
    if (message.type === 'log') this.options.onLog?.(message.level, message.text);
    else this.fail(MachineError.from(message.error));
  }

  private output(from: 'console' | 'serial', bytes: Uint8Array): void {
    if (from === 'console') this.transcript.append(bytes);
    const stream = from === 'console' ? this.console : this.serial;
    void stream.deliver(bytes).then(() => this.send({ type: 'consumed', bytes: bytes.length }));
  }

  private eachHart(action: (words: Int32Array) => void): void {
    for (let hart = 0; hart < this.harts; hart++) this.touchHart(hart, action);
  }

  private touchHart(hart: number, action: (words: Int32Array) => void): void {
    if (this.running === null) return;
    const { memory, shared } = this.running;
    action(new Int32Array(memory.buffer, shared + MachineShared_harts + hart * sizeof_HartShared, sizeof_HartShared / 4));
  }

  private crash(who: string, message: string): void {
    if (!this.over) this.fail(new MachineError('worker-crashed', `${who} failed: ${message}.`));
  }

  private fail(error: MachineError): void {
    if (this.over) return;
    this.finish({ reason: 'failed', code: 0, error });
    this.onerror?.(error);
  }

  private finish(exit: MachineExit): void {
    if (this.over) return;
    this.stat();
    const booting = this.current === 'loading';
    this.current = exit.reason === 'failed' ? 'failed' : 'ended';
    this.tearDown();
    if (exit.reason === 'terminated' || this.options.keepMemory !== true) this.dropMemory();
    if (this.lastStatistics !== null) {
      this.lastStatistics = {
        ...this.lastStatistics, mips: 0, memory: this.ram?.buffer.byteLength ?? 0,
        harts: this.lastStatistics.harts.map((hart) => ({ ...hart, mips: 0, state: 'offline' as const })),
      };
    }
    this.transcript.end(kEndings[exit.reason]);
    this.console.end();
    this.serial.end();
    if (booting) {
      this.settleStart.reject(exit.error ?? new MachineError('ended', `The machine ${kEndings[exit.reason]} before it ran.`));
    }
    this.settleExit(exit);
  }

  private dropMemory(): void {
    this.ram = null;
    if (this.lastStatistics !== null) this.lastStatistics = { ...this.lastStatistics, memory: 0 };
  }

  private tearDown(): void {
    // Chromium lets a busy worker run on for two seconds after terminate(), so first everyone is told to leave the core.
    this.eachHart((words) => raise(words, kAttentionStop));
    if (this.running !== null) {
      const words = new Int32Array(this.running.memory.buffer, this.running.shared, sizeof_MachineShared / 4);
      Atomics.compareExchange(words, MachineShared_power / 4, kPowerOn, kPowerOff);
      for (const offset of [MachineShared_event, MachineShared_clock_word, MachineShared_compiler + CompilerStatistics_requests]) {
        Atomics.add(words, offset / 4, 1);
        Atomics.notify(words, offset / 4);
      }
    }
    for (const worker of [this.io, ...this.hartWorkers, this.clock, ...(this.compiler === null ? [] : [this.compiler])]) {
      worker.onMessage = () => {};
      worker.onError = () => {};
      worker.terminate();
    }
    this.running = null;
    this.module = null;
    this.pings.clear();
  }
}

/** Sets bits of a hart's attention word and wakes it. */
function raise(words: Int32Array, bits: number): void {
  Atomics.or(words, HartShared_attention / 4, bits);
  Atomics.notify(words, HartShared_attention / 4);
}

function asMachineError(error: unknown): MachineError {
  return error instanceof MachineError ? error : new MachineError('core-failed', String(error));
}
