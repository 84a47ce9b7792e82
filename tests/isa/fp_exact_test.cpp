// SPDX-License-Identifier: Apache-2.0
// Every rounding operation, in every format and mode, against exact big-integer arithmetic (fp_reference.h):
// results and flags. Finite operands only; fp_special_test.cpp has the others.
#include <gtest/gtest.h>

#include <limits>

#include "fp_operands.h"
#include "fp_reference.h"
#include "isa/fp/fp.h"

namespace hartwood::fp {
namespace {

#define HW_EXPECT_OUTCOME(want, got, got_flags, context)                                                   \
  ASSERT_TRUE((want).bits == (got) && (want).flags == (got_flags))                                         \
      << std::hex << context << " mode " << static_cast<int>(rm) << ": want " << +(want).bits << " flags " \
      << +(want).flags << ", got " << +(got) << " flags " << +(got_flags)

template <class F>
class FpExact : public ::testing::Test {};
using Formats = ::testing::Types<F16, F32, F64>;
TYPED_TEST_SUITE(FpExact, Formats);

constexpr int kRounds = 3'000;

template <class F>
bool finite(BitsOf<F> a) {
  return magnitude<F>(a) < F::kInf;
}

TYPED_TEST(FpExact, AddMulDiv) {
  using F = TypeParam;
  Operands source(1);
  int divisions = 0;
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.partner<F>(a);
    if (!finite<F>(a) || !finite<F>(b)) continue;
    const Signed x = signed_value_of<F>(a);
    const Signed y = signed_value_of<F>(b);
    const Signed sum = x + y;
    if (!sum.mag.integer.zero()) {
      const Rounder<F> reference = rounder<F>(sum);
      for (const Rm rm : kModes) {
        const auto want = reference.round(rm);
        u8 flags = 0;
        const auto got = soft::add<F>(a, b, rm, flags);
        HW_EXPECT_OUTCOME(want, got, flags, "add " << +a << ' ' << +b);
        flags = 0;
        const auto quick = add<F>(a, b, rm, flags);
        HW_EXPECT_OUTCOME(want, quick, flags, "quick add " << +a << ' ' << +b);
        flags = 0;
        const auto difference = sub<F>(a, negate<F>(b), rm, flags);
        HW_EXPECT_OUTCOME(want, difference, flags, "sub " << +a << ' ' << +b);
      }
    }
    if (is_zero<F>(a) || is_zero<F>(b)) continue;
    const Rounder<F> product = rounder<F>(x * y);
    const Rounder<F> quotient(x.negative != y.negative, [&](const Dyadic& d) { return compare(d * y.mag, x.mag); });
    for (const Rm rm : kModes) {
      auto want = product.round(rm);
      u8 flags = 0;
      auto got = soft::mul<F>(a, b, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "mul " << +a << ' ' << +b);
      flags = 0;
      got = mul<F>(a, b, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "quick mul " << +a << ' ' << +b);
      want = quotient.round(rm);
      flags = 0;
      got = soft::div<F>(a, b, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "div " << +a << ' ' << +b);
      flags = 0;
      got = div<F>(a, b, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "quick div " << +a << ' ' << +b);
      ++divisions;
    }
  }
  EXPECT_GT(divisions, kRounds);
}

TYPED_TEST(FpExact, FusedMultiplyAdd) {
  using F = TypeParam;
  Operands source(2);
  int compared = 0;
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.below(2) != 0 ? source.partner<F>(a) : source.any<F>();
    u8 ignored = 0;
    // The addend interacts with the rounded product, often cancelling it.
    const BitsOf<F> c = source.partner<F>(soft::mul<F>(a, b, Rm::rne, ignored));
    if (!finite<F>(a) || !finite<F>(b) || !finite<F>(c)) continue;
    const Signed exact = signed_value_of<F>(a) * signed_value_of<F>(b) + signed_value_of<F>(c);
    if (exact.mag.integer.zero()) continue;
    const Rounder<F> reference = rounder<F>(exact);
    for (const Rm rm : kModes) {
      const auto want = reference.round(rm);
      u8 flags = 0;
      auto got = soft::fma<F>(a, b, c, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "fma " << +a << ' ' << +b << ' ' << +c);
      flags = 0;
      got = fmadd<F>(a, b, c, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "fmadd " << +a << ' ' << +b << ' ' << +c);
      flags = 0;
      got = fmsub<F>(a, b, negate<F>(c), rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "fmsub " << +a << ' ' << +b << ' ' << +c);
      flags = 0;
      got = fnmsub<F>(negate<F>(a), b, c, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "fnmsub " << +a << ' ' << +b << ' ' << +c);
      flags = 0;
      got = fnmadd<F>(negate<F>(a), b, negate<F>(c), rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "fnmadd " << +a << ' ' << +b << ' ' << +c);
      ++compared;
    }
  }
  EXPECT_GT(compared, kRounds);
}

