// SPDX-License-Identifier: Apache-2.0
// Device trees written and read back, mistakes of a writer, and files that are damaged in every way.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>

#include "fdt/fdt_builder.h"
#include "fdt/fdt_chosen.h"
#include "fdt/fdt_format.h"
#include "fdt/fdt_reader.h"
#include "mutate.h"

namespace hartwood {
namespace {

std::vector<u8> sample_tree() {
  FdtBuilder fdt;
  fdt.reserve(0x8000'0000, 0x1000);
  const u32 plic = fdt.new_phandle();
  fdt.begin_node("");
  fdt.property_u32("#address-cells", 2);
  fdt.property_string("model", "sample");
  fdt.begin_node("aliases");
  fdt.property_string("serial0", "/soc/serial@10000000");
  fdt.end_node();
  fdt.begin_node("chosen");
  fdt.property_string("bootargs", "old line");
  fdt.property_u64("linux,initrd-start", 1);
  fdt.property_u64("linux,initrd-end", 2);
  fdt.property_string("stdout-path", "serial0");
  fdt.end_node();
  fdt.begin_node("soc");
  fdt.property_empty("ranges");
  fdt.begin_node("plic@c000000");
  fdt.property_phandle(plic);
  fdt.property_strings("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
  fdt.end_node();
  fdt.begin_node("serial@10000000");
  fdt.property_cells("reg", {0, 0x1000'0000, 0, 0x100});
  fdt.property_bytes("odd", std::vector<u8>{1, 2, 3, 4, 5});
  fdt.end_node();
  fdt.begin_node("virtio@1000");
  fdt.end_node();
  fdt.begin_node("virtio@2000");
  fdt.property_string("compatible", "riscv,plic0");
  fdt.end_node();
  fdt.end_node();
  fdt.end_node();
  Result<std::vector<u8>> file = fdt.finish();
  EXPECT_TRUE(file.ok()) << file.message();
  return file ? std::move(*file) : std::vector<u8>();
}

FdtReader parsed(std::span<const u8> file) {
  Result<FdtReader> reader = FdtReader::parse(file);
  EXPECT_TRUE(reader.ok()) << reader.message();
  return std::move(*reader);
}

// All of a tree as text, by the reader alone.
std::string dump(const FdtReader& tree) {
  std::string text;
  for (const FdtReservation& entry : tree.reservations())
    text += format("reserve %llx %llx\n", static_cast<unsigned long long>(entry.address),
                   static_cast<unsigned long long>(entry.bytes));
  for (FdtNodeIndex i = 0; i < tree.nodes().size(); i++) {
    const FdtReader::Node& node = tree.node(i);
    text += format("node %u of %d: %s\n", i, static_cast<int>(node.parent), std::string(node.name).c_str());
    for (const FdtProperty& each : tree.properties(i)) {
      text += "  " + std::string(each.name) + " =";
      for (const u8 byte : each.value) text += format(" %02x", byte);
      text += "\n";
    }
  }
  return text;
}

// Asks everything a reader answers; for damaged files that it took.
void visit(const FdtReader& tree) {
  size_t seen = dump(tree).size();
  for (FdtNodeIndex i = 0; i < tree.nodes().size(); i++)
    for (const FdtProperty& each : tree.properties(i)) {
      seen += each.u32_value().value_or(0) + each.u64_value().value_or(0) + each.cell(1).value_or(0);
      if (const auto text = each.string_value()) seen += text->size();
      if (const auto texts = each.strings()) seen += texts->size();
    }
  seen += tree.find_path("/soc/serial@10000000") + tree.find_path("serial0") + tree.find_compatible("riscv,plic0") +
          tree.find_phandle(1);
  FdtChosen chosen;
  chosen.bootargs = "x";
  chosen.initrd = FdtInitrd{1, 2};
  chosen.rng_seed = {1, 2, 3};
  const Result<std::vector<u8>> changed = fdt_with_chosen(tree, chosen);
  if (changed) {
    const Result<FdtReader> again = FdtReader::parse(*changed);
    ASSERT_TRUE(again.ok()) << again.message();
    EXPECT_NE(again->find_path("/chosen"), FdtReader::kNone);
  } else {
    EXPECT_FALSE(changed.message().empty());
  }
  EXPECT_GT(seen, 0u);
}

TEST(FdtBuilder, MakesTheFormatOfTheSpecification) {
  FdtBuilder fdt;
  fdt.begin_node("");
  fdt.property_u32("a", 0x0102'0304);
  fdt.end_node();
  const Result<std::vector<u8>> file = fdt.finish();
  ASSERT_TRUE(file.ok());
  const std::vector<u8> expected = {
      0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 0x5a,                          // magic, total size
      0,    0,    0,    0x38, 0, 0, 0, 0x58,                          // structure, strings
      0,    0,    0,    0x28, 0, 0, 0, 17,                            // reservations, version
      0,    0,    0,    16,   0, 0, 0, 0,                             // last compatible version, boot hart
      0,    0,    0,    2,    0, 0, 0, 0x20,                          // bytes of strings and of structure
      0,    0,    0,    0,    0, 0, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0,  // end of the reservations
      0,    0,    0,    1,    0, 0, 0, 0,                             // root
      0,    0,    0,    3,    0, 0, 0, 4,    0, 0, 0, 0, 1, 2, 3, 4,  // a
      0,    0,    0,    2,    0, 0, 0, 9,                             // end of the root, end
      'a',  0};
  EXPECT_EQ(*file, expected);
}

TEST(FdtReader, ReadsWhatTheBuilderWrote) {
  const FdtReader tree = parsed(sample_tree());
  ASSERT_EQ(tree.reservations().size(), 1u);
  EXPECT_EQ(tree.reservations()[0].address, 0x8000'0000u);
  EXPECT_EQ(tree.reservations()[0].bytes, 0x1000u);
  EXPECT_EQ(tree.nodes().size(), 8u);
  const FdtNodeIndex serial = tree.find_path("/soc/serial@10000000");
  ASSERT_NE(serial, FdtReader::kNone);
  EXPECT_EQ(tree.node(serial).name, "serial@10000000");
  EXPECT_EQ(tree.node(tree.node(serial).parent).name, "soc");
  const FdtProperty* reg = tree.property(serial, "reg");
  ASSERT_NE(reg, nullptr);
  EXPECT_EQ(reg->value.size(), 16u);
  EXPECT_EQ(reg->cell(1), 0x1000'0000u);
  EXPECT_EQ(reg->cell(3), 0x100u);
  EXPECT_FALSE(reg->cell(4).has_value());
  EXPECT_FALSE(reg->u32_value().has_value());
  const FdtProperty* odd = tree.property(serial, "odd");
  ASSERT_NE(odd, nullptr);
  EXPECT_EQ(std::vector<u8>(odd->value.begin(), odd->value.end()), (std::vector<u8>{1, 2, 3, 4, 5}));
  EXPECT_FALSE(odd->string_value().has_value());
  EXPECT_FALSE(odd->strings().has_value());
  const FdtNodeIndex chosen = tree.find_path("/chosen");
  EXPECT_EQ(tree.property(chosen, "linux,initrd-end")->u64_value(), 2u);
  EXPECT_EQ(tree.property(chosen, "bootargs")->string_value(), "old line");
  EXPECT_EQ(tree.property(chosen, "absent"), nullptr);
}

TEST(FdtReader, FindsNodes) {
  const FdtReader tree = parsed(sample_tree());
  EXPECT_EQ(tree.find_path("/"), 0u);
  EXPECT_EQ(tree.find_path(""), FdtReader::kNone);
  EXPECT_EQ(tree.find_path("/soc/serial"), tree.find_path("/soc/serial@10000000"));
  EXPECT_EQ(tree.find_path("serial0"), tree.find_path("/soc/serial@10000000"));
  EXPECT_EQ(tree.find_path("/soc/virtio"), FdtReader::kNone) << "two nodes fit";
  EXPECT_NE(tree.find_path("/soc/virtio@2000"), FdtReader::kNone);
  EXPECT_EQ(tree.find_path("/nowhere/else"), FdtReader::kNone);
  EXPECT_EQ(tree.find_path("serial1"), FdtReader::kNone);
  const FdtNodeIndex plic = tree.find_compatible("riscv,plic0");
  EXPECT_EQ(plic, tree.find_path("/soc/plic"));
  EXPECT_EQ(tree.find_compatible("riscv,plic0", plic), tree.find_path("/soc/virtio@2000"));
  EXPECT_EQ(tree.find_compatible("riscv,plic"), FdtReader::kNone);
  EXPECT_EQ(tree.find_phandle(1), plic);
  EXPECT_EQ(tree.find_phandle(2), FdtReader::kNone);
}

TEST(FdtReader, KeepsItsAnswersWhenItMoves) {
  Result<FdtReader> first = FdtReader::parse(sample_tree());
  ASSERT_TRUE(first.ok());
  const std::string before = dump(*first);
  const FdtReader second = std::move(*first);
  EXPECT_EQ(dump(second), before);
}

TEST(FdtBuilder, ReportsTheFirstMistake) {
  struct Case {
    const char* name;
    std::function<void(FdtBuilder&)> write;
    const char* message;
  };
  const auto root = [](FdtBuilder& fdt) { fdt.begin_node(""); };
  const std::vector<Case> cases = {
      {"nothing", [](FdtBuilder&) {}, "empty"},
      {"named root", [](FdtBuilder& fdt) { fdt.begin_node("x"), fdt.end_node(); }, "has no name"},
      {"two roots",
       [&](FdtBuilder& fdt) {
         root(fdt), fdt.end_node();
         root(fdt), fdt.end_node();
       },
       "second root"},
      {"open node", [&](FdtBuilder& fdt) { root(fdt), fdt.begin_node("soc"); }, "/soc is not ended"},
      {"one end too many", [&](FdtBuilder& fdt) { root(fdt), fdt.end_node(), fdt.end_node(); }, "did not begin"},
      {"homeless property", [](FdtBuilder& fdt) { fdt.property_u32("a", 1); }, "in no node"},
      {"late property",
       [&](FdtBuilder& fdt) {
         root(fdt), fdt.begin_node("a"), fdt.end_node();
         fdt.property_u32("late", 1), fdt.end_node();
       },
       "follows a subnode"},
      {"property twice",
       [&](FdtBuilder& fdt) { root(fdt), fdt.property_u32("a", 1), fdt.property_u32("a", 1), fdt.end_node(); },
       "'a' twice"},
      {"node twice",
       [&](FdtBuilder& fdt) {
         root(fdt), fdt.begin_node("n"), fdt.end_node(), fdt.begin_node("n"), fdt.end_node(), fdt.end_node();
       },
       "/n twice"},
      {"phandle twice",
       [&](FdtBuilder& fdt) {
         root(fdt), fdt.property_phandle(3), fdt.begin_node("n"), fdt.property_phandle(3), fdt.end_node();
         fdt.end_node();
       },
       "phandle 3 twice"},
      {"no phandle", [&](FdtBuilder& fdt) { root(fdt), fdt.property_phandle(0), fdt.end_node(); }, "phandle 0"},
      {"node name with slash",
       [&](FdtBuilder& fdt) { root(fdt), fdt.begin_node("a/b"), fdt.end_node(), fdt.end_node(); }, "no name"},
      {"empty node name", [&](FdtBuilder& fdt) { root(fdt), fdt.begin_node(""), fdt.end_node(), fdt.end_node(); },
       "no name"},
      {"empty unit address", [&](FdtBuilder& fdt) { root(fdt), fdt.begin_node("a@"), fdt.end_node(), fdt.end_node(); },
       "no name"},
      {"32 characters", [&](FdtBuilder& fdt) { root(fdt), fdt.property_empty(std::string(32, 'a')), fdt.end_node(); },
       "no name"},
      {"property name with space", [&](FdtBuilder& fdt) { root(fdt), fdt.property_empty("a b"), fdt.end_node(); },
       "no name"},
      {"zero in a string",
       [&](FdtBuilder& fdt) { root(fdt), fdt.property_string("a", std::string_view("x\0y", 3)), fdt.end_node(); },
       "zero byte"},
      {"empty reservation", [&](FdtBuilder& fdt) { fdt.reserve(1, 0), root(fdt), fdt.end_node(); }, "empty or wraps"},
      {"wrapping reservation", [&](FdtBuilder& fdt) { fdt.reserve(~u64{0}, 2), root(fdt), fdt.end_node(); },
       "empty or wraps"},
      {"too deep",
       [&](FdtBuilder& fdt) {
         root(fdt);
         for (int i = 0; i < 64; i++) fdt.begin_node("n");
         for (int i = 0; i < 65; i++) fdt.end_node();
       },
       "deeper than 64"},
      {"too large",
       [&](FdtBuilder& fdt) {
         root(fdt), fdt.property_bytes("a", std::vector<u8>(fdt::kMaxTreeBytes)), fdt.end_node();
       },
       "larger than 2 MiB"},
  };
  for (const Case& each : cases) {
    FdtBuilder fdt;
    each.write(fdt);
    const Result<std::vector<u8>> file = fdt.finish();
    ASSERT_FALSE(file.ok()) << each.name;
    EXPECT_NE(file.message().find(each.message), std::string::npos) << each.name << ": " << file.message();
  }
}

TEST(FdtBuilder, TakesTheLongestNamesAndTheDeepestTree) {
  FdtBuilder fdt;
  fdt.begin_node("");
  fdt.property_empty(std::string(31, 'a'));
  fdt.begin_node(std::string(31, 'n') + "@" + std::string(16, 'f'));
  for (int i = 2; i < 64; i++) fdt.begin_node("n");
  for (int i = 0; i < 64; i++) fdt.end_node();
  const Result<std::vector<u8>> file = fdt.finish();
  ASSERT_TRUE(file.ok()) << file.message();
  EXPECT_EQ(parsed(*file).nodes().size(), 64u);
}

TEST(FdtChosen, ReplacesWhatTheLoaderKnowsAndNothingElse) {
  const FdtReader before = parsed(sample_tree());
  FdtChosen chosen;
  chosen.bootargs = "console=hvc0";
  chosen.initrd = FdtInitrd{0x9000'0000, 0x9012'3456};
  chosen.rng_seed = std::vector<u8>(32, 0xab);
  const Result<std::vector<u8>> file = fdt_with_chosen(before, chosen);
  ASSERT_TRUE(file.ok()) << file.message();
  const FdtReader after = parsed(*file);
  const FdtNodeIndex node = after.find_path("/chosen");
  EXPECT_EQ(after.property(node, "bootargs")->string_value(), "console=hvc0");
  EXPECT_EQ(after.property(node, "linux,initrd-start")->u64_value(), 0x9000'0000u);
  EXPECT_EQ(after.property(node, "linux,initrd-end")->u64_value(), 0x9012'3456u);
  EXPECT_EQ(after.property(node, "rng-seed")->value.size(), 32u);
  EXPECT_EQ(after.property(node, "stdout-path")->string_value(), "serial0");
  EXPECT_EQ(after.reservations().size(), 1u);
  ASSERT_EQ(after.nodes().size(), before.nodes().size());
  for (FdtNodeIndex i = 0; i < after.nodes().size(); i++) {
    EXPECT_EQ(after.node(i).name, before.node(i).name);
    if (i == node) continue;
    ASSERT_EQ(after.properties(i).size(), before.properties(i).size());
    for (size_t p = 0; p < after.properties(i).size(); p++) {
      const FdtProperty &now = after.properties(i)[p], &then = before.properties(i)[p];
      EXPECT_EQ(now.name, then.name);
      EXPECT_TRUE(std::equal(now.value.begin(), now.value.end(), then.value.begin(), then.value.end()));
    }
  }
}

TEST(FdtChosen, RemovesAnotherLoadersInitrdAndKeepsItsCommandLine) {
  const Result<std::vector<u8>> file = fdt_with_chosen(parsed(sample_tree()), {});
  ASSERT_TRUE(file.ok()) << file.message();
  const FdtReader after = parsed(*file);
  const FdtNodeIndex node = after.find_path("/chosen");
  EXPECT_EQ(after.property(node, "linux,initrd-start"), nullptr);
  EXPECT_EQ(after.property(node, "linux,initrd-end"), nullptr);
  EXPECT_EQ(after.property(node, "bootargs")->string_value(), "old line");
  EXPECT_EQ(after.property(node, "rng-seed"), nullptr);
}

TEST(FdtChosen, MakesTheNodeWhereThereIsNone) {
  FdtBuilder fdt;
  fdt.begin_node("");
  fdt.begin_node("soc");
  fdt.begin_node("chosen");  // not the root's
  fdt.end_node();
  fdt.end_node();
  fdt.end_node();
  FdtChosen chosen;
  chosen.bootargs = "quiet";
  const Result<std::vector<u8>> file = fdt_with_chosen(parsed(*fdt.finish()), chosen);
  ASSERT_TRUE(file.ok()) << file.message();
  const FdtReader after = parsed(*file);
  EXPECT_EQ(after.property(after.find_path("/chosen"), "bootargs")->string_value(), "quiet");
  EXPECT_EQ(after.property(after.find_path("/soc/chosen"), "bootargs"), nullptr);
}

TEST(FdtReader, RefusesForeignFiles) {
  const auto message = [](std::span<const u8> file) {
    const Result<FdtReader> tree = FdtReader::parse(file);
    return tree ? std::string("taken") : tree.message();
  };
  EXPECT_NE(message({}).find("not a device tree"), std::string::npos);
  std::vector<u8> text(100, 'x');
  EXPECT_NE(message(text).find("not a device tree"), std::string::npos);
  std::vector<u8> file = sample_tree();
  fdt::store_be32(file.data() + fdt::kAtVersion, 16);
  EXPECT_NE(message(file).find("dtc"), std::string::npos);
  file = sample_tree();
  fdt::store_be32(file.data() + fdt::kAtLastCompatible, 18);
  EXPECT_NE(message(file), "taken");
}

TEST(FdtReader, RefusesNestingWithoutEnd) {
  std::vector<u8> structure;
  for (int i = 0; i < 100'000; i++) {
    fdt::append_be32(structure, fdt::kBeginNode);
    structure.insert(structure.end(), {static_cast<u8>(i == 0 ? 0 : 'n'), 0, 0, 0});
  }
  std::vector<u8> file = sample_tree();
  fdt::store_be32(file.data() + fdt::kAtStructure, static_cast<u32>(align_up(file.size(), 4)));
  fdt::store_be32(file.data() + fdt::kAtStructureBytes, static_cast<u32>(structure.size()));
  file.resize(align_up(file.size(), 4));
  file.insert(file.end(), structure.begin(), structure.end());
  fdt::store_be32(file.data() + fdt::kAtTotalSize, static_cast<u32>(file.size()));
  const Result<FdtReader> tree = FdtReader::parse(file);
  ASSERT_FALSE(tree.ok());
  EXPECT_NE(tree.message().find("too deeply"), std::string::npos) << tree.message();
}

TEST(FdtReader, SurvivesTruncationAtEveryLength) {
  const std::vector<u8> file = sample_tree();
  for (size_t length = 0; length < file.size(); length++) {
    const std::vector<u8> cut = test::exact(std::span(file).first(length));
    EXPECT_FALSE(FdtReader::parse(cut).ok()) << length;
    // The same with a header that agrees, so that the parser goes on to the blocks.
    if (length < fdt::kHeaderBytes) continue;
    std::vector<u8> agreeing = cut;
    fdt::store_be32(agreeing.data() + fdt::kAtTotalSize, static_cast<u32>(length));
    EXPECT_FALSE(FdtReader::parse(agreeing).ok()) << length;
  }
}

TEST(FdtReader, SurvivesDamage) {
  const std::vector<u8> file = sample_tree();
  test::Mutator mutator(2);
  int taken = 0;
  for (int i = 0; i < 20'000; i++) {
    const Result<FdtReader> tree = FdtReader::parse(mutator.damage(file));
    if (!tree) {
      EXPECT_FALSE(tree.message().empty());
      continue;
    }
    taken++;
    visit(*tree);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(taken, 100) << "the damage should leave some files readable";
  EXPECT_LT(taken, 19'900) << "and make others unreadable";
}

}  // namespace
}  // namespace hartwood
