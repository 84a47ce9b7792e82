// SPDX-License-Identifier: Apache-2.0
// The Goldfish real-time clock ("google,goldfish-rtc"): nanoseconds since 1970 plus an offset that the guest
// may set, and one alarm. Any thread; one lock guards all registers. The alarm fires in poll(), which the
// owner of the machine's timers calls when next_alarm() is due and whenever it is told that deadlines changed;
// every register access polls too.
#pragma once

#include "base/serial.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class GoldfishRtc final : public MmioDevice {
 public:
  enum Register : u64 {
    kTimeLow = 0x00,  // reading latches the high half
    kTimeHigh = 0x04,
    kAlarmLow = 0x08,  // writing arms the alarm
    kAlarmHigh = 0x0c,
    kIrqEnabled = 0x10,
    kClearAlarm = 0x14,
    kAlarmStatus = 0x18,
    kClearInterrupt = 0x1c,
  };
  static constexpr u64 kNoAlarm = ~u64{0};

  GoldfishRtc(Clock& clock, InterruptLine line, DeadlineSink& deadlines)
      : clock_(clock), line_(line), deadlines_(deadlines) {}

  // 4-byte accesses only; others are access faults.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Fires the alarm if it is due. Returns next_alarm() as it is then.
  u64 poll();
  // When the alarm is due, in nanoseconds of Clock::unix_nanoseconds(), or kNoAlarm.
  u64 next_alarm() const;
  void reset();

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct State {
    u64 offset = 0;  // guest time minus the clock's, modulo 2^64
    u64 alarm = 0;   // guest time
    u32 time_high = 0;
    bool armed = false;
    bool irq_pending = false;
    bool irq_enabled = false;
  };

  u64 now() { return clock_.unix_nanoseconds() + state_.offset; }
  u64 due() const;
  void check_alarm();
  void update() { line_.set(state_.irq_pending && state_.irq_enabled); }

  Clock& clock_;
  InterruptLine line_;
  DeadlineSink& deadlines_;
  mutable Lock lock_;
  State state_;
};

}  // namespace hartwood
