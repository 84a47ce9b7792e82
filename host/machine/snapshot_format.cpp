// SPDX-License-Identifier: Apache-2.0
#include "machine/snapshot_format.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/bits.h"
#include "base/check.h"
#include "base/crc32.h"
#include "memory/guest_memory.h"

namespace hartwood {
namespace {

constexpr const char* kDamaged = "the snapshot is damaged: ";

class Out {
 public:
  template <class T>
  void put(T value) {
    const size_t at = bytes.size();
    bytes.resize(at + sizeof(T));
    store_le(bytes.data() + at, value);
  }
  void put_bytes(std::span<const u8> data) { bytes.insert(bytes.end(), data.begin(), data.end()); }
  void put_text(const std::string& text) { put_bytes({reinterpret_cast<const u8*>(text.data()), text.size()}); }
  std::vector<u8> bytes;
};

// Reads in order; behind the end there are zeroes, and `bad`.
class In {
 public:
  explicit In(std::span<const u8> bytes) : bytes_(bytes) {}
  template <class T>
  T get() {
    const std::span<const u8> data = take(sizeof(T));
    return data.empty() ? T{} : load_le<T>(data.data());
  }
  std::span<const u8> take(size_t size) {
    if (size > bytes_.size() - at_) {
      bad = true;
      return {};
    }
    const std::span<const u8> data = bytes_.subspan(at_, size);
    at_ += size;
    return data;
  }
  std::string text(size_t size) {
    const std::span<const u8> data = take(size);
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }
  bool at_end() const { return at_ == bytes_.size(); }
  size_t left() const { return bytes_.size() - at_; }
  bool bad = false;

