// SPDX-License-Identifier: Apache-2.0
// One hart of the WebAssembly core in one Node thread, with whatever it asks to be compiled compiled between its slices,
// before it goes on. Nothing runs beside it, so what it does depends on nothing but its files: the compiler's tests use it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { instantiateCore, kExitEnded, kExitMail } from '../../workers/core.ts';
import {
  CompilerStatistics_modules_evicted, HartShared_attention, HartShared_retired, MachineShared_compiler, MachineShared_harts, kAttentionMail,
  ByteRing_data, ByteRing_kCapacity, ByteRing_read, ByteRing_written, MachineShared_agent_output, MachineShared_console_output, MachineShared_exit_code,
  MachineShared_fatal, MachineShared_fatal_message, MachineShared_power, sizeof_MachineShared_fatal_message,
} from '../../build/generated/layout.ts';
import { root } from '../../tools/lib/project.mjs';

const coreFile = join(root, 'build/wasm/hartwood_core.wasm');
let coreModule;

export class SyncMachine {
  /** `configuration`: as the core reads it. `files`: { kernel, initrd, ... } as bytes. `fused`: relaxed_madd is fused. */
  constructor(configuration, files, { fused = true } = {}) {
    coreModule ??= new WebAssembly.Module(readFileSync(process.env.HARTWOOD_CORE ?? coreFile));
    const megabytes = configuration.memory + 192;
    this.compiling = configuration.compiler === true;
    this.ramBytes = configuration.memory * 2 ** 20;
    const memory = new WebAssembly.Memory({ initial: megabytes * 16, maximum: megabytes * 16, shared: true });
    this.memory = memory;
    const core = instantiateCore({
      module: coreModule, memory, epoch: performance.timeOrigin + performance.now(), stack: null,
      log: (level, text) => process.stderr.write(`${text}\n`),
    });
    this.exports = core.exports;
    this.bytes = core.bytes;
    this.words = new Int32Array(memory.buffer);
    const text = new TextEncoder().encode(JSON.stringify(configuration));
    const at = this.exports.hw_allocate(text.length);
    this.bytes.set(text, at);
    this.check(this.exports.hw_machine_create(at, text.length));
    for (const [kind, name] of ['kernel', 'initrd', 'firmware', 'dtb', 'disk'].entries()) {
      if (files[name] === undefined) continue;
      const place = this.exports.hw_allocate(files[name].length) >>> 0;
      this.bytes.set(files[name], place);
      this.check(this.exports.hw_machine_file(kind, place, files[name].length));
    }
    this.check(this.exports.hw_machine_start());
    this.shared = this.exports.hw_shared() >>> 0;
    const table = this.exports.__indirect_function_table;
    const base = this.exports.hw_table_base();
    if (table.length > base) throw new Error('the core has more functions than hw_table_base says');
    table.grow(base + this.exports.hw_table_slots() - table.length, null);
    this.imports = { env: { memory, table }, core: this.exports };
    this.exports.hw_note_features(fused ? 1 : 0);
    this.modules = 0;
    this.emitted = 0;
  }

  check(status) {
    if (status !== 0) throw new Error(this.text(this.exports.hw_error_ptr() >>> 0, this.exports.hw_error_len()));
  }
  text(at, length) {
    return new TextDecoder().decode(this.bytes.slice(at, at + length));
  }

  /** From now on a hart that sleeps comes back every `milliseconds`, so that input can reach it. Call stopKicks() at the end. */
  kickEvery(milliseconds) {
    const at = (this.shared + MachineShared_harts + HartShared_attention) / 4;
    this.kicker = new Worker(`
      const { workerData: { buffer, at, bit, milliseconds } } = require('node:worker_threads');
      const words = new Int32Array(buffer), never = new Int32Array(new SharedArrayBuffer(4));
      for (;;) { Atomics.wait(never, 0, 0, milliseconds); Atomics.or(words, at, bit); Atomics.notify(words, at); }`,
    { eval: true, workerData: { buffer: this.memory.buffer, at, bit: kAttentionMail, milliseconds } });
  }
  stopKicks() {
    return this.kicker?.terminate();
  }

