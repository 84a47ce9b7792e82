// SPDX-License-Identifier: Apache-2.0
// Every integer, bit-manipulation and conditional instruction, and every compressed one, against results
// worked out from the manual. Each runs in all the ways that a hart has of executing it: in the fast loop at
// even and odd halfwords, across a page border, and with a tracer.
#include <array>

#include "hart/instruction_tables.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

const u64 kPlaces[] = {kCode + 0x10, kCode + 0x22, kCode + 0xffe};

// Registers that no test looks at hold something else each.
void scramble(Rig& rig) {
  for (u32 i = 1; i < 32; i++) rig.state().x[i] = 0xbad0'0000'0000'0000 + i;
}

class Instructions : public testing::Test {
 protected:
  Rig fast_;
  RecordingTracer tracer_;
  Rig traced_{RigOptions{.tracer = &tracer_}};

  // Places `word` at all places of both harts.
  void place(u32 word, u32 length = 4) {
    word_ = word;
    length_ = length;
    for (Rig* rig : {&fast_, &traced_}) {
      for (const u64 pc : kPlaces) {
        rig->poke<u16>(pc, static_cast<u16>(word));
        if (length == 4) rig->poke<u16>(pc + 2, static_cast<u16>(word >> 16));
      }
      rig->drop_caches();
    }
  }
  // Runs it with the registers of `before` and looks at them with `check`, everywhere.
  template <class Before, class Check>
  void each(Before before, Check check) {
    for (Rig* rig : {&fast_, &traced_}) {
      for (const u64 pc : kPlaces) {
        scramble(*rig);
        before(*rig);
        const std::array<u64, 32> old = registers(*rig);
        rig->state().pc = pc;
        ASSERT_EQ(rig->run(), Outcome{}) << describe(rig, pc);
        check(*rig, old, pc);
        if (HasFailure()) FAIL() << describe(rig, pc);
      }
    }
  }
  // The destination becomes `result`, and nothing else changes.
  template <class Before>
  void expect(Before before, Reg rd, u64 result) {
    each(before, [&](Rig& rig, std::array<u64, 32> old, u64 pc) {
      if (rd != zero) old[rd] = result;
      EXPECT_EQ(registers(rig), old) << "x" << rd << " 0x" << std::hex << rig.state().x[rd] << ", expected 0x"
                                     << result;
      EXPECT_EQ(rig.state().pc, pc + length_);
    });
  }
  static std::array<u64, 32> registers(Rig& rig) {
    std::array<u64, 32> all;
    std::copy_n(rig.state().x, 32, all.begin());
    return all;
  }
  std::string describe(const Rig* rig, u64 pc) const {
    char text[80];
    std::snprintf(text, sizeof text, "%s at 0x%llx, %s", disassemble(word_, pc, {}).c_str(),
                  static_cast<unsigned long long>(pc), rig == &fast_ ? "fast" : "traced");
    return text;
  }

 private:
  u32 word_ = 0, length_ = 4;
};

constexpr Reg kDestinations[] = {ra, sp, t0, s0, a5, s11, t6};

TEST_F(Instructions, TwoOperands) {
  u32 turn = 0;
  for (const BinaryRow& row : kBinary) {
    SCOPED_TRACE(info(row.op).mnemonic);
    const Reg rd = kDestinations[turn++ % std::size(kDestinations)];
    const Reg rs1 = rd == a0 ? a4 : a0, rs2 = t3;
    const struct { Reg rd, rs1, rs2; } forms[] = {{rd, rs1, rs2}, {rs1, rs1, rs2}, {rs2, rs1, rs2}, {zero, rs1, rs2}};
    for (const auto& form : forms) {
      place(encode_r(row.op, form.rd, form.rs1, form.rs2));
      for (size_t i = 0; i < std::size(kPairs); i++) {
        expect(
            [&](Rig& rig) {
              rig.x(rs1) = kPairs[i].a;
              rig.x(rs2) = kPairs[i].b;
            },
            form.rd, row.results[i]);
      }
    }
    // x0 as operands: the pair of zeroes is the table's first.
    place(encode_r(row.op, rd, zero, zero));
    expect([](Rig&) {}, rd, row.results[0]);
  }
}

