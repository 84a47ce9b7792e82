// SPDX-License-Identifier: Apache-2.0
// Plain loads and stores, which neighbours of can share one look at an address. Pure functions.
#pragma once

#include <optional>

#include "base/types.h"
#include "isa/isa.h"

namespace hartwood {

struct PlainAccess {
  bool store = false, is_signed = false, is_float = false;
  u8 size = 0;   // bytes
  u32 base = 0;  // register
  u32 data = 0;  // register
  i32 offset = 0;
};

// What a load or a store of an integer register, or of a whole floating-point one, does; nullopt for all else.
std::optional<PlainAccess> plain_access(const Decoded& decoded);

}  // namespace hartwood
