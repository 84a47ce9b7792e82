// SPDX-License-Identifier: Apache-2.0
// Functions and inlined calls, from files that compilers made and from one that was written by hand.
#include "debug/dwarf_info.h"

#include "fixtures.h"

namespace hartwood {
namespace {

using test::line_of;
using test::Loaded;

DwarfInfo info_of(ElfFile& file) {
  Result<DwarfInfo> info = DwarfInfo::read(DwarfSections::of(file));
  EXPECT_TRUE(info.ok()) << info.message();
  return std::move(*info);
}

// "inner file:line, outer file:line"
std::string text(const DwarfInfo::Place& place) {
  std::string text;
  for (const DwarfInfo::Frame& frame : place.frames) {
    if (!text.empty()) text += ", ";
    text += frame.function.empty() ? "?" : std::string(frame.function);
    text += ' ' + frame.file + ':' + std::to_string(frame.line) + (frame.inlined ? "^" : "");
  }
  return text;
}

std::string at(const char* source, const char* wanted) {
  return std::string("/made/fixture/") + source + ':' + std::to_string(line_of(source, wanted));
}

TEST(DwarfInfo, InlinedCallsInEveryVersion) {
  for (const char* name :
       {"dwarf2.elf", "dwarf3.elf", "dwarf4.elf", "dwarf5.elf", "types.elf", "lto.elf", "shared.elf"}) {
    SCOPED_TRACE(name);
    Loaded file(name);
    DwarfInfo info = info_of(file.elf);
    EXPECT_EQ(info.note(), "");
    const auto place = [&](const char* symbol) { return info.find(file.address(symbol)); };
    EXPECT_EQ(text(place("mark_leaf")), "leaf " + at("calls.h", "MARK(leaf)") + "^, middle " +
                                            at("calls.c", "calls leaf") + "^, outer " + at("calls.c", "calls middle"));
    EXPECT_EQ(text(place("mark_middle")),
              "middle " + at("calls.c", "MARK(middle)") + "^, outer " + at("calls.c", "calls middle"));
    EXPECT_EQ(text(place("mark_outer")), "outer " + at("calls.c", "MARK(outer)"));
    EXPECT_EQ(text(place("mark_split")), "outer " + at("calls.c", "MARK(split)"));
    EXPECT_EQ(text(place("mark_cold")), "cold_path " + at("calls.c", "MARK(cold)"));
    EXPECT_EQ(text(place("mark_first")), "same_name " + at("calls.c", "MARK(first)"));
    EXPECT_EQ(text(place("mark_second")), "same_name " + at("other.c", "MARK(second)"));
    EXPECT_EQ(text(place("mark_generated")),
              "generated /made/made/generated.c:1001^, other /made/made/generated.c:1005");
    EXPECT_EQ(place("mark_leaf").entry, file.address("outer"));
    EXPECT_TRUE(info.find(0x10).frames.empty());
    EXPECT_TRUE(info.find(~u64{0}).frames.empty());
    // In assembler too: of GCC 12's tools only the lines, or the function as well.
    const DwarfInfo::Place by_hand = place("mark_by_hand");
    ASSERT_EQ(by_hand.frames.size(), 1u);
    EXPECT_EQ(by_hand.frames[0].line, line_of("start.S", "addi a0, a0, 1"));
  }
}

TEST(DwarfInfo, ACodeInTwoPlacesHasTwoRanges) {
  Loaded file("dwarf5.elf");
  DwarfInfo info = info_of(file.elf);
  const u64 split = file.address("mark_split"), outer = file.address("outer");
  // The compiler moves what is never executed away from the rest.
  const std::optional<ElfFile::Symbol> part = file.elf.symbol_named("outer.cold");
  if (part) {
    EXPECT_EQ(info.find(split).entry, part->address);
    EXPECT_NE(info.find(split).entry, outer);
  } else {
    EXPECT_EQ(info.find(split).entry, outer);
  }
}

TEST(DwarfInfo, FormsThatCompilersForCDoNotWrite) {
  Loaded file("forms.elf");
  DwarfInfo info = info_of(file.elf);
  EXPECT_EQ(info.units(), 3u);
  const auto place = [&](const char* symbol, u64 offset = 0) { return info.find(file.address(symbol) + offset); };
  EXPECT_EQ(text(place("_start")), "by_index :0");
  EXPECT_EQ(text(place("_start", 7)), "by_index :0");
  EXPECT_EQ(text(place("linked")), "_ZN6linked4nameEv :0") << "the linkage name of what it specifies";
  EXPECT_EQ(place("linked").note, "");
  EXPECT_EQ(text(place("circular")), "? :0");
  EXPECT_EQ(text(place("named")), "_ZN6linked4nameEv :0") << "it has a plain name of its own";
  // A unit in the 64-bit format that does not say where its code is.
  EXPECT_EQ(text(place("distant")), "_ZN6linked4nameEv :0");
  EXPECT_EQ(text(place("distant", 4)), "inner :0^, _ZN6linked4nameEv :300");
  EXPECT_EQ(text(place("distant", 6)), "inner :0^, _ZN6linked4nameEv :300");
  EXPECT_EQ(text(place("distant", 8)), "");

  for (int twice = 0; twice < 2; twice++) {
    const DwarfInfo::Place lost = place("lost");
    EXPECT_EQ(text(lost), "? :0");
    EXPECT_EQ(lost.note, "names are in the supplementary file (dwz), which was not given");
  }
  EXPECT_EQ(place("linked").note, "");

  // By .debug_aranges, which leaves out the second half; without it by its function.
  EXPECT_EQ(text(place("listed")), "by_aranges :0");
  EXPECT_EQ(text(place("listed", 4)), "");
  DwarfSections sections = DwarfSections::of(file.elf);
  sections.aranges = {};
  Result<DwarfInfo> without = DwarfInfo::read(sections);
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(text(without->find(file.address("listed") + 4)), "by_aranges :0");
}

TEST(DwarfInfo, SplitFilesAreMissed) {
  Loaded file("skeleton.elf");
  DwarfInfo info = info_of(file.elf);
  const DwarfInfo::Place place = info.find(file.address("mark_cold"));
  EXPECT_EQ(text(place), "? " + at("calls.c", "MARK(cold)")) << "its lines are here";
  EXPECT_EQ(place.note, "functions are in the split file skeleton.elf-calls.dwo, which was not given");
}

TEST(DwarfInfo, WhatWasReadIsDroppedWhenItIsTooMuch) {
  Loaded file("dwarf5.elf");
  DwarfInfo info = info_of(file.elf);
  const u64 leaf = file.address("mark_leaf"), second = file.address("mark_second");
  const std::string wanted = text(info.find(leaf)), other = text(info.find(second));
  const size_t all = info.memory_bytes();
  info.set_memory_limit(1);
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(text(info.find(leaf)), wanted);
    EXPECT_LT(info.memory_bytes(), all);
    EXPECT_EQ(text(info.find(second)), other);
    EXPECT_LT(info.memory_bytes(), all);
  }
}

TEST(DwarfInfo, NoneAndDamaged) {
  Result<DwarfInfo> none = DwarfInfo::read({});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->units(), 0u);
  EXPECT_TRUE(none->find(0).frames.empty());

  Loaded file("dwarf5.elf");
  DwarfSections sections = DwarfSections::of(file.elf);
  std::vector<u8> bytes(sections.info.begin(), sections.info.end());
  bytes[4] = 6;
  sections.info = bytes;
  const Result<DwarfInfo> newer = DwarfInfo::read(sections);
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.message(), "the debug information is damaged or cut off at 0x0");
  bytes[4] = 5;
  bytes.resize(bytes.size() - 1);
  sections.info = bytes;
  Result<DwarfInfo> shorter = DwarfInfo::read(sections);
  ASSERT_TRUE(shorter.ok());
  EXPECT_NE(shorter->note().find("the debug information is damaged or cut off at 0x"), std::string::npos);
  EXPECT_EQ(text(shorter->find(file.address("mark_cold"))), "cold_path " + at("calls.c", "MARK(cold)"));

  // Without its abbreviations nothing can be read, and nothing is.
  sections = DwarfSections::of(file.elf);
  sections.abbrev = {};
  Result<DwarfInfo> blind = DwarfInfo::read(sections);
  ASSERT_TRUE(blind.ok());
  EXPECT_TRUE(blind->find(file.address("mark_cold")).frames.empty());
}

}  // namespace
}  // namespace hartwood
