// SPDX-License-Identifier: Apache-2.0
// The program of tests/debug/gdb-fake.mjs. Hart 0 sums squares, then waits until gdb lets it go; hart 1 counts.
// clang-format off
__asm__(".text\n.globl _start\n_start:\n  la sp, stacks\n  li t0, 4096\n  addi t1, a0, 1\n  mul t1, t1, t0\n"
        "  add sp, sp, t1\n  jal main\n  ecall\n");
// clang-format on
char stacks[2 * 4096] __attribute__((aligned(16)));
volatile long total, spins, go, ticks;
volatile unsigned char bytes[16];

__attribute__((noinline)) long square(long n) {
  long result = n * n;
  return result;
}

long main(long hart) {
  if (hart != 0) {
    for (;;) ticks++;
  }
  for (long i = 1; i <= 10; i++) {
    total += square(i);
    bytes[i] = (unsigned char)i;
  }
  while (!go) spins++;
  return total & 0xff;
}
