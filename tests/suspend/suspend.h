// SPDX-License-Identifier: Apache-2.0
// What the checks of the guest's suspend program share. A check is a function that runs in a process of its own, the
// leader of a process group, and compares what the kernel does with what it must do. wrong() ends it at the first
// difference, from any process of the group: the report lies in memory that all of them share. figures() says what a
// check that passes has measured.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { kWrongExit = 99 };
#define MICROSECONDS 1000ull
#define MILLISECONDS 1000000ull
#define SECONDS 1000000000ull

// ---- suspend.c ----

// Whether times are the machine's own work: in virtual time. In wall time whoever else uses the host's processors is
// in them, and limits of lateness and of shares are only told.
extern bool exact;

__attribute__((noreturn, format(printf, 1, 2))) void wrong(const char* format, ...);
// Adds to what the check's line says.
__attribute__((format(printf, 1, 2))) void figures(const char* format, ...);
#define EXPECT(condition, ...)            \
  do {                                    \
    if (!(condition)) wrong(__VA_ARGS__); \
  } while (0)
// Of a time that only virtual time makes certain.
#define EXPECT_TIME(condition, ...)                \
  do {                                             \
    if (exact && !(condition)) wrong(__VA_ARGS__); \
  } while (0)
// For calls that must not fail: wrong() with errno's text.
#define MUST(condition, what)                                    \
  do {                                                           \
    if (!(condition)) wrong("%s fails: %s", what, error_text()); \
  } while (0)
const char* error_text(void);

// ---- support.c ----

// Nanoseconds of a clock.
uint64_t clock_ns(clockid_t clock);
uint64_t now_ns(void);  // CLOCK_MONOTONIC
struct timespec timespec_of(uint64_t ns);
uint64_t ns_of(struct timespec time);
// Sleeps by CLOCK_MONOTONIC, through signals.
void sleep_until(uint64_t then);
void sleep_ns(uint64_t ns);
// Processor time of a process.
uint64_t process_ns(pid_t process);
// Zeroed memory that forked children share.
void* shared(size_t size);
// Runs the calling thread on this hart only; false if the kernel has no such hart online.
bool pin(int hart);
int online_harts(void);
// A handler with siginfo; `flags` besides SA_SIGINFO.
void handle(int signal, void (*handler)(int, void*, void*), int flags);
// The start of a file, zero-terminated; wrong() if it cannot be read.
void read_text(const char* path, char* to, size_t size);
// One write of the text to a file; false, with errno, if it fails.
bool write_text(const char* path, const char* text);
// The letter of a process's state in /proc: R, S, T, t, Z ...
char state_of(pid_t process);
// waitpid, through signals; wrong() if it fails.
int wait_status(pid_t process, int options);
// Ends a child with SIGKILL and waits for it.
void kill_child(pid_t process);
int compare_u64(const void* a, const void* b);

// What a worker computes without any system call: step by step. One that loses a
// register at a stop or a switch comes to other values than those of its count.
struct Work {
  volatile uint64_t count;
  volatile uint64_t integer;
  volatile double real;
};
// Goes on for ever. Some twenty instructions a step.
__attribute__((noreturn)) void work_on(struct Work* work);
// wrong() unless a stopped or ended worker's values are those of its count.
void check_work(const struct Work* work, const char* where);
// A child that works: on one hart (-1: any), with this nice value.
pid_t start_worker(struct Work* work, int hart, int nice_value);
// Waits until each of `count` workers has gone on from where it is.
void wait_for_work(const struct Work* work, unsigned count);

// ---- the checks ----

void check_stop(void);
void check_alarm(void);
void check_ptrace(void);
void check_timers(void);
void check_nice(void);
void check_shares(void);
void check_sleep(void);
void check_blocking(void);
void check_hotplug(void);

// What `suspend traced` does (trace.c).
int run_traced(void);
