// SPDX-License-Identifier: Apache-2.0
// A device that copies what it is given, in a slot with a driver: the fixture for the transport and the
// queue.
#pragma once

#include "mock_driver.h"

namespace hartwood::device_test {

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

}  // namespace hartwood::device_test
