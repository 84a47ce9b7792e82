// SPDX-License-Identifier: Apache-2.0
// The device's side of one split virtqueue [virtio: Split Virtqueues]. Guarded by the lock of its device's
// transport; the driver works on the rings meanwhile, on other harts.
//
// Nothing in guest memory is trusted. enable() checks the rings' places once; peek() reads each descriptor
// once, into host memory, and walks at most the queue's size plus one indirect table of at most kMaxIndirect.
// What breaks the driver's side of the contract makes the queue faulty until it is disabled: it yields
// nothing more, and the transport asks the driver for a reset.
//
// Indices shared with the driver are loaded and stored sequentially consistent. The used index pairs with the
// driver's load of it before it reads used elements; the available index with the driver's store after it
// filled the ring. Where both sides may sleep (interrupt_wanted, rearm), a store of one index followed by a
// load of the other side's pairs with the driver's store, full barrier and load.
#pragma once

#include "base/serial.h"
#include "devices/virtio/chain.h"
#include "memory/guest_memory.h"

namespace hartwood {

class VirtQueue {
 public:
  static constexpr u32 kMaxSize = 1024;
  static constexpr u32 kMaxIndirect = 1024;

  enum class Next : u8 { chain, empty, faulty };

  // What the driver sets up before it enables the queue: entries, and guest physical addresses of the
  // descriptor table, available ring (driver area) and used ring (device area).
  struct Layout {
    u32 size = 0;
    u64 descriptors = 0;
    u64 available = 0;
    u64 used = 0;
  };

  // `max_size`: a power of two up to kMaxSize, as the driver reads it.
  VirtQueue(GuestMemory& memory, u32 max_size);

  u32 max_size() const { return max_size_; }
  bool enabled() const { return enabled_; }
  Layout& layout() { return layout_; }  // not to be changed while enabled
  u32 size() const { return layout_.size; }
  // Why the queue is faulty, or null.
  const char* fault() const { return fault_; }

  // Starts from index 0. False: the layout is impossible and the queue is faulty.
  bool enable(bool event_index, bool indirect);
  // As after a reset; outstanding tickets become stale.
  void disable();

  // The next chain that the driver made available, without consuming it. Empty also while disabled.
  Next peek(Chain& chain);
  // Consumes the chain that peek() returned. It is given back with push(), now or later.
  void advance() { last_available_++; }
  // Whether push() would still accept the ticket.
  bool outstanding(Ticket ticket) const { return enabled_ && ticket.epoch == epoch_; }
  // Gives a chain back; `written`: the bytes that were written from the start of its writable side. False and
  // nothing done if the ticket is stale.
  bool push(Ticket ticket, u32 written);
  // Whether the driver wants to hear of what was pushed since this was last asked. Call after a batch of
  // pushes.
  bool interrupt_wanted();
  // Asks for a notification when the driver adds a chain. True: there is one already (peek again).
  bool rearm();

  void save(StateWriter& out) const;
  // Fails the reader, leaving the queue alone, if the saved queue could not have existed.
  void load(StateReader& in, bool event_index, bool indirect);

 private:
  Next broken(const char* why);
  bool place_is_possible(const Layout& layout, bool event_index, const char** why) const;
  u16 available_index() const { return memory_.atomic_load<u16>(Pa(layout_.available) + 2); }

  GuestMemory& memory_;
  u32 max_size_;
  Layout layout_;
  bool enabled_ = false;
  bool event_index_ = false;
  bool indirect_ = false;
  u16 last_available_ = 0;  // chains consumed, modulo 2^16
  u16 next_used_ = 0;       // chains given back, modulo 2^16
  u16 signalled_ = 0;       // next_used_ when interrupt_wanted() was last asked
  u32 epoch_ = 0;           // counts disable()
  const char* fault_ = nullptr;
};

}  // namespace hartwood
