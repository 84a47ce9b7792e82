// SPDX-License-Identifier: Apache-2.0
// SUM, MPRV and FS change inside a called function; the access or the arithmetic behind the call then succeeds or
// traps.
#include "case.h"

#define USER 0x10000ul

static volatile u64 faults, cause;

// a0: rounds, a1: function, a2: address. Returns the sum of what the loads gave; one that trapped gives 1000.
#define CALLER(name, work)                \
  __asm__("  .text\n  .balign 64\n" #name \
          ":\n"                           \
          "  addi sp, sp, -48\n"          \
          "  sd ra, 0(sp)\n"              \
          "  sd s0, 8(sp)\n"              \
          "  sd s1, 16(sp)\n"             \
          "  sd s2, 24(sp)\n"             \
          "  sd s3, 32(sp)\n"             \
          "  mv s1, a0\n"                 \
          "  mv s2, a1\n"                 \
          "  mv s3, a2\n"                 \
          "  li s0, 0\n"                  \
          "1:\n"                          \
          "  mv a0, s1\n"                 \
          "  jalr s2\n"                   \
          "  .option push\n"              \
          "  .option norvc\n" work        \
          "  .option pop\n"               \
          "  add s0, s0, a5\n"            \
          "  addi s1, s1, -1\n"           \
          "  bnez s1, 1b\n"               \
          "  mv a0, s0\n"                 \
          "  ld ra, 0(sp)\n"              \
          "  ld s0, 8(sp)\n"              \
          "  ld s1, 16(sp)\n"             \
          "  ld s2, 24(sp)\n"             \
          "  ld s3, 32(sp)\n"             \
          "  addi sp, sp, 48\n"           \
          "  ret\n")
// The same inside one function. a0: rounds, a1: bits, a2: address. A csr instruction takes effect on what is behind it
// although both are compiled together.
#define INLINE(name, work)                \
  __asm__("  .text\n  .balign 64\n" #name \
          ":\n"                           \
          "  li t6, 0\n"                  \
          "  .option push\n"              \
          "  .option norvc\n"             \
          "1:\n" work                     \
          "  addi a0, a0, -1\n"           \
          "  bnez a0, 1b\n"               \
          "  .option pop\n"               \
          "  mv a0, t6\n"                 \
          "  ret\n")
u64 caller(u64 rounds, void (*function)(u64), u64 address);
u64 inside(u64 rounds, u64 bits, u64 address);

void machine(Frame* f) {
#ifdef CASE_FS
  // Whatever the instruction would have written stays as it was.
  const u64 tval = *(u32*)f->epc;
#else
  const u64 tval = USER;
  f->x[15] = 1000;
#endif
  if (f->cause != cause || f->tval != tval) finish(100 + f->cause);
  faults++;
  f->epc += 4;
}

#ifdef CASE_SUM
CALLER(caller, "ld a5, 0(s3)\n");
INLINE(inside, "ld a5, 0(a2)\n add t6, t6, a5\n csrc sstatus, a1\n ld a5, 0(a2)\n add t6, t6, a5\n csrs sstatus, a1\n");

static void callee(u64 round) {
  const u64 sum = SSTATUS_SUM;
  if (round % 300 == 0) __asm__ volatile("csrs sstatus, %0" ::"r"(sum));
  if (round % 300 == 150) __asm__ volatile("csrc sstatus, %0" ::"r"(sum));
}

static void kernel(void) {
  // On for 12000 to 11851, off for 11850 to 11701, and so on.
  expect(caller(12000, callee, USER), 6000 * 7 + 6000 * 1000, 1);
  expect(faults, 6000, 2);
  __asm__ volatile("csrs sstatus, %0" ::"r"(SSTATUS_SUM));
  expect(inside(4000, SSTATUS_SUM, USER), 4000 * (7 + 1000), 3);
  expect(faults, 10000, 4);
  finish(0);
}

int run(void) {
  u64* root = new_space();
  const u64 page = new_page();
  *(u64*)page = 7;
  *entry_of(root, USER) = pte(page, kR | kW | kU);
  WRITE_CSR(satp, satp_of(root, 0));
  cause = kLoadFault;
  enter_supervisor(kernel);
}

