// SPDX-License-Identifier: Apache-2.0
#include "jit/candidates.h"

#include <gtest/gtest.h>

#include <vector>

namespace hartwood::jit {
namespace {

// Places of one set.
std::vector<u64> same_set(size_t count) {
  std::vector<u64> result;
  for (u64 pc = 0x1'0000; result.size() < count; pc += 2) {
    if (Candidates::set_of(pc) == Candidates::set_of(0x1'0000)) result.push_back(pc);
  }
  return result;
}

u32 visit(Candidates& candidates, u64 pc) { return ++candidates.of(pc).visits; }

TEST(Candidates, PlacesOfOneSetGetHotTogether) {
  Candidates candidates;
  const std::vector<u64> places = same_set(Candidates::kWays);
  for (u32 turn = 1; turn <= 100; turn++) {
    for (const u64 pc : places) EXPECT_EQ(visit(candidates, pc), turn);
  }
}

TEST(Candidates, WhatIsVisitedMostStays) {
  Candidates candidates;
  const std::vector<u64> places = same_set(50);
  u32 visits = 0;
  // One is visited as often as all of the others together, which are too many.
  for (u32 turn = 0; turn < 20; turn++) {
    for (size_t i = 1; i < places.size(); i++) {
      visits = visit(candidates, places[0]);
      if (i % 2 == 0) visits = visit(candidates, places[0]);
      visit(candidates, places[i]);
    }
  }
  EXPECT_GT(visits, 300u);
}

TEST(Candidates, NoneStaysForWhatWasLongAgo) {
  Candidates candidates;
  const std::vector<u64> places = same_set(2 * Candidates::kWays);
  for (u32 i = 0; i < Candidates::kWays; i++) {
    for (u32 turn = 0; turn < 150; turn++) visit(candidates, places[i]);
  }
  u32 least = ~u32{0};
  for (u32 turn = 0; turn < 1000; turn++) {
    least = ~u32{0};
    for (u32 i = Candidates::kWays; i < 2 * Candidates::kWays; i++)
      least = std::min(least, visit(candidates, places[i]));
  }
  EXPECT_GT(least, 500u);
}

}  // namespace
}  // namespace hartwood::jit
