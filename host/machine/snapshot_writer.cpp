// SPDX-License-Identifier: Apache-2.0
#include "machine/snapshot_writer.h"

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "base/crc32.h"

namespace hartwood {
namespace {

constexpr u32 kZeroChunkRuns = 4096;

bool is_zero(std::span<const u8> bytes) {
  for (size_t at = 0; at < bytes.size(); at += 8) {
    if (load_le<u64>(bytes.data() + at) != 0) return false;
  }
  return true;
}

void append_page(std::vector<PageRun>& runs, u32 page) {
  if (!runs.empty() && runs.back().first + runs.back().count == page)
    runs.back().count++;
  else
    runs.push_back({page, 1});
}

}  // namespace

Status SnapshotWriter::begin(const SnapshotOptions& options) {
  if (!machine_.booted()) return Error{"a machine that was not started has nothing to save"};
  if (machine_.shared().power.load() != kPowerOn) return Error{"the machine has ended"};
  head_ = {};
  head_.id = options.id;
  head_.parent = options.parent;
  if (head_.is_increment() && head_.parent != machine_.last_snapshot())
    return Error{"this machine's last snapshot is another one; an increment to this one is not possible"};
  head_.notes = options.notes;
  head_.config = describe_config(machine_.config());
  head_.ram_bytes = machine_.memory().size();
  head_.state = machine_.save_state();
  if (head_.id == SnapshotId{}) head_.id = machine_.new_snapshot_id(head_.state);
  chunk_pages_ = std::clamp(options.chunk_pages, u32{1}, kSnapshotMaxChunkPages);
  buffer_.resize(chunk_pages_ * kPageBytes);
  Status status = scan_ram(options.order);
  for (u32 disk = 0; status && disk < machine_.disk_count(); disk++) status = scan_disk(disk);
  if (status) machine_.note_snapshot(head_.id);
  return status;
}

void SnapshotWriter::add_pages(u16 region, const std::vector<u32>& pages, bool zero) {
  for (size_t at = 0; at < pages.size();) {
    SnapshotChunk chunk;
    chunk.region = region;
    for (u32 count = 0; at < pages.size() && (zero ? chunk.runs.size() < kZeroChunkRuns : count < chunk_pages_);
         count++)
      append_page(chunk.runs, pages[at++]);
    head_.chunks.push_back(std::move(chunk));
  }
}

Status SnapshotWriter::scan_ram(const std::vector<u32>& order) {
  const GuestMemory& memory = machine_.memory();
  const u64 count = memory.page_count();
  std::vector<bool> taken(count);
  std::vector<u32> first, others, zero;
  const auto look = [&](u32 page, std::vector<u32>& to) {
    if (page >= count || taken[page]) return;
    taken[page] = true;
    // The bytes of unused pages are not looked at: that would have the host provide them.
    if ((memory.page_state(page) & (head_.is_increment() ? kPageDirty : kPageDirty | kPageUsed)) == 0) return;
    if (!is_zero({memory.ram() + (u64{page} << kPageShift), kPageBytes}))
      to.push_back(page);
    else if (head_.is_increment())
      zero.push_back(page);
  };
  memory.require(Pa(kRamBase), memory.size());
  for (const u32 page : order) look(page, first);
  for (u32 page = 0; page < count; page++) look(page, others);
  add_pages(SnapshotChunk::kRam, first, false);
  add_pages(SnapshotChunk::kRam, others, false);
  add_pages(SnapshotChunk::kRam, zero, true);
  return {};
}

Status SnapshotWriter::scan_disk(u32 index) {
  VirtioBlock& disk = machine_.disk(index);
  head_.disk_bytes.push_back(disk.backend().size());
  const u16 region = static_cast<u16>(index + 1);
  std::vector<u32> pages, zero;
  u8 bytes[kPageBytes];
  for (u32 page = 0; page < disk.page_count(); page++) {
    if (head_.is_increment() && !disk.dirty(page)) continue;
    if (!page_bytes(region, page, bytes)) return errorf("disk %u could not be read", index);
    if (!is_zero(bytes))
      pages.push_back(page);
    else if (head_.is_increment())
      zero.push_back(page);
  }
  add_pages(region, pages, false);
  add_pages(region, zero, true);
  return {};
}

// A disk may end within a page: what is behind its end is zero.
bool SnapshotWriter::page_bytes(u16 region, u32 page, std::span<u8> to) {
  const u64 offset = u64{page} << kPageShift;
  if (region == SnapshotChunk::kRam) {
    std::memcpy(to.data(), machine_.memory().ram() + offset, kPageBytes);
    return true;
  }
  BlockBackend& backend = machine_.disk(region - 1u).backend();
  const u64 bytes = std::min(kPageBytes, backend.size() - offset);
  std::fill(to.begin(), to.end(), u8{0});
  return backend.read(offset, to.first(bytes));
}

Result<std::span<const u8>> SnapshotWriter::chunk(u32 index) {
  SnapshotChunk& chunk = head_.chunks[index];
  const u32 pages = chunk.pages();
  if (pages * kPageBytes > buffer_.size()) return std::span<const u8>();
  u8* to = buffer_.data();
  for (const PageRun& run : chunk.runs) {
    for (u32 page = run.first; page < run.first + run.count; page++, to += kPageBytes) {
      if (!page_bytes(chunk.region, page, {to, kPageBytes}))
        return errorf("disk %u could not be read", chunk.region - 1u);
    }
  }
  const std::span<const u8> bytes(buffer_.data(), pages * kPageBytes);
  // Zero pages are together in chunks of their own.
  if (is_zero(bytes)) return std::span<const u8>();
  chunk.checksum = crc32(bytes);
  return bytes;
}

}  // namespace hartwood
