// SPDX-License-Identifier: Apache-2.0
// Misaligned accesses that walk over the border of two pages, in U-mode. The second page is sometimes not there, or not
// writable: then the access faults in the middle of compiled code, and every register must be what it is after exactly
// the instructions before it.
#include "case.h"

#define CODE 0x10000ul
#define DATA 0x40000ul  // two pages

__asm__(
    "  .data\n"
    "  .balign 4096\n"
    "user:\n"
    "  li a5, 0\n"
    "1:\n"
    "  li a0, 0x40000 + 4096 - 70\n"
    "  li a1, 0x40000 + 4096 + 40\n"
    "2:\n"
    "  ld t0, 0(a0)\n"
    "  addi s0, s0, 1\n"
    "  lw t1, 5(a0)\n"
    "  add s1, s1, t0\n"
    "  xor s2, s2, t1\n"
    "  lhu t2, 11(a0)\n"
    "  sh t2, 1(a0)\n"
    "  add s3, s3, t2\n"
    "  sd s1, 3(a0)\n"
    "  mul s4, s1, s2\n"
    "  sw s2, 13(a0)\n"
    "  fld fa0, 7(a0)\n"
    "  fsd fa0, 21(a0)\n"
    "  ld s5, 32(a0)\n"  // four neighbours
    "  ld s6, 40(a0)\n"
    "  ld s7, 48(a0)\n"
    "  ld s8, 56(a0)\n"
    "  sd s8, 32(a0)\n"
    "  sd s6, 40(a0)\n"
    "  sd s7, 48(a0)\n"
    "  sd s5, 56(a0)\n"
    "  addi a0, a0, 3\n"
    "  bltu a0, a1, 2b\n"
    // Aligned but for one of eight turns, among them that at the border, so that most of it runs compiled.
    "  li a0, 0x40000 + 4096 - 512\n"
    "  li a1, 0x40000 + 4096 + 64\n"
    "3:\n"
    "  srli t3, a0, 3\n"
    "  not t3, t3\n"
    "  andi t3, t3, 7\n"
    "  seqz t3, t3\n"
    "  slli t4, t3, 1\n"
    "  add t3, t3, t4\n"
    "  add a2, a0, t3\n"
    "  ld t0, 0(a0)\n"
    "  add s1, s1, t0\n"
    "  ld t1, 0(a2)\n"
    "  xor s2, s2, t1\n"
    "  sd s2, 0(a2)\n"
    "  addi s3, s3, 7\n"
    "  lw t2, 0(a2)\n"
    "  sub s4, s4, t2\n"
    "  sw s4, 0(a2)\n"
    "  fld fa1, 0(a2)\n"
    "  addi s5, s5, 1\n"
    "  fsd fa1, 0(a0)\n"
    "  sd s1, -16(a0)\n"
    "  sd s5, -8(a0)\n"
    "  addi a0, a0, 8\n"
    "  bltu a0, a1, 3b\n"
    "  addi a5, a5, 1\n"
    "  andi t0, a5, 7\n"
    "  bnez t0, 1b\n"
    "  ecall\n"
    "  j user\n"
    "  .balign 4096\n"
    "  .text\n");
extern char user[];

enum { kCalls = 200 };
static u64 *second, second_page;
static u64 calls, faults[2];
static Frame* log;

void machine(Frame* f) {
  if (f->cause == kUserCall) {
    f->epc += 4;
    if (++calls == kCalls) {
      expect(faults[0] != 0 && faults[1] != 0, 1, 1);
      finish(0);
    }
    const u64 flags[] = {kR | kW | kU, 0, kR | kU};
    *second = calls % 3 == 1 ? 0 : pte(second_page, flags[calls % 3]);
    sfence_page(DATA + 4096);
    return;
  }
  if (f->cause != kLoadFault && f->cause != kStoreFault) finish(100 + f->cause);
  if (f->tval < DATA + 4096 || f->tval >= DATA + 4096 + 128) finish(50);  // of the part in the second page
  faults[f->cause == kStoreFault]++;
  *log++ = *f;
  // What was not there comes back step by step.
  *second = pte(second_page, f->cause == kStoreFault ? kR | kW | kU : kR | kU);
  sfence_vma();
}

int run(void) {
  static const u64 registers[32];
  u64* root = new_space();
  *entry_of(root, CODE) = pte((u64)user, kR | kX | kU);
  const u64 first_page = new_page();
  new_page();  // what is behind the first page physically is another one
  second_page = new_page();
  *entry_of(root, DATA) = pte(first_page, kR | kW | kU);
  second = entry_of(root, DATA + 4096);
  *second = pte(second_page, kR | kW | kU);
  for (u64 i = 0; i < 512; i++) {
    ((u64*)first_page)[i] = i * 0x9e3779b97f4a7c15;
    ((u64*)second_page)[i] = i * 0xc2b2ae3d27d4eb4f;
  }
  log = (Frame*)new_page();  // and all behind it
  WRITE_CSR(satp, satp_of(root, 0));
  enter_user(CODE, registers);
}
