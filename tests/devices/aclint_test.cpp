// SPDX-License-Identifier: Apache-2.0
#include "devices/aclint.h"

#include "support.h"

namespace hartwood::device_test {
namespace {

constexpr u64 kNever = ~u64{0};

struct AclintTest : testing::Test {
  FakeHarts harts{3};
  FakeClock clock;
  Aclint device{3, harts, clock};
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
  EXPECT_EQ(device.mtime(), 1000u);
  clock.now_ticks += 7;
  EXPECT_EQ(read_reg(device, Aclint::kMtime, 8), 1007u);
  write_reg(device, Aclint::kMtime + 4, 2);
  EXPECT_EQ(device.mtime(), 0x2'0000'0000u + 1007);
}

TEST_F(AclintTest, ComparatorIsConvertedToClockTicksAfterTimeWasSet) {
  clock.now_ticks = 500;
  write_reg(device, Aclint::kMtimecmp, 2000, 8);
  write_reg(device, Aclint::kMtime, 1500, 8);  // 1000 ahead of the clock
  EXPECT_EQ(harts.mtimecmp(0), 1000u);
  EXPECT_EQ(read_reg(device, Aclint::kMtimecmp, 8), 2000u);
  write_reg(device, Aclint::kMtimecmp, 900, 8);  // past before the clock began
  EXPECT_EQ(harts.mtimecmp(0), 0u);
  EXPECT_EQ(harts.mtimecmp(1), kNever);
  write_reg(device, Aclint::kMtime, 0, 8);  // 500 behind
  EXPECT_EQ(harts.mtimecmp(0), 1400u);
  write_reg(device, Aclint::kMtimecmp, kNever - 1, 8);
  EXPECT_EQ(harts.mtimecmp(0), kNever);
  write_reg(device, Aclint::kMtime, kNever - 10, 8);  // far ahead: everything is due
  write_reg(device, Aclint::kMtimecmp, kNever - 20, 8);
  EXPECT_LE(harts.mtimecmp(0), clock.ticks());
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
  Aclint other{3, other_harts, clock};
  check_state(other, saved(device));
  EXPECT_EQ(other.mtime(), 40u);
  EXPECT_EQ(other_harts.mtimecmp(2), 137u);
  EXPECT_EQ(other_harts.lines(1), 1u << 3);
  Aclint fewer{2, other_harts, clock};
  EXPECT_FALSE(restore(fewer, saved(device)));
}

}  // namespace
}  // namespace hartwood::device_test
