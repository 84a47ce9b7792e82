// SPDX-License-Identifier: Apache-2.0
// The decoder: the two tables are sound (no bit fixed outside a mask, no encoding with two readings), each
// format puts its fields where the manual says, reserved encodings and absent extensions give Op::none.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <string>

#include "base/bits.h"
#include "isa/compressed.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

IsaOptions everything() {
  IsaOptions options;
  options.set(Extension::Zacas, true);
  return options;
}

IsaOptions without(Extension extension) {
  IsaOptions options = everything();
  options.set(extension, false);
  return options;
}

Op op_of(u32 word, const IsaOptions& options = everything()) { return decode(word, options).op; }

// An Insn with these fields; `op` comes from the decoder under test, so it is compared apart.
void expect_insn(u32 word, Op op, u8 rd, u8 rs1, i32 imm) {
  const Decoded decoded = decode(word, everything());
  SCOPED_TRACE(testing::Message() << std::hex << word);
  EXPECT_EQ(decoded.op, op) << info(decoded.op).mnemonic;
  EXPECT_EQ(decoded.insn.op, static_cast<u16>(op));
  EXPECT_EQ(decoded.length, (word & 3) == 3 ? 4 : 2);
  EXPECT_EQ(decoded.insn.rd, rd);
  EXPECT_EQ(decoded.insn.rs1, rs1);
  EXPECT_EQ(decoded.insn.imm, imm);
}

void expect_illegal(u32 word) {
  const Decoded decoded = decode(word, everything());
  EXPECT_EQ(decoded.op, Op::none) << std::hex << word << " is " << info(decoded.op).mnemonic;
  EXPECT_EQ(decoded.insn, Insn{}) << std::hex << word;
  EXPECT_EQ(decoded.length, (word & 3) == 3 ? 4 : 2);
}

// --- The tables ---

TEST(InstructionTable, FixedBitsAreInTheMask) {
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    EXPECT_EQ(row.match & ~row.mask, 0u) << row.mnemonic;
    EXPECT_EQ(row.mask & 0x7f, 0x7fu) << row.mnemonic;
    EXPECT_EQ(row.match & 3, 3u) << row.mnemonic;
    EXPECT_NE(row.match & 0x1f, 0x1fu) << row.mnemonic << " would be longer than 32 bits";
  }
}

TEST(InstructionTable, NoEncodingHasTwoRows) {
  for (u32 a = 1; a < kOpCount; a++) {
    for (u32 b = a + 1; b < kOpCount; b++) {
      const OpInfo &first = info(static_cast<Op>(a)), &second = info(static_cast<Op>(b));
      EXPECT_NE((first.match ^ second.match) & first.mask & second.mask, 0u)
          << first.mnemonic << " and " << second.mnemonic;
    }
  }
}

TEST(InstructionTable, NamesAreUniqueAndFollowTheMnemonic) {
  std::set<std::string> names, mnemonics;
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(mnemonics.insert(row.mnemonic).second) << row.mnemonic;
    std::string name = row.mnemonic;
    for (char& c : name) c = c == '.' ? '_' : c;
    if (std::set<std::string>{"and", "or", "xor"}.count(name)) name += '_';  // words of C++
    EXPECT_EQ(name, row.name);
  }
}

// The bits that a format reads as register numbers, immediates and so on: all that the mask leaves free, and
// no other.
u32 operand_bits(const OpInfo& row) {
  constexpr u32 kRd = 0x00000f80, kRs1 = 0x000f8000, kRs2 = 0x01f00000, kRs3 = 0xf8000000, kImm12 = 0xfff00000;
  const u32 rounding = std::strchr(row.operands, 'r') != nullptr ? 0x7000 : 0;
  switch (row.format) {
    case Format::none: return std::strcmp(row.mnemonic, "fence.i") == 0 ? kRd | kRs1 | kImm12 : 0;  // all ignored
    case Format::r: return (row.operands[0] == '-' ? 0 : kRd) | kRs1 | kRs2 | rounding;
    case Format::r4: return kRd | kRs1 | kRs2 | kRs3 | 0x7000;
    case Format::i:
    case Format::load:
    case Format::csr:
    case Format::csri:
    case Format::fence: return kRd | kRs1 | kImm12;
    case Format::shamt6: return kRd | kRs1 | 0x03f00000;
    case Format::shamt5: return kRd | kRs1 | kRs2;
    case Format::unary: return kRd | kRs1 | rounding;
    case Format::s:
    case Format::b: return 0xfe000f80 | kRs1 | kRs2;
    case Format::u:
    case Format::j: return 0xfffff000 | kRd;
    case Format::amo: return kRd | kRs1 | 0x06000000 | (row.operands[2] != 0 ? kRs2 : 0);
    case Format::cbo: return kRs1;
  }
  return 0;
}

