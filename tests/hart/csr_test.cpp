// SPDX-License-Identifier: Apache-2.0
// Which control and status registers exist, for whom, and what they hold after a write; the instructions that
// reach them. Counters, timers and interrupt registers are in counters_test.cpp and trap_test.cpp.
#include <set>

#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kOnes = ~u64{0};

// ---- existence

struct Registers {
  u32 first, last;
  const char* what;
};
// [priv: CSR Listing] what a hart with M, S, U, F, D, Sstc and PMP has, by the lowest mode that may read it.
const Registers kUserRegisters[] = {{0x001, 0x003, "fflags, frm, fcsr"},
                                    {0xc00, 0xc1f, "cycle, time, instret, hpmcounters"}};
const Registers kSupervisorRegisters[] = {{0x100, 0x100, "sstatus"},  {0x104, 0x106, "sie, stvec, scounteren"},
                                          {0x10a, 0x10a, "senvcfg"},  {0x140, 0x144, "sscratch to sip"},
                                          {0x14d, 0x14d, "stimecmp"}, {0x180, 0x180, "satp"}};
const Registers kMachineRegisters[] = {{0xf11, 0xf15, "mvendorid to mconfigptr"},
                                       {0x300, 0x306, "mstatus to mcounteren"},
                                       {0x30a, 0x30a, "menvcfg"},
                                       {0x320, 0x320, "mcountinhibit"},
                                       {0x323, 0x33f, "mhpmevents"},
                                       {0x340, 0x344, "mscratch to mip"},
                                       {0x3b0, 0x3ef, "pmpaddrs"},
                                       {0xb00, 0xb00, "mcycle"},
                                       {0xb02, 0xb1f, "minstret, mhpmcounters"}};

std::set<u32> numbers(std::initializer_list<std::span<const Registers>> groups) {
  std::set<u32> all;
  for (const auto& group : groups) {
    for (const Registers& range : group) {
      for (u32 number = range.first; number <= range.last; number++) all.insert(number);
    }
  }
  return all;
}

TEST(Csr, ExactlyTheListedOnesExist) {
  Rig rig;
  const auto of_user = numbers({kUserRegisters});
  const auto of_supervisor = numbers({kUserRegisters, kSupervisorRegisters});
  auto of_machine = numbers({kUserRegisters, kSupervisorRegisters, kMachineRegisters});
  for (u32 number = 0x3a0; number <= 0x3ae; number += 2) of_machine.insert(number);  // pmpcfg, even ones only
  for (const Privilege mode : kPrivileges) {
    const std::set<u32>& present = mode == Privilege::user         ? of_user
                                   : mode == Privilege::supervisor ? of_supervisor
                                                                   : of_machine;
    for (u32 number = 0; number < 0x1000; number++) {
      rig.reset();
      HartState& s = rig.state();
      s.mstatus |= mstatus::kFs;
      s.mcounteren = s.scounteren = 0xffff'ffff;
      s.menvcfg = envcfg::kStce;
      s.privilege = mode;
      const bool exists = present.contains(number);
      ASSERT_EQ(rig.readable(number), exists) << "read of 0x" << std::hex << number << " in " << privilege_name(mode);
      // The two upper bits of the number say whether it can be written. A rewrite of what is there changes no
      // mode.
      u64 value = 0;
      if (exists) value = rig.read(number);
      const bool writable = exists && (number >> 10) != 3;
      ASSERT_EQ(rig.writable(number, value), writable)
          << "write of 0x" << std::hex << number << " in " << privilege_name(mode);
    }
  }
}

