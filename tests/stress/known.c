// SPDX-License-Identifier: Apache-2.0
// Prints what kernels.c and series.c compute on this machine, and fails if it is not what their tables say: the guest's
// known results do not come from the guest. Compiled for the host, by known.test.mjs.
#include <stdio.h>
#include <stdlib.h>

#include "stress.h"

struct Report* report;

void wrong(const char* format, ...) {
  fprintf(stderr, "%s\n", format);
  exit(1);
}

uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static int differences;

static void tell(const char* name, unsigned mode, uint64_t found, uint64_t expected) {
  printf("%s, mode %u: %#llx%s\n", name, mode, (unsigned long long)found,
         found == expected ? "" : ", the table has another");
  differences += found != expected;
}

int main(void) {
  for (unsigned i = 0; i < kernel_count; i++) tell(kernels[i].name, 0, kernels[i].run(), kernels[i].expected);
  for (unsigned i = 0; i < series_count; i++) {
    for (unsigned mode = 0; mode < kRoundingModes; mode++) {
      set_rounding(mode);
      uint64_t found = series[i].run();
      set_rounding(0);
      tell(series[i].name, mode, found, series[i].expected[mode]);
    }
  }
  return differences != 0;
}
