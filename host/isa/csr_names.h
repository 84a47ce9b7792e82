// SPDX-License-Identifier: Apache-2.0
// Names of control and status registers, both ways, for disassembler, trace, gdb stub and tests. Constant
// data; any thread. Which of them a hart has, and what they do, is the hart's business.
#pragma once

#include <string_view>

#include "base/types.h"

namespace hartwood {

// The name of register `number` in lower case as the manual writes it; null if csr_names.inc has none.
const char* csr_name(u32 number);
// The number (0..0xfff) of the register with exactly this name; -1 if there is none.
int csr_number(std::string_view name);

}  // namespace hartwood
