// SPDX-License-Identifier: Apache-2.0
// What a file given as kernel or firmware is, told by its first bytes. Pure functions, any thread.
#pragma once

#include <span>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

enum class ImageKind : u8 {
  elf,          // any ELF file; parse_elf says whether it is one for this machine
  linux_image,  // the kernel's arch/riscv/boot/Image, with an EFI stub or without
  efi_zboot,    // vmlinuz.efi: a compressed Image inside an EFI program
  gzip,
  zstd,
  xz,
  bzip2,
  lz4,
  fdt,
  unknown,
};

ImageKind detect_image(std::span<const u8> file);

// For messages: "an ELF file", "a gzip-compressed file".
const char* describe(ImageKind kind);

// An Error that says how to decompress a file of this kind; success for kinds that are not compressed. `what`
// names the file's role: "kernel".
Status require_uncompressed(ImageKind kind, const char* what);

}  // namespace hartwood
