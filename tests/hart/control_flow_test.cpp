// SPDX-License-Identifier: Apache-2.0
// Jumps, branches and the way from one instruction to the next: links, targets, page borders, instructions
// that lie in two pages, faults of the fetch.
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

Outcome fetch_trap(Cause cause, u64 tval, u64 epc) {
  return {true, static_cast<u64>(cause), tval, epc, Privilege::machine};
}

TEST(Jumps, JalLinksAndReachesBothEnds) {
  Rig rig;
  for (const i64 offset : {i64{4}, i64{-4}, i64{2}, i64{0}, i64{0xf'fffe}, i64{-0x10'0000}, i64{0x1000}, i64{0xffc}}) {
    for (const Reg rd : {ra, t0, zero}) {
      SCOPED_TRACE(testing::Message() << offset << " x" << rd);
      const u64 pc = kRamBase + 0x20'0100;
      rig.start_at(pc, {encode_jump(Op::jal, rd, offset)});
      rig.x(rd) = rd == zero ? 0 : 1;
      EXPECT_EQ(rig.run(), Outcome{});
      EXPECT_EQ(rig.state().pc, pc + static_cast<u64>(offset));
      EXPECT_EQ(rig.x(rd), rd == zero ? 0 : pc + 4);
    }
  }
}

TEST(Jumps, JalrClearsBitZeroAndReadsItsBaseFirst) {
  Rig rig;
  const struct {
    u64 base;
    i64 imm;
    u64 target;
  } rows[] = {
      {kData, 0, kData},      {kData, 1, kData},           {kData + 1, 0, kData},        {kData + 1, 1, kData + 2},
      {kData, -1, kData - 2}, {kData, 2047, kData + 2046}, {kData, -2048, kData - 2048}, {0, -2, ~u64{1}},
      {~u64{0}, 3, 2}};
  for (const auto& row : rows) {
    for (const Reg rd : {ra, a0, zero}) {  // a0 is the base, too
      rig.start_at(kCode, {encode_i(Op::jalr, rd, a0, row.imm)});
      rig.x(a0) = row.base;
      EXPECT_EQ(rig.run(), Outcome{});
      EXPECT_EQ(rig.state().pc, row.target);
      EXPECT_EQ(rig.x(rd), rd == zero ? 0 : kCode + 4);
    }
  }
}

TEST(Jumps, CompressedOnesLinkTwoBytesFurther) {
  Rig rig;
  const struct {
    u16 half;
    const char* what;
    i64 offset;  // or ~0: to t6
    bool links;
  } rows[] = {{0xaffd, "c.j 2046", 2046, false},
              {0xb001, "c.j -2048", -2048, false},
              {0x8f82, "c.jr t6", -1, false},
              {0x9f82, "c.jalr t6", -1, true}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    const u64 pc = kCode + 0x802;
    rig.poke<u16>(pc, row.half);
    rig.state().pc = pc;
    rig.drop_caches();
    rig.x(ra) = 5;
    rig.x(t6) = kData + 1;
    EXPECT_EQ(rig.run(), Outcome{});
    EXPECT_EQ(rig.state().pc, row.offset == -1 ? kData : pc + static_cast<u64>(row.offset));
    EXPECT_EQ(rig.x(ra), row.links ? pc + 2 : 5);
  }
  // c.jr ra, the usual return; c.jalr ra, whose link replaces its base.
  for (const auto& [half, link] : {std::pair{u16{0x8082}, kData}, {u16{0x9082}, kCode + 2}}) {
    rig.poke<u16>(kCode, half);
    rig.state().pc = kCode;
    rig.drop_caches();
    rig.x(ra) = kData;
    EXPECT_EQ(rig.run(), Outcome{});
    EXPECT_EQ(rig.state().pc, kData);
    EXPECT_EQ(rig.x(ra), link);
  }
}

