// SPDX-License-Identifier: Apache-2.0
// A small assembler for guest programs inside tests. Encodings come from the machine's own table
// (isa/instructions.inc), by operation; only the placement of fields is written here. Labels may be used
// before they are bound. A field that does not fit is a bug of the test and ends it. Single-threaded.
#pragma once

#include <vector>

#include "base/bits.h"
#include "base/check.h"
#include "hart/csr.h"
#include "isa/isa.h"
#include "memory/guest_memory.h"

namespace hartwood::test {

enum Reg : u32 {
  zero,
  ra,
  sp,
  gp,
  tp,
  t0,
  t1,
  t2,
  s0,
  s1,
  a0,
  a1,
  a2,
  a3,
  a4,
  a5,
  a6,
  a7,
  s2,
  s3,
  s4,
  s5,
  s6,
  s7,
  s8,
  s9,
  s10,
  s11,
  t3,
  t4,
  t5,
  t6
};

// ---- one instruction each, by format [unpriv: Base Instruction Formats]

inline u32 base_of(Op op, Format format) {
  HW_CHECK(info(op).format == format, "operation used with another format's encoder");
  return info(op).match;
}
inline u32 low_bits(i64 value, unsigned width) {
  HW_CHECK(value == sign_extend(static_cast<u64>(value), width), "immediate does not fit");
  return static_cast<u32>(bits(static_cast<u64>(value), width - 1, 0));
}
inline u32 encode_r(Op op, Reg rd, Reg rs1, Reg rs2) {
  return base_of(op, Format::r) | u32{rd} << 7 | u32{rs1} << 15 | u32{rs2} << 20;
}
inline u32 encode_amo(Op op, Reg rd, Reg address, Reg rs2) {
  return base_of(op, Format::amo) | u32{rd} << 7 | u32{address} << 15 | u32{rs2} << 20;
}
// Arithmetic with an immediate, and jalr.
inline u32 encode_i(Op op, Reg rd, Reg rs1, i64 imm) {
  return base_of(op, Format::i) | u32{rd} << 7 | u32{rs1} << 15 | low_bits(imm, 12) << 20;
}
inline u32 encode_shift(Op op, Reg rd, Reg rs1, u32 amount) {
  HW_CHECK(amount < 64, "shift amount");
  return base_of(op, Format::shamt6) | u32{rd} << 7 | u32{rs1} << 15 | amount << 20;
}
inline u32 encode_load(Op op, Reg rd, i64 imm, Reg address) {
  return base_of(op, Format::load) | u32{rd} << 7 | u32{address} << 15 | low_bits(imm, 12) << 20;
}
inline u32 encode_store(Op op, Reg rs2, i64 imm, Reg address) {
  const u32 field = low_bits(imm, 12);
  return base_of(op, Format::s) | (field & 31) << 7 | u32{address} << 15 | u32{rs2} << 20 | (field >> 5) << 25;
}
inline u32 encode_branch(Op op, Reg rs1, Reg rs2, i64 offset) {
  const u32 field = low_bits(offset, 13);
  HW_CHECK(field % 2 == 0, "branch offset");
  return base_of(op, Format::b) | u32{rs1} << 15 | u32{rs2} << 20 | ((field >> 11) & 1) << 7 |
         ((field >> 1) & 15) << 8 | ((field >> 5) & 63) << 25 | (field >> 12) << 31;
}
inline u32 encode_jump(Op op, Reg rd, i64 offset) {
  const u32 field = low_bits(offset, 21);
  HW_CHECK(field % 2 == 0, "jump offset");
  return base_of(op, Format::j) | u32{rd} << 7 | ((field >> 12) & 255) << 12 | ((field >> 11) & 1) << 20 |
         ((field >> 1) & 1023) << 21 | (field >> 20) << 31;
}
// `imm`: the upper 20 bits as a signed number.
inline u32 encode_upper(Op op, Reg rd, i64 imm) {
  return base_of(op, Format::u) | u32{rd} << 7 | low_bits(imm, 20) << 12;
}
inline u32 encode_csr(Op op, Reg rd, u32 csr, Reg rs1) {
  return base_of(op, Format::csr) | u32{rd} << 7 | u32{rs1} << 15 | csr << 20;
}
inline u32 encode_plain(Op op) { return base_of(op, Format::none); }

// ---- a program

class Assembler {
 public:
  struct Label {
    size_t number;
  };

  // `base`: guest physical address of the first instruction, a multiple of 4.
  explicit Assembler(u64 base) : base_(base) {}

  u64 here() const { return base_ + 4 * words_.size(); }
  Label label() {
    labels_.push_back(kUnbound);
    return {labels_.size() - 1};
  }
  void bind(Label label) {
    HW_CHECK(labels_[label.number] == kUnbound, "label bound twice");
    labels_[label.number] = here();
  }
  Label bound() {
    const Label fresh = label();
    bind(fresh);
    return fresh;
  }

