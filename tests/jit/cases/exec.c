// SPDX-License-Identifier: Apache-2.0
// The same virtual addresses get new code, in the same physical page or in another one, with SFENCE.VMA and FENCE.I.
#include "case.h"

#define USER 0x10000ul

__asm__(
    "  .data\n"
    "  .balign 4096\n"
    "program:\n"
    "1:\n"
    "  li t0, 20\n"
    "2:\n"
    "  addi s0, s0, 1\n"  // the immediate differs from program to program
    "  .option push\n"
    "  .option norvc\n"
    "constant:\n"
    "  addi s1, s1, 1\n"
    "  .option pop\n"
    "  addi t0, t0, -1\n"
    "  bnez t0, 2b\n"
    "  ecall\n"
    "  j 1b\n"
    "  .balign 4096\n"
    "  .text\n");
extern char program[], constant[];

enum { kPrograms = 7, kCalls = 900 };
static u64 *place, memory[2];
static u64 number, calls;

// Program `number` into the page that is in use, or, every other time, into the other page.
static void load(void) {
  const u64 at = memory[number / 2 % 2];
  copy((void*)at, program, 4096);
  *(u32*)(at + (constant - program)) = 0x00048493 | (u32)(number + 1) << 20;  // addi s1, s1, number + 1
  *place = pte(at, kR | kX | kU);
  sfence_vma();
  fence_i();
}

void supervisor(Frame* f) {
  if (f->cause != kUserCall) finish(100 + f->cause);
  f->epc += 4;
  if (++calls % kCalls != 0) return;
  if (++number == kPrograms) {
    expect(f->x[8], 20ul * kCalls * kPrograms, 1);
    expect(f->x[9], 20ul * kCalls * kPrograms * (kPrograms + 1) / 2, 2);
    finish(0);
  }
  load();
  f->epc = USER;
}

int run(void) {
  static const u64 registers[32];
  u64* root = new_space();
  place = entry_of(root, USER);
  memory[0] = new_page();
  memory[1] = new_page();
  WRITE_CSR(medeleg, 1 << kUserCall | 1 << 12);
  WRITE_CSR(satp, satp_of(root, 0));
  WRITE_CSR(sscratch, &frame);
  extern char supervisor_trap[];
  WRITE_CSR(stvec, supervisor_trap);
  load();
  enter_user(USER, registers);
}
