// SPDX-License-Identifier: Apache-2.0
// The integer definition against the processor that runs the tests, in the four rounding modes that it has,
// results and exceptions. x86-64 only: SSE detects tininess after rounding, as RISC-V does (the test would
// fail otherwise). The processor's NaN results have other payloads, so any NaN counts as the canonical one.
#include <gtest/gtest.h>

#if defined(__x86_64__)

#include <cfenv>
#include <cmath>

#include "fp_operands.h"
#include "isa/fp/fp.h"

namespace hartwood::fp {
namespace {

constexpr int kRounds = 60'000;

struct Mode {
  Rm rm;
  int host;
};
constexpr Mode kHostModes[] = {
    {Rm::rne, FE_TONEAREST}, {Rm::rtz, FE_TOWARDZERO}, {Rm::rdn, FE_DOWNWARD}, {Rm::rup, FE_UPWARD}};

/// Runs `op` in a rounding mode with clear exceptions and restores the environment. Operands and results pass
/// through volatile objects, so that the compiler computes nothing ahead and moves nothing out.
template <class Op>
auto on_host(int mode, u8& flags, Op op) {
  std::fenv_t saved;
  std::feholdexcept(&saved);
  std::fesetround(mode);
  volatile auto result = op();
  const int raised = std::fetestexcept(FE_ALL_EXCEPT);
  std::fesetenv(&saved);
  flags = static_cast<u8>(((raised & FE_INEXACT) != 0 ? kNX : 0) | ((raised & FE_UNDERFLOW) != 0 ? kUF : 0) |
                          ((raised & FE_OVERFLOW) != 0 ? kOF : 0) | ((raised & FE_DIVBYZERO) != 0 ? kDZ : 0) |
                          ((raised & FE_INVALID) != 0 ? kNV : 0));
  return static_cast<decltype(op())>(result);
}

template <class F>
class FpHardware : public ::testing::Test {
 protected:
  using T = typename F::Native;

