// SPDX-License-Identifier: Apache-2.0
// The quick versions on host arithmetic against the integer definition: the same bits and flags on a million
// operands, with fflags clear and with NX set already. Runs natively and in Wasm.
#include <gtest/gtest.h>

#include "fp_operands.h"
#include "isa/fp/fp.h"

namespace hartwood::fp {
namespace {

constexpr int kRounds = 100'000;

/// For messages.
struct Inputs {
  u64 a, b, c;
  Rm rm;
};

/// One operation on the same operands both ways, for NX clear and set.
template <class Quick, class Soft>
::testing::AssertionResult agree(const Inputs& in, Quick quick, Soft definition) {
  for (const u8 before : {u8{0}, kNX, u8{kUF | kOF}, u8{kNX | kNV}}) {
    u8 quick_flags = before;
    u8 soft_flags = before;
    const auto got = quick(quick_flags);
    const auto want = definition(soft_flags);
    if (got != want || quick_flags != soft_flags) {
      return ::testing::AssertionFailure()
             << std::hex << in.a << ' ' << in.b << ' ' << in.c << " mode " << static_cast<int>(in.rm) << ", flags "
             << +before << ": quick " << +got << " flags " << +quick_flags << ", definition " << +want << " flags "
             << +soft_flags;
    }
  }
  return ::testing::AssertionSuccess();
}

template <class F>
class FpFast : public ::testing::Test {};
using Formats = ::testing::Types<F32, F64>;
TYPED_TEST_SUITE(FpFast, Formats);

/// Mostly the mode that has quick versions.
Rm any_mode(Operands& source) { return source.below(8) == 0 ? kModes[source.below(5)] : Rm::rne; }

TYPED_TEST(FpFast, Arithmetic) {
  using F = TypeParam;
  Operands source(11);
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.partner<F>(a);
    const Rm rm = any_mode(source);
    const Inputs inputs{a, b, 0, rm};
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return add<F>(a, b, rm, f); }, [&](u8& f) { return soft::add<F>(a, b, rm, f); }));
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return sub<F>(a, b, rm, f); },
        [&](u8& f) { return soft::add<F>(a, negate<F>(b), rm, f); }));
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return mul<F>(a, b, rm, f); }, [&](u8& f) { return soft::mul<F>(a, b, rm, f); }));
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return div<F>(a, b, rm, f); }, [&](u8& f) { return soft::div<F>(a, b, rm, f); }));
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return sqrt<F>(a, rm, f); }, [&](u8& f) { return soft::sqrt<F>(a, rm, f); }));
    // Exact quotients and roots are rare among random operands: make some.
    u8 ignored = 0;
    const BitsOf<F> product = soft::mul<F>(a, b, Rm::rtz, ignored);
    const BitsOf<F> square = soft::mul<F>(b, b, Rm::rtz, ignored);
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return div<F>(product, b, rm, f); },
        [&](u8& f) { return soft::div<F>(product, b, rm, f); }));
    ASSERT_TRUE(agree(
        inputs, [&](u8& f) { return sqrt<F>(square, rm, f); }, [&](u8& f) { return soft::sqrt<F>(square, rm, f); }));
  }
}

TYPED_TEST(FpFast, FusedMultiplyAdd) {
  using F = TypeParam;
  Operands source(12);
  for (int i = 0; i < 2 * kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.below(2) != 0 ? source.partner<F>(a) : source.any<F>();
    u8 ignored = 0;
    const BitsOf<F> c = source.partner<F>(soft::mul<F>(a, b, Rm::rne, ignored));
    const Rm rm = any_mode(source);
    ASSERT_TRUE(agree(
        Inputs{a, b, c, rm}, [&](u8& f) { return fma<F>(a, b, c, rm, f); },
        [&](u8& f) { return soft::fma<F>(a, b, c, rm, f); }));
  }
}

