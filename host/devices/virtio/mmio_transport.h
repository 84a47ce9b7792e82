// SPDX-License-Identifier: Apache-2.0
// One virtio-mmio slot, version 2 [virtio: Virtio Over MMIO, MMIO Device Register Layout]: register decoding,
// the device status machine, feature negotiation, the interrupt. Any hart's thread; one lock guards the slot,
// its queues and its device. A slot without device answers with device id 0, as an empty slot of the `virt`
// board does.
#pragma once

#include <vector>

#include "base/log.h"
#include "base/serial.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class VirtioMmio final : public MmioDevice, public VirtioTransport {
 public:
  enum Register : u64 {
    kMagic = 0x000,
    kVersion = 0x004,
    kDeviceId = 0x008,
    kVendorId = 0x00c,
    kDeviceFeatures = 0x010,
    kDeviceFeaturesSelect = 0x014,
    kDriverFeatures = 0x020,
    kDriverFeaturesSelect = 0x024,
    kQueueSelect = 0x030,
    kQueueSizeMax = 0x034,
    kQueueSize = 0x038,
    kQueueReady = 0x044,
    kQueueNotify = 0x050,
    kInterruptStatus = 0x060,
    kInterruptAck = 0x064,
    kStatus = 0x070,
    kQueueDescLow = 0x080,
    kQueueDescHigh = 0x084,
    kQueueDriverLow = 0x090,
    kQueueDriverHigh = 0x094,
    kQueueDeviceLow = 0x0a0,
    kQueueDeviceHigh = 0x0a4,
    kShmSelect = 0x0ac,
    kShmLengthLow = 0x0b0,
    kShmLengthHigh = 0x0b4,
    kShmBaseLow = 0x0b8,
    kShmBaseHigh = 0x0bc,
    kConfigGeneration = 0x0fc,
    kConfig = 0x100,
  };
  enum Status : u32 {
    kAcknowledge = 1,
    kDriver = 2,
    kDriverOk = 4,
    kFeaturesOk = 8,
    kNeedsReset = 64,
    kFailed = 128,
  };
  static constexpr u32 kMagicValue = 0x7472'6976;
  static constexpr u32 kVendor = 0x4457'5448;  // "HTWD"
  static constexpr u32 kUsedBufferInterrupt = 1, kConfigInterrupt = 2;
  static constexpr u32 kIndirectDescFeature = 28, kEventIndexFeature = 29, kVersion1Feature = 32;

  // `device` null: an empty slot. `log` (may be null) hears why a device asked for a reset.
  VirtioMmio(GuestMemory& memory, VirtioDevice* device, InterruptLine line, const Log* log = nullptr);

  // Registers below kConfig take aligned 4-byte accesses, others read as zero and are not written; the
  // configuration space takes any size.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Goes on with work that a notification left over. Register accesses do the same; a machine that calls this
  // now and then does not depend on the driver for it.
  void poll();
  // As after power-on.
  void reset();
  // Why the device asked for a reset since the last one, or null.
  const char* fault() const;

  // Of the slot and of its device.
  void save(StateWriter& out) const;
  void load(StateReader& in);

  // VirtioTransport: for the device, under the lock.
  Lock& lock() override { return lock_; }
  GuestMemory& memory() override { return memory_; }
  VirtQueue& queue(u32 index) override { return queues_[index]; }
  bool has_feature(u32 bit) const override { return (driver_features_ >> bit & 1) != 0 && features_agreed(); }
  bool running() const override { return (status_ & (kDriverOk | kNeedsReset)) == kDriverOk; }
  void signal(VirtQueue& queue, bool force) override;
  void config_changed() override;
  void broken(const char* why) override;
  void defer(u32 queue) override { deferred_ |= u64{1} << queue; }

 private:
  bool features_agreed() const { return (status_ & kFeaturesOk) != 0; }
  u64 offered_features() const;
  u32 read_register(u64 offset);
  void write_register(u64 offset, u32 value);
  void write_status(u32 value);
  void write_queue_ready(VirtQueue& queue, u32 value);
  void notify(u32 index);
  void continue_deferred();
  void reset_locked();
  void raise(u32 reason);
  VirtQueue* selected_queue() { return queue_select_ < queues_.size() ? &queues_[queue_select_] : nullptr; }

  GuestMemory& memory_;
  VirtioDevice* device_;
  InterruptLine line_;
  const Log* log_;
  mutable Lock lock_;
  std::vector<VirtQueue> queues_;
  u64 driver_features_ = 0;
  u64 deferred_ = 0;  // bit per queue: notify() stopped early
  u32 device_features_select_ = 0;
  u32 driver_features_select_ = 0;
  u32 queue_select_ = 0;
  u32 status_ = 0;
  u32 interrupt_status_ = 0;
  u32 config_generation_ = 0;
  const char* fault_ = nullptr;
};

}  // namespace hartwood
