// SPDX-License-Identifier: Apache-2.0
// Snapshots that stay in memory. Packing is left out: a chunk's packed bytes are its bytes.
#pragma once

#include <set>
#include <vector>

#include "machine/snapshot_loader.h"
#include "machine/snapshot_writer.h"

namespace hartwood::test {

struct Saved {
  std::vector<u8> head_bytes;
  std::vector<std::vector<u8>> chunks;  // empty: zero pages
  SnapshotHead head;

  // The pages of a region that are in it.
  std::set<u32> pages(u16 region = SnapshotChunk::kRam, bool zero_only = false) const {
    std::set<u32> all;
    for (const SnapshotChunk& chunk : head.chunks) {
      if (chunk.region != region || (zero_only && chunk.packed_bytes != 0)) continue;
      for (const PageRun& run : chunk.runs) {
        for (u32 i = 0; i < run.count; i++) all.insert(run.first + i);
      }
    }
    return all;
  }
};

inline Result<Saved> save(Machine& machine, const SnapshotOptions& options = {}) {
  SnapshotWriter writer(machine);
  const Status begun = writer.begin(options);
  if (!begun) return begun.error();
  Saved saved;
  for (u32 i = 0; i < writer.chunk_count(); i++) {
    const auto bytes = writer.chunk(i);
    if (!bytes) return bytes.error();
    saved.chunks.emplace_back(bytes->begin(), bytes->end());
    writer.packed(i, static_cast<u32>(bytes->size()));
  }
  saved.head_bytes = writer.head();
  auto head = SnapshotHead::parse(saved.head_bytes);
  if (!head) return head.error();
  HW_CHECK(head->id == writer.id() && machine.last_snapshot() == writer.id(), "id");
  saved.head = std::move(*head);
  return saved;
}
inline Result<Saved> save_increment(Machine& machine) {
  SnapshotOptions options;
  options.parent = machine.last_snapshot();
  return save(machine, options);
}

inline Status place_all(Machine& machine, const Saved& saved) {
  SnapshotLoader loader(machine, saved.head);
  for (u32 i = 0; i < saved.chunks.size(); i++) {
    const Status placed = loader.place(i, saved.chunks[i]);
    if (!placed) return placed;
  }
  return loader.complete() ? Status() : Status(Error{"chunks are missing"});
}
// As restore_machine() does it with files.
inline Status load(Machine& machine, const std::vector<const Saved*>& chain) {
  const Status restored = machine.restore(chain.back()->head.state);
  if (!restored) return restored;
  for (const Saved* saved : chain) {
    const Status placed = place_all(machine, *saved);
    if (!placed) return placed;
  }
  machine.note_snapshot(chain.back()->head.id);
  return {};
}

}  // namespace hartwood::test
