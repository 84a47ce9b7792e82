// SPDX-License-Identifier: Apache-2.0
// Runs a kernel on two processors: the first two that this process may use. Linux only.
//
//   harts scale NAME [MILLISECONDS]   one process on each of them by itself, then both at once: prints what a hundred
//                                     rounds take as NAME_alone0, NAME_alone1, NAME_both0 and NAME_both1; on average,
//                                     so that time which others take counts alike for short and for long rounds
//   harts move NAME [MILLISECONDS]    on the first until it is hot there, then on the second: prints what the very
//   first
//                                     round took there, the first five, and rounds at last, as NAME_first, NAME_early
//                                     and NAME_there, and NAME_hot, what they took on the first; all times a hundred
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rounds.h"

static struct Rounds rounds;
static int processors[2];

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void find_processors(void) {
  cpu_set_t allowed;
  int found = 0;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) fail("sched_getaffinity");
  for (int i = 0; i < CPU_SETSIZE && found < 2; i++) {
    if (CPU_ISSET(i, &allowed)) processors[found++] = i;
  }
  if (found == 2) return;
  fprintf(stderr, "this needs two processors\n");
  exit(1);
}

/** Returns when this process runs there. */
static void move_to(int place) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processors[place], &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

struct Report {
  double nanoseconds;
  uint64_t result;
};

/** Starts processes on `places` (a bit for each) together, and prints a line for each. */
static void run_on(const struct Kernel* kernel, unsigned places, uint32_t milliseconds, const char* what) {
  int begin[2], reports[2][2];
  if (pipe(begin) != 0) fail("pipe");
  fflush(stdout);
  for (int place = 0; place < 2; place++) {
    if (!(places >> place & 1)) continue;
    if (pipe(reports[place]) != 0) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child > 0) continue;
    char end;
    move_to(place);
    run_rounds(kernel, 0, &rounds);  // memory that was shared before the fork becomes its own
    rounds.count = 0;
    close(begin[1]);
    if (write(reports[place][1], "", 1) != 1) fail("write");
    if (read(begin[0], &end, 1) != 0) fail("read");  // until the parent closes its end
    run_rounds(kernel, milliseconds, &rounds);
    struct Report report = {mean_round(&rounds), whole_result(&rounds)};
    if (write(reports[place][1], &report, sizeof report) != sizeof report) fail("write");
    _exit(0);
  }
  close(begin[0]);
  for (int place = 0; place < 2; place++) {
    char ready;
    if (!(places >> place & 1)) continue;
    close(reports[place][1]);
    if (read(reports[place][0], &ready, 1) != 1) fail("a process ended early");
  }
  close(begin[1]);
  for (int place = 0; place < 2; place++) {
    if (!(places >> place & 1)) continue;
    struct Report report;
    char name[16];
    if (read(reports[place][0], &report, sizeof report) != sizeof report) fail("a process ended early");
    close(reports[place][0]);
    snprintf(name, sizeof name, "%s%d", what, place);
    print_rounds(kernel->name, name, report.nanoseconds, report.result);
  }
  while (wait(NULL) > 0) {
  }
}

static void run_move(const struct Kernel* kernel, uint32_t milliseconds) {
  enum { kEarly = 5 };
  move_to(0);
  run_rounds(kernel, milliseconds, &rounds);
  const double hot = steady_round(&rounds);
  rounds.count = 0;
  move_to(1);
  run_rounds(kernel, milliseconds / 2, &rounds);
  double early = 0;
  for (int i = 0; i < kEarly; i++) early += rounds.nanoseconds[i];
  print_rounds(kernel->name, "hot", hot, whole_result(&rounds));
  print_rounds(kernel->name, "first", rounds.nanoseconds[0], whole_result(&rounds));
  print_rounds(kernel->name, "early", early / kEarly, whole_result(&rounds));
  print_rounds(kernel->name, "there", steady_round(&rounds), whole_result(&rounds));
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: harts scale|move NAME [MILLISECONDS]\n");
    return 1;
  }
  const uint32_t milliseconds = argc > 3 ? (uint32_t)atoi(argv[3]) : 1600;
  find_processors();
  if (strcmp(argv[1], "move") == 0) {
    move_to(0);
    run_move(ready_kernel(argv[2]), milliseconds);
    return 0;
  }
  const struct Kernel* kernel = ready_kernel(argv[2]);
  run_on(kernel, 1, milliseconds, "alone");
  run_on(kernel, 2, milliseconds, "alone");
  run_on(kernel, 3, milliseconds, "both");
  return 0;
}
