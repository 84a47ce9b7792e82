// SPDX-License-Identifier: Apache-2.0
// What a machine asks of the program that embeds it: time, entropy, a place for console output. Implemented by the
// native command line, the Wasm exports and tests. Any hart's thread may call.
#pragma once

#include "base/log.h"
#include "devices/entropy.h"
#include "devices/sinks.h"

namespace hartwood {

class Platform {
 public:
  virtual ~Platform() = default;
  // Nanoseconds since some fixed moment, the same for all threads; may differ between threads by microseconds.
  virtual u64 monotonic_ns() = 0;
  // Nanoseconds since 1970-01-01 UTC.
  virtual u64 unix_ns() = 0;
  virtual EntropySource& entropy() = 0;
  // entropy(), where it repeats and a snapshot has to keep how far it came; else null.
  virtual SeededEntropy* seeded_entropy() { return nullptr; }
  // Bytes that the guest prints on any of its consoles.
  virtual ByteSink& console_output() = 0;
  virtual const Log& log() = 0;
};

}  // namespace hartwood
