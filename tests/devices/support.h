// SPDX-License-Identifier: Apache-2.0
// What stands around a device under test: harts that record their lines, a clock that a test sets, wires,
// sinks and sources, and the checks that every saved state goes through.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "base/bits.h"
#include "base/serial.h"
#include "devices/sinks.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood::device_test {

struct FakeHarts final : HartInterrupts {
  explicit FakeHarts(u32 count) : line(count), compare(count), compared(count) {
    for (auto& ticks : compare) ticks = ~u64{0};
  }
  void set_lines(u32 hart, u32 mask, bool level) override {
    if (level)
      line.at(hart).fetch_or(mask);
    else
      line.at(hart).fetch_and(~mask);
  }
  void set_mtimecmp(u32 hart, u64 ticks) override {
    compare.at(hart) = ticks;
    compared.at(hart)++;
  }
  u64 mtimecmp(u32 hart) const override { return compare.at(hart); }
  u32 lines(u32 hart) const override { return line.at(hart); }

  std::vector<std::atomic<u32>> line;
  std::vector<std::atomic<u64>> compare;
  std::vector<std::atomic<u32>> compared;  // how often a hart was told to compare
};

struct FakeClock final : Clock {
  u64 elapsed() override { return now_ticks; }
  u64 unix_nanoseconds() override { return now_ns; }
  std::atomic<u64> now_ticks{0};
  std::atomic<u64> now_ns{0};
};

struct FakeDeadlines final : DeadlineSink {
  void deadlines_changed() override { changes++; }
  std::atomic<u32> changes{0};
};

struct FakeWires final : InterruptSink {
  void set_level(u32 source, bool level) override {
    if (level && !levels.at(source)) rises.at(source)++;
    levels.at(source) = level;
  }
  void pulse(u32 source) override { pulses.at(source)++; }
  std::array<std::atomic<bool>, 128> levels{};
  std::array<std::atomic<u32>, 128> rises{};
  std::array<std::atomic<u32>, 128> pulses{};
};

// Takes `room` bytes and then refuses.
struct FakeSink final : ByteSink {
  u32 write(std::span<const u8> bytes) override {
    Guard guard(lock);
    const auto taken = static_cast<u32>(std::min<u64>(bytes.size(), room));
    text.append(bytes.begin(), bytes.begin() + taken);
    room -= taken;
    return taken;
  }
  Lock lock;
  std::string text;
  u64 room = ~u64{0};
};

struct FakeSource final : ByteSource {
  u32 read(std::span<u8> to) override {
    Guard guard(lock);
    const auto taken = static_cast<u32>(std::min(to.size(), text.size()));
    std::copy_n(text.begin(), taken, to.begin());
    text.erase(0, taken);
    return taken;
  }
  Lock lock;
  std::string text;
};

inline std::span<const u8> as_bytes(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

inline u64 read_reg(MmioDevice& device, u64 offset, unsigned size = 4) {
  u64 value = 0xdead'beef'dead'beef;
  EXPECT_TRUE(device.mmio_read(offset, size, value)) << std::hex << offset;
  return value;
}
inline void write_reg(MmioDevice& device, u64 offset, u64 value, unsigned size = 4) {
  EXPECT_TRUE(device.mmio_write(offset, size, value)) << std::hex << offset;
}
inline bool refuses(MmioDevice& device, u64 offset, unsigned size) {
  u64 value = 0;
  return !device.mmio_read(offset, size, value) && !device.mmio_write(offset, size, 0);
}

template <class Device>
std::vector<u8> saved(const Device& device) {
  StateWriter out;
  device.save(out);
  return out.bytes();
}
// True if the device accepted the state.
template <class Device>
bool restore(Device& device, std::span<const u8> state) {
  StateReader in(state);
  device.load(in);
  return !in.failed();
}

// `state`, saved by a device like `fresh`, survives a round trip; every shortened version of it, another tag
// and a newer version are refused and leave the device as it was; no damaged version harms the host.
template <class Device>
void check_state(Device& fresh, const std::vector<u8>& state) {
  const std::vector<u8> before = saved(fresh);
  for (size_t size = 0; size<state.size(); size += state.size()> 600 ? 37 : 1) {
    ASSERT_FALSE(restore(fresh, std::span(state).first(size))) << size;
    ASSERT_TRUE(saved(fresh) == before) << size;
  }
  for (const size_t at : {size_t{0}, size_t{4}, size_t{8}}) {  // tag, version, length
    std::vector<u8> damaged = state;
    damaged[at] ^= 0x7f;
    ASSERT_FALSE(restore(fresh, damaged)) << at;
    ASSERT_TRUE(saved(fresh) == before) << at;
  }
  std::mt19937 random(1);
  for (int round = 0; round < 500; round++) {
    std::vector<u8> damaged = state;
    for (int i = 0; i < 3; i++) damaged[random() % damaged.size()] = static_cast<u8>(random());
    restore(fresh, damaged);
  }
  ASSERT_TRUE(restore(fresh, state));
  EXPECT_TRUE(saved(fresh) == state);
}

}  // namespace hartwood::device_test
