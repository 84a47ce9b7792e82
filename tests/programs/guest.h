// SPDX-License-Identifier: Apache-2.0
// What the multi-hart guest programs have in common: where they lie, the firmware's calls, how they end. They
// run in S-mode on the core's own firmware, all harts from the same first instruction, with the hart's number
// in a0. Header only; a program is made once and may run many times.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/asm.h"

namespace hartwood::test {

// Guest physical addresses.
inline constexpr u64 kGuestCode = kRamBase + 0x20'0000;
inline constexpr u64 kGuestData = kRamBase + 0x40'0000;  // zeroed before every run
inline constexpr u64 kGuestDataBytes = 0x4'0000;

// Offsets in the data, 128 bytes apart so that no two share a cache line; s1 holds kGuestData.
inline constexpr i64 kDone = 0x000;     // harts that have finished
inline constexpr i64 kFailure = 0x080;  // what a program died of
inline constexpr i64 kLock = 0x100;
inline constexpr i64 kCounter = 0x180;
inline constexpr i64 kOther = 0x200;  // a second counter
inline constexpr i64 kTable = 0x400;  // 64 doublewords: rows of eight

// One run's view of memory, for a program's check.
class GuestView {
 public:
  virtual ~GuestView() = default;
  virtual u64 peek(u64 address) = 0;
  virtual void poke(u64 address, u64 value) = 0;
};

struct GuestProgram {
  std::vector<u32> words;  // at kGuestCode
  u32 harts = 2;
  bool only_first_starts = false;                // the others are stopped until the program starts them
  std::function<void(GuestView&)> prepare;       // before a run, after the data was zeroed; may be empty
  std::function<std::string(GuestView&)> check;  // after a run that ended well: what is wrong, or nothing
};

class Guest : public Assembler {
 public:
  explicit Guest(u32 harts, u64 base = kGuestCode) : Assembler(base), harts_(harts) {
    mv(s0, a0);
    li(s1, kGuestData);
  }
  u32 harts() const { return harts_; }

  enum Order : u32 { relaxed = 0, release = 1u << 25, acquire = 1u << 26, both = 3u << 25 };
  void atomic(Op op, Reg rd, Reg rs2, Reg address, Order order = relaxed) {
    emit(encode_amo(op, rd, address, rs2) | order);
  }
  void amo_at(Op op, Reg rd, Reg rs2, i64 offset, Order order = both) {
    addi(t6, s1, offset);
    atomic(op, rd, rs2, t6, order);
  }
  void bltu(Reg a, Reg b, Label to) { branch(Op::bltu, a, b, to); }
  void sub(Reg rd, Reg a, Reg b) { op(Op::sub, rd, a, b); }
  void add(Reg rd, Reg a, Reg b) { op(Op::add, rd, a, b); }
  void sll(Reg rd, Reg a, Reg b) { op(Op::sll, rd, a, b); }
  void sfence_vma(Reg address = zero) { emit(encode_r(Op::sfence_vma, zero, address, zero)); }
  void fence_i() { emit(encode_plain(Op::fence_i)); }
  void csrs(u32 csr, Reg rs1) { emit(encode_csr(Op::csrrs, zero, csr, rs1)); }

  // A call of the firmware; arguments are in a0 to a4. Changes a0, a1, a6, a7.
  void firmware(u64 extension, u64 function) {
    li(a7, extension);
    li(a6, function);
    ecall();
  }
  // To the harts of the mask in `mask`.
  void send_ipi(Reg mask) {
    mv(a0, mask);
    li(a1, 0);
    firmware(0x73'5049, 0);
  }
  void send_ipi_to_all() {
    li(a1, ~u64{0});
    firmware(0x73'5049, 0);
  }
  // rd = 1 << hart
  void mask_of(Reg rd, Reg hart) {
    li(rd, 1);
    sll(rd, rd, hart);
  }
  // rd = address of kTable[row][column]
  void table_entry(Reg rd, Reg row, Reg column, Reg scratch) {
    slli(rd, row, 6);
    slli(scratch, column, 3);
    add(rd, rd, scratch);
    add(rd, rd, s1);
    addi(rd, rd, kTable);
  }
  static u64 table_address(u32 row, u32 column) { return kGuestData + kTable + 64 * row + 8 * column; }

  void die(u64 code) {
    li(t0, code);
    sd(t0, kFailure, s1);
    li(a0, 0);
    li(a1, 1);
    firmware(0x5352'5354, 0);
  }
  void die_unless_equal(Reg a, Reg b, u64 code) {
    const Label fine = label();
    beq(a, b, fine);
    die(code);
    bind(fine);
  }
  // Goes on if a >= b, unsigned.
  void die_if_less(Reg a, Reg b, u64 code) {
    const Label bad = label(), fine = label();
    bltu(a, b, bad);
    j(fine);
    bind(bad);
    die(code);
    bind(fine);
  }

  // All harts come here once; the first of them waits for all and ends the machine.
  void finish() {
    fence();
    li(t0, 1);
    amo_at(Op::amoadd_d, zero, t0, kDone);
    const Label rest = label();
    bne(s0, zero, rest);
    li(t1, harts_);
    const Label wait = bound();
    ld(t0, kDone, s1);
    bne(t0, t1, wait);
    end();
    bind(rest);
    const Label sleep = bound();
    wfi();
    j(sleep);
  }
  void end() {
    li(a0, 0);
    li(a1, 0);
    firmware(0x5352'5354, 0);
  }
  // Waits until all harts were here `round` + 1 times; `round` counts from 0 in a register. Changes t0, t1,
  // t6.
  void barrier(Reg round, i64 at) {
    fence();
    li(t0, 1);
    amo_at(Op::amoadd_d, zero, t0, at);
    addi(t0, round, 1);
    li(t1, harts_);
    op(Op::mul, t1, t1, t0);
    const Label wait = bound();
    ld(t0, at, s1);
    bltu(t0, t1, wait);
    fence();
  }

  GuestProgram program() const {
    GuestProgram result;
    result.words = words();
    result.harts = harts_;
    return result;
  }

 private:
  const u32 harts_;
};

}  // namespace hartwood::test
