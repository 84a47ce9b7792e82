// SPDX-License-Identifier: Apache-2.0
// Inside of the integer implementation: taking a number apart, and rounding and packing a result.
// Owned by no thread: pure functions. Included by the .cpp files of this folder only.
// Invariant: a finite non-zero number is sign, exponent and a 64-bit significand whose top bit is set, with
// the value sig * 2^(exp - 63). A result may stand in for one that is longer than 64 bits if bit 0 is set
// whenever any bit that was dropped is set ("jamming"): every format keeps at most 53 bits, so bit 0 is only
// ever a sticky bit.
#pragma once

#include <bit>

#include "isa/fp/format.h"

namespace hartwood::fp::soft {

struct Number {
  bool sign;
  int exp;
  u64 sig;
};

constexpr u64 shift_right_jam(u64 v, int by) {
  if (by == 0) return v;
  if (by > 63) return v != 0;
  return (v >> by) | static_cast<u64>((v << (64 - by)) != 0);
}

constexpr u128 shift_right_jam(u128 v, int by) {
  if (by == 0) return v;
  if (by > 127) return v != 0;
  return (v >> by) | static_cast<u128>((v << (128 - by)) != 0);
}

/// Takes a finite number apart; it must not be zero.
template <class F>
constexpr Number unpack(BitsOf<F> a) {
  const int field = exponent_field<F>(a);
  const u64 frac = a & F::kFracMask;
  if (field != 0) return {sign_of<F>(a), field - F::kBias, (frac | F::kMinNormal) << (63 - F::kFracBits)};
  const int zeros = std::countl_zero(frac);
  return {sign_of<F>(a), 1 - F::kBias + (63 - F::kFracBits) - zeros, frac << zeros};
}

/// Whether rounding goes away from zero, for a kept part that is `odd` and a dropped part (`half` is its
/// midpoint).
constexpr bool rounds_up(Rm rm, bool sign, bool odd, u64 dropped, u64 half) {
  switch (rm) {
    case Rm::rne: return dropped > half || (dropped == half && odd);
    case Rm::rtz: return false;
    case Rm::rdn: return sign && dropped != 0;
    case Rm::rup: return !sign && dropped != 0;
    case Rm::rmm: return dropped >= half;
  }
  return false;
}

template <class F>
constexpr BitsOf<F> overflow(bool sign, Rm rm, u8& flags) {
  flags |= kOF | kNX;
  const bool to_inf = rm == Rm::rne || rm == Rm::rmm || rm == (sign ? Rm::rdn : Rm::rup);
  return with_sign<F>(sign, to_inf ? F::kInf : F::kMaxFinite);
}

/// Rounds once and packs. `n.sig` has its top bit set and may be jammed.
template <class F>
constexpr BitsOf<F> round_pack(Number n, Rm rm, u8& flags) {
  constexpr int kDrop = 63 - F::kFracBits;
  constexpr u64 kHalf = u64{1} << (kDrop - 1);
  constexpr u64 kDropMask = (u64{1} << kDrop) - 1;
  const auto round = [&](u64 sig) {
    const u64 kept = sig >> kDrop;
    return kept + static_cast<u64>(rounds_up(rm, n.sign, (kept & 1) != 0, sig & kDropMask, kHalf));
  };

  const int field = n.exp + F::kBias;
  if (field >= F::kExpMax) return overflow<F>(n.sign, rm, flags);
  if (field >= 1) {
    // The leading bit of the kept part adds one to the exponent field; so does a carry out of the fraction.
    const u64 packed = (static_cast<u64>(field - 1) << F::kFracBits) + round(n.sig);
    if (packed >= F::kInf) return overflow<F>(n.sign, rm, flags);
    if ((n.sig & kDropMask) != 0) flags |= kNX;
    return with_sign<F>(n.sign, static_cast<BitsOf<F>>(packed));
  }
  const u64 denormal = shift_right_jam(n.sig, 1 - field);
  if ((denormal & kDropMask) != 0) {
    // Tininess is detected after rounding, as if the exponent had no lower bound: just below the smallest
    // normal number a result with all its bits may still round up to it. [unpriv: F Extension, on subnormal
    // arithmetic]
    const bool tiny = field < 0 || (round(n.sig) >> (F::kFracBits + 1)) == 0;
    flags |= static_cast<u8>(kNX | (tiny ? kUF : 0));
  }
  return with_sign<F>(n.sign, static_cast<BitsOf<F>>(round(denormal)));
}

/// The invalid operation: raises NV and gives the canonical NaN.
template <class F>
constexpr BitsOf<F> invalid(u8& flags) {
  flags |= kNV;
  return F::kNan;
}

/// The sign of a sum that is exactly zero though its terms are not both zeros of one sign.
template <class F>
constexpr BitsOf<F> cancelled(Rm rm) {
  return with_sign<F>(rm == Rm::rdn, 0);
}

}  // namespace hartwood::fp::soft
