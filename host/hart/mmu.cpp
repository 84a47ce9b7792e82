// SPDX-License-Identifier: Apache-2.0
// The walk follows the numbered steps of [priv: Virtual Address Translation Process]; the step numbers stand beside
// the code. A and D bits are set by compare-exchange on the whole PTE, and a PTE that changed meanwhile starts the walk
// again, so that a concurrent change by another hart is never overwritten.
#include "hart/mmu.h"

#include "base/bits.h"

namespace hartwood {
namespace {

namespace pte {
constexpr u64 kV = 1 << 0, kR = 1 << 1, kW = 1 << 2, kX = 1 << 3, kU = 1 << 4;
constexpr u64 kG = 1 << 5, kA = 1 << 6, kD = 1 << 7;
constexpr u64 kPbmt = u64{3} << 61, kN = u64{1} << 63, kReserved = u64{0x7f} << 54;
constexpr u64 ppn(u64 entry) { return bits(entry, 53, 10); }
}  // namespace pte

enum class Walk : u8 { done, fault, again };

bool leaf_allows(const HartState& state, u64 entry, Access access, Privilege privilege) {
  if (entry & pte::kU) {
    if (privilege == Privilege::supervisor && (access == Access::fetch || !(state.mstatus & mstatus::kSum)))
      return false;
  } else if (privilege == Privilege::user) {
    return false;
  }
  switch (access) {
    case Access::fetch: return entry & pte::kX;
    case Access::load: return (entry & pte::kR) || ((state.mstatus & mstatus::kMxr) && (entry & pte::kX));
    case Access::store: return entry & pte::kW;
  }
  return false;
}

Walk walk(const HartState& state, GuestMemory& memory, u64 va, Access access, Privilege privilege, Translation& out,
          Trap& trap) {
  const SatpMode mode = static_cast<SatpMode>(state.satp >> 60);
  const int levels = mode == SatpMode::sv39 ? 3 : mode == SatpMode::sv48 ? 4 : 5;
  const unsigned va_bits = 12 + 9 * static_cast<unsigned>(levels);
  const auto fail = [&](Cause cause) {
    trap = {cause, va};
    return Walk::fault;
  };
  if (static_cast<u64>(sign_extend(va, va_bits)) != va) return fail(page_fault(access));
  const bool updates = state.menvcfg & envcfg::kAdue;
  out.global = false;
  u64 table = bits(state.satp, 43, 0) << kPageShift;  // step 1
  for (int level = levels - 1; level >= 0; level--) {
    const unsigned shift = kPageShift + 9 * static_cast<unsigned>(level);
    const Pa at(table + bits(va, shift + 8, shift) * 8);
    // step 2
    if (!memory.contains(at, 8) || !pmp_allows(state, at, 8, Access::load, Privilege::supervisor, nullptr))
      return fail(access_fault(access));
    memory.tell_watcher(at, 8, false, true);
    u64 entry = memory.atomic_load<u64>(at);
    // step 3
    if (!(entry & pte::kV) || ((entry & pte::kW) && !(entry & pte::kR)) || (entry & pte::kReserved))
      return fail(page_fault(access));
    if (entry & pte::kPbmt) {
      const bool leaf_entry = entry & (pte::kR | pte::kX);
      if (!(state.menvcfg & envcfg::kPbmte) || (entry & pte::kPbmt) == pte::kPbmt || !leaf_entry)
        return fail(page_fault(access));
    }
    if (entry & pte::kG) out.global = true;  // of a pointer: all that is below it
    // step 4
    if (!(entry & (pte::kR | pte::kX))) {
      if (entry & (pte::kA | pte::kD | pte::kU | pte::kN)) return fail(page_fault(access));
      table = pte::ppn(entry) << kPageShift;
      continue;
    }
    // steps 5 to 7: a leaf. Its low PPN bits are zero for a large page.
    u64 ppn = pte::ppn(entry);
    u64 region_shift = shift;
    if (ppn & ((u64{1} << (9 * level)) - 1)) return fail(page_fault(access));
    if (entry & pte::kN) {  // Svnapot: 64 KiB only
      if (level != 0 || (ppn & 15) != 8) return fail(page_fault(access));
      region_shift = 16;
      ppn &= ~u64{15};
    }
    if (!leaf_allows(state, entry, access, privilege)) return fail(page_fault(access));
    // step 9
    const u64 wanted = pte::kA | (access == Access::store ? pte::kD : 0);
    if ((entry & wanted) != wanted) {
      if (!updates) return fail(page_fault(access));
      if (!pmp_allows(state, at, 8, Access::store, Privilege::supervisor, nullptr)) return fail(access_fault(access));
      // Pairs with the guest's own atomic changes of the PTE.
      u64 seen = entry;
      memory.tell_watcher(at, 8, true, true);
      if (!memory.compare_exchange<u64>(at, seen, entry | wanted)) return Walk::again;
      entry |= wanted;
    }
    // step 10
    const u64 region = u64{1} << region_shift;
    out.pa = Pa((ppn << kPageShift & ~(region - 1)) | (va & (region - 1)));
    out.region_bytes = region;
    out.user = entry & pte::kU;
    out.writable = (entry & pte::kD) && leaf_allows(state, entry, Access::store, privilege);
    return Walk::done;
  }
  return fail(page_fault(access));  // step 5: no leaf at the last level
}

}  // namespace

Cause page_fault(Access access) {
  return access == Access::fetch ? Cause::fetch_page : access == Access::load ? Cause::load_page : Cause::store_page;
}
Cause access_fault(Access access) {
  return access == Access::fetch  ? Cause::fetch_access
         : access == Access::load ? Cause::load_access
                                  : Cause::store_access;
}

Privilege effective_privilege(const HartState& state, Access access) {
  if (access != Access::fetch && state.privilege == Privilege::machine && (state.mstatus & mstatus::kMprv))
    return static_cast<Privilege>(bits(state.mstatus, 12, 11));
  return state.privilege;
}

bool pmp_allows(const HartState& state, Pa pa, unsigned size, Access access, Privilege privilege, bool* uniform) {
  if (uniform) *uniform = true;
  const u64 page = pa.value & ~kPageMask;
  u64 previous = 0;
  for (unsigned i = 0; i < kPmpEntries; i++) {
    const u8 config = state.pmpcfg[i];
    const unsigned kind = (config >> 3) & 3;
    const u64 address = state.pmpaddr[i] << 2;
    u64 low = 0, high = 0;  // [low, high)
    switch (kind) {
      case 0: previous = address; continue;
      case 1:
        low = previous;
        high = address;
        break;
      case 2:
        low = address;
        high = address + 4;
        break;
      case 3: {
        const unsigned ones = static_cast<unsigned>(std::countr_one(state.pmpaddr[i]));
        const unsigned shift = ones + 3;
        low = shift >= 64 ? 0 : align_down(address, u64{1} << shift);
        high = shift >= 64 ? ~u64{0} : low + (u64{1} << shift);
        if (high < low) high = ~u64{0};
        break;
      }
    }
    previous = address;
    if (low >= high) continue;
    const bool touches_page = low < page + kPageBytes && high > page;
    if (!touches_page) continue;
    if (uniform && !(low <= page && high >= page + kPageBytes)) *uniform = false;
    if (pa.value + size <= low || pa.value >= high) continue;
    // The lowest-numbered entry that matches any byte decides, and must match all of them.
    if (pa.value < low || pa.value + size > high) return false;
    if (privilege == Privilege::machine && !(config & 0x80)) return true;
    const u8 need = access == Access::load ? 1 : access == Access::store ? 2 : 4;
    return config & need;
  }
  return privilege == Privilege::machine;
}

bool translate(const HartState& state, GuestMemory& memory, u64 va, unsigned size, Access access, Privilege privilege,
               Translation& out, Trap& trap) {
  if (translates(state, privilege)) {
    Walk result;
    do {
      result = walk(state, memory, va, access, privilege, out, trap);
    } while (result == Walk::again);
    if (result == Walk::fault) return false;
  } else {
    out.pa = Pa(va);
    out.region_bytes = kPageBytes;
    out.writable = true;
    out.user = out.global = false;
  }
  if (!pmp_allows(state, out.pa, size, access, privilege, nullptr)) {
    trap = {access_fault(access), va};
    return false;
  }
  return true;
}

}  // namespace hartwood
