// SPDX-License-Identifier: Apache-2.0
// Loads and stores: widths, extension, misalignment in a page and across pages, the order of faults, devices,
// access faults. Atomics and cache blocks are in atomics_test.cpp and cache_block_test.cpp.
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

struct Width {
  Op op;
  unsigned size;
  bool is_signed;
};
constexpr Width kLoads[] = {{Op::lb, 1, true},   {Op::lh, 2, true},   {Op::lw, 4, true},  {Op::ld, 8, true},
                            {Op::lbu, 1, false}, {Op::lhu, 2, false}, {Op::lwu, 4, false}};
constexpr Width kStores[] = {{Op::sb, 1, false}, {Op::sh, 2, false}, {Op::sw, 4, false}, {Op::sd, 8, false}};

// The byte that belongs at an address.
u8 pattern(u64 address) { return static_cast<u8>((address * 0x9d) ^ (address >> 8) ^ 0x80); }
void fill_pattern(Rig& rig, u64 from, u64 bytes) {
  for (u64 i = 0; i < bytes; i++) rig.poke<u8>(from + i, pattern(from + i));
}
// What a load of bytes b[0..] gives.
u64 assemble(const Width& width, const std::vector<u8>& bytes) {
  u64 value = 0;
  for (unsigned i = 0; i < width.size; i++) value += u64{bytes[i]} << (8 * i);
  if (width.is_signed && (bytes[width.size - 1] & 0x80) && width.size < 8) value -= u64{1} << (8 * width.size);
  return value;
}

TEST(Memory, LoadsOfEveryWidthAtEveryOffset) {
  Rig rig;
  fill_pattern(rig, kData, 3 * kPageBytes);
  for (const Width& width : kLoads) {
    // Twice, so that the second one finds the page in the TLB; around a border as well as inside.
    for (int round = 0; round < 2; round++) {
      for (const u64 base : {kData + 0x100, kData + kPageBytes - 8, kData + 2 * kPageBytes - 8}) {
        for (u64 offset = 0; offset < 16; offset++) {
          std::vector<u8> bytes;
          for (unsigned i = 0; i < width.size; i++) bytes.push_back(pattern(base + offset + i));
          EXPECT_EQ(rig.loaded(width.op, base + offset), assemble(width, bytes))
              << info(width.op).mnemonic << std::hex << " " << base + offset;
        }
      }
    }
  }
}

