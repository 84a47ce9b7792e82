// SPDX-License-Identifier: Apache-2.0
// Integer kernels for `npm run bench`, run in the guest, under our machine and under QEMU: nine loops of different
// character, each of some hundred million instructions. For each it prints "kernel NAME MICROSECONDS RESULT"; results
// depend on the work alone, so both sides must print the same ones.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

// Byte stores with growing strides.
static uint64_t run_sieve(void) {
  enum { kSize = 2000000 };
  static uint8_t composite[kSize];
  uint64_t primes = 0;
  for (int round = 0; round < 6; round++) {
    memset(composite, 0, kSize);
    for (uint32_t i = 2; i * i < kSize; i++) {
      if (composite[i]) continue;
      for (uint32_t j = i * i; j < kSize; j += i) composite[j] = 1;
    }
    for (uint32_t i = 2; i < kSize; i++) primes += !composite[i];
  }
  return primes;
}

// Dependent loads from a small table.
static uint64_t run_crc(void) {
  uint32_t table[256];
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
    table[i] = value;
  }
  uint32_t crc = ~0u;
  for (uint32_t i = 0; i < 24000000; i++) crc = table[(crc ^ (i * 197u >> 3)) & 0xff] ^ crc >> 8;
  return ~crc;
}

// Unpredictable branches.
static void sort_words(uint64_t* words, long low, long high) {
  while (low < high) {
    uint64_t pivot = words[low + (high - low) / 2];
    long i = low, j = high;
    while (i <= j) {
      while (words[i] < pivot) i++;
      while (words[j] > pivot) j--;
      if (i > j) break;
      uint64_t swapped = words[i];
      words[i++] = words[j];
      words[j--] = swapped;
    }
    if (j - low < high - i) {
      sort_words(words, low, j);
      low = i;
    } else {
      sort_words(words, i, high);
      high = j;
    }
  }
}

static uint64_t run_sort(void) {
  enum { kCount = 400000 };
  static uint64_t words[kCount];
  uint64_t state = 88172645463325252u, sum = 0;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < kCount; i++) words[i] = next_random(&state);
    sort_words(words, 0, kCount - 1);
    for (int i = 0; i < kCount; i += 1000) sum = sum * 31 + words[i];
  }
  return sum;
}

// Calls and returns.
__attribute__((noinline)) static uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static uint64_t run_calls(void) { return fibonacci(34); }

// Multiplications and shifts, long basic blocks.
static uint64_t run_mix(void) {
  uint64_t a = 1, b = 2, c = 3, d = 4;
  for (uint32_t i = 0; i < 9000000; i++) {
    a = (a + i) * 0x9e3779b97f4a7c15u;
    b ^= a >> 29 | a << 35;
    c += b * 0xbf58476d1ce4e5b9u;
    d = (d ^ c) * 5 + (c >> 17);
    a ^= d << 11;
    b += d >> 31;
  }
  return a ^ b ^ c ^ d;
}

// Nested loops over a few pages.
static uint64_t run_matrix(void) {
  enum { kSide = 120 };
  static int32_t a[kSide][kSide], b[kSide][kSide], c[kSide][kSide];
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      a[i][j] = i * 3 + j;
      b[i][j] = i - j * 7;
    }
  }
  uint64_t sum = 0;
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < kSide; i++) {
      for (int j = 0; j < kSide; j++) {
        int32_t cell = round;
        for (int k = 0; k < kSide; k++) cell += a[i][k] * b[k][j];
        c[i][j] = cell;
      }
    }
    sum = sum * 17 + (uint32_t)c[round][kSide - 1 - round];
  }
  return sum;
}

// An interpreter's loop: indirect jumps.
static uint64_t run_bytecode(void) {
  static const uint8_t program[] = {0, 1, 2, 3, 1, 4, 0, 2, 5, 3, 4, 1, 6, 0, 5, 2, 7};
  uint64_t x = 1, y = 7, steps = 0;
  for (unsigned at = 0; steps < 14000000; steps++) {
    switch (program[at++]) {
      case 0: x += y; break;
      case 1: y = y * 3 + 1; break;
      case 2: x ^= y >> 5; break;
      case 3: y -= x; break;
      case 4: x = x << 3 | x >> 61; break;
      case 5: y ^= 0x55; break;
      case 6: x += steps; break;
      default: at = 0; break;
    }
  }
  return x ^ y;
}

// A pointer chase over more pages than a first-level TLB has entries.
static uint64_t run_chase(void) {
  enum { kNodes = 1 << 17 };
  static uint32_t next[kNodes];
  uint64_t state = 1234567, sum = 0;
  for (uint32_t i = 0; i < kNodes; i++) next[i] = i;
  for (uint32_t i = kNodes - 1; i > 0; i--) {
    uint32_t j = (uint32_t)(next_random(&state) % i), swapped = next[i];
    next[i] = next[j];
    next[j] = swapped;
  }
  uint32_t node = 0;
  for (int i = 0; i < 12000000; i++) {
    node = next[node];
    sum += node;
  }
  return sum;
}

// Byte loads and compares, as in text search.
static uint64_t run_text(void) {
  enum { kLength = 1 << 20 };
  static char text[kLength + 1];
  static const char word[] = "needle";
  uint64_t state = 42, found = 0;
  for (int i = 0; i < kLength; i++) text[i] = "adeln"[next_random(&state) % 5];
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i + 6 <= kLength; i++) {
      int same = 0;
      while (same < 6 && text[i + same] == word[same]) same++;
      found += same == 6 ? 1000000u : (uint64_t)same;
    }
  }
  return found;
}

static const struct {
  const char* name;
  uint64_t (*run)(void);
} kKernels[] = {
    {"sieve", run_sieve},   {"crc", run_crc},           {"sort", run_sort},   {"calls", run_calls}, {"mix", run_mix},
    {"matrix", run_matrix}, {"bytecode", run_bytecode}, {"chase", run_chase}, {"text", run_text},
};

int main(int argc, char** argv) {
  for (unsigned i = 0; i < sizeof kKernels / sizeof kKernels[0]; i++) {
    if (argc > 1 && strcmp(argv[1], kKernels[i].name) != 0) continue;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t result = kKernels[i].run();
    clock_gettime(CLOCK_MONOTONIC, &end);
    long long microseconds = (end.tv_sec - start.tv_sec) * 1000000ll + (end.tv_nsec - start.tv_nsec) / 1000;
    printf("kernel %s %lld %016llx\n", kKernels[i].name, microseconds, (unsigned long long)result);
    fflush(stdout);
  }
  return 0;
}
