# SPDX-License-Identifier: Apache-2.0
# Sixty functions on pages of their own, at different places in them, called at random: more than the test lets the compiler keep.
#define FUNCTIONS 60
#define ROUNDS 400
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  li s0, 0
  li s1, ROUNDS * FUNCTIONS
  li s3, FUNCTIONS
  li s4, 4096 + 68
  li s5, 1
  li s6, 6364136223846793005
  li s7, 0
1:
  mul s5, s5, s6
  addi s5, s5, 1237
  srli s2, s5, 33
  remu s2, s2, s3
  # Each gives its argument and its number.
  add s7, s7, s1
  add s7, s7, s2
  mul s2, s2, s4
  la t0, functions
  add s2, s2, t0
  mv a0, s1
  jalr s2
  add s0, s0, a0
  addi s1, s1, -1
  bnez s1, 1b
  sub a0, s0, s7
  snez a0, a0
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

  .balign 4096
functions:
  .set number, 0
  .rept FUNCTIONS
  .skip (4096 + 68) * number - (. - functions)
  addi a0, a0, number
  li t0, 30
1:
  addi t0, t0, -1
  bnez t0, 1b
  ret
  .set number, number + 1
  .endr
