// SPDX-License-Identifier: Apache-2.0
// Clocks, files of /proc, shared memory, and workers, for all checks.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

uint64_t ns_of(struct timespec time) { return (uint64_t)time.tv_sec * SECONDS + (uint64_t)time.tv_nsec; }

struct timespec timespec_of(uint64_t ns) {
  return (struct timespec){.tv_sec = (time_t)(ns / SECONDS), .tv_nsec = (long)(ns % SECONDS)};
}

uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  MUST(clock_gettime(clock, &now) == 0, "clock_gettime");
  return ns_of(now);
}

uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

void sleep_until(uint64_t then) {
  struct timespec end = timespec_of(then);
  int error;
  while ((error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL)) == EINTR) {
  }
  EXPECT(error == 0, "clock_nanosleep fails: %s", strerror(error));
}

void sleep_ns(uint64_t ns) { sleep_until(now_ns() + ns); }

uint64_t process_ns(pid_t process) {
  clockid_t clock;
  errno = clock_getcpuclockid(process, &clock);
  MUST(errno == 0, "clock_getcpuclockid");
  return clock_ns(clock);
}

void* shared(size_t size) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  MUST(memory != MAP_FAILED, "mmap");
  return memory;
}

bool pin(int hart) {
  cpu_set_t harts;
  CPU_ZERO(&harts);
  CPU_SET((unsigned)hart, &harts);
  return sched_setaffinity(0, sizeof harts, &harts) == 0;
}

int online_harts(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }

void handle(int signal, void (*handler)(int, void*, void*), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = (void (*)(int, siginfo_t*, void*))handler;
  action.sa_flags = SA_SIGINFO | flags;
  MUST(sigaction(signal, &action, NULL) == 0, "sigaction");
}

void read_text(const char* path, char* to, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  MUST(file >= 0, path);
  size_t used = 0;
  ssize_t got;
  while (used + 1 < size && (got = read(file, to + used, size - 1 - used)) > 0) used += (size_t)got;
  close(file);
  to[used] = 0;
}

bool write_text(const char* path, const char* text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t done = write(file, text, strlen(text));
  int error = errno;
  close(file);
  errno = error;
  return done == (ssize_t)strlen(text);
}

char state_of(pid_t process) {
  char path[64], text[400];
  snprintf(path, sizeof path, "/proc/%d/stat", process);
  read_text(path, text, sizeof text);
  const char* end = strrchr(text, ')');
  EXPECT(end != NULL && strlen(end) > 2, "%s has: %s", path, text);
  return end[2];
}

int wait_status(pid_t process, int options) {
  int status;
  pid_t found;
  while ((found = waitpid(process, &status, options | __WALL)) == -1 && errno == EINTR) {
  }
  MUST(found == process, "waitpid");
  return status;
}

void kill_child(pid_t process) {
  kill(process, SIGKILL);
  int status = wait_status(process, 0);
  EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a killed child ends with status %#x", (unsigned)status);
}

int compare_u64(const void* a, const void* b) {
  uint64_t first = *(const uint64_t*)a, second = *(const uint64_t*)b;
  return (first > second) - (first < second);
}

// ---- workers ----

static inline uint64_t next_integer(uint64_t x) {
  x = (x ^ x >> 29) * 0x9e3779b97f4a7c15u + 1;
  return x ^ x << 17;
}

static inline double next_real(double y) { return y * 0.75 + 0.3125; }

static inline void step(uint64_t count, uint64_t* integer, double* real) {
  *integer = next_integer(*integer);
  *real = count % 64 == 0 ? 100 + (double)count : next_real(*real);
}

void work_on(struct Work* work) {
  uint64_t integer = 0;
  double real = 100;
  for (uint64_t count = 1;; count++) {
    step(count, &integer, &real);
    work->integer = integer;
    work->real = real;
    work->count = count;
  }
}

void check_work(const struct Work* work, const char* where) {
  uint64_t count = work->count, integer = 0;
  double real = 100;
  for (uint64_t i = 1; i <= count; i++) step(i, &integer, &real);
  uint64_t next_integer = integer;
  double next_real = real;
  step(count + 1, &next_integer, &next_real);
  // It can have stopped between two of its stores.
  bool fine = work->integer == integer
                  ? work->real == real
                  : work->integer == next_integer && (work->real == real || work->real == next_real);
  EXPECT(fine, "%s: after %llu steps a worker has %#llx and %.17g, not %#llx and %.17g", where,
         (unsigned long long)count, (unsigned long long)work->integer, work->real, (unsigned long long)integer, real);
}

pid_t start_worker(struct Work* work, int hart, int nice_value) {
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (hart >= 0) MUST(pin(hart), "sched_setaffinity");
  if (nice_value != 0) MUST(setpriority(PRIO_PROCESS, 0, nice_value) == 0, "setpriority");
  work_on(work);
}

void wait_for_work(const struct Work* work, unsigned count) {
  enum { kMost = 16, kSteps = 1000 };  // more than a worker has begun before it is stopped
  uint64_t enough[kMost];
  EXPECT(count <= kMost, "wait_for_work() of %u", count);
  for (unsigned i = 0; i < count; i++) enough[i] = work[i].count + kSteps;
  for (unsigned i = 0; i < count; i++) {
    while (work[i].count < enough[i]) sleep_ns(500 * MICROSECONDS);
  }
}
