// SPDX-License-Identifier: Apache-2.0
// [sbi: IPI Extension]. An interrupt sent to a stopped hart neither wakes nor harms it; it stays pending, and
// is there when the hart is started again. So one that is sent after a hart_start has returned is never lost.
#include "sbi/extension.h"

namespace hartwood {

SbiAnswer sbi_ipi(const SbiCall& call) {
  if (call.function() != 0) return SbiError::not_supported;
  u64 harts;
  if (!call.hart_list(harts)) return SbiError::invalid_param;
  for (u32 target = 0; target < call.hart_count(); target++) {
    if (!bit(harts, target)) continue;
    // The line first: the hart clears the attention bit before it looks at the lines. Even where the line was
    // set already the bit is posted: the target may have read the lines and not yet cleared this one.
    call.shared(target).lines.fetch_or(1u << kSsi);
    call.hart.attention().post(target, kAttentionInterrupt);
  }
  return SbiError::success;
}

}  // namespace hartwood