  template <class Op, class Soft>
  static ::testing::AssertionResult agree(Op op, Soft definition) {
    for (const Mode& mode : kHostModes) {
      u8 want_flags = 0;
      const auto native = on_host(mode.host, want_flags, op);
      const auto bits = guest<F>(static_cast<T>(native));
      const BitsOf<F> want = is_nan<F>(bits) ? F::kNan : bits;
      u8 flags = 0;
      const BitsOf<F> got = definition(mode.rm, flags);
      if (got != want || flags != want_flags) {
        return ::testing::AssertionFailure() << std::hex << "mode " << static_cast<int>(mode.rm) << ": host " << +want
                                             << " flags " << +want_flags << ", ours " << +got << " flags " << +flags;
      }
    }
    return ::testing::AssertionSuccess();
  }
};
using Formats = ::testing::Types<F32, F64>;
TYPED_TEST_SUITE(FpHardware, Formats);

TYPED_TEST(FpHardware, Arithmetic) {
  using F = TypeParam;
  Operands source(21);
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.partner<F>(a);
    volatile auto x = host<F>(a);
    volatile auto y = host<F>(b);
    ASSERT_TRUE(this->agree([&] { return x + y; }, [&](Rm rm, u8& f) { return soft::add<F>(a, b, rm, f); }))
        << std::hex << +a << ' ' << +b;
    ASSERT_TRUE(this->agree([&] { return x - y; }, [&](Rm rm, u8& f) { return sub<F>(a, b, rm, f); }))
        << std::hex << +a << ' ' << +b;
    ASSERT_TRUE(this->agree([&] { return x * y; }, [&](Rm rm, u8& f) { return soft::mul<F>(a, b, rm, f); }))
        << std::hex << +a << ' ' << +b;
    ASSERT_TRUE(this->agree([&] { return x / y; }, [&](Rm rm, u8& f) { return soft::div<F>(a, b, rm, f); }))
        << std::hex << +a << ' ' << +b;
    ASSERT_TRUE(this->agree([&] { return std::sqrt(x); }, [&](Rm rm, u8& f) { return soft::sqrt<F>(a, rm, f); }));
  }
}

TYPED_TEST(FpHardware, FusedMultiplyAdd) {
  using F = TypeParam;
  Operands source(22);
  for (int i = 0; i < kRounds; ++i) {
    const BitsOf<F> a = source.any<F>();
    const BitsOf<F> b = source.below(2) != 0 ? source.partner<F>(a) : source.any<F>();
    u8 ignored = 0;
    const BitsOf<F> c = source.partner<F>(soft::mul<F>(a, b, Rm::rne, ignored));
    // Where the product is invalid and the addend a quiet NaN, IEEE 754 leaves NV open: x86 does not raise
    // it.
    const bool open = is_nan<F>(c) && ((is_inf<F>(a) && is_zero<F>(b)) || (is_zero<F>(a) && is_inf<F>(b)));
    if (open) continue;
    volatile auto x = host<F>(a);
    volatile auto y = host<F>(b);
    volatile auto z = host<F>(c);
    ASSERT_TRUE(
        this->agree([&] { return std::fma(x, y, z); }, [&](Rm rm, u8& f) { return soft::fma<F>(a, b, c, rm, f); }))
        << std::hex << +a << ' ' << +b << ' ' << +c;
  }
}

TYPED_TEST(FpHardware, FromIntegers) {
  using F = TypeParam;
  using Host = typename F::Native;
  Operands source(23);
  for (int i = 0; i < kRounds; ++i) {
    u64 bits = source.bits() >> source.below(64);
    if (source.below(2) != 0) bits = ~bits;
    const i64 v = static_cast<i64>(bits);
    volatile i64 host_v = v;
    volatile i32 host_w = static_cast<i32>(bits);
    ASSERT_TRUE(this->agree([&] { return static_cast<Host>(host_v); },
                            [&](Rm rm, u8& f) { return soft::from_int<F, i64>(v, rm, f); }))
        << v;
    ASSERT_TRUE(this->agree([&] { return static_cast<Host>(host_w); },
                            [&](Rm rm, u8& f) { return soft::from_int<F, i32>(static_cast<i32>(bits), rm, f); }))
        << v;
  }
}

TYPED_TEST(FpHardware, ToIntegers) {
  using F = TypeParam;
  Operands source(24);
  for (int i = 0; i < kRounds; ++i) {
    BitsOf<F> a = source.any<F>();
    if (source.below(2) != 0) {
      const u64 exp = F::kBias - 3 + source.below(66);
      a = static_cast<BitsOf<F>>((exp << F::kFracBits) | (source.bits() & F::kFracMask));
    }
    volatile auto x = host<F>(a);
    for (const Mode& mode : kHostModes) {
      u8 want_flags = 0;
      const long want = on_host(mode.host, want_flags, [&] { return std::lrint(x); });
      u8 flags = 0;
      const i64 got = soft::to_int<F, i64>(a, mode.rm, flags);
      ASSERT_EQ(flags, want_flags) << std::hex << +a << " mode " << static_cast<int>(mode.rm);
      if ((flags & kNV) == 0) {
        ASSERT_EQ(got, want) << std::hex << +a;
      }
    }
  }
}

TEST(FpHardwareConvert, BetweenFloatAndDouble) {
  Operands source(25);
  for (int i = 0; i < kRounds; ++i) {
    u8 ignored = 0;
    u64 a = source.any<F64>();
    if (source.below(2) != 0) {
      a = soft::convert<F64, F32>(source.any<F32>(), Rm::rne, ignored) + (u64{source.below(2)} << 28) +
          source.below(3) - 1;
    }
    volatile double x = host<F64>(a);
    for (const Mode& mode : kHostModes) {
      u8 want_flags = 0;
      const u32 bits = guest<F32>(on_host(mode.host, want_flags, [&] { return static_cast<float>(x); }));
      u8 flags = 0;
      const u32 got = soft::convert<F32, F64>(a, mode.rm, flags);
      ASSERT_EQ(got, is_nan<F32>(bits) ? F32::kNan : bits) << std::hex << a << " mode " << static_cast<int>(mode.rm);
      ASSERT_EQ(flags, want_flags) << std::hex << a << " mode " << static_cast<int>(mode.rm);
    }
  }
}

}  // namespace
}  // namespace hartwood::fp

#endif  // x86-64
