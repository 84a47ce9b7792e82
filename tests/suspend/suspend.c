// SPDX-License-Identifier: Apache-2.0
// A program for the guest that suspends, resumes, traces, wakes and moves processes, and checks that the kernel on this
// machine does all of that as on any other: each check depends on timer interrupts, interrupts between harts, code that
// is changed behind a hart's back, or harts that sleep, stop and start. Linux on riscv64, as root.
//
//   suspend exact NAME...   these checks, or `all`; times and shares are checked too (the machine is in virtual time)
//   suspend loose NAME...   the same; what depends on the host's load is only told
//   suspend                 prints the names
//
// Prints "ok NAME FIGURES" or "FAILED NAME WHY" for each, and at last "suspend passed N" or "suspend failed N". A check
// that does not end is killed and has failed. `all` leaves out what needs two harts where there is one, and says so.
#define _GNU_SOURCE
#include "suspend.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct Check {
  const char* name;
  void (*run)(void);
  int harts;  // that it needs
} kChecks[] = {
    {"stop", check_stop, 1},     {"alarm", check_alarm, 1},       {"ptrace", check_ptrace, 1},
    {"timers", check_timers, 1}, {"nice", check_nice, 1},         {"shares", check_shares, 1},
    {"sleep", check_sleep, 1},   {"blocking", check_blocking, 1}, {"hotplug", check_hotplug, 2},
};
enum { kCheckCount = sizeof kChecks / sizeof kChecks[0] };
// Of the guest's time; none needs 15 s where nobody else uses the host's processors.
enum { kExactPatience = 30, kLoosePatience = 120 };

struct Report {
  uint32_t claimed, written;  // the first wrong() takes the message
  char why[400];
  char figures[600];
};
static struct Report* report;
static pid_t runner;
bool exact;

// ---- what checks call ----

void wrong(const char* format, ...) {
  if (!__atomic_exchange_n(&report->claimed, 1, __ATOMIC_ACQ_REL)) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->why, sizeof report->why, format, arguments);
    va_end(arguments);
    __atomic_store_n(&report->written, 1, __ATOMIC_RELEASE);
    kill(runner, SIGUSR1);
  }
  _exit(kWrongExit);
}

void figures(const char* format, ...) {
  size_t used = strlen(report->figures);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(report->figures + used, sizeof report->figures - used, format, arguments);
  va_end(arguments);
}

const char* error_text(void) { return strerror(errno); }

// ---- running them ----

static void crashed(int signal, void* info, void* context) {
  (void)context;
  wrong("a process of it gets signal %d, address %p", signal, ((siginfo_t*)info)->si_addr);
}

static pid_t start(const struct Check* check) {
  pid_t process = fork();
  if (process < 0) exit(2);
  if (process > 0) {
    setpgid(process, process);
    return process;
  }
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGFPE};
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) handle(signals[i], crashed, 0);
  check->run();
  _exit(0);
}

// Until the check's process has ended, wrong() was called, or the patience is at its end. Returns the wait status, or
// -1. A report or an end that came before the wait is a pending signal, so none is missed.
static int wait_for(pid_t process, const sigset_t* signals) {
  uint64_t end = now_ns() + (exact ? kExactPatience : kLoosePatience) * SECONDS;
  for (;;) {
    int status;
    if (waitpid(process, &status, WNOHANG) == process) return status;
    uint64_t now = now_ns();
    if (now >= end || __atomic_load_n(&report->written, __ATOMIC_ACQUIRE)) return -1;
    struct timespec rest = timespec_of(end - now);
    sigtimedwait(signals, NULL, &rest);
  }
}

static bool run(const struct Check* check, const sigset_t* signals) {
  memset(report, 0, sizeof *report);
  pid_t process = start(check);
  int status = wait_for(process, signals);
  // This process is who gets the orphans (PR_SET_CHILD_SUBREAPER): nothing is left to disturb the next check.
  kill(-process, SIGKILL);
  while (waitpid(-process, NULL, 0) > 0 || errno == EINTR) {
  }
  if (report->written) {
    printf("FAILED %s %s\n", check->name, report->why);
  } else if (status == -1) {
    printf("FAILED %s does not end; so far: %s\n", check->name, report->figures);
  } else if (status != 0) {
    printf("FAILED %s its process ends with status %#x\n", check->name, (unsigned)status);
  } else {
    printf("ok %s %s\n", check->name, report->figures);
    return true;
  }
  return false;
}

static const struct Check* check_named(const char* name) {
  for (unsigned i = 0; i < kCheckCount; i++) {
    if (strcmp(kChecks[i].name, name) == 0) return &kChecks[i];
  }
  return NULL;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 2 && strcmp(argv[1], "traced") == 0) return run_traced();
  if (argc < 3 || (strcmp(argv[1], "exact") != 0 && strcmp(argv[1], "loose") != 0)) {
    for (unsigned i = 0; i < kCheckCount; i++) printf("%s\n", kChecks[i].name);
    return argc < 2 ? 0 : 2;
  }
  exact = strcmp(argv[1], "exact") == 0;
  runner = getpid();
  report = shared(sizeof *report);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, NULL);

  const struct Check* chosen[kCheckCount * 4];
  unsigned count = 0;
  if (argc == 3 && strcmp(argv[2], "all") == 0) {
    for (unsigned i = 0; i < kCheckCount; i++) {
      if (kChecks[i].harts <= online_harts()) {
        chosen[count++] = &kChecks[i];
      } else {
        printf("left out %s: it needs %d harts\n", kChecks[i].name, kChecks[i].harts);
      }
    }
  } else {
    for (int i = 2; i < argc && count < sizeof chosen / sizeof chosen[0]; i++) {
      chosen[count] = check_named(argv[i]);
      if (chosen[count] == NULL) {
        printf("there is no check %s\n", argv[i]);
        return 2;
      }
      count++;
    }
  }
  unsigned failed = 0;
  for (unsigned i = 0; i < count; i++) failed += !run(chosen[i], &signals);
  if (failed > 0) {
    printf("suspend failed %u\n", failed);
  } else {
    printf("suspend passed %u\n", count);
  }
  return failed > 0;
}
