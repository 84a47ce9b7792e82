// SPDX-License-Identifier: Apache-2.0
// Machine-level software and timer interrupts at the classic CLINT's offsets [ACLINT: MTIMER device, MSWI
// device]. Any hart's thread; writes are guarded by one lock. The comparison with the time is the hart's: this
// device only hands it the comparator. mtime is the machine's clock, which the time CSR shows and the other
// timers follow too, so a write of it sets that clock.
#pragma once

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
  Aclint(u32 hart_count, HartInterrupts& harts, Clock& clock, DeadlineSink& deadlines);

  // msip takes 4-byte accesses, the timer registers 4 or 8; others are access faults. Reserved space reads as
  // zero.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Comparators and software interrupts as after power-on; mtime keeps running.
  void reset();

  // The time is part of the state: a machine that is loaded goes on at the time at which it was saved.
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  void set_time(u64 ticks);

  const u32 hart_count_;
  HartInterrupts& harts_;  // holds comparators and software interrupts
  Clock& clock_;
  DeadlineSink& deadlines_;
  mutable Lock lock_;
};

}  // namespace hartwood
