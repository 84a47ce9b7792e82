// SPDX-License-Identifier: Apache-2.0
// An independent definition of correct rounding, for tests: exact arithmetic on big integers and a search
// among the format's own numbers. It shares no step with the implementation: nothing is shifted, jammed or
// normalised; the result is one of the two neighbours of the exact value, picked by comparing that value with
// their midpoint.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "isa/fp/format.h"

namespace hartwood::fp {

/// An unsigned integer of any size: 32-bit digits, least significant first, no leading zeros.
class Big {
 public:
  Big() = default;
  explicit Big(u64 v) {
    for (; v != 0; v >>= 32) digits_.push_back(static_cast<u32>(v));
  }
  bool zero() const { return digits_.empty(); }

  friend Big operator+(const Big& a, const Big& b) {
    Big r;
    u64 carry = 0;
    for (std::size_t i = 0; i < std::max(a.digits_.size(), b.digits_.size()) || carry != 0; ++i) {
      carry += a.digit(i) + b.digit(i);
      r.digits_.push_back(static_cast<u32>(carry));
      carry >>= 32;
    }
    return r;
  }
  /// a must not be below b.
  friend Big operator-(const Big& a, const Big& b) {
    Big r;
    u64 borrow = 0;
    for (std::size_t i = 0; i < a.digits_.size(); ++i) {
      const u64 take = b.digit(i) + borrow;
      borrow = a.digit(i) < take;
      r.digits_.push_back(static_cast<u32>(a.digit(i) - take));
    }
    while (!r.digits_.empty() && r.digits_.back() == 0) r.digits_.pop_back();
    return r;
  }
  friend Big operator*(const Big& a, const Big& b) {
    Big r;
    if (a.zero() || b.zero()) return r;
    r.digits_.assign(a.digits_.size() + b.digits_.size(), 0);
    for (std::size_t i = 0; i < a.digits_.size(); ++i) {
      u64 carry = 0;
      for (std::size_t j = 0; j < b.digits_.size() || carry != 0; ++j) {
        carry += r.digits_[i + j] + a.digit(i) * b.digit(j);
        r.digits_[i + j] = static_cast<u32>(carry);
        carry >>= 32;
      }
    }
    while (!r.digits_.empty() && r.digits_.back() == 0) r.digits_.pop_back();
    return r;
  }
  Big times_power_of_two(int n) const {
    if (zero()) return *this;
    Big r;
    r.digits_.assign(static_cast<std::size_t>(n) / 32, 0);
    u64 carry = 0;
    for (std::size_t i = 0; i < digits_.size() || carry != 0; ++i) {
      carry |= digit(i) << (n % 32);
      r.digits_.push_back(static_cast<u32>(carry));
      carry >>= 32;
    }
    return r;
  }
  /// Negative, zero or positive as a is below, equal to or above b.
  friend int compare(const Big& a, const Big& b) {
    if (a.digits_.size() != b.digits_.size()) return a.digits_.size() < b.digits_.size() ? -1 : 1;
    for (std::size_t i = a.digits_.size(); i-- > 0;) {
      if (a.digits_[i] != b.digits_[i]) return a.digits_[i] < b.digits_[i] ? -1 : 1;
    }
    return 0;
  }

