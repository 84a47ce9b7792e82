// SPDX-License-Identifier: Apache-2.0
// Numbers and fields of the control and status registers. [priv: Control and Status Registers (CSRs)]
#pragma once

#include "base/types.h"

namespace hartwood {

enum Csr : u32 {
  kCsrFflags = 0x001,
  kCsrFrm = 0x002,
  kCsrFcsr = 0x003,
  kCsrCycle = 0xc00,
  kCsrTime = 0xc01,
  kCsrInstret = 0xc02,
  kCsrHpmcounter3 = 0xc03,
  kCsrHpmcounter31 = 0xc1f,
  kCsrSstatus = 0x100,
  kCsrSie = 0x104,
  kCsrStvec = 0x105,
  kCsrScounteren = 0x106,
  kCsrSenvcfg = 0x10a,
  kCsrSscratch = 0x140,
  kCsrSepc = 0x141,
  kCsrScause = 0x142,
  kCsrStval = 0x143,
  kCsrSip = 0x144,
  kCsrStimecmp = 0x14d,
  kCsrSatp = 0x180,
  kCsrMvendorid = 0xf11,
  kCsrMarchid = 0xf12,
  kCsrMimpid = 0xf13,
  kCsrMhartid = 0xf14,
  kCsrMconfigptr = 0xf15,
  kCsrMstatus = 0x300,
  kCsrMisa = 0x301,
  kCsrMedeleg = 0x302,
  kCsrMideleg = 0x303,
  kCsrMie = 0x304,
  kCsrMtvec = 0x305,
  kCsrMcounteren = 0x306,
  kCsrMenvcfg = 0x30a,
  kCsrMcountinhibit = 0x320,
  kCsrMhpmevent3 = 0x323,
  kCsrMhpmevent31 = 0x33f,
  kCsrMscratch = 0x340,
  kCsrMepc = 0x341,
  kCsrMcause = 0x342,
  kCsrMtval = 0x343,
  kCsrMip = 0x344,
  kCsrPmpcfg0 = 0x3a0,
  kCsrPmpcfg15 = 0x3af,
  kCsrPmpaddr0 = 0x3b0,
  kCsrPmpaddr63 = 0x3ef,
  kCsrMcycle = 0xb00,
  kCsrMinstret = 0xb02,
  kCsrMhpmcounter3 = 0xb03,
  kCsrMhpmcounter31 = 0xb1f,
};

namespace mstatus {
inline constexpr u64 kSie = 1 << 1, kMie = 1 << 3, kSpie = 1 << 5, kMpie = 1 << 7, kSpp = 1 << 8;
inline constexpr unsigned kMppShift = 11, kFsShift = 13;
inline constexpr u64 kMpp = u64{3} << kMppShift, kFs = u64{3} << kFsShift;
inline constexpr u64 kMprv = 1 << 17, kSum = 1 << 18, kMxr = 1 << 19, kTvm = 1 << 20, kTw = 1 << 21, kTsr = 1 << 22;
inline constexpr u64 kUxl64 = u64{2} << 32, kSxl64 = u64{2} << 34, kSd = u64{1} << 63;
}  // namespace mstatus

namespace envcfg {
inline constexpr u64 kFiom = 1, kCbie = u64{3} << 4, kCbcfe = 1 << 6, kCbze = 1 << 7;
inline constexpr u64 kAdue = u64{1} << 61, kPbmte = u64{1} << 62, kStce = u64{1} << 63;
}  // namespace envcfg

// satp.MODE [priv: Supervisor Address Translation and Protection (satp) Register]
enum class SatpMode : u8 { bare = 0, sv39 = 8, sv48 = 9, sv57 = 10 };

enum class Privilege : u8 { user = 0, supervisor = 1, machine = 3 };

}  // namespace hartwood
