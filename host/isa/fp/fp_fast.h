// SPDX-License-Identifier: Apache-2.0
// The rounding operations as the interpreter calls them: common cases inline on host arithmetic, the rest in
// soft.h. Owned by no thread: pure functions. Requires a host that rounds to nearest even and keeps
// subnormals (Wasm always does; natively nobody may change the rounding mode around a call) and
// -ffp-contract=off. Invariants: a NaN is never produced into a result by host arithmetic, only recognised
// and left to soft.h; a path returns only if it knows every flag. Three things make that cheap: with Rm::rne
// the host's rounding is the guest's; a finite result whose exponent is clear of both ends cannot have under-
// or overflowed; and fflags are sticky, so that once NX is set (`flags` comes in with the hart's current
// ones) there is no need to know if a result is exact.
#pragma once

#include <bit>
#include <type_traits>

#include "isa/fp/format.h"
#include "isa/fp/soft.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

namespace hartwood::fp {

namespace detail {

/// The exponent field lies in [low, kExpMax - 1]: one comparison, false for infinities and NaNs.
template <class F>
constexpr bool exponent_from(BitsOf<F> a, int low) {
  using Bits = BitsOf<F>;
  const Bits twice = static_cast<Bits>(a << 1);  // drops the sign
  const Bits first = static_cast<Bits>(static_cast<Bits>(low) << (F::kFracBits + 1));
  const Bits end = static_cast<Bits>(F::kInf << 1);
  return static_cast<Bits>(twice - first) < static_cast<Bits>(end - first);
}
/// Normal; infinities, NaNs, zeros and subnormal numbers are not.
template <class F>
constexpr bool is_normal(BitsOf<F> a) {
  return exponent_from<F>(a, 1);
}
/// Finite and clear of the subnormal range: a rounded result of this kind was not tiny. Field 1 is left out,
/// since a tiny number may have been rounded up to the smallest normal one.
template <class F>
constexpr bool is_safe(BitsOf<F> a) {
  return exponent_from<F>(a, 2);
}
template <class F>
constexpr bool is_finite(BitsOf<F> a) {
  return exponent_from<F>(a, 0);
}
/// Finite, and at most a quarter of the largest number or so.
template <class F>
constexpr bool is_moderate(BitsOf<F> a) {
  return magnitude<F>(a) < F::kInf - 2 * F::kMinNormal;
}

/// r == x + y without error, for r the rounded sum. The error of a sum is representable, and this computes
/// it, if no step overflows: the caller keeps r well below the largest number; x and y of opposite signs may
/// be huge, but then the steps only meet x, y, r and numbers between them.
template <class T>
inline bool exact_sum(T x, T y, T r) {
  const T y_part = r - x;
  const T x_part = r - y_part;
  return (x - x_part) + (y - y_part) == T{0};
}

/// r == x * y, for normal x and y and r their rounded product, safe. Doubles: the product of the significands
/// fits if enough of its low bits are zeros. It has 105 bits, or 106 if the exponents' sum has grown by one.
inline bool exact_product(u64 x, u64 y, u64 r) {
  const int zeros = std::countr_zero(x | F64::kMinNormal) + std::countr_zero(y | F64::kMinNormal);
  const int grown = exponent_field<F64>(r) - exponent_field<F64>(x) - exponent_field<F64>(y) + F64::kBias;
  return zeros >= F64::kFracBits + grown;
}

/// x == r * y, for normal doubles, r the rounded quotient x / y (or root, with y == r). The two sides as
/// integers differ by less than 2^54, so that their low 64 bits tell.
inline bool exact_quotient(u64 x, u64 y, u64 r) {
  const u64 mx = (x & F64::kFracMask) | F64::kMinNormal;
  const u64 my = (y & F64::kFracMask) | F64::kMinNormal;
  const u64 mr = (r & F64::kFracMask) | F64::kMinNormal;
  const int shift =
      F64::kFracBits + F64::kBias + exponent_field<F64>(x) - exponent_field<F64>(y) - exponent_field<F64>(r);
  return mr * my == mx << (shift & 63);
}

/// The upper 26 bits of a double's significand, rounded: the rest is a double with 26 bits or fewer, so that
/// products of such parts are exact.
inline double upper_half(u64 a) { return host<F64>((a + (u64{1} << 26)) & ~((u64{1} << 27) - 1)); }

/// The exponent is within 300 of that of one: neither a product of two such doubles nor its error, 106 bits
/// below, comes near the ends of the range.
constexpr bool is_middling(u64 a) {
  constexpr u64 kLow = static_cast<u64>(F64::kBias - 300) << (F64::kFracBits + 1);
  return (a << 1) - kLow < u64{600} << (F64::kFracBits + 1);
}

/// a*b + c to nearest even, where the host can tell: false if it cannot. The exact value is sum + tail, with
/// `tail` known to 53 bits. If the tail, made a little longer and a little shorter, gives the same result
/// both times, this is the result. Over- and underflow are out of reach: a*b is middling, and if c cancels
/// it, c is, too.
inline bool fused(u64 a, u64 b, u64 c, u64& r, u8& flags) {
  if (!is_middling(a) || !is_middling(b)) return false;
  const double x = host<F64>(a);
  const double y = host<F64>(b);
  const double z = host<F64>(c);
  const double x_high = upper_half(a);
  const double y_high = upper_half(b);
  const double x_low = x - x_high;
  const double y_low = y - y_high;
  const double product = x * y;
  const double product_error = x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low);
  const double sum = product + z;
  if (!is_finite<F64>(guest<F64>(sum))) return false;
  const double z_part = sum - product;
  const double sum_error = (product - (sum - z_part)) + (z - z_part);
  const double tail = product_error + sum_error;
  const double result = sum + tail * (1 + 0x1p-50);
  if (result != sum + tail * (1 - 0x1p-50)) return false;
  r = guest<F64>(result);
  if ((flags & kNX) == 0) {
    flags |= static_cast<u8>(!exact_sum(product_error, sum_error, tail) || !exact_sum(sum, tail, result));
  }
  return true;
}

}  // namespace detail

