// SPDX-License-Identifier: Apache-2.0
// Accesses of a block through one base register, near each other: a span. The first of them looks into the TLB for all.
// Where the whole span lies in one page that the TLB has, the place in RAM is kept in a local and the others need no
// more than a look at that; where it does not, each is on its own.
//
// A span ends where its base register is written or the TLB's tables change. What lies between its accesses does not
// matter: nothing that a block does inside the region takes an entry's translation away (fences end regions).
//
// The accesses of a frame (frames.h) are such a span through all blocks, which is looked for where it is opened.
//
// Neighbours of one kind in a span are one group. A group that is on its own is executed by the full context, in one
// call: probes for each would be most of a region's code.
#include <algorithm>

#include "jit/function_lowering.h"

namespace hartwood::jit {
namespace {

constexpr i32 kNowhere = -1;  // no place in RAM

}  // namespace

void FunctionLowering::find_frames() {
  for (const Block& block : region_.blocks) facts_.push_back(address_facts(block));
  if (target_.hoist_frames) frames_ = jit::find_frames(region_, graph_, facts_);
  for (const Frame& frame : frames_) spans_.push_back({.range = frame.range, .at = code_.add_local(Type::i32)});
}

void FunctionLowering::find_spans(const Block& block) {
  constexpr i32 kMostBytes = 512;
  const std::vector<AddressFacts>& facts = facts_[number_];
  spans_.resize(frames_.size());
  span_of_.assign(block.count(), kNoSpan);
  seen_.assign(block.count(), {});
  openings_.clear();
  for (u32 number = 0; number < frames_.size(); number++) {
    const Frame& frame = frames_[number];
    std::optional<i32> at = frame.distance[number_];
    bool live = false;
    std::vector<Opening> openings;
    for (u32 i = 0; i < block.count(); i++) {
      if (const std::optional<PlainAccess> seen = frame.member(facts[i], at)) {
        span_of_[i] = number;
        seen_[i] = *seen;
        live = true;
      }
      if (!frame.step(facts[i], at)) continue;
      if (!openings.empty() && !live) openings.pop_back();
      openings.push_back({.frame = number, .guest = i, .distance = *at});
      live = false;
    }
    for (const u32 to : successors(block)) live |= !(calls(block) && to == block.end.next) && frame.live[to];
    if (!openings.empty() && !live) openings.pop_back();
    openings_.insert(openings_.end(), openings.begin(), openings.end());
  }
  if (!target_.group_accesses) return;
  for (u32 first = 0; first < block.count(); first++) {
    if (!facts[first].access || span_of_[first] != kNoSpan) continue;
    const u32 base = facts[first].access->base;
    Span span;
    std::vector<PlainAccess> members;
    std::vector<u32> numbers;
    for (u32 i = first; i < block.count(); i++) {
      const std::optional<PlainAccess>& access = facts[i].access;
      if (access && access->base == base && span_of_[i] == kNoSpan && span.range.add(*access, kMostBytes, members)) {
        members.push_back(*access);
        numbers.push_back(i);
      }
      if (bit(facts[i].written, base) || facts[i].ends) break;
    }
    if (members.size() < 2) continue;
    for (u32 i = 0; i < members.size(); i++) {
      span_of_[numbers[i]] = static_cast<u32>(spans_.size());
      seen_[numbers[i]] = members[i];
    }
    span.accesses = static_cast<u32>(members.size());
    spans_.push_back(std::move(span));
  }
}

void FunctionLowering::behind(u32 first, u32 end) {
  for (const Opening& each : openings_) {
    if (each.guest >= first && each.guest < end) open_frame(each.frame, each.distance);
  }
}

void FunctionLowering::open_frames(u32 block) {
  for (u32 number = 0; number < frames_.size(); number++) {
    if (frames_[number].live[block]) open_frame(number, *frames_[number].distance[block]);
  }
}

void FunctionLowering::open_frame(u32 number, i32 distance) {
  const u32 done = code_.open(op::kBlock);
  const u32 apart = code_.open(op::kBlock);
  find_span(spans_[number], frames_[number].base, distance, apart);
  code_.br(done);
  code_.close();
  code_.i32(kNowhere);
  code_.set(spans_[number].at);
  code_.close();
}

u32 FunctionLowering::group_at(const Block& block, u32 first) const {
  constexpr u32 kMost = 16;
  const std::vector<AddressFacts>& facts = facts_[number_];
  if (span_of_[first] == kNoSpan) return 0;
  const PlainAccess& head = *facts[first].access;
  u32 count = 1;
  for (; count < kMost && first + count < block.count() && span_of_[first + count] == span_of_[first]; count++) {
    const PlainAccess& next = *facts[first + count].access;
    if (next.store != head.store || next.is_float != head.is_float) break;
    if (bit(facts[first + count - 1].written, head.base)) break;
  }
  return count;
}

void FunctionLowering::group(const Block& block, u32 first, u32 count) {
  const u32 number = span_of_[first];
  Span& span = spans_[number];
  const PlainAccess& head = *facts_[number_][first].access;
  const bool finds = !is_frame(number) && span.done == 0, kept = count < span.accesses;
  if (finds) span.at = temporary(Type::i32);
  const u32 done = code_.open(op::kBlock);
  const u32 apart = code_.open(op::kBlock);
  if (finds) {
    find_span(span, head.base, 0, apart);
  } else {
    code_.get(span.at);
    code_.i32(kNowhere);
    code_.op(op::kI32Eq);
    code_.hint(false);
    code_.br_if(apart);
  }
  for (u32 i = first; i < first + count; i++) {
    direct(
        seen_[i], [&] { code_.get(span.at); }, static_cast<u32>(seen_[i].offset - span.range.low));
  }
  code_.br(done);
  code_.close();
  if (finds && kept) {
    code_.i32(kNowhere);
    code_.set(span.at);
  }
  if (count == 1) {
    alone(block, first, head);
  } else {
    std::vector<PlainAccess> accesses;
    for (u32 i = first; i < first + count; i++) accesses.push_back(*facts_[number_][i].access);
    by_the_full_context(block, first, accesses);
  }
  code_.close();
  span.done += count;
}

void FunctionLowering::find_span(const Span& span, u32 base, i32 distance, u32 apart) {
  const auto unless = [&] {
    code_.hint(false);
    code_.br_if(apart);
  };
  const AccessRange& range = span.range;
  code_.get(x_local_[base]);
  if (range.low != distance) {
    code_.i64(i64{range.low} - distance);
    code_.op(op::kI64Add);
  }
  code_.set(va_);
  probe_entry(range.store ? kWriteTable : kReadTable);
  code_.tee(x_);
  code_.i64(static_cast<i64>(~(target_.ram_bytes - range.largest)));
  code_.op(op::kI64And);
  code_.i64(0);
  code_.op(op::kI64Ne);
  unless();
  code_.get(x_);
  code_.op(op::kI32WrapI64);
  code_.set(span.at);
  if (range.high - range.low <= range.largest) return;  // one aligned piece of memory lies in one page
  code_.get(span.at);
  code_.i32(static_cast<i32>(kPageMask));
  code_.op(op::kI32And);
  code_.i32(static_cast<i32>(kPageBytes) - (range.high - range.low));
  code_.op(op::kI32GtU);
  unless();
}

template <class Place>
void FunctionLowering::direct(const PlainAccess& access, Place&& place, u32 distance) {
  const u64 offset = target_.ram_base + distance;
  const u32 align = align_of(access.size);
  place();
  if (access.store) {
    if (access.is_float)
      code_.get(f_local_[access.data]);
    else if (access.data == 0)
      code_.i64(0);
    else
      code_.get(x_local_[access.data]);
    code_.memory(access.is_float ? u8{op::kF64Store} : store_opcode(access.size), align, offset);
    return;
  }
  code_.memory(access.is_float ? u8{op::kF64Load} : load_opcode(access.size, access.is_signed), align, offset);
  if (access.is_float)
    code_.set(f_local_[access.data]);
  else if (access.data == 0)
    code_.op(op::kDrop);
  else
    code_.set(x_local_[access.data]);
}

void FunctionLowering::alone(const Block& block, u32 number, const PlainAccess& access) {
  code_.get(x_local_[access.base]);
  if (access.offset != 0) {
    code_.i64(access.offset);
    code_.op(op::kI64Add);
  }
  code_.set(va_);
  probe(access.store ? kWriteTable : kReadTable, access.size, block.guest[number].offset, block.count() - number);
  direct(
      access,
      [&] {
        code_.get(x_);
        code_.op(op::kI32WrapI64);
      },
      0);
}

void FunctionLowering::by_the_full_context(const Block& block, u32 first, const std::vector<PlainAccess>& accesses) {
  const GuestInsn& head = block.guest[first];
  const u32 not_done = block.count() - first;
  AccessRun run{.count = static_cast<u32>(accesses.size()),
                .base = accesses[0].base,
                .store = accesses[0].store,
                .is_float = accesses[0].is_float};
  for (const PlainAccess& each : accesses) run.registers |= 1u << each.data;
  const RegisterSet data = run.is_float ? RegisterSet{.f = run.registers} : RegisterSet{.x = run.registers & ~1u};
  spill((data | RegisterSet{.x = 1u << run.base}) & dirty_);
  code_.get(kState);
  push_address(head.offset);
  code_.i32(static_cast<i32>(run.pack()));
  code_.i32(static_cast<i32>(run.registers));
  push_budget(not_done);
  code_.index(op::kCall, shared_.accesses);
  code_.set(site_);
  if (!run.store) reload(data);
  code_.get(site_);
  code_.i32(static_cast<i32>(TranslatedCode::kAllDone));
  code_.op(op::kI32Ne);
  code_.hint(false);
  code_.open(op::kIf);
  code_.i32(site(head.offset, not_done));
  code_.get(site_);
  code_.op(op::kI32Add);
  leave();
  code_.close();
}

}  // namespace hartwood::jit