 private:
  std::span<const u8> bytes_;
  size_t at_ = 0;
};

u64 pages_of(u64 bytes) { return (bytes + kPageBytes - 1) >> kPageShift; }

// Whether each run is of `pages` pages that exist, and no page is in two. Takes room by the number of runs, of which a
// short head has few, and not by the pages that it speaks of.
bool apart(std::vector<PageRun> runs, u64 pages) {
  std::sort(runs.begin(), runs.end(), [](const PageRun& a, const PageRun& b) { return a.first < b.first; });
  u64 end = 0;
  for (const PageRun& run : runs) {
    if (run.count == 0 || run.first < end || run.first >= pages || run.count > pages - run.first) return false;
    end = u64{run.first} + run.count;
  }
  return true;
}

}  // namespace

u32 SnapshotChunk::pages() const {
  u32 sum = 0;
  for (const PageRun& run : runs) sum += run.count;
  return sum;
}

std::vector<u8> SnapshotHead::write() {
  HW_CHECK(disk_bytes.size() <= kSnapshotMaxDisks, "disks of a snapshot");
  Out out;
  out.put_bytes(kSnapshotMagic);
  out.put(kSnapshotVersion);
  out.put(u32{0});  // the head's length and checksum, below
  out.put(u32{0});
  out.put(static_cast<u32>(config.size()));
  out.put(std::accumulate(disk_bytes.begin(), disk_bytes.end(), u64{0}));
  out.put_text(config);
  out.put_bytes(id);
  out.put_bytes(parent);
  out.put(ram_bytes);
  out.put(static_cast<u32>(disk_bytes.size()));
  for (u64 bytes : disk_bytes) out.put(bytes);
  out.put(static_cast<u32>(notes.size()));
  out.put(static_cast<u32>(state.size()));
  out.put(static_cast<u32>(chunks.size()));
  out.put_text(notes);
  out.put_bytes(state);
  for (const SnapshotChunk& chunk : chunks) {
    out.put(chunk.region);
    out.put(static_cast<u16>(chunk.runs.size()));
    out.put(chunk.packed_bytes);
    out.put(chunk.checksum);
    for (const PageRun& run : chunk.runs) {
      out.put(run.first);
      out.put(run.count);
    }
  }
  HW_CHECK(out.bytes.size() <= kSnapshotMaxHeadBytes, "head of a snapshot");
  const u32 size = static_cast<u32>(out.bytes.size());
  store_le(out.bytes.data() + kSnapshotHeadBytesAt, size);
  store_le(out.bytes.data() + kSnapshotChecksumAt, crc32(std::span(out.bytes).subspan(kSnapshotChecked)));
  file_bytes = size;
  for (SnapshotChunk& chunk : chunks) {
    chunk.offset = file_bytes;
    file_bytes += chunk.packed_bytes;
  }
  return std::move(out.bytes);
}

Result<size_t> snapshot_head_bytes(std::span<const u8> prefix) {
  if (prefix.size() < kSnapshotPrefixBytes ||
      std::memcmp(prefix.data(), kSnapshotMagic.data(), sizeof kSnapshotMagic) != 0)
    return Error{"this is no snapshot of a machine"};
  In in(prefix.subspan(kSnapshotVersionAt));
  const u32 version = in.get<u32>(), size = in.get<u32>();
  if (version > kSnapshotVersion)
    return errorf("the snapshot has format %u, and this Hartwood reads up to %u; use a newer one", version,
                  kSnapshotVersion);
  if (version == 0 || size < kSnapshotPrefixBytes || size > kSnapshotMaxHeadBytes)
    return errorf("%sits beginning makes no sense", kDamaged);
  return size_t{size};
}

Result<SnapshotHead> SnapshotHead::parse(std::span<const u8> bytes) {
  const Result<size_t> size = snapshot_head_bytes(bytes);
  if (!size) return size.error();
  if (bytes.size() < *size) return errorf("%sit is cut off", kDamaged);
  bytes = bytes.first(*size);
  if (load_le<u32>(bytes.data() + kSnapshotChecksumAt) != crc32(bytes.subspan(kSnapshotChecked)))
    return errorf("%sthe checksum of its head is wrong", kDamaged);
  const auto impossible = [] { return errorf("%sits head contradicts itself", kDamaged); };
  In in(bytes.subspan(kSnapshotPrefixBytes));
  SnapshotHead head;
  head.config = in.text(load_le<u32>(bytes.data() + kSnapshotConfigBytesAt));
  for (u8& byte : head.id) byte = in.get<u8>();
  for (u8& byte : head.parent) byte = in.get<u8>();
  head.ram_bytes = in.get<u64>();
  const u32 disks = in.get<u32>();
  constexpr u64 kMostBytes = u64{1} << 43;  // page numbers have 32 bits
  if (disks > kSnapshotMaxDisks || !is_power_of_two(head.ram_bytes) || head.ram_bytes < kMinRamBytes ||
      head.ram_bytes > kMaxRamBytes)
    return impossible();
  for (u32 i = 0; i < disks; i++) {
    head.disk_bytes.push_back(in.get<u64>());
    if (head.disk_bytes.back() > kMostBytes) return impossible();
  }
  const u64 together = std::accumulate(head.disk_bytes.begin(), head.disk_bytes.end(), u64{0});
  if (together != load_le<u64>(bytes.data() + kSnapshotDiskBytesAt)) return impossible();
  const u32 notes_bytes = in.get<u32>(), state_bytes = in.get<u32>();
  const u32 chunk_count = in.get<u32>();
  head.notes = in.text(notes_bytes);
  const std::span<const u8> state = in.take(state_bytes);
  head.state.assign(state.begin(), state.end());
  constexpr size_t kLeastChunkBytes = 20;
  if (in.bad || chunk_count > in.left() / kLeastChunkBytes) return impossible();
  std::vector<std::vector<PageRun>> all_runs(disks + 1);  // by region
  head.file_bytes = *size;
  for (u32 i = 0; i < chunk_count; i++) {
    SnapshotChunk chunk;
    chunk.region = in.get<u16>();
    const u32 runs = in.get<u16>();
    chunk.packed_bytes = in.get<u32>();
    chunk.checksum = in.get<u32>();
    if (in.bad || chunk.region > disks || runs == 0 || runs > in.left() / sizeof(PageRun)) return impossible();
    for (u32 run = 0; run < runs; run++) {
      const u32 first = in.get<u32>();
      chunk.runs.push_back({first, in.get<u32>()});
    }
    all_runs[chunk.region].insert(all_runs[chunk.region].end(), chunk.runs.begin(), chunk.runs.end());
    u64 count = 0;
    for (const PageRun& run : chunk.runs) count += run.count;
    // DEFLATE makes nothing much longer than it was.
    constexpr u64 kMostOverhead = 1024;
    if (chunk.packed_bytes != 0 &&
        (count > kSnapshotMaxChunkPages || chunk.packed_bytes > count * kPageBytes + kMostOverhead))
      return impossible();
    chunk.offset = head.file_bytes;
    head.file_bytes += chunk.packed_bytes;
    head.chunks.push_back(std::move(chunk));
  }
  if (in.bad || !in.at_end()) return impossible();
  for (u32 region = 0; region <= disks; region++) {
    const u64 bytes = region == SnapshotChunk::kRam ? head.ram_bytes : head.disk_bytes[region - 1];
    if (!apart(std::move(all_runs[region]), pages_of(bytes))) return impossible();
  }
  return head;
}

}  // namespace hartwood