TEST(InstructionTable, EveryBitIsFixedOrAnOperand) {
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    EXPECT_EQ(row.mask, ~operand_bits(row)) << row.mnemonic;
  }
}

TEST(InstructionTable, RandomOperandsDecodeToTheirRow) {
  std::mt19937 random(5);
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    const bool rounds = std::strchr(row.operands, 'r') != nullptr;
    for (int i = 0; i < 200; i++) {
      u32 word = row.match | (static_cast<u32>(random()) & ~row.mask);
      const u32 mode = static_cast<u32>(bits(word, 14, 12));
      const bool reserved =
          (rounds && (mode == 5 || mode == 6)) || (static_cast<Op>(op) == Op::amocas_q && (word & 0x00100080) != 0);
      EXPECT_EQ(op_of(word), reserved ? Op::none : static_cast<Op>(op)) << row.mnemonic << std::hex << " " << word;
    }
  }
}

TEST(CompressedTable, RowsAreSound) {
  std::set<const CRow*> rows;
  for (u32 half = 0; half < 0x10000; half++) {
    if ((half & 3) == 3) {
      EXPECT_EQ(find_compressed(half), nullptr) << std::hex << half;
    } else if (const CRow* row = find_compressed(half)) {
      EXPECT_EQ(row->match & ~row->mask, 0) << row->mnemonic;
      rows.insert(row);
    }
  }
  EXPECT_EQ(rows.size(), 37u) << "a row is hidden by an earlier one";
}

// --- Formats; the words are from the GNU assembler ---

TEST(Decode, Registers) {
  expect_insn(0x00c58533, Op::add, 10, 11, 12);
  expect_insn(0x01ffffb3, Op::and_, 31, 31, 31 | 7 << 16);  // funct3 is kept where rm is
  expect_insn(0x20c5a53b, Op::sh1add_uw, 10, 11, 12 | 2 << 16);
  expect_insn(0xa2c5a553, Op::feq_d, 10, 11, 12 | 2 << 16);
  expect_insn(0x00c5f553, Op::fadd_s, 10, 11, 12 | 7 << 16);
  expect_insn(0x6ac5b543, Op::fmadd_d, 10, 11, 12 | 13 << 8 | 3 << 16);
  expect_insn(0xfc20f043, Op::fmadd_h, 0, 1, 2 | 31 << 8 | 7 << 16);
  expect_insn(0x0805c53b, Op::zext_h, 10, 11, 4 << 16);
  expect_insn(0x6b85d513, Op::rev8, 10, 11, 5 << 16);
  expect_insn(0xc2259553, Op::fcvt_l_d, 10, 11, 1 << 16);
  expect_insn(0x5805f553, Op::fsqrt_s, 10, 11, 7 << 16);
  expect_insn(0x12b50073, Op::sfence_vma, 0, 10, 11);
  const Insn fused = decode(0x6ac5b543, everything()).insn;
  EXPECT_EQ(fused.rs2(), 12);
  EXPECT_EQ(fused.rs3(), 13);
  EXPECT_EQ(fused.rm(), 3);
}

TEST(Decode, Immediates) {
  expect_insn(0xfff58513, Op::addi, 10, 11, -1);
  expect_insn(0x7ff58513, Op::addi, 10, 11, 2047);
  expect_insn(0x80058513, Op::addi, 10, 11, -2048);
  expect_insn(0x02056013, Op::ori, 0, 10, 32);  // a prefetch
  expect_insn(0x8005b503, Op::ld, 10, 11, -2048);
  expect_insn(0x7f813507, Op::fld, 10, 2, 2040);
  expect_insn(0xfea5bfa3, Op::sd, 10, 11, -1);  // stores keep rs2 in rd
  expect_insn(0x7ea5bfa3, Op::sd, 10, 11, 2047);
  expect_insn(0x80a58023, Op::sb, 10, 11, -2048);
  expect_insn(0xfea13c27, Op::fsd, 10, 2, -8);
  expect_insn(0xfffff537, Op::lui, 10, 0, -4096);
  expect_insn(0x80000517, Op::auipc, 10, 0, INT32_MIN);
  expect_insn(0x7ffff517, Op::auipc, 10, 0, 0x7ffff000);
  expect_insn(0x03f59513, Op::slli, 10, 11, 63);
  expect_insn(0x43f5d513, Op::srai, 10, 11, 63);
  expect_insn(0x41f5d51b, Op::sraiw, 10, 11, 31);
  expect_insn(0x30559573, Op::csrrw, 10, 11, 0x305);
  expect_insn(0xfffff573, Op::csrrci, 10, 31, 0xfff);
}

