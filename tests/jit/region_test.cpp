// SPDX-License-Identifier: Apache-2.0
// Region discovery, lifting and the shape of the flow graph, for small programs.
#include "jit/region.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "jit/flow_graph.h"
#include "jit/lower.h"
#include "support/asm.h"

namespace hartwood::jit {
namespace {

using namespace hartwood::test;

constexpr u32 kEntry = kWindowBefore * static_cast<u32>(kPageBytes);

Window window_of(const std::vector<u32>& words, u32 at = kEntry) {
  std::vector<u8> bytes(kWindowBytes);
  for (size_t i = 0; i < words.size(); i++) store_le<u32>(bytes.data() + at + 4 * i, words[i]);
  Window window;
  for (u32 page = 0; page < kWindowPages; page++) {
    window.pages[page] = page;
    window.copy_page(page, bytes.data() + page * kPageBytes);
  }
  return window;
}

Region region_of(const std::vector<u32>& words, const RegionLimits& limits = {}, const SeenTargets& seen = {}) {
  Region region = discover(window_of(words), kEntry, IsaOptions{}, limits, seen);
  lift(region, IsaOptions{}, {});
  EXPECT_EQ(verify(region), "") << to_text(region);
  return region;
}

const u32 kReturn = encode_i(Op::jalr, zero, ra, 0);

std::vector<i32> ways_into(const Region& region) {
  std::vector<i32> offsets;
  for (const u32 block : region.ways_in) offsets.push_back(region.blocks[block].offset - static_cast<i32>(kEntry));
  return offsets;
}

TEST(JitRegion, MayBeEnteredBehindItsCalls) {
  const std::vector<u32> words = {
      encode_jump(Op::jal, ra, 16),          // 0
      encode_branch(Op::bne, a0, zero, -4),  // 4
      encode_i(Op::jalr, ra, t0, 0),         // 8
      kReturn,                               // c
      encode_i(Op::addi, a0, a0, -1),        // 10
      kReturn,                               // 14
  };
  RegionLimits limits{.inline_calls = false};
  const Region region = region_of(words, limits);
  EXPECT_EQ(ways_into(region), (std::vector<i32>{4, 12}));
  const FlowGraph graph(region);
  EXPECT_NE(graph.begin(), 0u);
  // The first call lies in a loop, which now has two entries.
  EXPECT_TRUE(graph.has_dispatch());
  limits.ways_in = false;
  EXPECT_TRUE(ways_into(region_of(words, limits)).empty());
  EXPECT_EQ(ways_into(region_of(words)), std::vector<i32>{12}) << "the first call is compiled into the loop";
}

TEST(JitRegion, TightLoops) {
  const auto has_tight_loop = [](const std::vector<u32>& words) {
    const Region region = region_of(words, {.inline_calls = false, .ways_in = false});
    return FlowGraph(region).has_tight_loop();
  };
  EXPECT_FALSE(has_tight_loop({encode_i(Op::addi, a0, a0, 1), kReturn}));
  EXPECT_TRUE(has_tight_loop({encode_i(Op::addi, a0, a0, -1), encode_branch(Op::bne, a0, zero, -4), kReturn}));
  EXPECT_FALSE(has_tight_loop({encode_i(Op::jalr, ra, t0, 0), encode_branch(Op::bne, a0, zero, -4), kReturn}));
  // A loop that calls nothing inside one that calls.
  EXPECT_TRUE(has_tight_loop({encode_i(Op::jalr, ra, t0, 0), encode_i(Op::addi, a0, a0, -1),
                              encode_branch(Op::bne, a0, zero, -4), encode_branch(Op::bne, a1, zero, -12), kReturn}));
  EXPECT_TRUE(has_tight_loop({encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, ra, -4), kReturn})) << "recursion";
}

TEST(JitRegion, LoopAndReturn) {
  const Region region = region_of({
      encode_i(Op::addi, a0, a0, -1),
      encode_branch(Op::bne, a0, zero, -4),
      kReturn,
  });
  EXPECT_EQ(to_text(region),
            "region 0x5000\n"
            "b0: ; 0x5000, 2 instructions\n"
            "  ; 5000\n"
            "  v0 = get_x x10\n"
            "  v1 = constant -1\n"
            "  v2 = add v0 v1\n"
            "  set_x x10 v2\n"
            "  ; 5004\n"
            "  v4 = get_x x10\n"
            "  v5 = constant 0\n"
            "  v6 = ne v4 v5\n"
            "  branch v6 b0 b1\n"
            "b1: ; 0x5008, 1 instructions\n"
            "  ; 5008\n"
            "  v0 = get_x x1\n"
            "  v1 = constant 0\n"
            "  v2 = constant -2\n"
            "  v3 = bit_and v0 v2\n"
            "  v4 = code_address 0x500c\n"
            "  ret v3\n");
  const FlowGraph graph(region);
  EXPECT_TRUE(graph.node(0).loop);
  EXPECT_FALSE(graph.node(1).loop);
  EXPECT_FALSE(graph.has_dispatch());
}

TEST(JitRegion, LoadsAndStoresLeaveBeforeTheyWrite) {
  const Region region = region_of({
      encode_load(Op::lh, a0, 6, a1),
      encode_store(Op::sb, a0, -1, a2),
      kReturn,
  });
  EXPECT_EQ(to_text(region.blocks[0]),
            "  ; 5000\n"
            "  v0 = get_x x11\n"
            "  v1 = constant 6\n"
            "  v2 = add v0 v1\n"
            "  v3 = load16s v2\n"
            "  set_x x10 v3\n"
            "  ; 5004\n"
            "  v5 = get_x x12\n"
            "  v6 = constant -1\n"
            "  v7 = add v5 v6\n"
            "  v8 = get_x x10\n"
            "  store8 v7 v8\n"
            "  ; 5008\n"
            "  v10 = get_x x1\n"
            "  v11 = constant 0\n"
            "  v12 = constant -2\n"
            "  v13 = bit_and v10 v12\n"
            "  v14 = code_address 0x500c\n"
            "  ret v13\n");
}

TEST(JitRegion, AddressesAreRelativeToTheCode) {
  const Region region = region_of({encode_upper(Op::auipc, a0, 1), encode_jump(Op::jal, ra, 8), kReturn, kReturn});
  EXPECT_EQ(to_text(region.blocks[0]),
            "  ; 5000\n"
            "  v0 = code_address 0x5000\n"
            "  v1 = constant 4096\n"
            "  v2 = code_address 0x6000\n"
            "  set_x x10 v2\n"
            "  ; 5004\n"
            "  v4 = code_address 0x5004\n"
            "  v5 = constant 8\n"
            "  v6 = code_address 0x500c\n"
            "  v7 = code_address 0x5008\n"
            "  set_x x1 v7\n"
            "  call 0x500c b1\n");
}

// A loop that calls what lies behind it.
std::vector<u32> calls_in_a_loop(std::vector<u32> function) {
  std::vector<u32> words = {
      encode_jump(Op::jal, ra, 16),
      encode_i(Op::addi, a0, a0, -1),
      encode_branch(Op::bne, a0, zero, -8),
      encode_plain(Op::ecall),
  };
  words.insert(words.end(), function.begin(), function.end());
  return words;
}
u32 count(const Region& region, Exit kind) {
  u32 result = 0;
  for (const Block& block : region.blocks) result += block.end.kind == kind ? 1 : 0;
  return result;
}

TEST(JitRegion, AFunctionThatIsCalledInALoopIsCompiledIntoIt) {
  const std::vector<u32> words = calls_in_a_loop({encode_i(Op::addi, a1, a1, 1), kReturn});
  const Region region = region_of(words);
  EXPECT_EQ(count(region, Exit::call), 0u);
  EXPECT_EQ(count(region, Exit::ret), 0u) << "its return is a jump, as its link register is never written";
  EXPECT_EQ(region.instructions(), 6u);
  RegionLimits apart;
  apart.inline_calls = false;
  EXPECT_EQ(count(region_of(words, apart), Exit::call), 1u);
  RegionLimits small;
  small.instructions = 4;
  EXPECT_EQ(count(region_of(words, small), Exit::call), 1u);
  small = {};
  small.inlined_instructions = 1;
  EXPECT_EQ(count(region_of(words, small), Exit::call), 1u);
}

TEST(JitRegion, AnInlinedReturnComparesWhereTheLinkRegisterMayHaveChanged) {
  const Region region = region_of(calls_in_a_loop({encode_load(Op::ld, ra, 8, sp), kReturn}));
  EXPECT_EQ(count(region, Exit::call), 0u);
  ASSERT_EQ(count(region, Exit::ret), 1u);
  for (const Block& block : region.blocks) {
    if (block.end.kind != Exit::ret) continue;
    ASSERT_NE(block.end.next, kNoBlock);
    EXPECT_EQ(region.blocks[block.end.next].offset, static_cast<i32>(kEntry + 4));
  }
}

TEST(JitRegion, WhatReturnsByAnotherRegisterOrTrapsIsCalled) {
  EXPECT_EQ(count(region_of(calls_in_a_loop({encode_i(Op::jalr, zero, t0, 0)})), Exit::call), 1u);
  EXPECT_EQ(count(region_of(calls_in_a_loop({encode_i(Op::jalr, zero, ra, 4)})), Exit::call), 1u);
  EXPECT_EQ(count(region_of(calls_in_a_loop({encode_plain(Op::ecall), kReturn})), Exit::call), 1u);
  EXPECT_EQ(count(region_of(calls_in_a_loop({encode_jump(Op::jal, zero, 0)})), Exit::call), 1u) << "never returns";
}

TEST(JitRegion, ACallThatDoesNotRepeatStaysACall) {
  const Region region = region_of({encode_jump(Op::jal, ra, 8), kReturn, encode_i(Op::addi, a1, a1, 1), kReturn});
  EXPECT_EQ(count(region, Exit::call), 1u);
}

TEST(JitRegion, RecursionIsInlinedToALimitedDepth) {
  const Region region = region_of({
      encode_branch(Op::bne, a0, zero, 8),
      kReturn,
      encode_i(Op::addi, a0, a0, -1),
      encode_jump(Op::jal, ra, -12),
      encode_i(Op::addi, a1, a1, 1),
      kReturn,
  });
  EXPECT_EQ(count(region, Exit::call), 1u) << "of the innermost one";
  EXPECT_GT(region.instructions(), 6u);
  EXPECT_LE(region.instructions(), 6u * 4);
}

TEST(JitRegion, CallsThroughPointersGoToFunctionsThatWereCalled) {
  const std::vector<u32> words = {
      encode_i(Op::jalr, ra, a2, 0),
      encode_i(Op::addi, a0, a0, -1),
      encode_branch(Op::bne, a0, zero, -8),
      kReturn,
      encode_i(Op::addi, a1, a1, 1),
      kReturn,  // begins behind a return
      encode_i(Op::addi, a1, a1, 2),
      encode_i(Op::addi, a1, a1, 3),
      kReturn,
  };
  EXPECT_TRUE(region_of(words).blocks[0].end.cases.empty());
  const Region region = region_of(words, {}, {kEntry + 16, kEntry + 24, kEntry + 28});
  const Terminator& end = region.blocks[0].end;
  EXPECT_EQ(end.kind, Exit::call_value);
  ASSERT_EQ(end.cases.size(), 2u) << "what lies in the middle of a function is none";
  EXPECT_EQ(region.blocks[end.cases[0]].offset, static_cast<i32>(kEntry + 16));
  EXPECT_EQ(region.blocks[end.cases[1]].offset, static_cast<i32>(kEntry + 24));
}

TEST(JitRegion, OfManyFunctionsBehindPointersTheNearestAreInlined) {
  std::vector<u32> words;
  SeenTargets seen;
  const auto functions = [&](u32 count) {
    for (u32 i = 0; i < count; i++) {
      seen.push_back(kEntry + 4 * static_cast<u32>(words.size()));
      words.insert(words.end(), {encode_i(Op::addi, a1, a1, 1), kReturn});
    }
  };
  // The loop comes first, as the region begins there; the farthest are seen first.
  words = {encode_i(Op::jalr, ra, a2, 0), encode_i(Op::addi, a0, a0, -1), encode_branch(Op::bne, a0, zero, -8),
           kReturn};
  functions(12);
  std::ranges::reverse(seen);
  const Region region = region_of(words, {}, seen);
  const Terminator& end = region.blocks[0].end;
  ASSERT_EQ(end.cases.size(), 8u);
  for (u32 i = 0; i < 8; i++) EXPECT_EQ(region.blocks[end.cases[i]].offset, static_cast<i32>(kEntry + 16 + 8 * i));
}

TEST(JitRegion, WhatTheHartDoesEndsTheRegionAndBelongsToIt) {
  for (const Op op : {Op::ecall, Op::ebreak, Op::sret, Op::mret, Op::wfi, Op::sfence_vma, Op::fence_i}) {
    const Region region = region_of({encode_i(Op::addi, a0, a0, 1), info(op).match, kReturn});
    ASSERT_EQ(region.blocks.size(), 1u) << info(op).name;
    EXPECT_EQ(region.blocks[0].count(), 2u) << info(op).name;
    EXPECT_EQ(region.blocks[0].end.kind, Exit::system) << info(op).name;
  }
}

TEST(JitRegion, WhatIsNotForCompiledCodeIsTheInterpretersAndEndsTheRegion) {
  constexpr u32 kIllegal = 0xffff'ffff;
  const Region region = region_of({encode_i(Op::addi, a0, a0, 1), kIllegal, kReturn});
  ASSERT_EQ(region.blocks.size(), 1u);
  EXPECT_EQ(region.blocks[0].count(), 1u);
  EXPECT_EQ(region.blocks[0].end.kind, Exit::interpret);
  EXPECT_EQ(region.blocks[0].end.target, static_cast<i32>(kEntry + 4));
  EXPECT_TRUE(discover(window_of({kIllegal}), kEntry, IsaOptions{}, {}).blocks.empty());
}

TEST(JitRegion, BranchesOutOfTheWindowLeave) {
  const Region region = region_of({encode_jump(Op::jal, zero, -(i64{kEntry} + 4096))});
  ASSERT_EQ(region.blocks.size(), 2u);
  EXPECT_EQ(region.blocks[1].count(), 0u);
  EXPECT_EQ(region.blocks[1].end.kind, Exit::go);
  EXPECT_EQ(region.blocks[1].end.target, -4096);
}

TEST(JitRegion, LimitsLeaveTheRestOut) {
  std::vector<u32> words(100, encode_i(Op::addi, a0, a0, 1));
  words.push_back(kReturn);
  RegionLimits limits;
  limits.instructions = 40;
  const Region region = region_of(words, limits);
  EXPECT_EQ(region.instructions(), 40u);
  EXPECT_EQ(region.blocks[0].end.kind, Exit::go);
  EXPECT_EQ(region.blocks[0].end.target, static_cast<i32>(kEntry + 4 * 40));
}

TEST(JitRegion, MissingPagesLeave) {
  Window window = window_of({encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, zero, 4096)});
  Window sparse;
  sparse.copy_page(kWindowBefore, window.at(kEntry));
  const Region region = discover(sparse, kEntry, IsaOptions{}, {});
  ASSERT_EQ(region.blocks.size(), 2u);
  EXPECT_EQ(region.blocks[1].end.kind, Exit::go);
}

