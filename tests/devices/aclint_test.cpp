// SPDX-License-Identifier: Apache-2.0
#include "devices/aclint.h"

#include "support.h"

namespace hartwood::device_test {
namespace {

constexpr u64 kNever = ~u64{0};

struct AclintTest : testing::Test {
  FakeHarts harts{3};
  FakeClock clock;
  FakeDeadlines deadlines;
  Aclint device{3, harts, clock, deadlines};
};

TEST_F(AclintTest, SoftwareInterruptSetsAndClearsOnlyItsHart) {
  write_reg(device, Aclint::kMsip + 4, 1);
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(harts.lines(1), 1u << 3);
  EXPECT_EQ(read_reg(device, Aclint::kMsip + 4), 1u);
  EXPECT_EQ(read_reg(device, Aclint::kMsip + 0), 0u);
  write_reg(device, Aclint::kMsip + 4, 0xffff'fffe);  // only bit 0 exists
  EXPECT_EQ(harts.lines(1), 0u);
}

TEST_F(AclintTest, ComparatorsResetToNeverAndAreWrittenWholeOrInHalves) {
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp, 8), kNever);
  write_reg(device, Aclint::kMtimecmp + 8, 0x1122'3344'5566'7788, 8);
  EXPECT_EQ(harts.mtimecmp(1), 0x1122'3344'5566'7788u);
  EXPECT_EQ(harts.mtimecmp(0), kNever);
  write_reg(device, Aclint::kMtimecmp + 8, 0xaaaa'bbbb);
  EXPECT_EQ(harts.mtimecmp(1), 0x1122'3344'aaaa'bbbbu);
  write_reg(device, Aclint::kMtimecmp + 12, 0xcccc'dddd);
  EXPECT_EQ(harts.mtimecmp(1), 0xcccc'dddd'aaaa'bbbbu);
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp + 8), 0xaaaa'bbbbu);
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp + 12), 0xcccc'ddddu);
}

TEST_F(AclintTest, TimeFollowsTheClockPlusWhatWasWritten) {
  clock.now_ticks = 0x1'0000'0005;
  EXPECT_EQ(read_reg(device, Aclint::kMtime, 8), 0x1'0000'0005u);
  EXPECT_EQ(read_reg(device, Aclint::kMtime + 4), 1u);
  write_reg(device, Aclint::kMtime, 1000, 8);
  EXPECT_EQ(clock.ticks(), 1000u) << "the time CSR's clock is the same one";
  clock.now_ticks += 7;
  EXPECT_EQ(read_reg(device, Aclint::kMtime, 8), 1007u);
  write_reg(device, Aclint::kMtime + 4, 2);
  EXPECT_EQ(clock.ticks(), 0x2'0000'0000u + 1007);
  write_reg(device, Aclint::kMtime, 3, 8);  // back
  EXPECT_EQ(clock.ticks(), 3u);
}

// Comparators keep their values; every hart compares them anew, and so does whoever sleeps for the earliest.
TEST_F(AclintTest, AfterAWriteOfTheTimeAllCompareAnew) {
  clock.now_ticks = 500;
  write_reg(device, Aclint::kMtimecmp, 2000, 8);
  EXPECT_EQ(deadlines.changes, 0u) << "the hart's own affair";
  for (u32 hart = 0; hart < 3; hart++) harts.compared[hart] = 0;
  write_reg(device, Aclint::kMtime, 1500, 8);
  EXPECT_EQ(harts.mtimecmp(0), 2000u);
  EXPECT_EQ(harts.mtimecmp(1), kNever);
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp, 8), 2000u);
  for (u32 hart = 0; hart < 3; hart++) EXPECT_EQ(harts.compared[hart], 1u) << hart;
  EXPECT_EQ(deadlines.changes, 1u);
}

TEST_F(AclintTest, AccessesOfOtherSizesFaultAndReservedSpaceIsZero) {
  EXPECT_TRUE(refuses(device, Aclint::kMsip, 1));
  EXPECT_TRUE(refuses(device, Aclint::kMsip, 8));
  EXPECT_TRUE(refuses(device, Aclint::kMtime, 2));
  EXPECT_EQ(read_reg(device, Aclint::kMsip + 4 * 3), 0u);  // a hart that is not there
  write_reg(device, Aclint::kMsip + 4 * 3, 1);
  write_reg(device, Aclint::kMtimecmp + 8 * 3, 5, 8);
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp + 8 * 3, 8), 0u);
  EXPECT_EQ(read_reg(device, 0xfff8, 8), 0u);
}

TEST_F(AclintTest, ResetDropsInterruptsAndComparators) {
  write_reg(device, Aclint::kMsip, 1);
  write_reg(device, Aclint::kMtimecmp, 5, 8);
  device.reset();
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(harts.mtimecmp(0), kNever);
}

TEST_F(AclintTest, State) {
  clock.now_ticks = 100;
  write_reg(device, Aclint::kMtime, 40, 8);  // a negative offset
  write_reg(device, Aclint::kMtimecmp + 16, 77, 8);
  write_reg(device, Aclint::kMsip + 4, 1);
  FakeHarts other_harts{3};
  FakeClock other_clock;  // of a machine that was started later
  other_clock.now_ticks = 7;
  Aclint other{3, other_harts, other_clock, deadlines};
  check_state(other, saved(device));
  deadlines.changes = 0;
  const u32 compared = other_harts.compared[0];
  EXPECT_TRUE(restore(other, saved(device)));
  EXPECT_GT(other_harts.compared[0], compared);
  EXPECT_EQ(deadlines.changes, 1u);
  EXPECT_EQ(other_clock.ticks(), 40u) << "time goes on where it was";
  EXPECT_EQ(read_reg(other, Aclint::kMtime, 8), 40u);
  EXPECT_EQ(other_harts.mtimecmp(2), 77u);
  EXPECT_EQ(other_harts.lines(1), 1u << 3);
  Aclint fewer{2, other_harts, clock, deadlines};
  EXPECT_FALSE(restore(fewer, saved(device)));
}

}  // namespace
}  // namespace hartwood::device_test
