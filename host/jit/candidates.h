// SPDX-License-Identifier: Apache-2.0
// The places that a hart may soon ask code for, and how often each was visited. Belongs to the hart's thread.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "base/types.h"

namespace hartwood::jit {

// A table of a fixed size, in sets. A new place takes the cell of its set that was visited least, so that places whose
// hash is the same do not push each other out for ever, each before it is hot; and then the others of the set lose as
// many visits as that one had, so that none stays for what was long ago.
class Candidates {
 public:
  struct Place {
    u64 pc = 0;
    u32 visits = 0;
    bool indirect = false;  // some of them by an indirect jump or call
  };
  static constexpr u32 kSets = 1024, kWays = 4;

  // The cell of a place; its visits are 0 if it had none.
  Place& of(u64 pc) {
    const std::span<Place, kWays> set(places_.data() + set_of(pc) * kWays, kWays);
    const auto known = std::ranges::find(set, pc, &Place::pc);
    if (known != set.end()) return *known;
    Place& least = *std::ranges::min_element(set, {}, &Place::visits);
    const u32 age = least.visits;
    for (Place& other : set) other.visits -= std::min(other.visits, age);
    least = {.pc = pc};
    return least;
  }
  std::span<const Place> all() const { return places_; }
  static u32 set_of(u64 pc) {
    constexpr u64 kGolden = 0x9e37'79b9'7f4a'7c15;
    return static_cast<u32>(pc * kGolden >> 40) & (kSets - 1);
  }

 private:
  std::array<Place, kSets * kWays> places_{};
};

}  // namespace hartwood::jit
