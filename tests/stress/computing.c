// SPDX-License-Identifier: Apache-2.0
// Plain computing on all harts, integers and floating point, with more threads than harts; and the program that loads
// libraries.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stress.h"

// ---- kernels ----

static void* run_kernels(void* unused) {
  (void)unused;
  pin(1);
  for (unsigned i = 5; !time_is_over(); i++) check_kernel(i % kernel_count, "second thread");
  return NULL;
}

void test_kernels(void) {
  unsigned long thread;
  pin(0);
  start_thread(&thread, run_kernels, NULL);
  for (unsigned i = 0; more(); i++) {
    stage("kernels, kernel", i % kernel_count, 0);
    check_kernel(i % kernel_count, "first thread");
  }
  join_thread(thread);
}

// ---- float ----

static void compute_series(unsigned number, unsigned round) {
  unsigned index = (round + number) % series_count, mode = (round / series_count + number) % kRoundingModes;
  check_series(index, mode, number == 0 ? "first thread" : "another thread");
  sched_yield();
  check_registers(mixed(round * 5 + number), 5000, "between series");
}

static void* run_series(void* argument) {
  unsigned number = (unsigned)(uintptr_t)argument;
  if (number != 3) pin(number);
  for (unsigned round = 0; !time_is_over(); round++) compute_series(number, round);
  return NULL;
}

void test_float(void) {
  enum { kOthers = 4 };
  unsigned long threads[kOthers];
  for (unsigned i = 0; i < kOthers; i++) start_thread(&threads[i], run_series, (void*)(uintptr_t)(i + 1));
  pin(0);
  for (unsigned round = 0; more(); round++) {
    stage("float, round", round, 0);
    compute_series(0, round);
  }
  for (unsigned i = 0; i < kOthers; i++) join_thread(threads[i]);
}

// ---- flags ----

enum { kInexact = 1, kUnderflow = 2, kOverflow = 4, kDivideByZero = 8, kInvalid = 16 };

static unsigned read_flags(void) {
  unsigned long flags;
  __asm__ volatile("frflags %0" : "=r"(flags)::"memory");
  return (unsigned)flags;
}

static void write_flags(unsigned flags) { __asm__ volatile("fsflags %0" ::"r"((unsigned long)flags) : "memory"); }

enum { kDivide, kMultiply, kConvert, kCompare };

// Some write no floating-point register, so that the flags are all that they change.
static void operate(unsigned operation, double a, double b) {
  long result;
  switch (operation) {
    case kDivide: __asm__ volatile("fdiv.d %0, %0, %1" : "+f"(a) : "f"(b)); break;
    case kMultiply: __asm__ volatile("fmul.d %0, %0, %1" : "+f"(a) : "f"(b)); break;
    case kConvert: __asm__ volatile("fcvt.l.d %0, %1, rtz" : "=r"(result) : "f"(a)); break;
    default: __asm__ volatile("flt.d %0, %1, %2" : "=r"(result) : "f"(a), "f"(b)); break;
  }
}

static void spin(unsigned times) {
  for (unsigned i = 0; i < times; i++) __asm__ volatile("");
}

// Each step raises its flags, gives the hart away, and finds these flags and no other's.
static void use_flags(unsigned number, unsigned round) {
  static const struct {
    unsigned operation;
    double a, b;
    unsigned flags;
  } kSteps[] = {
      {kDivide, 1, 3, kInexact},
      {kConvert, 2.5, 0, kInexact},
      {kDivide, 1, 0, kDivideByZero},
      {kCompare, __builtin_nan(""), 0, kInvalid},
      {kDivide, 0, 0, kInvalid},
      {kMultiply, 1e300, 1e300, kOverflow | kInexact},
      {kMultiply, 1e-300, 1.1e-300, kUnderflow | kInexact},
      {kConvert, 1e300, 0, kInvalid},
      {kMultiply, 3, 4, 0},
  };
  enum { kStepCount = sizeof kSteps / sizeof kSteps[0] };
  unsigned step = (round + number) % kStepCount, before = round * 7 % 32 & ~kSteps[step].flags;
  // Every third thread only ever does what raises nothing.
  if (number % 3 == 2) {
    step = kStepCount - 1;
    before = 0;
  }
  double a = kSteps[step].a, b = kSteps[step].b;
  __asm__ volatile("" : "+f"(a), "+f"(b));  // loaded now, not in the loop
  write_flags(before);
  sched_yield();  // from here on the kernel has these flags, and has to see that they change
  for (unsigned i = 0; i < 200; i++) {
    operate(kSteps[step].operation, a, b);
    if (i % 50 == number) sched_yield();
    spin(100);
    unsigned expected = before | kSteps[step].flags, found = read_flags();
    EXPECT(found == expected, "flags are %#x, not %#x, in thread %u at step %u", found, expected, number, step);
  }
  write_flags(0);
}

static void* run_flags(void* argument) {
  unsigned number = (unsigned)(uintptr_t)argument;
  if (number < 4) pin(number);
  for (unsigned round = 0; !time_is_over(); round++) use_flags(number, round);
  return NULL;
}

void test_flags(void) {
  enum { kOthers = 5 };
  unsigned long threads[kOthers];
  for (unsigned i = 0; i < kOthers; i++) start_thread(&threads[i], run_flags, (void*)(uintptr_t)(i + 1));
  pin(0);
  for (unsigned round = 0; more(); round++) {
    stage("flags, round", round, 0);
    use_flags(0, round);
  }
  for (unsigned i = 0; i < kOthers; i++) join_thread(threads[i]);
}

// ---- dlopen ----

// dynamic.c does it, in a process of its own for each round: it lies elsewhere in memory each time.
void test_dlopen(void) {
  extern char** environ;
  char program[1100], seed[32], output[300];
  snprintf(program, sizeof program, "%s-dynamic", program_path);
  for (uint64_t round = random_seed; more(); round++) {
    int ends[2];
    pid_t child;
    MUST(pipe(ends) == 0, "pipe");
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)round);
    char* const arguments[] = {program, seed, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    stage("dlopen, round", round, 0);
    errno = posix_spawn(&child, program, &actions, NULL, arguments, environ);
    MUST(errno == 0, "posix_spawn of stress-dynamic");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got;
         length < sizeof output - 1 && (got = read(ends[0], output + length, sizeof output - 1 - length)) > 0;)
      length += (size_t)got;
    output[length] = 0;
    close(ends[0]);
    int code = exit_code_of(child);
    EXPECT(code == 0 && strcmp(output, "ok\n") == 0, "stress-dynamic %s exits with %d: %s", seed, code, output);
  }
}
