// SPDX-License-Identifier: Apache-2.0
// cycle, time and instret, their machine twins, who may read them, and mcountinhibit.
// [unpriv: "Zicntr" and "Zihpm"; priv: Hardware Performance Monitor; Machine Counter-Enable; Machine
// Counter-Inhibit]
#include "hart/rig.h"

namespace hartwood::test {
namespace {

u32 read_of(Reg rd, u32 csr) { return encode_csr(Op::csrrs, rd, csr, zero); }
u32 write_of(u32 csr, Reg rs1) { return encode_csr(Op::csrrw, zero, csr, rs1); }

TEST(Counters, InstretIsWhatWasRetiredBefore) {
  Rig rig;
  rig.start_at(kCode, {read_of(a0, kCsrInstret), kNop, read_of(a1, kCsrMinstret), 0x0001'0001,
                       read_of(a2, kCsrInstret)});
  rig.run(6);
  EXPECT_EQ(rig.x(a0), 0u);
  EXPECT_EQ(rig.x(a1), 2u);
  EXPECT_EQ(rig.x(a2), 5u);
}

TEST(Counters, TrapsDoNotRetire) {
  Rig rig;
  rig.place(kMachineTrap, {read_of(a1, kCsrMinstret), kMret});
  rig.start_at(kCode, {kNop, kEcall});
  rig.state().mepc = 0;
  rig.run(3);
  EXPECT_EQ(rig.x(a1), 1u);
  EXPECT_EQ(rig.state().retired, 2u);
  for (const u32 word :
       {u32{0xffff'ffff}, kEbreak, access_word(Op::ld), encode_csr(Op::csrrw, a0, 0x7c0, a0)}) {
    rig.reset();
    rig.place(kMachineTrap, {read_of(a1, kCsrMinstret)});
    rig.start_at(kCode, {kNop, kNop, word});
    rig.x(a1) = 0;
    rig.run(4);
    EXPECT_EQ(rig.x(a1), 2u) << std::hex << word;
  }
}

TEST(Counters, AWriteTakesThePlaceOfItsOwnCount) {
  for (const auto& [machine, user] : {std::pair{kCsrMinstret, kCsrInstret}, {kCsrMcycle, kCsrCycle}}) {
    Rig rig;
    rig.start_at(kCode, {kNop, write_of(machine, a1), read_of(a2, machine), read_of(a3, user), kNop, kNop,
                         read_of(a4, machine)});
    for (const u64 value : {u64{1000}, ~u64{0}, u64{0}}) {
      rig.state().pc = kCode;
      rig.x(a1) = value;
      rig.run(7);
      EXPECT_EQ(rig.x(a2), value);
      EXPECT_EQ(rig.x(a3), value + 1);
      EXPECT_EQ(rig.x(a4), value + 4);
    }
  }
}

TEST(Counters, InhibitStopsAndResumes) {
  Rig rig;
  const std::vector<u32> program = {write_of(kCsrMcountinhibit, a1),
                                    read_of(s2, kCsrMcycle),
                                    read_of(s3, kCsrMinstret),
                                    kNop,
                                    kNop,
                                    read_of(s4, kCsrMcycle),
                                    read_of(s5, kCsrMinstret),
                                    write_of(kCsrMcountinhibit, zero),
                                    read_of(s6, kCsrMcycle),
                                    read_of(s7, kCsrMinstret),
                                    kNop,
                                    read_of(s8, kCsrMcycle),
                                    read_of(s9, kCsrMinstret)};
  for (const u64 inhibit : {u64{1}, u64{4}, u64{5}, u64{2}, u64{0}}) {
    rig.reset();
    rig.start_at(kCode, program);
    rig.x(a1) = inhibit;
    rig.run(program.size());
    SCOPED_TRACE(inhibit);
    const bool cycle_stops = inhibit & 1, instret_stops = inhibit & 4;
    EXPECT_EQ(rig.x(s4) - rig.x(s2), cycle_stops ? 0u : 4u);
    EXPECT_EQ(rig.x(s5) - rig.x(s3), instret_stops ? 0u : 4u);
    // Running again from where they stood.
    EXPECT_LE(rig.x(s6) - rig.x(s4), cycle_stops ? 1u : 3u);
    EXPECT_LE(rig.x(s7) - rig.x(s5), instret_stops ? 2u : 3u);
    EXPECT_EQ(rig.x(s8) - rig.x(s6), 3u);
    EXPECT_EQ(rig.x(s9) - rig.x(s7), 3u);
  }
}

TEST(Counters, StoppedOnesCanBeWritten) {
  Rig rig;
  rig.write(kCsrMcountinhibit, 5);
  EXPECT_EQ(rig.rewritten(kCsrMcycle, 77), 77u);
  EXPECT_EQ(rig.rewritten(kCsrMinstret, 88), 88u);
  EXPECT_EQ(rig.read(kCsrCycle), 77u);
  EXPECT_EQ(rig.read(kCsrInstret), 88u);
  // One stops without the other.
  rig.write(kCsrMcountinhibit, 1);
  EXPECT_EQ(rig.read(kCsrMcycle), 77u);
  const u64 first = rig.read(kCsrMinstret);
  EXPECT_EQ(rig.read(kCsrMinstret), first + 1);
}

TEST(Counters, TimeIsTheClock) {
  Rig rig;
  for (const u64 now : {u64{0}, u64{12345}, ~u64{0}}) {
    rig.clock.now.store(now);
    EXPECT_EQ(rig.read(kCsrTime), now);
  }
}

TEST(Counters, WhoMayReadWhich) {
  Rig rig;
  for (u32 counter = 0; counter < 32; counter++) {
    for (const bool machine_allows : {false, true}) {
      for (const bool supervisor_allows : {false, true}) {
        for (const Privilege mode : kPrivileges) {
          SCOPED_TRACE(testing::Message()
                       << counter << privilege_name(mode) << machine_allows << supervisor_allows);
          rig.reset();
          // All the others' bits are the opposite.
          rig.write(kCsrMcounteren, machine_allows ? u64{1} << counter : ~(u64{1} << counter));
          rig.write(kCsrScounteren, supervisor_allows ? u64{1} << counter : ~(u64{1} << counter));
          rig.set_privilege(mode);
          const bool allowed = mode == Privilege::machine ||
                               (machine_allows && (mode == Privilege::supervisor || supervisor_allows));
          EXPECT_EQ(rig.readable(0xc00 + counter), allowed);
          EXPECT_FALSE(rig.writable(0xc00 + counter, 0));
        }
      }
    }
  }
}

TEST(Counters, CountOnAcrossSlicesAndModes) {
  Rig rig{RigOptions{.slice = 3}};
  rig.start_at(kCode, {encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, zero, -4)});
  rig.state().privilege = Privilege::user;
  rig.run(1001);
  EXPECT_EQ(rig.state().retired, 1001u);
  EXPECT_EQ(rig.shared().retired.load(), 1001u);
  rig.state().privilege = Privilege::machine;
  EXPECT_EQ(rig.read(kCsrMinstret), 1001u);
}

}  // namespace
}  // namespace hartwood::test
