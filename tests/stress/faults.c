// SPDX-License-Identifier: Apache-2.0
// Page faults in the middle of hot loops; bytes that go through pipes and files.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "stress.h"

// ---- faults ----

// A hot loop over pages that are not there yet: each iteration reads, mixes and writes.
static uint64_t fill(uint64_t* words, size_t count, size_t stride, uint64_t seed) {
  uint64_t sum = seed;
  for (size_t i = 0; i < count; i += stride) {
    sum = (sum ^ words[i]) * 0x100000001b3u + i;
    words[i] = sum;
  }
  return sum;
}

static uint64_t fill_without_memory(size_t count, size_t stride, uint64_t seed) {
  uint64_t sum = seed;
  for (size_t i = 0; i < count; i += stride) sum = sum * 0x100000001b3u + i;
  return sum;
}

// Grows the stack by a page or more with each call.
__attribute__((noinline)) static uint64_t grow(unsigned depth, uint64_t x) {
  volatile uint64_t room[600];
  for (unsigned i = 0; i < 600; i += 50) room[i] = x + i;
  uint64_t below = depth == 0 ? x : grow(depth - 1, x * 5 + depth);
  for (unsigned i = 0; i < 600; i += 50) {
    EXPECT(room[i] == x + i, "stack growth: a frame's word %u at depth %u is %#llx", i, depth,
           (unsigned long long)room[i]);
  }
  return below ^ x;
}

static void* grow_in_thread(void* argument) {
  uint64_t x = *(uint64_t*)argument, expected = 0, at = x;
  for (unsigned depth = 150; depth > 0; depth--) {
    expected ^= at;
    at = at * 5 + depth;
  }
  uint64_t found = grow(150, x);  // expected, then the innermost's own: at ^ at
  EXPECT(found == expected, "stack growth: %#llx, not %#llx", (unsigned long long)found, (unsigned long long)expected);
  return NULL;
}

