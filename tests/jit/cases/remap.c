// SPDX-License-Identifier: Apache-2.0
// SFENCE.VMA inside a called function that has mapped its caller's page to other code, or the page of the data that is
// read behind the call to other data. With CASE_SPAN the caller lies in two pages, the call at the end of the first,
// and only the second is mapped to other code.
#include "case.h"

#define CODE 0x10000ul
#define DATA 0x20000ul
#ifdef CASE_SPAN
#define SPAN "  .skip 4096 - 56\n"  // fourteen instructions up to the call
#define FIRST (4096 - 56)
#define CHANGING 4096
#else
#define SPAN
#define FIRST 0
#define CHANGING 0
#endif

// a0: rounds, a1: function, a2: data. Returns what was counted behind the call, plus the data.
__asm__(
    ".macro caller name, step\n"
    "  .balign 4096\n"
    "\\name:\n" SPAN
    "  addi sp, sp, -48\n"
    "  sd ra, 0(sp)\n"
    "  sd s0, 8(sp)\n"
    "  sd s1, 16(sp)\n"
    "  sd s2, 24(sp)\n"
    "  sd s3, 32(sp)\n"
    "  sd s4, 40(sp)\n"
    "  mv s1, a0\n"
    "  mv s2, a1\n"
    "  mv s3, a2\n"
    "  li s0, 0\n"
    "  ld t0, 0(s3)\n"
    "1:\n"
    "  mv a0, s1\n"
    "  jalr s2\n"
    "  addi s0, s0, \\step\n"
    "  ld t0, 0(s3)\n"
    "  ld t1, 8(s3)\n"
    "  add s0, s0, t0\n"
    "  sub s0, s0, t1\n"
    "  sd s0, 16(s3)\n"
    "  addi s1, s1, -1\n"
    "  bnez s1, 1b\n"
    "  mv a0, s0\n"
    "  ld ra, 0(sp)\n"
    "  ld s0, 8(sp)\n"
    "  ld s1, 16(sp)\n"
    "  ld s2, 24(sp)\n"
    "  ld s3, 32(sp)\n"
    "  ld s4, 40(sp)\n"
    "  addi sp, sp, 48\n"
    "  ret\n"
    "  .balign 4096\n"
    ".endm\n"
    "  .data\n"
    "  .option push\n"
    "  .option norvc\n"
    "  caller caller_one, 1\n"
    "  caller caller_two, 1000\n"
    "  .option pop\n"
    "  .text\n");
extern char caller_one[], caller_two[];

static u64 *code_entry, *data_entry, code_page[2], data_page[2];
static u64 code_period, data_period, code_now, data_now, wanted, always;

static u64 remap(u64 round) {
  int by_page = round & 1, any = 0;
  if (round % code_period == 0) {
    code_now ^= 1;
    *code_entry = pte(code_page[code_now], kR | kX);
    if (by_page) sfence_page(CODE + CHANGING);
    any = !by_page;
  }
  if (round % data_period == 0) {
    data_now ^= 1;
    *data_entry = pte(data_page[data_now], kR | kW);
    if (by_page) sfence_page(DATA);
    any |= !by_page;
  }
  if (any || always) sfence_vma();
  wanted += (code_now ? 1000 : 1) + (data_now ? 70 : 7);
  return round;
}

static void part(u64 rounds, u64 code, u64 data, u64 code_of_error) {
  u64 (*caller)(u64, u64(*)(u64), u64) = (void*)(CODE + FIRST);
  code_period = code;
  data_period = data;
  wanted = 0;
  expect(caller(rounds, remap, DATA), wanted, code_of_error);
  expect(((volatile u64*)DATA)[2], wanted, code_of_error + 1);
}

static void kernel(void) {
  part(4001, 401, 1u << 30, 1);
  part(4001, 1u << 30, 127, 3);
  part(4000, 399, 298, 5);
  always = 1;
  part(1000, 1u << 30, 1u << 30, 7);
  part(300, 1, 2, 9);
  finish(0);
}

int run(void) {
  u64* root = new_space();
  *entry_of(root, CODE) = pte((u64)caller_one, kR | kX);
  code_entry = entry_of(root, CODE + CHANGING);
  data_entry = entry_of(root, DATA);
  code_page[0] = (u64)caller_one + CHANGING;
  code_page[1] = (u64)caller_two + CHANGING;
  for (int i = 0; i < 2; i++) {
    data_page[i] = new_page();
    ((u64*)data_page[i])[0] = i ? 100 : 10;
    ((u64*)data_page[i])[1] = i ? 30 : 3;
  }
  *code_entry = pte(code_page[0], kR | kX);
  *data_entry = pte(data_page[0], kR | kW);
  WRITE_CSR(satp, satp_of(root, 0));
  enter_supervisor(kernel);
}
