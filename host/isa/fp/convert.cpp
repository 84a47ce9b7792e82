// SPDX-License-Identifier: Apache-2.0
// Integer implementation of the conversions: to and from integers, between formats, rounding to an integral
// value, and the Zfa extension's modular conversion and constants. Owned by no thread: pure functions. See
// soft.h for the contract and round_pack.h for the representation.
#include <limits>

#include "isa/fp/compare.h"
#include "isa/fp/round_pack.h"
#include "isa/fp/soft.h"

namespace hartwood::fp::soft {
namespace {

constexpr u64 kHalfUnit = u64{1} << 63;

/// A magnitude below 2^64 as integer part and fraction; the fraction is in units of 2^-64 and jammed.
struct Fixed {
  u64 integer;
  u64 fraction;
};

/// `n.exp` must be below 64.
constexpr Fixed to_fixed(Number n) {
  if (n.exp == 63) return {n.sig, 0};
  if (n.exp >= 0) return {n.sig >> (63 - n.exp), n.sig << (n.exp + 1)};
  return {0, shift_right_jam(n.sig, -1 - n.exp)};
}

}  // namespace

template <class F, class I>
I to_int(BitsOf<F> a, Rm rm, u8& flags) {
  using Limits = std::numeric_limits<I>;
  const bool sign = sign_of<F>(a);
  const auto out_of_range = [&](bool low) {
    flags |= kNV;
    return low ? Limits::min() : Limits::max();
  };
  if (is_nan<F>(a)) return out_of_range(false);
  if (is_inf<F>(a)) return out_of_range(sign);
  if (is_zero<F>(a)) return 0;
  const Number n = unpack<F>(a);
  if (n.exp > 63) return out_of_range(sign);
  const Fixed x = to_fixed(n);
  // No carry out of 64 bits: a number with a fraction has at most 53 bits before the point.
  const u64 rounded = x.integer + static_cast<u64>(rounds_up(rm, sign, (x.integer & 1) != 0, x.fraction, kHalfUnit));
  const u64 limit = sign ? u64{0} - static_cast<u64>(Limits::min()) : static_cast<u64>(Limits::max());
  if (rounded > limit) return out_of_range(sign);
  if (x.fraction != 0) flags |= kNX;
  return static_cast<I>(sign ? u64{0} - rounded : rounded);
}

template <class F, class I>
BitsOf<F> from_int(I v, Rm rm, u8& flags) {
  if (v == 0) return 0;
  const bool sign = v < 0;
  const u64 mag = sign ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v);
  const int zeros = std::countl_zero(mag);
  // Bits below the formats' precision are within the dropped part, bit 0 included, so no jamming is needed.
  return round_pack<F>({sign, 63 - zeros, mag << zeros}, rm, flags);
}

template <class To, class From>
BitsOf<To> convert(BitsOf<From> a, Rm rm, u8& flags) {
  if (detail::any_nan<From>(a, a, flags)) return To::kNan;
  const bool sign = sign_of<From>(a);
  if (is_inf<From>(a)) return with_sign<To>(sign, To::kInf);
  if (is_zero<From>(a)) return with_sign<To>(sign, 0);
  return round_pack<To>(unpack<From>(a), rm, flags);
}

template <class F>
BitsOf<F> round_int(BitsOf<F> a, Rm rm, bool inexact, u8& flags) {
  const int exp = exponent_field<F>(a) - F::kBias;
  if (exp >= F::kFracBits) return detail::any_nan<F>(a, a, flags) ? F::kNan : a;  // integral already, or special
  const bool sign = sign_of<F>(a);
  if (is_zero<F>(a)) return a;
  BitsOf<F> result;
  bool changed = true;
  if (exp < 0) {
    const Fixed x = to_fixed(unpack<F>(a));
    result = with_sign<F>(sign, rounds_up(rm, sign, false, x.fraction, kHalfUnit) ? F::kOne : BitsOf<F>{0});
  } else {
    const int drop = F::kFracBits - exp;  // 1 to kFracBits
    const u64 mag = magnitude<F>(a);
    const u64 unit = u64{1} << drop;
    const u64 dropped = mag & (unit - 1);
    // With exp 0 the unit bit is the exponent field's lowest, which is set as the hidden bit is: biases are
    // odd.
    const u64 up = rounds_up(rm, sign, (mag & unit) != 0, dropped, unit >> 1) ? unit : 0;
    result = with_sign<F>(sign, static_cast<BitsOf<F>>(mag - dropped + up));
    changed = dropped != 0;
  }
  if (changed && inexact) flags |= kNX;
  return result;
}

