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
import type {
  FileSource, FromClock, FromCompiler, FromHart, FromIo, FromPager, MachineConfiguration, NamedFile, SaveOptions, ToClock, ToCompiler, ToHart, ToIo, ToPager,
} from '../../workers/protocol.ts';
import { makeWaitForChange } from '../../workers/wait.ts';
import { addNotedFiles, cannotReboot, findNotedFiles, noteFiles, readNotedFiles, type NotedFiles } from './boot-files.ts';
import { ConsoleStream } from './console.ts';
import { ConsoleTail, readNotes, writeNotes } from './console-tail.ts';
import { MachineError } from './errors.ts';
import type { MachineHost, WorkerHandle } from './host.ts';
import {
  checkConsoleSize, checkHart, checkRamRange, checkRebootOptions, checkRestoreOptions, checkSteps, compilerConfiguration, kDefaults,
  planBoot, type BootOptions, type BootPlan, type CommonOptions, type DefaultFiles, type RestoreOptions, type SnapshotInput,
  type SnapshotOptions,
} from './options.ts';
import { planRestore, snapshotSources } from './restore.ts';
import { StatisticsReader, type Statistics } from './statistics.ts';
import { Suspension } from './suspension.ts';
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
const kAgentPatienceMs = 30_000;
const kAgentPingMs = 300;
const kPingAgainMs = 50;

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

  /**
   * Resolves when all of a restored machine's memory is here; at once for a booted one. Until then it runs and waits for what
   * it touches; readMemory and snapshot need all of it.
   */
  readonly loaded: Promise<void>;

  private readonly options: CommonOptions;
  private readonly configuration: MachineConfiguration;
  /** What it was booted with, disks apart; null for a restored one, of which only notes are known. */
  private files: NamedFile[] | null = null;
  private noted: NotedFiles | null = null;
  /** After the end, if the guest brought it about: what is on the disks. */
  private disks: Blob[] | null = null;
  private readonly suspension: Suspension;
  private readonly followsWallClock: boolean;
  private readonly tail = new ConsoleTail();
  private readonly transcript = new Transcript();
  private readonly epoch: number;
  private readonly io: WorkerHandle<ToIo, FromIo>;
  private readonly hartWorkers: WorkerHandle<ToHart, FromHart>[];
  private readonly clock: WorkerHandle<ToClock, FromClock>;
  private readonly host: MachineHost;
  private readonly hasCompiler: boolean;
  private compiler: WorkerHandle<ToCompiler, FromCompiler> | null = null;
  private readonly pager: WorkerHandle<ToPager, FromPager> | null;
  private readonly lazy: boolean;
  private allHere: boolean;
  private settleLoaded!: () => void;
  private readonly asked = new Map<number, { resolve: (blob: Blob | undefined) => void; reject: (error: MachineError) => void }>();
  private readonly copied = new Map<number, () => void>();
  /** When the browser stopped the page, by the machine's epoch; null: it did not, or the clock knows. */
  private frozenAt: number | null = null;
  private readonly unwatchFreezing: () => void;
  /** Somebody paused the machine, which the end of a snapshot does not undo. */
  private pauseAsked = false;
  /** Resolves when no snapshot copies memory any more: nothing may change until then. */
  private copying: Promise<void> = Promise.resolve();
  /** The last snapshot; the core makes one at a time. */
  private saving: Promise<unknown> = Promise.resolve();
  private fresh = false;
  private agentSaid: ((line: string) => void) | null = null;
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
  private nextNumber = 1;

  /**
   * Starts a machine; resolves when its harts run. Rejects with MachineError: 'bad-option' and 'no-shared-memory' before
   * anything was started, else with everything taken down again.
   */
  static async boot(options: BootOptions, host: MachineHost): Promise<Machine> {
    return Machine.bootPlan(planBoot(options, host.files, host.baseUrl), options, host);
  }

  private static async bootPlan(plan: BootPlan, options: CommonOptions, host: MachineHost): Promise<Machine> {
    host.checkSupport();
    mustBeWanted(options.signal);
    const machine = new Machine(options, plan, host, startWorkers(host, plan.configuration.harts));
    await machine.started;
    return machine;
  }

  /**
   * Goes on with a machine that was saved: `source` is a snapshot, or a snapshot and increments to it. Resolves when its
   * harts run, which is long before all of its memory is here, unless `lazy` is false. Rejects as boot does, and with
   * 'bad-snapshot' for what is damaged, newer, or no snapshot.
   */
  static async restore(source: SnapshotInput | readonly SnapshotInput[], options: RestoreOptions, host: MachineHost): Promise<Machine> {
    return Machine.restoreFrom(snapshotSources(source, options, host.baseUrl), options, host);
  }

  /**
   * The machine that boot() would make by default, at its first prompt at once: from a snapshot that comes with the page.
   * What it printed until then comes first on the console.
   */
  static async instant(options: RestoreOptions, host: MachineHost): Promise<Machine> {
    checkRestoreOptions(options);
    const { snapshot } = host.files;
    if (snapshot === null) throw new MachineError('bad-option', 'No snapshot comes with this page.');
    return Machine.restoreFrom([snapshot], options, host, defaultFiles(host.files));
  }

  /** `instantFiles`: of Machine.instant: what the machine was booted with. */
  private static async restoreFrom(
    sources: FileSource[], options: RestoreOptions, host: MachineHost, instantFiles: NamedFile[] | null = null,
  ): Promise<Machine> {
    host.checkSupport();
    mustBeWanted(options.signal);
    host.compileCore().catch(() => {}); // begins now; the constructor hears of a failure
    const pager = host.startWorker<ToPager, FromPager>('pager', 'hartwood pager');
    // How many harts there are is in the snapshot; starting workers takes as long as its head does.
    const workers = startWorkers(host, kDefaults.harts);
    let plan: BootPlan;
    try {
      plan = planRestore(await openHeads(pager, sources, options.signal), options);
    } catch (error) {
      for (const worker of [pager, workers.io, workers.clock, ...workers.harts]) worker.terminate();
      throw error;
    }
    const { harts } = plan.configuration;
    while (workers.harts.length < harts) workers.harts.push(startHart(host, workers.harts.length));
    for (const worker of workers.harts.splice(harts)) worker.terminate();
    const machine = new Machine(options, plan, host, workers, pager);
    // Nobody has read what an instant machine printed before, so waitFor finds it.
    machine.fresh = instantFiles !== null;
    if (instantFiles !== null) machine.knowFiles(instantFiles);
    await machine.started;
    return machine;
  }

  private constructor(
    options: CommonOptions, plan: BootPlan, host: MachineHost, workers: Workers, pager: WorkerHandle<ToPager, FromPager> | null = null,
  ) {
    this.options = options;
    this.configuration = plan.configuration;
    this.host = host;
    this.hasCompiler = plan.configuration.compiler;
    this.onerror = options.onError ?? null;
    this.harts = plan.configuration.harts;
    this.memory = plan.configuration.memory;
    this.epoch = performance.timeOrigin + performance.now();
    this.exited = new Promise((resolve) => (this.settleExit = resolve));
    this.started = new Promise((resolve, reject) => (this.settleStart = { resolve, reject }));
    this.started.catch(() => {}); // boot() hears of it
    this.pager = pager;
    this.lazy = plan.restore?.lazy ?? false;
    this.allHere = pager === null;
    this.loaded = new Promise((resolve) => (this.settleLoaded = resolve));
    if (this.allHere) this.settleLoaded();
    this.followsWallClock = options.clock !== 'stop';
    this.suspension = new Suspension({
      harts: this.harts,
      stopHart: (hart) => this.touchHart(hart, (words) => raise(words, kAttentionStop)),
      releaseHart: (hart) => this.touchHart(hart, (words) => void Atomics.and(words, HartShared_attention / 4, ~kAttentionStop)),
      runHart: (hart) => this.hartWorkers[hart]?.post({ type: 'run' }),
      stepHart: (hart, count) => this.hartWorkers[hart]?.post({ type: 'step', count }),
      stopClock: () => this.send({ type: 'pause' }),
      runClock: () => this.clock.post({ type: 'run' }),
      freeze: async () => {
        const { frozenAt } = this;
        this.frozenAt = null;
        await this.ask((id) => ({ type: 'freeze', id, ...(frozenAt === null ? {} : { since: frozenAt }) }));
      },
      thaw: async () => void (await this.ask((id) => ({ type: 'thaw', id, follow: this.followsWallClock }))),
    });
    this.unwatchFreezing = host.watchFreezing?.((frozen) => this.pageFreezes(frozen)) ?? ((): void => {});
    this.console = new ConsoleStream((bytes) => this.send({ type: 'input', bytes }));
    this.serial = new ConsoleStream(() => {});

    this.io = workers.io;
    this.io.onMessage = (message) => this.fromIo(message);
    this.io.onError = (message) => this.crash('The io worker', message);
    this.io.post({ type: 'load', files: plan.files, epoch: this.epoch });
    this.hartWorkers = workers.harts;
    for (const [hart, worker] of this.hartWorkers.entries()) {
      worker.onMessage = (message) => this.fromHart(hart, message);
      worker.onError = (message) => this.crash(`The worker of hart ${hart}`, message);
    }
    this.clock = workers.clock;
    this.clock.onMessage = (message) => this.fromClock(message);
    this.clock.onError = (message) => this.crash('The clock worker', message);

    if (options.size !== undefined) this.resize(options.size.columns, options.size.rows);
    if (plan.restore === undefined) this.knowFiles(plan.files.filter(({ kind }) => kind !== 'disk'));
    const abort = (): void => {
      if (this.current === 'loading') this.terminate();
    };
    options.signal?.addEventListener('abort', abort);
    void this.started.catch(() => {}).then(() => options.signal?.removeEventListener('abort', abort));
    host.compileCore().then(
      (module) => {
        if (this.over) return;
        this.module = module;
        const { configuration, restore } = plan;
        this.io.post(restore === undefined
          ? { type: 'create', module, configuration }
          : {
              type: 'restore', module, configuration, lazy: this.lazy,
              snapshots: { heads: restore.heads, diskBytes: restore.diskBytes, follow: this.followsWallClock },
            });
      },
      (error: unknown) => this.fail(asMachineError(error)),
    );
  }

  get state(): MachineState {
    return this.current;
  }

  private knowFiles(files: NamedFile[]): void {
    this.files = files;
    this.noted = noteFiles(files, this.host.files);
  }

  /**
   * After the machine's end: the same machine switched on again, with the same processors, memory, command line and kernel,
   * and with its disks as the guest left them. Whoever shows a machine calls this when it has ended by 'reboot'. Rejects as
   * boot does, and with 'cannot-reboot' where that is not all known: a restored machine whose kernel no address leads to,
   * or disks that are gone because the machine was terminated.
   */
  async reboot(options: CommonOptions = {}): Promise<Machine> {
    checkRebootOptions(options);
    if (!this.over) throw cannotReboot('it has not ended');
    const disks = this.disks ?? [];
    if (disks.length < (this.configuration.disks?.length ?? 0)) throw cannotReboot('its disks are gone');
    const files = this.files ?? findNotedFiles(this.noted, this.host.files);
    return Machine.bootPlan({
      configuration: { ...this.configuration, ...compilerConfiguration(options.compiler) },
      files: [...files, ...disks.map((blob) => ({ kind: 'disk', source: { blob } } as const))],
    }, options, this.host);
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

  /**
   * Stops the machine between two instructions; resolves when it stands still. The guest's time stands still too, and what is
   * typed waits. With `hart`: only that one, while the others and time go on.
   */
  async pause({ hart }: { hart?: number } = {}): Promise<void> {
    if (hart !== undefined) checkHart(hart, this.harts);
    this.mustRun();
    if (hart === undefined) this.pauseAsked = true;
    await this.suspension.pause(hart);
    if (!this.over && this.pauseAsked && this.suspension.paused) this.current = 'paused';
  }

  /**
   * The end of a pause. The guest's wall clock goes on with the host's time, or where it stood, as the option `clock` says;
   * the time that a pause took is in no other clock of the guest.
   */
  async resume({ hart }: { hart?: number } = {}): Promise<void> {
    if (hart !== undefined) checkHart(hart, this.harts);
    this.mustRun();
    if (hart === undefined) this.pauseAsked = false;
    await this.copying;
    if (hart === undefined && this.pauseAsked) return; // paused anew meanwhile
    await this.suspension.resume(hart);
    if (!this.over && !this.suspension.paused) this.current = 'running';
  }

  /**
   * Has a hart that is paused execute exactly `count` instructions, those that trap included. Resolves with how many it
   * executed: fewer where the hart is offline or the machine ends. WFI is an instruction that does nothing here.
   */
  async step(count: number, { hart = 0 }: { hart?: number } = {}): Promise<number> {
    checkHart(hart, this.harts);
    checkSteps(count);
    this.mustRun();
    await this.copying;
    return this.suspension.step(hart, count);
  }

  /**
   * Has the guest give up its caches and make its free memory zero, for a smaller snapshot. Takes a second or two. Rejects
   * with 'timeout' where the guest does not run Hartwood's agent, as the initramfs that comes with the page does.
   */
  async compact(): Promise<void> {
    this.mustRun();
    await this.agentListens();
    await this.askAgent('prepare', 'prepared');
  }

  /**
   * The whole machine as a file, for Machine.restore: memory, processors, devices, disks, and what the console printed last.
   * A machine that runs stands still while its memory is copied; resume() and step() wait for that. `increment`: only what has
   * changed since the machine was last saved or restored; it needs that snapshot to be restored.
   */
  snapshot(options: SnapshotOptions = {}): Promise<Blob> {
    const blob = this.saving.then(() => this.save(options));
    this.saving = blob.catch(() => {});
    return blob;
  }

  private async save(options: SnapshotOptions): Promise<Blob> {
    this.mustRun();
    await Promise.race([this.loaded, this.exited]);
    this.mustRun();
    let allCopied = (): void => {};
    this.copying = new Promise((resolve) => (allCopied = resolve));
    let saved: { blob: Promise<Blob | undefined> };
    try {
      await this.suspension.pause();
      saved = await this.beginSaving(options);
    } finally {
      allCopied();
      if (!this.over && !this.pauseAsked) await this.suspension.resume();
    }
    return (await saved.blob) as Blob;
  }

  /** Resolves when the memory of the machine, which stands still, is copied; `blob`, when it is packed too. */
  private async beginSaving({ increment = false, order, chunkPages }: SnapshotOptions): Promise<{ blob: Promise<Blob | undefined> }> {
    const save: SaveOptions = {
      notes: addNotedFiles(writeNotes(this.tail.bytes()), this.noted), increment,
      ...(order === undefined ? {} : { order }), ...(chunkPages === undefined ? {} : { chunkPages }),
    };
    let number = 0;
    const blob = this.ask((id) => {
      number = id;
      return { type: 'save', id, ...save };
    });
    const copied = new Promise<void>((resolve) => this.copied.set(number, resolve));
    try {
      await Promise.race([copied, blob]);
    } finally {
      this.copied.delete(number);
    }
    return { blob };
  }

  /**
   * The browser stops all workers wherever they are, for minutes. For the guest that is a pause: else its clocks would jump,
   * and its kernel take its processors for hung. The stop bits are set before the browser does it; all else is done when
   * the page goes on.
   */
  private pageFreezes(frozen: boolean): void {
    if (this.over || this.current === 'loading') return;
    if (frozen) {
      this.frozenAt = performance.timeOrigin + performance.now() - this.epoch;
      this.suspension.pause().catch(() => {}); // the machine ended
      return;
    }
    void this.copying.then(() => {
      if (this.over || this.pauseAsked) return;
      this.suspension.resume().catch(() => {});
    });
  }

  private mustRun(): void {
    if (this.over || this.current === 'loading') throw new MachineError('ended', 'The machine does not run.');
  }

  private ask(question: (id: number) => ToIo): Promise<Blob | undefined> {
    const id = this.nextNumber++;
    return new Promise((resolve, reject) => {
      if (this.over) reject(this.goneError());
      this.asked.set(id, { resolve, reject });
      this.send(question(id));
    });
  }

  /** Resolves when the guest's agent has said `expected`. */
  private askAgent(line: string, expected: string, patienceMs = kAgentPatienceMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (why: string): void => {
        clearTimeout(patience);
        this.agentSaid = null;
        reject(new MachineError('timeout', why));
      };
      const patience = setTimeout(() => failed("The guest's agent did not answer; the guest may run none."), patienceMs);
      this.agentSaid = (said) => {
        // Answers to others' questions, and late ones, are none to this.
        if (said !== expected) {
          if (said.startsWith('error ')) failed(`The guest's agent says: ${said}`);
          return;
        }
        clearTimeout(patience);
        this.agentSaid = null;
        resolve();
      };
      this.send({ type: 'agent', line });
    });
  }

  /** The guest's agent listens. It begins to a little after the first prompt; what it is told before that is lost. */
  private async agentListens(): Promise<void> {
    const begin = performance.now();
    for (;;) {
      try {
        await this.askAgent('ping', 'pong', kAgentPingMs);
        return;
      } catch (error) {
        if (this.over || performance.now() - begin > kAgentPatienceMs) throw error;
      }
    }
  }

  private goneError(): MachineError {
    return new MachineError('ended', 'The machine has ended.');
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
    const id = this.nextNumber++;
    const sent = performance.now();
    return new Promise((resolve) => {
      worker.post({ type: 'ping', id }); // first the message, then the count, then the bit
      this.touchHart(hart, (words) => {
        Atomics.add(words, HartShared_mail_posted / 4, 1);
        raise(words, kAttentionMail);
      });
      // A message that arrives later than the turn that the hart gave it finds the hart asleep again.
      const again = setInterval(() => this.touchHart(hart, (words) => raise(words, kAttentionMail)), kPingAgainMs);
      this.pings.set(id, () => {
        clearInterval(again);
        resolve(performance.now() - sent);
      });
      void this.exited.then(() => clearInterval(again));
    });
  }

  /**
   * A copy of guest RAM: `length` bytes from the physical address on, of which kRamBase is the first. Harts that still run
   * may change it while it is copied; pause() stops them. After the machine's end this needs the option keepMemory. Throws
   * MachineError: 'bad-option' for bytes that are not RAM, 'ended' without memory, 'not-loaded' while a restored machine's
   * memory is still on its way (see `loaded`).
   */
  readMemory(address: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.ram === null) {
      throw new MachineError('ended', this.over
        ? 'The machine has ended and its memory is gone; the option keepMemory keeps it.'
        : 'The machine has no memory yet.');
    }
    if (!this.allHere) throw new MachineError('not-loaded', 'Not all of the machine\'s memory is here yet; await machine.loaded.');
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
      case 'agent':
        this.agentSaid?.(message.line);
        break;
      case 'copied':
        this.copied.get(message.id)?.();
        break;
      case 'answer': {
        const asked = this.asked.get(message.id);
        this.asked.delete(message.id);
        if (message.error !== undefined) asked?.reject(MachineError.from(message.error));
        else asked?.resolve(message.blob);
        break;
      }
      case 'log':
        this.options.onLog?.(message.level, message.text);
        break;
      case 'ended':
        this.disks = message.disks;
        this.finish({ reason: kReasons[message.power] ?? 'crashed', code: message.exitCode });
        break;
      case 'error':
        this.fail(MachineError.from(message.error));
        break;
    }
  }

  private created(message: Extract<FromIo, { type: 'created' }>): void {
    const { memory, shared, ram, hartStacks, clockStack, compilerStack, pagerStack, notes } = message;
    const module = this.module;
    if (module === null) return;
    this.noted ??= readNotedFiles(notes);
    const printed = readNotes(notes);
    if (printed.length > 0) {
      this.tail.append(printed);
      if (this.fresh) this.transcript.append(printed);
      void this.console.deliver(printed);
    }
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
    if (this.pager !== null) {
      this.pager.onMessage = (answer) => this.fromPager(answer);
      this.pager.onError = (text) => this.crash('The pager', text);
      this.pager.post({ ...common, stack: pagerStack, lazy: this.lazy, record: false });
    }
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
    this.suspension.begin();
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
        this.suspension.hartIsOut(hart);
        break;
      case 'stepped':
        this.suspension.hartHasStepped(message.count);
        break;
      case 'ended':
        break; // the io worker tells of the machine's end
      default:
        this.fromClock(message);
    }
  }

  private fromClock(message: FromClock): void {
    if (this.over) return;
    if (message.type === 'ready') {
      this.readyWorkers++;
      this.maybeRun();
    } else if (message.type === 'ended') {
      this.suspension.clockIsOut();
    } else {
      this.fromCompiler(message);
    }
  }

  private fromPager(message: FromPager): void {
    if (this.over) return;
    switch (message.type) {
      case 'progress':
        this.options.onProgress?.({ kind: 'snapshot', loaded: message.loaded, total: message.total });
        break;
      case 'loaded':
        this.allHere = true;
        if (!this.lazy) this.send({ type: 'go', follow: this.followsWallClock });
        this.pager?.terminate();
        this.settleLoaded();
        break;
      case 'log':
      case 'error':
        this.fromCompiler(message);
        break;
    }
  }

  private fromCompiler(message: FromCompiler): void {
    if (this.over) return;
    if (message.type === 'log') this.options.onLog?.(message.level, message.text);
    else this.fail(MachineError.from(message.error));
  }

  private output(from: 'console' | 'serial', bytes: Uint8Array): void {
    if (from === 'console') {
      this.transcript.append(bytes);
      this.tail.append(bytes);
    }
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
    const others = [this.compiler, this.pager].filter((worker) => worker !== null);
    for (const worker of [this.io, ...this.hartWorkers, this.clock, ...others]) {
      worker.onMessage = () => {};
      worker.onError = () => {};
      worker.terminate();
    }
    this.unwatchFreezing();
    this.running = null;
    this.module = null;
    this.pings.clear();
    for (const { reject } of this.asked.values()) reject(this.goneError());
    this.asked.clear();
    this.suspension.end(this.goneError());
  }
}

