// SPDX-License-Identifier: Apache-2.0
// The machine's device tree, read back by our reader and by dtc where it is installed.
#include "boot/board_fdt.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

namespace hartwood {
namespace {

BoardDescription board(u32 harts) {
  BoardDescription d;
  d.harts = harts;
  d.isa_extensions = {"i", "m", "a", "f", "d", "c", "zicbom", "zicbop", "zicboz", "zicsr", "zba", "sstc"};
  d.memory = {Pa(0x8000'0000), u64{1} << 29};
  d.clint = PaRange{Pa(0x200'0000), 0x1'0000};
  d.plic = PaRange{Pa(0xc00'0000), 0x60'0000};
  d.uart = BoardDevice{{Pa(0x1000'0000), 0x100}, 10};
  d.rtc = BoardDevice{{Pa(0x10'1000), 0x1000}, 11};
  d.vmgenid = BoardDevice{{Pa(0x400'0000), 0x1000}, 64};
  d.test = PaRange{Pa(0x10'0000), 0x1000};
  for (u32 i = 0; i < 8; i++) d.virtio_mmio.push_back({{Pa(0x1000'1000 + i * 0x1000), 0x1000}, i + 1});
  d.bootargs = "console=ttyS0 root=/dev/vda";
  d.initrd = {Pa(0x9000'0000), 0x1234};
  d.rng_seed = std::vector<u8>(32, 0x5a);
  return d;
}

std::vector<u8> built(const BoardDescription& description) {
  Result<std::vector<u8>> file = build_device_tree(description);
  EXPECT_TRUE(file.ok()) << file.message();
  return file ? std::move(*file) : std::vector<u8>();
}

FdtReader read(const BoardDescription& description) {
  Result<FdtReader> tree = FdtReader::parse(built(description));
  EXPECT_TRUE(tree.ok()) << tree.message();
  return std::move(*tree);
}

class Tree {
 public:
  explicit Tree(const BoardDescription& description) : tree_(read(description)) {}
  const FdtReader& operator*() const { return tree_; }
  bool has(std::string_view path) const { return tree_.find_path(path) != FdtReader::kNone; }
  std::vector<u32> cells(std::string_view path, std::string_view name) const {
    std::vector<u32> list;
    const FdtProperty* each = find(path, name);
    for (size_t i = 0; each != nullptr && each->cell(i); i++) list.push_back(*each->cell(i));
    return list;
  }
  std::string text(std::string_view path, std::string_view name) const {
    const FdtProperty* each = find(path, name);
    const auto parts = each == nullptr ? std::nullopt : each->strings();
    if (!parts) return "(none)";
    std::string all;
    for (const std::string_view part : *parts) all += (all.empty() ? "" : "|") + std::string(part);
    return all;
  }
  const FdtProperty* find(std::string_view path, std::string_view name) const {
    const FdtNodeIndex node = tree_.find_path(path);
    return node == FdtReader::kNone ? nullptr : tree_.property(node, name);
  }

 private:
  FdtReader tree_;
};

using Cells = std::vector<u32>;

TEST(BoardFdt, DescribesTheHarts) {
  const Tree tree(board(2));
  EXPECT_EQ(tree.text("/", "compatible"), "riscv-virtio");
  EXPECT_EQ(tree.cells("/cpus", "timebase-frequency"), Cells{10'000'000});
  for (const char* cpu : {"/cpus/cpu@0", "/cpus/cpu@1"}) {
    EXPECT_EQ(tree.text(cpu, "device_type"), "cpu");
    EXPECT_EQ(tree.text(cpu, "riscv,isa"), "rv64imafdc_zicbom_zicbop_zicboz_zicsr_zba_sstc");
    EXPECT_EQ(tree.text(cpu, "riscv,isa-base"), "rv64i");
    EXPECT_EQ(tree.text(cpu, "riscv,isa-extensions"), "i|m|a|f|d|c|zicbom|zicbop|zicboz|zicsr|zba|sstc");
    EXPECT_EQ(tree.text(cpu, "mmu-type"), "riscv,sv57");
    EXPECT_EQ(tree.cells(cpu, "riscv,cbom-block-size"), Cells{64});
    EXPECT_EQ(tree.cells(cpu, "riscv,cboz-block-size"), Cells{64});
    EXPECT_EQ(tree.cells(cpu, "riscv,cbop-block-size"), Cells{64});
    EXPECT_EQ(tree.text(std::string(cpu) + "/interrupt-controller", "compatible"), "riscv,cpu-intc");
  }
  EXPECT_EQ(tree.cells("/cpus/cpu@1", "reg"), Cells{1});
  EXPECT_FALSE(tree.has("/cpus/cpu@2"));
  const Cells core = tree.cells("/cpus/cpu-map/cluster0/core1", "cpu");
  ASSERT_EQ(core.size(), 1u);
  EXPECT_EQ((*tree).find_phandle(core[0]), (*tree).find_path("/cpus/cpu@1"));
}

TEST(BoardFdt, NamesTheLargestPagingMode) {
  BoardDescription d = board(1);
  for (const u32 bits : {39u, 48u, 57u}) {
    d.va_bits = bits;
    EXPECT_EQ(Tree(d).text("/cpus/cpu@0", "mmu-type"), format("riscv,sv%u", bits));
  }
}

TEST(BoardFdt, DescribesMemoryAndChosen) {
  const Tree tree(board(1));
  EXPECT_EQ(tree.cells("/memory@80000000", "reg"), (Cells{0, 0x8000'0000, 0, 0x2000'0000}));
  EXPECT_EQ(tree.text("/chosen", "bootargs"), "console=ttyS0 root=/dev/vda");
  EXPECT_EQ(tree.text("/chosen", "stdout-path"), "/soc/serial@10000000");
  EXPECT_EQ(tree.find("/chosen", "linux,initrd-start")->u64_value(), 0x9000'0000u);
  EXPECT_EQ(tree.find("/chosen", "linux,initrd-end")->u64_value(), 0x9000'1234u);
  EXPECT_EQ(tree.find("/chosen", "rng-seed")->value.size(), 32u);
  EXPECT_TRUE((*tree).find_path("serial0") == (*tree).find_path("/soc/serial@10000000"));
  EXPECT_FALSE(tree.has("/reserved-memory"));

  BoardDescription d = board(1);
  d.initrd = {};
  d.rng_seed.clear();
  d.bootargs.clear();
  d.reserved_no_map = {{Pa(0x8000'0000), 0x20'0000}};
  const Tree bare(d);
  for (const char* name : {"linux,initrd-start", "linux,initrd-end", "rng-seed", "bootargs"})
    EXPECT_EQ(bare.find("/chosen", name), nullptr) << name;
  EXPECT_EQ(bare.cells("/reserved-memory/region@80000000", "reg"), (Cells{0, 0x8000'0000, 0, 0x20'0000}));
  EXPECT_NE(bare.find("/reserved-memory/region", "no-map"), nullptr);
}

TEST(BoardFdt, DescribesTheDevices) {
  const Tree tree(board(1));
  const Cells plic = tree.cells("/soc/plic@c000000", "phandle");
  ASSERT_EQ(plic.size(), 1u);
  EXPECT_EQ(tree.text("/soc/plic", "compatible"), "sifive,plic-1.0.0|riscv,plic0");
  EXPECT_EQ(tree.cells("/soc/plic", "riscv,ndev"), Cells{96});
  EXPECT_EQ(tree.text("/soc/serial", "compatible"), "ns16550a");
  EXPECT_EQ(tree.cells("/soc/serial", "clock-frequency"), Cells{3'686'400});
  EXPECT_EQ(tree.cells("/soc/serial", "interrupts"), Cells{10});
  EXPECT_EQ(tree.cells("/soc/serial", "interrupt-parent"), plic);
  EXPECT_EQ(tree.text("/soc/rtc@101000", "compatible"), "google,goldfish-rtc");
  EXPECT_EQ(tree.text("/soc/rng@4000000", "compatible"), "microsoft,vmgenid");
  EXPECT_EQ(tree.cells("/soc/rng@4000000", "reg"), (Cells{0, 0x400'0000, 0, 0x1000}));
  EXPECT_EQ(tree.cells("/soc/rng@4000000", "interrupts"), Cells{64});
  EXPECT_EQ(tree.cells("/soc/rng@4000000", "interrupt-parent"), plic);
  EXPECT_EQ(tree.text("/soc/test@100000", "compatible"), "sifive,test1|sifive,test0|syscon");
  EXPECT_EQ(tree.cells("/poweroff", "regmap"), tree.cells("/soc/test", "phandle"));
  EXPECT_EQ(tree.cells("/poweroff", "value"), Cells{0x5555});
  EXPECT_EQ(tree.cells("/reboot", "value"), Cells{0x7777});
  EXPECT_EQ(tree.cells("/soc/virtio_mmio@10008000", "reg"), (Cells{0, 0x1000'8000, 0, 0x1000}));
  EXPECT_EQ(tree.cells("/soc/virtio_mmio@10008000", "interrupts"), Cells{8});
}

TEST(BoardFdt, HidesMachineModeWhereNothingRunsInIt) {
  BoardDescription d = board(2);
  const Tree without(d);
  EXPECT_FALSE(without.has("/soc/clint"));
  d.machine_mode = true;
  const Tree with(d);
  const auto intc = [&](const Tree& tree, u32 hart) {
    return tree.cells(format("/cpus/cpu@%u/interrupt-controller", hart), "phandle").at(0);
  };
  EXPECT_EQ(with.cells("/soc/clint@2000000", "interrupts-extended"),
            (Cells{intc(with, 0), 3, intc(with, 0), 7, intc(with, 1), 3, intc(with, 1), 7}));
  EXPECT_EQ(with.cells("/soc/plic", "interrupts-extended"),
            (Cells{intc(with, 0), 11, intc(with, 0), 9, intc(with, 1), 11, intc(with, 1), 9}));
  EXPECT_EQ(without.cells("/soc/plic", "interrupts-extended"),
            (Cells{intc(without, 0), ~0u, intc(without, 0), 9, intc(without, 1), ~0u, intc(without, 1), 9}));
}

TEST(BoardFdt, RefusesContradictions) {
  struct Case {
    const char* name;
    std::function<void(BoardDescription&)> spoil;
    const char* message;
  };
  const Case cases[] = {
      {"no harts", [](auto& d) { d.harts = 0; }, "1 to 64 harts"},
      {"65 harts", [](auto& d) { d.harts = 65; }, "1 to 64 harts"},
      {"no base", [](auto& d) { d.isa_extensions = {"m"}; }, "begin with i"},
      {"upper case", [](auto& d) { d.isa_extensions.push_back("Zbb"); }, "'Zbb'"},
      {"paging", [](auto& d) { d.va_bits = 40; }, "not 40"},
      {"no memory", [](auto& d) { d.memory.bytes = 0; }, "memory has no bytes"},
      {"reserved elsewhere",
       [](auto& d) {
         d.reserved_no_map = {{Pa(0), 1}};
       },
       "not all in its memory"},
      {"interrupt 97", [](auto& d) { d.uart->interrupt = 97; }, "UART uses interrupt 97"},
      {"generation id's interrupt", [](auto& d) { d.vmgenid->interrupt = 97; }, "generation id uses interrupt 97"},
      {"generation id without bytes", [](auto& d) { d.vmgenid->registers.bytes = 0; }, "generation id has no bytes"},
      {"no PLIC", [](auto& d) { d.plic.reset(); }, "but the PLIC has 0"},
      {"too many sources", [](auto& d) { d.plic_sources = 1024; }, "1023"},
      {"same place", [](auto& d) { d.virtio_mmio[1] = d.virtio_mmio[0]; }, "twice"},
      {"zero in bootargs", [](auto& d) { d.bootargs.push_back('\0'); }, "zero byte"},
  };
  for (const Case& each : cases) {
    BoardDescription d = board(1);
    each.spoil(d);
    const Result<std::vector<u8>> file = build_device_tree(d);
    ASSERT_FALSE(file.ok()) << each.name;
    EXPECT_NE(file.message().find(each.message), std::string::npos) << each.name << ": " << file.message();
  }
}

TEST(BoardFdt, CheckOfAUsersTree) {
  const FdtReader tree = read(board(2));
  const PaRange memory{Pa(0x8000'0000), u64{1} << 29};
  EXPECT_TRUE(check_device_tree(tree, memory, 2).ok()) << check_device_tree(tree, memory, 2).message();
  EXPECT_TRUE(check_device_tree(tree, {memory.start, memory.bytes * 2}, 4).ok());
  EXPECT_NE(check_device_tree(tree, memory, 1).message().find("it has 1"), std::string::npos);
  EXPECT_NE(check_device_tree(tree, {memory.start, memory.bytes / 2}, 2).message().find("512 MiB"), std::string::npos);
  BoardDescription none = board(1);
  none.memory.start = Pa(0x4000'0000);
  EXPECT_FALSE(check_device_tree(read(none), memory, 2).ok());
}

// ---- dtc, a program of the host: natively only ----
#ifndef __EMSCRIPTEN__

bool has_dtc() { return std::system("command -v dtc >/dev/null 2>&1") == 0; }

// Runs `command` with the tree in the file that replaces FILE in it; its output, and whether it succeeded.
std::string run_on(const std::vector<u8>& tree, std::string command, bool& succeeded) {
  char path[] = "/tmp/hartwood-fdt-XXXXXX";
  const int file = mkstemp(path);
  EXPECT_GE(file, 0);
  EXPECT_EQ(write(file, tree.data(), tree.size()), static_cast<ssize_t>(tree.size()));
  close(file);
  command.replace(command.find("FILE"), 4, path);
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  if (pipe != nullptr)
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output.push_back(static_cast<char>(c));
  succeeded = pipe != nullptr && pclose(pipe) == 0;
  unlink(path);
  return output;
}

TEST(BoardFdt, DtcTakesItWithoutAWarning) {
  ASSERT_TRUE(has_dtc()) << "dtc is not installed (Debian: device-tree-compiler)";
  for (const bool machine_mode : {false, true}) {
    BoardDescription d = board(4);
    d.machine_mode = machine_mode;
    bool succeeded = false;
    const std::string output = run_on(built(d), "dtc -I dtb -O dts FILE 2>&1", succeeded);
    EXPECT_TRUE(succeeded) << output;
    EXPECT_EQ(output.find("Warning"), std::string::npos) << output;
    EXPECT_EQ(output.find("ERROR"), std::string::npos) << output;
    EXPECT_NE(output.find("mmu-type = \"riscv,sv57\""), std::string::npos) << output;
  }
}

TEST(BoardFdt, DtcAndOurReaderSeeTheSameTree) {
  ASSERT_TRUE(has_dtc()) << "dtc is not installed (Debian: device-tree-compiler)";
  // What dtc writes anew has other offsets but the same content.
  const std::vector<u8> ours = built(board(3));
  bool succeeded = false;
  const std::string theirs = run_on(ours, "dtc -q -I dtb -O dtb -V 17 FILE", succeeded);
  ASSERT_TRUE(succeeded);
  const Result<FdtReader> a = FdtReader::parse(ours);
  const Result<FdtReader> b = FdtReader::parse({reinterpret_cast<const u8*>(theirs.data()), theirs.size()});
  ASSERT_TRUE(a.ok() && b.ok()) << a.message() << b.message();
  ASSERT_EQ(a->nodes().size(), b->nodes().size());
  for (FdtNodeIndex i = 0; i < a->nodes().size(); i++) {
    EXPECT_EQ(a->node(i).name, b->node(i).name);
    EXPECT_EQ(a->node(i).parent, b->node(i).parent);
    ASSERT_EQ(a->properties(i).size(), b->properties(i).size()) << a->node(i).name;
    for (size_t p = 0; p < a->properties(i).size(); p++) {
      const FdtProperty &left = a->properties(i)[p], &right = b->properties(i)[p];
      EXPECT_EQ(left.name, right.name);
      EXPECT_TRUE(std::equal(left.value.begin(), left.value.end(), right.value.begin(), right.value.end()))
          << left.name;
    }
  }
}

#endif

}  // namespace
}  // namespace hartwood
