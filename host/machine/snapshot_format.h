// SPDX-License-Identifier: Apache-2.0
// The file of a snapshot: a head, then chunks of packed pages. docs/snapshot.md has the layout, byte by byte.
//
// The head says everything but the content of memory and disks, so that a machine can be made of it while the chunks
// are still on their way, in any order. It is written last, when the lengths of the packed chunks are known, and comes
// first. Packing is the embedder's: raw DEFLATE [RFC 1951], which each platform has. Nothing in a head that parse()
// returned needs another check; what a chunk unpacks to is checked by its checksum.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

inline constexpr u32 kSnapshotVersion = 1;
// The first byte is none of ASCII or UTF-8, and a transfer that changes line ends changes this.
inline constexpr std::array<u8, 8> kSnapshotMagic = {0x93, 'H', 'W', 'S', 'N', '\r', '\n', 0x1a};
// The head's beginning, by which an embedder makes room: offsets of its numbers, and its length. The configuration's
// text follows it at once.
inline constexpr size_t kSnapshotVersionAt = 8;     // u32
inline constexpr size_t kSnapshotHeadBytesAt = 12;  // u32: of the whole head
inline constexpr size_t kSnapshotChecksumAt = 16;   // u32: CRC-32 of the head from kSnapshotChecked on
inline constexpr size_t kSnapshotChecked = 20;
inline constexpr size_t kSnapshotConfigBytesAt = 20;  // u32
inline constexpr size_t kSnapshotDiskBytesAt = 24;    // u64: of all disks together
inline constexpr size_t kSnapshotPrefixBytes = 32;
inline constexpr size_t kSnapshotMaxHeadBytes = size_t{64} << 20;
inline constexpr u32 kSnapshotMaxChunkPages = 256;  // 1 MiB
inline constexpr u32 kSnapshotMaxDisks = 4;

using SnapshotId = std::array<u8, 16>;

// Pages `first` to `first` + `count` - 1 of a chunk's region.
struct PageRun {
  u32 first = 0;
  u32 count = 0;
};

// Up to kSnapshotMaxChunkPages pages of one region, packed together.
struct SnapshotChunk {
  static constexpr u16 kRam = 0;  // region of guest RAM; disk n is region n + 1
  u16 region = kRam;
  u64 offset = 0;        // in the file
  u32 packed_bytes = 0;  // 0: the pages are zero, and nothing is stored
  u32 checksum = 0;      // CRC-32 of the unpacked bytes
  std::vector<PageRun> runs;
  u32 pages() const;
};

struct SnapshotHead {
  SnapshotId id{};
  SnapshotId parent{};  // of an increment, which has only the pages that were written since then; else zero
  std::string config;   // JSON, as parse_config takes it
  std::string notes;    // the embedder's, JSON: what it wants to know before the machine runs
  std::vector<u8> state;
  u64 ram_bytes = 0;
  std::vector<u64> disk_bytes;
  std::vector<SnapshotChunk> chunks;  // in the order of the file
  u64 file_bytes = 0;

  bool is_increment() const { return parent != SnapshotId{}; }

  // Sets offset and file_bytes, and returns the head's bytes.
  std::vector<u8> write();
  // `bytes`: the file's first snapshot_head_bytes() bytes. Refuses what is damaged, cut off, impossible or newer.
  static Result<SnapshotHead> parse(std::span<const u8> bytes);
};

// The length of the head that begins with these kSnapshotPrefixBytes bytes; refuses what is no snapshot, or a newer
// one.
Result<size_t> snapshot_head_bytes(std::span<const u8> prefix);

}  // namespace hartwood
