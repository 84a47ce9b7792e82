// SPDX-License-Identifier: Apache-2.0
#include "hart/page_walk.h"

#include "base/bits.h"
#include "hart/state.h"

namespace hartwood {
namespace {
constexpr u64 kV = 1 << 0, kR = 1 << 1, kW = 1 << 2, kX = 1 << 3;
constexpr u64 kNapot = u64{1} << 63;
constexpr u64 kNapotBytes = u64{64} << 10;
}  // namespace

PageWalk page_walk(const GuestMemory& memory, u64 satp, u64 va) {
  PageWalk walk;
  switch (static_cast<SatpMode>(satp >> 60)) {
    case SatpMode::bare:
      walk.pa = Pa(va);
      walk.region_bytes = kPageBytes;
      return walk;
    case SatpMode::sv39: walk.levels = 3; break;
    case SatpMode::sv48: walk.levels = 4; break;
    case SatpMode::sv57: walk.levels = 5; break;
    default: walk.why = "satp has a reserved mode"; return walk;
  }
  if (static_cast<u64>(sign_extend(va, 12 + 9 * walk.levels)) != va) {
    walk.why = "the address's upper bits are not all as its sign";
    return walk;
  }
  u64 table = bits(satp, 43, 0) << kPageShift;
  for (u32 level = walk.levels; level-- > 0;) {
    const unsigned shift = kPageShift + 9 * level;
    const Pa at(table + bits(va, shift + 8, shift) * 8);
    if (!memory.contains(at, 8)) {
      walk.why = "a table is not in RAM";
      return walk;
    }
    const u64 entry = memory.atomic_load<u64>(at);
    walk.step[walk.steps++] = {at, entry};
    if (!(entry & kV)) {
      walk.why = "an entry is not valid";
      return walk;
    }
    const u64 ppn = bits(entry, 53, 10);
    if (!(entry & (kR | kX))) {
      if (entry & kW) {
        walk.why = "an entry has a reserved combination of bits";
        return walk;
      }
      table = ppn << kPageShift;
      continue;
    }
    u64 region = u64{1} << shift;
    if (level == 0 && (entry & kNapot)) region = kNapotBytes;
    walk.region_bytes = region;
    walk.pa = Pa((ppn << kPageShift & ~(region - 1)) | (va & (region - 1)));
    return walk;
  }
  walk.why = "the last level's entry is a pointer";
  return walk;
}

}  // namespace hartwood
