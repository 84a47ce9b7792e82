// SPDX-License-Identifier: Apache-2.0
// The io worker: makes the memory and the machine, brings the files in, carries the console both ways and tells the page
// when the machine ends. It instantiates the core first (constructors run here, once) and lives in its event loop: it
// never blocks and never runs a hart.
import {
  MachineShared_agent_output, MachineShared_console_output, MachineShared_console_room, MachineShared_event, MachineShared_exit_code,
  MachineShared_fatal, MachineShared_fatal_message, MachineShared_power, MachineShared_serial_output, kPowerOn,
  sizeof_MachineShared_fatal_message,
} from '../build/generated/layout.ts';
import { coreError, instantiateCore, sharedString, sharedText, type Core } from './core.ts';
import { IncomingFile, MachineFailure, fileName } from './incoming-file.ts';
import { InputPump, kInputChunk } from './input-pump.ts';
import { describeError } from './platform.ts';
import type {
  ErrorCode, FileKind, FromIo, MachineConfiguration, NamedFile, RestoredHeads, ToIo, WorkerStack,
} from './protocol.ts';
import { RingReader } from './ring-reader.ts';
import { saveSnapshot } from './snapshot-saver.ts';
import { makeWaitForChange } from './wait.ts';

const kFileNumbers: Record<FileKind, number> = { kernel: 0, initrd: 1, firmware: 2, dtb: 3, disk: 4 };

const kMiB = 1 << 20;
const kPage = 65536;
const kMostPages = 65535; // one less than 4 GiB: the largest view that every engine makes
/** What the core needs beside the guest's RAM: its own data, device queues, stacks. */
const kCoreArea = 96 * kMiB;
/** Predecoded pages of a hart; its TLB tables are nine words of 8 bytes for every half page of RAM. */
const kHartArea = 24 * kMiB;
const kTlbShare = 9 / 256;
/** The allocator's overhead and alignment for each file. */
const kStagingSlack = 2 * kPage;

/** Output that the page has not consumed yet: beyond this we leave bytes in the ring, and the guest's writes wait. */
const kOutputWindow = 512 * 1024;
const kOutputChunk = 32 * 1024;
const kMostAgentLine = 1024;
const kDiskPiece = 16 * kMiB;

export type Post = (message: FromIo, transfer?: Transferable[]) => void;

/** Pages of the memory for a machine: decided once, never grown. */
export function memoryPages(configuration: MachineConfiguration, fileSizes: number[]): number {
  const staging = fileSizes.reduce((sum, size) => sum + size + kStagingSlack, 0);
  const ram = configuration.memory * kMiB;
  const bytes = ram + kCoreArea + configuration.harts * (kHartArea + ram * kTlbShare) + staging;
  return Math.ceil(bytes / kPage);
}

export class IoMachine {
  private readonly post: Post;
  private readonly wait = makeWaitForChange();
  private files: IncomingFile[] = [];
  private epoch = 0;
  private core: Core | null = null;
  private memory: WebAssembly.Memory | null = null;
  private readonly input = new InputPump((error) => this.fail(error));
  private unconsumed = 0;
  private consumed: (() => void) | null = null;
  private size: { columns: number; rows: number } | null = null;
  /** Of a restored machine that waits for its memory. */
  private go: ((follow: boolean) => void) | null = null;
  private flushAll: () => void = () => {};
  /** Nothing may change the machine. */
  private frozen = false;

  constructor(post: Post) {
    this.post = post;
  }

