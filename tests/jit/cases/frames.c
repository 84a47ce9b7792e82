// SPDX-License-Identifier: Apache-2.0
// Code that goes back to its frame in every block, as compilers without optimization make it; frames in all positions,
// also across the border of two pages; a callee that returns with another stack pointer; and MPRV, which makes the same
// addresses other memory between two uses of a frame.
#include "case.h"

#define PLAIN __attribute__((noinline, optimize("O0")))

PLAIN static u64 fib(u64 n) {
  if (n < 2) return n;
  return fib(n - 1) + fib(n - 2);
}

PLAIN static u64 loops(u64 n) {
  u64 sum = 0, table[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  u32 small = 1;
  unsigned short smaller = 2;
  unsigned char smallest = 3;
  for (u64 i = 0; i < n; i++) {
    for (u64 j = 0; j < 4; j++) {
      table[(i + j) & 7] += sum ^ j;
      if (table[j] & 1)
        sum += table[j] + small++;
      else
        sum ^= table[j] * smaller++;
      smallest += sum;
    }
  }
  return sum + small + smaller + smallest;
}

// At every distance from the border of a page that a stack pointer can have.
PLAIN static u64 slide(void) {
  u64 sum = 0;
  for (u64 i = 0; i < 256; i++) {
    volatile char* const gap = __builtin_alloca(16 * (i & 15) + 16);
    gap[0] = (char)i;
    sum = sum * 31 + loops(3) + fib(6) + (u64)gap[0];
  }
  return sum;
}

// Moves the stack pointer by a0. Its caller uses the stack before and behind it. `rounds` is odd.
void move(u64 bytes);
u64 moved(u64 rounds);
__asm__(
    "  .text\n"
    "move:\n"
    "  add sp, sp, a0\n"
    "  ret\n"
    "moved:\n"
    "  addi sp, sp, -64\n"
    "  sd ra, 56(sp)\n"
    "  mv a4, a0\n"
    "  li a5, 0\n"
    "1:\n"
    "  sd a4, 0(sp)\n"
    "  andi a3, a4, 1\n"
    "  beqz a3, 2f\n"
    "  sd a5, 8(sp)\n"
    "2:\n"
    "  li a0, -48\n"
    "  call move\n"
    "  sd a5, 0(sp)\n"
    "  andi a3, a4, 3\n"
    "  beqz a3, 3f\n"
    "  sd a4, 8(sp)\n"
    "3:\n"
    "  ld a1, 48(sp)\n"  // what is at 0 there
    "  add a5, a5, a1\n"
    "  beqz a1, 4f\n"
    "  ld a2, 56(sp)\n"
    "  xor a5, a5, a2\n"
    "4:\n"
    "  li a0, 48\n"
    "  call move\n"
    "  ld a1, -48(sp)\n"
    "  add a5, a5, a1\n"
    "  addi a4, a4, -1\n"
    "  bnez a4, 1b\n"
    "  mv a0, a5\n"
    "  ld ra, 56(sp)\n"
    "  addi sp, sp, 64\n"
    "  ret\n");

static u64 moved_by_hand(u64 rounds) {
  u64 a5 = 0, slot = 0;
  for (u64 a4 = rounds; a4 != 0; a4--) {
    if (a4 & 1) slot = a5;
    const u64 kept = a5;
    a5 = (a5 + a4) ^ slot;
    a5 += kept;
  }
  return a5;
}

// Ways through a frame again and again, before and behind calls that move it.
u64 around(u64 rounds);
__asm__(
    "  .text\n"
    "  .macro way sum, count\n"
    "  li t1, \\count\n"
    "1:\n"
    "  ld t0, 0(s0)\n"
    "  add \\sum, \\sum, t0\n"
    "  andi t2, t1, 1\n"
    "  beqz t2, 2f\n"
    "  ld t0, 8(s0)\n"
    "  xor \\sum, \\sum, t0\n"
    "2:\n"
    "  andi t2, t1, 2\n"
    "  beqz t2, 3f\n"
    "  addi t0, t0, 1\n"
    "  sd t0, 16(s0)\n"
    "3:\n"
    "  ld t0, 24(s0)\n"
    "  add \\sum, \\sum, t0\n"
    "  addi t1, t1, -1\n"
    "  bnez t1, 1b\n"
    "  .endm\n"
    "next:\n"  // the frame behind
    "  addi s0, s0, 1024\n"
    "  addi s0, s0, 1024\n"
    "  ret\n"
    "around:\n"
    "  addi sp, sp, -64\n"
    "  sd ra, 56(sp)\n"
    "  sd s0, 48(sp)\n"
    "  sd s1, 40(sp)\n"
    "  mv a4, a0\n"
    "  li a0, 0\n"
    "4:\n"
    "  la s0, frames\n"
    "  sd s0, 16(sp)\n"
    "  sd a4, 8(sp)\n"
    "  way a0, 9\n"
    "  call next\n"
    "  way a0, 6\n"
    "  call next\n"
    "  way a0, 7\n"
    "  ld s1, 8(sp)\n"  // the base in the middle of a group
    "  ld s0, 16(sp)\n"
    "  ld t3, 24(sp)\n"
    "  way a0, 8\n"
    "  addi a4, a4, -1\n"
    "  bnez a4, 4b\n"
    "  ld ra, 56(sp)\n"
    "  ld s0, 48(sp)\n"
    "  ld s1, 40(sp)\n"
    "  addi sp, sp, 64\n"
    "  ret\n");
static u64 frames[3 * 256] __attribute__((aligned(4096), used));

static u64 way(u64* frame, u64 sum, u64 count) {
  for (; count != 0; count--) {
    u64 t0 = frame[0];
    sum += t0;
    if (count & 1) sum ^= t0 = frame[1];
    if (count & 2) frame[2] = t0 + 1;
    sum += frame[3];
  }
  return sum;
}

static u64 around_by_hand(u64 rounds) {
  u64 sum = 0;
  for (; rounds != 0; rounds--) {
    sum = way(frames, sum, 9);
    sum = way(frames + 256, sum, 6);
    sum = way(frames + 512, sum, 7);
    sum = way(frames, sum, 8);
  }
  return sum;
}

// Reads two words at `at` with MPRV off, two with MPRV on, two with MPRV off, in blocks of their own.
u64 turns(const u64* at, u64 rounds, u64 mprv);
__asm__(
    "  .text\n"
    "turns:\n"
    "  mv a4, a0\n"
    "  li a0, 0\n"
    "1:\n"
    "  ld t0, 0(a4)\n"
    "  add a0, a0, t0\n"
    "  beqz a1, 2f\n"
    "  ld t0, 8(a4)\n"
    "  add a0, a0, t0\n"
    "2:\n"
    "  beqz a1, 3f\n"
    "  ld t0, 16(a4)\n"
    "  add a0, a0, t0\n"
    "3:\n"
    "  csrs mstatus, a2\n"
    "  ld t0, 0(a4)\n"
    "  slli t0, t0, 1\n"
    "  add a0, a0, t0\n"
    "  beqz a1, 4f\n"
    "  ld t0, 8(a4)\n"
    "  add a0, a0, t0\n"
    "4:\n"
    "  beqz a1, 5f\n"
    "  ld t0, 16(a4)\n"
    "  xor a0, a0, t0\n"
    "5:\n"
    "  csrc mstatus, a2\n"
    "  ld t0, 0(a4)\n"
    "  slli t0, t0, 2\n"
    "  add a0, a0, t0\n"
    "  beqz a1, 6f\n"
    "  ld t0, 8(a4)\n"
    "  add a0, a0, t0\n"
    "6:\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, 1b\n"
    "  ret\n");

void machine(Frame* f) { finish(100 + f->cause); }
void supervisor(Frame* f) { finish(200 + f->cause); }

int run(void) {
  expect(fib(16), 987, 1);
  const u64 once = loops(4000);
  for (u64 i = 0; i < 3; i++) expect(loops(4000), once, 2);
  const u64 first = slide();
  expect(slide(), first, 3);
  expect(moved(20001), moved_by_hand(20001), 4);

  for (u64 i = 0; i < 3; i++) {
    for (u64 k = 0; k < 4; k++) frames[256 * i + k] = (i * 4 + k + 1) * 0x9e3779b97f4a7c15;
  }
  const u64 sum = around_by_hand(2000);
  expect(around(2000), sum, 6);

  u64* const here = (u64*)new_page();
  u64* const there = (u64*)new_page();
  for (u64 i = 0; i < 3; i++) {
    here[i] = 3 + i;
    there[i] = 1000 + 7 * i;
  }
  u64* const root = new_space();
  // RAM page by page, so that one of them can be elsewhere.
  root[2] = 0;
  *entry_of(root, (u64)here) = pte((u64)there, kR | kW);
  WRITE_CSR(satp, satp_of(root, 0));
  sfence_vma();
  u64 mstatus = READ_CSR(mstatus);
  WRITE_CSR(mstatus, (mstatus & ~(u64)MSTATUS_MPP) | MSTATUS_MPP_S);
  enum { kRounds = 5000 };
  u64 wanted = 0;
  for (u64 i = 0; i < kRounds; i++) {
    wanted += here[0] + here[1] + here[2] + 2 * there[0] + there[1];
    wanted ^= there[2];
    wanted += 4 * here[0] + here[1];
  }
  expect(turns(here, kRounds, MSTATUS_MPRV), wanted, 5);
  WRITE_CSR(mstatus, mstatus);
  WRITE_CSR(satp, 0);
  return 0;
}
