// SPDX-License-Identifier: Apache-2.0
// Calls each function of a module of translated code once, with a state in which it returns at once. V8 compiles a function
// when it is called for the first time, on the thread that calls it, and all threads of the process share the result: the
// harts, which get the module later, find it compiled.
import type { CoreExports } from './core.ts';
import type { Rehearse } from './compiler.ts';
import { makeRoom, slotsOf } from './translations.ts';

/** `exports`: of an instance of the core that belongs to this thread. Any features that it lacks are found by the harts. */
export function rehearsal(
  exports: Pick<CoreExports, 'hw_idle_state' | 'hw_table_base' | 'hw_table_slots'>, memory: WebAssembly.Memory,
): Rehearse {
  // Not the core's own table, whose free slots belong to a hart where the core runs one.
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
  const slots = slotsOf(exports);
  const imports = { env: { memory, table }, core: exports as unknown as WebAssembly.ModuleImports };
  const state = exports.hw_idle_state() >>> 0;
  return (module, slot, count) => {
    makeRoom(table, slots, slot + count);
    new WebAssembly.Instance(module, imports);
    for (let index = slot; index < slot + count; index++) {
      (table.get(index) as (state: number, pc: bigint, read: number, write: number, depth: number) => bigint)(state, 0n, 0, 0, 0);
      table.set(index, null);
    }
  };
}
