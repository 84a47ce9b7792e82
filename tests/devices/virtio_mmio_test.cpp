// SPDX-License-Identifier: Apache-2.0
// The transport: every register, the device status, negotiation, saved state.
#include "devices/virtio/mmio_transport.h"

#include "echo_device.h"

namespace hartwood::device_test {
namespace {

// ---- Registers and negotiation ----

TEST_F(VirtioTest, IdentityAndReadOnlyRegisters) {
  EXPECT_EQ(driver.get(0x000), 0x7472'6976u);
  EXPECT_EQ(driver.get(0x004), 2u);
  EXPECT_EQ(driver.get(0x008), 42u);
  EXPECT_EQ(driver.get(0x00c), VirtioMmio::kVendor);
  EXPECT_EQ(driver.offered(), kVersion1 | kEventIndex | kIndirectDesc | 0b101);
  driver.put(VirtioMmio::kDeviceFeaturesSelect, 2);
  EXPECT_EQ(driver.get(VirtioMmio::kDeviceFeatures), 0u);
  for (const u64 shm : {0xb0, 0xb4, 0xb8, 0xbc}) EXPECT_EQ(driver.get(shm), 0xffff'ffffu);
  for (const u64 write_only : {0x14, 0x20, 0x24, 0x30, 0x38, 0x50, 0x64, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xc0})
    EXPECT_EQ(driver.get(write_only), 0u) << std::hex << write_only;
  driver.put(0x000, 0);
  EXPECT_EQ(driver.get(0x000), 0x7472'6976u);
}

TEST_F(VirtioTest, ControlRegistersTakeWordsOnly) {
  for (const unsigned size : {1u, 2u, 8u}) {
    EXPECT_EQ(read_reg(slot, VirtioMmio::kMagic, size), 0u);
    write_reg(slot, VirtioMmio::kStatus, 1, size);
  }
  EXPECT_EQ(driver.status(), 0u);
}

TEST_F(VirtioTest, QueueSelection) {
  driver.put(VirtioMmio::kQueueSelect, 0);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueSizeMax), 8u);
  driver.put(VirtioMmio::kQueueSelect, 1);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueSizeMax), 1024u);
  for (const u32 missing : {2u, 0xffff'ffffu}) {
    driver.put(VirtioMmio::kQueueSelect, missing);
    EXPECT_EQ(driver.get(VirtioMmio::kQueueSizeMax), 0u);
    EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 0u);
    driver.put(VirtioMmio::kQueueReady, 1);
    driver.put(VirtioMmio::kQueueNotify, missing);
  }
  EXPECT_EQ(driver.status(), 0u);
}

TEST_F(VirtioTest, EmptySlotHasDeviceZero) {
  VirtioMmio empty(*memory, nullptr, InterruptLine(wires, kIrq));
  EXPECT_EQ(read_reg(empty, VirtioMmio::kMagic), 0x7472'6976u);
  EXPECT_EQ(read_reg(empty, VirtioMmio::kVersion), 2u);
  EXPECT_EQ(read_reg(empty, VirtioMmio::kDeviceId), 0u);
  for (u64 reg = 0x10; reg < 0x200; reg += 4) {
    write_reg(empty, reg, 0xffff'ffff);
    EXPECT_EQ(read_reg(empty, reg), 0u);
  }
  VirtioMmio other(*memory, nullptr, InterruptLine());
  check_state(other, saved(empty));
}

TEST_F(VirtioTest, FeaturesMustBeOfferedAndModern) {
  EXPECT_FALSE(driver.negotiate(kVersion1 | 0b10));
  EXPECT_FALSE(driver.negotiate(0b101));
  EXPECT_EQ(driver.status(), 3u);
  driver.put(VirtioMmio::kStatus, 15);  // DRIVER_OK without agreement
  EXPECT_EQ(driver.status(), 3u);
  EXPECT_TRUE(driver.negotiate(kVersion1 | 0b100));
  EXPECT_TRUE(slot.has_feature(2));
  EXPECT_FALSE(slot.has_feature(0));
  driver.put(VirtioMmio::kDriverFeaturesSelect, 0);
  driver.put(VirtioMmio::kDriverFeatures, 0b001);  // too late
  EXPECT_FALSE(slot.has_feature(0));
}

TEST_F(VirtioTest, StatusAccumulatesUntilReset) {
  driver.bring_up(0, 2, 8);
  EXPECT_NE(device.log.find("started;"), std::string::npos);
  driver.put(VirtioMmio::kStatus, 1);
  EXPECT_EQ(driver.status(), 15u);
  driver.put(VirtioMmio::kStatus, 128);
  EXPECT_EQ(driver.status(), 143u);
  device.log.clear();
  driver.put(VirtioMmio::kStatus, 0);
  EXPECT_EQ(driver.status(), 0u);
  EXPECT_EQ(device.log, "reset;");
  driver.put(VirtioMmio::kQueueSelect, 0);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 0u);
}

TEST_F(VirtioTest, ConfigurationSpaceOfAnySize) {
  EXPECT_EQ(read_reg(slot, 0x100, 1), 1u);
  EXPECT_EQ(read_reg(slot, 0x102, 2), 0x0403u);
  EXPECT_EQ(read_reg(slot, 0x104, 4), 0x0605u);  // beyond its end: zero
  EXPECT_EQ(read_reg(slot, 0x100, 8), 0x0605'0403'0201u);
  EXPECT_EQ(read_reg(slot, 0xffc, 4), 0u);
  write_reg(slot, 0x101, 0xaa, 1);
  EXPECT_EQ(device.config[1], 0xaa);
  const u32 generation = driver.get(VirtioMmio::kConfigGeneration);
  {
    Guard guard(slot.lock());
    slot.config_changed();
  }
  EXPECT_NE(driver.get(VirtioMmio::kConfigGeneration), generation);
  EXPECT_FALSE(irq());  // nobody drives it yet
  driver.bring_up(0, 2, 8);
  {
    Guard guard(slot.lock());
    slot.config_changed();
  }
  EXPECT_TRUE(irq());
  EXPECT_EQ(driver.acknowledge(), VirtioMmio::kConfigInterrupt);
  EXPECT_FALSE(irq());
}

TEST_F(VirtioTest, InterruptLineStaysUntilEveryCauseIsAcknowledged) {
  driver.bring_up(0, 2, 8);
  echo(0, "both");
  driver.kick(0);
  {
    Guard guard(slot.lock());
    slot.config_changed();
  }
  EXPECT_EQ(driver.get(VirtioMmio::kInterruptStatus), 3u);
  driver.put(VirtioMmio::kInterruptAck, VirtioMmio::kUsedBufferInterrupt);
  EXPECT_EQ(driver.get(VirtioMmio::kInterruptStatus), VirtioMmio::kConfigInterrupt);
  EXPECT_TRUE(irq());
  driver.put(VirtioMmio::kInterruptAck, VirtioMmio::kConfigInterrupt);
  EXPECT_FALSE(irq());
}

// ---- State ----

TEST_F(VirtioTest, State) {
  driver.bring_up(kEventIndex | kIndirectDesc, 2, 8);
  echo(0, "before");
  driver.kick(0);
  device.stall = true;
  const u64 to = echo(0, "after");
  driver.kick(0);
  const std::vector<u8> state = saved(slot);
  FakeWires other_wires;
  EchoDevice other_device;
  VirtioMmio other(*memory, &other_device, InterruptLine(other_wires, kIrq));
  check_state(other, state);
  EXPECT_TRUE(other_wires.levels[kIrq]);
  write_reg(other, VirtioMmio::kQueueNotify, 0);
  EXPECT_EQ(guest_text(*memory, to, 5), "after");
  EXPECT_EQ(driver.used_index(0), 2);
}

TEST_F(VirtioTest, StateOfAnotherSlotOrOfAnImpossibleQueueIsRefused) {
  driver.bring_up(0, 2, 8);
  std::vector<u8> state = saved(slot);
  VirtioMmio empty(*memory, nullptr, InterruptLine());
  EXPECT_FALSE(restore(empty, state));
  const u64 used_ring = MockDriver::used(0);
  const auto* bytes = reinterpret_cast<const u8*>(&used_ring);
  const auto at = std::search(state.begin(), state.end(), bytes, bytes + 8);
  ASSERT_NE(at, state.end());
  std::fill(at, at + 8, 0xff);
  EXPECT_FALSE(restore(slot, state));
  EXPECT_EQ(driver.status(), 0u);  // refused, and as after a reset
}

}  // namespace
}  // namespace hartwood::device_test
