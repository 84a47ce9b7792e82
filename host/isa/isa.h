// SPDX-License-Identifier: Apache-2.0
// Names: opcodes, extensions, and what the table says of each instruction. Constant data.
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace hartwood {

enum class Extension : u8 {
  I,
  M,
  A,
  F,
  D,
  C,
  S,
  Zicsr,
  Zifencei,
  Zba,
  Zbb,
  Zbc,
  Zbs,
  Zicond,
  Zacas,
  Zawrs,
  Zfa,
  Zfh,
  Zfhmin,
  Zicbom,
  Zicboz,
  Svinval,
  count
};
const char* extension_name(Extension extension);

// Which optional extensions a machine has. Everything is on but Zacas.
struct IsaOptions {
  u32 enabled = ~u32{0} & ~(u32{1} << static_cast<u32>(Extension::Zacas));
  bool has(Extension extension) const { return (enabled >> static_cast<u32>(extension)) & 1; }
  void set(Extension extension, bool on) {
    const u32 mask = u32{1} << static_cast<u32>(extension);
    enabled = on ? enabled | mask : enabled & ~mask;
  }
};

// 0 is no instruction: an illegal encoding.
enum class Op : u16 {
  none,
#define INSN(name, mnemonic, extension, format, mask, match, operands) name,
#include "isa/instructions.inc"
#undef INSN
  count
};
inline constexpr u32 kOpCount = static_cast<u32>(Op::count);

enum class Format : u8 { none, r, r4, i, load, shamt6, shamt5, unary, s, b, u, j, amo, csr, csri, fence, cbo };

struct OpInfo {
  const char* name;      // as an identifier, e.g. "lr_w"
  const char* mnemonic;  // as assemblers write it
  Extension extension;
  Format format;
  u32 mask, match;
  const char* operands;  // see instructions.inc
  bool writes_x() const { return operands[0] == 'X'; }
  bool writes_f() const { return operands[0] == 'F'; }
};
const OpInfo& info(Op op);

// A decoded instruction. Eight bytes, so that a predecoded page stays small: the fields that an instruction does not
// have hold others.
//   rd    destination; rs2 in stores and branches
//   imm   immediate; or rs2 (bits 0-7), rs3 (8-15), rm (16-18); or rs2 (0-7), rl (8), aq (9); or the CSR's number
struct Insn {
  u16 op = 0;
  u8 rd = 0;
  u8 rs1 = 0;
  i32 imm = 0;

  u8 rs2() const { return static_cast<u8>(imm); }
  u8 store_rs2() const { return rd; }
  u8 rs3() const { return static_cast<u8>(imm >> 8); }
  u8 rm() const { return static_cast<u8>(imm >> 16) & 7; }
  friend bool operator==(const Insn&, const Insn&) = default;
};
static_assert(sizeof(Insn) == 8);

struct Decoded {
  Op op = Op::none;
  u8 length = 4;  // bytes, 2 or 4
  Insn insn;      // insn.op == op
};

// Decodes the instruction whose first 32 bits are `word` (the upper half is ignored for a 16-bit one). An encoding that
// is reserved, or whose extension is off, gives Op::none.
Decoded decode(u32 word, const IsaOptions& options);
inline unsigned instruction_length(u16 first_half) { return (first_half & 3) == 3 ? 4 : 2; }

// As assemblers write it, with ABI register names; branch targets as `pc` + offset. Illegal ones as a .half or .word.
std::string disassemble(u32 word, u64 pc, const IsaOptions& options);

extern const char* const kXNames[32];
extern const char* const kFNames[32];

}  // namespace hartwood
