// SPDX-License-Identifier: Apache-2.0
#include "devices/aclint.h"

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
  return (offset & 4) != 0 ? merge(whole, value << 32, 0xffff'ffff'0000'0000)
                           : merge(whole, value, 0xffff'ffff);
}

}  // namespace

Aclint::Aclint(u32 hart_count, HartInterrupts& harts, Clock& clock)
    : harts_(harts), clock_(clock), mtimecmp_(hart_count, kNever) {
  HW_CHECK(hart_count >= 1 && hart_count <= kMaxHarts, "hart count");
}

u64 Aclint::mtime_locked() { return static_cast<u64>(static_cast<i128>(clock_.ticks()) + offset_); }

u64 Aclint::mtime() {
  Guard guard(lock_);
  return mtime_locked();
}

u64 Aclint::to_ticks(u64 comparator) const {
  if (comparator == kNever) return kNever;
  const i128 ticks = static_cast<i128>(comparator) - offset_;
  if (ticks < 0) return 0;
  return ticks > static_cast<i128>(kNever) ? kNever : static_cast<u64>(ticks);
}

void Aclint::set_comparator(u32 hart, u64 comparator) {
  mtimecmp_[hart] = comparator;
  harts_.set_mtimecmp(hart, to_ticks(comparator));
}

bool Aclint::mmio_read(u64 offset, unsigned size, u64& value) {
  if (size < 4) return false;
  value = 0;
  Guard guard(lock_);
  if (offset < kMtimecmp) {
    if (size != 4) return false;
    const u64 hart = offset / 4;
    if (hart < mtimecmp_.size()) value = (harts_.lines(static_cast<u32>(hart)) & kMsipLine) != 0;
  } else if (offset < kMtime) {
    const u64 hart = (offset - kMtimecmp) / 8;
    if (hart < mtimecmp_.size()) value = part(mtimecmp_[hart], offset, size);
  } else if (offset < kMtime + 8) {
    value = part(mtime_locked(), offset, size);
  }
  return true;
}

bool Aclint::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size < 4) return false;
  Guard guard(lock_);
  if (offset < kMtimecmp) {
    if (size != 4) return false;
    const u64 hart = offset / 4;
    if (hart < mtimecmp_.size()) harts_.set_lines(static_cast<u32>(hart), kMsipLine, (value & 1) != 0);
  } else if (offset < kMtime) {
    const u64 hart = (offset - kMtimecmp) / 8;
    if (hart < mtimecmp_.size())
      set_comparator(static_cast<u32>(hart), with_part(mtimecmp_[hart], offset, size, value));
  } else if (offset < kMtime + 8) {
    const u64 now = clock_.ticks();
    const u64 old = static_cast<u64>(static_cast<i128>(now) + offset_);
    offset_ = static_cast<i128>(with_part(old, offset, size, value)) - static_cast<i128>(now);
    for (u32 hart = 0; hart < mtimecmp_.size(); hart++) set_comparator(hart, mtimecmp_[hart]);
  }
  return true;
}

void Aclint::reset() {
  Guard guard(lock_);
  for (u32 hart = 0; hart < mtimecmp_.size(); hart++) {
    set_comparator(hart, kNever);
    harts_.set_lines(hart, kMsipLine, false);
  }
}

void Aclint::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("ACLT", 1);
  out.put(static_cast<u32>(mtimecmp_.size()));
  out.put(static_cast<u64>(offset_));
  out.put(static_cast<u64>(offset_ >> 64));
  for (u32 hart = 0; hart < mtimecmp_.size(); hart++) {
    out.put(mtimecmp_[hart]);
    out.put(static_cast<u8>((harts_.lines(hart) & kMsipLine) != 0));
  }
  out.end();
}

void Aclint::load(StateReader& in) {
  Guard guard(lock_);
  in.begin("ACLT", 1);
  if (in.get<u32>() != mtimecmp_.size()) in.fail("saved timer belongs to another number of harts");
  const u64 low = in.get<u64>();
  const u64 high = in.get<u64>();
  if (high != 0 && high != ~u64{0}) in.fail("saved timer offset is out of range");
  std::vector<u64> comparators(mtimecmp_.size());
  std::vector<u8> software(mtimecmp_.size());
  for (size_t hart = 0; hart < mtimecmp_.size(); hart++) {
    in.get(comparators[hart]);
    in.get(software[hart]);
  }
  in.end();
  if (in.failed()) return;
  offset_ = static_cast<i128>((static_cast<u128>(high) << 64) | low);
  for (u32 hart = 0; hart < mtimecmp_.size(); hart++) {
    set_comparator(hart, comparators[hart]);
    harts_.set_lines(hart, kMsipLine, software[hart] != 0);
  }
}

}  // namespace hartwood
