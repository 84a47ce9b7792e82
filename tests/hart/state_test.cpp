// SPDX-License-Identifier: Apache-2.0
// Saving and loading a hart: round trip, going on where it was, and input that no hart ever wrote.
#include "hart/state.h"

#include <random>

#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

std::vector<u8> saved(const HartState& state) {
  StateWriter out;
  state.save(out);
  return out.bytes();
}
// The error, empty if there is none.
std::string loaded(HartState& state, std::span<const u8> bytes) {
  StateReader in(bytes);
  state.load(in);
  return in.error();
}

// Legal, and different in every field.
HartState distinct_state() {
  HartState s;
  u64 next = 0x0101'0203'0405'0600;
  const auto fresh = [&] { return next += 0x0101'0101'0101'0110; };
  for (unsigned i = 1; i < 32; i++) s.x[i] = fresh();
  for (u64& f : s.f) f = fresh();
  s.pc = fresh() & ~u64{1};
  s.privilege = Privilege::supervisor;
  s.fflags = 0x15;
  s.frm = 3;
  s.mstatus = mstatus::kSie | mstatus::kMpie | u64{1} << mstatus::kMppShift | mstatus::kFs | mstatus::kSum;
  s.mie = 0x2a2;
  s.mip_soft = 0x220;
  s.medeleg = 0xb1ff;
  s.mideleg = 0x222;
  for (u64* field : {&s.mtvec, &s.stvec}) *field = fresh() & ~u64{3};
  for (u64* field : {&s.mepc, &s.sepc}) *field = fresh() & ~u64{1};
  for (u64* field : {&s.mcause, &s.mtval, &s.mscratch, &s.scause, &s.stval, &s.sscratch, &s.stimecmp, &s.mcycle_base,
                     &s.minstret_base, &s.retired, &s.reserved_value})
    *field = fresh();
  for (unsigned i = 0; i < kHpmCounters; i++) {
    s.hpm_event[i] = static_cast<HpmEvent>(i + 1);
    s.hpm_base[i] = fresh();
  }
  for (u64& count : s.event_counts) count = fresh();
  s.mcounteren = 0x1234'5678;
  s.scounteren = 0x8765'4321;
  s.mcountinhibit = 4;
  s.menvcfg = envcfg::kStce | envcfg::kAdue | 0x30;
  s.senvcfg = 0x71;
  s.satp = u64{9} << 60 | u64{0x123} << 44 | 0x8'1234;
  for (unsigned i = 0; i < kPmpEntries; i++) {
    s.pmpcfg[i] = static_cast<u8>(0x18 + (i & 1));
    s.pmpaddr[i] = fresh() >> 10;
  }
  s.reserved = true;
  s.reserved_size = 8;
  s.reserved_pa = 0x8000'1000;
  return s;
}

TEST(HartState, RoundTrip) {
  const HartState original = distinct_state();
  const std::vector<u8> bytes = saved(original);
  HartState copy;
  EXPECT_EQ(loaded(copy, bytes), "");
  EXPECT_EQ(saved(copy), bytes);
  for (unsigned i = 0; i < 32; i++) {
    EXPECT_EQ(copy.x[i], original.x[i]);
    EXPECT_EQ(copy.f[i], original.f[i]);
  }
  const auto same = [&](auto HartState::*field) { return copy.*field == original.*field; };
  EXPECT_TRUE(same(&HartState::pc) && same(&HartState::privilege) && same(&HartState::fflags) && same(&HartState::frm));
  EXPECT_TRUE(same(&HartState::mstatus) && same(&HartState::mie) && same(&HartState::mip_soft));
  EXPECT_TRUE(same(&HartState::medeleg) && same(&HartState::mideleg));
  EXPECT_TRUE(same(&HartState::mtvec) && same(&HartState::mepc) && same(&HartState::mcause) && same(&HartState::mtval));
  EXPECT_TRUE(same(&HartState::mscratch) && same(&HartState::mcounteren) && same(&HartState::mcountinhibit));
  EXPECT_TRUE(same(&HartState::menvcfg) && same(&HartState::stvec) && same(&HartState::sepc) &&
              same(&HartState::scause));
  EXPECT_TRUE(same(&HartState::stval) && same(&HartState::sscratch) && same(&HartState::satp));
  EXPECT_TRUE(same(&HartState::scounteren) && same(&HartState::senvcfg) && same(&HartState::stimecmp));
  EXPECT_TRUE(same(&HartState::mcycle_base) && same(&HartState::minstret_base) && same(&HartState::retired));
  EXPECT_TRUE(same(&HartState::reserved) && same(&HartState::reserved_size) && same(&HartState::reserved_pa));
  EXPECT_TRUE(same(&HartState::reserved_value));
  EXPECT_TRUE(std::equal(std::begin(copy.hpm_event), std::end(copy.hpm_event), original.hpm_event));
  EXPECT_TRUE(std::equal(std::begin(copy.hpm_base), std::end(copy.hpm_base), original.hpm_base));
  EXPECT_TRUE(std::equal(std::begin(copy.event_counts), std::end(copy.event_counts), original.event_counts));
  EXPECT_TRUE(std::equal(std::begin(copy.pmpcfg), std::end(copy.pmpcfg), original.pmpcfg));
  EXPECT_TRUE(std::equal(std::begin(copy.pmpaddr), std::end(copy.pmpaddr), original.pmpaddr));
}

TEST(HartState, AFreshHartRoundTrips) {
  const std::vector<u8> bytes = saved(HartState{});
  HartState copy = distinct_state();
  EXPECT_EQ(loaded(copy, bytes), "");
  EXPECT_EQ(saved(copy), bytes);
}

TEST(HartState, AnotherHartGoesOnInTheSamePlace) {
  // Half of a program on one hart, half on another that got its state: paging, floating point, a reservation
  // between.
  const std::vector<u32> program = {encode_amo(Op::lr_d, a0, a1, zero),
                                    encode_i(Op::addi, a0, a0, 5),
                                    encode_load(Op::fld, static_cast<Reg>(3), 8, a1),
                                    encode_r(Op::fadd_d, static_cast<Reg>(4), static_cast<Reg>(3), static_cast<Reg>(3)),
                                    encode_csr(Op::csrrs, a4, kCsrInstret, zero),
                                    encode_amo(Op::sc_d, a2, a1, a0),
                                    encode_store(Op::fsd, static_cast<Reg>(4), 16, a1),
                                    encode_csr(Op::csrrs, a3, kCsrInstret, zero)};
  for (u64 split = 0; split <= program.size(); split++) {
    SCOPED_TRACE(split);
    Rig first, second;
    for (Rig* rig : {&first, &second}) {
      Paging paging(*rig, SatpMode::sv39);
      paging.map(0x1000, kData, pte::kRw | pte::kAd);
      paging.map(0x2000, kCode, pte::kRx | pte::kAd);
      rig->place(kCode, program);
      rig->poke<u64>(kData, 37);
      rig->poke<u64>(kData + 8, 0x3ff8'0000'0000'0000);  // 1.5
      if (rig == &second) continue;
      paging.enable();
      HartState& s = rig->state();
      s.privilege = Privilege::supervisor;
      s.pc = 0x2000;
      s.mstatus = u64{1} << mstatus::kFsShift;
      s.mcounteren = 7;
      s.x[a1] = 0x1000;
    }
    first.run(split);
    second.poke<u64>(kData, first.peek<u64>(kData));
    second.poke<u64>(kData + 16, first.peek<u64>(kData + 16));
    ASSERT_EQ(loaded(second.state(), saved(first.state())), "");
    second.hart().state_changed();
    EXPECT_EQ(second.run(program.size() - split), Outcome{});
    EXPECT_EQ(second.x(a2), 0u);
    EXPECT_EQ(second.peek<u64>(kData), 42u);
    EXPECT_EQ(second.peek<u64>(kData + 16), 0x4008'0000'0000'0000u);  // 3.0
    EXPECT_EQ(second.x(a3), second.x(a4) + 3);
    EXPECT_EQ(second.state().retired, program.size());
    EXPECT_EQ(second.state().pc, 0x2000 + 4 * program.size());
  }
}

TEST(HartState, ShortInputIsAnError) {
  const std::vector<u8> bytes = saved(distinct_state());
  for (size_t length = 0; length < bytes.size(); length++) {
    HartState state;
    EXPECT_NE(loaded(state, std::span(bytes).first(length)), "") << length;
  }
}

TEST(HartState, ForeignAndNewerSectionsAreErrors) {
  std::vector<u8> bytes = saved(distinct_state());
  HartState state;
  bytes[0] ^= 1;
  EXPECT_NE(loaded(state, bytes), "");
  bytes[0] ^= 1;
  bytes[4]++;  // the version
  EXPECT_NE(loaded(state, bytes), "");
  bytes[4] = 0;
  EXPECT_NE(loaded(state, bytes), "");
}

TEST(HartState, MoreFieldsThanExpectedAreAnError) {
  std::vector<u8> bytes = saved(distinct_state());
  bytes.push_back(0);
  store_le<u64>(bytes.data() + 8, load_le<u64>(bytes.data() + 8) + 1);
  HartState state;
  EXPECT_NE(loaded(state, bytes), "");
}

TEST(HartState, WhatNoHartCanHoldIsAnError) {
  const struct {
    const char* what;
    void (*spoil)(HartState&);
  } rows[] = {
      {"privilege 2", [](HartState& s) { s.privilege = static_cast<Privilege>(2); }},
      {"privilege 255", [](HartState& s) { s.privilege = static_cast<Privilege>(255); }},
      {"MPP 2", [](HartState& s) { s.mstatus = u64{2} << mstatus::kMppShift; }},
      {"an odd pc", [](HartState& s) { s.pc |= 1; }},
      {"an odd mepc", [](HartState& s) { s.mepc |= 1; }},
      {"an odd sepc", [](HartState& s) { s.sepc |= 1; }},
      {"frm of four bits", [](HartState& s) { s.frm = 8; }},
      {"fflags of six bits", [](HartState& s) { s.fflags = 32; }},
      {"satp mode 1", [](HartState& s) { s.satp = u64{1} << 60; }},
      {"satp mode 15", [](HartState& s) { s.satp = u64{15} << 60; }},
      {"delegated machine interrupts", [](HartState& s) { s.mideleg = kMei; }},
  };
  for (const auto& row : rows) {
    HartState state = distinct_state();
    row.spoil(state);
    HartState copy;
    EXPECT_NE(loaded(copy, saved(state)), "") << row.what;
  }
}

TEST(HartState, AReservationOfNoSizeIsNone) {
  HartState state = distinct_state();
  for (const u8 size : {u8{0}, u8{1}, u8{2}, u8{16}, u8{255}}) {
    state.reserved_size = size;
    HartState copy;
    EXPECT_EQ(loaded(copy, saved(state)), "");
    EXPECT_FALSE(copy.reserved);
  }
}

TEST(HartState, NoBytesHarmTheHost) {
  // Saved states with bytes changed at random: each is refused, or runs without leaving the machine.
  std::mt19937_64 random(2026);
  Rig rig;
  const std::vector<u8> good = saved(distinct_state());
  u32 accepted = 0;
  for (int round = 0; round < 3000; round++) {
    std::vector<u8> bytes = good;
    for (u64 i = 0; i <= random() % 4; i++) bytes[16 + random() % (bytes.size() - 16)] = static_cast<u8>(random());
    HartState state;
    if (!loaded(state, bytes).empty()) continue;
    accepted++;
    rig.state() = state;
    if (round % 2) rig.state().satp = 0;
    if (round % 4 == 1) rig.state().pc = kCode + (random() & 0xffe);
    rig.hart().state_changed();
    rig.attention.post(0, kAttentionMail);  // so that a WFI does not sleep
    rig.hart().run(1);
    rig.hart().run(20);
  }
  EXPECT_GT(accepted, 1000u);
}

TEST(HartState, OddAddressesNeverReachTheFetch) {
  // Whoever sets a pc from outside: the lowest bit does not exist.
  Rig rig;
  rig.place(kCode, {encode_i(Op::addi, a0, zero, 3), kNop});
  rig.state().pc = kCode + 1;
  rig.hart().state_changed();
  EXPECT_EQ(rig.run(), Outcome{});
  EXPECT_EQ(rig.x(a0), 3u);
  EXPECT_EQ(rig.state().pc, kCode + 4);
}

}  // namespace
}  // namespace hartwood::test
