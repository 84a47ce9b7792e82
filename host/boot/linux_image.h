// SPDX-License-Identifier: Apache-2.0
// The header of the kernel's raw Image for RISC-V. An EFI stub in it is ignored: the code at the start of the
// file jumps over it. [linux: Boot image header in RISC-V Linux] Pure function, any thread.
#pragma once

#include <span>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

// Where a kernel that is no M-mode one begins, from the start of RAM, and how it is aligned: one 2 MiB page.
inline constexpr u64 kKernelAlignment = u64{2} << 20;

struct LinuxImage {
  u64 text_offset = 0;   // from the start of RAM, in bytes: a multiple of 2 MiB; 0 for kernels that run in M-mode
  u64 memory_bytes = 0;  // what the kernel occupies with its cleared data; at least the file's size
  u64 file_bytes = 0;
  u32 version = 0;  // of the header: major << 16 | minor
};

// Errors: no Image, cut off, big-endian, sizes and offsets that cannot be true.
Result<LinuxImage> parse_linux_image(std::span<const u8> file);

}  // namespace hartwood