 private:
  u64 digit(std::size_t i) const { return i < digits_.size() ? digits_[i] : 0; }
  std::vector<u32> digits_;
};

/// integer * 2^exp, at least zero.
struct Dyadic {
  Big integer;
  int exp = 0;
};

inline int compare(const Dyadic& a, const Dyadic& b) {
  const int exp = std::min(a.exp, b.exp);
  return compare(a.integer.times_power_of_two(a.exp - exp), b.integer.times_power_of_two(b.exp - exp));
}
inline Dyadic operator*(const Dyadic& a, const Dyadic& b) { return {a.integer * b.integer, a.exp + b.exp}; }
inline Dyadic operator+(const Dyadic& a, const Dyadic& b) {
  const int exp = std::min(a.exp, b.exp);
  return {a.integer.times_power_of_two(a.exp - exp) + b.integer.times_power_of_two(b.exp - exp), exp};
}
inline Dyadic operator-(const Dyadic& a, const Dyadic& b) {
  const int exp = std::min(a.exp, b.exp);
  return {a.integer.times_power_of_two(a.exp - exp) - b.integer.times_power_of_two(b.exp - exp), exp};
}

struct Signed {
  bool negative = false;
  Dyadic mag;
};

inline Signed operator+(const Signed& a, const Signed& b) {
  if (a.negative == b.negative) return {a.negative, a.mag + b.mag};
  return compare(a.mag, b.mag) >= 0 ? Signed{a.negative, a.mag - b.mag} : Signed{b.negative, b.mag - a.mag};
}
inline Signed operator*(const Signed& a, const Signed& b) { return {a.negative != b.negative, a.mag * b.mag}; }

/// The magnitude of a finite pattern; kInf stands for the power of two after the largest finite number.
template <class F>
Dyadic value_of(BitsOf<F> mag) {
  const int field = static_cast<int>(mag >> F::kFracBits);
  const u64 frac = mag & F::kFracMask;
  if (field == 0) return {Big(frac), 1 - F::kBias - F::kFracBits};
  return {Big(frac + F::kMinNormal), field - F::kBias - F::kFracBits};
}
template <class F>
Signed signed_value_of(BitsOf<F> a) {
  return {(a & F::kSign) != 0, value_of<F>(static_cast<BitsOf<F>>(a & ~F::kSign))};
}

template <class B>
struct Outcome {
  B bits;
  u8 flags;
};

/// An exact, positive value known by comparison: negative, zero or positive as `d` is below, at or above it.
using CompareWithExact = std::function<int(const Dyadic& d)>;

/// The neighbours of an exact value, found once; `round` then answers for each mode.
template <class F>
class Rounder {
 public:
  Rounder(bool negative, CompareWithExact against) : negative_(negative), against_(std::move(against)) {
    u64 low = 0;  // value_of(low) <= exact < value_of(high), where kInf is taken for a number
    u64 high = F::kInf;
    if (at(F::kInf) <= 0) {
      huge_ = true;
      return;
    }
    while (high - low > 1) {
      const u64 middle = low + (high - low) / 2;
      (at(static_cast<BitsOf<F>>(middle)) <= 0 ? low : high) = middle;
    }
    low_ = static_cast<BitsOf<F>>(low);
    exact_ = at(low_) == 0;
    const Dyadic sum = value_of<F>(low_) + value_of<F>(static_cast<BitsOf<F>>(high));
    middle_ = against_({sum.integer, sum.exp - 1});
    // The last number with full precision below the smallest normal one, if exponents went on: half a unit
    // closer.
    const Dyadic twice{Big(2 * static_cast<u64>(F::kMinNormal) - 1), 1 - F::kBias - F::kFracBits};
    const Dyadic last{twice.integer, twice.exp - 1};
    below_last_ = against_(last) >= 0;
    const Dyadic between{Big(4 * static_cast<u64>(F::kMinNormal) - 1), 1 - F::kBias - F::kFracBits - 2};
    last_middle_ = against_(between);
  }

  Outcome<BitsOf<F>> round(Rm rm) const {
    const BitsOf<F> sign = negative_ ? F::kSign : BitsOf<F>{0};
    const bool away = rm == Rm::rup ? !negative_ : rm == Rm::rdn ? negative_ : false;
    if (huge_) return overflow(rm);
    if (exact_) return {static_cast<BitsOf<F>>(low_ | sign), 0};
    const bool up = picks_upper(rm, away, middle_, (low_ & 1) != 0);
    const BitsOf<F> mag = static_cast<BitsOf<F>>(low_ + (up ? 1 : 0));
    if (mag == F::kInf) return overflow(rm);
    u8 flags = kNX;
    if (low_ < F::kMinNormal) {
      // The last number of full precision is odd.
      const bool reaches_normal = !below_last_ && picks_upper(rm, away, last_middle_, true);
      if (!reaches_normal) flags |= kUF;
    }
    return {static_cast<BitsOf<F>>(mag | sign), flags};
  }

 private:
  int at(BitsOf<F> mag) const { return against_(value_of<F>(mag)); }
  static bool picks_upper(Rm rm, bool away, int middle, bool odd) {
    // middle > 0: the midpoint is above the exact value.
    if (rm == Rm::rne) return middle < 0 || (middle == 0 && odd);
    if (rm == Rm::rmm) return middle <= 0;
    return away;
  }
  Outcome<BitsOf<F>> overflow(Rm rm) const {
    const bool finite = rm == Rm::rtz || (rm == Rm::rdn && !negative_) || (rm == Rm::rup && negative_);
    const BitsOf<F> mag = finite ? F::kMaxFinite : F::kInf;
    return {static_cast<BitsOf<F>>(mag | (negative_ ? F::kSign : BitsOf<F>{0})), static_cast<u8>(kOF | kNX)};
  }

  bool negative_;
  CompareWithExact against_;
  bool huge_ = false;
  bool exact_ = false;
  bool below_last_ = false;  // not above the last number of full precision under the smallest normal one
  int middle_ = 0;
  int last_middle_ = 0;
  BitsOf<F> low_ = 0;
};

template <class F>
Rounder<F> rounder(const Signed& exact) {
  return Rounder<F>(exact.negative, [mag = exact.mag](const Dyadic& d) { return compare(d, mag); });
}

}  // namespace hartwood::fp
