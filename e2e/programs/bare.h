// SPDX-License-Identifier: Apache-2.0
// What bare-metal programs in M-mode without any firmware share: the way to program(hart), the UART, the end by HTIF.
typedef unsigned long u64;
typedef unsigned int u32;

static volatile unsigned char *const uart = (unsigned char *)0x10000000;

volatile u64 tohost __attribute__((section(".data"), aligned(64)));
volatile u64 fromhost __attribute__((section(".data"), aligned(64)));

static void print(const char *text) {
  while (*text) *uart = *text++;
}

// Up to eight harts, each with a stack of its own. program() must not return.
__asm__(
    ".pushsection .text.start, \"ax\"\n"
    ".globl _start\n"
    "_start:\n"
    "  csrr a0, mhartid\n"
    "  la sp, stacks\n"
    "  addi t0, a0, 1\n"
    "  slli t0, t0, 12\n"
    "  add sp, sp, t0\n"
    "  j program\n"
    ".popsection\n"
    ".pushsection .bss\n"
    ".balign 16\n"
    "stacks: .space 9 * 4096\n"
    ".popsection\n");
