// SPDX-License-Identifier: Apache-2.0
// Decides where firmware, kernel, initrd and device tree go, and puts them there. The order of work is:
// plan_boot, then build_device_tree with the plan's initrd (or fdt_with_chosen for a tree that the user
// gave), then load_boot. Called once per boot, before the harts run.
//
//   built_in   RAM+0     RAM + 2 MiB ...            ... below the tree   end (at most 3 GiB) - 2 MiB
//              (free)    kernel with its bss        initrd               device tree
//   firmware   firmware  kernel, 2 MiB-aligned      the same             the same
//   bare       the program, where it is linked      the same             the same
//
// The tree's place is that of QEMU's `virt` board, so that the same firmware sees the same a1.
#pragma once

#include <optional>
#include <span>

#include "base/result.h"
#include "base/types.h"
#include "boot/boot_rom.h"
#include "boot/elf.h"
#include "memory/guest_memory.h"

namespace hartwood {

enum class BootMode : u8 {
  built_in,  // the core answers SBI calls; the kernel starts in S-mode
  firmware,  // a firmware file starts in M-mode through the boot ROM, and starts the kernel
  bare,      // the kernel file starts in M-mode, without firmware, through the boot ROM
};

// The largest device tree: what the plan keeps free for it.
inline constexpr u64 kDeviceTreeWindow = u64{2} << 20;

// The files must outlive the plan's use; empty: not given.
struct BootRequest {
  u64 ram_bytes = 0;  // as GuestMemory's
  BootMode mode = BootMode::built_in;
  std::span<const u8> firmware;  // needed in mode firmware only: ELF, or a flat binary for the start of RAM
  std::span<const u8> kernel;    // an Image or ELF; with firmware also a flat binary, or none
  std::span<const u8> initrd;    // anything
};

struct Placement {
  BootMode mode = BootMode::built_in;
  PaRange firmware;     // with what it may use behind its file; empty without
  PaRange kernel;       // with bss; empty without
  PaRange initrd;       // page-aligned start, exact size; empty without
  PaRange device_tree;  // kDeviceTreeWindow bytes, where the tree begins
  // Where the first instruction after the boot ROM (or the first of all, in mode built_in) is: firmware or
  // kernel.
  Pa entry;
  Pa kernel_entry;        // what the firmware is told as next address; 0 without kernel
  u64 kernel_bias = 0;    // for ELF kernels: added to p_paddr
  u64 firmware_bias = 0;  // for ELF firmware
  bool machine_mode() const { return mode != BootMode::built_in; }
};

// Errors name the file and what to do: wrong kind, damaged, needs more memory (and how much), overlaps.
Result<Placement> plan_boot(const BootRequest& request);

// Writes all files and the tree. `request` is the one that was planned, and memory has its size. Fails if the
// tree is larger than kDeviceTreeWindow.
Status load_boot(GuestMemory& memory, const BootRequest& request, const Placement& plan,
                 std::span<const u8> device_tree);

// The boot ROM of a plan in mode firmware or bare.
std::vector<u8> boot_rom_for(const Placement& plan);

}  // namespace hartwood
