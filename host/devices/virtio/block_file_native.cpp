// SPDX-License-Identifier: Apache-2.0
// The file back end, on Linux system calls; not part of the Wasm build.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "devices/virtio/block_backend.h"

namespace hartwood {
namespace {

constexpr u64 kSectorBytes = 512;

bool allocate(int file, int mode, u64 offset, u64 bytes) {
  int status;
  do {
    status = fallocate(file, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (status != 0 && errno == EINTR);
  return status == 0;
}

}  // namespace

Result<std::unique_ptr<FileBackend>> FileBackend::open(const std::string& path, bool read_only) {
  const int file = ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (file < 0) return errorf("cannot open disk %s: %s", path.c_str(), std::strerror(errno));
  struct stat info {};
  u64 size = 0;
  const char* why = nullptr;
  if (fstat(file, &info) != 0) {
    why = std::strerror(errno);
  } else if (S_ISREG(info.st_mode)) {
    size = static_cast<u64>(info.st_size);
  } else if (S_ISBLK(info.st_mode)) {
    if (ioctl(file, BLKGETSIZE64, &size) != 0) why = std::strerror(errno);
  } else {
    why = "neither a file nor a block device";
  }
  if (why == nullptr && size % kSectorBytes != 0) why = "its size is not a multiple of 512 bytes; truncate or pad it";
  if (why != nullptr) {
    const Error error = errorf("cannot use disk %s: %s", path.c_str(), why);
    ::close(file);
    return error;
  }
  return std::unique_ptr<FileBackend>(new FileBackend(file, size, read_only));
}

FileBackend::~FileBackend() { ::close(file_); }

bool FileBackend::read(u64 offset, std::span<u8> to) {
  while (!to.empty()) {
    const ssize_t got = pread(file_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to = to.subspan(static_cast<size_t>(got));
    offset += static_cast<u64>(got);
  }
  return true;
}

bool FileBackend::write(u64 offset, std::span<const u8> from) {
  if (read_only_) return false;
  while (!from.empty()) {
    const ssize_t put = pwrite(file_, from.data(), from.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    from = from.subspan(static_cast<size_t>(put));
    offset += static_cast<u64>(put);
  }
  return true;
}

bool FileBackend::flush() {
  if (read_only_) return true;
  int status;
  do {
    status = fdatasync(file_);
  } while (status != 0 && errno == EINTR);
  return status == 0;
}

// A file system without holes keeps the bytes, which a discard allows.
bool FileBackend::discard(u64 offset, u64 bytes) {
  if (read_only_) return false;
  if (bytes == 0 || allocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes)) return true;
  return errno == EOPNOTSUPP || errno == ENODEV;
}

bool FileBackend::write_zeroes(u64 offset, u64 bytes, bool unmap) {
  if (read_only_) return false;
  if (bytes == 0) return true;
  if (unmap && allocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes)) return true;
  if (allocate(file_, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes)) return true;
  static constexpr std::array<u8, 64 << 10> kZeroes{};
  while (bytes != 0) {
    const u64 size = std::min<u64>(bytes, kZeroes.size());
    if (!write(offset, std::span<const u8>(kZeroes).first(static_cast<size_t>(size)))) return false;
    offset += size;
    bytes -= size;
  }
  return true;
}

}  // namespace hartwood