TEST(Memory, SignsAndZeroes) {
  Rig rig;
  rig.poke<u64>(kData, 0x8080'8080'8080'8080);
  rig.poke<u64>(kData + 8, 0x7f7f'7f7f'7f7f'7f7f);
  const struct {
    Op op;
    u64 negative, positive;
  } rows[] = {{Op::lb, 0xffff'ffff'ffff'ff80, 0x7f},
              {Op::lbu, 0x80, 0x7f},
              {Op::lh, 0xffff'ffff'ffff'8080, 0x7f7f},
              {Op::lhu, 0x8080, 0x7f7f},
              {Op::lw, 0xffff'ffff'8080'8080, 0x7f7f'7f7f},
              {Op::lwu, 0x8080'8080, 0x7f7f'7f7f},
              {Op::ld, 0x8080'8080'8080'8080, 0x7f7f'7f7f'7f7f'7f7f}};
  for (const auto& row : rows) {
    EXPECT_EQ(rig.loaded(row.op, kData), row.negative) << info(row.op).mnemonic;
    EXPECT_EQ(rig.loaded(row.op, kData + 8), row.positive) << info(row.op).mnemonic;
    EXPECT_EQ(rig.loaded(row.op, kData), row.negative) << info(row.op).mnemonic;
  }
}

TEST(Memory, StoresOfEveryWidthAtEveryOffset) {
  Rig rig;
  constexpr u64 kValue = 0x8796'a5b4'c3d2'e1f0;
  for (const Width& width : kStores) {
    for (const u64 base : {kData + 0x100, kData + kPageBytes - 8}) {
      for (u64 offset = 0; offset < 16; offset++) {
        SCOPED_TRACE(testing::Message() << info(width.op).mnemonic << std::hex << " " << base + offset);
        fill_pattern(rig, base - 8, 40);
        rig.stored(width.op, base + offset, kValue);
        for (u64 at = base - 8; at < base + 32; at++) {
          const u64 index = at - (base + offset);
          const u8 expected = index < width.size ? static_cast<u8>(kValue >> (8 * index)) : pattern(at);
          EXPECT_EQ(rig.peek<u8>(at), expected) << std::hex << at;
        }
      }
    }
  }
}

TEST(Memory, ImmediateOffsets) {
  Rig rig;
  fill_pattern(rig, kData, 3 * kPageBytes);
  for (const i64 imm : {i64{-2048}, i64{-1}, i64{0}, i64{1}, i64{2047}}) {
    rig.x(a1) = kData + kPageBytes;
    rig.execute(encode_load(Op::lbu, a0, imm, a1));
    EXPECT_EQ(rig.x(a0), pattern(kData + kPageBytes + static_cast<u64>(imm)));
    rig.x(a0) = 0x5a;
    rig.execute(encode_store(Op::sb, a0, imm, a1));
    EXPECT_EQ(rig.peek<u8>(kData + kPageBytes + static_cast<u64>(imm)), 0x5a);
  }
  // The sum wraps.
  rig.x(a1) = kData + 100;
  rig.execute(encode_load(Op::lbu, a1, -100, a1));
  EXPECT_EQ(rig.x(a1), pattern(kData));
}

TEST(Memory, LoadsToX0StillAccess) {
  Rig rig;
  for (const Width& width : kLoads) {
    rig.reset();
    rig.x(a1) = kData;
    EXPECT_EQ(rig.execute(encode_load(width.op, zero, 0, a1)), Outcome{});
    EXPECT_EQ(rig.state().x[0], 0u);
    rig.x(a1) = 0x40;
    const Outcome fault = {true, static_cast<u64>(Cause::load_access), 0x40, kCode, Privilege::machine};
    EXPECT_EQ(rig.execute(encode_load(width.op, zero, 0, a1)), fault);
  }
  rig.reset();
  rig.x(a1) = kDevice + 4;
  rig.execute(encode_load(Op::lw, zero, 0, a1));
  EXPECT_EQ(rig.device.seen.size(), 1u);
}

TEST(Memory, FloatingPointLoadsAndStores) {
  Rig rig;
  rig.state().mstatus |= mstatus::kFs;
  const struct {
    Op load, store;
    unsigned size;
  } rows[] = {{Op::flh, Op::fsh, 2}, {Op::flw, Op::fsw, 4}, {Op::fld, Op::fsd, 8}};
  for (const auto& row : rows) {
    for (u64 offset = 0; offset < 9; offset++) {
      const u64 va = kData + kPageBytes - 8 + offset;
      rig.poke<u64>(va, 0x8123'4567'89ab'cdef);
      EXPECT_EQ(rig.access(row.load, va).outcome, Outcome{});
      const u64 boxed = row.size == 2   ? 0xffff'ffff'ffff'cdef
                        : row.size == 4 ? 0xffff'ffff'89ab'cdef
                                        : 0x8123'4567'89ab'cdef;
      EXPECT_EQ(rig.state().f[a0], boxed) << offset;
      // A store takes the low bits, boxed or not.
      rig.state().f[a0] = 0x1122'3344'5566'7788;
      EXPECT_EQ(rig.access(row.store, va).outcome, Outcome{});
      const u64 mask = row.size == 8 ? ~u64{0} : (u64{1} << (8 * row.size)) - 1;
      EXPECT_EQ(rig.peek<u64>(va), merge(0x8123'4567'89ab'cdef, 0x1122'3344'5566'7788, mask)) << offset;
    }
    EXPECT_EQ(rig.fault(row.load, 0x40), Cause::load_access);
    EXPECT_EQ(rig.fault(row.store, 0x40), Cause::store_access);
  }
}

// Two virtual pages whose physical ones are not neighbours, the second (or first) of them missing.
class TwoPages : public testing::Test {
 protected:
  static constexpr u64 kVa = 0x7000'0000, kSecond = kVa + kPageBytes;
  static constexpr u64 kLow = kData + 0x1'0000, kHigh = kData + 0x8'0000;
  Rig rig_;
  Paging paging_{rig_, SatpMode::sv48};

  void SetUp() override {
    paging_.map(kStubs, kStubs, pte::kRx | pte::kAd);
    paging_.enable();
    rig_.state().privilege = Privilege::supervisor;
    map(pte::kRw | pte::kAd, pte::kRw | pte::kAd);
  }
  void map(u64 first, u64 second) {
    paging_.map(kVa, kLow, first);
    paging_.map(kSecond, kHigh, second);
    rig_.drop_caches();
    fill_pattern(rig_, kLow + 0xff0, 16);
    fill_pattern(rig_, kHigh, 16);
  }
  u8 expected(u64 va) const { return pattern(va < kSecond ? kLow + (va - kVa) : kHigh + (va - kSecond)); }
  void expect_untouched() {
    for (u64 i = 0; i < 16; i++) {
      EXPECT_EQ(rig_.peek<u8>(kLow + 0xff0 + i), pattern(kLow + 0xff0 + i)) << i;
      EXPECT_EQ(rig_.peek<u8>(kHigh + i), pattern(kHigh + i)) << i;
    }
  }
  Outcome trap(Cause cause, u64 tval) { return {true, static_cast<u64>(cause), tval, kStubs, Privilege::machine}; }
  // Every access that lies in both pages.
  template <class Each>
  void crossing(const auto& widths, Each each) {
    for (const Width& width : widths) {
      for (u64 va = kSecond - width.size + 1; va < kSecond; va++) {
        SCOPED_TRACE(testing::Message() << info(width.op).mnemonic << std::hex << " " << va);
        each(width, va);
      }
    }
  }
};

TEST_F(TwoPages, LoadsPutBothPartsTogether) {
  for (int round = 0; round < 2; round++) {
    crossing(kLoads, [&](const Width& width, u64 va) {
      std::vector<u8> bytes;
      for (unsigned i = 0; i < width.size; i++) bytes.push_back(expected(va + i));
      EXPECT_EQ(rig_.loaded(width.op, va), assemble(width, bytes));
    });
  }
}

TEST_F(TwoPages, StoresWriteBothParts) {
  crossing(kStores, [&](const Width& width, u64 va) {
    fill_pattern(rig_, kLow + 0xff0, 16);
    fill_pattern(rig_, kHigh, 16);
    rig_.stored(width.op, va, 0x0123'4567'89ab'cdef);
    for (u64 at = kSecond - 16; at < kSecond + 16; at++) {
      const u64 index = at - va;
      const u8 byte = index < width.size ? static_cast<u8>(u64{0x0123'4567'89ab'cdef} >> (8 * index)) : expected(at);
      EXPECT_EQ(rig_.peek<u8>(at < kSecond ? kLow + (at - kVa) : kHigh + (at - kSecond)), byte) << std::hex << at;
    }
    // What follows the page physically is no part of it.
    EXPECT_EQ(rig_.peek<u64>(kLow + kPageBytes), 0u);
  });
}

TEST_F(TwoPages, SecondPageFaults) {
  map(pte::kRw | pte::kAd, 0);
  for (int round = 0; round < 2; round++) {  // also with the first page in the TLB
    crossing(kLoads, [&](const Width& width, u64 va) {
      const Rig::Accessed accessed = rig_.access(width.op, va, 0x1234);
      EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::load_page));
      EXPECT_EQ(accessed.outcome.tval, kSecond);
    });
    crossing(kStores, [&](const Width& width, u64 va) {
      const Rig::Accessed accessed = rig_.access(width.op, va, ~u64{0});
      EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::store_page));
      EXPECT_EQ(accessed.outcome.tval, kSecond);
      expect_untouched();
    });
    rig_.loaded(Op::lb, kVa);
    rig_.access(Op::sb, kVa + 0x800, 0);
  }
}

TEST_F(TwoPages, SecondPageIsReadOnly) {
  map(pte::kRw | pte::kAd, pte::kRead | pte::kAd);
  for (int round = 0; round < 2; round++) {
    crossing(kStores, [&](const Width& width, u64 va) {
      const Rig::Accessed accessed = rig_.access(width.op, va, ~u64{0});
      EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::store_page));
      EXPECT_EQ(accessed.outcome.tval, kSecond);
      expect_untouched();
    });
    crossing(kLoads, [&](const Width& width, u64 va) { rig_.loaded(width.op, va); });
  }
}

TEST_F(TwoPages, TheLowerAddressFaultsFirst) {
  // Both fault, each with its own cause: the first page's is the one that is seen.
  map(0, 0);
  crossing(kLoads, [&](const Width& width, u64 va) { EXPECT_EQ(rig_.fault(width.op, va), Cause::load_page); });
  crossing(kStores, [&](const Width& width, u64 va) { EXPECT_EQ(rig_.fault(width.op, va), Cause::store_page); });
  paging_.map(kVa, kRamEnd + 0x1000, pte::kRw | pte::kAd);  // no memory there
  rig_.drop_caches();
  crossing(kLoads, [&](const Width& width, u64 va) { EXPECT_EQ(rig_.fault(width.op, va), Cause::load_access); });
  crossing(kStores, [&](const Width& width, u64 va) { EXPECT_EQ(rig_.fault(width.op, va), Cause::store_access); });
}

TEST_F(TwoPages, AccessFaultsInTheSecondPage) {
  paging_.map(kSecond, kRamEnd, pte::kRw | pte::kAd);
  rig_.drop_caches();
  crossing(kLoads, [&](const Width& width, u64 va) {
    const Rig::Accessed accessed = rig_.access(width.op, va, 0x1234);
    EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::load_access));
    EXPECT_EQ(accessed.outcome.tval, kSecond);
  });
  crossing(kStores, [&](const Width& width, u64 va) {
    const Rig::Accessed accessed = rig_.access(width.op, va, ~u64{0});
    EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::store_access));
    EXPECT_EQ(accessed.outcome.tval, kSecond);
    for (u64 i = 0; i < 16; i++) EXPECT_EQ(rig_.peek<u8>(kLow + 0xff0 + i), pattern(kLow + 0xff0 + i));
  });
}

