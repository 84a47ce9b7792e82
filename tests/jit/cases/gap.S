# SPDX-License-Identifier: Apache-2.0
# Code that only compiled code comes to: a jump goes near until it is compiled, and then elsewhere. The interpreter, which
# counts what it jumps to, never jumps there but for the ends of slices.
#define NEAR 3000
#define FAR 1400
  .text
  .globl run
run:
  li s0, NEAR
  li s1, 0  # instructions of the places' own
  la t0, near
again:
  jr t0
near:
  addi s1, s1, 1
  addi s0, s0, -1
  bnez s0, again
  li s0, FAR
  la t0, far
  j again

  .balign 4096
far:
  .rept 12
  addi s1, s1, 1
  .endr
  addi s0, s0, -1
  bnez s0, 1f
  li t1, NEAR + 12 * FAR
  sub a0, s1, t1
  snez a0, a0
  ret
1:
  la t1, again
  jr t1
