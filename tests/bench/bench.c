// SPDX-License-Identifier: Apache-2.0
// What `npm run bench` runs in the guest, under our machine and under QEMU: short programs of different
// character, the integer ones of some hundred million instructions each. Linked statically; one thread.
//
//   bench NAME [DIVISOR]   does NAME's work, or a DIVISORth of it; "none" does nothing: what starting costs
//   bench                  prints the names
//
// It prints "bench NAME MICROSECONDS RESULT". RESULT (16 hexadecimal digits) depends on the work alone, so
// every machine must print the same one. The time covers all of the work, its inputs' making too.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char* program_path;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

// ---- integer ----

// Byte stores with growing strides.
static uint64_t run_sieve(long rounds) {
  enum { kSize = 1000000 };
  static uint8_t composite[kSize];
  uint64_t primes = 0;
  for (long round = 0; round < rounds; round++) {
    memset(composite, 0, kSize);
    for (uint32_t i = 2; i * i < kSize; i++) {
      if (composite[i]) continue;
      for (uint32_t j = i * i; j < kSize; j += i) composite[j] = 1;
    }
    for (uint32_t i = 2; i < kSize; i++) primes += !composite[i];
  }
  return primes;
}

// SHA-256's compression function ("SHA-256 Hash Computation" of FIPS 180-4) with round constants that are
// worked out here: rotations, long dependence chains, few branches.
static uint32_t rotated(uint32_t x, unsigned by) { return x >> by | x << (32 - by); }

static uint32_t cube_root_fraction(uint32_t prime) {
  // The first 32 bits of the fraction: floor(cbrt(prime) * 2^32) by bisection in 128 bits.
  uint64_t low = 0, high = (uint64_t)8 << 32;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    // middle^3 <= prime * 2^96, both sides shifted right by 48 after the square to stay in range.
    unsigned __int128 square = (unsigned __int128)middle * middle;
    unsigned __int128 cube_high = (square >> 32) * middle;
    if (cube_high >> 64 < prime)
      low = middle;
    else
      high = middle;
  }
  return (uint32_t)low;
}

static uint64_t run_digest(long blocks) {
  uint32_t constants[64], words[64];
  uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  unsigned count = 0;
  for (uint32_t candidate = 2; count < 64; candidate++) {
    int prime = 1;
    for (uint32_t divisor = 2; divisor * divisor <= candidate; divisor++) prime &= candidate % divisor != 0;
    if (prime) constants[count++] = cube_root_fraction(candidate);
  }
  for (long block = 0; block < blocks; block++) {
    for (unsigned i = 0; i < 16; i++) words[i] = state[i % 8] + (uint32_t)block * (i + 1);
    for (unsigned i = 16; i < 64; i++) {
      uint32_t near = words[i - 2], far = words[i - 15];
      words[i] = words[i - 16] + words[i - 7] + (rotated(far, 7) ^ rotated(far, 18) ^ far >> 3) +
                 (rotated(near, 17) ^ rotated(near, 19) ^ near >> 10);
    }
    uint32_t v[8];
    memcpy(v, state, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
      uint32_t first = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) +
                       ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + words[i];
      uint32_t second =
          (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      for (unsigned j = 7; j > 0; j--) v[j] = v[j - 1];
      v[4] += first;
      v[0] = first + second;
    }
    for (unsigned i = 0; i < 8; i++) state[i] += v[i];
  }
  return (uint64_t)state[0] << 32 | state[7];
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

static uint64_t run_sort(long rounds) {
  enum { kCount = 100000 };
  static uint64_t words[kCount];
  uint64_t state = 88172645463325252u, sum = 0;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < kCount; i++) words[i] = next_random(&state);
    sort_words(words, 0, kCount - 1);
    for (int i = 0; i < kCount; i += 100) sum = sum * 31 + words[i];
  }
  return sum;
}

// An interpreter for a small stack machine: indirect jumps, loads that decide where to go. Its program runs
// the Collatz sequence of each number from 2 up.
static uint64_t run_bytecode(long numbers) {
  enum { kPush, kDouble, kHalve, kAddOne, kTriple, kIsOdd, kIsOne, kJumpIf, kJump, kCount, kStop };
  // clang-format off
  static const uint8_t program[] = {
      /* 0 */ kCount, kIsOne, kJumpIf, 17, kIsOdd, kJumpIf, 11, kHalve, kJump, 0, kStop,
      /* 11 */ kTriple, kAddOne, kCount, kHalve, kJump, 0,
      /* 17 */ kStop,
  };
  // clang-format on
  uint64_t total = 0;
  for (long number = 2; number < numbers + 2; number++) {
    uint64_t value = (uint64_t)number, steps = 0, flag = 0;
    for (const uint8_t* at = program;;) {
      switch (*at++) {
        case kPush: value = *at++; continue;
        case kDouble: value <<= 1; continue;
        case kHalve: value >>= 1; continue;
        case kAddOne: value++; continue;
        case kTriple: value *= 3; continue;
        case kIsOdd: flag = value & 1; continue;
        case kIsOne: flag = value == 1; continue;
        case kJumpIf: at = flag ? program + *at : at + 1; continue;
        case kJump: at = program + *at; continue;
        case kCount: steps++; continue;
        default: break;
      }
      break;
    }
    total = total * 7 + steps;
  }
  return total;
}