TEST_F(TwoPages, PmpDeniesTheSecondPage) {
  // Entry 0: the physical second page, for nobody but M-mode.
  rig_.state().pmpcfg[1] = rig_.state().pmpcfg[0];
  rig_.state().pmpaddr[1] = rig_.state().pmpaddr[0];
  rig_.state().pmpcfg[0] = 0x18;
  rig_.state().pmpaddr[0] = kHigh >> 2 | 0x1ff;
  rig_.drop_caches();
  crossing(kLoads, [&](const Width& width, u64 va) {
    EXPECT_EQ(rig_.access(width.op, va).outcome.cause, static_cast<u64>(Cause::load_access));
    EXPECT_EQ(rig_.access(width.op, va).outcome.tval, kSecond);
  });
  crossing(kStores, [&](const Width& width, u64 va) {
    EXPECT_EQ(rig_.access(width.op, va, ~u64{0}).outcome.cause, static_cast<u64>(Cause::store_access));
    EXPECT_EQ(rig_.access(width.op, va, ~u64{0}).outcome.tval, kSecond);
    expect_untouched();
  });
}

TEST_F(TwoPages, HalfADeviceIsNoMemory) {
  // An access that begins in RAM and ends in a device reaches neither.
  paging_.map(kSecond, kDevice, pte::kRw | pte::kAd);
  rig_.drop_caches();
  crossing(kLoads, [&](const Width& width, u64 va) {
    const Rig::Accessed accessed = rig_.access(width.op, va, 0x1234);
    EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::load_access));
    EXPECT_EQ(accessed.outcome.tval, kSecond);
  });
  crossing(kStores, [&](const Width& width, u64 va) {
    const Rig::Accessed accessed = rig_.access(width.op, va, ~u64{0});
    EXPECT_EQ(accessed.outcome.cause, static_cast<u64>(Cause::store_access));
    EXPECT_EQ(accessed.outcome.tval, kSecond);
    for (u64 i = 0; i < 16; i++) EXPECT_EQ(rig_.peek<u8>(kLow + 0xff0 + i), pattern(kLow + 0xff0 + i));
  });
  EXPECT_TRUE(rig_.device.seen.empty());
}

