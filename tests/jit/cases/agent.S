# SPDX-License-Identifier: Apache-2.0
# A function that somebody else writes to while it is compiled; after FENCE.I what was written last must be executed. The
# test changes the instruction at `constant`, and counts at `written` how often.
#define ROUNDS 40
#define CALLS 1000
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  li s0, ROUNDS
1:
  li s1, CALLS
2:
  call function
  addi s1, s1, -1
  bnez s1, 2b
  # Where the count changes in between, nothing can be said.
  fence.i
  la t0, written
  lw s2, 0(t0)
  call function
  la t0, written
  lw s3, 0(t0)
  bne s2, s3, 3f
  bne a0, s2, wrong
3:
  addi s0, s0, -1
  bnez s0, 1b
  fence.i
  call function
  mv s4, a0
  li a0, 0
  li s2, 0
  li s3, 0
  j 4f
wrong:
  li a0, 1
4:
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

  .balign 4096
  .globl constant, written
function:
  .option push
  .option norvc
constant:
  addi a0, zero, 0
  .option pop
  li t0, 10
1:
  addi t0, t0, -1
  bnez t0, 1b
  ret

  .data
  .balign 4096
written: .word 0
