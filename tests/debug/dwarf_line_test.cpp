// SPDX-License-Identifier: Apache-2.0
// Line tables of versions 2 to 5, as compilers write them and byte by byte.
#include "debug/dwarf_line.h"

#include "fixtures.h"

namespace hartwood {
namespace {

using test::line_of;
using test::Loaded;

// All tables of a file, one behind the other.
std::vector<LineTable> tables_of(const DwarfSections& sections) {
  std::vector<LineTable> tables;
  for (u64 at = 0; at < sections.line.size(); at += 4 + load_le<u32>(sections.line.data() + at)) {
    Result<LineTable> table = LineTable::read(sections, at, 8, "/made");
    EXPECT_TRUE(table.ok()) << table.message();
    if (!table.ok()) break;
    tables.push_back(std::move(*table));
  }
  return tables;
}

TEST(DwarfLine, EveryVersion) {
  for (u16 version = 2; version <= 5; version++) {
    Loaded file("dwarf" + std::to_string(version) + ".elf");
    const std::vector<LineTable> tables = tables_of(DwarfSections::of(file.elf));
    ASSERT_GE(tables.size(), 3u);
    EXPECT_EQ(tables[0].version(), version);
    const struct {
      const char *symbol, *source, *text;
    } marks[] = {
        {"mark_leaf", "calls.h", "MARK(leaf)"},     {"mark_middle", "calls.c", "MARK(middle)"},
        {"mark_outer", "calls.c", "MARK(outer)"},   {"mark_cold", "calls.c", "MARK(cold)"},
        {"mark_second", "other.c", "MARK(second)"}, {"mark_by_hand", "start.S", "addi a0, a0, 1"},
    };
    for (const auto& mark : marks) {
      const u64 address = file.address(mark.symbol);
      unsigned known = 0;
      for (const LineTable& table : tables) {
        const std::optional<LineTable::Row> row = table.find(address);
        if (!row) continue;
        known++;
        EXPECT_EQ(row->line, line_of(mark.source, mark.text)) << mark.symbol;
        EXPECT_EQ(table.file(row->file), std::string("/made/fixture/") + mark.source);
        EXPECT_EQ(table.find(address + 1)->line, row->line) << "in the middle of the instruction";
      }
      EXPECT_EQ(known, 1u) << mark.symbol << " in version " << version;
    }
    for (const LineTable& table : tables) {
      u64 before = 0;
      for (const LineTable::Sequence& sequence : table.sequences()) {
        EXPECT_GE(sequence.low, before);
        EXPECT_LT(sequence.low, sequence.high);
        before = sequence.high;
        const auto rows = table.rows().subspan(sequence.first, sequence.rows);
        EXPECT_TRUE(rows.back().sequence_end);
        EXPECT_EQ(rows.back().address, sequence.high);
      }
      EXPECT_FALSE(table.find(before)) << "behind the last";
      EXPECT_FALSE(table.find(0));
      EXPECT_FALSE(table.find(~u64{0}));
    }
  }
}

// A table of version 3 or 5 with one file in one directory, and a program.
std::vector<u8> made(u16 version, const std::vector<u8>& program, u8 line_range = 10, u8 instruction = 2) {
  std::vector<u8> tail = {instruction};
  if (version >= 4) tail.push_back(1);
  const std::vector<u8> rest = {1, static_cast<u8>(-3), line_range, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
  tail.insert(tail.end(), rest.begin(), rest.end());
  const std::vector<u8> names = version >= 5 ? std::vector<u8>{1, 1, 8, 2, '/', 'd', 0,   'i', 0,  // directories
                                                               2, 1, 8, 2, 0xb, 2,   'a', 0,   0, 'b', 0, 1}  // files
                                             : std::vector<u8>{'i', 0, 0, 'a', 0, 0, 0, 0, 'b', 0, 1, 0, 0, 0};
  tail.insert(tail.end(), names.begin(), names.end());
  std::vector<u8> bytes(4);
  bytes.push_back(static_cast<u8>(version));
  bytes.push_back(0);
  if (version >= 5) bytes.insert(bytes.end(), {8, 0});
  bytes.insert(bytes.end(), {static_cast<u8>(tail.size()), 0, 0, 0});
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  bytes.insert(bytes.end(), program.begin(), program.end());
  bytes[0] = static_cast<u8>(bytes.size() - 4);
  bytes[1] = static_cast<u8>((bytes.size() - 4) >> 8);
  return bytes;
}

Result<LineTable> read(const std::vector<u8>& bytes) {
  DwarfSections sections;
  sections.line = bytes;
  return LineTable::read(sections, 0, 8, "/d");
}

const std::vector<u8> kSetAddress = {0, 9, 2, 0, 0x10, 0, 0, 0, 0, 0, 0};  // 0x1000
const std::vector<u8> kEnd = {0, 1, 1};
std::vector<u8> operator+(std::vector<u8> a, const std::vector<u8>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(DwarfLine, EveryOpcode) {
  for (const u16 version : {u16{3}, u16{5}}) {
    // clang-format off
    const std::vector<u8> program = kSetAddress + std::vector<u8>{
        3, 9,             // advance line: 10
        1,                // copy: 0x1000, line 10, file 1
        13 + 10 + 5,      // special: 1 instruction further, -3 + 5 lines: 0x1002, line 12
        4, 2,             // file 2
        6,                // not a statement
        2, 4,             // 4 instructions: 0x100a
        5, 7, 7, 10, 11, 12, 1,  // column, block, prologue, epilogue, instruction set: nothing of it changes the place
        1,                // 0x100a, line 12, file 2
        8,                // (255 - 13) / 10 = 24 instructions: 0x103a
        9, 4, 0,          // 4 bytes: 0x103e
        6, 3, 0x7d,       // a statement; 3 lines back
        1,                // 0x103e, line 9
        0, 3, 0x80, 1, 2, // an extended opcode of somebody else's
        1,                // 0x103e again: the last one counts
        2, 1} + kEnd;     // 0x1040
    // clang-format on
    const std::vector<u8> bytes = made(version, program);
    const Result<LineTable> table = read(bytes);
    ASSERT_TRUE(table.ok()) << table.message();
    ASSERT_EQ(table->sequences().size(), 1u);
    const struct {
      u64 address;
      u32 line, file;
      bool is_stmt;
    } wanted[] = {{0x1000, 10, 1, true},  {0x1001, 10, 1, true},  {0x1002, 12, 1, true}, {0x1009, 12, 1, true},
                  {0x100a, 12, 2, false}, {0x103d, 12, 2, false}, {0x103e, 9, 2, true},  {0x103f, 9, 2, true}};
    for (const auto& each : wanted) {
      const std::optional<LineTable::Row> row = table->find(each.address);
      ASSERT_TRUE(row) << each.address;
      EXPECT_EQ(row->line, each.line) << each.address;
      EXPECT_EQ(row->file, each.file) << each.address;
      EXPECT_EQ(row->is_stmt, each.is_stmt) << each.address;
    }
    EXPECT_FALSE(table->find(0xfff));
    EXPECT_FALSE(table->find(0x1040));
    // Version 5 counts files from 0, the others from 1; directory 0 is the unit's.
    EXPECT_EQ(table->file(1), version == 5 ? "/d/i/b" : "/d/a");
    EXPECT_EQ(table->file(version == 5 ? 0 : 2), version == 5 ? "/d/a" : "/d/i/b");
    EXPECT_EQ(table->file(version == 5 ? 2 : 0), "");
    EXPECT_EQ(table->file(~u64{0}), "");
  }
}

TEST(DwarfLine, SequencesInAnyOrderAndOverEachOther) {
  const auto sequence = [](u8 page, u8 lines, u8 instructions) {
    return std::vector<u8>{0, 9, 2, 0, page, 0, 0, 0, 0, 0, 0, 3, lines, 1, 2, instructions} + kEnd;
  };
  const Result<LineTable> table =
      read(made(3, sequence(0x30, 30, 4) + sequence(0x10, 10, 4) + sequence(0x10, 20, 8) + sequence(0x20, 5, 0)));
  ASSERT_TRUE(table.ok());
  ASSERT_EQ(table->sequences().size(), 2u) << "one is empty, one is inside another";
  EXPECT_EQ(table->find(0x1000)->line, 21u) << "the longer of two";
  EXPECT_EQ(table->find(0x3007)->line, 31u);
  EXPECT_FALSE(table->find(0x2000));
  EXPECT_FALSE(table->find(0x1010));
  // Addresses that fall are sorted, within their sequence.
  const Result<LineTable> fallen = read(
      made(3, kSetAddress +
                  std::vector<u8>{3, 1, 1, 2, 8, 3, 1, 1, 0, 9, 2, 4, 0x10, 0, 0, 0, 0, 0, 0, 3, 1, 1, 2, 20} + kEnd));
  ASSERT_TRUE(fallen.ok());
  EXPECT_EQ(fallen->find(0x1003)->line, 2u);
  EXPECT_EQ(fallen->find(0x1005)->line, 4u);
  EXPECT_EQ(fallen->find(0x1011)->line, 3u);
  // What has no end is dropped.
  const Result<LineTable> open =
      read(made(3, sequence(0x10, 10, 4) + kSetAddress + std::vector<u8>{3, 1, 1, 2, 100, 1}));
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(open->rows().size(), 2u);
}

TEST(DwarfLine, DamagedHeadersAreRefused) {
  const std::vector<u8> good = made(5, kSetAddress + std::vector<u8>{1, 2, 4} + kEnd);
  ASSERT_TRUE(read(good).ok());
  const auto refused = [&](size_t at, u8 value) {
    std::vector<u8> bytes = good;
    bytes[at] = value;
    return !read(bytes).ok();
  };
  EXPECT_TRUE(refused(0, 0xff)) << "a length behind the end";
  EXPECT_TRUE(refused(4, 6)) << "a version to come";
  EXPECT_TRUE(refused(4, 1));
  EXPECT_TRUE(refused(8, 0xff)) << "a header behind the end";
  EXPECT_TRUE(refused(6, 9)) << "addresses of nine bytes";
  EXPECT_TRUE(refused(13, 0)) << "no operations in an instruction";
  EXPECT_TRUE(refused(16, 0)) << "no lines in an opcode";
  for (size_t length = 0; length < good.size(); length++) {
    const std::vector<u8> bytes(good.begin(), good.begin() + static_cast<long>(length));
    EXPECT_FALSE(read(bytes).ok()) << length;
  }
  // Names that take no bytes could come four thousand million times.
  std::vector<u8> endless = made(5, {});
  const size_t names = endless.size() - 21;
  ASSERT_EQ(endless[names], 1);
  endless[names] = 0;
  endless[names + 1] = 0xff;
  endless[names + 2] = 0x7f;
  EXPECT_FALSE(read(endless).ok());
  DwarfSections sections;
  sections.line = good;
  EXPECT_FALSE(LineTable::read(sections, good.size(), 8, "").ok());
  EXPECT_FALSE(LineTable::read(sections, ~u64{0}, 8, "").ok());
}

}  // namespace
}  // namespace hartwood
