// SPDX-License-Identifier: Apache-2.0
// Two and three threads at one device. Natively only: Wasm has no std::thread.
#include <thread>

#include "console_fixture.h"
#include "devices/plic.h"
#include "devices/uart16550.h"
#include "devices/virtio/block.h"
#include "echo_device.h"

namespace hartwood::device_test {
namespace {

// Two harts take the interrupts of one source that stays busy: every request is claimed by exactly one of
// them.
TEST(DeviceThreads, PlicTwoHartsShareASource) {
  constexpr u32 kSeip = 1u << 9;
  FakeHarts harts{2};
  Plic device{2, harts};
  auto claim_of = [](u32 context) { return Plic::kContext + Plic::kContextStride * context + 4; };
  write_reg(device, Plic::kPriority + 4 * 4, 1);
  for (const u32 context : {1u, 3u}) write_reg(device, Plic::kEnable + Plic::kEnableStride * context, 1u << 4);
  constexpr u32 kRequests = 2000;
  std::atomic<u32> served{0};
  std::atomic<int> in_service{0};
  auto hart = [&](u32 context) {
    while (served < kRequests) {
      if ((harts.lines(context / 2) & kSeip) == 0) {
        std::this_thread::yield();
        continue;
      }
      if (read_reg(device, claim_of(context)) == 0) continue;
      EXPECT_EQ(in_service.fetch_add(1), 0);
      device.set_level(4, false);
      served++;
      device.set_level(4, true);
      in_service.fetch_sub(1);
      write_reg(device, claim_of(context), 4);
    }
  };
  device.set_level(4, true);
  std::thread one(hart, 1), two(hart, 3);
  one.join();
  two.join();
  EXPECT_GE(served, kRequests);
}

TEST(DeviceThreads, UartTwoHartsAndAnInputThread) {
  FakeWires wires;
  FakeSink sink;
  Uart16550 device{InterruptLine(wires, 10), &sink};
  auto get = [&](u64 reg) { return read_reg(device, reg, 1); };
  auto put = [&](u64 reg, u8 value) { write_reg(device, reg, value, 1); };
  put(Uart16550::kInterruptId, 1);
  constexpr u32 kEach = 3000;
  std::atomic<u32> received{0};
  auto hart = [&](char c) {
    for (u32 i = 0; i < kEach; i++) put(Uart16550::kData, static_cast<u8>(c));
    while (received < kEach) {
      if ((get(Uart16550::kLineStatus) & 1) == 0) {
        std::this_thread::yield();
      } else if (get(Uart16550::kData) == 'i') {
        received++;
      }
    }
  };
  std::thread one(hart, 'A'), two(hart, 'B');
  for (u32 sent = 0; sent < kEach;) {
    const u32 taken = device.receive(as_bytes("i"));
    sent += taken;
    if (taken == 0) std::this_thread::yield();
  }
  one.join();
  two.join();
  EXPECT_EQ(std::count(sink.text.begin(), sink.text.end(), 'A'), kEach);
  EXPECT_EQ(std::count(sink.text.begin(), sink.text.end(), 'B'), kEach);
  EXPECT_EQ(received, kEach);
}

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

TEST(DeviceThreads, BlockFourQueuesFromTwoHarts) {
  const std::unique_ptr<GuestMemory> memory = make_memory();
  MemoryBackend disk(std::vector<u8>(1 << 20));
  VirtioBlock device{disk, {.queues = 4}};
  VirtioMmio slot{*memory, &device, InterruptLine()};
  MockDriver driver{*memory, slot};
  driver.bring_up(u64{1} << VirtioBlock::kMultiQueue, 4, 64);
  std::array<u64, 4> area{};
  for (u64& at : area) at = driver.data(4096);
  auto hart = [&](u32 first) {
    for (u32 i = 0; i < 1500; i++) {
      const u32 queue = first + i % 2 * 2;
      const u64 at = area[queue];
      const u64 sector = 64 * queue + i % 64;
      memory->store<u32>(Pa(at), i % 3 ? 0 : 1);
      memory->store<u64>(Pa(at + 8), sector);
      memory->store<u8>(Pa(at + 16), 0xee);
      if (i % 3 == 0) memory->fill(Pa(at + 512), static_cast<u8>(i), 512);
      driver.add(queue, {{at, 16}, {at + 512, 512, i % 3 != 0}, {at + 16, 1, true}});
      driver.kick(queue);
      ASSERT_TRUE(driver.take(queue).has_value());
      ASSERT_EQ(guest_bytes(*memory, at + 16, 1)[0], 0);
    }
  };
  std::thread one(hart, 0), two(hart, 1);
  one.join();
  two.join();
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(ConsoleTest, InputResizeAndOutputFromThreeThreads) {
  start();
  open_port(0);
  constexpr u32 kBytes = 4000;
  std::thread page([&] {
    std::string left;
    for (u32 i = 0; i < kBytes; i++) left += static_cast<char>(i);
    while (!left.empty()) {
      const u32 taken = device.receive(0, as_bytes(left));
      left.erase(0, taken);
      if (taken == 0) std::this_thread::yield();
    }
  });
  std::thread resizer([&] {
    for (u16 i = 0; i < 500; i++) device.resize(0, i, 24);
  });
  const u64 in = driver.data(64), out = driver.data(as_bytes("o"));
  auto offer_one = [&] {
    driver.add(0, {{in, 64, true}});
    driver.kick(0);
  };
  std::string got;
  u32 sent = 0;
  offer_one();
  while (got.size() < kBytes) {
    driver.acknowledge();
    if (const auto used = driver.take(0)) {
      got += guest_text(*memory, in, used->bytes);
      offer_one();
    }
    messages();
    driver.kick(VirtioConsole::kControlReceive);
    driver.add(1, {{out, 1}});
    driver.kick(1);
    if (driver.take(1)) sent++;
    std::this_thread::yield();
  }
  page.join();
  resizer.join();
  for (u32 i = 0; i < kBytes; i++) ASSERT_EQ(static_cast<u8>(got[i]), static_cast<u8>(i));
  EXPECT_EQ(sink.text.size(), sent);
  EXPECT_EQ(read_reg(slot, 0x100, 2), 499u);
  EXPECT_FALSE(driver.needs_reset());
}

}  // namespace
}  // namespace hartwood::device_test
