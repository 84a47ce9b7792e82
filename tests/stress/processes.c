// SPDX-License-Identifier: Apache-2.0
// fork and exec. All processes have their code at the same addresses, so what one of them left behind in a translation
// buffer or a cache of code would show in another.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

// ---- exec ----

enum { kChildKinds = 4, kTogether = 4 };

static uint64_t child_value(unsigned kind, uint64_t value) {
  switch (kind) {
    case 0: return digest(value, 4000);
    case 1: {
      double x = 0.5, sum = 0;
      for (unsigned i = 0; i < 2000; i++) {
        x = 3.8 * x * (1 - x);
        sum += x * (double)(value & 0xff);
      }
      uint64_t bits;
      memcpy(&bits, &sum, sizeof bits);
      return bits;
    }
    case 2: return digest(value + 1, 4000) + 1;  // its own child's, plus one
    default: return (value & 0xffffff) * 3000;
  }
}

int run_child(unsigned kind, uint64_t value) {
  static struct Report own;
  report = &own;
  uint64_t result;
  if (kind == 2) {
    char text[32];
    int ends[2];
    if (pipe(ends) != 0) return 1;
    pid_t child = fork();
    if (child == 0) {
      snprintf(text, sizeof text, "%llu", (unsigned long long)value + 1);
      dup2(ends[1], 1);
      execl("/proc/self/exe", "stress", "child", "0", text, (char*)NULL);
      _exit(127);
    }
    if (child < 0 || read(ends[0], &result, sizeof result) != sizeof result ||
        exit_code_of(child) != (int)(result & 63))
      return 1;
    result++;
  } else if (kind == 3) {
    uint8_t* code = map_at(CODE_AREA, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    write_version(code, (uint32_t)(value & 0xffffff));
    flush_code(code, code + kCodeBytes);
    result = ((Code)(void*)code)(3000);
  } else {
    result = child_value(kind, value);
  }
  if (write(1, &result, sizeof result) != sizeof result) return 1;
  return (int)(result & 63);
}

static pid_t start_child(unsigned how, unsigned kind, uint64_t value, int output) {
  extern char** environ;
  char kind_text[16], value_text[32];
  snprintf(kind_text, sizeof kind_text, "%u", kind);
  snprintf(value_text, sizeof value_text, "%llu", (unsigned long long)value);
  char* const arguments[] = {"stress", "child", kind_text, value_text, NULL};
  pid_t child;
  if (how == 0) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    errno = posix_spawn(&child, program_path, &actions, NULL, arguments, environ);
    MUST(errno == 0, "posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    return child;
  }
  child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    if (dup2(output, 1) == 1) execv(program_path, arguments);
    _exit(127);
  }
  return child;
}

void test_exec(void) {
  uint64_t random = random_seed;
  while (more()) {
    pid_t children[kTogether];
    unsigned kinds[kTogether];
    uint64_t values[kTogether];
    int outputs[kTogether];
    for (unsigned i = 0; i < kTogether; i++) {
      int ends[2];
      MUST(pipe2(ends, O_CLOEXEC) == 0, "pipe");
      kinds[i] = (unsigned)(next_random(&random) % kChildKinds);
      values[i] = next_random(&random) >> 20 | 1;
      children[i] = start_child((unsigned)(random >> 50) % 3, kinds[i], values[i], ends[1]);
      close(ends[1]);
      outputs[i] = ends[0];
    }
    for (unsigned i = 0; i < kTogether; i++) {
      uint64_t result = 0, expected = child_value(kinds[i], values[i]);
      stage("exec, waiting for a child of kind and value", kinds[i], values[i]);
      ssize_t got = read(outputs[i], &result, sizeof result);
      close(outputs[i]);
      int code = exit_code_of(children[i]);
      EXPECT(got == sizeof result, "child of kind %u, value %llu wrote %zd bytes, exit code %d", kinds[i],
             (unsigned long long)values[i], got, code);
      EXPECT(result == expected, "child of kind %u, value %llu computes %#llx, not %#llx", kinds[i],
             (unsigned long long)values[i], (unsigned long long)result, (unsigned long long)expected);
      EXPECT(code == (int)(expected & 63), "child of kind %u: exit code %d, not %d", kinds[i], code,
             (int)(expected & 63));
    }
  }
}

// ---- fork ----

// The stub makes a system call in the last instruction of a page. What it returns to is the first instruction of the
// next page, which says its version and which the call itself may have exchanged.
enum { kSlots = 32, kFirstVersion = 100, kSpins = 60 };
struct Answer {
  long result;
  uint64_t product;
};
typedef struct Answer (*Stub)(long, long, long, long, long, long, long number);

static uint8_t* const kNextPage = CODE_AREA + kPage;

