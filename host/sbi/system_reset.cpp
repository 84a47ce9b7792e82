// SPDX-License-Identifier: Apache-2.0
// [sbi: System Reset Extension]. A reset that succeeds does not return: the machine's power word has changed,
// and the hart leaves its run loop before the next instruction.
#include "sbi/extension.h"

namespace hartwood {

SbiAnswer sbi_system_reset(const SbiCall& call) {
  constexpr u32 kShutdown = 0, kColdReboot = 1, kWarmReboot = 2;
  constexpr u32 kNoReason = 0, kSystemFailure = 1;
  if (call.function() != 0) return SbiError::not_supported;
  const u32 type = call.argument32(0), reason = call.argument32(1);
  if (type > kWarmReboot || reason > kSystemFailure) return SbiError::invalid_param;
  switch (type) {
    case kShutdown: call.power().power_off(reason == kNoReason ? 0 : 1); break;
    case kColdReboot:
    case kWarmReboot: call.power().reboot(); break;
  }
  // Only seen if the switch did not work.
  return SbiError::failed;
}

}  // namespace hartwood
