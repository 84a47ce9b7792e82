// SPDX-License-Identifier: Apache-2.0
// Two processes of a kernel in S-mode return from an environment call at the same pc, to different code behind it.
#include "case.h"

#define USER 0x10000ul

__asm__(
    ".macro process name, first, second\n"
    "  .balign 4096\n"
    "\\name:\n"
    "1:\n"
    "  ecall\n"
    "  li t0, 12\n"
    "2:\n"
    "  \\first\n"
    "  \\second\n"
    "  addi t0, t0, -1\n"
    "  bnez t0, 2b\n"
    "  j 1b\n"
    "  .balign 4096\n"
    ".endm\n"
    "  .data\n"
    "  process parent, \"addi s0, s0, 1\", \"add s1, s1, s0\"\n"
    "  process child, \"addi s0, s0, 3\", \"xor s1, s1, s0\"\n"
    "  .text\n");
extern char parent[], child[];

static struct {
  Frame frame;
  u64 satp;
} processes[2];
static int current, calls;
enum { kCalls = 6000 };

void supervisor(Frame* f) {
  if (f->cause != kUserCall) finish(100 + f->cause);
  if (++calls == kCalls) {
    u64 sum = 0, mixed = 0;
    for (u64 i = 1; i <= 12 * (kCalls / 2 - 1); i++) sum += i;
    for (u64 i = 1; i <= 12 * (kCalls / 2 - 1); i++) mixed ^= 3 * i;
    expect(processes[0].frame.x[8], 12 * (kCalls / 2 - 1), 1);
    expect(processes[0].frame.x[9], sum, 2);
    expect(f->x[8], 12 * (kCalls / 2 - 1) * 3, 3);
    expect(f->x[9], mixed, 4);
    finish(0);
  }
  f->epc += 4;
  processes[current].frame = *f;
  current ^= 1;
  WRITE_CSR(satp, processes[current].satp);
  *f = processes[current].frame;
}

int run(void) {
  char* code[2] = {parent, child};
  for (int i = 0; i < 2; i++) {
    u64* root = new_space();
    *entry_of(root, USER) = pte((u64)code[i], kR | kX | kU);
    processes[i].satp = satp_of(root, i + 1);
    processes[i].frame.epc = USER;
  }
  WRITE_CSR(medeleg, 1 << kUserCall | 1 << 12 | 1 << kLoadFault | 1 << kStoreFault);
  WRITE_CSR(satp, processes[0].satp);
  WRITE_CSR(sscratch, &frame);
  extern char supervisor_trap[];
  WRITE_CSR(stvec, supervisor_trap);
  enter_user(USER, processes[0].frame.x);
}