  receive(message: ToIo): void {
    switch (message.type) {
      case 'load':
        this.load(message.files, message.epoch);
        break;
      case 'create':
        this.create(message.module, message.configuration).catch((error) => this.fail(error));
        break;
      case 'restore':
        this.restore(message.module, message.configuration, message.snapshots, message.lazy).catch((error) => this.fail(error));
        break;
      case 'go':
        this.guarded(() => this.go?.(message.follow));
        break;
      case 'pause':
        this.core?.exports.hw_stop_clock();
        break;
      case 'agent':
        this.guarded(() => this.tellAgent(message.line));
        break;
      case 'freeze':
      case 'thaw':
      case 'save':
        this.answer(message).catch((error) => this.fail(error));
        break;
      case 'input':
        this.input.push(message.bytes);
        break;
      case 'resize':
        this.size = { columns: message.columns, rows: message.rows };
        this.guarded(() => this.resize());
        break;
      case 'consumed':
        this.unconsumed -= message.bytes;
        if (this.unconsumed < kOutputWindow) this.consumed?.();
        break;
    }
  }

  private load(files: NamedFile[], epoch: number): void {
    this.epoch = epoch;
    this.files = files.map(
      (file) =>
        new IncomingFile(file, (loaded, total) => this.post({ type: 'progress', kind: file.kind, loaded, total })),
    );
  }

  private async create(module: WebAssembly.Module, configuration: MachineConfiguration): Promise<void> {
    const sizes = await Promise.all(this.files.map((file) => file.size));
    const core = this.makeCore(module, configuration, sizes);
    this.makeMachine(core, configuration);
    this.announce(core, configuration.harts, '');
    await this.placeFiles(core, sizes);
    if (core.exports.hw_machine_start() !== 0) throw this.coreFailure(core, 'bad-file');
    this.begin(core);
  }

  private async restore(
    module: WebAssembly.Module, configuration: MachineConfiguration, { heads, diskBytes, follow }: RestoredHeads, lazy: boolean,
  ): Promise<void> {
    const core = this.makeCore(module, configuration, [diskBytes, ...heads.map((head) => 2 * head.length)]);
    const { exports, bytes } = core;
    // First these, whose checksums cover the configuration too.
    for (const head of heads) {
      const at = this.allocate(core, head.length, 'the snapshot');
      bytes.set(head, at);
      const taken = exports.hw_restore_head(at, head.length);
      exports.hw_release(at);
      if (taken !== 0) throw this.coreFailure(core, 'bad-snapshot');
    }
    this.makeMachine(core, configuration);
    if (exports.hw_restore_start(lazy ? 1 : 0) !== 0) throw this.coreFailure(core, 'bad-snapshot');
    this.announce(core, configuration.harts, sharedText(bytes, exports.hw_restore_notes_at() >>> 0, exports.hw_restore_notes() >>> 0));
    this.go = (followNow) => {
      this.go = null;
      exports.hw_thaw(followNow ? 1 : 0);
      this.begin(core);
      exports.hw_tell_agent_time(followNow ? 1 : 0);
    };
    if (lazy) this.go(follow);
  }

  /** The memory, and the core in it. */
  private makeCore(module: WebAssembly.Module, configuration: MachineConfiguration, sizes: number[]): Core {
    const memory = makeMemory(memoryPages(configuration, sizes));
    const core = instantiateCore({
      module, memory, epoch: this.epoch, stack: null,
      log: (level, text) => this.post({ type: 'log', level, text }),
    });
    this.memory = memory;
    return core;
  }

  /** A machine without files. */
  private makeMachine(core: Core, configuration: MachineConfiguration): void {
    const json = new TextEncoder().encode(JSON.stringify(configuration));
    const jsonAt = this.allocate(core, json.length, 'the configuration');
    core.bytes.set(json, jsonAt);
    const created = core.exports.hw_machine_create(jsonAt, json.length);
    core.exports.hw_release(jsonAt);
    if (created !== 0) throw this.coreFailure(core, 'core-failed');
  }

  private announce({ exports }: Core, harts: number, notes: string): void {
    if (this.memory === null) return;
    const stack = (number: number): WorkerStack =>
      ({ number, low: exports.hw_stack_low(number) >>> 0, size: exports.hw_stack_size() >>> 0 });
    this.post({
      type: 'created', memory: this.memory, shared: exports.hw_shared() >>> 0, ram: exports.hw_ram() >>> 0, notes,
      hartStacks: Array.from({ length: harts }, (_, hart) => stack(hart + 1)),
      clockStack: stack(harts + 1),
      compilerStack: stack(harts + 2),
      pagerStack: stack(harts + 3),
    });
  }

