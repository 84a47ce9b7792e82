// SPDX-License-Identifier: Apache-2.0
// A bounded first-in-first-out queue of bytes inside one device, guarded by that device's lock.
#pragma once

#include <array>
#include <span>

#include "base/serial.h"
#include "base/types.h"

namespace hartwood {

template <u32 kCapacity>
class ByteFifo {
 public:
  u32 size() const { return size_; }
  bool empty() const { return size_ == 0; }
  u32 room() const { return kCapacity - size_; }
  void clear() { first_ = size_ = 0; }
  // False and unchanged if full.
  bool push(u8 byte) {
    if (size_ == kCapacity) return false;
    data_[(first_ + size_++) % kCapacity] = byte;
    return true;
  }
  // Takes what fits; returns its length.
  u32 push(std::span<const u8> bytes) {
    u32 taken = 0;
    while (taken < bytes.size() && push(bytes[taken])) taken++;
    return taken;
  }
  // 0 if empty.
  u8 pop() {
    if (size_ == 0) return 0;
    const u8 byte = data_[first_];
    drop(1);
    return byte;
  }
  // The bytes at the front that lie together.
  std::span<const u8> front() const {
    const u32 run = kCapacity - first_;
    return {data_.data() + first_, size_ < run ? size_ : run};
  }
  void drop(u32 bytes) {
    bytes = bytes < size_ ? bytes : size_;
    first_ = (first_ + bytes) % kCapacity;
    size_ -= bytes;
  }

  void save(StateWriter& out) const {
    std::array<u8, kCapacity> flat{};
    for (u32 i = 0; i < size_; i++) flat[i] = data_[(first_ + i) % kCapacity];
    out.put_bytes(std::span<const u8>(flat.data(), size_));
  }
  void load(StateReader& in) {
    clear();
    push(in.get_bytes(kCapacity));
  }

 private:
  std::array<u8, kCapacity> data_{};
  u32 first_ = 0;
  u32 size_ = 0;
};

}  // namespace hartwood
