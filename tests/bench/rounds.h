// SPDX-License-Identifier: Apache-2.0
// Times the rounds of a kernel, on any clock that tells tenths of a round. One thread; times are in nanoseconds.
#pragma once
#include <stdint.h>

#include "kernels.h"

enum { kMostRounds = 1 << 16, kLeastRounds = 20 };

struct Rounds {
  uint32_t count;
  uint32_t nanoseconds[kMostRounds];
  uint64_t results[kTurns];  // of each turn
};

/** The kernel of that name, prepared. Ends the program if there is none. */
const struct Kernel* ready_kernel(const char* name);

/** Repeats `kernel` for so long, its turns in a ring. Ends the program if a turn has not the result that it had before.
 */
void run_rounds(const struct Kernel* kernel, uint32_t milliseconds, struct Rounds* rounds);

/** What a round takes at last: the mean of the middle half of the later half of all. */
double steady_round(const struct Rounds* rounds);

/** What the later half took for each round, whatever came between: the inverse of what got done. */
double mean_round(const struct Rounds* rounds);

/** The time until rounds ran at nine tenths of that speed: most of five in a row, the first among them. */
double time_to_speed(const struct Rounds* rounds);

/** The results of all turns in one number. */
uint64_t whole_result(const struct Rounds* rounds);

/** Prints "bench NAME[_WHAT] MICROSECONDS RESULT", the time being that of a hundred rounds. */
void print_rounds(const char* name, const char* what, double nanoseconds, uint64_t result);