TEST(Branches, Conditions) {
  constexpr u64 kMin = u64{1} << 63, kMax = kMin - 1, kMinus = ~u64{0};
  const struct {
    u64 a, b;
    bool eq, lt, ltu;
  } rows[] = {{0, 0, true, false, false},           {0, 1, false, true, true},
              {1, 0, false, false, false},          {kMinus, 0, false, true, false},
              {0, kMinus, false, false, true},      {kMin, kMax, false, true, false},
              {kMax, kMin, false, false, true},     {kMin, kMin, true, false, false},
              {kMinus, kMin, false, false, false},  {0x1'0000'0000, 0, false, false, false},
              {5, 0x1'0000'0005, false, true, true}};
  Rig rig;
  for (const auto& row : rows) {
    const std::pair<Op, bool> expectations[] = {{Op::beq, row.eq},  {Op::bne, !row.eq},  {Op::blt, row.lt},
                                                {Op::bge, !row.lt}, {Op::bltu, row.ltu}, {Op::bgeu, !row.ltu}};
    for (const auto& [op, taken] : expectations) {
      for (const i64 offset : {i64{8}, i64{-8}, i64{4094}, i64{-4096}, i64{2}, i64{0}}) {
        for (const u64 pc : {kCode + 0x800, kCode, kCode + 0xffc, kCode + 0xffe}) {
          SCOPED_TRACE(testing::Message() << info(op).mnemonic << " " << std::hex << row.a << ", " << row.b << " at "
                                          << pc << " by " << std::dec << offset);
          rig.start_at(pc, {encode_branch(op, a0, t6, offset)});
          rig.x(a0) = row.a;
          rig.x(t6) = row.b;
          EXPECT_EQ(rig.run(), Outcome{});
          EXPECT_EQ(rig.state().pc, taken ? pc + static_cast<u64>(offset) : pc + 4);
        }
      }
    }
  }
}

TEST(Branches, CompressedConditions) {
  Rig rig;
  const struct {
    u16 half;
    const char* what;
    Reg reg;
    u64 value;
    i64 offset;  // 2: not taken
  } rows[] = {{0xcffd, "c.beqz a5, 254", a5, 0, 254},
              {0xcffd, "c.beqz a5, 254", a5, u64{1} << 63, 2},
              {0xf001, "c.bnez s0, -256", s0, 1, -256},
              {0xf001, "c.bnez s0, -256", s0, u64{1} << 32, -256},
              {0xf001, "c.bnez s0, -256", s0, 0, 2}};
  for (const auto& row : rows) {
    for (const u64 pc : {kCode + 0x802, kCode + 2, kCode + 0xffe}) {
      SCOPED_TRACE(row.what);
      rig.poke<u16>(pc, row.half);
      rig.state().pc = pc;
      rig.drop_caches();
      rig.x(row.reg) = row.value;
      EXPECT_EQ(rig.run(), Outcome{});
      EXPECT_EQ(rig.state().pc, pc + static_cast<u64>(row.offset));
    }
  }
}

TEST(Branches, LoopsAcrossAPageBorder) {
  Rig rig;
  // addi a0, a0, -1 | page border | addi a1, a1, 2; bne a0, x0, -8
  rig.start_at(kCode + 0xffc,
               {encode_i(Op::addi, a0, a0, -1), encode_i(Op::addi, a1, a1, 2), encode_branch(Op::bne, a0, zero, -8)});
  rig.x(a0) = 1000;
  rig.x(a1) = 0;
  EXPECT_EQ(rig.run(3000), Outcome{});
  EXPECT_EQ(rig.state().pc, kCode + 0xffc + 12);
  EXPECT_EQ(rig.x(a0), 0u);
  EXPECT_EQ(rig.x(a1), 2000u);
  EXPECT_EQ(rig.state().retired, 3000u);
}

