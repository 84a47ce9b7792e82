// SPDX-License-Identifier: Apache-2.0
// The transport and the split queue under it, with a device that copies what it is given: every register, negotiation,
// notification suppression, and a driver that breaks each rule.
#include "devices/virtio/mmio_transport.h"

#include <thread>

#include "mock_driver.h"

namespace hartwood::test {
namespace {

// Copies the readable bytes of each chain into its writable ones. Two queues of at most 8 entries.
struct EchoDevice final : VirtioDevice {
  u32 id() const override { return 42; }
  u64 features() const override { return 0b101; }
  u32 queue_count() const override { return 2; }
  u32 queue_max(u32 queue) const override { return queue == 0 ? 8 : 1024; }
  void read_config(u32 offset, std::span<u8> to) override { read_config_from(config, offset, to); }
  void write_config(u32 offset, std::span<const u8> from) override {
    if (offset < sizeof config && from.size() <= sizeof config - offset)
      std::copy(from.begin(), from.end(), config + offset);
  }
  void started() override { log += "started;"; }
  void reset() override { log += "reset;"; }
  void notify(u32 queue) override {
    notified++;
    drain_queue(transport(), queue, chain, [&](const Chain& c, u64&) {
      chains++;
      if (stall) return Handled::stalled;
      if (c.readable_bytes() == 13) return Handled::invalid;
      std::vector<u8> bytes(std::min(c.readable_bytes(), c.writable_bytes()));
      Cursor(c.readable()).read(transport().memory(), bytes);
      Cursor(c.writable()).write(transport().memory(), bytes);
      if (refill != nullptr) refill->offer(queue, c.ticket().head);
      if (hold) {
        held.push_back(c.ticket());
        return Handled::done;
      }
      transport().queue(queue).push(c.ticket(), static_cast<u32>(bytes.size()));
      return Handled::done;
    });
  }
  void save(StateWriter& out) const override {
    out.begin("ECHO", 1);
    out.end();
  }
  void load(StateReader& in) override {
    in.begin("ECHO", 1);
    in.end();
  }

  u8 config[6] = {1, 2, 3, 4, 5, 6};
  std::string log;
  u32 notified = 0;
  u32 chains = 0;
  bool stall = false;
  bool hold = false;
  std::vector<Ticket> held;
  MockDriver* refill = nullptr;  // a second hart that always adds one more chain
  Chain chain;
};

struct VirtioTest : testing::Test {
  static constexpr u32 kIrq = 3;
  bool irq() const { return wires.levels[kIrq]; }
  // A chain that echoes `text`; returns where the answer will be.
  u64 echo(u32 queue, const std::string& text, bool indirect = false) {
    const u64 from = driver.data(as_bytes(text));
    const u64 to = driver.data(text.size());
    const std::vector<Buffer> buffers = {{from, static_cast<u32>(text.size())},
                                         {to, static_cast<u32>(text.size()), true}};
    indirect ? driver.add_indirect(queue, buffers) : driver.add(queue, buffers);
    return to;
  }
  // The rule was broken: a reset is asked for by a configuration interrupt, and nothing works until then.
  void expect_broken(const char* why) {
    EXPECT_EQ(driver.status(), 15u | VirtioMmio::kNeedsReset);
    EXPECT_STREQ(slot.fault(), why);
    EXPECT_TRUE(irq());
    EXPECT_EQ(driver.acknowledge() & VirtioMmio::kConfigInterrupt, VirtioMmio::kConfigInterrupt);
    const u32 chains = device.chains;
    driver.kick(0);
    driver.kick(1);
    EXPECT_EQ(device.chains, chains);
    driver.bring_up(kEventIndex | kIndirectDesc, 2, 8);
    const u64 to = echo(0, "alive again");
    driver.kick(0);
    EXPECT_EQ(guest_text(*memory, to, 11), "alive again");
    EXPECT_EQ(slot.fault(), nullptr);
  }

  std::unique_ptr<GuestMemory> memory = make_memory();
  FakeWires wires;
  EchoDevice device;
  VirtioMmio slot{*memory, &device, InterruptLine(wires, kIrq)};
  MockDriver driver{*memory, slot};
};

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
  driver.descriptor(MockDriver::descriptors(0), 1, table, 32, kDescIndirect | kDescWrite, 0);  // that flag is ignored
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
  const std::pair<u64, u32> wild[] = {{0, 4},           {0x1000'0000, 1}, {kRamBase - 1, 2},  {kRamEnd, 1},
                                      {kRamEnd - 1, 2}, {~u64{0}, 1},     {~u64{0} - 3, 4},   {kRamBase, 0xffff'ffff},
                                      {~u64{0}, ~u32{0}}};
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

// ---- Threads ----

// Two harts drive a queue each, with event indices, through the one lock of the slot.
TEST_F(VirtioTest, TwoHartsDriveAQueueEach) {
  driver.bring_up(kEventIndex, 2, 8);
  std::array<u64, 2> buffers = {driver.data(64), driver.data(64)};
  auto hart = [&](u32 queue) {
    for (u32 i = 0; i < 3000; i++) {
      memory->store<u32>(Pa(buffers[queue]), i ^ queue << 31);
      driver.add(queue, {{buffers[queue], 4}, {buffers[queue] + 32, 4, true}});
      driver.kick(queue);
      u32 answer = 0;
      memory->load(Pa(buffers[queue] + 32), answer);
      ASSERT_TRUE(driver.take(queue).has_value());
      ASSERT_EQ(answer, i ^ queue << 31);
      driver.acknowledge();
    }
  };
  std::thread one(hart, 0), two(hart, 1);
  one.join();
  two.join();
  EXPECT_FALSE(driver.needs_reset());
}

// One hart works while the other resets the device and writes garbage into its registers.
TEST_F(VirtioTest, ResetsDuringUseHarmNobody) {
  driver.bring_up(0, 2, 8);
  std::atomic<bool> done{false};
  std::thread vandal([&] {
    std::mt19937 random(3);
    while (!done) {
      write_reg(slot, random() % 0x40 * 4, random());
      read_reg(slot, random() % 0x80 * 4);
      std::this_thread::yield();
    }
  });
  for (int round = 0; round < 2000; round++) {
    driver.negotiate(kVersion1);
    memory->fill(Pa(MockDriver::descriptors(0)), 0, 0x8000);
    driver.place(0, 8, MockDriver::descriptors(0), MockDriver::available(0), MockDriver::used(0));
    driver.put(VirtioMmio::kQueueReady, 1);
    driver.start();
    driver.chain(MockDriver::descriptors(0), 0, 8, {{kDataArea, 8}, {kDataArea + 64, 8, true}});
    driver.set_available_index(0, 1);
    driver.kick(0);
  }
  done = true;
  vandal.join();
  driver.bring_up(0, 2, 8);
  const u64 to = echo(0, "well");
  driver.kick(0);
  EXPECT_EQ(guest_text(*memory, to, 4), "well");
}

}  // namespace
}  // namespace hartwood::test
