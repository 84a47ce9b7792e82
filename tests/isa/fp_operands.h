// SPDX-License-Identifier: Apache-2.0
// Operands for the floating-point tests: seeded, biased to the places where rounding, cancellation, overflow
// and underflow happen. One source per test; the same seed gives the same operands on every host.
#pragma once

#include <array>
#include <cstddef>

#include "isa/fp/fp.h"

namespace hartwood::fp {

inline constexpr std::array<Rm, 5> kModes = {Rm::rne, Rm::rtz, Rm::rdn, Rm::rup, Rm::rmm};

/// Two zeros, the ends of every range, a few plain numbers, infinities, quiet and signaling NaNs; with both
/// signs.
template <class F>
inline std::array<BitsOf<F>, 34> edge_operands() {
  using B = BitsOf<F>;
  const auto at = [](int exp, u64 frac) {
    return static_cast<B>((static_cast<u64>(exp + F::kBias) << F::kFracBits) | (frac & F::kFracMask));
  };
  const std::array<B, 17> positive = {B{0},
                                      B{1},
                                      F::kFracMask,
                                      F::kMinNormal,
                                      static_cast<B>(F::kMinNormal + 1),
                                      static_cast<B>(F::kOne - 1),
                                      F::kOne,
                                      static_cast<B>(F::kOne + 1),
                                      at(0, ~u64{0}),
                                      at(1, F::kQuiet),
                                      at(F::kFracBits, 1),
                                      at(1 - F::kBias, ~u64{0}),
                                      F::kMaxFinite,
                                      F::kInf,
                                      F::kNan,
                                      static_cast<B>(F::kNan + 5),
                                      static_cast<B>(F::kInf + 1)};
  std::array<B, 34> all{};
  for (std::size_t i = 0; i < positive.size(); ++i) {
    all[2 * i] = positive[i];
    all[2 * i + 1] = negate<F>(positive[i]);
  }
  return all;
}

class Operands {
 public:
  explicit Operands(u64 seed) : state_(seed) {}

  /// splitmix64
  u64 bits() {
    state_ += 0x9e37'79b9'7f4a'7c15u;
    u64 z = state_;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
    return z ^ (z >> 31);
  }
  unsigned below(unsigned n) { return static_cast<unsigned>((bits() >> 32) % n); }

  template <class F>
  BitsOf<F> any() {
    using B = BitsOf<F>;
    switch (below(8)) {
      case 0: return edge_operands<F>()[below(34)];
      case 1: return static_cast<B>(bits());
      case 2: return pack<F>(static_cast<int>(below(F::kExpMax + 1)), sparse());
      case 3: return pack<F>(static_cast<int>(below(4)), bits());                              // near underflow
      case 4: return pack<F>(F::kExpMax - 1 - static_cast<int>(below(4)), bits() & sparse());  // near overflow
      case 5: return pack<F>(F::kBias - 4 + static_cast<int>(below(9)), sparse());
      case 6: return pack<F>(F::kBias - F::kFracBits + static_cast<int>(below(2 * F::kFracBits)), bits());
      default: return small_integer<F>();
    }
  }
  /// An operand that interacts with `a`: nearby, opposite, or with an exponent within the precision.
  template <class F>
  BitsOf<F> partner(BitsOf<F> a) {
    using B = BitsOf<F>;
    switch (below(6)) {
      case 0: return static_cast<B>(a + below(5) - 2);
      case 1: return negate<F>(static_cast<B>(a + below(5) - 2));
      case 2:
      case 3: {
        int exp = exponent_field<F>(a) - F::kFracBits - 3 + static_cast<int>(below(2 * F::kFracBits + 7));
        exp = exp < 0 ? 0 : exp > F::kExpMax ? F::kExpMax : exp;
        return pack<F>(exp, below(2) != 0 ? bits() : sparse());
      }
      case 4: {  // a product near the ends of the range
        int exp = (below(2) != 0 ? F::kExpMax + F::kBias : F::kBias) - exponent_field<F>(a) + 4 -
                  static_cast<int>(below(F::kFracBits + 8));
        exp = exp < 0 ? 0 : exp > F::kExpMax ? F::kExpMax : exp;
        return pack<F>(exp, bits());
      }
      default: return any<F>();
    }
  }

 private:
  template <class F>
  BitsOf<F> pack(int exp, u64 frac) {
    const u64 mag = (static_cast<u64>(exp) << F::kFracBits) | (frac & F::kFracMask);
    return with_sign<F>(below(2) != 0, static_cast<BitsOf<F>>(mag));
  }
  /// Runs of ones and zeros: one to three boundaries.
  u64 sparse() {
    u64 v = 0;
    for (unsigned n = below(3); n < 3; ++n) v ^= ~u64{0} << below(64);
    return below(2) != 0 ? v : u64{1} << below(64);
  }
  template <class F>
  BitsOf<F> small_integer() {
    u8 flags = 0;
    const unsigned range = below(2) != 0 ? 16 : 1000;
    return soft::from_int<F, i32>(static_cast<i32>(below(range)) - static_cast<i32>(range / 2), Rm::rne, flags);
  }

  u64 state_;
};

}  // namespace hartwood::fp
