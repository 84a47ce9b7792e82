// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/rng.h"

namespace hartwood {

Handled VirtioRng::fill(const Chain& chain) {
  if (chain.writable_bytes() == 0) return Handled::invalid;
  Cursor cursor(chain.writable());
  cursor.limit(kMaxBytesPerRequest);
  u32 written = 0;
  Segment piece;
  while (cursor.next(piece)) {
    const std::span<u8> to = transport().memory().writable(piece.address, piece.bytes);
    const u32 got = std::min(source_.fill(to), piece.bytes);
    written += got;
    if (got < piece.bytes) break;
  }
  if (written == 0) return Handled::stalled;
  transport().queue(0).push(chain.ticket(), written);
  return Handled::done;
}

void VirtioRng::notify(u32 queue) {
  drain_queue(transport(), queue, chain_, [&](const Chain& chain, u64&) { return fill(chain); });
}

void VirtioRng::pump() {
  Guard guard(transport().lock());
  notify(0);
}

void VirtioRng::save(StateWriter& out) const {
  out.begin("VRNG", 1);
  out.end();
}

void VirtioRng::load(StateReader& in) {
  in.begin("VRNG", 1);
  in.end();
}

}  // namespace hartwood
