// SPDX-License-Identifier: Apache-2.0
// A bare-metal program in M-mode for two harts, without any firmware: both count under an AMO lock and by LR/SC, send each
// other interrupts while they wait in WFI, wake by the timer, and compare the clocks that they read. Prints to the 16550,
// ends by HTIF with the number of the first check that failed, or 0.
#include "bare.h"

enum { kRounds = 20000, kPings = 2000, kClockReads = 20000 };

static volatile u32 *const msip = (u32 *)0x2000000;
static volatile u64 *const mtimecmp = (u64 *)0x2004000;
static volatile u64 *const mtime = (u64 *)0x200bff8;

static volatile u32 lock;
static volatile u64 locked_count;
static u64 amo_count, lrsc_count;
static volatile u32 arrived[8];
static volatile u32 pings;
static volatile u64 published_time;
static volatile u32 failed;

static void expect(int what, int number) {
  if (!what && !failed) failed = number;
}

static void meet(int stage) {
  __atomic_fetch_add(&arrived[stage], 1, __ATOMIC_SEQ_CST);
  while (arrived[stage] != 2) __asm__ volatile("pause" ::: "memory");
}

static u64 pending(void) {
  u64 bits;
  __asm__ volatile("csrr %0, mip" : "=r"(bits));
  return bits;
}

// Sleeps until one of the enabled interrupts is pending. They are off in mstatus, so nothing is taken.
static void wait_for(u64 bit) {
  while (!(pending() & bit)) __asm__ volatile("wfi");
}

// A device's line need not fall in mip at once.
static void clear_own(u64 hart) {
  msip[hart] = 0;
  while (pending() & 8) {
  }
}

static void count(void) {
  for (int i = 0; i < kRounds; i++) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
    }
    locked_count = locked_count + 1;
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    __atomic_fetch_add(&amo_count, 1, __ATOMIC_RELAXED);
    u64 value, lost;
    do {
      __asm__ volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                       : "=&r"(value), "=&r"(lost) : "r"(&lrsc_count) : "memory");
    } while (lost);
  }
}

static void play(u64 hart) {
  for (int i = 0; i < kPings; i++) {
    if (hart == 0) msip[1] = 1;
    wait_for(8);
    clear_own(hart);
    if (hart == 1) {
      pings = pings + 1;
      msip[0] = 1;
    }
  }
}

static void sleep_a_little(u64 hart) {
  u64 start = *mtime;
  mtimecmp[hart] = start + 20000;  // 2 ms
  wait_for(128);
  expect(*mtime >= start + 20000, 4);
  mtimecmp[hart] = ~0ul;
}

static void read_clock(void) {
  for (int i = 0; i < kClockReads; i++) {
    u64 seen = published_time, now;
    __asm__ volatile("fence\n csrr %0, time\n fence" : "=r"(now)::"memory");
    expect(now >= seen, 5);
    published_time = now;
  }
}

void program(u64 hart) {
  if (hart > 1) for (;;) __asm__ volatile("wfi");
  __asm__ volatile("csrw mie, %0" ::"r"(8 | 128));
  mtimecmp[hart] = ~0ul;
  meet(0);
  count();
  meet(1);
  if (hart == 0) {
    expect(locked_count == 2 * kRounds, 1);
    expect(amo_count == 2 * kRounds, 2);
    expect(lrsc_count == 2 * kRounds, 3);
    print("counted\n");
  }
  play(hart);
  meet(2);
  if (hart == 0) {
    expect(pings == kPings, 6);
    print("played\n");
  }
  sleep_a_little(hart);
  meet(3);
  read_clock();
  meet(4);
  if (hart == 0) {
    print("slept\n");
    tohost = (u64)failed << 1 | 1;
  }
  for (;;) __asm__ volatile("wfi");
}
