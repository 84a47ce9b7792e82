// SPDX-License-Identifier: Apache-2.0
// U-mode reads and writes through every slot of the TLB while nothing is in it: every access must fault with the
// address that was used, whatever the upper bits of the address are. First with tables that were never filled, then
// after they were full and SFENCE.VMA has emptied them. Made for 64 MiB of RAM, whose tables have 2^15 slots.
#include "case.h"

#define CODE 0x10000ul
enum { kSlots = 1 << 15 };

// s0: slot, s1: random, s2: its factor, s3: number of slots, t0: address.
__asm__(
    "  .data\n"
    "  .balign 4096\n"
    "  .option push\n"
    "  .option norvc\n"
    "user:\n"
    "  li s0, 0\n"
    "1:\n"
    "  mul s1, s1, s2\n"
    "  addi s1, s1, 1237\n"
    "  srli t1, s1, 27\n"  // upper bits: none, random, one of them, or all above bit 38 alike
    "  srli t2, s1, 62\n"
    "  beqz t2, 2f\n"
    "  addi t2, t2, -1\n"
    "  beqz t2, 4f\n"
    "  addi t2, t2, -1\n"
    "  beqz t2, 3f\n"
    "  slli t1, t1, 52\n"
    "  srai t1, t1, 25\n"
    "  j 5f\n"
    "2:\n"
    "  li t1, 0\n"
    "  j 5f\n"
    "3:\n"
    "  andi t2, t1, 63\n"
    "  li t1, 1\n"
    "  sll t1, t1, t2\n"
    "4:\n"
    "  srli t1, t1, 1\n"
    "  slli t1, t1, 27\n"
    "5:\n"
    "  slli t2, s0, 12\n"
    "  or t0, t1, t2\n"
    "  srli t2, s1, 40\n"
    "  slli t2, t2, 52\n"
    "  srli t2, t2, 52\n"
    "  or t0, t0, t2\n"
    "  srli t3, s1, 55\n"
    "  andi t4, t3, 3\n"
    "  beqz t4, 10f\n"
    "  addi t4, t4, -1\n"
    "  beqz t4, 11f\n"
    "  addi t4, t4, -1\n"
    "  beqz t4, 12f\n"
    "  andi t0, t0, -8\n"
    "  ld t5, 0(t0)\n"
    "  sd t5, 0(t0)\n"
    "  fld fa0, 0(t0)\n"
    "  fsd fa0, 0(t0)\n"
    "  j 13f\n"
    "10:\n"
    "  lb t5, 0(t0)\n"
    "  sb t5, 0(t0)\n"
    "  lbu t5, 0(t0)\n"
    "  sb zero, 0(t0)\n"
    "  j 13f\n"
    "11:\n"
    "  andi t0, t0, -2\n"
    "  lh t5, 0(t0)\n"
    "  sh t5, 0(t0)\n"
    "  lhu t5, 0(t0)\n"
    "  sh zero, 0(t0)\n"
    "  j 13f\n"
    "12:\n"
    "  andi t0, t0, -4\n"
    "  lw t5, 0(t0)\n"
    "  sw t5, 0(t0)\n"
    "  flw fa0, 0(t0)\n"
    "  fsw fa0, 0(t0)\n"
    "13:\n"
    "  addi s0, s0, 1\n"
    "  bne s0, s3, 1b\n"
    "  ecall\n"
    // A word of every page of RAM.
    "  li t0, 0x80000000\n"
    "  li t1, 0x84000000\n"
    "  li t3, 0x81000000\n"
    "  lui t2, 1\n"
    "1:\n"
    "  ld t4, 8(t0)\n"
    "  bltu t0, t3, 2f\n"
    "  sd t4, 8(t0)\n"
    "2:\n"
    "  add t0, t0, t2\n"
    "  bne t0, t1, 1b\n"
    "  ecall\n"
    "  j user\n"
    "  .option pop\n"
    "  .balign 4096\n"
    "  .text\n");
extern char user[];

// Counts and steps over. Its own accesses use M-mode's tables.
__asm__(
    "  .text\n"
    "  .balign 4\n"
    "count_fault:\n"
    "  csrrw a0, mscratch, a0\n"
    "  sd a1, 512(a0)\n"
    "  sd a2, 520(a0)\n"
    "  csrr a1, mcause\n"
    "  li a2, 8\n"
    "  beq a1, a2, 3f\n"
    "  csrr a2, mtval\n"
    "  bne a2, t0, 2f\n"
    "  slli a1, a1, 3\n"
    "  add a1, a1, a0\n"
    "  ld a2, 528(a1)\n"
    "  addi a2, a2, 1\n"
    "  sd a2, 528(a1)\n"
    "  csrr a1, mepc\n"
    "  addi a1, a1, 4\n"
    "  csrw mepc, a1\n"
    "  ld a1, 512(a0)\n"
    "  ld a2, 520(a0)\n"
    "  csrrw a0, mscratch, a0\n"
    "  mret\n"
    "2:\n"
    "  li a0, 3\n"
    "  j finish\n"
    "3:\n"
    "  ld a1, 512(a0)\n"
    "  ld a2, 520(a0)\n"
    "  csrrw a0, mscratch, a0\n"
    "  j machine_trap\n");
extern char count_fault[];
static u64 calls, *root;

void machine(Frame* f) {
  if (f->cause != kUserCall) finish(100 + f->cause);
  f->epc += 4;
  const u64* faults = (const u64*)READ_CSR(mscratch) + 64 + 2;
  if (++calls % 2 == 1) {
    const u64 times = (calls + 1) / 2;
    expect(faults[kLoadFault], 2 * kSlots * times, 1);
    expect(faults[kStoreFault], 2 * kSlots * times, 2);
    if (calls == 3) finish(0);
    root[2] = pte(0x80000000, kR | kW | kU);
  } else {
    root[2] = 0;
  }
  sfence_vma();
}

int run(void) {
  static const u64 registers[32] = {[9] = 12345, [18] = 6364136223846793005u, [19] = kSlots};
  root = (u64*)new_page();
  *entry_of(root, CODE) = pte((u64)user, kX | kU);
  WRITE_CSR(satp, satp_of(root, 0));
  WRITE_CSR(mtvec, count_fault);
  enter_user(CODE, registers);
}
