// SPDX-License-Identifier: Apache-2.0
// The small parts that connect harts, devices and platform, each implementing an interface of a lower layer.
#pragma once

#include <string_view>

#include "devices/byte_fifo.h"
#include "hart/interfaces.h"
#include "machine/platform.h"
#include "memory/guest_memory.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/attention.h"
#include "shm/lock.h"

namespace hartwood {

class Machine;

// mip lines and machine timers of the harts, for the interrupt controllers.
class HartLines final : public HartInterrupts {
 public:
  explicit HartLines(AttentionProtocol& attention) : attention_(attention) {}
  void set_lines(u32 hart, u32 mask, bool level) override;
  void set_mtimecmp(u32 hart, u64 ticks) override;
  u64 mtimecmp(u32 hart) const override;
  u32 lines(u32 hart) const override;

 private:
  AttentionProtocol& attention_;
};

// Has the clock thread look at all deadlines again.
class ClockWaker final : public DeadlineSink {
 public:
  explicit ClockWaker(MachineShared& shared) : shared_(shared) {}
  void deadlines_changed() override {
    // Pairs with run_clock(), which reads the word, then the deadlines, and sleeps only while the word is the same.
    shared_.clock_word.fetch_add(1);
    shared_.clock_word.notify();
  }

 private:
  MachineShared& shared_;
};

// The one clock: the platform's nanoseconds, through a shared maximum so that no two readers see time go back.
class MachineClock final : public Clock {
 public:
  MachineClock(Platform& platform, MachineShared& shared);
  u64 unix_nanoseconds() override;

  // The clock stands still, from `since_ns` of the platform's on or from now on, whichever was first. On one thread,
  // while no hart runs; may be called again. Time that somebody has read by then is not taken back.
  void freeze(u64 since_ns = ~u64{0});
  // It goes on where it stood; the wall clock too, unless it is to `follow` the host's: then it shows the host's time.
  void thaw(bool follow);
  bool frozen() const { return frozen_.load() != 0; }
  // The wall clock shows `unix_ns` now, and goes on from there.
  void set_wall_clock(u64 unix_ns) { wall_behind_ns_.store(platform_.unix_ns() - unix_ns); }
  static constexpr u64 kNanosecondsPerTick = 1'000'000'000 / kTicksPerSecond;

 protected:
  u64 elapsed() override;

 private:
  Platform& platform_;
  MachineShared& shared_;
  Atomic<u64> start_ns_;           // the platform's time when this clock's was zero
  Atomic<u64> wall_behind_ns_{0};  // the platform's wall clock minus ours
  Atomic<u32> frozen_{0};
  u64 frozen_ns_ = 0, frozen_unix_ns_ = 0;  // the platform's when it was frozen; published by frozen_
};

// Time by retired instructions and nothing else, for executions that repeat: in deterministic mode, and for one hart
// whose machine is configured so.
class VirtualClock final : public Clock, public VirtualTime {
 public:
  explicit VirtualClock(Platform& platform) : platform_(platform) {}
  // Whose instructions count; null: none.
  void follow(const Machine* machine) { machine_ = machine; }
  u64 unix_nanoseconds() override { return platform_.unix_ns() + now_ns(); }
  u64 now_ns() const;
  void skip_ns(u64 ns) { idle_ns_ += ns; }
  u64 idle_ns() const { return idle_ns_; }
  void set_idle_ns(u64 ns) { idle_ns_ = ns; }
  // An instruction takes 1 << shift nanoseconds, as under QEMU's -icount shift=N.
  void set_shift(unsigned shift) { shift_ = shift; }

  u64 instructions_until(u64 ticks) override { return (ns_until(ticks) + (u64{1} << shift_) - 1) >> shift_; }
  bool sleep_until(u64 ticks) override {
    if (shared_) return false;
    skip_to(ticks);
    return true;
  }
  void skip_to(u64 ticks) { skip_ns(ns_until(ticks)); }
  // Several harts live by this clock, on one thread: whoever runs them in turn skips when all of them sleep.
  void share() { shared_ = true; }

 protected:
  u64 elapsed() override { return now_ns() / MachineClock::kNanosecondsPerTick; }

