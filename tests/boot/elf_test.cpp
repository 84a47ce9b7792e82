// SPDX-License-Identifier: Apache-2.0
// ELF files that load, that must not, and that are damaged; their symbols.
#include "boot/elf.h"

#include <gtest/gtest.h>

#include <functional>

#include "../fdt/mutate.h"
#include "boot/elf_symbols.h"
#include "files.h"

namespace hartwood {
namespace {

using test::ElfMaker;

std::unique_ptr<GuestMemory> ram() {
  Result<std::unique_ptr<GuestMemory>> memory = GuestMemory::create(kMinRamBytes);
  EXPECT_TRUE(memory.ok());
  return std::move(*memory);
}

std::vector<u8> bytes_at(const GuestMemory& memory, u64 pa, size_t bytes) {
  const std::span<const u8> view = memory.readable(Pa(pa), bytes);
  return {view.begin(), view.end()};
}

TEST(Elf, LoadsABareMetalProgram) {
  const auto memory = ram();
  ASSERT_TRUE(memory->fill(Pa(kRamBase), 0xee, 0x4000));
  const Result<LoadedElf> loaded = load_elf(*memory, test::bare_program().make());
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(loaded->entry, Pa(0x8000'0004));
  EXPECT_EQ(loaded->extent, (PaRange{Pa(0x8000'0000), 0x2000}));
  EXPECT_EQ(loaded->bias, 0u);
  EXPECT_EQ(bytes_at(*memory, 0x8000'0000, 64), test::pattern(64, 1));
  EXPECT_EQ(bytes_at(*memory, 0x8000'0040, 1)[0], 0xee) << "a hole between segments stays as it was";
  EXPECT_EQ(bytes_at(*memory, 0x8000'1000, 32), test::pattern(32, 9));
  EXPECT_EQ(bytes_at(*memory, 0x8000'1020, 4064), std::vector<u8>(4064)) << "bss is cleared";
  EXPECT_EQ(bytes_at(*memory, 0x8000'2000, 1)[0], 0xee);
}

TEST(Elf, MarksPagesAsWritten) {
  const auto memory = ram();
  memory->set_page_state(1, kPageCode);
  const u32 generation = memory->code_generation(1);
  ASSERT_TRUE(load_elf(*memory, test::bare_program().make()).ok());
  EXPECT_NE(memory->code_generation(1), generation);
  EXPECT_TRUE(memory->page_state(0) & kPageDirty);
}

TEST(Elf, LoadsAVirtuallyLinkedKernelByItsPhysicalAddresses) {
  ElfMaker maker;
  maker.entry = 0xffff'ffff'8000'0010;
  maker.segments = {{0xffff'ffff'8000'0000, 0x8020'0000, test::pattern(64, 1), 128}};
  const auto memory = ram();
  const Result<LoadedElf> loaded = load_elf(*memory, maker.make());
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(loaded->entry, Pa(0x8020'0010));
  EXPECT_EQ(bytes_at(*memory, 0x8020'0000, 64), test::pattern(64, 1));
}

TEST(Elf, MovesWhatIsMovableAndNotInRam) {
  const std::vector<u8> file = test::vmlinux_like().make();
  const Result<ElfImage> image = parse_elf(file);
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_TRUE(image->movable);
  const Result<u64> bias = elf_bias(*image, kRamBase, kMinRamBytes, Pa(0x8020'0000));
  ASSERT_TRUE(bias.ok()) << bias.message();
  EXPECT_EQ(*bias, 0x8020'0000u);
  const auto memory = ram();
  const Result<LoadedElf> loaded = load_elf(*memory, file, *image, *bias);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(loaded->entry, Pa(0x8020'0000));
  EXPECT_EQ(bytes_at(*memory, 0x8040'0000, 512), test::pattern(512, 5));

  ElfMaker pie;
  pie.type = elf::kTypeDynamic;
  pie.entry = 0x1234'0008;
  pie.segments = {{0x1234'0000, 0x1234'0000, test::pattern(64, 1), 64}};
  const Result<LoadedElf> moved = load_elf(*memory, pie.make());
  ASSERT_TRUE(moved.ok()) << moved.message();
  EXPECT_EQ(moved->entry, Pa(0x8000'0008));
}

TEST(Elf, LeavesOutTheLinkersHeaderPage) {
  ElfMaker maker = test::bare_program();
  maker.segments.insert(maker.segments.begin(), {0x1'0000, 0x1'0000, test::pattern(64, 1), 64, true});
  const auto memory = ram();
  const Result<LoadedElf> loaded = load_elf(*memory, maker.make());
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(loaded->extent, (PaRange{Pa(0x8000'0000), 0x2000}));
  maker.segments.erase(maker.segments.begin() + 1, maker.segments.end());
  maker.entry = 0x1'0000;
  EXPECT_FALSE(load_elf(*memory, maker.make()).ok()) << "alone it is what is to be loaded";
}

TEST(Elf, KeepsAPositionIndependentFileThatIsLinkedForRam) {
  ElfMaker pie = test::bare_program();
  pie.type = elf::kTypeDynamic;
  const auto memory = ram();
  const Result<LoadedElf> loaded = load_elf(*memory, pie.make());
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(loaded->bias, 0u);
}

TEST(Elf, LoadsUpToTheLastByteOfRam) {
  ElfMaker maker;
  maker.segments = {{kRamBase, kRamBase, test::pattern(64, 1), 64},
                    {kRamBase + kMinRamBytes - 64, kRamBase + kMinRamBytes - 64, test::pattern(64, 2), 64}};
  const auto memory = ram();
  ASSERT_TRUE(load_elf(*memory, maker.make()).ok());
  EXPECT_EQ(bytes_at(*memory, kRamBase + kMinRamBytes - 64, 64), test::pattern(64, 2));
  maker.segments[1].pa++;
  const Result<LoadedElf> beyond = load_elf(*memory, maker.make());
  ASSERT_FALSE(beyond.ok());
  EXPECT_NE(beyond.message().find("more memory"), std::string::npos) << beyond.message();
}

TEST(Elf, RefusesWithAClearMessage) {
  struct Case {
    const char* name;
    std::function<void(ElfMaker&)> spoil;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"32-bit", [](ElfMaker& m) { m.elf_class = elf::kClass32; }, "32-bit"},
      {"big endian", [](ElfMaker& m) { m.data = elf::kBigEndian; }, "big-endian"},
      {"x86", [](ElfMaker& m) { m.machine = 62; }, "another processor (machine number 62)"},
      {"class 0", [](ElfMaker& m) { m.elf_class = 0; }, "damaged"},
      {"RV64E", [](ElfMaker& m) { m.flags |= elf::kFlagRve; }, "RV64E"},
      {"object", [](ElfMaker& m) { m.type = elf::kTypeObject; }, "link it"},
      {"core", [](ElfMaker& m) { m.type = 4; }, "type 4"},
      {"no segments", [](ElfMaker& m) { m.segments.clear(); }, "no program headers"},
      {"only empty segments",
       [](ElfMaker& m) {
         m.segments = {{0, 0, {}, 0}};
       },
       "no segment to load"},
      {"interpreter", [](ElfMaker& m) { m.interpreter = true; }, "dynamic loader"},
      {"file larger than memory", [](ElfMaker& m) { m.segments[0].memory_bytes = 8; }, "larger in the file"},
      {"overlap", [](ElfMaker& m) { m.segments[0].memory_bytes = 0x1001; }, "overlap at physical address 0x80001000"},
      {"overlap in the other order",
       [](ElfMaker& m) {
         std::swap(m.segments[0], m.segments[1]);
         m.segments[1].memory_bytes = 0x1001;
       },
       "overlap"},
      {"wraps around", [](ElfMaker& m) { m.segments[1].memory_bytes = ~u64{0} - 0x8000'0000; }, "wraps around"},
      {"wraps around virtually", [](ElfMaker& m) { m.segments[1].va = ~u64{0} - 100; }, "wraps around"},
      {"far apart", [](ElfMaker& m) { m.segments[1].pa = u64{1} << 40; }, "farther apart"},
      {"the whole address space",
       [](ElfMaker& m) {
         m.segments = {{0, 0, {}, u64{1} << 63}, {0, u64{1} << 63, {}, u64{1} << 63}};
       },
       "farther apart"},
      {"below RAM",
       [](ElfMaker& m) {
         m.segments = {{0x1'0000, 0x1'0000, test::pattern(64, 1), 64}};
         m.entry = 0x1'0000;
       },
       "RAM begins at 0x80000000"},
      {"above RAM", [](ElfMaker& m) { m.segments[1].pa = 0x9000'0000; }, "choose more memory"},
      {"too large to move",
       [](ElfMaker& m) {
         m = test::vmlinux_like();
         m.segments[1].memory_bytes = kMinRamBytes;
       },
       "choose more memory"},
      {"wild entry", [](ElfMaker& m) { m.entry = 0x8000'0800; }, "entry 0x80000800"},
      {"odd entry", [](ElfMaker& m) { m.entry = 0x8000'0001; }, "entry 0x80000001"},
  };
  const auto memory = ram();
  for (const Case& each : cases) {
    ElfMaker maker = test::bare_program();
    each.spoil(maker);
    const Result<LoadedElf> loaded = load_elf(*memory, maker.make());
    ASSERT_FALSE(loaded.ok()) << each.name;
    EXPECT_NE(loaded.message().find(each.message), std::string::npos) << each.name << ": " << loaded.message();
  }
  for (u64 page = 0; page < memory->page_count(); page++)
    ASSERT_EQ(memory->page_state(page), 0) << "a refused file writes nothing";
}

TEST(Elf, RefusesHeadersOutsideTheFile) {
  const std::vector<u8> good = test::bare_program().make();
  const auto refused = [&](size_t at, auto value) {
    std::vector<u8> file = good;
    store_le(file.data() + at, value);
    return !parse_elf(file).ok();
  };
  EXPECT_TRUE(refused(32, ~u64{0})) << "program headers";
  EXPECT_TRUE(refused(32, u64{good.size()}));
  EXPECT_TRUE(refused(54, u16{32})) << "size of one";
  EXPECT_TRUE(refused(56, u16{0xffff})) << "their number";
  EXPECT_TRUE(refused(64 + 8, u64{good.size()})) << "a segment's offset";
  EXPECT_TRUE(refused(64 + 8, ~u64{0} - 8)) << "offset + size wraps";
}

TEST(Elf, SurvivesTruncationAtEveryLength) {
  const std::vector<u8> file = test::bare_program().make();
  const size_t loaded_part = 64 + 2 * 56 + 64 + 32;
  for (size_t length = 0; length < file.size(); length++) {
    const std::vector<u8> cut = test::exact(std::span(file).first(length));
    EXPECT_EQ(parse_elf(cut).ok(), length >= loaded_part) << length;
    EXPECT_FALSE(SymbolTable::read(cut).ok()) << length;
  }
}

TEST(Elf, SurvivesDamage) {
  const std::vector<u8> files[] = {test::bare_program().make(), test::vmlinux_like().make()};
  const auto memory = ram();
  test::Mutator mutator(3);
  int loaded = 0, with_symbols = 0;
  for (int i = 0; i < 20'000; i++) {
    const std::vector<u8> file = mutator.damage(files[i % 4 == 0]);
    const Result<LoadedElf> elf = load_elf(*memory, file);
    if (elf) {
      loaded++;
      EXPECT_TRUE(memory->contains(elf->entry, 2));
      EXPECT_TRUE(memory->contains(elf->extent.start, elf->extent.bytes));
    } else {
      EXPECT_FALSE(elf.message().empty());
    }
    const Result<SymbolTable> symbols = SymbolTable::read(file);
    if (!symbols) continue;
    with_symbols++;
    for (size_t s = 0; s < symbols->size(); s++) {
      const SymbolTable::Symbol symbol = symbols->at(s);
      EXPECT_TRUE(symbols->find(symbol.name).has_value());
      symbols->locate(symbol.address + mutator.below(100));
    }
    const Result<ElfImage> image = parse_elf(file);
    if (!image) continue;
    const auto htif = find_htif(*image, 0, *symbols);
    EXPECT_EQ(htif.ok(), htif.message().empty());
  }
  EXPECT_GT(loaded, 1000);
  EXPECT_LT(loaded, 19'000);
  EXPECT_GT(with_symbols, 1000);
}

TEST(SymbolTable, FindsByNameAndAddress) {
  const Result<SymbolTable> table = SymbolTable::read(test::bare_program().make());
  ASSERT_TRUE(table.ok()) << table.message();
  EXPECT_EQ(table->size(), 4u) << "without the assembler's own";
  ASSERT_TRUE(table->find("tohost").has_value());
  EXPECT_EQ(table->find("tohost")->address, Va(0x8000'1040));
  EXPECT_EQ(table->find("tohost")->kind, SymbolTable::Kind::object);
  EXPECT_FALSE(table->find("tohos").has_value());
  EXPECT_FALSE(table->find("$x").has_value());
  const auto inside = table->locate(Va(0x8000'0008));
  ASSERT_TRUE(inside.has_value());
  EXPECT_EQ(inside->symbol.name, "_start");
  EXPECT_EQ(inside->offset, 4u);
  const auto open_ended = table->locate(Va(0x8000'0100));
  ASSERT_TRUE(open_ended.has_value()) << "helper does not say how long it is";
  EXPECT_EQ(open_ended->symbol.name, "helper");
  EXPECT_FALSE(table->locate(Va(0x8000'0000)).has_value()) << "below all";
  EXPECT_FALSE(table->locate(Va(0x8000'1050)).has_value()) << "behind tohost's 8 bytes";
}

TEST(SymbolTable, PrefersFunctionsAndGlobals) {
  ElfMaker maker = test::bare_program();
  maker.symbols = {{"label", 0x8000'0010, 0, elf::kSymbolNone},
                   {"local_function", 0x8000'0010, 8, elf::kSymbolFunction, true},
                   {"function", 0x8000'0010, 8, elf::kSymbolFunction},
                   {"twice", 0x8000'0000, 4, elf::kSymbolFunction, true},
                   {"twice", 0x8000'0020, 4, elf::kSymbolFunction},
                   {"outside", 0, 0, elf::kSymbolNone, false, true}};
  const Result<SymbolTable> table = SymbolTable::read(maker.make());
  ASSERT_TRUE(table.ok()) << table.message();
  EXPECT_EQ(table->locate(Va(0x8000'0012))->symbol.name, "function");
  EXPECT_EQ(table->find("twice")->address, Va(0x8000'0020));
  EXPECT_FALSE(table->find("outside").has_value());
}

TEST(SymbolTable, IsEmptyWithoutOne) {
  ElfMaker maker = test::bare_program();
  maker.symbols.clear();
  const Result<SymbolTable> table = SymbolTable::read(maker.make());
  ASSERT_TRUE(table.ok()) << table.message();
  EXPECT_EQ(table->size(), 0u);
  EXPECT_FALSE(table->locate(Va(0x8000'0000)).has_value());
  EXPECT_FALSE(SymbolTable::read(test::pattern(100, 1)).ok());
}

TEST(Htif, IsFoundAndChecked) {
  ElfMaker maker = test::bare_program();
  const auto find = [&](u64 bias) {
    const std::vector<u8> file = maker.make();
    return find_htif(*parse_elf(file), bias, *SymbolTable::read(file));
  };
  const auto found = find(0x1000);
  ASSERT_TRUE(found.ok() && found->has_value()) << found.message();
  EXPECT_EQ((*found)->tohost, Pa(0x8000'2040));
  EXPECT_EQ((*found)->fromhost, Pa(0x8000'2080));
  maker.symbols[2].name = "other";
  EXPECT_FALSE((**find(0)).fromhost.has_value());
  maker.symbols[1].value = 0x8000'1044;
  EXPECT_FALSE(find(0).ok()) << "not aligned";
  maker.symbols[1].value = 0x9000'0000;
  EXPECT_FALSE(find(0).ok()) << "outside";
  maker.symbols[1].name = "other_too";
  ASSERT_TRUE(find(0).ok());
  EXPECT_FALSE(find(0)->has_value());
}

}  // namespace
}  // namespace hartwood
