// SPDX-License-Identifier: Apache-2.0
// A page of U-mode's that is hot and compiled is no code for S-mode: every jump there from compiled code of S-mode
// faults.
#include "case.h"

#define USER 0x10000ul
enum { kCalls = 800, kJumps = 8, kFetchFault = 12 };

__asm__(
    "  .data\n"
    "  .balign 4096\n"
    "user:\n"
    "  li t0, 10\n"
    "1:\n"
    "  addi s0, s0, 1\n"
    "  addi t0, t0, -1\n"
    "  bnez t0, 1b\n"
    "  ecall\n"
    "  j user\n"
    "  .balign 4096\n"
    "  .text\n"
    // a0: address, a1: times. The fault handler returns to ra.
    "jumps:\n"
    "  addi sp, sp, -16\n"
    "  sd ra, 0(sp)\n"
    "1:\n"
    "  jalr a0\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, 1b\n"
    "  ld ra, 0(sp)\n"
    "  addi sp, sp, 16\n"
    "  ret\n");
extern char user[], supervisor_trap[];
void jumps(u64 address, u64 times);

static Frame own;
static volatile u64 faults;
static u64 calls;

void machine(Frame* f) {
  if (f->cause != kFetchFault || f->tval != USER || f->epc != USER) finish(100 + f->cause);
  faults++;
  f->epc = f->x[1];
}

void supervisor(Frame* f) {
  if (f->cause != kUserCall) finish(50 + f->cause);
  f->epc += 4;
  jumps(USER, kJumps);
  if (++calls < kCalls) return;
  expect(faults, kCalls * kJumps, 1);
  expect(f->x[8], 10 * kCalls, 2);
  finish(0);
}

int run(void) {
  static const u64 registers[32];
  u64* root = new_space();
  *entry_of(root, USER) = pte((u64)user, kR | kX | kU);
  WRITE_CSR(medeleg, 1 << kUserCall);
  WRITE_CSR(satp, satp_of(root, 0));
  WRITE_CSR(sscratch, &own);
  WRITE_CSR(stvec, supervisor_trap);
  enter_user(USER, registers);
}