  void emit(u32 word) { words_.push_back(word); }
  void op(Op op, Reg rd, Reg rs1, Reg rs2) { emit(encode_r(op, rd, rs1, rs2)); }
  void amo(Op op, Reg rd, Reg rs2, Reg address) { emit(encode_amo(op, rd, address, rs2)); }
  void addi(Reg rd, Reg rs1, i64 imm) { emit(encode_i(Op::addi, rd, rs1, imm)); }
  void andi(Reg rd, Reg rs1, i64 imm) { emit(encode_i(Op::andi, rd, rs1, imm)); }
  void slli(Reg rd, Reg rs1, u32 amount) { emit(encode_shift(Op::slli, rd, rs1, amount)); }
  void srli(Reg rd, Reg rs1, u32 amount) { emit(encode_shift(Op::srli, rd, rs1, amount)); }
  void mv(Reg rd, Reg rs1) { addi(rd, rs1, 0); }
  void ld(Reg rd, i64 imm, Reg address) { emit(encode_load(Op::ld, rd, imm, address)); }
  void sd(Reg rs2, i64 imm, Reg address) { emit(encode_store(Op::sd, rs2, imm, address)); }
  void sw(Reg rs2, i64 imm, Reg address) { emit(encode_store(Op::sw, rs2, imm, address)); }
  void jalr(Reg rd, Reg rs1, i64 imm) { emit(encode_i(Op::jalr, rd, rs1, imm)); }
  void csrr(Reg rd, u32 csr) { emit(encode_csr(Op::csrrs, rd, csr, zero)); }
  void csrw(u32 csr, Reg rs1) { emit(encode_csr(Op::csrrw, zero, csr, rs1)); }
  void csrc(u32 csr, Reg rs1) { emit(encode_csr(Op::csrrc, zero, csr, rs1)); }
  void ecall() { emit(encode_plain(Op::ecall)); }
  void wfi() { emit(encode_plain(Op::wfi)); }
  void sret() { emit(encode_plain(Op::sret)); }
  // FENCE RW,RW [unpriv: Memory Ordering Instructions]
  void fence() { emit(base_of(Op::fence, Format::fence) | 0x33u << 20); }

  void branch(Op op, Reg rs1, Reg rs2, Label to) { use(to, encode_branch(op, rs1, rs2, 0), false); }
  void beq(Reg rs1, Reg rs2, Label to) { branch(Op::beq, rs1, rs2, to); }
  void bne(Reg rs1, Reg rs2, Label to) { branch(Op::bne, rs1, rs2, to); }
  void jal(Reg rd, Label to) { use(to, encode_jump(Op::jal, rd, 0), true); }
  void j(Label to) { jal(zero, to); }

  // Any 64-bit constant, in at most eight instructions.
  void li(Reg rd, u64 value) {
    const i64 number = static_cast<i64>(value);
    if (number == sign_extend(value, 12)) {
      addi(rd, zero, number);
      return;
    }
    const i64 low = sign_extend(value, 12);
    const i64 high = static_cast<i64>(value - static_cast<u64>(low)) >> 12;
    if (number == sign_extend(value, 32)) {
      emit(encode_upper(Op::lui, rd, sign_extend(static_cast<u64>(high), 20)));
      emit(encode_i(Op::addiw, rd, rd, low));
      return;
    }
    li(rd, static_cast<u64>(high));
    slli(rd, rd, 12);
    addi(rd, rd, low);
  }

  // The finished program. Every label that was used is bound.
  std::vector<u32> words() const {
    std::vector<u32> result = words_;
    for (const Use& use : uses_) {
      const u64 to = labels_[use.label];
      HW_CHECK(to != kUnbound, "label never bound");
      const i64 offset = static_cast<i64>(to - (base_ + 4 * use.at));
      result[use.at] |= use.jump ? encode_jump(Op::jal, zero, offset) : encode_branch(Op::beq, zero, zero, offset);
    }
    return result;
  }
  void place(GuestMemory& memory) const {
    const std::vector<u32> program = words();
    const bool fits = memory.write(Pa(base_), {reinterpret_cast<const u8*>(program.data()), 4 * program.size()});
    HW_CHECK(fits, "program outside of RAM");
  }

 private:
  struct Use {
    size_t label, at;
    bool jump;
  };
  static constexpr u64 kUnbound = ~u64{0};
  void use(Label label, u32 word, bool jump) {
    uses_.push_back({label.number, words_.size(), jump});
    emit(word);
  }

  u64 base_;
  std::vector<u32> words_;
  std::vector<u64> labels_;
  std::vector<Use> uses_;
};

}  // namespace hartwood::test
