// SPDX-License-Identifier: Apache-2.0
// Harts that call the firmware at the same time, each on a thread of its own: guest programs that check what
// they see and end the machine, with reason 0 if all was well and otherwise with the number of the check in
// memory. A lost wake-up shows as a program that never ends; a guard thread then ends it and the test fails.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "sbi/support.h"

namespace hartwood::test {
namespace {

constexpr u64 kFailedCheck = kData + 0x800;  // number of the check
constexpr u64 kFailedValue = kData + 0x808;  // what it saw

// A guest program with firmware calls and checks. Uses t5, t6 and the argument registers.
struct Guest : Assembler {
  using Assembler::Assembler;

  void call(u64 extension, u64 function) {
    li(a7, extension);
    li(a6, function);
    ecall();
  }
  // Ends the machine unless the registers are equal.
  void check_eq(Reg seen, Reg wanted, u64 number) {
    const Label good = label();
    beq(seen, wanted, good);
    fail(seen, number);
    bind(good);
  }
  void check_eq(Reg seen, u64 wanted, u64 number) {
    li(t5, wanted);
    check_eq(seen, t5, number);
  }
  void fail(Reg seen, u64 number) {
    li(t6, kFailedCheck);
    sd(seen, 8, t6);
    li(t5, number);
    sd(t5, 0, t6);
    end(1);
  }
  void end(u64 reason) {
    li(a0, 0);
    li(a1, reason);
    call(kSrst, 0);
    j(bound());
  }
  // Waits until the doubleword at `address` is `wanted`.
  void wait_for(Reg address, Reg wanted) {
    const Label again = bound();
    ld(t5, 0, address);
    bne(t5, wanted, again);
  }
  void stop_here(u64 number) {
    call(kHsm, 1);
    fail(a0, number);  // it returned, or ran on
  }
};

// Gives the other threads a turn before some of the atomic operations, and looks at the attention word after
// few instructions: windows of nanoseconds become wide enough to be hit.
class Jitter final : public Scheduler {
 public:
  explicit Jitter(u32 seed) : random_(seed) {}
  void point() override {
    if (random_() % 4 == 0) std::this_thread::yield();
  }
  Wake wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) override {
    current_scheduler = nullptr;
    const Wake wake = futex_wait(word, expected, timeout_ns);
    current_scheduler = this;
    return wake;
  }
  void notify(const std::atomic<u32>& word, u32 count) override {
    current_scheduler = nullptr;
    futex_notify(word, count);
    current_scheduler = this;
  }
  u32 slice() override { return 1 + random_() % 16; }

 private:
  std::minstd_rand random_;
};

// Runs all harts on threads until the machine ends; false if it had to be ended.
bool run_all(Board& board, u32 harts, bool jitter) {
  std::mutex mutex;
  std::condition_variable changed;
  u32 finished = 0;
  std::vector<std::thread> threads;
  for (u32 i = 0; i < harts; i++) {
    threads.emplace_back([&, i] {
      Jitter scheduler(i + 1);
      if (jitter) current_scheduler = &scheduler;
      while (board.hart(i).run(100'000) == Hart::Exit::budget) {
      }
      current_scheduler = nullptr;
      const std::lock_guard guard(mutex);
      finished++;
      changed.notify_one();
    });
  }
  bool in_time;
  {
    std::unique_lock lock(mutex);
    in_time = changed.wait_for(lock, std::chrono::seconds(120), [&] { return finished == harts; });
  }
  if (!in_time) {
    std::string states;
    for (u32 i = 0; i < harts; i++)
      states += format(" hsm %u attention 0x%x park %u,", board.shared(i).hsm_state.load(),
                       board.shared(i).attention.load(), board.shared(i).park.load());
    ADD_FAILURE() << "the machine stands still:" << states;
    board.power.power_off(99);
    for (u32 i = 0; i < harts; i++) board.attention.post(i, kAttentionStop);
  }
  for (std::thread& thread : threads) thread.join();
  return in_time;
}

void run_to_success(Board& board, u32 harts, bool jitter = false) {
  ASSERT_TRUE(run_all(board, harts, jitter));
  EXPECT_EQ(board.power.code.load(), 0u) << "check " << board.peek(kFailedCheck) << " saw 0x" << std::hex
                                         << board.peek(kFailedValue);
  EXPECT_EQ(board.machine().power.load(), u32{kPowerOff});
}

// ----------------------------------------------------------------------------------------------------- start
// and stop

class SbiHartsStorm : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Threads, SbiHartsStorm, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "jittered" : "free"); });

