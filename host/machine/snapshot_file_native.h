// SPDX-License-Identifier: Apache-2.0
// Snapshots as files, natively: DEFLATE by zlib, and what is written appears under its name only when it is whole.
#pragma once

#include <memory>
#include <string>

#include "machine/snapshot_loader.h"
#include "machine/snapshot_writer.h"

namespace hartwood {

// Saves a machine that stands still. Returns the snapshot's id. If this fails, an old file of this name stays, and the
// next snapshot must be a full one.
Result<SnapshotId> save_snapshot(Machine& machine, const SnapshotOptions& options, const std::string& path);

// A snapshot's file, mapped. What it points to is checked when it is used.
class SnapshotFile {
 public:
  static Result<std::unique_ptr<SnapshotFile>> open(const std::string& path);
  ~SnapshotFile();
  SnapshotFile(const SnapshotFile&) = delete;
  SnapshotFile& operator=(const SnapshotFile&) = delete;

  const SnapshotHead& head() const { return head_; }
  // Places one chunk.
  Status load(SnapshotLoader& loader, u32 index) const;

 private:
  SnapshotFile() = default;
  const u8* data_ = nullptr;
  size_t size_ = 0;
  SnapshotHead head_;
};

// Loads all of a snapshot into a machine that was made by its configuration, with its disks. `files`: a full one, and
// then increments to each other.
Status restore_machine(Machine& machine, std::span<const std::unique_ptr<SnapshotFile>> files);

// The disks that the snapshot's machine had, empty, for add_disk(). Fails if there is no room for them.
Result<std::vector<std::unique_ptr<BlockBackend>>> disks_of(const SnapshotHead& head, const MachineConfig& config);

}  // namespace hartwood
