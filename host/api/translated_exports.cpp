// SPDX-License-Identifier: Apache-2.0
// What emitted code imports: called by it only, on the hart's thread, with the hart's state. A file of its own, as the
// tests' WebAssembly has these too.
#include <bit>

#include "hart/hart.h"

#define HW_EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace hartwood {

static Hart& hart_of(u8* state) {
  return *reinterpret_cast<TranslatedCode::Window*>(state + Hart::kWindowDistance)->hart;
}
// Hart::execute_for_translated.
HW_EXPORT(hw_jit_execute) u32 hw_jit_execute(u8* state, u64 slot, u32 bits, u64 pc, u32 budget) {
  return hart_of(state).execute_for_translated(std::bit_cast<Insn>(slot), bits, pc, budget);
}
// Hart::execute_system_for_translated.
HW_EXPORT(hw_jit_system) u64 hw_jit_system(u8* state, u64 slot, u32 bits, u64 pc) {
  return hart_of(state).execute_system_for_translated(std::bit_cast<Insn>(slot), bits, pc);
}
// Hart::execute_accesses_for_translated; `run`: AccessRun, packed.
HW_EXPORT(hw_jit_accesses) u32 hw_jit_accesses(u8* state, u64 pc, u32 run, u32 registers, u32 budget) {
  return hart_of(state).execute_accesses_for_translated(AccessRun::unpack(run, registers), pc, budget);
}

}  // namespace hartwood
