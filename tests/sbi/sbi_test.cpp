// SPDX-License-Identifier: Apache-2.0
// Every SBI function's results and errors, one call at a time on one thread. tests/sbi/harts_native_test.cpp
// has the harts that call at the same time.
#include <array>

#include "sbi/support.h"

namespace hartwood::test {
namespace {

Answer ok(u64 value = 0) { return {kSuccess, value}; }
Answer error(i64 code) { return {code, 0}; }

// ----------------------------------------------------------------------------------------------------
// encoding, base

TEST(Sbi, UnknownExtensionsAndFunctionsAreNotSupported) {
  Board board(1);
  for (const u64 extension : {u64{0x11}, u64{0x0a00'0000}, u64{0x0900'0000}, u64{0x50'4d55}, u64{0x4d53'5345}, ~u64{0},
                              u64{0x7fff'ffff}, u64{1} << 63})
    EXPECT_EQ(board.call(0, extension, 0), error(kNotSupported)) << std::hex << extension;
  for (u64 legacy = 0; legacy <= 0xf; legacy++)
    EXPECT_EQ(board.call(0, legacy, 0, {'x'}), error(kNotSupported)) << legacy;
  const std::pair<u64, u64> first_unknown[] = {{kBase, 7}, {kTime, 1}, {kIpi, 1},  {kRfence, 7},
                                               {kHsm, 4},  {kSrst, 1}, {kDbcn, 3}, {kSusp, 1}};
  for (const auto& [extension, function] : first_unknown) {
    EXPECT_EQ(board.call(0, extension, function), error(kNotSupported)) << std::hex << extension;
    EXPECT_EQ(board.call(0, extension, 0xffff'ffff'ffff'ffff), error(kNotSupported)) << std::hex << extension;
    EXPECT_EQ(board.call(0, extension, 0x8000'0000), error(kNotSupported)) << std::hex << extension;
  }
  EXPECT_EQ(board.machine().power.load(), u32{kPowerOn});
  EXPECT_EQ(board.console.writes, 0u);
}

TEST(Sbi, CallsFromUserModeAreNotTheFirmwares) {
  Board board(1);
  Hart& hart = board.prepare(0, kBase, 0, {});
  hart.state().privilege = Privilege::user;
  hart.state().stvec = kCode + 4;
  hart.state_changed();
  hart.run(1);
  EXPECT_EQ(hart.state().scause, static_cast<u64>(Cause::ecall_u));
  EXPECT_EQ(hart.state().x[a7], kBase);
}

TEST(SbiBase, Answers) {
  Board board(1);
  EXPECT_EQ(board.call(0, kBase, 0), ok(0x0200'0000));
  const Answer implementation = board.call(0, kBase, 1);
  EXPECT_EQ(implementation.error, kSuccess);
  EXPECT_GT(implementation.value, 0x1000u);  // none of the registered ones
  EXPECT_EQ(board.call(0, kBase, 2).error, kSuccess);
  // The same values as the CSRs, which S-mode cannot read.
  for (const auto& [function, csr] : {std::pair{4u, kCsrMvendorid}, {5u, kCsrMarchid}, {6u, kCsrMimpid}}) {
    const Answer answer = board.call(0, kBase, function);
    board.hart(0).state().privilege = Privilege::machine;
    u64 value = ~u64{0};
    EXPECT_TRUE(board.hart(0).read_csr(csr, value));
    board.hart(0).state().privilege = Privilege::supervisor;
    EXPECT_EQ(answer, ok(value));
  }
}

TEST(SbiBase, Probe) {
  Board board(1);
  for (const u64 present : {kBase, kTime, kIpi, kRfence, kHsm, kSrst, kDbcn, kSusp})
    EXPECT_EQ(board.call(0, kBase, 3, {present}), ok(1)) << std::hex << present;
  for (const u64 absent : {u64{0}, u64{1}, u64{8}, u64{0x50'4d55}, u64{0x4e41'434c}, u64{0x53'5441}, ~u64{0},
                           kTime | u64{1} << 32, kBase | u64{1} << 63})
    EXPECT_EQ(board.call(0, kBase, 3, {absent}), ok(0)) << std::hex << absent;
}

// ------------------------------------------------------------------------------------------------------
// timer and IPI

TEST(SbiTimer, SetsAndClearsThePendingBit) {
  Board board(1);
  board.clock.now.store(1000);
  EXPECT_EQ(board.call(0, kTime, 0, {1000}), ok());
  EXPECT_TRUE(board.hart(0).mip() & kStiBit);
  EXPECT_EQ(board.call(0, kTime, 0, {1001}), ok());
  EXPECT_FALSE(board.hart(0).mip() & kStiBit);
  EXPECT_EQ(board.shared(0).deadline.load(), 1001u);
  EXPECT_EQ(board.call(0, kTime, 0, {0}), ok());
  EXPECT_TRUE(board.hart(0).mip() & kStiBit);
  EXPECT_EQ(board.call(0, kTime, 0, {~u64{0}}), ok());
  EXPECT_FALSE(board.hart(0).mip() & kStiBit);
  EXPECT_EQ(board.shared(0).deadline.load(), ~u64{0});
  u64 stimecmp = 0;
  EXPECT_TRUE(board.hart(0).read_csr(kCsrMcounteren, stimecmp) == false);
  EXPECT_EQ(board.hart(0).state().stimecmp, ~u64{0});
}

struct HartListCase {
  u64 mask, base;
  i64 error;
  u64 harts;  // which are meant, of three
};
const HartListCase kHartLists[] = {
    {0b001, 0, kSuccess, 0b001},
    {0b110, 0, kSuccess, 0b110},
    {0b011, 1, kSuccess, 0b110},
    {0b001, 2, kSuccess, 0b100},
    {0b000, 0, kSuccess, 0},
    {0b000, 2, kSuccess, 0},
    {0b000, ~u64{0}, kSuccess, 0b111},
    {~u64{0}, ~u64{0}, kSuccess, 0b111},
    {0b1000, 0, kInvalidParam, 0},
    {0b1001, 0, kInvalidParam, 0},
    {0b111, 1, kInvalidParam, 0},
    {0b011, 2, kInvalidParam, 0},
    {u64{1} << 63, 0, kInvalidParam, 0},
    {u64{1} << 63, 2, kInvalidParam, 0},
    {0b001, 3, kInvalidParam, 0},
    {0b000, 3, kInvalidParam, 0},
    {0b001, 64, kInvalidParam, 0},
    {0b001, 1ull << 32, kInvalidParam, 0},
    {0b001, ~u64{0} - 1, kInvalidParam, 0},
};

TEST(SbiIpi, ReachesExactlyTheHartsOfTheList) {
  for (const HartListCase& c : kHartLists) {
    Board board(3);
    EXPECT_EQ(board.call(0, kIpi, 0, {c.mask, c.base}), error(c.error)) << std::hex << c.mask << " " << c.base;
    for (u32 i = 0; i < kMaxInitiators; i++) {
      EXPECT_EQ(board.shared(i).lines.load(), bit(c.harts, i) ? kSsiBit : 0) << i;
      // The caller has served its own already.
      EXPECT_EQ(board.shared(i).attention.load() & kAttentionInterrupt, i != 0 ? bit(c.harts, i) : 0) << i;
    }
    EXPECT_EQ((board.hart(0).mip() & kSsiBit) != 0, bit(c.harts, 0) != 0);
  }
}

TEST(SbiIpi, AllEightHarts) {
  Board board(8);
  board.shared(7).hsm_state.store(kHsmStarted);
  EXPECT_EQ(board.call(7, kIpi, 0, {0xff, 0}), ok());
  for (u32 i = 0; i < 8; i++) EXPECT_EQ(board.shared(i).lines.load(), kSsiBit);
  EXPECT_EQ(board.call(7, kIpi, 0, {0x1ff, 0}), error(kInvalidParam));
  EXPECT_EQ(board.call(7, kIpi, 0, {1, 7}), ok());
}

struct CountingTracer final : Tracer {
  void instruction(const Hart&, u64, u32) override { instructions++; }
  void trap(const Hart&, u64, u64, u64) override {}
  u32 instructions = 0;
};

// The interrupt is taken before the instruction after the call, whichever loop runs.
TEST(SbiIpi, ToItselfIsTakenAtOnce) {
  CountingTracer tracer;
  for (Tracer* t : {static_cast<Tracer*>(nullptr), static_cast<Tracer*>(&tracer)}) {
    Board board(1, t);
    Hart& hart = board.prepare(0, kIpi, 0, {1, 0});
    Assembler handler(kCode + 0x100);
    handler.csrr(s2, kCsrSepc);
    handler.csrr(s3, kCsrScause);
    handler.place(board.memory());
    hart.state().stvec = kCode + 0x100;
    hart.state().mie = kSsiBit;
    hart.state().mstatus |= mstatus::kSie;
    hart.state_changed();
    hart.run(4);  // the interrupt itself counts as one
    EXPECT_EQ(hart.state().x[s2], kCode + 4);
    EXPECT_EQ(hart.state().x[s3], kInterruptCause | kSsi);
    EXPECT_EQ(hart.state().x[a0], 0u);
  }
  EXPECT_GE(tracer.instructions, 3u);
}

// -------------------------------------------------------------------------------------------------------------
// fences

TEST(SbiFence, ReachesExactlyTheHartsOfTheList) {
  for (const u64 function : {0, 1, 2}) {
    for (const HartListCase& c : kHartLists) {
      Board board(3);
      EXPECT_EQ(board.call(0, kRfence, function, {c.mask, c.base, 0x1000, 0x1000, 1}), error(c.error))
          << function << std::hex << " " << c.mask << " " << c.base;
      for (u32 i = 1; i < kMaxInitiators; i++)
        EXPECT_EQ(board.shared(i).park.load(), u32{bit(c.harts, i) ? kParkedMustFlush : kParked}) << i;
    }
  }
}

TEST(SbiFence, AddressRanges) {
  const u64 top = ~u64{0};
  struct Case {
    u64 start, size;
    i64 error;
    bool fences;
  };
  const Case cases[] = {
      {0, 0, kSuccess, true},
      {0, top, kSuccess, true},
      {0x1234'5000, top, kSuccess, true},
      {top, top, kSuccess, true},
      {0x1234'5678, 0x10, kSuccess, true},
      {top - 0xfff, 0x1000, kSuccess, true},  // up to the very end
      {top, 1, kSuccess, true},
      {0, top - 1, kSuccess, true},
      {0x1000, 0, kSuccess, false},
      {top, 2, kInvalidAddress, false},
      {top - 0xfff, 0x1001, kInvalidAddress, false},
      {2, top - 1, kSuccess, true},
      {3, top - 1, kInvalidAddress, false},
  };
  for (const u64 function : {1, 2}) {
    for (const Case& c : cases) {
      Board board(2);
      EXPECT_EQ(board.call(0, kRfence, function, {2, 0, c.start, c.size, top}), error(c.error))
          << std::hex << c.start << " " << c.size;
      EXPECT_EQ(board.shared(1).park.load() == kParkedMustFlush, c.fences) << std::hex << c.start << " " << c.size;
    }
  }
  // FENCE.I has no addresses.
  Board board(2);
  EXPECT_EQ(board.call(0, kRfence, 0, {2, 0, top, 2}), ok());
}

TEST(SbiFence, HypervisorsFencesAreNotSupported) {
  Board board(2);
  for (u64 function = 3; function <= 6; function++) {
    EXPECT_EQ(board.call(0, kRfence, function, {2, 0, 0, 0, 0}), error(kNotSupported));
    EXPECT_EQ(board.shared(1).park.load(), u32{kParked});
  }
}

// A hart that fences itself sees its own new page table and its own new code.
TEST(SbiFence, IncludesTheCaller) {
  Board board(1);
  constexpr u64 kRoot = kRamBase + 0x20'0000, kLevel1 = kRoot + 0x1000, kLevel0 = kRoot + 0x2000;
  constexpr u64 kPageA = kRoot + 0x3000, kPageB = kRoot + 0x4000, kVa = 0x4000'0000;
  const auto entry = [](u64 pa, u64 flags) { return (pa >> 12) << 10 | flags; };
  constexpr u64 kLeaf = 0xcf, kTable = 1;  // DAXWRV, no G, no U
  GuestMemory& memory = board.memory();
  memory.store(Pa(kRoot + 2 * 8), entry(kRamBase, kLeaf));
  memory.store(Pa(kRoot + 1 * 8), entry(kLevel1, kTable));
  memory.store(Pa(kLevel1), entry(kLevel0, kTable));
  memory.store(Pa(kLevel0), entry(kPageA, kLeaf));
  memory.store(Pa(kPageA), u64{0xa});
  memory.store(Pa(kPageB), u64{0xb});

  Assembler code(kCode);
  code.li(s2, kVa);
  code.li(s3, kLevel0);
  code.li(s4, entry(kPageB, kLeaf));
  code.ld(s5, 0, s2);
  code.sd(s4, 0, s3);
  code.li(a7, kRfence);
  code.li(a6, 1);
  code.li(a0, 1);
  code.li(a1, 0);
  code.mv(a2, s2);
  code.li(a3, 8);
  code.ecall();
  code.ld(s6, 0, s2);
  const u64 count = code.words().size();
  code.place(memory);
  HartState& state = board.hart(0).state();
  state.pc = kCode;
  state.satp = u64{8} << 60 | kRoot >> 12;
  board.hart(0).state_changed();
  EXPECT_EQ(board.hart(0).run(count), Hart::Exit::budget);
  EXPECT_EQ(state.x[s5], 0xau);
  EXPECT_EQ(state.x[a0], 0u);
  EXPECT_EQ(state.x[s6], 0xbu);
}

// -----------------------------------------------------------------------------------------------------------
// HSM

TEST(SbiHartState, StartChecksItsArguments) {
  Board board(3);
  const u64 end = kRamBase + kRam;
  EXPECT_EQ(board.call(0, kHsm, 0, {3, kCode, 0}), error(kInvalidParam));
  EXPECT_EQ(board.call(0, kHsm, 0, {~u64{0}, kCode, 0}), error(kInvalidParam));
  EXPECT_EQ(board.call(0, kHsm, 0, {u64{1} << 32, kCode, 0}), error(kInvalidParam));
  for (const u64 bad : {u64{0}, u64{2}, kRamBase - 2, kCode + 1, end, end - 1, ~u64{0}, ~u64{1}, u64{1} << 63})
    EXPECT_EQ(board.call(0, kHsm, 0, {1, bad, 0}), error(kInvalidAddress)) << std::hex << bad;
  EXPECT_EQ(board.call(0, kHsm, 0, {0, kCode, 0}), error(kAlreadyAvailable));
  for (u32 i = 1; i < 3; i++) {
    EXPECT_EQ(board.shared(i).hsm_state.load(), u32{kHsmStopped});
    EXPECT_EQ(board.shared(i).attention.load(), 0u);
  }
  EXPECT_EQ(board.call(0, kHsm, 0, {2, end - 2, 0}), ok());
  EXPECT_EQ(board.call(0, kHsm, 0, {1, kRamBase, 0}), ok());
}

TEST(SbiHartState, StartedHartFindsTheSpecifiedRegisters) {
  Board board(2);
  EXPECT_EQ(board.call(0, kHsm, 2, {1}), ok(kHsmStopped));
  EXPECT_EQ(board.call(0, kHsm, 0, {1, kCode + 0x100, 0x0123'4567'89ab'cdef}), ok());
  EXPECT_EQ(board.call(0, kHsm, 2, {1}), ok(kHsmStartPending));
  // Not a second time, and the first one's arguments stay.
  EXPECT_EQ(board.call(0, kHsm, 0, {1, kCode + 0x200, 5}), error(kAlreadyAvailable));

  HartState& state = board.hart(1).state();
  state.satp = u64{8} << 60 | 0x12345;
  state.mstatus |= mstatus::kSie;
  state.privilege = Privilege::user;
  state.mie = kSsiBit;
  board.shared(1).lines.fetch_or(kSsiBit);  // an interrupt that was sent before
  board.hart(1).state_changed();
  EXPECT_EQ(board.hart(1).run(0), Hart::Exit::budget);
  EXPECT_EQ(state.pc, kCode + 0x100);
  EXPECT_EQ(state.privilege, Privilege::supervisor);
  EXPECT_EQ(state.x[a0], 1u);
  EXPECT_EQ(state.x[a1], 0x0123'4567'89ab'cdefu);
  EXPECT_EQ(state.satp, 0u);
  EXPECT_EQ(state.mstatus & mstatus::kSie, 0u);
  EXPECT_TRUE(board.hart(1).mip() & kSsiBit);  // still there
  EXPECT_EQ(board.call(0, kHsm, 2, {1}), ok(kHsmStarted));
  EXPECT_EQ(board.call(1, kHsm, 2, {1}), ok(kHsmStarted));
}

TEST(SbiHartState, StatusOfEachState) {
  Board board(2);
  EXPECT_EQ(board.call(0, kHsm, 2, {0}), ok(kHsmStarted));
  for (u64 state = 0; state <= 6; state++) {
    board.shared(1).hsm_state.store(static_cast<u32>(state));
    EXPECT_EQ(board.call(0, kHsm, 2, {1}), ok(state));
    if (state != kHsmStopped) {
      EXPECT_EQ(board.call(0, kHsm, 0, {1, kCode, 0}), error(kAlreadyAvailable));
    }
  }
  for (const u64 bad : {u64{2}, u64{8}, u64{1} << 32, ~u64{0}})
    EXPECT_EQ(board.call(0, kHsm, 2, {bad}), error(kInvalidParam));
}

// Runs until the hart has nothing to do: the stop bit, which a sleeping hart answers, brings it back.
Hart::Exit run_until_idle(Board& board, u32 index, u64 budget) {
  board.attention.post(index, kAttentionStop);
  const Hart::Exit exit = board.hart(index).run(budget);
  board.attention.take(index, kAttentionStop);
  return exit;
}

TEST(SbiHartState, StopExecutesNothingMore) {
  CountingTracer tracer;
  for (Tracer* t : {static_cast<Tracer*>(nullptr), static_cast<Tracer*>(&tracer)}) {
    Board board(2, t);
    Hart& hart = board.prepare(0, kHsm, 1, {});
    const u64 before = hart.state().x[t0];
    hart.state().mie = kSsiBit;
    hart.state_changed();
    board.shared(1).hsm_state.store(kHsmStarted);
    EXPECT_EQ(board.call(1, kHsm, 2, {0}), ok(kHsmStarted));
    hart.run(1);
    EXPECT_EQ(board.call(1, kHsm, 2, {0}), ok(kHsmStopped));
    // Neither interrupts nor anything but a start moves it.
    EXPECT_EQ(board.call(1, kIpi, 0, {1, 0}), ok());
    EXPECT_EQ(run_until_idle(board, 0, 100), Hart::Exit::stopped);
    EXPECT_EQ(board.call(1, kHsm, 2, {0}), ok(kHsmStopped));
    EXPECT_EQ(hart.state().x[t0], before);
    EXPECT_EQ(board.call(1, kHsm, 0, {0, kCode + 4, 7}), ok());
    EXPECT_EQ(hart.run(2), Hart::Exit::budget);
    EXPECT_EQ(hart.state().x[t0], before + 2);
    EXPECT_EQ(hart.state().x[a1], 7u);
  }
}

TEST(SbiHartState, RetentiveSuspendKeepsEverything) {
  Board board(1);
  Hart& hart = board.prepare(0, kHsm, 3, {0, ~u64{0}, 99});  // address and opaque are not looked at
  hart.state().mie = kSsiBit;
  hart.state().mstatus |= mstatus::kSum;
  hart.state_changed();
  const HartState before = hart.state();
  hart.run(1);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmSuspended});
  EXPECT_EQ(run_until_idle(board, 0, 2), Hart::Exit::stopped);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmSuspended});
  EXPECT_EQ(hart.state().x[t0], before.x[t0]);

  board.shared(0).lines.fetch_or(kSsiBit);
  board.attention.post(0, kAttentionInterrupt);
  EXPECT_EQ(hart.run(2), Hart::Exit::budget);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmStarted});
  EXPECT_EQ(hart.state().x[t0], before.x[t0] + 2);  // sstatus.SIE is off: it goes on without a trap
  EXPECT_EQ(hart.state().x[a0], 0u);
  EXPECT_EQ(hart.state().mstatus, before.mstatus);
  for (unsigned i = 12; i < 32; i++) EXPECT_EQ(hart.state().x[i], before.x[i]);
}

TEST(SbiHartState, SuspendWithAnInterruptPendingReturnsAtOnce) {
  Board board(1);
  board.hart(0).state().mie = kSsiBit;
  board.shared(0).lines.fetch_or(kSsiBit);
  Hart& hart = board.prepare(0, kHsm, 3, {0, 0, 0});
  const u64 before = hart.state().x[t0];
  hart.run(3);
  EXPECT_EQ(hart.state().x[t0], before + 2);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmStarted});
}

TEST(SbiHartState, NonRetentiveSuspendResumesAtTheAddress) {
  // The upper half of the type is not part of it.
  for (const u64 type : {u64{0x8000'0000}, u64{0xffff'ffff'8000'0000}}) {
    Board board(2);
    Hart& hart = board.prepare(0, kHsm, 3, {type, kCode + 8, 0xfeed});
    const u64 before = hart.state().x[t0];
    hart.state().mie = kSsiBit;
    hart.state().mstatus |= mstatus::kSie;
    hart.state_changed();
    hart.run(1);
    hart.state().satp = u64{8} << 60 | 1;  // would not find a single page
    EXPECT_EQ(run_until_idle(board, 0, 1), Hart::Exit::stopped);
    board.shared(1).hsm_state.store(kHsmStarted);
    EXPECT_EQ(board.call(1, kHsm, 2, {0}), ok(kHsmSuspended));
    EXPECT_EQ(board.call(1, kHsm, 0, {0, kCode, 0}), error(kAlreadyAvailable));
    EXPECT_EQ(board.call(1, kIpi, 0, {1, 0}), ok());
    EXPECT_EQ(hart.run(1), Hart::Exit::budget);
    EXPECT_EQ(board.call(1, kHsm, 2, {0}), ok(kHsmStarted));
    EXPECT_EQ(hart.state().x[t0], before + 1);  // one addition only
    EXPECT_EQ(hart.state().pc, kCode + 12);
    EXPECT_EQ(hart.state().x[a0], 0u);
    EXPECT_EQ(hart.state().x[a1], 0xfeedu);
    EXPECT_EQ(hart.state().satp, 0u);
    EXPECT_EQ(hart.state().mstatus & mstatus::kSie, 0u);
    EXPECT_EQ(hart.state().privilege, Privilege::supervisor);
  }
}

TEST(SbiHartState, SuspendErrors) {
  Board board(1);
  for (const u64 type : {u64{1}, u64{0x0fff'ffff}, u64{0x1000'0000}, u64{0x7fff'ffff}, u64{0x8000'0001},
                         u64{0x8fff'ffff}, u64{0x9000'0000}, u64{0xffff'ffff}})
    EXPECT_EQ(board.call(0, kHsm, 3, {type, kCode, 0}), error(kInvalidParam)) << std::hex << type;
  for (const u64 bad : {u64{0}, kCode + 1, kRamBase + kRam, ~u64{1}})
    EXPECT_EQ(board.call(0, kHsm, 3, {0x8000'0000, bad, 0}), error(kInvalidAddress)) << std::hex << bad;
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmStarted});
}

TEST(SbiHartState, SleepEndsWithTheMachine) {
  // Stopped, suspended with nothing enabled, and waiting for a start that was never sent.
  for (const u32 state : {kHsmStopped, kHsmSuspended, kHsmStartPending}) {
    Board board(1);
    board.shared(0).hsm_state.store(state);
    board.power.power_off(0);
    EXPECT_EQ(board.hart(0).run(1), Hart::Exit::power);
  }
}

// -----------------------------------------------------------------------------------------------------
// reset, suspend

TEST(SbiReset, EndsTheMachineBeforeTheNextInstruction) {
  struct Case {
    u64 type, reason;
    PowerState power;
    u32 code;
  };
  const Case cases[] = {{0, 0, kPowerOff, 0},
                        {0, 1, kPowerOff, 1},
                        {1, 0, kPowerReboot, 0xdead},
                        {2, 1, kPowerReboot, 0xdead},
                        {u64{5} << 32, u64{1} << 63, kPowerOff, 0}};
  CountingTracer tracer;
  for (Tracer* t : {static_cast<Tracer*>(nullptr), static_cast<Tracer*>(&tracer)}) {
    for (const Case& c : cases) {
      Board board(1, t);
      Hart& hart = board.prepare(0, kSrst, 0, {c.type, c.reason});
      const u64 before = hart.state().x[t0];
      EXPECT_EQ(hart.run(3), Hart::Exit::power);
      EXPECT_EQ(board.machine().power.load(), u32{c.power});
      EXPECT_EQ(board.power.code.load(), c.code);
      EXPECT_EQ(hart.state().x[t0], before);
    }
  }
}

TEST(SbiReset, Errors) {
  Board board(1);
  for (const u64 type : {u64{3}, u64{0xefff'ffff}, u64{0xf000'0000}, u64{0xffff'ffff}})
    EXPECT_EQ(board.call(0, kSrst, 0, {type, 0}), error(kInvalidParam)) << std::hex << type;
  for (const u64 reason : {u64{2}, u64{0xdfff'ffff}, u64{0xe000'0000}, u64{0xf000'0000}, u64{0xffff'ffff}})
    EXPECT_EQ(board.call(0, kSrst, 0, {0, reason}), error(kInvalidParam)) << std::hex << reason;
  EXPECT_EQ(board.machine().power.load(), u32{kPowerOn});
  board.power.works = false;
  EXPECT_EQ(board.call(0, kSrst, 0, {0, 0}), error(kFailed));
  EXPECT_EQ(board.call(0, kSrst, 0, {1, 0}), error(kFailed));
}

TEST(SbiSystemSuspend, NeedsAllOtherHartsStopped) {
  Board board(3);
  for (const u32 state :
       {kHsmStarted, kHsmStartPending, kHsmStopPending, kHsmSuspended, kHsmSuspendPending, kHsmResumePending}) {
    board.shared(2).hsm_state.store(state);
    EXPECT_EQ(board.call(0, kSusp, 0, {0, kCode, 0}), error(kDenied)) << state;
  }
  board.shared(2).hsm_state.store(kHsmStopped);
  for (const u64 type : {u64{1}, u64{0x7fff'ffff}, u64{0x8000'0000}, u64{0xffff'ffff}})
    EXPECT_EQ(board.call(0, kSusp, 0, {type, kCode, 0}), error(kInvalidParam)) << std::hex << type;
  for (const u64 bad : {u64{0}, kCode + 1, kRamBase + kRam, ~u64{1}})
    EXPECT_EQ(board.call(0, kSusp, 0, {0, bad, 0}), error(kInvalidAddress)) << std::hex << bad;
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmStarted});
}

TEST(SbiSystemSuspend, ResumesAtTheAddressOnAnInterrupt) {
  Board board(2);
  Hart& hart = board.prepare(0, kSusp, 0, {0, kCode + 8, 0xbeef});
  const u64 before = hart.state().x[t0];
  hart.state().mie = kStiBit;
  hart.state().stimecmp = 500;
  hart.state().mstatus |= mstatus::kSie;
  hart.state_changed();
  hart.run(1);
  // An interrupt that is not enabled does not end it.
  board.shared(0).lines.fetch_or(kSsiBit);
  EXPECT_EQ(run_until_idle(board, 0, 1), Hart::Exit::stopped);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmSuspended});
  EXPECT_EQ(hart.state().x[t0], before);
  board.clock.now.store(500);
  EXPECT_EQ(hart.run(1), Hart::Exit::budget);
  EXPECT_EQ(hart.state().x[t0], before + 1);
  EXPECT_EQ(hart.state().x[a0], 0u);
  EXPECT_EQ(hart.state().x[a1], 0xbeefu);
  EXPECT_EQ(hart.state().mstatus & mstatus::kSie, 0u);
  EXPECT_EQ(board.shared(0).hsm_state.load(), u32{kHsmStarted});
}

// ------------------------------------------------------------------------------------------------------------
// console

void put(Board& board, u64 address, const std::string& text) {
  ASSERT_TRUE(board.memory().write(Pa(address), {reinterpret_cast<const u8*>(text.data()), text.size()}));
}

TEST(SbiConsole, Write) {
  Board board(1);
  put(board, kData, "Hello, world\n");
  EXPECT_EQ(board.call(0, kDbcn, 0, {13, kData, 0}), ok(13));
  EXPECT_EQ(board.console.output, "Hello, world\n");
  board.console.room = 4;
  EXPECT_EQ(board.call(0, kDbcn, 0, {13, kData, 0}), ok(4));
  EXPECT_EQ(board.call(0, kDbcn, 0, {13, kData, 0}), ok(0));
  EXPECT_EQ(board.console.output, "Hello, world\nHell");
}

TEST(SbiConsole, RangesAreChecked) {
  Board board(1);
  board.console.input = "input that stays";
  const u64 end = kRamBase + kRam;
  struct Case {
    u64 bytes, low, high;
    i64 error;
  };
  const Case cases[] = {
      {1, end - 1, 0, kSuccess},
      {2, end - 1, 0, kInvalidParam},
      {1, end, 0, kInvalidParam},
      {1, kRamBase - 1, 0, kInvalidParam},
      {1, 0, 0, kInvalidParam},
      {kRam + 1, kRamBase, 0, kInvalidParam},
      {~u64{0}, kRamBase, 0, kInvalidParam},
      {~u64{0}, ~u64{0}, 0, kInvalidParam},
      {u64{0} - kRamBase, kRamBase, 0, kInvalidParam},
      {1, kData, 1, kInvalidParam},
      {1, kData, ~u64{0}, kInvalidParam},
      {1, 0x1000'0000, 0, kInvalidParam},
  };
  for (const Case& c : cases) {
    const u64 moved = c.error == kSuccess ? c.bytes : 0;
    EXPECT_EQ(board.call(0, kDbcn, 0, {c.bytes, c.low, c.high}), (Answer{c.error, moved})) << std::hex << c.low;
    EXPECT_EQ(board.call(0, kDbcn, 1, {c.bytes, c.low, c.high}), (Answer{c.error, moved})) << std::hex << c.low;
  }
  EXPECT_EQ(board.console.output.size(), 1u);
  EXPECT_EQ(board.console.input, "nput that stays");
  // No bytes, no address.
  for (const u64 function : {0, 1}) EXPECT_EQ(board.call(0, kDbcn, function, {0, ~u64{0}, ~u64{0}}), ok(0));
}

TEST(SbiConsole, OneCallMovesALimitedAmount) {
  Board board(1);
  const Answer written = board.call(0, kDbcn, 0, {kRam, kRamBase, 0});
  EXPECT_EQ(written.error, kSuccess);
  EXPECT_EQ(written.value, board.console.output.size());
  EXPECT_GE(written.value, 4096u);
  EXPECT_LE(written.value, 1u << 20);
  board.console.input = std::string(3 << 20, 'i');
  const Answer got = board.call(0, kDbcn, 1, {3 << 20, kData, 0});
  EXPECT_EQ(got.error, kSuccess);
  EXPECT_EQ(got.value + board.console.input.size(), 3u << 20);
  EXPECT_GE(got.value, 4096u);
  EXPECT_EQ(board.peek(kData + got.value - 8), 0x6969'6969'6969'6969u);
  EXPECT_EQ(board.peek(kData + got.value), 0u);
}

TEST(SbiConsole, Read) {
  Board board(1);
  GuestMemory& memory = board.memory();
  const u64 page = memory.offset_of(Pa(kData)) >> kPageShift;
  EXPECT_EQ(board.call(0, kDbcn, 1, {100, kData, 0}), ok(0));
  EXPECT_FALSE(memory.page_state(page) & kPageDirty);  // nothing came, nothing was written
  std::string text;
  for (int i = 0; i < 700; i++) text += static_cast<char>('a' + i % 26);
  board.console.input = text;
  const u64 at = kData + 3;
  EXPECT_EQ(board.call(0, kDbcn, 1, {300, at, 0}), ok(300));
  EXPECT_EQ(board.call(0, kDbcn, 1, {1000, at + 300, 0}), ok(400));
  EXPECT_EQ(board.call(0, kDbcn, 1, {1000, at + 300, 0}), ok(0));
  const auto bytes = memory.readable(Pa(at), 701);
  EXPECT_EQ(std::string(bytes.begin(), bytes.begin() + 700), text);
  EXPECT_EQ(bytes[700], 0);
  EXPECT_TRUE(memory.page_state(page) & kPageDirty);
}

TEST(SbiConsole, WriteByteWaitsForRoomWithoutHoldingTheHart) {
  Board board(1);
  EXPECT_EQ(board.call(0, kDbcn, 2, {'A'}), ok(0));
  EXPECT_EQ(board.call(0, kDbcn, 2, {0xffff'ff00 | 'B'}), ok(0));
  EXPECT_EQ(board.console.output, "AB");
  board.console.room = 0;
  Hart& hart = board.prepare(0, kDbcn, 2, {'C'});
  const HartState before = hart.state();
  EXPECT_EQ(hart.run(3), Hart::Exit::budget);
  EXPECT_EQ(board.console.writes, 2u + 3u);
  EXPECT_EQ(hart.state().pc, before.pc);  // still at the call, with its arguments
  for (unsigned i = 0; i < 32; i++) EXPECT_EQ(hart.state().x[i], before.x[i]);
  // Mail and stop requests are answered meanwhile.
  board.attention.post(0, kAttentionStop);
  EXPECT_EQ(hart.run(1000), Hart::Exit::stopped);
  board.attention.take(0, kAttentionStop);
  board.console.room = 1;
  EXPECT_EQ(hart.run(1), Hart::Exit::budget);
  EXPECT_EQ(board.console.output, "ABC");
  EXPECT_EQ(hart.state().pc, before.pc + 4);
  EXPECT_EQ(hart.state().x[a0], 0u);
  EXPECT_EQ(hart.state().x[a1], 0u);
}

}  // namespace
}  // namespace hartwood::test
