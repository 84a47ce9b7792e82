// SPDX-License-Identifier: Apache-2.0
// From 16 or 32 bits to an Insn, by the two tables. Pure; the look-up index is made at compile time: the rows of each
// (major opcode, funct3) pair in table order, so that a row with more fixed bits wins over a later, wider one.
#include <array>

#include "base/bits.h"
#include "isa/compressed.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

constexpr OpInfo kInfos[] = {
    {"none", "illegal", Extension::I, Format::none, 0, 0, "-"},
#define INSN(name, mnemonic, extension, format, mask, match, operands) \
  {#name, mnemonic, Extension::extension, Format::format, mask, match, operands},
#include "isa/instructions.inc"
#undef INSN
};
static_assert(std::size(kInfos) == kOpCount);

constexpr CRow kCompressed[] = {
#define CINSN(name, mnemonic, needs, format, mask, match, base) \
  {mnemonic, Extension::needs, CFormat::format, mask, match, Op::base},
#include "isa/compressed.inc"
#undef CINSN
};

constexpr u32 bucket_of(u32 word) { return ((word >> 2) & 31) << 3 | ((word >> 12) & 7); }
constexpr bool row_in_bucket(const OpInfo& row, u32 bucket) {
  const u32 probe = (bucket >> 3) << 2 | (bucket & 7) << 12 | 3;
  return ((row.match ^ probe) & row.mask & 0x707f) == 0;
}
constexpr u32 count_entries() {
  u32 count = 0;
  for (u32 bucket = 0; bucket < 256; bucket++) {
    for (u32 op = 1; op < kOpCount; op++) count += row_in_bucket(kInfos[op], bucket);
  }
  return count;
}
struct Index {
  std::array<u16, 257> start{};
  std::array<u16, count_entries()> ops{};
};
constexpr Index make_index() {
  Index index;
  u16 at = 0;
  for (u32 bucket = 0; bucket < 256; bucket++) {
    index.start[bucket] = at;
    for (u32 op = 1; op < kOpCount; op++) {
      if (row_in_bucket(kInfos[op], bucket)) index.ops[at++] = static_cast<u16>(op);
    }
  }
  index.start[256] = at;
  return index;
}
constexpr Index kIndex = make_index();

i32 imm_i(u32 w) { return static_cast<i32>(w) >> 20; }
i32 imm_s(u32 w) { return static_cast<i32>((static_cast<u32>(static_cast<i32>(w) >> 20) & ~31u) | bits(w, 11, 7)); }
i32 imm_b(u32 w) {
  return static_cast<i32>(
      sign_extend(bit(w, 31) << 12 | bit(w, 7) << 11 | bits(w, 30, 25) << 5 | bits(w, 11, 8) << 1, 13));
}
i32 imm_j(u32 w) {
  return static_cast<i32>(
      sign_extend(bit(w, 31) << 20 | bits(w, 19, 12) << 12 | bit(w, 20) << 11 | bits(w, 30, 21) << 1, 21));
}

// Zfh includes Zfhmin. A half-precision row of Zfa exists only with Zfh; one that names doubles, in Zfa or Zfhmin, only
// with D.
bool row_enabled(const OpInfo& row, Op op, const IsaOptions& options) {
  const bool has_row =
      options.has(row.extension) || (row.extension == Extension::Zfhmin && options.has(Extension::Zfh));
  if (!has_row) return false;
  switch (op) {
    case Op::fli_h:
    case Op::fminm_h:
    case Op::fmaxm_h:
    case Op::fround_h:
    case Op::froundnx_h:
    case Op::fltq_h:
    case Op::fleq_h: return options.has(Extension::Zfh);
    case Op::fli_d:
    case Op::fminm_d:
    case Op::fmaxm_d:
    case Op::fround_d:
    case Op::froundnx_d:
    case Op::fltq_d:
    case Op::fleq_d:
    case Op::fcvtmod_w_d:
    case Op::fcvt_d_h:
    case Op::fcvt_h_d: return options.has(Extension::D);
    default: return true;
  }
}

Decoded decode_word(u32 word, const IsaOptions& options) {
  const u32 bucket = bucket_of(word);
  Op op = Op::none;
  for (u32 i = kIndex.start[bucket]; i < kIndex.start[bucket + 1]; i++) {
    const OpInfo& row = kInfos[kIndex.ops[i]];
    if ((word & row.mask) != row.match) continue;
    const Op candidate = static_cast<Op>(kIndex.ops[i]);
    if (!row_enabled(row, candidate, options)) continue;
    op = candidate;
    break;
  }
  Decoded decoded;
  if (op == Op::none) return decoded;
  Insn insn;
  insn.op = static_cast<u16>(op);
  const u8 rd = static_cast<u8>(bits(word, 11, 7));
  insn.rd = rd;
  insn.rs1 = static_cast<u8>(bits(word, 19, 15));
  const u32 rs2 = static_cast<u32>(bits(word, 24, 20));
  const u32 rm = static_cast<u32>(bits(word, 14, 12));
  switch (info(op).format) {
    case Format::none: insn.rd = insn.rs1 = 0; break;
    case Format::r: insn.imm = static_cast<i32>(rs2 | rm << 16); break;
    case Format::r4: insn.imm = static_cast<i32>(rs2 | bits(word, 31, 27) << 8 | rm << 16); break;
    case Format::i:
    case Format::load:
    case Format::cbo: insn.imm = imm_i(word); break;
    case Format::shamt6: insn.imm = static_cast<i32>(bits(word, 25, 20)); break;
    case Format::shamt5: insn.imm = static_cast<i32>(rs2); break;
    case Format::unary: insn.imm = static_cast<i32>(rm << 16); break;
    case Format::s:
      insn.rd = static_cast<u8>(rs2);
      insn.imm = imm_s(word);
      break;
    case Format::b:
      insn.rd = static_cast<u8>(rs2);
      insn.imm = imm_b(word);
      break;
    case Format::u:
      insn.rs1 = 0;
      insn.imm = static_cast<i32>(word & 0xfffff000);
      break;
    case Format::j:
      insn.rs1 = 0;
      insn.imm = imm_j(word);
      break;
    case Format::amo: insn.imm = static_cast<i32>(rs2 | bits(word, 26, 25) << 8); break;
    case Format::csr:
    case Format::csri: insn.imm = static_cast<i32>(bits(word, 31, 20)); break;
    case Format::fence:
      insn.rd = insn.rs1 = 0;
      insn.imm = static_cast<i32>(bits(word, 31, 20));
      break;
  }
  // amocas.q names even registers; rounding modes 5 and 6 are reserved.
  if (op == Op::amocas_q && ((rd | rs2) & 1)) return decoded;
  const char* operands = info(op).operands;
  for (const char* c = operands; *c; c++) {
    if (*c == 'r' && (rm == 5 || rm == 6)) return decoded;
  }
  decoded.op = op;
  decoded.insn = insn;
  return decoded;
}

// The registers of the three-bit fields.
u8 prime(u32 field) { return static_cast<u8>(8 + (field & 7)); }

bool expand(const CRow& row, u32 h, Insn& insn) {
  const u8 full_rd = static_cast<u8>(bits(h, 11, 7));
  const u8 full_rs2 = static_cast<u8>(bits(h, 6, 2));
  const u8 high = prime(static_cast<u32>(bits(h, 9, 7)));
  const u8 low = prime(static_cast<u32>(bits(h, 4, 2)));
  const i32 imm6 = static_cast<i32>(sign_extend(bit(h, 12) << 5 | bits(h, 6, 2), 6));
  const i32 shamt = static_cast<i32>(bit(h, 12) << 5 | bits(h, 6, 2));
  const i32 offset_w = static_cast<i32>(bit(h, 5) << 6 | bits(h, 12, 10) << 3 | bit(h, 6) << 2);
  const i32 offset_d = static_cast<i32>(bits(h, 6, 5) << 6 | bits(h, 12, 10) << 3);
  switch (row.format) {
    case CFormat::illegal: return false;
    case CFormat::addi4spn:
      insn.rd = low;
      insn.rs1 = 2;
      insn.imm = static_cast<i32>(bits(h, 10, 7) << 6 | bits(h, 12, 11) << 4 | bit(h, 5) << 3 | bit(h, 6) << 2);
      return insn.imm != 0;
    case CFormat::load_w:
    case CFormat::store_w:
      insn.rd = low;
      insn.rs1 = high;
      insn.imm = offset_w;
      return true;
    case CFormat::fload_d:
    case CFormat::load_d:
    case CFormat::fstore_d:
    case CFormat::store_d:
      insn.rd = low;
      insn.rs1 = high;
      insn.imm = offset_d;
      return true;
    case CFormat::imm6:
      insn.rd = insn.rs1 = full_rd;
      insn.imm = imm6;
      return true;
    case CFormat::imm6_rd:
      insn.rd = insn.rs1 = full_rd;
      insn.imm = imm6;
      return full_rd != 0;
    case CFormat::li:
      insn.rd = full_rd;
      insn.imm = imm6;
      return true;
    case CFormat::addi16sp:
      insn.rd = insn.rs1 = 2;
      insn.imm = static_cast<i32>(
          sign_extend(bit(h, 12) << 9 | bits(h, 4, 3) << 7 | bit(h, 5) << 6 | bit(h, 2) << 5 | bit(h, 6) << 4, 10));
      return insn.imm != 0;
    case CFormat::lui:
      insn.rd = full_rd;
      insn.imm = static_cast<i32>(static_cast<u32>(imm6) << 12);
      return imm6 != 0;
    case CFormat::shift_p:
      insn.rd = insn.rs1 = high;
      insn.imm = shamt;
      return true;
    case CFormat::imm6_p:
      insn.rd = insn.rs1 = high;
      insn.imm = imm6;
      return true;
    case CFormat::alu_p:
      insn.rd = insn.rs1 = high;
      insn.imm = low;
      return true;
    case CFormat::jump:
      insn.imm =
          static_cast<i32>(sign_extend(bit(h, 12) << 11 | bit(h, 8) << 10 | bits(h, 10, 9) << 8 | bit(h, 6) << 7 |
                                           bit(h, 7) << 6 | bit(h, 2) << 5 | bit(h, 11) << 4 | bits(h, 5, 3) << 1,
                                       12));
      return true;
    case CFormat::branch:
      insn.rs1 = high;
      insn.imm = static_cast<i32>(sign_extend(
          bit(h, 12) << 8 | bits(h, 6, 5) << 6 | bit(h, 2) << 5 | bits(h, 11, 10) << 3 | bits(h, 4, 3) << 1, 9));
      return true;
    case CFormat::shift:
      insn.rd = insn.rs1 = full_rd;
      insn.imm = shamt;
      return true;
    case CFormat::loadsp_w:
      insn.rd = full_rd;
      insn.rs1 = 2;
      insn.imm = static_cast<i32>(bits(h, 3, 2) << 6 | bit(h, 12) << 5 | bits(h, 6, 4) << 2);
      return full_rd != 0;
    case CFormat::loadsp_d:
    case CFormat::loadsp_fd:
      insn.rd = full_rd;
      insn.rs1 = 2;
      insn.imm = static_cast<i32>(bits(h, 4, 2) << 6 | bit(h, 12) << 5 | bits(h, 6, 5) << 3);
      return row.format == CFormat::loadsp_fd || full_rd != 0;
    case CFormat::fixed: return true;
    case CFormat::jr: insn.rs1 = full_rd; return full_rd != 0;
    case CFormat::jalr:
      insn.rd = 1;
      insn.rs1 = full_rd;
      return full_rd != 0;
    case CFormat::mv:
      insn.rd = full_rd;
      insn.imm = full_rs2;
      return true;
    case CFormat::add:
      insn.rd = insn.rs1 = full_rd;
      insn.imm = full_rs2;
      return true;
    case CFormat::storesp_w:
      insn.rd = full_rs2;
      insn.rs1 = 2;
      insn.imm = static_cast<i32>(bits(h, 8, 7) << 6 | bits(h, 12, 9) << 2);
      return true;
    case CFormat::storesp_d:
      insn.rd = full_rs2;
      insn.rs1 = 2;
      insn.imm = static_cast<i32>(bits(h, 9, 7) << 6 | bits(h, 12, 10) << 3);
      return true;
  }
  return false;
}

Decoded decode_half(u32 half, const IsaOptions& options) {
  Decoded decoded;
  decoded.length = 2;
  if (!options.has(Extension::C)) return decoded;
  const CRow* row = find_compressed(half);
  if (row == nullptr || !options.has(row->needs)) return decoded;
  Insn insn;
  if (!expand(*row, half, insn)) return decoded;
  insn.op = static_cast<u16>(row->base);
  decoded.op = row->base;
  decoded.insn = insn;
  return decoded;
}

}  // namespace

const CRow* find_compressed(u32 half) {
  for (const CRow& row : kCompressed) {
    if ((half & row.mask) == row.match) return &row;
  }
  return nullptr;
}

const OpInfo& info(Op op) { return kInfos[static_cast<u32>(op)]; }

Decoded decode(u32 word, const IsaOptions& options) {
  return instruction_length(static_cast<u16>(word)) == 2 ? decode_half(word & 0xffff, options)
                                                         : decode_word(word, options);
}

}  // namespace hartwood
