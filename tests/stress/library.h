// SPDX-License-Identifier: Apache-2.0
// What a library of dynamic.c computes, in a form that takes its number at run time.
#pragma once

#include <stdint.h>

static inline uint64_t library_compute(unsigned library, uint64_t x, unsigned times) {
  for (unsigned i = 0; i < times; i++) {
    switch (library) {
      case 0: x = (x ^ i) * 0x9e3779b97f4a7c15u; break;
      case 1: x = (x << 7 | x >> 57) + i * 77; break;
      default: x = x * 5 + (x >> 33) - i; break;
    }
  }
  return x;
}
