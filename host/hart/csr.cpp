// SPDX-License-Identifier: Apache-2.0
// Reads and writes of CSRs with their permissions, legal values and side effects.
// [priv: Control and Status Registers (CSRs); Machine-Level CSRs; Supervisor CSRs]
#include "hart/csr.h"

#include <iterator>

#include "base/bits.h"
#include "hart/hart.h"

namespace hartwood {
namespace {

constexpr u64 kSupervisorStatus =
    mstatus::kSie | mstatus::kSpie | mstatus::kSpp | mstatus::kFs | mstatus::kSum | mstatus::kMxr;
constexpr u64 kMachineStatus = kSupervisorStatus | mstatus::kMie | mstatus::kMpie | mstatus::kMpp | mstatus::kMprv |
                               mstatus::kTvm | mstatus::kTw | mstatus::kTsr;
constexpr u64 kSupervisorBits = u64{1} << kSsi | u64{1} << kSti | u64{1} << kSei;
constexpr u64 kMachineBits = u64{1} << kMsi | u64{1} << kMti | u64{1} << kMei;
// Everything but ecall from M-mode and the causes that do not exist.
constexpr u64 kDelegable = 0xb3ff;
constexpr u64 kMenvcfg =
    envcfg::kFiom | envcfg::kCbie | envcfg::kCbcfe | envcfg::kCbze | envcfg::kAdue | envcfg::kPbmte | envcfg::kStce;
constexpr u64 kSenvcfg = envcfg::kFiom | envcfg::kCbie | envcfg::kCbcfe | envcfg::kCbze;

// CBIE has a reserved value, 2: the field keeps what it had.
u64 legal_envcfg(u64 old, u64 value, u64 mask) {
  if (bits(value, 5, 4) == 2) value = merge(value, old, envcfg::kCbie);
  return value & mask;
}

}  // namespace

u64 Hart::read_mstatus() const {
  u64 value = state_.mstatus | mstatus::kUxl64 | mstatus::kSxl64;
  if ((value & mstatus::kFs) == mstatus::kFs) value |= mstatus::kSd;
  return value;
}

void Hart::write_mstatus(u64 value, u64 mask) {
  u64 fresh = merge(state_.mstatus, value, mask);
  if (bits(fresh, 12, 11) == 2) fresh = merge(fresh, state_.mstatus, mstatus::kMpp);  // no such mode
  state_.mstatus = fresh;
  context_changed();
}

bool Hart::counter_allowed(u32 number) const {
  const unsigned index = number & 31;
  if (state_.privilege == Privilege::machine) return true;
  if (!bit(state_.mcounteren, index)) return false;
  return state_.privilege == Privilege::supervisor || bit(state_.scounteren, index);
}

void Hart::write_counter_inhibit(u64 value) {
  const u64 now = state_.retired;
  value &= kCountersThatStop;
  const u64 changed = state_.mcountinhibit ^ value;
  // A stopped counter keeps its value itself, a running one the difference to what was retired.
  if (changed & 1) state_.mcycle_base += value & 1 ? now : u64{0} - now;
  if (changed & 4) state_.minstret_base += value & 4 ? now : u64{0} - now;
  for (u32 i = 0; i < kHpmCounters; i++) {
    const u64 count = hpm_count(i);
    if (bit(changed, 3 + i)) state_.hpm_base[i] += bit(value, 3 + i) ? count : u64{0} - count;
  }
  state_.mcountinhibit = value;
}

// How often the event of a counter has happened. [priv: Hardware Performance Monitor]
u64 Hart::hpm_count(u32 counter) const {
  const HpmEvent event = state_.hpm_event[counter];
  if (event == HpmEvent::cycles || event == HpmEvent::instructions) return state_.retired;
  return state_.event_counts[static_cast<unsigned>(event)];
}

u64 Hart::read_hpm(u32 counter) const {
  return state_.hpm_base[counter] + (bit(state_.mcountinhibit, 3 + counter) ? 0 : hpm_count(counter));
}

// The counter keeps its value. A number that is no event selects none.
void Hart::write_hpm_event(u32 counter, u64 number) {
  const u64 value = read_hpm(counter);
  state_.hpm_event[counter] = HpmEvent::none;
  for (u32 i = 0; i < std::size(kHpmEventNumbers); i++) {
    if (kHpmEventNumbers[i] == number) state_.hpm_event[counter] = static_cast<HpmEvent>(i);
  }
  state_.hpm_base[counter] = value - (bit(state_.mcountinhibit, 3 + counter) ? 0 : hpm_count(counter));
}

void Hart::write_satp(u64 value) {
  const auto mode = static_cast<SatpMode>(value >> 60);
  const bool known = mode == SatpMode::bare || (mode >= SatpMode::sv39 && mode <= options_.largest_mode);
  if (!known) return;  // the whole write has no effect
  if (mode == SatpMode::bare) value = 0;
  if (value != state_.satp) {
    state_.satp = value;
    enter_space();
  }
  context_changed();
}

bool Hart::read_csr(u32 number, u64& value) {
  const HartState& s = state_;
  if (number > 0xfff || static_cast<u32>(s.privilege) < ((number >> 8) & 3)) return false;
  const u64 cycle = s.mcycle_base + (s.mcountinhibit & 1 ? 0 : s.retired);
  const u64 instret = s.minstret_base + (s.mcountinhibit & 4 ? 0 : s.retired);
  switch (number) {
    case kCsrFflags:
    case kCsrFrm:
    case kCsrFcsr:
      if (!(s.mstatus & mstatus::kFs)) return false;
      value = number == kCsrFflags ? s.fflags : number == kCsrFrm ? s.frm : u64{s.frm} << 5 | s.fflags;
      return true;
    case kCsrCycle: value = cycle; return counter_allowed(number);
    case kCsrTime: value = parts_.clock.ticks(); return counter_allowed(number);
    case kCsrInstret: value = instret; return counter_allowed(number);
    case kCsrSstatus: value = read_mstatus() & (kSupervisorStatus | mstatus::kUxl64 | mstatus::kSd); return true;
    case kCsrSie: value = s.mie & s.mideleg; return true;
    case kCsrStvec: value = s.stvec; return true;
    case kCsrScounteren: value = s.scounteren; return true;
    case kCsrSenvcfg: value = s.senvcfg; return true;
    case kCsrSscratch: value = s.sscratch; return true;
    case kCsrSepc: value = s.sepc; return true;
    case kCsrScause: value = s.scause; return true;
    case kCsrStval: value = s.stval; return true;
    case kCsrSip: value = mip_ & s.mideleg; return true;
    case kCsrStimecmp:
      if (s.privilege != Privilege::machine && (!stimecmp_enabled() || !bit(s.mcounteren, 1))) return false;
      value = s.stimecmp;
      return true;
    case kCsrSatp:
      if (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::kTvm)) return false;
      value = s.satp;
      return true;
    case kCsrMvendorid:
    case kCsrMimpid:
    case kCsrMconfigptr: value = 0; return true;
    case kCsrMarchid: value = 0; return true;
    case kCsrMhartid: value = options_.id; return true;
    case kCsrMstatus: value = read_mstatus(); return true;
    case kCsrMisa: {
      value = u64{2} << 62 | 1 << ('I' - 'A') | 1 << ('S' - 'A') | 1 << ('U' - 'A');
      for (const auto& [extension, letter] : {std::pair{Extension::M, 'M'},
                                              {Extension::A, 'A'},
                                              {Extension::F, 'F'},
                                              {Extension::D, 'D'},
                                              {Extension::C, 'C'}}) {
        if (options_.isa.has(extension)) value |= u64{1} << (letter - 'A');
      }
      const bool b =
          options_.isa.has(Extension::Zba) && options_.isa.has(Extension::Zbb) && options_.isa.has(Extension::Zbs);
      if (b) value |= 1 << ('B' - 'A');
      return true;
    }
    case kCsrMedeleg: value = s.medeleg; return true;
    case kCsrMideleg: value = s.mideleg; return true;
    case kCsrMie: value = s.mie; return true;
    case kCsrMtvec: value = s.mtvec; return true;
    case kCsrMcounteren: value = s.mcounteren; return true;
    case kCsrMenvcfg: value = s.menvcfg; return true;
    case kCsrMcountinhibit: value = s.mcountinhibit; return true;
    case kCsrMscratch: value = s.mscratch; return true;
    case kCsrMepc: value = s.mepc; return true;
    case kCsrMcause: value = s.mcause; return true;
    case kCsrMtval: value = s.mtval; return true;
    case kCsrMip: value = mip_; return true;
    case kCsrMcycle: value = cycle; return true;
    case kCsrMinstret: value = instret; return true;
    default: break;
  }
  if (number >= kCsrHpmcounter3 && number <= kCsrHpmcounter31) {
    const u32 counter = number - kCsrHpmcounter3;
    value = counter < kHpmCounters ? read_hpm(counter) : 0;
    return counter_allowed(number);
  }
  if (number >= kCsrMhpmcounter3 && number <= kCsrMhpmcounter31) {
    const u32 counter = number - kCsrMhpmcounter3;
    value = counter < kHpmCounters ? read_hpm(counter) : 0;
    return true;
  }
  if (number >= kCsrMhpmevent3 && number <= kCsrMhpmevent31) {
    const u32 counter = number - kCsrMhpmevent3;
    value = counter < kHpmCounters ? kHpmEventNumbers[static_cast<unsigned>(s.hpm_event[counter])] : 0;
    return true;
  }
  if (number >= kCsrPmpcfg0 && number <= kCsrPmpcfg15) {
    if (number & 1) return false;  // RV64 has the even ones only
    value = 0;
    const u32 first = (number - kCsrPmpcfg0) * 4;
    for (u32 i = 0; i < 8 && first + i < kPmpEntries; i++) value |= u64{s.pmpcfg[first + i]} << (8 * i);
    return true;
  }
  if (number >= kCsrPmpaddr0 && number <= kCsrPmpaddr63) {
    const u32 entry = number - kCsrPmpaddr0;
    value = entry < kPmpEntries ? s.pmpaddr[entry] : 0;
    return true;
  }
  return false;
}

