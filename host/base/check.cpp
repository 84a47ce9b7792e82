// SPDX-License-Identifier: Apache-2.0
// The end of the program after one of our bugs. The handler is the one process-wide setting: it is set at start-up,
// before any thread exists, and a failed check may happen where no machine is at hand.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hartwood {
namespace {
FatalHandler fatal_handler = nullptr;
}

void set_fatal_handler(FatalHandler handler) { fatal_handler = handler; }

void check_failed(const char* file, int line, const char* condition, const char* why) {
  char message[512];
  std::snprintf(message, sizeof message, "hartwood: bug at %s:%d: %s (%s)", file, line, why, condition);
  if (fatal_handler) {
    fatal_handler(message);
  } else {
#ifndef __wasm__
    std::fprintf(stderr, "%s\n", message);
#endif
  }
#ifdef __wasm__
  __builtin_trap();
#else
  std::abort();
#endif
}

}  // namespace hartwood
