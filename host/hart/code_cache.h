// SPDX-License-Identifier: Apache-2.0
// Predecoded pages of one hart. Owned by the hart's thread.
//
// A page of guest code becomes an array of 8-byte instructions, one slot for each halfword, so that moving along the
// array is moving the pc and a branch inside the page is pointer arithmetic. Slots are decoded when they are first
// executed, from a copy of the page's bytes that is taken once: what executes is always what the copy says.
//
// Staleness. The architecture lets a hart execute old bytes until its next FENCE.I (or a remote one). Each page is
// stamped with the cache's epoch, which FENCE.I counts up, and with the physical page's write generation; where either
// differs the copy is compared with RAM, and only a page that really changed is decoded again. So FENCE.I costs a
// comparison of 4 KiB for each page that is executed again, and needs no word from whoever wrote.
#pragma once

#include <memory>
#include <vector>

#include "isa/isa.h"
#include "memory/guest_memory.h"
#include "memory/zero_pages.h"

namespace hartwood {

// What a slot's `op` field holds: an Op for a 4-byte instruction, kCompact + Op for a 2-byte one, or one of these.
inline constexpr u16 kSlotUndecoded = 0;
inline constexpr u16 kCompact = 512;
inline constexpr u16 kSlotIllegal = 1024;
inline constexpr u16 kSlotPageEnd = 1025;    // the slot after the page's last
inline constexpr u16 kSlotStraddle = 1026;   // a 4-byte instruction whose second half is in the next page
inline constexpr u16 kSlotBreak = 1027;      // a breakpoint is planted here: what the bytes say, after a look
inline constexpr u16 kSlotSequences = 1028;  // from here on: the first instruction of a sequence (sequences.h)
static_assert(kOpCount < kCompact);

// The register number that collects writes to x0.
inline constexpr u8 kSinkRegister = 32;

struct DecodedPage {
  static constexpr u32 kSlots = kPageBytes / 2;
  Insn slots[kSlots + 1];
  u64 page = ~u64{0};  // number of the RAM page, ~0: unused
  u32 generation = 0;
  u32 epoch = 0;
  u32 next = 0;  // index + 1 in the hash chain
  alignas(8) u8 bytes[kPageBytes];
};

class CodeCache {
 public:
  CodeCache(GuestMemory& memory, const IsaOptions& isa, u32 pages);

  // The predecoded page of RAM page `page`; never null.
  DecodedPage* find(u64 page);
  // The same if there is one, else null; perhaps of bytes that have changed since.
  const DecodedPage* known(u64 page) const;
  // Decodes one slot, which is kSlotUndecoded, and those behind it that may form a sequence with it.
  void decode_slot(DecodedPage& page, u32 slot);
  // Puts a breakpoint into a slot of `page`, which find() has returned; it stays through whatever becomes of the page.
  void plant(DecodedPage& page, u32 slot);
  void unplant_all();
  // After FENCE.I: what was decoded before must be compared before it runs again.
  void new_epoch() { epoch_++; }
  u64 decoded_pages() const { return decoded_pages_; }
  // Counts pages that were taken from other code: pointers that find() returned before may mean something else then.
  u64 evictions() const { return evictions_; }

 private:
  static constexpr u32 kBuckets = 4096;
  // `fresh`: its slots are zero.
  void reset(DecodedPage& page, u64 number, bool fresh);
  static void clear_slots(DecodedPage& page);
  Insn decode_one(const DecodedPage& page, u32 slot) const;
  DecodedPage* take_page(u64 number, bool& fresh);

  GuestMemory& memory_;
  IsaOptions isa_;
  u32 capacity_;
  ZeroPages memory_of_pages_;
  DecodedPage* pages_;  // slots take memory when they are decoded
  u32 used_ = 0;
  u32 victim_ = 0;
  std::unique_ptr<u32[]> buckets_;            // index + 1
  std::vector<std::pair<u64, u32>> planted_;  // page and slot
  u32 epoch_ = 1;
  u64 decoded_pages_ = 0;
  u64 evictions_ = 0;
};

// `insn` as it lies in a slot: the operation number for its length, and x0 as destination replaced by the sink.
Insn to_slot(const Decoded& decoded);

}  // namespace hartwood
