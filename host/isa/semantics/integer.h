// SPDX-License-Identifier: Apache-2.0
// The definition of every integer instruction: RV64I without its system part, M, Zba, Zbb, Zbc, Zbs, Zicond.
//
// Each is a template over a context C and says what the instruction does with C's values. `Eval` contexts compute (the
// interpreter), a `Lift` context emits IR (the compiler). What a context offers:
//   C::V                      a 64-bit value with + - * & | ^ ~
//   rs1() rs2() imm() pc()    operands; link() is the address of the next instruction
//   rd(v)                     writes the destination; returns true
//   shl shr sar (v, amount)   amount taken modulo 64, shl32.. modulo 32 on the low half
//   eq ne lt_s lt_u           conditions; select(condition, a, b); from_bool(condition)
//   load<T>(address)          {ok, v}: sign- or zero-extended by T; store<T>(address, v); both false after a fault
//   branch(condition)         to pc + imm; jump(address)
// A definition returns false if the instruction trapped; then it has changed no register. Operands are named in
// statements of their own: the order of evaluation of arguments differs between compilers, and so would the IR.
#pragma once

#include "base/bits.h"
#include "isa/isa.h"

namespace hartwood::semantics {

#define HW_DEFINE(name) \
  template <class C>    \
  [[gnu::always_inline]] inline bool name(C& c)

// clang-format off
// RV64I
HW_DEFINE(lui)   { return c.rd(c.imm()); }
HW_DEFINE(auipc) { auto pc = c.pc(); auto imm = c.imm(); return c.rd(pc + imm); }
HW_DEFINE(jal)   { auto pc = c.pc(); auto target = pc + c.imm(); c.rd(c.link()); return c.jump(target); }
HW_DEFINE(jalr)  { auto base = c.rs1(); auto sum = base + c.imm(); auto target = sum & c.constant(~u64{1}); c.rd(c.link()); return c.jump(target); }
HW_DEFINE(beq)   { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.eq(a, b)); }
HW_DEFINE(bne)   { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.ne(a, b)); }
HW_DEFINE(blt)   { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.lt_s(a, b)); }
HW_DEFINE(bge)   { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.ge_s(a, b)); }
HW_DEFINE(bltu)  { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.lt_u(a, b)); }
HW_DEFINE(bgeu)  { auto a = c.rs1(); auto b = c.branch_rs2(); return c.branch(c.ge_u(a, b)); }

template <class T, class C>
[[gnu::always_inline]] inline bool load_as(C& c) {
  auto base = c.rs1();
  auto address = base + c.imm();
  auto loaded = c.template load<T>(address);
  if (!loaded.ok) [[unlikely]] return false;
  return c.rd(loaded.v);
}
template <class T, class C>
[[gnu::always_inline]] inline bool store_as(C& c) {
  auto base = c.rs1();
  auto address = base + c.imm();
  auto value = c.store_rs2();
  return c.template store<T>(address, value);
}
HW_DEFINE(lb)  { return load_as<i8>(c); }
HW_DEFINE(lh)  { return load_as<i16>(c); }
HW_DEFINE(lw)  { return load_as<i32>(c); }
HW_DEFINE(ld)  { return load_as<u64>(c); }
HW_DEFINE(lbu) { return load_as<u8>(c); }
HW_DEFINE(lhu) { return load_as<u16>(c); }
HW_DEFINE(lwu) { return load_as<u32>(c); }
HW_DEFINE(sb)  { return store_as<u8>(c); }
HW_DEFINE(sh)  { return store_as<u16>(c); }
HW_DEFINE(sw)  { return store_as<u32>(c); }
HW_DEFINE(sd)  { return store_as<u64>(c); }