TEST(Decode, Targets) {
  expect_insn(0x80b50063, Op::beq, 11, 10, -4096);
  expect_insn(0x7eb56fe3, Op::bltu, 11, 10, 4094);
  expect_insn(0x00b510e3, Op::bne, 11, 10, 2048);
  expect_insn(0xfeb55fe3, Op::bge, 11, 10, -2);
  expect_insn(0x800000ef, Op::jal, 1, 0, -1048576);
  expect_insn(0x7ffff06f, Op::jal, 0, 0, 1048574);
  expect_insn(0x001000ef, Op::jal, 1, 0, 2048);
  expect_insn(0x000010ef, Op::jal, 1, 0, 4096);
  expect_insn(0xfff500e7, Op::jalr, 1, 10, -1);
}

TEST(Decode, AtomicsFencesAndCacheBlocks) {
  expect_insn(0x06b6352f, Op::amoadd_d, 10, 12, 11 | 3 << 8);
  expect_insn(0x1405a52f, Op::lr_w, 10, 11, 2 << 8);
  expect_insn(0x1ab6352f, Op::sc_d, 10, 12, 11 | 1 << 8);
  expect_insn(0x0310000f, Op::fence, 0, 0, 0x031);
  expect_insn(0x8330000f, Op::fence, 0, 0, 0x833);
  expect_insn(0x0100000f, Op::fence, 0, 0, 0x010);  // pause
  expect_insn(0x0000100f, Op::fence_i, 0, 0, 0);
  expect_insn(0x0045200f, Op::cbo_zero, 0, 10, 4);
  expect_insn(0x00000073, Op::ecall, 0, 0, 0);
  expect_insn(0x10500073, Op::wfi, 0, 0, 0);
}

// rd and rs1 have no meaning, and a reserved mode is an ordinary fence [unpriv: Memory Ordering
// Instructions].
TEST(Decode, FencesIgnoreTheirReservedFields) {
  expect_insn(0x0ff08f8f, Op::fence, 0, 0, 0x0ff);
  expect_insn(0x5ff0000f, Op::fence, 0, 0, 0x5ff);
  expect_insn(0xffff9f8f, Op::fence_i, 0, 0, 0);
}

