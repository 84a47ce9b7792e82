// SPDX-License-Identifier: Apache-2.0
// Bit fields, sign extension, alignment and unaligned little-endian access. Pure functions.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

#include "base/types.h"

namespace hartwood {

static_assert(std::endian::native == std::endian::little, "guest memory is read in place");

// Bits hi..lo of `value`, both inclusive, 63 >= hi >= lo.
constexpr u64 bits(u64 value, unsigned hi, unsigned lo) {
  const u64 shifted = value >> lo;
  const unsigned width = hi - lo + 1;
  return width >= 64 ? shifted : shifted & ((u64{1} << width) - 1);
}
constexpr u64 bit(u64 value, unsigned index) { return (value >> index) & 1; }

// The low `width` bits (1..64) as a two's complement number.
constexpr i64 sign_extend(u64 value, unsigned width) {
  const unsigned shift = 64 - width;
  return static_cast<i64>(value << shift) >> shift;
}
// An i32 result as RV64 keeps it in a register.
constexpr u64 sext32(u64 value) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(value))); }

constexpr bool is_power_of_two(u64 value) { return value != 0 && (value & (value - 1)) == 0; }
// `alignment` is a power of two.
constexpr u64 align_down(u64 value, u64 alignment) { return value & ~(alignment - 1); }
constexpr u64 align_up(u64 value, u64 alignment) { return align_down(value + alignment - 1, alignment); }

// Replaces the bits of `old` that are set in `mask` by those of `fresh`.
constexpr u64 merge(u64 old, u64 fresh, u64 mask) { return (old & ~mask) | (fresh & mask); }

// Loads and stores of any alignment in host memory.
template <class T>
inline T load_le(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
inline void store_le(void* to, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(to, &value, sizeof value);
}
constexpr u32 byteswap32(u32 v) { return __builtin_bswap32(v); }
constexpr u64 byteswap64(u64 v) { return __builtin_bswap64(v); }

}  // namespace hartwood