TEST(Csr, ReadOnlyOnesTakeReadsWithoutWrite) {
  Rig rig;
  for (const u32 number : {0xf11u, 0xf12u, 0xf13u, 0xf14u, 0xf15u, 0xc00u, 0xc01u, 0xc02u, 0xc03u, 0xc1fu}) {
    SCOPED_TRACE(testing::Message() << std::hex << number);
    u64 old = 1;
    rig.x(a1) = 0;
    EXPECT_TRUE(rig.csr_word(encode_csr(Op::csrrs, a0, number, zero), old));
    EXPECT_TRUE(rig.csr_word(encode_csr(Op::csrrc, a0, number, zero), old));
    EXPECT_TRUE(rig.csr_word(encode_csri(Op::csrrsi, a0, number, 0), old));
    EXPECT_TRUE(rig.csr_word(encode_csri(Op::csrrci, a0, number, 0), old));
    // A register operand other than x0 is a write, whatever its value.
    EXPECT_FALSE(rig.csr_word(encode_csr(Op::csrrs, a0, number, a1), old));
    EXPECT_FALSE(rig.csr_word(encode_csr(Op::csrrc, a0, number, a1), old));
    EXPECT_FALSE(rig.csr_word(encode_csr(Op::csrrw, a0, number, zero), old));
    EXPECT_FALSE(rig.csr_word(encode_csri(Op::csrrwi, a0, number, 0), old));
    EXPECT_FALSE(rig.csr_word(encode_csri(Op::csrrsi, a0, number, 1), old));
    EXPECT_FALSE(rig.csr_word(encode_csri(Op::csrrci, zero, number, 1), old));
  }
  EXPECT_EQ(rig.read(kCsrMhartid), 0u);
  EXPECT_EQ(rig.read(kCsrMvendorid), 0u);
  EXPECT_EQ(rig.read(kCsrMconfigptr), 0u);
}

// ---- instructions

TEST(Csr, SwapSetAndClear) {
  Rig rig;
  u64 old = 0;
  rig.state().mscratch = 0xff00;
  EXPECT_TRUE(rig.csr(Op::csrrw, kCsrMscratch, 0x1234, old));
  EXPECT_EQ(old, 0xff00u);
  EXPECT_EQ(rig.state().mscratch, 0x1234u);
  EXPECT_TRUE(rig.csr(Op::csrrs, kCsrMscratch, 0xf001, old));
  EXPECT_EQ(old, 0x1234u);
  EXPECT_EQ(rig.state().mscratch, 0xf235u);
  EXPECT_TRUE(rig.csr(Op::csrrc, kCsrMscratch, 0x0ff4, old));
  EXPECT_EQ(old, 0xf235u);
  EXPECT_EQ(rig.state().mscratch, 0xf001u);
  EXPECT_TRUE(rig.csr_word(encode_csri(Op::csrrwi, a0, kCsrMscratch, 31), old));
  EXPECT_EQ(old, 0xf001u);
  EXPECT_EQ(rig.state().mscratch, 31u);
  EXPECT_TRUE(rig.csr_word(encode_csri(Op::csrrci, a0, kCsrMscratch, 0x15), old));
  EXPECT_EQ(old, 31u);
  EXPECT_EQ(rig.state().mscratch, 10u);
  EXPECT_TRUE(rig.csr_word(encode_csri(Op::csrrsi, a0, kCsrMscratch, 0x11), old));
  EXPECT_EQ(old, 10u);
  EXPECT_EQ(rig.state().mscratch, 27u);
}

TEST(Csr, SourceAndDestinationMayBeTheSame) {
  Rig rig;
  rig.state().mscratch = 0xaaaa;
  rig.x(a0) = 0x5555;
  EXPECT_EQ(rig.execute(encode_csr(Op::csrrw, a0, kCsrMscratch, a0)), Outcome{});
  EXPECT_EQ(rig.x(a0), 0xaaaau);
  EXPECT_EQ(rig.state().mscratch, 0x5555u);
  EXPECT_EQ(rig.execute(encode_csr(Op::csrrw, zero, kCsrMscratch, a0)), Outcome{});
  EXPECT_EQ(rig.state().mscratch, 0xaaaau);
  EXPECT_EQ(rig.state().x[0], 0u);
  EXPECT_EQ(rig.execute(encode_csr(Op::csrrs, zero, kCsrMscratch, a0)), Outcome{});
  EXPECT_EQ(rig.state().x[0], 0u);
}

