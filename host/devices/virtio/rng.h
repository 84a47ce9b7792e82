// SPDX-License-Identifier: Apache-2.0
// The virtio entropy device [virtio: Entropy Device]: one queue of buffers to fill. Runs on the notifying
// hart under the transport's lock; pump() may come from any thread.
#pragma once

#include "devices/entropy.h"
#include "devices/virtio/device.h"

namespace hartwood {

class VirtioRng final : public VirtioDevice {
 public:
  static constexpr u32 kDeviceId = 4;
  static constexpr u32 kQueueSize = 64;
  // A larger buffer is filled this far, which the specification allows.
  static constexpr u64 kMaxBytesPerRequest = 64 << 10;

  explicit VirtioRng(EntropySource& source) : source_(source) {}

  // The source has bytes again after it had none.
  void pump();

  u32 id() const override { return kDeviceId; }
  u64 features() const override { return 0; }
  u32 queue_count() const override { return 1; }
  u32 queue_max(u32) const override { return kQueueSize; }
  void read_config(u32, std::span<u8>) override {}
  void notify(u32 queue) override;
  void reset() override {}
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  Handled fill(const Chain& chain);

  EntropySource& source_;
  Chain chain_;
};

}  // namespace hartwood
