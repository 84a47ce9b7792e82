// SPDX-License-Identifier: Apache-2.0
#include "hart/code_cache.h"

#include <cstring>
#include <iterator>

#include "hart/sequences.h"

namespace hartwood {

CodeCache::CodeCache(GuestMemory& memory, const IsaOptions& isa, u32 pages)
    : memory_(memory),
      isa_(isa),
      capacity_(pages),
      memory_of_pages_(allocate_zero_pages(align_up(sizeof(DecodedPage) * pages, kPageBytes))),
      pages_(reinterpret_cast<DecodedPage*>(memory_of_pages_.get())),
      buckets_(new u32[kBuckets]()) {}

Insn to_slot(const Decoded& decoded) {
  Insn slot = decoded.insn;
  if (decoded.op == Op::none) {
    slot.op = kSlotIllegal;
    return slot;
  }
  slot.op = static_cast<u16>(static_cast<u16>(decoded.op) + (decoded.length == 2 ? kCompact : 0));
  if (info(decoded.op).writes_x() && slot.rd == 0) slot.rd = kSinkRegister;
  return slot;
}

const DecodedPage* CodeCache::known(u64 number) const {
  for (u32 at = buckets_[number & (kBuckets - 1)]; at != 0; at = pages_[at - 1].next) {
    if (pages_[at - 1].page == number) return &pages_[at - 1];
  }
  return nullptr;
}

DecodedPage* CodeCache::find(u64 number) {
  const u32 bucket = static_cast<u32>(number) & (kBuckets - 1);
  DecodedPage* found = nullptr;
  for (u32 at = buckets_[bucket]; at != 0; at = pages_[at - 1].next) {
    if (pages_[at - 1].page == number) {
      found = &pages_[at - 1];
      break;
    }
  }
  if (found == nullptr) {
    bool fresh;
    found = take_page(number, fresh);
    reset(*found, number, fresh);
    return found;
  }
  const u32 generation = memory_.code_generation(number);
  if (found->epoch != epoch_ || found->generation != generation) {
    // Mark before comparing: a write that comes after the comparison counts the generation up.
    memory_.set_page_state(number, kPageCode);
    if (std::memcmp(found->bytes, memory_.ram() + (number << kPageShift), kPageBytes) == 0) {
      found->epoch = epoch_;
      found->generation = generation;
    } else {
      reset(*found, number, false);
    }
  }
  return found;
}

DecodedPage* CodeCache::take_page(u64 number, bool& fresh) {
  u32 index;
  fresh = used_ < capacity_;
  if (fresh) {
    index = used_++;
  } else {
    evictions_++;
    index = victim_;
    victim_ = (victim_ + 1) % capacity_;
    u32* link = &buckets_[static_cast<u32>(pages_[index].page) & (kBuckets - 1)];
    while (*link != index + 1) link = &pages_[*link - 1].next;
    *link = pages_[index].next;
  }
  u32& head = buckets_[static_cast<u32>(number) & (kBuckets - 1)];
  pages_[index].next = head;
  head = index + 1;
  return &pages_[index];
}

void CodeCache::reset(DecodedPage& page, u64 number, bool fresh) {
  decoded_pages_++;
  page.page = number;
  page.epoch = epoch_;
  memory_.require_page(number);
  memory_.set_page_state(number, kPageCode);
  page.generation = memory_.code_generation(number);
  std::memcpy(page.bytes, memory_.ram() + (number << kPageShift), kPageBytes);
  if (!fresh) clear_slots(page);
  page.slots[DecodedPage::kSlots].op = kSlotPageEnd;
  for (const auto& [where, slot] : planted_) {
    if (where == number) page.slots[slot].op = kSlotBreak;
  }
}

void CodeCache::clear_slots(DecodedPage& page) {
  std::memset(static_cast<void*>(page.slots), 0, sizeof page.slots);
  page.slots[DecodedPage::kSlots].op = kSlotPageEnd;
}

void CodeCache::plant(DecodedPage& page, u32 slot) {
  if (page.slots[slot].op == kSlotBreak) return;
  planted_.push_back({page.page, slot});
  // Sequences before it may reach over it.
  clear_slots(page);
  for (const auto& [where, planted] : planted_) {
    if (where == page.page) page.slots[planted].op = kSlotBreak;
  }
}

void CodeCache::unplant_all() {
  for (const auto& [where, slot] : planted_) {
    for (u32 at = buckets_[where & (kBuckets - 1)]; at != 0; at = pages_[at - 1].next) {
      if (pages_[at - 1].page == where) clear_slots(pages_[at - 1]);
    }
  }
  planted_.clear();
}

Insn CodeCache::decode_one(const DecodedPage& page, u32 slot) const {
  const u16 low = load_le<u16>(page.bytes + slot * 2);
  if (instruction_length(low) == 4 && slot == DecodedPage::kSlots - 1) return Insn{.op = kSlotStraddle};
  const u32 word = instruction_length(low) == 4 ? load_le<u32>(page.bytes + slot * 2) : low;
  return to_slot(decode(word, isa_));
}

void CodeCache::decode_slot(DecodedPage& page, u32 slot) {
  // Onwards as far as control may simply pass and nothing is decoded yet, then what the last of them need to see.
  constexpr u32 kLongestRun = 24, kBehind = kLongestSequence - 1;
  Insn insns[kLongestRun + kBehind];
  u16 at[kLongestRun];
  u32 fresh = 0, known = 0;
  bool goes_on = true;
  while (goes_on && slot < DecodedPage::kSlots && known < fresh + kBehind && known < std::size(insns)) {
    Insn& insn = page.slots[slot];
    if (insn.op == kSlotUndecoded && known == fresh && fresh < kLongestRun) {
      insn = decode_one(page, slot);
      at[fresh++] = static_cast<u16>(slot);
    } else if (insn.op == kSlotUndecoded) {
      break;
    }
    const u16 op = first_of_sequence(insn.op);
    insns[known] = insn;
    insns[known++].op = op;
    goes_on = can_be_continued(op);
    slot += op >= kCompact && op < kSlotIllegal ? 1 : 2;
  }
  for (u32 i = 0; i < fresh; i++) page.slots[at[i]].op = sequence_at({insns + i, known - i});
}

}  // namespace hartwood