HW_DEFINE(addi)  { auto a = c.rs1(); return c.rd(a + c.imm()); }
HW_DEFINE(slti)  { auto a = c.rs1(); return c.rd(c.from_bool(c.lt_s(a, c.imm()))); }
HW_DEFINE(sltiu) { auto a = c.rs1(); return c.rd(c.from_bool(c.lt_u(a, c.imm()))); }
HW_DEFINE(xori)  { auto a = c.rs1(); return c.rd(a ^ c.imm()); }
HW_DEFINE(ori)   { auto a = c.rs1(); return c.rd(a | c.imm()); }
HW_DEFINE(andi)  { auto a = c.rs1(); return c.rd(a & c.imm()); }
HW_DEFINE(slli)  { auto a = c.rs1(); return c.rd(c.shl(a, c.imm())); }
HW_DEFINE(srli)  { auto a = c.rs1(); return c.rd(c.shr(a, c.imm())); }
HW_DEFINE(srai)  { auto a = c.rs1(); return c.rd(c.sar(a, c.imm())); }
HW_DEFINE(add)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a + b); }
HW_DEFINE(sub)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a - b); }
HW_DEFINE(sll)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shl(a, b)); }
HW_DEFINE(slt)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.from_bool(c.lt_s(a, b))); }
HW_DEFINE(sltu)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.from_bool(c.lt_u(a, b))); }
HW_DEFINE(xor_)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a ^ b); }
HW_DEFINE(srl)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shr(a, b)); }
HW_DEFINE(sra)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.sar(a, b)); }
HW_DEFINE(or_)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a | b); }
HW_DEFINE(and_)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a & b); }
HW_DEFINE(addiw) { auto a = c.rs1(); return c.rd(c.sext32(a + c.imm())); }
HW_DEFINE(slliw) { auto a = c.rs1(); return c.rd(c.shl32(a, c.imm())); }
HW_DEFINE(srliw) { auto a = c.rs1(); return c.rd(c.shr32(a, c.imm())); }
HW_DEFINE(sraiw) { auto a = c.rs1(); return c.rd(c.sar32(a, c.imm())); }
HW_DEFINE(addw)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.sext32(a + b)); }
HW_DEFINE(subw)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.sext32(a - b)); }
HW_DEFINE(sllw)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shl32(a, b)); }
HW_DEFINE(srlw)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shr32(a, b)); }
HW_DEFINE(sraw)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.sar32(a, b)); }

// M. Division by zero and overflow have defined results [unpriv: Division Operations].
HW_DEFINE(mul)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a * b); }
HW_DEFINE(mulh)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.mulh_ss(a, b)); }
HW_DEFINE(mulhsu) { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.mulh_su(a, b)); }
HW_DEFINE(mulhu)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.mulh_uu(a, b)); }
HW_DEFINE(div)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.div_s(a, b)); }
HW_DEFINE(divu)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.div_u(a, b)); }
HW_DEFINE(rem)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rem_s(a, b)); }
HW_DEFINE(remu)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rem_u(a, b)); }
HW_DEFINE(mulw)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.sext32(a * b)); }
HW_DEFINE(divw)   { auto a = c.rs1(); auto b = c.rs2(); auto x = c.sext32(a); auto y = c.sext32(b); return c.rd(c.sext32(c.div_s(x, y))); }
HW_DEFINE(divuw)  { auto a = c.rs1(); auto b = c.rs2(); auto x = c.zext32(a); auto y = c.zext32(b); return c.rd(c.sext32(c.div_u(x, y))); }
HW_DEFINE(remw)   { auto a = c.rs1(); auto b = c.rs2(); auto x = c.sext32(a); auto y = c.sext32(b); return c.rd(c.sext32(c.rem_s(x, y))); }
HW_DEFINE(remuw)  { auto a = c.rs1(); auto b = c.rs2(); auto x = c.zext32(a); auto y = c.zext32(b); return c.rd(c.sext32(c.rem_u(x, y))); }

// Zba
HW_DEFINE(sh1add)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(1)) + b); }
HW_DEFINE(sh2add)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(2)) + b); }
HW_DEFINE(sh3add)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(3)) + b); }
HW_DEFINE(add_uw)    { auto a = c.zext32(c.rs1()); auto b = c.rs2(); return c.rd(a + b); }
HW_DEFINE(sh1add_uw) { auto a = c.zext32(c.rs1()); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(1)) + b); }
HW_DEFINE(sh2add_uw) { auto a = c.zext32(c.rs1()); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(2)) + b); }
HW_DEFINE(sh3add_uw) { auto a = c.zext32(c.rs1()); auto b = c.rs2(); return c.rd(c.shl(a, c.constant(3)) + b); }
HW_DEFINE(slli_uw)   { auto a = c.zext32(c.rs1()); return c.rd(c.shl(a, c.imm())); }

