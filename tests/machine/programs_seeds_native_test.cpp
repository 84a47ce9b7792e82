// SPDX-License-Identifier: Apache-2.0
// The multi-hart guest programs on whole machines under the seeded scheduler: 1,000 seeds each or more, with slices
// of a few instructions. A failure names its seed; the same seed fails again.
#include "machine/guest_rig.h"
#include "programs/fences.h"
#include "programs/interrupts.h"
#include "programs/litmus.h"
#include "programs/locks.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

constexpr u64 kSeeds = 1000;

// How often fibers switch, and how long slices are, are drawn from the seed too.
SchedulerOptions options_of(u64 seed) {
  SeededRandom random(seed * 0x1234'5678'9abc'def1);
  SchedulerOptions options;
  options.switch_one_in = 1u << random.below(4);
  options.longest_slice = 1u << random.below(7);
  options.longest_run = random.one_in(2) ? 1'000'000 : 300;
  options.spurious_one_in = random.one_in(2) ? 0 : 8;
  options.stall_one_in = random.one_in(2) ? 0 : 16;
  return options;
}

// `longest`: instructions that a run may take.
void run_seeds(const GuestProgram& program, u64 longest = 5'000'000, u64 seeds = kSeeds) {
  GuestRig rig(program.harts, GuestRig::Time::by_instructions);
  for (u64 seed = 1; seed <= seeds; seed++) {
    const std::string failure = rig.run_seed(program, seed, options_of(seed), longest);
    ASSERT_EQ(failure, "") << "seed " << seed;
  }
}

TEST(ProgramSeeds, AmoLock) { run_seeds(amo_lock(2, 40)); }
TEST(ProgramSeeds, ReservedLock) { run_seeds(reserved_lock(3, 20)); }
TEST(ProgramSeeds, PairCounter) { run_seeds(pair_counter(3, 20)); }
TEST(ProgramSeeds, InterruptStorm) { run_seeds(interrupt_storm(2, 20, StormWait::sleeps)); }
// A hart that misses an interrupt hears of it when it next returns to its caller: far too late.
TEST(ProgramSeeds, InterruptStormWithoutSleep) { run_seeds(interrupt_storm(3, 10, StormWait::spins), 300'000); }
TEST(ProgramSeeds, InterruptStormWithWritesOfSip) { run_seeds(interrupt_storm(3, 12, StormWait::writes_sip)); }
TEST(ProgramSeeds, StartAndStop) { run_seeds(start_and_stop(3, 10, false)); }
TEST(ProgramSeeds, StartAndStopWithLateInterrupts) { run_seeds(start_and_stop(2, 15, true)); }
TEST(ProgramSeeds, StartRace) { run_seeds(start_race(10)); }
TEST(ProgramSeeds, SuspendAndWake) { run_seeds(suspend_and_wake(20)); }
TEST(ProgramSeeds, PageTableStorm) { run_seeds(page_table_storm(2, 20)); }
TEST(ProgramSeeds, PageTableStormOfFour) { run_seeds(page_table_storm(4, 5)); }
TEST(ProgramSeeds, CodeStorm) { run_seeds(code_storm(2, 20)); }
TEST(ProgramSeeds, PowerOffInStorm) { run_seeds(power_off_in_storm(4)); }
// 50 instructions take a tick. A hart may be kept out for a while, but not until some other timer ends.
// More seeds: the clock thread has to fall asleep between two neighbouring operations of a hart.
TEST(ProgramSeeds, TimerStorm) { run_seeds(timer_storm(2, 20, 2000), 5'000'000, 5 * kSeeds); }
// 1 ms late is the second that the alarm was first set for, or never.
TEST(ProgramSeeds, AlarmStorm) { run_seeds(alarm_storm(10, 1'000'000)); }
TEST(ProgramSeeds, ClockExchange) { run_seeds(clock_exchange(3, 30)); }

// Harts that run instructions in turn show no reordering at all: here the seeds look for programs that hang,
// and for values from nowhere. Fewer seeds, because each run does every shape 256 times.
TEST(ProgramSeeds, Litmus) {
  for (const Litmus& test : litmus_tests()) {
    const GuestProgram program = litmus_program(test);
    GuestRig rig(program.harts, GuestRig::Time::by_instructions);
    u32 seen = 0;
    for (u64 seed = 1; seed <= 10; seed++) {
      ASSERT_EQ(rig.run_seed(program, seed, options_of(seed)), "") << test.name << ", seed " << seed;
      seen += litmus_count(test, rig);
    }
    EXPECT_EQ(seen, 0u) << test.name;
  }
}

}  // namespace
}  // namespace hartwood::test
