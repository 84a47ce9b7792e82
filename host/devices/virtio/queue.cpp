// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/queue.h"

#include "base/bits.h"
#include "base/check.h"

namespace hartwood {
namespace {

constexpr u64 kDescriptorBytes = 16;
constexpr u64 kUsedElementBytes = 8;
constexpr u16 kNext = 1, kWrite = 2, kIndirect = 4;  // descriptor flags
constexpr u16 kNoInterrupt = 1;                      // available ring flag

struct Descriptor {
  u64 address;
  u32 bytes;
  u16 flags;
  u16 next;
};
static_assert(sizeof(Descriptor) == kDescriptorBytes);

// Whether an index that moved from `before` to `after` passed `event` [virtio: Used Buffer Notification
// Suppression].
bool passed(u16 event, u16 after, u16 before) {
  return static_cast<u16>(after - event - 1) < static_cast<u16>(after - before);
}

}  // namespace

VirtQueue::VirtQueue(GuestMemory& memory, u32 max_size) : memory_(memory), max_size_(max_size) {
  HW_CHECK(is_power_of_two(max_size) && max_size <= kMaxSize, "queue size");
}

VirtQueue::Next VirtQueue::broken(const char* why) {
  if (fault_ == nullptr) fault_ = why;
  return Next::faulty;
}

bool VirtQueue::place_is_possible(const Layout& layout, bool event_index, const char** why) const {
  const u64 size = layout.size;
  const u64 event_bytes = event_index ? 2 : 0;
  if (!is_power_of_two(size) || size > max_size_)
    *why = "queue size is not a power of two up to the maximum";
  else if (layout.descriptors % 16 != 0 || layout.available % 2 != 0 || layout.used % 4 != 0)
    *why = "a part of the queue is misaligned";
  else if (!memory_.contains(Pa(layout.descriptors), size * kDescriptorBytes))
    *why = "descriptor table outside RAM";
  else if (!memory_.contains(Pa(layout.available), 4 + 2 * size + event_bytes))
    *why = "available ring outside RAM";
  else if (!memory_.contains(Pa(layout.used), 4 + kUsedElementBytes * size + event_bytes))
    *why = "used ring outside RAM";
  else
    return true;
  return false;
}

bool VirtQueue::enable(bool event_index, bool indirect) {
  const char* why = nullptr;
  if (!place_is_possible(layout_, event_index, &why)) {
    broken(why);
    return false;
  }
  enabled_ = true;
  event_index_ = event_index;
  indirect_ = indirect;
  last_available_ = next_used_ = signalled_ = 0;
  fault_ = nullptr;
  return true;
}

void VirtQueue::disable() {
  enabled_ = false;
  layout_ = Layout{};
  last_available_ = next_used_ = signalled_ = 0;
  fault_ = nullptr;
  epoch_++;
}

VirtQueue::Next VirtQueue::peek(Chain& chain) {
  if (fault_ != nullptr) return Next::faulty;
  if (!enabled_) return Next::empty;
  const u32 mask = layout_.size - 1;
  const u16 ahead = static_cast<u16>(available_index() - last_available_);
  if (ahead == 0) return Next::empty;
  if (ahead > layout_.size) return broken("available index is further ahead than the queue is long");
  u16 head = 0;
  memory_.load(Pa(layout_.available) + 4 + u64{2} * (last_available_ & mask), head);
  chain.clear(Ticket{head, epoch_});

  u64 table = layout_.descriptors;
  u32 entries = layout_.size;
  u32 index = head;
  u32 seen = 0;
  bool in_indirect = false;
  for (;;) {
    if (index >= entries) return broken("descriptor index out of range");
    if (++seen > entries) return broken("loop in a descriptor chain");
    Descriptor descriptor{};
    memory_.load(Pa(table) + u64{index} * kDescriptorBytes, descriptor);
    if (descriptor.flags & kIndirect) {
      if (!indirect_) return broken("indirect descriptor without the feature");
      if (in_indirect) return broken("indirect descriptor in an indirect table");
      if (descriptor.flags & kNext) return broken("indirect descriptor with a successor");
      if (descriptor.bytes == 0 || descriptor.bytes % kDescriptorBytes != 0 ||
          descriptor.bytes / kDescriptorBytes > kMaxIndirect)
        return broken("impossible size of an indirect table");
      if (!memory_.contains(Pa(descriptor.address), descriptor.bytes)) return broken("indirect table outside RAM");
      table = descriptor.address;
      entries = static_cast<u32>(descriptor.bytes / kDescriptorBytes);
      index = 0;
      seen = 0;
      in_indirect = true;
      continue;
    }
    if (descriptor.bytes == 0) return broken("descriptor of zero bytes");
    if (!memory_.contains(Pa(descriptor.address), descriptor.bytes)) return broken("buffer outside RAM");
    if (!chain.add(Segment{Pa(descriptor.address), descriptor.bytes}, (descriptor.flags & kWrite) != 0))
      return broken("readable buffer behind a writable one, or a chain of 4 GiB and more");
    if (!(descriptor.flags & kNext)) return Next::chain;
    index = descriptor.next;
  }
}

bool VirtQueue::push(Ticket ticket, u32 written) {
  if (!outstanding(ticket)) return false;
  const u64 element = layout_.used + 4 + kUsedElementBytes * (next_used_ & (layout_.size - 1));
  memory_.store<u32>(Pa(element), ticket.head);
  memory_.store<u32>(Pa(element + 4), written);
  next_used_++;
  memory_.atomic_store<u16>(Pa(layout_.used + 2), next_used_);
  return true;
}

bool VirtQueue::interrupt_wanted() {
  if (!enabled_ || next_used_ == signalled_) return false;
  const u16 before = signalled_;
  signalled_ = next_used_;
  if (event_index_)
    return passed(memory_.atomic_load<u16>(Pa(layout_.available + 4 + u64{2} * layout_.size)), next_used_, before);
  return (memory_.atomic_load<u16>(Pa(layout_.available)) & kNoInterrupt) == 0;
}

bool VirtQueue::rearm() {
  if (!enabled_) return false;
  if (event_index_) memory_.atomic_store<u16>(Pa(layout_.used + 4 + kUsedElementBytes * layout_.size), last_available_);
  return available_index() != last_available_;
}

void VirtQueue::save(StateWriter& out) const {
  out.put(static_cast<u8>(enabled_));
  out.put(layout_.size);
  out.put(layout_.descriptors);
  out.put(layout_.available);
  out.put(layout_.used);
  out.put(last_available_);
  out.put(next_used_);
  out.put(signalled_);
  out.put(static_cast<u8>(fault_ != nullptr));
}

void VirtQueue::load(StateReader& in, bool event_index, bool indirect) {
  const bool enabled = in.get<u8>() != 0;
  Layout layout;
  in.get(layout.size);
  in.get(layout.descriptors);
  in.get(layout.available);
  in.get(layout.used);
  const u16 last_available = in.get<u16>();
  const u16 next_used = in.get<u16>();
  const u16 signalled = in.get<u16>();
  const bool faulty = in.get<u8>() != 0;
  const char* why = nullptr;
  if (!in.failed() && enabled && !place_is_possible(layout, event_index, &why)) in.fail(why);
  if (in.failed()) return;
  enabled_ = enabled;
  layout_ = layout;
  event_index_ = event_index;
  indirect_ = indirect;
  last_available_ = last_available;
  next_used_ = next_used;
  signalled_ = signalled;
  fault_ = faulty ? "the queue was faulty when it was saved" : nullptr;
  epoch_++;
}

}  // namespace hartwood
