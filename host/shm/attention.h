// SPDX-License-Identifier: Apache-2.0
// The protocol by which threads get a hart's ear: attention bits, parking, remote fences.
//
// A hart polls one word, `HartShared::attention`, and nothing else. Whoever wants something changes the state that the
// bit announces, then sets the bit, then notifies; the hart clears the bit, then looks at the state. Clearing before
// looking means that a change which comes later sets the bit again.
//
// Parking. A hart that will not poll for a while (WFI, stopped, in JavaScript) enters `kParked`. Both sides re-check:
// the hart looks at its attention word after it has stored `kParked`, an initiator looks at `park` after it has set the
// bit, so at least one of the two sees the other.
//
// Remote fences. Initiator I counts `fence_requested[I]` of its target, sets kAttentionFlush there and sleeps on its
// OWN attention word, where it goes on serving its own flush bit: two harts that fence each other would otherwise wait
// for ever. The target reads all request counters BEFORE it flushes and stores the values it read into `fence_served`
// AFTER (the other order would acknowledge a request that came between and was not served). Then it sets kAttentionAck
// in the initiator's word: a bare notify could fall between the initiator's check and its wait. A target that is parked
// is marked `kParkedMustFlush` instead; it flushes everything before it runs again, and nobody waits for it. The mark
// is a compare-exchange even where it is already set, because that orders the initiator's writes before the target's
// unpark.
//
// Running alone. What no single atomic of the host can do (a compare-and-swap of 16 bytes) is done while every other
// hart is parked. The hart stores its number in `exclusive`, then looks at the others' `park` and sets
// kAttentionExclusive where it finds kRunning; a hart stores kRunning on its way out of parking, then looks at
// `exclusive`, and parks again if it belongs to somebody else. So one of the two sees the other, and a hart that has
// seen it sends kAttentionAck. Fences that are asked of a hart meanwhile are served when it goes on; a hart that waits
// for such a fence parks in its turn, because it executes nothing while it waits.
//
// Harts may wait for harts (never for anybody else while they owe an acknowledgement); compiler, io and page may wait
// for harts.
#pragma once

#include "shm/hart_shared.h"

namespace hartwood {

struct FenceRequest {
  u32 kinds = kFenceTlb;  // FenceKind bits
  bool by_asid = false;   // only translations of `asid`
  u64 start = 0;          // bytes
  u64 size = ~u64{0};     // bytes; ~0: everything
  u64 asid = 0;
};

// What a hart does for a fence. Called on the hart's own thread, outside translated code.
class FenceTarget {
 public:
  virtual ~FenceTarget() = default;
  virtual void flush(const FenceRequest& request) = 0;
  virtual void flush_everything() = 0;
};

class AttentionProtocol {
 public:
  explicit AttentionProtocol(MachineShared& shared) : shared_(shared) {}

  // Sets attention bits of `hart` and wakes it. Any thread.
  void post(u32 hart, u32 attention_bits);
  // Clears `bits` of `self`'s word and returns the word as it was.
  u32 take(u32 self, u32 bits) { return shared_.harts[self].attention.fetch_and(~bits); }

  // Owner of `self` only. After park() the caller re-checks attention before it sleeps.
  void park(u32 self) { shared_.harts[self].park.store(kParked); }
  // Back to running, once no other hart runs alone; flushes if an initiator marked the hart meanwhile.
  void unpark(u32 self, FenceTarget& target);

  // Sleeps while parked until an attention bit of `wake_bits` is set or `timeout_ns` (negative: none) passed. Marks the
  // hart parked, re-checks, unparks. Returns the attention word seen last. Serves flush requests on the way out.
  u32 sleep(u32 self, FenceTarget& target, u32 wake_bits, i64 timeout_ns);

  // Serves what was requested of `self` before the call. Clears kAttentionFlush first.
  void serve_fences(u32 self, FenceTarget& target);

  // When it returns, no hart of the mask `targets` but `self` holds anything cached from before the call that `request`
  // covers. `initiator` is a hart or kControl; `own` serves requests that arrive meanwhile (null for kControl).
  void remote_fence(u32 initiator, u64 targets, const FenceRequest& request, FenceTarget* own);

  // Between the two calls no other hart executes instructions. Owner of `self` only, running. What it has cached may be
  // flushed on the way; requests for fences are served after the end, when it looks at its attention word.
  void begin_exclusive(u32 self, FenceTarget& own);
  void end_exclusive();
  // Parks while another hart wants to run alone. Clears kAttentionExclusive first.
  void yield_to_exclusive(u32 self, FenceTarget& own);

  MachineShared& shared() { return shared_; }

 private:
  bool mark_parked(u32 target);
  MachineShared& shared_;
};

}  // namespace hartwood
