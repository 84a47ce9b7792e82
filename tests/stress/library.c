// SPDX-License-Identifier: Apache-2.0
// A library that dynamic.c loads, compiled once for each value of LIBRARY: its own code, data, relocations,
// thread-local word and calls out.
#include "library.h"

#include <stdlib.h>

static unsigned calls;
static __thread unsigned own_calls;

__attribute__((constructor)) static void begin(void) { calls = LIBRARY * 10; }

uint64_t compute(uint64_t x, unsigned times) { return library_compute(LIBRARY, x, times); }

unsigned count(void) {
  own_calls++;
  return own_calls + LIBRARY * 10 == calls + 1 ? ++calls : 0;
}

static uint64_t answer_0(void) { return LIBRARY * 1000; }
static uint64_t answer_1(void) { return LIBRARY * 1000 + 1; }
static uint64_t answer_2(void) { return LIBRARY * 1000 + 2; }
static uint64_t answer_3(void) { return LIBRARY * 1000 + 3; }
#if LIBRARY == 1
char padding[9000] = {1};  // other addresses than its sisters'
#endif
static uint64_t (*const answers[])(void) = {answer_0, answer_1, answer_2, answer_3};
uint64_t indirect(unsigned number) { return answers[number % 4](); }

static int order(const void* a, const void* b) {
  unsigned one = *(const unsigned*)a, other = *(const unsigned*)b;
  return one < other ? -1 : one > other;
}

// How many of `amount` words are in order after the C library has sorted them.
long sorted(unsigned amount) {
  unsigned* words = malloc(amount * sizeof *words);
  for (unsigned i = 0; i < amount; i++) words[i] = (i * 2654435761u + LIBRARY) >> 3;
  qsort(words, amount, sizeof *words, order);
  long good = 1;
  for (unsigned i = 1; i < amount; i++) good += words[i - 1] <= words[i];
  free(words);
  return good;
}
