// SPDX-License-Identifier: Apache-2.0
// Sequences: each one's instructions do what they do alone, whatever the operands, wherever the budget ends, and
// with accesses that miss or fault in any place; groups of accesses too, wherever they lie in a page, across its end
// and over the end of RAM. The reference is the same hart with a tracer, which executes one instruction at a time and
// knows no sequences.
#include "hart/sequences.h"

#include <algorithm>
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

bool is_group(Step step) { return step >= Step::load_first; }
bool has_group(u32 number) { return std::ranges::any_of(sequence_steps(number), is_group); }

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

// Registers that an encoding must name, -1: any.
struct Wanted {
  int rd = -1, rs1 = -1, rs2 = -1;
};

bool has_rs2_field(Format format) { return format == Format::r || format == Format::s || format == Format::b; }

bool names(const Insn& insn, Format format, const Wanted& wanted) {
  const bool stores = format == Format::s || format == Format::b;
  const int rs2 = stores ? insn.store_rs2() : insn.rs2();
  return (wanted.rd < 0 || insn.rd == wanted.rd) && (wanted.rs1 < 0 || insn.rs1 == wanted.rs1) &&
         (wanted.rs2 < 0 || (has_rs2_field(format) && rs2 == wanted.rs2));
}

// Some encoding with these registers; after many trials any one. `near`: the offset of an access is in a range of 96
// bytes around 40, except in 2-byte forms.
u32 encoding(u16 code, const Wanted& wanted, bool near, std::mt19937_64& random) {
  const Format format = info(static_cast<Op>(code & (kCompact - 1))).format;
  for (u32 trial = 0; trial < 2000; trial++) {
    u32 word = any_encoding(code, random);
    if (code < kCompact) {
      const auto place = [&](int number, u32 at) {
        if (number >= 0) word = (word & ~(31u << at)) | static_cast<u32>(number) << at;
      };
      place(wanted.rd, 7);
      place(wanted.rs1, 15);
      if (has_rs2_field(format)) place(wanted.rs2, 20);
      const u32 offset = static_cast<u32>(random() % 96 - 8) & (random() % 8 == 0 ? ~0u : ~7u);
      if (near && format == Format::s)
        word = (word & ~0xfe00'0f80) | (offset & 31) << 7 | (offset >> 5) << 25;
      else if (near)
        word = (word & 0x000f'ffff) | offset << 20;
      if (decode(word, IsaOptions{}).op != static_cast<Op>(code)) continue;  // an alias with another name
    }
    if (names(decode(word, IsaOptions{}).insn, format, wanted)) return word;
  }
  return any_encoding(code, random);
}

struct Code {
  std::vector<u16> halves;
  std::vector<Insn> insns;   // as they lie in slots
  std::vector<u32> offsets;  // in halfwords, of each
};

void append(Code& code, u32 word) {
  const Decoded decoded = decode(word, IsaOptions{});
  code.offsets.push_back(static_cast<u32>(code.halves.size()));
  code.insns.push_back(to_slot(decoded));
  code.halves.push_back(static_cast<u16>(word));
  if (decoded.length == 4) code.halves.push_back(static_cast<u16>(word >> 16));
}

// A register for results that most 2-byte forms can name.
int some_register(std::mt19937_64& random) { return static_cast<int>(8 + random() % 8); }

// Instructions of the sequence with random operands; for one with groups or links such that these hold, nearly always.
Code any_code(u32 number, std::mt19937_64& random) {
  const std::span<const u16> ops = sequence(number);
  const std::span<const Step> steps = sequence_steps(number);
  const std::span<const Links> links = sequence_links(number);
  Code code;
  for (u32 trial = 0; trial < 20000; trial++) {
    code = {};
    int load_base = some_register(random), store_base = some_register(random);
    // Some 2-byte forms have sp for their base, others have not.
    if (trial % 3 == 1) load_base = sp;
    if (trial % 3 == 1 || trial % 6 == 2) store_base = sp;
    // What a dead result's register is, the next of these overwrites, or one further on.
    int overwritten = -1;
    for (u32 i = 0; i < ops.size(); i++) {
      Wanted wanted;
      const bool load = steps[i] == Step::load_first || steps[i] == Step::load_next;
      if (is_group(steps[i])) wanted.rs1 = load ? load_base : store_base;
      if (links[i].rs1 >= 0) {
        wanted.rs1 = code.insns[static_cast<u32>(links[i].rs1)].rd;
        if (is_group(steps[i])) (load ? load_base : store_base) = wanted.rs1;
      }
      if (links[i].rs2 >= 0) wanted.rs2 = code.insns[static_cast<u32>(links[i].rs2)].rd;
      const bool alu = steps[i] == Step::alu;
      if (alu && overwritten >= 0 && random() % 2 == 0) {
        wanted.rd = overwritten;
        overwritten = -1;
      } else if ((alu || load || steps[i] == Step::load) && random() % 8 != 0) {
        wanted.rd = some_register(random);
        if (ops[i] >= kCompact && wanted.rs1 >= 0 && random() % 2 == 0) wanted.rd = wanted.rs1;
      }
      append(code, encoding(ops[i], wanted, is_group(steps[i]), random));
      if (links[i].dead) overwritten = code.insns.back().rd;
    }
    if (sequence_at(code.insns) == kSlotSequences + number) break;
  }
  return code;
}

void place_code(Rig& rig, const std::vector<u16>& halves) {
  for (size_t i = 0; i < halves.size(); i++) rig.poke<u16>(kCode + 2 * i, halves[i]);
}

constexpr u64 kArea = 0x1000;   // bytes of data that the two are compared in, a page
constexpr u64 kAround = 0x100;  // and before and behind it

void expect_same(Rig& fast, Rig& one_by_one, u64 data) {
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
  for (u64 at = data - kAround; at < std::min(data + kArea + kAround, kRamEnd); at += 8)
    EXPECT_EQ(fast.peek<u64>(at), one_by_one.peek<u64>(at)) << std::hex << at;
}

// Both harts in the same state: the code at kCode, the data's page and its surroundings filled, no trap so far.
void prepare(Rig& rig, const std::vector<u16>& halves, const u64 (&values)[64], u64 data, bool float_off) {
  rig.reset();
  rig.place(kMachineTrap, std::vector<u32>(16, kNop));
  for (u64 at = data - kAround; at < std::min(data + kArea + kAround, kRamEnd); at += 8)
    rig.poke<u64>(at, at * 0x9e37'79b9'7f4a'7c15);
  place_code(rig, std::vector<u16>(64, 0x0001));
  place_code(rig, halves);
  rig.drop_caches();
  for (unsigned i = 1; i < 32; i++) {
    rig.state().x[i] = values[i];
    rig.state().f[i] = values[32 + i];
  }
  if (!float_off) rig.state().mstatus |= mstatus::kFs;
  rig.state().pc = kCode;
}

TEST(Sequences, DoWhatTheirInstructionsDoAlone) {
  RecordingTracer tracer;
  Rig fast, one_by_one(RigOptions{.tracer = &tracer});
  std::mt19937_64 random(20);
  u32 executed = 0, trapped = 0, suited = 0;
  for (u32 number = 0; number < sequence_count(); number++) {
    const std::span<const u16> ops = sequence(number);
    for (u32 trial = 0; trial < 30; trial++) {
      const Code code = any_code(number, random);
      std::string text;
      for (const u16 op : ops)
        text += std::string(info(static_cast<Op>(op & (kCompact - 1))).name) + (op >= kCompact ? ".2 " : ".4 ");
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
        prepare(*rig, code.halves, values, kData, float_off);
        // Some budget that ends inside, then the rest; afterwards once more from the start, with a warm TLB.
        const u64 traps = rig->hart().traps();
        rig->run(before);
        rig->run(ops.size() + 2 - before);
        rig->state().pc = kCode;
        rig->run(ops.size());
        if (rig == &fast) trapped += rig->hart().traps() != traps;
      }
      executed++;
      suited += sequence_at(code.insns) == kSlotSequences + number;
      SCOPED_TRACE(text + "trial " + std::to_string(trial));
      expect_same(fast, one_by_one, kData);
      if (testing::Test::HasFailure()) return;
    }
  }
  // Nearly all ran as what they should, and neither nothing but traps nor none.
  EXPECT_GT(suited, executed * 9 / 10);
  EXPECT_GT(trapped, executed / 20);
  EXPECT_LT(trapped, executed * 3 / 4);
}

// All registers hold one address, which moves over both borders of a page in steps of 1 to 8 bytes; behind the last
// page of RAM an access in the middle of a group faults. The TLB is warm, so that what can hit does.
TEST(Sequences, GroupsAnywhereInAPage) {
  RecordingTracer tracer;
  Rig fast, one_by_one(RigOptions{.tracer = &tracer});
  std::mt19937_64 random(21);
  u32 groups = 0, held = 0, trapped = 0, whole = 0;
  for (u32 number = 0; number < sequence_count(); number++) {
    if (!has_group(number)) continue;
    groups++;
    const std::span<const u16> ops = sequence(number);
    for (const u64 data : {kData, kRamEnd - kArea}) {
      const Code code = any_code(number, random);
      held += sequence_at(code.insns) == kSlotSequences + number;
      const bool aligned = random() % 4 != 0;
      for (i64 at = -160; at < 160; at += aligned ? 8 : 1 + static_cast<i64>(random() % 8)) {
        u64 values[64];
        const u64 address = data + static_cast<u64>(random() % 2 == 0 ? at : at + static_cast<i64>(kArea));
        for (u64& value : values) value = address;
        const u64 before = 1 + random() % ops.size();
        for (Rig* rig : {&fast, &one_by_one}) {
          prepare(*rig, code.halves, values, data, false);
          // One access of each kind to each of the pages, and the code is decoded.
          for (const u64 warm : {data - 8, data, data + kArea}) {
            if (warm >= kRamEnd) continue;
            rig->access(Op::ld, warm);
            rig->access(Op::sd, warm, warm * 0x9e37'79b9'7f4a'7c15);
          }
          for (unsigned i = 1; i < 32; i++) rig->state().x[i] = values[i];
          const u64 traps = rig->hart().traps(), retired = rig->state().retired;
          rig->state().pc = kCode;
          rig->run(before);
          rig->run(ops.size() - before + 1);
          rig->state().pc = kCode;
          for (unsigned i = 1; i < 32; i++) rig->state().x[i] = values[i];
          rig->run(ops.size());
          if (rig == &fast) {
            trapped += rig->hart().traps() != traps;
            whole += rig->state().retired == retired + 2 * ops.size() + 1;
          }
        }
        SCOPED_TRACE("sequence " + std::to_string(number) + " at " + std::to_string(at));
        expect_same(fast, one_by_one, data);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  // Nearly all code was what it should be, and both ways of ending are there.
  EXPECT_GT(groups, 20u);
  EXPECT_GT(held, groups * 2 * 9 / 10);
  EXPECT_GT(trapped, groups);
  EXPECT_GT(whole, groups);
}

TEST(Sequences, BestMatchAndBack) {
  std::mt19937_64 random(22);
  for (u32 number = 0; number < sequence_count(); number++) {
    const std::span<const u16> ops = sequence(number);
    const u16 op = static_cast<u16>(kSlotSequences + number);
    const Code code = any_code(number, random);
    const u16 found = sequence_at(code.insns);
    // Itself, or one that saves as much or more of what these instructions begin with.
    ASSERT_GE(found, kSlotSequences);
    const std::span<const u16> best = sequence(found - kSlotSequences);
    EXPECT_TRUE(std::ranges::equal(best, ops.first(best.size())));
    EXPECT_EQ(first_of_sequence(op), ops[0]);
    EXPECT_TRUE(can_be_continued(ops[0]));
    // Without its last instruction it is another sequence or none, never itself.
    EXPECT_NE(sequence_at(std::span(code.insns).first(ops.size() - 1)), op);
  }
  for (const u16 op : {kSlotIllegal, kSlotPageEnd, kSlotStraddle}) {
    const Insn insn{.op = op};
    EXPECT_EQ(sequence_at(std::span(&insn, 1)), op);
    EXPECT_EQ(first_of_sequence(op), op);
    EXPECT_FALSE(can_be_continued(op));
  }
}

// What a group asks of its operands, one by one, on four loads or stores of eight bytes.
TEST(Sequences, GroupsOnlyOfWhatCanShareAProbe) {
  const auto kinds = [](const std::vector<u32>& words) {
    Code code;
    for (const u32 word : words) append(code, word);
    const u16 op = sequence_at(code.insns);
    u32 count = 0;
    if (op >= kSlotSequences) {
      for (const Step step : sequence_steps(op - kSlotSequences)) count += is_group(step);
    }
    return count;
  };
  const auto loads = [&](std::vector<i32> offsets, Reg second_base = a1, Reg first_rd = a2) {
    return kinds({encode_load(Op::ld, first_rd, offsets[0], a1), encode_load(Op::ld, a3, offsets[1], second_base)});
  };
  EXPECT_EQ(loads({0, 8}), 2u);
  EXPECT_EQ(loads({8, 0}), 2u);
  EXPECT_EQ(loads({-512, -568}), 2u);
  EXPECT_EQ(loads({0, 56}), 2u);
  EXPECT_EQ(loads({0, 64}), 0u);         // ends behind the reach
  EXPECT_EQ(loads({64, 0}), 0u);         // begins before it
  EXPECT_EQ(loads({0, 12}), 0u);         // one of the two is misaligned
  EXPECT_EQ(loads({0, 8}, a4), 0u);      // another base
  EXPECT_EQ(loads({0, 8}, a1, a1), 0u);  // another address in the same register
  EXPECT_EQ(kinds({encode_load(Op::ld, a2, 0, a1), encode_load(Op::ld, a1, 8, a1)}), 2u);  // overwritten by the last
}

// What links ask of the operands, on an address made of two parts (a dead result, then one that is given) and on one
// that a load uses.
TEST(Sequences, LinksOnlyOfWhatIsGiven) {
  const auto links = [](const std::vector<u32>& words) {
    Code code;
    for (const u32 word : words) append(code, word);
    const u16 op = sequence_at(code.insns);
    u32 given = 0, dead = 0;
    if (op >= kSlotSequences) {
      for (const Links& step : sequence_links(op - kSlotSequences)) {
        given += (step.rs1 >= 0) + (step.rs2 >= 0);
        dead += step.dead;
      }
    }
    return std::pair{given, dead};
  };
  using Found = std::pair<u32, u32>;
  const u32 auipc_a1 = 0x0000'1597;
  EXPECT_EQ(links({auipc_a1, encode_i(Op::addi, a1, a1, 8)}), Found(1, 1));
  EXPECT_EQ(links({auipc_a1, encode_i(Op::addi, a2, a1, 8)}), Found(0, 0));  // a1 stays
  EXPECT_EQ(links({auipc_a1, encode_i(Op::addi, a1, a2, 8)}), Found(0, 0));  // another source
  EXPECT_EQ(links({auipc_a1, encode_load(Op::ld, a2, 8, a1)}), Found(1, 0));
  EXPECT_EQ(links({auipc_a1, encode_load(Op::ld, a1, 8, a1)}), Found(1, 0));  // may fault before it overwrites
  EXPECT_EQ(links({auipc_a1, encode_load(Op::ld, a1, 8, a2)}), Found(0, 0));
  // x0 is what it is, whatever was written there.
  EXPECT_EQ(links({0x0000'1017, encode_load(Op::ld, a1, 8, zero)}), Found(0, 0));
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
