// SPDX-License-Identifier: Apache-2.0
// The machine's shared parts with several callers at once: on threads, and under the seeded scheduler.
#include "machine/parts.h"

#include <atomic>
#include <ctime>
#include <thread>

#include "machine/guest_rig.h"

namespace hartwood::test {
namespace {

// A host clock that is wrong by another amount on every thread and jitters on top of it.
class SkewedPlatform final : public Platform {
 public:
  u64 monotonic_ns() override {
    static thread_local u64 skew = 0;
    static thread_local u32 reads = 0;
    if (skew == 0) skew = 1 + 3'000 * threads_.fetch_add(1);
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const u64 now = static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
    return now / 5000 * 5000 + skew + (++reads * 977) % 5000;
  }
  u64 unix_ns() override { return 0; }
  EntropySource& entropy() override { return platform_.entropy(); }
  ByteSink& console_output() override { return platform_.console_output(); }
  const Log& log() override { return platform_.log(); }

 private:
  std::atomic<u64> threads_{0};
  TestPlatform platform_;
};

TEST(MachineClockThreads, NobodySeesLessThanAnotherHasSeen) {
  SkewedPlatform platform;
  auto shared = std::make_unique<MachineShared>();
  MachineClock clock(platform, *shared);
  std::atomic<u64> seen{0};
  std::atomic<u32> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int reads = 0; reads < 50'000; reads++) {
        u64 before = seen.load();
        const u64 now = clock.ticks();
        if (now < before) wrong++;
        while (before < now && !seen.compare_exchange_weak(before, now)) {
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0u);
}

// Several ends at once: one of them counts, with its own code, and whoever sees the end sees both.
TEST(PowerSwitchSeeds, StateAndCodeAreOfTheSameEnd) {
  for (u64 seed = 1; seed <= 1000; seed++) {
    SchedulerOptions options;
    options.switch_one_in = 2;
    options.max_points = 1'000'000;
    SeededScheduler scheduler(seed, options);
    auto shared = std::make_unique<MachineShared>();
    AttentionProtocol attention(*shared);
    PowerSwitch power(attention);
    u32 first_code = 0;
    const PowerState states[] = {kPowerOff, kPowerReboot, kPowerExited};
    for (u32 i = 0; i < 3; i++) {
      scheduler.add([&, i] {
        power.end(states[i], 10 + i);
        // Whoever has asked finds the machine ended.
        const u32 state = shared->power.load();
        ASSERT_NE(state, static_cast<u32>(kPowerOn)) << "seed " << seed;
        const u32 code = shared->exit_code.load();
        if (first_code == 0) first_code = code;
        EXPECT_EQ(code, first_code) << "seed " << seed;
        ASSERT_TRUE(code >= 10 && code < 13 && states[code - 10] == state) << "seed " << seed;
      });
    }
    // One sleeps until it is told.
    scheduler.add([&] {
      while (shared->power.load() == kPowerOn) {
        const u32 event = shared->event.load();
        if (shared->power.load() == kPowerOn) shared->event.wait(event);
      }
    });
    ASSERT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished) << "seed " << seed;
  }
}

// The futex lock: a section is never shared, and nobody sleeps for ever in front of a free one.
TEST(LockSeeds, ExcludesAndWakes) {
  for (u64 seed = 1; seed <= 1000; seed++) {
    SchedulerOptions options;
    options.switch_one_in = 2;
    options.spurious_one_in = 4;
    options.max_points = 1'000'000;
    SeededScheduler scheduler(seed, options);
    Lock lock;
    u32 inside = 0, count = 0;
    for (u32 i = 0; i < 3; i++) {
      scheduler.add([&] {
        for (u32 times = 0; times < 10; times++) {
          Guard guard(lock);
          ASSERT_EQ(inside++, 0u) << "seed " << seed;
          schedule_point();
          count++;
          inside--;
        }
      });
    }
    ASSERT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished) << "seed " << seed;
    ASSERT_EQ(count, 30u) << "seed " << seed;
  }
}

