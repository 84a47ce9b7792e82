// SPDX-License-Identifier: Apache-2.0
// The definition of F, D, Zfhmin, Zfh and Zfa over the exact library in isa/fp. Besides what integer.h lists, a context
// offers
//   fp_begin()            false, after an illegal-instruction trap, if mstatus.FS is off
//   rounding(rm)          resolves the instruction's mode; false after a trap if frm is reserved
//   fs<F>(n)              operand n (1..3) unboxed to format F [unpriv: NaN Boxing of Narrower Values]
//   fd<F>(bits)           writes the boxed result and marks FS dirty; returns true
//   flags()               reference to fflags; flags_done() after flags may have changed
#pragma once

#include "isa/fp/fp.h"
#include "isa/semantics/integer.h"

namespace hartwood::semantics {

using fp::F16;
using fp::F32;
using fp::F64;

template <class T, class F, class C>
[[gnu::always_inline]] inline bool fp_load(C& c) {
  if (!c.fp_begin()) return false;
  auto base = c.rs1();
  auto loaded = c.template load<T>(base + c.imm());
  if (!loaded.ok) [[unlikely]]
    return false;
  return c.template fd<F>(static_cast<fp::BitsOf<F>>(loaded.v));
}
template <class T, class C>
[[gnu::always_inline]] inline bool fp_store(C& c) {
  if (!c.fp_begin()) return false;
  auto base = c.rs1();
  return c.template store<T>(base + c.imm(), c.store_fs2());
}
// Two operands and a rounding mode.
template <class F, class C, class Fn>
[[gnu::always_inline]] inline bool fp_rounded2(C& c, Fn function) {
  fp::Rm rm;
  if (!c.fp_begin() || !c.rounding(rm)) return false;
  return c.template fd<F>(function(c.template fs<F>(1), c.template fs<F>(2), rm, c.flags()));
}
template <class F, class C, class Fn>
[[gnu::always_inline]] inline bool fp_rounded3(C& c, Fn function) {
  fp::Rm rm;
  if (!c.fp_begin() || !c.rounding(rm)) return false;
  return c.template fd<F>(function(c.template fs<F>(1), c.template fs<F>(2), c.template fs<F>(3), rm, c.flags()));
}
template <class F, class C, class Fn>
[[gnu::always_inline]] inline bool fp_plain2(C& c, Fn function) {
  if (!c.fp_begin()) return false;
  return c.template fd<F>(function(c.template fs<F>(1), c.template fs<F>(2), c.flags()));
}
template <class F, class C, class Fn>
[[gnu::always_inline]] inline bool fp_compare(C& c, Fn function) {
  if (!c.fp_begin()) return false;
  const bool result = function(c.template fs<F>(1), c.template fs<F>(2), c.flags());
  c.flags_done();
  return c.rd(c.constant(result));
}
template <class F, class I, class C>
inline bool fp_to_int(C& c) {
  fp::Rm rm;
  if (!c.fp_begin() || !c.rounding(rm)) return false;
  const I result = fp::to_int<F, I>(c.template fs<F>(1), rm, c.flags());
  c.flags_done();
  return c.rd(c.constant(static_cast<u64>(static_cast<i64>(static_cast<std::make_signed_t<I>>(result)))));
}
template <class F, class I, class C>
inline bool fp_from_int(C& c) {
  fp::Rm rm;
  if (!c.fp_begin() || !c.rounding(rm)) return false;
  return c.template fd<F>(fp::from_int<F, I>(static_cast<I>(c.rs1()), rm, c.flags()));
}
template <class To, class From, class C>
inline bool fp_convert(C& c) {
  fp::Rm rm;
  if (!c.fp_begin() || !c.rounding(rm)) return false;
  return c.template fd<To>(fp::convert<To, From>(c.template fs<From>(1), rm, c.flags()));
}

#define HW_FP_ARITHMETIC(suffix, F)                                                                                 \
  HW_DEFINE(fadd_##suffix) {                                                                                        \
    return fp_rounded2<F>(c, [](auto a, auto b, auto rm, u8& f) { return fp::add<F>(a, b, rm, f); });               \
  }                                                                                                                 \
  HW_DEFINE(fsub_##suffix) {                                                                                        \
    return fp_rounded2<F>(c, [](auto a, auto b, auto rm, u8& f) { return fp::sub<F>(a, b, rm, f); });               \
  }                                                                                                                 \
  HW_DEFINE(fmul_##suffix) {                                                                                        \
    return fp_rounded2<F>(c, [](auto a, auto b, auto rm, u8& f) { return fp::mul<F>(a, b, rm, f); });               \
  }                                                                                                                 \
  HW_DEFINE(fdiv_##suffix) {                                                                                        \
    return fp_rounded2<F>(c, [](auto a, auto b, auto rm, u8& f) { return fp::div<F>(a, b, rm, f); });               \
  }                                                                                                                 \
  HW_DEFINE(fsqrt_##suffix) {                                                                                       \
    fp::Rm rm;                                                                                                      \
    if (!c.fp_begin() || !c.rounding(rm)) return false;                                                             \
    return c.template fd<F>(fp::sqrt<F>(c.template fs<F>(1), rm, c.flags()));                                       \
  }                                                                                                                 \
  HW_DEFINE(fmadd_##suffix) {                                                                                       \
    return fp_rounded3<F>(c, [](auto x, auto y, auto z, auto rm, u8& f) { return fp::fmadd<F>(x, y, z, rm, f); });  \
  }                                                                                                                 \
  HW_DEFINE(fmsub_##suffix) {                                                                                       \
    return fp_rounded3<F>(c, [](auto x, auto y, auto z, auto rm, u8& f) { return fp::fmsub<F>(x, y, z, rm, f); });  \
  }                                                                                                                 \
  HW_DEFINE(fnmsub_##suffix) {                                                                                      \
    return fp_rounded3<F>(c, [](auto x, auto y, auto z, auto rm, u8& f) { return fp::fnmsub<F>(x, y, z, rm, f); }); \
  }                                                                                                                 \
  HW_DEFINE(fnmadd_##suffix) {                                                                                      \
    return fp_rounded3<F>(c, [](auto x, auto y, auto z, auto rm, u8& f) { return fp::fnmadd<F>(x, y, z, rm, f); }); \
  }                                                                                                                 \
  HW_DEFINE(fsgnj_##suffix) {                                                                                       \
    return fp_plain2<F>(c, [](auto a, auto b, u8&) { return fp::sgnj<F>(a, b); });                                  \
  }                                                                                                                 \
  HW_DEFINE(fsgnjn_##suffix) {                                                                                      \
    return fp_plain2<F>(c, [](auto a, auto b, u8&) { return fp::sgnjn<F>(a, b); });                                 \
  }                                                                                                                 \
  HW_DEFINE(fsgnjx_##suffix) {                                                                                      \
    return fp_plain2<F>(c, [](auto a, auto b, u8&) { return fp::sgnjx<F>(a, b); });                                 \
  }                                                                                                                 \
  HW_DEFINE(fmin_##suffix) {                                                                                        \
    return fp_plain2<F>(c, [](auto a, auto b, u8& f) { return fp::min<F>(a, b, f); });                              \
  }                                                                                                                 \
  HW_DEFINE(fmax_##suffix) {                                                                                        \
    return fp_plain2<F>(c, [](auto a, auto b, u8& f) { return fp::max<F>(a, b, f); });                              \
  }                                                                                                                 \
  HW_DEFINE(fminm_##suffix) {                                                                                       \
    return fp_plain2<F>(c, [](auto a, auto b, u8& f) { return fp::minm<F>(a, b, f); });                             \
  }                                                                                                                 \
  HW_DEFINE(fmaxm_##suffix) {                                                                                       \
    return fp_plain2<F>(c, [](auto a, auto b, u8& f) { return fp::maxm<F>(a, b, f); });                             \
  }                                                                                                                 \
  HW_DEFINE(feq_##suffix) {                                                                                         \
    return fp_compare<F>(c, [](auto a, auto b, u8& f) { return fp::eq<F>(a, b, f); });                              \
  }                                                                                                                 \
  HW_DEFINE(flt_##suffix) {                                                                                         \
    return fp_compare<F>(c, [](auto a, auto b, u8& f) { return fp::lt<F>(a, b, f); });                              \
  }                                                                                                                 \
  HW_DEFINE(fle_##suffix) {                                                                                         \
    return fp_compare<F>(c, [](auto a, auto b, u8& f) { return fp::le<F>(a, b, f); });                              \
  }                                                                                                                 \
  HW_DEFINE(fltq_##suffix) {                                                                                        \
    return fp_compare<F>(c, [](auto a, auto b, u8& f) { return fp::ltq<F>(a, b, f); });                             \
  }                                                                                                                 \
  HW_DEFINE(fleq_##suffix) {                                                                                        \
    return fp_compare<F>(c, [](auto a, auto b, u8& f) { return fp::leq<F>(a, b, f); });                             \
  }                                                                                                                 \
  HW_DEFINE(fclass_##suffix) { return c.fp_begin() && c.rd(c.constant(fp::classify<F>(c.template fs<F>(1)))); }     \
  HW_DEFINE(fcvt_w_##suffix) { return fp_to_int<F, i32>(c); }                                                       \
  HW_DEFINE(fcvt_wu_##suffix) { return fp_to_int<F, u32>(c); }                                                      \
  HW_DEFINE(fcvt_l_##suffix) { return fp_to_int<F, i64>(c); }                                                       \
  HW_DEFINE(fcvt_lu_##suffix) { return fp_to_int<F, u64>(c); }                                                      \
  HW_DEFINE(fcvt_##suffix##_w) { return fp_from_int<F, i32>(c); }                                                   \
  HW_DEFINE(fcvt_##suffix##_wu) { return fp_from_int<F, u32>(c); }                                                  \
  HW_DEFINE(fcvt_##suffix##_l) { return fp_from_int<F, i64>(c); }                                                   \
  HW_DEFINE(fcvt_##suffix##_lu) { return fp_from_int<F, u64>(c); }                                                  \
  HW_DEFINE(fround_##suffix) {                                                                                      \
    fp::Rm rm;                                                                                                      \
    if (!c.fp_begin() || !c.rounding(rm)) return false;                                                             \
    return c.template fd<F>(fp::fround<F>(c.template fs<F>(1), rm, c.flags()));                                     \
  }                                                                                                                 \
  HW_DEFINE(froundnx_##suffix) {                                                                                    \
    fp::Rm rm;                                                                                                      \
    if (!c.fp_begin() || !c.rounding(rm)) return false;                                                             \
    return c.template fd<F>(fp::froundnx<F>(c.template fs<F>(1), rm, c.flags()));                                   \
  }                                                                                                                 \
  HW_DEFINE(fli_##suffix) { return c.fp_begin() && c.template fd<F>(fp::fli<F>(c.rs1_index())); }

HW_FP_ARITHMETIC(s, F32)
HW_FP_ARITHMETIC(d, F64)
HW_FP_ARITHMETIC(h, F16)
#undef HW_FP_ARITHMETIC

// clang-format off
HW_DEFINE(flh) { return fp_load<u16, F16>(c); }
HW_DEFINE(flw) { return fp_load<u32, F32>(c); }
HW_DEFINE(fld) { return fp_load<u64, F64>(c); }
HW_DEFINE(fsh) { return fp_store<u16>(c); }
HW_DEFINE(fsw) { return fp_store<u32>(c); }
HW_DEFINE(fsd) { return fp_store<u64>(c); }
HW_DEFINE(fmv_x_h) { return c.fp_begin() && c.rd(c.constant(static_cast<u64>(sign_extend(c.fs_raw(1), 16)))); }
HW_DEFINE(fmv_x_w) { return c.fp_begin() && c.rd(c.constant(static_cast<u64>(sign_extend(c.fs_raw(1), 32)))); }
HW_DEFINE(fmv_x_d) { return c.fp_begin() && c.rd(c.fs_raw(1)); }
HW_DEFINE(fmv_h_x) { return c.fp_begin() && c.template fd<F16>(static_cast<u16>(c.rs1())); }
HW_DEFINE(fmv_w_x) { return c.fp_begin() && c.template fd<F32>(static_cast<u32>(c.rs1())); }
HW_DEFINE(fmv_d_x) { return c.fp_begin() && c.template fd<F64>(c.rs1()); }
HW_DEFINE(fcvt_s_d) { return fp_convert<F32, F64>(c); }
HW_DEFINE(fcvt_d_s) { return fp_convert<F64, F32>(c); }
HW_DEFINE(fcvt_s_h) { return fp_convert<F32, F16>(c); }
HW_DEFINE(fcvt_h_s) { return fp_convert<F16, F32>(c); }
HW_DEFINE(fcvt_d_h) { return fp_convert<F64, F16>(c); }
HW_DEFINE(fcvt_h_d) { return fp_convert<F16, F64>(c); }
HW_DEFINE(fcvtmod_w_d) {
  if (!c.fp_begin()) return false;
  const i32 result = fp::cvtmod_w_d(c.template fs<F64>(1), c.flags());
  c.flags_done();
  return c.rd(c.constant(static_cast<u64>(static_cast<i64>(result))));
}
// clang-format on

}  // namespace hartwood::semantics
