// SPDX-License-Identifier: Apache-2.0
// What a seed draws besides the order of things: how often fibers switch, how long slices are, whether sleeps end for
// no reason and fibers stall.
#pragma once

#include "base/result.h"
#include "machine/seeded_scheduler.h"

namespace hartwood::test {

inline SchedulerOptions draw_options(u64 seed) {
  SeededRandom random(seed * 0x1234'5678'9abc'def1);
  SchedulerOptions options;
  options.switch_one_in = 1u << random.below(6);
  options.longest_slice = 1u << random.below(11);
  options.longest_run = random.one_in(2) ? 1'000'000 : 300;
  options.spurious_one_in = random.one_in(2) ? 0 : 8;
  options.stall_one_in = random.one_in(2) ? 0 : 16;
  return options;
}

// As the driver's command line takes them.
inline std::string describe(const SchedulerOptions& options) {
  return format("--slice %u --run %u --switch %u --spurious %u --stall %u", options.longest_slice, options.longest_run,
                options.switch_one_in, options.spurious_one_in, options.stall_one_in);
}

}  // namespace hartwood::test