// Input beyond what fits: the writer sleeps until the reader has made room, is always woken, and nothing is lost.
TEST(ConsoleInputSeeds, WriterIsWokenWhenThereIsRoom) {
  constexpr u32 kBytes = 200'000;
  for (u64 seed = 1; seed <= 300; seed++) {
    SeededRandom random(seed);
    SchedulerOptions options;
    options.switch_one_in = 2;
    options.spurious_one_in = seed % 2 == 0 ? 4 : 0;
    options.max_points = 1'000'000;
    SeededScheduler scheduler(seed, options);
    Atomic<u32> room{0};
    auto input = std::make_unique<ConsoleInput>(room);
    scheduler.add([&] {
      std::vector<u8> bytes(20'000);
      for (u32 at = 0; at < kBytes;) {
        for (u32 i = 0; i < bytes.size(); i++) bytes[i] = static_cast<u8>((at + i) * 7 >> 3);
        const u32 size = std::min<u32>(1 + random.below(20'000), kBytes - at);
        const u32 seen = room.load();
        const u32 taken = input->write(std::span(bytes).first(size));
        at += taken;
        if (taken < size) room.wait(seen);
      }
    });
    scheduler.add([&] {
      std::vector<u8> bytes(20'000);
      for (u32 at = 0; at < kBytes;) {
        const u32 taken = input->read(std::span(bytes).first(1 + random.below(20'000)));
        for (u32 i = 0; i < taken; i++) ASSERT_EQ(bytes[i], static_cast<u8>((at + i) * 7 >> 3)) << "seed " << seed;
        at += taken;
      }
    });
    ASSERT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished) << "seed " << seed;
  }
}

// Nobody is told of room that nobody was refused.
TEST(ConsoleInput, CountsOnlyAfterARefusal) {
  Atomic<u32> room{0};
  auto input = std::make_unique<ConsoleInput>(room);
  std::vector<u8> bytes(70'000);
  EXPECT_EQ(input->write(std::span(bytes).first(100)), 100u);
  EXPECT_EQ(input->read(std::span(bytes).first(50)), 50u);
  EXPECT_EQ(room.load(), 0u);
  const u32 taken = input->write(bytes);
  EXPECT_EQ(taken, 65'536u - 50);
  EXPECT_EQ(input->read(std::span(bytes).first(0)), 0u);
  EXPECT_EQ(room.load(), 0u) << "nothing was taken";
  EXPECT_EQ(input->read(std::span(bytes).first(1)), 1u);
  EXPECT_EQ(room.load(), 1u);
  EXPECT_EQ(input->read(std::span(bytes).first(1)), 1u);
  EXPECT_EQ(room.load(), 1u);
}

TEST(SeededScheduler, OneSeedIsOneExecution) {
  const auto trace = [](u64 seed) {
    SeededScheduler scheduler(seed, {.switch_one_in = 2});
    Atomic<u32> word{0};
    std::string text;
    for (char name : {'a', 'b', 'c'}) {
      scheduler.add([&, name] {
        for (u32 i = 0; i < 20; i++) {
          word.fetch_add(1);
          text += name;
        }
      });
    }
    EXPECT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished);
    return text;
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
  EXPECT_EQ(trace(3).size(), 60u);
}

TEST(SeededScheduler, SleepersWakeByNotificationTimeAndFromOutside) {
  SeededScheduler scheduler(1);
  Atomic<u32> word{0}, other{0};
  Wake by_time = Wake::notified, by_word = Wake::timed_out;
  bool forever = false;
  scheduler.add([&] { by_time = word.wait(0, 1'000'000'000'000); });
  scheduler.add([&] {
    by_word = word.wait(1);
    other.wait(0);
    forever = true;
  });
  EXPECT_EQ(scheduler.run_fibers(), SeededScheduler::End::asleep);
  EXPECT_EQ(by_time, Wake::timed_out);
  EXPECT_EQ(by_word, Wake::changed);
  EXPECT_FALSE(forever);
  // Nobody can be notified while nothing runs; the next run looks at the words again.
  other.store(1);
  EXPECT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished);
  EXPECT_TRUE(forever);
}

TEST(SeededScheduler, EndlessFibersAreGivenUp) {
  SeededScheduler scheduler(1, {.max_points = 1000});
  Atomic<u32> word{0};
  scheduler.add([&] {
    while (word.load() == 0) {
    }
  });
  EXPECT_EQ(scheduler.run_fibers(), SeededScheduler::End::exhausted);
  word.store(1);
  EXPECT_EQ(scheduler.run_fibers(), SeededScheduler::End::finished);
}

}  // namespace
}  // namespace hartwood::test
