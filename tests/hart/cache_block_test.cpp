// SPDX-License-Identifier: Apache-2.0
// Zicboz and Zicbom: what they write, who may execute them, how they fault.
// [cmo: Cache-Block Operations; priv: Machine and Supervisor Environment Configuration Registers]
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

const Op kManagement[] = {Op::cbo_inval, Op::cbo_clean, Op::cbo_flush};
constexpr u64 kInvalFlush = 1 << 4, kInval = 3 << 4;

Outcome illegal(u32 word, Privilege to = Privilege::machine) {
  return {true, static_cast<u64>(Cause::illegal_instruction), word, kCode, to};
}

TEST(CacheBlocks, ZeroWritesOneAlignedBlock) {
  Rig rig;
  for (const u64 offset : {u64{0}, u64{1}, u64{63}, u64{64}, u64{4095}}) {
    ASSERT_TRUE(rig.memory().fill(Pa(kData - 64), 0xee, kPageBytes + 128));
    rig.x(a1) = kData + offset;
    EXPECT_EQ(rig.execute(encode_cbo(Op::cbo_zero, a1)), Outcome{});
    EXPECT_EQ(rig.x(a1), kData + offset);
    const u64 block = (kData + offset) / 64 * 64;
    for (u64 at = kData - 64; at < kData + kPageBytes + 64; at++)
      ASSERT_EQ(rig.peek<u8>(at), at - block < 64 ? 0 : 0xee) << std::hex << at;
  }
}

TEST(CacheBlocks, ManagementChangesNothing) {
  Rig rig;
  ASSERT_TRUE(rig.memory().fill(Pa(kData), 0xee, 256));
  for (const Op op : kManagement) {
    rig.x(a1) = kData + 100;
    EXPECT_EQ(rig.execute(encode_cbo(op, a1)), Outcome{});
  }
  for (u64 at = kData; at < kData + 256; at++) ASSERT_EQ(rig.peek<u8>(at), 0xee);
}

TEST(CacheBlocks, Permissions) {
  Rig rig;
  // menvcfg decides for S and U, senvcfg for U as well.
  const u64 menvcfgs[] = {
      0, kInvalFlush, kInval, envcfg::kCbcfe, envcfg::kCbze, kInval | envcfg::kCbcfe | envcfg::kCbze};
  for (const u64 m : menvcfgs) {
    for (const u64 s : menvcfgs) {
      for (const Privilege mode : kPrivileges) {
        for (const Op op : {Op::cbo_inval, Op::cbo_clean, Op::cbo_flush, Op::cbo_zero}) {
          SCOPED_TRACE(testing::Message() << info(op).mnemonic << " in " << privilege_name(mode) << ", menvcfg 0x"
                                          << std::hex << m << ", senvcfg 0x" << s);
          const u64 bit = op == Op::cbo_inval ? kInval : op == Op::cbo_zero ? envcfg::kCbze : envcfg::kCbcfe;
          const bool allowed =
              mode == Privilege::machine || ((m & bit) && (mode == Privilege::supervisor || (s & bit)));
          rig.reset();
          rig.write(kCsrMenvcfg, m);
          rig.write(kCsrSenvcfg, s);
          rig.set_privilege(mode);
          rig.x(a1) = kData;
          EXPECT_EQ(rig.execute(encode_cbo(op, a1)), allowed ? Outcome{} : illegal(encode_cbo(op, a1)));
        }
      }
    }
  }
}

class CacheBlockFaults : public testing::Test {
 protected:
  Rig rig_;
  Paging paging_{rig_, SatpMode::sv39};
  void SetUp() override {
    paging_.map(kStubs, kStubs, pte::kRx | pte::kAd);
    paging_.map(0x1000, kData, pte::kRw | pte::kAd);
    paging_.map(0x2000, kData + 0x1000, pte::kRead | pte::kAd);
    paging_.map(0x3000, kData + 0x2000, pte::kRw | pte::kA);
    paging_.map(0x4000, kRamEnd, pte::kRw | pte::kAd);
    paging_.map(0x5000, kDevice, pte::kRw | pte::kAd);
    paging_.map(0x6000, kData + 0x3000, pte::kRw | pte::kU | pte::kAd);
    paging_.map(0x7000, kData + 0x4000, pte::kRw);
    paging_.enable();
    rig_.state().menvcfg = kInval | envcfg::kCbcfe | envcfg::kCbze;
    rig_.state().privilege = Privilege::supervisor;
  }
};

