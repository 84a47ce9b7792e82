// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/block.h"

#include <algorithm>
#include <bit>

#include "base/bits.h"

namespace hartwood {
namespace {

// [virtio: Block Device, Device configuration layout]
struct BlockConfig {
  u64 capacity;
  u32 size_max;
  u32 seg_max;
  u16 cylinders;
  u8 heads;
  u8 sectors;
  u32 block_bytes;
  u8 physical_block_exponent;
  u8 alignment_offset;
  u16 min_io_blocks;
  u32 optimal_io_blocks;
  u8 writeback;
  u8 unused0;
  u16 queues;
  u32 max_discard_sectors;
  u32 max_discard_ranges;
  u32 discard_alignment;
  u32 max_zeroes_sectors;
  u32 max_zeroes_ranges;
  u8 zeroes_may_unmap;
  u8 unused1[7];
};
static_assert(offsetof(BlockConfig, queues) == 34 && offsetof(BlockConfig, zeroes_may_unmap) == 56 &&
              sizeof(BlockConfig) == 64);

constexpr u32 kUnmap = 1;  // range flag
constexpr u32 kPageBlockBytes = 4096;

}  // namespace

VirtioBlock::VirtioBlock(BlockBackend& backend, BlockOptions options)
    : backend_(backend), options_(std::move(options)), dirty_((page_count() + 63) / 64) {
  HW_CHECK(options_.queues >= 1 && options_.queues <= kMaxQueues, "block queues");
  HW_CHECK(is_power_of_two(options_.block_bytes) && options_.block_bytes >= kSectorBytes &&
               options_.block_bytes <= kPageBlockBytes,
           "logical block size");
}

u64 VirtioBlock::features() const {
  u64 set = u64{1} << kSegMax | u64{1} << kBlockSize | u64{1} << kFlush | u64{1} << kTopology;
  if (options_.queues > 1) set |= u64{1} << kMultiQueue;
  if (backend_.read_only())
    set |= u64{1} << kReadOnly;
  else
    set |= u64{1} << kDiscard | u64{1} << kWriteZeroes;
  return set;
}

void VirtioBlock::read_config(u32 offset, std::span<u8> to) {
  BlockConfig config{};
  const u32 block_sectors = options_.block_bytes / static_cast<u32>(kSectorBytes);
  config.capacity = capacity();
  config.seg_max = kSegmentsMax;
  config.block_bytes = options_.block_bytes;
  config.physical_block_exponent = static_cast<u8>(std::countr_zero(kPageBlockBytes / options_.block_bytes));
  config.min_io_blocks = static_cast<u16>(kPageBlockBytes / options_.block_bytes);
  config.writeback = 1;
  config.queues = static_cast<u16>(options_.queues);
  config.max_discard_sectors = kMaxDiscardSectors;
  config.max_discard_ranges = kMaxDiscardRanges;
  config.discard_alignment = block_sectors;
  config.max_zeroes_sectors = kMaxDiscardSectors;
  config.max_zeroes_ranges = kMaxDiscardRanges;
  config.zeroes_may_unmap = 1;
  read_config_from(config, offset, to);
}

bool VirtioBlock::in_range(u64 sector, u64 sectors) const {
  return sector <= capacity() && sectors <= capacity() - sector;
}

VirtioBlock::Outcome VirtioBlock::transfer(BlockRequest& request, bool to_guest) {
  const u64 total = request.data.remaining();
  if (total % kSectorBytes != 0 || !in_range(request.sector, total / kSectorBytes) ||
      (!to_guest && backend_.read_only()))
    return {BlockStatus::io_error, 0};
  GuestMemory& memory = transport().memory();
  u64 done = 0;
  Segment piece;
  while (request.data.next(piece)) {
    const u64 at = request.sector * kSectorBytes + done;
    if (!to_guest) mark_dirty(at, piece.bytes);
    const bool good = to_guest ? backend_.read(at, memory.writable(piece.address, piece.bytes))
                               : backend_.write(at, memory.readable(piece.address, piece.bytes));
    if (!good) return {BlockStatus::io_error, to_guest ? done : 0};
    done += piece.bytes;
  }
  // A driver that does not flush expects every write to be durable when it is answered.
  if (!to_guest && !transport().has_feature(kFlush) && !backend_.flush()) return {BlockStatus::io_error, 0};
  return {BlockStatus::ok, to_guest ? done : 0};
}

void VirtioBlock::mark_dirty(u64 offset, u64 bytes) {
  if (bytes == 0) return;
  for (u64 page = offset >> kPageShift; page <= (offset + bytes - 1) >> kPageShift; page++)
    dirty_[page / 64] |= u64{1} << (page % 64);
}

VirtioBlock::Outcome VirtioBlock::identify(BlockRequest& request) {
  std::array<u8, kIdBytes> id{};
  std::copy_n(options_.serial.begin(), std::min<size_t>(options_.serial.size(), id.size()), id.begin());
  const u64 written = request.data.write(transport().memory(), id);
  return {BlockStatus::ok, written};
}

VirtioBlock::Outcome VirtioBlock::erase(BlockRequest& request, bool zeroes, u64& cost) {
  const u64 total = request.data.remaining();
  if (backend_.read_only() || total == 0 || total % BlockRange::kBytes != 0 ||
      total / BlockRange::kBytes > kMaxDiscardRanges)
    return {BlockStatus::io_error, 0};
  // All ranges are checked before one is touched. The guest may rewrite them meanwhile, so the copies count.
  std::array<BlockRange, kMaxDiscardRanges> ranges;
  u32 count = 0;
  u64 sectors = 0;
  while (count < ranges.size() && next_block_range(transport().memory(), request, ranges[count])) {
    const BlockRange& range = ranges[count++];
    if ((range.flags & ~kUnmap) != 0 || (!zeroes && range.flags != 0)) return {BlockStatus::unsupported, 0};
    sectors += range.sectors;
    // Ranges that do not overlap cannot add up to more than the disk.
    if (range.sectors > kMaxDiscardSectors || !in_range(range.sector, range.sectors) || sectors > capacity())
      return {BlockStatus::io_error, 0};
  }
  cost += sectors * kSectorBytes;
  for (u32 i = 0; i < count; i++) {
    const u64 at = ranges[i].sector * kSectorBytes;
    const u64 bytes = u64{ranges[i].sectors} * kSectorBytes;
    mark_dirty(at, bytes);
    const bool good =
        zeroes ? backend_.write_zeroes(at, bytes, (ranges[i].flags & kUnmap) != 0) : backend_.discard(at, bytes);
    if (!good) return {BlockStatus::io_error, 0};
  }
  if (!transport().has_feature(kFlush) && !backend_.flush()) return {BlockStatus::io_error, 0};
  return {};
}

VirtioBlock::Outcome VirtioBlock::execute(BlockRequest& request, u64& cost) {
  switch (static_cast<BlockType>(request.type)) {
    case BlockType::in: return transfer(request, true);
    case BlockType::out: return transfer(request, false);
    case BlockType::flush: return {backend_.flush() ? BlockStatus::ok : BlockStatus::io_error, 0};
    case BlockType::get_id: return identify(request);
    case BlockType::discard: return erase(request, false, cost);
    case BlockType::write_zeroes: return erase(request, true, cost);
  }
  return {BlockStatus::unsupported, 0};
}

void VirtioBlock::finish(u32 queue, const BlockRequest& request, const Outcome& outcome) {
  VirtQueue& used = transport().queue(queue);
  if (!used.outstanding(request.ticket)) return;
  transport().memory().store<u8>(request.status, static_cast<u8>(outcome.status));
  // The used length counts an unbroken prefix of the writable bytes: with the status byte only if no gap is
  // before it.
  const u64 with_status = outcome.written + 1;
  used.push(request.ticket, static_cast<u32>(with_status == request.writable_bytes ? with_status : outcome.written));
}

void VirtioBlock::notify(u32 queue) {
  drain_queue(transport(), queue, chain_, [&](const Chain& chain, u64& cost) {
    BlockRequest request;
    if (!parse_block_request(transport().memory(), chain, request)) return Handled::invalid;
    finish(queue, request, execute(request, cost));
    return Handled::done;
  });
}

void VirtioBlock::save(StateWriter& out) const {
  out.begin("VBLK", 1);
  out.put(capacity());
  out.put(options_.block_bytes);
  out.end();
}

// The disk's content is the back end's to save; a disk of another shape cannot take this one's place.
void VirtioBlock::load(StateReader& in) {
  in.begin("VBLK", 1);
  if (in.get<u64>() != capacity()) in.fail("saved disk has another size");
  if (in.get<u32>() != options_.block_bytes) in.fail("saved disk has another block size");
  in.end();
}

}  // namespace hartwood