TEST(Fetch, RunsOnIntoTheNextPage) {
  Rig rig;
  std::vector<u32> adds(2100, encode_i(Op::addi, a0, a0, 1));
  for (const u64 start : {kCode, kCode + 2}) {  // the second way one instruction lies across each border
    rig.reset();
    rig.start_at(kStubs + 0x10'0000 + (start & 2), adds);
    rig.x(a0) = 0;
    EXPECT_EQ(rig.run(2100), Outcome{});
    EXPECT_EQ(rig.x(a0), 2100u);
    EXPECT_EQ(rig.state().retired, 2100u);
  }
}

TEST(Fetch, MixedLengthsInEveryOffset) {
  // 16- and 32-bit instructions alternate, so that over three pages every border is met in both ways.
  Rig rig;
  const u64 start = kData;
  u64 at = start;
  u64 expected = 0;
  u32 count = 0;
  while (at < start + 3 * kPageBytes - 8) {
    if (count % 3 == 1) {
      rig.poke<u16>(at, 0x0505);  // c.addi a0, 1
      at += 2;
      expected += 1;
    } else {
      rig.poke<u16>(at, static_cast<u16>(encode_i(Op::addi, a0, a0, 100)));
      rig.poke<u16>(at + 2, static_cast<u16>(encode_i(Op::addi, a0, a0, 100) >> 16));
      at += 4;
      expected += 100;
    }
    count++;
  }
  rig.state().pc = start;
  rig.drop_caches();
  EXPECT_EQ(rig.run(count), Outcome{});
  EXPECT_EQ(rig.x(a0), expected);
  EXPECT_EQ(rig.state().pc, at);
}

TEST(Fetch, OutsideOfMemory) {
  Rig rig;
  for (const u64 pc : {u64{0}, kDevice, kRamBase - 2, kRamEnd, u64{1} << 56, ~u64{1}, u64{0xdead'beef'0000'0000}}) {
    rig.reset();
    rig.state().pc = pc;
    EXPECT_EQ(rig.run(), fetch_trap(Cause::fetch_access, pc, pc)) << std::hex << pc;
    EXPECT_EQ(rig.state().pc, kMachineTrap);
    EXPECT_EQ(rig.state().retired, 0u);
  }
  EXPECT_TRUE(rig.device.seen.empty());
}

TEST(Fetch, JumpToNowhereFaultsAtTheTarget) {
  Rig rig;
  rig.start_at(kCode, {encode_i(Op::jalr, ra, a0, 0)});
  rig.x(a0) = 0x4444;
  EXPECT_EQ(rig.run(1), Outcome{});  // the jump retires, with its link
  EXPECT_EQ(rig.x(ra), kCode + 4);
  EXPECT_EQ(rig.run(1), fetch_trap(Cause::fetch_access, 0x4444, 0x4444));
}

TEST(Fetch, SecondHalfOutsideOfMemory) {
  Rig rig;
  rig.poke<u16>(kRamEnd - 2, 0x0513);  // the first half of addi a0, ...
  rig.state().pc = kRamEnd - 2;
  rig.drop_caches();
  EXPECT_EQ(rig.run(), fetch_trap(Cause::fetch_access, kRamEnd, kRamEnd - 2));
  // A 16-bit instruction there is no problem; the next one is.
  rig.reset();
  rig.poke<u16>(kRamEnd - 2, 0x0001);
  rig.state().pc = kRamEnd - 2;
  rig.drop_caches();
  EXPECT_EQ(rig.run(2), fetch_trap(Cause::fetch_access, kRamEnd, kRamEnd));
  EXPECT_EQ(rig.state().retired, 1u);
}

TEST(Fetch, SecondHalfInAnUnmappedPage) {
  constexpr u64 kVa = 0x40'0000;
  for (const bool traced : {false, true}) {
    RecordingTracer tracer;
    Rig rig(RigOptions{.tracer = traced ? &tracer : nullptr});
    Paging paging(rig, SatpMode::sv39);
    paging.map(kVa, kData, pte::kRx | pte::kAd);
    paging.enable();
    rig.state().privilege = Privilege::supervisor;
    const u32 word = encode_i(Op::addi, a0, zero, 77);
    rig.poke<u16>(kData + 0xffe, static_cast<u16>(word));
    rig.poke<u16>(kData + 0x1000, static_cast<u16>(word >> 16));  // physically next, virtually not
    rig.poke<u16>(kData + 0x5000, static_cast<u16>(word >> 16));
    rig.state().pc = kVa + 0xffe;
    rig.drop_caches();
    rig.x(a0) = 1;
    EXPECT_EQ(rig.run(), fetch_trap(Cause::fetch_page, kVa + 0x1000, kVa + 0xffe));
    EXPECT_EQ(rig.x(a0), 1u);
    EXPECT_EQ(rig.state().retired, 0u);
    EXPECT_EQ((rig.state().mstatus & mstatus::kMpp) >> mstatus::kMppShift, 1u);
    // The kernel maps the second page somewhere else and returns.
    paging.map(kVa + 0x1000, kData + 0x5000, pte::kRx | pte::kAd);
    rig.state().privilege = Privilege::supervisor;
    rig.state().pc = kVa + 0xffe;
    EXPECT_EQ(rig.run(), Outcome{});
    EXPECT_EQ(rig.x(a0), 77u);
    EXPECT_EQ(rig.state().pc, kVa + 0x1002);
    // ... and takes execution from it: nothing of the second half is remembered without a fence's say.
    paging.map(kVa + 0x1000, kData + 0x5000, pte::kRead | pte::kAd);
    rig.state().pc = kVa + 0xffe;
    rig.drop_caches();
    EXPECT_EQ(rig.run(), fetch_trap(Cause::fetch_page, kVa + 0x1000, kVa + 0xffe));
    // The first page's fault comes first.
    paging.map(kVa, kData, pte::kRead | pte::kAd);
    rig.state().privilege = Privilege::supervisor;
    rig.state().pc = kVa + 0xffe;
    rig.drop_caches();
    EXPECT_EQ(rig.run(), fetch_trap(Cause::fetch_page, kVa + 0xffe, kVa + 0xffe));
  }
}

TEST(Fetch, StraddlingInstructionsOfEveryKind) {
  // Loads, stores, jumps, branches, traps and CSRs behave across a border as they do inside a page.
  Rig rig;
  const u64 pc = kCode + 0xffe;
  const auto run = [&](u32 word) {
    rig.poke<u16>(pc, static_cast<u16>(word));
    rig.poke<u16>(pc + 2, static_cast<u16>(word >> 16));
    rig.state().pc = pc;
    rig.drop_caches();
    return rig.run();
  };
  rig.poke<u64>(kData, 0x8877'6655'4433'2211);
  rig.x(a1) = kData;
  EXPECT_EQ(run(access_word(Op::lw)), Outcome{});
  EXPECT_EQ(rig.x(a0), 0x4433'2211u);
  EXPECT_EQ(rig.state().pc, pc + 4);
  rig.x(a0) = 0x99;
  EXPECT_EQ(run(access_word(Op::sb)), Outcome{});
  EXPECT_EQ(rig.peek<u64>(kData), 0x8877'6655'4433'2299u);
  EXPECT_EQ(run(encode_jump(Op::jal, ra, -0x100)), Outcome{});
  EXPECT_EQ(rig.state().pc, pc - 0x100);
  EXPECT_EQ(rig.x(ra), pc + 4);
  EXPECT_EQ(run(encode_branch(Op::beq, zero, zero, 0x800)), Outcome{});
  EXPECT_EQ(rig.state().pc, pc + 0x800);
  EXPECT_EQ(run(encode_csr(Op::csrrw, a2, kCsrMscratch, a1)), Outcome{});
  EXPECT_EQ(rig.state().mscratch, kData);
  EXPECT_EQ(rig.state().pc, pc + 4);
  EXPECT_EQ(run(kFenceI), Outcome{});
  EXPECT_EQ(rig.state().pc, pc + 4);
  EXPECT_EQ(run(kEcall), fetch_trap(Cause::ecall_m, 0, pc));
  rig.x(a1) = 0;
  EXPECT_EQ(run(access_word(Op::ld)), fetch_trap(Cause::load_access, 0, pc));
}

TEST(Fetch, TheTopOfTheAddressSpaceWraps) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(0xffff'ffff'ffff'f000, kData, pte::kRx | pte::kAd);
  paging.map(0, kData + 0x1000, pte::kRx | pte::kAd);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  const u32 word = encode_i(Op::addi, a0, zero, 5);
  rig.poke<u16>(kData + 0xffe, static_cast<u16>(word));
  rig.poke<u16>(kData + 0x1000, static_cast<u16>(word >> 16));
  rig.poke<u16>(kData + 0xffc, 0x0001);   // c.nop
  rig.poke<u16>(kData + 0x1002, 0x0505);  // c.addi a0, 1
  rig.state().pc = 0xffff'ffff'ffff'fffc;
  rig.drop_caches();
  EXPECT_EQ(rig.run(3), Outcome{});
  EXPECT_EQ(rig.x(a0), 6u);
  EXPECT_EQ(rig.state().pc, 4u);
}

}  // namespace
}  // namespace hartwood::test
