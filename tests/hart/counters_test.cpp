// SPDX-License-Identifier: Apache-2.0
// cycle, time and instret, their machine twins, who may read them, the counters of events, and mcountinhibit.
// [unpriv: "Zicntr" and "Zihpm"; priv: Hardware Performance Monitor; Machine Counter-Enable; Machine
// Counter-Inhibit]
#include "hart/rig.h"

namespace hartwood::test {
namespace {

u32 read_of(Reg rd, u32 csr) { return encode_csr(Op::csrrs, rd, csr, zero); }
u32 write_of(u32 csr, Reg rs1) { return encode_csr(Op::csrrw, zero, csr, rs1); }

TEST(Counters, InstretIsWhatWasRetiredBefore) {
  Rig rig;
  rig.start_at(kCode,
               {read_of(a0, kCsrInstret), kNop, read_of(a1, kCsrMinstret), 0x0001'0001, read_of(a2, kCsrInstret)});
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
  for (const u32 word : {u32{0xffff'ffff}, kEbreak, access_word(Op::ld), encode_csr(Op::csrrw, a0, 0x7c0, a0)}) {
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

constexpr u64 number_of(HpmEvent event) { return kHpmEventNumbers[static_cast<unsigned>(event)]; }
constexpr u32 kLastHpm = kHpmCounters - 1;

TEST(Counters, EventNumbersAreKeptOrNone) {
  Rig rig;
  for (u32 i = 0; i < 29; i++) {
    SCOPED_TRACE(i);
    const bool there = i < kHpmCounters;
    for (const u64 number : kHpmEventNumbers) EXPECT_EQ(rig.rewritten(kCsrMhpmevent3 + i, number), there ? number : 0);
    for (const u64 number : {u64{3}, u64{0x1'0018}, ~u64{0}, u64{1} << 63 | 1})
      EXPECT_EQ(rig.rewritten(kCsrMhpmevent3 + i, number), 0u);
    EXPECT_EQ(rig.rewritten(kCsrMhpmcounter3 + i, 55), there ? 55u : 0u);
    EXPECT_EQ(rig.read(kCsrHpmcounter3 + i), there ? 55u : 0u);
  }
  EXPECT_EQ(rig.rewritten(kCsrMcountinhibit, ~u64{0}), 0x1fdu);
}

TEST(Counters, EventsOfInstructions) {
  for (const auto& [event, machine] :
       {std::pair{HpmEvent::cycles, kCsrMcycle}, {HpmEvent::instructions, kCsrMinstret}}) {
    Rig rig;
    const u32 counter = kCsrMhpmcounter3 + kLastHpm;
    rig.write(kCsrMhpmevent3 + kLastHpm, number_of(event));
    rig.start_at(kCode, {write_of(machine, a1), write_of(counter, a1), read_of(a2, machine), read_of(a3, counter), kNop,
                         read_of(a4, machine), read_of(a5, counter)});
    rig.x(a1) = 1000;
    rig.run(7);
    EXPECT_EQ(rig.x(a3), 1001u);  // the write took the place of its own count, as mcycle's and minstret's
    EXPECT_EQ(rig.x(a5) - rig.x(a3), 3u);
    EXPECT_EQ(rig.x(a4) - rig.x(a2), 3u);
  }
}

TEST(Counters, EventsOfTraps) {
  Rig rig;
  for (u32 i = 0; i < 2; i++) {
    rig.write(kCsrMhpmevent3 + i, number_of(i == 0 ? HpmEvent::exceptions : HpmEvent::interrupts));
    rig.write(kCsrMhpmcounter3 + i, 100);
  }
  rig.place(kMachineTrap, {kNop});
  rig.start_at(kCode, {kEcall});
  rig.run(1);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 101u);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3 + 1), 100u);
  rig.shared().lines.store(u32{1} << kMsi);
  rig.state().mie = u64{1} << kMsi;
  rig.state().mstatus |= mstatus::kMie;
  rig.run(1);
  rig.shared().lines.store(0);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 101u);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3 + 1), 101u);
  // Stopped, it keeps its value and what happens meanwhile is not counted; then it goes on from there.
  rig.write(kCsrMcountinhibit, u64{1} << 3);
  rig.start_at(kCode, {kEcall});
  rig.run(1);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 101u);
  EXPECT_EQ(rig.rewritten(kCsrMhpmcounter3, 7), 7u);
  rig.write(kCsrMcountinhibit, 0);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 7u);
  rig.start_at(kCode, {kEcall});
  rig.run(1);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 8u);
  // Another event: the value stays.
  rig.write(kCsrMhpmevent3, number_of(HpmEvent::interrupts));
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 8u);
  rig.start_at(kCode, {kEcall});
  rig.run(1);
  EXPECT_EQ(rig.read(kCsrMhpmcounter3), 8u);
}

TEST(Counters, EventsOfTranslations) {
  Rig rig;
  const HpmEvent events[] = {HpmEvent::load_misses, HpmEvent::store_misses, HpmEvent::fetch_misses};
  for (u32 i = 0; i < 3; i++) rig.write(kCsrMhpmevent3 + i, number_of(events[i]));
  const u64 at = kData;
  u64 before[3];
  const auto sample = [&] {
    for (u32 i = 0; i < 3; i++) before[i] = rig.read(kCsrMhpmcounter3 + i);
  };
  const auto counted = [&](u32 i) { return rig.read(kCsrMhpmcounter3 + i) - before[i]; };
  rig.access(Op::ld, at);  // the code of the access itself is known from here on
  rig.access(Op::sd, at);
  rig.drop_caches();
  sample();
  rig.access(Op::ld, at);
  EXPECT_EQ(counted(0), 1u);
  EXPECT_EQ(counted(1), 0u);
  EXPECT_GE(counted(2), 1u);
  rig.access(Op::sd, at);
  EXPECT_EQ(counted(0), 1u);
  EXPECT_EQ(counted(1), 1u);
  sample();
  for (u32 i = 0; i < 10; i++) {
    rig.access(Op::ld, at + 8 * i);
    rig.access(Op::sd, at + 8 * i);
  }
  // The rig drops what is cached when it reads the registers.
  EXPECT_EQ(counted(0), 1u);
  EXPECT_EQ(counted(1), 1u);
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
          SCOPED_TRACE(testing::Message() << counter << privilege_name(mode) << machine_allows << supervisor_allows);
          rig.reset();
          // All the others' bits are the opposite.
          rig.write(kCsrMcounteren, machine_allows ? u64{1} << counter : ~(u64{1} << counter));
          rig.write(kCsrScounteren, supervisor_allows ? u64{1} << counter : ~(u64{1} << counter));
          rig.set_privilege(mode);
          const bool allowed =
              mode == Privilege::machine || (machine_allows && (mode == Privilege::supervisor || supervisor_allows));
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
