// SPDX-License-Identifier: Apache-2.0
// What a hart does for a debugger. See debug_points.h.
#include <cstring>
#include <utility>

#include "hart/hart.h"

namespace hartwood {

// The hart is about to execute at `pc`. True: it stops there.
bool Hart::meets_breakpoint(u64 pc) {
  if (parts_.debug == nullptr) return false;
  if (passed_break_ == pc) {
    passed_break_ = ~u64{0};
    return false;
  }
  const Breakpoint* const point = parts_.debug->breakpoint(pc, data_space());
  if (point == nullptr) return false;
  DebugStop stop;
  stop.why = DebugStop::Why::breakpoint;
  stop.id = point->id;
  stop.hart = options_.id;
  stop.pc = pc;
  parts_.debug->report(stop);
  passed_break_ = pc;
  stopped_by_debug_ = leave_ = true;
  return true;
}

// `va` lies in the virtual page that the hart has found to be this one.
void Hart::plant_breakpoints(DecodedPage& page, u64 va) {
  parts_.debug->each_break(va & ~kPageMask, kPageBytes,
                           [&](u64 at) { code_.plant(page, static_cast<u32>(at & kPageMask) / 2); });
}

// An access to a page with watched bytes, of RAM. Judged when the instruction is over.
void Hart::note_watched(u64 va, Pa pa, unsigned size, Access access) {
  const u64 page = parts_.memory.offset_of(pa) >> kPageShift;
  if (parts_.debug->watches_page(va) && parts_.debug->follow(va, page, data_space())) must_follow_ = true;
  leave_ = true;
  if (watched_count_ == kMostWatched) return;
  WatchedAccess& noted = watched_[watched_count_++];
  noted = {};
  noted.pa = pa;
  noted.va = va;
  noted.bytes = size;
  noted.read = access == Access::load;
  noted.write = access == Access::store;
  noted.space = data_space();
  noted.pc = executing_pc_;
  noted.hart = options_.id;
  std::memcpy(noted.before.data(), parts_.memory.ram() + parts_.memory.offset_of(pa), size);
}

// Behind the instruction that made the accesses.
void Hart::judge_watched() {
  for (u32 i = 0; i < watched_count_; i++) {
    const std::optional<DebugStop> stop = parts_.debug->judge(watched_[i], parts_.clock.ticks());
    if (!stop) continue;
    parts_.debug->report(*stop);
    stopped_by_debug_ = true;
    break;
  }
  watched_count_ = 0;
  // Others may have the page in their TLBs, by another address.
  if (std::exchange(must_follow_, false)) fence_others(~u64{0}, {.kinds = kFenceAll});
}

// The debugger has changed something; all of the hart's caches are being flushed.
void Hart::take_up_debug_points() {
  if (parts_.debug == nullptr || parts_.debug->epoch() == debug_epoch_) return;
  debug_epoch_ = parts_.debug->epoch();
  code_.unplant_all();
}

}  // namespace hartwood
