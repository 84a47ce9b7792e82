// SPDX-License-Identifier: Apache-2.0
// The split queue, through the transport: chains, indices, notification suppression, slices of work, and a
// driver that breaks each rule.
#include "devices/virtio/queue.h"

#include "echo_device.h"

namespace hartwood::device_test {
namespace {

// ---- Queues that follow the rules ----

TEST_F(VirtioTest, EchoesThroughDirectAndIndirectChainsManyTimes) {
  driver.bring_up(kIndirectDesc, 2, 4);
  for (int round = 0; round < 2000; round++) {
    const bool indirect = round % 2 == 1;
    const std::string text = "round " + std::to_string(round);
    const u64 to = echo(0, text, indirect);
    driver.kick(0);
    const auto used = driver.take(0);
    ASSERT_TRUE(used.has_value());
    ASSERT_EQ(used->bytes, text.size());
    ASSERT_EQ(guest_text(*memory, to, text.size()), text);
  }
}

TEST_F(VirtioTest, IndicesWrapAtSixteenBits) {
  for (const u64 features : {u64{0}, kEventIndex}) {
    driver.bring_up(features, 2, 8);
    const u64 from = driver.data(as_bytes("x"));
    const u64 to = driver.data(1);
    for (u32 i = 0; i < 70'000; i++) {
      const u16 head = driver.add(0, {{from, 1}, {to, 1, true}});
      driver.kick(0);
      const auto used = driver.take(0);
      ASSERT_TRUE(used.has_value()) << i;
      ASSERT_EQ(used->id, head);
    }
    EXPECT_EQ(driver.used_index(0), 70'000 % 65'536);
    EXPECT_FALSE(driver.needs_reset());
  }
}

TEST_F(VirtioTest, DirectDescriptorsMayEndInAnIndirectOne) {
  driver.bring_up(kIndirectDesc, 2, 8);
  const u64 a = driver.data(as_bytes("left ")), b = driver.data(as_bytes("right")), to = driver.data(10);
  const u64 table = driver.data(32);
  driver.chain(table, 0, 2, {{b, 5}, {to, 10, true}});
  driver.descriptor(MockDriver::descriptors(0), 3, a, 5, kDescNext, 1);
  driver.descriptor(MockDriver::descriptors(0), 1, table, 32, kDescIndirect | kDescWrite,
                    0);  // that flag is ignored
  driver.offer(0, 3);
  driver.kick(0);
  const auto used = driver.take(0);
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->id, 3u);
  EXPECT_EQ(guest_text(*memory, to, 10), "left right");
}

TEST_F(VirtioTest, ChainOfTheWholeQueue) {
  driver.bring_up(0, 2, 8);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 7; i++) buffers.push_back({driver.data(as_bytes(std::string(1, static_cast<char>('a' + i)))), 1});
  const u64 to = driver.data(7);
  buffers.push_back({to, 7, true});
  driver.add(0, buffers);
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 7), "abcdefg");
}

TEST_F(VirtioTest, BuffersFromBeforeDriverOkAreServedAfterIt) {
  ASSERT_TRUE(driver.negotiate(kVersion1));
  driver.setup(0, 8);
  const u64 to = echo(0, "early");
  driver.kick(0);
  EXPECT_EQ(device.notified, 0u);
  EXPECT_EQ(driver.used_index(0), 0);
  driver.start();
  EXPECT_EQ(guest_text(*memory, to, 5), "early");
}

TEST_F(VirtioTest, QueueRegistersAreFixedWhileItIsReady) {
  driver.bring_up(0, 2, 8);
  driver.place(0, 3, 1, 1, 1);
  const u64 to = echo(0, "still");
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 5), "still");
  driver.put(VirtioMmio::kQueueReady, 0);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 0u);
  driver.kick(0);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(VirtioTest, InterruptPerBatchUnlessSuppressed) {
  driver.bring_up(0, 2, 8);
  echo(0, "a");
  echo(0, "b");
  driver.kick(0);
  EXPECT_EQ(wires.rises[kIrq], 1u);
  EXPECT_EQ(driver.acknowledge(), VirtioMmio::kUsedBufferInterrupt);
  EXPECT_FALSE(irq());
  driver.kick(0);  // nothing new
  EXPECT_FALSE(irq());
  driver.set_available_flags(0, 1);
  echo(0, "c");
  driver.kick(0);
  EXPECT_FALSE(irq());
  driver.set_available_flags(0, 0);
  echo(0, "d");
  driver.kick(0);
  EXPECT_TRUE(irq());
}

