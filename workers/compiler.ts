// SPDX-License-Identifier: Apache-2.0
// The compiler's loop: takes translated regions out of the core as WebAssembly bytes, has the engine compile them and posts
// the Modules to the harts; and tells the harts which ones to forget. Separate from the worker so that tests can drive it
// with a core of their own.
//
// It never blocks: while the engine compiles one module in its own threads, the core translates the next. What is ready
// goes out together, because each message makes a hart leave the guest and its event loop turn. Modules reach a hart in any
// order, because each owns its slots of the function table; but a module's drop comes after the module, even if it is
// evicted while the engine still works on it.
import { MachineShared_power, kPowerOn } from '../build/generated/layout.ts';
import type { CoreExports } from './core.ts';
import type { HartMailbox } from './mail.ts';
import type { ToTranslations } from './protocol.ts';
import { describeError } from './platform.ts';
import type { WaitForChange } from './wait.ts';

export type CompilerExports = Pick<
  CoreExports,
  'hw_compiler_word' | 'hw_compile' | 'hw_compiled_bytes' | 'hw_compiled_length' | 'hw_compiled_failed' | 'hw_dropped_next'
  | 'hw_module_slot' | 'hw_module_slots'
>;

/** Milliseconds that a module may wait for others. */
const kPatience = 4;

/** Milliseconds without work after which harts that sleep are made to take their mail, so that they need not when they wake. */
const kQuiet = 30;
/** So often. A hart that is stopped takes nothing. */
const kHurries = 20;

export type Receiver = Pick<HartMailbox, 'post' | 'hurry'>;

/** Makes an engine that compiles functions when they are first called compile all those of a module. */
export type Rehearse = (module: WebAssembly.Module, slot: number, count: number) => void;

export interface CompilerParts {
  exports: CompilerExports;
  buffer: ArrayBufferLike;
  /** Address of struct MachineShared. */
  shared: number;
  harts: readonly Receiver[];
  wait: WaitForChange;
  turn(): Promise<void>;
  /** Without it, each hart waits for the engine when it first calls a function. */
  rehearse?: Rehearse;
  log(level: number, text: string): void;
}

export class Compiler {
  private readonly parts: CompilerParts;
  private readonly bytes: Uint8Array;
  private readonly words: Int32Array;
  /** By id: modules that the engine works on. */
  private readonly inFlight = new Map<number, Promise<void>>();
  /** What the harts are to be told, soon after it has come in. */
  private outbox: ToTranslations[] = [];
  /** Nothing is asked for. */
  private idle = false;
  private quiet: ReturnType<typeof setTimeout> | undefined;
  private fail!: (error: unknown) => void;
  private readonly failure: Promise<never>;

  constructor(parts: CompilerParts) {
    this.parts = parts;
    this.bytes = new Uint8Array(parts.buffer);
    this.words = new Int32Array(parts.buffer);
    this.failure = new Promise((_, reject) => (this.fail = reject));
    this.failure.catch(() => {}); // run() hears of it
  }

  /** Resolves when the machine has ended; rejects when the core or a hart's port fails. */
  run(): Promise<void> {
    return Promise.race([this.serve(), this.failure]);
  }

  private async serve(): Promise<void> {
    const { exports, shared, wait, turn } = this.parts;
    const word = (exports.hw_compiler_word() >>> 0) / 4;
    while (Atomics.load(this.words, (shared + MachineShared_power) / 4) === kPowerOn) {
      const seen = Atomics.load(this.words, word); // before we look: what comes later changes it
      const id = exports.hw_compile() >>> 0;
      if (id !== 0) this.begin(id);
      this.dropEvicted();
      this.idle = id === 0;
      this.sendIfDue();
      if (id === 0) await wait(this.words, word, seen);
      else await turn(); // the engine may have finished something
      this.idle = false;
    }
    await Promise.all(this.inFlight.values());
    this.send();
    clearTimeout(this.quiet);
  }

  private tell(message: ToTranslations): void {
    if (this.outbox.push(message) === 1) setTimeout(() => this.sendSafely(), kPatience);
  }
  /** When there is nothing to wait for. */
  private sendIfDue(): void {
    if (this.idle && this.inFlight.size === 0) this.sendSafely();
  }
  private sendSafely(): void {
    try {
      this.send();
    } catch (error) {
      this.fail(error);
    }
  }
  private send(): void {
    if (this.outbox.length === 0) return;
    const messages = this.outbox;
    this.outbox = [];
    for (const hart of this.parts.harts) hart.post(messages);
    this.hurryLater(kHurries);
  }
  private hurryLater(times: number): void {
    clearTimeout(this.quiet);
    if (times === 0) return;
    this.quiet = setTimeout(() => {
      // All of them, not only the first that has mail.
      const waits = this.parts.harts.map((hart) => hart.hurry());
      if (waits.includes(true)) this.hurryLater(times - 1);
    }, kQuiet);
  }

  /** Hands the module that the core has just made to the engine. */
  private begin(id: number): void {
    const { exports } = this.parts;
    const at = exports.hw_compiled_bytes() >>> 0;
    const copy = this.bytes.slice(at, at + (exports.hw_compiled_length() >>> 0)); // engines take no shared views
    const done = this.publish(id, copy)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.inFlight.delete(id);
        this.sendIfDue();
      });
    this.inFlight.set(id, done);
  }

  private async publish(id: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    let module: WebAssembly.Module;
    try {
      module = await WebAssembly.compile(bytes);
    } catch (error) {
      this.parts.log(0, `The engine refused module ${id} of ${bytes.length} bytes: ${describeError(error).message}`);
      this.parts.exports.hw_compiled_failed(id);
      return;
    }
    const { exports, rehearse } = this.parts;
    const slot = exports.hw_module_slot(id) >>> 0;
    const count = exports.hw_module_slots(id) >>> 0;
    rehearse?.(module, slot, count);
    this.tell({ type: 'module', id, slot, count, module });
  }

  private dropEvicted(): void {
    const { exports } = this.parts;
    for (let id = exports.hw_dropped_next() >>> 0; id !== 0; id = exports.hw_dropped_next() >>> 0) {
      const slot = exports.hw_module_slot(id) >>> 0;
      const count = exports.hw_module_slots(id) >>> 0;
      const post = (): void => this.tell({ type: 'drop', id, slot, count });
      const pending = this.inFlight.get(id);
      if (pending === undefined) post();
      else pending.then(post).then(() => this.sendIfDue()).catch((error: unknown) => this.fail(error));
    }
  }
}
