// SPDX-License-Identifier: Apache-2.0
// stress-dynamic SEED: loads and unloads libraries in turns, one often where another was, and calls their functions. A
// second thread runs a library that stays. Prints "ok", or what was wrong. Run by `stress dlopen`.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"

enum { kTurns = 24, kLibraries = 3 };
static char folder[1024];
static volatile int ends;

static _Noreturn void wrong(const char* what, unsigned library, uint64_t found, uint64_t expected) {
  printf("WRONG: %s of library %u gives %#llx, not %#llx\n", what, library, (unsigned long long)found,
         (unsigned long long)expected);
  exit(1);
}

static void* load(unsigned library, int how) {
  char path[1100];
  snprintf(path, sizeof path, "%s/libstress%u.so", folder, library);
  void* handle = dlopen(path, how);
  if (handle == NULL) {
    printf("WRONG: dlopen: %s\n", dlerror());
    exit(1);
  }
  return handle;
}

static void* find(void* handle, const char* name) {
  void* found = dlsym(handle, name);
  if (found == NULL) {
    printf("WRONG: dlsym: %s\n", dlerror());
    exit(1);
  }
  return found;
}

static void use(void* handle, unsigned library, uint64_t seed, int fresh) {
  uint64_t (*compute)(uint64_t, unsigned) = (uint64_t(*)(uint64_t, unsigned))find(handle, "compute");
  unsigned (*count)(void) = (unsigned (*)(void))find(handle, "count");
  uint64_t (*indirect)(unsigned) = (uint64_t(*)(unsigned))find(handle, "indirect");
  long (*sorted)(unsigned) = (long (*)(unsigned))find(handle, "sorted");
  for (unsigned i = 0; i < 6; i++) {
    unsigned times = i == 0 ? 3000 : 10 + i;
    uint64_t found = compute(seed + i, times), expected = library_compute(library, seed + i, times);
    if (found != expected) wrong("compute", library, found, expected);
    found = indirect(i);
    if (found != library * 1000 + i % 4) wrong("indirect", library, found, library * 1000 + i % 4);
  }
  if (fresh) {
    for (unsigned i = 1; i < 4; i++) {
      unsigned found = count();
      if (found != i + library * 10) wrong("count", library, found, i + library * 10);  // its constructor starts it
    }
  }
  long found = sorted(50 + library);
  if (found != 50 + (long)library) wrong("sorted", library, (uint64_t)found, 50 + library);
}

static void* run_other(void* unused) {
  (void)unused;
  void* handle = load(0, RTLD_NOW);
  for (uint64_t seed = 1; !ends; seed++) {
    use(handle, 0, seed, 0);
    sched_yield();
  }
  dlclose(handle);
  return NULL;
}

int main(int argc, char** argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  strncpy(folder, argv[0], sizeof folder - 1);
  char* slash = strrchr(folder, '/');
  if (slash == NULL) return 2;
  *slash = 0;
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_other, NULL) != 0) return 2;
  for (unsigned turn = 0; turn < kTurns; turn++) {
    unsigned library = 1 + (unsigned)((seed + turn) % (kLibraries - 1));
    void* handle = load(library, turn & 1 ? RTLD_NOW : RTLD_LAZY);
    use(handle, library, seed * 100 + turn, 1);
    if (dlclose(handle) != 0) return 3;
  }
  ends = 1;
  pthread_join(thread, NULL);
  puts("ok");
  return 0;
}
