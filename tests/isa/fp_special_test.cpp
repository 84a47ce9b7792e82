// SPDX-License-Identifier: Apache-2.0
// Results that the manual spells out: NaNs, infinities, zeros, boundaries of the conversions, classes,
// boxing, the Zfa constants. Written down by hand for single precision or double precision, and by rule for
// every format.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "fp_operands.h"
#include "isa/fp/fp.h"

namespace hartwood::fp {
namespace {

template <class F>
class FpSpecial : public ::testing::Test {};
using Formats = ::testing::Types<F16, F32, F64>;
TYPED_TEST_SUITE(FpSpecial, Formats);

/// The names of a format's special numbers.
template <class F>
struct Values {
  using B = BitsOf<F>;
  static constexpr B zero = 0;
  static constexpr B neg_zero = F::kSign;
  static constexpr B one = F::kOne;
  static constexpr B neg_one = F::kOne | F::kSign;
  static constexpr B two = F::kOne + F::kMinNormal;
  static constexpr B half = F::kOne - F::kMinNormal;
  static constexpr B inf = F::kInf;
  static constexpr B neg_inf = F::kInf | F::kSign;
  static constexpr B nan = F::kNan;
  static constexpr B other_nan = F::kSign | F::kNan | 3;  // quiet, not canonical
  static constexpr B signaling = F::kInf | 1;
  static constexpr B max = F::kMaxFinite;
};

TEST(FpFormat, CanonicalNans) {
  EXPECT_EQ(F16::kNan, 0x7e00);
  EXPECT_EQ(F32::kNan, 0x7fc0'0000u);
  EXPECT_EQ(F64::kNan, 0x7ff8'0000'0000'0000u);
  EXPECT_EQ(F16::kMaxFinite, 0x7bff);
  EXPECT_EQ(F32::kOne, 0x3f80'0000u);
  EXPECT_EQ(F64::kMinNormal, 0x0010'0000'0000'0000u);
}

TEST(FpFormat, Boxing) {
  EXPECT_EQ(box32(0x3f80'0000u), 0xffff'ffff'3f80'0000u);
  EXPECT_EQ(box16(0x3c00), 0xffff'ffff'ffff'3c00u);
  EXPECT_EQ(unbox32(0xffff'ffff'3f80'0000u), 0x3f80'0000u);
  EXPECT_EQ(unbox16(0xffff'ffff'ffff'3c00u), 0x3c00);
  EXPECT_EQ(unbox32(0xffff'fffe'3f80'0000u), F32::kNan);
  EXPECT_EQ(unbox32(0x0000'0000'3f80'0000u), F32::kNan);
  EXPECT_EQ(unbox16(0xffff'ffff'7fff'3c00u), F16::kNan);
  EXPECT_EQ(unbox16(0xffff'ffff'fffe'3c00u), F16::kNan);
  EXPECT_EQ(unbox16(box32(0x3f80'0000u)), F16::kNan);
}

TYPED_TEST(FpSpecial, Classes) {
  using F = TypeParam;
  using V = Values<F>;
  EXPECT_EQ(classify<F>(V::neg_inf), 1u << 0);
  EXPECT_EQ(classify<F>(V::neg_one), 1u << 1);
  EXPECT_EQ(classify<F>(negate<F>(F::kMinNormal)), 1u << 1);
  EXPECT_EQ(classify<F>(negate<F>(F::kFracMask)), 1u << 2);
  EXPECT_EQ(classify<F>(V::neg_zero), 1u << 3);
  EXPECT_EQ(classify<F>(V::zero), 1u << 4);
  EXPECT_EQ(classify<F>(1), 1u << 5);
  EXPECT_EQ(classify<F>(V::max), 1u << 6);
  EXPECT_EQ(classify<F>(V::inf), 1u << 7);
  EXPECT_EQ(classify<F>(V::signaling), 1u << 8);
  EXPECT_EQ(classify<F>(negate<F>(V::signaling)), 1u << 8);
  EXPECT_EQ(classify<F>(V::nan), 1u << 9);
  EXPECT_EQ(classify<F>(V::other_nan), 1u << 9);
}

TYPED_TEST(FpSpecial, SignInjectionKeepsPayloads) {
  using F = TypeParam;
  using V = Values<F>;
  EXPECT_EQ(sgnj<F>(V::one, V::neg_zero), V::neg_one);
  EXPECT_EQ(sgnj<F>(V::neg_one, V::zero), V::one);
  EXPECT_EQ(sgnjn<F>(V::one, V::zero), V::neg_one);
  EXPECT_EQ(sgnjn<F>(V::neg_one, V::neg_one), V::one);
  EXPECT_EQ(sgnjx<F>(V::neg_one, V::neg_one), V::one);
  EXPECT_EQ(sgnjx<F>(V::one, V::neg_one), V::neg_one);
  EXPECT_EQ(sgnjx<F>(V::signaling, V::neg_one), negate<F>(V::signaling));
  EXPECT_EQ(sgnj<F>(V::signaling, V::one), V::signaling);
}

TYPED_TEST(FpSpecial, Comparisons) {
  using F = TypeParam;
  using V = Values<F>;
  struct Case {
    BitsOf<F> a, b;
    bool eq, lt, le;
    u8 quiet, loud;  // flags of FEQ, FLTQ, FLEQ; of FLT, FLE
  };
  const Case cases[] = {
      {V::one, V::one, true, false, true, 0, 0},
      {V::one, V::two, false, true, true, 0, 0},
      {V::two, V::one, false, false, false, 0, 0},
      {V::neg_one, V::one, false, true, true, 0, 0},
      {V::one, V::neg_one, false, false, false, 0, 0},
      {negate<F>(V::two), V::neg_one, false, true, true, 0, 0},
      {V::neg_one, negate<F>(V::two), false, false, false, 0, 0},
      {V::zero, V::neg_zero, true, false, true, 0, 0},
      {V::neg_zero, V::zero, true, false, true, 0, 0},
      {V::neg_zero, 1, false, true, true, 0, 0},
      {F::kSign | 1, V::zero, false, true, true, 0, 0},
      {V::neg_inf, V::inf, false, true, true, 0, 0},
      {V::inf, V::inf, true, false, true, 0, 0},
      {V::nan, V::one, false, false, false, 0, kNV},
      {V::one, V::other_nan, false, false, false, 0, kNV},
      {V::nan, V::nan, false, false, false, 0, kNV},
      {V::signaling, V::one, false, false, false, kNV, kNV},
      {V::one, V::signaling, false, false, false, kNV, kNV},
      {V::nan, V::signaling, false, false, false, kNV, kNV},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << std::hex << +c.a << ' ' << +c.b);
    u8 flags = 0;
    EXPECT_EQ(eq<F>(c.a, c.b, flags), c.eq);
    EXPECT_EQ(flags, c.quiet);
    flags = 0;
    EXPECT_EQ(ltq<F>(c.a, c.b, flags), c.lt);
    EXPECT_EQ(flags, c.quiet);
    flags = 0;
    EXPECT_EQ(leq<F>(c.a, c.b, flags), c.le);
    EXPECT_EQ(flags, c.quiet);
    flags = 0;
    EXPECT_EQ(lt<F>(c.a, c.b, flags), c.lt);
    EXPECT_EQ(flags, c.loud);
    flags = 0;
    EXPECT_EQ(le<F>(c.a, c.b, flags), c.le);
    EXPECT_EQ(flags, c.loud);
  }
}

TYPED_TEST(FpSpecial, MinimumAndMaximum) {
  using F = TypeParam;
  using V = Values<F>;
  struct Case {
    BitsOf<F> a, b, min, max, minm, maxm;
    u8 flags;
  };
  const Case cases[] = {
      {V::one, V::two, V::one, V::two, V::one, V::two, 0},
      {V::neg_one, V::one, V::neg_one, V::one, V::neg_one, V::one, 0},
      {V::zero, V::neg_zero, V::neg_zero, V::zero, V::neg_zero, V::zero, 0},
      {V::inf, V::max, V::max, V::inf, V::max, V::inf, 0},
      {V::neg_inf, V::neg_one, V::neg_inf, V::neg_one, V::neg_inf, V::neg_one, 0},
      {V::nan, V::one, V::one, V::one, V::nan, V::nan, 0},
      {V::other_nan, V::neg_inf, V::neg_inf, V::neg_inf, V::nan, V::nan, 0},
      {V::other_nan, V::other_nan, V::nan, V::nan, V::nan, V::nan, 0},
      {V::signaling, V::one, V::one, V::one, V::nan, V::nan, kNV},
      {V::signaling, V::nan, V::nan, V::nan, V::nan, V::nan, kNV},
      {V::signaling, V::signaling, V::nan, V::nan, V::nan, V::nan, kNV},
  };
  for (const Case& c : cases) {
    for (const bool swap : {false, true}) {
      const BitsOf<F> a = swap ? c.b : c.a;
      const BitsOf<F> b = swap ? c.a : c.b;
      SCOPED_TRACE(::testing::Message() << std::hex << +a << ' ' << +b);
      using Op = BitsOf<F> (*)(BitsOf<F>, BitsOf<F>, u8&);
      const std::pair<Op, BitsOf<F>> expected[] = {
          {min<F>, c.min}, {max<F>, c.max}, {minm<F>, c.minm}, {maxm<F>, c.maxm}};
      for (const auto& [op, want] : expected) {
        u8 flags = 0;
        EXPECT_EQ(op(a, b, flags), want);
        EXPECT_EQ(flags, c.flags);
      }
    }
  }
}

/// What a two-operand operation must give in every mode, from the definition and from the quick version.
template <class F>
void expect_each(BitsOf<F> (*op)(BitsOf<F>, BitsOf<F>, Rm, u8&), BitsOf<F> a, BitsOf<F> b, BitsOf<F> want,
                 u8 want_flags) {
  for (const Rm rm : kModes) {
    u8 flags = 0;
    EXPECT_EQ(op(a, b, rm, flags), want) << std::hex << +a << ' ' << +b << " mode " << static_cast<int>(rm);
    EXPECT_EQ(flags, want_flags) << std::hex << +a << ' ' << +b;
    flags = kNX;  // sticky, which takes another path
    EXPECT_EQ(op(a, b, rm, flags), want) << std::hex << +a << ' ' << +b << " mode " << static_cast<int>(rm);
    EXPECT_EQ(flags, want_flags | kNX) << std::hex << +a << ' ' << +b;
  }
}

TYPED_TEST(FpSpecial, ArithmeticOnSpecials) {
  using F = TypeParam;
  using V = Values<F>;
  using B = BitsOf<F>;
  for (const B other : {V::zero, V::one, V::neg_inf, V::nan}) {
    for (auto op : {add<F>, sub<F>, mul<F>, div<F>}) {
      expect_each<F>(op, V::other_nan, other, V::nan, 0);
      expect_each<F>(op, other, V::other_nan, V::nan, 0);
      expect_each<F>(op, V::signaling, other, V::nan, kNV);
      expect_each<F>(op, other, V::signaling, V::nan, kNV);
    }
  }
  expect_each<F>(add<F>, V::inf, V::one, V::inf, 0);
  expect_each<F>(add<F>, V::max, V::neg_inf, V::neg_inf, 0);
  expect_each<F>(add<F>, V::inf, V::inf, V::inf, 0);
  expect_each<F>(add<F>, V::inf, V::neg_inf, V::nan, kNV);
  expect_each<F>(sub<F>, V::inf, V::inf, V::nan, kNV);
  expect_each<F>(sub<F>, V::inf, V::neg_inf, V::inf, 0);
  expect_each<F>(add<F>, V::zero, V::zero, V::zero, 0);
  expect_each<F>(add<F>, V::neg_zero, V::neg_zero, V::neg_zero, 0);
  expect_each<F>(add<F>, V::neg_zero, V::one, V::one, 0);
  expect_each<F>(add<F>, 1, V::zero, 1, 0);
  expect_each<F>(mul<F>, V::inf, V::zero, V::nan, kNV);
  expect_each<F>(mul<F>, V::neg_zero, V::inf, V::nan, kNV);
  expect_each<F>(mul<F>, V::neg_inf, V::two, V::neg_inf, 0);
  expect_each<F>(mul<F>, V::neg_one, V::zero, V::neg_zero, 0);
  expect_each<F>(mul<F>, V::neg_zero, V::neg_zero, V::zero, 0);
  expect_each<F>(div<F>, V::one, V::zero, V::inf, kDZ);
  expect_each<F>(div<F>, V::one, V::neg_zero, V::neg_inf, kDZ);
  expect_each<F>(div<F>, V::zero, V::neg_zero, V::nan, kNV);
  expect_each<F>(div<F>, V::inf, V::neg_inf, V::nan, kNV);
  expect_each<F>(div<F>, V::inf, V::zero, V::inf, 0);
  expect_each<F>(div<F>, V::zero, V::neg_one, V::neg_zero, 0);
  expect_each<F>(div<F>, V::neg_one, V::inf, V::neg_zero, 0);
  for (const Rm rm : kModes) {
    const B zero = rm == Rm::rdn ? V::neg_zero : V::zero;
    u8 flags = 0;
    EXPECT_EQ(add<F>(V::one, V::neg_one, rm, flags), zero);
    EXPECT_EQ(add<F>(V::zero, V::neg_zero, rm, flags), zero);
    EXPECT_EQ(sub<F>(V::zero, V::zero, rm, flags), zero);
    EXPECT_EQ(sub<F>(V::max, V::max, rm, flags), zero);
    EXPECT_EQ(fmadd<F>(V::one, V::one, V::neg_one, rm, flags), zero);
    EXPECT_EQ(fmadd<F>(V::zero, V::one, V::neg_zero, rm, flags), zero);
    EXPECT_EQ(fmsub<F>(V::two, V::two, add<F>(V::two, V::two, rm, flags), rm, flags), zero);
    EXPECT_EQ(fmadd<F>(V::zero, V::neg_one, V::neg_zero, rm, flags), V::neg_zero);
    EXPECT_EQ(fnmadd<F>(V::one, V::one, V::neg_one, rm, flags), zero);
    EXPECT_EQ(fnmsub<F>(V::one, V::one, V::one, rm, flags), zero);
    EXPECT_EQ(flags, 0);
  }
}

TYPED_TEST(FpSpecial, SquareRootOfSpecials) {
  using F = TypeParam;
  using V = Values<F>;
  for (const Rm rm : kModes) {
    u8 flags = 0;
    EXPECT_EQ(sqrt<F>(V::zero, rm, flags), V::zero);
    EXPECT_EQ(sqrt<F>(V::neg_zero, rm, flags), V::neg_zero);
    EXPECT_EQ(sqrt<F>(V::inf, rm, flags), V::inf);
    EXPECT_EQ(sqrt<F>(V::other_nan, rm, flags), V::nan);
    EXPECT_EQ(sqrt<F>(V::one, rm, flags), V::one);
    EXPECT_EQ(flags, 0);
    for (const auto bad : {V::neg_one, V::neg_inf, V::signaling, static_cast<BitsOf<F>>(F::kSign | 1)}) {
      flags = 0;
      EXPECT_EQ(sqrt<F>(bad, rm, flags), V::nan);
      EXPECT_EQ(flags, kNV);
    }
  }
}

TYPED_TEST(FpSpecial, FusedMultiplyAddOfSpecials) {
  using F = TypeParam;
  using V = Values<F>;
  struct Case {
    BitsOf<F> a, b, c, want;
    u8 flags;
  };
  const Case cases[] = {
      {V::inf, V::zero, V::one, V::nan, kNV},
      {V::inf, V::zero, V::nan, V::nan, kNV},  // even with a quiet NaN to add
      {V::neg_zero, V::inf, V::other_nan, V::nan, kNV},
      {V::nan, V::zero, V::one, V::nan, 0},
      {V::nan, V::inf, V::one, V::nan, 0},
      {V::one, V::one, V::other_nan, V::nan, 0},
      {V::one, V::one, V::signaling, V::nan, kNV},
      {V::nan, V::one, V::signaling, V::nan, kNV},
      {V::signaling, V::one, V::nan, V::nan, kNV},
      {V::inf, V::one, V::neg_inf, V::nan, kNV},
      {V::inf, V::neg_one, V::neg_inf, V::neg_inf, 0},
      {V::max, V::max, V::neg_inf, V::neg_inf, 0},  // a huge product is not an infinity
      {V::max, V::two, negate<F>(V::max), V::max, 0},
      {V::zero, V::one, V::one, V::one, 0},
      {V::one, V::half, V::zero, V::half, 0},
  };
  for (const Case& c : cases) {
    for (const Rm rm : kModes) {
      SCOPED_TRACE(::testing::Message() << std::hex << +c.a << ' ' << +c.b << ' ' << +c.c);
      u8 flags = 0;
      EXPECT_EQ(fmadd<F>(c.a, c.b, c.c, rm, flags), c.want);
      EXPECT_EQ(flags, c.flags);
      flags = 0;
      EXPECT_EQ(fmadd<F>(c.b, c.a, c.c, rm, flags), c.want);
      EXPECT_EQ(flags, c.flags);
    }
  }
  u8 flags = 0;
  EXPECT_EQ(fmsub<F>(V::two, V::one, V::one, Rm::rne, flags), V::one);
  EXPECT_EQ(fnmsub<F>(V::one, V::one, V::two, Rm::rne, flags), V::one);
  EXPECT_EQ(fnmadd<F>(V::one, V::half, V::half, Rm::rne, flags), V::neg_one);
  EXPECT_EQ(flags, 0);
}

TYPED_TEST(FpSpecial, RoundingAtTheEndsOfTheRange) {
  using F = TypeParam;
  using V = Values<F>;
  using B = BitsOf<F>;
  struct Case {
    Rm rm;
    B plus, minus;  // 2 * max and 2 * -max
  };
  const B neg_max = negate<F>(V::max);
  const Case overflow[] = {{Rm::rne, V::inf, V::neg_inf},
                           {Rm::rtz, V::max, neg_max},
                           {Rm::rdn, V::max, V::neg_inf},
                           {Rm::rup, V::inf, neg_max},
                           {Rm::rmm, V::inf, V::neg_inf}};
  for (const Case& c : overflow) {
    u8 flags = 0;
    EXPECT_EQ(mul<F>(V::max, V::two, c.rm, flags), c.plus);
    EXPECT_EQ(flags, kOF | kNX);
    flags = 0;
    EXPECT_EQ(add<F>(neg_max, neg_max, c.rm, flags), c.minus);
    EXPECT_EQ(flags, kOF | kNX);
  }
  // Half of the smallest subnormal number.
  const Case underflow[] = {{Rm::rne, 0, F::kSign},
                            {Rm::rtz, 0, F::kSign},
                            {Rm::rdn, 0, F::kSign | 1},
                            {Rm::rup, 1, F::kSign},
                            {Rm::rmm, 1, F::kSign | 1}};
  for (const Case& c : underflow) {
    u8 flags = 0;
    EXPECT_EQ(mul<F>(1, V::half, c.rm, flags), c.plus);
    EXPECT_EQ(flags, kUF | kNX);
    flags = 0;
    EXPECT_EQ(div<F>(1, negate<F>(V::two), c.rm, flags), c.minus);
    EXPECT_EQ(flags, kUF | kNX);
  }
  // Tininess after rounding: with p bits of precision, (1 - 2^-p) * min normal would be exact if exponents
  // went on, so that it is tiny, even where it becomes the smallest normal number; what is closer still
  // rounds there by its own precision and is not tiny.
  u8 flags = 0;
  const B below_one = static_cast<B>(F::kOne - 1);  // 1 - 2^-p for p bits of precision
  EXPECT_EQ(mul<F>(F::kMinNormal, below_one, Rm::rne, flags), F::kMinNormal);
  EXPECT_EQ(flags, kUF | kNX);
  flags = 0;
  EXPECT_EQ(mul<F>(F::kMinNormal, below_one, Rm::rtz, flags), F::kFracMask);
  EXPECT_EQ(flags, kUF | kNX);
  flags = 0;
  // (1 - 2^-(p+2)) * min normal, as one fused operation.
  const B tiny = static_cast<B>(F::kOne - (F::kFracBits + 3) * F::kMinNormal);
  EXPECT_EQ(fmadd<F>(negate<F>(F::kMinNormal), tiny, F::kMinNormal, Rm::rne, flags), F::kMinNormal);
  EXPECT_EQ(flags, kNX);
  flags = 0;
  EXPECT_EQ(fmadd<F>(negate<F>(F::kMinNormal), tiny, F::kMinNormal, Rm::rtz, flags), F::kFracMask);
  EXPECT_EQ(flags, kUF | kNX);
  // An exact subnormal result raises nothing.
  flags = 0;
  EXPECT_EQ(mul<F>(F::kMinNormal, V::half, Rm::rne, flags), F::kMinNormal >> 1);
  EXPECT_EQ(flags, 0);
}

TEST(FpRounding, TiesAndDirections) {
  // 1 + k * 2^-24 for k = 1, 2, 3, with 2^-23 the unit: a tie above an even, exact, a tie above an odd
  // number.
  const auto sum = [](u32 a, u32 b, Rm rm) {
    u8 flags = 0;
    return add<F32>(a, b, rm, flags);
  };
  const u32 one = 0x3f80'0000;
  const u32 tie = 0x3380'0000;  // 2^-24
  const u32 odd_one = one + 1;  // 1 + 2^-23
  EXPECT_EQ(sum(one, tie, Rm::rne), one);
  EXPECT_EQ(sum(one, tie, Rm::rmm), one + 1);
  EXPECT_EQ(sum(one, tie, Rm::rup), one + 1);
  EXPECT_EQ(sum(one, tie, Rm::rdn), one);
  EXPECT_EQ(sum(one, tie, Rm::rtz), one);
  EXPECT_EQ(sum(odd_one, tie, Rm::rne), one + 2);
  EXPECT_EQ(sum(odd_one, tie, Rm::rmm), one + 2);
  EXPECT_EQ(sum(one | F32::kSign, tie | F32::kSign, Rm::rmm), (one + 1) | F32::kSign);
  EXPECT_EQ(sum(one | F32::kSign, tie | F32::kSign, Rm::rup), one | F32::kSign);
  EXPECT_EQ(sum(one | F32::kSign, tie | F32::kSign, Rm::rdn), (one + 1) | F32::kSign);
}

template <class F, class I>
void expect_saturation() {
  using V = Values<F>;
  using Limits = std::numeric_limits<I>;
  for (const Rm rm : kModes) {
    const auto expect = [&](BitsOf<F> a, I want, u8 want_flags) {
      u8 flags = 0;
      EXPECT_EQ((to_int<F, I>(a, rm, flags)), want) << std::hex << +a;
      EXPECT_EQ(flags, want_flags) << std::hex << +a;
    };
    expect(V::nan, Limits::max(), kNV);
    expect(V::other_nan, Limits::max(), kNV);
    expect(V::signaling, Limits::max(), kNV);
    expect(V::inf, Limits::max(), kNV);
    expect(V::neg_inf, Limits::min(), kNV);
    expect(V::zero, 0, 0);
    expect(V::neg_zero, 0, 0);
    expect(V::two, 2, 0);
    if (std::is_unsigned_v<I>) {
      expect(V::neg_one, 0, kNV);
      // -1/2 becomes 0, which is in range, or -1, which is not.
      const bool away = rm == Rm::rdn || rm == Rm::rmm;
      expect(negate<F>(V::half), 0, away ? kNV : kNX);
    } else {
      expect(V::neg_one, static_cast<I>(-1), 0);
    }
    if constexpr (F::kWidth >= 32) {
      // Powers of two around the limit: the largest is outside, its negative is inside for signed types.
      const int bits = Limits::digits;
      const BitsOf<F> power = static_cast<BitsOf<F>>(static_cast<BitsOf<F>>(bits + F::kBias) << F::kFracBits);
      expect(power, Limits::max(), kNV);
      expect(negate<F>(power), Limits::min(), std::is_signed_v<I> ? 0 : kNV);
      expect(negate<F>(static_cast<BitsOf<F>>(power + F::kMinNormal)), Limits::min(), kNV);
    }
  }
}

TYPED_TEST(FpSpecial, IntegerConversionsSaturate) {
  expect_saturation<TypeParam, i32>();
  expect_saturation<TypeParam, u32>();
  expect_saturation<TypeParam, i64>();
  expect_saturation<TypeParam, u64>();
}

TEST(FpConvert, FractionsAtTheIntegerLimits) {
  const auto word = [](double v, Rm rm, u8 want_flags) {
    u8 flags = 0;
    const i32 r = to_int<F64, i32>(guest<F64>(v), rm, flags);
    EXPECT_EQ(flags, want_flags) << v << " mode " << static_cast<int>(rm);
    return r;
  };
  EXPECT_EQ(word(2147483647.5, Rm::rtz, kNX), 2147483647);
  EXPECT_EQ(word(2147483647.5, Rm::rne, kNV), 2147483647);
  EXPECT_EQ(word(2147483647.25, Rm::rne, kNX), 2147483647);
  EXPECT_EQ(word(2147483647.25, Rm::rup, kNV), 2147483647);
  EXPECT_EQ(word(-2147483648.5, Rm::rne, kNX), std::numeric_limits<i32>::min());
  EXPECT_EQ(word(-2147483648.5, Rm::rmm, kNV), std::numeric_limits<i32>::min());
  EXPECT_EQ(word(-2147483648.5, Rm::rdn, kNV), std::numeric_limits<i32>::min());
  EXPECT_EQ(word(2.5, Rm::rne, kNX), 2);
  EXPECT_EQ(word(3.5, Rm::rne, kNX), 4);
  EXPECT_EQ(word(-2.5, Rm::rmm, kNX), -3);
  EXPECT_EQ(word(-2.5, Rm::rup, kNX), -2);
}

TYPED_TEST(FpSpecial, ConversionsBetweenFormats) {
  using F = TypeParam;
  const auto check = [](auto other) {
    using G = decltype(other);
    using V = Values<F>;
    using W = Values<G>;
    if constexpr (!std::is_same_v<F, G>) {
      for (const Rm rm : kModes) {
        u8 flags = 0;
        EXPECT_EQ((convert<G, F>(V::inf, rm, flags)), W::inf);
        EXPECT_EQ((convert<G, F>(V::neg_inf, rm, flags)), W::neg_inf);
        EXPECT_EQ((convert<G, F>(V::zero, rm, flags)), W::zero);
        EXPECT_EQ((convert<G, F>(V::neg_zero, rm, flags)), W::neg_zero);
        EXPECT_EQ((convert<G, F>(V::other_nan, rm, flags)), W::nan);
        EXPECT_EQ((convert<G, F>(V::neg_one, rm, flags)), W::neg_one);
        EXPECT_EQ(flags, 0);
        EXPECT_EQ((convert<G, F>(V::signaling, rm, flags)), W::nan);
        EXPECT_EQ(flags, kNV);
      }
    }
  };
  check(F16{});
  check(F32{});
  check(F64{});
}

TYPED_TEST(FpSpecial, RoundToIntegral) {
  using F = TypeParam;
  using V = Values<F>;
  for (const Rm rm : kModes) {
    for (const bool nx : {false, true}) {
      const auto round = nx ? froundnx<F> : fround<F>;
      u8 flags = 0;
      for (const auto v : {V::zero, V::neg_zero, V::one, V::neg_one, V::max, V::inf, V::neg_inf, V::nan}) {
        EXPECT_EQ(round(v, rm, flags), v);
      }
      EXPECT_EQ(round(V::other_nan, rm, flags), V::nan);
      EXPECT_EQ(flags, 0);
      EXPECT_EQ(round(V::signaling, rm, flags), V::nan);
      EXPECT_EQ(flags, kNV);
      flags = 0;
      const auto small = round(F::kSign | 1, rm, flags);  // the smallest negative number: -0 or -1
      EXPECT_EQ(small, rm == Rm::rdn ? V::neg_one : V::neg_zero);
      EXPECT_EQ(flags, nx ? kNX : 0);
    }
  }
}

TEST(FpModularConvert, SpecialsAndWrap) {
  const auto check = [](double v, i32 want, u8 want_flags) {
    u8 flags = 0;
    EXPECT_EQ(cvtmod_w_d(guest<F64>(v), flags), want) << v;
    EXPECT_EQ(flags, want_flags) << v;
  };
  check(0.0, 0, 0);
  check(-0.0, 0, 0);
  check(-1.5, -1, kNX);
  check(2147483647.0, 2147483647, 0);
  check(2147483648.0, std::numeric_limits<i32>::min(), kNV);
  check(-2147483648.0, std::numeric_limits<i32>::min(), 0);
  check(-2147483648.75, std::numeric_limits<i32>::min(), kNX);
  check(-2147483649.0, 2147483647, kNV);
  check(4294967296.0, 0, kNV);
  check(4294967299.5, 3, kNV);
  check(-4294967299.5, -3, kNV);
  check(0x1p53 + 2, 2, kNV);
  check(0x1p84, 0, kNV);
  check(0x1.0000000000001p83, std::numeric_limits<i32>::min(), kNV);
  check(0x1p1000, 0, kNV);
  check(std::numeric_limits<double>::infinity(), 0, kNV);
  u8 flags = 0;
  EXPECT_EQ(cvtmod_w_d(F64::kNan, flags), 0);
  EXPECT_EQ(flags, kNV);
}

TEST(FpLoadImmediate, AllConstants) {
  const double constants[30] = {-1.0,  0,      0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125, 0.25,   0.3125,
                                0.375, 0.4375, 0.5,     0.625,   0.75,   0.875,  1.0,    1.25,  1.5,    1.75,
                                2.0,   2.5,    3.0,     4.0,     8.0,    16.0,   128.0,  256.0, 0x1p15, 0x1p16};
  for (unsigned i = 0; i < 30; ++i) {
    if (i == 1) continue;
    EXPECT_EQ(fli<F64>(i), guest<F64>(constants[i])) << i;
    EXPECT_EQ(fli<F32>(i), guest<F32>(static_cast<float>(constants[i]))) << i;
    if (i != 29) {  // exact in half precision, too
      u8 flags = 0;
      EXPECT_EQ((soft::convert<F64, F16>(fli<F16>(i), Rm::rne, flags)), guest<F64>(constants[i])) << i;
    }
  }
  EXPECT_EQ(fli<F16>(1), 0x0400);
  EXPECT_EQ(fli<F32>(1), 0x0080'0000u);
  EXPECT_EQ(fli<F64>(1), 0x0010'0000'0000'0000u);
  EXPECT_EQ(fli<F16>(29), 0x7c00);  // 2^16 is out of range
  EXPECT_EQ(fli<F16>(30), 0x7c00);
  EXPECT_EQ(fli<F32>(30), 0x7f80'0000u);
  EXPECT_EQ(fli<F64>(30), 0x7ff0'0000'0000'0000u);
  EXPECT_EQ(fli<F16>(31), 0x7e00);
  EXPECT_EQ(fli<F32>(31), 0x7fc0'0000u);
  EXPECT_EQ(fli<F64>(31), 0x7ff8'0000'0000'0000u);
}

}  // namespace
}  // namespace hartwood::fp
