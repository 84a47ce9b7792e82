// SPDX-License-Identifier: Apache-2.0
// A byte ring in shared memory with one producer and one consumer at a time (each side is serialised by a lock of its
// owner): console output towards the page, console input from it. JavaScript reads and writes it through the generated
// offsets, so the layout is fixed. `written` and `read` count bytes modulo 2^32; the difference is what lies in the
// ring.
#pragma once

#include <cstring>

#include "shm/atomic.h"

namespace hartwood {

struct ByteRing {
  static constexpr u32 kCapacity = 1u << 16;  // bytes, a power of two

  Atomic<u32> written;  // +0 stored by the producer after the bytes; loaded by the consumer before it reads them
  Atomic<u32> read;     // +4 stored by the consumer after it copied; loaded by the producer before it overwrites
  Atomic<u32> dropped;  // +8 bytes that found no room
  u32 reserved = 0;
  u8 data[kCapacity] = {};  // +16

  // What the producer may push now; the consumer only makes it more.
  u32 room() const { return kCapacity - (written.load() - read.load()); }
  // Copies what fits and wakes the consumer, which waits on `written`. Returns the number of bytes taken.
  u32 push(const u8* from, u32 size) {
    const u32 at = written.load();
    const u32 room = kCapacity - (at - read.load());
    const u32 taken = size < room ? size : room;
    const u32 offset = at & (kCapacity - 1);
    const u32 first = taken < kCapacity - offset ? taken : kCapacity - offset;
    std::memcpy(data + offset, from, first);
    std::memcpy(data, from + first, taken - first);
    if (taken != 0) {
      written.store(at + taken);
      written.notify();
    }
    return taken;
  }
  // Copies at most `size` bytes out and wakes a producer that waits on `read`. Returns their number.
  u32 pop(u8* to, u32 size) {
    const u32 at = read.load();
    const u32 available = written.load() - at;
    const u32 taken = size < available ? size : available;
    const u32 offset = at & (kCapacity - 1);
    const u32 first = taken < kCapacity - offset ? taken : kCapacity - offset;
    std::memcpy(to, data + offset, first);
    std::memcpy(to + first, data, taken - first);
    if (taken != 0) {
      read.store(at + taken);
      read.notify();
    }
    return taken;
  }
};
static_assert(offsetof(ByteRing, data) == 16);

}  // namespace hartwood
