// SPDX-License-Identifier: Apache-2.0
// S-mode changes satp and calls code that is somewhere else in every space, between code that is the same in all of
// them; now and then one space maps other code or data there, with SFENCE.VMA for its ASID alone, or for the page in
// it.
#include "case.h"

#define CODE 0x10000ul
#define DATA 0x20000ul
enum { kSpaces = 12 };

__asm__(
    ".macro function step\n"
    "  .balign 4096\n"
    "  li t0, 9\n"
    "1:\n"
    "  addi a0, a0, \\step\n"
    "  addi t0, t0, -1\n"
    "  bnez t0, 1b\n"
    "  ret\n"
    "  .balign 4096\n"
    ".endm\n"
    "  .data\n"
    "  .balign 4096\n"
    "functions:\n"
    "  function 1\n"
    "  function 20\n"
    "  function 300\n"
    "  .text\n");
extern char functions[];

static struct { u64 *root, *code, *data, which; } spaces[kSpaces];
static u64 data_page[3], data_flags = kR | kW;
static const u64 steps[3] = {1, 20, 300};

static void map(u64 space, u64 which) {
  spaces[space].which = which;
  *spaces[space].code = pte((u64)functions + 4096 * which, kR | kX);
  *spaces[space].data = pte(data_page[which], data_flags);
}

__attribute__((noinline)) static u64 shared(u64 v) {
  for (int i = 0; i < 5; i++) v = v << 1 ^ v >> 63 * (i & 1);
  return v;
}

// `fence`: 1: the space's ASID, 2: the pages in it, 0: nothing is mapped anew.
static u64 turns(u64 rounds, u64 count, u64 period, int fence) {
  u64 (*code)(u64) = (void*)CODE;
  u64 sum = 0, wanted = 0;
  for (u64 round = 1; round <= rounds; round++) {
    const u64 now = round * 7 % count;
    WRITE_CSR(satp, satp_of(spaces[now].root, now + 1));
    sum += *(volatile u64*)DATA;
    wanted += 7 * spaces[now].which + 1;
    if (fence != 0 && round % period == 0) {
      // The current space, or another one.
      const u64 changed = round / period % 2 ? now : (now + 1) % count, asid = changed + 1;
      map(changed, (spaces[changed].which + 1) % 3);
      if (fence == 1) __asm__ volatile("sfence.vma zero, %0" ::"r"(asid) : "memory");
      if (fence == 2)
        __asm__ volatile("sfence.vma %0, %2\n sfence.vma %1, %2" ::"r"(CODE), "r"(DATA), "r"(asid) : "memory");
    }
    const u64 v = shared(round) & 0xffff;
    sum += code(v) + *(volatile u64*)DATA;
    wanted += v + 9 * steps[spaces[now].which] + 7 * spaces[now].which + 1;
  }
  return sum - wanted;
}

static void kernel(void) {
  for (u64 i = 0, v = 1; i < 2000; i++) v = shared(v);  // compiled before anything but this was seen
  for (int user = 0; user < 2; user++) {
    expect(turns(3000, 2, 1, 0), 0, 1);
    expect(turns(3000, 2, 500, 1), 0, 2);
    expect(turns(3000, 3, 400, 2), 0, 3);
    expect(turns(6000, kSpaces, 1, 0), 0, 4);
    expect(turns(3000, kSpaces, 100, 1), 0, 5);
    expect(turns(3000, kSpaces, 90, 2), 0, 6);
    // Again with the data in pages of U-mode.
    __asm__ volatile("csrs sstatus, %0" ::"r"(SSTATUS_SUM));
    data_flags |= kU;
    for (u64 i = 0; i < kSpaces; i++) map(i, i % 3);
    sfence_vma();
  }
  finish(0);
}

int run(void) {
  for (u64 i = 0; i < 3; i++) {
    data_page[i] = new_page();
    *(u64*)data_page[i] = 7 * i + 1;
  }
  for (u64 i = 0; i < kSpaces; i++) {
    for (u64 skip = i * i % 7; skip != 0; skip--) new_page();  // roots that are not alike
    spaces[i].root = new_space();
    spaces[i].code = entry_of(spaces[i].root, CODE);
    spaces[i].data = entry_of(spaces[i].root, DATA);
    map(i, i % 3);
  }
  WRITE_CSR(satp, satp_of(spaces[0].root, 1));
  enter_supervisor(kernel);
}
