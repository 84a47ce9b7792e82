// SPDX-License-Identifier: Apache-2.0
#include "devices/entropy.h"

namespace hartwood {

// A counter with odd increment, mixed by the finaliser of SplitMix64: every state yields another word, period
// 2^64.
u32 SeededEntropy::fill(std::span<u8> to) {
  u64 word = 0;
  for (size_t i = 0; i < to.size(); i++) {
    if (i % 8 == 0) {
      state_ += 0x9e37'79b9'7f4a'7c15;
      word = state_;
      word = (word ^ (word >> 30)) * 0xbf58'476d'1ce4'e5b9;
      word = (word ^ (word >> 27)) * 0x94d0'49bb'1331'11eb;
      word ^= word >> 31;
    }
    to[i] = static_cast<u8>(word >> (i % 8 * 8));
  }
  return static_cast<u32>(to.size());
}

void SeededEntropy::save(StateWriter& out) const {
  out.begin("SEED", 1);
  out.put(state_);
  out.end();
}

void SeededEntropy::load(StateReader& in) {
  in.begin("SEED", 1);
  const u64 state = in.get<u64>();
  in.end();
  if (!in.failed()) state_ = state;
}

}  // namespace hartwood
