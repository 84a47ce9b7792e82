// SPDX-License-Identifier: Apache-2.0
#include "machine/compiler_tier.h"

#include <cstddef>

namespace hartwood {

jit::Target CompilerTier::target_of(GuestMemory& memory) {
  using Window = TranslatedCode::Window;
  jit::Target target;
  target.layout.x = offsetof(HartState, x);
  target.layout.f = offsetof(HartState, f);
  target.layout.reserved = offsetof(HartState, reserved);
  static_assert(offsetof(HartState, reserved_size) == offsetof(HartState, reserved) + 1);
  target.layout.reserved_pa = offsetof(HartState, reserved_pa);
  target.layout.reserved_value = offsetof(HartState, reserved_value);
  target.layout.privilege = offsetof(HartState, privilege);
  static_assert(sizeof(Privilege) == 1 && Privilege::user == Privilege{0});
  target.layout.sscratch = offsetof(HartState, sscratch);
  target.layout.sepc = offsetof(HartState, sepc);
  target.layout.scause = offsetof(HartState, scause);
  target.layout.stval = offsetof(HartState, stval);
  target.layout.budget = Hart::kWindowDistance + offsetof(Window, budget);
  target.layout.fp_ready = Hart::kWindowDistance + offsetof(Window, fp_ready);
  target.layout.fp_fast = Hart::kWindowDistance + offsetof(Window, fp_fast);
  target.layout.context = Hart::kWindowDistance + offsetof(Window, context);
  target.layout.jump_cache = Hart::kWindowDistance + offsetof(Window, jump_cache);
  target.layout.read_table = Hart::kWindowDistance + offsetof(Window, read_table);
  static_assert(offsetof(Window, write_table) == offsetof(Window, read_table) + 4);
  target.ram_base = static_cast<u32>(reinterpret_cast<uintptr_t>(memory.ram()));
  target.ram_bytes = memory.size();
  return target;
}

}  // namespace hartwood
