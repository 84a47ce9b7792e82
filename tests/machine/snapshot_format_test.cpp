// SPDX-License-Identifier: Apache-2.0
// Heads of snapshots: what write() makes parse() reads; whatever was cut off, changed or made up is refused with an
// error, or is a head that contradicts itself nowhere.
#include "machine/snapshot_format.h"

#include <gtest/gtest.h>

#include <set>

#include "base/bits.h"
#include "base/crc32.h"
#include "memory/guest_memory.h"

namespace hartwood::test {
namespace {

constexpr u64 kDiskBytes = (u64{1} << 20) + 512;
constexpr size_t kVersionAt = 8, kChecksumAt = 16, kChecked = 20;

SnapshotHead sample() {
  SnapshotHead head;
  for (size_t i = 0; i < head.id.size(); i++) head.id[i] = static_cast<u8>(i + 1);
  head.config = R"({"harts":2,"memory":64})";
  head.notes = R"({"title":"a machine"})";
  for (u8 i = 0; i < 50; i++) head.state.push_back(static_cast<u8>(i * 5));
  head.ram_bytes = kMinRamBytes;
  head.disk_bytes = {kDiskBytes, 4096};
  head.chunks = {{SnapshotChunk::kRam, 0, 900, 0x1111, {{5, 3}, {20, 1}}},
                 {SnapshotChunk::kRam, 0, 70, 0x2222, {{0, 1}, {16383, 1}}},
                 {SnapshotChunk::kRam, 0, 0, 0, {{100, 1000}}},
                 {1, 0, 4000, 0x3333, {{256, 1}, {2, 2}}},
                 {1, 0, 0, 0, {{10, 200}}},
                 {2, 0, 5, 0x4444, {{0, 1}}}};
  return head;
}

// What somebody may write who knows the format: the length and the checksum are right.
void seal(std::vector<u8>& bytes) {
  store_le(bytes.data() + kSnapshotHeadBytesAt, static_cast<u32>(bytes.size()));
  store_le(bytes.data() + kChecksumAt, crc32(std::span(bytes).subspan(kChecked)));
}

void expect_equal(const SnapshotHead& a, const SnapshotHead& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.parent, b.parent);
  EXPECT_EQ(a.config, b.config);
  EXPECT_EQ(a.notes, b.notes);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.ram_bytes, b.ram_bytes);
  EXPECT_EQ(a.disk_bytes, b.disk_bytes);
  EXPECT_EQ(a.file_bytes, b.file_bytes);
  ASSERT_EQ(a.chunks.size(), b.chunks.size());
  for (size_t i = 0; i < a.chunks.size(); i++) {
    const SnapshotChunk &one = a.chunks[i], &two = b.chunks[i];
    EXPECT_EQ(one.region, two.region);
    EXPECT_EQ(one.offset, two.offset);
    EXPECT_EQ(one.packed_bytes, two.packed_bytes);
    EXPECT_EQ(one.checksum, two.checksum);
    ASSERT_EQ(one.runs.size(), two.runs.size());
    for (size_t run = 0; run < one.runs.size(); run++) {
      EXPECT_EQ(one.runs[run].first, two.runs[run].first);
      EXPECT_EQ(one.runs[run].count, two.runs[run].count);
    }
  }
}