TEST(JitRegion, IndirectJumpsGoWhereTheyWereSeenToGo) {
  const std::vector<u32> words = {
      encode_i(Op::jalr, zero, a5, 0), encode_i(Op::addi, a0, a0, 1), kReturn, encode_i(Op::addi, a0, a0, 2), kReturn,
  };
  EXPECT_TRUE(region_of(words).blocks[0].end.cases.empty());
  const Region region = region_of(words, {}, {kEntry + 4, kEntry + 12});
  ASSERT_EQ(region.blocks[0].end.cases.size(), 2u);
  EXPECT_EQ(region.blocks[region.blocks[0].end.cases[0]].offset, static_cast<i32>(kEntry + 4));
  EXPECT_EQ(region.blocks[region.blocks[0].end.cases[1]].offset, static_cast<i32>(kEntry + 12));
}

// Two blocks that go to each other and are both entered from outside.
TEST(JitRegion, LoopsWithTwoEntriesGetADispatcher) {
  const Region region = region_of({
      encode_branch(Op::beq, a0, zero, 12),  // to the second
      encode_i(Op::addi, a1, a1, 1),         // the first
      encode_branch(Op::beq, a1, a2, 16),    // out
      encode_i(Op::addi, a3, a3, 1),         // the second
      encode_branch(Op::bne, a3, a4, -12),   // to the first
      kReturn,
      kReturn,
  });
  const FlowGraph graph(region);
  EXPECT_TRUE(graph.has_dispatch());
  // Every edge back goes to a node that dominates where it comes from.
  for (const u32 n : graph.order()) {
    for (const u32 m : graph.node(n).next) {
      if (graph.node(m).order > graph.node(n).order) continue;
      u32 at = n;
      while (at != m && at != 0) at = graph.node(at).dominator;
      EXPECT_EQ(at, m) << n << " -> " << m;
    }
  }
}

