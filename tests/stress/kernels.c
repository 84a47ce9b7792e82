// SPDX-License-Identifier: Apache-2.0
// Integer kernels with known results. The source is portable: known.c computes the numbers of the table at the end on
// the machine that compiles. Where the instruction matters (misaligned accesses), the guest's is written out.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stress.h"

uint64_t digest(uint64_t value, unsigned rounds) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned i = 0; i < rounds; i++) {
    hash = (hash ^ (value & 0xff)) * 0x100000001b3u;
    value = (value >> 9 | value << 55) + i;
    hash ^= hash >> 23;
  }
  return hash;
}

static uint64_t run_digest(void) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 40; i++) sum = sum * 3 + digest(i * 0x123456789abcdefu, 5000);
  return sum;
}

static uint64_t run_crc(void) {
  uint32_t table[256], crc = ~0u;
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t entry = i;
    for (int bit = 0; bit < 8; bit++) entry = entry & 1 ? entry >> 1 ^ 0xedb88320u : entry >> 1;
    table[i] = entry;
  }
  uint64_t state = 77;
  for (int i = 0; i < 100000; i++) crc = table[(crc ^ (next_random(&state) >> 11)) & 0xff] ^ crc >> 8;
  return ~crc;
}

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
    sort_words(words, low, j);
    low = i;
  }
}

static int order(const void* a, const void* b) {
  int32_t one = *(const int32_t*)a, other = *(const int32_t*)b;
  return one < other ? -1 : one > other;
}

static uint64_t run_sort(void) {
  enum { kCount = 12000 };
  uint64_t* words = malloc(kCount * sizeof *words);
  int32_t* numbers = malloc(kCount * sizeof *numbers);
  uint64_t state = 99, sum = 0;
  for (int i = 0; i < kCount; i++) {
    words[i] = next_random(&state);
    numbers[i] = (int32_t)(words[i] % 20001) - 10000;
  }
  sort_words(words, 0, kCount - 1);
  qsort(numbers, kCount, sizeof *numbers, order);
  for (int i = 0; i < kCount; i++) sum = sum * 31 + words[i] + (uint64_t)numbers[i];
  free(words);
  free(numbers);
  return sum;
}

static uint64_t run_matrix(void) {
  enum { kSide = 48 };
  int32_t a[kSide][kSide], b[kSide][kSide];
  int64_t c[kSide][kSide];
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      a[i][j] = i * 37 - j * 91;
      b[i][j] = (i ^ j) * 1013 - 20000;
      c[i][j] = 0;
    }
  }
  uint64_t sum = 0;
  for (int round = 0; round < 6; round++) {
    for (int i = 0; i < kSide; i++) {
      for (int j = 0; j < kSide; j++) {
        for (int k = 0; k < kSide; k++) c[i][j] += (int64_t)a[i][k] * b[k][j];
        a[j][i] += (int32_t)(c[i][j] >> 20);
      }
    }
    for (int i = 0; i < kSide; i++) sum = sum * 7 + (uint64_t)c[i][(i * 5 + round) % kSide];
  }
  return sum;
}

// A jump table with 64 cases.
static uint64_t run_switch(void) {
  uint64_t state = 1234, x = 1, y = 2;
#define CASE(n, action) \
  case n:               \
    action;             \
    break;
#define CASES(n)                              \
  CASE(n, x += y ^ (n))                       \
  CASE(n + 1, y = y * 5 + (n))                \
  CASE(n + 2, x ^= y << (n & 15))             \
  CASE(n + 3, y -= x >> (n & 31))             \
  CASE(n + 4, x = x << 7 | x >> 57)           \
  CASE(n + 5, y += x * (n + 3))               \
  CASE(n + 6, x = (uint64_t)(int32_t)(x + n)) \
  CASE(n + 7, y = x > y ? y + n : y ^ x)
  for (int i = 0; i < 150000; i++) {
    switch (next_random(&state) >> 20 & 63) {
      CASES(0)
      CASES(8)
      CASES(16)
      CASES(24)
      CASES(32)
      CASES(40)
      CASES(48)
      CASES(56)
    }
  }
  return x * 3 + y;
}

// Indirect calls to sixteen functions.
#define STEP(n)                                                                \
  __attribute__((noinline)) static uint64_t step_##n(uint64_t x, uint64_t y) { \
    return (x ^ n) * (2 * n + 3) + (y >> n);                                   \
  }
#define STEPS(a, b, c, d) STEP(a) STEP(b) STEP(c) STEP(d)
STEPS(0, 1, 2, 3)
STEPS(4, 5, 6, 7)
STEPS(8, 9, 10, 11)
STEPS(12, 13, 14, 15)

static uint64_t run_pointers(void) {
  static uint64_t (*const volatile steps[16])(uint64_t, uint64_t) = {
      step_0, step_1, step_2,  step_3,  step_4,  step_5,  step_6,  step_7,
      step_8, step_9, step_10, step_11, step_12, step_13, step_14, step_15,
  };
  uint64_t x = 5;
  for (uint64_t i = 0; i < 150000; i++) x = steps[x >> 13 & 15](x, i * 77 + x);
  return x;
}

__attribute__((noinline)) static uint64_t ackermann(uint64_t m, uint64_t n) {
  if (m == 0) return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

__attribute__((noinline)) static uint64_t descend(unsigned depth, uint64_t x) {
  if (depth == 0) return x;
  uint64_t below = descend(depth - 1, x * 3 + depth);
  return below ^ (x + depth) * 5;
}

static uint64_t run_recursion(void) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < 100; i++) sum = sum * 3 + descend(500 + i, i);
  return sum + ackermann(2, 60) * 1000 + ackermann(3, 5);
}

