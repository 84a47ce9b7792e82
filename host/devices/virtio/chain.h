// SPDX-License-Identifier: Apache-2.0
// A descriptor chain as the device sees it: segments of guest RAM, first those it may read, then those it may
// write. Plain values, owned by one device under its lock. Segments were found to lie in RAM when the chain
// was taken from the queue, and are looked up in GuestMemory again for every access, which notes writes of
// pages that hold code.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "memory/guest_memory.h"

namespace hartwood {

struct Segment {
  Pa address;
  u32 bytes = 0;  // at least 1
};

// Identifies a chain until it is given back; a reset of its queue makes it stale.
struct Ticket {
  u16 head = 0;
  u32 epoch = 0;
};

class Chain {
 public:
  Ticket ticket() const { return ticket_; }
  std::span<const Segment> readable() const { return {segments_.data(), readable_count_}; }
  std::span<const Segment> writable() const { return std::span<const Segment>(segments_).subspan(readable_count_); }
  u64 readable_bytes() const { return readable_bytes_; }
  u64 writable_bytes() const { return writable_bytes_; }  // with readable_bytes() below 2^32

  void clear(Ticket ticket);
  // False: a readable segment behind a writable one, or a total of 2^32 bytes and more.
  bool add(Segment segment, bool writable);

 private:
  Ticket ticket_;
  std::vector<Segment> segments_;  // keeps its capacity from chain to chain
  size_t readable_count_ = 0;
  u64 readable_bytes_ = 0;
  u64 writable_bytes_ = 0;
};

// A position in one side of a chain.
class Cursor {
 public:
  explicit Cursor(std::span<const Segment> segments);
  // Bytes from here to the end, or to the limit.
  u64 remaining() const { return remaining_; }
  // Ends the cursor `bytes` from here if it does not end earlier.
  void limit(u64 bytes) { remaining_ = bytes < remaining_ ? bytes : remaining_; }
  // Moves on by at most `bytes`.
  void skip(u64 bytes);
  // The contiguous piece here, at most `most` bytes, and moves behind it. False at the end.
  bool next(Segment& piece, u64 most = ~u64{0});
  // The guest's bytes to `to`, or `from` to the guest; returns how many, fewer only at the end.
  u64 read(const GuestMemory& memory, std::span<u8> to);
  u64 write(GuestMemory& memory, std::span<const u8> from);

 private:
  std::span<const Segment> segments_;
  u64 offset_ = 0;  // into segments_[0]
  u64 remaining_ = 0;
};

}  // namespace hartwood
