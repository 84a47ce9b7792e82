// SPDX-License-Identifier: Apache-2.0
#include "hart/tlb.h"

#include <bit>

#include "base/bits.h"

namespace hartwood {

Tlb::Tlb(u64 ram_bytes)
    : ram_shift_(static_cast<unsigned>(std::countr_zero(ram_bytes))),
      index_mask_((u32{1} << (ram_shift_ - kPageShift + 1)) - 1) {
  const auto allocate = [&](Table& table) {
    table.entries.reset(new u64[index_mask_ + 1]);
    table.log.reset(new u32[kLogSize]);
  };
  for (Table& table : tables_) allocate(table);
  allocate(none_);
}

void Tlb::prepare(Table& table) const {
  if (table.ready) return;
  table.ready = true;
  for (u32 slot = 0; slot <= index_mask_; slot++) table.entries[slot] = empty_entry(slot);
}

Tlb::Tables Tlb::tables(TlbContext context) const {
  if (context == TlbContext::none) {
    prepare(none_);
    return {none_.entries.get(), none_.entries.get()};
  }
  const unsigned at = static_cast<unsigned>(context) * 2;
  prepare(tables_[at]);
  prepare(tables_[at + 1]);
  return {tables_[at].entries.get(), tables_[at + 1].entries.get()};
}

void Tlb::clear(Table& table) {
  if (!table.ready) return;
  if (table.overflowed) {
    for (u32 slot = 0; slot <= index_mask_; slot++) table.entries[slot] = empty_entry(slot);
  } else {
    for (u32 i = 0; i < table.logged; i++) table.entries[table.log[i]] = empty_entry(table.log[i]);
  }
  table.logged = 0;
  table.overflowed = false;
}

void Tlb::fill(TlbContext context, u64 va, u64 ram_offset, bool write, u64 region_bytes) {
  if (context == TlbContext::none) return;
  fills_++;
  Table& to = table(static_cast<unsigned>(context), write);
  prepare(to);
  const u32 slot = static_cast<u32>(va >> kPageShift) & index_mask_;
  const bool was_empty = to.entries[slot] == empty_entry(slot);
  to.entries[slot] = (va ^ ram_offset) & ~kPageMask;
  if (was_empty) {
    if (to.logged < kLogSize) {
      to.log[to.logged++] = slot;
    } else {
      to.overflowed = true;
    }
  }
  if (region_bytes == kPageBytes || context == TlbContext::machine || region_overflow_) return;
  const u64 base = align_down(va, region_bytes);
  for (unsigned i = 0; i < region_count_; i++) {
    if (regions_[i].base == base && regions_[i].bytes == region_bytes) return;
  }
  if (region_count_ < kRegions) {
    regions_[region_count_++] = {base, region_bytes};
  } else {
    region_overflow_ = true;
  }
}

void Tlb::flush_context(TlbContext context) {
  clear(table(static_cast<unsigned>(context), false));
  clear(table(static_cast<unsigned>(context), true));
}

void Tlb::flush_translated() {
  flush_context(TlbContext::user);
  flush_context(TlbContext::supervisor);
  flush_context(TlbContext::supervisor_sum);
  region_count_ = 0;
  region_overflow_ = false;
}

void Tlb::flush_all() {
  flush_translated();
  flush_context(TlbContext::machine);
}

void Tlb::flush_address(u64 va) {
  bool in_region = region_overflow_;
  for (unsigned i = 0; i < region_count_; i++) in_region |= va - regions_[i].base < regions_[i].bytes;
  if (in_region) {
    flush_translated();
    return;
  }
  const u32 slot = static_cast<u32>(va >> kPageShift) & index_mask_;
  for (unsigned context = 0; context < kContexts - 1; context++) {
    table(context, false).entries[slot] = empty_entry(slot);
    table(context, true).entries[slot] = empty_entry(slot);
  }
}

}  // namespace hartwood
