// SPDX-License-Identifier: Apache-2.0
// Random numbers, and random operands that are mostly near the edges of their types. Pure functions of the
// generator's state, so that a seed always gives the same values on every host.
#pragma once

#include "base/types.h"

namespace hartwood::differential {

// SplitMix64.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next();
  // 0 <= result < bound, bound > 0.
  u32 below(u32 bound) { return static_cast<u32>((next() >> 32) * bound >> 32); }
  u32 between(u32 low, u32 high) { return low + below(high - low + 1); }
  bool chance(u32 percent) { return below(100) < percent; }

 private:
  u64 state_;
};

// Small numbers, powers of two and their neighbours, limits of every width, patterns, and numbers of random
// length.
u64 edge_integer(Random& random);

// The bits of a number of `width` 16, 32 or 64: zeros, subnormals, ones, integers' limits, halves,
// infinities, quiet and signalling NaNs, and ordinary ones. `near` is a number of the same format that the
// result is sometimes close to.
u64 edge_float(Random& random, unsigned width, u64 near);

// Into a 64-bit register: mostly NaN-boxed, sometimes deliberately not.
u64 boxed(Random& random, unsigned width, u64 number);

}  // namespace hartwood::differential
