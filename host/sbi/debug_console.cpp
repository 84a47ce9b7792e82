// SPDX-License-Identifier: Apache-2.0
// [sbi: Debug Console Extension]. The memory that the guest names must be RAM as a whole, else nothing is
// done.
#include <algorithm>

#include "sbi/extension.h"

namespace hartwood {
namespace {

// The most that one call moves, so that a hart is back soon for whoever wants its ear; a caller continues
// after a partial write anyway.
constexpr u64 kMostBytes = u64{64} << 10;

// Arguments 0 (bytes), 1 and 2 (physical address, low and high half). [sbi: Shared memory physical address
// range parameter]; a range of no bytes is good anywhere.
bool buffer(const SbiCall& call, Pa& address, u64& bytes) {
  bytes = call.argument(0);
  address = Pa(call.argument(1));
  if (bytes == 0) return true;
  return call.argument(2) == 0 && call.memory().contains(address, bytes);
}

SbiAnswer write(const SbiCall& call) {
  Pa address;
  u64 bytes;
  if (!buffer(call, address, bytes)) return SbiError::invalid_param;
  if (bytes == 0) return SbiError::success;
  return SbiAnswer::of(call.console().write(call.memory().readable(address, std::min(bytes, kMostBytes))));
}

SbiAnswer read(const SbiCall& call) {
  Pa address;
  u64 bytes;
  if (!buffer(call, address, bytes)) return SbiError::invalid_param;
  bytes = std::min(bytes, kMostBytes);
  // Through a buffer of our own: pages count as written only where bytes arrived.
  u8 piece[256];
  u64 done = 0;
  while (done < bytes) {
    const std::span<u8> wanted(piece, std::min<u64>(sizeof piece, bytes - done));
    const u32 got = std::min<u32>(call.console().read(wanted), static_cast<u32>(wanted.size()));
    const bool stored = call.memory().write(address + done, wanted.first(got));
    HW_CHECK(stored, "the range was checked");
    done += got;
    if (got < wanted.size()) break;
  }
  return SbiAnswer::of(done);
}

// A call that waits. The hart does not wait here, where it would keep others from their fences, interrupts
// from delivery and the host from stopping it: it sleeps a little, parked, and makes its call again.
SbiAnswer write_byte(const SbiCall& call) {
  constexpr i64 kNanosecondsBetweenTries = 1'000'000;
  const u8 byte = static_cast<u8>(call.argument(0));
  if (call.console().write({&byte, 1}) == 1) return SbiError::success;
  call.hart.attention().sleep(call.hart.id(), call.hart, ~u32{kAttentionAck}, kNanosecondsBetweenTries);
  return SbiAnswer::again();
}

}  // namespace

SbiAnswer sbi_debug_console(const SbiCall& call) {
  switch (call.function()) {
    case 0: return write(call);
    case 1: return read(call);
    case 2: return write_byte(call);
    default: return SbiError::not_supported;
  }
}

}  // namespace hartwood
