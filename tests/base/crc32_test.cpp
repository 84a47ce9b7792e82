// SPDX-License-Identifier: Apache-2.0
// CRC-32 against published values, and against the definition, bit by bit.
#include "base/crc32.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hartwood {
namespace {

u32 of(const std::string& text) { return crc32({reinterpret_cast<const u8*>(text.data()), text.size()}); }

TEST(Crc32, PublishedValues) {
  EXPECT_EQ(of(""), 0u);
  EXPECT_EQ(of("123456789"), 0xcbf4'3926u);  // the check value of the catalogues
  EXPECT_EQ(of("a"), 0xe8b7'be43u);
  EXPECT_EQ(of("abc"), 0x3524'41c2u);
  EXPECT_EQ(of("The quick brown fox jumps over the lazy dog"), 0x414f'a339u);
  EXPECT_EQ(of(std::string(32, '\0')), 0x190a'55adu);
  EXPECT_EQ(of(std::string(32, '\xff')), 0xff6c'ab0bu);
}

// Division by the polynomial, the slow way.
u32 by_definition(const std::vector<u8>& bytes) {
  u32 remainder = ~u32{0};
  for (const u8 byte : bytes) {
    for (int bit = 0; bit < 8; bit++) {
      const u32 carry = (remainder ^ u32{byte} >> bit) & 1;
      remainder = remainder >> 1 ^ (carry != 0 ? 0xedb8'8320u : 0);
    }
  }
  return ~remainder;
}

TEST(Crc32, EveryLengthAndEverySplitIsTheDefinition) {
  std::vector<u8> bytes;
  u32 value = 1;
  for (size_t size = 0; size < 70; size++) {
    const u32 expected = by_definition(bytes);
    ASSERT_EQ(crc32(bytes), expected) << size;
    for (size_t cut = 0; cut <= size; cut++) {
      const std::span<const u8> all(bytes);
      ASSERT_EQ(crc32(all.subspan(cut), crc32(all.first(cut))), expected) << size << " cut at " << cut;
    }
    value = value * 1'664'525 + 1'013'904'223;
    bytes.push_back(static_cast<u8>(value >> 24));
  }
}

}  // namespace
}  // namespace hartwood