TEST(JitVerify, FindsWhatIsWrong) {
  const Region good = region_of({encode_load(Op::ld, a0, 0, a1), encode_store(Op::sd, a0, 8, a1), kReturn});
  const auto broken = [&](auto change) {
    Region region = good;
    change(region.blocks[0]);
    return verify(region);
  };
  EXPECT_EQ(verify(good), "");
  const auto at = [](Block& b, Ir op) {
    for (Inst& inst : b.code) {
      if (inst.op == op) return &inst;
    }
    return &b.code[0];
  };
  const auto expect = [&](auto change, const char* what) {
    EXPECT_NE(broken(change).find(what), std::string::npos) << what;
  };
  expect([&](Block& b) { at(b, Ir::load)->a = 70; }, "not there yet");
  expect([&](Block& b) { at(b, Ir::load)->size = 3; }, "no such size");
  expect([&](Block& b) { at(b, Ir::get_x)->reg = 0; }, "no such register");
  expect([&](Block& b) { at(b, Ir::get_x)->a = 0; }, "too many operands");
  expect([&](Block& b) { at(b, Ir::set_x)->guest = 9; }, "out of order");
  expect([&](Block& b) { b.end.value = kNoValue; }, "do not go together");
  expect([&](Block& b) { b.end = {.kind = Exit::jump, .taken = 5}; }, "not there");
  // The store then belongs to an instruction that has written a register before.
  expect(
      [&](Block& b) {
        const u16 guest = at(b, Ir::store)->guest;
        for (Inst& inst : b.code) {
          if (inst.op == Ir::set_x) inst.guest = guest;
          if (inst.op == Ir::store) break;
        }
        for (Inst& inst : b.code) {
          if (inst.guest < guest) inst.guest = guest;
        }
      },
      "half executed");
}

