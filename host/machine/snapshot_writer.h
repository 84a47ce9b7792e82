// SPDX-License-Identifier: Apache-2.0
// Makes the file of a snapshot from a machine that stands still:
//
//   begin(); for each chunk: pack what chunk(i) returns and tell packed(i); the file is head(), then the packed chunks.
//
// Between begin() and the last chunk() nothing of the machine may run or change. From begin() on, what is written is
// dirty with respect to this snapshot, whatever becomes of its file: the next increment must name it as its parent.
// Pages that are zero are not in the file (in an increment they are, as chunks without bytes).
#pragma once

#include "machine/machine.h"
#include "machine/snapshot_format.h"

namespace hartwood {

struct SnapshotOptions {
  std::string notes;       // for SnapshotHead::notes
  SnapshotId parent{};     // an increment to this snapshot; else zero
  SnapshotId id{};         // zero: a new one
  std::vector<u32> order;  // pages of RAM that come first, in this order; others follow in theirs
  // Of each chunk, 1 to kSnapshotMaxChunkPages. Small enough that one that is waited for is there soon, large enough to
  // pack well.
  u32 chunk_pages = 64;
};

class SnapshotWriter {
 public:
  explicit SnapshotWriter(Machine& machine) : machine_(machine) {}

  // Fails where an increment was asked for and its parent is not the machine's last snapshot.
  Status begin(const SnapshotOptions& options);
  u32 chunk_count() const { return static_cast<u32>(head_.chunks.size()); }
  // The bytes of a chunk, until the next call; empty: its pages are zero, and there is nothing to pack. Or a disk could
  // not be read.
  Result<std::span<const u8>> chunk(u32 index);
  void packed(u32 index, u32 bytes) { head_.chunks[index].packed_bytes = bytes; }
  // After all.
  std::vector<u8> head() { return head_.write(); }
  const SnapshotId& id() const { return head_.id; }

 private:
  bool page_bytes(u16 region, u32 page, std::span<u8> to);
  void add_pages(u16 region, const std::vector<u32>& pages, bool zero);
  Status scan_ram(const std::vector<u32>& order);
  Status scan_disk(u32 index);

  Machine& machine_;
  SnapshotHead head_;
  u32 chunk_pages_ = 0;
  std::vector<u8> buffer_;
};

}  // namespace hartwood