i32 cvtmod_w_d(u64 a, u8& flags) {
  if (exponent_field<F64>(a) == F64::kExpMax) {
    flags |= kNV;
    return 0;
  }
  if (is_zero<F64>(a)) return 0;
  to_int<F64, i32>(a, Rm::rtz, flags);  // for its exceptions
  const Number n = unpack<F64>(a);
  u64 low = 0;
  if (n.exp < 64) {
    low = to_fixed(n).integer;
  } else if (n.exp < 64 + 32) {
    low = n.sig << (n.exp - 63);  // an integer: only its low bits matter
  }
  return static_cast<i32>(static_cast<u32>(n.sign ? u64{0} - low : low));
}

template <class F>
BitsOf<F> load_immediate(unsigned index) {
  // Entry 1, the smallest normal number, and entries 30 and 31 depend on the format; the rest are given as a
  // power of two and the fraction's top two bits. A value outside the format's range is rounded: 2^16 is
  // infinite in F16.
  struct Constant {
    i8 exp;
    u8 quarters;
  };
  static constexpr Constant kConstants[32] = {
      {0, 0},  {0, 0},  {-16, 0}, {-15, 0}, {-8, 0}, {-7, 0}, {-4, 0}, {-3, 0}, {-2, 0}, {-2, 1}, {-2, 2},
      {-2, 3}, {-1, 0}, {-1, 1},  {-1, 2},  {-1, 3}, {0, 0},  {0, 1},  {0, 2},  {0, 3},  {1, 0},  {1, 1},
      {1, 2},  {2, 0},  {3, 0},   {4, 0},   {7, 0},  {8, 0},  {15, 0}, {16, 0}, {0, 0},  {0, 0},
  };
  index &= 31;
  if (index == 1) return F::kMinNormal;
  if (index == 30) return F::kInf;
  if (index == 31) return F::kNan;
  const Constant k = kConstants[index];
  u8 ignored = 0;
  return round_pack<F>({index == 0, k.exp, static_cast<u64>(4 + k.quarters) << 61}, Rm::rne, ignored);
}

#define HW_INSTANTIATE_INT(F, I)               \
  template I to_int<F, I>(BitsOf<F>, Rm, u8&); \
  template BitsOf<F> from_int<F, I>(I, Rm, u8&);
#define HW_INSTANTIATE(F)                                    \
  HW_INSTANTIATE_INT(F, i32)                                 \
  HW_INSTANTIATE_INT(F, u32)                                 \
  HW_INSTANTIATE_INT(F, i64)                                 \
  HW_INSTANTIATE_INT(F, u64)                                 \
  template BitsOf<F> round_int<F>(BitsOf<F>, Rm, bool, u8&); \
  template BitsOf<F> load_immediate<F>(unsigned);
HW_INSTANTIATE(F16)
HW_INSTANTIATE(F32)
HW_INSTANTIATE(F64)
#undef HW_INSTANTIATE
#undef HW_INSTANTIATE_INT

template BitsOf<F16> convert<F16, F32>(BitsOf<F32>, Rm, u8&);
template BitsOf<F16> convert<F16, F64>(BitsOf<F64>, Rm, u8&);
template BitsOf<F32> convert<F32, F16>(BitsOf<F16>, Rm, u8&);
template BitsOf<F32> convert<F32, F64>(BitsOf<F64>, Rm, u8&);
template BitsOf<F64> convert<F64, F16>(BitsOf<F16>, Rm, u8&);
template BitsOf<F64> convert<F64, F32>(BitsOf<F32>, Rm, u8&);

}  // namespace hartwood::fp::soft
