// SPDX-License-Identifier: Apache-2.0
#include "devices/plic.h"

#include "support.h"

namespace hartwood::device_test {
namespace {

constexpr u32 kMeip = 1u << 11, kSeip = 1u << 9;
constexpr u64 priority_of(u32 source) { return Plic::kPriority + 4 * source; }
constexpr u64 enable_of(u32 context, u32 word = 0) { return Plic::kEnable + Plic::kEnableStride * context + 4 * word; }
constexpr u64 threshold_of(u32 context) { return Plic::kContext + Plic::kContextStride * context; }
constexpr u64 claim_of(u32 context) { return threshold_of(context) + 4; }

struct PlicTest : testing::Test {
  // Source with a priority, enabled for a context.
  void arm(u32 source, u32 priority, u32 context) {
    write_reg(device, priority_of(source), priority);
    const u64 at = enable_of(context, source / 32);
    write_reg(device, at, read_reg(device, at) | u64{1} << source % 32);
  }
  bool pending(u32 source) { return bit(read_reg(device, Plic::kPending + 4 * (source / 32)), source % 32) != 0; }

  FakeHarts harts{2};
  Plic device{2, harts};
};

TEST_F(PlicTest, RegistersKeepWhatTheyImplement) {
  write_reg(device, priority_of(5), 0xffff'fffb);
  EXPECT_EQ(read_reg(device, priority_of(5)), 3u);  // three bits of priority
  write_reg(device, priority_of(0), 7);
  EXPECT_EQ(read_reg(device, priority_of(0)), 0u);
  write_reg(device, priority_of(96), 7);
  EXPECT_EQ(read_reg(device, priority_of(96)), 0u);
  write_reg(device, enable_of(3, 0), ~0u);
  EXPECT_EQ(read_reg(device, enable_of(3, 0)), 0xffff'fffeu);  // source 0 does not exist
  write_reg(device, enable_of(3, 2), 0x8000'0001);
  EXPECT_EQ(read_reg(device, enable_of(3, 2)), 0x8000'0001u);
  write_reg(device, enable_of(3, 3), ~0u);
  EXPECT_EQ(read_reg(device, enable_of(3, 3)), 0u);
  EXPECT_EQ(read_reg(device, enable_of(2, 2)), 0u);
  write_reg(device, threshold_of(1), 0xff);
  EXPECT_EQ(read_reg(device, threshold_of(1)), 7u);
  write_reg(device, threshold_of(4), 5);  // a context that is not there
  EXPECT_EQ(read_reg(device, threshold_of(4)), 0u);
  EXPECT_EQ(read_reg(device, claim_of(4)), 0u);
  write_reg(device, enable_of(4, 0), ~0u);
  EXPECT_EQ(read_reg(device, enable_of(4, 0)), 0u);
  write_reg(device, Plic::kPending, ~0u);
  EXPECT_EQ(read_reg(device, Plic::kPending), 0u);
  EXPECT_EQ(read_reg(device, virt::kPlicBytes - 4), 0u);
  for (const unsigned size : {1u, 2u, 8u}) EXPECT_TRUE(refuses(device, threshold_of(0), size));
}

TEST_F(PlicTest, DrivesTheLineOfTheEnabledContextOnly) {
  arm(10, 1, 3);  // hart 1, supervisor
  device.set_level(10, true);
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(harts.lines(1), kSeip);
  arm(10, 1, 0);  // hart 0, machine
  EXPECT_EQ(harts.lines(0), kMeip);
  write_reg(device, enable_of(3), 0);
  EXPECT_EQ(harts.lines(1), 0u);
}

TEST_F(PlicTest, PriorityZeroNeverInterrupts) {
  arm(7, 0, 1);
  device.set_level(7, true);
  EXPECT_TRUE(pending(7));
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(device, claim_of(1)), 0u);
  write_reg(device, priority_of(7), 1);
  EXPECT_EQ(harts.lines(0), kSeip);
}

TEST_F(PlicTest, ThresholdMasksTheLineButNotTheClaim) {
  arm(7, 3, 1);
  write_reg(device, threshold_of(1), 3);
  device.set_level(7, true);
  EXPECT_EQ(harts.lines(0), 0u);
  write_reg(device, threshold_of(1), 2);
  EXPECT_EQ(harts.lines(0), kSeip);
  write_reg(device, threshold_of(1), 7);
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(device, claim_of(1)), 7u);
}

TEST_F(PlicTest, ClaimsByPriorityThenByLowestSource) {
  arm(40, 5, 1);
  arm(95, 5, 1);
  arm(3, 2, 1);
  arm(64, 6, 1);
  for (const u32 source : {3u, 40u, 64u, 95u}) device.set_level(source, true);
  for (const u32 expected : {64u, 40u, 95u, 3u}) {
    EXPECT_EQ(harts.lines(0), kSeip);
    EXPECT_EQ(read_reg(device, claim_of(1)), expected);
  }
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(device, claim_of(1)), 0u);
}

TEST_F(PlicTest, OneRequestAtATimeAndAgainAfterCompletionWhileHigh) {
  arm(1, 1, 1);
  device.set_level(1, true);
  EXPECT_EQ(read_reg(device, claim_of(1)), 1u);
  EXPECT_FALSE(pending(1));
  device.set_level(1, false);
  device.set_level(1, true);  // a new edge while in service: the gateway is closed
  EXPECT_FALSE(pending(1));
  EXPECT_EQ(harts.lines(0), 0u);
  write_reg(device, claim_of(1), 1);
  EXPECT_TRUE(pending(1));
  EXPECT_EQ(harts.lines(0), kSeip);
  EXPECT_EQ(read_reg(device, claim_of(1)), 1u);
  device.set_level(1, false);
  write_reg(device, claim_of(1), 1);
  EXPECT_FALSE(pending(1));
  EXPECT_EQ(harts.lines(0), 0u);
}

TEST_F(PlicTest, RequestStaysWhenTheLevelFallsBeforeTheClaim) {
  arm(2, 1, 1);
  device.set_level(2, true);
  device.set_level(2, false);
  EXPECT_TRUE(pending(2));
  EXPECT_EQ(harts.lines(0), kSeip);
  EXPECT_EQ(read_reg(device, claim_of(1)), 2u);
  write_reg(device, claim_of(1), 2);
  EXPECT_FALSE(pending(2));
}

TEST_F(PlicTest, AnEdgeIsOneRequest) {
  arm(64, 1, 1);
  device.pulse(64);
  device.pulse(64);
  EXPECT_TRUE(pending(64));
  EXPECT_EQ(harts.lines(0), kSeip);
  EXPECT_EQ(read_reg(device, claim_of(1)), 64u);
  EXPECT_FALSE(pending(64));
  EXPECT_EQ(harts.lines(0), 0u);
  write_reg(device, claim_of(1), 64);
  EXPECT_FALSE(pending(64)) << "it does not come back by itself";
  EXPECT_EQ(harts.lines(0), 0u);
}

TEST_F(PlicTest, AnEdgeWhileInServiceComesAfterTheCompletion) {
  arm(64, 1, 1);
  arm(64, 1, 3);
  device.pulse(64);
  EXPECT_EQ(read_reg(device, claim_of(1)), 64u);
  device.pulse(64);
  device.pulse(64);
  EXPECT_FALSE(pending(64));
  EXPECT_EQ(read_reg(device, claim_of(3)), 0u) << "one request at a time";
  write_reg(device, claim_of(1), 64);
  EXPECT_TRUE(pending(64));
  EXPECT_EQ(read_reg(device, claim_of(3)), 64u);
  write_reg(device, claim_of(3), 64);
  EXPECT_FALSE(pending(64));
}

TEST_F(PlicTest, AnEdgeWaitsUntilItsSourceIsEnabled) {
  device.pulse(64);
  EXPECT_TRUE(pending(64));
  EXPECT_EQ(harts.lines(0), 0u);
  arm(64, 1, 1);
  EXPECT_EQ(harts.lines(0), kSeip);
  for (const u32 source : {0u, 96u, ~0u}) device.pulse(source);
  device.reset();
  EXPECT_FALSE(pending(64));
}

TEST_F(PlicTest, SharedSourceIsClaimedOnceAndCompletedFromAnyContextThatEnablesIt) {
  arm(6, 1, 1);
  arm(6, 1, 3);
  device.set_level(6, true);
  EXPECT_EQ(harts.lines(0), kSeip);
  EXPECT_EQ(harts.lines(1), kSeip);
  EXPECT_EQ(read_reg(device, claim_of(3)), 6u);
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(device, claim_of(1)), 0u);
  write_reg(device, claim_of(0), 6);  // not enabled there: ignored
  EXPECT_FALSE(pending(6));
  write_reg(device, claim_of(1), 6);
  EXPECT_TRUE(pending(6));
}

TEST_F(PlicTest, ImpossibleSourcesAreIgnored) {
  device.set_level(0, true);
  device.set_level(96, true);
  device.set_level(~0u, true);
  for (u32 word = 0; word < 3; word++) EXPECT_EQ(read_reg(device, Plic::kPending + 4 * word), 0u);
  for (const u64 source : {0ull, 96ull, 0xffff'ffffull}) write_reg(device, claim_of(1), source);
}

TEST_F(PlicTest, ResetKeepsTheWires) {
  arm(9, 1, 1);
  device.set_level(9, true);
  EXPECT_EQ(read_reg(device, claim_of(1)), 9u);
  device.reset();
  EXPECT_EQ(read_reg(device, priority_of(9)), 0u);
  EXPECT_EQ(read_reg(device, enable_of(1)), 0u);
  EXPECT_TRUE(pending(9));
  EXPECT_EQ(harts.lines(0), 0u);
}

TEST_F(PlicTest, State) {
  arm(9, 2, 1);
  arm(33, 3, 2);
  device.set_level(9, true);
  device.set_level(33, true);
  EXPECT_EQ(read_reg(device, claim_of(2)), 33u);
  device.set_level(33, false);
  device.pulse(33);
  write_reg(device, threshold_of(1), 1);
  FakeHarts other_harts{2};
  Plic other{2, other_harts};
  check_state(other, saved(device));
  EXPECT_EQ(other_harts.lines(0), kSeip);
  EXPECT_EQ(other_harts.lines(1), 0u);
  write_reg(other, claim_of(2), 33);
  EXPECT_EQ(other_harts.lines(1), kMeip);
  Plic fewer{1, other_harts};
  EXPECT_FALSE(restore(fewer, saved(device)));
}

}  // namespace
}  // namespace hartwood::device_test
