// SPDX-License-Identifier: Apache-2.0
// The fibers of a machine: one for each hart, and the clock's. See deterministic.h.
#include "machine/deterministic.h"

namespace hartwood {

DeterministicRunner::DeterministicRunner(Machine& machine, VirtualClock& clock, u64 seed,
                                         const SchedulerOptions& options)
    : SeededScheduler(seed, options), machine_(machine), clock_(clock) {
  clock.follow(&machine);
  for (u32 i = 0; i < machine.hart_count(); i++) {
    add([this, i] {
      for (;;) {
        const Hart::Exit exit = machine_.run_hart(i, run_length());
        if (exit == Hart::Exit::power || exit == Hart::Exit::stopped) return;
        point();
      }
    });
  }
  add([this] { machine_.run_clock(); }, true);
}

DeterministicRunner::~DeterministicRunner() { clock_.follow(nullptr); }

// Traps count, so that a guest that only traps comes to an end too.
u64 DeterministicRunner::executed() const {
  u64 sum = machine_.retired();
  for (u32 i = 0; i < machine_.hart_count(); i++) sum += machine_.hart(i).traps();
  return sum;
}

// Called by a hart just before it executes so many instructions.
u32 DeterministicRunner::slice() {
  const u32 drawn = SeededScheduler::slice();
  if (limit_ == 0) return drawn;
  u64 done;
  while ((done = executed()) >= limit_ && limit_ != 0) pause();
  return limit_ == 0 || limit_ - done > drawn ? drawn : static_cast<u32>(limit_ - done);
}

bool DeterministicRunner::run(u64 max_instructions) {
  limit_ = max_instructions;
  end_ = run_fibers();
  return end_ != End::paused;
}

}  // namespace hartwood