// One hart starts another again and again, as soon as it says that it has stopped, and sends it interrupts
// all the while: each start runs exactly once, with its own arguments, and no interrupt makes a stopped hart
// run on.
TEST_P(SbiHartsStorm, StartsAndStopsUnderInterrupts) {
  constexpr u64 kRounds = 3000, kRuns = kData;
  Guest worker(kCode + 0x1000);
  worker.li(s2, kRuns);
  worker.check_eq(a0, 1, 1);
  worker.csrr(t0, kCsrSatp);
  worker.check_eq(t0, zero, 2);
  worker.csrr(t0, kCsrSstatus);
  worker.andi(t0, t0, mstatus::kSie);
  worker.check_eq(t0, zero, 3);
  worker.li(t0, kSsiBit);
  worker.csrw(kCsrSie, t0);
  worker.ld(t1, 0, s2);
  worker.addi(t1, t1, 1);
  worker.check_eq(t1, a1, 4);  // opaque counts the starts
  worker.sd(t1, 0, s2);
  worker.stop_here(5);

  Guest boss(kCode);
  boss.li(s2, kRuns);
  boss.li(s3, kRounds);
  boss.li(s1, 0);
  const auto round = boss.bound();
  boss.addi(s1, s1, 1);
  boss.li(a0, 1);
  boss.li(a1, kCode + 0x1000);
  boss.mv(a2, s1);
  boss.call(kHsm, 0);
  boss.check_eq(a0, zero, 10);
  const auto poll = boss.bound();
  boss.li(a0, 2);
  boss.li(a1, 0);
  boss.call(kIpi, 0);
  boss.check_eq(a0, zero, 11);
  boss.li(a0, 1);
  boss.call(kHsm, 2);
  boss.check_eq(a0, zero, 12);
  boss.li(t0, kHsmStopped);
  boss.bne(a1, t0, poll);
  boss.ld(t0, 0, s2);
  boss.check_eq(t0, s1, 13);  // it has run before it said so
  boss.bne(s1, s3, round);
  boss.end(0);

  Board board(2);
  worker.place(board.memory());
  boss.place(board.memory());
  run_to_success(board, 2, GetParam());
  EXPECT_EQ(board.peek(kRuns), kRounds);
}

// Two harts start a third at the same time: the number of successes is the number of its runs, and address
// and opaque value always come from the same starter.
TEST_P(SbiHartsStorm, TwoStartersOfOneHart) {
  constexpr u64 kRounds = 1500, kRuns = kData, kSuccesses = kData + 64, kDone = kData + 128;
  Board board(3);
  for (u64 starter = 0; starter < 2; starter++) {
    Guest worker(kCode + 0x1000 + 0x1000 * starter);
    worker.check_eq(a0, 1, 20 + starter);
    worker.srli(t0, a1, 32);
    worker.check_eq(t0, starter + 7, 22 + starter);
    worker.li(t0, kRuns);
    worker.li(t1, 1);
    worker.amo(Op::amoadd_d, zero, t1, t0);
    worker.stop_here(24 + starter);
    worker.place(board.memory());
  }
  // Harts 0 and 2 run the same program; a1 of the starter is its own number.
  Guest boss(kCode);
  boss.li(s1, 0);
  boss.li(s3, kRounds);
  const auto attempt = boss.bound();
  boss.li(a0, 1);
  boss.li(a1, kCode + 0x1000);
  boss.slli(t0, s4, 12);
  boss.op(Op::add, a1, a1, t0);
  boss.addi(a2, s4, 7);
  boss.slli(a2, a2, 32);
  boss.op(Op::add, a2, a2, s1);
  boss.call(kHsm, 0);
  const auto refused = boss.label();
  boss.bne(a0, zero, refused);
  boss.addi(s1, s1, 1);
  boss.bne(s1, s3, attempt);
  const auto done = boss.label();
  boss.j(done);
  boss.bind(refused);
  boss.check_eq(a0, static_cast<u64>(kAlreadyAvailable), 26);
  boss.j(attempt);
  boss.bind(done);
  boss.li(t0, kSuccesses);
  boss.amo(Op::amoadd_d, zero, s1, t0);
  boss.li(t0, kDone);
  boss.li(t1, 1);
  boss.amo(Op::amoadd_d, zero, t1, t0);
  const auto first = boss.label();
  boss.beq(s4, zero, first);
  boss.stop_here(27);
  boss.bind(first);
  boss.li(t1, 2);
  boss.wait_for(t0, t1);
  const auto poll = boss.bound();
  boss.li(a0, 1);
  boss.call(kHsm, 2);
  boss.li(t1, kHsmStopped);
  boss.bne(a1, t1, poll);
  boss.end(0);
  boss.place(board.memory());
  board.hart(2).state().x[s4] = 1;
  board.shared(2).hsm_state.store(kHsmStarted);
  run_to_success(board, 3, GetParam());
  EXPECT_EQ(board.peek(kSuccesses), 2 * kRounds);
  EXPECT_EQ(board.peek(kRuns), 2 * kRounds);
}

