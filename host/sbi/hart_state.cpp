// SPDX-License-Identifier: Apache-2.0
// [sbi: Hart State Management Extension]. The state of a hart is one shared word, and this is who may change
// it:
//
//   stopped -> start-pending   any hart, by compare-exchange. Whoever succeeds owns the start arguments until
//   it posts
//                              kAttentionStart, so that two starters never mix theirs, and exactly one is
//                              told of success.
//   everything else            the hart itself: start-pending -> started once it has taken kAttentionStart
//   and read the
//                              arguments; started -> stopped; started -> suspended -> started (hart/run.cpp).
//
// The words between states that take no time here (stop-pending, suspend-pending, resume-pending) are never
// seen. A hart says "stopped" when it will execute no further instruction, while its thread is still on the
// way to its bed: it may be started again at once, and finds the start there. Interrupts never move a stopped
// hart; fences of others find it either still answering or parked.
#include "sbi/extension.h"

namespace hartwood {
namespace {

SbiAnswer start(const SbiCall& call) {
  const u64 target = call.argument(0), address = call.argument(1), opaque = call.argument(2);
  if (target >= call.hart_count()) return SbiError::invalid_param;
  if (!call.can_execute_at(address)) return SbiError::invalid_address;
  HartShared& hart = call.shared(target);
  // Pairs with the hart's own store of "stopped": what it wrote before is visible to the starter.
  u32 seen = kHsmStopped;
  if (!hart.hsm_state.compare_exchange(seen, kHsmStartPending)) return SbiError::already_available;
  hart.start_address.store(address);
  hart.start_opaque.store(opaque);
  call.hart.attention().post(static_cast<u32>(target), kAttentionStart);
  return SbiError::success;
}

SbiAnswer get_status(const SbiCall& call) {
  const u64 target = call.argument(0);
  if (target >= call.hart_count()) return SbiError::invalid_param;
  return SbiAnswer::of(call.shared(target).hsm_state.load());
}

SbiAnswer suspend(const SbiCall& call) {
  constexpr u32 kRetentive = 0, kNonRetentive = 0x8000'0000;
  switch (call.argument32(0)) {
    case kRetentive: call.hart.suspend_self(); return SbiError::success;
    case kNonRetentive:
      if (!call.can_execute_at(call.argument(1))) return SbiError::invalid_address;
      call.hart.suspend_self_to(call.argument(1), call.argument(2));
      return SbiError::success;
    default:  // reserved, or a platform's
      return SbiError::invalid_param;
  }
}

}  // namespace

SbiAnswer sbi_hart_state(const SbiCall& call) {
  switch (call.function()) {
    case 0: return start(call);
    case 1:  // hart_stop: what it leaves in the registers is never seen
      call.hart.stop_self();
      return SbiError::success;
    case 2: return get_status(call);
    case 3: return suspend(call);
    default: return SbiError::not_supported;
  }
}

}  // namespace hartwood
