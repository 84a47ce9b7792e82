// SPDX-License-Identifier: Apache-2.0
// The virtio block device [virtio: Block Device]. Requests are parsed (block_request.h), executed against a
// BlockBackend and answered, on the notifying hart under the transport's lock. Guest buffers are read and
// written in place.
//
// Execution and answer are apart: a request is identified by its ticket, and finish() may come later than
// execute(), so that a slow back end can work elsewhere; an answer to a request from before a reset is
// dropped.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "devices/virtio/block_backend.h"
#include "devices/virtio/block_request.h"
#include "devices/virtio/device.h"

namespace hartwood {

struct BlockOptions {
  u32 queues = 1;         // 1 to 16
  u32 block_bytes = 512;  // logical block: a power of two from 512 to 4096
  std::string serial{};   // what get-id answers; at most 20 bytes count
};

class VirtioBlock final : public VirtioDevice {
 public:
  static constexpr u32 kDeviceId = 2;
  static constexpr u32 kQueueSize = 256;
  static constexpr u32 kMaxQueues = 16;
  static constexpr u32 kSegmentsMax = kQueueSize - 2;
  static constexpr u32 kMaxDiscardSectors = 1u << 22;  // 2 GiB
  static constexpr u32 kMaxDiscardRanges = 256;
  static constexpr u32 kIdBytes = 20;
  enum Feature : u32 {
    kSegMax = 2,
    kReadOnly = 5,
    kBlockSize = 6,
    kFlush = 9,
    kTopology = 10,
    kMultiQueue = 12,
    kDiscard = 13,
    kWriteZeroes = 14,
  };

  explicit VirtioBlock(BlockBackend& backend, BlockOptions options = {});

  u32 id() const override { return kDeviceId; }
  u64 features() const override;
  u32 queue_count() const override { return options_.queues; }
  u32 queue_max(u32) const override { return kQueueSize; }
  void read_config(u32 offset, std::span<u8> to) override;
  void notify(u32 queue) override;
  void reset() override {}
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

  // For snapshots: pages of kPageBytes of the disk that were written since the start or the last forget_dirty(). While
  // no hart runs.
  bool dirty(u64 page) const { return (dirty_[page / 64] >> (page % 64) & 1) != 0; }
  void forget_dirty() { std::fill(dirty_.begin(), dirty_.end(), 0); }
  u64 page_count() const { return (backend_.size() + kPageBytes - 1) >> kPageShift; }
  BlockBackend& backend() { return backend_; }

 private:
  struct Outcome {
    BlockStatus status = BlockStatus::ok;
    u64 written = 0;  // bytes of data put into the guest's buffers, from their start
  };

  void mark_dirty(u64 offset, u64 bytes);
  u64 capacity() const { return backend_.size() / kSectorBytes; }
  bool in_range(u64 sector, u64 sectors) const;
  Outcome execute(BlockRequest& request, u64& cost);
  Outcome transfer(BlockRequest& request, bool to_guest);
  Outcome identify(BlockRequest& request);
  Outcome erase(BlockRequest& request, bool zeroes, u64& cost);
  void finish(u32 queue, const BlockRequest& request, const Outcome& outcome);

  BlockBackend& backend_;
  BlockOptions options_;
  Chain chain_;
  std::vector<u64> dirty_;  // a bit for each page
};

}  // namespace hartwood
