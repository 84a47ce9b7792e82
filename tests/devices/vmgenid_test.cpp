// SPDX-License-Identifier: Apache-2.0
#include "devices/vmgenid.h"

#include "devices/plic.h"
#include "devices/virt_map.h"
#include "support.h"

namespace hartwood::device_test {
namespace {

VmGenId::Id counted(u8 first) {
  VmGenId::Id id;
  for (u8& byte : id) byte = first++;
  return id;
}

struct VmGenIdTest : testing::Test {
  static constexpr u32 kIrq = virt::kVmGenIdIrq;
  FakeWires wires;
  VmGenId device{InterruptLine(wires, kIrq), counted(0x10)};
};

TEST_F(VmGenIdTest, ReadsAtEverySize) {
  for (u64 at = 0; at < 16; at++) EXPECT_EQ(read_reg(device, at, 1), 0x10 + at);
  EXPECT_EQ(read_reg(device, 2, 2), 0x1312u);
  EXPECT_EQ(read_reg(device, 3, 2), 0x1413u) << "the bus does not ask for it, the device can";
  EXPECT_EQ(read_reg(device, 12, 4), 0x1f1e'1d1cu);
  EXPECT_EQ(read_reg(device, 0, 8), 0x1716'1514'1312'1110u);
  EXPECT_EQ(read_reg(device, 8, 8), 0x1f1e'1d1c'1b1a'1918u);
}

TEST_F(VmGenIdTest, TheRestOfItsPageIsZero) {
  EXPECT_EQ(read_reg(device, 12, 8), 0x1f1e'1d1cu);
  EXPECT_EQ(read_reg(device, 16, 8), 0u);
  EXPECT_EQ(read_reg(device, virt::kVmGenIdBytes - 1, 1), 0u);
}

TEST_F(VmGenIdTest, WritesAreRefused) {
  const std::vector<u8> before = saved(device);
  for (const unsigned size : {1u, 2u, 4u, 8u})
    for (const u64 at : {u64{0}, u64{8}, virt::kVmGenIdBytes - 8}) EXPECT_FALSE(device.mmio_write(at, size, ~u64{0}));
  EXPECT_EQ(saved(device), before);
}

TEST_F(VmGenIdTest, InterruptsOnceForEachNewId) {
  EXPECT_EQ(wires.pulses[kIrq], 0u) << "the first id is news to nobody";
  device.renew(counted(0x80));
  EXPECT_EQ(wires.pulses[kIrq], 1u);
  EXPECT_FALSE(wires.levels[kIrq]) << "no level that would interrupt for ever";
  EXPECT_EQ(read_reg(device, 0, 8), 0x8786'8584'8382'8180u);
  EXPECT_EQ(read_reg(device, 8, 8), 0x8f8e'8d8c'8b8a'8988u);
  EXPECT_EQ(wires.pulses[kIrq], 1u);
  device.renew(counted(0));
  EXPECT_EQ(wires.pulses[kIrq], 2u);
}

// As Linux's driver works: the id is read between claim and completion, and nothing is written to the device.
TEST(VmGenIdInterrupt, IsClaimedOnceAndNoneIsLost) {
  constexpr u32 kIrq = virt::kVmGenIdIrq;
  constexpr u64 kClaim = Plic::kContext + Plic::kContextStride + 4;
  FakeHarts harts{1};
  Plic plic{1, harts};
  VmGenId device{InterruptLine(plic, kIrq), counted(1)};
  write_reg(plic, Plic::kPriority + 4 * kIrq, 1);
  write_reg(plic, Plic::kEnable + Plic::kEnableStride + 4 * (kIrq / 32), 1u << kIrq % 32);
  EXPECT_EQ(harts.lines(0), 0u);
  device.renew(counted(2));
  EXPECT_NE(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(plic, kClaim), kIrq);
  const u64 low = read_reg(device, 0, 8);
  device.renew(counted(3));  // while it is being read
  const u64 high = read_reg(device, 8, 8);
  EXPECT_EQ(low & 0xff, 2u);
  EXPECT_EQ(high & 0xff, 11u);
  EXPECT_EQ(harts.lines(0), 0u);
  write_reg(plic, kClaim, kIrq);
  EXPECT_EQ(read_reg(plic, kClaim), kIrq) << "the handler looks again";
  EXPECT_EQ(read_reg(device, 0, 8) & 0xff, 3u);
  write_reg(plic, kClaim, kIrq);
  EXPECT_EQ(harts.lines(0), 0u);
  EXPECT_EQ(read_reg(plic, kClaim), 0u);
}

TEST_F(VmGenIdTest, State) {
  device.renew(counted(0x40));
  FakeWires other_wires;
  VmGenId other{InterruptLine(other_wires, kIrq), counted(0)};
  check_state(other, saved(device));
  EXPECT_EQ(read_reg(other, 0, 8), 0x4746'4544'4342'4140u);
  EXPECT_EQ(other_wires.pulses[kIrq], 0u) << "whoever restores says whether that is another machine";
}

}  // namespace
}  // namespace hartwood::device_test
