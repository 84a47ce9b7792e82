// SPDX-License-Identifier: Apache-2.0
// Interrupts: which one is taken, where to, when; pending and enable registers; WFI; the supervisor timer. On
// one thread: nothing here sleeps. [priv: Machine Interrupt (mip and mie) Registers; Supervisor Interrupt
// (sip and sie) Registers; Wait for Interrupt; "Sstc" Extension]
#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 bit_of(u32 number) { return u64{1} << number; }
constexpr u64 kAll = 0xaaa, kSupervisors = 0x222;
const u32 kNumbers[] = {kSsi, kMsi, kSti, kMti, kSei, kMei};

// Makes exactly the interrupts `pending` so, by their sources: lines, the machine timer, a software-written
// STIP.
void raise(Rig& rig, u64 pending) {
  rig.shared().lines.store(static_cast<u32>(pending & (bit_of(kSsi) | bit_of(kMsi) | bit_of(kSei) | bit_of(kMei))));
  rig.shared().mtimecmp.store(pending & bit_of(kMti) ? 0 : ~u64{0});
  rig.state().mip_soft = pending & bit_of(kSti);
}

TEST(Interrupts, WhichOneIsTaken) {
  Rig rig;
  const u32 priority[] = {kMei, kMsi, kMti, kSei, kSsi, kSti};
  const u64 enables[] = {
      0, kAll, 0x0aa, 0xa02, bit_of(kSsi), bit_of(kMsi), bit_of(kSti), bit_of(kMti), bit_of(kSei), bit_of(kMei)};
  HartState start = rig.state();
  for (u32 pattern = 0; pattern < 64; pattern++) {
    u64 pending = 0;
    for (u32 i = 0; i < 6; i++) pending |= pattern >> i & 1 ? bit_of(kNumbers[i]) : 0;
    raise(rig, pending);
    start.mip_soft = rig.state().mip_soft;
    for (const u64 enabled : enables) {
      for (const u64 delegated : {u64{0}, kSupervisors, bit_of(kSsi), bit_of(kSti), bit_of(kSei) | bit_of(kSsi)}) {
        for (const Privilege mode : kPrivileges) {
          for (const u64 status : {u64{0}, mstatus::kMie, mstatus::kSie, mstatus::kMie | mstatus::kSie}) {
            rig.state() = start;
            HartState& s = rig.state();
            s.mie = enabled;
            s.mideleg = delegated;
            s.privilege = mode;
            s.mstatus = status;
            // The manual's conditions, M-mode's first.
            const bool machine_open = mode != Privilege::machine || (status & mstatus::kMie);
            const bool supervisor_open =
                mode == Privilege::user || (mode == Privilege::supervisor && (status & mstatus::kSie));
            u64 cause = 0;
            Privilege to = mode;
            for (const u32 number : priority) {
              if (cause == 0 && machine_open && (pending & enabled & ~delegated & bit_of(number))) {
                cause = kInterruptCause | number;
                to = Privilege::machine;
              }
            }
            for (const u32 number : priority) {
              if (cause == 0 && supervisor_open && (pending & enabled & delegated & bit_of(number))) {
                cause = kInterruptCause | number;
                to = Privilege::supervisor;
              }
            }
            ASSERT_EQ(rig.hart().run(0), Hart::Exit::budget);
            const auto describe = [&] {
              return testing::Message() << std::hex << "pending " << pending << " enabled " << enabled << " delegated "
                                        << delegated << " mode " << privilege_name(mode) << " mstatus " << status;
            };
            ASSERT_EQ(s.privilege, to) << describe();
            ASSERT_EQ(s.mcause, to == Privilege::machine ? cause : 0) << describe();
            ASSERT_EQ(s.scause, to == Privilege::supervisor ? cause : 0) << describe();
            ASSERT_EQ(s.pc, cause == 0                 ? kCode
                            : to == Privilege::machine ? kMachineTrap
                                                       : kSupervisorTrap)
                << describe();
            ASSERT_EQ(s.mepc | s.sepc, cause == 0 ? 0 : kCode) << describe();
            ASSERT_EQ(s.mtval | s.stval, 0u);
            ASSERT_EQ(s.retired, 0u);
          }
        }
      }
    }
  }
}