bool Hart::write_csr(u32 number, u64 value) {
  HartState& s = state_;
  if (number > 0xfff || (number >> 10) == 3 || static_cast<u32>(s.privilege) < ((number >> 8) & 3)) return false;
  switch (number) {
    case kCsrFflags:
    case kCsrFrm:
    case kCsrFcsr:
      if (!(s.mstatus & mstatus::kFs)) return false;
      if (number == kCsrFflags) s.fflags = value & 31;
      if (number == kCsrFrm) s.frm = value & 7;
      if (number == kCsrFcsr) {
        s.fflags = value & 31;
        s.frm = (value >> 5) & 7;
      }
      s.mstatus |= mstatus::kFs;
      return true;
    case kCsrSstatus: write_mstatus(value, kSupervisorStatus); return true;
    case kCsrSie:
      s.mie = merge(s.mie, value, s.mideleg);
      context_changed();
      return true;
    case kCsrStvec: s.stvec = value & ~u64{2}; return true;
    case kCsrScounteren: s.scounteren = value & 0xffffffff; return true;
    case kCsrSenvcfg: s.senvcfg = legal_envcfg(s.senvcfg, value, kSenvcfg); return true;
    case kCsrSscratch: s.sscratch = value; return true;
    case kCsrSepc: s.sepc = value & ~u64{1}; return true;
    case kCsrScause: s.scause = value; return true;
    case kCsrStval: s.stval = value; return true;
    case kCsrSip:
    case kCsrMip: {
      u64 writable = u64{1} << kSsi;
      if (number == kCsrMip) {
        writable |= u64{1} << kSei;
        if (!stimecmp_enabled()) writable |= u64{1} << kSti;
      } else {
        writable &= s.mideleg;
      }
      // SSIP is also raised by other harts: it lives in the shared lines. It is touched only where the write changes
      // what the hart has seen of it, so that a write of other bits loses no interrupt that has arrived since.
      if ((writable & (u64{1} << kSsi)) && bit(value, kSsi) != bit(mip_, kSsi)) {
        if (bit(value, kSsi))
          shared_.lines.fetch_or(1u << kSsi);
        else
          shared_.lines.fetch_and(~(1u << kSsi));
      }
      s.mip_soft = merge(s.mip_soft, value, writable & ~(u64{1} << kSsi));
      refresh_lines();
      context_changed();
      return true;
    }
    case kCsrStimecmp:
      if (s.privilege != Privilege::machine && (!stimecmp_enabled() || !bit(s.mcounteren, 1))) return false;
      set_stimecmp(value);
      return true;
    case kCsrSatp:
      if (s.privilege == Privilege::supervisor && (s.mstatus & mstatus::kTvm)) return false;
      write_satp(value);
      return true;
    case kCsrMstatus: write_mstatus(value, kMachineStatus); return true;
    case kCsrMisa: return true;  // WARL, fixed
    case kCsrMedeleg: s.medeleg = value & kDelegable; return true;
    case kCsrMideleg:
      s.mideleg = value & kSupervisorBits;
      context_changed();
      return true;
    case kCsrMie:
      s.mie = value & (kSupervisorBits | kMachineBits);
      context_changed();
      return true;
    case kCsrMtvec: s.mtvec = value & ~u64{2}; return true;
    case kCsrMcounteren: s.mcounteren = value & 0xffffffff; return true;
    case kCsrMenvcfg: {
      const u64 old = s.menvcfg;
      s.menvcfg = legal_envcfg(old, value, kMenvcfg);
      if ((old ^ s.menvcfg) & (envcfg::kAdue | envcfg::kPbmte)) {
        tlb_.flush_translated();
        flush_fetch();
      }
      refresh_lines();  // STIP is software's or the comparator's, by STCE
      refresh_timers();
      context_changed();
      return true;
    }
    case kCsrMcountinhibit: write_counter_inhibit(value); return true;
    case kCsrMscratch: s.mscratch = value; return true;
    case kCsrMepc: s.mepc = value & ~u64{1}; return true;
    case kCsrMcause: s.mcause = value; return true;
    case kCsrMtval: s.mtval = value; return true;
    // The write takes the place of this instruction's own count.
    case kCsrMcycle: s.mcycle_base = value - (s.mcountinhibit & 1 ? 0 : s.retired + 1); return true;
    case kCsrMinstret: s.minstret_base = value - (s.mcountinhibit & 4 ? 0 : s.retired + 1); return true;
    default: break;
  }
  if (number >= kCsrMhpmcounter3 && number <= kCsrMhpmcounter31) {
    const u32 counter = number - kCsrMhpmcounter3;
    if (counter >= kHpmCounters) return true;
    const bool counts_this = s.hpm_event[counter] >= HpmEvent::cycles;  // the write takes its place, as above
    s.hpm_base[counter] = value - (bit(s.mcountinhibit, 3 + counter) ? 0 : hpm_count(counter) + (counts_this ? 1 : 0));
    return true;
  }
  if (number >= kCsrMhpmevent3 && number <= kCsrMhpmevent31) {
    if (number - kCsrMhpmevent3 < kHpmCounters) write_hpm_event(number - kCsrMhpmevent3, value);
    return true;
  }
  if (number >= kCsrPmpcfg0 && number <= kCsrPmpcfg15) {
    if (number & 1) return false;
    const u32 first = (number - kCsrPmpcfg0) * 4;
    for (u32 i = 0; i < 8 && first + i < kPmpEntries; i++) {
      u8& config = s.pmpcfg[first + i];
      if (config & 0x80) continue;  // locked until reset
      u8 fresh = static_cast<u8>(value >> (8 * i)) & 0x9f;
      if ((fresh & 3) == 2) fresh &= ~u8{3};  // W without R is reserved
      config = fresh;
    }
    tlb_.flush_all();
    flush_fetch();
    if (translated_ != nullptr) translated_->fence_all();
    context_changed();
    return true;
  }
  if (number >= kCsrPmpaddr0 && number <= kCsrPmpaddr63) {
    const u32 entry = number - kCsrPmpaddr0;
    if (entry >= kPmpEntries) return true;
    const bool locked = s.pmpcfg[entry] & 0x80;
    const bool locked_above = entry + 1 < kPmpEntries && (s.pmpcfg[entry + 1] & 0x98) == 0x88;
    if (locked || locked_above) return true;
    s.pmpaddr[entry] = value & ((u64{1} << 54) - 1);
    tlb_.flush_all();
    flush_fetch();
    if (translated_ != nullptr) translated_->fence_all();
    context_changed();
    return true;
  }
  return false;
}

}  // namespace hartwood