// What a loader relies on. Independent of parse(): page sets instead of sorted runs.
void expect_consistent(const SnapshotHead& head, size_t head_bytes) {
  ASSERT_TRUE(is_power_of_two(head.ram_bytes) && head.ram_bytes >= kMinRamBytes && head.ram_bytes <= kMaxRamBytes);
  ASSERT_LE(head.disk_bytes.size(), kSnapshotMaxDisks);
  std::vector<std::set<std::pair<u64, u64>>> seen(head.disk_bytes.size() + 1);
  u64 at = head_bytes;
  for (const SnapshotChunk& chunk : head.chunks) {
    ASSERT_LE(chunk.region, head.disk_bytes.size());
    const u64 bytes = chunk.region == SnapshotChunk::kRam ? head.ram_bytes : head.disk_bytes[chunk.region - 1];
    ASSERT_FALSE(chunk.runs.empty());
    u64 pages = 0;
    for (const PageRun& run : chunk.runs) {
      ASSERT_GT(run.count, 0u);
      ASSERT_LE(u64{run.first} + run.count, (bytes + kPageBytes - 1) / kPageBytes);
      pages += run.count;
      for (const auto& [first, end] : seen[chunk.region])
        ASSERT_TRUE(run.first >= end || u64{run.first} + run.count <= first);
      seen[chunk.region].insert({run.first, u64{run.first} + run.count});
    }
    ASSERT_EQ(pages, chunk.pages());
    if (chunk.packed_bytes != 0) {
      ASSERT_LE(pages, kSnapshotMaxChunkPages);
    }
    ASSERT_EQ(chunk.offset, at);
    at += chunk.packed_bytes;
  }
  ASSERT_EQ(head.file_bytes, at);
}

// Refused with words, or a head that another round changes nothing of.
void expect_refused_or_sound(const std::vector<u8>& bytes) {
  auto head = SnapshotHead::parse(bytes);
  if (!head) {
    ASSERT_FALSE(head.message().empty());
    return;
  }
  const size_t size = *snapshot_head_bytes(bytes);
  expect_consistent(*head, size);
  ASSERT_EQ(head->write(), std::vector<u8>(bytes.begin(), bytes.begin() + static_cast<i64>(size)));
}

TEST(SnapshotFormat, RoundTrip) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  EXPECT_EQ(*snapshot_head_bytes(std::span(bytes).first(kSnapshotPrefixBytes)), bytes.size());
  EXPECT_EQ(head.file_bytes, bytes.size() + 900 + 70 + 4000 + 5);
  EXPECT_EQ(head.chunks[0].offset, bytes.size());
  EXPECT_EQ(head.chunks[3].offset, bytes.size() + 970);
  auto read = SnapshotHead::parse(bytes);
  ASSERT_TRUE(read.ok()) << read.message();
  expect_equal(*read, head);
  expect_consistent(*read, bytes.size());
  EXPECT_FALSE(read->is_increment());
  EXPECT_EQ(read->chunks[2].pages(), 1000u);
  // The chunks that follow in the file are not looked at.
  std::vector<u8> file = bytes;
  file.resize(file.size() + 5000, 0xaa);
  ASSERT_TRUE(SnapshotHead::parse(file).ok());
  head.parent[3] = 9;
  read = SnapshotHead::parse(head.write());
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->is_increment());
}

TEST(SnapshotFormat, BareHead) {
  SnapshotHead head;
  head.ram_bytes = kMaxRamBytes;
  const std::vector<u8> bytes = head.write();
  const auto read = SnapshotHead::parse(bytes);
  ASSERT_TRUE(read.ok()) << read.message();
  EXPECT_EQ(read->file_bytes, bytes.size());
  EXPECT_TRUE(read->config.empty() && read->notes.empty() && read->state.empty() && read->chunks.empty());
}

// The length of the head does not depend on what becomes of its chunks: room for it can be left in a file.
TEST(SnapshotFormat, LengthIsKnownBeforeTheChunksArePacked) {
  SnapshotHead head = sample();
  const size_t before = head.write().size();
  for (SnapshotChunk& chunk : head.chunks) chunk.packed_bytes = chunk.checksum = 1;
  EXPECT_EQ(head.write().size(), before);
}

TEST(SnapshotFormat, EveryTruncationIsRefused) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  for (size_t size = 0; size < bytes.size(); size++) {
    const std::vector<u8> part(bytes.begin(), bytes.begin() + static_cast<i64>(size));
    EXPECT_FALSE(SnapshotHead::parse(part).ok()) << size;
    EXPECT_EQ(snapshot_head_bytes(part).ok(), size >= kSnapshotPrefixBytes) << size;
  }
  // Cut off, with a length and a checksum that fit.
  for (size_t size = kSnapshotPrefixBytes; size < bytes.size(); size++) {
    std::vector<u8> part(bytes.begin(), bytes.begin() + static_cast<i64>(size));
    seal(part);
    EXPECT_FALSE(SnapshotHead::parse(part).ok()) << size;
  }
  std::vector<u8> longer = bytes;
  longer.push_back(0);
  seal(longer);
  EXPECT_FALSE(SnapshotHead::parse(longer).ok());
}

