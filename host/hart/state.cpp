// SPDX-License-Identifier: Apache-2.0
#include "hart/state.h"

#include "base/bits.h"
#include "hart/trap.h"

namespace hartwood {
namespace {

constexpr u32 kVersion = 2;

// One list of fields for both directions.
template <class State, class Visit>
void visit_fields(State& s, Visit visit) {
  for (unsigned i = 0; i < 32; i++) visit(s.x[i]);
  for (auto& f : s.f) visit(f);
  visit(s.pc);
  visit(s.privilege);
  visit(s.fflags);
  visit(s.frm);
  for (auto* field :
       {&s.mstatus,  &s.mie,         &s.mip_soft,      &s.medeleg,    &s.mideleg,       &s.mtvec,         &s.mepc,
        &s.mcause,   &s.mtval,       &s.mscratch,      &s.mcounteren, &s.mcountinhibit, &s.menvcfg,       &s.stvec,
        &s.sepc,     &s.scause,      &s.stval,         &s.sscratch,   &s.satp,          &s.scounteren,    &s.senvcfg,
        &s.stimecmp, &s.mcycle_base, &s.minstret_base, &s.retired,    &s.reserved_pa,   &s.reserved_value})
    visit(*field);
  for (auto& c : s.pmpcfg) visit(c);
  for (auto& a : s.pmpaddr) visit(a);
  for (auto& e : s.hpm_event) visit(e);
  for (auto& b : s.hpm_base) visit(b);
  for (auto& c : s.event_counts) visit(c);
  visit(s.reserved);
  visit(s.reserved_size);
}

// The fields whose other values the hart does not expect.
bool possible(const HartState& s) {
  const u64 mode = static_cast<u64>(s.privilege), previous = bits(s.mstatus, 12, 11), paging = s.satp >> 60;
  const bool modes = mode <= 3 && mode != 2 && previous != 2;
  const bool addresses = ((s.pc | s.mepc | s.sepc) & 1) == 0 && ((s.mtvec | s.stvec) & 2) == 0;
  const bool translation = paging == 0 || (paging >= 8 && paging <= 10);
  constexpr u64 kSupervisors = 1 << kSsi | 1 << kSti | 1 << kSei;
  for (const HpmEvent event : s.hpm_event) {
    if (event > HpmEvent::instructions) return false;
  }
  return modes && addresses && translation && s.frm < 8 && s.fflags < 32 && (s.mideleg & ~kSupervisors) == 0;
}

}  // namespace

void HartState::save(StateWriter& out) const {
  out.begin("HART", kVersion);
  visit_fields(*this, [&](const auto& field) { out.put(field); });
  out.end();
}

void HartState::load(StateReader& in) {
  in.begin("HART", kVersion);
  visit_fields(*this, [&](auto& field) {
    if constexpr (std::is_same_v<decltype(field), bool&>)
      field = in.get<u8>() != 0;
    else
      in.get(field);
  });
  x[0] = 0;
  if (!possible(*this)) in.fail("saved hart holds what no hart can hold");
  if (reserved && reserved_size != 4 && reserved_size != 8) reserved = false;
  in.end();
}

}  // namespace hartwood
