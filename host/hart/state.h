// SPDX-License-Identifier: Apache-2.0
// The architectural state of a hart: what a debugger shows and a snapshot keeps. Owned by the hart's thread. Everything
// that can be computed again (TLB, predecoded pages) lies elsewhere.
#pragma once

#include "base/serial.h"
#include "hart/csr.h"

namespace hartwood {

inline constexpr unsigned kPmpEntries = 16;

// What a hardware performance counter can count, and its number in mhpmevent. Where SBI's list of events has one, it is
// that number [sbi: Performance Monitoring Unit Extension, Event: Hardware general; Hardware cache].
enum class HpmEvent : u8 {
  none,
  load_misses,
  store_misses,
  fetch_misses,
  exceptions,
  interrupts,
  cycles,
  instructions
};
inline constexpr u64 kHpmEventNumbers[] = {
    0,
    0x1'0019,  // translations of loads that the TLB did not have
    0x1'001b,  // of stores and AMOs
    0x1'0021,  // of fetches
    0x2'0001,  // exceptions taken
    0x2'0002,  // interrupts taken
    0x1,       // as mcycle
    0x2,       // as minstret
};
inline constexpr unsigned kCountedEvents = 6;  // those before `cycles` have a count of their own
inline constexpr unsigned kHpmCounters = 6;    // mhpmcounter3 to mhpmcounter8; the others are read-only zero
inline constexpr u64 kCountersThatStop = 5 | ((u64{1} << kHpmCounters) - 1) << 3;  // bits of mcountinhibit

struct HartState {
  // x[0] is always 0; predecoded instructions write results for x0 to the sink x[32].
  u64 x[33] = {};
  u64 f[32] = {};
  u64 pc = 0;
  Privilege privilege = Privilege::machine;
  u8 fflags = 0;
  u8 frm = 0;

  u64 mstatus = 0;  // without SD, UXL and SXL, which are derived
  u64 mie = 0;
  u64 mip_soft = 0;  // bits that software wrote: STIP without Sstc, SEIP
  u64 medeleg = 0, mideleg = 0;
  u64 mtvec = 0, mepc = 0, mcause = 0, mtval = 0, mscratch = 0;
  u64 mcounteren = 0, mcountinhibit = 0, menvcfg = 0;
  u64 stvec = 0, sepc = 0, scause = 0, stval = 0, sscratch = 0;
  u64 satp = 0, scounteren = 0, senvcfg = 0;
  u64 stimecmp = ~u64{0};
  u8 pmpcfg[kPmpEntries] = {};
  u64 pmpaddr[kPmpEntries] = {};

  // Counters: what the register shows minus what has been retired since the machine started, while it runs; the value
  // itself while mcountinhibit stops it.
  u64 mcycle_base = 0, minstret_base = 0;
  u64 retired = 0;  // instructions since reset, exact between instructions
  HpmEvent hpm_event[kHpmCounters] = {};
  u64 hpm_base[kHpmCounters] = {};  // as mcycle_base, with the event's count
  // Since the machine started, whether a counter counts it or not. A machine that was loaded counts the misses of its
  // empty caches: two executions agree in these only where they began together.
  u64 event_counts[kCountedEvents] = {};
  void count(HpmEvent event) { event_counts[static_cast<unsigned>(event)]++; }

  // LR/SC [unpriv: Load-Reserved/Store-Conditional Instructions]: the reservation is the value that was read.
  bool reserved = false;
  u8 reserved_size = 0;  // bytes
  u64 reserved_pa = 0;
  u64 reserved_value = 0;

  void save(StateWriter& out) const;
  void load(StateReader& in);
};

}  // namespace hartwood
