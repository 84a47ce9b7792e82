// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/chain.h"

#include <algorithm>

namespace hartwood {

void Chain::clear(Ticket ticket) {
  ticket_ = ticket;
  segments_.clear();
  readable_count_ = 0;
  readable_bytes_ = 0;
  writable_bytes_ = 0;
}

bool Chain::add(Segment segment, bool writable) {
  if (!writable && readable_count_ != segments_.size()) return false;
  u64& total = writable ? writable_bytes_ : readable_bytes_;
  total += segment.bytes;
  segments_.push_back(segment);
  if (!writable) readable_count_++;
  return readable_bytes_ + writable_bytes_ < u64{1} << 32;
}

Cursor::Cursor(std::span<const Segment> segments) : segments_(segments) {
  for (const Segment& segment : segments) remaining_ += segment.bytes;
}

void Cursor::skip(u64 bytes) {
  Segment piece;
  while (bytes != 0 && next(piece, bytes)) bytes -= piece.bytes;
}

bool Cursor::next(Segment& piece, u64 most) {
  if (remaining_ == 0 || most == 0) return false;
  const Segment& here = segments_.front();
  const u64 bytes = std::min({here.bytes - offset_, remaining_, most});
  piece = Segment{here.address + offset_, static_cast<u32>(bytes)};
  offset_ += bytes;
  remaining_ -= bytes;
  if (offset_ == here.bytes) {
    segments_ = segments_.subspan(1);
    offset_ = 0;
  }
  return true;
}

u64 Cursor::read(const GuestMemory& memory, std::span<u8> to) {
  u64 done = 0;
  Segment piece;
  while (done < to.size() && next(piece, to.size() - done)) {
    memory.read(piece.address, to.subspan(done, piece.bytes));
    done += piece.bytes;
  }
  return done;
}

u64 Cursor::write(GuestMemory& memory, std::span<const u8> from) {
  u64 done = 0;
  Segment piece;
  while (done < from.size() && next(piece, from.size() - done)) {
    memory.write(piece.address, from.subspan(done, piece.bytes));
    done += piece.bytes;
  }
  return done;
}

}  // namespace hartwood
