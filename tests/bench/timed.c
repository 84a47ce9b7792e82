// SPDX-License-Identifier: Apache-2.0
// Times a program of the guest's. Linux only.
//
//   timed NAME COMMAND [ARGUMENT...]
//
// It prints "bench NAME MICROSECONDS RESULT" like bench.c. RESULT is a hash of what the command writes to its standard
// output, which is read through a pipe. If the command fails or writes nothing, this fails and prints nothing.
//
// The hash is FNV-1a with 64 bits, of words of eight bytes instead of bytes, since with large outputs it is a part of
// what is timed; the upper half of each step is folded into the lower one, which a multiplication alone never does.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t hash_word(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}

static int fail(const char* what) {
  perror(what);
  return 1;
}

int main(int argc, char** argv) {
  static uint64_t buffer[1 << 13];
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
  // The bytes of a word that has not come whole yet are kept at the buffer's start.
  unsigned char* const bytes = (unsigned char*)buffer;
  uint64_t hash = UINT64_C(0xcbf29ce484222325), total = 0;
  size_t kept = 0;
  for (ssize_t got; (got = read(channel[0], bytes + kept, sizeof buffer - kept)) != 0;) {
    if (got < 0) return fail("read");
    total += (uint64_t)got;
    const size_t there = kept + (size_t)got, words = there / 8;
    for (size_t i = 0; i < words; i++) hash = hash_word(hash, buffer[i]);
    kept = there % 8;
    memmove(bytes, bytes + words * 8, kept);
  }
  memset(bytes + kept, 0, 8 - kept);
  hash = hash_word(hash_word(hash, buffer[0]), total);
  if (waitpid(child, &status, 0) != child) return fail("waitpid");
  clock_gettime(CLOCK_MONOTONIC, &end);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "timed: %s: failed with status %#x\n", argv[1], (unsigned)status);
    return 1;
  }
  if (total == 0) {
    fprintf(stderr, "timed: %s: wrote nothing\n", argv[1]);
    return 1;
  }
  const int64_t microseconds = (end.tv_sec - start.tv_sec) * INT64_C(1000000) + (end.tv_nsec - start.tv_nsec) / 1000;
  printf("bench %s %" PRId64 " %016" PRIx64 "\n", argv[1], microseconds, hash);
  return 0;
}
