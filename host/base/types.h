// SPDX-License-Identifier: Apache-2.0
// Fixed-width integers, the two address types, and the page size. No state.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace hartwood {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
__extension__ using u128 = unsigned __int128;
__extension__ using i128 = __int128;

inline constexpr unsigned kPageShift = 12;
inline constexpr u64 kPageBytes = u64{1} << kPageShift;
inline constexpr u64 kPageMask = kPageBytes - 1;

// A guest virtual address, in bytes. Never converts to a physical one by accident.
struct Va {
  u64 value = 0;
  constexpr Va() = default;
  constexpr explicit Va(u64 v) : value(v) {}
  constexpr u64 page() const { return value >> kPageShift; }
  constexpr u64 page_offset() const { return value & kPageMask; }
  friend constexpr Va operator+(Va a, u64 bytes) { return Va(a.value + bytes); }
  friend constexpr auto operator<=>(Va, Va) = default;
};

// A guest physical address, in bytes.
struct Pa {
  u64 value = 0;
  constexpr Pa() = default;
  constexpr explicit Pa(u64 v) : value(v) {}
  constexpr u64 page() const { return value >> kPageShift; }
  constexpr u64 page_offset() const { return value & kPageMask; }
  friend constexpr Pa operator+(Pa a, u64 bytes) { return Pa(a.value + bytes); }
  friend constexpr auto operator<=>(Pa, Pa) = default;
};

}  // namespace hartwood
