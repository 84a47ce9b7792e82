// SPDX-License-Identifier: Apache-2.0
// The border between a virtio device and the transport that carries it. The transport owns the queues, the
// negotiated features, the interrupt and the lock; the device owns its configuration space and what its
// queues mean. Every method of VirtioDevice is called with the lock held, on the thread of the hart that
// accessed a register; a method that a device offers to other threads takes transport().lock() itself.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.h"
#include "base/serial.h"
#include "devices/virtio/queue.h"
#include "memory/guest_memory.h"
#include "shm/lock.h"

namespace hartwood {

class VirtioTransport {
 public:
  virtual ~VirtioTransport() = default;
  virtual Lock& lock() = 0;
  virtual GuestMemory& memory() = 0;
  virtual VirtQueue& queue(u32 index) = 0;  // index < queue_count()
  virtual bool has_feature(u32 bit) const = 0;
  // Buffers may be used: the driver said DRIVER_OK and no reset is due.
  virtual bool running() const = 0;
  // Interrupts the driver because of used buffers, if it wants that (`force`: in any case).
  virtual void signal(VirtQueue& queue, bool force = false) = 0;
  // The configuration space changed.
  virtual void config_changed() = 0;
  // The driver broke the contract: DEVICE_NEEDS_RESET; nothing is used until it resets.
  virtual void broken(const char* why) = 0;
  // notify(queue) is to be called again soon: it stopped to stay short.
  virtual void defer(u32 queue) = 0;
};

class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;
  void attach(VirtioTransport& transport) { transport_ = &transport; }

  virtual u32 id() const = 0;        // [virtio: Device Types]
  virtual u64 features() const = 0;  // the device's own feature bits
  virtual u32 queue_count() const = 0;
  virtual u32 queue_max(u32 index) const = 0;
  // `to` is zeroed; the device fills in what lies in its configuration space.
  virtual void read_config(u32 offset, std::span<u8> to) = 0;
  virtual void write_config(u32, std::span<const u8>) {}
  // The driver said DRIVER_OK; a notify() for each enabled queue follows.
  virtual void started() {}
  // The driver may have added chains to this enabled queue while running().
  virtual void notify(u32 queue) = 0;
  // Back to the state before the driver came. The queues are disabled already.
  virtual void reset() = 0;
  virtual void save(StateWriter& out) const = 0;
  virtual void load(StateReader& in) = 0;

 protected:
  VirtioTransport& transport() const {
    HW_CHECK(transport_ != nullptr, "a virtio device without transport");
    return *transport_;
  }

 private:
  VirtioTransport* transport_ = nullptr;
};

// What became of a chain: consumed (given back or kept with its ticket), left in the queue for a later
// notify(), or found to break the device's rules.
enum class Handled : u8 { done, stalled, invalid };

// One notification does at most this much before other harts' accesses and the own hart's guest get their
// turn.
inline constexpr u32 kChainsPerNotify = 256;
inline constexpr u64 kBytesPerNotify = u64{16} << 20;

// Feeds the chains of queue `index` to `handle` until the queue is empty, `handle` stalls, or the budget of
// one notification is used up, and then signals. A broken chain or queue ends in transport.broken(). `handle`
// is a callable (const Chain&, u64& cost) -> Handled; it adds to `cost` the bytes that it worked on besides
// those of the chain.
template <class Handle>
void drain_queue(VirtioTransport& transport, u32 index, Chain& chain, Handle&& handle) {
  if (!transport.running()) return;
  VirtQueue& queue = transport.queue(index);
  u64 bytes = 0;
  for (u32 step = 0;; step++) {
    if (step == kChainsPerNotify || bytes >= kBytesPerNotify) {
      // The interrupt makes the driver come back, and its next register access goes on here.
      transport.defer(index);
      transport.signal(queue, true);
      return;
    }
    const VirtQueue::Next next = queue.peek(chain);
    if (next == VirtQueue::Next::faulty) {
      transport.broken(queue.fault());
      return;
    }
    if (next == VirtQueue::Next::empty) {
      if (queue.rearm()) continue;
      break;
    }
    const Handled handled = handle(static_cast<const Chain&>(chain), bytes);
    if (handled == Handled::invalid) {
      transport.broken("a request breaks the rules of its device");
      return;
    }
    if (handled == Handled::stalled) break;
    bytes += chain.readable_bytes() + chain.writable_bytes();
    queue.advance();
  }
  transport.signal(queue);
}

// Copies the part of a configuration structure that an access sees.
template <class Config>
void read_config_from(const Config& config, u32 offset, std::span<u8> to) {
  if (offset >= sizeof config) return;
  std::memcpy(to.data(), reinterpret_cast<const u8*>(&config) + offset, std::min(to.size(), sizeof config - offset));
}

}  // namespace hartwood