 private:
  u64 ns_until(u64 ticks_then) {
    return (elapsed() + (ticks_then - ticks())) * MachineClock::kNanosecondsPerTick - now_ns();
  }
  Platform& platform_;
  const Machine* machine_ = nullptr;
  u64 idle_ns_ = 0;
  unsigned shift_ = 1;
  bool shared_ = false;
};

// The end of the machine, whoever asks for it: syscon, SBI, HTIF, the embedder.
class PowerSwitch final : public PowerSink {
 public:
  explicit PowerSwitch(AttentionProtocol& attention) : attention_(attention) {}
  void power_off(u32 code) override { end(kPowerOff, code); }
  void reboot() override { end(kPowerReboot, 0); }
  // The first end counts. Wakes every hart, the clock thread and whoever waits on MachineShared::event.
  void end(PowerState state, u32 code);

 private:
  AttentionProtocol& attention_;
  Lock lock_;  // of those who end the machine at the same time: state and code belong to the same one
};

// Bytes typed at the console, until the guest takes them. Any thread.
class ConsoleInput final : public ByteSource {
 public:
  // `room` is counted, and its waiters are woken, once there is room again after a write() that took less than all.
  explicit ConsoleInput(Atomic<u32>& room) : room_(room) {}
  u32 read(std::span<u8> to) override;
  // Takes what fits and returns its length. Whoever will wait for room reads the counter before.
  u32 write(std::span<const u8> from);
  void save(StateWriter& out);
  void load(StateReader& in);

 private:
  static constexpr u32 kCapacity = 1u << 16;
  Lock lock_;
  Atomic<u32>& room_;
  u8 bytes_[kCapacity];
  u32 written_ = 0, read_ = 0;
  bool refused_ = false;
};

// The platform's entropy for several callers at once: the guest's generator, whoever renews the machine's generation.
class LockedEntropy final : public EntropySource {
 public:
  explicit LockedEntropy(EntropySource& source) : source_(source) {}
  u32 fill(std::span<u8> to) override {
    Guard guard(lock_);
    return source_.fill(to);
  }

 private:
  EntropySource& source_;
  Lock lock_;
};

// Lines for the guest's agent, until the guest takes them. Any thread.
class AgentInput final : public ByteSource {
 public:
  static constexpr u32 kCapacity = 4096;  // bytes
  u32 read(std::span<u8> to) override;
  // The line, without its end, and a line feed; all of it or, where there is no room, nothing.
  bool add(std::string_view line);
  void clear();
  // The agent, once it listens, is told what `clock`'s wall clock shows at that moment.
  void want_time(Clock& clock);

 private:
  bool add_locked(std::string_view line);
  Lock lock_;
  u8 bytes_[kCapacity];
  u32 written_ = 0, read_ = 0;
  Clock* wanted_time_ = nullptr;
};

// What the guest's agent says: to the embedder's sink if it set one, else to the shared ring. Never stops the guest: a
// write that finds no room is dropped whole, and counted.
class AgentOutput final : public ByteSink {
 public:
  explicit AgentOutput(ByteRing& ring) : ring_(ring) {}
  // Before the machine boots.
  void set_sink(ByteSink* sink) { sink_ = sink; }
  u32 write(std::span<const u8> bytes) override;

 private:
  ByteRing& ring_;
  ByteSink* sink_ = nullptr;
};

// HTIF as bare-metal test programs use it: exit codes, console bytes, and the write call.
class Htif final : public HostInterface {
 public:
  Htif(GuestMemory& memory, PowerSwitch& power, ByteSink& console)
      : memory_(memory), power_(power), console_(console) {}
  void set_mailboxes(Pa tohost, Pa fromhost) {
    tohost_ = tohost;
    fromhost_ = fromhost;
  }
  Pa tohost_address() const { return tohost_; }
  Pa fromhost_address() const { return fromhost_; }
  void tohost(u64 value) override;

 private:
  void system_call(Pa block);
  void answer(u64 value);
  GuestMemory& memory_;
  PowerSwitch& power_;
  ByteSink& console_;
  Lock lock_;
  Pa tohost_, fromhost_;
};

// The boot ROM's bytes, for firmware that reads them. Harts start behind it, with its results in their registers.
class BootRom final : public MmioDevice {
 public:
  explicit BootRom(std::vector<u8> bytes) : bytes_(std::move(bytes)) {}
  std::span<const u8> bytes() const { return bytes_; }
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64, unsigned, u64) override { return false; }

 private:
  std::vector<u8> bytes_;
};

}  // namespace hartwood
