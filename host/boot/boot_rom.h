// SPDX-License-Identifier: Apache-2.0
// The program at 0x1000 that every hart runs first when a firmware file is booted, the same as on QEMU's
// `virt` board: a0 = hart id, a1 = device tree, a2 = the firmware's dynamic information, then a jump. Pure
// function, any thread.
#pragma once

#include <vector>

#include "base/types.h"

namespace hartwood {

inline constexpr Pa kBootRomBase{0x1000};

// What OpenSBI's fw_dynamic reads at a2. [opensbi: OpenSBI Firmware with Dynamic Information fw_dynamic]
struct FwDynamicInfo {
  static constexpr u64 kMagic = 0x4942'534f;
  static constexpr u64 kVersion = 2;
  static constexpr u64 kUserMode = 0, kSupervisorMode = 1, kMachineMode = 3;
  u64 magic = kMagic;
  u64 version = kVersion;
  u64 next_address = 0;  // guest physical; where the firmware goes when it is done
  u64 next_mode = kSupervisorMode;
  u64 options = 0;
  u64 boot_hart = 0;
};
static_assert(sizeof(FwDynamicInfo) == 48);

// The ROM's bytes, to be mapped read-only at kBootRomBase.
std::vector<u8> build_boot_rom(Pa jump, Pa device_tree, const FwDynamicInfo& info);

}  // namespace hartwood
