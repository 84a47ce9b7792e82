// SPDX-License-Identifier: Apache-2.0
// Compressed debug sections, decompressed by zlib.
#include "debug/inflate_native.h"

#include "debug/symbolizer.h"
#include "fixtures.h"

namespace hartwood {
namespace {

using test::Loaded;

TEST(Inflate, CompressedFilesSayTheSame) {
  Loaded packed("compressed.elf"), plain("dwarf5.elf");
  ASSERT_TRUE(inflate_sections(packed.elf).ok());
  for (const char* name : {".debug_info", ".debug_line", ".debug_abbrev"}) {
    const Result<std::span<const u8>> a = packed.elf.contents(name), b = plain.elf.contents(name);
    ASSERT_TRUE(a.ok() && b.ok()) << name;
    EXPECT_EQ(a->size(), b->size()) << name;
  }
  const u64 leaf = packed.address("mark_leaf");
  Symbolizer one, other;
  ASSERT_TRUE(one.add("p", std::move(packed.elf), 0).ok() && other.add("p", std::move(plain.elf), 0).ok());
  EXPECT_EQ(one.symbolize(Va(leaf)).text(Va(leaf)), other.symbolize(Va(leaf)).text(Va(leaf)));
  EXPECT_EQ(one.symbolize(Va(leaf)).frames.size(), 3u);
}

TEST(Inflate, DamageLeavesASectionUnread) {
  Loaded packed("compressed.elf");
  const ElfFile::Compressed first = packed.elf.compressed().at(0);
  const auto damaged = [&](size_t at, u8 value) {
    std::vector<u8> bytes = packed.bytes;
    bytes[static_cast<size_t>(first.stream.data() - packed.bytes.data()) + at] = value;
    Result<ElfFile> elf = ElfFile::read(bytes);
    EXPECT_TRUE(elf.ok());
    const Status done = inflate_sections(*elf);
    EXPECT_FALSE(elf->contents(first.section).ok());
    EXPECT_TRUE(elf->contents(".debug_line").ok()) << "the others are read all the same";
    return done.ok();
  };
  EXPECT_FALSE(damaged(0, 0xff)) << "not zlib";
  EXPECT_FALSE(damaged(first.stream.size() - 1, static_cast<u8>(~first.stream.back()))) << "another checksum";
  EXPECT_TRUE(damaged(static_cast<size_t>(-24), 9)) << "an unknown compression is nothing to try";
  EXPECT_FALSE(damaged(static_cast<size_t>(-24), 2)) << "Zstandard";
  EXPECT_TRUE(damaged(static_cast<size_t>(-10), 0xff)) << "a length that no compression reaches";
}

}  // namespace
}  // namespace hartwood
