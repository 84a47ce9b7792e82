// SPDX-License-Identifier: Apache-2.0
// The definition of A, Zacas, Zawrs, the cache-block operations and the fences. Besides what integer.h lists, a context
// offers
//   amo<T>(address, function)   one atomic read-modify-write; {ok, v} with the old value sign-extended
//   load_reserved<T>, store_conditional<T>, compare_and_swap<T>, compare_and_swap_pair
//   fence(), fence_i(), cache_block(kind), wait_for_store()
#pragma once

#include "isa/semantics/integer.h"

namespace hartwood::semantics {

enum class AmoKind : u8 { swap, add, bit_xor, bit_and, bit_or, min, max, minu, maxu };

// What an AMO writes, given the old value and the operand. T is i32 or i64.
template <class T>
constexpr T amo_result(AmoKind kind, T old, T operand) {
  using U = std::make_unsigned_t<T>;
  const U a = static_cast<U>(old), b = static_cast<U>(operand);
  switch (kind) {
    case AmoKind::swap: return operand;
    case AmoKind::add: return static_cast<T>(a + b);
    case AmoKind::bit_xor: return static_cast<T>(a ^ b);
    case AmoKind::bit_and: return static_cast<T>(a & b);
    case AmoKind::bit_or: return static_cast<T>(a | b);
    case AmoKind::min: return old < operand ? old : operand;
    case AmoKind::max: return old > operand ? old : operand;
    case AmoKind::minu: return a < b ? old : operand;
    case AmoKind::maxu: return a > b ? old : operand;
  }
  return operand;
}

template <AmoKind kKind, class T, class C>
inline bool amo_as(C& c) {
  auto address = c.rs1();
  auto operand = c.rs2();
  auto old = c.template amo<T>(kKind, address, operand);
  if (!old.ok) return false;
  return c.rd(old.v);
}

template <class T, class C>
inline bool store_conditional_as(C& c) {
  auto address = c.rs1();
  auto value = c.rs2();
  auto failed = c.template store_conditional<T>(address, value);
  return failed.ok && c.rd(failed.v);
}

// clang-format off
HW_DEFINE(lr_w) { auto old = c.template load_reserved<i32>(c.rs1()); return old.ok && c.rd(old.v); }
HW_DEFINE(lr_d) { auto old = c.template load_reserved<i64>(c.rs1()); return old.ok && c.rd(old.v); }
HW_DEFINE(sc_w) { return store_conditional_as<i32>(c); }
HW_DEFINE(sc_d) { return store_conditional_as<i64>(c); }
HW_DEFINE(amoswap_w) { return amo_as<AmoKind::swap, i32>(c); }
HW_DEFINE(amoadd_w)  { return amo_as<AmoKind::add, i32>(c); }
HW_DEFINE(amoxor_w)  { return amo_as<AmoKind::bit_xor, i32>(c); }
HW_DEFINE(amoand_w)  { return amo_as<AmoKind::bit_and, i32>(c); }
HW_DEFINE(amoor_w)   { return amo_as<AmoKind::bit_or, i32>(c); }
HW_DEFINE(amomin_w)  { return amo_as<AmoKind::min, i32>(c); }
HW_DEFINE(amomax_w)  { return amo_as<AmoKind::max, i32>(c); }
HW_DEFINE(amominu_w) { return amo_as<AmoKind::minu, i32>(c); }
HW_DEFINE(amomaxu_w) { return amo_as<AmoKind::maxu, i32>(c); }
HW_DEFINE(amoswap_d) { return amo_as<AmoKind::swap, i64>(c); }
HW_DEFINE(amoadd_d)  { return amo_as<AmoKind::add, i64>(c); }
HW_DEFINE(amoxor_d)  { return amo_as<AmoKind::bit_xor, i64>(c); }
HW_DEFINE(amoand_d)  { return amo_as<AmoKind::bit_and, i64>(c); }
HW_DEFINE(amoor_d)   { return amo_as<AmoKind::bit_or, i64>(c); }
HW_DEFINE(amomin_d)  { return amo_as<AmoKind::min, i64>(c); }
HW_DEFINE(amomax_d)  { return amo_as<AmoKind::max, i64>(c); }
HW_DEFINE(amominu_d) { return amo_as<AmoKind::minu, i64>(c); }
HW_DEFINE(amomaxu_d) { return amo_as<AmoKind::maxu, i64>(c); }
HW_DEFINE(amocas_w)  { auto old = c.template compare_and_swap<i32>(c.rs1(), c.rd_value(), c.rs2()); return old.ok && c.rd(old.v); }
HW_DEFINE(amocas_d)  { auto old = c.template compare_and_swap<i64>(c.rs1(), c.rd_value(), c.rs2()); return old.ok && c.rd(old.v); }
HW_DEFINE(amocas_q)  { return c.compare_and_swap_pair(); }
HW_DEFINE(wrs_nto)   { return c.wait_for_store(false); }
HW_DEFINE(wrs_sto)   { return c.wait_for_store(true); }

HW_DEFINE(fence)   { return c.fence(); }
HW_DEFINE(fence_i) { return c.fence_i(); }
HW_DEFINE(cbo_inval) { return c.cache_block(0, c.rs1()); }
HW_DEFINE(cbo_clean) { return c.cache_block(1, c.rs1()); }
HW_DEFINE(cbo_flush) { return c.cache_block(2, c.rs1()); }
HW_DEFINE(cbo_zero)  { return c.cache_block(4, c.rs1()); }
// clang-format on

}  // namespace hartwood::semantics
