// SPDX-License-Identifier: Apache-2.0
// The data TLB by itself, probed as its header says: with one load and one test.
#include "hart/tlb.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

namespace hartwood::test {
namespace {

constexpr u64 kBytes = u64{64} << 20, kOffset = 0x12'3000;
constexpr TlbContext kContexts[] = {TlbContext::user, TlbContext::supervisor, TlbContext::supervisor_sum,
                                    TlbContext::machine};

// The offset in RAM that an access gets, or nothing.
std::optional<u64> probe(const Tlb& tlb, TlbContext context, bool write, u64 va, u64 size = 1, u64 ram = kBytes) {
  const Tlb::Tables tables = tlb.tables(context);
  const u64* const table = write ? tables.write : tables.read;
  const u64 entry = table[(va >> kPageShift) & tlb.index_mask()];
  const u64 x = va ^ entry;
  if ((x & ~(ram - size)) != 0) return std::nullopt;
  return x;
}
void fill(Tlb& tlb, TlbContext context, u64 va, u64 ram_offset, bool write, u64 region_bytes = kPageBytes) {
  tlb.fill(context, {va, ram_offset, region_bytes, context == TlbContext::user, false}, write);
}
bool hit(const Tlb& tlb, TlbContext context, bool write, u64 va) { return probe(tlb, context, write, va).has_value(); }

TEST(Tlb, HitsWhatWasFilledAndNothingElse) {
  for (const TlbContext context : kContexts) {
    for (const bool write : {false, true}) {
      Tlb tlb(kBytes);
      const u64 va = 0xffff'ffc0'1234'5000 + u64{static_cast<u8>(context)} * 0x10'0000 + (write ? 0x8'0000 : 0);
      EXPECT_FALSE(hit(tlb, context, write, va));
      fill(tlb, context, va + 0x678, kOffset, write);
      for (const u64 within : {u64{0}, u64{1}, u64{0x678}, u64{0xfff}}) {
        EXPECT_EQ(probe(tlb, context, write, va + within), kOffset + within);
        EXPECT_EQ(probe(tlb, context, false, va + within), kOffset + within);  // what is written may be read
      }
      EXPECT_EQ(hit(tlb, context, true, va), write);
      EXPECT_FALSE(hit(tlb, context, write, va - 1));
      EXPECT_FALSE(hit(tlb, context, write, va + kPageBytes));
      for (unsigned bit = kPageShift; bit < 64; bit++)
        EXPECT_FALSE(hit(tlb, context, write, va ^ u64{1} << bit)) << bit;
      EXPECT_EQ(tlb.fills(), 1u);
    }
  }
}

TEST(Tlb, ContextsSeeWhatTheyMay) {
  for (const TlbContext filled : kContexts) {
    for (const bool user : {false, true}) {
      Tlb tlb(kBytes);
      for (const TlbContext context : kContexts) tlb.tables(context);  // made
      tlb.fill(filled, {0x5000, kOffset, kPageBytes, user, true}, true);
      for (const TlbContext seen : kContexts) {
        bool expected = seen == filled;
        if (filled != TlbContext::machine && seen != TlbContext::machine) {
          if (user && seen != TlbContext::supervisor) expected = true;
          if (!user && seen != TlbContext::user) expected = true;
        }
        // Impossible, so nothing is promised: the user in a page of the supervisor's, and the other way about.
        if ((filled == TlbContext::user && !user) || (filled == TlbContext::supervisor && user)) continue;
        EXPECT_EQ(hit(tlb, seen, true, 0x5000), expected) << static_cast<int>(filled) << static_cast<int>(seen) << user;
        EXPECT_EQ(hit(tlb, seen, false, 0x5000), expected);
      }
    }
  }
}

constexpr u64 kSatp = u64{8} << 60;
u64 satp_of(u64 asid, u64 root = 1) { return kSatp | asid << 44 | root; }

TEST(Tlb, ASpaceIsFoundAgain) {
  Tlb tlb(kBytes);
  ASSERT_EQ(tlb.spaces(), Tlb::kMaxSpaces);
  bool fresh;
  const auto both = {TlbContext::user, TlbContext::supervisor_sum};
  for (u64 asid = 1; asid <= Tlb::kMaxSpaces; asid++) {
    tlb.use_space(satp_of(asid), fresh);
    for (const TlbContext context : both) EXPECT_FALSE(hit(tlb, context, true, 0x5000));
    tlb.fill(TlbContext::user, {0x5000, asid << kPageShift, kPageBytes, true, false}, true);
    tlb.fill(TlbContext::supervisor_sum, {0x5000, asid << kPageShift, kPageBytes, true, false}, true);
  }
  for (u64 asid = 1; asid <= Tlb::kMaxSpaces; asid++) {
    tlb.use_space(satp_of(asid), fresh);
    EXPECT_FALSE(fresh);
    for (const TlbContext context : both) EXPECT_EQ(probe(tlb, context, true, 0x5000), asid << kPageShift);
  }
  // One more takes the place of the one that was used least lately.
  tlb.use_space(satp_of(1), fresh);
  tlb.use_space(satp_of(100), fresh);
  EXPECT_TRUE(fresh);
  EXPECT_FALSE(hit(tlb, TlbContext::user, true, 0x5000));
  tlb.use_space(satp_of(1), fresh);
  EXPECT_FALSE(fresh);
  EXPECT_TRUE(hit(tlb, TlbContext::user, true, 0x5000));
  tlb.use_space(satp_of(2), fresh);
  EXPECT_TRUE(fresh);
  // The same root with another ASID, and the other way about, are others.
  tlb.fill(TlbContext::user, {0x5000, kOffset, kPageBytes, true, false}, true);
  tlb.use_space(satp_of(3, 2), fresh);
  EXPECT_TRUE(fresh);
  EXPECT_FALSE(hit(tlb, TlbContext::user, true, 0x5000));
}

TEST(Tlb, GlobalPagesOfTheSupervisorStay) {
  for (const bool global : {true, false}) {
    Tlb tlb(kBytes);
    bool fresh;
    tlb.use_space(satp_of(1), fresh);
    tlb.fill(TlbContext::supervisor, {0x7000, kOffset, kPageBytes, false, true}, true);
    tlb.fill(TlbContext::supervisor, {0x8000, kOffset, kPageBytes, false, global}, true);
    tlb.use_space(satp_of(2), fresh);
    EXPECT_EQ(hit(tlb, TlbContext::supervisor, true, 0x8000), global);
    tlb.use_space(satp_of(1), fresh);
    EXPECT_EQ(hit(tlb, TlbContext::supervisor, true, 0x8000), global);
  }
}

TEST(Tlb, FlushesOfAnAsid) {
  for (const bool global : {true, false}) {
    Tlb tlb(kBytes);
    bool fresh;
    const auto fill_in = [&](u64 asid) {
      tlb.use_space(satp_of(asid), fresh);
      tlb.fill(TlbContext::user, {0x5000, kOffset, kPageBytes, true, false}, true);
      tlb.fill(TlbContext::supervisor_sum, {0x5000, kOffset, kPageBytes, true, false}, true);
      tlb.fill(TlbContext::supervisor, {0x7000, kOffset, kPageBytes, false, global}, true);
    };
    fill_in(1);
    fill_in(2);
    tlb.flush_asid(1);
    EXPECT_TRUE(hit(tlb, TlbContext::user, true, 0x5000));
    EXPECT_EQ(hit(tlb, TlbContext::supervisor, true, 0x7000), global);
    tlb.use_space(satp_of(1), fresh);
    EXPECT_FALSE(hit(tlb, TlbContext::user, true, 0x5000));
    EXPECT_FALSE(hit(tlb, TlbContext::supervisor_sum, true, 0x5000));
    // Of an address: in all spaces.
    fill_in(1);
    tlb.flush_address(0x5abc);
    EXPECT_FALSE(hit(tlb, TlbContext::user, true, 0x5000));
    tlb.use_space(satp_of(2), fresh);
    EXPECT_FALSE(hit(tlb, TlbContext::user, true, 0x5000));
  }
}

TEST(Tlb, LargeMemoriesHaveFewerSpaces) {
  EXPECT_EQ(Tlb(u64{512} << 20).spaces(), 4u);
  EXPECT_EQ(Tlb(u64{2} << 30).spaces(), 1u);
}

TEST(Tlb, MisalignedAccessesMiss) {
  Tlb tlb(kBytes);
  fill(tlb, TlbContext::user, 0x5000, kOffset, false);
  for (const u64 size : {1u, 2u, 4u, 8u}) {
    for (u64 within = 0; within < kPageBytes; within++) {
      const auto found = probe(tlb, TlbContext::user, false, 0x5000 + within, size);
      ASSERT_EQ(found.has_value(), within % size == 0) << size << " " << within;
      ASSERT_EQ(found.value_or(kOffset + within), kOffset + within);
    }
  }
}

TEST(Tlb, EmptySlotsMissForEveryAddress) {
  // Sizes of RAM from the smallest to the largest. Upper bits of all kinds, and those that would cancel an
  // entry.
  std::mt19937_64 random(1);
  for (const u64 ram : {u64{64} << 20, u64{256} << 20, u64{2} << 30}) {
    Tlb tlb(ram);
    for (const TlbContext context : {TlbContext::user, TlbContext::supervisor, TlbContext::supervisor_sum,
                                     TlbContext::machine, TlbContext::none}) {
      const Tlb::Tables tables = tlb.tables(context);
      for (u64 slot = 0; slot <= tlb.index_mask(); slot += ram > kBytes ? 7 : 1) {
        const u64 low = slot << kPageShift;
        const u64 cancelling = tables.read[slot];
        const u64 uppers[] = {0, ram, 2 * ram, ~u64{0}, cancelling, ~cancelling, random(), u64{1} << (random() % 64)};
        const u64 index_bits = u64{tlb.index_mask()} << kPageShift | kPageMask;
        for (const u64 upper : uppers) {
          const u64 va = low | (upper & ~index_bits);
          for (const u64 size : {1u, 8u}) {
            ASSERT_EQ(probe(tlb, context, false, va, size, ram), std::nullopt) << std::hex << va;
            ASSERT_EQ(probe(tlb, context, true, va, size, ram), std::nullopt) << std::hex << va;
          }
        }
      }
    }
  }
}

TEST(Tlb, FillsTheEdgesOfMemory) {
  for (const u64 va : {u64{0}, ~kPageMask, kBytes, 2 * kBytes, kBytes - kPageBytes}) {
    for (const u64 offset : {u64{0}, kBytes - kPageBytes}) {
      Tlb tlb(kBytes);
      fill(tlb, TlbContext::supervisor, va, offset, true);
      EXPECT_EQ(probe(tlb, TlbContext::supervisor, true, va + 0xff8, 8), offset + 0xff8);
      EXPECT_FALSE(hit(tlb, TlbContext::supervisor, true, va ^ kBytes));
      EXPECT_FALSE(hit(tlb, TlbContext::supervisor, true, va ^ 2 * kBytes));
    }
  }
}

TEST(Tlb, ANewEntryTakesTheSlot) {
  Tlb tlb(kBytes);
  const u64 va = 0x1000, rival = va + 2 * kBytes;  // the same slot
  fill(tlb, TlbContext::user, va, 0x1000, false);
  fill(tlb, TlbContext::user, rival, 0x2000, false);
  EXPECT_FALSE(hit(tlb, TlbContext::user, false, va));
  EXPECT_EQ(probe(tlb, TlbContext::user, false, rival), 0x2000u);
  fill(tlb, TlbContext::user, rival, 0x3000, false);
  EXPECT_EQ(probe(tlb, TlbContext::user, false, rival), 0x3000u);
  // Flushing the one that lost the slot may take the winner with it, but never the other way about.
  tlb.flush_address(rival);
  EXPECT_FALSE(hit(tlb, TlbContext::user, false, rival));
}

TEST(Tlb, TheContextOfNothingStaysEmpty) {
  Tlb tlb(kBytes);
  fill(tlb, TlbContext::none, 0x1000, 0x1000, false);
  fill(tlb, TlbContext::none, 0x1000, 0x1000, true);
  EXPECT_FALSE(hit(tlb, TlbContext::none, false, 0x1000));
  EXPECT_FALSE(hit(tlb, TlbContext::none, true, 0x1000));
  EXPECT_EQ(tlb.fills(), 0u);
}

TEST(Tlb, Flushes) {
  Tlb tlb(kBytes);
  const auto fill_all = [&] {
    for (const TlbContext context : kContexts) {
      for (const bool write : {false, true}) {
        fill(tlb, context, 0x1000, 0x1000, write);
        fill(tlb, context, 0x2000, 0x2000, write);
      }
    }
  };
  const auto expect = [&](u64 va, bool translated, bool machine) {
    for (const TlbContext context : kContexts) {
      for (const bool write : {false, true})
        EXPECT_EQ(hit(tlb, context, write, va), context == TlbContext::machine ? machine : translated)
            << static_cast<int>(context);
    }
  };
  fill_all();
  tlb.flush_address(0x1abc);
  expect(0x1000, false, true);  // M-mode's are not translated
  expect(0x2000, true, true);
  fill_all();
  tlb.flush_translated();
  expect(0x1000, false, true);
  expect(0x2000, false, true);
  fill_all();
  tlb.flush_all();
  expect(0x1000, false, false);
  fill_all();
  tlb.flush_context(TlbContext::supervisor);
  EXPECT_FALSE(hit(tlb, TlbContext::supervisor, true, 0x1000));
  EXPECT_TRUE(hit(tlb, TlbContext::supervisor_sum, true, 0x1000));
  EXPECT_TRUE(hit(tlb, TlbContext::user, false, 0x1000));
  fill_all();  // and all of it can be filled again
  expect(0x1000, true, true);
}

TEST(Tlb, FlushesOfMoreThanTheLogHolds) {
  Tlb tlb(kBytes);
  const auto count = [&] {
    u64 hits = 0;
    for (u64 page = 0; page < 12000; page++) hits += hit(tlb, TlbContext::user, true, page << kPageShift);
    return hits;
  };
  for (const u64 pages : {u64{4095}, u64{4096}, u64{4097}, u64{12000}, u64{10}}) {
    for (u64 page = 0; page < pages; page++) fill(tlb, TlbContext::user, page << kPageShift, page << kPageShift, true);
    EXPECT_EQ(count(), pages);
    tlb.flush_translated();
    EXPECT_EQ(count(), 0u);
  }
  // The same slots again and again, dropped one by one, then all together.
  for (int round = 0; round < 3000; round++) {
    fill(tlb, TlbContext::user, 0x5000, 0, true);
    fill(tlb, TlbContext::user, 0x6000, 0, true);
    tlb.flush_address(0x5000);
  }
  fill(tlb, TlbContext::user, 0x9000, 0, true);
  tlb.flush_translated();
  EXPECT_EQ(count(), 0u);
}

TEST(Tlb, ALargePageIsDroppedAsOne) {
  for (const u64 region : {u64{1} << 16, u64{1} << 21, u64{1} << 30, u64{1} << 39, u64{1} << 48}) {
    for (const TlbContext context : {TlbContext::user, TlbContext::supervisor, TlbContext::supervisor_sum}) {
      Tlb tlb(kBytes);
      const u64 base = 7 * region;
      const u64 pieces[] = {0, region / 2, region - kPageBytes};
      for (const u64 piece : pieces) fill(tlb, context, base + piece, kOffset, piece != 0, region);
      fill(tlb, context, 0x5000, kOffset, false);
      tlb.flush_address(base + region);  // its neighbours say nothing about it
      tlb.flush_address(base - 1);
      if (region < kBytes) {  // else they share its slots
        EXPECT_TRUE(hit(tlb, context, true, base + region / 2));
      }
      tlb.flush_address(base + region / 4 * 3 + 5);
      for (const u64 piece : pieces) EXPECT_FALSE(hit(tlb, context, piece != 0, base + piece));
    }
  }
}

TEST(Tlb, ManyLargePages) {
  Tlb tlb(kBytes);
  constexpr u64 kRegion = u64{2} << 20;
  for (int round = 0; round < 2; round++) {
    for (u64 page = 0; page < 50; page++)
      fill(tlb, TlbContext::user, page * kRegion + 0x3000, page << 13, false, kRegion);
    // The last ones first: no list of any length is relied on.
    for (u64 page = 50; page-- > 0;) {
      tlb.flush_address(page * kRegion + 0x10'0000);
      EXPECT_FALSE(hit(tlb, TlbContext::user, false, page * kRegion + 0x3000)) << page;
      fill(tlb, TlbContext::user, page * kRegion + 0x5000, page << 13, true, kRegion);
    }
    tlb.flush_translated();
  }
}

}  // namespace
}  // namespace hartwood::test