TEST(Csr, ZeroOperandsDoNotWrite) {
  // Visible where a write would have an effect although it changes no bit: FS becomes dirty.
  Rig rig;
  const auto fs_after = [&](u32 word) {
    rig.state().mstatus = u64{1} << mstatus::kFsShift;
    EXPECT_EQ(rig.execute(word), Outcome{});
    return bits(rig.state().mstatus, 14, 13);
  };
  EXPECT_EQ(fs_after(encode_csr(Op::csrrs, a0, kCsrFcsr, zero)), 1u);
  EXPECT_EQ(fs_after(encode_csr(Op::csrrc, a0, kCsrFcsr, zero)), 1u);
  EXPECT_EQ(fs_after(encode_csri(Op::csrrsi, a0, kCsrFcsr, 0)), 1u);
  EXPECT_EQ(fs_after(encode_csri(Op::csrrci, a0, kCsrFcsr, 0)), 1u);
  EXPECT_EQ(fs_after(encode_csr(Op::csrrw, a0, kCsrFcsr, zero)), 3u);
  EXPECT_EQ(fs_after(encode_csri(Op::csrrwi, a0, kCsrFcsr, 0)), 3u);
  rig.x(a1) = 0;
  EXPECT_EQ(fs_after(encode_csr(Op::csrrs, a0, kCsrFcsr, a1)), 3u);
}

// ---- legal values

