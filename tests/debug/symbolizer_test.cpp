// SPDX-License-Identifier: Apache-2.0
// Objects at their biases, split debug files and what proves them, what is said when something is missing, backtraces.
#include "debug/symbolizer.h"

#include <map>

#include "fixtures.h"

namespace hartwood {
namespace {

using test::line_of;
using test::Loaded;

std::string at(const char* source, const char* wanted) {
  return std::string("(/made/fixture/") + source + ':' + std::to_string(line_of(source, wanted)) + ')';
}
std::string plus(u64 offset) { return format("+0x%llx", static_cast<unsigned long long>(offset)); }

TEST(Symbolizer, FunctionsLinesAndWhatIsInlined) {
  Loaded program("dwarf5.elf"), library("shared.elf");
  const u64 leaf = program.address("mark_leaf"), outer = program.address("outer");
  const u64 shared_leaf = library.address("mark_leaf"), shared_outer = library.address("outer");
  Symbolizer symbolizer;
  ASSERT_TRUE(symbolizer.add("program", std::move(program.elf), 0).ok());
  constexpr u64 kBias = 0x3f'8000'0000;
  const Result<u32> shared = symbolizer.add("library", std::move(library.elf), kBias);
  ASSERT_TRUE(shared.ok());
  const auto text = [&](u64 address) { return symbolizer.symbolize(Va(address)).text(Va(address)); };
  const std::string inlined =
      "leaf " + at("calls.h", "MARK(leaf)") + " in middle " + at("calls.c", "calls leaf") + " in outer";
  EXPECT_EQ(text(leaf), inlined + plus(leaf - outer) + ' ' + at("calls.c", "calls middle"));
  EXPECT_EQ(text(kBias + shared_leaf),
            inlined + plus(shared_leaf - shared_outer) + ' ' + at("calls.c", "calls middle"));
  const Symbolizer::Symbolized place = symbolizer.symbolize(Va(kBias + shared_leaf));
  EXPECT_EQ(place.object, "library");
  EXPECT_EQ(place.symbol, "outer");
  EXPECT_EQ(place.note, "");
  ASSERT_EQ(place.frames.size(), 3u);
  EXPECT_TRUE(place.frames[0].inlined && place.frames[1].inlined && !place.frames[2].inlined);

  EXPECT_EQ(text(0x10), "0x10");
  EXPECT_EQ(symbolizer.symbolize(Va(0x10)).note, "no object is known at this address");
  EXPECT_EQ(symbolizer.address_of("outer"), Va(outer));
  EXPECT_EQ(symbolizer.address_of("nothing"), std::nullopt);
  ASSERT_TRUE(symbolizer.remove(*shared).ok());
  EXPECT_FALSE(symbolizer.remove(*shared).ok());
  EXPECT_EQ(symbolizer.symbolize(Va(kBias + shared_leaf)).object, "");
}

TEST(Symbolizer, WithoutDebugInformationThereAreSymbols) {
  Loaded stripped("stripped.elf"), bare("bare.elf"), plain("linked.elf");
  const u64 outer = stripped.address("outer"), leaf = stripped.address("mark_leaf");
  const std::string id = stripped.elf.build_id_text();
  const auto symbolized = [&](Loaded& file) {
    Symbolizer symbolizer;
    EXPECT_TRUE(symbolizer.add("p", std::move(file.elf), 0).ok());
    return symbolizer.symbolize(Va(leaf + 1));
  };
  const Symbolizer::Symbolized place = symbolized(stripped);
  EXPECT_EQ(place.text(Va(leaf + 1)), "outer" + plus(leaf + 1 - outer)) << "not the label in it";
  EXPECT_EQ(place.note, "p has no debug information; a debug file of build-id " + id + " would have it");
  EXPECT_EQ(symbolized(plain).note, "p has no debug information and no build-id to find its debug file by");
  EXPECT_EQ(symbolized(bare).text(Va(leaf + 1)), format("0x%llx", static_cast<unsigned long long>(leaf + 1)));
  Loaded packed("compressed.elf");
  const u64 packed_leaf = packed.address("mark_leaf");
  Symbolizer symbolizer;
  ASSERT_TRUE(symbolizer.add("p", std::move(packed.elf), 0).ok());
  EXPECT_EQ(symbolizer.symbolize(Va(packed_leaf)).note,
            "p: section .debug_info is compressed and was not decompressed");
}

TEST(Symbolizer, SplitDebugFilesProveThatTheyBelong) {
  Loaded bare("bare.elf"), split("split.debug"), other("dwarf4.elf");
  const u64 outer = split.address("outer"), cold = split.address("mark_cold");
  Symbolizer symbolizer;
  const Result<u32> object = symbolizer.add("p", std::move(bare.elf), 0);
  ASSERT_TRUE(object.ok());
  const Status wrong = symbolizer.add_debug_file(*object, std::move(other.elf));
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.message().find("is not that of p"), std::string::npos);
  ASSERT_TRUE(symbolizer.add_debug_file(*object, std::move(split.elf)).ok());
  EXPECT_EQ(symbolizer.symbolize(Va(cold)).frames[0].function, "cold_path");
  EXPECT_EQ(symbolizer.address_of("outer"), Va(outer)) << "the symbols are in the debug file only";
  EXPECT_FALSE(symbolizer.add_debug_file(7, Loaded("split.debug").elf).ok());

