// SPDX-License-Identifier: Apache-2.0
// The pure part of the interpreter's contexts: values are plain u64. See isa/semantics/integer.h for what each means.
#pragma once

#include "base/bits.h"
#include "isa/isa.h"

namespace hartwood {

struct Value {
  bool ok;
  u64 v;
};

struct EvalArithmetic {
  using V = u64;
  static u64 constant(u64 v) { return v; }
  static u64 shl(u64 v, u64 by) { return v << (by & 63); }
  static u64 shr(u64 v, u64 by) { return v >> (by & 63); }
  static u64 sar(u64 v, u64 by) { return static_cast<u64>(static_cast<i64>(v) >> (by & 63)); }
  static u64 shl32(u64 v, u64 by) { return sext32(static_cast<u32>(v) << (by & 31)); }
  static u64 shr32(u64 v, u64 by) { return sext32(static_cast<u32>(v) >> (by & 31)); }
  static u64 sar32(u64 v, u64 by) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(v) >> (by & 31))); }
  static u64 rotl(u64 v, u64 by) { return std::rotl(v, static_cast<int>(by & 63)); }
  static u64 rotr(u64 v, u64 by) { return std::rotr(v, static_cast<int>(by & 63)); }
  static u64 rotl32(u64 v, u64 by) { return sext32(std::rotl(static_cast<u32>(v), static_cast<int>(by & 31))); }
  static u64 rotr32(u64 v, u64 by) { return sext32(std::rotr(static_cast<u32>(v), static_cast<int>(by & 31))); }
  static u64 sext32(u64 v) { return hartwood::sext32(v); }
  static u64 zext32(u64 v) { return static_cast<u32>(v); }
  static bool eq(u64 a, u64 b) { return a == b; }
  static bool ne(u64 a, u64 b) { return a != b; }
  static bool lt_s(u64 a, u64 b) { return static_cast<i64>(a) < static_cast<i64>(b); }
  static bool lt_u(u64 a, u64 b) { return a < b; }
  static bool ge_s(u64 a, u64 b) { return static_cast<i64>(a) >= static_cast<i64>(b); }
  static bool ge_u(u64 a, u64 b) { return a >= b; }
  static u64 from_bool(bool b) { return b; }
  static u64 select(bool condition, u64 a, u64 b) { return condition ? a : b; }
  static u64 mulh_uu(u64 a, u64 b) { return static_cast<u64>((u128{a} * b) >> 64); }
  static u64 mulh_ss(u64 a, u64 b) {
    return mulh_uu(a, b) - (static_cast<i64>(a) < 0 ? b : 0) - (static_cast<i64>(b) < 0 ? a : 0);
  }
  static u64 mulh_su(u64 a, u64 b) { return mulh_uu(a, b) - (static_cast<i64>(a) < 0 ? b : 0); }
  static u64 div_u(u64 a, u64 b) { return b == 0 ? ~u64{0} : a / b; }
  static u64 rem_u(u64 a, u64 b) { return b == 0 ? a : a % b; }
  static u64 div_s(u64 a, u64 b) {
    if (b == 0) return ~u64{0};
    if (b == ~u64{0}) return u64{0} - a;  // also the overflow case
    return static_cast<u64>(static_cast<i64>(a) / static_cast<i64>(b));
  }
  static u64 rem_s(u64 a, u64 b) {
    if (b == 0) return a;
    if (b == ~u64{0}) return 0;
    return static_cast<u64>(static_cast<i64>(a) % static_cast<i64>(b));
  }
  static u64 clz64(u64 v) { return static_cast<u64>(std::countl_zero(v)); }
  static u64 ctz64(u64 v) { return static_cast<u64>(std::countr_zero(v)); }
  static u64 popcount(u64 v) { return static_cast<u64>(std::popcount(v)); }
  static u64 byteswap(u64 v) { return byteswap64(v); }
  static u64 or_combine_bytes(u64 v) {
    v |= v >> 4 & 0x0f0f0f0f0f0f0f0f;
    v |= v >> 2 & 0x0303030303030303;
    v |= v >> 1;
    return (v & 0x0101010101010101) * 0xff;
  }
  static u64 clmul_low(u64 a, u64 b) {
    u64 result = 0;
    for (unsigned i = 0; i < 64; i++) result ^= (a << i) & (u64{0} - (b >> i & 1));
    return result;
  }
  static u64 clmul_high(u64 a, u64 b) {
    u64 result = 0;
    for (unsigned i = 1; i < 64; i++) result ^= (a >> (64 - i)) & (u64{0} - (b >> i & 1));
    return result;
  }
};

}  // namespace hartwood
