// SPDX-License-Identifier: Apache-2.0
// What a hart remembers of translations and code, seen from the guest: fences, changes of the address space,
// addresses that share a slot of the TLB, pages that must not be remembered, code that changes.
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kVa = 0x1234'5000;
constexpr u64 kFirst = kData, kSecond = kData + 0x1'0000;
constexpr u64 kFlags = pte::kRw | pte::kAd;

struct FenceForm {
  const char* what;
  Op op;
  bool by_address, by_asid;
};
const FenceForm kFences[] = {
    {"sfence.vma", Op::sfence_vma, false, false},           {"sfence.vma of an address", Op::sfence_vma, true, false},
    {"sfence.vma of an ASID", Op::sfence_vma, false, true}, {"sfence.vma of both", Op::sfence_vma, true, true},
    {"sinval.vma", Op::sinval_vma, false, false},           {"sinval.vma of an address", Op::sinval_vma, true, false},
    {"sinval.vma of an ASID", Op::sinval_vma, false, true}, {"sinval.vma of both", Op::sinval_vma, true, true},
};

class Translations : public testing::Test {
 protected:
  Rig rig_;
  Paging paging_{rig_, SatpMode::sv39};

  void SetUp() override {
    paging_.map(kStubs, kStubs, pte::kRx | pte::kAd);
    paging_.enable(5);
    rig_.state().privilege = Privilege::supervisor;
    for (u64 i = 0; i < 16; i++) {
      rig_.poke<u64>(kFirst + i * kPageBytes, 0x1111 + i);
      rig_.poke<u64>(kSecond + i * kPageBytes, 0x2222 + i);
    }
  }
  void fence(const FenceForm& form, u64 va) {
    rig_.x(a1) = va;
    rig_.x(a2) = 5;
    EXPECT_EQ(rig_.stub(encode_sfence(form.op, form.by_address ? a1 : zero, form.by_asid ? a2 : zero)), Outcome{});
  }
};

TEST_F(Translations, AFenceMakesChangesVisible) {
  for (const FenceForm& form : kFences) {
    SCOPED_TRACE(form.what);
    // Mapped elsewhere.
    paging_.map(kVa, kFirst, kFlags);
    fence(kFences[0], 0);
    EXPECT_EQ(rig_.loaded(Op::ld, kVa), 0x1111u);
    rig_.stored(Op::sd, kVa + 8, 1);
    paging_.map(kVa, kSecond, kFlags);
    fence(form, kVa + 0x123);  // any address of the page
    EXPECT_EQ(rig_.loaded(Op::ld, kVa), 0x2222u);
    rig_.stored(Op::sd, kVa + 8, 77);
    EXPECT_EQ(rig_.peek<u64>(kSecond + 8), 77u);
    // Less permission.
    paging_.map(kVa, kSecond, pte::kRead | pte::kAd);
    fence(form, kVa);
    EXPECT_EQ(rig_.store_fault(kVa), Cause::store_page);
    EXPECT_EQ(rig_.load_fault(kVa), std::nullopt);
    // Not mapped any more.
    paging_.map(kVa, kSecond, 0);
    fence(form, kVa);
    EXPECT_EQ(rig_.load_fault(kVa), Cause::load_page);
    // Mapped again: a missing page is not remembered, and needs no fence here.
    paging_.map(kVa, kFirst, kFlags);
    EXPECT_EQ(rig_.loaded(Op::ld, kVa), 0x1111u);
    rig_.poke<u64>(kSecond + 8, 0);
  }
}

TEST_F(Translations, AFenceOfOneAddressKeepsTheOthersRight) {
  for (u64 page = 0; page < 16; page++) paging_.map(kVa + page * kPageBytes, kFirst + page * kPageBytes, kFlags);
  for (u64 page = 0; page < 16; page++) rig_.loaded(Op::ld, kVa + page * kPageBytes);
  paging_.map(kVa + 3 * kPageBytes, kSecond, kFlags);
  fence(kFences[1], kVa + 3 * kPageBytes);
  for (u64 page = 0; page < 16; page++)
    EXPECT_EQ(rig_.loaded(Op::ld, kVa + page * kPageBytes), page == 3 ? 0x2222 : 0x1111 + page);
}

