// SPDX-License-Identifier: Apache-2.0
// A bare-metal program in M-mode for two harts: each runs a hot loop of the four fused multiply-adds, in which a single
// wrong bit changes all that follows, and sums up the bits of every result; again and again, so that it is interpreted at
// first and compiled at last, with the same sum each time. Prints the sums, which e2e/fused.ts computes as well, and ends by
// HTIF with how many differed.
#include "bare.h"

enum { kRounds = 5000, kTimes = 1000 };

static volatile double seeds[2] = {0.3, 0.7};  // volatile: the compiler must not call run() only once
static u64 sums[2];
static u64 differed;
static volatile u32 done;

static u64 bits(double value) {
  u64 result;
  __builtin_memcpy(&result, &value, 8);
  return result;
}

__attribute__((noinline)) static u64 run(double x) {
  double s = 0;
  u64 sum = 0;
  for (int i = 0; i < kRounds; i++) {
    double t = __builtin_fma(-x, x, x);         // fnmsub
    x = __builtin_fma(3.9, t, 0x1p-10);         // fmadd
    s = __builtin_fma(s, 0.75, -x);             // fmsub
    double u = __builtin_fma(-x, s, -t);        // fnmadd
    sum = sum * 31 + bits(x);
    sum = sum * 31 + bits(s);
    sum = sum * 31 + bits(u);
  }
  return sum;
}

static void print_hex(u64 value) {
  char text[17];
  for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  text[16] = 0;
  print(text);
}

void program(u64 hart) {
  if (hart > 1) for (;;) __asm__ volatile("wfi");
  __asm__ volatile("csrs mstatus, %0" ::"r"(3 << 13));  // FS
  sums[hart] = run(seeds[hart]);
  for (int i = 1; i < kTimes; i++) {
    if (run(seeds[hart]) != sums[hart]) __atomic_fetch_add(&differed, 1, __ATOMIC_RELAXED);
  }
  __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
  if (hart == 0) {
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != 2) __asm__ volatile("pause");
    print("sums ");
    print_hex(sums[0]);
    print(" ");
    print_hex(sums[1]);
    print("\n");
    tohost = differed << 1 | 1;
  }
  for (;;) __asm__ volatile("wfi");
}
