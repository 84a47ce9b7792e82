// SPDX-License-Identifier: Apache-2.0
// Six instructions, the two addresses that they load, and the information block. The registers, the order and
// the layout are what a trace of QEMU shows from reset on, so that both can be compared from the first
// instruction.
#include "boot/boot_rom.h"

#include <cstddef>

#include "base/bits.h"

namespace hartwood {
namespace {

constexpr u32 kT0 = 5, kA0 = 10, kA1 = 11, kA2 = 12, kZero = 0;
constexpr u32 kMhartid = 0xf14;

constexpr u32 i_type(u32 opcode, u32 funct3, u32 rd, u32 rs1, u32 immediate) {
  return immediate << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}
constexpr u32 auipc(u32 rd) { return rd << 7 | 0x17; }
constexpr u32 addi(u32 rd, u32 rs1, u32 immediate) { return i_type(0x13, 0, rd, rs1, immediate); }
constexpr u32 csrr(u32 rd, u32 csr) { return i_type(0x73, 2, rd, kZero, csr); }
constexpr u32 ld(u32 rd, u32 rs1, u32 immediate) { return i_type(0x03, 3, rd, rs1, immediate); }
constexpr u32 jr(u32 rs1) { return i_type(0x67, 0, kZero, rs1, 0); }

struct Rom {
  u32 code[6];
  u64 jump;
  u64 device_tree;
  FwDynamicInfo info;
};
static_assert(sizeof(Rom) == 88 && offsetof(Rom, info) == 40);

}  // namespace

std::vector<u8> build_boot_rom(Pa jump, Pa device_tree, const FwDynamicInfo& info) {
  const Rom rom{{auipc(kT0), addi(kA2, kT0, offsetof(Rom, info)), csrr(kA0, kMhartid),
                 ld(kA1, kT0, offsetof(Rom, device_tree)), ld(kT0, kT0, offsetof(Rom, jump)), jr(kT0)},
                jump.value,
                device_tree.value,
                info};
  std::vector<u8> bytes(sizeof rom);
  store_le(bytes.data(), rom);
  return bytes;
}

}  // namespace hartwood
