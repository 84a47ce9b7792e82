// SPDX-License-Identifier: Apache-2.0
#include "machine/snapshot_file_native.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hartwood {
namespace {

constexpr int kRawDeflate = -15;  // window bits, without a header

// One stream for all chunks: making one costs more than packing a page.
class Packer {
 public:
  Packer() {
    good_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kRawDeflate, 9, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Packer() { deflateEnd(&stream_); }
  // Empty: no memory.
  std::vector<u8> pack(std::span<const u8> bytes) {
    if (!good_ || deflateReset(&stream_) != Z_OK) return {};
    std::vector<u8> packed(deflateBound(&stream_, bytes.size()));
    stream_.next_in = const_cast<u8*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = packed.data();
    stream_.avail_out = static_cast<uInt>(packed.size());
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return {};
    packed.resize(stream_.total_out);
    return packed;
  }

 private:
  z_stream stream_{};
  bool good_ = false;
};

// Exactly `bytes` bytes, or nothing.
std::vector<u8> unpack(std::span<const u8> packed, size_t bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kRawDeflate) != Z_OK) return {};
  std::vector<u8> to(bytes + 1);  // one more, to see that there is no more
  stream.next_in = const_cast<u8*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = to.data();
  stream.avail_out = static_cast<uInt>(to.size());
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == bytes && stream.avail_in == 0;
  inflateEnd(&stream);
  to.resize(whole ? bytes : 0);
  return to;
}

bool write_all(int file, std::span<const u8> bytes, u64 offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<u64>(n);
  }
  return true;
}

}  // namespace

Result<SnapshotId> save_snapshot(Machine& machine, const SnapshotOptions& options, const std::string& path) {
  SnapshotWriter writer(machine);
  const Status begun = writer.begin(options);
  if (!begun) return begun.error();
  Packer packer;
  // The head's length does not depend on what is packed, so what it says of the chunks is written at the end.
  std::vector<u8> head = writer.head();
  const std::string partial = path + ".partial";
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto fail = [&](Error error) {
    if (file >= 0) ::close(file);
    ::unlink(partial.c_str());
    // What is dirty is so with respect to a file that there is not: nothing can be an increment to it.
    machine.note_snapshot({});
    return error;
  };
  if (file < 0) return fail(errorf("cannot write %s: %s", partial.c_str(), std::strerror(errno)));
  u64 at = head.size();
  for (u32 i = 0; i < writer.chunk_count(); i++) {
    const auto bytes = writer.chunk(i);
    if (!bytes) return fail(bytes.error());
    if (bytes->empty()) continue;
    const std::vector<u8> packed = packer.pack(*bytes);
    if (packed.empty()) return fail(Error{"there is not enough memory to pack the snapshot"});
    if (!write_all(file, packed, at)) return fail(errorf("cannot write %s: %s", path.c_str(), std::strerror(errno)));
    writer.packed(i, static_cast<u32>(packed.size()));
    at += packed.size();
  }
  head = writer.head();
  if (!write_all(file, head, 0) || fsync(file) != 0 || ::rename(partial.c_str(), path.c_str()) != 0)
    return fail(errorf("cannot write %s: %s", path.c_str(), std::strerror(errno)));
  ::close(file);
  return writer.id();
}

Result<std::unique_ptr<SnapshotFile>> SnapshotFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errorf("cannot open %s: %s", path.c_str(), std::strerror(errno));
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(file);
    return errorf("%s is no snapshot", path.c_str());
  }
  std::unique_ptr<SnapshotFile> opened(new SnapshotFile);
  opened->size_ = static_cast<size_t>(info.st_size);
  void* const data = mmap(nullptr, opened->size_, PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);
  if (data == MAP_FAILED) return errorf("cannot read %s: %s", path.c_str(), std::strerror(errno));
  opened->data_ = static_cast<const u8*>(data);
  auto head = SnapshotHead::parse({opened->data_, opened->size_});
  if (!head) return errorf("%s: %s", path.c_str(), head.message().c_str());
  if (head->file_bytes != opened->size_)
    return errorf("%s: the snapshot is damaged: it has %zu bytes instead of %llu", path.c_str(), opened->size_,
                  static_cast<unsigned long long>(head->file_bytes));
  opened->head_ = std::move(*head);
  return opened;
}

SnapshotFile::~SnapshotFile() {
  if (data_ != nullptr) munmap(const_cast<u8*>(data_), size_);
}

Status SnapshotFile::load(SnapshotLoader& loader, u32 index) const {
  const SnapshotChunk& chunk = head_.chunks[index];
  if (chunk.packed_bytes == 0) return loader.place(index, {});
  return loader.place(index, unpack({data_ + chunk.offset, chunk.packed_bytes}, chunk.pages() * kPageBytes));
}

Result<std::vector<std::unique_ptr<BlockBackend>>> disks_of(const SnapshotHead& head, const MachineConfig& config) {
  std::vector<std::unique_ptr<BlockBackend>> disks;
  for (size_t i = 0; i < head.disk_bytes.size(); i++) {
    const bool read_only = i < config.disks.size() && config.disks[i].read_only;
    auto disk = MemoryBackend::make(head.disk_bytes[i], read_only);
    if (!disk) return disk.error();
    disks.push_back(std::move(*disk));
  }
  return disks;
}

Status restore_machine(Machine& machine, std::span<const std::unique_ptr<SnapshotFile>> files) {
  const SnapshotHead* before = nullptr;
  for (const auto& file : files) {
    const SnapshotHead& head = file->head();
    if (before == nullptr ? head.is_increment() : head.parent != before->id)
      return Error{before == nullptr ? "an increment needs the snapshot that it is one to, before it"
                                     : "this increment is not one to the snapshot before it"};
    before = &head;
  }
  if (before == nullptr) return Error{"no snapshot given"};
  const Status restored = machine.restore(before->state);
  if (!restored) return restored;
  for (const auto& file : files) {
    if (file->head().ram_bytes != before->ram_bytes || file->head().disk_bytes != before->disk_bytes)
      return Error{"the increments are not of one machine"};
    SnapshotLoader loader(machine, file->head());
    for (u32 i = 0; i < file->head().chunks.size(); i++) {
      const Status loaded = file->load(loader, i);
      if (!loaded) return loaded;
    }
  }
  machine.note_snapshot(before->id);
  return {};
}

}  // namespace hartwood