  /** The machine is ready to run: connects its console and its end. */
  private begin(core: Core): void {
    const { exports, bytes } = core;
    const { buffer } = bytes;
    const shared = exports.hw_shared() >>> 0;
    const inputAt = this.allocate(core, kInputChunk, 'console input');
    this.core = core;
    this.resize();
    const words = new Int32Array(buffer);
    this.input.connect({
      offer: (chunk) => {
        bytes.set(chunk, inputAt);
        return exports.hw_console_input(inputAt, chunk.length) >>> 0;
      },
      words, room: (shared + MachineShared_console_room) / 4, wait: this.wait,
    });
    const rings = [
      { from: 'console', ring: new RingReader(buffer, shared + MachineShared_console_output) },
      { from: 'serial', ring: new RingReader(buffer, shared + MachineShared_serial_output) },
    ] as const;
    this.flushAll = () => {
      for (const { from, ring } of rings) while (this.flush(from, ring));
    };
    const failed = (error: unknown): void => this.fail(error);
    for (const { from, ring } of rings) this.pumpOutput(core, from, ring).catch(failed);
    this.pumpAgent(new RingReader(buffer, shared + MachineShared_agent_output)).catch(failed);
    this.watchPower(core, words, shared).catch(failed);
    this.post({ type: 'started' });
  }

  private tellAgent(line: string): void {
    if (this.core === null || this.frozen) return;
    const text = new TextEncoder().encode(line);
    const at = this.allocate(this.core, text.length + 1, "a line for the guest's agent");
    this.core.bytes.set(text, at);
    this.core.exports.hw_agent_send(at, text.length);
    this.core.exports.hw_release(at);
  }

  private async pumpAgent(ring: RingReader): Promise<never> {
    const decoder = new TextDecoder();
    for (let rest = ''; ;) {
      await ring.ready(this.wait);
      const lines = (rest + decoder.decode(ring.take(), { stream: true })).split('\n');
      rest = (lines.pop() ?? '').slice(-kMostAgentLine);
      for (const line of lines) this.post({ type: 'agent', line });
    }
  }

  private async answer(question: Extract<ToIo, { id: number }>): Promise<void> {
    const { core } = this;
    const { id } = question;
    if (core === null) return;
    switch (question.type) {
      case 'freeze':
        core.exports.hw_freeze(question.since ?? Infinity);
        this.frozen = true;
        this.input.hold();
        this.flushAll();
        this.post({ type: 'answer', id });
        break;
      case 'thaw':
        core.exports.hw_resume_clock();
        core.exports.hw_thaw(question.follow ? 1 : 0);
        this.frozen = false;
        core.exports.hw_console_drained(); // the freeze made room that the pump does not know of
        this.resize();
        this.input.release();
        this.post({ type: 'answer', id });
        core.exports.hw_tell_agent_time(question.follow ? 1 : 0);
        break;
      case 'save':
        try {
          const blob = await saveSnapshot(core, question, () => this.post({ type: 'copied', id }));
          this.post({ type: 'answer', id, blob });
        } catch (error) {
          // The machine is as it was; only the snapshot is none.
          if (!(error instanceof MachineFailure)) throw error;
          this.post({ type: 'answer', id, error: { code: error.code, message: error.message } });
        }
        break;
    }
  }

  private allocate(core: Core, size: number, purpose: string): number {
    const address = core.exports.hw_allocate(size) >>> 0;
    if (address === 0) throw new MachineFailure('out-of-memory', `The core has no room for ${purpose} (${size} bytes).`);
    return address;
  }