#elif defined(CASE_MPRV)
// What is behind the load must not be translated.
CALLER(caller, "ld a5, 0(s3)\n li t0, 0x20000\n csrc mstatus, t0\n");
INLINE(inside, "ld a5, 0(a2)\n add t6, t6, a5\n csrs mstatus, a1\n ld a5, 0(a2)\n add t6, t6, a5\n csrc mstatus, a1\n");

static void callee(u64 round) {
  const u64 bits = MSTATUS_MPRV | MSTATUS_MPP, as_user = MSTATUS_MPRV;
  // Nothing may be loaded from here to the return.
  if (round / 150 % 2 == 0) __asm__ volatile("csrc mstatus, %0\n csrs mstatus, %1" ::"r"(bits), "r"(as_user));
}

int run(void) {
  // The address is one of RAM's, and translated another one.
  u64* root = (u64*)new_page();
  const u64 page = new_page(), other = new_page();
  *(u64*)page = 7;
  *(u64*)other = 1000;
  *entry_of(root, other) = pte(page, kR | kW | kU);
  WRITE_CSR(satp, satp_of(root, 0));
  // With MPRV where round / 150 is even.
  expect(caller(12000, callee, other), 6000 * 1000 + 6000 * 7, 1);
  __asm__ volatile("csrc mstatus, %0" ::"r"(MSTATUS_MPP));
  expect(inside(4000, MSTATUS_MPRV, other), 4000 * (7 + 1000), 2);
  expect(faults, 0, 3);
  return 0;
}

#else
CALLER(caller,
       "li a5, 1000\n fcvt.d.l fa0, s1\n fadd.d fa0, fa0, fa0\n fcvt.l.d a5, fa0\n"
       "fmv.d.x fa1, s1\n fld fa2, 0(s3)\n fsd fa2, 8(s3)\n fsgnj.d fa3, fa2, fa1\n");
INLINE(inside,
       "fmv.d.x fa1, a0\n fmv.x.d t0, fa1\n add t6, t6, t0\n csrc mstatus, a1\n"
       "li t0, 1000\n fmv.x.d t0, fa1\n fld fa1, 0(a2)\n fadd.d fa1, fa1, fa1\n add t6, t6, t0\n csrs mstatus, a1\n");
u64 rounded(u64 rounds, u64 mode, u64 address);
INLINE(rounded,
       "fsrm zero\n fcvt.d.l fa0, a0\n fld fa1, 0(a2)\n fdiv.d fa2, fa1, fa0\n fsrm a1\n fdiv.d fa3, fa1, fa0\n"
       "fmv.x.d t0, fa2\n fmv.x.d t1, fa3\n sub t0, t0, t1\n add t6, t6, t0\n");

static void callee(u64 round) {
  const u64 fs = MSTATUS_FS;
  if (round % 300 == 0) __asm__ volatile("csrs mstatus, %0" ::"r"(fs));
  if (round % 300 == 150) __asm__ volatile("csrc mstatus, %0" ::"r"(fs));
}

int run(void) {
  const u64 page = new_page();
  *(double*)page = 1e17 / 3;
  cause = kIllegal;
  // On for 12000 to 11851, off for 11850 to 11701, and so on: seven traps each.
  u64 sum = 0;
  for (u64 round = 12000; round > 0; round--) sum += (round + 299) / 300 * 300 - round < 150 ? 2 * round : 1000;
  expect(caller(12000, callee, page), sum, 1);
  expect(faults, 7 * 6000, 2);
  expect(((u64*)page)[1], *(u64*)page, 3);
  __asm__ volatile("csrs mstatus, %0" ::"r"(MSTATUS_FS));
  expect(inside(4000, MSTATUS_FS, page), 2000 * 4001 + 4000 * 1000, 4);
  expect(faults, 7 * 6000 + 3 * 4000, 5);
  // Rounded to nearest and down: a last place less, or none, in about half of the rounds.
  const u64 up = rounded(2000, 2, page);
  if (up < 500 || up > 6000) finish(6);
  expect(rounded(2000, 0, page), 0, 7);
  return 0;
}
#endif
