// SPDX-License-Identifier: Apache-2.0
// Floating-point operations that never round: sign injection, classification, comparison, minimum and
// maximum. Owned by no thread: pure functions on bit patterns; exceptions are OR-ed into `flags`.
#pragma once

#include <type_traits>

#include "isa/fp/format.h"

namespace hartwood::fp {

/// FSGNJ, FSGNJN, FSGNJX: `a` with the sign of `b`, its opposite, or the exclusive or of both signs. NaNs
/// pass through unchanged and raise nothing. [unpriv: Single-Precision Floating-Point Conversion and Move
/// Instructions]
template <class F>
constexpr BitsOf<F> sgnj(BitsOf<F> a, BitsOf<F> b) {
  return static_cast<BitsOf<F>>(magnitude<F>(a) | (b & F::kSign));
}
template <class F>
constexpr BitsOf<F> sgnjn(BitsOf<F> a, BitsOf<F> b) {
  return static_cast<BitsOf<F>>(magnitude<F>(a) | (~b & F::kSign));
}
template <class F>
constexpr BitsOf<F> sgnjx(BitsOf<F> a, BitsOf<F> b) {
  return static_cast<BitsOf<F>>(a ^ (b & F::kSign));
}

/// FCLASS: exactly one of ten bits. [unpriv: Single-Precision Floating-Point Classify Instruction]
template <class F>
constexpr u32 classify(BitsOf<F> a) {
  const BitsOf<F> mag = magnitude<F>(a);
  if (mag > F::kInf) return (a & F::kQuiet) != 0 ? 1u << 9 : 1u << 8;
  // Distance from zero: 0 zero, 1 subnormal, 2 normal, 3 infinite; the mask is symmetric around the zeros.
  const int rank = mag == 0 ? 0 : mag < F::kMinNormal ? 1 : mag < F::kInf ? 2 : 3;
  return sign_of<F>(a) ? 1u << (3 - rank) : 1u << (4 + rank);
}

namespace detail {

/// Raises NV for a signaling operand; true when either operand is a NaN.
template <class F>
constexpr bool any_nan(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if (!is_nan<F>(a) && !is_nan<F>(b)) return false;
  if (is_signaling<F>(a) || is_signaling<F>(b)) flags |= kNV;
  return true;
}

/// A signed integer that orders all numbers as they compare, with -0 just below +0.
template <class F>
constexpr auto order_key(BitsOf<F> a) {
  using S = std::make_signed_t<BitsOf<F>>;
  const S s = static_cast<S>(a);
  return static_cast<S>(s < 0 ? s ^ static_cast<S>(F::kSign - 1) : s);
}

/// a < b and a <= b for operands that are not NaNs; the zeros are equal.
template <class F>
constexpr bool less(BitsOf<F> a, BitsOf<F> b) {
  return order_key<F>(a) < order_key<F>(b) && ((a | b) & static_cast<BitsOf<F>>(~F::kSign)) != 0;
}
template <class F>
constexpr bool less_equal(BitsOf<F> a, BitsOf<F> b) {
  return order_key<F>(a) <= order_key<F>(b) || ((a | b) & static_cast<BitsOf<F>>(~F::kSign)) == 0;
}

}  // namespace detail

/// FEQ: quiet comparison, NV for signaling NaNs only.
/// [unpriv: Single-Precision Floating-Point Compare Instructions]
template <class F>
constexpr bool eq(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if constexpr (Fast<F>) {
    if (host<F>(a) == host<F>(b)) return true;
  }
  if (detail::any_nan<F>(a, b, flags)) return false;
  return a == b || ((a | b) & static_cast<BitsOf<F>>(~F::kSign)) == 0;
}

/// FLT, FLE: signaling comparisons, NV for any NaN. [unpriv: Single-Precision Floating-Point Compare
/// Instructions]
template <class F>
constexpr bool lt(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if constexpr (Fast<F>) {
    if (host<F>(a) < host<F>(b)) return true;
    if (host<F>(a) != host<F>(a) || host<F>(b) != host<F>(b)) flags |= kNV;
    return false;
  }
  if (is_nan<F>(a) || is_nan<F>(b)) {
    flags |= kNV;
    return false;
  }
  return detail::less<F>(a, b);
}
template <class F>
constexpr bool le(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if constexpr (Fast<F>) {
    if (host<F>(a) <= host<F>(b)) return true;
    if (host<F>(a) != host<F>(a) || host<F>(b) != host<F>(b)) flags |= kNV;
    return false;
  }
  if (is_nan<F>(a) || is_nan<F>(b)) {
    flags |= kNV;
    return false;
  }
  return detail::less_equal<F>(a, b);
}

/// FLTQ, FLEQ: as FLT and FLE, but NV for signaling NaNs only. [unpriv: Zfa, Comparison Instructions]
template <class F>
constexpr bool ltq(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  return !detail::any_nan<F>(a, b, flags) && detail::less<F>(a, b);
}
template <class F>
constexpr bool leq(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  return !detail::any_nan<F>(a, b, flags) && detail::less_equal<F>(a, b);
}

/// FMIN, FMAX: minimumNumber and maximumNumber of IEEE 754-2019: a number beats a NaN, two NaNs give the
/// canonical one, -0 is below +0, a signaling NaN raises NV. [unpriv: Single-Precision Floating-Point
/// Computational Instructions]
template <class F>
constexpr BitsOf<F> min(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return !is_nan<F>(a) ? a : !is_nan<F>(b) ? b : F::kNan;
  return detail::order_key<F>(a) < detail::order_key<F>(b) ? a : b;
}
template <class F>
constexpr BitsOf<F> max(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return !is_nan<F>(a) ? a : !is_nan<F>(b) ? b : F::kNan;
  return detail::order_key<F>(a) < detail::order_key<F>(b) ? b : a;
}

/// FMINM, FMAXM: as FMIN and FMAX, but any NaN gives the canonical NaN. [unpriv: Zfa, Minimum and Maximum
/// Instructions]
template <class F>
constexpr BitsOf<F> minm(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return F::kNan;
  return detail::order_key<F>(a) < detail::order_key<F>(b) ? a : b;
}
template <class F>
constexpr BitsOf<F> maxm(BitsOf<F> a, BitsOf<F> b, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return F::kNan;
  return detail::order_key<F>(a) < detail::order_key<F>(b) ? b : a;
}

}  // namespace hartwood::fp