TEST(FpFastFma, FloatSumsThatAreMidpointsInDouble) {
  // a*b near one, c at or below the last bit of double: double rounding would show here.
  Operands source(13);
  for (int i = 0; i < kRounds; ++i) {
    const u32 a = F32::kOne + (source.below(2) != 0 ? (1u << source.below(23)) : source.below(1u << 23));
    const u32 b = F32::kOne + (1u << source.below(23));
    const u32 c = ((127 - 20 - source.below(60)) << 23) | source.below(3) | (source.below(2) << 31);
    ASSERT_TRUE(agree(
        Inputs{a, b, c, Rm::rne}, [&](u8& f) { return fma<F32>(a, b, c, Rm::rne, f); },
        [&](u8& f) { return soft::fma<F32>(a, b, c, Rm::rne, f); }));
    ASSERT_TRUE(agree(
        Inputs{c, b, a, Rm::rne}, [&](u8& f) { return fma<F32>(c, b, a, Rm::rne, f); },
        [&](u8& f) { return soft::fma<F32>(c, b, a, Rm::rne, f); }));
  }
}

template <class F, class I>
void check_integers(Operands& source, BitsOf<F> a, Rm rm) {
  ASSERT_TRUE(agree(
      Inputs{a, 0, 0, rm}, [&](u8& f) { return to_int<F, I>(a, rm, f); },
      [&](u8& f) { return soft::to_int<F, I>(a, rm, f); }));
  u64 bits = source.bits() >> source.below(64);
  if (source.below(2) != 0) bits = (u64{1} << source.below(64)) + source.below(5) - 2;
  const I v = static_cast<I>(source.below(2) != 0 ? bits : ~bits);
  ASSERT_TRUE(agree(
      Inputs{static_cast<u64>(v), 0, 0, rm}, [&](u8& f) { return from_int<F, I>(v, rm, f); },
      [&](u8& f) { return soft::from_int<F, I>(v, rm, f); }));
}

TYPED_TEST(FpFast, Integers) {
  using F = TypeParam;
  Operands source(14);
  for (int i = 0; i < kRounds; ++i) {
    BitsOf<F> a = source.any<F>();
    if (source.below(2) != 0) {
      const u64 exp = F::kBias - 3 + source.below(70);
      a = static_cast<BitsOf<F>>((exp << F::kFracBits) +
                                 (source.bits() & F::kFracMask & (~u64{0} << source.below(64))));
      a = with_sign<F>(source.below(2) != 0, static_cast<BitsOf<F>>(a - source.below(2)));
    }
    const Rm rm = kModes[source.below(5)];
    check_integers<F, i32>(source, a, rm);
    check_integers<F, u32>(source, a, rm);
    check_integers<F, i64>(source, a, rm);
    check_integers<F, u64>(source, a, rm);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(FpFastConvert, BetweenFloatAndDouble) {
  Operands source(15);
  for (int i = 0; i < 2 * kRounds; ++i) {
    const Rm rm = any_mode(source);
    const u32 narrow = source.any<F32>();
    u8 ignored = 0;
    u64 wide = source.any<F64>();
    if (source.below(2) != 0) {
      wide = soft::convert<F64, F32>(source.any<F32>(), Rm::rne, ignored) + (u64{source.below(2)} << 28) +
             source.below(3) - 1;
    }
    ASSERT_TRUE(agree(
        Inputs{narrow, 0, 0, rm}, [&](u8& f) { return convert<F64, F32>(narrow, rm, f); },
        [&](u8& f) { return soft::convert<F64, F32>(narrow, rm, f); }));
    ASSERT_TRUE(agree(
        Inputs{wide, 0, 0, rm}, [&](u8& f) { return convert<F32, F64>(wide, rm, f); },
        [&](u8& f) { return soft::convert<F32, F64>(wide, rm, f); }));
  }
}

TYPED_TEST(FpFast, Comparisons) {
  using F = TypeParam;
  Operands source(16);
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.partner<F>(a);
    const bool nan = is_nan<F>(a) || is_nan<F>(b);
    const bool signaling = is_signaling<F>(a) || is_signaling<F>(b);
    u8 flags = 0;
    ASSERT_EQ(lt<F>(a, b, flags), !nan && detail::less<F>(a, b)) << std::hex << +a << ' ' << +b;
    ASSERT_EQ(flags, nan ? kNV : 0);
    flags = 0;
    ASSERT_EQ(le<F>(a, b, flags), !nan && detail::less_equal<F>(a, b)) << std::hex << +a << ' ' << +b;
    ASSERT_EQ(flags, nan ? kNV : 0);
    flags = 0;
    ASSERT_EQ(eq<F>(a, b, flags), !nan && detail::less_equal<F>(a, b) && detail::less_equal<F>(b, a));
    ASSERT_EQ(flags, signaling ? kNV : 0);
  }
}

}  // namespace
}  // namespace hartwood::fp
