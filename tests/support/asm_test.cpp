// SPDX-License-Identifier: Apache-2.0
// The test assembler against the machine's own disassembler and decoder.
#include "support/asm.h"

#include <gtest/gtest.h>

namespace hartwood::test {
namespace {

std::string text(u32 word) { return disassemble(word, 0x8000'0000, IsaOptions{}); }

TEST(TestAssembler, FieldsAreWhereTheDecoderLooksForThem) {
  const auto insn = [](u32 word) { return decode(word, IsaOptions{}).insn; };
  EXPECT_EQ(insn(encode_r(Op::sub, s1, a0, t6)), (Insn{static_cast<u16>(Op::sub), s1, a0, t6}));
  EXPECT_EQ(insn(encode_i(Op::addi, a0, sp, -2048)), (Insn{static_cast<u16>(Op::addi), a0, sp, -2048}));
  EXPECT_EQ(insn(encode_shift(Op::slli, t0, t1, 63)), (Insn{static_cast<u16>(Op::slli), t0, t1, 63}));
  EXPECT_EQ(insn(encode_load(Op::ld, a5, 2047, s0)), (Insn{static_cast<u16>(Op::ld), a5, s0, 2047}));
  EXPECT_EQ(insn(encode_upper(Op::lui, a5, -1)).imm, -4096);
  EXPECT_EQ(insn(encode_csr(Op::csrrw, a0, kCsrSatp, a1)), (Insn{static_cast<u16>(Op::csrrw), a0, a1, kCsrSatp}));
  EXPECT_EQ(decode(encode_plain(Op::ecall), {}).op, Op::ecall);
  EXPECT_EQ(decode(encode_amo(Op::amoadd_d, a0, a1, a2), {}).op, Op::amoadd_d);
  for (const i32 offset : {-2048, -1, 0, 1, 31, 32, 2047}) {
    const Insn store = insn(encode_store(Op::sd, t3, offset, gp));
    EXPECT_EQ(store.imm, offset);
    EXPECT_EQ(store.store_rs2(), t3);
    EXPECT_EQ(store.rs1, gp);
  }
  for (const i32 offset : {-4096, -2, 0, 2, 30, 2046, 2048, 4094})
    EXPECT_EQ(insn(encode_branch(Op::bne, a0, a1, offset)).imm, offset);
  for (const i32 offset : {-1048576, -2, 0, 2, 2046, 2048, 4096, 1048574})
    EXPECT_EQ(insn(encode_jump(Op::jal, ra, offset)).imm, offset);
  EXPECT_NE(text(encode_plain(Op::wfi)).find("wfi"), std::string::npos);
}

TEST(TestAssembler, LabelsReachBothWays) {
  Assembler code(0x8000'0000);
  const auto later = code.label();
  const auto start = code.bound();
  code.beq(a0, a1, later);
  code.j(start);
  code.bind(later);
  code.jal(ra, start);
  const std::vector<u32> words = code.words();
  EXPECT_EQ(words[0], encode_branch(Op::beq, a0, a1, 8));
  EXPECT_EQ(words[1], encode_jump(Op::jal, zero, -4));
  EXPECT_EQ(words[2], encode_jump(Op::jal, ra, -8));
}

// What the instructions of li() compute, by their definition.
u64 evaluate(const std::vector<u32>& words) {
  u64 value = 0;
  for (const u32 word : words) {
    const Decoded decoded = decode(word, IsaOptions{});
    const u64 from = decoded.insn.rs1 == zero ? 0 : value, imm = static_cast<u64>(i64{decoded.insn.imm});
    switch (decoded.op) {
      case Op::addi: value = from + imm; break;
      case Op::addiw: value = sext32(from + imm); break;
      case Op::slli: value = from << imm; break;
      case Op::lui: value = imm; break;
      default: ADD_FAILURE() << disassemble(word, 0, {});
    }
  }
  return value;
}

TEST(TestAssembler, ConstantsOfAllSizes) {
  for (unsigned shift = 0; shift < 64; shift++) {
    for (const u64 base : {u64{1}, u64{0x7ff}, u64{0x800}, u64{0xfff}, u64{0x8000'0800}, u64{0x1234'5678'9abc'def0}}) {
      for (const u64 value : {base << shift, (base << shift) - 1, u64{0} - (base << shift)}) {
        Assembler code(0);
        code.li(t0, value);
        EXPECT_EQ(evaluate(code.words()), value) << std::hex << value;
        EXPECT_LE(code.words().size(), 8u);
      }
    }
  }
}

}  // namespace
}  // namespace hartwood::test
