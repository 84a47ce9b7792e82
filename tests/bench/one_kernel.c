// SPDX-License-Identifier: Apache-2.0
// Runs one kernel for a while, and prints what a hundred rounds take once it is at speed, and how long it took to get
// there.
//
//   kernels NAME [MILLISECONDS]
//   kernels                        prints the names
//
// The second time is that of one run, so "bench NAME_warmup MICROSECONDS RESULT" is not multiplied.
#include <stdio.h>
#include <stdlib.h>

#include "rounds.h"

static struct Rounds rounds;

int main(int argc, char** argv) {
  if (argc < 2) {
    for (const struct Kernel* kernel = kKernels; kernel->name; kernel++) puts(kernel->name);
    return 0;
  }
  const struct Kernel* kernel = ready_kernel(argv[1]);
  run_rounds(kernel, argc > 2 ? (uint32_t)atoi(argv[2]) : 1600, &rounds);
  print_rounds(kernel->name, "warmup", time_to_speed(&rounds) / 100, whole_result(&rounds));
  print_rounds(kernel->name, "", steady_round(&rounds), whole_result(&rounds));
  return 0;
}