TEST_F(TwoPages, AccessedAndDirtyOfBothPages) {
  rig_.state().menvcfg = envcfg::kAdue;
  map(pte::kRw, pte::kRw);
  rig_.loaded(Op::ld, kSecond - 4);
  EXPECT_EQ(paging_.entry(kVa) & pte::kAd, pte::kA);
  EXPECT_EQ(paging_.entry(kSecond) & pte::kAd, pte::kA);
  rig_.stored(Op::sd, kSecond - 1, 5);
  EXPECT_EQ(paging_.entry(kVa) & pte::kAd, pte::kAd);
  EXPECT_EQ(paging_.entry(kSecond) & pte::kAd, pte::kAd);
}

TEST(Memory, AccessFaultsOutsideOfMemory) {
  Rig rig;
  for (const u64 va : {u64{0}, u64{0x100}, kDevice - 8, kDevice + kDeviceBytes, kRamBase - 8, kRamEnd, kRamEnd + 0x1000,
                       u64{1} << 40, u64{1} << 63, ~u64{0} - 7}) {
    SCOPED_TRACE(testing::Message() << std::hex << va);
    for (const Width& width : kLoads) EXPECT_EQ(rig.fault(width.op, va), Cause::load_access);
    for (const Width& width : kStores) EXPECT_EQ(rig.fault(width.op, va), Cause::store_access);
  }
}

