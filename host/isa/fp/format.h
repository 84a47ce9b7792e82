// SPDX-License-Identifier: Apache-2.0
// Floating-point vocabulary: the three binary formats as traits, rounding modes, exception flags, NaN boxing.
// Owned by no thread: only pure functions and constants; values travel as raw bit patterns, never as host
// floats, because a host (Wasm above all) may change the payload of a NaN that passes through a
// floating-point register. Build with HARTWOOD_FP_SOFT defined to switch off every use of the host's
// floating-point arithmetic.
#pragma once

#include <bit>

#include "base/types.h"

namespace hartwood::fp {

/// Rounding modes with the encodings of `frm` and of an instruction's `rm` field; the caller resolves the
/// dynamic mode (7) and traps on the reserved ones (5, 6) before it calls. [unpriv: Floating-Point Control
/// and Status Register]
enum class Rm : u8 { rne = 0, rtz = 1, rdn = 2, rup = 3, rmm = 4 };

/// Accrued exceptions, with their bits of `fflags`. [unpriv: Floating-Point Control and Status Register]
inline constexpr u8 kNX = 1;   // inexact
inline constexpr u8 kUF = 2;   // underflow: inexact, and tiny after rounding
inline constexpr u8 kOF = 4;   // overflow
inline constexpr u8 kDZ = 8;   // division by zero
inline constexpr u8 kNV = 16;  // invalid operation

/// One IEEE 754 binary interchange format: `B` is the unsigned type of its bits, `Exp` the width of its
/// exponent.
template <class B, int Exp>
struct Format {
  using Bits = B;
  static constexpr int kWidth = static_cast<int>(sizeof(B) * 8);
  static constexpr int kExpBits = Exp;
  static constexpr int kFracBits = kWidth - 1 - Exp;
  static constexpr int kExpMax = (1 << Exp) - 1;  // exponent field of infinities and NaNs
  static constexpr int kBias = (1 << (Exp - 1)) - 1;
  static constexpr Bits kSign = static_cast<Bits>(Bits{1} << (kWidth - 1));
  static constexpr Bits kFracMask = static_cast<Bits>((Bits{1} << kFracBits) - 1);
  static constexpr Bits kMinNormal = static_cast<Bits>(Bits{1} << kFracBits);
  static constexpr Bits kInf = static_cast<Bits>(static_cast<Bits>(kExpMax) << kFracBits);
  static constexpr Bits kMaxFinite = static_cast<Bits>(kInf - 1);
  static constexpr Bits kQuiet = static_cast<Bits>(Bits{1} << (kFracBits - 1));
  static constexpr Bits kNan = static_cast<Bits>(kInf | kQuiet);  // canonical [unpriv: NaN Generation and Propagation]
  static constexpr Bits kOne = static_cast<Bits>(static_cast<Bits>(kBias) << kFracBits);
};

struct F16 : Format<u16, 5> {};
struct F32 : Format<u32, 8> {
  using Native = float;
};
struct F64 : Format<u64, 11> {
  using Native = double;
};

/// The format has a host type whose operations round to nearest even.
template <class F>
concept HasNative = requires {
  typename F::Native;
};

#if defined(HARTWOOD_FP_SOFT)
inline constexpr bool kHostArithmetic = false;
#else
inline constexpr bool kHostArithmetic = true;
#endif

/// The operation may use the host's arithmetic on this format, where it knows that the outcome is the
/// guest's.
template <class F>
concept Fast = HasNative<F> && kHostArithmetic;

template <class F>
using BitsOf = typename F::Bits;

/// A bit pattern as the host's number and back; the results of `host` must not be stored or passed on as a
/// NaN.
template <class F>
constexpr typename F::Native host(BitsOf<F> a) {
  return std::bit_cast<typename F::Native>(a);
}
template <class F>
constexpr BitsOf<F> guest(typename F::Native a) {
  return std::bit_cast<BitsOf<F>>(a);
}

template <class F>
constexpr bool sign_of(BitsOf<F> a) {
  return (a & F::kSign) != 0;
}
template <class F>
constexpr BitsOf<F> magnitude(BitsOf<F> a) {
  return static_cast<BitsOf<F>>(a & ~F::kSign);
}
template <class F>
constexpr int exponent_field(BitsOf<F> a) {
  return static_cast<int>((a >> F::kFracBits) & static_cast<BitsOf<F>>(F::kExpMax));
}
template <class F>
constexpr bool is_nan(BitsOf<F> a) {
  return magnitude<F>(a) > F::kInf;
}
template <class F>
constexpr bool is_signaling(BitsOf<F> a) {
  return is_nan<F>(a) && (a & F::kQuiet) == 0;
}
template <class F>
constexpr bool is_inf(BitsOf<F> a) {
  return magnitude<F>(a) == F::kInf;
}
template <class F>
constexpr bool is_zero(BitsOf<F> a) {
  return magnitude<F>(a) == 0;
}
template <class F>
constexpr BitsOf<F> negate(BitsOf<F> a) {
  return static_cast<BitsOf<F>>(a ^ F::kSign);
}
template <class F>
constexpr BitsOf<F> with_sign(bool sign, BitsOf<F> mag) {
  return static_cast<BitsOf<F>>(mag | (sign ? F::kSign : BitsOf<F>{0}));
}

// NaN boxing of narrower values in 64-bit registers. [unpriv: NaN Boxing of Narrower Values]
constexpr u64 box16(u16 v) { return 0xffff'ffff'ffff'0000u | v; }
constexpr u64 box32(u32 v) { return 0xffff'ffff'0000'0000u | v; }
/// The value that an instruction reads: the canonical NaN unless all the upper bits are ones.
constexpr u16 unbox16(u64 r) { return (r >> 16) == 0xffff'ffff'ffffu ? static_cast<u16>(r) : F16::kNan; }
constexpr u32 unbox32(u64 r) { return (r >> 32) == 0xffff'ffffu ? static_cast<u32>(r) : F32::kNan; }

}  // namespace hartwood::fp
