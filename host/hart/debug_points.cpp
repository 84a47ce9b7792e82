// SPDX-License-Identifier: Apache-2.0
#include "hart/debug_points.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "hart/page_walk.h"
#include "memory/interrupt.h"

namespace hartwood {
namespace {

constexpr u8 kWatched = kPageWatchRead | kPageWatchWrite;

u64 page_number(u64 address) { return address >> kPageShift; }

// The bytes from `from` on, at most 8, as a number.
u64 number_at(const u8* from, u32 bytes) {
  u64 value = 0;
  for (u32 i = 0; i < bytes; i++) value |= u64{from[i]} << (8 * i);
  return value;
}

// Whether one more, with this number, is possible.
Status room_for(u32 id, const std::vector<Breakpoint>& breaks, const std::vector<Watchpoint>& watches) {
  if (breaks.size() + watches.size() >= DebugPoints::kMostPoints)
    return Error{"there are too many breakpoints and watchpoints"};
  const auto is_same = [&](const auto& other) { return other.id == id; };
  if (std::ranges::any_of(breaks, is_same) || std::ranges::any_of(watches, is_same))
    return Error{"there is a breakpoint or watchpoint of this number"};
  return {};
}

bool passes(const Watchpoint& point, u64 before, u64 after) {
  switch (point.test) {
    case Watchpoint::Test::none: return true;
    case Watchpoint::Test::changed: return before != after;
    case Watchpoint::Test::equal: return after == point.value;
    case Watchpoint::Test::not_equal: return after != point.value;
    case Watchpoint::Test::below: return after < point.value;
    case Watchpoint::Test::above: return after > point.value;
  }
  return true;
}

}  // namespace

Status DebugPoints::add(const Breakpoint& point) {
  if (point.va & 1) return Error{"a breakpoint's address is even"};
  const Status room = room_for(point.id, breaks_, watches_);
  if (!room) return room;
  breaks_.push_back(point);
  changed_ = true;
  return {};
}

Status DebugPoints::add(const Watchpoint& point) {
  if (point.bytes == 0 || point.address + (point.bytes - 1) < point.address)
    return Error{"a watchpoint needs a range of 1 byte or more"};
  if (!point.reads && !point.writes) return Error{"a watchpoint watches reads, writes or both"};
  if (point.physical && !memory_.contains(Pa(point.address), point.bytes))
    return Error{"a physical watchpoint watches bytes of RAM"};
  const Status room = room_for(point.id, breaks_, watches_);
  if (!room) return room;
  watches_.push_back(point);
  changed_ = true;
  return {};
}

bool DebugPoints::remove(u32 id) {
  const auto is_it = [&](const auto& point) { return point.id == id; };
  const size_t gone = std::erase_if(breaks_, is_it) + std::erase_if(watches_, is_it);
  if (gone != 0) changed_ = true;
  return gone != 0;
}

bool DebugPoints::commit() {
  if (!changed_) return false;
  changed_ = false;
  epoch_++;
  Guard guard(lock_);
  // Pages of virtual watchpoints are found again.
  for (const u64 page : marked_) memory_.clear_page_state(page, kWatched);
  marked_.clear();
  followed_.clear();
  virtual_watches_ = 0;
  for (const Watchpoint& point : watches_) {
    if (!point.physical) {
      virtual_watches_++;
      continue;
    }
    const u64 first = page_number(memory_.offset_of(Pa(point.address)));
    const u64 last = page_number(memory_.offset_of(Pa(point.address)) + point.bytes - 1);
    for (u64 page = first; page <= last; page++) {
      memory_.set_page_state(page, kWatched);
      marked_.push_back(page);
    }
  }
  memory_.set_watcher(watches_.empty() ? nullptr : this);
  return true;
}

const Breakpoint* DebugPoints::breakpoint(u64 va, u64 space) const {
  for (const Breakpoint& point : breaks_) {
    if (point.va == va && (point.space == kAnySpace || point.space == space)) return &point;
  }
  return nullptr;
}

bool DebugPoints::watches_virtual_page(u64 va) const {
  const u64 page = page_number(va);
  return std::ranges::any_of(watches_, [&](const Watchpoint& point) {
    return !point.physical && page_number(point.address) <= page &&
           page <= page_number(point.address + point.bytes - 1);
  });
}

bool DebugPoints::follow(u64 va, u64 page, u64 space) {
  Guard guard(lock_);
  const u64 va_page = page_number(va);
  const auto is_known = [&](const Followed& each) {
    return each.va_page == va_page && each.page == page && each.space == space;
  };
  if (std::ranges::any_of(followed_, is_known)) return false;
  // Where it was before is no more.
  std::erase_if(followed_, [&](const Followed& each) { return each.va_page == va_page && each.space == space; });
  followed_.push_back({va_page, page, space});
  const bool fresh = (memory_.page_state(page) & kWatched) != kWatched;
  memory_.set_page_state(page, kWatched);
  if (std::ranges::find(marked_, page) == marked_.end()) marked_.push_back(page);
  return fresh;
}

// What the watchpoint says of the access, whose first byte has the address `from` in the watchpoint's terms.
std::optional<DebugStop> DebugPoints::meeting(const Watchpoint& point, const WatchedAccess& access, u64 from) const {
  if (!((point.reads && access.read) || (point.writes && access.write))) return std::nullopt;
  if (access.walk && !point.walks) return std::nullopt;
  const u64 first = std::max(from, point.address);
  const u64 last = std::min(from + (access.bytes - 1), point.address + (point.bytes - 1));
  if (first > last) return std::nullopt;
  const u32 at = static_cast<u32>(first - from);
  DebugStop stop;
  stop.why = DebugStop::Why::watchpoint;
  stop.id = point.id;
  stop.hart = access.by_hart ? access.hart : DebugStop::kNoHart;
  stop.pc = access.pc;
  stop.address = first;
  stop.bytes = static_cast<u32>(std::min<u64>(last - first + 1, 8));
  stop.write = access.write && point.writes;
  stop.walk = access.walk;
  stop.pa = access.pa + at;
  stop.old_value = number_at(access.before.data() + at, stop.bytes);
  stop.new_value = stop.old_value;
  if (access.write && access.by_hart)
    stop.new_value = number_at(memory_.ram() + memory_.offset_of(access.pa) + at, stop.bytes);
  if (!passes(point, stop.old_value, stop.new_value)) return std::nullopt;
  return stop;
}

std::optional<DebugStop> DebugPoints::judge(const WatchedAccess& access, u64 ticks) {
  // A virtual watchpoint meets the access by its address, or by one that maps to the same page.
  struct Address {
    u64 va, space;
    bool operator==(const Address&) const = default;
  };
  std::vector<Address> addresses;
  if (access.by_hart) addresses.push_back({access.va, access.space});
  const u64 page = page_number(memory_.offset_of(access.pa));
  {
    Guard guard(lock_);
    for (const Followed& each : followed_) {
      const Address other{each.va_page << kPageShift | (access.pa.value & kPageMask), each.space};
      if (each.page == page && std::ranges::find(addresses, other) == addresses.end()) addresses.push_back(other);
    }
  }
  const auto still_maps = [&](const Address& address) {
    return &address == addresses.data() && access.by_hart
               ? true
               : page_walk(memory_, address.space, address.va).pa == std::optional(access.pa);
  };
  for (const Watchpoint& point : watches_) {
    std::optional<DebugStop> stop;
    if (point.physical) stop = meeting(point, access, access.pa.value);
    for (const Address& address : addresses) {
      if (stop || point.physical) break;
      if (point.space != kAnySpace && point.space != address.space) continue;
      stop = meeting(point, access, address.va);
      if (stop && !still_maps(address)) stop.reset();
    }
    if (!stop) continue;
    if (!point.logs) return stop;
    log(point, *stop, ticks);
  }
  return std::nullopt;
}

void DebugPoints::accessed(Pa pa, u64 bytes, bool write, bool walk) {
  if (ignoring_.load() != 0) return;
  // Piece by piece: a device may move a page at once.
  for (u64 done = 0; done < bytes; done += WatchedAccess::kMostBytes) {
    WatchedAccess access;
    access.pa = pa + done;
    access.bytes = static_cast<u32>(std::min<u64>(bytes - done, WatchedAccess::kMostBytes));
    access.read = !write;
    access.write = write;
    access.walk = walk;
    access.by_hart = false;
    std::memcpy(access.before.data(), memory_.ram() + memory_.offset_of(access.pa), access.bytes);
    const std::optional<DebugStop> stop = judge(access, 0);
    if (!stop) continue;
    report(*stop);
    for (u32 hart = 0; hart < attention_.shared().hart_count.load(); hart++) attention_.post(hart, kAttentionDebug);
    return;
  }
}

void DebugPoints::log(const Watchpoint& point, const DebugStop& stop, u64 ticks) {
  Guard guard(lock_);
  const u64 second = ticks / Clock::kTicksPerSecond;
  auto rate = std::ranges::find(rates_, point.id, &Rate::id);
  if (rate == rates_.end()) rate = rates_.insert(rates_.end(), Rate{point.id, second, 0});
  if (rate->second != second) *rate = {point.id, second, 0};
  if (rate->count >= point.most_per_second || log_.entries.size() >= kMostLogEntries) {
    log_.dropped++;
    return;
  }
  rate->count++;
  log_.entries.push_back(stop);
}

DebugPoints::Log DebugPoints::take_log() {
  Guard guard(lock_);
  return std::exchange(log_, {});
}

void DebugPoints::report(const DebugStop& stop) {
  {
    Guard guard(lock_);
    stops_.push_back(stop);
  }
  reports_.fetch_add(1);
  reports_.notify();
}

std::optional<DebugStop> DebugPoints::take_stop() {
  Guard guard(lock_);
  if (stops_.empty()) return std::nullopt;
  DebugStop first = stops_.front();
  stops_.erase(stops_.begin());
  if (first.hart == DebugStop::kNoHart && first.write)
    first.new_value = number_at(memory_.ram() + memory_.offset_of(first.pa), first.bytes);
  return first;
}

}  // namespace hartwood