// Every instruction of the table can be lifted, in every form that the decoder gives, and gives valid operations.
TEST(JitLift, EveryInstruction) {
  IsaOptions all;
  all.enabled = ~u32{0};
  u32 lifted = 0;
  for (u32 number = 1; number < kOpCount; number++) {
    const OpInfo& of = info(static_cast<Op>(number));
    for (const u32 fields : {0u, (5u << 7 | 6u << 15 | 7u << 20) & ~of.mask, ~of.mask}) {
      const u32 word = of.match | (fields & ~of.mask);
      if (decode(word, all).op == Op::none) continue;
      Region region = discover(window_of({word, kReturn}), kEntry, all, {});
      lift(region, all, {.fused_multiply_add = true});
      EXPECT_EQ(verify(region), "") << of.mnemonic;
      lifted += !region.blocks.empty();
    }
  }
  EXPECT_GT(lifted, 500u);
}

// One function of each kind of control; that engines take the modules is shown by tests/jit/random.mjs.
TEST(JitLower, PositionAndSizeAreTheSameEachTime) {
  Target target;
  target.ram_bytes = u64{64} << 20;
  const std::vector<Region> regions = {region_of({
      encode_branch(Op::beq, a0, zero, 12),
      encode_load(Op::ld, a0, 0, sp),
      encode_load(Op::ld, a1, 8, sp),
      encode_r(Op::mulhu, a0, a0, a1),
      encode_branch(Op::bne, a0, a1, -16),
      kReturn,
  })};
  const EmittedModule first = lower(regions, 1024, target);
  EXPECT_EQ(lower(regions, 1024, target).bytes, first.bytes);
  EXPECT_EQ(first.instructions, 6u);
  target.hoist_frames = false;
  const EmittedModule without_frames = lower(regions, 1024, target);
  EXPECT_NE(without_frames.bytes, first.bytes);
  target.group_accesses = false;
  EXPECT_NE(lower(regions, 1024, target).bytes, without_frames.bytes);
}

}  // namespace
}  // namespace hartwood::jit
