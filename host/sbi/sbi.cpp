// SPDX-License-Identifier: Apache-2.0
// The dispatcher and the table of extensions. See sbi.h.
#include "sbi/sbi.h"

#include "sbi/extension.h"

namespace hartwood {
namespace {

// The numbers are the extensions' names in ASCII. The legacy extensions, 0x00 to 0x0f, are not there, which
// their successors below allow.
constexpr SbiExtension kExtensions[] = {
    {0x0000'0010, sbi_base},            // [sbi: Base Extension]
    {0x5449'4d45, sbi_timer},           // [sbi: Timer Extension, "TIME"]
    {0x0073'5049, sbi_ipi},             // [sbi: IPI Extension, "sPI"]
    {0x5246'4e43, sbi_remote_fence},    // [sbi: RFENCE Extension, "RFNC"]
    {0x0048'534d, sbi_hart_state},      // [sbi: Hart State Management Extension, "HSM"]
    {0x5352'5354, sbi_system_reset},    // [sbi: System Reset Extension, "SRST"]
    {0x4442'434e, sbi_debug_console},   // [sbi: Debug Console Extension, "DBCN"]
    {0x5355'5350, sbi_system_suspend},  // [sbi: System Suspend Extension, "SUSP"]
};

}  // namespace

const SbiExtension* find_sbi_extension(u32 id) {
  for (const SbiExtension& extension : kExtensions) {
    if (extension.id == id) return &extension;
  }
  return nullptr;
}

bool SbiCall::hart_list(u64& harts) const {
  const u64 mask = argument(0), base = argument(1), count = hart_count();
  const u64 all = (u64{1} << count) - 1;
  if (base == ~u64{0}) {
    harts = all;
    return true;
  }
  if (base >= count) return false;
  if (mask & ~(all >> base)) return false;
  harts = mask << base;
  return true;
}

Sbi::Sbi(GuestMemory& memory, u32 harts, PowerControl& power, SbiConsole& console)
    : memory_(memory), harts_(harts), power_(power), console_(console) {
  HW_CHECK(harts >= 1 && harts <= kMaxHarts, "hart count");
}

void Sbi::call(Hart& hart) {
  HartState& state = hart.state();
  const SbiExtension* extension = find_sbi_extension(static_cast<u32>(state.x[17]));
  const SbiAnswer answer = extension != nullptr ? extension->handler({*this, hart}) : SbiError::not_supported;
  if (answer.repeat) {
    hart.jump(state.pc);
    return;
  }
  state.x[10] = static_cast<u64>(answer.error);
  state.x[11] = answer.value;
}

}  // namespace hartwood
