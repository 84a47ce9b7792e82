// SPDX-License-Identifier: Apache-2.0
#include "differential/values.h"

#include "base/bits.h"

namespace hartwood::differential {

u64 Random::next() {
  u64 z = state_ += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

u64 edge_integer(Random& random) {
  const u64 any = random.next();
  switch (random.below(12)) {
    case 0: return 0;
    case 1: return static_cast<u64>(sign_extend(any, 3));
    case 2: return u64{1} << (any & 63);
    case 3: return (u64{1} << (any & 63)) - 1;
    case 4: return ~u64{0} << (any & 63);
    case 5: return static_cast<u64>(sign_extend(u64{1} << (any & 31), 32));
    case 6: {
      static constexpr u64 kLimits[] = {0x7f,        0x80,          0xff,         0x7fff,
                                        0x8000,      0xffff,        0x7fff'ffff,  0x8000'0000,
                                        0xffff'ffff, 0x1'0000'0000, ~u64{0} >> 1, u64{1} << 63};
      return kLimits[random.below(12)] * (any & 1 ? u64{1} : ~u64{0});
    }
    case 7: return 0x0101'0101'0101'0101 * (any & 0xff);
    case 8: return any & 1 ? 0x5555'5555'5555'5555 : 0xaaaa'aaaa'aaaa'aaaa;
    case 9: return static_cast<u64>(sign_extend(any, 32));
    case 10: return static_cast<u64>(sign_extend(any, random.between(1, 64)));
    default: return any;
  }
}

u64 edge_float(Random& random, unsigned width, u64 near) {
  const unsigned fraction_bits = width == 64 ? 52 : width == 32 ? 23 : 10;
  const unsigned exponent_bits = width - 1 - fraction_bits;
  const u64 largest = (u64{1} << exponent_bits) - 1, bias = largest >> 1;
  const u64 fraction_mask = (u64{1} << fraction_bits) - 1;
  const u64 sign = random.below(2);
  if (random.chance(15)) {
    // Its negative, or a neighbour.
    const u64 step = random.below(3);
    const u64 other = near + (random.chance(50) ? step : u64{0} - step);
    return (other ^ (sign << (width - 1))) & (width == 64 ? ~u64{0} : (u64{1} << width) - 1);
  }
  u64 exponent;
  switch (random.below(10)) {
    case 0: exponent = 0; break;
    case 1: exponent = random.between(1, 3); break;
    case 2: exponent = largest - random.below(3); break;
    case 3: exponent = bias - 1 + random.below(3); break;
    case 4: exponent = bias + random.between(fraction_bits - 2, fraction_bits + 2); break;
    case 5: {
      // The limits of the integer types.
      static constexpr u8 kPowers[] = {7, 8, 14, 15, 16, 30, 31, 32, 33, 62, 63, 64, 65};
      exponent = bias + kPowers[random.below(13)];
      break;
    }
    case 6: exponent = bias - random.below(fraction_bits + 3); break;
    default: exponent = random.next(); break;
  }
  if (exponent > largest && random.chance(80)) exponent = bias + random.below(8);
  exponent &= largest;
  u64 fraction;
  switch (random.below(8)) {
    case 0:
    case 1: fraction = 0; break;
    case 2: fraction = fraction_mask; break;
    case 3: fraction = u64{1} << (fraction_bits - 1); break;
    case 4: fraction = u64{1} << random.below(fraction_bits); break;
    case 5: fraction = fraction_mask << random.below(fraction_bits); break;
    default: fraction = random.next(); break;
  }
  return sign << (width - 1) | exponent << fraction_bits | (fraction & fraction_mask);
}

u64 boxed(Random& random, unsigned width, u64 number) {
  if (width == 64) return number;
  const u64 upper = ~u64{0} << width;
  const u32 kind = random.below(20);
  if (kind == 0) return number;
  if (kind == 1) return number | (random.next() & upper);
  if (kind == 2) return number | (upper & ~(u64{1} << random.between(width, 63)));
  return number | upper;
}

}  // namespace hartwood::differential
