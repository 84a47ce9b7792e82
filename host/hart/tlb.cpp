// SPDX-License-Identifier: Apache-2.0
#include "hart/tlb.h"

#include <algorithm>
#include <bit>

#include "base/bits.h"

namespace hartwood {

Tlb::Tlb(u64 ram_bytes)
    : ram_shift_(static_cast<unsigned>(std::countr_zero(ram_bytes))),
      index_mask_((u32{1} << (ram_shift_ - kPageShift + 1)) - 1) {
  const u64 table_bytes = (u64{index_mask_} + 1) * sizeof(u64);
  const u64 shared = 2 * table_bytes, each = 4 * table_bytes;
  const u64 fitting = kMostBytes > shared ? (kMostBytes - shared) / each : 0;
  space_count_ = static_cast<u32>(std::clamp<u64>(fitting, 1, kMaxSpaces));
}

void Tlb::prepare(Table& table) const {
  if (table.entries) return;
  table.entries = allocate_zero_pages((u64{index_mask_} + 1) * sizeof(u64));
  table.log.reset(new u32[kLogSize]);
  for (u32 slot = 0; empty_entry(slot) != 0; slot++) table.entries[slot] = empty_entry(slot);
}

Tlb::Pair& Tlb::pair(TlbContext context) const {
  switch (context) {
    case TlbContext::user: return spaces_[space_].user;
    case TlbContext::supervisor: return supervisor_;
    case TlbContext::supervisor_sum: return spaces_[space_].supervisor_sum;
    case TlbContext::machine: return machine_;
    case TlbContext::none: break;
  }
  return none_;
}

Tlb::Tables Tlb::tables(TlbContext context) const {
  Pair& of = pair(context);
  prepare(of.read);
  if (context == TlbContext::none) return {of.read.entries.get(), of.read.entries.get()};
  prepare(of.write);
  return {of.read.entries.get(), of.write.entries.get()};
}

u32 Tlb::use_space(u64 satp, bool& fresh) {
  fresh = false;
  if (spaces_[space_].satp == satp) return space_;
  if (supervisor_local_) {
    clear(supervisor_);
    supervisor_local_ = false;
  }
  u32 found = 0;
  while (found < space_count_ && spaces_[found].satp != satp) found++;
  if (found == space_count_) {
    fresh = true;
    found = 0;
    for (u32 i = 1; i < space_count_; i++) {
      if (spaces_[i].last_use < spaces_[found].last_use) found = i;
    }
    clear(spaces_[found].user);
    clear(spaces_[found].supervisor_sum);
    spaces_[found].satp = satp;
  }
  space_ = found;
  spaces_[found].last_use = ++uses_;
  return found;
}

void Tlb::clear(Table& table) {
  if (!table.entries) return;
  if (table.overflowed) {
    for (u32 slot = 0; slot <= index_mask_; slot++) table.entries[slot] = empty_entry(slot);
  } else {
    for (u32 i = 0; i < table.logged; i++) table.entries[table.log[i]] = empty_entry(table.log[i]);
  }
  table.logged = 0;
  table.overflowed = false;
}
void Tlb::clear(Pair& pair) {
  clear(pair.read);
  clear(pair.write);
}

void Tlb::forget(Table& table, u32 slot) {
  if (table.entries) table.entries[slot] = empty_entry(slot);
}
void Tlb::forget(Pair& pair, u32 slot) {
  forget(pair.read, slot);
  forget(pair.write, slot);
}

void Tlb::enter(Table& table, u32 slot, u64 entry) {
  prepare(table);
  const bool was_empty = table.entries[slot] == empty_entry(slot);
  table.entries[slot] = entry;
  if (!was_empty) return;
  if (table.logged < kLogSize) {
    table.log[table.logged++] = slot;
  } else {
    table.overflowed = true;
  }
}

void Tlb::fill(TlbContext context, const Page& page, bool write) {
  if (context == TlbContext::none) return;
  fills_++;
  const u32 slot = static_cast<u32>(page.va >> kPageShift) & index_mask_;
  const u64 entry = (page.va ^ page.ram_offset) & ~kPageMask;
  const auto enter_pair = [&](Pair& to) {
    if (page.loads) enter(to.read, slot, entry);
    if (write) enter(to.write, slot, entry);
  };
  enter_pair(pair(context));
  if (context == TlbContext::machine) return;
  if (page.user) {
    // The other context may never be used: it is not made for this.
    Pair& other = pair(context == TlbContext::user ? TlbContext::supervisor_sum : TlbContext::user);
    if (other.write.entries) enter_pair(other);
  } else {
    if (!page.global) supervisor_local_ = true;
    Pair& other = pair(context == TlbContext::supervisor ? TlbContext::supervisor_sum : TlbContext::supervisor);
    if (other.write.entries) enter_pair(other);
  }
  if (page.region_bytes != kPageBytes) note_region(page.va, page.region_bytes);
}

// Neighbours grow together; where there are too many, the two that are nearest to each other do.
void Tlb::note_region(u64 va, u64 bytes) {
  const u64 first = align_down(va, bytes);
  const u64 last = first + (bytes - 1);
  for (unsigned i = 0; i < region_count_; i++) {
    if (regions_[i].first <= first && last <= regions_[i].last) return;
  }
  Region all[kRegions + 1];
  unsigned count = region_count_;
  std::copy(regions_, regions_ + count, all);
  all[count++] = {first, last};
  std::sort(all, all + count, [](const Region& a, const Region& b) { return a.first < b.first; });
  const auto join = [&](unsigned at) {
    all[at].last = std::max(all[at].last, all[at + 1].last);
    std::copy(all + at + 2, all + count, all + at + 1);
    count--;
  };
  for (unsigned i = 0; i + 1 < count;) {
    if (all[i].last >= all[i + 1].first || all[i].last + 1 == all[i + 1].first)
      join(i);
    else
      i++;
  }
  if (count > kRegions) {
    unsigned nearest = 0;
    for (unsigned i = 1; i + 1 < count; i++) {
      if (all[i + 1].first - all[i].last < all[nearest + 1].first - all[nearest].last) nearest = i;
    }
    join(nearest);
  }
  std::copy(all, all + count, regions_);
  region_count_ = count;
}

void Tlb::flush_context(TlbContext context) { clear(pair(context)); }

void Tlb::flush_translated() {
  for (Space& space : spaces_) {
    clear(space.user);
    clear(space.supervisor_sum);
  }
  clear(supervisor_);
  supervisor_local_ = false;
  region_count_ = 0;
}

void Tlb::flush_all() {
  flush_translated();
  clear(machine_);
}

void Tlb::flush_address(u64 va) {
  for (unsigned i = 0; i < region_count_; i++) {
    if (va - regions_[i].first <= regions_[i].last - regions_[i].first) {
      flush_translated();
      return;
    }
  }
  const u32 slot = static_cast<u32>(va >> kPageShift) & index_mask_;
  for (Space& space : spaces_) {
    forget(space.user, slot);
    forget(space.supervisor_sum, slot);
  }
  forget(supervisor_, slot);
}

void Tlb::flush_asid(u64 asid) {
  constexpr unsigned kAsidFirst = 44, kAsidLast = 59;  // of satp
  for (Space& space : spaces_) {
    if (bits(space.satp, kAsidLast, kAsidFirst) != asid) continue;
    clear(space.user);
    clear(space.supervisor_sum);
  }
  if (supervisor_local_) {
    clear(supervisor_);
    supervisor_local_ = false;
  }
}

}  // namespace hartwood
