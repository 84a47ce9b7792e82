// SPDX-License-Identifier: Apache-2.0
// Memory accesses that miss the TLB: they fill it, split at page borders, reach devices, or fault. Misaligned scalar
// accesses succeed everywhere in RAM; both pages are translated before a byte is written, and the lower address's fault
// comes first. Misaligned atomics and misaligned device accesses fault.
#include <cstring>

#include "base/bits.h"
#include "hart/hart.h"

namespace hartwood {
namespace {
constexpr u64 mask_of(unsigned size) { return size == 8 ? ~u64{0} : (u64{1} << (size * 8)) - 1; }
}  // namespace

TlbContext Hart::data_context() const {
  const HartState& s = state_;
  if (s.mstatus & (mstatus::kMprv | mstatus::kMxr)) {
    const bool mprv_matters = (s.mstatus & mstatus::kMprv) && s.privilege == Privilege::machine;
    const bool mxr_matters = (s.mstatus & mstatus::kMxr) && s.privilege != Privilege::machine;
    if (mprv_matters || mxr_matters) return TlbContext::none;
  }
  switch (s.privilege) {
    case Privilege::user: return TlbContext::user;
    case Privilege::supervisor: return s.mstatus & mstatus::kSum ? TlbContext::supervisor_sum : TlbContext::supervisor;
    case Privilege::machine: return TlbContext::machine;
  }
  return TlbContext::none;
}

// Translates [va, va + size), which lies in one page, and enters the page into the TLB where that is possible.
bool Hart::access_page(u64 va, unsigned size, Access access, Pa& pa) {
  state_.count(access == Access::store ? HpmEvent::store_misses : HpmEvent::load_misses);
  const Privilege privilege = effective_privilege(state_, access);
  Translation translation;
  if (!translate(state_, parts_.memory, va, size, access, privilege, translation, trap_)) return false;
  pa = translation.pa;
  GuestMemory& memory = parts_.memory;
  if (!memory.contains(pa, size)) return true;
  const u64 page = memory.offset_of(pa) >> kPageShift;
  memory.require(pa, size);
  if (access == Access::store) memory.note_write(pa, size);
  const u8 state = memory.page_state(page);
  // Who may store may read-modify-write.
  constexpr u8 kWatched = kPageWatchRead | kPageWatchWrite;
  const u8 forbidden = access == Access::store ? kWatched | kPageAbsent : kPageWatchRead | kPageAbsent;
  if (parts_.debug != nullptr && ((state & kWatched) != 0 || parts_.debug->watches_page(va))) [[unlikely]] {
    note_watched(va, pa, size, access);
    return true;
  }
  if (state & forbidden) return true;
  bool uniform = true;
  const Pa whole(pa.value & ~kPageMask);
  // What may be stored to is entered for loads too.
  const bool loads =
      pmp_allows(state_, whole, kPageBytes, Access::load, privilege, &uniform) && (state & kPageWatchRead) == 0;
  if (!uniform) return true;
  tlb_.fill(data_context(),
            {va, page << kPageShift, translation.region_bytes, translation.user, translation.global, loads},
            access == Access::store);
  return true;
}

bool Hart::physical_load(Pa pa, u64 va, unsigned size, u64& value) {
  const GuestMemory& memory = parts_.memory;
  if (memory.contains(pa, size)) {
    const u8* from = memory.ram() + memory.offset_of(pa);
    switch (size) {
      case 1: value = *from; break;
      case 2: value = load_le<u16>(from); break;
      case 4: value = load_le<u32>(from); break;
      default: value = load_le<u64>(from); break;
    }
    return true;
  }
  const MmioRange* range = parts_.bus.find(pa, size);
  if (range == nullptr) return fail(Cause::load_access, va);
  if (pa.value % size != 0) return fail(Cause::load_misaligned, va);
  value = 0;
  if (!range->device->mmio_read(pa.value - range->base, size, value)) return fail(Cause::load_access, va);
  value &= mask_of(size);
  return true;
}

void Hart::note_tohost(Pa pa) {
  const u64 mailbox = options_.tohost_pa;
  if (mailbox == 0 || parts_.host == nullptr || pa.value < mailbox || pa.value >= mailbox + 8) return;
  u64 value = 0;
  parts_.memory.fetch(Pa(mailbox), value);
  if (value != 0) {
    parts_.host->tohost(value);
    leave_ = true;
  }
}

bool Hart::physical_store(Pa pa, u64 va, unsigned size, u64 value) {
  GuestMemory& memory = parts_.memory;
  if (memory.contains(pa, size)) {
    memory.note_write(pa, size);
    u8* to = memory.ram() + memory.offset_of(pa);
    switch (size) {
      case 1: *to = static_cast<u8>(value); break;
      case 2: store_le(to, static_cast<u16>(value)); break;
      case 4: store_le(to, static_cast<u32>(value)); break;
      default: store_le(to, value); break;
    }
    note_tohost(pa);
    return true;
  }
  const MmioRange* range = parts_.bus.find(pa, size);
  if (range == nullptr) return fail(Cause::store_access, va);
  if (pa.value % size != 0) return fail(Cause::store_misaligned, va);
  if (!range->device->mmio_write(pa.value - range->base, size, value & mask_of(size)))
    return fail(Cause::store_access, va);
  return true;
}

// An access whose first `first` bytes lie in one page and whose others in the next. Both must be RAM, and whatever is
// wrong with the lower one is reported before the higher one is looked at.
bool Hart::memory_in_two_pages(u64 va, unsigned first, unsigned size, Access access, Pa& low, Pa& high) {
  if (!access_page(va, first, access, low)) return false;
  if (!parts_.memory.contains(low, first)) return fail(access_fault(access), va);
  if (!access_page(va + first, size - first, access, high)) return false;
  return parts_.memory.contains(high, size - first) || fail(access_fault(access), va + first);
}

bool Hart::load_slow(u64 va, unsigned size, u64& value) {
  const unsigned first = static_cast<unsigned>(kPageBytes - (va & kPageMask));
  Pa pa;
  if (size <= first) return access_page(va, size, Access::load, pa) && physical_load(pa, va, size, value);
  Pa second;
  if (!memory_in_two_pages(va, first, size, Access::load, pa, second)) return false;
  value = 0;
  for (unsigned i = 0; i < size; i++) {
    u64 byte = 0;
    const Pa from = i < first ? pa + i : second + (i - first);
    if (!physical_load(from, va + i, 1, byte)) return false;
    value |= byte << (8 * i);
  }
  return true;
}

bool Hart::store_slow(u64 va, unsigned size, u64 value) {
  const unsigned first = static_cast<unsigned>(kPageBytes - (va & kPageMask));
  Pa pa;
  if (size <= first) return access_page(va, size, Access::store, pa) && physical_store(pa, va, size, value);
  Pa second;
  if (!memory_in_two_pages(va, first, size, Access::store, pa, second)) return false;
  for (unsigned i = 0; i < size; i++) {
    const Pa to = i < first ? pa + i : second + (i - first);
    if (!physical_store(to, va + i, 1, value >> (8 * i))) return false;
  }
  return true;
}

bool Hart::atomic_address_slow(u64 va, unsigned size, Access access, Pa& pa) {
  if (va % size != 0) return fail(access == Access::load ? Cause::load_misaligned : Cause::store_misaligned, va);
  if (!access_page(va, size, access, pa)) return false;
  if (!parts_.memory.contains(pa, size)) return fail(access_fault(access), va);
  return true;
}

bool Hart::zero_block(u64 va) {
  constexpr unsigned kBlock = 64;
  const u64 start = align_down(va, kBlock);
  Pa pa;
  if (!access_page(start, kBlock, Access::store, pa)) {
    trap_.tval = va;  // the address that the instruction was given
    return false;
  }
  if (!parts_.memory.contains(pa, kBlock)) return fail(Cause::store_access, va);
  parts_.memory.note_write(pa, kBlock);
  std::memset(parts_.memory.ram() + parts_.memory.offset_of(pa), 0, kBlock);
  return true;
}

bool Hart::peek(u64 va, void* to, unsigned size) {
  auto* out = static_cast<u8*>(to);
  const Trap kept = trap_;
  for (unsigned i = 0; i < size; i++) {
    Translation translation;
    Trap trap;
    const Privilege privilege = effective_privilege(state_, Access::load);
    if (!translate(state_, parts_.memory, va + i, 1, Access::load, privilege, translation, trap) ||
        !parts_.memory.fetch(translation.pa, out[i])) {
      trap_ = kept;
      return false;
    }
  }
  trap_ = kept;
  return true;
}

}  // namespace hartwood
