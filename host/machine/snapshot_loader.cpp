// SPDX-License-Identifier: Apache-2.0
#include "machine/snapshot_loader.h"

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "base/crc32.h"

namespace hartwood {

SnapshotLoader::SnapshotLoader(Machine& machine, const SnapshotHead& head)
    : machine_(machine),
      head_(head),
      placed_(head.chunks.size()),
      left_(static_cast<u32>(head.chunks.size())),
      wanted_(new Atomic<u32>[head.chunks.size()]) {
  fits_ = head.ram_bytes == machine.memory().size() && head.disk_bytes.size() == machine.disk_count();
  for (u32 i = 0; fits_ && i < machine.disk_count(); i++)
    fits_ = head.disk_bytes[i] == machine.disk(i).backend().size();
}

void SnapshotLoader::expect() {
  if (!fits_) return;  // place() says so
  GuestMemory& memory = machine_.memory();
  chunk_of_.assign(memory.page_count(), kNone);
  for (u32 index = 0; index < head_.chunks.size(); index++) {
    if (head_.chunks[index].region != SnapshotChunk::kRam || placed_[index]) continue;
    for (const PageRun& run : head_.chunks[index].runs) {
      for (u32 page = run.first; page < run.first + run.count; page++) {
        chunk_of_[page] = index;
        memory.set_page_state(page, kPageAbsent);
      }
    }
  }
  expecting_ = true;
  memory.expect_pages(*this);
}

void SnapshotLoader::want(u64 page) {
  const u32 chunk = chunk_of_[page];
  // First what, then the count: who reads the count and then looks finds it.
  u32 seen = kNobody;
  if (!wanted_[chunk].compare_exchange(seen, kSomebody)) return;
  wanted_word_.fetch_add(1);
  wanted_word_.notify();
}

u32 SnapshotLoader::wanted() {
  for (u32 index = 0; index < head_.chunks.size(); index++) {
    u32 seen = wanted_[index].load();
    if (seen == kSomebody && wanted_[index].compare_exchange(seen, kTold) && !placed_[index]) return index + 1;
  }
  return 0;
}

Status SnapshotLoader::place(u32 index, std::span<const u8> bytes) {
  if (!fits_) return Error{"the snapshot is of a machine with other memory or disks"};
  if (index >= head_.chunks.size()) return Error{"the snapshot has no such chunk"};
  if (placed_[index]) return {};
  const SnapshotChunk& chunk = head_.chunks[index];
  const bool zero = chunk.packed_bytes == 0;
  if (zero ? !bytes.empty() : bytes.size() != chunk.pages() * kPageBytes)
    return errorf("the snapshot is damaged: chunk %u has the wrong length", index);
  if (!zero && crc32(bytes) != chunk.checksum)
    return errorf("the snapshot is damaged: the checksum of chunk %u is wrong", index);
  size_t done = 0;
  GuestMemory& memory = machine_.memory();
  for (const PageRun& run : chunk.runs) {
    const u64 offset = u64{run.first} << kPageShift;
    const u64 size = u64{run.count} << kPageShift;
    if (chunk.region == SnapshotChunk::kRam) {
      if (zero)
        std::memset(memory.ram() + offset, 0, size);
      else
        std::memcpy(memory.ram() + offset, bytes.data() + done, size);
      for (u32 page = run.first; page < run.first + run.count; page++) {
        memory.set_page_state(page, kPageUsed);
        if (expecting_) memory.clear_page_state(page, kPageAbsent);
      }
    } else {
      VirtioBlock& disk = machine_.disk(chunk.region - 1u);
      const u64 there = std::min(size, disk.backend().size() - offset);
      // A run of zero pages may be as long as the disk: piece by piece.
      static constexpr u8 kZeroes[kPageBytes] = {};
      for (u64 at = 0; at < there;) {
        const u64 piece = zero ? std::min(there - at, kPageBytes) : there;
        const std::span<const u8> content = zero ? std::span(kZeroes).first(piece) : bytes.subspan(done, piece);
        if (!disk.backend().restore(offset + at, content))
          return errorf("disk %u could not be written", chunk.region - 1u);
        at += piece;
      }
    }
    done += size;
  }
  placed_[index] = true;
  left_--;
  if (expecting_) {
    memory.pages_arrived();
    if (left_ == 0) memory.all_pages_arrived();
  }
  return {};
}

}  // namespace hartwood
