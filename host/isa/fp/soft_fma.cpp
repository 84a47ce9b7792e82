// SPDX-License-Identifier: Apache-2.0
// Integer implementation of the fused multiply-add for every format and mode.
// Owned by no thread: pure functions. See soft.h for the contract and round_pack.h for the representation.
#include "isa/fp/compare.h"
#include "isa/fp/round_pack.h"
#include "isa/fp/soft.h"

namespace hartwood::fp::soft {

template <class F>
BitsOf<F> fma(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Rm rm, u8& flags) {
  const bool infinite = is_inf<F>(a) || is_inf<F>(b);
  const bool zero = is_zero<F>(a) || is_zero<F>(b);
  const bool nan = detail::any_nan<F>(a, b, flags);
  const bool nan_addend = detail::any_nan<F>(c, c, flags);
  if (nan) return F::kNan;
  if (infinite && zero) return invalid<F>(flags);
  if (nan_addend) return F::kNan;

  const bool sign = sign_of<F>(a) != sign_of<F>(b);
  if (infinite) {
    if (is_inf<F>(c) && sign_of<F>(c) != sign) return invalid<F>(flags);
    return with_sign<F>(sign, F::kInf);
  }
  if (is_inf<F>(c)) return c;
  if (zero) {
    if (!is_zero<F>(c) || sign_of<F>(c) == sign) return c;
    return cancelled<F>(rm);
  }

  const Number x = unpack<F>(a);
  const Number y = unpack<F>(b);
  // Products and addends have their top bit at 126, one below the top: headroom for the sum.
  u128 product = static_cast<u128>(x.sig) * y.sig >> 1;  // exact: at least 22 low bits are zeros
  int exp = x.exp + y.exp + 1;
  if (product >> 126 == 0) {
    product <<= 1;
    --exp;
  }
  if (is_zero<F>(c)) {
    const u64 high = static_cast<u64>(product >> 63);
    const u64 sticky = (static_cast<u64>(product) << 1) != 0;
    return round_pack<F>({sign, exp, high | sticky}, rm, flags);
  }
  const Number z = unpack<F>(c);
  u128 addend = static_cast<u128>(z.sig) << 63;

  // If bits of either are jammed, the exponents differ by 21 or more and at most one bit can cancel.
  if (exp >= z.exp) {
    addend = shift_right_jam(addend, exp - z.exp);
  } else {
    product = shift_right_jam(product, z.exp - exp);
    exp = z.exp;
  }
  bool result_sign = sign;
  u128 sum;
  if (sign == z.sign) {
    sum = product + addend;
  } else if (product == addend) {
    return cancelled<F>(rm);
  } else if (product > addend) {
    sum = product - addend;
  } else {
    sum = addend - product;
    result_sign = z.sign;
  }
  const u64 top = static_cast<u64>(sum >> 64);
  const int zeros = top != 0 ? std::countl_zero(top) : 64 + std::countl_zero(static_cast<u64>(sum));
  sum <<= zeros;
  const u64 sig = static_cast<u64>(sum >> 64) | static_cast<u64>(static_cast<u64>(sum) != 0);
  return round_pack<F>({result_sign, exp + 1 - zeros, sig}, rm, flags);
}

template BitsOf<F16> fma<F16>(BitsOf<F16>, BitsOf<F16>, BitsOf<F16>, Rm, u8&);
template BitsOf<F32> fma<F32>(BitsOf<F32>, BitsOf<F32>, BitsOf<F32>, Rm, u8&);
template BitsOf<F64> fma<F64>(BitsOf<F64>, BitsOf<F64>, BitsOf<F64>, Rm, u8&);

}  // namespace hartwood::fp::soft
