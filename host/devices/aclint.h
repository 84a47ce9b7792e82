// SPDX-License-Identifier: Apache-2.0
// Machine-level software and timer interrupts at the classic CLINT's offsets [ACLINT: MTIMER device, MSWI
// device]. Any hart's thread; registers are guarded by one lock. The comparison with the time is the hart's:
// this device only hands it the comparator, converted to clock ticks. mtime is the machine's clock plus an
// offset that a write changes.
#pragma once

#include <vector>

#include "base/serial.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class Aclint final : public MmioDevice {
 public:
  static constexpr u64 kMsip = 0x0;         // u32 per hart, bit 0
  static constexpr u64 kMtimecmp = 0x4000;  // u64 per hart
  static constexpr u64 kMtime = 0xbff8;     // u64
  static constexpr u32 kMaxHarts = 4095;

  // `hart_count` 1 to kMaxHarts. Comparators reset to ~0, which never fires.
  Aclint(u32 hart_count, HartInterrupts& harts, Clock& clock);

  // msip takes 4-byte accesses, the timer registers 4 or 8; others are access faults. Reserved space reads as
  // zero.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // The guest's mtime in ticks. It differs from the clock's only after a guest wrote it.
  u64 mtime();
  // Comparators and software interrupts as after power-on; mtime keeps running.
  void reset();

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  u64 mtime_locked();
  u64 to_ticks(u64 comparator) const;
  void set_comparator(u32 hart, u64 comparator);

  HartInterrupts& harts_;
  Clock& clock_;
  mutable Lock lock_;
  std::vector<u64> mtimecmp_;  // as the guest wrote them
  i128 offset_ = 0;            // mtime minus clock ticks
};

}  // namespace hartwood
