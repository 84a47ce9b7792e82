// SPDX-License-Identifier: Apache-2.0
// All registers at once: what a signal, a switch of context or a compiler's exit might lose. The loop makes no call and
// no memory access.
#include "stress.h"

// uint64_t spin_registers(pattern, spins): x_i and f_i get pattern * i and pattern * (i + 32), fcsr pattern's low byte
// with a valid rounding mode; after the loop, all of them are folded by h = h * 3 + value. gp, tp and sp keep their
// use; s0 and s1 have the counter and the pattern.
__asm__(
    ".text\n"
    ".option push\n"
    ".option norvc\n"
    ".globl spin_registers\n"
    ".type spin_registers, @function\n"
    "spin_registers:\n"
    "  addi sp, sp, -208\n"
    "  sd ra, 0(sp)\n  sd s0, 8(sp)\n  sd s1, 16(sp)\n  sd s2, 24(sp)\n  sd s3, 32(sp)\n  sd s4, 40(sp)\n"
    "  sd s5, 48(sp)\n  sd s6, 56(sp)\n  sd s7, 64(sp)\n  sd s8, 72(sp)\n  sd s9, 80(sp)\n  sd s10, 88(sp)\n"
    "  sd s11, 96(sp)\n"
    "  fsd fs0, 104(sp)\n  fsd fs1, 112(sp)\n  fsd fs2, 120(sp)\n  fsd fs3, 128(sp)\n  fsd fs4, 136(sp)\n"
    "  fsd fs5, 144(sp)\n  fsd fs6, 152(sp)\n  fsd fs7, 160(sp)\n  fsd fs8, 168(sp)\n  fsd fs9, 176(sp)\n"
    "  fsd fs10, 184(sp)\n  fsd fs11, 192(sp)\n"
    "  mv s0, a1\n"
    "  mv s1, a0\n"
    "  andi t0, a0, 0x7f\n"  // rounding modes 0 to 3
    "  fscsr t0\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  li t0, \\n + 32\n"
    "  mul t0, t0, s1\n"
    "  fmv.d.x f\\n, t0\n"
    ".endr\n"
    ".irp n, 1,5,6,7,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  li x\\n, \\n\n"
    "  mul x\\n, x\\n, s1\n"
    ".endr\n"
    "1:\n"
    "  addi s0, s0, -1\n"
    "  bnez s0, 1b\n"
    "  li s0, 0\n"
    ".irp n, 1,5,6,7,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  slli s1, s0, 1\n"
    "  add s0, s0, s1\n"
    "  add s0, s0, x\\n\n"
    ".endr\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
    "  slli s1, s0, 1\n"
    "  add s0, s0, s1\n"
    "  fmv.x.d t0, f\\n\n"
    "  add s0, s0, t0\n"
    ".endr\n"
    "  slli s1, s0, 1\n"
    "  add s0, s0, s1\n"
    "  frcsr t0\n"
    "  add a0, s0, t0\n"
    "  fscsr zero\n"
    "  ld ra, 0(sp)\n  ld s0, 8(sp)\n  ld s1, 16(sp)\n  ld s2, 24(sp)\n  ld s3, 32(sp)\n  ld s4, 40(sp)\n"
    "  ld s5, 48(sp)\n  ld s6, 56(sp)\n  ld s7, 64(sp)\n  ld s8, 72(sp)\n  ld s9, 80(sp)\n  ld s10, 88(sp)\n"
    "  ld s11, 96(sp)\n"
    "  fld fs0, 104(sp)\n  fld fs1, 112(sp)\n  fld fs2, 120(sp)\n  fld fs3, 128(sp)\n  fld fs4, 136(sp)\n"
    "  fld fs5, 144(sp)\n  fld fs6, 152(sp)\n  fld fs7, 160(sp)\n  fld fs8, 168(sp)\n  fld fs9, 176(sp)\n"
    "  fld fs10, 184(sp)\n  fld fs11, 192(sp)\n"
    "  addi sp, sp, 208\n"
    "  ret\n"
    ".size spin_registers, .-spin_registers\n"
    ".option pop\n");
uint64_t spin_registers(uint64_t pattern, uint64_t spins);

void check_registers(uint64_t pattern, uint64_t spins, const char* where) {
  uint64_t expected = 0;
  for (unsigned i = 1; i < 32; i++) {
    if (i != 2 && i != 3 && i != 4 && i != 8 && i != 9) expected = expected * 3 + pattern * i;
  }
  for (unsigned i = 0; i < 32; i++) expected = expected * 3 + pattern * (i + 32);
  expected = expected * 3 + (pattern & 0x7f);
  uint64_t found = spin_registers(pattern, spins);
  EXPECT(found == expected, "%s: registers of pattern %#llx fold to %#llx, not %#llx", where,
         (unsigned long long)pattern, (unsigned long long)found, (unsigned long long)expected);
}
