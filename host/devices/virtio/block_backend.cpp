// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block_backend.h"

#include <cstring>

namespace hartwood {

Result<std::unique_ptr<MemoryBackend>> MemoryBackend::make(u64 bytes, bool read_only) {
  u8* const zeroes = bytes > SIZE_MAX ? nullptr : static_cast<u8*>(std::calloc(bytes != 0 ? bytes : 1, 1));
  if (zeroes == nullptr)
    return errorf("there is no memory for a disk of %llu MiB", static_cast<unsigned long long>(bytes >> 20));
  auto backend = std::make_unique<MemoryBackend>(std::span(zeroes, static_cast<size_t>(bytes)), read_only);
  backend->zeroed_.reset(zeroes);
  return backend;
}

bool MemoryBackend::read(u64 offset, std::span<u8> to) {
  std::memcpy(to.data(), bytes_.data() + offset, to.size());
  return true;
}

bool MemoryBackend::write(u64 offset, std::span<const u8> from) { return !read_only_ && restore(offset, from); }

bool MemoryBackend::restore(u64 offset, std::span<const u8> from) {
  std::memcpy(bytes_.data() + offset, from.data(), from.size());
  return true;
}

// Zeroes rather than leaving old bytes, so that runs do not depend on what was there.
bool MemoryBackend::discard(u64 offset, u64 bytes) { return write_zeroes(offset, bytes, true); }

bool MemoryBackend::write_zeroes(u64 offset, u64 bytes, bool) {
  if (read_only_) return false;
  std::memset(bytes_.data() + offset, 0, static_cast<size_t>(bytes));
  return true;
}

}  // namespace hartwood