TEST_F(CacheBlockFaults, ZeroIsAStore) {
  // The address that faulted is the one that the instruction was given, not its block's.
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x1000 + 77), std::nullopt);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x2000 + 77), Cause::store_page);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x3000 + 77), Cause::store_page);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x4000 + 77), Cause::store_access);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x5000 + 77), Cause::store_access);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x6000 + 77), Cause::store_page);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x8000 + 77), Cause::store_page);
  EXPECT_TRUE(rig_.device.seen.empty());
  rig_.state().menvcfg |= envcfg::kAdue;
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x3000), std::nullopt);
  EXPECT_EQ(paging_.entry(0x3000) & pte::kAd, pte::kAd);
}

TEST_F(CacheBlockFaults, ZeroDoesNotRepeatAnEarlierFault) {
  // The block's address faults for one reason first, and later for another.
  EXPECT_EQ(rig_.load_fault(0x8040), Cause::load_page);
  paging_.map(0x8000, kDevice, pte::kRw | pte::kAd);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x8040), Cause::store_access);
  EXPECT_EQ(rig_.load_fault(0x9040), Cause::load_page);
  paging_.map(0x9000, kRamEnd, pte::kRw | pte::kAd);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x9040), Cause::store_access);
}

TEST_F(CacheBlockFaults, ManagementNeedsALoadOrAStore) {
  for (const Op op : kManagement) {
    SCOPED_TRACE(info(op).mnemonic);
    EXPECT_EQ(rig_.fault(op, 0x1000 + 77), std::nullopt);
    EXPECT_EQ(rig_.fault(op, 0x2000 + 77), std::nullopt);  // readable is enough
    EXPECT_EQ(rig_.fault(op, 0x3000 + 77), std::nullopt);  // it does not make the page dirty
    EXPECT_EQ(rig_.fault(op, 0x6000 + 77), Cause::store_page);
    EXPECT_EQ(rig_.fault(op, 0x7000 + 77), Cause::store_page);  // not accessed
    EXPECT_EQ(rig_.fault(op, 0x8000 + 77), Cause::store_page);
    EXPECT_EQ(rig_.fault(op, 0x4000 + 77), Cause::store_access);  // nothing is there
    EXPECT_EQ(paging_.entry(0x3000) & pte::kAd, pte::kA);
    EXPECT_EQ(paging_.entry(0x7000) & pte::kAd, 0u);
  }
  rig_.state().menvcfg |= envcfg::kAdue;
  EXPECT_EQ(rig_.fault(Op::cbo_clean, 0x7000), std::nullopt);
  EXPECT_EQ(paging_.entry(0x7000) & pte::kAd, pte::kA);
}

TEST_F(CacheBlockFaults, PmpDenies) {
  rig_.state().pmpcfg[1] = rig_.state().pmpcfg[0];
  rig_.state().pmpaddr[1] = rig_.state().pmpaddr[0];
  rig_.state().pmpcfg[0] = 0x18;  // NAPOT, no permission: 64 bytes of the page
  rig_.state().pmpaddr[0] = (kData + 0x40) >> 2 | 7;
  rig_.drop_caches();
  for (const Op op : {Op::cbo_zero, Op::cbo_clean, Op::cbo_flush, Op::cbo_inval}) {
    EXPECT_EQ(rig_.fault(op, 0x1000), std::nullopt);
    EXPECT_EQ(rig_.fault(op, 0x1040), Cause::store_access);
    EXPECT_EQ(rig_.fault(op, 0x107f), Cause::store_access);
    EXPECT_EQ(rig_.fault(op, 0x1080), std::nullopt);
  }
}

TEST_F(CacheBlockFaults, MprvCounts) {
  rig_.state().privilege = Privilege::machine;
  rig_.state().mstatus = mstatus::kMprv | u64{1} << mstatus::kMppShift;
  rig_.state().menvcfg = 0;  // permission to execute is the real mode's
  rig_.drop_caches();
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x1000), std::nullopt);
  EXPECT_EQ(rig_.fault(Op::cbo_zero, 0x2000), Cause::store_page);
  EXPECT_EQ(rig_.fault(Op::cbo_clean, 0x2000), std::nullopt);
  EXPECT_EQ(rig_.fault(Op::cbo_clean, 0x8000), Cause::store_page);
}

}  // namespace
}  // namespace hartwood::test
