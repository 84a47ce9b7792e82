// SPDX-License-Identifier: Apache-2.0
// Seeded damage to files, for tests that a parser survives whatever it is given. Test code, one thread.
#pragma once

#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "base/types.h"

namespace hartwood::test {

// A copy in a block of its own exact size, so that AddressSanitizer sees a read of a single byte too many.
inline std::vector<u8> exact(std::span<const u8> bytes) { return {bytes.begin(), bytes.end()}; }

class Mutator {
 public:
  explicit Mutator(u64 seed) : random_(seed) {}

  // One to four changes: a flipped bit, a byte or a word of an interesting value, bytes moved, the end cut
  // off.
  std::vector<u8> damage(std::span<const u8> file) {
    std::vector<u8> bytes(file.begin(), file.end());
    for (u64 changes = below(4) + 1; changes != 0 && !bytes.empty(); changes--) change(bytes);
    return exact(bytes);
  }
  u64 below(u64 bound) { return random_() % bound; }

 private:
  void change(std::vector<u8>& bytes) {
    const size_t at = below(bytes.size());
    switch (below(8)) {
      case 0: bytes.resize(at); break;
      case 1:
      case 2: put(bytes, at, 4); break;
      case 3: put(bytes, at, 8); break;
      case 4: bytes[at] = static_cast<u8>(random_()); break;
      case 5: std::copy_n(bytes.begin(), std::min(at, bytes.size() - at), bytes.begin() + static_cast<long>(at)); break;
      default: bytes[at] ^= static_cast<u8>(1u << below(8)); break;
    }
  }
  // A number near the edges of its type, little- or big-endian, usually aligned.
  void put(std::vector<u8>& bytes, size_t at, size_t size) {
    constexpr u64 kEdges[] = {0, 1, ~u64{0}, ~u64{7}, u64{1} << 63, u64{1} << 31, u64{1} << 32, 0x8000'0000};
    u64 value = kEdges[below(std::size(kEdges))] + below(9) - 4;
    const bool big = below(2) != 0;
    if (below(4) != 0) at -= at % size;
    for (size_t i = 0; i < size && at + i < bytes.size(); i++)
      bytes[at + i] = static_cast<u8>(value >> 8 * (big ? size - 1 - i : i));
  }

  std::mt19937_64 random_;
};

}  // namespace hartwood::test
