// SPDX-License-Identifier: Apache-2.0
// Control flow that is no plain loop: a loop with two entries, a jump table, computed gotos.
#include "case.h"

#ifdef CASE_IRREDUCIBLE
// Two blocks of one cycle, both entered from outside, and a second such cycle inside that shares its blocks.
u64 cycle(u64 a, u64 b, u64 steps);
__asm__(
    "  .text\n"
    "cycle:\n"
    "  andi t0, a0, 1\n"
    "  bnez t0, 2f\n"
    "1:\n"
    "  slli t1, a0, 1\n"
    "  add a1, a1, t1\n"
    "  xor a0, a0, a1\n"
    "  addi a2, a2, -1\n"
    "  blez a2, 4f\n"
    "  andi t0, a1, 6\n"
    "  beqz t0, 3f\n"
    "2:\n"
    "  srli t1, a1, 3\n"
    "  add a0, a0, t1\n"
    "  addi a2, a2, -1\n"
    "  blez a2, 4f\n"
    "  andi t0, a0, 8\n"
    "  beqz t0, 1b\n"
    "3:\n"
    "  addi a0, a0, 13\n"
    "  addi a2, a2, -1\n"
    "  blez a2, 4f\n"
    "  andi t0, a0, 16\n"
    "  bnez t0, 2b\n"
    "  j 1b\n"
    "4:\n"
    "  add a0, a0, a1\n"
    "  ret\n");
// The same, by a state.
static __attribute__((noinline)) u64 cycle_again(u64 a, u64 b, long steps) {
  for (u64 state = a & 1 ? 2 : 1;;) {
    if (state == 1) {
      b += a << 1;
      a ^= b;
      state = (b & 6) == 0 ? 3 : 2;
    } else if (state == 2) {
      a += b >> 3;
      state = (a & 8) == 0 ? 1 : 3;
    } else {
      a += 13;
      state = (a & 16) != 0 ? 2 : 1;
    }
    if (--steps <= 0) return a + b;
  }
}
int run(void) {
  for (u64 i = 0; i < 2000; i++) expect(cycle(i * 77, i, 50 + i % 7), cycle_again(i * 77, i, 50 + i % 7), 1);
  return 0;
}

#elif defined(CASE_JUMP_TABLE)
static __attribute__((noinline)) u64 step(u64 what, u64 v) {
  switch (what) {
    case 0: return v + 1;
    case 1: return v ^ 0x5555;
    case 2: return v * 3;
    case 3: return v >> 1;
    case 4: return v << 2 | 1;
    case 5: return ~v;
    case 6: return v - 77;
    case 7: return v / 7;
    case 8: return v % 1001;
    case 9: return -v;
    default: return 5;
  }
}
static u64 step_again(u64 what, u64 v) {
  const u64 all[] = {v + 1, v ^ 0x5555, v * 3, v >> 1, v << 2 | 1, ~v, v - 77, v / 7, v % 1001, -v, 5};
  u64 result = 0;
  for (u64 i = 0; i < 11; i++) result |= all[i] & -(u64)(i == (what < 10 ? what : 10));
  return result;
}
int run(void) {
  u64 v = 1, other = 1, random = 1;
  for (int i = 0; i < 8000; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    v = step(random >> 60, v);
    other = step_again(random >> 60, other);
    expect(v, other, 1);
  }
  return 0;
}

#else
// A small machine of its own: threaded code.
static __attribute__((noinline)) u64 threaded(const unsigned char* at, u64 turns) {
  static const void* const operations[] = {&&add, &&mix, &&twice, &&skip, &&back, &&end};
  u64 a = 1, b = 2;
  const unsigned char* const first = at;
#define NEXT goto* operations[*at++]
  NEXT;
add:
  a += b;
  NEXT;
mix:
  b ^= a << 3 | a >> 61;
  NEXT;
twice:
  a *= 2;
  NEXT;
skip:
  if (b & 4) at++;
  NEXT;
back:
  if (--turns != 0) at = first;
  NEXT;
end:
  return a ^ b;
}
static u64 threaded_again(const unsigned char* first, u64 turns) {
  u64 a = 1, b = 2;
  for (const unsigned char* at = first;;) {
    const u64 what = *at++;
    if (what == 5) return a ^ b;
    if (what == 0) a += b;
    if (what == 1) b ^= a << 3 | a >> 61;
    if (what == 2) a *= 2;
    if (what == 3 && (b & 4)) at++;
    if (what == 4 && --turns != 0) at = first;
  }
}
int run(void) {
  static const unsigned char program[] = {0, 1, 3, 2, 0, 3, 1, 1, 0, 3, 3, 2, 0, 4, 5};
  expect(threaded(program, 5000), threaded_again(program, 5000), 1);
  return 0;
}
#endif
