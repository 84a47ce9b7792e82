// SPDX-License-Identifier: Apache-2.0
// Puts the chunks of a snapshot into a machine that restore() was called for, before it runs or while it runs:
//
//   eager   place() for every chunk, then note_restored(); for increments one loader after the other, oldest first.
//   lazily  expect(); the machine may run, and an access to a page that is not here waits. Whoever brings chunks asks
//           wanted() for what is waited for, and otherwise brings them in the file's order.
//
// place() checks what it is given, so that a damaged chunk is an error and never a wrong page.
#pragma once

#include <memory>

#include "machine/machine.h"
#include "machine/snapshot_format.h"

namespace hartwood {

class SnapshotLoader final : public PageSource {
 public:
  // Both outlive it; a machine that expects pages outlives it only after all were placed.
  SnapshotLoader(Machine& machine, const SnapshotHead& head);

  // Marks the pages of all chunks of RAM absent. Before the machine runs, and on a machine without increments.
  void expect();
  // `bytes`: the chunk as it was unpacked. Refuses all chunks of a machine with other memory or disks. One caller at a
  // time. Placing one twice changes nothing.
  Status place(u32 index, std::span<const u8> bytes);
  bool placed(u32 index) const { return placed_[index]; }
  bool complete() const { return left_ == 0; }

  // A chunk that somebody waits for, as its index plus 1; 0: none. Tells of each once. For the one that calls place().
  u32 wanted();
  // Counted, and notified, whenever a chunk is wanted.
  Atomic<u32>& wanted_word() { return wanted_word_; }

  // PageSource
  void want(u64 page) override;

 private:
  Machine& machine_;
  const SnapshotHead& head_;
  std::vector<bool> placed_;
  u32 left_;
  bool fits_;  // the machine has this memory and these disks
  bool expecting_ = false;
  static constexpr u32 kNone = ~u32{0};
  std::vector<u32> chunk_of_;  // by page of RAM
  enum : u32 { kNobody, kSomebody, kTold };
  std::unique_ptr<Atomic<u32>[]> wanted_;  // by chunk: whether somebody has waited for it
  Atomic<u32> wanted_word_{0};
};

}  // namespace hartwood
