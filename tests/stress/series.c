// SPDX-License-Identifier: Apache-2.0
// Floating-point series whose results are known bit by bit in four rounding modes. Portable, like kernels.c, if
// products and sums are not contracted and the compiler respects the rounding mode (-ffp-contract=off -frounding-math).
#include <fenv.h>
#include <math.h>
#include <string.h>

#include "stress.h"

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static uint32_t bits_of_single(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static uint64_t run_sums(void) {
  double harmonic = 0, alternating = 0, squares = 0;
  for (int i = 1; i < 20000; i++) {
    harmonic += 1.0 / i;
    alternating += (i & 1 ? 1.0 : -1.0) / (2 * i - 1);
    squares += __builtin_sqrt((double)i) * 1e-3;
  }
  return bits_of(harmonic) ^ bits_of(alternating) * 3 ^ bits_of(squares) * 5;
}

static uint64_t run_single(void) {
  float x = 0.1f, sum = 0, product = 1;
  for (int i = 1; i < 30000; i++) {
    x = 3.7f * x * (1.0f - x);
    sum += x;
    product *= 1.0f + x * 1e-5f;
  }
  return (uint64_t)bits_of_single(sum) << 32 | bits_of_single(product);
}

static uint64_t run_fused(void) {
  double x = 0.3, sum = 0;
  float single = 0.7f;
  for (int i = 1; i < 6000; i++) {
    x = fma(x, -3.9 * x, 3.9 * x);
    sum = fma(x, 0.125 / i, sum);
    single = fmaf(single, 1.0001f, -1e-4f * (float)(i & 3));
  }
  return bits_of(x) ^ bits_of(sum) * 3 ^ (uint64_t)bits_of_single(single) * 5;
}

static uint64_t run_matrix(void) {
  enum { kSide = 24 };
  double a[kSide][kSide], b[kSide][kSide], trace = 0;
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      a[i][j] = 1.0 / (i + j + 1);
      b[i][j] = i * 0.3 - j * 0.7;
    }
  }
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < kSide; i++) {
      for (int j = 0; j < kSide; j++) {
        double cell = round * 0.1;
        for (int k = 0; k < kSide; k++) cell += a[i][k] * b[k][j];
        if (i == j) trace += cell;
      }
    }
  }
  return bits_of(trace);
}

// Conversions, comparisons, the smallest numbers, infinities.
static uint64_t run_odd(void) {
  uint64_t state = 4711, sum = 0;
  double tiny = 1;
  for (int i = 0; i < 20000; i++) {
    int64_t whole = (int64_t)next_random(&state);
    double wide = (double)whole;
    float narrow = (float)whole;
    tiny *= 0.5 + (double)(whole & 7) * 0.01;
    if (tiny == 0 || i % 1100 == 0) tiny = 1;
    sum = sum * 3 + bits_of(wide) + bits_of_single(narrow) + bits_of(tiny);
    sum += (uint64_t)(int64_t)(wide * 0x1p-10) + (uint64_t)(int32_t)(narrow * 0x1p-40f) + (wide < narrow);
    sum += bits_of_single((float)(wide * 1e-50)) + bits_of(wide * 1e300 * 1e300);
  }
  return sum;
}

const struct Series series[] = {
    {"sums", run_sums, {0xbc8cdeaaad035a24, 0xbc8cdeaaad032898, 0xbc8cdeaaad032898, 0xbc8cdeaaad0253d6}},
    {"single", run_single, {0x469c9afc3f9c68ce, 0x469c33b53f9bd0d3, 0x469c33b53f9bd0d3, 0x469c9f813f9cf009}},
    {"fused", run_fused, {0x800d45fe526b173e, 0x805f6f722a36e338, 0x805f0ac121fd1409, 0x805933df409c3181}},
    {"matrix", run_matrix, {0xc07a42dd1cc1e1cb, 0xc07a42dd1cc1e1a2, 0xc07a42dd1cc1e1ed, 0xc07a42dd1cc1e1a4}},
    {"odd", run_odd, {0xa6fe83a7ae65e000, 0x70eb43713897c78f, 0x6661fe757e6e80de, 0x47e5f62c71eb4851}},
};
const unsigned series_count = sizeof series / sizeof series[0];

void set_rounding(unsigned mode) {
  static const int kModes[kRoundingModes] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  fesetround(kModes[mode]);
}

void check_series(unsigned index, unsigned mode, const char* where) {
  const struct Series* one = &series[index];
  set_rounding(mode);
  uint64_t found = one->run();
  set_rounding(0);
  EXPECT(found == one->expected[mode], "%s: series %s computes %#llx in rounding mode %u, not %#llx", where, one->name,
         (unsigned long long)found, mode, (unsigned long long)one->expected[mode]);
}