  // Without a build-id, the checksum in the link.
  Loaded linked("linked.elf"), again("split.debug");
  Symbolizer by_link;
  const Result<u32> number = by_link.add("p", std::move(linked.elf), 0);
  std::vector<u8> altered = again.bytes;
  altered.back() ^= 1;
  const Status refused = by_link.add_debug_file(*number, Loaded("split.debug").elf, altered);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.message(), "the debug file's checksum is not the one that p has for split.debug");
  ASSERT_TRUE(by_link.add_debug_file(*number, std::move(again.elf), again.bytes).ok());
  EXPECT_EQ(by_link.symbolize(Va(cold)).frames[0].line, line_of("calls.c", "MARK(cold)"));
  Loaded module("module.o");
  Symbolizer modules;
  const Result<u32> loaded = modules.add("m", std::move(module.elf), 0);
  EXPECT_FALSE(modules.add_debug_file(*loaded, Loaded("split.debug").elf).ok());
}

TEST(Symbolizer, WhatIsLoadedMustBeTheFile) {
  Loaded file("dwarf5.elf"), without("linked.elf");
  std::vector<u8> id(file.elf.build_id().begin(), file.elf.build_id().end());
  Symbolizer symbolizer;
  EXPECT_TRUE(symbolizer.add("p", Loaded("forms.elf").elf, 0).ok());
  id[0] ^= 1;
  const std::string text = file.elf.build_id_text();
  const Result<u32> refused = symbolizer.add("p", std::move(file.elf), 0, id);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("p has the build-id " + text + ", what is loaded has "), std::string::npos);
  EXPECT_FALSE(symbolizer.add("p", std::move(without.elf), 0, id).ok());
  Loaded right("dwarf5.elf");
  id[0] ^= 1;
  EXPECT_TRUE(symbolizer.add("p", std::move(right.elf), 0, id).ok());
}

TEST(Symbolizer, AModuleWhereItWasLoaded) {
  for (const char* name : {"module.o", "module4.o"}) {
    SCOPED_TRACE(name);
    Loaded module(name);
    module.elf.lay_out(0xffff'ffff'0200'0000);
    const u64 leaf = module.address("mark_leaf"), outer = module.address("outer");
    EXPECT_GE(leaf, 0xffff'ffff'0200'0000);
    Symbolizer symbolizer;
    ASSERT_TRUE(symbolizer.add("m.ko", std::move(module.elf), 0).ok());
    EXPECT_EQ(symbolizer.symbolize(Va(leaf)).text(Va(leaf)),
              "leaf " + at("calls.h", "MARK(leaf)") + " in middle " + at("calls.c", "calls leaf") + " in outer" +
                  plus(leaf - outer) + ' ' + at("calls.c", "calls middle"));
    // Its frames too.
    FrameRegisters frame;
    frame.pc = outer;
    frame.set(1, 0x1234);
    frame.set(2, 0x8000);
    const Result<std::optional<Symbolizer::Step>> step =
        symbolizer.unwind(frame, true, [](u64, unsigned) { return std::optional<u64>(); });
    ASSERT_TRUE(step.ok()) << step.message();
    ASSERT_TRUE(*step);
    EXPECT_EQ((*step)->registers.pc, 0x1234u);
  }
}

TEST(Symbolizer, ABacktraceToTheStart) {
  Loaded file("dwarf5.elf");
  const u64 by_hand = file.address("mark_by_hand"), start = file.address("mark_start");
  Symbolizer symbolizer;
  constexpr u64 kBias = 0x10'0000;
  ASSERT_TRUE(symbolizer.add("p", std::move(file.elf), kBias).ok());
  // by_hand as if _start had called it: the return address is behind the call, a line further.
  const std::map<u64, u64> words = {{0x8008, kBias + start + 4}, {0x8000, 0}};
  const ReadGuest read = [&](u64 address, unsigned) -> std::optional<u64> {
    const auto found = words.find(address);
    return found != words.end() ? std::optional(found->second) : std::nullopt;
  };
  FrameRegisters frame;
  frame.pc = kBias + by_hand;
  frame.set(2, 0x8000);
  frame.set(8, 0x8000);
  Result<std::optional<Symbolizer::Step>> step = symbolizer.unwind(frame, true, read);
  ASSERT_TRUE(step.ok()) << step.message();
  ASSERT_TRUE(*step);
  EXPECT_EQ((*step)->registers.pc, kBias + start + 4);
  EXPECT_FALSE((*step)->interrupted);
  const Va call = Va((*step)->registers.pc - 1);
  EXPECT_EQ(symbolizer.symbolize(call).frames.back().line, line_of("start.S", "call main"));
  step = symbolizer.unwind((*step)->registers, false, read);
  ASSERT_TRUE(step.ok()) << step.message();
  EXPECT_FALSE(*step) << "_start has no caller";

  frame.pc = 0x10;
  EXPECT_EQ(symbolizer.unwind(frame, true, read).message(), "no object is known at pc 0x10");
}

}  // namespace
}  // namespace hartwood