TEST(Csr, WarlFields) {
  Rig rig;
  const struct {
    u32 csr;
    u64 written, read;
    const char* what;
  } rows[] = {
      {kCsrMtvec, 0x8000'1234'5678'9abd, 0x8000'1234'5678'9abd, "vectored"},
      {kCsrMtvec, 0x8000'1002, 0x8000'1000, "mode 2 is reserved"},
      {kCsrMtvec, 0x8000'1003, 0x8000'1001, "mode 3 is reserved"},
      {kCsrMtvec, kOnes, ~u64{2}, "every address"},
      {kCsrStvec, kOnes, ~u64{2}, "every address"},
      {kCsrStvec, 0x8000'1002, 0x8000'1000, "mode 2 is reserved"},
      {kCsrMepc, kOnes, ~u64{1}, "bit 0 is zero"},
      {kCsrSepc, 0x1001, 0x1000, "bit 0 is zero"},
      {kCsrMedeleg, kOnes, 0xb3ff, "ecall from M and unknown causes stay"},
      {kCsrMedeleg, 0, 0, ""},
      {kCsrMideleg, kOnes, 0x222, "supervisor interrupts only"},
      {kCsrMie, kOnes, 0xaaa, "the six interrupts"},
      {kCsrMcounteren, kOnes, 0xffff'ffff, "32 bits"},
      {kCsrScounteren, kOnes, 0xffff'ffff, "32 bits"},
      {kCsrMcountinhibit, kOnes, 0x1fd, "cycle, instret and six of events"},
      {kCsrMenvcfg, kOnes, 0xe000'0000'0000'00f1, "STCE, PBMTE, ADUE, CBZE, CBCFE, CBIE, FIOM"},
      {kCsrSenvcfg, kOnes, 0xf1, "CBZE, CBCFE, CBIE, FIOM"},
      {kCsrMscratch, kOnes, kOnes, ""},
      {kCsrSscratch, kOnes, kOnes, ""},
      {kCsrMtval, kOnes, kOnes, ""},
      {kCsrStval, kOnes, kOnes, ""},
      {kCsrMcause, 0x8000'0000'0000'000b, 0x8000'0000'0000'000b, ""},
      {kCsrScause, 0x8000'0000'0000'0009, 0x8000'0000'0000'0009, ""},
      {kCsrStimecmp, kOnes, kOnes, ""},
      {0x323, kOnes, 0, "no such event"},
      {0x33f, kOnes, 0, "no events"},
      {0xb09, kOnes, 0, "no counters"},
      {0xb1f, kOnes, 0, "no counters"},
      {kCsrFflags, kOnes, 0x1f, ""},
      {kCsrFrm, kOnes, 7, "reserved modes are kept"},
      {kCsrFcsr, kOnes, 0xff, ""},
  };
  for (const auto& row : rows) {
    rig.reset();
    rig.state().mstatus |= mstatus::kFs;
    EXPECT_EQ(rig.rewritten(row.csr, row.written), row.read)
        << std::hex << "0x" << row.csr << " <- 0x" << row.written << ": " << row.what;
  }
}

TEST(Csr, EnvironmentConfiguration) {
  Rig rig;
  EXPECT_EQ(rig.read(kCsrMenvcfg) & envcfg::kAdue, 0u);  // after reset
  EXPECT_EQ(rig.read(kCsrMenvcfg), 0u);
  EXPECT_EQ(rig.read(kCsrSenvcfg), 0u);
  // CBIE has no value 2; the field keeps what it had.
  for (const u32 csr : {kCsrMenvcfg, kCsrSenvcfg}) {
    for (const u64 cbie : {0u, 1u, 3u}) {
      EXPECT_EQ(rig.rewritten(csr, cbie << 4 | 1), cbie << 4 | 1);
      EXPECT_EQ(rig.rewritten(csr, 2 << 4 | envcfg::kCbze), cbie << 4 | envcfg::kCbze);
    }
  }
}

TEST(Csr, Misa) {
  Rig rig;
  const u64 misa = rig.read(kCsrMisa);
  EXPECT_EQ(misa >> 62, 2u);
  u64 letters = 0;
  for (const char c : {'A', 'B', 'C', 'D', 'F', 'I', 'M', 'S', 'U'}) letters |= u64{1} << (c - 'A');
  EXPECT_EQ(misa & 0x3ff'ffff, letters);
  EXPECT_EQ(rig.rewritten(kCsrMisa, 0), misa);
}

// ---- mstatus and sstatus

TEST(Csr, MstatusFields) {
  Rig rig;
  constexpr u64 kXl = u64{2} << 32 | u64{2} << 34;
  // SIE MIE SPIE MPIE SPP MPP FS MPRV SUM MXR TVM TW TSR, and what follows from them.
  EXPECT_EQ(rig.rewritten(kCsrMstatus, kOnes), u64{1} << 63 | kXl | 0x7e'79aa);
  EXPECT_EQ(rig.rewritten(kCsrMstatus, 0), kXl);
  for (const unsigned bit_number : {1u, 3u, 5u, 7u, 8u, 17u, 18u, 19u, 20u, 21u, 22u})
    EXPECT_EQ(rig.rewritten(kCsrMstatus, u64{1} << bit_number), kXl | u64{1} << bit_number) << bit_number;
  // MPP holds the modes that exist.
  for (const u64 mpp : {0u, 1u, 3u}) {
    EXPECT_EQ(bits(rig.rewritten(kCsrMstatus, mpp << 11), 12, 11), mpp);
    EXPECT_EQ(bits(rig.rewritten(kCsrMstatus, u64{2} << 11 | 8), 12, 11), mpp);
    EXPECT_EQ(bits(rig.read(kCsrMstatus), 3, 3), 1u);
  }
}

TEST(Csr, SstatusIsAViewOfMstatus) {
  Rig rig;
  constexpr u64 kUxl = u64{2} << 32;
  constexpr u64 kView = 0xc'6122;  // SIE SPIE SPP FS SUM MXR
  rig.write(kCsrMstatus, kOnes);
  EXPECT_EQ(rig.read(kCsrSstatus), u64{1} << 63 | kUxl | kView);
  rig.write(kCsrSstatus, 0);
  EXPECT_EQ(rig.read(kCsrSstatus), kUxl);
  EXPECT_EQ(rig.read(kCsrMstatus), kUxl | u64{2} << 34 | (0x7e'79aa & ~kView));
  rig.write(kCsrMstatus, 0);
  rig.write(kCsrSstatus, kOnes);
  EXPECT_EQ(rig.read(kCsrMstatus), u64{1} << 63 | kUxl | u64{2} << 34 | kView);
}

TEST(Csr, FloatingPointState) {
  Rig rig;
  const u32 loads[] = {access_word(Op::flw), access_word(Op::fld), access_word(Op::flh)};
  const u32 stores[] = {access_word(Op::fsw), access_word(Op::fsd), access_word(Op::fsh)};
  const u32 to_x = encode_unary(Op::fmv_x_d, a0, a0);
  const u32 to_f = encode_unary(Op::fmv_d_x, a0, a0);
  const u32 add = encode_r(Op::fadd_d, a0, a0, a0);
  // Off: all of it is illegal.
  std::vector<u32> all = {to_x,
                          to_f,
                          add,
                          encode_csr(Op::csrrs, a0, kCsrFcsr, zero),
                          encode_csr(Op::csrrs, a0, kCsrFrm, zero),
                          encode_csr(Op::csrrs, a0, kCsrFflags, zero),
                          encode_csr(Op::csrrw, zero, kCsrFflags, a0),
                          0x2108 /* c.fld fa0, 0(a0) */,
                          0xa108 /* c.fsd fa0, 0(a0) */};
  all.insert(all.end(), std::begin(loads), std::end(loads));
  all.insert(all.end(), std::begin(stores), std::end(stores));
  for (const u32 word : all) {
    rig.reset();
    rig.x(a0) = rig.x(a1) = kData;
    const Outcome illegal = {true, static_cast<u64>(Cause::illegal_instruction), word, kCode, Privilege::machine};
    EXPECT_EQ(rig.execute(word), illegal) << std::hex << word;
  }
  // Initial and clean: what writes an f register or fcsr makes it dirty, and SD follows; what only reads does
  // not.
  for (const u64 fs : {1u, 2u, 3u}) {
    const auto after = [&](u32 word) {
      rig.reset();
      rig.x(a0) = rig.x(a1) = kData;
      rig.write(kCsrMstatus, fs << mstatus::kFsShift);
      rig.x(a1) = kData;
      EXPECT_EQ(rig.read(kCsrMstatus) >> 63, fs == 3 ? 1u : 0u);
      rig.x(a0) = kData;
      EXPECT_EQ(rig.execute(word), Outcome{}) << std::hex << word;
      const u64 status = rig.read(kCsrSstatus);
      EXPECT_EQ(status >> 63, bits(status, 14, 13) == 3 ? 1u : 0u);
      return bits(status, 14, 13);
    };
    for (const u32 word : loads) EXPECT_EQ(after(word), 3u);
    EXPECT_EQ(after(to_f), 3u);
    EXPECT_EQ(after(add), 3u);
    EXPECT_EQ(after(0x2108), 3u);
    EXPECT_EQ(after(encode_csr(Op::csrrw, zero, kCsrFflags, zero)), 3u);
    EXPECT_EQ(after(encode_csr(Op::csrrw, zero, kCsrFrm, zero)), 3u);
    for (const u32 word : stores) EXPECT_EQ(after(word), fs);
    EXPECT_EQ(after(0xa108), fs);
    EXPECT_EQ(after(encode_csr(Op::csrrs, a0, kCsrFcsr, zero)), fs);
  }
}

TEST(Csr, FcsrIsMadeOfItsParts) {
  Rig rig;
  rig.state().mstatus |= mstatus::kFs;
  rig.write(kCsrFrm, 3);
  rig.write(kCsrFflags, 0x15);
  EXPECT_EQ(rig.read(kCsrFcsr), 0x75u);
  rig.write(kCsrFcsr, 0xffff'ff4a);
  EXPECT_EQ(rig.read(kCsrFrm), 2u);
  EXPECT_EQ(rig.read(kCsrFflags), 0x0au);
  rig.write(kCsrFflags, 0xe0);  // bits that are not flags leave the rest alone
  EXPECT_EQ(rig.read(kCsrFcsr), 0x40u);
  rig.write(kCsrFrm, 0x18);
  EXPECT_EQ(rig.read(kCsrFcsr), 0u);
}

TEST(Csr, ReservedRoundingModes) {
  Rig rig;
  const u32 dynamic = encode_r(Op::fadd_d, a0, a0, a0) | 7 << 12;
  for (u64 frm = 0; frm < 8; frm++) {
    rig.reset();
    rig.state().mstatus |= mstatus::kFs;
    rig.write(kCsrFrm, frm);
    EXPECT_EQ(rig.execute(dynamic).trapped, frm > 4) << frm;
    EXPECT_EQ(rig.read(kCsrFrm), frm);
  }
  for (u32 rm = 0; rm < 7; rm++) {
    rig.reset();
    rig.state().mstatus |= mstatus::kFs;
    rig.state().frm = 5;  // no matter
    EXPECT_EQ(rig.execute(encode_r(Op::fadd_d, a0, a0, a0) | rm << 12).trapped, rm > 4) << rm;
  }
  // Where nothing is rounded the mode does not matter.
  rig.reset();
  rig.state().mstatus |= mstatus::kFs;
  rig.state().frm = 7;
  EXPECT_EQ(rig.execute(encode_r(Op::fsgnj_d, a0, a0, a0)), Outcome{});
}

// ---- satp

TEST(Csr, SatpModes) {
  constexpr u64 kRest = 0x0fff'ffff'ffff'ffff;  // ASID and PPN
  for (const SatpMode largest : {SatpMode::sv39, SatpMode::sv48, SatpMode::sv57}) {
    Rig rig{RigOptions{.largest_mode = largest}};
    for (u64 mode = 0; mode < 16; mode++) {
      SCOPED_TRACE(testing::Message() << "largest " << static_cast<int>(largest) << ", mode " << mode);
      const u64 kept = u64{8} << 60 | 0x1234;
      rig.write(kCsrSatp, kept);
      const u64 read = rig.rewritten(kCsrSatp, mode << 60 | kRest);
      if (mode == 0) {
        EXPECT_EQ(read, 0u);
      } else if (mode >= 8 && mode <= static_cast<u64>(largest)) {
        EXPECT_EQ(read, mode << 60 | kRest);
      } else {
        EXPECT_EQ(read, kept);  // the write has no effect at all
      }
    }
  }
}

TEST(Csr, TvmProtectsSatpFromSupervisors) {
  Rig rig;
  for (const bool tvm : {false, true}) {
    rig.reset();
    rig.write(kCsrMstatus, tvm ? mstatus::kTvm : 0);
    EXPECT_TRUE(rig.readable(kCsrSatp));
    rig.set_privilege(Privilege::supervisor);
    EXPECT_EQ(rig.readable(kCsrSatp), !tvm);
    EXPECT_EQ(rig.writable(kCsrSatp, 0), !tvm);
  }
}

// ---- PMP

TEST(Csr, PmpRegisters) {
  Rig rig;
  rig.write(0x3a0, 0);
  for (u32 i = 0; i < 64; i++) {
    const u64 read = rig.rewritten(0x3b0 + i, kOnes - i);
    EXPECT_EQ(read, i < 16 ? (kOnes - i) & ((u64{1} << 54) - 1) : 0) << i;
  }
  // RWX, W without R is not possible; A; bits 5 and 6 are zero. (L is tried below.)
  EXPECT_EQ(rig.rewritten(0x3a0, 0x7f7d'7b79'771f'0f07), 0x1f1d'1b19'171f'0f07u);
  EXPECT_EQ(rig.rewritten(0x3a2, 0x0605'0403'0201'0018), 0x0405'0403'0001'0018u);
  for (const u32 number : {0x3a4u, 0x3aeu}) EXPECT_EQ(rig.rewritten(number, 0x7f7f'7f7f'7f7f'7f7f), 0u);
}

TEST(Csr, PmpLocks) {
  Rig rig;
  rig.write(0x3a0, 0);
  rig.write(0x3b0, 0x100);
  rig.write(0x3b1, 0x200);
  rig.write(0x3b2, 0x300);
  rig.write(0x3b3, 0x400);
  // Entry 1: locked NAPOT. Entry 3: locked TOR, which locks the address of entry 2 as well.
  rig.write(0x3a0, 0x8f00'9f00 | 0x0f);
  EXPECT_EQ(rig.read(0x3a0), 0x8f00'9f0fu);
  rig.write(0x3a0, 0);
  EXPECT_EQ(rig.read(0x3a0), 0x8f00'9f00u);
  EXPECT_EQ(rig.rewritten(0x3b0, 1), 1u);  // below a locked NAPOT entry
  EXPECT_EQ(rig.rewritten(0x3b1, 1), 0x200u);
  EXPECT_EQ(rig.rewritten(0x3b2, 1), 0x300u);
  EXPECT_EQ(rig.rewritten(0x3b3, 1), 0x400u);
  // Entry 2's configuration is not locked.
  rig.write(0x3a0, u64{0x1b} << 16);
  EXPECT_EQ(rig.read(0x3a0), 0x8f1b'9f00u);
}

TEST(Pmp, MatchesAndDenies) {
  struct Entry {
    u8 config;
    u64 address;
  };
  constexpr u8 kR = 1, kW = 2, kX = 4, kTor = 8, kNa4 = 16, kNapot = 24, kLock = 0x80;
  const auto napot = [](u64 base, u64 bytes) { return base >> 2 | (bytes / 8 - 1); };
  constexpr u64 kAt = kData + 0x400;
  const struct {
    const char* what;
    std::vector<Entry> entries;
    u64 va;
    bool load, store;   // from S-mode
    bool machine_load;  // from M-mode
  } rows[] = {
      {"no entry: only M-mode", {}, kAt, false, false, true},
      {"NAPOT, all", {{kNapot | kR | kW, napot(kAt, 64)}}, kAt + 63, true, true, true},
      {"NAPOT, behind its end", {{kNapot | kR | kW, napot(kAt, 64)}}, kAt + 64, false, false, true},
      {"NAPOT, before its start", {{kNapot | kR | kW, napot(kAt, 64)}}, kAt - 1, false, false, true},
      {"read only", {{kNapot | kR, napot(kAt, 64)}}, kAt, true, false, true},
      {"execute only", {{kNapot | kX, napot(kAt, 64)}}, kAt, false, false, true},
      {"NA4", {{kNa4 | kR, kAt >> 2}}, kAt + 3, true, false, true},
      {"NA4, next word", {{kNa4 | kR, kAt >> 2}}, kAt + 4, false, false, true},
      {"TOR from zero", {{kTor | kR | kX, kAt >> 2}}, kAt - 1, true, false, true},
      {"TOR, its end", {{kTor | kR | kX, kAt >> 2}}, kAt, false, false, true},
      {"TOR between two", {{0, kAt >> 2}, {kTor | kR | kW, (kAt + 16) >> 2}}, kAt, true, true, true},
      {"TOR, below its start", {{0, kAt >> 2}, {kTor | kR | kW, (kAt + 16) >> 2}}, kAt - 1, false, false, true},
      {"TOR, empty range", {{0, (kAt + 16) >> 2}, {kTor | kR | kW, kAt >> 2}}, kAt, false, false, true},
      {"the lowest entry decides", {{kNa4, kAt >> 2}, {kNapot | kR | kW | kX, ~u64{0} >> 10}}, kAt, false, false, true},
      {"the next one for others",
       {{kNa4, kAt >> 2}, {kNapot | kR | kW | kX, ~u64{0} >> 10}},
       kAt + 4,
       true,
       true,
       true},
      {"locked binds M-mode", {{kLock | kNapot | kW | kR, napot(kAt, 8)}}, kAt, true, true, true},
      {"locked, no permission", {{kLock | kNapot, napot(kAt, 8)}}, kAt, false, false, false},
      {"all of memory", {{kNapot | kR | kW | kX, ~u64{0} >> 10}}, kAt, true, true, true},
  };
  Rig rig;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    rig.reset();
    HartState& s = rig.state();
    s.pmpcfg[0] = 0;
    s.pmpaddr[0] = 0;
    for (size_t i = 0; i < row.entries.size(); i++) {
      s.pmpcfg[i] = row.entries[i].config;
      s.pmpaddr[i] = row.entries[i].address;
    }
    // The stubs' page stays executable for S-mode.
    s.pmpcfg[15] = kNapot | kX;
    s.pmpaddr[15] = napot(kStubs, kPageBytes);
    rig.drop_caches();
    for (int round = 0; round < 2; round++) {  // the second one would find what the first entered
      s.privilege = Privilege::supervisor;
      EXPECT_EQ(rig.load_fault(row.va) == std::nullopt, row.load);
      EXPECT_EQ(rig.store_fault(row.va) == std::nullopt, row.store);
      s.privilege = Privilege::machine;
      EXPECT_EQ(rig.load_fault(row.va) == std::nullopt, row.machine_load);
    }
    s.privilege = Privilege::supervisor;
    if (!row.load) {
      EXPECT_EQ(rig.load_fault(row.va), Cause::load_access);
    }
    if (!row.store) {
      EXPECT_EQ(rig.store_fault(row.va), Cause::store_access);
    }
  }
}

TEST(Pmp, AnAccessMatchesWholly) {
  // A double word of which only half lies in the entry fails in every mode, although each half would be
  // allowed.
  Rig rig;
  rig.state().pmpcfg[1] = rig.state().pmpcfg[0];
  rig.state().pmpaddr[1] = rig.state().pmpaddr[0];
  rig.state().pmpcfg[0] = 0x10 | 7;  // NA4
  rig.state().pmpaddr[0] = kData >> 2;
  rig.drop_caches();
  for (const Privilege mode : {Privilege::supervisor, Privilege::machine}) {
    rig.state().privilege = mode;
    EXPECT_EQ(rig.load_fault(kData), std::nullopt);
    EXPECT_EQ(rig.fault(Op::ld, kData), Cause::load_access);
    EXPECT_EQ(rig.fault(Op::sd, kData), Cause::store_access);
    EXPECT_EQ(rig.fault(Op::lw, kData), std::nullopt);
    EXPECT_EQ(rig.fault(Op::lw, kData + 4), std::nullopt);
  }
}

TEST(Pmp, WritesTakeEffectAtOnce) {
  // Entry 0 alone decides; what it allowed is in the TLBs of S-mode when M-mode changes it.
  Rig rig;
  HartState& s = rig.state();
  s.pmpcfg[1] = 0x1c;  // the stubs' page stays executable
  s.pmpaddr[1] = kStubs >> 2 | 0x1ff;
  s.pmpcfg[0] = 0x1b;
  s.pmpaddr[0] = kData >> 2 | 0x1ff;
  rig.drop_caches();
  const auto set = [&](u32 csr, u64 value) {
    s.privilege = Privilege::machine;
    rig.x(a1) = value;
    EXPECT_EQ(rig.stub(encode_csr(Op::csrrw, zero, csr, a1)), Outcome{});
    s.privilege = Privilege::supervisor;
  };
  const u64 there = kData >> 2 | 0x1ff, elsewhere = (kData + kPageBytes) >> 2 | 0x1ff;
  for (int round = 0; round < 2; round++) {
    set(kCsrPmpaddr0, there);
    EXPECT_EQ(rig.load_fault(kData), std::nullopt);
    EXPECT_EQ(rig.store_fault(kData), std::nullopt);
    set(kCsrPmpaddr0, elsewhere);
    EXPECT_EQ(rig.load_fault(kData), Cause::load_access);
    EXPECT_EQ(rig.store_fault(kData), Cause::store_access);
    set(kCsrPmpaddr0, there);
    EXPECT_EQ(rig.store_fault(kData), std::nullopt);
    set(kCsrPmpcfg0, 0x1c19);
    EXPECT_EQ(rig.load_fault(kData), std::nullopt);
    EXPECT_EQ(rig.store_fault(kData), Cause::store_access);
    set(kCsrPmpcfg0, 0x1c1b);
  }
}

TEST(Pmp, FetchAndChanges) {
  Rig rig;
  rig.place(kData, {kNop, kNop});
  rig.state().privilege = Privilege::supervisor;
  EXPECT_EQ(rig.fetch_fault(kData), std::nullopt);
  // Taking X away by CSR instructions is seen without a fence in M-mode's view of PMP; the hart drops what it
  // cached.
  rig.set_privilege(Privilege::machine);
  rig.write(0x3b0, ~u64{0} >> 10);
  rig.write(0x3a0, 0x1b);
  rig.state().privilege = Privilege::supervisor;
  EXPECT_EQ(rig.fetch_fault(kData), Cause::fetch_access);
  rig.state().privilege = Privilege::machine;
  EXPECT_EQ(rig.fetch_fault(kData), std::nullopt);
  rig.write(0x3a0, 0x9b);  // locked
  EXPECT_EQ(rig.fetch_fault(kData), Cause::fetch_access);
}

}  // namespace
}  // namespace hartwood::test
