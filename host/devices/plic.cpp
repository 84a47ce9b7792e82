// SPDX-License-Identifier: Apache-2.0
#include "devices/plic.h"

#include <bit>

#include "base/check.h"

namespace hartwood {
namespace {

constexpr u32 kMachineExternal = 1u << 11;
constexpr u32 kSupervisorExternal = 1u << 9;

template <class Bits>
bool test(const Bits& bits, u32 source) {
  return (bits[source / 32] >> (source % 32) & 1) != 0;
}
template <class Bits>
void assign(Bits& bits, u32 source, bool value) {
  const u32 mask = 1u << (source % 32);
  bits[source / 32] = value ? bits[source / 32] | mask : bits[source / 32] & ~mask;
}

}  // namespace

Plic::Plic(u32 hart_count, HartInterrupts& harts)
    : harts_(harts), contexts_(size_t{hart_count} * virt::kPlicContextsPerHart) {
  HW_CHECK(hart_count >= 1 && kContext + contexts_.size() * kContextStride <= virt::kPlicBytes, "hart count");
}

u32 Plic::best(const Context& context, u32 threshold) const {
  u32 found = 0;
  u32 highest = threshold;
  for (u32 word = 0; word < kWords; word++) {
    u32 candidates = pending_[word] & context.enable[word];
    while (candidates != 0) {
      const u32 source = word * 32 + static_cast<u32>(std::countr_zero(candidates));
      candidates &= candidates - 1;
      // Ascending ids: among equals the lowest wins.
      if (priority_[source] > highest) {
        highest = priority_[source];
        found = source;
      }
    }
  }
  return found;
}

void Plic::drive(u32 context, bool level) {
  contexts_[context].output = level;
  const bool supervisor = context % virt::kPlicContextsPerHart != 0;
  harts_.set_lines(context / virt::kPlicContextsPerHart, supervisor ? kSupervisorExternal : kMachineExternal, level);
}

void Plic::open_gateways() {
  for (u32 word = 0; word < kWords; word++) {
    const u32 requests = (level_[word] | edge_[word]) & ~claimed_[word];
    pending_[word] |= requests;
    edge_[word] &= ~requests;
  }
}

// Recomputes gateways and outputs after any change.
void Plic::update() {
  open_gateways();
  for (u32 i = 0; i < contexts_.size(); i++) {
    const bool level = best(contexts_[i], contexts_[i].threshold) != 0;
    if (level != contexts_[i].output) drive(i, level);
  }
}

// The threshold masks the notification, not the claim; a source of priority 0 never interrupts.
u32 Plic::claim(Context& context) {
  const u32 source = best(context, 0);
  if (source != 0) {
    assign(pending_, source, false);
    assign(claimed_, source, true);
    update();
  }
  return source;
}

void Plic::complete(Context& context, u32 source) {
  if (source == 0 || source >= virt::kPlicSources || !test(context.enable, source)) return;
  assign(claimed_, source, false);
  update();
}

void Plic::set_level(u32 source, bool level) {
  if (source == 0 || source >= virt::kPlicSources) return;
  Guard guard(lock_);
  if (test(level_, source) == level) return;
  assign(level_, source, level);
  if (level) update();
}

void Plic::pulse(u32 source) {
  if (source == 0 || source >= virt::kPlicSources) return;
  Guard guard(lock_);
  assign(edge_, source, true);
  update();
}

bool Plic::mmio_read(u64 offset, unsigned size, u64& value) {
  if (size != 4) return false;
  value = 0;
  Guard guard(lock_);
  if (offset < kPending) {
    const u64 source = offset / 4;
    if (source < virt::kPlicSources) value = priority_[source];
  } else if (offset < kEnable) {
    const u64 word = (offset - kPending) / 4;
    if (word < kWords) value = pending_[word];
  } else if (offset < kContext) {
    const u64 context = (offset - kEnable) / kEnableStride;
    const u64 word = (offset - kEnable) % kEnableStride / 4;
    if (context < contexts_.size() && word < kWords) value = contexts_[context].enable[word];
  } else {
    const u64 index = (offset - kContext) / kContextStride;
    const u64 reg = (offset - kContext) % kContextStride;
    if (index >= contexts_.size()) return true;
    if (reg == 0) value = contexts_[index].threshold;
    if (reg == 4) value = claim(contexts_[index]);
  }
  return true;
}

bool Plic::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size != 4) return false;
  const u32 word_value = static_cast<u32>(value);
  Guard guard(lock_);
  if (offset < kPending) {
    const u64 source = offset / 4;
    if (source == 0 || source >= virt::kPlicSources) return true;
    priority_[source] = static_cast<u8>(word_value & virt::kPlicMaxPriority);
  } else if (offset < kEnable) {
    return true;  // pending bits are read-only
  } else if (offset < kContext) {
    const u64 context = (offset - kEnable) / kEnableStride;
    const u64 word = (offset - kEnable) % kEnableStride / 4;
    if (context >= contexts_.size() || word >= kWords) return true;
    contexts_[context].enable[word] = word == 0 ? word_value & ~1u : word_value;
  } else {
    const u64 index = (offset - kContext) / kContextStride;
    const u64 reg = (offset - kContext) % kContextStride;
    if (index >= contexts_.size()) return true;
    if (reg == 0) contexts_[index].threshold = word_value & virt::kPlicMaxPriority;
    if (reg == 4) complete(contexts_[index], word_value);
  }
  update();
  return true;
}

void Plic::reset() {
  Guard guard(lock_);
  priority_.fill(0);
  edge_.fill(0);
  pending_.fill(0);
  claimed_.fill(0);
  for (Context& context : contexts_) {
    context.enable.fill(0);
    context.threshold = 0;
  }
  update();
}

void Plic::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("PLIC", 2);
  out.put(static_cast<u32>(contexts_.size()));
  for (const u8 priority : priority_) out.put(priority);
  for (const Bits* bits : {&level_, &pending_, &claimed_, &edge_})
    for (const u32 word : *bits) out.put(word);
  for (const Context& context : contexts_) {
    for (const u32 word : context.enable) out.put(word);
    out.put(context.threshold);
  }
  out.end();
}

void Plic::load(StateReader& in) {
  Guard guard(lock_);
  in.begin("PLIC", 2);
  if (in.get<u32>() != contexts_.size()) in.fail("saved interrupt controller belongs to another number of harts");
  std::array<u8, virt::kPlicSources> priority{};
  std::array<Bits, 4> sets{};
  std::vector<Context> contexts(contexts_.size());
  for (u8& value : priority) in.get(value);
  for (Bits& bits : sets) {
    for (u32& word : bits) in.get(word);
    bits[0] &= ~1u;
  }
  for (Context& context : contexts) {
    for (u32& word : context.enable) in.get(word);
    context.enable[0] &= ~1u;
    context.threshold = in.get<u32>() & virt::kPlicMaxPriority;
  }
  in.end();
  if (in.failed()) return;
  for (u8& value : priority) value &= virt::kPlicMaxPriority;
  priority[0] = 0;
  priority_ = priority;
  level_ = sets[0];
  pending_ = sets[1];
  claimed_ = sets[2];
  edge_ = sets[3];
  contexts_ = contexts;
  open_gateways();
  for (u32 i = 0; i < contexts_.size(); i++) drive(i, best(contexts_[i], contexts_[i].threshold) != 0);
}

}  // namespace hartwood
