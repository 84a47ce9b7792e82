// SPDX-License-Identifier: Apache-2.0
// Integer implementation of addition, multiplication, division and square root for every format and mode.
// Owned by no thread: pure functions. See soft.h for the contract and round_pack.h for the representation.
#include "isa/fp/compare.h"
#include "isa/fp/round_pack.h"
#include "isa/fp/soft.h"

namespace hartwood::fp::soft {

template <class F>
BitsOf<F> add(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return F::kNan;
  if (is_inf<F>(a)) return is_inf<F>(b) && a != b ? invalid<F>(flags) : a;
  if (is_inf<F>(b)) return b;
  if (is_zero<F>(a)) {
    if (!is_zero<F>(b)) return b;
    return a == b ? a : cancelled<F>(rm);
  }
  if (is_zero<F>(b)) return a;

  Number x = unpack<F>(a);
  Number y = unpack<F>(b);
  if (magnitude<F>(a) < magnitude<F>(b)) {
    const Number t = x;
    x = y;
    y = t;
  }
  // One bit of headroom. If bits are jammed, y is less than half of x: at most one bit cancels then.
  const u64 big = x.sig >> 1;
  const u64 small = shift_right_jam(y.sig >> 1, x.exp - y.exp);
  const u64 sum = x.sign == y.sign ? big + small : big - small;
  if (sum == 0) return cancelled<F>(rm);
  const int zeros = std::countl_zero(sum);
  return round_pack<F>({x.sign, x.exp + 1 - zeros, sum << zeros}, rm, flags);
}

template <class F>
BitsOf<F> mul(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return F::kNan;
  const bool sign = sign_of<F>(a) != sign_of<F>(b);
  if (is_inf<F>(a) || is_inf<F>(b)) {
    if (is_zero<F>(a) || is_zero<F>(b)) return invalid<F>(flags);
    return with_sign<F>(sign, F::kInf);
  }
  if (is_zero<F>(a) || is_zero<F>(b)) return with_sign<F>(sign, 0);

  const Number x = unpack<F>(a);
  const Number y = unpack<F>(b);
  u64 sig;
  if constexpr (F::kWidth <= 32) {
    sig = (x.sig >> 32) * (y.sig >> 32);
  } else {
    const u128 product = static_cast<u128>(x.sig) * y.sig;
    sig = static_cast<u64>(product >> 64) | static_cast<u64>(static_cast<u64>(product) != 0);
  }
  const int zeros = std::countl_zero(sig);  // 0 or 1
  return round_pack<F>({sign, x.exp + y.exp + 1 - zeros, sig << zeros}, rm, flags);
}

template <class F>
BitsOf<F> div(BitsOf<F> a, BitsOf<F> b, Rm rm, u8& flags) {
  if (detail::any_nan<F>(a, b, flags)) return F::kNan;
  const bool sign = sign_of<F>(a) != sign_of<F>(b);
  if (is_inf<F>(a)) return is_inf<F>(b) ? invalid<F>(flags) : with_sign<F>(sign, F::kInf);
  if (is_inf<F>(b)) return with_sign<F>(sign, 0);
  if (is_zero<F>(b)) {
    if (is_zero<F>(a)) return invalid<F>(flags);
    flags |= kDZ;
    return with_sign<F>(sign, F::kInf);
  }
  if (is_zero<F>(a)) return with_sign<F>(sign, 0);

  const Number x = unpack<F>(a);
  const Number y = unpack<F>(b);
  u64 quotient;
  int scale;  // the quotient is (x.sig / y.sig) * 2^scale, jammed
  if constexpr (F::kWidth <= 32) {
    const u64 divisor = y.sig >> 40;  // at most 24 significant bits, so nothing is lost
    quotient = ((x.sig >> 40) << 39) / divisor;
    if (quotient * divisor != (x.sig >> 40) << 39) quotient |= 1;
    scale = 39;
  } else {
    const u128 dividend = static_cast<u128>(x.sig) << 63;
    quotient = static_cast<u64>(dividend / y.sig);
    if (static_cast<u128>(quotient) * y.sig != dividend) quotient |= 1;
    scale = 63;
  }
  const int zeros = std::countl_zero(quotient);
  return round_pack<F>({sign, x.exp - y.exp + 63 - scale - zeros, quotient << zeros}, rm, flags);
}

namespace {

/// The integer square root of `n`, digit by digit: `U` holds n, the root has half of its bits.
/// Jams: the root's bit 0 is set if it is not exact.
template <class U>
u64 root_jam(U n) {
  U remainder = n;
  U root = 0;
  for (U bit = static_cast<U>(1) << (sizeof(U) * 8 - 2); bit != 0; bit >>= 2) {
    if (remainder >= root + bit) {
      remainder -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return static_cast<u64>(root) | static_cast<u64>(remainder != 0);
}

}  // namespace

template <class F>
BitsOf<F> sqrt(BitsOf<F> a, Rm rm, u8& flags) {
  if (detail::any_nan<F>(a, a, flags)) return F::kNan;
  if (is_zero<F>(a)) return a;
  if (sign_of<F>(a)) return invalid<F>(flags);
  if (is_inf<F>(a)) return a;

  const Number x = unpack<F>(a);
  const int odd = x.exp & 1;  // the radicand is in [1, 4): its root in [1, 2)
  u64 sig;
  if constexpr (F::kWidth <= 32) {
    sig = root_jam<u64>(x.sig >> (1 - odd));  // 32 bits
    // Bit 0 of the root is sticky: it must stay the lowest set bit's position or above, which shifting keeps.
    sig <<= 32;
  } else {
    sig = root_jam<u128>(static_cast<u128>(x.sig) << (63 + odd));
  }
  return round_pack<F>({false, (x.exp - odd) / 2, sig}, rm, flags);
}

#define HW_INSTANTIATE(F)                                   \
  template BitsOf<F> add<F>(BitsOf<F>, BitsOf<F>, Rm, u8&); \
  template BitsOf<F> mul<F>(BitsOf<F>, BitsOf<F>, Rm, u8&); \
  template BitsOf<F> div<F>(BitsOf<F>, BitsOf<F>, Rm, u8&); \
  template BitsOf<F> sqrt<F>(BitsOf<F>, Rm, u8&);
HW_INSTANTIATE(F16)
HW_INSTANTIATE(F32)
HW_INSTANTIATE(F64)
#undef HW_INSTANTIATE

}  // namespace hartwood::fp::soft
