// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block_request.h"

#include "base/bits.h"

namespace hartwood {
namespace {

struct Header {
  u32 type;
  u32 reserved;
  u64 sector;
};
static_assert(sizeof(Header) == 16);

}  // namespace

bool parse_block_request(const GuestMemory& memory, const Chain& chain, BlockRequest& request) {
  u8 bytes[sizeof(Header)];
  Cursor readable(chain.readable());
  if (chain.writable_bytes() == 0 || readable.read(memory, bytes) != sizeof bytes) return false;
  const auto header = load_le<Header>(bytes);
  request.ticket = chain.ticket();
  request.type = header.type;
  request.sector = header.sector;
  const Segment& last = chain.writable().back();
  request.writable_bytes = chain.writable_bytes();
  request.status = last.address + (last.bytes - 1);
  const auto type = static_cast<BlockType>(header.type);
  if (type == BlockType::in || type == BlockType::get_id) {
    request.data = Cursor(chain.writable());
    request.data.limit(chain.writable_bytes() - 1);
  } else {
    request.data = readable;
  }
  return true;
}

bool next_block_range(const GuestMemory& memory, BlockRequest& request, BlockRange& range) {
  u8 bytes[BlockRange::kBytes];
  if (request.data.read(memory, bytes) != sizeof bytes) return false;
  range.sector = load_le<u64>(bytes);
  range.sectors = load_le<u32>(bytes + 8);
  range.flags = load_le<u32>(bytes + 12);
  return true;
}

}  // namespace hartwood
