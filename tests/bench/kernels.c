// SPDX-License-Identifier: Apache-2.0
// Twelve kernels: small loops that show what translated code is like, one trait each. bench.c has longer programs,
// which use the C library and the kernel; here everything is in this file, so that the same work can be had as
// WebAssembly. One thread. Nothing depends on the size of a pointer or of a long, and floating point is contracted
// nowhere.
#include "kernels.h"

#include <stddef.h>
#include <string.h>

#define APART __attribute__((noinline))

static uint32_t mixed(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// ---- integer ----

// Byte stores with growing strides: the primes below 2 * kOdds, one byte for each odd number.
static uint64_t sieve_round(uint32_t turn) {
  enum { kOdds = 1 << 17 };
  static uint8_t crossed[kOdds];
  for (uint32_t i = 0; i < kOdds; i++) crossed[i] = 0;
  uint64_t sum = 2;
  uint32_t primes = 1;
  for (uint32_t i = 1; i < kOdds; i++) {
    if (crossed[i]) continue;
    uint32_t prime = 2 * i + 1;
    primes++;
    sum += prime;
    if (prime < 512) {
      for (uint32_t j = 2 * i * (i + 1); j < kOdds; j += prime) crossed[j] = 1;
    }
  }
  return sum << 20 | primes;
}

// [FIPS 180-4: SHA-256 Constants; SHA-256 Hash Computation] of a message of whole blocks: rotations, long chains.
static const uint32_t kShaConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
enum { kMessageBytes = 96 << 10 };
static uint8_t message[kMessageBytes + 64];

static uint32_t turned(uint32_t x, unsigned by) { return x >> by | x << (32 - by); }

static void sha_prepare(void) {
  for (uint32_t i = 0; i < kMessageBytes; i++) message[i] = (uint8_t)(i * 167 + (i >> 8));
  message[kMessageBytes] = 0x80;  // the padding of [FIPS 180-4: Padding the Message]
  for (unsigned i = 0; i < 4; i++) message[kMessageBytes + 63 - i] = (uint8_t)((uint32_t)kMessageBytes * 8 >> 8 * i);
}

APART static void sha_block(uint32_t* state, const uint8_t* block) {
  uint32_t w[64];
  for (unsigned t = 0; t < 16; t++) {
    const uint8_t* at = block + 4 * t;
    w[t] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  }
  for (unsigned t = 16; t < 64; t++) {
    uint32_t early = turned(w[t - 15], 7) ^ turned(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t late = turned(w[t - 2], 17) ^ turned(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = late + w[t - 7] + early + w[t - 16];
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (unsigned t = 0; t < 64; t++) {
    uint32_t chosen = g ^ (e & (f ^ g)), major = (a & (b | c)) | (b & c);
    uint32_t one = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + chosen + kShaConstants[t] + w[t];
    uint32_t two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + major;
    h = g, g = f, f = e, e = d + one;
    d = c, c = b, b = a, a = one + two;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static uint64_t sha_round(uint32_t turn) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (uint32_t at = 0; at < sizeof message; at += 64) sha_block(state, message + at);
  return (uint64_t)state[0] << 32 | state[1];
}

// Branches that nobody can predict, as each turn has other values: quicksort with a median of three, insertion
// below 16.
APART static void sort_range(int64_t* low, int64_t* high) {
  while (high - low > 16) {
    int64_t first = *low, last = high[-1], pivot = low[(high - low) / 2];
    if (pivot < first) {
      int64_t t = pivot;
      pivot = first, first = t;
    }
    if (last < pivot) pivot = last < first ? first : last;
    int64_t *left = low, *right = high - 1;
    for (;;) {
      while (*left < pivot) left++;
      while (pivot < *right) right--;
      if (left >= right) break;
      int64_t t = *left;
      *left++ = *right;
      *right-- = t;
    }
    if (left == right) left++;
    sort_range(low, left);
    low = left;
  }
  for (int64_t* at = low; at < high; at++) {
    int64_t value = *at, *to = at;
    for (; to > low && value < to[-1]; to--) *to = to[-1];
    *to = value;
  }
}

static uint64_t qsort_round(uint32_t turn) {
  enum { kCount = 6000 };
  static int64_t values[kCount];
  for (uint32_t i = 0; i < kCount; i++) values[i] = (int64_t)((uint64_t)mixed(i + turn * kCount) << 32 | mixed(~i));
  sort_range(values, values + kCount);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kCount; i++) sum = sum * 3 + (uint64_t)values[i];
  return sum;
}

// Loads that wait for each other, over four pages: every TLB and every cache holds them.
enum { kLinks = 256 };
static struct Link {
  struct Link* next;
  uint32_t value;
  uint32_t spare[12];
} links[kLinks];

static void chase_prepare(void) {
  static uint16_t order[kLinks];
  for (uint32_t i = 0; i < kLinks; i++) order[i] = (uint16_t)i;
  for (uint32_t i = kLinks - 1; i > 0; i--) {
    uint32_t j = mixed(i) % (i + 1);
    uint16_t t = order[i];
    order[i] = order[j], order[j] = t;
  }
  for (uint32_t i = 0; i < kLinks; i++) {
    links[order[i]].next = &links[order[(i + 1) % kLinks]];
    links[order[i]].value = mixed(i + 77);
  }
}

static uint64_t chase_round(uint32_t turn) {
  uint64_t sum = 0;
  const struct Link* at = links;
  for (uint32_t i = 0; i < 400000; i++) {
    sum += at->value;
    at = at->next;
  }
  return sum;
}

// What small controllers do all day: a list that is turned, searched and sorted, a matrix of short numbers, a machine
// that reads numbers, and a checksum over the results of all three.
enum { kItems = 64, kSide = 12 };
struct Item {
  struct Item* next;
  int16_t key, data;
};
static struct Item items[kItems];
static int16_t cells[3][kSide][kSide];
static const char kNumbers[] = "42,-17.5,+3e8,.25,6.02e+23,0x1f,--4,1.2.3,77e,-0.5e-3,12a,+,999999,3.14159,e9,8";

static void core_prepare(void) {
  for (uint32_t i = 0; i < kItems; i++)
    items[i].data = (int16_t)mixed(i), items[i].key = (int16_t)(mixed(i + 500) % 100);
  for (uint32_t y = 0; y < kSide; y++) {
    for (uint32_t x = 0; x < kSide; x++) {
      cells[0][y][x] = (int16_t)(mixed(y * kSide + x) % 61) - 30;
      cells[1][y][x] = (int16_t)(y * 3 - x);
    }
  }
}

APART static uint16_t crc_step(uint16_t crc, uint16_t value) {
  for (unsigned bit = 0; bit < 16; bit++, value >>= 1) {
    unsigned low = (crc ^ value) & 1;
    crc >>= 1;
    if (low) crc ^= 0xa001;
  }
  return crc;
}

static struct Item* turned_list(struct Item* list) {
  struct Item* done = NULL;
  while (list) {
    struct Item* rest = list->next;
    list->next = done, done = list, list = rest;
  }
  return done;
}

static int by_key(const struct Item* a, const struct Item* b) { return a->key - b->key; }
static int by_data(const struct Item* a, const struct Item* b) { return a->data - b->data; }

APART static struct Item* merge_sorted(struct Item* list, uint32_t count,
                                       int (*compare)(const struct Item*, const struct Item*)) {
  if (count < 2) {
    list->next = NULL;
    return list;
  }
  struct Item* second = list;
  for (uint32_t i = 0; i < count / 2; i++) second = second->next;
  struct Item *a = merge_sorted(list, count / 2, compare), *head = NULL, **end = &head;
  struct Item* b = merge_sorted(second, count - count / 2, compare);
  while (a && b) {
    struct Item** least = compare(a, b) <= 0 ? &a : &b;
    *end = *least, end = &(*end)->next, *least = *end;
  }
  *end = a ? a : b;
  return head;
}

APART static uint16_t core_lists(uint16_t crc, int16_t wanted) {
  for (uint32_t i = 0; i < kItems; i++) items[i].next = i + 1 < kItems ? &items[i + 1] : NULL;
  struct Item* list = merge_sorted(turned_list(items), kItems, by_key);
  uint16_t found = 0;
  for (const struct Item* at = list; at && at->key < wanted; at = at->next) found += (uint16_t)at->data;
  list = merge_sorted(list, kItems, by_data);
  for (const struct Item* at = list; at; at = at->next) found = (uint16_t)(found * 5 + at->key);
  return crc_step(crc, found);
}

APART static uint16_t core_matrix(uint16_t crc, int16_t factor) {
  int32_t trace = 0;
  for (uint32_t y = 0; y < kSide; y++) {
    for (uint32_t x = 0; x < kSide; x++) {
      int32_t sum = 0;
      for (uint32_t i = 0; i < kSide; i++) sum += cells[0][y][i] * cells[1][i][x];
      cells[2][y][x] = (int16_t)(sum * factor >> 2);
    }
    trace += cells[2][y][y];
  }
  return crc_step(crc, (uint16_t)trace);
}

enum State { kStart, kSign, kWhole, kFraction, kExponent, kPower, kPowerDigits, kBad, kStates };

APART static enum State next_state(enum State state, char c) {
  int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
  switch (state) {
    case kStart: return sign ? kSign : digit ? kWhole : c == '.' ? kFraction : kBad;
    case kSign: return digit ? kWhole : c == '.' ? kFraction : kBad;
    case kWhole: return digit ? kWhole : c == '.' ? kFraction : c == 'e' ? kExponent : kBad;
    case kFraction: return digit ? kFraction : c == 'e' ? kExponent : kBad;
    case kExponent: return sign ? kPower : digit ? kPowerDigits : kBad;
    case kPower:
    case kPowerDigits: return digit ? kPowerDigits : kBad;
    default: return kBad;
  }
}

APART static uint16_t core_states(uint16_t crc) {
  uint16_t seen[kStates] = {0}, ends[kStates] = {0};
  enum State state = kStart;
  for (const char* at = kNumbers; *at; at++) {
    if (*at == ',') {
      ends[state]++;
      state = kStart;
    } else {
      state = next_state(state, *at);
      seen[state]++;
    }
  }
  for (unsigned i = 0; i < kStates; i++) crc = crc_step(crc, (uint16_t)(seen[i] * 16 + ends[i]));
  return crc;
}

static uint64_t core_round(uint32_t turn) {
  uint16_t crc = 0xffff;
  for (int16_t i = 0; i < 48; i++) crc = core_states(core_matrix(core_lists(crc, (int16_t)(i * 2)), i));
  return crc;
}

// Calls and returns.
APART static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static uint64_t fib_round(uint32_t turn) { return fib(25); }

// Loops over bytes that end at a value: the length, the search, the comparison and the copy of texts.
APART static uint32_t text_length(const char* text) {
  const char* at = text;
  while (*at) at++;
  return (uint32_t)(at - text);
}

APART static const char* text_find(const char* text, char wanted) {
  for (; *text != wanted; text++) {
    if (!*text) return NULL;
  }
  return text;
}

APART static int text_compare(const char* a, const char* b) {
  for (; *a && *a == *b; a++) b++;
  return (uint8_t)*a - (uint8_t)*b;
}

APART static void text_copy(char* to, const char* from) {
  while ((*to++ = *from++) != 0) {
  }
}

enum { kTexts = 64, kTextBytes = 96 };
static char texts[kTexts][kTextBytes];

static void str_prepare(void) {
  for (uint32_t i = 0; i < kTexts; i++) {
    uint32_t length = 20 + mixed(i) % (kTextBytes - 22);
    for (uint32_t j = 0; j < length; j++) texts[i][j] = (char)('a' + (j < 18 ? j : mixed(i * 100 + j) % 26));
    texts[i][length] = 0;
  }
}

static uint64_t str_round(uint32_t turn) {
  uint64_t sum = 0;
  char copy[kTextBytes];
  for (uint32_t i = 0; i < 80 * kTexts; i++) {
    const char *text = texts[i % kTexts], *other = texts[i * 7 % kTexts];
    text_copy(copy, text);
    const char* found = text_find(copy + 18, (char)('a' + i % 26));
    sum = sum * 3 + text_length(copy) + (found ? (uint32_t)(found - copy) : 0) + (text_compare(text, other) < 0);
  }
  return sum;
}

// ---- floating point ----

enum { kOrder = 48 };
static double left[kOrder][kOrder], right[kOrder][kOrder], product[kOrder][kOrder];

static void matmul_prepare(void) {
  for (int i = 0; i < kOrder; i++) {
    for (int j = 0; j < kOrder; j++) {
      left[i][j] = (i * 5 + j * 3) % 23 / 7.0;
      right[i][j] = (i - 2 * j) / 11.0;
    }
  }
}

static uint64_t matmul_round(uint32_t turn) {
  double sum = 0;
  for (int i = 0; i < kOrder; i++) {
    for (int j = 0; j < kOrder; j++) {
      double cell = 0;
      for (int k = 0; k < kOrder; k++) cell += left[i][k] * right[k][j];
      product[i][j] = cell;
    }
    sum += product[i][kOrder - 1 - i];
  }
  return bits_of(sum);
}

// Roots and quotients, all values in memory: five bodies for some steps, always from the same places.
static uint64_t nbody_round(uint32_t turn) {
  enum { kBodies = 5, kSteps = 700 };
  struct Body {
    double x, y, z, vx, vy, vz, mass;
  } bodies[kBodies];
  for (int i = 0; i < kBodies; i++) {
    bodies[i] = (struct Body){i * 2.5 - 3, (i & 1) * 4.25 - i, i * i * 0.125, 0.0625 * i, 0.25 - 0.125 * i, 0.03125, 0};
    bodies[i].mass = i ? 1.0 / (8 + i) : 30.0;
  }
  const double step = 0.0078125;
  for (int n = 0; n < kSteps; n++) {
    for (int i = 0; i < kBodies; i++) {
      struct Body* a = &bodies[i];
      for (struct Body* b = a + 1; b < bodies + kBodies; b++) {
        double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
        double square = dx * dx + dy * dy + dz * dz + 0.015625;
        double pull = step / (square * __builtin_sqrt(square));
        double to_a = b->mass * pull, to_b = a->mass * pull;
        a->vx -= dx * to_a, a->vy -= dy * to_a, a->vz -= dz * to_a;
        b->vx += dx * to_b, b->vy += dy * to_b, b->vz += dz * to_b;
      }
    }
    for (struct Body* b = bodies; b < bodies + kBodies; b++)
      b->x += step * b->vx, b->y += step * b->vy, b->z += step * b->vz;
  }
  double sum = 0;
  for (int i = 0; i < kBodies; i++) sum += bodies[i].x + 2 * bodies[i].y - bodies[i].vz;
  return bits_of(sum);
}

// All in registers: how fast points of the plane leave the Mandelbrot set.
static uint64_t mandel_round(uint32_t turn) {
  enum { kWidth = 48, kHeight = 32, kMost = 60 };
  uint64_t sum = 0;
  for (int row = 0; row < kHeight; row++) {
    for (int column = 0; column < kWidth; column++) {
      double cx = column * (3.0 / kWidth) - 2.25, cy = row * (2.5 / kHeight) - 1.25, x = 0, y = 0;
      uint32_t steps = 0;
      for (; steps < kMost; steps++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4.0) break;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
      }
      sum = sum * 7 + steps;
    }
  }
  return sum;
}

// ---- indirect jumps and calls ----

// A machine with registers, run by a switch: the sum of gcd(i, j) over 1 <= i, j <= n, found by subtraction.
enum Operation { kSet, kMove, kAdd, kSubtract, kAddSmall, kJumpEqual, kJumpLess, kJumpMost, kJump, kHalt };
struct Instruction {
  uint8_t operation, to, a, b;  // a jump compares `to` with `a` and goes to `b`
};
// clang-format off
static const struct Instruction kGcdProgram[] = {  // registers: 0 n, 1 sum, 2 i, 3 j, 4 and 5 the pair that becomes the gcd
    /* 0 */ {kSet, 1, 0, 0}, {kSet, 2, 1, 0},
    /* 2, each i */ {kSet, 3, 1, 0},
    /* 3, each j */ {kMove, 4, 2, 0}, {kMove, 5, 3, 0},
    /* 5 */ {kJumpEqual, 4, 5, 11}, {kJumpLess, 4, 5, 9},
    /* 7 */ {kSubtract, 4, 4, 5}, {kJump, 0, 0, 5},
    /* 9 */ {kSubtract, 5, 5, 4}, {kJump, 0, 0, 5},
    /* 11 */ {kAdd, 1, 1, 4}, {kAddSmall, 3, 1, 0}, {kJumpMost, 3, 0, 3},
    /* 14 */ {kAddSmall, 2, 1, 0}, {kJumpMost, 2, 0, 2}, {kHalt, 1, 0, 0},
};
// clang-format on

APART static uint64_t interpret(const struct Instruction* program, uint64_t* r) {
  for (const struct Instruction* at = program;;) {
    struct Instruction now = *at++;
    switch (now.operation) {
      case kSet: r[now.to] = now.a; break;
      case kMove: r[now.to] = r[now.a]; break;
      case kAdd: r[now.to] = r[now.a] + r[now.b]; break;
      case kSubtract: r[now.to] = r[now.a] - r[now.b]; break;
      case kAddSmall: r[now.to] += now.a; break;
      case kJumpEqual: at = r[now.to] == r[now.a] ? program + now.b : at; break;
      case kJumpLess: at = r[now.to] < r[now.a] ? program + now.b : at; break;
      case kJumpMost: at = r[now.to] <= r[now.a] ? program + now.b : at; break;
      case kJump: at = program + now.b; break;
      default: return r[now.to];
    }
  }
}

static uint64_t vm_round(uint32_t turn) {
  uint64_t registers[8] = {48};
  return interpret(kGcdProgram, registers);
}

// Calls through pointers, as of methods: five classes in an order without a pattern.
struct Shape;
struct Class {
  uint32_t (*measure)(const struct Shape*);
  void (*grow)(struct Shape*, uint32_t);
};
struct Shape {
  const struct Class* of;
  uint32_t width, height;
};

static uint32_t box_measure(const struct Shape* shape) { return shape->width * shape->height; }
static uint32_t frame_measure(const struct Shape* shape) { return 2 * (shape->width + shape->height); }
static uint32_t roof_measure(const struct Shape* shape) { return shape->width * shape->height / 2; }
static uint32_t dot_measure(const struct Shape* shape) { return shape->width ^ shape->height; }
static void both_grow(struct Shape* shape, uint32_t by) { shape->width += by, shape->height += by; }
static void wide_grow(struct Shape* shape, uint32_t by) { shape->width += 2 * by; }
static void high_grow(struct Shape* shape, uint32_t by) { shape->height = (shape->height << 1) - by; }

static const struct Class kClasses[] = {
    {box_measure, both_grow}, {frame_measure, wide_grow}, {roof_measure, high_grow},
    {dot_measure, both_grow}, {box_measure, high_grow},
};
enum { kShapes = 256 };

static uint64_t vcall_round(uint32_t turn) {
  static struct Shape shapes[kShapes];
  for (uint32_t i = 0; i < kShapes; i++) {
    shapes[i] = (struct Shape){&kClasses[mixed(i) % (sizeof kClasses / sizeof kClasses[0])], i + 1, 3 * i + 2};
  }
  uint64_t sum = 0;
  for (uint32_t sweep = 0; sweep < 60; sweep++) {
    for (struct Shape* shape = shapes; shape < shapes + kShapes; shape++) {
      shape->of->grow(shape, sweep);
      sum += shape->of->measure(shape);
    }
  }
  return sum;
}

const struct Kernel kKernels[] = {
    {"sieve", NULL, sieve_round},
    {"sha", sha_prepare, sha_round},
    {"qsort", NULL, qsort_round},
    {"chase", chase_prepare, chase_round},
    {"core", core_prepare, core_round},
    {"fib", NULL, fib_round},
    {"str", str_prepare, str_round},
    {"matmul", matmul_prepare, matmul_round},
    {"nbody", NULL, nbody_round},
    {"mandel", NULL, mandel_round},
    {"vm", NULL, vm_round},
    {"vcall", NULL, vcall_round},
    {NULL, NULL, NULL},
};
