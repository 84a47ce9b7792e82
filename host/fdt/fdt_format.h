// SPDX-License-Identifier: Apache-2.0
// The numbers of a flattened device tree (DTB) and its big-endian words, shared by the builder and the
// reader. [devicetree: Flattened Devicetree (DTB) Format], version 17. Pure functions, any thread.
#pragma once

#include <vector>

#include "base/bits.h"
#include "base/types.h"

namespace hartwood::fdt {

inline constexpr u32 kMagic = 0xd00d'feed;
inline constexpr u32 kVersion = 17;
inline constexpr u32 kLastCompatibleVersion = 16;
inline constexpr u32 kHeaderBytes = 40;
inline constexpr u32 kReservationBytes = 16;

// Offsets of the header's words, in bytes.
inline constexpr u32 kAtMagic = 0;
inline constexpr u32 kAtTotalSize = 4;
inline constexpr u32 kAtStructure = 8;
inline constexpr u32 kAtStrings = 12;
inline constexpr u32 kAtReservations = 16;
inline constexpr u32 kAtVersion = 20;
inline constexpr u32 kAtLastCompatible = 24;
inline constexpr u32 kAtBootHart = 28;
inline constexpr u32 kAtStringsBytes = 32;
inline constexpr u32 kAtStructureBytes = 36;

// Tokens of the structure block.
inline constexpr u32 kBeginNode = 1;
inline constexpr u32 kEndNode = 2;
inline constexpr u32 kProperty = 3;
inline constexpr u32 kNop = 4;
inline constexpr u32 kEnd = 9;

// Deepest node, and largest file, that the reader takes and the builder makes. The kernel itself takes 2 MiB.
inline constexpr u32 kMaxDepth = 64;
inline constexpr u32 kMaxTreeBytes = u32{2} << 20;

inline u32 load_be32(const u8* from) { return byteswap32(load_le<u32>(from)); }
inline u64 load_be64(const u8* from) { return byteswap64(load_le<u64>(from)); }
inline void store_be32(u8* to, u32 value) { store_le(to, byteswap32(value)); }
inline void append_be32(std::vector<u8>& to, u32 value) {
  to.resize(to.size() + 4);
  store_be32(to.data() + to.size() - 4, value);
}
inline void append_be64(std::vector<u8>& to, u64 value) {
  append_be32(to, static_cast<u32>(value >> 32));
  append_be32(to, static_cast<u32>(value));
}

}  // namespace hartwood::fdt
