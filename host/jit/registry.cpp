// SPDX-License-Identifier: Apache-2.0
#include "jit/registry.h"

#include <algorithm>
#include <cstring>

namespace hartwood::jit {

Registry::Registry(GuestMemory& memory, u32 harts, u32 first_slot, CompilerStatistics& statistics)
    : memory_(memory),
      all_harts_((1u << harts) - 1),
      statistics_(statistics),
      next_slot_(first_slot),
      end_slot_(first_slot + kTableSlots) {
  modules_.push_back(nullptr);
  requests_.reserve(kMaxRequests);
  asked_.reserve(16384);
  entries_.reserve(16384);
}

bool Registry::request(Request request) {
  {
    Guard guard(lock_);
    if (requests_.size() >= kMaxRequests) return false;
    // Compiled already, and perhaps on its way to the hart?
    const auto [from, to] = entries_.equal_range(key(request));
    for (auto at = from; at != to; ++at) {
      const CompiledModule& module = *modules_[at->second.module];
      const u32 home = module.entries[at->second.entry].offset >> kPageShift, here = request.entry >> kPageShift;
      bool same = module.dead.load() == 0;
      for (u32 i = 0; i < kWindowPages && same; i++) {
        if (module.pages[i] == kNoPage) continue;
        const u32 there = i + here - home;
        same = there < kWindowPages && request.pages[there] == module.pages[i];
      }
      if (same) return false;
    }
    Asked& asked = asked_[key(request)];
    constexpr u32 kAttempts = 8;
    if (asked.waiting || asked.attempts >= kAttempts) return false;
    if (request.indirect && asked.attempts == 0)
      places_[request.pages[request.entry >> kPageShift]].push_back(static_cast<u16>(request.entry & kPageMask));
    asked.waiting = true;
    asked.attempts++;
    requests_.push_back(std::move(request));
  }
  statistics_.requests.fetch_add(1);
  statistics_.requests.notify();  // the page, which makes the compiler's worker for the first one
  work_.fetch_add(1);
  work_.notify();
  return true;
}

bool Registry::take(Request& request, std::vector<u32>& seen) {
  Guard guard(lock_);
  if (requests_.empty()) return false;
  request = std::move(requests_.front());
  requests_.erase(requests_.begin());
  seen = request.jumped_to;
  for (u32 i = 0; i < kWindowPages; i++) {
    const auto found = request.pages[i] == kNoPage ? places_.end() : places_.find(request.pages[i]);
    if (found == places_.end()) continue;
    for (const u16 place : found->second) seen.push_back(i * static_cast<u32>(kPageBytes) + place);
  }
  find_grown(request);
  return true;
}

// The lock is held.
void Registry::find_grown(Request& request) {
  constexpr size_t kMost = 8;
  if (request.executed.empty()) return;
  for (u32 here = 0; here < kWindowPages; here++) {
    if (request.pages[here] == kNoPage) continue;
    const auto [from, to] = cold_.equal_range(request.pages[here]);
    for (auto at = from; at != to && request.grown.size() < kMost; ++at) {
      const CompiledModule& module = *modules_[at->second.module];
      if (module.dead.load() != 0 || module.replaced || module.generation >= kMostGenerations) continue;
      const u32 cold = module.cold[at->second.entry].offset;
      const u32 offset = here * static_cast<u32>(kPageBytes) + (cold & kPageMask);
      if (!bit(request.executed[offset / 128], offset / 2 % 64)) continue;
      // Whether its pages lie around the place as they do here.
      const u32 moved = here - (cold >> kPageShift);
      const u32 entry = module.entries[0].offset + moved * static_cast<u32>(kPageBytes);
      bool same = entry < kWindowBytes;
      for (u32 i = 0; i < kWindowPages && same; i++)
        same = module.pages[i] == kNoPage || (i + moved < kWindowPages && request.pages[i + moved] == module.pages[i]);
      const auto is_same = [&](const Request::Grown& other) { return other.module == module.id; };
      if (same && std::ranges::none_of(request.grown, is_same)) request.grown.push_back({module.id, entry});
    }
  }
}

bool Registry::replace(u32 id) {
  Guard guard(lock_);
  if (modules_[id] == nullptr || modules_[id]->dead.load() != 0 || modules_[id]->replaced) return false;
  modules_[id]->replaced = true;
  return true;
}

void Registry::failed(const Request& request) {
  Guard guard(lock_);
  // Stays "waiting": it would fail again.
  asked_[key(request)].attempts = ~u32{0};
}

u32 Registry::allocate_slots(u32 count) {
  Guard guard(lock_);
  for (size_t i = 0; i < free_slots_.size(); i++) {
    auto& [slot, free] = free_slots_[i];
    if (free < count) continue;
    const u32 result = slot;
    slot += count;
    free -= count;
    if (free == 0) free_slots_.erase(free_slots_.begin() + static_cast<std::ptrdiff_t>(i));
    return result;
  }
  if (next_slot_ + count > end_slot_) return 0;
  const u32 result = next_slot_;
  next_slot_ += count;
  return result;
}

u32 Registry::publish(std::unique_ptr<CompiledModule> module) {
  Guard guard(lock_);
  const u32 id = static_cast<u32>(modules_.size());
  module->id = id;
  module->last_found = module->published = now_;
  for (u32 i = 0; i < module->entries.size(); i++) {
    const u32 offset = module->entries[i].offset;
    const u64 name = key(module->pages[offset >> kPageShift], offset);
    entries_.emplace(name, EntryName{id, i});
    asked_[name].waiting = false;
  }
  for (u32 i = 0; i < module->cold.size(); i++) cold_.emplace(module->cold[i].page, EntryName{id, i});
  if (module->replaces != 0 && modules_[module->replaces])
    module->generation = modules_[module->replaces]->generation + 1;
  live_bytes_ += module->emitted_bytes;
  statistics_.modules_compiled.fetch_add(1);
  statistics_.regions_compiled.fetch_add(module->slots);
  statistics_.bytes_emitted.fetch_add(module->emitted_bytes);
  statistics_.modules_live.fetch_add(1);
  modules_.push_back(std::move(module));
  return id;
}

void Registry::leave_out(CompiledModule& module, u64 page, u32 offset) {
  Guard guard(lock_);
  module.dead.store(1);
  std::vector<u16>& offsets = left_out_[page];
  const u16 place = static_cast<u16>(offset & kPageMask);
  if (std::ranges::find(offsets, place) == offsets.end()) offsets.push_back(place);
  for (const CompiledModule::Entry& entry : module.entries)
    asked_.erase(key(module.pages[entry.offset >> kPageShift], entry.offset));
}

std::vector<u32> Registry::left_out(const std::array<u64, kWindowPages>& pages) {
  Guard guard(lock_);
  std::vector<u32> all;
  for (u32 i = 0; i < kWindowPages && !left_out_.empty(); i++) {
    const auto found = pages[i] == kNoPage ? left_out_.end() : left_out_.find(pages[i]);
    if (found == left_out_.end()) continue;
    for (const u16 place : found->second) all.push_back(i * static_cast<u32>(kPageBytes) + place);
  }
  std::ranges::sort(all);
  return all;
}

void Registry::forget_left_out() {
  Guard guard(lock_);
  for (const auto& [page, offsets] : left_out_) {
    for (const u16 offset : offsets) asked_.erase(key(page, offset));
  }
  left_out_.clear();
  for (const auto& module : modules_) {
    if (module == nullptr || !module->leaves_out || module->dead.load() != 0) continue;
    module->dead.store(1);
    for (const CompiledModule::Entry& entry : module->entries)
      asked_.erase(key(module->pages[entry.offset >> kPageShift], entry.offset));
  }
}

bool Registry::check_source(CompiledModule& module) {
  const u8* source = module.source.data();
  for (const CompiledModule::Range& range : module.ranges) {
    u32 offset = range.offset, left = range.bytes;
    while (left != 0) {
      const u32 in_page = offset & kPageMask;
      const u32 part = std::min(left, static_cast<u32>(kPageBytes) - in_page);
      const u8* now = memory_.ram() + (module.pages[offset >> kPageShift] << kPageShift) + in_page;
      if (std::memcmp(source, now, part) != 0) {
        module.dead.store(1);
        return false;
      }
      source += part;
      offset += part;
      left -= part;
    }
  }
  return true;
}

const CompiledModule* Registry::installed(u32 hart, u32 id) {
  Guard guard(lock_);
  if (id >= modules_.size() || !modules_[id]) return nullptr;
  CompiledModule& module = *modules_[id];
  const u32 before = module.installed.fetch_or(1u << hart);
  if ((before | 1u << hart) == all_harts_ && module.replaces != 0 && modules_[module.replaces])
    modules_[module.replaces]->dead.store(1);
  return &module;
}

void Registry::engine_refused(u32 id) {
  Guard guard(lock_);
  statistics_.modules_failed.fetch_add(1);
  if (id < modules_.size() && modules_[id]) modules_[id]->dead.store(1);
}

u32 Registry::next_to_drop() {
  Guard guard(lock_);
  u32 oldest = 0;
  for (u32 id = 1; id < modules_.size(); id++) {
    CompiledModule* module = modules_[id].get();
    if (module == nullptr || module->dropping || module->installed.load() != all_harts_) continue;
    if (module->dead.load() != 0) {
      oldest = id;
      break;
    }
    if (live_bytes_ > budget_ && (oldest == 0 || module->last_found < modules_[oldest]->last_found)) oldest = id;
  }
  if (oldest == 0) return 0;
  CompiledModule& module = *modules_[oldest];
  module.dead.store(1);
  module.dropping = true;
  live_bytes_ -= module.emitted_bytes;
  return oldest;
}

void Registry::slots_of(u32 id, u32& slot, u32& count) {
  Guard guard(lock_);
  const bool known = id < modules_.size() && modules_[id];
  slot = known ? modules_[id]->slot : 0;
  count = known ? modules_[id]->slots : 0;
}

void Registry::dropped(u32 hart, u32 id) {
  Guard guard(lock_);
  if (id >= modules_.size() || !modules_[id]) return;
  CompiledModule& module = *modules_[id];
  module.forgotten |= 1u << hart;
  if (module.forgotten == all_harts_) forget(id);
}

// The lock is held.
void Registry::forget(u32 id) {
  CompiledModule& module = *modules_[id];
  const auto erase = [id](auto& map, u64 name) {
    const auto [from, to] = map.equal_range(name);
    const auto at = std::find_if(from, to, [id](const auto& row) { return row.second.module == id; });
    if (at != to) map.erase(at);
  };
  for (const CompiledModule::Place& place : module.cold) erase(cold_, place.page);
  for (u32 i = 0; i < module.entries.size(); i++) {
    const u32 offset = module.entries[i].offset;
    const u64 name = key(module.pages[offset >> kPageShift], offset);
    erase(entries_, name);
    // It was of use, so whatever has ended it: the next one may be.
    if (module.last_found != module.published) asked_[name].attempts = 0;
  }
  free_slots_.push_back({module.slot, module.slots});
  statistics_.modules_live.fetch_add(~u32{0});
  statistics_.modules_evicted.fetch_add(1);
  modules_[id] = nullptr;
}

}  // namespace hartwood::jit
