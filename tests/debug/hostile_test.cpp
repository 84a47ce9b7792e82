// SPDX-License-Identifier: Apache-2.0
// Damaged files: whatever they say, reading them ends, in bounds, with an answer or an error. Seeded mutations of every
// kind of fixture, at the section's bytes that are read most; under the sanitizers this finds what is read outside.
#include "../fdt/mutate.h"
#include "debug/symbolizer.h"
#include "fixtures.h"

namespace hartwood {
namespace {

using test::Mutator;

// Everything that a debugger asks a file. Returns how many answers there were.
size_t ask(std::span<const u8> bytes, std::span<const u64> addresses) {
  Result<ElfFile> read = ElfFile::read(bytes);
  if (!read.ok()) {
    EXPECT_FALSE(read.message().empty());
    return 0;
  }
  size_t answers = 0;
  if (read->kind() == ElfFile::Kind::object) read->lay_out(0x10000);
  // A host that does what the headers say.
  for (const ElfFile::Compressed& each : read->compressed())
    if (each.bytes < 1 << 16) answers += read->provide(each.section, std::vector<u8>(each.bytes, 1)).ok();
  answers += read->debug_link().has_value();
  answers += read->symbol_named("outer").has_value();
  Symbolizer symbolizer;
  if (!symbolizer.add("hostile", std::move(*read), 0).ok()) return answers;
  // Memory that holds what it likes.
  const ReadGuest memory = [&](u64 address, unsigned) -> std::optional<u64> {
    if (address % 3 == 0) return std::nullopt;
    return addresses[address / 8 % addresses.size()];
  };
  for (const u64 address : addresses) {
    const Symbolizer::Symbolized place = symbolizer.symbolize(Va(address));
    EXPECT_FALSE(place.text(Va(address)).empty());
    EXPECT_LE(place.frames.size(), 256u);
    answers += place.frames.size();
    FrameRegisters frame;
    frame.pc = address;
    for (unsigned i = 1; i < 32; i++) frame.set(i, address + i * 0x1111);
    for (unsigned depth = 0; depth < 8; depth++) {
      const Result<std::optional<Symbolizer::Step>> step = symbolizer.unwind(frame, depth == 0, memory);
      EXPECT_EQ(step.ok(), step.message().empty());
      if (!step.ok() || !*step) break;
      frame = (*step)->registers;
      answers++;
    }
  }
  return answers;
}

std::vector<u64> interesting(const std::string& name) {
  test::Loaded file(name);
  if (file.elf.kind() == ElfFile::Kind::object) file.elf.lay_out(0x10000);
  std::vector<u64> addresses = {0, ~u64{0}};
  for (const char* symbol : {"mark_leaf", "mark_split", "mark_by_hand", "mark_generated", "framed", "_start", "linked",
                             "lost", "circular", "distant", "listed"})
    if (const std::optional<ElfFile::Symbol> found = file.elf.symbol_named(symbol)) addresses.push_back(found->address);
  return addresses;
}

class HostileDebugInformation : public testing::TestWithParam<const char*> {};

TEST_P(HostileDebugInformation, MutationsAreSurvived) {
  const std::string name = GetParam();
  const std::vector<u8> good = test::fixture(name);
  const std::vector<u64> addresses = interesting(name);
  ASSERT_GE(ask(good, addresses), addresses.size() / 2);
  Result<ElfFile> elf = ElfFile::read(good);
  ASSERT_TRUE(elf.ok());
  std::vector<ElfSection> sections;
  for (const ElfSection& section : elf->sections())
    if (section.in_file && section.bytes != 0 &&
        (section.name.starts_with(".debug_") || section.name == ".eh_frame" || section.name == ".symtab"))
      sections.push_back(section);
  ASSERT_FALSE(sections.empty());
  size_t answers = 0;
  for (u64 seed = 1; seed <= 1000; seed++) {
    Mutator mutator(seed);
    // Anywhere, and twice as often within one section, whose length stays.
    if (seed % 3 == 0) {
      answers += ask(mutator.damage(good), addresses);
      continue;
    }
    const ElfSection& section = sections[mutator.below(sections.size())];
    std::vector<u8> bytes = good;
    const auto begin = bytes.begin() + static_cast<long>(section.offset);
    std::vector<u8> damaged = mutator.damage(std::span(bytes).subspan(section.offset, section.bytes));
    std::copy(damaged.begin(), damaged.end(), begin);
    answers += ask(test::exact(bytes), addresses);
    if (HasFailure()) FAIL() << name << " with seed " << seed;
  }
  EXPECT_GT(answers, 1000u) << "most damage leaves something to tell";
}

TEST_P(HostileDebugInformation, EveryLength) {
  const std::string name = GetParam();
  const std::vector<u8> good = test::fixture(name);
  const std::vector<u64> addresses = {interesting(name).back()};
  for (size_t length = 0; length < good.size(); length += 1 + good.size() / 97) {
    ask(test::exact(std::span(good).first(length)), addresses);
    // Section by section: each breaks off where another begins.
    test::Loaded file(name);
    DwarfSections sections = DwarfSections::of(file.elf);
    for (std::span<const u8>* each : {&sections.info, &sections.abbrev, &sections.line, &sections.line_str,
                                      &sections.str, &sections.ranges, &sections.rnglists, &sections.aranges}) {
      const std::span<const u8> whole = *each;
      const std::vector<u8> part = test::exact(whole.first(whole.size() * length / good.size()));
      *each = part;
      Result<DwarfInfo> info = DwarfInfo::read(sections);
      if (info.ok()) info->find(addresses[0]);
      *each = whole;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, HostileDebugInformation,
                         testing::Values("dwarf2.elf", "dwarf4.elf", "dwarf5.elf", "frames.elf", "types.elf",
                                         "forms.elf", "module.o", "module4.o", "compressed.elf", "skeleton.elf",
                                         "split.debug"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// Structures whose cost could grow with the square of their size.
TEST(HostileDebugInformation, ManyUnitsOverOneTable) {
  // Units of a few bytes, each with its own start in one long table of abbreviations.
  std::vector<u8> info, abbrev;
  for (u32 i = 0; i < 200'000; i++) abbrev.insert(abbrev.end(), {2, 0x11, 0, 0, 0});
  for (u32 i = 0; i < 50'000; i++) {
    const u32 at = i * 5;
    const u8 unit[] = {9, 0, 0, 0, 4, 0, static_cast<u8>(at), static_cast<u8>(at >> 8), static_cast<u8>(at >> 16),
                       0, 8, 1, 0};
    info.insert(info.end(), std::begin(unit), std::end(unit));
  }
  DwarfSections sections;
  sections.info = info;
  sections.abbrev = abbrev;
  Result<DwarfInfo> read = DwarfInfo::read(sections);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->units(), 50'000u);
  EXPECT_LT(read->memory_bytes(), size_t{256} << 20);
}

TEST(HostileDebugInformation, ManyFunctionsWithOneRangeList) {
  // 100,000 functions that share a list of 100,000 ranges: read until it is more than the file could hold.
  std::vector<u8> ranges, info = {0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1};
  for (u32 i = 0; i < 100'000; i++) {
    const u64 range[] = {u64{i} * 16 + 16, u64{i} * 16 + 24};
    const u8* from = reinterpret_cast<const u8*>(range);
    ranges.insert(ranges.end(), from, from + sizeof range);
  }
  const std::vector<u8> abbrev = {1, 0x11, 1, 0, 0, 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0};
  for (u32 i = 0; i < 100'000; i++) info.insert(info.end(), {2, 0, 0, 0, 0});
  info.push_back(0);
  store_le<u32>(info.data(), static_cast<u32>(info.size() - 4));
  DwarfSections sections;
  sections.info = info;
  sections.abbrev = abbrev;
  sections.ranges = ranges;
  Result<DwarfInfo> read = DwarfInfo::read(sections);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->find(16).frames.size(), 1u);
  EXPECT_LT(read->memory_bytes(), 40 * ranges.size() * 2 + (size_t{64} << 20));
}

TEST(HostileDebugInformation, ATreeThatNeverGoesUp) {
  std::vector<u8> info = {0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1};
  const std::vector<u8> abbrev = {1, 0x11, 1, 0, 0, 2, 0x1d, 1, 0x11, 0x01, 0x12, 0x06, 0, 0, 0};
  for (u32 i = 0; i < 100'000; i++) info.insert(info.end(), {2, 0, 0x10, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0});
  store_le<u32>(info.data(), static_cast<u32>(info.size() - 4));
  DwarfSections sections;
  sections.info = info;
  sections.abbrev = abbrev;
  Result<DwarfInfo> read = DwarfInfo::read(sections);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->find(0x1004).frames.size(), 256u) << "no more calls than that are told";
}

}  // namespace
}  // namespace hartwood
