// SPDX-License-Identifier: Apache-2.0
// A whole machine's clock: a guest that sets mtime moves the time CSR and every hart's timers with it, and a machine
// that was paused goes on with its timers.
#include "devices/aclint.h"
#include "devices/virt_map.h"
#include "machine/guest_rig.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

constexpr u64 kSecond = Clock::kTicksPerSecond;

// ---- mtime

constexpr u64 kToHost = kRamBase + 0x1000, kStage = kRamBase + 0x1100;

// A bare-metal program in M-mode for two harts. Hart 1 sets timers that are 100 s away; hart 0 sets mtime to beyond
// them, back to the machine's start, and forward to a little before a timer's end, so that whoever sleeps for the other
// has to sleep less. Both compare with the time CSR.
std::vector<u8> time_setter_elf() {
  constexpr u64 kFar = 100 * kSecond, kFarther = 200 * kSecond, kSoon = kSecond / 10;
  constexpr i64 kMachineTimer = 1 << 7, kSupervisorTimer = 1 << 5;
  Assembler g(kRamBase);
  const auto fail = [&g](u32 code) {
    g.li(t0, code << 1 | 1);
    g.sd(t0, 0, s3);
    const auto end = g.bound();
    g.j(end);
  };
  // Goes on where a >= b, unsigned.
  const auto fail_if_less = [&](Reg a, Reg b, u32 code) {
    const auto bad = g.label(), fine = g.label();
    g.branch(Op::bltu, a, b, bad);
    g.j(fine);
    g.bind(bad);
    fail(code);
    g.bind(fine);
  };
  const auto reach = [&](i64 stage) {
    g.fence();
    g.li(t0, static_cast<u64>(stage));
    g.sd(t0, 0, s1);
  };
  // Until the other hart has reached it, and a little longer: it may have gone to sleep by then.
  const auto await = [&](u64 stage) {
    g.li(t1, stage);
    const auto wait = g.bound();
    g.ld(t0, 0, s1);
    g.bne(t0, t1, wait);
    g.fence();
    g.li(t0, 500);
    const auto longer = g.bound();
    g.addi(t0, t0, -1);
    g.bne(t0, zero, longer);
  };
  g.li(s1, kStage);
  g.li(s3, kToHost);
  const auto setter = g.label();
  g.beq(a0, zero, setter);

  // Hart 1. Asleep, by mtimecmp.
  g.li(t0, u64{1} << 63);  // STCE
  g.csrw(kCsrMenvcfg, t0);
  g.csrr(s5, kCsrTime);
  g.li(t0, kFar);
  g.op(Op::add, s5, s5, t0);
  g.li(t1, virt::kAclintBase + Aclint::kMtimecmp + 8);
  g.sd(s5, 0, t1);
  g.li(t0, kMachineTimer);
  g.csrw(kCsrMie, t0);
  reach(1);
  const auto asleep = g.bound();
  g.wfi();
  g.csrr(t0, kCsrMip);
  g.andi(t0, t0, kMachineTimer);
  g.beq(t0, zero, asleep);
  g.csrr(t0, kCsrTime);
  fail_if_less(t0, s5, 1);
  // The timer's interrupt ends when time goes back.
  g.csrw(kCsrMie, zero);
  reach(2);
  const auto pending = g.bound();
  g.csrr(t0, kCsrMip);
  g.andi(t0, t0, kMachineTimer);
  g.bne(t0, zero, pending);
  g.csrr(t0, kCsrTime);
  fail_if_less(s5, t0, 2);
  // Running, by stimecmp.
  g.li(t0, kFar);
  g.csrr(s5, kCsrTime);
  g.op(Op::add, s5, s5, t0);
  g.csrw(kCsrStimecmp, s5);
  g.sd(s5, 8, s1);
  reach(3);
  const auto running = g.bound();
  g.csrr(t0, kCsrMip);
  g.andi(t0, t0, kSupervisorTimer);
  g.beq(t0, zero, running);
  g.csrr(t0, kCsrTime);
  fail_if_less(t0, s5, 3);
  fail(0);

  // Hart 0 sets mtime to what is in s5 and finds that the time CSR says the same, not much later.
  g.bind(setter);
  g.li(s4, virt::kAclintBase + Aclint::kMtime);
  const auto set = [&](u32 code) {
    g.sd(s5, 0, s4);
    g.csrr(t2, kCsrTime);
    fail_if_less(t2, s5, code);
    g.li(t0, kSoon);
    g.op(Op::add, t0, t0, s5);
    fail_if_less(t0, t2, code + 1);
  };
  await(1);
  g.ld(s5, 0, s4);
  g.li(t0, kFarther);
  g.op(Op::add, s5, s5, t0);
  set(4);
  await(2);
  g.li(s5, 5);
  set(6);
  await(3);
  g.ld(s5, 8, s1);
  g.addi(s5, s5, -1000);
  set(8);
  const auto done = g.bound();
  g.csrw(kCsrMie, zero);
  g.wfi();
  g.j(done);

  return bare_metal_elf(g.words(), kToHost);
}

