// SPDX-License-Identifier: Apache-2.0
// How a device reaches an interrupt controller, and the controller a hart, without knowing either.
#pragma once

#include "shm/atomic.h"

namespace hartwood {

// The wires of an interrupt controller. Any thread; may be called with the device's lock held, so an implementation
// never calls back into a device.
class InterruptSink {
 public:
  virtual ~InterruptSink() = default;
  // `source` as the device tree numbers it. The level of a wire that is level-triggered.
  virtual void set_level(u32 source, bool level) = 0;
  // One request, whatever the level: an edge. It is kept until it is served; several at once may become one.
  virtual void pulse(u32 source) = 0;
};

// One wire. A default line goes nowhere.
class InterruptLine {
 public:
  InterruptLine() = default;
  InterruptLine(InterruptSink& sink, u32 source) : sink_(&sink), source_(source) {}
  void set(bool level) const {
    if (sink_ != nullptr) sink_->set_level(source_, level);
  }
  void pulse() const {
    if (sink_ != nullptr) sink_->pulse(source_);
  }

 private:
  InterruptSink* sink_ = nullptr;
  u32 source_ = 0;
};

// The interrupt inputs of the harts: bits of mip. Any thread.
class HartInterrupts {
 public:
  virtual ~HartInterrupts() = default;
  // Raises or lowers the mip bits `mask` (as a mask of bit positions, e.g. 1 << 9 for SEIP) of `hart`. A rising bit
  // wakes the hart.
  virtual void set_lines(u32 hart, u32 mask, bool level) = 0;
  // The comparator of hart's machine timer in ticks; ~0 never fires. The hart compares anew, even with the same value.
  virtual void set_mtimecmp(u32 hart, u64 ticks) = 0;
  virtual u64 mtimecmp(u32 hart) const = 0;
  virtual u32 lines(u32 hart) const = 0;
};

// Whoever sleeps until the machine's earliest deadline. Any thread; may be called with a device's lock held.
class DeadlineSink {
 public:
  virtual ~DeadlineSink() = default;
  // A device's deadline was set or moved, or the clock was set: look again.
  virtual void deadlines_changed() = 0;
};

// The machine's one clock: mtime, the time CSR, and what every comparator is compared with.
class Clock {
 public:
  virtual ~Clock() = default;
  // In units of 1 / kTicksPerSecond, modulo 2^64. Between two calls of set_ticks() it goes back for no two readers.
  u64 ticks() { return elapsed() + offset_.load(); }
  // The guest set mtime. One caller at a time, who afterwards has every hart compare anew and calls
  // deadlines_changed(). Pairs with the load in ticks(): whoever was told to look again reads the new time.
  void set_ticks(u64 ticks) { offset_.store(ticks - elapsed()); }
  // Wall-clock time in nanoseconds since 1970-01-01 UTC.
  virtual u64 unix_nanoseconds() = 0;
  static constexpr u64 kTicksPerSecond = 10'000'000;

 protected:
  // Ticks since the machine started; never goes backwards between any two readers.
  virtual u64 elapsed() = 0;

 private:
  Atomic<u64> offset_{0};  // ticks() minus elapsed(), modulo 2^64
};

}  // namespace hartwood
