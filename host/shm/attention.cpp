// SPDX-License-Identifier: Apache-2.0
// See the essay in attention.h.
#include "shm/attention.h"

namespace hartwood {

void AttentionProtocol::post(u32 hart, u32 attention_bits) {
  HartShared& target = shared_.harts[hart];
  // Pairs with take() and with the load after park() in sleep().
  target.attention.fetch_or(attention_bits);
  target.attention.notify();
}

void AttentionProtocol::unpark(u32 self, FenceTarget& target) {
  Atomic<u32>& park = shared_.harts[self].park;
  for (;;) {
    // Pairs with mark_parked(): either its mark is seen here or its compare-exchange fails.
    if (park.exchange(kRunning) == kParkedMustFlush) target.flush_everything();
    // Pairs with begin_exclusive(): either its number is seen here or it sees kRunning and waits for us.
    const u32 alone = shared_.exclusive.load();
    if (alone == 0 || alone == self + 1) return;
    park.store(kParked);
    post(alone - 1, kAttentionAck);
    while (shared_.exclusive.load() == alone) shared_.exclusive.wait(alone);
  }
}

void AttentionProtocol::yield_to_exclusive(u32 self, FenceTarget& own) {
  take(self, kAttentionExclusive);
  park(self);
  unpark(self, own);
}

void AttentionProtocol::begin_exclusive(u32 self, FenceTarget& own) {
  // Pairs with unpark(): a hart whose kRunning we do not see below finds our number.
  for (u32 nobody = 0; !shared_.exclusive.compare_exchange(nobody, self + 1); nobody = 0) yield_to_exclusive(self, own);
  u32 running = 0;
  const u32 count = shared_.hart_count.load_relaxed();
  for (u32 hart = 0; hart < count; hart++) {
    if (hart == self || shared_.harts[hart].park.load() != kRunning) continue;
    running |= 1u << hart;
    post(hart, kAttentionExclusive);
  }
  Atomic<u32>& attention = shared_.harts[self].attention;
  while (running != 0) {
    // Clear our acknowledgement bit, then look: who parks later sets it again.
    const u32 seen = take(self, kAttentionAck) & ~u32{kAttentionAck};
    for (u32 hart = 0; hart < count; hart++) {
      if (shared_.harts[hart].park.load() != kRunning) running &= ~(1u << hart);
    }
    if (running != 0) attention.wait(seen);
  }
}

void AttentionProtocol::end_exclusive() {
  shared_.exclusive.store(0);
  shared_.exclusive.notify();
}

u32 AttentionProtocol::sleep(u32 self, FenceTarget& target, u32 wake_bits, i64 timeout_ns) {
  HartShared& hart = shared_.harts[self];
  park(self);
  // The re-check: an initiator that saw kRunning has set its bit before this load.
  u32 seen = hart.attention.load();
  while ((seen & (wake_bits | kAttentionFlush | kAttentionExclusive)) == 0) {
    const Wake wake = hart.attention.wait(seen, timeout_ns);
    seen = hart.attention.load();
    if (wake == Wake::timed_out) break;
    if (timeout_ns >= 0) break;  // the caller knows how much of the time is left
  }
  unpark(self, target);
  if (seen & kAttentionFlush) serve_fences(self, target);
  return hart.attention.load();
}

void AttentionProtocol::serve_fences(u32 self, FenceTarget& target) {
  HartShared& hart = shared_.harts[self];
  take(self, kAttentionFlush);
  // What was requested when we look; only these values are acknowledged below.
  u32 requested[kMaxInitiators];
  bool wanted[kMaxInitiators];
  for (u32 initiator = 0; initiator < kMaxInitiators; initiator++) {
    requested[initiator] = hart.fence_requested[initiator].load();
    wanted[initiator] = requested[initiator] != hart.fence_served[initiator].load_relaxed();
  }
  for (u32 initiator = 0; initiator < kMaxInitiators; initiator++) {
    if (!wanted[initiator]) continue;
    const FencePayload& payload = hart.fence_payload[initiator];
    target.flush(FenceRequest{
        .kinds = payload.kinds.load_relaxed(),
        .by_asid = payload.by_asid.load_relaxed() != 0,
        .start = payload.start.load_relaxed(),
        .size = payload.size.load_relaxed(),
        .asid = payload.asid.load_relaxed(),
    });
  }
  for (u32 initiator = 0; initiator < kMaxInitiators; initiator++) {
    if (!wanted[initiator]) continue;
    hart.fence_served[initiator].store(requested[initiator]);
    post(initiator, kAttentionAck);
  }
}

bool AttentionProtocol::mark_parked(u32 target) {
  Atomic<u32>& park = shared_.harts[target].park;
  u32 seen = park.load();
  while (seen != kRunning) {
    if (park.compare_exchange(seen, kParkedMustFlush)) return true;
  }
  return false;
}

void AttentionProtocol::remote_fence(u32 initiator, u64 targets, const FenceRequest& request, FenceTarget* own) {
  HartShared& self = shared_.harts[initiator];
  u32 awaited[kMaxHarts];
  u64 waiting = 0;
  for (u32 target = 0; target < kMaxHarts; target++) {
    if (target == initiator || ((targets >> target) & 1) == 0) continue;
    if (mark_parked(target)) continue;
    HartShared& hart = shared_.harts[target];
    FencePayload& payload = hart.fence_payload[initiator];
    payload.kinds.store_relaxed(request.kinds);
    payload.by_asid.store_relaxed(request.by_asid);
    payload.start.store_relaxed(request.start);
    payload.size.store_relaxed(request.size);
    payload.asid.store_relaxed(request.asid);
    awaited[target] = hart.fence_requested[initiator].fetch_add(1) + 1;
    waiting |= u64{1} << target;
    post(target, kAttentionFlush);
  }
  while (waiting != 0) {
    // Clear our acknowledgement bit, then look at the counters: what arrives later sets it again.
    const u32 seen = take(initiator, kAttentionAck) & ~u32{kAttentionAck};
    for (u32 target = 0; target < kMaxHarts; target++) {
      if (((waiting >> target) & 1) == 0) continue;
      const u32 served = shared_.harts[target].fence_served[initiator].load();
      if (static_cast<i32>(served - awaited[target]) >= 0 || mark_parked(target)) waiting &= ~(u64{1} << target);
    }
    if (waiting == 0) break;
    if (own != nullptr && (seen & (kAttentionFlush | kAttentionExclusive))) {
      if (seen & kAttentionExclusive) yield_to_exclusive(initiator, *own);
      if (seen & kAttentionFlush) serve_fences(initiator, *own);
      continue;
    }
    self.attention.wait(seen);
  }
}

}  // namespace hartwood
