// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/rng.h"

#include "mock_driver.h"

namespace hartwood::device_test {
namespace {

// Counts upwards and may run dry.
struct CountingEntropy final : EntropySource {
  u32 fill(std::span<u8> to) override {
    const auto given = static_cast<u32>(std::min<u64>(to.size(), left));
    for (u32 i = 0; i < given; i++) to[i] = ++last;
    left -= given;
    return given;
  }
  u8 last = 0;
  u64 left = ~u64{0};
};

struct RngTest : testing::Test {
  std::unique_ptr<GuestMemory> memory = make_memory();
  FakeWires wires;
  CountingEntropy entropy;
  VirtioRng device{entropy};
  VirtioMmio slot{*memory, &device, InterruptLine(wires, 1)};
  MockDriver driver{*memory, slot};
};

TEST_F(RngTest, FillsBuffersInOrder) {
  EXPECT_EQ(driver.get(VirtioMmio::kDeviceId), 4u);
  driver.bring_up(kIndirectDesc, 1, 8);
  const u64 a = driver.data(3), b = driver.data(2), c = driver.data(4);
  driver.add(0, {{a, 3, true}, {b, 2, true}});
  driver.add_indirect(0, {{c, 4, true}});
  driver.kick(0);
  EXPECT_EQ(driver.take(0)->bytes, 5u);
  EXPECT_EQ(driver.take(0)->bytes, 4u);
  EXPECT_EQ(guest_bytes(*memory, a, 3), (std::vector<u8>{1, 2, 3}));
  EXPECT_EQ(guest_bytes(*memory, b, 2), (std::vector<u8>{4, 5}));
  EXPECT_EQ(guest_bytes(*memory, c, 4), (std::vector<u8>{6, 7, 8, 9}));
  EXPECT_TRUE(wires.levels[1]);
}

TEST_F(RngTest, WaitsForADrySource) {
  driver.bring_up(0, 1, 8);
  const u64 a = driver.data(8), b = driver.data(8);
  driver.add(0, {{a, 8, true}});
  driver.add(0, {{b, 8, true}});
  entropy.left = 5;
  driver.kick(0);
  EXPECT_EQ(driver.take(0)->bytes, 5u);
  EXPECT_FALSE(driver.take(0).has_value());
  entropy.left = 100;
  device.pump();
  EXPECT_EQ(driver.take(0)->bytes, 8u);
}

TEST_F(RngTest, HugeBuffersAreFilledInPart) {
  driver.bring_up(0, 1, 8);
  const u64 a = driver.data(1 << 20);
  driver.add(0, {{a, 1 << 20, true}});
  driver.kick(0);
  EXPECT_EQ(driver.take(0)->bytes, VirtioRng::kMaxBytesPerRequest);
}

TEST_F(RngTest, ReadableBufferNeedsAReset) {
  driver.bring_up(0, 1, 8);
  driver.add(0, {{driver.data(8), 8}});
  driver.kick(0);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(RngTest, State) {
  driver.bring_up(0, 1, 8);
  driver.add(0, {{driver.data(8), 8, true}});
  VirtioRng twin{entropy};
  VirtioMmio other(*memory, &twin, InterruptLine());
  check_state(other, saved(slot));
  write_reg(other, VirtioMmio::kQueueNotify, 0);
  EXPECT_EQ(driver.take(0)->bytes, 8u);
}

}  // namespace
}  // namespace hartwood::device_test
