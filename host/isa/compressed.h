// SPDX-License-Identifier: Apache-2.0
// The rows of compressed.inc, for the two that need more than what they expand to: decoder and disassembler.
// Constant data; private to isa.
#pragma once

#include "isa/isa.h"

namespace hartwood {

// Where the operands of a 16-bit encoding are and which values of them are reserved (decode.cpp, expand).
enum class CFormat : u8 {
  illegal,
  addi4spn,
  fload_d,
  load_w,
  load_d,
  fstore_d,
  store_w,
  store_d,
  imm6,
  imm6_rd,
  li,
  addi16sp,
  lui,
  shift_p,
  imm6_p,
  alu_p,
  jump,
  branch,
  shift,
  loadsp_fd,
  loadsp_w,
  loadsp_d,
  fixed,
  jr,
  jalr,
  mv,
  add,
  storesp_w,
  storesp_d,
};

struct CRow {
  const char* mnemonic;
  Extension needs;  // besides C
  CFormat format;
  u16 mask, match;
  Op base;
};

// The row of these 16 bits, null if they match none. A row's reserved operands are not checked here.
const CRow* find_compressed(u32 half);

}  // namespace hartwood
