// SPDX-License-Identifier: Apache-2.0
// Deterministic mode with small guests: one seed is one execution, another seed another; limits; a machine
// that is stopped, saved and loaded into another one goes on in the same way. (Linux:
// deterministic-boot.mjs.)
#include "machine/deterministic.h"

#include "machine/guest_rig.h"
#include "programs/locks.h"

namespace hartwood::test {
namespace {

constexpr u64 kToHost = kRamBase + 0x1000, kBareLock = kRamBase + 0x1100, kBareDone = kRamBase + 0x1180;
constexpr u64 kExitCode = 7;

// A bare-metal program in M-mode: each of two harts prints its letter so many times under a lock; the first
// one ends the machine.
std::vector<u8> letters_elf(u32 times) {
  Assembler g(kRamBase);
  const auto wait = g.label();
  g.li(s1, kBareLock);
  g.li(s2, times);
  g.li(s3, kToHost);
  g.li(s4, u64{0x0101} << 48 | 'A');
  g.op(Op::add, s4, s4, a0);
  const auto loop = g.bound();
  g.li(t0, 1);
  const auto again = g.bound();
  g.amo(Op::amoswap_w, t1, t0, s1);
  g.bne(t1, zero, again);
  g.sd(s4, 0, s3);
  const auto taken = g.bound();
  g.ld(t1, 0, s3);
  g.bne(t1, zero, taken);
  g.fence();
  g.amo(Op::amoswap_w, zero, zero, s1);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.li(t1, kBareDone);
  g.amo(Op::amoadd_d, zero, t0, t1);
  g.bind(wait);
  g.ld(t2, 0, t1);
  g.addi(t2, t2, -2);
  g.bne(t2, zero, wait);
  const auto sleep = g.label();
  g.bne(a0, zero, sleep);
  g.li(t0, kExitCode << 1 | 1);
  g.sd(t0, 0, s3);
  g.bind(sleep);
  const auto asleep = g.bound();
  g.wfi();
  g.j(asleep);
  return bare_metal_elf(g.words(), kToHost);
}

struct Outcome {
  std::string console;
  u64 retired, ram, code;
  bool ended;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run_letters(u64 seed, u64 limit = 0, u64 second_limit = 0) {
  TestPlatform platform;
  VirtualClock clock(platform);
  auto shared = std::make_unique<MachineShared>();
  MachineConfig config;
  config.harts = 2;
  config.memory_bytes = kMinRamBytes;
  config.firmware = FirmwareKind::none;
  auto machine = Machine::create(config, platform, *shared, &clock);
  HW_CHECK(machine.ok(), "machine");
  const std::vector<u8> elf_file = letters_elf(100);
  BootFiles files;
  files.kernel = elf_file;
  const Status booted = (*machine)->boot(files);
  HW_CHECK(booted.ok(), booted.message().c_str());
  DeterministicRunner runner(**machine, clock, seed, {.longest_slice = 64});
  bool ended = runner.run(limit);
  if (second_limit != 0) ended = runner.run(second_limit);
  return {platform.console.text, (*machine)->retired(), (*machine)->ram_hash(), shared->exit_code.load(), ended};
}

TEST(Deterministic, OneSeedIsOneExecution) {
  const Outcome first = run_letters(1);
  EXPECT_TRUE(first.ended);
  EXPECT_EQ(first.code, kExitCode);
  EXPECT_EQ(std::count(first.console.begin(), first.console.end(), 'A'), 100);
  EXPECT_EQ(std::count(first.console.begin(), first.console.end(), 'B'), 100);
  EXPECT_EQ(run_letters(1), first);
  const Outcome other = run_letters(2);
  EXPECT_EQ(other.code, kExitCode);
  EXPECT_NE(other.console, first.console);
  EXPECT_NE(other.retired, first.retired);
}

TEST(Deterministic, StopsAtItsLimitAndGoesOn) {
  const Outcome whole = run_letters(5);
  const Outcome part = run_letters(5, 1000);
  EXPECT_FALSE(part.ended);
  EXPECT_GE(part.retired, 1000u);
  EXPECT_LE(part.retired, 1000u + 64);
  EXPECT_EQ(whole.console.substr(0, part.console.size()), part.console);
  const Outcome rest = run_letters(5, 1000, 1'000'000);
  EXPECT_TRUE(rest.ended);
  EXPECT_EQ(rest.code, kExitCode);
  EXPECT_EQ(rest.console.size(), whole.console.size());
  EXPECT_EQ(run_letters(5, 1000, 1'000'000), rest);
}

// A guest that only traps retires nothing, and still comes to the limit.
TEST(Deterministic, TrapsCountTowardsTheLimit) {
  Guest g(1);
  g.csrw(kCsrStvec, zero);  // where there is no memory
  g.emit(0);
  GuestRig rig(1, GuestRig::Time::by_instructions);
  EXPECT_EQ(rig.run_seed(g.program(), 1, {}, 100'000), "no end after 100000 instructions");
}

TEST(Deterministic, SleepForEverIsNoticed) {
  Guest g(2);
  const auto sleep = g.bound();
  g.wfi();
  g.j(sleep);
  GuestRig rig(2, GuestRig::Time::by_instructions);
  EXPECT_EQ(rig.run_seed(g.program(), 1, {}), "everybody sleeps: a wake-up was lost");
}

struct Saved {
  std::vector<u8> harts;
  std::vector<u8> ram;
};

TEST(Deterministic, SavedMidRunGoesOnElsewhere) {
  const GuestProgram program = reserved_lock(2, 2000);
  const SchedulerOptions options{.longest_slice = 32};
  constexpr u64 kSeedBefore = 11, kSeedAfter = 12, kStopAt = 20'000;
  GuestRig rig(2, GuestRig::Time::by_instructions);
  rig.start_seed(program, kSeedBefore, options, kStopAt);
  Saved saved;
  StateWriter out;
  for (u32 i = 0; i < 2; i++) rig.machine().hart(i).state().save(out);
  saved.harts = out.bytes();
  const std::span<const u8> ram = rig.machine().memory().readable(Pa(kRamBase), kMinRamBytes);
  saved.ram.assign(ram.begin(), ram.end());
  const u64 counted = rig.peek(kGuestData + kCounter);
  EXPECT_GT(counted, 100u);
  EXPECT_LT(counted, 3900u);
  EXPECT_EQ(rig.continue_seed(program, kSeedAfter, options), "");

  GuestRig copy(2, GuestRig::Time::by_instructions);
  copy.restart(program);
  ASSERT_TRUE(copy.machine().memory().write(Pa(kRamBase), saved.ram));
  StateReader in(saved.harts);
  for (u32 i = 0; i < 2; i++) {
    copy.machine().hart(i).state().load(in);
    copy.machine().hart(i).state_changed();
  }
  ASSERT_FALSE(in.failed());
  EXPECT_EQ(copy.peek(kGuestData + kCounter), counted);
  EXPECT_EQ(copy.continue_seed(program, kSeedAfter, options), "");
  EXPECT_EQ(copy.machine().ram_hash(), rig.machine().ram_hash());
  EXPECT_EQ(copy.machine().retired(), rig.machine().retired());
  for (u32 i = 0; i < 2; i++) {
    // What is cached is not saved: the copy has missed its TLB more often.
    for (GuestRig* each : {&rig, &copy}) {
      for (const HpmEvent event : {HpmEvent::load_misses, HpmEvent::store_misses, HpmEvent::fetch_misses})
        each->machine().hart(i).state().event_counts[static_cast<unsigned>(event)] = 0;
    }
    StateWriter one, two;
    rig.machine().hart(i).state().save(one);
    copy.machine().hart(i).state().save(two);
    EXPECT_EQ(one.bytes(), two.bytes()) << "hart " << i;
  }
}

}  // namespace
}  // namespace hartwood::test