TEST(Interrupts, Vectors) {
  Rig rig;
  for (const u32 number : kNumbers) {
    for (const bool delegated : {false, true}) {
      if (delegated && !(kSupervisors & bit_of(number))) continue;
      for (const u64 mode : {u64{0}, u64{1}}) {
        rig.reset();
        rig.state().mie = kAll;
        rig.state().mideleg = delegated ? kSupervisors : 0;
        rig.state().privilege = Privilege::user;
        rig.state().mtvec = kMachineTrap | mode;
        rig.state().stvec = kSupervisorTrap | mode;
        raise(rig, bit_of(number));
        rig.hart().run(0);
        const u64 base = delegated ? kSupervisorTrap : kMachineTrap;
        EXPECT_EQ(rig.state().pc, base + (mode ? 4 * number : 0)) << number;
      }
    }
  }
}

TEST(Interrupts, StatusOnEntry) {
  Rig rig;
  rig.state().mie = kAll;
  rig.state().mideleg = kSupervisors;
  rig.state().privilege = Privilege::supervisor;
  rig.state().mstatus = mstatus::kSie | mstatus::kMie;
  raise(rig, bit_of(kSsi));
  rig.hart().run(0);
  EXPECT_EQ(rig.state().mstatus, mstatus::kMie | mstatus::kSpie | mstatus::kSpp);
  raise(rig, bit_of(kMsi));
  rig.hart().run(0);
  EXPECT_EQ(rig.state().mstatus, mstatus::kMpie | u64{1} << mstatus::kMppShift | mstatus::kSpie | mstatus::kSpp);
  EXPECT_EQ(rig.state().mepc, kSupervisorTrap);
}

TEST(Interrupts, AreTakenRightAfterWhatEnablesThem) {
  const u32 set_mie = encode_csr(Op::csrrs, zero, kCsrMstatus, a1),
            write_mie = encode_csr(Op::csrrw, zero, kCsrMie, a1);
  const struct {
    const char* what;
    u32 word;
    u64 operand, pc;  // where the handler would return to
    void (*prepare)(HartState&);
  } rows[] = {
      {"csrs mstatus", set_mie, mstatus::kMie, kCode + 4, [](HartState& s) { s.mie = kAll; }},
      {"csrw mie", write_mie, bit_of(kMsi), kCode + 4, [](HartState& s) { s.mstatus = mstatus::kMie; }},
      {"mret to M", kMret, 0, kData,
       [](HartState& s) {
         s.mie = kAll;
         s.mstatus = mstatus::kMpie | mstatus::kMpp;
         s.mepc = kData;
       }},
      {"mret to U", kMret, 0, kData,
       [](HartState& s) {
         s.mie = kAll;
         s.mepc = kData;
       }},
      {"sret to U", kSret, 0, kData,
       [](HartState& s) {
         s.mie = kAll;
         s.sepc = kData;
       }},
      {"csrw mideleg", encode_csr(Op::csrrw, zero, kCsrMideleg, a1), 0, kCode + 4,
       [](HartState& s) {
         s.mie = kAll;
         s.mstatus = mstatus::kMie;
         s.mideleg = bit_of(kSsi);
       }},
      {"csrs mip", encode_csr(Op::csrrs, zero, kCsrMip, a1), bit_of(kSei), kCode + 4,
       [](HartState& s) {
         s.mie = bit_of(kSei);
         s.mstatus = mstatus::kMie;
       }},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    Rig rig;
    rig.start_at(kCode, {row.word, kNop, kNop});
    row.prepare(rig.state());
    rig.x(a1) = row.operand;
    const bool by_mideleg = row.word == rows[5].word;
    if (row.word != rows[6].word) raise(rig, by_mideleg ? bit_of(kSsi) : bit_of(kMsi));
    const Hart::Exit exit = rig.hart().run(1);
    EXPECT_EQ(exit, Hart::Exit::budget);
    EXPECT_EQ(rig.state().mcause >> 63, 1u);
    EXPECT_EQ(rig.state().mepc, row.pc);
    EXPECT_EQ(rig.state().pc, kMachineTrap);
    EXPECT_EQ(rig.state().retired, 1u);
  }
}

// ---- pending and enables

TEST(Interrupts, MipReadsTheSources) {
  Rig rig;
  for (const u32 number : kNumbers) {
    raise(rig, bit_of(number));
    EXPECT_EQ(rig.read(kCsrMip), bit_of(number));
    rig.state().mideleg = kSupervisors;
    EXPECT_EQ(rig.read(kCsrSip), bit_of(number) & kSupervisors);
    rig.state().mideleg = 0;
    EXPECT_EQ(rig.read(kCsrSip), 0u);
  }
}

