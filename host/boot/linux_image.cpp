// SPDX-License-Identifier: Apache-2.0
#include "boot/linux_image.h"

#include <algorithm>

#include "base/bits.h"
#include "boot/image_kind.h"
#include "memory/guest_memory.h"

namespace hartwood {
namespace {

struct Header {
  u32 code0;
  u32 code1;
  u64 text_offset;
  u64 image_bytes;
  u64 flags;
  u32 version;
  u32 reserved1;
  u64 reserved2;
  u64 magic;   // deprecated since version 0.2
  u32 magic2;  // may be absent before it
  u32 reserved3;
};
static_assert(sizeof(Header) == 64);

constexpr u64 kFlagBigEndian = 1;

}  // namespace

Result<LinuxImage> parse_linux_image(std::span<const u8> file) {
  if (detect_image(file) != ImageKind::linux_image) return errorf("not a Linux Image for RISC-V");
  if (file.size() <= sizeof(Header)) return errorf("the Linux Image is cut off in its header");
  const Header header = load_le<Header>(file.data());
  if (header.flags & kFlagBigEndian) return errorf("the Linux Image is big-endian; this machine is little-endian");
  if (header.image_bytes == 0 || header.image_bytes > kMaxRamBytes)
    return errorf("the Linux Image says that it needs %llu bytes of memory; the file is damaged",
                  static_cast<unsigned long long>(header.image_bytes));
  if (header.text_offset % kKernelAlignment != 0 || header.text_offset > kMaxRamBytes)
    return errorf(
        "the Linux Image wants to begin 0x%llx bytes into RAM, which is no multiple of 2 MiB; give a 64-bit "
        "kernel",
        static_cast<unsigned long long>(header.text_offset));
  if (file.size() > kMaxRamBytes) return errorf("the Linux Image is larger than any RAM");
  return LinuxImage{header.text_offset, std::max<u64>(header.image_bytes, file.size()), file.size(), header.version};
}

}  // namespace hartwood
