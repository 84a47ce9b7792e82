// SPDX-License-Identifier: Apache-2.0
// A hart's share of the translated code: puts the compiler's modules into the core's function table and takes them out
// again. Hart's worker only, and only outside of hw_hart_run, so no frame of a module that goes is on the stack.
//
// Function tables are not shared between workers: every hart fills the same slots with functions of its own instances. A
// module's element segment names its slots; nothing but the slots refers to the instance, so setting them to null frees it.
import type { CoreExports } from './core.ts';
import type { ToTranslations } from './protocol.ts';

export type TranslationExports = Pick<
  CoreExports, '__indirect_function_table' | 'hw_table_base' | 'hw_table_slots' | 'hw_module_installed' | 'hw_module_dropped'
>;

/** Numbers in the core's function table that translated code may have. */
export interface Slots {
  first: number;
  end: number;
}
export const slotsOf = (exports: Pick<CoreExports, 'hw_table_base' | 'hw_table_slots'>): Slots => {
  const first = exports.hw_table_base() >>> 0;
  return { first, end: first + (exports.hw_table_slots() >>> 0) };
};

const kFirstSlots = 1024;

/** Makes a table that long, if need be. It doubles: with all slots it would take megabytes, of which most machines need little. */
export function makeRoom(table: WebAssembly.Table, slots: Slots, length: number): void {
  if (length <= table.length) return;
  const doubled = slots.first + Math.max(2 * (table.length - slots.first), kFirstSlots);
  table.grow(Math.min(Math.max(doubled, length), slots.end) - table.length, null);
}

export class Translations {
  private readonly exports: TranslationExports;
  private readonly hart: number;
  private readonly imports: WebAssembly.Imports;
  private readonly slots: Slots;

  /** `exports`: of the hart's own instance of the core, all of them: modules import what they call by its name there. */
  constructor(exports: TranslationExports, memory: WebAssembly.Memory, hart: number) {
    this.exports = exports;
    this.hart = hart;
    const table = exports.__indirect_function_table;
    this.slots = slotsOf(exports);
    if (table.length > this.slots.first) {
      throw new Error(`The core has ${table.length} functions in its table, where translated code begins at ${this.slots.first}.`);
    }
    this.imports = { env: { memory, table }, core: exports as unknown as WebAssembly.ModuleImports };
  }

  receive(message: ToTranslations): void {
    if (message.type === 'module') {
      makeRoom(this.exports.__indirect_function_table, this.slots, message.slot + message.count);
      new WebAssembly.Instance(message.module, this.imports);
      this.exports.hw_module_installed(this.hart, message.id);
    } else {
      for (let index = 0; index < message.count; index++) {
        this.exports.__indirect_function_table.set(message.slot + index, null);
      }
      this.exports.hw_module_dropped(this.hart, message.id);
    }
  }
}
