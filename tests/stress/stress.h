// SPDX-License-Identifier: Apache-2.0
// What the sub-tests of the guest's stress program share. A sub-test is a function that runs in a process of its own,
// in a loop `while (more())`, and compares everything it computes with what must come out. wrong() ends it at the first
// difference, from any thread or forked child: the report lies in memory that all of them share.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { kPage = 4096, kWrongExit = 99 };

// ---- main.c ----

struct Report {
  uint32_t claimed, written;  // the first wrong() takes the message
  uint64_t rounds;
  const char* stage;  // a literal, for whoever ends here without saying more
  uint64_t stage_numbers[2];
  char message[400];
};
extern struct Report* report;
extern uint64_t random_seed;
extern const char* program_path;

// Counts the round before it; false when the sub-test's time is over. The first call is true.
bool more(void);
// Whether the time is over, from any thread.
bool time_is_over(void);
// Remembers where the sub-test is. Cheap.
void stage(const char* literal, uint64_t first, uint64_t second);
__attribute__((noreturn, format(printf, 1, 2))) void wrong(const char* format, ...);
#define EXPECT(condition, ...)            \
  do {                                    \
    if (!(condition)) wrong(__VA_ARGS__); \
  } while (0)
// For calls that must not fail: wrong() with errno's text.
#define MUST(condition, what)                                    \
  do {                                                           \
    if (!(condition)) wrong("%s fails: %s", what, error_text()); \
  } while (0)
const char* error_text(void);

uint64_t next_random(uint64_t* state);
uint64_t mixed(uint64_t x);
uint64_t now_microseconds(void);
// Runs the calling thread on one of the online harts only: `number` modulo how many there are.
void pin(unsigned number);
unsigned online_harts(void);
// waitpid until `child` ends; its exit code, or wrong() if a signal has ended it.
int exit_code_of(pid_t child);
typedef void* (*ThreadBody)(void*);
// pthread_create and pthread_join, checked.
void start_thread(unsigned long* thread, ThreadBody body, void* argument);
void join_thread(unsigned long thread);
// A handler with siginfo and context; `flags` besides SA_SIGINFO.
void handle(int signal, void (*handler)(int, void*, void*), int flags);

// ---- generated code (generated.c) ----

// `code(n)` computes n times the version, one addition for each, n > 0.
typedef uint64_t (*Code)(uint64_t n);
enum { kCodeBytes = 32, kVersions = 1 << 30 };
// Writes such a function at `to`. What comes before execution (flush, fence) is the caller's.
void write_version(void* to, uint32_t version);
// Calls it and returns the version; wrong() if the result is no multiple of n.
uint32_t version_of(Code code, uint64_t n);
// riscv_flush_icache for all threads of this process; a user-mode emulator without it gets a FENCE.I.
void flush_code(void* from, void* to);
// A memfd of `pages` pages; page i begins with version first + i.
int versions_file(const char* name, uint32_t first, unsigned pages);
// Where sub-tests map code: far from all else, the same in each process.
#define CODE_AREA ((uint8_t*)0x2000000000)
void* map_at(void* address, size_t size, int protection, int flags, int file, uint64_t offset);

// ---- kernels.c, series.c ----

struct Kernel {
  const char* name;
  uint64_t (*run)(void);
  uint64_t expected;  // computed by the same source on another machine
};
extern const struct Kernel kernels[];
extern const unsigned kernel_count;
// Runs one kernel and checks it; `where` is for the message.
void check_kernel(unsigned index, const char* where);
uint64_t digest(uint64_t value, unsigned rounds);

enum { kRoundingModes = 4 };
struct Series {
  const char* name;
  uint64_t (*run)(void);
  uint64_t expected[kRoundingModes];  // nearest, to zero, down, up
};
extern const struct Series series[];
extern const unsigned series_count;
void set_rounding(unsigned mode);
// Runs one series in a rounding mode and checks it.
void check_series(unsigned index, unsigned mode, const char* where);

// ---- registers.c ----

// Fills the integer and floating-point registers and fcsr with values made of `pattern`, counts to `spins` without a
// call, and checks all of them.
void check_registers(uint64_t pattern, uint64_t spins, const char* where);

// ---- the sub-tests ----

void test_exec(void);
void test_fork(void);
void test_remap(void);
void test_protect(void);
void test_timer(void);
void test_longjmp(void);
void test_ucontext(void);
void test_mutex(void);
void test_atomic(void);
void test_deep(void);
void test_patch(void);
void test_caller(void);
void test_alias(void);
void test_filecode(void);
void test_dlopen(void);
void test_float(void);
void test_flags(void);
void test_kernels(void);
void test_faults(void);
void test_pipe(void);
void test_files(void);

// What `stress child KIND VALUE` does (processes.c).
int run_child(unsigned kind, uint64_t value);
