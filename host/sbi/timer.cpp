// SPDX-License-Identifier: Apache-2.0
// [sbi: Timer Extension]. The machine has Sstc with menvcfg.STCE set, so the timer that S-mode may program by
// itself is the one that this call programs: writing the comparator clears or sets sip.STIP as the
// specification asks.
#include "sbi/extension.h"

namespace hartwood {

SbiAnswer sbi_timer(const SbiCall& call) {
  if (call.function() != 0) return SbiError::not_supported;
  call.hart.set_stimecmp(call.argument(0));
  return SbiError::success;
}

}  // namespace hartwood
