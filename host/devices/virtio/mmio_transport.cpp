// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/mmio_transport.h"

#include <bit>
#include <string>

#include "base/bits.h"

namespace hartwood {
namespace {

constexpr u32 kRegisterVersion = 2;
constexpr u32 kNoSharedMemory = ~u32{0};

void set_low(u64& address, u32 value) { address = merge(address, value, 0xffff'ffff); }
void set_high(u64& address, u32 value) { address = merge(address, u64{value} << 32, ~u64{0xffff'ffff}); }

}  // namespace

VirtioMmio::VirtioMmio(GuestMemory& memory, VirtioDevice* device, InterruptLine line, const Log* log)
    : memory_(memory), device_(device), line_(line), log_(log) {
  if (device_ == nullptr) return;
  device_->attach(*this);
  const u32 count = device_->queue_count();
  HW_CHECK(count <= 64, "a virtio device of more than 64 queues");
  queues_.reserve(count);
  for (u32 i = 0; i < count; i++) queues_.emplace_back(memory_, device_->queue_max(i));
}

u64 VirtioMmio::offered_features() const {
  constexpr u64 kCommon = u64{1} << kIndirectDescFeature | u64{1} << kEventIndexFeature | u64{1} << kVersion1Feature;
  return device_->features() | kCommon;
}

void VirtioMmio::raise(u32 reason) {
  interrupt_status_ |= reason;
  line_.set(true);
}

void VirtioMmio::signal(VirtQueue& queue, bool force) {
  if (queue.interrupt_wanted() || force) raise(kUsedBufferInterrupt);
}

void VirtioMmio::config_changed() {
  config_generation_++;
  if (running()) raise(kConfigInterrupt);
}

void VirtioMmio::broken(const char* why) {
  if (status_ & kNeedsReset) return;
  status_ |= kNeedsReset;
  fault_ = why;
  if (log_ != nullptr && log_->enabled(LogLevel::warning))
    log_->write(LogLevel::warning, "virtio device " + std::to_string(device_->id()) + " needs a reset: " + why);
  if (status_ & kDriverOk) raise(kConfigInterrupt);
}

void VirtioMmio::notify(u32 index) {
  if (index < queues_.size() && queues_[index].enabled() && running()) device_->notify(index);
}

void VirtioMmio::continue_deferred() {
  if (deferred_ == 0) [[likely]]
    return;
  const u32 index = static_cast<u32>(std::countr_zero(deferred_));
  deferred_ &= deferred_ - 1;
  notify(index);
}

void VirtioMmio::poll() {
  Guard guard(lock_);
  continue_deferred();
}

const char* VirtioMmio::fault() const {
  Guard guard(lock_);
  return fault_;
}

void VirtioMmio::reset_locked() {
  for (VirtQueue& queue : queues_) queue.disable();
  driver_features_ = 0;
  deferred_ = 0;
  device_features_select_ = driver_features_select_ = queue_select_ = 0;
  status_ = 0;
  interrupt_status_ = 0;
  fault_ = nullptr;
  line_.set(false);
  if (device_ != nullptr) device_->reset();
}

void VirtioMmio::reset() {
  Guard guard(lock_);
  reset_locked();
}

// [virtio: Device Initialization, Device Status Field] Bits only accumulate; writing 0 resets.
void VirtioMmio::write_status(u32 value) {
  if (value == 0) {
    reset_locked();
    return;
  }
  u32 fresh = value & (kAcknowledge | kDriver | kDriverOk | kFeaturesOk | kFailed) & ~status_;
  if (fresh & kFeaturesOk) {
    const bool acceptable =
        (driver_features_ & ~offered_features()) == 0 && (driver_features_ >> kVersion1Feature & 1) != 0;
    if (!acceptable) fresh &= ~u32{kFeaturesOk};
  }
  status_ |= fresh & ~u32{kDriverOk};
  if (!(fresh & kDriverOk) || !features_agreed()) return;
  status_ |= kDriverOk;
  if (status_ & kNeedsReset) {
    raise(kConfigInterrupt);
    return;
  }
  device_->started();
  for (u32 i = 0; i < queues_.size(); i++) notify(i);
}

void VirtioMmio::write_queue_ready(VirtQueue& queue, u32 value) {
  if ((value & 1) == 0) {
    queue.disable();
  } else if (!queue.enabled() && features_agreed()) {
    if (!queue.enable(has_feature(kEventIndexFeature), has_feature(kIndirectDescFeature))) broken(queue.fault());
  }
}

u32 VirtioMmio::read_register(u64 offset) {
  switch (offset) {
    case kMagic: return kMagicValue;
    case kVersion: return kRegisterVersion;
    case kDeviceId: return device_ != nullptr ? device_->id() : 0;
    case kVendorId: return kVendor;
    default: break;
  }
  if (device_ == nullptr) return 0;
  switch (offset) {
    case kDeviceFeatures:
      return device_features_select_ < 2 ? static_cast<u32>(offered_features() >> (32 * device_features_select_)) : 0;
    case kQueueSizeMax: return selected_queue() != nullptr ? selected_queue()->max_size() : 0;
    case kQueueReady: return selected_queue() != nullptr && selected_queue()->enabled();
    case kInterruptStatus: return interrupt_status_;
    case kStatus: return status_;
    case kShmLengthLow:
    case kShmLengthHigh:
    case kShmBaseLow:
    case kShmBaseHigh: return kNoSharedMemory;
    case kConfigGeneration: return config_generation_;
    default: return 0;
  }
}

void VirtioMmio::write_register(u64 offset, u32 value) {
  if (device_ == nullptr) return;
  switch (offset) {
    case kDeviceFeaturesSelect: device_features_select_ = value; return;
    case kDriverFeaturesSelect: driver_features_select_ = value; return;
    case kDriverFeatures:
      if (features_agreed() || driver_features_select_ > 1) return;
      driver_features_select_ == 0 ? set_low(driver_features_, value) : set_high(driver_features_, value);
      return;
    case kQueueSelect: queue_select_ = value; return;
    case kQueueNotify: notify(value); return;
    case kInterruptAck:
      interrupt_status_ &= ~value;
      if (interrupt_status_ == 0) line_.set(false);
      return;
    case kStatus: write_status(value); return;
    default: break;
  }
  VirtQueue* queue = selected_queue();
  if (queue == nullptr) return;
  if (offset == kQueueReady) {
    write_queue_ready(*queue, value);
    return;
  }
  if (queue->enabled()) return;
  VirtQueue::Layout& layout = queue->layout();
  switch (offset) {
    case kQueueSize: layout.size = value; break;
    case kQueueDescLow: set_low(layout.descriptors, value); break;
    case kQueueDescHigh: set_high(layout.descriptors, value); break;
    case kQueueDriverLow: set_low(layout.available, value); break;
    case kQueueDriverHigh: set_high(layout.available, value); break;
    case kQueueDeviceLow: set_low(layout.used, value); break;
    case kQueueDeviceHigh: set_high(layout.used, value); break;
    default: break;
  }
}

bool VirtioMmio::mmio_read(u64 offset, unsigned size, u64& value) {
  value = 0;
  Guard guard(lock_);
  if (offset < kConfig) {
    if (size == 4) value = read_register(offset);
  } else if (device_ != nullptr) {
    device_->read_config(static_cast<u32>(offset - kConfig), std::span<u8>(reinterpret_cast<u8*>(&value), size));
  }
  continue_deferred();
  return true;
}

bool VirtioMmio::mmio_write(u64 offset, unsigned size, u64 value) {
  Guard guard(lock_);
  if (offset < kConfig) {
    if (size == 4) write_register(offset, static_cast<u32>(value));
  } else if (device_ != nullptr) {
    device_->write_config(static_cast<u32>(offset - kConfig),
                          std::span<const u8>(reinterpret_cast<const u8*>(&value), size));
  }
  // A notification that has just stopped early does not go on in the same access.
  if (offset != kQueueNotify && offset != kStatus) continue_deferred();
  return true;
}

void VirtioMmio::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("VMIO", 1);
  out.put(device_ != nullptr ? device_->id() : 0);
  out.put(static_cast<u32>(queues_.size()));
  out.put(driver_features_);
  out.put(deferred_);
  out.put(device_features_select_);
  out.put(driver_features_select_);
  out.put(queue_select_);
  out.put(status_);
  out.put(interrupt_status_);
  out.put(config_generation_);
  for (const VirtQueue& queue : queues_) queue.save(out);
  out.end();
  if (device_ != nullptr) device_->save(out);
}

// On failure the slot is as after a reset.
void VirtioMmio::load(StateReader& in) {
  Guard guard(lock_);
  reset_locked();
  in.begin("VMIO", 1);
  if (in.get<u32>() != (device_ != nullptr ? device_->id() : 0)) in.fail("saved virtio slot holds another device");
  if (in.get<u32>() != queues_.size()) in.fail("saved virtio device has another number of queues");
  in.get(driver_features_);
  in.get(deferred_);
  in.get(device_features_select_);
  in.get(driver_features_select_);
  in.get(queue_select_);
  in.get(status_);
  in.get(interrupt_status_);
  const u32 generation = in.get<u32>();
  if (!in.failed() && device_ != nullptr && features_agreed() && (driver_features_ & ~offered_features()) != 0)
    in.fail("saved virtio device agreed on features that this one has not");
  for (VirtQueue& queue : queues_) queue.load(in, has_feature(kEventIndexFeature), has_feature(kIndirectDescFeature));
  in.end();
  if (device_ != nullptr) device_->load(in);
  if (in.failed()) {
    reset_locked();
    return;
  }
  config_generation_ = generation;
  if (status_ & kNeedsReset) fault_ = "the device needed a reset when it was saved";
  line_.set(interrupt_status_ != 0);
}

}  // namespace hartwood
