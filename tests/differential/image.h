// SPDX-License-Identifier: Apache-2.0
// Many programs in one static ELF file, with the little runtime that they run under. The file of one set of
// programs is the same for every machine but for its entry point:
//
//   kStub      in our machine and in qemu-system: M-mode set-up and trap handler
//   kText      all programs, one behind the other; the last one is followed by the end
//   output     a slot for each program (program.h); it holds what a program starts from and receives its
//   results
//
// At level user the programs end with Linux's write(1, output) and exit(0), which qemu-user answers itself;
// in our machine the stub runs them in U-mode and turns those two calls into HTIF's. At level machine the
// handler does both. The stub then powers the board off, so that a reference without HTIF ends too; its
// output is found in RAM. Pure.
#pragma once

#include <span>

#include "differential/program.h"

namespace hartwood::differential {

inline constexpr u64 kStub = 0x8000'0000, kText = 0x8001'0000;

struct Image {
  std::vector<u8> for_machine, for_process;  // ELF files
  u64 output = 0;                            // address
  u64 output_bytes = 0;
  std::vector<u64> bodies;  // address of each program's first unit
};

// `dropped`: units to leave out, of all programs alike (used with one program).
Image build_image(std::span<const Program> programs, Level level, const std::vector<bool>& dropped);

}  // namespace hartwood::differential
