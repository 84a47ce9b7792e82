// SPDX-License-Identifier: Apache-2.0
// Where a block device keeps its bytes. Synchronous: a call returns when its work is done. Called by one
// device under its lock; the device has checked that [offset, offset + size) lies within size(). False: an
// input/output error that the guest sees.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

class BlockBackend {
 public:
  virtual ~BlockBackend() = default;
  virtual u64 size() const = 0;  // bytes; does not change
  virtual bool read_only() const = 0;
  virtual bool read(u64 offset, std::span<u8> to) = 0;
  virtual bool write(u64 offset, std::span<const u8> from) = 0;
  // Makes all earlier writes durable.
  virtual bool flush() = 0;
  // The bytes are not needed any more; reading them later may give anything.
  virtual bool discard(u64 offset, u64 bytes) = 0;
  // The bytes become zero; with `unmap` their space may be given up.
  virtual bool write_zeroes(u64 offset, u64 bytes, bool unmap) = 0;
  // Puts back what a snapshot holds, before the machine runs; also where the guest may not write.
  virtual bool restore(u64 offset, std::span<const u8> from) { return write(offset, from); }
};

// Bytes in host memory.
class MemoryBackend final : public BlockBackend {
 public:
  explicit MemoryBackend(std::vector<u8> bytes, bool read_only = false)
      : owned_(std::move(bytes)), bytes_(owned_), read_only_(read_only) {}
  // Zeroes, that take room where they are written to. Fails if there is none for so many.
  static Result<std::unique_ptr<MemoryBackend>> make(u64 bytes, bool read_only);
  // Works in place on memory that outlives the backend.
  explicit MemoryBackend(std::span<u8> bytes, bool read_only = false) : bytes_(bytes), read_only_(read_only) {}
  MemoryBackend(const MemoryBackend&) = delete;
  MemoryBackend& operator=(const MemoryBackend&) = delete;

  std::span<const u8> bytes() const { return bytes_; }
  u64 size() const override { return bytes_.size(); }
  bool read_only() const override { return read_only_; }
  bool read(u64 offset, std::span<u8> to) override;
  bool write(u64 offset, std::span<const u8> from) override;
  bool flush() override { return true; }
  bool discard(u64 offset, u64 bytes) override;
  bool write_zeroes(u64 offset, u64 bytes, bool unmap) override;
  bool restore(u64 offset, std::span<const u8> from) override;

 private:
  struct Free {
    void operator()(u8* bytes) const { std::free(bytes); }
  };
  std::vector<u8> owned_;
  std::unique_ptr<u8, Free> zeroed_;  // of make()
  std::span<u8> bytes_;
  bool read_only_;
};

#ifndef __wasm__
// A file or a host block device, natively.
class FileBackend final : public BlockBackend {
 public:
  // Fails with the reason if the file cannot be opened or is no multiple of 512 bytes.
  static Result<std::unique_ptr<FileBackend>> open(const std::string& path, bool read_only);
  ~FileBackend() override;
  FileBackend(const FileBackend&) = delete;
  FileBackend& operator=(const FileBackend&) = delete;

  u64 size() const override { return size_; }
  bool read_only() const override { return read_only_; }
  bool read(u64 offset, std::span<u8> to) override;
  bool write(u64 offset, std::span<const u8> from) override;
  bool flush() override;
  bool discard(u64 offset, u64 bytes) override;
  bool write_zeroes(u64 offset, u64 bytes, bool unmap) override;

 private:
  FileBackend(int file, u64 size, bool read_only) : file_(file), size_(size), read_only_(read_only) {}
  int file_;
  u64 size_;
  bool read_only_;
};
#endif

}  // namespace hartwood
