// SPDX-License-Identifier: Apache-2.0
#include "hart/state.h"

namespace hartwood {
namespace {

constexpr u32 kVersion = 1;

// One list of fields for both directions.
template <class State, class Visit>
void visit_fields(State& s, Visit visit) {
  for (unsigned i = 0; i < 32; i++) visit(s.x[i]);
  for (auto& f : s.f) visit(f);
  visit(s.pc);
  visit(s.privilege);
  visit(s.fflags);
  visit(s.frm);
  for (auto* field : {&s.mstatus, &s.mie, &s.mip_soft, &s.medeleg, &s.mideleg, &s.mtvec, &s.mepc, &s.mcause, &s.mtval,
                      &s.mscratch, &s.mcounteren, &s.mcountinhibit, &s.menvcfg, &s.stvec, &s.sepc, &s.scause, &s.stval,
                      &s.sscratch, &s.satp, &s.scounteren, &s.senvcfg, &s.stimecmp, &s.mcycle_base, &s.minstret_base,
                      &s.retired, &s.reserved_pa, &s.reserved_value})
    visit(*field);
  for (auto& c : s.pmpcfg) visit(c);
  for (auto& a : s.pmpaddr) visit(a);
  visit(s.reserved);
  visit(s.reserved_size);
}

}  // namespace

void HartState::save(StateWriter& out) const {
  out.begin("HART", kVersion);
  visit_fields(*this, [&](const auto& field) { out.put(field); });
  out.end();
}

void HartState::load(StateReader& in) {
  in.begin("HART", kVersion);
  visit_fields(*this, [&](auto& field) { in.get(field); });
  x[0] = 0;
  const u8 mode = static_cast<u8>(privilege);
  if (mode != 0 && mode != 1 && mode != 3) in.fail("saved hart has no such privilege mode");
  if (reserved && reserved_size != 4 && reserved_size != 8) reserved = false;
  in.end();
}

}  // namespace hartwood