// Calls and returns with a stack frame each: the moves of the Towers of Hanoi.
__attribute__((noinline)) static uint64_t move_tower(unsigned discs, unsigned from, unsigned to) {
  if (discs == 0) return 0;
  unsigned spare = 3 - from - to;
  uint64_t before = move_tower(discs - 1, from, spare);
  return before + move_tower(discs - 1, spare, to) + from * 2 + to;
}

static uint64_t run_calls(long towers) {
  uint64_t sum = 0;
  for (long i = 0; i < towers; i++) sum = sum * 3 + move_tower(17, 0, 2);
  return sum;
}

// The C library's memcpy and memmove, aligned and not, from a few bytes to many pages.
static uint64_t run_copy(long rounds) {
  enum { kSize = 1 << 18 };
  static uint8_t from[kSize], to[kSize + 64];
  uint64_t state = 5, sum = 0;
  for (int i = 0; i < kSize; i++) from[i] = (uint8_t)next_random(&state);
  for (long round = 0; round < rounds; round++) {
    memcpy(to + round % 3 * 8, from, kSize);
    for (unsigned size = 24; size <= 4096; size = size * 2 + 3) {
      for (unsigned at = 0; at + size < 65536; at += size * 3) memcpy(to + at + (round & 7), from + at, size);
    }
    memmove(to + 16, to, kSize - 16);
    sum = sum * 131 + to[(uint64_t)round * 977 % kSize];
  }
  return sum;
}

// A pointer chase over more pages than a first-level TLB has entries.
static uint64_t run_chase(long hops) {
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
  for (long i = 0; i < hops; i++) {
    node = next[node];
    sum += node;
  }
  return sum;
}

// Searches, compares, splits and formats text, much of it in the C library.
static uint64_t run_text(long rounds) {
  enum { kLength = 1 << 15 };
  static char text[kLength + 1];
  char number[24], copy[24];
  uint64_t state = 42, sum = 0;
  for (int i = 0; i < kLength; i++) text[i] = "adeln "[next_random(&state) % 6];
  for (long round = 0; round < rounds; round++) {
    for (const char* at = text; (at = strstr(at, "lead")) != NULL; at++) sum += (uint64_t)(at - text);
    for (const char *word = text, *end; (end = strchr(word, ' ')) != NULL; word = end + 1) {
      uint32_t hash = 2166136261u;
      for (const char* at = word; at < end; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
      sum += hash;
      sum += strncmp(word, "dealer", (size_t)(end - word)) < 0;
    }
    for (int i = 0; i < 2000; i++) {
      snprintf(number, sizeof number, "%d-%x", i * 37, i);
      strcpy(copy, number);
      sum = sum * 3 + strlen(copy) + (uint64_t)strtol(copy, NULL, 10);
    }
  }
  return sum;
}

// ---- floating point ----

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static uint64_t run_matmul(long rounds) {
  enum { kSide = 96 };
  static double a[kSide][kSide], b[kSide][kSide], c[kSide][kSide];
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) {
      a[i][j] = 1.0 / (i + j + 1);
      b[i][j] = i * 0.25 - j;
    }
  }
  double trace = 0;
  for (long round = 0; round < rounds; round++) {
    for (int i = 0; i < kSide; i++) {
      for (int j = 0; j < kSide; j++) {
        double cell = (double)round;
        for (int k = 0; k < kSide; k++) cell += a[i][k] * b[k][j];
        c[i][j] = cell;
      }
    }
    for (int i = 0; i < kSide; i++) trace += c[i][i];
  }
  return bits_of(trace);
}

// Five bodies that attract each other. The distance's root is taken with the square root instruction.
static uint64_t run_nbody(long steps) {
  enum { kBodies = 5 };
  struct Body {
    double at[3], speed[3], mass;
  } bodies[kBodies];
  for (int i = 0; i < kBodies; i++) {
    for (int axis = 0; axis < 3; axis++) {
      bodies[i].at[axis] = i * 3.5 + axis * (i % 2 ? 1.25 : -0.75);
      bodies[i].speed[axis] = (axis - 1) * 0.1 * i;
    }
    bodies[i].mass = i == 0 ? 40.0 : 0.02 * i;
  }
  const double step = 0.001;
  for (long n = 0; n < steps; n++) {
    for (int i = 0; i < kBodies; i++) {
      for (int j = i + 1; j < kBodies; j++) {
        double between[3], square = 0.01;
        for (int axis = 0; axis < 3; axis++) {
          between[axis] = bodies[i].at[axis] - bodies[j].at[axis];
          square += between[axis] * between[axis];
        }
        double pull = step / (square * __builtin_sqrt(square));
        for (int axis = 0; axis < 3; axis++) {
          bodies[i].speed[axis] -= between[axis] * bodies[j].mass * pull;
          bodies[j].speed[axis] += between[axis] * bodies[i].mass * pull;
        }
      }
    }
    for (int i = 0; i < kBodies; i++) {
      for (int axis = 0; axis < 3; axis++) bodies[i].at[axis] += step * bodies[i].speed[axis];
    }
  }
  double sum = 0;
  for (int i = 0; i < kBodies; i++) sum += bodies[i].at[0] * bodies[i].mass + bodies[i].speed[1];
  return bits_of(sum);
}