TYPED_TEST(FpExact, SquareRoot) {
  using F = TypeParam;
  Operands source(3);
  const int rounds = F::kWidth == 16 ? F::kInf : kRounds;  // all of F16
  for (int i = 0; i < rounds; ++i) {
    BitsOf<F> a = F::kWidth == 16 ? static_cast<BitsOf<F>>(i) : magnitude<F>(source.any<F>());
    if (source.below(3) == 0) {  // exact roots, and their neighbours
      u8 ignored = 0;
      const BitsOf<F> root = static_cast<BitsOf<F>>(a & ~((BitsOf<F>{1} << (F::kFracBits / 2 + 1)) - 1));
      a = static_cast<BitsOf<F>>(soft::mul<F>(root, root, Rm::rne, ignored) + source.below(3) - 1);
    }
    if (is_zero<F>(a) || sign_of<F>(a) || !finite<F>(a)) continue;
    const Dyadic x = value_of<F>(a);
    const Rounder<F> reference(false, [&](const Dyadic& d) { return compare(d * d, x); });
    for (const Rm rm : kModes) {
      const auto want = reference.round(rm);
      u8 flags = 0;
      auto got = soft::sqrt<F>(a, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "sqrt " << +a);
      flags = 0;
      got = sqrt<F>(a, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "quick sqrt " << +a);
    }
  }
}

template <class To, class From>
void check_convert() {
  Operands source(4);
  for (int i = 0; i < kRounds; ++i) {
    BitsOf<From> a = source.any<From>();
    if constexpr (To::kWidth < From::kWidth) {
      if (source.below(2) != 0) {  // near a number or a midpoint of the narrower format
        u8 ignored = 0;
        a = soft::convert<From, To>(source.any<To>(), Rm::rne, ignored);
        const BitsOf<From> half = BitsOf<From>{1} << (From::kFracBits - To::kFracBits - 1);
        a = a + (source.below(2) != 0 ? half : 0) + source.below(3) - 1;
      }
    }
    if (!finite<From>(a) || is_zero<From>(a)) continue;
    const Rounder<To> reference = rounder<To>(signed_value_of<From>(a));
    for (const Rm rm : kModes) {
      const auto want = reference.round(rm);
      u8 flags = 0;
      auto got = soft::convert<To, From>(a, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "convert " << +a);
      flags = 0;
      got = convert<To, From>(a, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "quick convert " << +a);
    }
  }
}

TEST(FpExactConvert, BetweenFormats) {
  check_convert<F16, F32>();
  check_convert<F16, F64>();
  check_convert<F32, F16>();
  check_convert<F32, F64>();
  check_convert<F64, F16>();
  check_convert<F64, F32>();
}

/// Rounds a finite value to an integer, by comparison again: two integers around it, and their midpoint.
struct IntegerRounder {
  explicit IntegerRounder(Signed value) : exact(std::move(value)) {
    u64 high = 1;
    while (compare(exact.mag, Dyadic{Big(high), 0}) >= 0) {
      if (high >> 63 != 0) {
        high = ~u64{0};
        huge = compare(exact.mag, Dyadic{Big(high), 0}) >= 0;
        if (huge) return;
        break;
      }
      low = high;
      high *= 2;
    }
    while (high - low > 1) {
      const u64 middle = low + (high - low) / 2;
      (compare(Dyadic{Big(middle), 0}, exact.mag) <= 0 ? low : high) = middle;
    }
    inexact = compare(Dyadic{Big(low), 0}, exact.mag) != 0;
    half = compare(Dyadic{Big(low) + Big(low) + Big(1), -1}, exact.mag);
  }
  u64 round(Rm rm) const {
    if (!inexact) return low;
    switch (rm) {
      case Rm::rne: return low + (half < 0 || (half == 0 && (low & 1) != 0) ? 1 : 0);
      case Rm::rtz: return low;
      case Rm::rdn: return low + (exact.negative ? 1 : 0);
      case Rm::rup: return low + (exact.negative ? 0 : 1);
      case Rm::rmm: return low + (half <= 0 ? 1 : 0);
    }
    return 0;
  }
  Signed exact;
  bool huge = false;
  bool inexact = false;
  u64 low = 0;
  int half = 0;
};

template <class F, class I>
void check_to_int(BitsOf<F> a, const IntegerRounder& reference) {
  using Limits = std::numeric_limits<I>;
  for (const Rm rm : kModes) {
    const u64 mag = reference.huge ? 0 : reference.round(rm);
    const bool negative = reference.exact.negative;
    const __int128 value = negative ? -static_cast<__int128>(mag) : static_cast<__int128>(mag);
    const bool outside = reference.huge || value < Limits::min() || value > Limits::max();
    Outcome<I> want;
    if (outside) {
      want = {negative ? Limits::min() : Limits::max(), kNV};
    } else {
      want = {static_cast<I>(value), reference.inexact ? kNX : u8{0}};
    }
    u8 flags = 0;
    I got = soft::to_int<F, I>(a, rm, flags);
    HW_EXPECT_OUTCOME(want, got, flags, "to_int " << sizeof(I) << ' ' << +a);
    flags = 0;
    got = to_int<F, I>(a, rm, flags);
    HW_EXPECT_OUTCOME(want, got, flags, "quick to_int " << sizeof(I) << ' ' << +a);
  }
}

