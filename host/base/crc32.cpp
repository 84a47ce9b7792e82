// SPDX-License-Identifier: Apache-2.0
// Eight bytes a step: table n gives what a byte does to the remainder n bytes later.
#include "base/crc32.h"

#include <array>

#include "base/bits.h"

namespace hartwood {
namespace {

constexpr u32 kPolynomial = 0xedb8'8320;  // bits reversed
using Tables = std::array<std::array<u32, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (u32 byte = 0; byte < 256; byte++) {
    u32 remainder = byte;
    for (int bit = 0; bit < 8; bit++) remainder = remainder >> 1 ^ (remainder & 1 ? kPolynomial : 0);
    tables[0][byte] = remainder;
  }
  for (size_t table = 1; table < tables.size(); table++) {
    for (u32 byte = 0; byte < 256; byte++) {
      const u32 shorter = tables[table - 1][byte];
      tables[table][byte] = shorter >> 8 ^ tables[0][shorter & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

}  // namespace

u32 crc32(std::span<const u8> bytes, u32 before) {
  u32 remainder = ~before;
  size_t at = 0;
  for (; bytes.size() - at >= 8; at += 8) {
    const u32 low = load_le<u32>(bytes.data() + at) ^ remainder, high = load_le<u32>(bytes.data() + at + 4);
    remainder = kTables[7][low & 0xff] ^ kTables[6][low >> 8 & 0xff] ^ kTables[5][low >> 16 & 0xff] ^
                kTables[4][low >> 24] ^ kTables[3][high & 0xff] ^ kTables[2][high >> 8 & 0xff] ^
                kTables[1][high >> 16 & 0xff] ^ kTables[0][high >> 24];
  }
  for (; at < bytes.size(); at++) remainder = remainder >> 8 ^ kTables[0][(remainder ^ bytes[at]) & 0xff];
  return ~remainder;
}

}  // namespace hartwood
