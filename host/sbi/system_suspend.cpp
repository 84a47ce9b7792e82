// SPDX-License-Identifier: Apache-2.0
// [sbi: System Suspend Extension]. With all other harts stopped nobody is left who could start one of them or
// see this hart asleep, so the system's sleep is this hart's, and an interrupt that it has enabled ends it.
#include "sbi/extension.h"

namespace hartwood {

SbiAnswer sbi_system_suspend(const SbiCall& call) {
  constexpr u32 kSuspendToRam = 0;
  if (call.function() != 0) return SbiError::not_supported;
  if (call.argument32(0) != kSuspendToRam) return SbiError::invalid_param;  // reserved, or a platform's
  if (!call.can_execute_at(call.argument(1))) return SbiError::invalid_address;
  for (u32 other = 0; other < call.hart_count(); other++) {
    if (other != call.hart.id() && call.shared(other).hsm_state.load() != kHsmStopped) return SbiError::denied;
  }
  call.hart.suspend_self_to(call.argument(1), call.argument(2));
  return SbiError::success;
}

}  // namespace hartwood