TYPED_TEST(FpExact, ToIntegersAndIntegralValues) {
  using F = TypeParam;
  Operands source(5);
  const int rounds = F::kWidth == 16 ? 0x10000 : kRounds;
  for (int i = 0; i < rounds; ++i) {
    BitsOf<F> a = F::kWidth == 16 ? static_cast<BitsOf<F>>(i) : source.any<F>();
    if (F::kWidth != 16 && source.below(2) != 0) {  // near the ends of the integer types, and near halves
      u8 ignored = 0;
      const int exp = static_cast<int>(source.below(68)) - 2;
      a = static_cast<BitsOf<F>>((static_cast<BitsOf<F>>(exp + F::kBias) << F::kFracBits) + source.below(5) - 2);
      if (source.below(2) != 0) {
        a = soft::add<F>(a, static_cast<BitsOf<F>>(F::kOne - F::kMinNormal), Rm::rtz, ignored);
      }
      if (source.below(2) != 0) a = negate<F>(a);
    }
    if (!finite<F>(a)) continue;
    const IntegerRounder reference(signed_value_of<F>(a));
    check_to_int<F, i32>(a, reference);
    check_to_int<F, u32>(a, reference);
    check_to_int<F, i64>(a, reference);
    check_to_int<F, u64>(a, reference);
    for (const Rm rm : kModes) {
      u8 quiet = 0;
      const BitsOf<F> rounded = fround<F>(a, rm, quiet);
      u8 flags = 0;
      const BitsOf<F> rounded_nx = froundnx<F>(a, rm, flags);
      ASSERT_EQ(quiet, 0);
      ASSERT_EQ(rounded, rounded_nx);
      ASSERT_EQ(sign_of<F>(rounded), sign_of<F>(a));
      const bool inexact = !reference.huge && reference.inexact;
      ASSERT_EQ(flags, inexact ? kNX : 0) << std::hex << +a;
      if (!inexact) {
        ASSERT_EQ(rounded, a);
      } else {
        ASSERT_EQ(compare(value_of<F>(magnitude<F>(rounded)), Dyadic{Big(reference.round(rm)), 0}), 0)
            << std::hex << +a << " mode " << static_cast<int>(rm);
      }
    }
  }
}

template <class F, class I>
void check_from_int() {
  Operands source(6);
  for (int i = 0; i < kRounds / 4; ++i) {
    u64 bits = source.bits() >> source.below(64);
    if (source.below(2) != 0) bits = (u64{1} << source.below(64)) + source.below(5) - 2;
    if (source.below(4) == 0) bits = ~bits;
    const I v = static_cast<I>(bits);
    if (v == 0) continue;
    const bool negative = v < 0;
    const u64 mag = negative ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v);
    const Rounder<F> reference = rounder<F>(Signed{negative, {Big(mag), 0}});
    for (const Rm rm : kModes) {
      const auto want = reference.round(rm);
      u8 flags = 0;
      auto got = soft::from_int<F, I>(v, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "from_int " << sizeof(I) << ' ' << v);
      flags = 0;
      got = from_int<F, I>(v, rm, flags);
      HW_EXPECT_OUTCOME(want, got, flags, "quick from_int " << sizeof(I) << ' ' << v);
    }
  }
}

TYPED_TEST(FpExact, FromIntegers) {
  using F = TypeParam;
  check_from_int<F, i32>();
  check_from_int<F, u32>();
  check_from_int<F, i64>();
  check_from_int<F, u64>();
}

TEST(FpExactModular, ConvertsModulo32Bits) {
  Operands source(7);
  for (int i = 0; i < 200'000; ++i) {
    u64 a = source.any<F64>();
    if (source.below(2) != 0) {
      a = (a & ~F64::kInf) | (static_cast<u64>(F64::kBias + static_cast<int>(source.below(100))) << F64::kFracBits);
    }
    if (!finite<F64>(a)) continue;
    u8 flags = 0;
    const i32 got = cvtmod_w_d(a, flags);
    u8 plain = 0;
    const i32 saturated = soft::to_int<F64, i32>(a, Rm::rtz, plain);
    ASSERT_EQ(flags, plain) << std::hex << a;
    if ((plain & kNV) == 0) {
      ASSERT_EQ(got, saturated) << std::hex << a;
      continue;
    }
    // The magnitude is integer * 2^exp with a 53-bit integer: reduce it by doubling or halving one step at a
    // time.
    u64 integer = (a & F64::kFracMask) | F64::kMinNormal;
    for (int exp = exponent_field<F64>(a) - F64::kBias - F64::kFracBits; exp != 0; exp += exp < 0 ? 1 : -1) {
      integer = exp < 0 ? integer / 2 : integer * 2 % (u64{1} << 32);
    }
    u64 want = integer % (u64{1} << 32);
    if (sign_of<F64>(a)) want = ((u64{1} << 32) - want) % (u64{1} << 32);
    ASSERT_EQ(static_cast<u32>(got), want) << std::hex << a;
  }
}

}  // namespace
}  // namespace hartwood::fp