TEST(Interrupts, WhatSoftwareMayWrite) {
  Rig rig;
  // M-mode: the supervisor's three. Nothing of M-mode's own.
  EXPECT_EQ(rig.rewritten(kCsrMip, ~u64{0}), kSupervisors);
  EXPECT_EQ(rig.rewritten(kCsrMip, 0), 0u);
  // Lines stay what they are.
  raise(rig, bit_of(kMsi) | bit_of(kMei) | bit_of(kMti));
  EXPECT_EQ(rig.rewritten(kCsrMip, 0), bit_of(kMsi) | bit_of(kMei) | bit_of(kMti));
  raise(rig, 0);
  // sip: SSIP only, and only where it is delegated.
  rig.write(kCsrMideleg, kSupervisors);
  EXPECT_EQ(rig.rewritten(kCsrSip, ~u64{0}), bit_of(kSsi));
  EXPECT_EQ(rig.read(kCsrMip), bit_of(kSsi));
  EXPECT_EQ(rig.rewritten(kCsrSip, 0), 0u);
  rig.write(kCsrMideleg, kSupervisors & ~bit_of(kSsi));
  rig.write(kCsrSip, ~u64{0});
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  // STIP and SEIP that M-mode set cannot be cleared by S-mode.
  rig.write(kCsrMideleg, kSupervisors);
  rig.write(kCsrMip, kSupervisors);
  rig.set_privilege(Privilege::supervisor);
  EXPECT_EQ(rig.rewritten(kCsrSip, 0), bit_of(kSti) | bit_of(kSei));
}

TEST(Interrupts, SieIsAViewOfMie) {
  Rig rig;
  rig.write(kCsrMie, kAll);
  EXPECT_EQ(rig.read(kCsrSie), 0u);
  rig.write(kCsrMideleg, bit_of(kSti));
  EXPECT_EQ(rig.read(kCsrSie), bit_of(kSti));
  rig.write(kCsrSie, 0);
  EXPECT_EQ(rig.read(kCsrMie), kAll & ~bit_of(kSti));
  rig.write(kCsrMie, 0);
  rig.write(kCsrSie, ~u64{0});
  EXPECT_EQ(rig.read(kCsrMie), bit_of(kSti));
}

TEST(Interrupts, TheExternalLineAndItsSoftwareBitAreTwoThings) {
  Rig rig;
  u64 old = 0;
  raise(rig, bit_of(kSei));
  // Reads see both; a read-modify-write does not turn the line into a software bit.
  EXPECT_TRUE(rig.csr(Op::csrrs, kCsrMip, bit_of(kSsi), old));
  EXPECT_EQ(old, bit_of(kSei));
  rig.shared().lines.store(0);
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  EXPECT_TRUE(rig.csr(Op::csrrs, kCsrMip, bit_of(kSei), old));
  raise(rig, 0);
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  rig.write(kCsrMip, bit_of(kSei));
  EXPECT_TRUE(rig.csr(Op::csrrc, kCsrMip, bit_of(kSti), old));
  EXPECT_EQ(rig.read(kCsrMip), bit_of(kSei));
  EXPECT_TRUE(rig.csr(Op::csrrc, kCsrMip, bit_of(kSei), old));
  EXPECT_EQ(rig.read(kCsrMip), 0u);
}

TEST(Interrupts, AReadModifyWriteKeepsWhatArrivesMeanwhile) {
  // Another hart raises SSIP while this one, which has not looked yet, changes another bit of mip: it must
  // not be lost.
  Rig rig;
  rig.device.on_write = [&](u64) {
    rig.shared().lines.fetch_or(1u << kSsi);
    rig.attention.post(0, kAttentionInterrupt);
  };
  for (const Op op : {Op::csrrs, Op::csrrc}) {
    rig.reset();
    rig.start_at(kCode, {encode_store(Op::sw, zero, 0, a1), encode_csr(op, zero, kCsrMip, a2), kNop});
    rig.x(a1) = kDevice;
    rig.x(a2) = bit_of(kSti);
    rig.run(3);
    EXPECT_TRUE(rig.shared().lines.load() & (1u << kSsi)) << info(op).mnemonic;
    EXPECT_TRUE(rig.hart().mip() & bit_of(kSsi)) << info(op).mnemonic;
  }
}

// ---- WFI

TEST(Wfi, PendingInterruptsEndItEvenWhereTheyAreNotTaken) {
  Rig rig;
  const struct {
    const char* what;
    Privilege mode;
    u64 status, delegated;
  } rows[] = {{"M-mode, MIE off", Privilege::machine, 0, 0},
              {"M-mode, delegated", Privilege::machine, mstatus::kMie | mstatus::kSie, kSupervisors},
              {"S-mode, SIE off", Privilege::supervisor, 0, kSupervisors}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    rig.reset();
    rig.start_at(kCode, {kWfi, encode_i(Op::addi, a0, zero, 9)});
    rig.state().mie = bit_of(kSei);
    rig.state().mideleg = row.delegated;
    rig.state().mstatus = row.status;
    rig.state().privilege = row.mode;
    raise(rig, bit_of(kSei));
    EXPECT_EQ(rig.run(2), Outcome{});
    EXPECT_EQ(rig.x(a0), 9u);
    EXPECT_EQ(rig.state().pc, kCode + 8);
    EXPECT_EQ(rig.state().retired, 2u);
  }
}