TEST_F(Instructions, SameRegisterTwice) {
  const struct {
    Op op;
    u64 a, result;
  } rows[] = {{Op::add, 0x8000'0000'0000'0001, 2},
              {Op::sub, 0x1234, 0},
              {Op::xor_, ~u64{0}, 0},
              {Op::mulhu, ~u64{0}, 0xffff'ffff'ffff'fffe},
              {Op::mulh, ~u64{0}, 0},
              {Op::divu, 77, 1},
              {Op::rem, 77, 0},
              {Op::slt, u64{1} << 63, 0},
              {Op::sll, 0x41, 0x82},
              {Op::xnor, 5, ~u64{0}},
              {Op::czero_eqz, 9, 9},
              {Op::czero_nez, 9, 0},
              {Op::sh3add_uw, 0xffff'ffff'0000'0001, 0xffff'ffff'0000'0009}};
  for (const auto& row : rows) {
    SCOPED_TRACE(info(row.op).mnemonic);
    place(encode_r(row.op, a0, a0, a0));
    expect([&](Rig& rig) { rig.x(a0) = row.a; }, a0, row.result);
  }
}

TEST_F(Instructions, OneOperand) {
  u32 turn = 0;
  for (const UnaryRow& row : kUnary) {
    SCOPED_TRACE(info(row.op).mnemonic);
    for (const Reg rd : {kDestinations[turn++ % std::size(kDestinations)], a0, zero}) {
      place(encode_unary(row.op, rd, a0));
      for (size_t i = 0; i < std::size(kOperands); i++)
        expect([&](Rig& rig) { rig.x(a0) = kOperands[i]; }, rd, row.results[i]);
    }
  }
}

TEST_F(Instructions, Immediates) {
  const auto run = [&](const ImmediateRow& row, auto encode) {
    SCOPED_TRACE(testing::Message() << info(row.op).mnemonic << " 0x" << std::hex << row.a << ", " << std::dec
                                    << row.imm);
    for (const Reg rd : {s5, a0, zero}) {
      place(encode(rd));
      expect([&](Rig& rig) { rig.x(a0) = row.a; }, rd, row.result);
    }
  };
  for (const ImmediateRow& row : kImmediate) run(row, [&](Reg rd) { return encode_i(row.op, rd, a0, row.imm); });
  for (const ImmediateRow& row : kShift)
    run(row, [&](Reg rd) { return encode_shift(row.op, rd, a0, static_cast<u32>(row.imm)); });
  for (const ImmediateRow& row : kShiftWord)
    run(row, [&](Reg rd) { return encode_shift5(row.op, rd, a0, static_cast<u32>(row.imm)); });
}

TEST_F(Instructions, TheTablesHaveEveryComputation) {
  std::array<bool, kOpCount> seen{};
  const auto see = [&](const auto& rows) {
    for (const auto& row : rows) seen[static_cast<size_t>(row.op)] = true;
  };
  see(kBinary);
  see(kUnary);
  see(kImmediate);
  see(kShift);
  see(kShiftWord);
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    switch (row.extension) {
      case Extension::I:
      case Extension::M:
      case Extension::Zba:
      case Extension::Zbb:
      case Extension::Zbc:
      case Extension::Zbs:
      case Extension::Zicond: break;
      default: continue;
    }
    const bool computes =
        row.writes_x() && (row.format == Format::r || row.format == Format::i || row.format == Format::unary ||
                           row.format == Format::shamt6 || row.format == Format::shamt5);
    if (computes && static_cast<Op>(op) != Op::jalr) {
      EXPECT_TRUE(seen[op]) << row.mnemonic;
    }
  }
}

TEST_F(Instructions, UpperImmediates) {
  const struct {
    i64 imm;
    u64 value;
  } rows[] = {
      {0, 0}, {1, 0x1000}, {0x7'ffff, 0x7fff'f000}, {-1, 0xffff'ffff'ffff'f000}, {-0x8'0000, 0xffff'ffff'8000'0000}};
  for (const auto& row : rows) {
    for (const Reg rd : {a0, zero}) {
      place(encode_upper(Op::lui, rd, row.imm));
      expect([](Rig&) {}, rd, row.value);
    }
    place(encode_upper(Op::auipc, s3, row.imm));
    each([](Rig&) {},
         [&](Rig& rig, const auto&, u64 pc) {
           EXPECT_EQ(rig.x(s3), pc + row.value);
           EXPECT_EQ(rig.state().pc, pc + 4);
         });
  }
}

TEST_F(Instructions, HintsAndFencesDoNothing) {
  const struct {
    u32 word, length;
    const char* what;
  } rows[] = {{0x0100'000f, 4, "pause"},
              {0x8330'000f, 4, "fence.tso"},
              {0x0ff0'000f, 4, "fence"},
              {0x0000'000f, 4, "fence with empty sets"},
              {0x0ff5'850f, 4, "fence, reserved fields set"},
              {0x0000'6013 | 10 << 15, 4, "prefetch.i"},
              {0x0010'6013 | 10 << 15, 4, "prefetch.r"},
              {0x0030'6013 | 10 << 15, 4, "prefetch.w"},
              {0x00d0'0073, 4, "wrs.nto"},
              {0x01d0'0073, 4, "wrs.sto"},
              {0x4010'5013, 4, "srai x0, x0, 1 (semihosting)"},
              {0x0001, 2, "c.nop"},
              {0x0005, 2, "c.nop 1"},
              {0x4005, 2, "c.li x0, 1"},
              {0x6005, 2, "c.lui x0, 1"},
              {0x0006, 2, "c.slli x0, 1"},
              {0x8006, 2, "c.mv x0, x1"},
              {0x900a, 2, "c.add x0, x2 (c.ntl.p1)"},
              {0x0501, 2, "c.addi a0, 0"},
              {0x0502, 2, "c.slli a0, 0"},
              {0x8781, 2, "c.srai a5, 0"}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    place(row.word, row.length);
    expect([](Rig&) {}, zero, 0);
  }
}

TEST_F(Instructions, CompressedComputations) {
  const struct {
    u16 half;
    const char* what;
    Reg source;
    u64 value;
    Reg rd;
    u64 old, result;  // value of rd before and after
  } rows[] = {
      {0x0040, "c.addi4spn s0, sp, 4", sp, 0xffff'ffff'ffff'fffc, s0, 1, 0},
      {0x1ffc, "c.addi4spn a5, sp, 1020", sp, 0x1000, a5, 1, 0x13fc},
      {0x1501, "c.addi a0, -32", t5, 0, a0, 31, ~u64{0}},
      {0x0ffd, "c.addi t6, 31", t5, 0, t6, 0x7fff'ffff'ffff'ffff, 0x8000'0000'0000'001e},
      {0x357d, "c.addiw a0, -1", t5, 0, a0, 0xffff'ffff'8000'0000, 0x7fff'ffff},
      {0x2ffd, "c.addiw t6, 31", t5, 0, t6, 0x7fff'ffff, 0xffff'ffff'8000'001e},
      {0x2501, "c.addiw a0, 0", t5, 0, a0, 0x1'8000'0000, 0xffff'ffff'8000'0000},
      {0x5501, "c.li a0, -32", t5, 0, a0, 7, 0xffff'ffff'ffff'ffe0},
      {0x40fd, "c.li ra, 31", t5, 0, ra, 7, 31},
      {0x7101, "c.addi16sp sp, -512", t5, 0, sp, 0x200, 0},
      {0x617d, "c.addi16sp sp, 496", t5, 0, sp, 0x10, 0x200},
      {0x657d, "c.lui a0, 0x1f", t5, 0, a0, 7, 0x1'f000},
      {0x7f81, "c.lui t6, 0xfffe0", t5, 0, t6, 7, 0xffff'ffff'fffe'0000},
      {0x8385, "c.srli a5, 1", t5, 0, a5, ~u64{0}, 0x7fff'ffff'ffff'ffff},
      {0x907d, "c.srli s0, 63", t5, 0, s0, ~u64{0}, 1},
      {0x97fd, "c.srai a5, 63", t5, 0, a5, u64{1} << 63, ~u64{0}},
      {0x9401, "c.srai s0, 32", t5, 0, s0, 0x8000'0000'7fff'ffff, 0xffff'ffff'8000'0000},
      {0x9b81, "c.andi a5, -32", t5, 0, a5, 0x3f, 0x20},
      {0x887d, "c.andi s0, 31", t5, 0, s0, ~u64{0}, 31},
      {0x8f81, "c.sub a5, s0", s0, 5, a5, 3, 0xffff'ffff'ffff'fffe},
      {0x8fa1, "c.xor a5, s0", s0, 0xff00, a5, 0x0ff0, 0xf0f0},
      {0x8fc1, "c.or a5, s0", s0, 0xff00, a5, 0x0ff0, 0xfff0},
      {0x8fe1, "c.and a5, s0", s0, 0xff00, a5, 0x0ff0, 0x0f00},
      {0x9f81, "c.subw a5, s0", s0, 1, a5, 0xffff'ffff'8000'0000, 0x7fff'ffff},
      {0x9fa1, "c.addw a5, s0", s0, 1, a5, 0x7fff'ffff, 0xffff'ffff'8000'0000},
      {0x157e, "c.slli a0, 63", t5, 0, a0, 3, u64{1} << 63},
      {0x0f86, "c.slli t6, 1", t5, 0, t6, 0xc000'0000'0000'0001, 0x8000'0000'0000'0002},
      {0x857e, "c.mv a0, t6", t6, 0x1234'5678'9abc'def0, a0, 7, 0x1234'5678'9abc'def0},
      {0x8f86, "c.mv t6, ra", ra, 42, t6, 7, 42},
      {0x957e, "c.add a0, t6", t6, ~u64{0}, a0, 1, 0},
      {0x9f86, "c.add t6, ra", ra, 1, t6, ~u64{0}, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    place(row.half, 2);
    expect(
        [&](Rig& rig) {
          rig.x(row.source) = row.value;
          rig.x(row.rd) = row.old;
        },
        row.rd, row.result);
  }
}

TEST_F(Instructions, CompressedLoadsAndStores) {
  constexpr u64 kAt = kData + 0x400;
  constexpr u64 kBefore = 0x8899'aabb'ccdd'eeff, kWord = 0x0123'4567'89ab'cdef;
  const struct {
    u16 half;
    const char* what;
    Reg base;
    u64 offset;
    u32 reg;  // 32 and more: f registers
    bool store;
    unsigned size;
  } rows[] = {
      {0x401c, "c.lw a5, 0(s0)", s0, 0, a5, false, 4},
      {0x5fe0, "c.lw s0, 124(a5)", a5, 124, s0, false, 4},
      {0x7c7c, "c.ld a5, 248(s0)", s0, 248, a5, false, 8},
      {0x6404, "c.ld s1, 8(s0)", s0, 8, s1, false, 8},
      {0xdc7c, "c.sw a5, 124(s0)", s0, 124, a5, true, 4},
      {0xfc7c, "c.sd a5, 248(s0)", s0, 248, a5, true, 8},
      {0x557e, "c.lwsp a0, 252(sp)", sp, 252, a0, false, 4},
      {0x7ffe, "c.ldsp t6, 504(sp)", sp, 504, t6, false, 8},
      {0xdffe, "c.swsp t6, 252(sp)", sp, 252, t6, true, 4},
      {0xfffe, "c.sdsp t6, 504(sp)", sp, 504, t6, true, 8},
      {0x3c7c, "c.fld fa5, 248(s0)", s0, 248, 32 + 15, false, 8},
      {0xbc7c, "c.fsd fa5, 248(s0)", s0, 248, 32 + 15, true, 8},
      {0x307e, "c.fldsp ft0, 504(sp)", sp, 504, 32, false, 8},
      {0xbffe, "c.fsdsp ft11, 504(sp)", sp, 504, 32 + 31, true, 8},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    place(row.half, 2);
    each(
        [&](Rig& rig) {
          rig.state().mstatus |= mstatus::kFs;
          for (u32 f = 0; f < 32; f++) rig.state().f[f] = 0xf0 + f;
          for (int i = -1; i <= 1; i++) rig.poke<u64>(kAt + 8 * static_cast<u64>(i), kBefore);
          if (row.reg < 32)
            rig.state().x[row.reg] = kWord;
          else
            rig.state().f[row.reg - 32] = kWord;
          rig.x(row.base) = kAt - row.offset;
        },
        [&](Rig& rig, const auto&, u64 pc) {
          EXPECT_EQ(rig.state().pc, pc + 2);
          const u64 reg = row.reg < 32 ? rig.state().x[row.reg] : rig.state().f[row.reg - 32];
          if (row.store) {
            EXPECT_EQ(rig.peek<u64>(kAt), row.size == 8 ? kWord : 0x8899'aabb'89ab'cdef);
            EXPECT_EQ(reg, kWord);
          } else {
            EXPECT_EQ(reg, row.size == 8 ? kBefore : 0xffff'ffff'ccdd'eeff);
            EXPECT_EQ(rig.peek<u64>(kAt), kBefore);
          }
          EXPECT_EQ(rig.peek<u64>(kAt - 8), kBefore);
          EXPECT_EQ(rig.peek<u64>(kAt + 8), kBefore);
        });
  }
}

TEST_F(Instructions, ReservedEncodingsAreIllegal) {
  const struct {
    u32 word;
    const char* what;
  } rows[] = {
      {0x0000'0000, "all zeroes"},
      {0x0000'0004, "c.addi4spn with 0"},
      {0x0000'2001, "c.addiw x0"},
      {0x0000'6101, "c.addi16sp with 0"},
      {0x0000'6501, "c.lui with 0"},
      {0x0000'8002, "c.jr x0"},
      {0x0000'4002, "c.lwsp x0"},
      {0x0000'6002, "c.ldsp x0"},
      {0x0000'9c41, "c.mul"},
      {0x0000'9c61, "Zcb unary"},
      {0x0000'8000, "Zcb load"},
      {0xffff'ffff, "all ones"},
      {0x0200'101b, "slliw by 32"},
      {0x0200'501b, "srliw by 32"},
      {0x4200'501b, "sraiw by 32"},
      {0x0000'2067, "jalr, funct3 2"},
      {0x0000'2063, "branch, funct3 2"},
      {0x0000'7003, "load of 16 bytes"},
      {0x0000'4023, "store of 16 bytes"},
      {0x0800'4033, "pack"},
      {0x6875'5513, "brev8"},
      {0x2851'0533, "add, funct7 0x14"},
      {0x1060'2f2f, "lr with rs2"},
      {0x2800'202f, "amocas.w without Zacas"},
      {0x2800'302f, "amocas.d without Zacas"},
      {0x2800'402f, "amocas.q without Zacas"},
      {0x0000'4073, "SYSTEM, funct3 4"},
      {0x0020'0073, "uret"},
      {0x7b20'0073, "dret"},
      {0x6220'0073, "hfence"},
      {0x0000'0057, "vector"},
      {0x0000'007f, "48 bits and more"},
      {0x0030'200f, "cbo with 3"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    const bool half = (row.word & 3) != 3;
    for (Rig* rig : {&fast_, &traced_}) {
      for (const u64 pc : kPlaces) {
        rig->reset();
        rig->poke<u16>(pc, static_cast<u16>(row.word));
        // What follows a 16-bit one does not belong to it.
        rig->poke<u16>(pc + 2, half ? u16{0x5555} : static_cast<u16>(row.word >> 16));
        rig->drop_caches();
        scramble(*rig);
        const auto before = registers(*rig);
        rig->state().pc = pc;
        const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), row.word, pc, Privilege::machine};
        EXPECT_EQ(rig->run(), illegal) << std::hex << pc;
        EXPECT_EQ(registers(*rig), before);
      }
    }
  }
}

}  // namespace
}  // namespace hartwood::test
