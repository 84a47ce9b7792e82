// SPDX-License-Identifier: Apache-2.0
// From a row of the instruction table and operand fields to the 32-bit encoding. Pure. The operands'
// placement is written here a second time, apart from the decoder's, so that a mistake in one of them shows.
#pragma once

#include "base/bits.h"
#include "isa/isa.h"

namespace hartwood::differential {

// Fields that the row's format does not have are ignored; each is cut to its width.
struct Fields {
  u32 rd = 0, rs1 = 0, rs2 = 0, rs3 = 0;
  u32 rm = 0;        // rounding mode
  i64 imm = 0;       // immediate, shift amount, branch offset, or the upper 20 bits of lui and auipc
  u32 csr = 0;       // CSR number; its immediate is rs1
  u32 ordering = 0;  // of atomics: 2 acquire, 1 release
};

// Whether the row leaves funct3 to a rounding mode.
inline bool has_rounding(const OpInfo& row) {
  return (row.mask & 0x7000) == 0 && (row.match & 0x7f) >= 0x43 && (row.match & 0x7f) <= 0x53;
}

inline u32 branch_bits(i64 offset) {
  const u64 at = static_cast<u64>(offset);
  return static_cast<u32>(bit(at, 11) << 7 | bits(at, 4, 1) << 8 | bits(at, 10, 5) << 25 | bit(at, 12) << 31);
}
inline u32 jump_bits(i64 offset) {
  const u64 at = static_cast<u64>(offset);
  return static_cast<u32>(bits(at, 19, 12) << 12 | bit(at, 11) << 20 | bits(at, 10, 1) << 21 | bit(at, 20) << 31);
}
// c.beqz and c.bnez
inline u32 compressed_branch_bits(i64 offset) {
  const u64 at = static_cast<u64>(offset);
  return static_cast<u32>(bit(at, 5) << 2 | bits(at, 2, 1) << 3 | bits(at, 7, 6) << 5 | bits(at, 4, 3) << 10 |
                          bit(at, 8) << 12);
}
// c.j
inline u32 compressed_jump_bits(i64 offset) {
  const u64 at = static_cast<u64>(offset);
  return static_cast<u32>(bit(at, 5) << 2 | bits(at, 3, 1) << 3 | bit(at, 7) << 6 | bit(at, 6) << 7 | bit(at, 10) << 8 |
                          bits(at, 9, 8) << 9 | bit(at, 4) << 11 | bit(at, 11) << 12);
}

inline u32 encode(Op op, const Fields& f) {
  const OpInfo& row = info(op);
  const u64 imm = static_cast<u64>(f.imm);
  const u32 rd = (f.rd & 31) << 7, rs1 = (f.rs1 & 31) << 15, rs2 = (f.rs2 & 31) << 20;
  const u32 rm = has_rounding(row) ? (f.rm & 7) << 12 : 0;
  const u32 imm12 = static_cast<u32>(bits(imm, 11, 0)) << 20;
  u32 word = 0;
  switch (row.format) {
    case Format::none: break;
    case Format::r: word = rd | rs1 | rs2 | rm; break;
    case Format::r4: word = rd | rs1 | rs2 | rm | (f.rs3 & 31) << 27; break;
    case Format::i:
    case Format::load: word = rd | rs1 | imm12; break;
    case Format::shamt6: word = rd | rs1 | static_cast<u32>(imm & 63) << 20; break;
    case Format::shamt5: word = rd | rs1 | static_cast<u32>(imm & 31) << 20; break;
    case Format::unary: word = rd | rs1 | rm; break;
    case Format::s:
      word = rs1 | rs2 | static_cast<u32>(imm & 31) << 7 | static_cast<u32>(bits(imm, 11, 5)) << 25;
      break;
    case Format::b: word = rs1 | rs2 | branch_bits(f.imm); break;
    case Format::u: word = rd | static_cast<u32>(imm & 0xfffff) << 12; break;
    case Format::j: word = rd | jump_bits(f.imm); break;
    case Format::amo: word = rd | rs1 | rs2 | (f.ordering & 3) << 25; break;
    case Format::csr:
    case Format::csri: word = rd | rs1 | (f.csr & 0xfff) << 20; break;
    case Format::fence: word = imm12; break;
    case Format::cbo: word = rs1; break;
  }
  return (word & ~row.mask) | row.match;
}

}  // namespace hartwood::differential