TEST(Wfi, ATakenInterruptReturnsBehindIt) {
  Rig rig;
  rig.start_at(kCode, {kWfi, kNop});
  rig.state().mie = bit_of(kMsi);
  rig.state().mstatus = mstatus::kMie;
  // Pending before: it is taken before the WFI. Raised by the instruction in front: behind the WFI.
  raise(rig, bit_of(kMsi));
  rig.hart().run(0);
  EXPECT_EQ(rig.state().mepc, kCode);
  rig.reset();
  rig.start_at(kCode, {encode_store(Op::sw, zero, 0, a1), kWfi, kNop});
  rig.state().mie = bit_of(kMsi);
  rig.state().mstatus = mstatus::kMie;
  rig.x(a1) = kDevice;
  rig.device.on_write = [&](u64) {
    rig.shared().lines.fetch_or(1u << kMsi);
    rig.attention.post(0, kAttentionInterrupt);
  };
  rig.hart().run(2);
  EXPECT_EQ(rig.state().mepc, kCode + 8);
  EXPECT_EQ(rig.state().pc, kMachineTrap);
  EXPECT_EQ(rig.state().retired, 2u);
}

TEST(Wfi, WaitsForAnEnabledOne) {
  Rig rig;
  rig.start_at(kCode, {encode_store(Op::sw, zero, 0, a1), kWfi, encode_i(Op::addi, a0, zero, 9)});
  rig.state().mie = bit_of(kMsi);
  rig.x(a1) = kDevice;
  rig.x(a0) = 1;
  // Something else is pending; mail gets the hart out of its sleep, and the wait goes on afterwards.
  rig.device.on_write = [&](u64) {
    rig.shared().lines.fetch_or(1u << kMei | 1u << kSsi);
    rig.attention.post(0, kAttentionInterrupt | kAttentionMail);
  };
  EXPECT_EQ(rig.hart().run(10), Hart::Exit::mail);
  EXPECT_EQ(rig.state().pc, kCode + 8);
  EXPECT_EQ(rig.state().retired, 2u);
  rig.attention.post(0, kAttentionMail);
  EXPECT_EQ(rig.hart().run(10), Hart::Exit::mail);
  EXPECT_EQ(rig.state().retired, 2u);
  EXPECT_EQ(rig.x(a0), 1u);
  rig.shared().lines.fetch_or(1u << kMsi);
  EXPECT_EQ(rig.hart().run(1), Hart::Exit::budget);
  EXPECT_EQ(rig.x(a0), 9u);
  EXPECT_EQ(rig.state().retired, 3u);
}

TEST(Wfi, TheTimerEndsIt) {
  Rig rig;
  rig.start_at(kCode, {encode_store(Op::sw, zero, 0, a1), kWfi, encode_i(Op::addi, a0, zero, 9)});
  rig.state().mie = bit_of(kMti);
  rig.shared().mtimecmp.store(500);
  rig.x(a1) = kDevice;
  rig.device.on_write = [&](u64) {
    rig.clock.now.store(500);
    rig.attention.post(0, kAttentionTimer);
  };
  EXPECT_EQ(rig.run(3), Outcome{});
  EXPECT_EQ(rig.x(a0), 9u);
}

TEST(Wfi, WhoMayExecuteIt) {
  Rig rig;
  const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), kWfi, kCode, Privilege::machine};
  for (const Privilege mode : kPrivileges) {
    for (const bool tw : {false, true}) {
      rig.reset();
      rig.state().mie = bit_of(kSei);
      rig.state().mideleg = kSupervisors;
      rig.state().privilege = mode;
      rig.state().mstatus = tw ? mstatus::kTw : 0;
      if (mode != Privilege::user) raise(rig, bit_of(kSei));
      const bool allowed = mode == Privilege::machine || (mode == Privilege::supervisor && !tw);
      EXPECT_EQ(rig.execute(kWfi), allowed ? Outcome{} : illegal) << privilege_name(mode) << tw;
    }
  }
}

// ---- timers

TEST(Timers, TheMachineTimersComparison) {
  Rig rig;
  rig.shared().mtimecmp.store(1000);
  for (const auto& [now, pending] : {std::pair{u64{0}, false}, {u64{999}, false}, {u64{1000}, true}, {~u64{0}, true}}) {
    rig.clock.now.store(now);
    EXPECT_EQ(rig.read(kCsrMip), pending ? bit_of(kMti) : 0) << now;
  }
}

