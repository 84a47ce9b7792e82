// SPDX-License-Identifier: Apache-2.0
// What a machine is to be made of, as page, command line and tests give it: one JSON object. Plain data.
//
//   {"harts": 2, "memory": "512M", "append": "console=hvc0", "paging": "sv57", "console": "virtio",
//    "disks": [{"source": "root.img", "read_only": true}]}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "shm/hart_shared.h"

namespace hartwood {

inline constexpr u32 kMaxDisks = 4;
// What the kernel keeps of a command line on RISC-V, less its terminating zero.
inline constexpr size_t kMaxAppendBytes = 1023;

// Which device the guest's console is on; all of them exist in every machine.
enum class ConsoleKind : u8 { virtio, uart, sbi };
// Who is below the kernel; see boot/boot_plan.h.
enum class FirmwareKind : u8 { built_in, file, none };
// What time is counted by: the host's clock, or the instructions that the hart retires, so that executions repeat.
enum class ClockKind : u8 { host, instructions };

struct DiskConfig {
  std::string source;  // a file's path, or the name of a store that the embedder knows; never empty
  bool read_only = false;
};

struct MachineConfig {
  u32 harts = 1;                                   // "harts": 1 to kMaxHarts
  u64 memory_bytes = u64{512} << 20;               // "memory": in MiB, or a text such as "512M" or "1G"
  std::string append;                              // "append": the kernel's command line
  u32 va_bits = 57;                                // "paging": "sv39", "sv48" or "sv57", satp's largest mode
  bool zacas = false;                              // "zacas"
  bool svadu = true;                               // "svadu"
  ConsoleKind console = ConsoleKind::virtio;       // "console": "virtio", "uart" or "sbi"
  FirmwareKind firmware = FirmwareKind::built_in;  // "firmware": "built-in", "file" or "none"
  bool compiler = false;                           // "compiler": a compiler worker serves this machine
  u32 compiler_visits = 500;                       // "compiler_visits": of a place, each 64 jumps, until it is compiled
  u32 compiler_after = u32{64} << 20;              // "compiler_after": instructions that some hart executes first
  bool compiler_eager = false;                     // "compiler_eager": everything that is jumped to is compiled; tests
  bool deterministic = false;                      // "deterministic": one thread, virtual time
  ClockKind clock = ClockKind::host;               // "clock": "host" or "virtual", which is for one hart
  u64 seed = 0;                   // "seed": of what is random with virtual time; a number, or "0x..." for all 64 bits
  std::vector<DiskConfig> disks;  // "disks": at most kMaxDisks of {"source", "read_only"}
};

// Absent keys keep the defaults above. Errors name the key, what it has and what it accepts.
Result<MachineConfig> parse_config(std::string_view json);
// The other way round: parse_config() makes the same of it.
std::string describe_config(const MachineConfig& config);

// "512M", "1G", "65536K" (powers of 1024), or a plain number of MiB, to bytes; the sizes that GuestMemory
// takes.
Result<u64> parse_memory_size(std::string_view text);
// Decimal, or hexadecimal with 0x.
Result<u64> parse_seed(std::string_view text);

}  // namespace hartwood
