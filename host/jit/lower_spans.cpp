// SPDX-License-Identifier: Apache-2.0
// Accesses of a block through one base register, near each other: a span. The first of them looks into the TLB for all.
// Where the whole span lies in one page that the TLB has, the place in RAM is kept in a local and the others need no
// more than a look at that; where it does not, each is on its own.
//
// A span ends where its base register is written or the TLB's tables change. What lies between its accesses does not
// matter: nothing that a block does inside the region takes an entry's translation away (fences end regions).
//
// Neighbours of one kind in a span are one group. A group that is on its own is executed by the full context, in one
// call: probes for each would be most of a region's code.
#include <algorithm>

#include "jit/function_lowering.h"

namespace hartwood::jit {
namespace {

constexpr i32 kNowhere = -1;  // no place in RAM

}  // namespace

std::optional<PlainAccess> plain_access(const GuestInsn& guest) {
  IsaOptions all;
  all.enabled = ~u32{0};
  return hartwood::plain_access(decode(guest.bits, all));
}

bool FunctionLowering::Span::add(const PlainAccess& access) {
  constexpr i32 kMostBytes = 512;
  const i32 first = std::min(low, access.offset), behind = std::max(high, access.offset + access.size);
  const u8 size = std::max(largest, access.size);
  if (behind - first > kMostBytes) return false;
  // The lowest address is what is tested, for the largest size.
  const auto fits = [&](const PlainAccess& each) {
    return (each.offset - first) % each.size == 0 && (each.size != size || (each.offset - first) % size == 0);
  };
  if (!fits(access) || !std::ranges::all_of(accesses, fits)) return false;
  low = first;
  high = behind;
  largest = size;
  store |= access.store;
  accesses.push_back(access);
  return true;
}

void FunctionLowering::find_spans(const Block& block) {
  spans_.clear();
  span_of_.assign(block.count(), kNoSpan);
  if (!target_.group_accesses) return;
  std::vector<std::optional<PlainAccess>> accesses;
  std::vector<RegisterSet> written(block.count());
  std::vector<bool> ends(block.count());
  for (const GuestInsn& guest : block.guest) accesses.push_back(plain_access(guest));
  for (const Inst& inst : block.code) {
    written[inst.guest] = written[inst.guest] | sets(inst);
    if (inst.op != Ir::execute) continue;
    const Operands operands = operands_of(block.guest[inst.guest]);
    written[inst.guest] = written[inst.guest] | operands.written;
    ends[inst.guest] = operands.is_csr;
  }
  for (u32 first = 0; first < block.count(); first++) {
    if (!accesses[first] || accesses[first]->base == 0 || span_of_[first] != kNoSpan) continue;
    Span span{.low = accesses[first]->offset, .high = accesses[first]->offset};
    std::vector<u32> members;
    for (u32 i = first; i < block.count(); i++) {
      const bool member =
          accesses[i] && accesses[i]->base == accesses[first]->base && span_of_[i] == kNoSpan && span.add(*accesses[i]);
      if (member) members.push_back(i);
      if (bit(written[i].x, accesses[first]->base) || ends[i]) break;
    }
    if (members.size() < 2) continue;
    for (const u32 i : members) span_of_[i] = static_cast<u32>(spans_.size());
    spans_.push_back(std::move(span));
  }
}

u32 FunctionLowering::group_at(const Block& block, u32 first) const {
  constexpr u32 kMost = 16;
  if (span_of_[first] == kNoSpan) return 0;
  const PlainAccess head = *plain_access(block.guest[first]);
  u32 count = 1;
  for (; count < kMost && first + count < block.count() && span_of_[first + count] == span_of_[first]; count++) {
    const PlainAccess next = *plain_access(block.guest[first + count]);
    if (next.store != head.store || next.is_float != head.is_float) break;
  }
  return count;
}

void FunctionLowering::group(const Block& block, u32 first, u32 count) {
  Span& span = spans_[span_of_[first]];
  const std::vector<PlainAccess> accesses(span.accesses.begin() + span.done, span.accesses.begin() + span.done + count);
  const bool finds = span.done == 0, kept = count < span.accesses.size();
  if (finds) span.at = temporary(Type::i32);
  const u32 done = code_.open(op::kBlock);
  const u32 apart = code_.open(op::kBlock);
  if (finds) {
    find_span(span, apart);
  } else {
    code_.get(span.at);
    code_.i32(kNowhere);
    code_.op(op::kI32Eq);
    code_.hint(false);
    code_.br_if(apart);
  }
  for (const PlainAccess& each : accesses)
    direct(
        each, [&] { code_.get(span.at); }, static_cast<u32>(each.offset - span.low));
  code_.br(done);
  code_.close();
  if (finds && kept) {
    code_.i32(kNowhere);
    code_.set(span.at);
  }
  if (count == 1)
    alone(block, first, accesses[0]);
  else
    by_the_full_context(block, first, accesses);
  code_.close();
  span.done += count;
}

void FunctionLowering::find_span(const Span& span, u32 apart) {
  const auto unless = [&] {
    code_.hint(false);
    code_.br_if(apart);
  };
  code_.get(x_local_[span.accesses[0].base]);
  if (span.low != 0) {
    code_.i64(span.low);
    code_.op(op::kI64Add);
  }
  code_.set(va_);
  probe_entry(span.store ? kWriteTable : kReadTable);
  code_.tee(x_);
  code_.i64(static_cast<i64>(~(target_.ram_bytes - span.largest)));
  code_.op(op::kI64And);
  code_.i64(0);
  code_.op(op::kI64Ne);
  unless();
  code_.get(x_);
  code_.op(op::kI32WrapI64);
  code_.set(span.at);
  if (span.high - span.low <= span.largest) return;  // one aligned piece of memory lies in one page
  code_.get(span.at);
  code_.i32(static_cast<i32>(kPageMask));
  code_.op(op::kI32And);
  code_.i32(static_cast<i32>(kPageBytes) - (span.high - span.low));
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