TEST(Timers, StimecmpNeedsPermission) {
  Rig rig;
  for (const bool stce : {false, true}) {
    for (const bool tm : {false, true}) {
      for (const Privilege mode : kPrivileges) {
        SCOPED_TRACE(testing::Message() << stce << tm << privilege_name(mode));
        rig.reset();
        rig.write(kCsrMenvcfg, stce ? envcfg::kStce : 0);
        rig.write(kCsrMcounteren, tm ? 2 : ~u64{2});
        rig.write(kCsrScounteren, ~u64{0});
        rig.set_privilege(mode);
        const bool allowed = mode == Privilege::machine || (mode == Privilege::supervisor && stce && tm);
        EXPECT_EQ(rig.readable(kCsrStimecmp), allowed);
        EXPECT_EQ(rig.writable(kCsrStimecmp, 1), allowed);
      }
    }
  }
}

TEST(Timers, StimecmpDrivesStip) {
  Rig rig;
  rig.clock.now.store(1000);
  rig.write(kCsrMenvcfg, envcfg::kStce);
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  rig.write(kCsrStimecmp, 1000);
  EXPECT_EQ(rig.read(kCsrMip), bit_of(kSti));
  rig.write(kCsrMip, 0);  // read-only now
  EXPECT_EQ(rig.read(kCsrMip), bit_of(kSti));
  rig.write(kCsrStimecmp, 1001);
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  rig.write(kCsrMip, bit_of(kSti));
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  EXPECT_EQ(rig.shared().deadline.load(), 1001u);
  rig.clock.now.store(1001);
  EXPECT_EQ(rig.read(kCsrMip), bit_of(kSti));
  rig.write(kCsrStimecmp, ~u64{0});
  EXPECT_EQ(rig.read(kCsrMip), 0u);
  EXPECT_EQ(rig.shared().deadline.load(), ~u64{0});
  rig.shared().mtimecmp.store(5000);
  rig.write(kCsrStimecmp, 6000);
  EXPECT_EQ(rig.shared().deadline.load(), 5000u);
}

TEST(Timers, StipChangesHandsWithStce) {
  // All in one run, so that nothing but the writes themselves can refresh the bit.
  Rig rig;
  rig.clock.now.store(1000);
  rig.state().stimecmp = 10;
  const u32 write_menvcfg = encode_csr(Op::csrrw, zero, kCsrMenvcfg, a1),
            read_mip = encode_csr(Op::csrrs, a0, kCsrMip, zero);
  rig.start_at(
      kCode, {write_menvcfg, encode_csr(Op::csrrs, a2, kCsrMip, zero), encode_csr(Op::csrrw, zero, kCsrMenvcfg, zero),
              read_mip, encode_csr(Op::csrrw, zero, kCsrMip, a3), encode_csr(Op::csrrs, a4, kCsrMip, zero),
              write_menvcfg, encode_csr(Op::csrrw, zero, kCsrStimecmp, a5), encode_csr(Op::csrrs, a6, kCsrMip, zero)});
  rig.x(a1) = envcfg::kStce;
  rig.x(a3) = bit_of(kSti);
  rig.x(a5) = ~u64{0};
  rig.run(9);
  EXPECT_EQ(rig.x(a2), bit_of(kSti));  // the comparator's
  EXPECT_EQ(rig.x(a0), 0u);            // software's, who wrote none
  EXPECT_EQ(rig.x(a4), bit_of(kSti));  // software's
  EXPECT_EQ(rig.x(a6), 0u);            // the comparator's again
}

TEST(Timers, TheSupervisorTimerInterrupts) {
  Rig rig;
  rig.clock.now.store(50);
  rig.start_at(kCode, {encode_csr(Op::csrrw, zero, kCsrStimecmp, a1), kNop});
  rig.state().menvcfg = envcfg::kStce;
  rig.state().mcounteren = 2;
  rig.state().mideleg = kSupervisors;
  rig.state().mie = bit_of(kSti);
  rig.state().mstatus = mstatus::kSie;
  rig.state().privilege = Privilege::supervisor;
  rig.drop_caches();
  rig.x(a1) = 50;
  rig.hart().run(1);
  EXPECT_EQ(rig.state().scause, kInterruptCause | kSti);
  EXPECT_EQ(rig.state().sepc, kCode + 4);
  EXPECT_EQ(rig.state().privilege, Privilege::supervisor);
}

}  // namespace
}  // namespace hartwood::test
