// SPDX-License-Identifier: Apache-2.0
// How late a timer interrupts a hot loop. Linux only.
//
//   latency [SAMPLES]   computes without a system call while a timer expires after 1 to 3 ms, again and again; prints
//   by how
//                       much the signal handler ran behind the deadline: latency_median, latency_p99 and latency_worst.
//                       That is the interrupt itself, from the deadline to the trap, and the kernel's way to the
//                       handler.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kMostSamples = 100000 };

static timer_t timer;
static int64_t deadline;
static int64_t late[kMostSamples];  // ns
static volatile sig_atomic_t taken;
static volatile uint64_t computed;  // so that compilers leave the loop

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void arm(void) {
  static uint32_t seed = 1;
  seed = seed * 1664525 + 1013904223;
  deadline = now() + 1000000 + seed % 2000000;
  const struct itimerspec when = {
      .it_value = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000},
  };
  if (timer_settime(timer, TIMER_ABSTIME, &when, NULL) != 0) abort();
}

static void expired(int signal) {
  (void)signal;
  late[taken] = now() - deadline;
  taken++;
  arm();
}

static int order(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  const int samples = argc > 1 ? atoi(argv[1]) : 1000;
  if (samples < 1 || samples >= kMostSamples) {
    fprintf(stderr, "latency: 1 to %d samples\n", kMostSamples - 1);
    return 1;
  }
  const struct sigaction action = {.sa_handler = expired};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  if (sigaction(SIGALRM, &action, NULL) != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
    perror("latency");
    return 1;
  }
  uint64_t value = 1;
  arm();
  while (taken < samples) {
    for (int i = 0; i < 1000; i++) value = value * UINT64_C(6364136223846793005) + (value >> 33 & 1);
  }
  computed = value;
  timer_delete(timer);
  qsort(late, (size_t)samples, sizeof late[0], order);
  const struct {
    const char* name;
    int at;
  } shown[] = {{"median", samples / 2}, {"p99", (int)(samples * INT64_C(99) / 100)}, {"worst", samples - 1}};
  for (unsigned i = 0; i < sizeof shown / sizeof shown[0]; i++)
    printf("bench latency_%s %lld %016llx\n", shown[i].name, (long long)(late[shown[i].at] / 1000),
           (unsigned long long)samples);
  return 0;
}
