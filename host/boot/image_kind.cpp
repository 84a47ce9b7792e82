// SPDX-License-Identifier: Apache-2.0
#include "boot/image_kind.h"

#include <cstring>
#include <string_view>

namespace hartwood {
namespace {

bool has(std::span<const u8> file, size_t at, std::string_view magic) {
  return file.size() >= at + magic.size() && std::memcmp(file.data() + at, magic.data(), magic.size()) == 0;
}

}  // namespace

ImageKind detect_image(std::span<const u8> file) {
  if (has(file, 0,
          "\x7f"
          "ELF"))
    return ImageKind::elf;
  if (has(file, 0x38, "RSC\x05") || has(file, 0x30, std::string_view("RISCV\0\0\0", 8))) return ImageKind::linux_image;
  if (has(file, 0, "MZ") && has(file, 4, "zimg")) return ImageKind::efi_zboot;
  if (has(file, 0, "\x1f\x8b")) return ImageKind::gzip;
  if (has(file, 0, "\x28\xb5\x2f\xfd")) return ImageKind::zstd;
  if (has(file, 0,
          std::string_view("\xfd"
                           "7zXZ\0",
                           6)))
    return ImageKind::xz;
  if (has(file, 0, "BZh")) return ImageKind::bzip2;
  if (has(file, 0, "\x02\x21\x4c\x18") || has(file, 0, "\x04\x22\x4d\x18")) return ImageKind::lz4;
  if (has(file, 0, "\xd0\x0d\xfe\xed")) return ImageKind::fdt;
  return ImageKind::unknown;
}

const char* describe(ImageKind kind) {
  switch (kind) {
    case ImageKind::elf: return "an ELF file";
    case ImageKind::linux_image: return "a Linux Image";
    case ImageKind::efi_zboot: return "a compressed EFI kernel (vmlinuz.efi)";
    case ImageKind::gzip: return "a gzip-compressed file";
    case ImageKind::zstd: return "a zstd-compressed file";
    case ImageKind::xz: return "an xz-compressed file";
    case ImageKind::bzip2: return "a bzip2-compressed file";
    case ImageKind::lz4: return "an lz4-compressed file";
    case ImageKind::fdt: return "a device tree";
    case ImageKind::unknown: break;
  }
  return "a file of an unknown kind";
}

Status require_uncompressed(ImageKind kind, const char* what) {
  const char* command = nullptr;
  switch (kind) {
    case ImageKind::gzip: command = "gzip -dc"; break;
    case ImageKind::zstd: command = "zstd -dc"; break;
    case ImageKind::xz: command = "xz -dc"; break;
    case ImageKind::bzip2: command = "bzip2 -dc"; break;
    case ImageKind::lz4: command = "lz4 -dc"; break;
    case ImageKind::efi_zboot:
      return errorf("the %s is %s; give the uncompressed arch/riscv/boot/Image of the same build", what,
                    describe(kind));
    default: return {};
  }
  return errorf("the %s is %s; decompress it first (%s FILE > Image) and give the result", what, describe(kind),
                command);
}

}  // namespace hartwood