// FADD, FSUB, FMUL, FDIV, FSQRT. [unpriv: Single-Precision Floating-Point Computational Instructions]

template <class F>
inline BitsOf<F> add(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    if (rm == Rm::rne) [[likely]] {
      const auto x = host<F>(a);
      const auto y = host<F>(b);
      const auto sum = x + y;
      const BitsOf<F> r = guest<F>(sum);
      // A subnormal sum is exact: no underflow. Zeros are right, too: +0 unless both are -0.
      if ((flags & kNX) != 0) {
        if (detail::is_finite<F>(r)) [[likely]]
          return r;
      } else if (detail::is_moderate<F>(r)) [[likely]] {
        flags |= static_cast<u8>(!detail::exact_sum(x, y, sum));
        return r;
      }
    }
  }
  return soft::add<F>(a, b, rm, flags);
}

template <class F>
inline BitsOf<F> sub(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  return add<F>(a, negate<F>(b), rm, flags);  // a NaN's sign does not matter
}

template <class F>
inline BitsOf<F> mul(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    if (rm == Rm::rne) [[likely]] {
      const auto x = host<F>(a);
      const auto y = host<F>(b);
      const BitsOf<F> r = guest<F>(x * y);
      if (detail::is_safe<F>(r)) [[likely]] {
        if ((flags & kNX) != 0) return r;
        if constexpr (F::kWidth == 32) {
          flags |= static_cast<u8>(static_cast<double>(x) * static_cast<double>(y) != static_cast<double>(host<F>(r)));
          return r;
        } else if (detail::is_normal<F>(a) && detail::is_normal<F>(b)) {
          flags |= static_cast<u8>(!detail::exact_product(a, b, r));
          return r;
        }
      }
    }
  }
  return soft::mul<F>(a, b, rm, flags);
}

template <class F>
inline BitsOf<F> div(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    if (rm == Rm::rne) [[likely]] {
      const auto x = host<F>(a);
      const auto y = host<F>(b);
      const BitsOf<F> r = guest<F>(x / y);
      if (detail::is_safe<F>(r)) [[likely]] {  // so y is neither zero nor infinite
        if ((flags & kNX) != 0) return r;
        if constexpr (F::kWidth == 32) {
          flags |= static_cast<u8>(static_cast<double>(host<F>(r)) * static_cast<double>(y) != static_cast<double>(x));
          return r;
        } else if (detail::is_normal<F>(a) && detail::is_normal<F>(b)) {
          flags |= static_cast<u8>(!detail::exact_quotient(a, b, r));
          return r;
        }
      }
    }
  }
  return soft::div<F>(a, b, rm, flags);
}

template <class F>
inline BitsOf<F> sqrt(BitsOf<F> a, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    if (rm == Rm::rne && detail::is_normal<F>(a) && !sign_of<F>(a)) [[likely]] {
      if constexpr (F::kWidth == 32) {
        const float root = __builtin_sqrtf(host<F>(a));
        const double wide = root;
        flags |= static_cast<u8>(wide * wide != static_cast<double>(host<F>(a)));
        return guest<F>(root);
      } else {
        const BitsOf<F> r = guest<F>(__builtin_sqrt(host<F>(a)));
        if ((flags & kNX) == 0) flags |= static_cast<u8>(!detail::exact_quotient(a, r, r));
        return r;
      }
    }
  }
  return soft::sqrt<F>(a, rm, flags);
}

