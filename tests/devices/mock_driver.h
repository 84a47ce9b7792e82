// SPDX-License-Identifier: Apache-2.0
// A guest driver for virtio-mmio: negotiates, lays its rings out in guest memory, and builds whatever chains
// a test asks for, right or wrong. Queue q lies at kRings + q * 64 KiB; buffers come from data().
#pragma once

#include <optional>
#include <vector>

#include "devices/virtio/mmio_transport.h"
#include "memory/guest_memory.h"
#include "support.h"

namespace hartwood::device_test {

inline constexpr u64 kRings = kRamBase + 0x10'0000;
inline constexpr u64 kDataArea = kRamBase + 0x100'0000;
inline constexpr u16 kDescNext = 1, kDescWrite = 2, kDescIndirect = 4;
inline constexpr u64 kVersion1 = u64{1} << 32, kEventIndex = u64{1} << 29, kIndirectDesc = u64{1} << 28;

struct Buffer {
  u64 address;
  u32 bytes;
  bool writable = false;
};

struct Used {
  u32 id;
  u32 bytes;
};

class MockDriver {
 public:
  MockDriver(GuestMemory& memory, VirtioMmio& slot) : memory_(memory), slot_(slot) {}

  u32 get(u64 reg) { return static_cast<u32>(read_reg(slot_, reg)); }
  void put(u64 reg, u64 value) { write_reg(slot_, reg, value); }
  u32 status() { return get(VirtioMmio::kStatus); }
  bool needs_reset() { return (status() & VirtioMmio::kNeedsReset) != 0; }
  u64 offered() {
    put(VirtioMmio::kDeviceFeaturesSelect, 0);
    const u64 low = get(VirtioMmio::kDeviceFeatures);
    put(VirtioMmio::kDeviceFeaturesSelect, 1);
    return u64{get(VirtioMmio::kDeviceFeatures)} << 32 | low;
  }
  // Up to FEATURES_OK; false if the device refused.
  bool negotiate(u64 features) {
    put(VirtioMmio::kStatus, 0);
    put(VirtioMmio::kStatus, 1);
    put(VirtioMmio::kStatus, 3);
    put(VirtioMmio::kDriverFeaturesSelect, 0);
    put(VirtioMmio::kDriverFeatures, features & 0xffff'ffff);
    put(VirtioMmio::kDriverFeaturesSelect, 1);
    put(VirtioMmio::kDriverFeatures, features >> 32);
    put(VirtioMmio::kStatus, 11);
    event_index_ = (features & kEventIndex) != 0;
    queues_.clear();
    next_data_ = kDataArea;
    return (status() & VirtioMmio::kFeaturesOk) != 0;
  }
  static u64 descriptors(u32 queue) { return kRings + queue * 0x1'0000; }
  static u64 available(u32 queue) { return descriptors(queue) + 0x5000; }
  static u64 used(u32 queue) { return descriptors(queue) + 0x6000; }
  void write_queue_address(u64 low_register, u64 address) {
    put(low_register, address & 0xffff'ffff);
    put(low_register + 4, address >> 32);
  }
  // Selects and programs a queue, without enabling it.
  void place(u32 queue, u64 size, u64 desc, u64 avail, u64 used_ring) {
    put(VirtioMmio::kQueueSelect, queue);
    put(VirtioMmio::kQueueSize, size);
    write_queue_address(VirtioMmio::kQueueDescLow, desc);
    write_queue_address(VirtioMmio::kQueueDriverLow, avail);
    write_queue_address(VirtioMmio::kQueueDeviceLow, used_ring);
  }
  void setup(u32 queue, u32 size) {
    memory_.fill(Pa(descriptors(queue)), 0, 0x1'0000);
    place(queue, size, descriptors(queue), available(queue), used(queue));
    put(VirtioMmio::kQueueReady, 1);
    ASSERT_EQ(get(VirtioMmio::kQueueReady), 1u);
    if (queues_.size() <= queue) queues_.resize(queue + 1);
    queues_[queue] = Ring{size};
  }
  void start() { put(VirtioMmio::kStatus, 15); }
  // Everything: features (VERSION_1 is added), all queues at `size`, DRIVER_OK.
  void bring_up(u64 features, u32 queue_count, u32 size) {
    ASSERT_TRUE(negotiate(features | kVersion1));
    for (u32 queue = 0; queue < queue_count; queue++) setup(queue, size);
    start();
    ASSERT_EQ(status(), 15u);
  }

  // Fresh guest memory, 16-byte aligned.
  u64 data(u64 bytes) {
    const u64 at = next_data_;
    next_data_ = align_up(next_data_ + bytes, 16);
    return at;
  }
  u64 data(std::span<const u8> bytes) {
    const u64 at = data(bytes.size());
    EXPECT_TRUE(memory_.write(Pa(at), bytes));
    return at;
  }

  void descriptor(u64 table, u32 index, u64 address, u32 bytes, u16 flags, u16 next) {
    const u64 at = table + 16 * index;
    ASSERT_TRUE(memory_.store(Pa(at), address) && memory_.store(Pa(at + 8), bytes) &&
                memory_.store(Pa(at + 12), flags) && memory_.store(Pa(at + 14), next));
  }
  // Writes a chain into `table` from entry `first`, entries wrapping at `size`.
  void chain(u64 table, u32 first, u32 size, const std::vector<Buffer>& buffers) {
    for (u32 i = 0; i < buffers.size(); i++) {
      const bool last = i + 1 == buffers.size();
      descriptor(table, (first + i) % size, buffers[i].address, buffers[i].bytes,
                 static_cast<u16>((buffers[i].writable ? kDescWrite : 0) | (last ? 0 : kDescNext)),
                 static_cast<u16>(last ? 0 : (first + i + 1) % size));
    }
  }
  // Puts `head` into the available ring.
  void offer(u32 queue, u16 head) {
    Ring& ring = queues_.at(queue);
    memory_.store<u16>(Pa(available(queue) + 4 + 2 * (ring.available % ring.size)), head);
    ring.available++;
    memory_.atomic_store<u16>(Pa(available(queue) + 2), ring.available);
  }
  // A chain of direct descriptors; returns its head.
  u16 add(u32 queue, const std::vector<Buffer>& buffers) {
    Ring& ring = queues_.at(queue);
    const auto head = static_cast<u16>(ring.next_descriptor % ring.size);
    chain(descriptors(queue), head, ring.size, buffers);
    ring.next_descriptor += static_cast<u32>(buffers.size());
    offer(queue, head);
    return head;
  }
  // The same through an indirect table.
  u16 add_indirect(u32 queue, const std::vector<Buffer>& buffers) {
    Ring& ring = queues_.at(queue);
    const u64 table = data(16 * buffers.size());
    chain(table, 0, static_cast<u32>(buffers.size()), buffers);
    const auto head = static_cast<u16>(ring.next_descriptor++ % ring.size);
    descriptor(descriptors(queue), head, table, static_cast<u32>(16 * buffers.size()), kDescIndirect, 0);
    offer(queue, head);
    return head;
  }
  void kick(u32 queue) { put(VirtioMmio::kQueueNotify, queue); }
  u16 used_index(u32 queue) { return memory_.atomic_load<u16>(Pa(used(queue) + 2)); }
  // The next used element, if there is one.
  std::optional<Used> take(u32 queue) {
    Ring& ring = queues_.at(queue);
    if (used_index(queue) == ring.seen) return std::nullopt;
    Used element{};
    memory_.load(Pa(used(queue) + 4 + 8 * (ring.seen % ring.size)), element.id);
    memory_.load(Pa(used(queue) + 8 + 8 * (ring.seen % ring.size)), element.bytes);
    ring.seen++;
    if (event_index_) set_used_event(queue, ring.seen);
    return element;
  }
  void set_used_event(u32 queue, u16 event) {
    memory_.atomic_store<u16>(Pa(available(queue) + 4 + 2 * queues_.at(queue).size), event);
  }
  u16 available_event(u32 queue) { return memory_.atomic_load<u16>(Pa(used(queue) + 4 + 8 * queues_.at(queue).size)); }
  void set_available_flags(u32 queue, u16 flags) { memory_.atomic_store<u16>(Pa(available(queue)), flags); }
  // Sets the available index to anything.
  void set_available_index(u32 queue, u16 index) { memory_.atomic_store<u16>(Pa(available(queue) + 2), index); }
  u16 available_count(u32 queue) { return queues_.at(queue).available; }

  // Reads and acknowledges the interrupt status.
  u32 acknowledge() {
    const u32 status = get(VirtioMmio::kInterruptStatus);
    put(VirtioMmio::kInterruptAck, status);
    return status;
  }

 private:
  struct Ring {
    u32 size = 0;
    u32 next_descriptor = 0;
    u16 available = 0;
    u16 seen = 0;
  };
  GuestMemory& memory_;
  VirtioMmio& slot_;
  std::vector<Ring> queues_;
  u64 next_data_ = kDataArea;
  bool event_index_ = false;
};

inline std::unique_ptr<GuestMemory> make_memory() {
  auto memory = GuestMemory::create(kMinRamBytes);
  return std::move(memory.value());
}

inline std::vector<u8> guest_bytes(const GuestMemory& memory, u64 address, u64 bytes) {
  const std::span<const u8> span = memory.readable(Pa(address), bytes);
  return {span.begin(), span.end()};
}
inline std::string guest_text(const GuestMemory& memory, u64 address, u64 bytes) {
  const std::span<const u8> span = memory.readable(Pa(address), bytes);
  return {span.begin(), span.end()};
}

}  // namespace hartwood::device_test
