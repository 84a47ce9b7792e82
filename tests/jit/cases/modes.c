// SPDX-License-Identifier: Apache-2.0
// SUM, MPRV and FS change inside a called function; the access or the arithmetic behind the call then succeeds or
// traps.
#include "case.h"

#define USER 0x10000ul

static u64* root;
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
#ifdef CASE_SUM
CALLER(caller, "ld a5, 0(s3)\n");
#elif defined(CASE_MPRV)
// Without MPRV the address is none of RAM's. What is behind must not be translated.
CALLER(caller, "ld a5, 0(s3)\n  li t0, 0x20000\n  csrc mstatus, t0\n");
#else
CALLER(caller, "li a5, 1000\n  fcvt.d.l fa0, s1\n  fadd.d fa0, fa0, fa0\n  fcvt.l.d a5, fa0\n");
#endif
u64 caller(u64 rounds, void (*function)(u64), u64 address);

void machine(Frame* f) {
#ifdef CASE_FS
  // Each of the three traps; the value stays what it was before.
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
static void callee(u64 round) {
  const u64 sum = SSTATUS_SUM;
  if (round % 300 == 0) __asm__ volatile("csrs sstatus, %0" ::"r"(sum));
  if (round % 300 == 150) __asm__ volatile("csrc sstatus, %0" ::"r"(sum));
}
static void kernel(void) {
  cause = kLoadFault;
  // On for 3000 to 2851, off for 2850 to 2701, and so on.
  expect(caller(3000, callee, USER), 1500 * 7 + 1500 * 1000, 1);
  expect(faults, 1500, 2);
  finish(0);
}
#elif defined(CASE_MPRV)
static void callee(u64 round) {
  const u64 bits = MSTATUS_MPRV | MSTATUS_MPP, as_user = MSTATUS_MPRV;
  // Nothing may be loaded from here to the return.
  if (round / 150 % 2 == 0) __asm__ volatile("csrc mstatus, %0\n csrs mstatus, %1" ::"r"(bits), "r"(as_user));
}
#else
static void callee(u64 round) {
  const u64 fs = MSTATUS_FS;
  if (round % 300 == 0) __asm__ volatile("csrs mstatus, %0" ::"r"(fs));
  if (round % 300 == 150) __asm__ volatile("csrc mstatus, %0" ::"r"(fs));
}
#endif

int run(void) {
  root = new_space();
  const u64 page = new_page();
  *(u64*)page = 7;
  *entry_of(root, USER) = pte(page, kR | kW | kU);
  WRITE_CSR(satp, satp_of(root, 0));
#ifdef CASE_SUM
  enter_supervisor(kernel);
#elif defined(CASE_MPRV)
  cause = 5;
  // With MPRV where round / 150 is even.
  expect(caller(3000, callee, USER), 1500 * 1000 + 1500 * 7, 1);
  expect(faults, 1500, 2);
  return 0;
#else
  cause = kIllegal;
  // On for 3000 to 2851, off for 2850 to 2701, and so on: three traps each.
  u64 sum = 0;
  for (u64 round = 3000; round > 0; round--) sum += (round + 299) / 300 * 300 - round < 150 ? 2 * round : 1000;
  expect(caller(3000, callee, USER), sum, 1);
  expect(faults, 3 * 1500, 2);
  return 0;
#endif
}
