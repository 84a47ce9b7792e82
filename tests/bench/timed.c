// SPDX-License-Identifier: Apache-2.0
// Times a program of the guest's. Linux only.
//
//   timed NAME COMMAND [ARGUMENT...]   prints "bench NAME MICROSECONDS RESULT" like bench.c; RESULT is a hash (FNV-1a,
//   64
//                                      bits) of what the command writes to its standard output, which is read through a
//                                      pipe. If the command fails, so does this, and prints nothing.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fail(const char* what) {
  perror(what);
  return 1;
}

int main(int argc, char** argv) {
  static unsigned char buffer[1 << 16];
  int channel[2], status;
  if (argc < 3) {
    fprintf(stderr, "usage: timed NAME COMMAND [ARGUMENT...]\n");
    return 1;
  }
  if (pipe(channel) != 0) return fail("pipe");
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  const pid_t child = fork();
  if (child < 0) return fail("fork");
  if (child == 0) {
    dup2(channel[1], 1);
    close(channel[0]);
    close(channel[1]);
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  close(channel[1]);
  // The hash of large outputs would be a part of what is timed: it takes every eighth byte and all lengths.
  uint64_t hash = UINT64_C(0xcbf29ce484222325), total = 0;
  for (ssize_t got; (got = read(channel[0], buffer, sizeof buffer)) != 0;) {
    if (got < 0) return fail("read");
    for (ssize_t i = (ssize_t)(-total & 7); i < got; i += 8) hash = (hash ^ buffer[i]) * UINT64_C(0x100000001b3);
    total += (uint64_t)got;
  }
  hash = (hash ^ total) * UINT64_C(0x100000001b3);
  if (waitpid(child, &status, 0) != child) return fail("waitpid");
  clock_gettime(CLOCK_MONOTONIC, &end);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "timed: %s: failed with status %#x\n", argv[1], (unsigned)status);
    return 1;
  }
  const int64_t microseconds = (end.tv_sec - start.tv_sec) * INT64_C(1000000) + (end.tv_nsec - start.tv_nsec) / 1000;
  printf("bench %s %" PRId64 " %016" PRIx64 "\n", argv[1], microseconds, hash);
  return 0;
}