// Accesses of every width at any address. A compiler for the guest would take them apart.
#ifdef __riscv
#define ACCESS(bits, load_name, store_name)                                               \
  static inline uint##bits##_t load_##bits(const uint8_t* at) {                           \
    uint64_t value;                                                                       \
    __asm__ volatile(load_name " %0, 0(%1)" : "=r"(value) : "r"(at) : "memory");          \
    return (uint##bits##_t)value;                                                         \
  }                                                                                       \
  static inline void store_##bits(uint8_t* at, uint##bits##_t value) {                    \
    __asm__ volatile(store_name " %1, 0(%0)" ::"r"(at), "r"((uint64_t)value) : "memory"); \
  }
ACCESS(8, "lbu", "sb")
ACCESS(16, "lhu", "sh")
ACCESS(32, "lwu", "sw")
ACCESS(64, "ld", "sd")
#else
#define ACCESS(bits)                                            \
  static inline uint##bits##_t load_##bits(const uint8_t* at) { \
    uint##bits##_t value;                                       \
    memcpy(&value, at, sizeof value);                           \
    return value;                                               \
  }                                                             \
  static inline void store_##bits(uint8_t* at, uint##bits##_t value) { memcpy(at, &value, sizeof value); }
ACCESS(8)
ACCESS(16)
ACCESS(32)
ACCESS(64)
#endif

static uint64_t access_randomly(uint8_t* memory, uint64_t size, unsigned times, uint64_t state) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < times; i++) {
    uint64_t random = next_random(&state);
    unsigned width = 1u << (random & 3);
    uint64_t at = (random >> 8) % (size - width + 1);
    // Every fourth crosses a page, or ends where the mapping ends.
    if ((random >> 40 & 3) == 0)
      at = random >> 42 & 1 ? size - width : (at / kPage + 1) * kPage - (random >> 43) % width;
    if (at > size - width) at = size - width;
    uint64_t value = sum ^ random;
    switch (random >> 4 & 7) {
      case 0: store_8(memory + at, (uint8_t)value); break;
      case 1: store_16(memory + at - (at > size - 2), (uint16_t)value); break;
      case 2: width == 8 ? store_64(memory + at, value) : store_8(memory + at, (uint8_t)value); break;
      case 3: width >= 4 ? store_32(memory + at, (uint32_t)value) : store_8(memory + at, (uint8_t)value); break;
      default: break;
    }
    switch (width) {
      case 1: sum = sum * 5 + load_8(memory + at); break;
      case 2: sum = sum * 5 + load_16(memory + at); break;
      case 4: sum = sum * 5 + load_32(memory + at); break;
      default: sum = sum * 5 + load_64(memory + at); break;
    }
  }
  for (uint64_t at = 0; at < size; at++) sum = sum * 3 + memory[at];
  return sum;
}

static uint64_t run_misaligned(void) {
  enum { kSize = 5 * kPage + 123 };
  uint8_t* memory = calloc(1, kSize);
  uint64_t sum = access_randomly(memory, kSize, 60000, 31);
  free(memory);
  return sum;
}

// Up to the last byte before memory that must not be touched.
static uint64_t run_edges(void) {
  enum { kPages = 3 };
  uint8_t* area = mmap(NULL, (kPages + 2) * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED || mprotect(area + kPage, kPages * kPage, PROT_READ | PROT_WRITE) != 0) abort();
  uint64_t sum = access_randomly(area + kPage, kPages * kPage, 40000, 57);
  uint8_t* end = area + (kPages + 1) * kPage;
  for (unsigned length = 0; length < 300; length += 7) {
    memset(end - length, (int)length, length);
    memmove(end - length, area + kPage, length);
    sum = sum * 3 + (uint64_t)(memcmp(end - length, area + kPage, length) == 0) + end[-1];
  }
  munmap(area, (kPages + 2) * kPage);
  return sum;
}

static uint64_t run_divide(void) {
  static const uint64_t kEdges[] = {
      1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000001};
  uint64_t state = 5, sum = 0;
  for (int i = 0; i < 40000; i++) {
    uint64_t a = next_random(&state), b = kEdges[a >> 17 & 7] + (a >> 60);
    if (b == 0) b = 1;
    sum = sum * 3 + a / b + a % b;
    sum += (uint64_t)((int64_t)(a >> 1) / (int64_t)(b | 1)) + (uint64_t)((int64_t)(a >> 1) % (int64_t)(b | 1));
    sum += (uint32_t)a / ((uint32_t)b | 1) + (uint32_t)a % ((uint32_t)b | 1);
    sum += (uint64_t)((unsigned __int128)a * b >> 64) + (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
  }
  return sum;
}

const struct Kernel kernels[] = {
    {"digest", run_digest, 0xf9d7dc965c5360ff},       {"crc", run_crc, 0x9830d06d},
    {"sort", run_sort, 0x8d784c1039f54650},           {"matrix", run_matrix, 0x3cab6bfdcc14fe27},
    {"switch", run_switch, 0x5a96887767c1fa33},       {"pointers", run_pointers, 0x63501a8315f81af8},
    {"recursion", run_recursion, 0xa5cf89540bb35a43}, {"misaligned", run_misaligned, 0x9821d603ed90f4dc},
    {"edges", run_edges, 0x4fdfb470786e681d},         {"divide", run_divide, 0x7f4476633a56e9ab},
};
const unsigned kernel_count = sizeof kernels / sizeof kernels[0];

void check_kernel(unsigned index, const char* where) {
  const struct Kernel* kernel = &kernels[index];
  uint64_t found = kernel->run();
  EXPECT(found == kernel->expected, "%s: kernel %s computes %#llx, not %#llx", where, kernel->name,
         (unsigned long long)found, (unsigned long long)kernel->expected);
}
