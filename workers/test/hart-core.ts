// SPDX-License-Identifier: Apache-2.0
// The half of a core that a hart's translations need: a table of 16 functions of its own and 8 slots, and a function
// `helper` for the modules to call.
import type { TranslationExports } from '../translations.ts';

export interface HartCore {
  exports: TranslationExports & { helper: (value: number) => number };
  events: string[];
}

/** `helper` adds `offset`. */
export function makeHartCore(offset: number): HartCore {
  const events: string[] = [];
  const exports = {
    __indirect_function_table: new WebAssembly.Table({ element: 'anyfunc', initial: 16 }),
    hw_table_base: () => 16,
    hw_table_slots: () => 8,
    hw_module_installed: (hart: number, id: number) => void events.push(`installed ${hart} ${id}`),
    hw_module_dropped: (hart: number, id: number) => void events.push(`dropped ${hart} ${id}`),
    helper: (value: number) => value + offset,
  };
  return { exports, events };
}
