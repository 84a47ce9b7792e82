// SPDX-License-Identifier: Apache-2.0
// The scenarios that seeds are tried on. A scenario draws from its seed what is to happen, and executes it in the order
// that the same seed gives.
#pragma once

#include <vector>

#include "schedule/stage.h"

namespace hartwood::test {

struct Outcome {
  std::string failure;  // empty: as it should be
  std::string about;    // what was drawn
  Fingerprint fingerprint;
};

struct Scenario {
  const char* name;
  const char* about;
  // The fingerprint is made only where it is asked for: RAM takes a while.
  Outcome (*run)(u64 seed, const SchedulerOptions& options, bool fingerprint);
};

const std::vector<Scenario>& scenarios();

// modules.cpp
Outcome run_modules(u64 seed, const SchedulerOptions& options, bool fingerprint);

}  // namespace hartwood::test