TEST(SnapshotFormat, EveryChangedByteIsRefused) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  for (size_t at = 0; at < bytes.size(); at++) {
    for (u32 change = 1; change < 256; change++) {
      std::vector<u8> changed = bytes;
      changed[at] ^= static_cast<u8>(change);
      ASSERT_FALSE(SnapshotHead::parse(changed).ok()) << "byte " << at << " ^ " << change;
    }
  }
}

TEST(SnapshotFormat, EveryChangedByteUnderARightChecksumIsRefusedOrSound) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  for (size_t at = kSnapshotConfigBytesAt; at < bytes.size(); at++) {
    for (u32 change = 1; change < 256; change++) {
      std::vector<u8> changed = bytes;
      changed[at] ^= static_cast<u8>(change);
      seal(changed);
      expect_refused_or_sound(changed);
      if (HasFatalFailure()) FAIL() << "byte " << at << " ^ " << change;
    }
  }
}

TEST(SnapshotFormat, ManyChangesUnderARightChecksumAreRefusedOrSound) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  u64 random = 1;
  const auto below = [&](u64 n) {
    random = random * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
    return (random >> 33) % n;
  };
  for (int time = 0; time < 100'000; time++) {
    std::vector<u8> changed = bytes;
    for (u64 i = 0, count = 1 + below(4); i < count; i++) {
      // Sizes and chunks rather than texts.
      const size_t at = kSnapshotConfigBytesAt + below(bytes.size() - kSnapshotConfigBytesAt);
      changed[at] = static_cast<u8>(below(2) == 0 ? below(4) : below(256));
    }
    if (below(8) == 0) changed.resize(kSnapshotPrefixBytes + below(changed.size() - kSnapshotPrefixBytes + 1));
    seal(changed);
    expect_refused_or_sound(changed);
    if (HasFatalFailure()) FAIL() << "time " << time;
  }
}

TEST(SnapshotFormat, OtherFilesAndVersions) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  EXPECT_NE(snapshot_head_bytes({}).message().find("no snapshot"), std::string::npos);
  EXPECT_NE(SnapshotHead::parse(std::vector<u8>(1000, 'x')).message().find("no snapshot"), std::string::npos);

  std::vector<u8> newer = bytes;
  store_le(newer.data() + kVersionAt, kSnapshotVersion + 1);
  seal(newer);
  for (const std::string& message : {snapshot_head_bytes(newer).message(), SnapshotHead::parse(newer).message()}) {
    EXPECT_NE(message.find("format 2"), std::string::npos) << message;
    EXPECT_NE(message.find("newer"), std::string::npos) << message;
  }
  std::vector<u8> none = bytes;
  store_le(none.data() + kVersionAt, u32{0});
  seal(none);
  EXPECT_NE(SnapshotHead::parse(none).message().find("damaged"), std::string::npos);

  for (const u32 size : {u32{0}, u32{kSnapshotPrefixBytes - 1}, u32{kSnapshotMaxHeadBytes + 1}, ~u32{0}}) {
    std::vector<u8> wrong = bytes;
    store_le(wrong.data() + kSnapshotHeadBytesAt, size);
    EXPECT_FALSE(snapshot_head_bytes(wrong).ok()) << size;
  }
}

