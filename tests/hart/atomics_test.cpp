// SPDX-License-Identifier: Apache-2.0
// LR/SC, the AMOs and compare-and-swap: values, alignment, reservations, faults. One hart; what several do to
// each other is tested elsewhere. [unpriv: "A" Extension for Atomic Instructions; "Zacas" Extension]
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kMin64 = u64{1} << 63, kMax64 = kMin64 - 1;

struct AmoRow {
  Op op;
  u64 memory, operand, result;
};
const AmoRow kWords[] = {
    {Op::amoswap_w, 0x1111'1111, 0xffff'ffff'8000'0000, 0x8000'0000},
    {Op::amoadd_w, 0x7fff'ffff, 1, 0x8000'0000},
    {Op::amoadd_w, 0xffff'ffff, 0x1'0000'0001, 0},
    {Op::amoxor_w, 0xff00'ff00, 0x0ff0'0ff0, 0xf0f0'f0f0},
    {Op::amoand_w, 0xff00'ff00, 0x0ff0'0ff0, 0x0f00'0f00},
    {Op::amoor_w, 0xff00'ff00, 0x0ff0'0ff0, 0xfff0'fff0},
    {Op::amomin_w, 0x8000'0000, 0x7fff'ffff, 0x8000'0000},
    {Op::amomin_w, 1, 0xffff'ffff, 0xffff'ffff},
    {Op::amomin_w, 5, 0xffff'ffff'0000'0004, 4},  // only the low half of the operand counts
    {Op::amomax_w, 0x8000'0000, 0x7fff'ffff, 0x7fff'ffff},
    {Op::amomax_w, 0xffff'ffff, 0x8000'0000, 0xffff'ffff},
    {Op::amominu_w, 0x8000'0000, 0x7fff'ffff, 0x7fff'ffff},
    {Op::amominu_w, 7, 0xffff'ffff'0000'0007, 7},
    {Op::amomaxu_w, 0x8000'0000, 0x7fff'ffff, 0x8000'0000},
    {Op::amomaxu_w, 0, 0xf'0000'0000, 0},
};
const AmoRow kDoubles[] = {
    {Op::amoswap_d, 1, kMin64, kMin64},
    {Op::amoadd_d, kMax64, 1, kMin64},
    {Op::amoadd_d, ~u64{0}, 2, 1},
    {Op::amoxor_d, 0xff00'ff00'ff00'ff00, ~u64{0}, 0x00ff'00ff'00ff'00ff},
    {Op::amoand_d, 0xff00'ff00'ff00'ff00, 0xffff'0000'0000'ffff, 0xff00'0000'0000'ff00},
    {Op::amoor_d, 0xff00'0000'0000'0000, 0xff, 0xff00'0000'0000'00ff},
    {Op::amomin_d, kMin64, kMax64, kMin64},
    {Op::amomin_d, 0, ~u64{0}, ~u64{0}},
    {Op::amomax_d, kMin64, kMax64, kMax64},
    {Op::amomax_d, 0, ~u64{0}, 0},
    {Op::amominu_d, kMin64, kMax64, kMax64},
    {Op::amominu_d, 0, ~u64{0}, 0},
    {Op::amomaxu_d, kMin64, kMax64, kMin64},
    {Op::amomaxu_d, 0, ~u64{0}, ~u64{0}},
};
const Op kAmos[] = {Op::amoswap_w, Op::amoadd_w,  Op::amoxor_w,  Op::amoand_w,  Op::amoor_w,   Op::amomin_w,
                    Op::amomax_w,  Op::amominu_w, Op::amomaxu_w, Op::amoswap_d, Op::amoadd_d,  Op::amoxor_d,
                    Op::amoand_d,  Op::amoor_d,   Op::amomin_d,  Op::amomax_d,  Op::amominu_d, Op::amomaxu_d};

unsigned size_of(Op op) {
  const u32 width = info(op).match >> 12 & 7;
  return 1u << width;
}

TEST(Amo, Words) {
  Rig rig;
  for (const AmoRow& row : kWords) {
    SCOPED_TRACE(testing::Message() << info(row.op).mnemonic << std::hex << " " << row.memory << ", " << row.operand);
    for (const u64 va : {kData, kData + 4, kData + kPageBytes - 4}) {
      rig.poke<u64>(va - 4, 0x5555'5555'5555'5555);
      rig.poke<u64>(va + 4, 0x5555'5555'5555'5555);
      rig.poke<u32>(va, static_cast<u32>(row.memory));
      const Rig::Accessed accessed = rig.access(row.op, va, 0, row.operand);
      EXPECT_EQ(accessed.outcome, Outcome{});
      const u64 old = row.memory & 0x8000'0000 ? row.memory | 0xffff'ffff'0000'0000 : row.memory;
      EXPECT_EQ(accessed.value, old);
      EXPECT_EQ(rig.peek<u32>(va), static_cast<u32>(row.result));
      EXPECT_EQ(rig.peek<u32>(va - 4), 0x5555'5555u);
      EXPECT_EQ(rig.peek<u32>(va + 4), 0x5555'5555u);
      EXPECT_EQ(rig.x(a2), row.operand);
    }
  }
}

TEST(Amo, Doubles) {
  Rig rig;
  for (const AmoRow& row : kDoubles) {
    SCOPED_TRACE(testing::Message() << info(row.op).mnemonic << std::hex << " " << row.memory << ", " << row.operand);
    for (const u64 va : {kData, kData + kPageBytes - 8}) {
      rig.poke<u64>(va, row.memory);
      const Rig::Accessed accessed = rig.access(row.op, va, 0, row.operand);
      EXPECT_EQ(accessed.outcome, Outcome{});
      EXPECT_EQ(accessed.value, row.memory);
      EXPECT_EQ(rig.peek<u64>(va), row.result);
    }
  }
}

TEST(Amo, TheSameRegisterInTwoPlaces) {
  Rig rig;
  rig.poke<u64>(kData, 10);
  rig.x(a1) = kData;
  rig.x(a2) = 5;
  EXPECT_EQ(rig.execute(encode_amo(Op::amoadd_d, a2, a1, a2)), Outcome{});  // rd is the operand
  EXPECT_EQ(rig.x(a2), 10u);
  EXPECT_EQ(rig.peek<u64>(kData), 15u);
  EXPECT_EQ(rig.execute(encode_amo(Op::amoadd_d, a1, a1, a2)), Outcome{});  // rd is the address
  EXPECT_EQ(rig.x(a1), 15u);
  EXPECT_EQ(rig.peek<u64>(kData), 25u);
  rig.x(a1) = kData;
  EXPECT_EQ(rig.execute(encode_amo(Op::amoswap_d, zero, a1, a1)), Outcome{});  // no destination, address as operand
  EXPECT_EQ(rig.peek<u64>(kData), kData);
  EXPECT_EQ(rig.state().x[0], 0u);
  EXPECT_EQ(rig.execute(encode_amo(Op::amoswap_d, a0, a1, zero)), Outcome{});
  EXPECT_EQ(rig.peek<u64>(kData), 0u);
}

TEST(Amo, OrderingBitsChangeNothing) {
  Rig rig;
  for (u32 aqrl = 0; aqrl < 4; aqrl++) {
    rig.poke<u32>(kData, 1);
    rig.x(a1) = kData;
    rig.x(a2) = 2;
    EXPECT_EQ(rig.execute(encode_amo(Op::amoadd_w, a0, a1, a2) | aqrl << 25), Outcome{});
    EXPECT_EQ(rig.peek<u32>(kData), 3u);
    EXPECT_EQ(rig.execute(encode_amo(Op::lr_w, a0, a1, zero) | aqrl << 25), Outcome{});
    EXPECT_EQ(rig.execute(encode_amo(Op::sc_w, a0, a1, a2) | aqrl << 25), Outcome{});
    EXPECT_EQ(rig.x(a0), 0u);
    EXPECT_EQ(rig.peek<u32>(kData), 2u);
  }
}

TEST(Amo, MisalignedOnesTrap) {
  Rig rig{RigOptions{.zacas = true}};
  rig.poke<u64>(kData, 0x0102'0304'0506'0708);
  rig.poke<u64>(kData + 8, 0x1112'1314'1516'1718);
  std::vector<Op> all(std::begin(kAmos), std::end(kAmos));
  for (const Op op : {Op::sc_w, Op::sc_d, Op::amocas_w, Op::amocas_d, Op::amocas_q, Op::lr_w, Op::lr_d})
    all.push_back(op);
  for (const Op op : all) {
    const bool load = op == Op::lr_w || op == Op::lr_d;
    for (u64 offset = 1; offset < size_of(op); offset++) {
      EXPECT_EQ(rig.fault(op, kData + offset), load ? Cause::load_misaligned : Cause::store_misaligned)
          << info(op).mnemonic << " " << offset;
    }
    EXPECT_EQ(rig.fault(op, kData + kPageBytes - 1), load ? Cause::load_misaligned : Cause::store_misaligned);
  }
  EXPECT_EQ(rig.peek<u64>(kData), 0x0102'0304'0506'0708u);
  EXPECT_EQ(rig.peek<u64>(kData + 8), 0x1112'1314'1516'1718u);
}

TEST(Amo, FaultsAreAStoresButLrIsALoad) {
  Rig rig{RigOptions{.zacas = true}};
  Paging paging(rig, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.map(0x1000, kData, pte::kRead | pte::kAd);
  paging.map(0x2000, kDevice, pte::kRw | pte::kAd);
  paging.map(0x3000, kRamEnd, pte::kRw | pte::kAd);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  std::vector<Op> all(std::begin(kAmos), std::end(kAmos));
  for (const Op op : {Op::sc_w, Op::sc_d, Op::amocas_w, Op::amocas_d, Op::amocas_q}) all.push_back(op);
  for (const Op op : all) {
    SCOPED_TRACE(info(op).mnemonic);
    EXPECT_EQ(rig.fault(op, 0x1000), Cause::store_page);
    EXPECT_EQ(rig.fault(op, 0x2000), Cause::store_access);  // devices take no atomics
    EXPECT_EQ(rig.fault(op, 0x3000), Cause::store_access);
    EXPECT_EQ(rig.fault(op, 0x4000), Cause::store_page);
  }
  for (const Op op : {Op::lr_w, Op::lr_d}) {
    EXPECT_EQ(rig.fault(op, 0x1000), std::nullopt);
    EXPECT_EQ(rig.fault(op, 0x2000), Cause::load_access);
    EXPECT_EQ(rig.fault(op, 0x3000), Cause::load_access);
    EXPECT_EQ(rig.fault(op, 0x4000), Cause::load_page);
  }
  EXPECT_TRUE(rig.device.seen.empty());
}

// ---- LR/SC

class Reservation : public testing::Test {
 protected:
  Rig rig_;
  u64 reserve(Op op, u64 va) { return rig_.loaded(op, va); }
  // 0 or 1, what SC gives.
  u64 conditional(Op op, u64 va, u64 value) {
    const Rig::Accessed accessed = rig_.access(op, va, 0x7777, value);
    EXPECT_EQ(accessed.outcome, Outcome{});
    return accessed.value;
  }
};

TEST_F(Reservation, SucceedsOnce) {
  rig_.poke<u64>(kData, 0x1234'5678'8765'4321);
  EXPECT_EQ(reserve(Op::lr_w, kData), 0xffff'ffff'8765'4321);
  EXPECT_EQ(conditional(Op::sc_w, kData, 0x1'2222'2222), 0u);
  EXPECT_EQ(rig_.peek<u64>(kData), 0x1234'5678'2222'2222u);
  EXPECT_EQ(conditional(Op::sc_w, kData, 3), 1u);  // the first one used it up
  EXPECT_EQ(rig_.peek<u64>(kData), 0x1234'5678'2222'2222u);
  EXPECT_EQ(reserve(Op::lr_d, kData), 0x1234'5678'2222'2222u);
  EXPECT_EQ(conditional(Op::sc_d, kData, ~u64{0}), 0u);
  EXPECT_EQ(rig_.peek<u64>(kData), ~u64{0});
}

TEST_F(Reservation, NoneAfterReset) {
  EXPECT_EQ(conditional(Op::sc_w, kData, 1), 1u);
  EXPECT_EQ(conditional(Op::sc_d, kData, 1), 1u);
  EXPECT_EQ(rig_.peek<u64>(kData), 0u);
}

TEST_F(Reservation, AnotherAddressFailsAndUsesItUp) {
  for (const u64 other : {kData + 8, kData - 8, kData + kPageBytes, kData ^ 0x80000}) {
    reserve(Op::lr_d, kData);
    EXPECT_EQ(conditional(Op::sc_d, other, 1), 1u);
    EXPECT_EQ(rig_.peek<u64>(other), 0u);
    EXPECT_EQ(conditional(Op::sc_d, kData, 1), 1u);
    EXPECT_EQ(rig_.peek<u64>(kData), 0u);
  }
}

TEST_F(Reservation, AnotherSizeFails) {
  reserve(Op::lr_d, kData);
  EXPECT_EQ(conditional(Op::sc_w, kData, 1), 1u);
  reserve(Op::lr_w, kData);
  EXPECT_EQ(conditional(Op::sc_d, kData, 1), 1u);
  EXPECT_EQ(rig_.peek<u64>(kData), 0u);
}

TEST_F(Reservation, TheLastLrCounts) {
  reserve(Op::lr_w, kData);
  reserve(Op::lr_w, kData + 4);
  EXPECT_EQ(conditional(Op::sc_w, kData, 1), 1u);
  reserve(Op::lr_w, kData);
  reserve(Op::lr_w, kData + 4);
  EXPECT_EQ(conditional(Op::sc_w, kData + 4, 1), 0u);
  EXPECT_EQ(rig_.peek<u64>(kData), u64{1} << 32);
}

TEST_F(Reservation, AChangeBySomebodyElseFails) {
  reserve(Op::lr_d, kData);
  rig_.poke<u64>(kData, 99);
  EXPECT_EQ(conditional(Op::sc_d, kData, 1), 1u);
  EXPECT_EQ(rig_.peek<u64>(kData), 99u);
  reserve(Op::lr_w, kData);
  rig_.poke<u32>(kData, 100);
  EXPECT_EQ(conditional(Op::sc_w, kData, 1), 1u);
  // The neighbouring word is no part of a word's reservation value.
  reserve(Op::lr_w, kData);
  rig_.poke<u32>(kData + 4, 100);
  EXPECT_EQ(conditional(Op::sc_w, kData, 1), 0u);
}

TEST_F(Reservation, SurvivesATrapAndLoadsBetween) {
  reserve(Op::lr_d, kData);
  EXPECT_EQ(rig_.fault(Op::ld, 0x40), Cause::load_access);
  rig_.loaded(Op::ld, kData + 64);
  EXPECT_EQ(conditional(Op::sc_d, kData, 1), 0u);
}

TEST_F(Reservation, FailsOnAPageThatMapsElsewhereNow) {
  Paging paging(rig_, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.map(0x1000, kData, pte::kRw | pte::kAd);
  paging.map(0x2000, kData, pte::kRw | pte::kAd);
  paging.enable();
  rig_.state().privilege = Privilege::supervisor;
  reserve(Op::lr_d, 0x1000);
  paging.map(0x1000, kData + 0x1000, pte::kRw | pte::kAd);  // the same value lies there
  rig_.drop_caches();
  EXPECT_EQ(conditional(Op::sc_d, 0x1000, 1), 1u);
  EXPECT_EQ(rig_.peek<u64>(kData + 0x1000), 0u);
  // Another virtual address of the same memory is the same memory.
  reserve(Op::lr_d, 0x2000);
  paging.map(0x1000, kData, pte::kRw | pte::kAd);
  rig_.drop_caches();
  EXPECT_EQ(conditional(Op::sc_d, 0x1000, 1), 0u);
  EXPECT_EQ(rig_.peek<u64>(kData), 1u);
}

TEST_F(Reservation, AFailingScStillFaults) {
  EXPECT_EQ(rig_.fault(Op::sc_w, 0x40), Cause::store_access);
  EXPECT_EQ(rig_.fault(Op::sc_w, kData + 2), Cause::store_misaligned);
}

TEST_F(Reservation, ALoopThatIncrements) {
  // 1: lr.w a0, (a1); addi a0, a0, 1; sc.w a2, a0, (a1); bnez a2, 1b; addi a3, a3, -1; bnez a3, 1b
  rig_.start_at(kCode, {encode_amo(Op::lr_w, a0, a1, zero), encode_i(Op::addi, a0, a0, 1),
                        encode_amo(Op::sc_w, a2, a1, a0), encode_branch(Op::bne, a2, zero, -12),
                        encode_i(Op::addi, a3, a3, -1), encode_branch(Op::bne, a3, zero, -20)});
  rig_.x(a1) = kData;
  rig_.x(a3) = 50;
  rig_.run(300);
  EXPECT_EQ(rig_.state().pc, kCode + 24);
  EXPECT_EQ(rig_.peek<u32>(kData), 50u);
  EXPECT_EQ(rig_.state().retired, 300u);
}

// ---- compare and swap

class CompareAndSwap : public testing::Test {
 protected:
  Rig rig_{RigOptions{.zacas = true}};
};

TEST_F(CompareAndSwap, Words) {
  const struct {
    u64 memory, expected, desired, after;
  } rows[] = {{5, 5, 6, 6},
              {5, 4, 6, 5},
              {0x8000'0000, 0xffff'ffff'8000'0000, 1, 1},
              {0x8000'0000, 0x8000'0000, 1, 1},  // the upper half of rd takes no part
              {0x8000'0000, 0x1234'5678'8000'0000, 0xff'ffff'ffff, 0xffff'ffff},
              {0, 0, 0, 0}};
  for (const auto& row : rows) {
    rig_.poke<u64>(kData, row.memory | 0xabcd'0000'0000'0000);
    const Rig::Accessed accessed = rig_.access(Op::amocas_w, kData, row.expected, row.desired);
    EXPECT_EQ(accessed.outcome, Outcome{});
    EXPECT_EQ(accessed.value, row.memory & 0x8000'0000 ? row.memory | 0xffff'ffff'0000'0000 : row.memory);
    EXPECT_EQ(rig_.peek<u64>(kData), row.after | 0xabcd'0000'0000'0000);
  }
}

TEST_F(CompareAndSwap, Doubles) {
  rig_.poke<u64>(kData, 0x8000'0000'0000'0001);
  EXPECT_EQ(rig_.access(Op::amocas_d, kData, 1, 7).value, 0x8000'0000'0000'0001u);
  EXPECT_EQ(rig_.peek<u64>(kData), 0x8000'0000'0000'0001u);
  EXPECT_EQ(rig_.access(Op::amocas_d, kData, 0x8000'0000'0000'0001, 7).value, 0x8000'0000'0000'0001u);
  EXPECT_EQ(rig_.peek<u64>(kData), 7u);
}

TEST_F(CompareAndSwap, X0ExpectsAndStoresZero) {
  rig_.x(a1) = kData;
  rig_.x(a2) = 9;
  rig_.poke<u64>(kData, 0);
  EXPECT_EQ(rig_.execute(encode_amo(Op::amocas_d, zero, a1, a2)), Outcome{});
  EXPECT_EQ(rig_.peek<u64>(kData), 9u);
  EXPECT_EQ(rig_.execute(encode_amo(Op::amocas_d, zero, a1, a2)), Outcome{});
  EXPECT_EQ(rig_.peek<u64>(kData), 9u);
  rig_.x(a0) = 9;
  EXPECT_EQ(rig_.execute(encode_amo(Op::amocas_d, a0, a1, zero)), Outcome{});
  EXPECT_EQ(rig_.peek<u64>(kData), 0u);
  EXPECT_EQ(rig_.state().x[0], 0u);
}

TEST_F(CompareAndSwap, NothingThatWasWrittenToX0IsExpected) {
  for (const Op op : {Op::amocas_w, Op::amocas_d, Op::amocas_q}) {
    rig_.x(a1) = kData;
    rig_.x(a2) = 5;
    rig_.x(a3) = 6;
    rig_.poke<u64>(kData, 9);
    rig_.poke<u64>(kData + 8, 9);
    rig_.x(a4) = 9;
    rig_.start_at(kCode, {encode_i(Op::addi, zero, a4, 0), encode_amo(op, zero, a1, a2)});
    EXPECT_EQ(rig_.run(2), Outcome{});
    EXPECT_EQ(rig_.peek<u64>(kData), 9u) << info(op).mnemonic;
    EXPECT_EQ(rig_.peek<u64>(kData + 8), 9u) << info(op).mnemonic;
  }
}

TEST_F(CompareAndSwap, Pairs) {
  const u32 word = encode_amo(Op::amocas_q, a0, a4, a2);  // a0, a1: expected; a2, a3: desired
  const auto run = [&](u64 low, u64 high, u64 expected_low, u64 expected_high) {
    rig_.poke<u64>(kData, low);
    rig_.poke<u64>(kData + 8, high);
    rig_.poke<u64>(kData + 16, 0x3333);
    rig_.x(a4) = kData;
    rig_.x(a0) = expected_low;
    rig_.x(a1) = expected_high;
    rig_.x(a2) = 0xdddd;
    rig_.x(a3) = 0xeeee;
    EXPECT_EQ(rig_.execute(word), Outcome{});
    EXPECT_EQ(rig_.x(a0), low);
    EXPECT_EQ(rig_.x(a1), high);
    EXPECT_EQ(rig_.peek<u64>(kData + 16), 0x3333u);
    const bool swapped = rig_.peek<u64>(kData) == 0xdddd && rig_.peek<u64>(kData + 8) == 0xeeee;
    const bool kept = rig_.peek<u64>(kData) == low && rig_.peek<u64>(kData + 8) == high;
    EXPECT_NE(swapped, kept);
    return swapped;
  };
  EXPECT_TRUE(run(1, 2, 1, 2));
  EXPECT_FALSE(run(1, 2, 1, 3));
  EXPECT_FALSE(run(1, 2, 0, 2));
  EXPECT_TRUE(run(~u64{0}, kMin64, ~u64{0}, kMin64));
  EXPECT_TRUE(run(0, 0, 0, 0));
}

TEST_F(CompareAndSwap, PairsOfX0) {
  // x0 as the even register means a pair of zeroes, and x1 is left alone.
  rig_.poke<u64>(kData, 0);
  rig_.poke<u64>(kData + 8, 0);
  rig_.x(ra) = 0x1a1a;
  rig_.x(a4) = kData;
  rig_.x(a2) = 1;
  rig_.x(a3) = 2;
  EXPECT_EQ(rig_.execute(encode_amo(Op::amocas_q, zero, a4, a2)), Outcome{});
  EXPECT_EQ(rig_.peek<u64>(kData), 1u);
  EXPECT_EQ(rig_.peek<u64>(kData + 8), 2u);
  EXPECT_EQ(rig_.x(ra), 0x1a1au);
  rig_.x(a0) = 1;
  rig_.x(a1) = 2;
  EXPECT_EQ(rig_.execute(encode_amo(Op::amocas_q, a0, a4, zero)), Outcome{});
  EXPECT_EQ(rig_.peek<u64>(kData), 0u);
  EXPECT_EQ(rig_.peek<u64>(kData + 8), 0u);
  EXPECT_EQ(rig_.state().x[0], 0u);
}

TEST_F(CompareAndSwap, OddPairsAreReserved) {
  rig_.x(a4) = kData;
  for (const u32 word : {encode_amo(Op::amocas_q, a1, a4, a2), encode_amo(Op::amocas_q, a0, a4, a3)}) {
    rig_.reset();
    const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), word, kCode, Privilege::machine};
    EXPECT_EQ(rig_.execute(word), illegal);
  }
}

TEST(WithoutZacas, CompareAndSwapIsIllegal) {
  Rig rig;
  for (const Op op : {Op::amocas_w, Op::amocas_d, Op::amocas_q}) {
    const u32 word = encode_amo(op, a0, a4, a2);
    const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), word, kCode, Privilege::machine};
    rig.reset();
    rig.x(a4) = kData;
    EXPECT_EQ(rig.execute(word), illegal) << info(op).mnemonic;
  }
}

}  // namespace
}  // namespace hartwood::test
