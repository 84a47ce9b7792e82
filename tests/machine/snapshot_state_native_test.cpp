// SPDX-License-Identifier: Apache-2.0
// States that no machine saved: every byte of one, changed. It is refused, or the machine runs with it and does nothing
// to its host (the sanitizers' build looks for that).
//
// HARTWOOD_FUZZ=N: N changes of each byte, which then run 100,000 instructions; without, one and fewer.
#include "machine/snapshot_rig.h"
#include "programs/interrupts.h"

namespace hartwood::test {
namespace {

constexpr u64 kRings = kRamBase + 0x100'0000;
constexpr u32 kHarts = 2;

BoxOptions options() {
  BoxOptions result;
  result.harts = kHarts;
  result.fibers = true;
  result.disks = {64 * kPageBytes};
  return result;
}

u64 rounds() {
  const char* text = std::getenv("HARTWOOD_FUZZ");
  return text != nullptr ? std::max<u64>(1, std::strtoull(text, nullptr, 10)) : 0;
}

struct FuzzTest : testing::Test {
  FuzzTest() : box(options()) {
    box.clock().follow(&box.machine());
    box.boot(interrupt_storm(kHarts, 2000, StormWait::sleeps));
    DiskDriver driver{box, kRings};
    driver.start();
    driver.request(DiskDriver::kWrite, 3, kRamBase + 0x200'0000, 512);
    driver.prepare(DiskDriver::kRead, 3, kRamBase + 0x200'0000, 512);
    const std::vector<u8> typed = pattern(300, 1);
    box.machine().console_input(typed);
    DeterministicRunner runner(box.machine(), box.clock(), 1, {.longest_slice = 64});
    EXPECT_FALSE(runner.run(box.executed() + 20'000));
    box.machine().stop_all();
    EXPECT_TRUE(runner.run(0));
    box.machine().resume_all();
    saved = std::move(*save(box.machine()));
  }

  // True if the state was taken.
  bool try_state(std::span<const u8> state, u64 instructions) {
    Box copy(options());
    const Status restored = copy.machine().restore(state);
    if (!restored) {
      EXPECT_FALSE(restored.message().empty());
      return false;
    }
    EXPECT_TRUE(place_all(copy.machine(), saved).ok());
    DeterministicRunner runner(copy.machine(), copy.clock(), 3,
                               {.longest_slice = 64, .max_points = 20 * instructions + 100'000});
    const u64 before = copy.executed();
    runner.run(before + instructions);
    executed = copy.executed() - before;
    (void)copy.machine().save_state();
    return true;
  }
  Box box;
  Saved saved;
  u64 executed = 0;  // of the last state that was taken
};

TEST_F(FuzzTest, EveryByteChanged) {
  const u64 times = std::max<u64>(1, rounds());
  const u64 instructions = rounds() != 0 ? 100'000 : 5000;
  SeededRandom random(5);
  u64 taken = 0, refused = 0;
  ASSERT_TRUE(try_state(saved.head.state, 100'000));
  ASSERT_GE(executed, 100'000u) << "the program is long enough";
  for (size_t at = 0; at < saved.head.state.size(); at++) {
    for (u64 time = 0; time < times; time++) {
      std::vector<u8> state = saved.head.state;
      const u8 flips[] = {1, 0x80, 0xff, static_cast<u8>(1 + random.below(255))};
      state[at] ^= flips[(time + at) % 4];
      SCOPED_TRACE(format("byte %zu, time %llu", at, static_cast<unsigned long long>(time)));
      try_state(state, instructions) ? taken++ : refused++;
    }
  }
  std::printf("  %zu bytes: %llu states taken, %llu refused\n", saved.head.state.size(),
              static_cast<unsigned long long>(taken), static_cast<unsigned long long>(refused));
  EXPECT_GT(taken, 0u);
  EXPECT_GT(refused, 0u);
}

TEST_F(FuzzTest, ManyBytesChanged) {
  const u64 times = 300 * std::max<u64>(1, rounds());
  for (u64 seed = 1; seed <= times; seed++) {
    SeededRandom random(seed);
    std::vector<u8> state = saved.head.state;
    for (u32 i = 0, count = 1 + random.below(20); i < count; i++)
      state[random.below(static_cast<u32>(state.size()))] = static_cast<u8>(random.next());
    SCOPED_TRACE(format("seed %llu", static_cast<unsigned long long>(seed)));
    try_state(state, rounds() != 0 ? 100'000 : 2000);
  }
}

TEST_F(FuzzTest, EveryTruncationIsRefused) {
  for (size_t size = 0; size < saved.head.state.size(); size++)
    ASSERT_FALSE(try_state(std::span(saved.head.state).first(size), 1)) << size;
  std::vector<u8> longer = saved.head.state;
  longer.push_back(0);
  EXPECT_FALSE(try_state(longer, 1));
}

}  // namespace
}  // namespace hartwood::test