/// a*b + c rounded once, the basis of the four instructions below.
template <class F>
inline BitsOf<F> fma(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    if (rm == Rm::rne) [[likely]] {
      if constexpr (F::kWidth == 32) {
        // The product is exact in double. The sum, rounded to double, lies on the right side of every
        // midpoint of two floats, unless it is such a midpoint: then soft.h decides.
        const double product = static_cast<double>(host<F>(a)) * static_cast<double>(host<F>(b));
        const double addend = static_cast<double>(host<F>(c));
        const double sum = product + addend;
        const float rounded = static_cast<float>(sum);
        const BitsOf<F> r = guest<F>(rounded);
        const bool midpoint = (std::bit_cast<u64>(sum) & 0x1fff'ffffu) == 0x1000'0000u;
        if (detail::is_safe<F>(r) && !midpoint) [[likely]] {
          if ((flags & kNX) == 0) {
            flags |= static_cast<u8>(static_cast<double>(rounded) != sum || !detail::exact_sum(product, addend, sum));
          }
          return r;
        }
      } else {
        u64 r = 0;
        if (detail::fused(a, b, c, r, flags)) [[likely]]
          return r;
      }
    }
  }
  return soft::fma<F>(a, b, c, rm, flags);
}

// FMADD a*b + c, FMSUB a*b - c, FNMSUB -(a*b) + c, FNMADD -(a*b) - c: operands are negated, never the result,
// so that exact zeros get the sign that the rounding mode gives them.
template <class F>
inline BitsOf<F> fmadd(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  return fma<F>(a, b, c, rm, flags);
}
template <class F>
inline BitsOf<F> fmsub(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  return fma<F>(a, b, negate<F>(c), rm, flags);
}
template <class F>
inline BitsOf<F> fnmsub(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  return fma<F>(negate<F>(a), b, c, rm, flags);
}
template <class F>
inline BitsOf<F> fnmadd(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  return fma<F>(negate<F>(a), b, negate<F>(c), rm, flags);
}

// Conversions. [unpriv: Single-Precision Floating-Point Conversion and Move Instructions]

/// FCVT.{W,WU,L,LU}: `I` is i32, u32, i64 or u64. Saturates as soft.h says.
template <class F, class I>
inline I to_int(BitsOf<F> a, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    const double x = static_cast<double>(host<F>(a));
    if (__builtin_fabs(x) < 0x1p62) [[likely]] {  // false for NaNs
      i64 v = static_cast<i64>(x);
      const double fraction = x - static_cast<double>(v);  // exact, with the sign of x
      const double size = __builtin_fabs(fraction);
      const i64 away = fraction < 0 ? -1 : 1;
      switch (rm) {
        case Rm::rne: v += (size > 0.5 || (size == 0.5 && (v & 1) != 0)) ? away : 0; break;
        case Rm::rtz: break;
        case Rm::rdn: v -= fraction < 0; break;
        case Rm::rup: v += fraction > 0; break;
        case Rm::rmm: v += size >= 0.5 ? away : 0; break;
      }
      bool fits;
      if constexpr (std::is_same_v<I, i64>) {
        fits = true;
      } else if constexpr (std::is_same_v<I, u64>) {
        fits = v >= 0;
      } else {
        fits = static_cast<i64>(static_cast<I>(v)) == v;
      }
      if (fits) [[likely]] {
        flags |= static_cast<u8>(fraction != 0);
        return static_cast<I>(v);
      }
    }
  }
  return soft::to_int<F, I>(a, rm, flags);
}

/// FCVT from `I`, one of the same four types.
template <class F, class I>
inline BitsOf<F> from_int(I v, Rm rm, u8& flags) {
  if constexpr (Fast<F>) {
    using T = typename F::Native;
    if constexpr (sizeof(I) * 8 < static_cast<unsigned>(F::kFracBits)) {
      return guest<F>(static_cast<T>(v));  // always exact
    } else if (rm == Rm::rne) [[likely]] {
      if ((flags & kNX) == 0) {
        const u64 mag = v < 0 ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v);
        flags |= static_cast<u8>(64 - std::countl_zero(mag) - std::countr_zero(mag) > F::kFracBits + 1);
      }
      return guest<F>(static_cast<T>(v));
    }
  }
  return soft::from_int<F, I>(v, rm, flags);
}

/// FCVT between two different formats.
template <class To, class From>
inline BitsOf<To> convert(BitsOf<From> a, Rm rm, u8& flags) {
  if constexpr (Fast<To> && Fast<From>) {
    if constexpr (To::kWidth > From::kWidth) {
      if (detail::is_finite<From>(a)) [[likely]]
        return guest<To>(host<From>(a));
    } else if (rm == Rm::rne) [[likely]] {
      const auto x = host<From>(a);
      const auto narrow = static_cast<typename To::Native>(x);
      const BitsOf<To> r = guest<To>(narrow);
      if (detail::is_safe<To>(r)) [[likely]] {
        flags |= static_cast<u8>(static_cast<typename From::Native>(narrow) != x);
        return r;
      }
    }
  }
  return soft::convert<To, From>(a, rm, flags);
}

}  // namespace hartwood::fp
