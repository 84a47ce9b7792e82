// SPDX-License-Identifier: Apache-2.0
// The device tree of this machine, from a plain description of it: the nodes, names and properties of QEMU's
// `virt` board as far as this machine has them, and what newer kernels want besides. Pure functions, any
// thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "boot/elf.h"
#include "fdt/fdt_reader.h"

namespace hartwood {

// A device's registers and, where it has one, its wire to the PLIC (0: none).
struct BoardDevice {
  PaRange registers;
  u32 interrupt = 0;
};

struct BoardDescription {
  // Harts 0 to harts-1, all alike; 1 to 64.
  u32 harts = 1;
  u32 timebase_hz = 10'000'000;
  // Extensions as the unprivileged manual names them, in lower case and in the order that an ISA string has
  // them: "i", "m", "a", "f", "d", "c", "zicsr", ..., "sstc". "i" comes first.
  std::vector<std::string> isa_extensions;
  u32 va_bits = 57;  // largest satp mode: 39, 48 or 57
  // Bytes that cbo.inval/clean/flush, cbo.zero and prefetches work on; 0 leaves the property out.
  u32 cbom_block_bytes = 64, cboz_block_bytes = 64, cbop_block_bytes = 64;

  PaRange memory;
  // RAM inside `memory` that the kernel may not map at all.
  std::vector<PaRange> reserved_no_map;

  // Whether M-mode software runs that needs the CLINT and the PLIC's M-mode contexts. Otherwise the tree has
  // no CLINT, and marks those contexts as absent, as firmware does before it starts a kernel.
  bool machine_mode = false;
  std::optional<PaRange> clint;
  std::optional<PaRange> plic;
  u32 plic_sources = 96;  // sources 1 to this number
  std::optional<BoardDevice> uart;
  u32 uart_clock_hz = 3'686'400;
  std::optional<BoardDevice> rtc;
  std::optional<BoardDevice> vmgenid;
  // Writes of these values to the first word of `test` end or restart the machine.
  std::optional<PaRange> test;
  u32 poweroff_value = 0x5555, reboot_value = 0x7777;
  std::vector<BoardDevice> virtio_mmio;

  // /chosen
  std::string bootargs;
  PaRange initrd;            // empty: none
  std::vector<u8> rng_seed;  // empty: none; the kernel wants 32 bytes or more
};

// "rv64imafdc_zicsr_..." of a list as in BoardDescription.
std::string isa_string(std::span<const std::string> extensions);

// The DTB. Errors name what in the description is out of range or contradicts itself.
Result<std::vector<u8>> build_device_tree(const BoardDescription& board);

// Whether a tree that the user gave fits the machine: its RAM lies in `memory`, and it has no more than
// `harts` harts.
Status check_device_tree(const FdtReader& tree, const PaRange& memory, u32 harts);

}  // namespace hartwood
