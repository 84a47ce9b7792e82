# SPDX-License-Identifier: Apache-2.0
# Two threads, each a recursion a hundred deep; in its innermost frame it switches to the other one's stack, and the
# frames return there.
#define ROUNDS 400
#define SAVED 112
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  # The second thread's stack, as switch leaves it.
  la t0, second_stack_end - SAVED
  la t1, second
  sd t1, 0(t0)
  la t2, other
  sd t0, 0(t2)
  li s0, ROUNDS
  li s1, 0
1:
  li a0, 100
  call recurse
  add s1, s1, a0
  addi s0, s0, -1
  bnez s0, 1b
  # Sums of 1 to 100; the second has one round less, or is in it.
  li t0, 5050 * ROUNDS
  bne s1, t0, wrong
  la t1, second_sum
  ld t1, 0(t1)
  li t0, 3 * 5050 * (ROUNDS - 1)
  bne t1, t0, wrong
  li a0, 0
  j 2f
wrong:
  li a0, 1
2:
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

second:
  li s1, 0
1:
  li a0, 100
  call recurse
  slli t0, a0, 1
  add a0, a0, t0
  add s1, s1, a0
  la t1, second_sum
  sd s1, 0(t1)
  j 1b

# 1 + ... + a0
recurse:
  addi sp, sp, -16
  sd ra, 0(sp)
  sd s0, 8(sp)
  mv s0, a0
  beqz a0, 1f
  addi a0, a0, -1
  call recurse
  add a0, a0, s0
  j 2f
1:
  call switch
  li a0, 0
2:
  ld ra, 0(sp)
  ld s0, 8(sp)
  addi sp, sp, 16
  ret

switch:
  addi sp, sp, -SAVED
  sd ra, 0(sp)
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  sd s\n, 8 + 8 * \n(sp)
  .endr
  la t0, other
  ld t1, 0(t0)
  sd sp, 0(t0)
  mv sp, t1
  ld ra, 0(sp)
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  ld s\n, 8 + 8 * \n(sp)
  .endr
  addi sp, sp, SAVED
  ret

  .bss
  .balign 16
other: .skip 8
second_sum: .skip 8
  .skip 16384
second_stack_end:
  .skip 16
