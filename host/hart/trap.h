// SPDX-License-Identifier: Apache-2.0
// Trap causes and the pending trap of an instruction. [priv: Machine Cause (mcause) Register]
#pragma once

#include "base/types.h"

namespace hartwood {

enum class Cause : u8 {
  fetch_misaligned = 0,
  fetch_access = 1,
  illegal_instruction = 2,
  breakpoint = 3,
  load_misaligned = 4,
  load_access = 5,
  store_misaligned = 6,
  store_access = 7,
  ecall_u = 8,
  ecall_s = 9,
  ecall_m = 11,
  fetch_page = 12,
  load_page = 13,
  store_page = 15,
};

// Interrupt numbers: bit positions of mip and mie.
enum Interrupt : u8 { kSsi = 1, kMsi = 3, kSti = 5, kMti = 7, kSei = 9, kMei = 11 };
inline constexpr u64 kInterruptCause = u64{1} << 63;

struct Trap {
  Cause cause = Cause::illegal_instruction;
  u64 tval = 0;
};

enum class Access : u8 { fetch, load, store };

}  // namespace hartwood
