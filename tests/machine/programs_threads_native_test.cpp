// SPDX-License-Identifier: Apache-2.0
// The multi-hart guest programs on whole machines with a thread for each hart: longer runs than under the
// seeded scheduler, with the host's own memory order and preemption. A watchdog ends runs that hang.
#include "machine/guest_rig.h"
#include "programs/fences.h"
#include "programs/interrupts.h"
#include "programs/litmus.h"
#include "programs/locks.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

void run_times(const GuestProgram& program, u32 times) {
  GuestRig rig(program.harts, GuestRig::Time::real);
  for (u32 time = 0; time < times; time++) ASSERT_EQ(rig.run_threads(program), "") << "run " << time;
}

TEST(ProgramThreads, AmoLock) { run_times(amo_lock(2, 30'000), 3); }
TEST(ProgramThreads, ReservedLock) { run_times(reserved_lock(4, 10'000), 3); }
TEST(ProgramThreads, TicketLock) { run_times(ticket_lock(2, 10'000), 3); }
TEST(ProgramThreads, QueueLock) { run_times(queue_lock(2, 10'000), 3); }
TEST(ProgramThreads, PetersonsLock) { run_times(petersons_lock(20'000), 3); }
TEST(ProgramThreads, PairCounter) {
  run_times(pair_counter(2, 5000), 2);
  run_times(pair_counter(4, 1000), 2);
}
TEST(ProgramThreads, InterruptStorm) { run_times(interrupt_storm(2, 1500, StormWait::sleeps), 3); }
TEST(ProgramThreads, InterruptStormWithoutSleep) { run_times(interrupt_storm(2, 200, StormWait::spins), 2); }
TEST(ProgramThreads, InterruptStormWithWritesOfSip) { run_times(interrupt_storm(4, 500, StormWait::writes_sip), 3); }
TEST(ProgramThreads, StartAndStop) { run_times(start_and_stop(3, 500, false), 3); }
TEST(ProgramThreads, StartAndStopWithLateInterrupts) { run_times(start_and_stop(4, 300, true), 3); }
TEST(ProgramThreads, StartRace) { run_times(start_race(200), 3); }
TEST(ProgramThreads, SuspendAndWake) { run_times(suspend_and_wake(1500), 3); }
TEST(ProgramThreads, PageTableStorm) { run_times(page_table_storm(2, 1000), 3); }
TEST(ProgramThreads, PageTableStormOfFour) { run_times(page_table_storm(4, 200), 3); }
TEST(ProgramThreads, CodeStorm) { run_times(code_storm(2, 1000), 2); }
TEST(ProgramThreads, OwnCode) { run_times(own_code(4, 1000), 2); }
TEST(ProgramThreads, CodeHandover) { run_times(code_handover(4, 1000), 2); }
TEST(ProgramThreads, FencesToSleepers) { run_times(fences_to_sleepers(4, 1000), 3); }
// Here anything may be late by what the host's other work takes.
TEST(ProgramThreads, TimerStorm) { run_times(timer_storm(4, 500, 60 * Clock::kTicksPerSecond), 3); }
TEST(ProgramThreads, PowerOffInStorm) { run_times(power_off_in_storm(20), 50); }

// Two and four harts never see time go back, each with its own reads and with what others have read.
TEST(ProgramThreads, ClockExchange) {
  run_times(clock_exchange(2, 100'000), 2);
  run_times(clock_exchange(4, 20'000), 2);
}

TEST(ProgramThreads, Litmus) {
  for (const Litmus& test : litmus_tests()) {
    const GuestProgram program = litmus_program(test);
    GuestRig rig(program.harts, GuestRig::Time::real);
    u32 seen = 0;
    constexpr u32 kTimes = 8;
    for (u32 time = 0; time < kTimes; time++) {
      ASSERT_EQ(rig.run_threads(program), "") << test.name;
      seen += litmus_count(test, rig);
    }
    std::printf("  %-20s %s %u of %u times\n", test.name, test.forbidden ? "(forbidden)" : "(allowed)  ", seen,
                kTimes * kLitmusTimes);
    if (test.forbidden) {
      EXPECT_EQ(seen, 0u) << test.name;
    }
  }
}

}  // namespace
}  // namespace hartwood::test