TEST_F(VirtioTest, EventIndexSuppressesBothWays) {
  driver.bring_up(kEventIndex, 2, 8);
  driver.set_used_event(0, 2);  // tell me after the third
  echo(0, "a");
  driver.kick(0);
  EXPECT_EQ(driver.available_event(0), 1);  // kick me for the second
  echo(0, "b");
  driver.kick(0);
  EXPECT_FALSE(irq());
  echo(0, "c");
  driver.kick(0);
  EXPECT_TRUE(irq());
  EXPECT_EQ(driver.available_event(0), 3);
  driver.acknowledge();
  echo(0, "d");
  driver.kick(0);
  EXPECT_FALSE(irq());
}

TEST_F(VirtioTest, StalledChainStaysAvailable) {
  driver.bring_up(kEventIndex, 2, 8);
  device.stall = true;
  const u64 to = echo(0, "wait");
  driver.kick(0);
  EXPECT_EQ(driver.used_index(0), 0);
  device.stall = false;
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 4), "wait");
}

TEST_F(VirtioTest, CompletionMayComeLaterAndNotAfterAReset) {
  driver.bring_up(0, 2, 8);
  device.hold = true;
  echo(0, "later");
  echo(0, "never");
  driver.kick(0);
  ASSERT_EQ(device.held.size(), 2u);
  EXPECT_EQ(driver.used_index(0), 0);
  {
    Guard guard(slot.lock());
    EXPECT_TRUE(slot.queue(0).push(device.held[0], 5));
    slot.signal(slot.queue(0), false);
  }
  EXPECT_TRUE(irq());
  EXPECT_EQ(driver.take(0)->bytes, 5u);
  driver.bring_up(0, 2, 8);
  {
    Guard guard(slot.lock());
    EXPECT_FALSE(slot.queue(0).outstanding(device.held[1]));
    EXPECT_FALSE(slot.queue(0).push(device.held[1], 5));
  }
  EXPECT_EQ(driver.used_index(0), 0);
}

TEST_F(VirtioTest, EndlessSupplyIsServedInSlices) {
  driver.bring_up(0, 2, 8);
  device.refill = &driver;
  echo(0, "again");
  driver.kick(0);
  EXPECT_EQ(device.chains, kChainsPerNotify);
  EXPECT_TRUE(irq());  // even a driver that waits will come back
  driver.get(VirtioMmio::kInterruptStatus);
  EXPECT_EQ(device.chains, 2 * kChainsPerNotify);
  slot.poll();
  EXPECT_EQ(device.chains, 3 * kChainsPerNotify);
  device.refill = nullptr;
  slot.poll();
  slot.poll();
  EXPECT_EQ(device.chains, 3 * kChainsPerNotify + 1);
}

TEST_F(VirtioTest, LargeBuffersAreServedInSlices) {
  driver.bring_up(0, 2, 8);
  device.stall = false;
  const u64 area = driver.data(u64{12} << 20);
  for (int i = 0; i < 3; i++) driver.add(0, {{area, 6 << 20}, {area + (6 << 20), 6 << 20, true}});
  driver.kick(0);
  EXPECT_EQ(device.chains, 2u);
  driver.acknowledge();
  EXPECT_EQ(device.chains, 3u);
}

// ---- Drivers that break the rules ----

struct BadLayout {
  const char* name;
  u64 size, descriptors, available, used;
  const char* why;
};

struct VirtioBadLayout : VirtioTest, testing::WithParamInterface<BadLayout> {};

TEST_P(VirtioBadLayout, MakesTheDeviceNeedAReset) {
  ASSERT_TRUE(driver.negotiate(kVersion1 | kEventIndex));
  driver.place(1, GetParam().size, GetParam().descriptors, GetParam().available, GetParam().used);
  driver.put(VirtioMmio::kQueueReady, 1);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 0u);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_FALSE(irq());  // not before DRIVER_OK
  driver.start();
  EXPECT_TRUE(irq());
  driver.kick(1);
  expect_broken(GetParam().why);
}

