// SPDX-License-Identifier: Apache-2.0
// What the compiler sees of the guest: a run of pages that follow each other in virtual addresses around a hot place,
// each with the RAM page it maps to, and a copy of their bytes. The copy is what gets translated; a hart compares it
// with RAM before it runs the result, so it does not matter whether a page was written while it was copied.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "base/bits.h"
#include "base/types.h"

namespace hartwood::jit {

inline constexpr u32 kWindowPages = 16;
inline constexpr u32 kWindowBefore = 5;  // pages before that of the hot place
inline constexpr u32 kWindowBytes = kWindowPages * static_cast<u32>(kPageBytes);
inline constexpr u64 kNoPage = ~u64{0};

class Window {
 public:
  // RAM page number of each page, or kNoPage.
  std::array<u64, kWindowPages> pages;
  Window() { pages.fill(kNoPage); }

  // Makes page `index` readable. `from`: kPageBytes bytes.
  void copy_page(u32 index, const u8* from) {
    if (bytes_.empty()) bytes_.resize(kWindowBytes);
    std::copy(from, from + kPageBytes, bytes_.begin() + index * kPageBytes);
    present_ |= 1u << index;
  }
  // What was executed, a bit for each halfword; empty: nothing is known of that.
  std::vector<u64> executed_halfwords;
  // Whether it is worth while to translate the instruction at `offset`.
  bool executed(u32 offset) const {
    if (executed_halfwords.empty() || offset >= kWindowBytes) return true;
    return bit(executed_halfwords[offset / 128], offset / 2 % 64);
  }
  // Instructions that compiled code must leave to the interpreter: window offsets, sorted.
  std::vector<u32> left_out;
  bool leaves_out(u32 offset) const { return std::ranges::binary_search(left_out, offset); }
  bool has(u32 offset) const { return offset < kWindowBytes && bit(present_, offset >> kPageShift); }
  const u8* at(u32 offset) const { return bytes_.data() + offset; }

 private:
  std::vector<u8> bytes_;
  u32 present_ = 0;
};

}  // namespace hartwood::jit
