// SPDX-License-Identifier: Apache-2.0
#include "memory/zero_pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace hartwood {
namespace {

constexpr u64 kBytes = 16 * kPageBytes;
bool is_zero(const ZeroPages& pages, u64 bytes) {
  return std::all_of(pages.get(), pages.get() + bytes / 8, [](u64 word) { return word == 0; });
}

TEST(ZeroPages, AreZeroAndStandAtAPage) {
  std::vector<ZeroPages> pieces;
  for (u64 pages = 1; pages <= 8; pages++) {
    pieces.push_back(allocate_zero_pages(pages * kPageBytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pieces.back().get()) % kPageBytes, 0u);
    EXPECT_TRUE(is_zero(pieces.back(), pages * kPageBytes));
    std::memset(pieces.back().get(), 0xff, pages * kPageBytes);
  }
  for (u64 pages = 1; pages <= 8; pages++)
    EXPECT_EQ(pieces[pages - 1][pages * kPageBytes / 8 - 1], ~u64{0}) << "they overlap";
}

TEST(ZeroPages, WhatWasGivenBackIsZeroAgain) {
  for (int round = 0; round < 3; round++) {
    ZeroPages pages = allocate_zero_pages(kBytes), smaller = allocate_zero_pages(kPageBytes);
    EXPECT_TRUE(is_zero(pages, kBytes));
    EXPECT_TRUE(is_zero(smaller, kPageBytes));
    std::memset(pages.get(), 0xff, kBytes);
    std::memset(smaller.get(), 0xff, kPageBytes);
  }
}

TEST(ZeroPages, TheHeapGetsAlongWithThem) {
  std::vector<std::vector<u8>> blocks;
  std::vector<ZeroPages> pieces;
  for (int i = 0; i < 50; i++) {
    blocks.emplace_back(10'000, static_cast<u8>(i));
    pieces.push_back(allocate_zero_pages(kBytes));
    std::memset(pieces.back().get(), 0x80 + i, kBytes);
  }
  for (int i = 0; i < 50; i++) {
    EXPECT_TRUE(std::ranges::all_of(blocks[static_cast<size_t>(i)], [&](u8 byte) { return byte == i; }));
    EXPECT_EQ(pieces[static_cast<size_t>(i)][kBytes / 8 - 1] & 0xff, static_cast<u64>(0x80 + i));
  }
}

}  // namespace
}  // namespace hartwood
