// SPDX-License-Identifier: Apache-2.0
// One function per group of nodes. [devicetree: Devicetree Bindings], [linux:
// Documentation/devicetree/bindings/riscv]
#include "boot/board_fdt.h"

#include <algorithm>

#include "fdt/fdt_builder.h"

namespace hartwood {
namespace {

// Local interrupts of a hart, as the cpu-intc binding numbers them: bits of mip.
constexpr u32 kMachineSoftware = 3, kMachineTimer = 7, kSupervisorExternal = 9, kMachineExternal = 11;
constexpr u32 kAbsentContext = ~u32{0};
constexpr u32 kMaxBoardHarts = 64;
constexpr u32 kMaxPlicSources = 1023;

bool is_extension_name(std::string_view name) {
  return !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

Status check_range(const PaRange& range, const char* what) {
  if (range.bytes == 0 || range.start.value + (range.bytes - 1) < range.start.value)
    return errorf("the board's %s has no bytes, or wraps around", what);
  return {};
}

Status check_interrupt(const BoardDescription& board, const BoardDevice& device, const char* what) {
  if (Status status = check_range(device.registers, what); !status) return status;
  if (device.interrupt != 0 && (!board.plic || device.interrupt > board.plic_sources))
    return errorf("the board's %s uses interrupt %u, but the PLIC has %u", what, device.interrupt,
                  board.plic ? board.plic_sources : 0);
  return {};
}

Status check_board(const BoardDescription& board) {
  if (board.harts < 1 || board.harts > kMaxBoardHarts)
    return errorf("a board has 1 to %u harts, not %u", kMaxBoardHarts, board.harts);
  if (board.isa_extensions.empty() || board.isa_extensions[0] != "i")
    return errorf("the list of ISA extensions has to begin with i");
  for (const std::string& name : board.isa_extensions)
    if (!is_extension_name(name)) return errorf("'%s' is no name of an ISA extension", name.c_str());
  if (board.va_bits != 39 && board.va_bits != 48 && board.va_bits != 57)
    return errorf("virtual addresses have 39, 48 or 57 bits, not %u", board.va_bits);
  if (Status status = check_range(board.memory, "memory"); !status) return status;
  for (const PaRange& range : board.reserved_no_map) {
    if (Status status = check_range(range, "reserved memory"); !status) return status;
    if (range.start < board.memory.start || range.end() > board.memory.end())
      return errorf("the board's reserved memory is not all in its memory");
  }
  if (board.clint)
    if (Status status = check_range(*board.clint, "CLINT"); !status) return status;
  if (board.plic)
    if (Status status = check_range(*board.plic, "PLIC"); !status) return status;
  if (board.plic_sources > kMaxPlicSources) return errorf("a PLIC has at most %u sources", kMaxPlicSources);
  if (board.test)
    if (Status status = check_range(*board.test, "test device"); !status) return status;
  if (board.uart)
    if (Status status = check_interrupt(board, *board.uart, "UART"); !status) return status;
  if (board.rtc)
    if (Status status = check_interrupt(board, *board.rtc, "RTC"); !status) return status;
  if (board.vmgenid)
    if (Status status = check_interrupt(board, *board.vmgenid, "generation id"); !status) return status;
  for (const BoardDevice& device : board.virtio_mmio)
    if (Status status = check_interrupt(board, device, "virtio device"); !status) return status;
  return {};
}

class BoardTree {
 public:
  explicit BoardTree(const BoardDescription& board) : board_(board) {
    for (u32 hart = 0; hart < board.harts; hart++) {
      cpu_phandles_.push_back(fdt_.new_phandle());
      intc_phandles_.push_back(fdt_.new_phandle());
    }
    plic_phandle_ = fdt_.new_phandle();
    test_phandle_ = fdt_.new_phandle();
  }

  Result<std::vector<u8>> build() {
    fdt_.begin_node("");
    cells(2, 2);
    fdt_.property_string("compatible", "riscv-virtio");
    fdt_.property_string("model", "hartwood,virt");
    aliases();
    chosen();
    cpus();
    memory();
    reserved_memory();
    syscon_user("poweroff", "syscon-poweroff", board_.poweroff_value);
    syscon_user("reboot", "syscon-reboot", board_.reboot_value);
    soc();
    fdt_.end_node();
    return fdt_.finish();
  }

 private:
  static std::string at(const char* name, u64 address) {
    return format("%s@%llx", name, static_cast<unsigned long long>(address));
  }
  std::string serial_path() const { return "/soc/" + at("serial", board_.uart->registers.start.value); }

  void cells(u32 address, u32 size) {
    fdt_.property_u32("#address-cells", address);
    fdt_.property_u32("#size-cells", size);
  }
  void reg(const PaRange& range) {
    fdt_.property_cells("reg", {static_cast<u32>(range.start.value >> 32), static_cast<u32>(range.start.value),
                                static_cast<u32>(range.bytes >> 32), static_cast<u32>(range.bytes)});
  }

  void aliases() {
    if (!board_.uart) return;
    fdt_.begin_node("aliases");
    fdt_.property_string("serial0", serial_path());
    fdt_.end_node();
  }

  void chosen() {
    fdt_.begin_node("chosen");
    if (!board_.bootargs.empty()) fdt_.property_string("bootargs", board_.bootargs);
    if (board_.uart) fdt_.property_string("stdout-path", serial_path());
    if (!board_.initrd.empty()) {
      fdt_.property_u64("linux,initrd-start", board_.initrd.start.value);
      fdt_.property_u64("linux,initrd-end", board_.initrd.end().value);
    }
    if (!board_.rng_seed.empty()) fdt_.property_bytes("rng-seed", board_.rng_seed);
    fdt_.end_node();
  }

  void cpus() {
    fdt_.begin_node("cpus");
    cells(1, 0);
    fdt_.property_u32("timebase-frequency", board_.timebase_hz);
    for (u32 hart = 0; hart < board_.harts; hart++) cpu(hart);
    fdt_.begin_node("cpu-map");
    fdt_.begin_node("cluster0");
    for (u32 hart = 0; hart < board_.harts; hart++) {
      fdt_.begin_node(format("core%u", hart));
      fdt_.property_u32("cpu", cpu_phandles_[hart]);
      fdt_.end_node();
    }
    fdt_.end_node();
    fdt_.end_node();
    fdt_.end_node();
  }

  void cpu(u32 hart) {
    fdt_.begin_node(at("cpu", hart));
    fdt_.property_phandle(cpu_phandles_[hart]);
    fdt_.property_string("device_type", "cpu");
    fdt_.property_u32("reg", hart);
    fdt_.property_string("status", "okay");
    fdt_.property_string("compatible", "riscv");
    // Kernels before 6.7 read the string, later ones the list.
    fdt_.property_string("riscv,isa", isa_string(board_.isa_extensions));
    fdt_.property_string("riscv,isa-base", "rv64i");
    fdt_.property_strings("riscv,isa-extensions", board_.isa_extensions);
    fdt_.property_string("mmu-type", format("riscv,sv%u", board_.va_bits));
    if (board_.cbom_block_bytes != 0) fdt_.property_u32("riscv,cbom-block-size", board_.cbom_block_bytes);
    if (board_.cboz_block_bytes != 0) fdt_.property_u32("riscv,cboz-block-size", board_.cboz_block_bytes);
    if (board_.cbop_block_bytes != 0) fdt_.property_u32("riscv,cbop-block-size", board_.cbop_block_bytes);
    fdt_.begin_node("interrupt-controller");
    fdt_.property_phandle(intc_phandles_[hart]);
    fdt_.property_u32("#address-cells", 0);
    fdt_.property_u32("#interrupt-cells", 1);
    fdt_.property_empty("interrupt-controller");
    fdt_.property_string("compatible", "riscv,cpu-intc");
    fdt_.end_node();
    fdt_.end_node();
  }

  void memory() {
    fdt_.begin_node(at("memory", board_.memory.start.value));
    fdt_.property_string("device_type", "memory");
    reg(board_.memory);
    fdt_.end_node();
  }

  void reserved_memory() {
    if (board_.reserved_no_map.empty()) return;
    fdt_.begin_node("reserved-memory");
    cells(2, 2);
    fdt_.property_empty("ranges");
    for (const PaRange& range : board_.reserved_no_map) {
      fdt_.begin_node(at("region", range.start.value));
      reg(range);
      fdt_.property_empty("no-map");
      fdt_.end_node();
    }
    fdt_.end_node();
  }

  void syscon_user(const char* name, const char* compatible, u32 value) {
    if (!board_.test) return;
    fdt_.begin_node(name);
    fdt_.property_string("compatible", compatible);
    fdt_.property_u32("regmap", test_phandle_);
    fdt_.property_u32("offset", 0);
    fdt_.property_u32("value", value);
    fdt_.end_node();
  }

  void interrupt(const BoardDevice& device) {
    if (device.interrupt == 0) return;
    fdt_.property_u32("interrupt-parent", plic_phandle_);
    fdt_.property_u32("interrupts", device.interrupt);
  }

  void soc() {
    fdt_.begin_node("soc");
    cells(2, 2);
    fdt_.property_string("compatible", "simple-bus");
    fdt_.property_empty("ranges");
    if (board_.test) {
      fdt_.begin_node(at("test", board_.test->start.value));
      fdt_.property_phandle(test_phandle_);
      fdt_.property_strings("compatible", {"sifive,test1", "sifive,test0", "syscon"});
      reg(*board_.test);
      fdt_.end_node();
    }
    if (board_.rtc) {
      fdt_.begin_node(at("rtc", board_.rtc->registers.start.value));
      fdt_.property_string("compatible", "google,goldfish-rtc");
      reg(board_.rtc->registers);
      interrupt(*board_.rtc);
      fdt_.end_node();
    }
    if (board_.clint && board_.machine_mode) clint();
    if (board_.vmgenid) {
      fdt_.begin_node(at("rng", board_.vmgenid->registers.start.value));
      fdt_.property_string("compatible", "microsoft,vmgenid");
      reg(board_.vmgenid->registers);
      interrupt(*board_.vmgenid);
      fdt_.end_node();
    }
    if (board_.plic) plic();
    if (board_.uart) {
      fdt_.begin_node(at("serial", board_.uart->registers.start.value));
      fdt_.property_string("compatible", "ns16550a");
      reg(board_.uart->registers);
      fdt_.property_u32("clock-frequency", board_.uart_clock_hz);
      interrupt(*board_.uart);
      fdt_.end_node();
    }
    for (const BoardDevice& device : board_.virtio_mmio) {
      fdt_.begin_node(at("virtio_mmio", device.registers.start.value));
      fdt_.property_string("compatible", "virtio,mmio");
      reg(device.registers);
      interrupt(device);
      fdt_.end_node();
    }
    fdt_.end_node();
  }

  // For each hart two wires to its interrupt controller.
  std::vector<u32> wires(u32 first, u32 second) const {
    std::vector<u32> list;
    for (const u32 intc : intc_phandles_) list.insert(list.end(), {intc, first, intc, second});
    return list;
  }

  void clint() {
    fdt_.begin_node(at("clint", board_.clint->start.value));
    fdt_.property_strings("compatible", {"sifive,clint0", "riscv,clint0"});
    reg(*board_.clint);
    fdt_.property_cells("interrupts-extended", wires(kMachineSoftware, kMachineTimer));
    fdt_.end_node();
  }

  void plic() {
    fdt_.begin_node(at("plic", board_.plic->start.value));
    fdt_.property_phandle(plic_phandle_);
    fdt_.property_strings("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
    reg(*board_.plic);
    fdt_.property_u32("#address-cells", 0);
    fdt_.property_u32("#interrupt-cells", 1);
    fdt_.property_empty("interrupt-controller");
    // Contexts in the order of the PLIC's registers: M-mode and S-mode of hart 0, of hart 1, ...
    fdt_.property_cells("interrupts-extended",
                        wires(board_.machine_mode ? kMachineExternal : kAbsentContext, kSupervisorExternal));
    fdt_.property_u32("riscv,ndev", board_.plic_sources);
    fdt_.end_node();
  }

  const BoardDescription& board_;
  FdtBuilder fdt_;
  std::vector<u32> cpu_phandles_, intc_phandles_;
  u32 plic_phandle_ = 0, test_phandle_ = 0;
};

}  // namespace

std::string isa_string(std::span<const std::string> extensions) {
  std::string text = "rv64";
  for (const std::string& name : extensions) {
    if (name.size() > 1) text += '_';
    text += name;
  }
  return text;
}

Result<std::vector<u8>> build_device_tree(const BoardDescription& board) {
  if (Status status = check_board(board); !status) return status.error();
  return BoardTree(board).build();
}

Status check_device_tree(const FdtReader& tree, const PaRange& memory, u32 harts) {
  u32 memory_nodes = 0;
  for (FdtNodeIndex node = tree.node(0).first_child; node != FdtReader::kNone; node = tree.node(node).next_sibling) {
    const FdtProperty* type = tree.property(node, "device_type");
    if (type == nullptr || type->string_value() != "memory") continue;
    memory_nodes++;
    const auto cell_count = [&](const char* name) {
      const FdtProperty* count = tree.property(0, name);
      return count == nullptr ? 0 : count->u32_value().value_or(0);
    };
    const FdtProperty* reg = tree.property(node, "reg");
    if (cell_count("#address-cells") != 2 || cell_count("#size-cells") != 2 || reg == nullptr || reg->value.empty() ||
        reg->value.size() % 16 != 0)
      return errorf("the device tree's memory node has no reg of 64-bit addresses and sizes");
    for (size_t i = 0; i < reg->value.size() / 4; i += 4) {
      const u64 start = u64{*reg->cell(i)} << 32 | *reg->cell(i + 1);
      const u64 bytes = u64{*reg->cell(i + 2)} << 32 | *reg->cell(i + 3);
      const u64 offset = start - memory.start.value;
      if (offset > memory.bytes || bytes > memory.bytes - offset)
        return errorf(
            "the device tree has %llu MiB of RAM at 0x%llx, which this machine has not; choose that much "
            "memory, or change the tree",
            static_cast<unsigned long long>(bytes >> 20), static_cast<unsigned long long>(start));
    }
  }
  if (memory_nodes == 0) return errorf("the device tree has no memory node");

  const FdtNodeIndex cpus = tree.find_path("/cpus");
  u32 found = 0;
  if (cpus != FdtReader::kNone)
    for (FdtNodeIndex node = tree.node(cpus).first_child; node != FdtReader::kNone;
         node = tree.node(node).next_sibling) {
      const FdtProperty* type = tree.property(node, "device_type");
      if (type == nullptr || type->string_value() != "cpu") continue;
      found++;
      const FdtProperty* id = tree.property(node, "reg");
      std::optional<u64> hart;
      if (id != nullptr) hart = id->u64_value();
      if (id != nullptr && id->u32_value()) hart = *id->u32_value();
      if (!hart || *hart >= harts)
        return errorf("the device tree has a hart that this machine has not; it has %u, numbered from 0", harts);
    }
  if (found == 0) return errorf("the device tree has no harts");
  return {};
}

}  // namespace hartwood
