// SPDX-License-Identifier: Apache-2.0
// The architectural state of a hart: what a debugger shows and a snapshot keeps. Owned by the hart's thread. Everything
// that can be computed again (TLB, predecoded pages) lies elsewhere.
#pragma once

#include "base/serial.h"
#include "hart/csr.h"

namespace hartwood {

inline constexpr unsigned kPmpEntries = 16;

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

  // LR/SC [unpriv: Load-Reserved/Store-Conditional Instructions]: the reservation is the value that was read.
  bool reserved = false;
  u8 reserved_size = 0;  // bytes
  u64 reserved_pa = 0;
  u64 reserved_value = 0;

  void save(StateWriter& out) const;
  void load(StateReader& in);
};

}  // namespace hartwood
