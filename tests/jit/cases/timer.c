// SPDX-License-Identifier: Apache-2.0
// Timer interrupts in the middle of a hot loop, at exactly the instruction at which time has come; between two of them
// the hart sometimes sleeps. With time that passes by instructions.
#include "case.h"

#define STCE (1ul << 63)
enum { kTimerInterrupt = 5, kInterrupts = 1500 };

static u64 deadline, interrupts;
static Frame* log;

static void arm(u64 ticks) {
  deadline = READ_CSR(time) + ticks;
  WRITE_CSR(0x14d, deadline);  // stimecmp
}

void machine(Frame* f) {
  if (f->cause != (1ul << 63 | kTimerInterrupt)) finish(100 + (f->cause & 15));
  // A tick is fifty instructions, and about as many have saved the registers.
  if (READ_CSR(time) - deadline > 1) finish(1);
  *log++ = *f;
  if (++interrupts == kInterrupts) finish(0);
  arm(2 + interrupts * 7919 % 61);
  if (interrupts % 50 == 0) {
    // Nothing else is enabled: the hart goes on when time has come, and the interrupt is taken behind the return.
    __asm__ volatile("wfi");
    if (READ_CSR(time) != deadline) finish(2);
  }
}

__attribute__((noinline)) static u64 step(u64 a, u64 b) { return (a ^ b) * 0x9e3779b97f4a7c15 + (b >> 7); }

int run(void) {
  log = (Frame*)new_page();
  WRITE_CSR(menvcfg, STCE);
  WRITE_CSR(mie, 1 << kTimerInterrupt);
  arm(100);
  __asm__ volatile("csrsi mstatus, 8");
  u64 sums[8] = {0};
  for (u64 i = 0;; i++) {
    sums[i & 7] = step(sums[(i + 3) & 7], i);
    if (i % 3 == 0) sums[(i >> 1) & 7] += sums[i & 7] / (i | 1);
    __asm__ volatile("" ::"r"(sums) : "memory");
  }
}
