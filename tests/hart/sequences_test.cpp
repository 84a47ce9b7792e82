// SPDX-License-Identifier: Apache-2.0
// Sequences: each one's instructions do what they do alone, whatever the operands, wherever the budget ends, and
// with accesses that miss or fault in any place. The reference is the same hart with a tracer, which executes one
// instruction at a time and knows no sequences.
#include "hart/sequences.h"

#include <random>

#include "hart/rig.h"

namespace hartwood::test {
namespace {

// All 2-byte encodings of an operation.
const std::vector<u16>& compressed(Op op) {
  static const std::vector<std::vector<u16>> by_op = [] {
    std::vector<std::vector<u16>> result(kOpCount);
    for (u32 half = 0; half < 0x10000; half++) {
      if ((half & 3) == 3) continue;
      result[static_cast<u32>(decode(half, IsaOptions{}).op)].push_back(static_cast<u16>(half));
    }
    return result;
  }();
  return by_op[static_cast<u32>(op)];
}

u32 any_encoding(u16 code, std::mt19937_64& random) {
  if (code >= kCompact) {
    const std::vector<u16>& all = compressed(static_cast<Op>(code - kCompact));
    HW_CHECK(!all.empty(), "an operation without a 2-byte form");
    return all[random() % all.size()];
  }
  const OpInfo& row = info(static_cast<Op>(code));
  for (;;) {
    const u32 word = (static_cast<u32>(random()) & ~row.mask) | row.match;
    if (decode(word, IsaOptions{}).op == static_cast<Op>(code)) return word;  // not an alias with another name
  }
}

void place_code(Rig& rig, const std::vector<u16>& halves) {
  for (size_t i = 0; i < halves.size(); i++) rig.poke<u16>(kCode + 2 * i, halves[i]);
}

constexpr u64 kArea = 0x1000;  // bytes of data that the two are compared in

void expect_same(Rig& fast, Rig& one_by_one) {
  HartState &a = fast.state(), &b = one_by_one.state();
  for (unsigned i = 0; i < 32; i++) {
    EXPECT_EQ(a.x[i], b.x[i]) << "x" << i;
    EXPECT_EQ(a.f[i], b.f[i]) << "f" << i;
  }
  EXPECT_EQ(a.pc, b.pc);
  EXPECT_EQ(a.mcause, b.mcause);
  EXPECT_EQ(a.mepc, b.mepc);
  EXPECT_EQ(a.mtval, b.mtval);
  EXPECT_EQ(a.mstatus, b.mstatus);
  EXPECT_EQ(a.retired, b.retired);
  EXPECT_EQ(fast.hart().traps(), one_by_one.hart().traps());
  for (u64 at = 0; at < kArea; at += 8) EXPECT_EQ(fast.peek<u64>(kData + at), one_by_one.peek<u64>(kData + at)) << at;
}

TEST(Sequences, DoWhatTheirInstructionsDoAlone) {
  RecordingTracer tracer;
  Rig fast, one_by_one(RigOptions{.tracer = &tracer});
  std::mt19937_64 random(20);
  u32 executed = 0, trapped = 0;
  for (u32 number = 0; number < sequence_count(); number++) {
    const std::span<const u16> ops = sequence(number);
    for (u32 trial = 0; trial < 30; trial++) {
      std::vector<u16> halves;
      std::string text;
      for (const u16 code : ops) {
        const u32 word = any_encoding(code, random);
        halves.push_back(static_cast<u16>(word));
        if (instruction_length(static_cast<u16>(word)) == 4) halves.push_back(static_cast<u16>(word >> 16));
        text += std::string(info(static_cast<Op>(code & (kCompact - 1))).name) + (code >= kCompact ? ".2 " : ".4 ");
      }
      // Registers into the data, mostly aligned, so that most accesses of small offsets succeed.
      u64 values[64];
      for (u64& value : values) {
        value = kData + 8 * (random() % (kArea / 16));
        if (random() % 8 == 0) value += (random() % (8));
        if (random() % 8 == 0) value = random();
      }
      const bool float_off = random() % 8 == 0;
      const u64 before = 1 + random() % ops.size();
      for (Rig* rig : {&fast, &one_by_one}) {
        rig->reset();
        rig->place(kMachineTrap, std::vector<u32>(16, kNop));
        for (u64 at = 0; at < kArea; at += 8) rig->poke<u64>(kData + at, at * 0x9e37'79b9'7f4a'7c15);
        place_code(*rig, std::vector<u16>(64, 0x0001));
        place_code(*rig, halves);
        rig->drop_caches();
        for (unsigned i = 1; i < 32; i++) {
          rig->state().x[i] = values[i];
          rig->state().f[i] = values[32 + i];
        }
        if (!float_off) rig->state().mstatus |= mstatus::kFs;
        rig->state().pc = kCode;
        // Some budget that ends inside, then the rest; afterwards once more from the start, with a warm TLB.
        const u64 traps = rig->hart().traps();
        rig->run(before);
        rig->run(ops.size() + 2 - before);
        rig->state().pc = kCode;
        rig->run(ops.size());
        if (rig == &fast) trapped += rig->hart().traps() != traps;
      }
      executed++;
      SCOPED_TRACE(text + "trial " + std::to_string(trial));
      expect_same(fast, one_by_one);
      if (testing::Test::HasFailure()) return;
    }
  }
  // Neither nothing but traps nor none.
  EXPECT_GT(trapped, executed / 20);
  EXPECT_LT(trapped, executed * 3 / 4);
}

TEST(Sequences, LongestMatchAndBack) {
  for (u32 number = 0; number < sequence_count(); number++) {
    const std::span<const u16> ops = sequence(number);
    const u16 op = static_cast<u16>(kSlotSequences + number);
    EXPECT_EQ(sequence_at(ops), op);
    EXPECT_EQ(first_of_sequence(op), ops[0]);
    EXPECT_TRUE(can_be_continued(ops[0]));
    // Without its last instruction it is another sequence or none, never itself.
    EXPECT_NE(sequence_at(ops.first(ops.size() - 1)), op);
  }
  for (const u16 op : {kSlotIllegal, kSlotPageEnd, kSlotStraddle}) {
    EXPECT_EQ(sequence_at(std::span(&op, 1)), op);
    EXPECT_EQ(first_of_sequence(op), op);
    EXPECT_FALSE(can_be_continued(op));
  }
}

TEST(Sequences, EndAtThePagesEnd) {
  // The same instructions just before the border, so that a sequence would reach over it, and across it.
  for (u64 start = kCode + kPageBytes - 12; start < kCode + kPageBytes; start += 2) {
    Rig rig;
    for (u64 i = 0; i < 8; i++) rig.poke<u16>(start + 2 * i, 0x0505);  // c.addi a0, 1
    rig.state().pc = start;
    rig.drop_caches();
    rig.run(8);
    EXPECT_EQ(rig.x(a0), 8u);
    EXPECT_EQ(rig.state().pc, start + 16);
  }
}

}  // namespace
}  // namespace hartwood::test
