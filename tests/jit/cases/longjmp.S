# SPDX-License-Identifier: Apache-2.0
# A jump out of fifty frames to one that was left by a call long before.
#define ROUNDS 1500
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  li s0, 0  # rounds
  li s1, 0  # sum of what came back
again:
  la a0, place
  call mark
  bnez a0, 1f
  li a0, 50
  call deeper
  li a0, 2  # it has returned
  j 2f
1:
  add s1, s1, a0
  addi s0, s0, 1
  li t0, ROUNDS
  bne s0, t0, again
  li t1, 7 * ROUNDS
  sub a0, s1, t1
  snez a0, a0
2:
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

deeper:
  addi sp, sp, -16
  sd ra, 0(sp)
  beqz a0, 1f
  addi a0, a0, -1
  call deeper
  addi s1, s1, 1  # never
  ld ra, 0(sp)
  addi sp, sp, 16
  ret
1:
  la a0, place
  li a1, 7
  j back

# As setjmp and longjmp.
mark:
  sd ra, 0(a0)
  sd sp, 8(a0)
  li a0, 0
  ret
back:
  ld ra, 0(a0)
  ld sp, 8(a0)
  mv a0, a1
  ret

  .bss
  .balign 16
place: .skip 16
