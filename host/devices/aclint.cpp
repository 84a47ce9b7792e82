// SPDX-License-Identifier: Apache-2.0
#include "devices/aclint.h"

#include <vector>

#include "base/bits.h"
#include "base/check.h"

namespace hartwood {
namespace {

constexpr u32 kMsipLine = 1u << 3;
constexpr u64 kNever = ~u64{0};

// The part of a 64-bit register that an access of 4 or 8 bytes at `offset` sees, and the register after a
// write of it.
u64 part(u64 whole, u64 offset, unsigned size) {
  if (size == 8) return whole;
  return (offset & 4) != 0 ? whole >> 32 : whole & 0xffff'ffff;
}
u64 with_part(u64 whole, u64 offset, unsigned size, u64 value) {
  if (size == 8) return value;
  return (offset & 4) != 0 ? merge(whole, value << 32, 0xffff'ffff'0000'0000) : merge(whole, value, 0xffff'ffff);
}

}  // namespace

Aclint::Aclint(u32 hart_count, HartInterrupts& harts, Clock& clock, DeadlineSink& deadlines)
    : hart_count_(hart_count), harts_(harts), clock_(clock), deadlines_(deadlines) {
  HW_CHECK(hart_count >= 1 && hart_count <= kMaxHarts, "hart count");
}

void Aclint::set_time(u64 ticks) {
  clock_.set_ticks(ticks);
  // Comparators stay, but each hart has to compare them with the new time, its S-mode timer's too.
  for (u32 hart = 0; hart < hart_count_; hart++) harts_.set_mtimecmp(hart, harts_.mtimecmp(hart));
  deadlines_.deadlines_changed();
}

bool Aclint::mmio_read(u64 offset, unsigned size, u64& value) {
  if (size < 4) return false;
  value = 0;
  Guard guard(lock_);
  if (offset < kMtimecmp) {
    if (size != 4) return false;
    const u64 hart = offset / 4;
    if (hart < hart_count_) value = (harts_.lines(static_cast<u32>(hart)) & kMsipLine) != 0;
  } else if (offset < kMtime) {
    const u64 hart = (offset - kMtimecmp) / 8;
    if (hart < hart_count_) value = part(harts_.mtimecmp(static_cast<u32>(hart)), offset, size);
  } else if (offset < kMtime + 8) {
    value = part(clock_.ticks(), offset, size);
  }
  return true;
}

bool Aclint::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size < 4) return false;
  Guard guard(lock_);
  if (offset < kMtimecmp) {
    if (size != 4) return false;
    const u64 hart = offset / 4;
    if (hart < hart_count_) harts_.set_lines(static_cast<u32>(hart), kMsipLine, (value & 1) != 0);
  } else if (offset < kMtime) {
    const u64 hart = (offset - kMtimecmp) / 8;
    if (hart < hart_count_) {
      const u32 index = static_cast<u32>(hart);
      harts_.set_mtimecmp(index, with_part(harts_.mtimecmp(index), offset, size, value));
    }
  } else if (offset < kMtime + 8) {
    set_time(with_part(clock_.ticks(), offset, size, value));
  }
  return true;
}

void Aclint::reset() {
  Guard guard(lock_);
  for (u32 hart = 0; hart < hart_count_; hart++) {
    harts_.set_mtimecmp(hart, kNever);
    harts_.set_lines(hart, kMsipLine, false);
  }
}

void Aclint::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("ACLT", 2);
  out.put(hart_count_);
  out.put(clock_.ticks());
  for (u32 hart = 0; hart < hart_count_; hart++) {
    out.put(harts_.mtimecmp(hart));
    out.put(static_cast<u8>((harts_.lines(hart) & kMsipLine) != 0));
  }
  out.end();
}

void Aclint::load(StateReader& in) {
  Guard guard(lock_);
  // Version 1 had the difference to a clock that the other machine did not share.
  if (in.begin("ACLT", 2) < 2) in.fail("saved timer is of an older version");
  if (in.get<u32>() != hart_count_) in.fail("saved timer belongs to another number of harts");
  const u64 ticks = in.get<u64>();
  std::vector<u64> comparators(hart_count_);
  std::vector<u8> software(hart_count_);
  for (u32 hart = 0; hart < hart_count_; hart++) {
    in.get(comparators[hart]);
    in.get(software[hart]);
  }
  in.end();
  if (in.failed()) return;
  for (u32 hart = 0; hart < hart_count_; hart++) {
    harts_.set_mtimecmp(hart, comparators[hart]);
    harts_.set_lines(hart, kMsipLine, software[hart] != 0);
  }
  set_time(ticks);
}

}  // namespace hartwood