TEST(Decode, Compressed) {
  expect_insn(0x1fe8, Op::addi, 10, 2, 1020);  // c.addi4spn a0
  expect_insn(0x0040, Op::addi, 8, 2, 4);
  expect_insn(0x5c7c, Op::lw, 15, 8, 124);
  expect_insn(0x40dc, Op::lw, 15, 9, 4);
  expect_insn(0x7c7c, Op::ld, 15, 8, 248);
  expect_insn(0x3c7c, Op::fld, 15, 8, 248);
  expect_insn(0xc03c, Op::sw, 15, 8, 64);
  expect_insn(0xe41c, Op::sd, 15, 8, 8);
  expect_insn(0xa03c, Op::fsd, 15, 8, 64);
  expect_insn(0x0001, Op::addi, 0, 0, 0);  // c.nop
  expect_insn(0x1501, Op::addi, 10, 10, -32);
  expect_insn(0x257d, Op::addiw, 10, 10, 31);
  expect_insn(0x557d, Op::addi, 10, 0, -1);   // c.li
  expect_insn(0x7101, Op::addi, 2, 2, -512);  // c.addi16sp
  expect_insn(0x617d, Op::addi, 2, 2, 496);
  expect_insn(0x6141, Op::addi, 2, 2, 16);
  expect_insn(0x7501, Op::lui, 10, 0, -131072);
  expect_insn(0x657d, Op::lui, 10, 0, 31 << 12);
  expect_insn(0x917d, Op::srli, 10, 10, 63);
  expect_insn(0x8505, Op::srai, 10, 10, 1);
  expect_insn(0x9901, Op::andi, 10, 10, -32);
  expect_insn(0x8c1d, Op::sub, 8, 8, 15);
  expect_insn(0x8c3d, Op::xor_, 8, 8, 15);
  expect_insn(0x8c5d, Op::or_, 8, 8, 15);
  expect_insn(0x8c7d, Op::and_, 8, 8, 15);
  expect_insn(0x9c1d, Op::subw, 8, 8, 15);
  expect_insn(0x9c3d, Op::addw, 8, 8, 15);
  expect_insn(0xb001, Op::jal, 0, 0, -2048);  // c.j
  expect_insn(0xaffd, Op::jal, 0, 0, 2046);
  expect_insn(0xa101, Op::jal, 0, 0, 1024);
  expect_insn(0xa201, Op::jal, 0, 0, 256);
  expect_insn(0xd381, Op::beq, 0, 15, -256);  // c.beqz: rs2 is zero
  expect_insn(0xec7d, Op::bne, 0, 8, 254);
  expect_insn(0xc021, Op::beq, 0, 8, 64);
  expect_insn(0x157e, Op::slli, 10, 10, 63);
  expect_insn(0x357e, Op::fld, 10, 2, 504);
  expect_insn(0x2002, Op::fld, 0, 2, 0);  // f0 may be loaded, x0 not
  expect_insn(0x557e, Op::lw, 10, 2, 252);
  expect_insn(0x757e, Op::ld, 10, 2, 504);
  expect_insn(0x6506, Op::ld, 10, 2, 64);
  expect_insn(0x8502, Op::jalr, 0, 10, 0);  // c.jr
  expect_insn(0x9502, Op::jalr, 1, 10, 0);
  expect_insn(0x852e, Op::add, 10, 0, 11);  // c.mv
  expect_insn(0x952e, Op::add, 10, 10, 11);
  expect_insn(0x9002, Op::ebreak, 0, 0, 0);
  expect_insn(0xbfaa, Op::fsd, 10, 2, 504);
  expect_insn(0xdfaa, Op::sw, 10, 2, 252);
  expect_insn(0xffaa, Op::sd, 10, 2, 504);
  expect_insn(0xc0aa, Op::sw, 10, 2, 64);
}

// The upper half of the word is the next instruction.
TEST(Decode, CompressedIgnoresTheUpperHalf) {
  EXPECT_EQ(decode(0xffff952e, everything()).insn, decode(0x952e, everything()).insn);
  EXPECT_EQ(decode(0xffff0000, everything()).op, Op::none);
}

TEST(Decode, CompressedHints) {
  expect_insn(0x0005, Op::addi, 0, 0, 1);    // c.nop with an immediate
  expect_insn(0x0501, Op::addi, 10, 10, 0);  // c.addi by 0
  expect_insn(0x4005, Op::addi, 0, 0, 1);    // c.li to x0
  expect_insn(0x6005, Op::lui, 0, 0, 4096);  // c.lui to x0
  expect_insn(0x802e, Op::add, 0, 0, 11);    // c.mv to x0
  expect_insn(0x902e, Op::add, 0, 0, 11);    // c.add to x0
  expect_insn(0x007e, Op::slli, 0, 0, 31);   // c.slli of x0
  expect_insn(0x0502, Op::slli, 10, 10, 0);  // shifts by 0
  expect_insn(0x8101, Op::srli, 10, 10, 0);
}

// --- Reserved ---

TEST(Decode, ReservedHalves) {
  expect_illegal(0x0000);
  for (u32 rd = 0; rd < 8; rd++) expect_illegal(rd << 2);  // c.addi4spn by 0
  expect_illegal(0x2001);                                  // c.addiw to x0
  expect_illegal(0x203d);
  expect_illegal(0x6101);                                            // c.addi16sp by 0
  for (u32 rd = 0; rd < 32; rd++) expect_illegal(0x6001 | rd << 7);  // c.lui of 0
  expect_illegal(0x4002);                                            // c.lwsp to x0
  expect_illegal(0x6002);                                            // c.ldsp to x0
  expect_illegal(0x8002);                                            // c.jr x0
  expect_illegal(0x9c41);                                            // the two unused of the ALU group
  expect_illegal(0x9c61);
  for (u32 rest = 0; rest < 0x2000; rest += 4) expect_illegal(0x8000 | rest);
}

