// SPDX-License-Identifier: Apache-2.0
// What gdb reads of a machine as XML: its registers [gdb: Target Descriptions, RISC-V Features], its memory map and its
// threads; and the numbers by which gdb's packets name registers. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "debug/gdb_target.h"

namespace hartwood {

// Numbers of registers: x0 to x31, pc, f0 to f31, all CSRs by their numbers, the privilege mode.
inline constexpr u32 kGdbPc = 32, kGdbFirstF = 33, kGdbFirstCsr = 65, kGdbPrivilege = kGdbFirstCsr + 0x1000;
inline constexpr u32 kGdbRegisters = kGdbPrivilege + 1;
// Those that the packets g and G have, from 0 on. The others are asked for one by one, when they are needed.
inline constexpr u32 kGdbGeneralRegisters = kGdbPc + 1;
inline constexpr u32 kGdbRegisterBytes = 8;  // of every register

// `number` is less than kGdbRegisters.
GdbRegister gdb_register(u32 number);

// target.xml.
std::string gdb_target_xml(const GdbTarget& target);
std::string gdb_memory_map_xml();
std::string gdb_threads_xml(GdbTarget& target);

// Text inside an element or attribute; characters that XML has no form for become '?'.
std::string xml_text(std::string_view text);

}  // namespace hartwood
