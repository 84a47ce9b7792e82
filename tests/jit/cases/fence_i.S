# SPDX-License-Identifier: Apache-2.0
# FENCE.I inside a called function, at every call; now and then the function has changed a third one, which its caller
# calls next.
#define ROUNDS 3000
  .text
  .globl run
run:
  addi sp, sp, -16
  sd ra, 0(sp)
  li s0, 0
  li s1, ROUNDS
1:
  mv a0, s1
  call fence
  call third
  add s0, s0, a0
  li t0, 10
2:
  addi t0, t0, -1
  bnez t0, 2b
  addi s1, s1, -1
  bnez s1, 1b
  # Changed at 3000, 2500, ... 500: three parts with each.
  li t0, 3 * 500 * (9 + 5)
  sub a0, s0, t0
  snez a0, a0
  ld ra, 0(sp)
  addi sp, sp, 16
  ret

  .balign 4096
fence:
  li t1, 500
  remu t0, a0, t1
  bnez t0, 1f
  la t0, third
  lw t1, 0(t0)
  li t2, 0x00500513 ^ 0x00900513  # li a0, 5 and li a0, 9
  xor t1, t1, t2
  sw t1, 0(t0)
1:
  fence.i
  ret

  .balign 4096
  .option push
  .option norvc
third:
  addi a0, zero, 5
  .option pop
  ret
  .balign 4096