  /** Compiles what is asked for, and installs it unless `this.later` keeps it: tests do then. */
  compile() {
    this.beforeCompiling?.();
    for (let id = this.exports.hw_compile(); id !== 0; id = this.exports.hw_compile()) {
      const at = this.exports.hw_compiled_bytes() >>> 0;
      const bytes = this.bytes.slice(at, at + this.exports.hw_compiled_length());
      this.onModule?.(id, bytes);
      if (this.later?.(id, bytes) !== true) this.install(id, bytes);
    }
    for (let id = this.exports.hw_dropped_next(); id !== 0; id = this.exports.hw_dropped_next()) {
      const slot = this.exports.hw_module_slot(id), count = this.exports.hw_module_slots(id);
      for (let i = 0; i < count; i++) this.exports.__indirect_function_table.set(slot + i, null);
      this.exports.hw_module_dropped(0, id);
    }
  }

  install(id, bytes) {
    new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
    this.exports.hw_module_installed(0, id);
    this.modules++;
    this.emitted += bytes.length;
  }

  /** Executes `budget` instructions; false once the machine has ended. With virtual time, `this.asleep` says afterwards
   * whether nothing but input will wake the hart. */
  run(budget) {
    const exit = this.exports.hw_hart_run(0, budget);
    this.asleep = exit === kExitMail;
    if (this.words[(this.shared + MachineShared_fatal) / 4] !== 0) {
      throw new Error(this.text(this.shared + MachineShared_fatal_message, sizeof_MachineShared_fatal_message));
    }
    this.compile();
    return exit !== kExitEnded;
  }

  output() {
    const out = this.drain(this.shared + MachineShared_console_output);
    if (out.length !== 0) this.exports.hw_console_drained();
    return out;
  }
  /** What the guest's agent has said since the last call. */
  agentOutput() {
    return this.drain(this.shared + MachineShared_agent_output).toString();
  }
  /** Whether the line was taken. */
  agentSend(line) {
    return this.lend(line, (at, length) => this.exports.hw_agent_send(at, length)) === 1;
  }
  drain(ring) {
    const written = this.words[(ring + ByteRing_written) / 4] >>> 0, read = this.words[(ring + ByteRing_read) / 4] >>> 0;
    const out = Buffer.alloc((written - read) >>> 0);
    for (let i = 0; i < out.length; i++) out[i] = this.bytes[ring + ByteRing_data + ((read + i) >>> 0) % ByteRing_kCapacity];
    this.words[(ring + ByteRing_read) / 4] = written;
    return out;
  }
  input(text) {
    this.lend(text, (at, length) => this.exports.hw_console_input(at, length));
  }
  lend(text, use) {
    const bytes = Buffer.from(text);
    const at = this.exports.hw_allocate(bytes.length) >>> 0;
    this.bytes.set(bytes, at);
    const result = use(at, bytes.length);
    this.exports.hw_release(at);
    return result;
  }
  /** Guest RAM. */
  get ram() {
    const at = this.exports.hw_ram() >>> 0;
    return this.bytes.subarray(at, at + this.ramBytes);
  }
  /** Instructions that the hart has retired. */
  get retired() {
    return Number(new DataView(this.memory.buffer).getBigUint64(this.shared + MachineShared_harts + HartShared_retired, true));
  }
  /** Calls of compiled code from outside, instructions that it retired, modules that were dropped. */
  get compiled() {
    const [entries, instructions] = [0, 1].map((which) => this.exports.hw_hart_counter(0, which));
    return { entries, instructions, evicted: this.words[(this.shared + MachineShared_compiler + CompilerStatistics_modules_evicted) / 4] };
  }
  get power() {
    return this.words[(this.shared + MachineShared_power) / 4];
  }
  get exitCode() {
    return this.words[(this.shared + MachineShared_exit_code) / 4];
  }
}