  private async placeFiles(core: Core, sizes: number[]): Promise<void> {
    const disks: { address: number; size: number }[] = []; // by the index of their file
    const give = (kind: FileKind, address: number, size: number): void => {
      if (core.exports.hw_machine_file(kFileNumbers[kind], address, size) !== 0) throw this.coreFailure(core, 'bad-file');
    };
    await Promise.all(
      this.files.map(async (file, index) => {
        const size = sizes[index] ?? 0;
        // The core takes blocks of at least a byte; it says itself what it thinks of an empty file.
        const address = this.allocate(core, Math.max(size, 1), `the ${fileName(file.kind)}`);
        await file.place(core.bytes.subarray(address, address + size));
        if (file.kind === 'disk') disks[index] = { address, size };
        else give(file.kind, address, size);
      }),
    );
    // In the order of the files, not in that of their arrival.
    disks.forEach(({ address, size }) => give('disk', address, size));
    this.files = [];
  }

  private coreFailure(core: Core, code: ErrorCode): MachineFailure {
    return new MachineFailure(code, coreError(core));
  }

  private resize(): void {
    if (this.size !== null && !this.frozen) this.core?.exports.hw_console_resize(this.size.columns, this.size.rows);
  }

  /** Posts what lies in the ring; true when there was something. */
  private flush(from: 'console' | 'serial', ring: RingReader): boolean {
    const bytes = ring.take(kOutputChunk);
    if (bytes.length === 0) return false;
    this.unconsumed += bytes.length;
    this.post({ type: 'output', from, bytes }, [bytes.buffer]);
    return true;
  }

  private async pumpOutput(core: Core, from: 'console' | 'serial', ring: RingReader): Promise<never> {
    for (;;) {
      if (this.flush(from, ring)) core.exports.hw_console_drained();
      else await ring.ready(this.wait);
      while (this.unconsumed >= kOutputWindow) {
        await new Promise<void>((resolve) => {
          const before = this.consumed;
          this.consumed = () => {
            this.consumed = null;
            before?.();
            resolve();
          };
        });
      }
    }
  }

  private async watchPower(core: Core, words: Int32Array, shared: number): Promise<void> {
    const at = (offset: number): number => Atomics.load(words, (shared + offset) / 4);
    for (;;) {
      const event = at(MachineShared_event);
      if (at(MachineShared_fatal) !== 0) {
        const text = sharedString(words.buffer, shared + MachineShared_fatal_message, sizeof_MachineShared_fatal_message);
        throw new MachineFailure('core-failed', `Internal error of the machine: ${text}`);
      }
      const power = at(MachineShared_power);
      if (power !== kPowerOn) {
        this.flushAll();
        this.post({ type: 'ended', power, exitCode: at(MachineShared_exit_code), disks: this.copyDisks(core) });
        return;
      }
      await this.wait(words, (shared + MachineShared_event) / 4, event);
    }
  }

  /** What is on the disks when the machine has ended, for a reboot. */
  private copyDisks({ exports, bytes }: Core): Blob[] {
    return Array.from({ length: exports.hw_disks() >>> 0 }, (_, disk) => {
      const begin = exports.hw_disk_at(disk) >>> 0;
      const end = begin + (exports.hw_disk_bytes(disk) >>> 0);
      const pieces: Uint8Array<ArrayBuffer>[] = []; // blobs take no shared memory
      for (let at = begin; at < end; at += kDiskPiece) pieces.push(bytes.slice(at, Math.min(at + kDiskPiece, end)));
      return new Blob(pieces);
    });
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    const { message, detail } = describeError(error);
    const code: ErrorCode = error instanceof MachineFailure ? error.code : 'worker-crashed';
    const text = error instanceof MachineFailure ? message : `The io worker crashed: ${message}`;
    this.post({ type: 'error', error: { code, message: text, detail } });
  }
}

function makeMemory(pages: number): WebAssembly.Memory {
  const mib = Math.ceil((pages * kPage) / kMiB);
  if (pages > kMostPages) {
    throw new MachineFailure('out-of-memory', `This machine needs ${mib} MiB; a browser gives at most 4096 MiB.`);
  }
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw new MachineFailure(
      'out-of-memory',
      `The browser has no ${mib} MiB of memory for this machine. Choose a smaller memory or close other tabs.`,
      { cause: error },
    );
  }
}
