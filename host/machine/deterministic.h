// SPDX-License-Identifier: Apache-2.0
// Deterministic mode, native only: all harts and the clock as fibers of one thread under a seeded scheduler,
// with time that passes by retired instructions. The same seed gives the same execution: console bytes,
// retired instructions, RAM.
//
// Besides at shared atomic operations (machine/seeded_scheduler.h) fibers switch between slices of
// instructions, whose lengths are drawn from the seed.
#pragma once

#include "machine/machine.h"
#include "machine/platform.h"
#include "machine/seeded_scheduler.h"

namespace hartwood {

class DeterministicRunner final : public SeededScheduler {
 public:
  // One runner at a time for a machine, whose clock is `clock`.
  DeterministicRunner(Machine& machine, VirtualClock& clock, u64 seed, const SchedulerOptions& options = {});
  ~DeterministicRunner() override;

  // Until the machine ends or is stopped, every hart sleeps for ever, or `max_instructions` (0: no limit)
  // were executed in all since the machine started, those that trapped included; then it returns false. Each
  // hart but one may go on to the end of a slice that it had begun. Can be called again after the limit.
  bool run(u64 max_instructions);
  bool slept_for_ever() const { return end_ == End::asleep; }
  End end() const { return end_; }

  u32 slice() override;

 protected:
  u64 now_ns() const override { return clock_.now_ns(); }
  void skip_ns(u64 ns) override { clock_.skip_ns(ns); }

 private:
  u64 executed() const;

  Machine& machine_;
  VirtualClock& clock_;
  u64 limit_ = 0;
  End end_ = End::finished;
};

}  // namespace hartwood