// Non-retentive suspension, ended by an interrupt of a hart that has seen it begin; retentive in every other
// round.
TEST_P(SbiHartsStorm, SuspendAndWake) {
  constexpr u64 kRounds = 500, kCount = kData;
  Board board(2);
  Guest sleeper(kCode + 0x1000);
  const auto resumed = sleeper.label(), go_on = sleeper.label();
  sleeper.li(s2, kCount);
  sleeper.li(s1, 0);
  sleeper.li(t0, kSsiBit);
  sleeper.csrw(kCsrSie, t0);
  const auto round = sleeper.bound();
  // s1 is undefined after a non-retentive suspension, so it is read again.
  sleeper.li(t0, kSsiBit);
  sleeper.csrc(kCsrSip, t0);
  sleeper.li(s2, kCount);
  sleeper.ld(s1, 0, s2);
  sleeper.andi(t0, s1, 1);
  sleeper.slli(a0, t0, 31);
  sleeper.li(a1, kCode + 0x1800);
  sleeper.mv(a2, s1);
  sleeper.call(kHsm, 3);
  sleeper.check_eq(a0, zero, 30);
  sleeper.ld(t0, 0, s2);
  sleeper.check_eq(t0, s1, 31);
  sleeper.andi(t0, s1, 1);
  sleeper.check_eq(t0, zero, 32);  // only the retentive kind returns
  sleeper.bind(go_on);
  sleeper.csrr(t0, kCsrSip);
  sleeper.andi(t0, t0, kSsiBit);
  sleeper.check_eq(t0, kSsiBit, 33);
  sleeper.addi(s1, s1, 1);
  sleeper.fence();
  sleeper.sd(s1, 0, s2);
  sleeper.j(round);
  HW_CHECK(sleeper.here() <= kCode + 0x1800, "room");
  while (sleeper.here() < kCode + 0x1800) sleeper.addi(zero, zero, 0);
  sleeper.bind(resumed);
  sleeper.check_eq(a0, 1, 34);
  sleeper.csrr(t0, kCsrSatp);
  sleeper.check_eq(t0, zero, 35);
  sleeper.li(s2, kCount);
  sleeper.ld(s1, 0, s2);
  sleeper.check_eq(a1, s1, 36);
  sleeper.andi(t0, s1, 1);
  sleeper.check_eq(t0, 1, 37);
  sleeper.j(go_on);
  sleeper.place(board.memory());

  Guest waker(kCode);
  waker.li(s2, kCount);
  waker.li(s3, kRounds);
  waker.li(s1, 0);
  const auto next = waker.bound();
  const auto asleep = waker.bound();
  waker.li(a0, 1);
  waker.call(kHsm, 2);
  waker.li(t0, kHsmSuspended);
  waker.bne(a1, t0, asleep);
  waker.ld(t0, 0, s2);
  waker.check_eq(t0, s1, 38);  // asleep in this round, not still in the last
  waker.li(a0, 1);
  waker.li(a1, 1);
  waker.call(kIpi, 0);
  waker.check_eq(a0, zero, 39);
  waker.addi(s1, s1, 1);
  waker.wait_for(s2, s1);
  waker.bne(s1, s3, next);
  waker.end(0);
  waker.place(board.memory());

  board.hart(1).state().pc = kCode + 0x1000;
  board.shared(1).hsm_state.store(kHsmStarted);
  run_to_success(board, 2, GetParam());
  EXPECT_EQ(board.peek(kCount), kRounds);
}