constexpr u64 kRamEnd = kRamBase + kMinRamBytes;
constexpr const char* kBadSize = "queue size is not a power of two up to the maximum";
constexpr const char* kMisaligned = "a part of the queue is misaligned";
constexpr const char* kNoDesc = "descriptor table outside RAM";
constexpr const char* kNoAvail = "available ring outside RAM";
constexpr const char* kNoUsed = "used ring outside RAM";
const u64 kD = MockDriver::descriptors(1), kA = MockDriver::available(1), kU = MockDriver::used(1);
const BadLayout kBadLayouts[] = {
    {"zero_size", 0, kD, kA, kU, kBadSize},
    {"odd_size", 3, kD, kA, kU, kBadSize},
    {"too_long", 2048, kD, kA, kU, kBadSize},
    {"huge_size", 0x8000'0000, kD, kA, kU, kBadSize},
    {"descriptors_misaligned", 8, kD + 8, kA, kU, kMisaligned},
    {"available_misaligned", 8, kD, kA + 1, kU, kMisaligned},
    {"used_misaligned", 8, kD, kA, kU + 2, kMisaligned},
    {"descriptors_at_zero", 8, 0, kA, kU, kNoDesc},
    {"descriptors_over_the_end", 1024, kRamEnd - 16 * 1024 + 16, kA, kU, kNoDesc},
    {"descriptors_wrap", 8, ~u64{15}, kA, kU, kNoDesc},
    {"available_below", 8, kD, kRamBase - 2, kU, kNoAvail},
    {"available_event_over_the_end", 8, kD, kRamEnd - 20, kU, kNoAvail},
    {"available_wraps", 8, kD, ~u64{1}, kU, kNoAvail},
    {"used_over_the_end", 8, kD, kA, kRamEnd - 4 - 64, kNoUsed},
    {"used_in_a_device", 8, kD, kA, 0x1000'0000, kNoUsed},
    {"used_wraps", 8, kD, kA, ~u64{3}, kNoUsed},
};
INSTANTIATE_TEST_SUITE_P(Queue, VirtioBadLayout, testing::ValuesIn(kBadLayouts),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_F(VirtioTest, QueueMayEndExactlyWhereRamEnds) {
  ASSERT_TRUE(driver.negotiate(kVersion1 | kEventIndex));
  driver.place(0, 8, kRamEnd - 128, kA, kU);
  driver.put(VirtioMmio::kQueueReady, 1);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 1u);
  driver.place(1, 8, kD, kA, kRamEnd - 72);
  driver.put(VirtioMmio::kQueueReady, 1);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 1u);
}

TEST_F(VirtioTest, QueueIsNotReadyBeforeFeaturesAreAgreed) {
  driver.place(0, 8, kD, kA, kU);
  driver.put(VirtioMmio::kQueueReady, 1);
  EXPECT_EQ(driver.get(VirtioMmio::kQueueReady), 0u);
}

struct VirtioBadChain : VirtioTest {
  void SetUp() override { driver.bring_up(kEventIndex | kIndirectDesc, 2, 8); }
  void one(u64 address, u32 bytes, u16 flags, u16 next = 0) {
    driver.descriptor(MockDriver::descriptors(0), 0, address, bytes, flags, next);
    driver.offer(0, 0);
    driver.kick(0);
  }
  u64 buffer = kDataArea;
};

TEST_F(VirtioBadChain, HeadOutOfRange) {
  driver.offer(0, 8);
  driver.kick(0);
  expect_broken("descriptor index out of range");
}

TEST_F(VirtioBadChain, NextOutOfRange) {
  one(buffer, 4, kDescNext, 8);
  expect_broken("descriptor index out of range");
}

TEST_F(VirtioBadChain, NextFarOutOfRange) {
  one(buffer, 4, kDescNext, 0xffff);
  expect_broken("descriptor index out of range");
}

TEST_F(VirtioBadChain, LoopOfOne) {
  one(buffer, 4, kDescNext, 0);
  expect_broken("loop in a descriptor chain");
}

TEST_F(VirtioBadChain, LoopOfAll) {
  for (u16 i = 0; i < 8; i++)
    driver.descriptor(MockDriver::descriptors(0), i, buffer, 4, kDescNext, static_cast<u16>((i + 1) % 8));
  driver.offer(0, 5);
  driver.kick(0);
  expect_broken("loop in a descriptor chain");
}

TEST_F(VirtioBadChain, LoopInAnIndirectTable) {
  driver.descriptor(buffer, 0, buffer, 4, kDescNext, 1);
  driver.descriptor(buffer, 1, buffer, 4, kDescNext, 0);
  one(buffer, 32, kDescIndirect);
  expect_broken("loop in a descriptor chain");
}

TEST_F(VirtioBadChain, IndirectTableThatIsNotThere) {
  one(0x1000, 32, kDescIndirect);
  expect_broken("indirect table outside RAM");
}

TEST_F(VirtioBadChain, IndirectTableOverTheEndOfRam) {
  one(kRamEnd - 16, 32, kDescIndirect);
  expect_broken("indirect table outside RAM");
}

TEST_F(VirtioBadChain, IndirectTableOfImpossibleSize) {
  for (const u32 bytes : {0u, 8u, 17u, 16u * 1025, 0xffff'fff0u}) {
    one(buffer, bytes, kDescIndirect);
    expect_broken("impossible size of an indirect table");
  }
}

TEST_F(VirtioBadChain, IndirectInsideIndirect) {
  driver.descriptor(buffer, 0, buffer, 16, kDescIndirect, 0);
  one(buffer, 16, kDescIndirect);
  expect_broken("indirect descriptor in an indirect table");
}

TEST_F(VirtioBadChain, IndirectWithNext) {
  one(buffer, 16, kDescIndirect | kDescNext, 1);
  expect_broken("indirect descriptor with a successor");
}

TEST_F(VirtioBadChain, IndirectNextOutOfItsTable) {
  driver.descriptor(buffer, 0, buffer, 16, kDescNext, 1);
  one(buffer, 16, kDescIndirect);
  expect_broken("descriptor index out of range");
}

TEST_F(VirtioBadChain, IndirectWithoutTheFeature) {
  driver.bring_up(kEventIndex, 2, 8);
  one(buffer, 16, kDescIndirect);
  expect_broken("indirect descriptor without the feature");
}

TEST_F(VirtioBadChain, BufferOfZeroBytes) {
  one(buffer, 0, 0);
  expect_broken("descriptor of zero bytes");
}

TEST_F(VirtioBadChain, WildBuffers) {
  const std::pair<u64, u32> wild[] = {{0, 4},           {0x1000'0000, 1},        {kRamBase - 1, 2},
                                      {kRamEnd, 1},     {kRamEnd - 1, 2},        {~u64{0}, 1},
                                      {~u64{0} - 3, 4}, {kRamBase, 0xffff'ffff}, {~u64{0}, ~u32{0}}};
  for (const auto& [address, bytes] : wild) {
    for (const u16 flags : {u16{0}, kDescWrite}) {
      one(address, bytes, flags);
      expect_broken("buffer outside RAM");
    }
  }
}

TEST_F(VirtioBadChain, ReadableBehindWritable) {
  driver.add(0, {{buffer, 4, true}, {buffer, 4, false}});
  driver.kick(0);
  expect_broken("readable buffer behind a writable one, or a chain of 4 GiB and more");
}

TEST_F(VirtioBadChain, ChainOfFourGigabytes) {
  const std::vector<Buffer> buffers(65, Buffer{kRamBase, static_cast<u32>(kMinRamBytes)});
  driver.add_indirect(0, buffers);
  driver.kick(0);
  expect_broken("readable buffer behind a writable one, or a chain of 4 GiB and more");
}

TEST_F(VirtioBadChain, AvailableIndexJumps) {
  for (const u16 jump : {u16{9}, u16{0x7fff}, u16{0xffff}}) {
    driver.set_available_index(0, static_cast<u16>(driver.available_count(0) + jump));
    driver.kick(0);
    expect_broken("available index is further ahead than the queue is long");
  }
}

TEST_F(VirtioBadChain, RequestThatTheDeviceRefuses) {
  driver.add(0, {{buffer, 13}});
  driver.kick(0);
  expect_broken("a request breaks the rules of its device");
}

TEST_F(VirtioBadChain, GoodChainsBeforeABadOneAreServed) {
  const u64 to = echo(0, "good");
  driver.offer(0, 100);
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 4), "good");
  expect_broken("descriptor index out of range");
}

TEST_F(VirtioBadChain, RingsThatOverlapTheirOwnBuffersHarmNobody) {
  const u64 rings = MockDriver::descriptors(0);
  for (u64 at = 0; at < 0x7000; at += 0x800) {
    driver.bring_up(kEventIndex | kIndirectDesc, 2, 8);
    driver.add(0, {{rings, 0x2000}, {rings + at, 0x2000, true}});
    driver.kick(0);
    driver.kick(0);
  }
  driver.bring_up(kEventIndex, 2, 8);
  const u64 to = echo(0, "fine");
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 4), "fine");
}

// Rings full of noise: every outcome is allowed except harm to the host.
TEST_F(VirtioBadChain, Noise) {
  std::mt19937_64 random(7);
  u32 broken = 0;
  for (int round = 0; round < 3000; round++) {
    driver.bring_up(round % 2 ? kEventIndex | kIndirectDesc : 0, 2, 8);
    for (u32 i = 0; i < 8; i++) {
      const u64 address = random() % 4 ? kDataArea + random() % 0x1000 : random();
      driver.descriptor(MockDriver::descriptors(0), i, address, static_cast<u32>(random() % 64),
                        static_cast<u16>(random() % 8), static_cast<u16>(random() % 9));
      driver.descriptor(kDataArea, static_cast<u32>(random() % 64), kDataArea, static_cast<u32>(random() % 64),
                        static_cast<u16>(random() % 8), static_cast<u16>(random() % 9));
    }
    for (u32 i = 0; i < 1 + random() % 8; i++) driver.offer(0, static_cast<u16>(random() % 8));
    driver.kick(0);
    broken += driver.needs_reset();
    for (int i = 0; i < 4; i++) write_reg(slot, random() % 0x40 * 4, random() & 0xffff'ffff);
  }
  EXPECT_GT(broken, 100u);
  EXPECT_LT(broken, 3000u);
}

}  // namespace
}  // namespace hartwood::device_test