TEST(Memory, TheEdgesOfMemory) {
  Rig rig;
  fill_pattern(rig, kRamEnd - 16, 16);
  EXPECT_EQ(rig.loaded(Op::lbu, kRamEnd - 1), pattern(kRamEnd - 1));
  EXPECT_EQ(rig.loaded(Op::ld, kRamEnd - 8), rig.peek<u64>(kRamEnd - 8));
  EXPECT_EQ(rig.loaded(Op::ld, kRamBase), rig.peek<u64>(kRamBase));
  for (u64 va = kRamEnd - 7; va < kRamEnd; va++) {
    EXPECT_EQ(rig.access(Op::ld, va).outcome.cause, static_cast<u64>(Cause::load_access));
    EXPECT_EQ(rig.access(Op::ld, va).outcome.tval, kRamEnd);
    EXPECT_EQ(rig.access(Op::sd, va, ~u64{0}).outcome.cause, static_cast<u64>(Cause::store_access));
    EXPECT_EQ(rig.access(Op::sd, va, ~u64{0}).outcome.tval, kRamEnd);
  }
  for (u64 at = kRamEnd - 16; at < kRamEnd; at++) EXPECT_EQ(rig.peek<u8>(at), pattern(at));
  for (u64 va = kRamBase - 7; va < kRamBase; va++) {
    EXPECT_EQ(rig.fault(Op::ld, va), Cause::load_access);
    EXPECT_EQ(rig.fault(Op::sd, va), Cause::store_access);
  }
}

// ---- devices

