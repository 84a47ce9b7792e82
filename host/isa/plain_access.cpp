// SPDX-License-Identifier: Apache-2.0
#include "isa/plain_access.h"

namespace hartwood {

std::optional<PlainAccess> plain_access(const Decoded& decoded) {
  const Insn& insn = decoded.insn;
  const auto load = [&](u8 size, bool is_signed, bool is_float = false) {
    return PlainAccess{false, is_signed, is_float, size, insn.rs1, insn.rd, insn.imm};
  };
  const auto store = [&](u8 size, bool is_float = false) {
    return PlainAccess{true, false, is_float, size, insn.rs1, insn.rd, insn.imm};
  };
  switch (decoded.op) {
    case Op::lb: return load(1, true);
    case Op::lh: return load(2, true);
    case Op::lw: return load(4, true);
    case Op::ld: return load(8, false);
    case Op::lbu: return load(1, false);
    case Op::lhu: return load(2, false);
    case Op::lwu: return load(4, false);
    case Op::fld: return load(8, false, true);
    case Op::sb: return store(1);
    case Op::sh: return store(2);
    case Op::sw: return store(4);
    case Op::sd: return store(8);
    case Op::fsd: return store(8, true);
    default: return std::nullopt;
  }
}

}  // namespace hartwood
