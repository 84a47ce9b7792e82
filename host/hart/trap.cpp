// SPDX-License-Identifier: Apache-2.0
// Traps, interrupts and returns. [priv: Machine-Level CSRs; Supervisor CSRs; Privilege Mode Returns]
#include "base/bits.h"
#include "hart/hart.h"

namespace hartwood {

void Hart::enter_trap(u64 cause, u64 tval, u64 epc, bool interrupt) {
  HartState& s = state_;
  traps_++;
  s.count(interrupt ? HpmEvent::interrupts : HpmEvent::exceptions);
  const u64 code = cause & 63;
  const u64 delegated = interrupt ? s.mideleg : s.medeleg;
  const u64 full_cause = interrupt ? kInterruptCause | code : code;
  if (parts_.tracer != nullptr) parts_.tracer->trap(*this, full_cause, tval, epc);
  u64 vector;
  if (s.privilege != Privilege::machine && bit(delegated, static_cast<unsigned>(code))) {
    s.scause = full_cause;
    s.sepc = epc;
    s.stval = tval;
    const bool enabled = s.mstatus & mstatus::kSie;
    s.mstatus &= ~(mstatus::kSie | mstatus::kSpie | mstatus::kSpp);
    if (enabled) s.mstatus |= mstatus::kSpie;
    if (s.privilege == Privilege::supervisor) s.mstatus |= mstatus::kSpp;
    s.privilege = Privilege::supervisor;
    vector = s.stvec;
  } else {
    s.mcause = full_cause;
    s.mepc = epc;
    s.mtval = tval;
    const bool enabled = s.mstatus & mstatus::kMie;
    s.mstatus &= ~(mstatus::kMie | mstatus::kMpie | mstatus::kMpp);
    if (enabled) s.mstatus |= mstatus::kMpie;
    s.mstatus |= u64{static_cast<u8>(s.privilege)} << mstatus::kMppShift;
    s.privilege = Privilege::machine;
    vector = s.mtvec;
  }
  s.pc = (vector & ~u64{3}) + (interrupt && (vector & 1) ? 4 * code : 0);
  context_changed();
}

void Hart::context_changed() {
  select_tables();
  if (deliverable() != 0 || shared_.attention.hint() != 0) leave_ = true;
}

void Hart::take_trap(u64 pc) {
  watched_count_ = 0;  // nothing was accessed
  end_--;              // the instruction used up budget but did not retire
  enter_trap(static_cast<u64>(trap_.cause), trap_.tval, pc, false);
}

u64 Hart::deliverable() const {
  const HartState& s = state_;
  const u64 pending = mip_ & s.mie;
  if (pending == 0) return 0;
  u64 result = 0;
  if (s.privilege != Privilege::machine || (s.mstatus & mstatus::kMie)) result = pending & ~s.mideleg;
  if (result != 0) return result;
  if (s.privilege == Privilege::user || (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::kSie)))
    result = pending & s.mideleg;
  return result;
}

bool Hart::take_interrupt() {
  const u64 ready = deliverable();
  if (ready == 0) return false;
  // [priv: Machine Interrupt (mip and mie) Registers], order of priority
  for (const u8 number : {kMei, kMsi, kMti, kSei, kSsi, kSti}) {
    if (bit(ready, number)) {
      enter_trap(number, 0, state_.pc, true);
      return true;
    }
  }
  return false;
}

bool Hart::return_from_machine() {
  HartState& s = state_;
  const auto previous = static_cast<Privilege>(bits(s.mstatus, 12, 11));
  const bool enable = s.mstatus & mstatus::kMpie;
  s.mstatus &= ~(mstatus::kMie | mstatus::kMpp);
  if (enable) s.mstatus |= mstatus::kMie;
  s.mstatus |= mstatus::kMpie;
  if (previous != Privilege::machine) s.mstatus &= ~mstatus::kMprv;
  s.privilege = previous;
  s.pc = s.mepc;
  context_changed();
  return true;
}

bool Hart::return_from_supervisor() {
  HartState& s = state_;
  const auto previous = s.mstatus & mstatus::kSpp ? Privilege::supervisor : Privilege::user;
  const bool enable = s.mstatus & mstatus::kSpie;
  s.mstatus &= ~(mstatus::kSie | mstatus::kSpp | mstatus::kMprv);
  if (enable) s.mstatus |= mstatus::kSie;
  s.mstatus |= mstatus::kSpie;
  s.privilege = previous;
  s.pc = s.sepc;
  context_changed();
  return true;
}

}  // namespace hartwood