// Zbb
HW_DEFINE(andn)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a & ~b); }
HW_DEFINE(orn)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(a | ~b); }
HW_DEFINE(xnor)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(~(a ^ b)); }
HW_DEFINE(clz)    { auto a = c.rs1(); return c.rd(c.clz64(a)); }
HW_DEFINE(ctz)    { auto a = c.rs1(); return c.rd(c.ctz64(a)); }
HW_DEFINE(cpop)   { auto a = c.rs1(); return c.rd(c.popcount(a)); }
HW_DEFINE(clzw)   { auto a = c.rs1(); auto zeros = c.clz64(c.zext32(a)); return c.rd(zeros - c.constant(32)); }
HW_DEFINE(ctzw)   { auto a = c.rs1(); return c.rd(c.ctz64(a | c.constant(u64{1} << 32))); }
HW_DEFINE(cpopw)  { auto a = c.rs1(); return c.rd(c.popcount(c.zext32(a))); }
HW_DEFINE(sext_b) { auto a = c.rs1(); auto high = c.shl(a, c.constant(56)); return c.rd(c.sar(high, c.constant(56))); }
HW_DEFINE(sext_h) { auto a = c.rs1(); auto high = c.shl(a, c.constant(48)); return c.rd(c.sar(high, c.constant(48))); }
HW_DEFINE(zext_h) { auto a = c.rs1(); return c.rd(a & c.constant(0xffff)); }
HW_DEFINE(rev8)   { auto a = c.rs1(); return c.rd(c.byteswap(a)); }
HW_DEFINE(orc_b)  { auto a = c.rs1(); return c.rd(c.or_combine_bytes(a)); }
HW_DEFINE(max)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.select(c.lt_s(a, b), b, a)); }
HW_DEFINE(maxu)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.select(c.lt_u(a, b), b, a)); }
HW_DEFINE(min)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.select(c.lt_s(a, b), a, b)); }
HW_DEFINE(minu)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.select(c.lt_u(a, b), a, b)); }
HW_DEFINE(rol)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rotl(a, b)); }
HW_DEFINE(ror)    { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rotr(a, b)); }
HW_DEFINE(rori)   { auto a = c.rs1(); return c.rd(c.rotr(a, c.imm())); }
HW_DEFINE(rolw)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rotl32(a, b)); }
HW_DEFINE(rorw)   { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.rotr32(a, b)); }
HW_DEFINE(roriw)  { auto a = c.rs1(); return c.rd(c.rotr32(a, c.imm())); }

// Zbc
HW_DEFINE(clmul)  { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.clmul_low(a, b)); }
HW_DEFINE(clmulh) { auto a = c.rs1(); auto b = c.rs2(); return c.rd(c.clmul_high(a, b)); }
HW_DEFINE(clmulr) { auto a = c.rs1(); auto b = c.rs2();
  auto high = c.clmul_high(a, b); auto low = c.clmul_low(a, b);
  auto upper = c.shl(high, c.constant(1)); auto lower = c.shr(low, c.constant(63)); return c.rd(upper | lower); }

// Zbs
HW_DEFINE(bclr)  { auto one = c.constant(1); auto a = c.rs1(); auto b = c.rs2(); return c.rd(a & ~c.shl(one, b)); }
HW_DEFINE(bext)  { auto a = c.rs1(); auto b = c.rs2(); auto moved = c.shr(a, b); return c.rd(moved & c.constant(1)); }
HW_DEFINE(binv)  { auto one = c.constant(1); auto a = c.rs1(); auto b = c.rs2(); return c.rd(a ^ c.shl(one, b)); }
HW_DEFINE(bset)  { auto one = c.constant(1); auto a = c.rs1(); auto b = c.rs2(); return c.rd(a | c.shl(one, b)); }
HW_DEFINE(bclri) { auto one = c.constant(1); auto a = c.rs1(); return c.rd(a & ~c.shl(one, c.imm())); }
HW_DEFINE(bexti) { auto a = c.rs1(); auto moved = c.shr(a, c.imm()); return c.rd(moved & c.constant(1)); }
HW_DEFINE(binvi) { auto one = c.constant(1); auto a = c.rs1(); return c.rd(a ^ c.shl(one, c.imm())); }
HW_DEFINE(bseti) { auto one = c.constant(1); auto a = c.rs1(); return c.rd(a | c.shl(one, c.imm())); }

// Zicond
HW_DEFINE(czero_eqz) { auto a = c.rs1(); auto b = c.rs2(); auto zero = c.constant(0); auto test = c.eq(b, zero); return c.rd(c.select(test, zero, a)); }
HW_DEFINE(czero_nez) { auto a = c.rs1(); auto b = c.rs2(); auto zero = c.constant(0); auto test = c.ne(b, zero); return c.rd(c.select(test, zero, a)); }
// clang-format on

}  // namespace hartwood::semantics