// The last running hart suspends the system as soon as the other has stopped; something that is not a hart
// wakes it.
TEST(SbiHarts, SystemSuspend) {
  Board board(2);
  Guest other(kCode + 0x1000);
  other.stop_here(40);
  other.place(board.memory());
  Guest caller(kCode);
  caller.li(t0, kSsiBit);
  caller.csrw(kCsrSie, t0);
  const auto denied = caller.bound();
  caller.li(a0, 0);
  caller.li(a1, kCode + 0x2000);
  caller.li(a2, 0x1234'5678'9abc);
  caller.call(kSusp, 0);
  caller.check_eq(a0, static_cast<u64>(kDenied), 41);
  caller.j(denied);
  caller.place(board.memory());
  Guest awake(kCode + 0x2000);
  awake.check_eq(a0, zero, 42);
  awake.check_eq(a1, 0x1234'5678'9abc, 43);
  awake.end(0);
  awake.place(board.memory());
  board.hart(1).state().pc = kCode + 0x1000;
  board.shared(1).hsm_state.store(kHsmStarted);
  std::thread device([&] {
    while (board.shared(0).hsm_state.load() != kHsmSuspended && board.machine().power.load() == kPowerOn)
      std::this_thread::yield();
    EXPECT_EQ(board.shared(1).hsm_state.load(), u32{kHsmStopped});
    board.shared(0).lines.fetch_or(kSsiBit);
    board.attention.post(0, kAttentionInterrupt);
  });
  run_to_success(board, 2);
  device.join();
}

// ----------------------------------------------------------------------------------------------------------
// interrupts

// Two harts wake each other from WFI, a ball to and fro: a lost interrupt stops the game.
TEST_P(SbiHartsStorm, InterruptPingPong) {
  constexpr u64 kRounds = 2000, kBall = kData;
  Board board(2);
  for (u32 self = 0; self < 2; self++) {
    Guest player(kCode + 0x1000 * self);
    player.li(s2, kBall);
    player.li(s3, kRounds);
    player.li(t0, kSsiBit);
    player.csrw(kCsrSie, t0);
    const auto wait = player.bound();
    const auto mine = player.label();
    player.li(t0, kSsiBit);
    player.csrc(kCsrSip, t0);
    player.fence();
    player.ld(s1, 0, s2);
    player.andi(t0, s1, 1);
    player.li(t1, self);
    player.beq(t0, t1, mine);
    player.wfi();
    player.j(wait);
    player.bind(mine);
    player.addi(s1, s1, 1);
    player.sd(s1, 0, s2);
    const auto more = player.label();
    player.bne(s1, s3, more);
    player.end(0);
    player.bind(more);
    player.li(a0, u64{1} << (1 - self));
    player.li(a1, 0);
    player.call(kIpi, 0);
    player.check_eq(a0, zero, 50);
    player.j(wait);
    player.place(board.memory());
  }
  board.hart(1).state().pc = kCode + 0x1000;
  board.shared(1).hsm_state.store(kHsmStarted);
  run_to_success(board, 2, GetParam());
  // The loser may be awake for no reason and play on before it sees the end.
  EXPECT_GE(board.peek(kBall), kRounds);
  EXPECT_LE(board.peek(kBall), kRounds + 1);
}

struct RealClock final : Clock {
  u64 elapsed() override {
    const auto passed = std::chrono::steady_clock::now() - start;
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count()) / 100;
  }
  u64 unix_nanoseconds() override { return 0; }
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