interface Workers {
  io: WorkerHandle<ToIo, FromIo>;
  harts: WorkerHandle<ToHart, FromHart>[];
  clock: WorkerHandle<ToClock, FromClock>;
}

const startHart = (host: MachineHost, hart: number): WorkerHandle<ToHart, FromHart> =>
  host.startWorker('hart', `hartwood hart ${hart}`);

/** The io worker first: it has the longest way to go, and its files can arrive while the others start. */
function startWorkers(host: MachineHost, harts: number): Workers {
  return {
    io: host.startWorker('io', 'hartwood io'),
    harts: Array.from({ length: harts }, (_, hart) => startHart(host, hart)),
    clock: host.startWorker('clock', 'hartwood clock'),
  };
}

const unwanted = (): MachineError => new MachineError('ended', 'Nobody wants the machine any more.');

function mustBeWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw unwanted();
}

/** Those of the machine of boot()'s defaults. */
function defaultFiles({ kernel, initrd }: DefaultFiles): NamedFile[] {
  return [
    ...(kernel === null ? [] : [{ kind: 'kernel', source: kernel } as const]),
    ...(initrd === null ? [] : [{ kind: 'initrd', source: initrd } as const]),
  ];
}

/** The heads of snapshots, by a pager that keeps the rest for itself. */
function openHeads(
  pager: WorkerHandle<ToPager, FromPager>, sources: FileSource[], signal: AbortSignal | undefined,
): Promise<Extract<FromPager, { type: 'heads' }>> {
  return new Promise((resolve, reject) => {
    pager.onMessage = (message) => {
      if (message.type === 'heads') resolve(message);
      if (message.type === 'error') reject(MachineError.from(message.error));
    };
    pager.onError = (message) => reject(new MachineError('worker-crashed', `The pager failed: ${message}.`));
    signal?.addEventListener('abort', () => reject(unwanted()), { once: true });
    pager.post({ type: 'open', sources });
  });
}

/** Sets bits of a hart's attention word and wakes it. */
function raise(words: Int32Array, bits: number): void {
  Atomics.or(words, HartShared_attention / 4, bits);
  Atomics.notify(words, HartShared_attention / 4);
}

function asMachineError(error: unknown): MachineError {
  return error instanceof MachineError ? error : new MachineError('core-failed', String(error));
}
