// SPDX-License-Identifier: Apache-2.0
// The run loop: attention, interrupts, sleeping, timers, fences. See hart.h for its shape and shm/attention.h for the
// protocol.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bits.h"
#include "hart/hart.h"

namespace hartwood {
namespace {
constexpr u32 kWakeAlways = kAttentionStop | kAttentionMail | kAttentionDebug;
// In HartShared::start_address of a suspended hart: it goes on where it is. (Addresses of instructions are even.)
constexpr u64 kRetentive = ~u64{0};
}  // namespace

Hart::Hart(const HartOptions& options, const HartParts& parts)
    : options_(options),
      parts_(parts),
      shared_(parts.attention.shared().harts[options.id]),
      tlb_(parts.memory.size()),
      code_(parts.memory, options.isa, options.code_pages) {
  state_.pc = options.reset_pc;
  flush_fetch();
  use_translated(nullptr);
  window_.hart = this;
  HW_CHECK(reinterpret_cast<u8*>(&window_) == reinterpret_cast<u8*>(&state_) + kWindowDistance, "layout");
  shared_.park.store(kParked);
}

void Hart::state_changed() {
  state_.x[0] = 0;
  state_.pc &= ~u64{1};  // an odd one would lie between two slots
  waiting_ = false;      // a WFI of what was before; one that ends early is a correct one
  flush_everything();
  refresh_lines();
  refresh_timers();
  publish_retired();
}

void Hart::flush_fetch() {
  std::memset(static_cast<void*>(fetch_), 0, sizeof fetch_);
  refetch_ = true;
}

void Hart::enter_space() {
  bool fresh;
  space_ = tlb_.use_space(state_.satp, fresh);
  if (fresh) flush_fetch();
  refetch_ = true;
}

void Hart::flush_code_address(u64 va) {
  refetch_ = true;
  // A large page's code is remembered piece by piece.
  if (va >= large_code_first_ && va <= large_code_last_) {
    flush_fetch();
    if (translated_ != nullptr) translated_->fence_all();
    return;
  }
  if (translated_ != nullptr) translated_->fence_address(va);
  for (u32 space = 0; space <= Tlb::kMaxSpaces; space++) {
    FetchEntry& entry = fetch_[fetch_index(va, space)];
    if ((entry.tag ^ va) >> kPageShift == 0) entry.tag = 0;
  }
}

void Hart::flush_fetch_spaces() {
  refetch_ = true;
  for (FetchEntry& entry : fetch_) {
    if (entry.tag & kFetchSpace) entry.tag = 0;
  }
}

// Whether supervisors' code is the same in all spaces is seen page by page.
void Hart::note_code(u64 va, const Translation& translation) {
  if (translation.region_bytes != kPageBytes) {
    const u64 first = align_down(va, translation.region_bytes);
    large_code_first_ = std::min(large_code_first_, first);
    large_code_last_ = std::max(large_code_last_, first + (translation.region_bytes - 1));
  }
  if (state_.privilege != Privilege::supervisor || state_.satp == 0 || translation.global || supervisor_code_local_)
    return;
  supervisor_code_local_ = true;
  flush_fetch();
  if (translated_ != nullptr) translated_->fence_all();
  select_tables();
}

void Hart::publish_retired() { shared_.retired.store_relaxed(state_.retired); }

void Hart::flush(const FenceRequest& request) {
  if (request.kinds & kFenceAll) {
    flush_everything();
    return;
  }
  if (request.kinds & kFenceCode) {
    code_.new_epoch();
    if (translated_ != nullptr) translated_->fence_code();
  }
  if (request.kinds & kFenceTlb) {
    constexpr u64 kPageByPage = 16;
    if (request.size <= kPageByPage * kPageBytes) {
      const u64 first = align_down(request.start, kPageBytes);
      const u64 last = request.size == 0 ? first : request.start + request.size - 1;
      for (u64 va = first; va <= last && va >= first; va += kPageBytes) {
        tlb_.flush_address(va);
        flush_code_address(va);
      }
    } else if (request.by_asid) {
      tlb_.flush_asid(request.asid);
      flush_fetch_spaces();
      if (translated_ != nullptr) translated_->fence_asid(request.asid);
    } else {
      tlb_.flush_translated();
      flush_fetch();
      if (translated_ != nullptr) translated_->fence_all();
    }
  }
  if (request.kinds & kFenceCode) flush_fetch();
  context_changed();
}

void Hart::flush_everything() {
  take_up_debug_points();
  code_.new_epoch();
  tlb_.flush_all();
  supervisor_code_local_ = false;
  enter_space();
  flush_fetch();
  if (translated_ != nullptr) {
    translated_->fence_code();
    translated_->fence_all();
  }
  context_changed();
}

void Hart::fence_others(u64 harts, const FenceRequest& request) {
  if (bit(harts, options_.id)) flush(request);
  parts_.attention.remote_fence(options_.id, harts, request, this);
}

// ------------------------------------------------------------------------------------------------- interrupts, timers

void Hart::refresh_lines() {
  const u64 timers = mip_ & (u64{1} << kMti | (stimecmp_enabled() ? u64{1} << kSti : 0));
  const u64 soft = state_.mip_soft & (stimecmp_enabled() ? ~(u64{1} << kSti) : ~u64{0});
  mip_ = shared_.lines.load() | soft | timers;
}

void Hart::refresh_timers() {
  const u64 now = parts_.clock.ticks();
  u64 fresh = mip_ & ~(u64{1} << kMti);
  if (now >= shared_.mtimecmp.load()) fresh |= u64{1} << kMti;
  if (stimecmp_enabled()) {
    fresh &= ~(u64{1} << kSti);
    if (now >= state_.stimecmp) fresh |= u64{1} << kSti;
  }
  mip_ = fresh;
  arm_deadline(now);
}

// Tells the clock thread when to look at this hart again.
void Hart::arm_deadline(u64 now) {
  u64 deadline = ~u64{0};
  const u64 machine = shared_.mtimecmp.load();
  if (machine > now) deadline = machine;
  if (stimecmp_enabled() && state_.stimecmp > now && state_.stimecmp < deadline) deadline = state_.stimecmp;
  shared_.deadline.store(deadline);
  if (parts_.virtual_time != nullptr) {
    leave_ = true;  // the slice may have to end earlier
    return;
  }
  MachineShared& machine_shared = parts_.attention.shared();
  // Pairs with the clock thread, which stores what it sleeps for and then looks at the deadlines again.
  if (deadline < machine_shared.clock_deadline.load()) {
    machine_shared.clock_word.fetch_add(1);
    machine_shared.clock_word.notify();
  }
}

void Hart::set_stimecmp(u64 ticks) {
  state_.stimecmp = ticks;
  refresh_timers();
  context_changed();
}

// ------------------------------------------------------------------------------------------------------------- sleep

bool Hart::wait_for_interrupt() {
  refresh_timers();
  refresh_lines();
  if (mip_ & state_.mie) return true;
  i64 timeout_ns = -1;
  const u64 deadline = shared_.deadline.load_relaxed();
  if (parts_.virtual_time != nullptr) {
    if (deadline == ~u64{0}) return shared_.attention.load() != 0;
    return parts_.virtual_time->sleep_until(deadline);
  }
  if (deadline != ~u64{0}) {
    const u64 now = parts_.clock.ticks();
    const u64 ticks = deadline > now ? deadline - now : 0;
    constexpr u64 kLongest = 3600 * Clock::kTicksPerSecond;
    timeout_ns = static_cast<i64>((ticks < kLongest ? ticks : kLongest) * (1'000'000'000 / Clock::kTicksPerSecond));
  }
  publish_retired();
  shared_.in_wfi.store_relaxed(1);
  parts_.attention.sleep(options_.id, *this, kWakeAlways | kAttentionInterrupt | kAttentionTimer | kAttentionStart,
                         timeout_ns);
  shared_.in_wfi.store_relaxed(0);
  return true;
}

void Hart::stop_self() {
  shared_.hsm_state.store(kHsmStopped);
  waiting_ = false;
  leave_ = true;
}

void Hart::suspend_self() { suspend_self_to(kRetentive, 0); }

// A hart that is not stopped owns its own state word and start arguments: nobody else changes them.
void Hart::suspend_self_to(u64 pc, u64 opaque) {
  shared_.start_address.store(pc);
  shared_.start_opaque.store(opaque);
  shared_.hsm_state.store(kHsmSuspended);
  leave_ = true;
}

// The end of a suspension.
void Hart::resume() {
  const u64 pc = shared_.start_address.load();
  if (pc != kRetentive) enter_supervisor(pc, shared_.start_opaque.load());
  shared_.hsm_state.store(kHsmStarted);
}

// [sbi: Hart State Management Extension, Hart Start Register State; Hart Resume Register State]
void Hart::enter_supervisor(u64 pc, u64 opaque) {
  state_.pc = pc & ~u64{1};
  state_.privilege = Privilege::supervisor;
  state_.satp = 0;
  state_.mstatus &= ~mstatus::kSie;
  state_.x[10] = options_.id;
  state_.x[11] = opaque;
  state_.reserved = false;
  waiting_ = false;
  flush_everything();
}

void Hart::jump(u64 pc) {
  state_.pc = pc & ~u64{1};
  jumped_ = true;
}

// ---------------------------------------------------------------------------------------------------------- run loop

// Returns true if run() has to return with `exit`.
bool Hart::handle_attention(Exit& exit) {
  const u32 seen = shared_.attention.load();
  if (seen == 0) return false;
  AttentionProtocol& attention = parts_.attention;
  if (seen & kAttentionExclusive) attention.yield_to_exclusive(options_.id, *this);
  if (seen & kAttentionFlush) attention.serve_fences(options_.id, *this);
  if (seen & kAttentionInterrupt) {
    attention.take(options_.id, kAttentionInterrupt);
    refresh_lines();
  }
  if (seen & kAttentionTimer) {
    attention.take(options_.id, kAttentionTimer);
    refresh_timers();
  }
  if (seen & kAttentionAck) attention.take(options_.id, kAttentionAck);
  if (seen & kAttentionStart) {
    attention.take(options_.id, kAttentionStart);
    if (shared_.hsm_state.load() == kHsmStartPending) {
      enter_supervisor(shared_.start_address.load(), shared_.start_opaque.load());
      shared_.hsm_state.store(kHsmStarted);
    }
  }
  if (parts_.attention.shared().power.load() != kPowerOn) {
    exit = Exit::power;
    return true;
  }
  if ((seen & kAttentionStop) && !stepping_) {
    exit = Exit::stopped;
    return true;
  }
  if (seen & kAttentionDebug) {
    attention.take(options_.id, kAttentionDebug);
    exit = Exit::debug;
    return true;
  }
  if (seen & kAttentionMail) {
    attention.take(options_.id, kAttentionMail);
    exit = Exit::mail;
    return true;
  }
  return false;
}

// Enters JavaScript (or the caller's code) parked, with no fence left unserved.
Hart::Exit Hart::park_and_return(Exit exit) {
  publish_retired();
  for (;;) {
    parts_.attention.park(options_.id);
    // The re-check: an initiator that saw the hart running has set its bit before this load and sleeps on an answer.
    if (!(shared_.attention.load() & (kAttentionFlush | kAttentionExclusive))) return exit;
    parts_.attention.take(options_.id, kAttentionExclusive);
    parts_.attention.unpark(options_.id, *this);
    parts_.attention.serve_fences(options_.id, *this);
  }
}

Hart::Exit Hart::run(u64 budget) {
  parts_.attention.unpark(options_.id, *this);
  // Once over, always over: the bit that announced the end has been taken.
  if (parts_.attention.shared().power.load() != kPowerOn) return park_and_return(Exit::power);
  refresh_lines();
  refresh_timers();
  if (passed_break_ != state_.pc) passed_break_ = ~u64{0};
  u64 left = budget;
  for (;;) {
    Exit exit;
    if (handle_attention(exit)) return park_and_return(exit);
    if (parts_.virtual_time != nullptr) refresh_timers();
    const u32 hsm = shared_.hsm_state.load();
    if (hsm != kHsmStarted && hsm != kHsmSuspended) {
      if (left == 0 || stepping_) return park_and_return(Exit::budget);
      if (parts_.virtual_time != nullptr) return park_and_return(Exit::mail);
      // An interrupt leaves it stopped, but the end of the machine is announced like one.
      parts_.attention.sleep(options_.id, *this, kWakeAlways | kAttentionStart | kAttentionInterrupt, -1);
      continue;
    }
    if (stepping_) waiting_ = false;
    if (waiting_ || hsm == kHsmSuspended) {
      if (stepping_ && (mip_ & state_.mie) == 0) return park_and_return(Exit::budget);
      if ((mip_ & state_.mie) == 0) {
        if (left == 0) return park_and_return(Exit::budget);
        if (!wait_for_interrupt()) return park_and_return(Exit::mail);
        refresh_timers();
        refresh_lines();
        if ((mip_ & state_.mie) == 0) continue;  // woken for something else: look at the attention word again
      }
      waiting_ = false;
      if (hsm == kHsmSuspended) resume();
    }
    take_interrupt();
    if (left == 0) return park_and_return(Exit::budget);
    u32 slice = options_.slice;
#ifndef __wasm__
    if (current_scheduler != nullptr) slice = current_scheduler->slice();
#endif
    if (const u64 deadline = shared_.deadline.load_relaxed(); parts_.virtual_time != nullptr && deadline != ~u64{0}) {
      const u64 until = parts_.virtual_time->instructions_until(deadline);
      if (until < slice) slice = static_cast<u32>(until);
    }
    const u32 steps = left < slice ? static_cast<u32>(left) : slice;
    end_ = state_.retired + steps;
    leave_ = false;
    const u64 traps_before = traps_;
    const u64 retired_before = state_.retired;
    if (parts_.tracer != nullptr) {
      interpret_traced(steps);
    } else {
      interpret(steps);
    }
    // Instructions that trapped used up budget too; interrupts, taken above, did not.
    const u64 done = (state_.retired - retired_before) + (traps_ - traps_before);
    left -= done;
    executed_ += done;
    publish_retired();
    if (watched_count_ != 0) [[unlikely]]
      judge_watched();
    if (std::exchange(stopped_by_debug_, false)) [[unlikely]]
      return park_and_return(Exit::debug);
  }
}

u64 Hart::step(u64 count) {
  const u64 before = executed_;
  stepping_ = true;
  while (executed_ - before < count) {
    const u64 last = executed_;
    const Exit exit = run(count - (last - before));
    if (exit == Exit::power || exit == Exit::debug || (exit == Exit::budget && executed_ == last)) break;
  }
  stepping_ = false;
  return executed_ - before;
}

}  // namespace hartwood