TEST(Decode, ReservedWords) {
  expect_illegal(0xffffffff);
  expect_illegal(0x0000001f);  // longer than 32 bits
  expect_illegal(0x00007003);  // load, funct3 7
  expect_illegal(0x00004023);  // store, funct3 4
  expect_illegal(0x00002063);  // branch, funct3 2
  expect_illegal(0x00001067);  // jalr, funct3 1
  expect_illegal(0x0205151b);  // slliw by 32
  expect_illegal(0x04051513);  // slli with bit 26
  expect_illegal(0x00200073);  // uret
  expect_illegal(0x7b200073);  // dret
  expect_illegal(0x000000f3);  // ecall with rd
  expect_illegal(0x10508073);  // wfi with rs1
  expect_illegal(0x120000f3);  // sfence.vma with rd
  expect_illegal(0x00004073);  // SYSTEM, funct3 4: the hypervisor's
  expect_illegal(0x0035200f);  // cbo 3
  expect_illegal(0x0045208f);  // cbo.zero with rd
  expect_illegal(0x1015a52f);  // lr.w with rs2
  expect_illegal(0x0815c53b);  // packw, where zext.h has rs2 = 0
  expect_illegal(0x2ec745af);  // amocas.q with an odd rd
  expect_illegal(0x2ed7452f);  // with an odd rs2
  for (u32 mode = 5; mode <= 6; mode++) {
    expect_illegal(0x00c58553 | mode << 12);  // fadd.s
    expect_illegal(0x6ac58543 | mode << 12);  // fmadd.d
    expect_illegal(0x42058553 | mode << 12);  // fcvt.d.s
  }
  for (u32 mode = 0; mode < 8; mode++) {
    if (mode != 1) expect_illegal(0xc2858553 | mode << 12);  // fcvtmod.w.d rounds to zero only
  }
  EXPECT_EQ(op_of(0xc2859553), Op::fcvtmod_w_d);
  for (u32 opcode : {0x0bu, 0x2bu, 0x5bu, 0x7bu, 0x57u, 0x6bu, 0x77u}) {  // custom, vector, reserved
    for (u32 funct3 = 0; funct3 < 8; funct3++) expect_illegal(opcode | funct3 << 12);
  }
}

// --- Extensions ---

TEST(Decode, EachExtensionCanBeOff) {
  for (u32 op = 1; op < kOpCount; op++) {
    const OpInfo& row = info(static_cast<Op>(op));
    if (row.extension == Extension::Zfhmin) continue;  // Zfh has it too, below
    EXPECT_EQ(op_of(row.match, without(row.extension)), Op::none) << row.mnemonic;
  }
  EXPECT_EQ(op_of(0x2845a52f, IsaOptions{}), Op::none) << "amocas.w is off by default";
  EXPECT_EQ(op_of(0x2845a52f), Op::amocas_w);
}

TEST(Decode, CompressedNeedsCAndForDoublesD) {
  EXPECT_EQ(op_of(0x952e, without(Extension::C)), Op::none);
  EXPECT_EQ(decode(0x952e, without(Extension::C)).length, 2);
  for (u32 half : {0x3c7cu, 0xa03cu, 0x357eu, 0xbfaau}) EXPECT_EQ(op_of(half, without(Extension::D)), Op::none);
  EXPECT_EQ(op_of(0x557e, without(Extension::D)), Op::lw);
}

TEST(Decode, RowsThatNeedTwoExtensions) {
  IsaOptions minimal = without(Extension::Zfh), full = without(Extension::Zfhmin);
  EXPECT_EQ(op_of(0x00011007, minimal), Op::flh);
  EXPECT_EQ(op_of(0x00011007, full), Op::flh) << "Zfh includes Zfhmin";
  EXPECT_EQ(op_of(0x04c5f553, minimal), Op::none) << "fadd.h";
  EXPECT_EQ(op_of(0xf4180553, minimal), Op::none) << "fli.h";
  EXPECT_EQ(op_of(0xf4180553), Op::fli_h);
  IsaOptions neither = minimal;
  neither.set(Extension::Zfhmin, false);
  EXPECT_EQ(op_of(0x00011007, neither), Op::none);
  for (Op op : {Op::fli_d, Op::fminm_d, Op::fmaxm_d, Op::fround_d, Op::froundnx_d, Op::fltq_d, Op::fleq_d,
                Op::fcvtmod_w_d, Op::fcvt_d_h, Op::fcvt_h_d}) {
    EXPECT_EQ(op_of(info(op).match), op) << info(op).mnemonic;
    EXPECT_EQ(op_of(info(op).match, without(Extension::D)), Op::none) << info(op).mnemonic;
  }
}

}  // namespace
}  // namespace hartwood
