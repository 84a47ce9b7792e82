// SPDX-License-Identifier: Apache-2.0
// The definition of Zicsr and the privileged instructions, in terms of a context's privileged operations.
#pragma once

#include "isa/semantics/integer.h"

namespace hartwood::semantics {

enum class CsrKind : u8 { write, set, clear };

// clang-format off
HW_DEFINE(ecall)  { return c.environment_call(); }
HW_DEFINE(ebreak) { return c.breakpoint(); }
HW_DEFINE(csrrw)  { return c.csr(CsrKind::write, c.rs1(), true); }
HW_DEFINE(csrrs)  { return c.csr(CsrKind::set, c.rs1(), c.rs1_index() != 0); }
HW_DEFINE(csrrc)  { return c.csr(CsrKind::clear, c.rs1(), c.rs1_index() != 0); }
HW_DEFINE(csrrwi) { return c.csr(CsrKind::write, c.constant(c.rs1_index()), true); }
HW_DEFINE(csrrsi) { return c.csr(CsrKind::set, c.constant(c.rs1_index()), c.rs1_index() != 0); }
HW_DEFINE(csrrci) { return c.csr(CsrKind::clear, c.constant(c.rs1_index()), c.rs1_index() != 0); }
HW_DEFINE(mret)   { return c.machine_return(); }
HW_DEFINE(sret)   { return c.supervisor_return(); }
HW_DEFINE(wfi)    { return c.wait_for_interrupt(); }
HW_DEFINE(sfence_vma)      { return c.sfence_vma(); }
HW_DEFINE(sinval_vma)      { return c.sfence_vma(); }
HW_DEFINE(sfence_w_inval)  { return c.sfence_order(); }
HW_DEFINE(sfence_inval_ir) { return c.sfence_order(); }
// clang-format on

}  // namespace hartwood::semantics