// ---- the kernel ----

static uint64_t run_syscall(long calls) {
  uint64_t same = 0;
  long self = syscall(SYS_getppid);
  for (long i = 0; i < calls; i++) same += syscall(SYS_getppid) == self;
  return same;
}

static int exit_code_of(pid_t child) {
  int status;
  if (waitpid(child, &status, 0) != child) fail("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static uint64_t run_fork(long times) {
  uint64_t sum = 0;
  for (long i = 0; i < times; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit((int)(i & 63));
    sum = sum * 5 + (uint64_t)exit_code_of(child);
  }
  return sum;
}

static uint64_t run_exec(long times) {
  uint64_t sum = 0;
  for (long i = 0; i < times; i++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      execl(program_path, program_path, "exit", (char*)NULL);
      _exit(255);
    }
    sum = sum * 5 + (uint64_t)exit_code_of(child);
  }
  return sum;
}

// A word goes to a child and comes back incremented: two switches of context each.
static uint64_t run_pipe(long times) {
  int there[2], back[2];
  if (pipe(there) != 0 || pipe(back) != 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  uint64_t word = 0;
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &word, sizeof word) == sizeof word) {
      word++;
      if (write(back[1], &word, sizeof word) != sizeof word) _exit(1);
    }
    _exit(0);
  }
  for (long i = 0; i < times; i++) {
    if (write(there[1], &word, sizeof word) != sizeof word) fail("write");
    if (read(back[0], &word, sizeof word) != sizeof word) fail("read");
  }
  close(there[1]);
  return word * 256 + (uint64_t)exit_code_of(child);
}

// First touches of anonymous pages.
static uint64_t run_fault(long rounds) {
  const size_t size = 4 << 20, page = 4096;
  uint64_t sum = 0;
  for (long round = 0; round < rounds; round++) {
    uint8_t* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    for (size_t at = 0; at < size; at += page) {
      sum += memory[at] + 1u;
      memory[at] = (uint8_t)at;
    }
    if (munmap(memory, size) != 0) fail("munmap");
  }
  return sum;
}

static uint64_t run_none(long ignored) {
  (void)ignored;
  return 0;
}

static const struct {
  const char* name;
  uint64_t (*run)(long amount);
  long amount;
} kPrograms[] = {
    {"sieve", run_sieve, 20},         {"digest", run_digest, 60000},
    {"sort", run_sort, 12},           {"bytecode", run_bytecode, 40000},
    {"calls", run_calls, 64},         {"copy", run_copy, 400},
    {"chase", run_chase, 20000000},   {"text", run_text, 64},
    {"matmul", run_matmul, 36},       {"nbody", run_nbody, 250000},
    {"syscall", run_syscall, 200000}, {"fork", run_fork, 400},
    {"exec", run_exec, 120},          {"pipe", run_pipe, 8000},
    {"fault", run_fault, 12},         {"none", run_none, 1},
    {"exec1000", run_exec, 1000},     {"fault256", run_fault, 64},
    {"pipe50k", run_pipe, 50000},     {"syscall1m", run_syscall, 1000000},
};

int main(int argc, char** argv) {
  program_path = argv[0];
  if (argc > 1 && strcmp(argv[1], "exit") == 0) return 7;
  long divisor = argc > 2 ? atol(argv[2]) : 1;
  if (divisor < 1) divisor = 1;
  for (unsigned i = 0; i < sizeof kPrograms / sizeof kPrograms[0]; i++) {
    if (argc < 2) {
      puts(kPrograms[i].name);
      continue;
    }
    if (strcmp(argv[1], kPrograms[i].name) != 0) continue;
    long amount = kPrograms[i].amount / divisor;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t result = kPrograms[i].run(amount > 0 ? amount : 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long long microseconds = (end.tv_sec - start.tv_sec) * 1000000ll + (end.tv_nsec - start.tv_nsec) / 1000;
    printf("bench %s %lld %016llx\n", argv[1], microseconds, (unsigned long long)result);
    return 0;
  }
  if (argc > 1) fprintf(stderr, "bench: no program %s\n", argv[1]);
  return argc > 1;
}