static void write_continuation(uint8_t* to, uint32_t version) {
  const uint32_t words[] = {
      0x000002b7 | ((version + 0x800) & 0xfffff000),  // lui t0, upper bits
      0x0002829b | version << 20,                     // addiw t0, t0, lower bits
      0x00000313 | kSpins << 20,                      // li t1, kSpins
      0x00000593,                                     // li a1, 0
      0x005585b3,                                     // loop: add a1, a1, t0
      0xfff30313,                                     // addi t1, t1, -1
      0xfe031ce3,                                     // bnez t1, loop
      0x00008067,                                     // ret
  };
  memcpy(to, words, sizeof words);
}

static long call_stub(const char* who, uint32_t version, long number, long a, long b, long c, long d, long e, long f) {
  Stub stub = (Stub)(void*)(kNextPage - 8);
  struct Answer answer = stub(a, b, c, d, e, f, number);
  EXPECT(answer.product == (uint64_t)version * kSpins,
         "%s: after system call %ld (which returned %ld), version %llu/%u runs instead of %u", who, number,
         answer.result, (unsigned long long)answer.product, kSpins, version);
  return answer.result;
}

// Goes on from the stub in its own way, chosen by `random`. `version` is what the next page has now.
static void diverge(const char* who, int file, uint32_t version, uint64_t random, unsigned steps) {
  const int rx = PROT_READ | PROT_EXEC;
  for (unsigned i = 0; i < steps; i++) {
    unsigned slot = (unsigned)(next_random(&random) >> 30) % kSlots;
    stage("fork, diverging with version, step", version, i);
    switch (random >> 20 & 3) {
      case 0:
      case 1: {
        long flags = MAP_FIXED | (random >> 23 & 1 ? MAP_PRIVATE : MAP_SHARED);
        version = kFirstVersion + slot;
        long mapped = call_stub(who, version, SYS_mmap, (long)kNextPage, kPage, rx, flags, file, (long)slot * kPage);
        EXPECT(mapped == (long)kNextPage, "%s: mmap through the stub returns %ld", who, mapped);
        break;
      }
      case 2: {
        map_at(kNextPage, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        version = (uint32_t)(random >> 40);
        write_continuation(kNextPage, version);
        flush_code(kNextPage, kNextPage + kCodeBytes);
        long done = call_stub(who, version, SYS_mprotect, (long)kNextPage, kPage, rx, 0, 0, 0);
        EXPECT(done == 0, "%s: mprotect through the stub returns %ld", who, done);
        break;
      }
      default:
        for (unsigned j = 0; j < 100; j++) call_stub(who, version, SYS_getppid, 0, 0, 0, 0, 0, 0);
        break;
    }
  }
}

void test_fork(void) {
  enum { kCells = 6 * 512 };
  static uint64_t cells[kCells];
  uint64_t random = random_seed * 3 + 1;
  int file = memfd_create("continuations", MFD_CLOEXEC);
  MUST(file >= 0 && ftruncate(file, kSlots * kPage) == 0, "memfd_create");
  for (unsigned i = 0; i < kSlots; i++) {
    uint8_t code[kCodeBytes];
    write_continuation(code, kFirstVersion + i);
    MUST(pwrite(file, code, sizeof code, i * kPage) == sizeof code, "pwrite");
  }
  uint8_t* page = map_at(CODE_AREA, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const uint32_t stub[] = {0x00080893 /* mv a7, a6 */, 0x00000073 /* ecall */};
  memcpy(page + kPage - sizeof stub, stub, sizeof stub);
  flush_code(page, page + kPage);
  while (more()) {
    unsigned slot = (unsigned)(next_random(&random) >> 9) % kSlots;
    uint32_t version = kFirstVersion + slot;
    map_at(kNextPage, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, slot * kPage);
    for (unsigned i = 0; i < kCells; i++) cells[i] = mixed(random + i);
    pid_t children[3];
    for (unsigned i = 0; i < 3; i++) {
      children[i] = (pid_t)call_stub("both", version, SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
      MUST(children[i] >= 0, "clone");
      if (children[i] != 0) continue;
      // Its own memory, and its own code.
      for (unsigned j = 0; j < kCells; j += 1 + i) cells[j] += i + 1;
      diverge("child", file, version, random * (2 * i + 3), 12);
      for (unsigned j = 0; j < kCells; j++) {
        EXPECT(cells[j] == mixed(random + j) + (j % (1 + i) == 0 ? i + 1 : 0), "child %u: cell %u is %#llx", i, j,
               (unsigned long long)cells[j]);
      }
      _exit((int)i + 10);
    }
    diverge("parent", file, version, random, 12);
    for (unsigned j = 0; j < kCells; j++) {
      EXPECT(cells[j] == mixed(random + j), "parent: cell %u is %#llx", j, (unsigned long long)cells[j]);
    }
    for (unsigned i = 0; i < 3; i++) {
      stage("fork, waiting for a child", i, 0);
      int code = exit_code_of(children[i]);
      EXPECT(code == (int)i + 10, "child %u ended with %d", i, code);
    }
  }
}
