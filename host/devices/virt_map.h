// SPDX-License-Identifier: Apache-2.0
// Where the devices of the machine lie: physical bases and sizes in bytes, and interrupt sources of the PLIC,
// all as on QEMU's `virt` board. Read by the machine (the bus) and by the device tree builder. Constants
// only.
#pragma once

#include "base/types.h"

namespace hartwood::virt {

inline constexpr u64 kSysconBase = 0x10'0000, kSysconBytes = 0x1000;
inline constexpr u64 kRtcBase = 0x10'1000, kRtcBytes = 0x1000;
inline constexpr u64 kAclintBase = 0x200'0000, kAclintBytes = 0x1'0000;
inline constexpr u64 kVmGenIdBase = 0x400'0000, kVmGenIdBytes = 0x1000;  // of QEMU's platform bus, and its source
inline constexpr u64 kPlicBase = 0xc00'0000, kPlicBytes = 0x60'0000;
inline constexpr u64 kUartBase = 0x1000'0000, kUartBytes = 0x100;
inline constexpr u64 kVirtioBase = 0x1000'1000, kVirtioBytes = 0x1000;  // of slot 0; slots follow each other
inline constexpr u32 kVirtioSlots = 8;

inline constexpr u32 kVirtioIrq = 1;  // of slot 0; slot n has kVirtioIrq + n
inline constexpr u32 kUartIrq = 10;
inline constexpr u32 kRtcIrq = 11;
inline constexpr u32 kVmGenIdIrq = 64;  // the first of the platform bus; 32 to 35 are PCI's

inline constexpr u32 kPlicSources = 96;  // ids 0 (no interrupt) to 95; "riscv,ndev" is one less
inline constexpr u32 kPlicMaxPriority = 7;
inline constexpr u32 kPlicContextsPerHart = 2;  // machine mode, then supervisor mode
inline constexpr u32 kUartClockHz = 3'686'400;  // "clock-frequency" of the UART

constexpr u64 virtio_base(u32 slot) { return kVirtioBase + slot * kVirtioBytes; }
constexpr u32 virtio_irq(u32 slot) { return kVirtioIrq + slot; }

}  // namespace hartwood::virt
