// SPDX-License-Identifier: Apache-2.0
// Deterministic mode, native only: all harts and the clock as fibers of one thread under a seeded scheduler, with time
// that passes by retired instructions. The same seed gives the same execution: console bytes, retired instructions, RAM.
//
// A fiber may be switched out at every shared atomic operation (shm/atomic.h calls point() there) and between slices of
// instructions, whose lengths are drawn from the seed. When all fibers sleep, time jumps to the earliest deadline.
#pragma once

#include <memory>
#include <vector>

#include "machine/machine.h"
#include "machine/platform.h"
#include "shm/atomic.h"

namespace hartwood {

class DeterministicClock final : public Clock {
 public:
  explicit DeterministicClock(Platform& platform) : platform_(platform) {}
  u64 ticks() override { return now_ns() / (1'000'000'000 / kTicksPerSecond); }
  u64 unix_nanoseconds() override { return platform_.unix_ns() + now_ns(); }
  u64 now_ns() const { return idle_ns_ + (machine_ ? machine_->retired() << shift_ : 0); }
  // An instruction takes 1 << shift nanoseconds, as under QEMU's -icount shift=N.
  void set_shift(unsigned shift) { shift_ = shift; }

 private:
  friend class DeterministicRunner;
  Platform& platform_;
  Machine* machine_ = nullptr;
  u64 idle_ns_ = 0;
  unsigned shift_ = 1;
};

struct DeterministicOptions {
  u32 longest_slice = 4096;  // instructions between two looks at the attention word, at most
  u32 switch_one_in = 8;     // an atomic operation switches fibers with this chance
};

class DeterministicRunner final : public Scheduler {
 public:
  DeterministicRunner(Machine& machine, DeterministicClock& clock, u64 seed, DeterministicOptions options = {});
  ~DeterministicRunner() override;

  // Until the machine ends, every hart sleeps for ever, or `max_instructions` (0: no limit) were retired in all; then
  // it returns false. Can be called again after the limit.
  bool run(u64 max_instructions);
  bool slept_for_ever() const { return slept_for_ever_; }

  // Scheduler
  void point() override;
  Wake wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) override;
  void notify(const std::atomic<u32>& word, u32 count) override;
  u32 slice() override;

 private:
  struct Fiber;
  void body(u32 index);
  u64 random();
  void wake_expired();
  // Another fiber that can run, or null.
  Fiber* choose();
  void switch_to(Fiber& fiber);
  void yield_to_main();

  Machine& machine_;
  DeterministicClock& clock_;
  u64 seed_;
  DeterministicOptions options_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* current_ = nullptr;
  void* main_context_ = nullptr;
  u64 limit_ = 0;
  bool limited_ = false;
  bool slept_for_ever_ = false;
};

}  // namespace hartwood
