// SPDX-License-Identifier: Apache-2.0
// Page tables for tests: built in a rig's RAM from kTables on, one table after the other. Writes entries
// only; nothing that a hart caches is dropped. Single-threaded.
#pragma once

#include "hart/rig.h"

namespace hartwood::test {

inline constexpr u64 kTables = kRamBase + 0x20'0000;

namespace pte {
inline constexpr u64 kV = 1 << 0, kR = 1 << 1, kW = 1 << 2, kX = 1 << 3, kU = 1 << 4, kG = 1 << 5, kA = 1 << 6,
                     kD = 1 << 7;
inline constexpr u64 kRead = kV | kR, kRw = kV | kR | kW, kRx = kV | kR | kX, kRwx = kV | kR | kW | kX, kAd = kA | kD;
inline constexpr u64 kNapot = u64{1} << 63;
constexpr u64 pbmt(u64 value) { return value << 61; }
}  // namespace pte

class Paging {
 public:
  Paging(Rig& rig, SatpMode mode, u64 tables = kTables) : rig_(rig), mode_(mode), root_(tables), next_(tables) {
    fresh();
  }

  int levels() const { return mode_ == SatpMode::sv39 ? 3 : mode_ == SatpMode::sv48 ? 4 : 5; }
  u64 root() const { return root_; }
  u64 satp(u64 asid = 0) const { return static_cast<u64>(mode_) << 60 | asid << 44 | root_ >> kPageShift; }
  // Sets satp in the state and drops what the hart caches.
  void enable(u64 asid = 0) {
    rig_.state().satp = satp(asid);
    rig_.drop_caches();
  }

  // Physical address of the entry for `va` at `level` (0: 4 KiB pages); makes the tables on the way.
  u64 entry_at(u64 va, int level = 0) {
    u64 table = root_;
    for (int at = levels() - 1;; at--) {
      const u64 entry = table + 8 * ((va >> (12 + 9 * at)) & 511);
      if (at == level) return entry;
      u64 value = rig_.peek<u64>(entry);
      if (!(value & pte::kV)) {
        value = fresh() >> 2 | pte::kV;
        rig_.poke<u64>(entry, value);
      }
      table = (value >> 10 & ((u64{1} << 44) - 1)) << kPageShift;
    }
  }
  static u64 leaf(u64 pa, u64 flags) { return pa >> kPageShift << 10 | flags; }
  void map(u64 va, u64 pa, u64 flags, int level = 0) { rig_.poke<u64>(entry_at(va, level), leaf(pa, flags)); }
  u64 entry(u64 va, int level = 0) { return rig_.peek<u64>(entry_at(va, level)); }

 private:
  u64 fresh() {
    const u64 table = next_;
    next_ += kPageBytes;
    HW_CHECK(rig_.memory().fill(Pa(table), 0, kPageBytes), "no room for page tables");
    return table;
  }
  Rig& rig_;
  SatpMode mode_;
  u64 root_, next_;
};

}  // namespace hartwood::test