TEST(Devices, WidthsValuesAndExtension) {
  Rig rig;
  rig.device.answer = 0xfedc'ba98'8765'4321 | u64{0x80} << 56;
  const struct {
    Op op;
    unsigned size;
    u64 value;
  } loads[] = {{Op::lb, 1, 0x21},
               {Op::lbu, 1, 0x21},
               {Op::lh, 2, 0x4321},
               {Op::lhu, 2, 0x4321},
               {Op::lw, 4, 0xffff'ffff'8765'4321},
               {Op::lwu, 4, 0x8765'4321},
               {Op::ld, 8, 0xfedc'ba98'8765'4321}};
  for (const auto& row : loads) {
    rig.device.seen.clear();
    EXPECT_EQ(rig.loaded(row.op, kDevice + 0x10), row.value) << info(row.op).mnemonic;
    EXPECT_EQ(rig.device.seen, (std::vector<RegisterDevice::Seen>{{false, 0x10, row.size, 0}}));
  }
  const struct {
    Op op;
    unsigned size;
    u64 value;
  } stores[] = {{Op::sb, 1, 0xef}, {Op::sh, 2, 0xcdef}, {Op::sw, 4, 0x89ab'cdef}, {Op::sd, 8, 0x0123'4567'89ab'cdef}};
  for (const auto& row : stores) {
    rig.device.seen.clear();
    rig.stored(row.op, kDevice + 0x7f8, 0x0123'4567'89ab'cdef);
    EXPECT_EQ(rig.device.seen, (std::vector<RegisterDevice::Seen>{{true, 0x7f8, row.size, row.value}}));
  }
}

TEST(Devices, EveryAccessReachesThem) {
  Rig rig;
  for (int i = 0; i < 5; i++) {
    rig.loaded(Op::lw, kDevice + 4);
    rig.stored(Op::sw, kDevice + 4, 9);
  }
  EXPECT_EQ(rig.device.seen.size(), 10u);
}

TEST(Devices, RefusalsAndMisalignment) {
  Rig rig;
  for (const Width& width : kLoads) EXPECT_EQ(rig.fault(width.op, kDevice + 0x800), Cause::load_access);
  for (const Width& width : kStores) EXPECT_EQ(rig.fault(width.op, kDevice + 0x800), Cause::store_access);
  for (u64 offset = 1; offset < 8; offset++) {
    for (const Width& width : kLoads) {
      if (offset % width.size == 0) continue;
      EXPECT_EQ(rig.fault(width.op, kDevice + offset), Cause::load_misaligned);
    }
    for (const Width& width : kStores) {
      if (offset % width.size == 0) continue;
      EXPECT_EQ(rig.fault(width.op, kDevice + offset), Cause::store_misaligned);
    }
  }
  EXPECT_TRUE(rig.device.seen.empty());
}

TEST(Devices, ThroughPageTables) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.map(0x5000, kDevice, pte::kRead | pte::kAd);
  paging.map(0x6000, kDevice, pte::kRw | pte::kA);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  rig.device.answer = 77;
  EXPECT_EQ(rig.loaded(Op::ld, 0x5008), 77u);
  EXPECT_EQ(rig.store_fault(0x5008), Cause::store_page);
  EXPECT_EQ(rig.store_fault(0x6008), Cause::store_page);  // not dirty, and the hart does not set it
  rig.state().menvcfg = envcfg::kAdue;
  rig.drop_caches();
  rig.stored(Op::sw, 0x6010, 3);
  EXPECT_EQ(paging.entry(0x6000) & pte::kD, pte::kD);
  EXPECT_EQ(rig.device.seen, (std::vector<RegisterDevice::Seen>{{false, 8, 8, 0}, {true, 0x10, 4, 3}}));
}

TEST(Devices, AnInterruptThatAStoreRaisesIsTakenAtTheNextLook) {
  // The store does not end the slice; the end of the budget is a look at the attention word at the latest.
  Rig rig;
  rig.state().mie = u64{1} << kMei;
  rig.state().mstatus |= mstatus::kMie;
  rig.device.on_write = [&](u64) {
    rig.shared().lines.fetch_or(1u << kMei);
    rig.attention.post(0, kAttentionInterrupt);
  };
  rig.start_at(kCode, {encode_store(Op::sw, zero, 0, a1), kNop, kNop, kNop});
  rig.x(a1) = kDevice;
  EXPECT_EQ(rig.hart().run(3), Hart::Exit::budget);
  EXPECT_EQ(rig.state().mcause, kInterruptCause | kMei);
  EXPECT_EQ(rig.state().pc, kMachineTrap);
  EXPECT_EQ(rig.state().retired, 3u);
}

}  // namespace
}  // namespace hartwood::test
