# SPDX-License-Identifier: Apache-2.0
# What every case begins and ends with. Starts `run` in M-mode; what it returns is the exit code, 0: as expected. At the
# end all registers are stored at `final_x` and `final_f`, so that they are compared with the rest of RAM.
#include "case.h"
  .section .text.start, "ax"
  .globl start
start:
  la sp, stack_end
  la t0, machine_trap
  csrw mtvec, t0
  la t0, frame
  csrw mscratch, t0
  li t0, -1
  csrw pmpaddr0, t0
  csrw mcounteren, t0
  csrw scounteren, t0
  li t0, 0x1f  # all of memory, RWX
  csrw pmpcfg0, t0
  li t0, MSTATUS_FS
  csrs mstatus, t0
  call run
  .globl finish
finish:
  la t6, final_x
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
  sd x\n, 8 * \n(t6)
  .endr
  li t0, MSTATUS_FS
  csrs sstatus, t0
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  fsd f\n, 256 + 8 * \n(t6)
  .endr
  slli a0, a0, 1
  ori a0, a0, 1
  la t0, tohost
  sd a0, 0(t0)
1:
  j 1b

# A trap: all registers into `frame`, then a function of C, which may change them.
  .macro vector mode, handler, return
  .balign 4
  .globl \handler\()_trap
\handler\()_trap:
  csrrw x31, \mode\()scratch, x31
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
  sd x\n, 8 * \n(x31)
  .endr
  csrr t0, \mode\()scratch
  sd t0, 8 * 31(x31)
  csrw \mode\()scratch, x31
  csrr t0, \mode\()epc
  sd t0, 8 * 32(x31)
  csrr t0, \mode\()cause
  sd t0, 8 * 33(x31)
  csrr t0, \mode\()tval
  sd t0, 8 * 34(x31)
  csrr t0, instret
  sd t0, 8 * 35(x31)
  mv a0, x31
  la sp, trap_stack_end
  call \handler
  csrr x31, \mode\()scratch
  ld t0, 8 * 32(x31)
  csrw \mode\()epc, t0
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  ld x\n, 8 * \n(x31)
  .endr
  \return
  .endm
  .text
  vector m, machine, mret
  vector s, supervisor, sret

# A trap that the case does not expect: what it was is the exit code.
  .weak machine, supervisor
machine:
supervisor:
  ld t0, 8 * 33(a0)
  andi t0, t0, 15
  addi a0, t0, 100
  j finish

# enter_user(pc, x[32]): U-mode from M-mode, with these registers.
  .globl enter_user
enter_user:
  csrw mepc, a0
  li t0, MSTATUS_MPP
  csrc mstatus, t0
  mv x31, a1
  .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  ld x\n, 8 * \n(x31)
  .endr
  mret

# enter_supervisor(function): S-mode from M-mode, on the same stack.
  .globl enter_supervisor
enter_supervisor:
  csrw mepc, a0
  li t0, MSTATUS_MPP
  csrc mstatus, t0
  li t0, MSTATUS_MPP_S
  csrs mstatus, t0
  la t0, frame
  csrw sscratch, t0
  la t0, supervisor_trap
  csrw stvec, t0
  mret

  .bss
  .balign 4096
  .globl frame, final_x
frame: .skip 4096
final_x: .skip 256
final_f: .skip 256
  .balign 16
  .skip 65536
trap_stack_end: .skip 65536
stack_end:
