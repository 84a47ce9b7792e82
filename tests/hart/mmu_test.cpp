// SPDX-License-Identifier: Apache-2.0
// The page-table walk: modes, page sizes, permissions, accessed and dirty bits, every reserved encoding,
// tables in impossible places. What is cached of it is in translation_test.cpp. [priv: Virtual Address
// Translation Process; Sv39, Sv48, Sv57; "Svadu", "Svnapot", "Svpbmt"]
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

const SatpMode kPagingModes[] = {SatpMode::sv39, SatpMode::sv48, SatpMode::sv57};
// The lowest address of the upper half: it shares no table but the root with those that the stubs need.
u64 upper_half(SatpMode mode) { return ~u64{0} << (mode == SatpMode::sv39 ? 38 : mode == SatpMode::sv48 ? 47 : 56); }
int levels_of(SatpMode mode) { return mode == SatpMode::sv39 ? 3 : mode == SatpMode::sv48 ? 4 : 5; }

// A rig in S-mode with the stubs mapped where nothing else is: executable for S-mode at kStubs, for U-mode at
// kUserStubs.
constexpr u64 kUserStubs = 0x3'2000'0000;
struct Paged {
  explicit Paged(SatpMode mode) : paging(rig, mode) {
    paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
    paging.map(kUserStubs, kStubs, pte::kRx | pte::kU | pte::kAd);
    paging.enable();
    rig.stub_va(Privilege::user) = kUserStubs;
    rig.state().privilege = Privilege::supervisor;
  }
  void map(u64 va, u64 pa, u64 flags, int level = 0) {
    paging.map(va, pa, flags, level);
    rig.drop_caches();
  }
  Rig rig;
  Paging paging;
};

u64 page_bytes(int level) { return kPageBytes << (9 * level); }

TEST(Walk, EveryModeAndLevel) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    Rig& rig = paged.rig;
    const int levels = levels_of(mode);
    const unsigned va_bits = 12 + 9 * static_cast<unsigned>(levels);
    for (int level = 0; level < levels; level++) {
      const u64 bytes = page_bytes(level);
      // Addresses whose table indices all differ, in both halves of the address space.
      for (const u64 index_base : {u64{0x021}, u64{0x155}}) {
        for (const bool upper : {false, true}) {
          u64 va = 0;
          for (int at = levels - 1; at >= 0; at--) va = va << 9 | ((index_base + 0x13 * static_cast<u64>(at)) & 0xff);
          va <<= 12;
          if (upper) va |= ~u64{0} << (va_bits - 1);
          va &= ~(bytes - 1);
          SCOPED_TRACE(testing::Message()
                       << "mode " << static_cast<int>(mode) << " level " << level << std::hex << " va " << va);
          const u64 base = (kRamBase + 0x80'0000) & ~(bytes - 1);
          paged.map(va, base, pte::kRw | pte::kAd, level);
          // The first and last bytes of the leaf that lie in RAM, and one between.
          const u64 first = base < kRamBase ? kRamBase - base : 0;
          const u64 last = (base + bytes < kRamEnd ? bytes : kRamEnd - base) - 8;
          for (const u64 offset : {first + 0x30'0000, (first + last) / 2 & ~u64{7}, last, first + 0x28}) {
            if (offset > last) continue;
            rig.poke<u64>(base + offset, 0x1111'0000 + offset);
            EXPECT_EQ(rig.loaded(Op::ld, va + offset), 0x1111'0000 + offset);
            rig.stored(Op::sd, va + offset, 0x2222'0000 + offset);
            EXPECT_EQ(rig.peek<u64>(base + offset), 0x2222'0000 + offset);
          }
          if (base < kRamBase) {
            EXPECT_EQ(rig.load_fault(va + first - 8), Cause::load_access);
          }
          // The next page is not mapped.
          EXPECT_EQ(rig.load_fault(va + bytes), Cause::load_page);
          EXPECT_EQ(rig.load_fault(va - 1), Cause::load_page);
          rig.poke<u64>(paged.paging.entry_at(va, level), 0);
        }
      }
    }
  }
}

TEST(Walk, FetchesOfEveryLevel) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    for (int level = 0; level < levels_of(mode); level++) {
      const u64 bytes = page_bytes(level);
      const u64 va = u64{0x40} << (12 + 9 * (levels_of(mode) - 1)) & ~(bytes - 1);
      const u64 base = kRamBase & ~(bytes - 1);
      const u64 offset = level == 0 ? 0 : kData - base;
      paged.rig.place(base + offset, {kNop, kNop});
      paged.map(va, base, pte::kV | pte::kX | pte::kAd, level);
      EXPECT_EQ(paged.rig.fetch_fault(va + offset), std::nullopt) << level;
      EXPECT_EQ(paged.rig.load_fault(va + offset), Cause::load_page);  // execute only
      paged.rig.poke<u64>(paged.paging.entry_at(va, level), 0);
    }
  }
}

TEST(Walk, MisalignedLargePages) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    for (int level = 1; level < levels_of(mode); level++) {
      const u64 va = u64{0x40} << (12 + 9 * (levels_of(mode) - 1));
      const u64 offset = kData & (page_bytes(level) - 1);
      paged.map(va, kData & ~(page_bytes(level) - 1), pte::kRw | pte::kAd, level);
      EXPECT_EQ(paged.rig.load_fault(va + offset), std::nullopt);
      for (unsigned wrong = 0; wrong < 9 * static_cast<unsigned>(level); wrong++) {
        const u64 entry = paged.paging.entry(va, level) | u64{1} << (10 + wrong);
        if (entry == paged.paging.entry(va, level)) continue;
        const u64 kept = paged.paging.entry(va, level);
        paged.rig.poke<u64>(paged.paging.entry_at(va, level), entry);
        paged.rig.drop_caches();
        EXPECT_EQ(paged.rig.load_fault(va + offset), Cause::load_page) << level << " bit " << wrong;
        EXPECT_EQ(paged.rig.store_fault(va + offset), Cause::store_page);
        EXPECT_EQ(paged.rig.fetch_fault(va + offset), Cause::fetch_page);
        paged.rig.poke<u64>(paged.paging.entry_at(va, level), kept);
      }
      paged.rig.poke<u64>(paged.paging.entry_at(va, level), 0);
    }
  }
}

TEST(Walk, AddressesThatAreNotCanonical) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    const unsigned va_bits = 12 + 9 * static_cast<unsigned>(levels_of(mode));
    const u64 low = (u64{1} << (va_bits - 1)) - kPageBytes, high = ~u64{0} << (va_bits - 1);
    paged.map(low, kData, pte::kRwx | pte::kAd);
    paged.map(high, kData, pte::kRwx | pte::kAd);
    for (int round = 0; round < 2; round++) {  // with the good ones cached as well
      for (const u64 good : {low, high}) {
        for (unsigned bit = va_bits - 1; bit < 64; bit++) {
          const u64 va = good ^ u64 { 1 } << bit;
          if (bit == va_bits - 1 && (va == low || va == high)) continue;
          EXPECT_EQ(paged.rig.load_fault(va), Cause::load_page) << std::hex << va;
          EXPECT_EQ(paged.rig.store_fault(va), Cause::store_page) << std::hex << va;
          EXPECT_EQ(paged.rig.fetch_fault(va), Cause::fetch_page) << std::hex << va;
        }
        EXPECT_EQ(paged.rig.load_fault(good), std::nullopt);
        EXPECT_EQ(paged.rig.store_fault(good), std::nullopt);
      }
    }
  }
}

TEST(Walk, Permissions) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  constexpr u64 kVa = 0x1234'5000;
  rig.place(kData, {kNop});
  for (u64 rwxu = 0; rwxu < 16; rwxu++) {
    const bool r = rwxu & 1, w = rwxu & 2, x = rwxu & 4, u = rwxu & 8;
    paged.map(kVa, kData, pte::kV | rwxu << 1 | pte::kAd);
    for (const bool sum : {false, true}) {
      for (const bool mxr : {false, true}) {
        const u64 status = (sum ? mstatus::kSum : 0) | (mxr ? mstatus::kMxr : 0);
        for (const Privilege mode : {Privilege::user, Privilege::supervisor}) {
          SCOPED_TRACE(testing::Message()
                       << (r ? "R" : "-") << (w ? "W" : "-") << (x ? "X" : "-") << (u ? "U" : "-") << " from "
                       << privilege_name(mode) << (sum ? " SUM" : "") << (mxr ? " MXR" : ""));
          // W without R is reserved, no permission at all is a pointer, which the last level has no use for.
          const bool leaf = (r || x) && !(w && !r);
          const bool data_mine = mode == Privilege::user ? u : !u || sum;
          const bool code_mine = mode == Privilege::user ? u : !u;
          const auto expect = [](bool allowed, Cause cause) { return allowed ? std::nullopt : std::optional(cause); };
          const bool load = leaf && data_mine && (r || (mxr && x)), store = leaf && data_mine && w,
                     fetch = leaf && code_mine && x;
          for (int round = 0; round < 2; round++) {
            rig.state().privilege = mode;
            rig.state().mstatus = status;
            EXPECT_EQ(rig.load_fault(kVa), expect(load, Cause::load_page));
            EXPECT_EQ(rig.store_fault(kVa + 64), expect(store, Cause::store_page));
            EXPECT_EQ(rig.fault(Op::amoadd_w, kVa + 64), expect(store, Cause::store_page));
            EXPECT_EQ(rig.fault(Op::lr_w, kVa), expect(load, Cause::load_page));
            EXPECT_EQ(rig.fetch_fault(kVa), expect(fetch, Cause::fetch_page));
          }
          // M-mode with MPRV sees the same for data.
          rig.state().privilege = Privilege::machine;
          rig.state().mstatus = status | mstatus::kMprv | u64{static_cast<u8>(mode)} << mstatus::kMppShift;
          EXPECT_EQ(rig.load_fault(kVa), expect(load, Cause::load_page));
          EXPECT_EQ(rig.store_fault(kVa + 64), expect(store, Cause::store_page));
        }
      }
    }
  }
}

TEST(Walk, SumAndMxrTakeEffectAtOnce) {
  // With the translations of before in the TLB.
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  paged.map(0x1000, kData, pte::kRw | pte::kU | pte::kAd);
  paged.map(0x2000, kData, pte::kV | pte::kX | pte::kAd);
  const auto set = [&](u64 status) {
    rig.x(a1) = status;
    EXPECT_EQ(rig.stub(encode_csr(Op::csrrw, zero, kCsrSstatus, a1)), Outcome{});
  };
  for (int round = 0; round < 3; round++) {
    set(0);
    EXPECT_EQ(rig.load_fault(0x1000), Cause::load_page);
    EXPECT_EQ(rig.load_fault(0x2000), Cause::load_page);
    set(mstatus::kSum);
    EXPECT_EQ(rig.load_fault(0x1000), std::nullopt);
    EXPECT_EQ(rig.store_fault(0x1000), std::nullopt);
    EXPECT_EQ(rig.load_fault(0x2000), Cause::load_page);
    set(mstatus::kMxr);
    EXPECT_EQ(rig.load_fault(0x1000), Cause::load_page);
    EXPECT_EQ(rig.load_fault(0x2000), std::nullopt);
    EXPECT_EQ(rig.store_fault(0x2000), Cause::store_page);
  }
}

TEST(Walk, AccessedAndDirtyWithoutUpdates) {
  for (const u64 level : {0u, 1u}) {
    Paged paged(SatpMode::sv48);
    Rig& rig = paged.rig;
    constexpr u64 kVa = 0x4000'0000;
    const u64 pa = level ? kRamBase + 0x40'0000 : kData;
    rig.place(pa, {kNop});
    for (const u64 bits : {u64{0}, pte::kA, pte::kD, pte::kAd}) {
      paged.map(kVa, pa, pte::kRwx | bits, static_cast<int>(level));
      const u64 entry = paged.paging.entry(kVa, static_cast<int>(level));
      const bool accessed = bits & pte::kA, dirty = bits & pte::kD;
      for (int round = 0; round < 2; round++) {
        EXPECT_EQ(rig.load_fault(kVa), accessed ? std::nullopt : std::optional(Cause::load_page));
        EXPECT_EQ(rig.fetch_fault(kVa), accessed ? std::nullopt : std::optional(Cause::fetch_page));
        EXPECT_EQ(rig.store_fault(kVa + 64), accessed && dirty ? std::nullopt : std::optional(Cause::store_page));
        EXPECT_EQ(rig.fault(Op::amoor_w, kVa + 64),
                  accessed && dirty ? std::nullopt : std::optional(Cause::store_page));
      }
      EXPECT_EQ(paged.paging.entry(kVa, static_cast<int>(level)), entry);
    }
  }
}

TEST(Walk, AccessedAndDirtyWithUpdates) {
  Paged paged(SatpMode::sv57);
  Rig& rig = paged.rig;
  rig.state().menvcfg = envcfg::kAdue;
  constexpr u64 kVa = 0x4000'0000;
  rig.place(kData, {kNop});
  constexpr u64 kRest = u64{3} << 8 | pte::kG;  // RSW and G stay what they are
  for (const u64 bits : {u64{0}, pte::kA, pte::kD, pte::kAd}) {
    const auto after = [&](auto access, u64 flags, std::optional<Cause> fault) {
      paged.map(kVa, kData, flags | bits | kRest);
      EXPECT_EQ(access(), fault);
      return paged.paging.entry(kVa) ^ Paging::leaf(kData, flags | kRest);
    };
    const auto load = [&] { return rig.load_fault(kVa); };
    const auto fetch = [&] { return rig.fetch_fault(kVa); };
    const auto store = [&] { return rig.store_fault(kVa + 64); };
    EXPECT_EQ(after(load, pte::kRwx, std::nullopt), bits | pte::kA);
    EXPECT_EQ(after(fetch, pte::kRwx, std::nullopt), bits | pte::kA);
    EXPECT_EQ(after(store, pte::kRwx, std::nullopt), pte::kAd);
    EXPECT_EQ(after([&] { return rig.fault(Op::lr_w, kVa); }, pte::kRwx, std::nullopt), bits | pte::kA);
    EXPECT_EQ(after([&] { return rig.fault(Op::sc_w, kVa + 64); }, pte::kRwx, std::nullopt), pte::kAd);
    EXPECT_EQ(after([&] { return rig.fault(Op::amoadd_d, kVa + 64); }, pte::kRwx, std::nullopt), pte::kAd);
    // An access that is not allowed leaves the bits alone.
    EXPECT_EQ(after(store, pte::kRead, Cause::store_page), bits);
    EXPECT_EQ(after(fetch, pte::kRw, Cause::fetch_page), bits);
    EXPECT_EQ(after(load, pte::kRw | pte::kU, Cause::load_page), bits);
    EXPECT_EQ(after(load, pte::kV | pte::kX, Cause::load_page), bits);
  }
  // A page that was read first is not written to without D being set.
  paged.map(kVa, kData, pte::kRw);
  rig.loaded(Op::ld, kVa);
  EXPECT_EQ(paged.paging.entry(kVa) & pte::kAd, pte::kA);
  rig.stored(Op::sd, kVa, 1);
  EXPECT_EQ(paged.paging.entry(kVa) & pte::kAd, pte::kAd);
}

TEST(Walk, AdueTakesEffectAtOnce) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  paged.map(0x1000, kData, pte::kRw);
  const auto set = [&](u64 value) {
    rig.state().privilege = Privilege::machine;
    rig.x(a1) = value;
    EXPECT_EQ(rig.stub(encode_csr(Op::csrrw, zero, kCsrMenvcfg, a1)), Outcome{});
    rig.state().privilege = Privilege::supervisor;
  };
  EXPECT_EQ(rig.load_fault(0x1000), Cause::load_page);
  set(envcfg::kAdue);
  EXPECT_EQ(rig.load_fault(0x1000), std::nullopt);
  set(0);
  EXPECT_EQ(rig.store_fault(0x1000), Cause::store_page);
  EXPECT_EQ(paged.paging.entry(0x1000) & pte::kAd, pte::kA);
}

TEST(Walk, ContiguousPages) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  constexpr u64 kVa = 0x5555'0000, kPa = kRamBase + 0x50'0000;
  const auto map_all = [&](u64 low_ppn, u64 flags) {
    for (u64 page = 0; page < 16; page++)
      paged.paging.map(kVa + page * kPageBytes, kPa + low_ppn * kPageBytes, flags | pte::kNapot);
    rig.drop_caches();
  };
  for (u64 page = 0; page < 16; page++) rig.poke<u64>(kPa + page * kPageBytes + 8, 0xabc0 + page);
  map_all(8, pte::kRw | pte::kAd);
  for (u64 page = 0; page < 16; page++) EXPECT_EQ(rig.loaded(Op::ld, kVa + page * kPageBytes + 8), 0xabc0 + page);
  EXPECT_EQ(rig.load_fault(kVa + 16 * kPageBytes), Cause::load_page);
  // Only 64 KiB is defined.
  for (u64 low_ppn = 0; low_ppn < 16; low_ppn++) {
    map_all(low_ppn, pte::kRw | pte::kAd);
    EXPECT_EQ(rig.load_fault(kVa + 3 * kPageBytes), low_ppn == 8 ? std::nullopt : std::optional(Cause::load_page))
        << low_ppn;
    EXPECT_EQ(rig.fetch_fault(kVa + 3 * kPageBytes), Cause::fetch_page);
  }
  // Each page has bits of its own.
  rig.state().menvcfg = envcfg::kAdue;
  map_all(8, pte::kRw);
  rig.stored(Op::sd, kVa + 5 * kPageBytes, 1);
  for (u64 page = 0; page < 16; page++)
    EXPECT_EQ(paged.paging.entry(kVa + page * kPageBytes) & pte::kAd, page == 5 ? pte::kAd : 0) << page;
  EXPECT_EQ(rig.peek<u64>(kPa + 5 * kPageBytes), 1u);
  // Not for large pages, not for pointers.
  const u64 large = 0x4000'0000;
  paged.map(large, kRamBase + 0x40'0000, pte::kRw | pte::kAd | pte::kNapot, 1);
  EXPECT_EQ(rig.load_fault(large), Cause::load_page);
  paged.map(large, kRamBase + 0x40'8000, pte::kRw | pte::kAd | pte::kNapot, 1);
  EXPECT_EQ(rig.load_fault(large), Cause::load_page);
}

TEST(Walk, MemoryTypes) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  const u64 large = 0x4000'0000;
  for (const bool enabled : {false, true}) {
    rig.state().menvcfg = enabled ? envcfg::kPbmte : 0;
    for (u64 type = 0; type < 4; type++) {
      SCOPED_TRACE(testing::Message() << enabled << type);
      const bool good = type == 0 || (enabled && type != 3);
      paged.map(0x1000, kData, pte::kRw | pte::kAd | pte::pbmt(type));
      EXPECT_EQ(rig.load_fault(0x1000), good ? std::nullopt : std::optional(Cause::load_page));
      EXPECT_EQ(rig.store_fault(0x1000), good ? std::nullopt : std::optional(Cause::store_page));
      EXPECT_EQ(rig.fetch_fault(0x1000), Cause::fetch_page);
      paged.map(large, kRamBase + 0x40'0000, pte::kRw | pte::kAd | pte::pbmt(type), 1);
      EXPECT_EQ(rig.load_fault(large), good ? std::nullopt : std::optional(Cause::load_page));
      // A pointer has no memory type.
      paged.map(0x1000, kData, pte::kRw | pte::kAd);
      const u64 pointer = paged.paging.entry_at(0x1000, 1);
      const u64 kept = rig.peek<u64>(pointer);
      rig.poke<u64>(pointer, kept | pte::pbmt(type));
      rig.drop_caches();
      EXPECT_EQ(rig.load_fault(0x1000), type == 0 ? std::nullopt : std::optional(Cause::load_page));
      rig.poke<u64>(pointer, kept);
    }
  }
}

TEST(Walk, ReservedBits) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    Rig& rig = paged.rig;
    const u64 va = upper_half(mode) + 0x77'7000;
    rig.state().menvcfg = envcfg::kPbmte | envcfg::kAdue;
    paged.map(va, kData, pte::kRwx | pte::kAd);
    for (int level = 0; level < levels_of(mode); level++) {
      const u64 at = paged.paging.entry_at(va, level);
      const u64 kept = rig.peek<u64>(at);
      for (unsigned bit = 0; bit < 64; bit++) {
        if (bit >= 10 && bit < 54) continue;  // the page number
        rig.poke<u64>(at, kept ^ u64{1} << bit);
        rig.drop_caches();
        bool good;
        if (level == 0) {
          // V, R and the reserved ones matter, W and X only to others; a leaf of a memory type; no 64 KiB
          // here.
          good = bit != 0 && bit != 1 && bit != 4 && bit < 54;
          good = good || bit == 61 || bit == 62;
        } else {
          // A pointer has nothing but V, RSW and G. (R or X would make it a leaf, here a misaligned one.)
          good = bit == 5 || bit == 8 || bit == 9;
        }
        EXPECT_EQ(rig.load_fault(va), good ? std::nullopt : std::optional(Cause::load_page))
            << "level " << level << " bit " << bit;
      }
      rig.poke<u64>(at, kept);
    }
  }
}

TEST(Walk, PointersAtTheLastLevel) {
  Paged paged(SatpMode::sv39);
  paged.map(0x1000, kData, pte::kV);
  EXPECT_EQ(paged.rig.load_fault(0x1000), Cause::load_page);
  EXPECT_EQ(paged.rig.store_fault(0x1000), Cause::store_page);
  EXPECT_EQ(paged.rig.fetch_fault(0x1000), Cause::fetch_page);
}

TEST(Walk, TablesThatPointToThemselves) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    Rig& rig = paged.rig;
    // Every entry of the root points to the root.
    const u64 kept = rig.peek<u64>(paged.paging.entry_at(kStubs, levels_of(mode) - 1));
    for (u64 i = 0; i < 512; i++) rig.poke<u64>(paged.paging.root() + 8 * i, paged.paging.root() >> 2 | pte::kV);
    rig.poke<u64>(paged.paging.entry_at(kStubs, levels_of(mode) - 1), kept);
    rig.drop_caches();
    // Every walk reads `levels` pointers and gives up; one that meets the entry of the stubs ends elsewhere.
    for (const u64 va : {u64{0x40'4000}, u64{0x3f'ffff'f000}, ~u64{0xfff}}) {
      EXPECT_EQ(rig.load_fault(va), Cause::load_page) << std::hex << va;
      EXPECT_EQ(rig.store_fault(va), Cause::store_page);
      EXPECT_EQ(rig.fetch_fault(va), Cause::fetch_page);
    }
  }
}

TEST(Walk, ATableMapsItself) {
  // The usual trick: one entry of the root points to the root, and the tables appear as pages.
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  rig.poke<u64>(paged.paging.root() + 8 * 511, paged.paging.root() >> 2 | pte::kV);
  paged.map(0x1000, kData, pte::kRw | pte::kAd);
  // Make the lowest table's page visible by a leaf of its own.
  const u64 table = paged.paging.entry_at(0x1000) & ~kPageMask;
  paged.map(0x2000, table, pte::kRw | pte::kAd);
  EXPECT_EQ(rig.loaded(Op::ld, 0x2008), Paging::leaf(kData, pte::kRw | pte::kAd));
  // The guest changes its own mapping through it.
  rig.poke<u64>(kData + 0x1000, 0x7777);
  rig.stored(Op::sd, 0x2008, Paging::leaf(kData + 0x1000, pte::kRw | pte::kAd));
  rig.x(a1) = 0x1000;
  EXPECT_EQ(rig.stub(encode_sfence(Op::sfence_vma, a1, zero)), Outcome{});
  EXPECT_EQ(rig.loaded(Op::ld, 0x1000), 0x7777u);
}

TEST(Walk, TablesOutsideOfMemory) {
  for (const SatpMode mode : kPagingModes) {
    Paged paged(mode);
    Rig& rig = paged.rig;
    const u64 va = upper_half(mode) + (u64{0x12} << 30);
    paged.map(va, kData, pte::kRw | pte::kAd);
    for (const u64 wild : {u64{0}, kDevice, kRamEnd, u64{0x00ff'ffff'ffff'f000}}) {
      for (int level = 1; level < levels_of(mode); level++) {
        const u64 at = paged.paging.entry_at(va, level);
        const u64 kept = rig.peek<u64>(at);
        rig.poke<u64>(at, wild >> 2 | pte::kV);
        rig.drop_caches();
        EXPECT_EQ(rig.load_fault(va), Cause::load_access) << std::hex << wild << " level " << level;
        EXPECT_EQ(rig.store_fault(va), Cause::store_access);
        EXPECT_EQ(rig.fetch_fault(va), Cause::fetch_access);
        rig.poke<u64>(at, kept);
      }
      rig.state().satp = static_cast<u64>(mode) << 60 | wild >> kPageShift;
      rig.drop_caches();
      EXPECT_EQ(rig.fetch_fault(va), Cause::fetch_access);
      rig.state().satp = paged.paging.satp();
    }
    EXPECT_TRUE(rig.device.seen.empty());
  }
}

TEST(Walk, PmpGuardsTheTables) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  HartState& s = rig.state();
  s.menvcfg = envcfg::kAdue;
  constexpr u64 kVa = u64{0x12} << 30;
  s.pmpcfg[1] = s.pmpcfg[0];
  s.pmpaddr[1] = s.pmpaddr[0];
  s.pmpaddr[0] = paged.paging.entry_at(kVa) >> 2 | 0;
  const auto map = [&](u64 flags, u8 config) {
    s.pmpcfg[0] = config;
    paged.map(kVa, kData, flags);
  };
  map(pte::kRw | pte::kAd, 0x18);  // 8 bytes, no permission
  EXPECT_EQ(rig.load_fault(kVa), Cause::load_access);
  EXPECT_EQ(rig.store_fault(kVa), Cause::store_access);
  EXPECT_EQ(rig.fetch_fault(kVa), Cause::fetch_access);
  map(pte::kRw, 0x19);  // read only: the walk works, the update does not
  EXPECT_EQ(rig.load_fault(kVa), Cause::load_access);
  map(pte::kRw | pte::kA, 0x19);
  EXPECT_EQ(rig.load_fault(kVa), std::nullopt);
  EXPECT_EQ(rig.store_fault(kVa), Cause::store_access);
  EXPECT_EQ(paged.paging.entry(kVa) & pte::kAd, pte::kA);
}

TEST(Walk, PhysicalAddressesBeyondMemory) {
  Paged paged(SatpMode::sv57);
  for (const u64 pa : {kRamEnd, u64{1} << 40, u64{0x00ff'ffff'ffff'f000}}) {
    paged.map(0x1000, pa, pte::kRwx | pte::kAd);
    EXPECT_EQ(paged.rig.load_fault(0x1000), Cause::load_access);
    EXPECT_EQ(paged.rig.store_fault(0x1000), Cause::store_access);
    EXPECT_EQ(paged.rig.fetch_fault(0x1000), Cause::fetch_access);
  }
}

TEST(Walk, BareAndMachineModeDoNotTranslate) {
  Paged paged(SatpMode::sv39);
  Rig& rig = paged.rig;
  rig.poke<u64>(kData, 0xb0b0);
  EXPECT_EQ(rig.load_fault(kData), Cause::load_page);
  rig.state().privilege = Privilege::machine;
  EXPECT_EQ(rig.loaded(Op::ld, kData), 0xb0b0u);
  rig.state().satp = 0;
  rig.drop_caches();
  for (const Privilege mode : {Privilege::supervisor, Privilege::user}) {
    rig.state().privilege = mode;
    rig.stub_va(mode) = kStubs;
    EXPECT_EQ(rig.loaded(Op::ld, kData), 0xb0b0u);
    EXPECT_EQ(rig.load_fault(kData | u64{1} << 63), Cause::load_access);
  }
}

}  // namespace
}  // namespace hartwood::test