// One thing wrong in each, with a right checksum.
TEST(SnapshotFormat, ImpossibleHeadsAreRefused) {
  const auto refused = [](const char* what, auto change) {
    SnapshotHead head = sample();
    change(head);
    const auto read = SnapshotHead::parse(head.write());
    EXPECT_FALSE(read.ok()) << what;
    EXPECT_NE(read.message().find("contradicts itself"), std::string::npos) << what << ": " << read.message();
  };
  refused("no RAM", [](SnapshotHead& h) { h.ram_bytes = 0; });
  refused("little RAM", [](SnapshotHead& h) { h.ram_bytes = kMinRamBytes / 2; });
  refused("much RAM", [](SnapshotHead& h) { h.ram_bytes = kMaxRamBytes * 2; });
  refused("odd RAM", [](SnapshotHead& h) { h.ram_bytes += kPageBytes; });
  refused("a page of no RAM", [](SnapshotHead& h) { h.chunks[1].runs[1].first++; });
  refused("a run over the end of RAM", [](SnapshotHead& h) { h.chunks[2].runs[0] = {16383, 2}; });
  refused("a run around all page numbers", [](SnapshotHead& h) { h.chunks[2].runs[0] = {~u32{0}, 2}; });
  refused("a run of all page numbers", [](SnapshotHead& h) { h.chunks[2].runs[0] = {100, ~u32{0} - 99}; });
  refused("an empty run", [](SnapshotHead& h) { h.chunks[0].runs[0].count = 0; });
  refused("no run", [](SnapshotHead& h) { h.chunks[0].runs.clear(); });
  refused("a page twice in a chunk", [](SnapshotHead& h) { h.chunks[0].runs[1].first = 7; });
  refused("a page in two chunks", [](SnapshotHead& h) { h.chunks[1].runs[0].first = 5; });
  refused("a zero page with content", [](SnapshotHead& h) { h.chunks[2].runs[0] = {0, 21}; });
  refused("a chunk of a disk that there is not", [](SnapshotHead& h) { h.chunks[5].region = 3; });
  refused("a page behind a disk's end", [](SnapshotHead& h) { h.chunks[3].runs[0].first = 257; });
  refused("a page of an empty disk", [](SnapshotHead& h) { h.disk_bytes[1] = 0; });
  refused("too large a disk", [](SnapshotHead& h) { h.disk_bytes[1] = (u64{1} << 43) + 1; });
  refused("disks whose sizes wrap", [](SnapshotHead& h) { h.disk_bytes[1] = ~u64{0} - kDiskBytes; });
  refused("too long a packed chunk", [](SnapshotHead& h) { h.chunks[5].packed_bytes = 4096 + 1025; });
  refused("too many packed pages", [](SnapshotHead& h) {
    h.chunks[2].packed_bytes = 1;
    h.chunks[2].runs[0].count = kSnapshotMaxChunkPages + 1;
  });
}

// Numbers that write() does not let through, in the bytes.
TEST(SnapshotFormat, ImpossibleNumbersAreRefused) {
  SnapshotHead head = sample();
  const std::vector<u8> bytes = head.write();
  const size_t fixed = kSnapshotPrefixBytes + head.config.size();
  const size_t disks_at = fixed + 16 + 16 + 8, sizes_at = disks_at + 4 + 8 * 2, chunks_at = sizes_at + 8;
  ASSERT_EQ(load_le<u32>(bytes.data() + disks_at), 2u);
  ASSERT_EQ(load_le<u32>(bytes.data() + sizes_at), head.notes.size());
  ASSERT_EQ(load_le<u32>(bytes.data() + chunks_at), head.chunks.size());
  for (const size_t at : {kSnapshotConfigBytesAt, kSnapshotDiskBytesAt, disks_at, sizes_at, sizes_at + 4, chunks_at}) {
    for (const u32 value : {u32{0}, u32{1}, u32{5}, u32{0x7fff'ffff}, u32{0x8000'0000}, ~u32{0}}) {
      std::vector<u8> wrong = bytes;
      store_le(wrong.data() + at, value);
      seal(wrong);
      EXPECT_FALSE(SnapshotHead::parse(wrong).ok()) << at << ": " << value;
    }
  }
}

}  // namespace
}  // namespace hartwood::test
