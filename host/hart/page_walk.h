// SPDX-License-Identifier: Apache-2.0
// A page-table walk for people and debuggers: every entry on the way, whatever it allows, and nothing is changed.
// [priv: Virtual Address Translation Process]
#pragma once

#include <array>
#include <optional>

#include "memory/guest_memory.h"

namespace hartwood {

struct PageWalk {
  struct Step {
    Pa address{0};  // of the entry
    u64 entry = 0;
  };
  static constexpr u32 kMostLevels = 5;
  u32 levels = 0;  // of the mode: 3 to 5; 0: addresses are not translated
  u32 steps = 0;   // entries that were read, the root's first
  std::array<Step, kMostLevels> step;
  std::optional<Pa> pa;       // none: not mapped
  u64 region_bytes = 0;       // of the page, if it is mapped
  const char* why = nullptr;  // it is not mapped
};

// `satp`: the register's value; 0: addresses are physical.
PageWalk page_walk(const GuestMemory& memory, u64 satp, u64 va);

}  // namespace hartwood