TEST_F(Translations, AFenceOfOneAddressDropsAllOfALargePage) {
  // Touched in many places, fenced in one.
  const u64 va = 0x4000'0000, old_pa = kRamBase + 0x40'0000, new_pa = kRamBase + 0x60'0000;
  for (const FenceForm& form : kFences) {
    SCOPED_TRACE(form.what);
    paging_.map(va, old_pa, kFlags, 1);
    fence(kFences[0], 0);
    for (u64 piece = 0; piece < 512; piece += 37) {
      rig_.poke<u64>(old_pa + piece * kPageBytes, 0x1111);
      rig_.poke<u64>(new_pa + piece * kPageBytes, 0x2222);
      EXPECT_EQ(rig_.loaded(Op::ld, va + piece * kPageBytes), 0x1111u);
      rig_.stored(Op::sd, va + piece * kPageBytes + 8, 5);
    }
    paging_.map(va, new_pa, kFlags, 1);
    fence(form, va + 0x1f'0000);
    for (u64 piece = 0; piece < 512; piece += 37) {
      EXPECT_EQ(rig_.loaded(Op::ld, va + piece * kPageBytes), 0x2222u);
      rig_.stored(Op::sd, va + piece * kPageBytes + 8, piece + 1);
      EXPECT_EQ(rig_.peek<u64>(new_pa + piece * kPageBytes + 8), piece + 1);
      rig_.poke<u64>(new_pa + piece * kPageBytes + 8, 0);
    }
  }
}

TEST_F(Translations, AFenceOfOneAddressDropsAllCodeOfALargePage) {
  const u64 va = 0x4000'0000, pa = kRamBase + 0x40'0000;
  for (const FenceForm& form : kFences) {
    SCOPED_TRACE(form.what);
    paging_.map(va, pa, kFlags | pte::kX, 1);
    fence(kFences[0], 0);
    for (u64 piece = 0; piece < 512; piece += 37) {
      rig_.poke<u32>(pa + piece * kPageBytes, 0x13);  // nop
      EXPECT_EQ(rig_.fetch_fault(va + piece * kPageBytes), std::nullopt);
    }
    paging_.map(va, pa, kFlags & ~pte::kX, 1);
    fence(form, va + 0x1f'0000);
    for (u64 piece = 0; piece < 512; piece += 37)
      EXPECT_EQ(rig_.fetch_fault(va + piece * kPageBytes), Cause::fetch_page);
  }
}

TEST_F(Translations, MoreLargePagesThanAnyListHolds) {
  // Forty large pages in use; each can still be dropped by one of its addresses, the last one first.
  const u64 first_pa = kRamBase + 0x40'0000, other_pa = kRamBase + 0x80'0000;
  rig_.poke<u64>(first_pa + 0x5000, 0x1111);
  rig_.poke<u64>(other_pa + 0x5000, 0x2222);
  for (u64 page = 0; page < 40; page++) {
    paging_.map(0x4000'0000 + page * 0x20'0000, first_pa, kFlags, 1);
    EXPECT_EQ(rig_.loaded(Op::ld, 0x4000'5000 + page * 0x20'0000), 0x1111u);
  }
  for (u64 page = 40; page-- > 0;) {
    const u64 va = 0x4000'0000 + page * 0x20'0000;
    paging_.map(va, other_pa, kFlags, 1);
    fence(kFences[1], va + 0x1f'f000);
    EXPECT_EQ(rig_.loaded(Op::ld, va + 0x5000), 0x2222u) << page;
  }
}

TEST_F(Translations, AFenceOfOneAddressDropsAllOfAContiguousRange) {
  const u64 va = 0x5555'0000, old_pa = kRamBase + 0x40'0000, new_pa = kRamBase + 0x60'0000;
  const auto map = [&](u64 pa) {
    for (u64 page = 0; page < 16; page++)
      paging_.map(va + page * kPageBytes, pa + 8 * kPageBytes, kFlags | pte::kNapot);
  };
  for (u64 page = 0; page < 16; page++) {
    rig_.poke<u64>(old_pa + page * kPageBytes, 0x1111);
    rig_.poke<u64>(new_pa + page * kPageBytes, 0x2222);
  }
  map(old_pa);
  for (u64 page = 0; page < 16; page++) EXPECT_EQ(rig_.loaded(Op::ld, va + page * kPageBytes), 0x1111u);
  map(new_pa);
  fence(kFences[1], va + 9 * kPageBytes);
  for (u64 page = 0; page < 16; page++) EXPECT_EQ(rig_.loaded(Op::ld, va + page * kPageBytes), 0x2222u) << page;
}

TEST_F(Translations, AFenceReachesCode) {
  rig_.place(kFirst, {encode_i(Op::addi, a0, zero, 1)});
  rig_.place(kSecond, {encode_i(Op::addi, a0, zero, 2)});
  for (const FenceForm& form : kFences) {
    SCOPED_TRACE(form.what);
    paging_.map(kVa, kFirst, pte::kRx | pte::kAd);
    fence(kFences[0], 0);
    EXPECT_EQ(rig_.fetch_fault(kVa), std::nullopt);
    paging_.map(kVa, kSecond, pte::kRx | pte::kAd);
    fence(form, kVa);
    rig_.state().pc = kVa;
    EXPECT_EQ(rig_.run(), Outcome{});
    EXPECT_EQ(rig_.x(a0), 2u);
    paging_.map(kVa, kSecond, pte::kRead | pte::kAd);
    fence(form, kVa);
    EXPECT_EQ(rig_.fetch_fault(kVa), Cause::fetch_page);
  }
}

TEST_F(Translations, AnotherAddressSpace) {
  Paging other(rig_, SatpMode::sv48, kTables + 0x10'0000);
  other.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging_.map(kVa, kFirst, kFlags);
  other.map(kVa, kSecond, kFlags);
  const auto switch_to = [&](u64 satp) {
    rig_.x(a1) = satp;
    EXPECT_EQ(rig_.stub(encode_csr(Op::csrrw, zero, kCsrSatp, a1)), Outcome{});
  };
  for (int round = 0; round < 3; round++) {  // without a fence: the ASIDs differ
    switch_to(paging_.satp(1));
    EXPECT_EQ(rig_.loaded(Op::ld, kVa), 0x1111u);
    rig_.stored(Op::sd, kVa + 8, 1);
    switch_to(other.satp(2));
    EXPECT_EQ(rig_.loaded(Op::ld, kVa), 0x2222u);
    rig_.stored(Op::sd, kVa + 8, 2);
    EXPECT_EQ(rig_.peek<u64>(kFirst + 8), 1u);
    EXPECT_EQ(rig_.peek<u64>(kSecond + 8), 2u);
    switch_to(0);  // bare: addresses are physical
    EXPECT_EQ(rig_.load_fault(kVa), Cause::load_access);
    EXPECT_EQ(rig_.loaded(Op::ld, kFirst), 0x1111u);
  }
}

TEST_F(Translations, ModesDoNotSeeEachOthersEntries) {
  constexpr u64 kUserStubs = 0x3'0000'0000;
  paging_.map(kUserStubs, kStubs, pte::kRx | pte::kU | pte::kAd);
  paging_.map(kVa, kFirst, kFlags);
  paging_.map(kVa + kPageBytes, kSecond, kFlags | pte::kU);
  rig_.stub_va(Privilege::user) = kUserStubs;
  rig_.drop_caches();
  for (int round = 0; round < 3; round++) {
    rig_.state().privilege = Privilege::supervisor;
    EXPECT_EQ(rig_.load_fault(kVa), std::nullopt);
    EXPECT_EQ(rig_.store_fault(kVa), std::nullopt);
    EXPECT_EQ(rig_.load_fault(kVa + kPageBytes), Cause::load_page);
    rig_.state().privilege = Privilege::user;
    EXPECT_EQ(rig_.load_fault(kVa), Cause::load_page);
    EXPECT_EQ(rig_.store_fault(kVa), Cause::store_page);
    EXPECT_EQ(rig_.load_fault(kVa + kPageBytes), std::nullopt);
    rig_.state().privilege = Privilege::machine;
    EXPECT_EQ(rig_.load_fault(kVa), Cause::load_access);
    EXPECT_EQ(rig_.load_fault(kFirst), std::nullopt);
    // The executable side of the same.
    rig_.state().privilege = Privilege::user;
    EXPECT_EQ(rig_.fetch_fault(kStubs), Cause::fetch_page);
    rig_.state().privilege = Privilege::supervisor;
    EXPECT_EQ(rig_.fetch_fault(kUserStubs), Cause::fetch_page);
    EXPECT_EQ(rig_.fetch_fault(kStubs), std::nullopt);
  }
}

// ---- aliasing

TEST(Aliasing, NoAddressHitsAnEntryOfAnother) {
  // Pages are mapped at a few addresses; every address that differs from them in upper bits must fault,
  // although many of them share a slot.
  Rig rig;
  Paging paging(rig, SatpMode::sv57);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  const u64 mapped[] = {0x0000'1000,          kVa, 0x0123'4567'8000, 0xff00'0000'0000'0000, 0xffff'ffff'ffff'f000,
                        0x00ff'ffff'ffff'f000};
  for (const u64 va : mapped) paging.map(va, kData, kFlags);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  const std::pair<Op, Op> widths[] = {{Op::lbu, Op::sb}, {Op::lhu, Op::sh}, {Op::lwu, Op::sw}, {Op::ld, Op::sd}};
  for (const u64 va : mapped) {
    EXPECT_EQ(rig.load_fault(va), std::nullopt);
    EXPECT_EQ(rig.store_fault(va), std::nullopt);
    for (unsigned low = 12; low < 64; low++) {
      for (unsigned high = low; high < 64; high++) {
        const u64 other = va ^ u64 { 1 } << low ^ (high == low ? 0 : u64{1} << high);
        if (std::find(std::begin(mapped), std::end(mapped), other) != std::end(mapped)) continue;
        if ((other & ~kPageMask) == kStubs) continue;
        for (const auto& [load, store] : widths) {
          ASSERT_EQ(rig.fault(load, other), Cause::load_page) << std::hex << va << " " << other;
          ASSERT_EQ(rig.fault(store, other), Cause::store_page) << std::hex << va << " " << other;
        }
      }
    }
  }
}

TEST(Aliasing, EmptySlotsNeverHit) {
  // With nothing entered, no address outside of memory may look like one inside, whatever its upper bits say.
  // Every slot is tried with every single upper bit, and with the patterns of those bits that an empty slot
  // might hold.
  Rig rig;
  const std::pair<Op, Op> widths[] = {{Op::lbu, Op::sb}, {Op::lhu, Op::sh}, {Op::lwu, Op::sw}, {Op::ld, Op::sd}};
  constexpr unsigned kRamBits = 26;
  static_assert(kRam == u64{1} << kRamBits);
  u64 tried = 0;
  for (u64 slot = 0; slot < u64{1} << (kRamBits + 1 - kPageShift); slot += 11) {
    for (unsigned bit = kRamBits; bit <= 64; bit++) {
      const u64 va = (slot << kPageShift) ^ (bit == 64 ? 0 : u64{1} << bit);
      if (va - kRamBase < kRam || va - kDevice < kDeviceBytes) continue;
      const auto& [load, store] = widths[tried++ % 4];
      ASSERT_EQ(rig.fault(load, va), Cause::load_access) << std::hex << va;
      ASSERT_EQ(rig.fault(store, va), Cause::store_access) << std::hex << va;
    }
  }
  EXPECT_GT(tried, 50'000u);
}

TEST(Aliasing, AFlushedSlotIsAsEmptyAsANewOne) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  for (u64 page = 0; page < 64; page++) {
    const u64 va = 0x0400'0000 * (page % 5) + page * 0x0010'1000;
    if (va == kStubs) continue;
    paging.map(va, kData, kFlags);
    ASSERT_EQ(rig.load_fault(va), std::nullopt);
    ASSERT_EQ(rig.store_fault(va), std::nullopt);
    paging.map(va, kData, 0);
    rig.x(a1) = va;
    ASSERT_EQ(rig.stub(encode_sfence(Op::sfence_vma, page % 2 ? a1 : zero, zero)), Outcome{});
    for (unsigned bit = 11; bit < 64; bit++) {
      const u64 other = bit == 11 ? va : va ^ u64 { 1 } << bit;
      if ((other & ~kPageMask) == kStubs) continue;
      ASSERT_EQ(rig.load_fault(other), Cause::load_page) << std::hex << other;
      ASSERT_EQ(rig.store_fault(other), Cause::store_page) << std::hex << other;
    }
  }
}

// ---- page states

TEST(PageStates, WatchedAndAbsentPagesAreNotRemembered) {
  for (const u8 state :
       {u8{0}, u8{kPageWatchRead}, u8{kPageWatchWrite}, u8{kPageAbsent}, u8{kPageWatchRead | kPageWatchWrite}}) {
    SCOPED_TRACE(static_cast<int>(state));
    Rig rig;
    const u64 page = (kData - kRamBase) >> kPageShift;
    rig.memory().set_page_state(page, state);
    rig.poke<u64>(kData, 0x55);
    const Tlb& tlb = rig.hart().tlb();
    const auto grew = [&](auto access) {
      access();
      const u64 before = tlb.fills();
      access();
      access();
      return tlb.fills() != before;
    };
    const auto entered = [&](bool write) {
      const Tlb::Tables tables = tlb.tables(TlbContext::machine);
      const u64* const table = write ? tables.write : tables.read;
      const u64 entry = table[(kData >> kPageShift) & tlb.index_mask()];
      return (kData ^ entry) < kRam;
    };
    EXPECT_FALSE(entered(false));
    EXPECT_FALSE(grew([&] { EXPECT_EQ(rig.loaded(Op::ld, kData), 0x55u); }));
    EXPECT_EQ(entered(false), !(state & (kPageWatchRead | kPageAbsent)));
    EXPECT_FALSE(grew([&] { rig.stored(Op::sb, kData + 9, 1); }));
    // Who may store may read and modify: reads that are watched would go unseen.
    EXPECT_EQ(entered(true), !(state & (kPageWatchRead | kPageWatchWrite | kPageAbsent)));
    EXPECT_EQ(rig.peek<u8>(kData + 9), 1);
    // Atomics and cache blocks do not enter it either.
    rig.access(Op::amoadd_d, kData, 0, 1);
    rig.access(Op::lr_d, kData);
    rig.access(Op::cbo_zero, kData);
    EXPECT_EQ(entered(true), !(state & (kPageWatchRead | kPageWatchWrite | kPageAbsent)));
    EXPECT_EQ(entered(false), !(state & (kPageWatchRead | kPageAbsent)));
  }
}

TEST(PageStates, StoresMakePagesDirty) {
  Rig rig;
  const auto page_of = [](u64 pa) { return (pa - kRamBase) >> kPageShift; };
  const auto dirty = [&](u64 pa) { return (rig.memory().page_state(page_of(pa)) & kPageDirty) != 0; };
  constexpr u64 kAt = kData + 0x20'0000;
  EXPECT_FALSE(dirty(kAt));
  rig.loaded(Op::ld, kAt);
  EXPECT_FALSE(dirty(kAt));
  rig.stored(Op::sb, kAt, 1);
  EXPECT_TRUE(dirty(kAt));
  rig.stored(Op::sd, kAt + 2 * kPageBytes - 4, 1);  // in two pages
  EXPECT_TRUE(dirty(kAt + kPageBytes));
  EXPECT_TRUE(dirty(kAt + 2 * kPageBytes));
  rig.access(Op::amoadd_w, kAt + 3 * kPageBytes, 0, 1);
  EXPECT_TRUE(dirty(kAt + 3 * kPageBytes));
  rig.access(Op::cbo_zero, kAt + 4 * kPageBytes);
  EXPECT_TRUE(dirty(kAt + 4 * kPageBytes));
  rig.access(Op::lr_w, kAt + 5 * kPageBytes);
  EXPECT_FALSE(dirty(kAt + 5 * kPageBytes));
}

// ---- code changes

u32 load_number(i64 number) { return encode_i(Op::addi, a0, zero, number); }

class CodeChanges : public testing::Test {
 protected:
  Rig rig_;
  // What the instruction at `pc` puts into a0.
  u64 executed(u64 pc) {
    rig_.state().pc = pc;
    EXPECT_EQ(rig_.run(), Outcome{});
    return rig_.x(a0);
  }
};

TEST_F(CodeChanges, OwnStoresAndFenceI) {
  rig_.place(kData, {load_number(1)});
  EXPECT_EQ(executed(kData), 1u);
  for (i64 number = 2; number < 12; number++) {
    rig_.stored(Op::sw, kData, load_number(number));  // from the second time on through the TLB
    const u64 without = executed(kData);
    EXPECT_TRUE(without == static_cast<u64>(number) || without == static_cast<u64>(number - 1)) << without;
    EXPECT_EQ(rig_.stub(kFenceI), Outcome{});
    EXPECT_EQ(executed(kData), static_cast<u64>(number));
  }
}

TEST_F(CodeChanges, DevicesAndFenceI) {
  rig_.place(kData, {load_number(1)});
  EXPECT_EQ(executed(kData), 1u);
  for (i64 number = 2; number < 6; number++) {
    const u32 word = load_number(number);
    ASSERT_TRUE(rig_.memory().write(Pa(kData), {reinterpret_cast<const u8*>(&word), 4}));
    EXPECT_EQ(rig_.stub(kFenceI), Outcome{});
    EXPECT_EQ(executed(kData), static_cast<u64>(number));
  }
}

TEST_F(CodeChanges, TheInstructionBehindTheFence) {
  // sw a1, 8(a3); fence.i; addi a0, zero, 1 -> 2, in one run and one page.
  rig_.start_at(kData, {encode_store(Op::sw, a1, 8, a3), kFenceI, load_number(1), load_number(1)});
  rig_.run(0);
  EXPECT_EQ(executed(kData + 8), 1u);
  rig_.x(a1) = load_number(2);
  rig_.x(a3) = kData;
  rig_.state().pc = kData;
  rig_.run(3);
  EXPECT_EQ(rig_.x(a0), 2u);
  EXPECT_EQ(rig_.state().pc, kData + 12);
}

TEST_F(CodeChanges, ThroughAnotherMapping) {
  Paging paging(rig_, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.map(0x1000, kData, pte::kRx | pte::kAd);
  paging.map(0x2000, kData, pte::kRw | pte::kAd);
  paging.map(0x3000, kData, pte::kRx | pte::kAd);
  paging.enable();
  rig_.state().privilege = Privilege::supervisor;
  rig_.place(kData, {load_number(1)});
  EXPECT_EQ(executed(0x1000), 1u);
  EXPECT_EQ(executed(0x3000), 1u);
  rig_.stored(Op::sw, 0x2000, load_number(2));
  EXPECT_EQ(rig_.stub(kFenceI), Outcome{});
  EXPECT_EQ(executed(0x3000), 2u);
  EXPECT_EQ(executed(0x1000), 2u);
}

TEST_F(CodeChanges, AFenceFromElsewhere) {
  // Written as another hart's store through its TLB writes: nothing but the bytes changes.
  const auto change = [&](u32 word) { store_le<u32>(rig_.memory().ram() + (kData - kRamBase), word); };
  rig_.place(kData, {load_number(1)});
  EXPECT_EQ(executed(kData), 1u);
  change(load_number(2));
  FenceRequest request;
  request.kinds = kFenceCode;
  rig_.hart().flush(request);
  EXPECT_EQ(executed(kData), 2u);
  // The parked hart is marked, and drops everything before it runs.
  change(load_number(3));
  rig_.attention.remote_fence(kControl, 1, request, nullptr);
  EXPECT_EQ(executed(kData), 3u);
}

TEST_F(CodeChanges, ARemoteFenceOfARange) {
  Paging paging(rig_, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  for (u64 page = 0; page < 24; page++) paging.map(0x10'0000 + page * kPageBytes, kFirst, kFlags);
  paging.enable();
  rig_.state().privilege = Privilege::supervisor;
  const struct {
    u64 start, size, first, last;  // pages that are dropped for certain
  } rows[] = {{0x10'0000, 1, 0, 0},         {0x10'0fff, 2, 0, 1},           {0x10'1800, 0x2000, 1, 3},
              {0x10'0000, 0x1'0000, 0, 15}, {0x10'0000, 0x1'0001, 0, 16},   {0x10'4000, ~u64{0}, 0, 23},
              {0x10'0000, 0x18'000, 0, 23}, {~u64{0} - 0xfff, 0x1000, 1, 0}};
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::Message() << std::hex << row.start << " " << row.size);
    for (u64 page = 0; page < 24; page++) paging.map(0x10'0000 + page * kPageBytes, kFirst, kFlags);
    rig_.drop_caches();
    for (u64 page = 0; page < 24; page++) rig_.loaded(Op::ld, 0x10'0000 + page * kPageBytes);
    for (u64 page = 0; page < 24; page++) paging.map(0x10'0000 + page * kPageBytes, kSecond, kFlags);
    rig_.poke<u64>(kFirst, 0x1111);
    rig_.poke<u64>(kSecond, 0x2222);
    FenceRequest request;
    request.start = row.start;
    request.size = row.size;
    rig_.hart().flush(request);
    for (u64 page = row.first; page <= row.last && page < 24; page++)
      EXPECT_EQ(rig_.loaded(Op::ld, 0x10'0000 + page * kPageBytes), 0x2222u) << page;
  }
}

TEST_F(CodeChanges, AStraddlingInstructionsSecondPage) {
  const u64 pc = kData + 0xffe;
  const auto put = [&](u32 word) {
    rig_.poke<u16>(pc, static_cast<u16>(word));
    rig_.poke<u16>(pc + 2, static_cast<u16>(word >> 16));
  };
  put(load_number(1));
  EXPECT_EQ(executed(pc), 1u);
  put(load_number(0x700));
  EXPECT_EQ(rig_.stub(kFenceI), Outcome{});
  EXPECT_EQ(executed(pc), 0x700u);
  // From two halves to two instructions of 16 bits.
  rig_.poke<u16>(pc, 0x4515);  // c.li a0, 5
  EXPECT_EQ(rig_.stub(kFenceI), Outcome{});
  EXPECT_EQ(executed(pc), 5u);
  EXPECT_EQ(rig_.state().pc, pc + 2);
}

TEST(CodePages, MoreThanTheCacheHolds) {
  // Few predecoded pages, many pages of code, visited in orders that make each the victim of each.
  for (const u32 capacity : {1u, 2u, 3u, 16u}) {
    Rig rig{RigOptions{.code_pages = capacity}};
    constexpr u32 kPages = 24;
    for (u32 page = 0; page < kPages; page++)
      rig.place(kData + page * kPageBytes, {load_number(page + 100), encode_i(Op::jalr, zero, a1, 0)});
    rig.drop_caches();
    u32 seed = 1;
    for (u32 visit = 0; visit < 2000; visit++) {
      seed = seed * 1664525 + 1013904223;
      const u32 page = visit < 200 ? visit % kPages : (seed >> 16) % kPages;
      rig.state().pc = kData + page * kPageBytes;
      ASSERT_EQ(rig.run(), Outcome{});
      ASSERT_EQ(rig.x(a0), page + 100u) << "visit " << visit << ", " << capacity << " pages";
    }
  }
}

}  // namespace
}  // namespace hartwood::test
