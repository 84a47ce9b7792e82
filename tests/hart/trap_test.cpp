// SPDX-License-Identifier: Apache-2.0
// Traps: cause, value and pc of every exception, delegation, the status register's stacks, returns, and what
// the trap bits of mstatus forbid. Interrupts are in interrupt_test.cpp. [priv: Machine-Level CSRs,
// Supervisor CSRs, Trap-Return Instructions, Virtualization Support in mstatus Register]
#include <array>

#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kBadPage = 0x7'0000, kNowhere = 0x8'0000, kGood = 0x9'0000;

// Something that raises an exception, with the machine set up so that U and S see the same addresses.
struct Source {
  const char* what;
  Cause cause;
  u32 word;     // executed at kCode unless `pc` is set
  u64 address;  // in a1
  u64 tval;
  u64 pc = kCode;
};
const Source kSources[] = {
    {"fetch, page fault", Cause::fetch_page, 0, 0, kBadPage + 4, kBadPage + 4},
    {"fetch, access fault", Cause::fetch_access, 0, 0, kNowhere + 4, kNowhere + 4},
    {"illegal word", Cause::illegal_instruction, 0xdead'beff, 0, 0xdead'beff},
    {"illegal halfword", Cause::illegal_instruction, 0x5555'8002, 0, 0x8002},
    {"zero", Cause::illegal_instruction, 0x5555'0000, 0, 0},
    {"no such CSR", Cause::illegal_instruction, 0x8000'2573, 0, 0x8000'2573},
    {"a CSR of M-mode", Cause::illegal_instruction, 0x3000'2573, 0, 0x3000'2573},
    {"mret", Cause::illegal_instruction, kMret, 0, kMret},
    {"floating point that is off", Cause::illegal_instruction, 0x0200'0053, 0, 0x0200'0053},
    {"ebreak", Cause::breakpoint, kEbreak, 0, kCode},
    {"c.ebreak", Cause::breakpoint, 0x5555'9002, 0, kCode},
    {"lr, misaligned", Cause::load_misaligned, 0x1005'b52f, kGood + 4, kGood + 4},
    {"load, access fault", Cause::load_access, 0x0005'b503, kNowhere + 8, kNowhere + 8},
    {"load, page fault", Cause::load_page, 0x0005'b503, kBadPage + 8, kBadPage + 8},
    {"load in two pages", Cause::load_page, 0x0005'b503, kGood + 0xffa, kGood + 0x1000},
    {"amo, misaligned", Cause::store_misaligned, 0x00c5'a52f, kGood + 2, kGood + 2},
    {"store, access fault", Cause::store_access, 0x00a5'b023, kNowhere + 8, kNowhere + 8},
    {"amo, access fault", Cause::store_access, 0x00c5'a52f, kNowhere + 8, kNowhere + 8},
    {"store, page fault", Cause::store_page, 0x00a5'b023, kBadPage + 8, kBadPage + 8},
    {"amo, page fault", Cause::store_page, 0x00c5'a52f, kBadPage + 8, kBadPage + 8},
};

class Traps : public testing::Test {
 protected:
  Rig rig_;
  Paging user_{rig_, SatpMode::sv39}, supervisor_{rig_, SatpMode::sv39, kTables + 0x10'0000};

  void SetUp() override {
    for (Paging* paging : {&user_, &supervisor_}) {
      const u64 extra = pte::kAd | (paging == &user_ ? pte::kU : 0);
      paging->map(kCode, kCode, pte::kRwx | extra);
      paging->map(kGood, kData, pte::kRw | extra);
      paging->map(kNowhere, kRamEnd, pte::kRwx | extra);
    }
  }
  void prepare(const Source& source, Privilege mode) {
    rig_.reset();
    HartState& s = rig_.state();
    s.privilege = mode;
    s.satp = (mode == Privilege::user ? user_ : supervisor_).satp();
    s.x[a1] = source.address;
    if (source.pc == kCode) rig_.place(kCode, {source.word});
    s.pc = source.pc;
    rig_.drop_caches();
  }
};

TEST_F(Traps, CausesValuesAndDelegation) {
  for (const Source& source : kSources) {
    for (const Privilege mode : {Privilege::user, Privilege::supervisor}) {
      for (const bool delegated : {false, true}) {
        SCOPED_TRACE(testing::Message() << source.what << " in " << privilege_name(mode)
                                        << (delegated ? ", delegated" : ""));
        prepare(source, mode);
        const u64 bit = u64{1} << static_cast<u32>(source.cause);
        rig_.state().medeleg = delegated ? bit : ~bit & 0xb3ff;
        HartState expected = rig_.state();
        const u64 number = static_cast<u64>(source.cause);
        if (delegated) {
          expected.scause = number;
          expected.stval = source.tval;
          expected.sepc = source.pc;
          expected.pc = kSupervisorTrap;
          expected.privilege = Privilege::supervisor;
          expected.mstatus = mode == Privilege::supervisor ? mstatus::kSpp : 0;
        } else {
          expected.mcause = number;
          expected.mtval = source.tval;
          expected.mepc = source.pc;
          expected.pc = kMachineTrap;
          expected.privilege = Privilege::machine;
          expected.mstatus = u64{static_cast<u8>(mode)} << mstatus::kMppShift;
        }
        rig_.run();
        const HartState& s = rig_.state();
        EXPECT_EQ(s.scause, expected.scause);
        EXPECT_EQ(s.stval, expected.stval);
        EXPECT_EQ(s.sepc, expected.sepc);
        EXPECT_EQ(s.mcause, expected.mcause);
        EXPECT_EQ(s.mtval, expected.mtval);
        EXPECT_EQ(s.mepc, expected.mepc);
        EXPECT_EQ(s.pc, expected.pc);
        EXPECT_EQ(s.privilege, expected.privilege);
        EXPECT_EQ(s.mstatus, expected.mstatus);
        EXPECT_EQ(s.retired, 0u);
        for (u32 i = 0; i < 32; i++) EXPECT_EQ(s.x[i], expected.x[i]) << i;
      }
    }
  }
}

TEST_F(Traps, MachineModeIsNeverDelegated) {
  const Source of_machine[] = {
      {"fetch, access fault", Cause::fetch_access, 0, 0, 0x44, 0x44},
      {"illegal word", Cause::illegal_instruction, 0xdead'beff, 0, 0xdead'beff},
      {"ebreak", Cause::breakpoint, kEbreak, 0, kCode},
      {"ecall", Cause::ecall_m, kEcall, 0, 0},
      {"lr, misaligned", Cause::load_misaligned, 0x1005'b52f, kData + 1, kData + 1},
      {"load, access fault", Cause::load_access, 0x0005'b503, 0x88, 0x88},
      {"amo, misaligned", Cause::store_misaligned, 0x00c5'a52f, kData + 3, kData + 3},
      {"store, access fault", Cause::store_access, 0x00a5'b023, 0x88, 0x88},
  };
  for (const Source& source : of_machine) {
    SCOPED_TRACE(source.what);
    prepare(source, Privilege::machine);
    rig_.state().medeleg = 0xb3ff;
    const Outcome expected = {true, static_cast<u64>(source.cause), source.tval, source.pc, Privilege::machine};
    EXPECT_EQ(rig_.run(), expected);
    EXPECT_EQ(rig_.state().mstatus, mstatus::kMpp);
    EXPECT_EQ(rig_.state().scause, 0u);
  }
}

TEST_F(Traps, EnvironmentCalls) {
  const std::pair<Privilege, Cause> rows[] = {
      {Privilege::user, Cause::ecall_u}, {Privilege::supervisor, Cause::ecall_s}, {Privilege::machine, Cause::ecall_m}};
  for (const auto& [mode, cause] : rows) {
    for (const u64 medeleg : {u64{0}, u64{1} << static_cast<u32>(cause)}) {
      rig_.reset();
      rig_.write(kCsrMedeleg, medeleg);  // the bit of ecall from M-mode does not stay
      const u64 kept = rig_.state().medeleg;
      prepare({"", cause, kEcall, 0, 0}, mode);
      rig_.state().medeleg = kept;
      const bool to_supervisor = medeleg != 0 && mode != Privilege::machine;
      const Outcome expected = {true, static_cast<u64>(cause), 0, kCode,
                                to_supervisor ? Privilege::supervisor : Privilege::machine};
      EXPECT_EQ(rig_.run(), expected) << privilege_name(mode);
    }
  }
}

TEST_F(Traps, ExceptionsIgnoreTheVectorMode) {
  prepare(kSources[2], Privilege::user);
  rig_.state().mtvec = kMachineTrap | 1;
  rig_.run();
  EXPECT_EQ(rig_.state().pc, kMachineTrap);
  prepare(kSources[2], Privilege::user);
  rig_.state().medeleg = 0xb3ff;
  rig_.state().stvec = kSupervisorTrap | 1;
  rig_.run();
  EXPECT_EQ(rig_.state().pc, kSupervisorTrap);
}

TEST_F(Traps, InterruptEnablesAreStacked) {
  constexpr u64 kOthers = mstatus::kMprv | mstatus::kSum | mstatus::kMxr | mstatus::kFs;
  for (const bool mie : {false, true}) {
    for (const bool sie : {false, true}) {
      for (const bool before : {false, true}) {
        const u64 old = (mie ? mstatus::kMie : 0) | (sie ? mstatus::kSie : 0) |
                        (before ? mstatus::kMpie | mstatus::kSpie | mstatus::kSpp | mstatus::kMpp : 0) | kOthers;
        prepare(kSources[2], Privilege::user);
        rig_.state().mstatus = old;
        rig_.run();
        EXPECT_EQ(rig_.state().mstatus,
                  (old & ~(mstatus::kMie | mstatus::kMpie | mstatus::kMpp)) | (mie ? mstatus::kMpie : 0));
        prepare(kSources[2], Privilege::user);
        rig_.state().mstatus = old;
        rig_.state().medeleg = 4;
        rig_.run();
        EXPECT_EQ(rig_.state().mstatus,
                  (old & ~(mstatus::kSie | mstatus::kSpie | mstatus::kSpp)) | (sie ? mstatus::kSpie : 0));
      }
    }
  }
}

TEST_F(Traps, ATrapInTheTrapHandlerReplacesTheRecord) {
  // No handler is mapped: the second trap happens at the vector and says so.
  prepare(kSources[2], Privilege::user);
  rig_.state().mtvec = 0x100;
  rig_.run(2);
  EXPECT_EQ(rig_.state().mcause, static_cast<u64>(Cause::fetch_access));
  EXPECT_EQ(rig_.state().mepc, 0x100u);
  EXPECT_EQ(rig_.state().mtval, 0x100u);
  EXPECT_EQ(rig_.state().mstatus & mstatus::kMpp, mstatus::kMpp);
  // It goes on like that, uses up budget and retires nothing.
  rig_.run(1000);
  EXPECT_EQ(rig_.hart().traps(), 1002u);
  EXPECT_EQ(rig_.state().retired, 0u);
}

// ---- returns

TEST(Returns, Mret) {
  Rig rig;
  for (const Privilege to : kPrivileges) {
    for (const bool mpie : {false, true}) {
      for (const bool mie : {false, true}) {
        for (const u64 extra :
             {u64{0}, mstatus::kMprv | mstatus::kSpp | mstatus::kSpie | mstatus::kSie | mstatus::kSum}) {
          rig.reset();
          HartState& s = rig.state();
          s.mepc = 0x1234'5678'9abc;
          s.mstatus = u64{static_cast<u8>(to)} << mstatus::kMppShift | (mpie ? mstatus::kMpie : 0) |
                      (mie ? mstatus::kMie : 0) | extra;
          EXPECT_EQ(rig.execute(kMret), Outcome{});
          EXPECT_EQ(s.privilege, to);
          EXPECT_EQ(s.pc, 0x1234'5678'9abcu);
          const u64 kept = to == Privilege::machine ? extra : extra & ~mstatus::kMprv;
          EXPECT_EQ(s.mstatus, kept | mstatus::kMpie | (mpie ? mstatus::kMie : 0));
          EXPECT_EQ(s.retired, 1u);
        }
      }
    }
  }
}

TEST(Returns, Sret) {
  Rig rig;
  for (const Privilege from : {Privilege::supervisor, Privilege::machine}) {
    for (const bool spp : {false, true}) {
      for (const bool spie : {false, true}) {
        for (const bool sie : {false, true}) {
          rig.reset();
          HartState& s = rig.state();
          s.privilege = from;
          s.sepc = ~u64{1};
          const u64 extra = mstatus::kMpp | mstatus::kMpie | mstatus::kMie | mstatus::kMxr;
          s.mstatus = (spp ? mstatus::kSpp : 0) | (spie ? mstatus::kSpie : 0) | (sie ? mstatus::kSie : 0) |
                      mstatus::kMprv | extra;
          EXPECT_EQ(rig.execute(kSret), Outcome{});
          EXPECT_EQ(s.privilege, spp ? Privilege::supervisor : Privilege::user);
          EXPECT_EQ(s.pc, ~u64{1});
          EXPECT_EQ(s.mstatus, extra | mstatus::kSpie | (spie ? mstatus::kSie : 0));
        }
      }
    }
  }
}

TEST(Returns, RoundTripThroughAHandler) {
  // U-mode calls, the handler steps over the ecall and returns, three times.
  Rig rig;
  rig.place(kMachineTrap, {encode_csr(Op::csrrs, t0, kCsrMepc, zero), encode_i(Op::addi, t0, t0, 4),
                           encode_csr(Op::csrrw, zero, kCsrMepc, t0), encode_i(Op::addi, s1, s1, 1), kMret});
  rig.start_at(kCode, {kEcall, encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, zero, -8)});
  rig.state().privilege = Privilege::user;
  rig.state().mstatus = mstatus::kMie;
  rig.x(a0) = rig.x(s1) = 0;
  rig.run(3 * 8);
  EXPECT_EQ(rig.x(a0), 3u);
  EXPECT_EQ(rig.x(s1), 3u);
  EXPECT_EQ(rig.state().pc, kCode);
  EXPECT_EQ(rig.state().privilege, Privilege::user);
  EXPECT_EQ(rig.state().mstatus, mstatus::kMie | mstatus::kMpie);
  EXPECT_EQ(rig.state().retired, 3u * 7);
}

// ---- what each mode may execute

TEST(Privileges, InstructionsByModeAndTrapBit) {
  const u32 fence_all = encode_sfence(Op::sfence_vma, zero, zero), fence_one = encode_sfence(Op::sfence_vma, a1, a2);
  const u32 invalidate = encode_sfence(Op::sinval_vma, a1, zero);
  const u32 write_before = encode_plain(Op::sfence_w_inval), read_after = encode_plain(Op::sfence_inval_ir);
  const struct {
    const char* what;
    u32 word;
    bool user, supervisor;
    u64 trap_bit;  // of mstatus: with it, supervisors trap
  } rows[] = {
      {"mret", kMret, false, false, 0},
      {"sret", kSret, false, true, mstatus::kTsr},
      {"sfence.vma", fence_all, false, true, mstatus::kTvm},
      {"sfence.vma of an address", fence_one, false, true, mstatus::kTvm},
      {"sinval.vma", invalidate, false, true, mstatus::kTvm},
      {"sfence.w.inval", write_before, false, true, 0},
      {"sfence.inval.ir", read_after, false, true, 0},
      {"csrr satp", encode_csr(Op::csrrs, a0, kCsrSatp, zero), false, true, mstatus::kTvm},
      {"csrw satp", encode_csr(Op::csrrw, zero, kCsrSatp, zero), false, true, mstatus::kTvm},
      {"fence.i", kFenceI, true, true, 0},
      {"wrs.nto", encode_plain(Op::wrs_nto), true, true, 0},
  };
  Rig rig;
  for (const auto& row : rows) {
    for (const Privilege mode : kPrivileges) {
      for (const u64 status : {u64{0}, mstatus::kTsr, mstatus::kTvm, mstatus::kTw}) {
        SCOPED_TRACE(testing::Message() << row.what << " in " << privilege_name(mode) << ", mstatus 0x" << std::hex
                                        << status);
        rig.reset();
        rig.state().mstatus = status;
        rig.state().privilege = mode;
        const bool allowed = mode == Privilege::machine      ? true
                             : mode == Privilege::supervisor ? row.supervisor && !(row.trap_bit & status)
                                                             : row.user;
        const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), row.word, kCode,
                                 Privilege::machine};
        EXPECT_EQ(rig.execute(row.word), allowed ? Outcome{} : illegal);
      }
    }
  }
}

TEST(Privileges, MprvBorrowsMppForDataOnly) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(0x1000, kData, pte::kRw | pte::kAd);
  paging.map(0x2000, kData + 0x1000, pte::kRw | pte::kU | pte::kAd);
  paging.enable();
  rig.poke<u64>(kData, 0x11);
  rig.poke<u64>(kData + 0x1000, 0x22);
  const auto loads = [&](u64 status, u64 va) {
    rig.write(kCsrMstatus, status);  // fetches go on in M-mode, untranslated
    const auto accessed = rig.access(Op::ld, va);
    return accessed.outcome.trapped ? u64{1000} + accessed.outcome.cause : accessed.value;
  };
  constexpr u64 kAsUser = mstatus::kMprv, kAsSupervisor = mstatus::kMprv | u64{1} << mstatus::kMppShift,
                kAsMachine = mstatus::kMprv | mstatus::kMpp;
  EXPECT_EQ(loads(0, 0x1000), 1005u);
  EXPECT_EQ(loads(kAsMachine, 0x1000), 1005u);
  EXPECT_EQ(loads(kAsSupervisor, 0x1000), 0x11u);
  EXPECT_EQ(loads(kAsSupervisor, 0x2000), 1013u);
  EXPECT_EQ(loads(kAsSupervisor | mstatus::kSum, 0x2000), 0x22u);
  EXPECT_EQ(loads(kAsUser, 0x1000), 1013u);
  EXPECT_EQ(loads(kAsUser, 0x2000), 0x22u);
  EXPECT_EQ(loads(kAsUser, kData), 1013u);
  EXPECT_EQ(loads(0, kData), 0x11u);
  EXPECT_EQ(loads(kAsSupervisor, 0x1000), 0x11u);
  EXPECT_EQ(loads(0, 0x1000), 1005u);  // nothing of it stays
  // Outside of M-mode the bit has no effect.
  rig.write(kCsrMstatus, kAsUser);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  rig.set_privilege(Privilege::supervisor);
  rig.state().mstatus = mstatus::kMprv;
  EXPECT_EQ(rig.load_fault(0x1000), std::nullopt);
  EXPECT_EQ(rig.load_fault(0x2000), Cause::load_page);
}

// ---- exact counts

TEST(Counting, BudgetsAreExactWhateverHappens) {
  // A program with every reason for the loop to be left: page borders, straddling, traps, CSRs, fences,
  // misses. Runs of any length give the state that single steps give.
  const u64 start = kData + 0xfc6;
  std::vector<u32> program = {encode_i(Op::addi, a0, a0, 1),
                              encode_i(Op::addi, a0, a0, 1),
                              access_word(Op::ld),
                              access_word(Op::sd),
                              kEcall,
                              encode_csr(Op::csrrs, a4, kCsrMinstret, zero),
                              encode_csr(Op::csrrw, zero, kCsrMscratch, a4),
                              kFenceI,
                              encode_sfence(Op::sfence_vma, zero, zero),
                              access_word(Op::amoadd_d),
                              0xffff'ffff,
                              encode_i(Op::addi, a5, a5, 3),
                              encode_i(Op::addi, a5, a5, 3),
                              encode_i(Op::addi, a5, a5, 3),
                              encode_i(Op::addi, a5, a5, 3),
                              encode_branch(Op::bne, a5, zero, 8),
                              kNop,
                              encode_jump(Op::jal, ra, -68)};
  u64 traps_before = 0;
  const auto begin = [&](Rig& rig) {
    rig.reset();
    rig.place(kMachineTrap, {encode_csr(Op::csrrs, t0, kCsrMepc, zero), encode_i(Op::addi, t0, t0, 4),
                             encode_csr(Op::csrrw, zero, kCsrMepc, t0), kMret});
    for (size_t i = 0; i < program.size(); i++) {
      rig.poke<u16>(start + 4 * i, static_cast<u16>(program[i]));
      rig.poke<u16>(start + 4 * i + 2, static_cast<u16>(program[i] >> 16));
    }
    rig.poke<u64>(kData + 0x5ffc, 0);
    rig.state().pc = start;
    rig.x(a1) = kData + 0x5ffc;
    rig.x(a2) = 7;
    rig.drop_caches();
    traps_before = rig.hart().traps();
  };
  using Point = std::array<u64, 7>;  // pc, retired, traps, and registers
  const auto point = [&](Rig& rig) {
    const HartState& s = rig.state();
    return Point{s.pc, s.retired, rig.hart().traps() - traps_before, s.x[a0], s.x[a4], s.mscratch, s.x[ra]};
  };
  constexpr u64 kLength = 120;
  std::vector<Point> steps;
  Rig single;
  begin(single);
  steps.push_back(point(single));
  for (u64 i = 0; i < kLength; i++) {
    single.run(1);
    steps.push_back(point(single));
    ASSERT_EQ(steps.back()[1] + steps.back()[2], i + 1);
  }
  EXPECT_GT(steps.back()[2], 6u);
  RecordingTracer tracer;
  for (Tracer* with : {static_cast<Tracer*>(nullptr), static_cast<Tracer*>(&tracer)}) {
    for (const u32 slice : {1u, 3u, 64u, 4096u}) {
      Rig rig{RigOptions{.slice = slice, .tracer = with}};
      for (u64 first = 0; first <= kLength; first++) {
        begin(rig);
        rig.run(first);
        ASSERT_EQ(point(rig), steps[first]) << first;
        rig.run(kLength - first);
        ASSERT_EQ(point(rig), steps[kLength]) << first;
      }
    }
  }
}

TEST(Counting, TheTracerSeesEveryInstruction) {
  RecordingTracer tracer;
  Rig rig{RigOptions{.tracer = &tracer}};
  rig.place(kMachineTrap, {kNop});
  rig.start_at(kCode, {kNop, 0x0505'0505, kEcall});
  rig.run(5);
  ASSERT_EQ(tracer.steps.size(), 5u);
  const std::pair<u64, u32> expected[] = {
      {kCode, kNop}, {kCode + 4, 0x0505}, {kCode + 6, 0x0505}, {kCode + 8, kEcall}, {kMachineTrap, kNop}};
  for (size_t i = 0; i < 5; i++) {
    EXPECT_EQ(tracer.steps[i].pc, expected[i].first);
    EXPECT_EQ(tracer.steps[i].bits, expected[i].second);
  }
  EXPECT_EQ(tracer.traps, std::vector<u64>{static_cast<u64>(Cause::ecall_m)});
}

}  // namespace
}  // namespace hartwood::test