TEST(MachineTimers, WriteOfMtimeIsSeenByTheTimeCsrAndMovesAllTimers) {
  const std::vector<u8> elf_file = time_setter_elf();
  for (u64 seed = 1; seed <= 100; seed++) {
    TestPlatform platform;
    VirtualClock clock(platform);
    auto shared = std::make_unique<MachineShared>();
    MachineConfig config;
    config.harts = 2;
    config.memory_bytes = kMinRamBytes;
    config.firmware = FirmwareKind::none;
    auto machine = Machine::create(config, platform, *shared, &clock);
    HW_CHECK(machine.ok(), "machine");
    BootFiles files;
    files.kernel = elf_file;
    HW_CHECK((*machine)->boot(files).ok(), "boot");
    SchedulerOptions options;
    options.longest_slice = 1u << seed % 7;
    options.longest_run = 1'000'000'000;  // a hart that starts to run looks at its timers
    options.switch_one_in = 1u << seed % 3;
    DeterministicRunner runner(**machine, clock, seed, options);
    ASSERT_TRUE(runner.run(10'000'000)) << "a timer did not move, seed " << seed;
    ASSERT_FALSE(runner.slept_for_ever()) << "seed " << seed;
    ASSERT_EQ(shared->power.load(), kPowerExited);
    ASSERT_EQ(shared->exit_code.load(), 0u) << "seed " << seed;
    ASSERT_LT(clock.now_ns(), 1'000'000'000u) << "a timer waited for its old time, seed " << seed;
  }
}

// ---- pause

// Harts that run and wait for their timers depend on the clock thread; where they return to their callers seldom,
// nothing else helps them.
constexpr SchedulerOptions kSeldomReturning{.longest_slice = 64, .longest_run = 1'000'000'000};

TEST(MachineTimers, PausedUnderSeedsTheyGoOn) {
  const GuestProgram program = timer_storm(2, 20, 1'000'000);
  GuestRig rig(2, GuestRig::Time::by_instructions);
  for (u64 seed = 1; seed <= 50; seed++) {
    rig.start_seed(program, seed, kSeldomReturning, 500 + 40 * seed);
    ASSERT_EQ(rig.continue_seed(program, seed, kSeldomReturning), "") << "seed " << seed;
  }
}

TEST(MachineTimers, PausedOnThreadsTheyGoOn) {
  // Endless: each hart counts in kTable the timers that it got, running.
  constexpr u32 kHarts = 2;
  Guest g(kHarts);
  g.li(t0, 1 << 5);
  g.csrw(kCsrSie, t0);
  g.table_entry(s2, zero, s0, t0);
  const auto loop = g.bound();
  g.csrr(a0, kCsrTime);
  g.li(t0, kSecond / 1000);
  g.add(a0, a0, t0);
  g.firmware(0x5449'4d45, 0);
  const auto wait = g.bound();
  g.csrr(t0, kCsrSip);
  g.andi(t0, t0, 1 << 5);
  g.beq(t0, zero, wait);
  g.ld(t0, 0, s2);
  g.addi(t0, t0, 1);
  g.sd(t0, 0, s2);
  g.j(loop);
  GuestRig rig(kHarts, GuestRig::Time::real);
  rig.restart(g.program());
  Machine& machine = rig.machine();
  const auto counts = [&] {
    u64 sum[kHarts];
    for (u32 i = 0; i < kHarts; i++) sum[i] = rig.peek(Guest::table_address(0, i));
    return std::vector<u64>(sum, sum + kHarts);
  };
  std::vector<u64> before = counts();
  for (u32 round = 0; round < 3; round++) {
    Atomic<u32> left{0};
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      machine.run_clock();
      left.fetch_add(1);
      left.notify();
    });
    for (u32 i = 0; i < kHarts; i++) {
      threads.emplace_back([&, i] {
        EXPECT_EQ(machine.run_hart(i, u64{1} << 60), Hart::Exit::stopped);
        left.fetch_add(1);
        left.notify();
      });
    }
    // Each hart gets some timers in every round, or the machine is ended so that the test is.
    constexpr u32 kPatienceMs = 20'000;
    bool enough = false;
    for (u32 ms = 0; ms < kPatienceMs && !enough; ms++) {
      Atomic<u32> never{0};
      never.wait(0, 1'000'000);
      enough = true;
      for (u32 i = 0; i < kHarts; i++) enough &= counts()[i] >= before[i] + 3;
    }
    EXPECT_TRUE(enough) << "no timer interrupts in round " << round;
    machine.stop_all();
    for (u32 seen; (seen = left.load()) < kHarts + 1;) {
      if (left.wait(seen, i64{kPatienceMs} * 1'000'000) == Wake::timed_out) {
        ADD_FAILURE() << "after stop_all() only " << seen << " threads have returned";
        machine.power().end(kPowerCrashed, 0);
      }
    }
    for (std::thread& thread : threads) thread.join();
    before = counts();
    if (HasFailure()) return;
    machine.resume_all();
  }
}

}  // namespace
}  // namespace hartwood::test