// The timer wakes a hart from WFI at its time, not before.
TEST(SbiHarts, TimerWakesFromSleep) {
  RealClock clock;
  Board board(1, nullptr, &clock);
  constexpr u64 kTicks = 20'000;  // 2 ms
  Guest guest(kCode);
  guest.li(s3, 20);
  guest.li(t0, kStiBit);
  guest.csrw(kCsrSie, t0);
  const auto round = guest.bound();
  guest.csrr(s1, kCsrTime);
  guest.li(t0, kTicks);
  guest.op(Op::add, s1, s1, t0);
  guest.mv(a0, s1);
  guest.call(kTime, 0);
  guest.check_eq(a0, zero, 60);
  const auto sleep = guest.bound();
  guest.wfi();
  guest.csrr(t0, kCsrSip);
  guest.andi(t0, t0, kStiBit);
  guest.beq(t0, zero, sleep);
  guest.csrr(t1, kCsrTime);
  guest.op(Op::sltu, t2, t1, s1);
  guest.check_eq(t2, zero, 61);
  guest.addi(s3, s3, -1);
  guest.bne(s3, zero, round);
  guest.end(0);
  guest.place(board.memory());
  run_to_success(board, 1);
  EXPECT_GE(clock.ticks(), 20 * kTicks);
  EXPECT_LT(board.hart(0).state().retired, 100'000u);  // it slept
}

// --------------------------------------------------------------------------------------------------------------
// fences

// All harts fence each other at once, one of them being stopped and started on the way.
TEST_P(SbiHartsStorm, FencesAgainstEachOtherAndAgainstStops) {
  constexpr u64 kRounds = 1000, kDone = kData, kRuns = kData + 64;
  Board board(3);
  Guest third(kCode + 0x1000);
  third.li(a0, 0);
  third.li(a1, ~u64{0});
  third.li(a2, 0);
  third.li(a3, 0);
  third.call(kRfence, 1);
  third.check_eq(a0, zero, 70);
  third.li(t0, kRuns);
  third.li(t1, 1);
  third.amo(Op::amoadd_d, zero, t1, t0);
  third.stop_here(71);
  third.place(board.memory());
  // Harts 0 and 1.
  Guest both(kCode);
  both.li(s3, kRounds);
  const auto round = both.bound();
  both.li(a0, 0);
  both.li(a1, ~u64{0});
  both.call(kRfence, 0);
  both.check_eq(a0, zero, 72);
  both.li(a0, 7);
  both.li(a1, 0);
  both.slli(a2, s3, 12);
  both.li(a3, 0x3000);
  both.li(a4, 1);
  both.call(kRfence, 2);
  both.check_eq(a0, zero, 73);
  both.li(a0, 2);
  both.li(a1, kCode + 0x1000);
  both.call(kHsm, 0);
  const auto started = both.label();
  both.beq(a0, zero, started);
  both.check_eq(a0, static_cast<u64>(kAlreadyAvailable), 74);
  both.bind(started);
  both.addi(s3, s3, -1);
  both.bne(s3, zero, round);
  both.li(t0, kDone);
  both.li(t1, 1);
  both.amo(Op::amoadd_d, t2, t1, t0);
  const auto last = both.label();
  both.bne(t2, zero, last);
  both.stop_here(75);
  both.bind(last);
  both.li(t0, kRuns);
  const auto has_run = both.bound();
  both.ld(t1, 0, t0);
  both.beq(t1, zero, has_run);
  both.end(0);
  both.place(board.memory());
  board.shared(1).hsm_state.store(kHsmStarted);
  run_to_success(board, 3, GetParam());
  EXPECT_GE(board.peek(kRuns), 1u);
}

// What hart 1 reads through what hart 0 changes. Hart 0, round g: writes g where hart 1 will look next,
// redirects it, fences, then stores g as the phase. Hart 1: reads the phase, then looks: never anything older
// than the phase. `change` redirects for the round in s1, `look` puts what hart 1 sees into s6.
template <class Change, class Look>
void fence_litmus(Board& board, u64 rounds, Change change, Look look) {
  constexpr u64 kPhase = kData, kSeen = kData + 64;
  Guest writer(kCode);
  writer.li(s2, kPhase);
  writer.li(s4, kSeen);
  writer.li(s3, rounds);
  writer.li(s1, 0);
  const auto round = writer.bound();
  // Hart 1 has used the last round's state, so that it holds it cached.
  writer.wait_for(s4, s1);
  writer.addi(s1, s1, 1);
  change(writer);
  writer.check_eq(a0, zero, 80);
  writer.sd(s1, 0, s2);
  writer.bne(s1, s3, round);
  writer.wait_for(s4, s1);
  writer.end(0);
  writer.place(board.memory());

  Guest reader(kCode + 0x1000);
  reader.li(s2, kPhase);
  reader.li(s4, kSeen);
  const auto again = reader.bound();
  reader.ld(s5, 0, s2);
  reader.fence();
  look(reader);
  reader.op(Op::sltu, t0, s6, s5);
  const auto fresh = reader.label();
  reader.beq(t0, zero, fresh);
  reader.fail(s6, 81);
  reader.bind(fresh);
  reader.sd(s5, 0, s4);
  reader.j(again);
  reader.place(board.memory());

  board.hart(1).state().pc = kCode + 0x1000;
  board.shared(1).hsm_state.store(kHsmStarted);
  run_to_success(board, 2, true);  // a turn for the other, which the waiting one would only spin through
  EXPECT_EQ(board.peek(kSeen), rounds);
}

struct SfenceCase {
  const char* name;
  u64 function, start, size;
};
void PrintTo(const SfenceCase& c, std::ostream* out) { *out << c.name; }
class SbiHartsSfence : public testing::TestWithParam<SfenceCase> {};

TEST_P(SbiHartsSfence, NewTranslationIsSeen) {
  constexpr u64 kRoot = kRamBase + 0x20'0000, kLevel1 = kRoot + 0x1000, kLevel0 = kRoot + 0x2000;
  constexpr u64 kPages = kRoot + 0x4000, kVa = 0x4000'0000, kLeaf = 0xcf, kTable = 1;  // DAXWRV
  const auto entry = [](u64 pa, u64 flags) { return (pa >> 12) << 10 | flags; };
  Board board(2);
  GuestMemory& memory = board.memory();
  memory.store(Pa(kRoot + 2 * 8), entry(kRamBase, kLeaf));
  memory.store(Pa(kRoot + 1 * 8), entry(kLevel1, kTable));
  memory.store(Pa(kLevel1), entry(kLevel0, kTable));
  memory.store(Pa(kLevel0), entry(kPages, kLeaf));
  board.hart(1).state().satp = u64{8} << 60 | kRoot >> 12;
  board.hart(1).state_changed();
  fence_litmus(
      board, 500,
      [&](Guest& writer) {
        writer.andi(t0, s1, 1);
        writer.slli(t1, t0, 12);
        writer.li(t2, kPages);
        writer.op(Op::add, t1, t1, t2);
        writer.sd(s1, 0, t1);  // the page's content
        writer.slli(t1, t0, 10);
        writer.li(t2, entry(kPages, kLeaf));
        writer.op(Op::add, t1, t1, t2);
        writer.li(t2, kLevel0);
        writer.sd(t1, 0, t2);
        writer.li(a0, 2);
        writer.li(a1, 0);
        writer.li(a2, GetParam().start);
        writer.li(a3, GetParam().size);
        writer.li(a4, 0);
        writer.call(kRfence, GetParam().function);
      },
      [&](Guest& reader) {
        reader.li(t1, kVa);
        reader.ld(s6, 0, t1);
      });
}
INSTANTIATE_TEST_SUITE_P(All, SbiHartsSfence,
                         testing::Values(SfenceCase{"page", 1, 0x4000'0000, 0x1000},
                                         SfenceCase{"byte", 1, 0x4000'0fff, 1},
                                         SfenceCase{"range", 1, 0x3fff'f000, 0x10'0000},
                                         SfenceCase{"zero_zero", 1, 0, 0}, SfenceCase{"everything", 1, 0x1000, ~u64{0}},
                                         SfenceCase{"asid_page", 2, 0x4000'0000, 0x1000},
                                         SfenceCase{"asid_everything", 2, 0, ~u64{0}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SbiHarts, FenceIMakesNewCodeSeen) {
  constexpr u64 kFunction = kRamBase + 0x20'0000;
  Board board(2);
  Guest function(kFunction);
  function.addi(s6, zero, 0);
  function.jalr(zero, ra, 0);
  function.place(board.memory());
  fence_litmus(
      board, 1000,
      [&](Guest& writer) {
        writer.slli(t0, s1, 20);  // the immediate
        writer.li(t1, encode_i(Op::addi, s6, zero, 0));
        writer.op(Op::add, t0, t0, t1);
        writer.li(t1, kFunction);
        writer.sw(t0, 0, t1);
        writer.li(a0, 1);
        writer.li(a1, 1);
        writer.call(kRfence, 0);
      },
      [&](Guest& reader) {
        reader.li(t1, kFunction);
        reader.jalr(ra, t1, 0);
      });
}

}  // namespace
}  // namespace hartwood::test
