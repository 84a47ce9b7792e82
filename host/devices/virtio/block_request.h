// SPDX-License-Identifier: Apache-2.0
// What a chain asks of a block device, apart from doing it [virtio: Block Device, Device Operation]. Pure
// functions over guest memory; a request refers to its chain's segments.
#pragma once

#include "devices/virtio/chain.h"
#include "memory/guest_memory.h"

namespace hartwood {

inline constexpr u64 kSectorBytes = 512;

enum class BlockType : u32 {
  in = 0,
  out = 1,
  flush = 4,
  get_id = 8,
  discard = 11,
  write_zeroes = 13,
};

enum class BlockStatus : u8 { ok = 0, io_error = 1, unsupported = 2 };

struct BlockRequest {
  Ticket ticket;
  u32 type = 0;            // a BlockType, or one that the device does not know
  u64 sector = 0;          // of 512 bytes
  Cursor data{{}};         // for a type that reads the disk the writable bytes before the status byte, else the
                           // readable ones behind the header
  Pa status;               // the last writable byte
  u64 writable_bytes = 0;  // of the chain, with the status byte
};

// One range of a discard or write-zeroes request.
struct BlockRange {
  static constexpr u64 kBytes = 16;
  u64 sector = 0;
  u32 sectors = 0;
  u32 flags = 0;  // bit 0: unmap
};

// False if the chain has no room for the header or for the status byte: nothing can be answered.
bool parse_block_request(const GuestMemory& memory, const Chain& chain, BlockRequest& request);

// The next range of the request's data; false at the end.
bool next_block_range(const GuestMemory& memory, BlockRequest& request, BlockRange& range);

}  // namespace hartwood
