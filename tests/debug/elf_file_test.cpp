// SPDX-License-Identifier: Apache-2.0
// Sections, symbols, build-ids and relocations of real files, and what is no such file.
#include "debug/elf_file.h"

#include "base/crc32.h"
#include "base/elf_format.h"
#include "debug/cursor.h"
#include "fixtures.h"

namespace hartwood {
namespace {

using test::Loaded;

TEST(Cursor, NumbersOfVariableLength) {
  const u8 bytes[] = {0x7f, 0xe5, 0x8e, 0x26, 0x7f, 0x80, 0x7f, 0xc0, 0xbb, 0x78, 0x80};
  Cursor cursor(bytes);
  EXPECT_EQ(cursor.uleb(), 127u);
  EXPECT_EQ(cursor.uleb(), 624485u);
  EXPECT_EQ(cursor.sleb(), -1);
  EXPECT_EQ(cursor.sleb(), -128);
  EXPECT_EQ(cursor.sleb(), -123456);
  EXPECT_TRUE(cursor.ok());
  EXPECT_EQ(cursor.uleb(), 0u) << "it has no end";
  EXPECT_FALSE(cursor.ok());
  EXPECT_EQ(cursor.get<u8>(), 0);

  // 64 bits in ten bytes, and bytes that add nothing.
  const u8 longest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x85, 0x80,
                        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
  Cursor wide(longest);
  EXPECT_EQ(wide.uleb(), ~u64{0});
  EXPECT_EQ(wide.uleb(), 5u);
  EXPECT_TRUE(wide.ok() && wide.at_end());
}

TEST(Cursor, NothingBehindTheEnd) {
  const u8 bytes[] = {'a', 'b', 0, 'c'};
  Cursor cursor(bytes);
  EXPECT_EQ(cursor.string(), "ab");
  EXPECT_EQ(cursor.string(), "");
  EXPECT_FALSE(cursor.ok());
  Cursor number(bytes, 1);
  EXPECT_EQ(number.get<u32>(), 0u);
  EXPECT_FALSE(number.ok());
  Cursor outside(bytes, 5);
  EXPECT_FALSE(outside.ok());
  Cursor skipping(bytes);
  skipping.skip(~u64{0});
  EXPECT_FALSE(skipping.ok());
  EXPECT_EQ(skipping.left(), 0u);
}

TEST(ElfFile, SectionsAndSymbols) {
  Loaded file("dwarf5.elf");
  EXPECT_EQ(file.elf.kind(), ElfFile::Kind::executable);
  const std::optional<u32> text = file.elf.find(".text");
  ASSERT_TRUE(text);
  EXPECT_TRUE(file.elf.sections()[*text].executable());
  EXPECT_FALSE(file.elf.find(".nothing"));
  const u64 outer = file.address("outer");
  EXPECT_EQ(file.elf.section_at(outer), text);
  EXPECT_FALSE(file.elf.section_at(0x10));

  const std::optional<ElfFile::Symbol> inside = file.elf.symbol_for(outer + 2);
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->name, "outer");
  EXPECT_EQ(inside->address, outer);
  EXPECT_TRUE(inside->function);
  // An object's name is for its data only.
  const std::optional<ElfFile::Symbol> data = file.elf.symbol_for(file.address("sink"));
  ASSERT_TRUE(data);
  EXPECT_EQ(data->name, "sink");
  EXPECT_FALSE(file.elf.symbol_named("out"));
  EXPECT_FALSE(file.elf.symbol_named(""));
}

TEST(ElfFile, BuildIdAndDebugLink) {
  Loaded file("dwarf5.elf"), stripped("stripped.elf"), split("split.debug"), linked("linked.elf");
  EXPECT_EQ(file.elf.build_id().size(), 20u);
  EXPECT_EQ(stripped.elf.build_id_text(), file.elf.build_id_text());
  EXPECT_EQ(split.elf.build_id_text(), file.elf.build_id_text());
  EXPECT_EQ(file.elf.build_id_text().size(), 40u);
  EXPECT_TRUE(linked.elf.build_id().empty());
  EXPECT_FALSE(file.elf.debug_link());
  ASSERT_TRUE(linked.elf.debug_link());
  EXPECT_EQ(linked.elf.debug_link()->file, "split.debug");
  EXPECT_EQ(linked.elf.debug_link()->crc, crc32(split.bytes));
  // Its .text is only in the other file.
  const std::optional<u32> text = split.elf.find(".text");
  ASSERT_TRUE(text);
  EXPECT_FALSE(split.elf.contents(*text).ok());
  EXPECT_TRUE(split.elf.contents(".text").ok());
}

TEST(ElfFile, ObjectsAreRelocatedToWhereTheyArePlaced) {
  Loaded file("module.o");
  EXPECT_EQ(file.elf.kind(), ElfFile::Kind::object);
  const std::optional<u32> text = file.elf.find(".text");
  ASSERT_TRUE(text);
  ASSERT_TRUE(file.elf.place(*text, 0xffff'ffff'0100'0000).ok());
  EXPECT_EQ(file.elf.section_at(0xffff'ffff'0100'0004), text);
  const u64 framed = file.address("framed");
  EXPECT_GE(framed, 0xffff'ffff'0100'0000);
  const Result<std::span<const u8>> lines = file.elf.contents(".debug_line");
  ASSERT_TRUE(lines.ok()) << lines.message();
  // Its first address is that of the section, and the bytes of the file are as they were.
  bool found = false;
  for (size_t at = 0; at + 8 <= lines->size(); at++) found |= load_le<u64>(lines->data() + at) == 0xffff'ffff'0100'0000;
  EXPECT_TRUE(found);
  const std::vector<u8> again = test::fixture("module.o");
  EXPECT_EQ(file.bytes, again);
  EXPECT_FALSE(file.elf.place(*text, 0).ok()) << "too late";
  Loaded program("dwarf5.elf");
  EXPECT_FALSE(program.elf.place(1, 0).ok());
}

TEST(ElfFile, EachKindOfRelocation) {
  // One section of 64 bytes, one symbol of value 0x40 in it, placed at 0x1000.
  struct Case {
    u32 type;
    std::vector<u8> before, after;
  };
  const Case cases[] = {
      {1, {0, 0, 0, 0}, {0x42, 0x10, 0, 0}},                                          // 32
      {2, {0, 0, 0, 0, 0, 0, 0, 0}, {0x42, 0x10, 0, 0, 0, 0, 0, 0}},                  // 64
      {33, {1}, {0x43}},                                                              // ADD8
      {34, {1, 1}, {0x43, 0x11}},                                                     // ADD16
      {35, {1, 0, 0, 1}, {0x43, 0x10, 0, 1}},                                         // ADD32
      {36, {1, 0, 0, 0, 0, 0, 0, 1}, {0x43, 0x10, 0, 0, 0, 0, 0, 1}},                 // ADD64
      {37, {0x43}, {1}},                                                              // SUB8
      {38, {0x43, 0x11}, {1, 1}},                                                     // SUB16
      {39, {0x42, 0x10, 0, 0}, {0, 0, 0, 0}},                                         // SUB32
      {40, {0, 0, 0, 0, 0, 0, 0, 1}, {0xbe, 0xef, 0xff, 0xff, 0xff, 0xff, 0xff, 0}},  // SUB64
      {52, {0xc3}, {0xc1}},                                                           // SUB6
      {53, {0xc0}, {0xc2}},                                                           // SET6
      {54, {0xff}, {0x42}},                                                           // SET8
      {55, {0xff, 0xff}, {0x42, 0x10}},                                               // SET16
      {56, {0xff, 0xff, 0xff, 0xff}, {0x42, 0x10, 0, 0}},                             // SET32
      {57, {0, 0, 0, 0}, {0x42, 0, 0, 0}},                                            // 32_PCREL
      {60, {0x80, 0x80, 0}, {0xc2, 0xa0, 0}},                                         // SET_ULEB128
      {61, {0xc3, 0xa0, 0}, {0x81, 0x80, 0}},                                         // SUB_ULEB128
      {51, {7}, {7}},                                                                 // RELAX
  };
  const auto make = [](u32 type, std::vector<u8> contents, u64 offset) {
    contents.resize(64);
    std::vector<u8> bytes;
    const auto append = [&](const auto& record) {
      const u8* from = reinterpret_cast<const u8*>(&record);
      bytes.insert(bytes.end(), from, from + sizeof record);
    };
    elf::FileHeader header{};
    const u8 ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    std::copy(std::begin(ident), std::end(ident), header.ident);
    header.type = elf::kTypeObject;
    header.machine = elf::kMachineRiscv;
    header.section_headers_at = 64 + 64 + 48 + 24;
    header.section_header_bytes = sizeof(elf::SectionHeader);
    header.section_header_count = 4;
    append(header);
    bytes.insert(bytes.end(), contents.begin(), contents.end());
    append(elf::Symbol{});
    append(elf::Symbol{0, 0x12, 0, 1, 0x40, 0});
    const u64 relocation[] = {offset, u64{1} << 32 | type, 2};
    append(relocation);
    append(elf::SectionHeader{});
    append(elf::SectionHeader{0, 1, 2, 0, 64, 64, 0, 0, 1, 0});
    append(elf::SectionHeader{0, 2, 0, 0, 128, 48, 0, 0, 8, 24});
    append(elf::SectionHeader{0, 4, 0, 0, 176, 24, 2, 1, 8, 24});
    return bytes;
  };
  for (const Case& each : cases) {
    const std::vector<u8> bytes = make(each.type, each.before, 0);
    Result<ElfFile> elf = ElfFile::read(bytes);
    ASSERT_TRUE(elf.ok()) << elf.message();
    ASSERT_TRUE(elf->place(1, 0x1000).ok());
    const Result<std::span<const u8>> contents = elf->contents(1);
    ASSERT_TRUE(contents.ok()) << each.type << ": " << contents.message();
    EXPECT_EQ(std::vector<u8>(contents->begin(), contents->begin() + static_cast<long>(each.after.size())), each.after)
        << each.type;
  }
  for (const auto& [type, offset] : {std::pair<u32, u64>{18, 0}, {2, 57}, {2, ~u64{0}}, {60, 64}}) {
    const std::vector<u8> bytes = make(type, {}, offset);
    Result<ElfFile> elf = ElfFile::read(bytes);
    ASSERT_TRUE(elf.ok());
    EXPECT_FALSE(elf->contents(1).ok()) << type << " at " << offset;
  }
}

TEST(ElfFile, CompressedSectionsAreForTheHost) {
  Loaded file("compressed.elf"), plain("dwarf5.elf");
  const Result<std::span<const u8>> before = file.elf.contents(".debug_info");
  ASSERT_FALSE(before.ok());
  EXPECT_EQ(before.message(), "section .debug_info is compressed and was not decompressed");
  const std::vector<ElfFile::Compressed> list = file.elf.compressed();
  ASSERT_FALSE(list.empty());
  EXPECT_EQ(list[0].algorithm, 1u);
  EXPECT_FALSE(file.elf.provide(list[0].section, std::vector<u8>(static_cast<size_t>(list[0].bytes) + 1)).ok());
  EXPECT_TRUE(file.elf.provide(list[0].section, std::vector<u8>(static_cast<size_t>(list[0].bytes), 5)).ok());
  EXPECT_EQ(file.elf.compressed().size(), list.size() - 1);
  const Result<std::span<const u8>> after = file.elf.contents(list[0].section);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->size(), list[0].bytes);
  EXPECT_EQ((*after)[0], 5);
  EXPECT_FALSE(file.elf.provide(*file.elf.find(".text"), {}).ok());
  EXPECT_TRUE(plain.elf.compressed().empty());
}

TEST(ElfFile, WhatIsNoSuchFileIsRefused) {
  const std::vector<u8> good = test::fixture("dwarf5.elf");
  const auto refused = [&](size_t at, u8 value, const char* message) {
    std::vector<u8> bytes = good;
    bytes[at] = value;
    const Result<ElfFile> read = ElfFile::read(bytes);
    ASSERT_FALSE(read.ok()) << message;
    EXPECT_EQ(read.message(), message);
  };
  refused(0, 'E', "not an ELF file");
  refused(4, 1, "not a 64-bit little-endian ELF file");
  refused(5, 2, "not a 64-bit little-endian ELF file");
  refused(16, 4, "an ELF file of type 4, not an executable, a library or an object");
  refused(0x3a, 63, "the ELF file's section headers are damaged or cut off");
  refused(0x2f, 1, "the ELF file's section headers are damaged or cut off");
  EXPECT_FALSE(ElfFile::read(std::span(good).first(63)).ok());
  EXPECT_FALSE(ElfFile::read(std::span(good).first(good.size() - 1)).ok());
  EXPECT_FALSE(ElfFile::read({}).ok());
}

}  // namespace
}  // namespace hartwood