void test_faults(void) {
  enum { kSize = 256 * kPage, kCount = kSize / 8 };
  uint64_t random = random_seed * 17 + 3;
  while (more()) {
    size_t stride = next_random(&random) % 700 + 1;
    uint64_t expected = fill_without_memory(kCount, stride, random);
    stage("faults, fresh pages with stride", stride, 0);
    uint64_t* fresh = map_at(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t found = fill(fresh, kCount, stride, random);
    EXPECT(found == expected, "fresh pages, stride %zu: %#llx, not %#llx", stride, (unsigned long long)found,
           (unsigned long long)expected);
    // Dropped, they are zeroes again; read first, they are the zero page until they are written.
    MUST(madvise(fresh, kSize, MADV_DONTNEED) == 0, "madvise");
    uint64_t zero = 0;
    for (size_t i = 0; i < kCount; i += 64) zero |= fresh[i];
    EXPECT(zero == 0, "dropped pages read %#llx", (unsigned long long)zero);
    found = fill(fresh, kCount, stride, random);
    EXPECT(found == expected, "dropped pages, stride %zu: %#llx, not %#llx", stride, (unsigned long long)found,
           (unsigned long long)expected);
    // A copy on write: what a child has changed.
    stage("faults, copies of a child", stride, 0);
    pid_t child = fork();
    MUST(child >= 0, "fork");
    uint64_t again = fill(fresh, kCount, stride * 3, random);
    if (child == 0) _exit((int)(again & 63));
    int code = exit_code_of(child);
    EXPECT(code == (int)(again & 63), "a child's copy gives %#x, its parent's %#x", code, (int)(again & 63));
    MUST(munmap(fresh, kSize) == 0, "munmap");
    stage("faults, stack", 0, 0);
    unsigned long thread;
    start_thread(&thread, grow_in_thread, &random);
    join_thread(thread);
    grow_in_thread(&random);
  }
}

// ---- pipe ----

static void write_all(int file, const uint8_t* from, size_t size) {
  while (size > 0) {
    ssize_t done = write(file, from, size);
    MUST(done > 0, "write");
    from += done;
    size -= (size_t)done;
  }
}

void test_pipe(void) {
  enum { kBytes = 300000 };
  static uint8_t data[kBytes];
  for (uint64_t round = random_seed; more(); round++) {
    int there[2], back[2];
    MUST(pipe(there) == 0 && pipe(back) == 0, "pipe");
    pid_t child = fork();
    MUST(child >= 0, "fork");
    if (child == 0) {
      // Sends back what comes, each byte changed, in pieces of sizes of its own.
      close(there[1]);
      close(back[0]);
      uint64_t random = round * 2 + 1;
      for (;;) {
        ssize_t got = read(there[0], data, next_random(&random) % 9000 + 1);
        MUST(got >= 0, "read");
        if (got == 0) _exit(7);
        for (ssize_t i = 0; i < got; i++) data[i] = (uint8_t)(data[i] * 5 + 1);
        write_all(back[1], data, (size_t)got);
      }
    }
    close(there[0]);
    close(back[1]);
    pid_t writer = fork();
    MUST(writer >= 0, "fork");
    if (writer == 0) {
      close(back[0]);
      uint64_t random = round * 2 + 5;
      for (size_t i = 0; i < kBytes; i++) data[i] = (uint8_t)(mixed(round + i) >> 13);
      for (size_t at = 0; at < kBytes;) {
        size_t size = next_random(&random) % 7000 + 1;
        if (size > kBytes - at) size = kBytes - at;
        write_all(there[1], data + at, size);
        at += size;
      }
      _exit(8);
    }
    close(there[1]);
    size_t at = 0;
    for (ssize_t got; (got = read(back[0], data + at % 1000, 5000)) != 0; at += (size_t)got) {
      MUST(got > 0, "read");
      stage("pipe, at byte", at, 0);
      const uint8_t* bytes = data + at % 1000;
      for (ssize_t i = 0; i < got; i++) {
        uint8_t expected = (uint8_t)((uint8_t)(mixed(round + at + (size_t)i) >> 13) * 5 + 1);
        EXPECT(bytes[i] == expected, "byte %zu through two pipes is %#x, not %#x", at + (size_t)i, bytes[i], expected);
      }
    }
    EXPECT(at == kBytes, "%zu bytes come through two pipes, not %d", at, kBytes);
    close(back[0]);
    int code = exit_code_of(child), other = exit_code_of(writer);
    EXPECT(code == 7 && other == 8, "the pipes' children end with %d and %d", code, other);
  }
}

// ---- files ----

static uint64_t sum_of(const uint8_t* bytes, size_t size) {
  uint64_t sum = 0;
  for (size_t i = 0; i < size; i++) sum = sum * 31 + bytes[i];
  return sum;
}

void test_files(void) {
  enum { kBytes = 1 << 20 };
  uint64_t random = random_seed * 19 + 5;
  uint8_t *data = malloc(kBytes), *copy = malloc(kBytes);
  MUST(data != NULL && copy != NULL, "malloc");
  char path[] = "/tmp/stress-XXXXXX";
  int file = mkstemp(path);
  MUST(file >= 0, "mkstemp");
  unlink(path);
  while (more()) {
    size_t size = kBytes - next_random(&random) % 5000;
    for (size_t i = 0; i < size; i += 8) {
      uint64_t word = mixed(random + i);
      memcpy(data + i, &word, size - i < 8 ? size - i : 8);
    }
    uint64_t sum = sum_of(data, size);
    stage("files, bytes written", size, 0);
    MUST(lseek(file, 0, SEEK_SET) == 0 && ftruncate(file, 0) == 0, "ftruncate");
    for (size_t at = 0, piece; at < size; at += piece) {
      piece = next_random(&random) % 200000 + 1;
      if (piece > size - at) piece = size - at;
      struct iovec parts[2] = {{data + at, piece / 3}, {data + at + piece / 3, piece - piece / 3}};
      MUST(writev(file, parts, 2) == (ssize_t)piece, "writev");
    }
    memset(copy, 0, size);
    for (size_t at = 0, piece; at < size; at += piece) {
      piece = next_random(&random) % 150000 + 1;
      if (piece > size - at) piece = size - at;
      MUST(pread(file, copy + at, piece, (off_t)at) == (ssize_t)piece, "pread");
    }
    uint64_t found = sum_of(copy, size);
    EXPECT(found == sum, "%zu bytes read add up to %#llx, not %#llx", size, (unsigned long long)found,
           (unsigned long long)sum);
    // Through a mapping, which sees what is written behind it.
    uint8_t* mapped = map_at(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    found = sum_of(mapped, size);
    EXPECT(found == sum, "%zu bytes mapped add up to %#llx, not %#llx", size, (unsigned long long)found,
           (unsigned long long)sum);
    for (unsigned i = 0; i < 100; i++) {
      size_t at = next_random(&random) % size;
      uint8_t byte = (uint8_t)(random >> 50), seen = 0;
      if (i & 1) {
        MUST(pwrite(file, &byte, 1, (off_t)at) == 1, "pwrite");
        seen = *(volatile uint8_t*)(mapped + at);
      } else {
        *(volatile uint8_t*)(mapped + at) = byte;
        MUST(pread(file, &seen, 1, (off_t)at) == 1, "pread");
      }
      EXPECT(seen == byte, "byte %zu of a mapped file is %#x, not %#x", at, seen, byte);
    }
    MUST(munmap(mapped, size) == 0, "munmap");
  }
  close(file);
  free(data);
  free(copy);
}
