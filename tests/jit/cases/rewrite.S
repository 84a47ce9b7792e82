# SPDX-License-Identifier: Apache-2.0
# A function changes the instruction to which it returns, executes FENCE.I and returns. First every 500 calls, so that the
# caller is compiled in between; then at every call.
#define ROUNDS 3500
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  li s0, 0
  li s1, ROUNDS
  li s2, 500
1:
  mv a0, s1
  call rewrite
  .option push
  .option norvc
behind:
  addi s0, s0, 1
  .option pop
  li t0, 10
2:
  addi t0, t0, -1
  bnez t0, 2b
  addi s1, s1, -1
  bnez s1, 1b
  mv s3, s0
  # Four parts of 500 with 100, three with 1.
  li t0, 4 * 500 * 100 + 3 * 500
  bne s3, t0, wrong
  li t0, 1
  beq s2, t0, right
  # Again, with every call.
  li s2, 1
  li s0, 4 * 500 * 100 + 3 * 500 - 250 * 101
  li s1, 500
  j 1b
wrong:
  li a0, 1
  j 3f
right:
  li a0, 0
3:
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

  .balign 4096
rewrite:
  remu t0, a0, s2
  bnez t0, 1f
  la t0, behind
  lw t1, 0(t0)
  li t2, 0x00140413 ^ 0x06440413  # addi s0, s0, 1 and addi s0, s0, 100
  xor t1, t1, t2
  sw t1, 0(t0)
  fence.i
1:
  ret
  .balign 4096
