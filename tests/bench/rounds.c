// SPDX-License-Identifier: Apache-2.0
#include "rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

const struct Kernel* ready_kernel(const char* name) {
  for (const struct Kernel* kernel = kKernels; kernel->name; kernel++) {
    if (strcmp(kernel->name, name) != 0) continue;
    if (kernel->prepare) kernel->prepare();
    return kernel;
  }
  fprintf(stderr, "no kernel %s\n", name);
  exit(1);
}

void run_rounds(const struct Kernel* kernel, uint32_t milliseconds, struct Rounds* rounds) {
  const struct Kernel* volatile unknown = kernel;  // that it is the same one each time is not for the compiler to know
  const uint64_t start = now(), length = milliseconds * (uint64_t)1000000;
  uint64_t before = start;
  while (rounds->count < kMostRounds && (before - start < length || rounds->count < kLeastRounds)) {
    const uint32_t turn = rounds->count % kTurns;
    uint64_t result = unknown->round(turn);
    uint64_t after = now();
    if (rounds->count < kTurns) rounds->results[turn] = result;
    if (result != rounds->results[turn]) {
      fprintf(stderr, "%s: round %u has another result than that turn before\n", kernel->name, (unsigned)rounds->count);
      exit(1);
    }
    rounds->nanoseconds[rounds->count++] = (uint32_t)(after - before);
    before = after;
  }
}

static int by_size(const void* a, const void* b) {
  uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return (x > y) - (x < y);
}

double steady_round(const struct Rounds* rounds) {
  static uint32_t sorted[kMostRounds];
  uint32_t count = (rounds->count + 1) / 2, skipped = count / 4;
  memcpy(sorted, rounds->nanoseconds + rounds->count - count, count * sizeof sorted[0]);
  qsort(sorted, count, sizeof sorted[0], by_size);
  double sum = 0;
  for (uint32_t i = skipped; i < count - skipped; i++) sum += sorted[i];
  return sum / (count - 2 * skipped);
}

double mean_round(const struct Rounds* rounds) {
  uint32_t count = (rounds->count + 1) / 2;
  double sum = 0;
  for (uint32_t i = rounds->count - count; i < rounds->count; i++) sum += rounds->nanoseconds[i];
  return sum / count;
}

double time_to_speed(const struct Rounds* rounds) {
  enum { kWindow = 5 };
  const double limit = steady_round(rounds) / 0.9;
  double sum = 0;
  for (uint32_t i = 0; i < rounds->count; i++) {
    uint32_t fast = 0, window = 0;
    for (; window < kWindow && i + window < rounds->count; window++) fast += rounds->nanoseconds[i + window] <= limit;
    if (rounds->nanoseconds[i] <= limit && 2 * fast > window) break;
    sum += rounds->nanoseconds[i];
  }
  return sum;
}

uint64_t whole_result(const struct Rounds* rounds) {
  uint64_t sum = 0;
  for (uint32_t turn = 0; turn < kTurns; turn++) sum = (sum ^ rounds->results[turn]) * 0x9e3779b97f4a7c15u;
  return sum;
}

void print_rounds(const char* name, const char* what, double nanoseconds, uint64_t result) {
  printf("bench %s%s%s %lld %016llx\n", name, *what ? "_" : "", what, (long long)(nanoseconds / 10 + 0.5),
         (unsigned long long)result);
}
