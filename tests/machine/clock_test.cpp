// SPDX-License-Identifier: Apache-2.0
// The machine's clock over host clocks that disagree and step back.
#include <gtest/gtest.h>

#include "devices/entropy.h"
#include "machine/parts.h"

namespace hartwood {
namespace {

constexpr u64 kTick = MachineClock::kNanosecondsPerTick;

class SteppingPlatform final : public Platform {
 public:
  u64 monotonic_ns() override { return now; }
  u64 unix_ns() override { return 5; }
  EntropySource& entropy() override { return entropy_; }
  ByteSink& console_output() override { return sink_; }
  const Log& log() override { return log_; }
  u64 now = 0;

 private:
  struct Sink final : ByteSink {
    u32 write(std::span<const u8> bytes) override { return static_cast<u32>(bytes.size()); }
  };
  SeededEntropy entropy_{1};
  Sink sink_;
  Log log_{[](void*, LogLevel, const char*) {}, nullptr, LogLevel::warning};
};

TEST(MachineClock, StartsAtZeroAndCountsTicks) {
  SteppingPlatform platform;
  platform.now = 123'456;
  auto shared = std::make_unique<MachineShared>();
  MachineClock clock(platform, *shared);
  EXPECT_EQ(clock.ticks(), 0u);
  platform.now += kTick - 1;
  EXPECT_EQ(clock.ticks(), 0u);
  platform.now += 1;
  EXPECT_EQ(clock.ticks(), 1u);
  platform.now += 1'000'000'000;
  EXPECT_EQ(clock.ticks(), 1 + Clock::kTicksPerSecond);
  EXPECT_EQ(clock.unix_nanoseconds(), 5u);
}

TEST(MachineClock, NeverGoesBack) {
  SteppingPlatform platform;
  platform.now = 1'000'000;
  auto shared = std::make_unique<MachineShared>();
  MachineClock clock(platform, *shared);
  platform.now += 50 * kTick;
  EXPECT_EQ(clock.ticks(), 50u);
  platform.now -= 30 * kTick;
  EXPECT_EQ(clock.ticks(), 50u) << "a reader whose host clock is behind";
  platform.now = 0;
  EXPECT_EQ(clock.ticks(), 50u) << "before the start";
  platform.now = 1'000'000 + 49 * kTick;
  EXPECT_EQ(clock.ticks(), 50u);
  platform.now += 2 * kTick;
  EXPECT_EQ(clock.ticks(), 51u);
}

// Two workers' host clocks differ for good: what either reads, the other has reached.
TEST(MachineClock, ReadersThatDisagreeSeeOneTime) {
  SteppingPlatform platform;
  auto shared = std::make_unique<MachineShared>();
  MachineClock clock(platform, *shared);
  u64 last = 0;
  for (u64 i = 0; i < 10'000; i++) {
    platform.now = i * 70 + (i % 3 == 0 ? 5000 : i % 3 == 1 ? 0 : 12'345);
    const u64 now = clock.ticks();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_EQ(last, (9'998 * 70 + 12'345) / kTick);
  EXPECT_EQ(shared->clock_latest.load(), last);
}

TEST(VirtualClock, CountsToDeadlinesAndSkipsToThem) {
  SteppingPlatform platform;
  VirtualClock clock(platform);
  EXPECT_EQ(clock.ticks(), 0u);
  platform.now = 1'000'000;
  EXPECT_EQ(clock.ticks(), 0u) << "the host's time is not looked at";
  // 2 ns for each instruction, 100 ns for each tick.
  EXPECT_EQ(clock.instructions_until(1), 50u);
  clock.skip_ns(99);
  EXPECT_EQ(clock.instructions_until(1), 1u) << "the instruction at whose end the tick has begun";
  EXPECT_EQ(clock.instructions_until(3), 101u);
  clock.skip_to(7);
  EXPECT_EQ(clock.ticks(), 7u);
  EXPECT_EQ(clock.unix_nanoseconds(), 5 + 700u);
  clock.set_ticks(1000);
  EXPECT_EQ(clock.ticks(), 1000u);
  EXPECT_EQ(clock.instructions_until(1001), 50u);
}

}  // namespace
}  // namespace hartwood
