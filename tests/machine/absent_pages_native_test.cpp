// SPDX-License-Identifier: Apache-2.0
// A machine that runs before its memory is here: whatever touches an absent page - loads, stores, atomics, fetches, the
// page-table walk, a device - waits for it, and then sees what was saved. On threads, and under the seeded scheduler
// with a fiber that brings the chunks.
#include "machine/snapshot_rig.h"

namespace hartwood::test {
namespace {

// Pages, each in a chunk of its own.
constexpr u64 kPages = kRamBase + 0x200'0000;
constexpr u64 place_of(u32 index) { return kPages + index * 0x10'000; }
constexpr u64 kLoaded = place_of(0), kStored = place_of(1), kCounted = place_of(2), kCalled = place_of(3),
              kRoot = place_of(4), kMiddle = place_of(5), kLeaves = place_of(6), kMapped = place_of(7),
              kReserved = place_of(8), kSplit = place_of(9), kSent = place_of(10);
constexpr u64 kRings = kRamBase + 0x100'0000;
constexpr u64 kVa = 0x4000'0000;
constexpr u64 kKnown = 0x1234'5678'9abc'def0;
constexpr u64 kDiskBytes = 16 * kPageBytes;
constexpr u32 kSector = 5;

// Every hart touches everything; the first one sends a request to the disk too. Each finds out of itself whether what
// it saw is what was saved.
GuestProgram touch_all(u32 harts) {
  Guest g(harts);
  const auto expect = [&](Reg value, u64 expected, u64 code) {
    g.li(t5, expected);
    g.die_unless_equal(value, t5, code);
  };
  g.li(a2, kLoaded);
  g.ld(a3, 8, a2);
  expect(a3, kKnown, 1);

  // A part of a page is stored; the rest of it is what it was.
  g.li(a2, kStored);
  g.slli(t0, s0, 3);
  g.add(a3, a2, t0);
  g.sd(s1, 64, a3);
  g.ld(a4, 8, a2);
  expect(a4, kKnown, 2);
  g.ld(a4, 64, a3);
  expect(a4, kGuestData, 3);

  g.li(a2, kCounted);
  g.li(t0, 1);
  g.atomic(Op::amoadd_d, a3, t0, a2, Guest::both);
  g.li(t0, 100);
  g.die_if_less(a3, t0, 4);
  g.li(a2, kReserved);
  const auto again = g.bound();
  g.emit(encode_amo(Op::lr_d, a3, a2, zero));
  g.addi(a3, a3, 1);
  g.emit(encode_amo(Op::sc_d, t0, a2, a3));
  g.bne(t0, zero, again);
  g.li(t0, 101);
  g.die_if_less(a3, t0, 5);

  // Over the end of a page that is here into one that is not.
  g.li(a2, kSplit - 4);
  g.ld(a3, 0, a2);
  expect(a3, u64{0x9abc'def0} << 32, 6);

  g.li(a2, kCalled);
  g.jalr(ra, a2, 0);
  expect(a5, 77, 7);

  g.li(t0, u64{8} << 60 | kRoot >> kPageShift);
  g.csrw(kCsrSatp, t0);
  g.sfence_vma();
  g.li(a2, kVa);
  g.ld(a3, 8, a2);
  g.csrw(kCsrSatp, zero);
  g.sfence_vma();
  expect(a3, kKnown, 8);

  const auto rest = g.label();
  g.bne(s0, zero, rest);
  g.li(a2, virt::virtio_base(1) + VirtioMmio::kQueueNotify);
  g.sw(zero, 0, a2);
  g.li(a2, kRings + 0x4000);
  const auto wait = g.bound();
  g.emit(encode_load(Op::lbu, a3, 0, a2));
  g.li(t0, 0xee);
  g.beq(a3, t0, wait);
  g.die_unless_equal(a3, zero, 9);
  g.bind(rest);
  g.finish();
  return g.program();
}

// The machine as it is to be saved, and what it is at its end.
struct Original {
  explicit Original(u32 harts) : box(options(harts)) {
    box.boot(touch_all(harts));
    DiskDriver driver{box, kRings};
    driver.start();
    for (const u64 page : {kLoaded, kStored, kMapped}) box.poke(page + 8, kKnown);
    box.poke(kSplit, kKnown);
    box.poke(kCounted, 100);
    box.poke(kReserved, 100);
    Assembler called(kCalled);
    called.li(a5, 77);
    called.jalr(zero, ra, 0);
    box.put_code(kCalled, called.words());
    const auto entry = [](u64 pa, u64 flags) { return pa >> 2 | flags; };
    constexpr u64 kTable = 1, kPage = 0xf, kAccessedDirty = 0xc0;
    box.poke(kRoot + 8 * 2, entry(kRamBase, kPage | kAccessedDirty));
    box.poke(kRoot + 8 * 1, entry(kMiddle, kTable));
    box.poke(kMiddle, entry(kLeaves, kTable));
    box.poke(kLeaves, entry(kMapped, kPage));
    for (u32 i = 0; i < 64; i++) box.poke(kSent + 8 * i, kKnown + i);
    box.poke(driver.used() + 0x800, kKnown);  // so that this page is in the file, too
    driver.prepare(DiskDriver::kWrite, kSector, kSent, 512);
    box.machine().freeze();
    auto made = save(box.machine(), {.chunk_pages = 1});
    HW_CHECK(made.ok(), made.message().c_str());
    saved = std::move(*made);
  }
  static BoxOptions options(u32 harts) {
    BoxOptions result;
    result.harts = harts;
    result.disks = {kDiskBytes};
    return result;
  }
  static std::vector<u64> touched() {
    return {kGuestCode, kLoaded,         kStored,         kCounted,        kReserved,      kSplit,
            kCalled,    kRoot,           kMiddle,         kLeaves,         kMapped,        kRings,
            kSent,      kRings + 0x1000, kRings + 0x2000, kRings + 0x3000, kRings + 0x4000};
  }
  void check(Box& copy, u32 harts) const {
    EXPECT_EQ(copy.shared().power.load(), static_cast<u32>(kPowerOff));
    EXPECT_EQ(copy.shared().exit_code.load(), 0u);
    EXPECT_EQ(copy.peek(kGuestData + kFailure), 0u);
    EXPECT_EQ(copy.peek(kCounted), 100 + harts);
    EXPECT_EQ(copy.peek(kReserved), 100 + harts);
    for (u32 i = 0; i < harts; i++) EXPECT_EQ(copy.peek(kStored + 64 + 8 * i), kGuestData);
    EXPECT_EQ(std::memcmp(copy.disk(0).data() + 512 * kSector, copy.memory().ram() + (kSent - kRamBase), 512), 0);
    // Nothing that the machine wrote before a chunk came was lost, and nothing came twice.
    for (const SnapshotChunk& chunk : saved.head.chunks) {
      const std::set<u32> written = {page_of(kStored), page_of(kCounted),        page_of(kReserved),
                                     page_of(kLeaves), page_of(kRings + 0x2000), page_of(kRings + 0x4000)};
      const u32 page = chunk.runs[0].first;
      if (chunk.region != SnapshotChunk::kRam || written.contains(page)) continue;
      const size_t index = static_cast<size_t>(&chunk - saved.head.chunks.data());
      EXPECT_EQ(std::memcmp(copy.memory().ram() + (u64{page} << kPageShift), saved.chunks[index].data(), kPageBytes), 0)
          << "page " << page;
    }
  }
  Box box;
  Saved saved;
};

void run_on_threads(u32 harts) {
  const Original original(harts);
  for (int time = 0; time < 10; time++) {
    BoxOptions options = Original::options(harts);
    options.real_time = true;
    Box copy(options);
    Machine& machine = copy.machine();
    ASSERT_TRUE(machine.restore(original.saved.head.state).ok());
    SnapshotLoader loader(machine, original.saved.head);
    loader.expect();
    machine.thaw(true);
    std::vector<std::thread> threads;
    for (u32 i = 0; i < harts; i++) {
      threads.emplace_back([&, i] {
        while (machine.run_hart(i, 1'000'000) != Hart::Exit::power) {
        }
      });
    }
    threads.emplace_back([&] { machine.run_clock(); });
    // Only what is asked for, and not at once.
    std::vector<u32> pages;
    const u64 start = copy.platform().monotonic_ns();
    while (copy.on() && copy.platform().monotonic_ns() - start < u64{60} * 1'000'000'000) {
      const u32 seen = loader.wanted_word().load();
      if (const u32 wanted = loader.wanted(); wanted != 0) {
        Atomic<u32> never{0};
        never.wait(0, 500'000);
        pages.push_back(original.saved.head.chunks[wanted - 1].runs[0].first);
        EXPECT_FALSE(loader.placed(wanted - 1)) << "asked for a page that is here";
        EXPECT_TRUE(loader.place(wanted - 1, original.saved.chunks[wanted - 1]).ok());
        continue;
      }
      loader.wanted_word().wait(seen, 20'000'000);
    }
    EXPECT_FALSE(copy.on()) << "a wait did not end";
    // The rest, so that whoever still waits goes on and leaves.
    for (u32 i = 0; i < original.saved.chunks.size(); i++) EXPECT_TRUE(loader.place(i, original.saved.chunks[i]).ok());
    if (copy.on()) machine.power().end(kPowerCrashed, 0);
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(loader.complete());

    std::vector<u32> expected;
    for (const u64 address : Original::touched()) expected.push_back(page_of(address));
    if (harts == 1) {
      // One after the other, as the program goes; of the rings, the device decides.
      ASSERT_EQ(pages.size(), expected.size());
      constexpr size_t kOrdered = 11;
      EXPECT_TRUE(std::equal(pages.begin(), pages.begin() + kOrdered, expected.begin()));
    }
    std::sort(pages.begin(), pages.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(pages, expected) << "pages that were asked for";
    original.check(copy, harts);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(AbsentPages, OneHartOnAThread) { run_on_threads(1); }
TEST(AbsentPages, FourHartsOnThreads) { run_on_threads(4); }

TEST(AbsentPages, UnderSeeds) {
  constexpr u32 kHarts = 2;
  const Original original(kHarts);
  BoxOptions options = Original::options(kHarts);
  options.fibers = true;
  for (u64 seed = 1; seed <= 150; seed++) {
    Box copy(options);
    Machine& machine = copy.machine();
    ASSERT_TRUE(machine.restore(original.saved.head.state).ok());
    SnapshotLoader loader(machine, original.saved.head);
    loader.expect();
    SchedulerOptions how{
        .longest_slice = 8, .switch_one_in = 2, .spurious_one_in = seed % 2 == 0 ? 4u : 0u, .max_points = 20'000'000};
    DeterministicRunner runner(machine, copy.clock(), seed, how);
    SeededRandom random(seed);
    u32 asked = 0;
    runner.add([&] {
      u32 next = 0;
      while (!loader.complete()) {
        const u32 seen = loader.wanted_word().load();
        u32 index = loader.wanted();
        if (index != 0) {
          asked++;
        } else if (random.one_in(3)) {
          while (loader.placed(next)) next++;  // in the file's order, meanwhile
          index = next + 1;
        } else {
          loader.wanted_word().wait(seen, 2'000);
          continue;
        }
        ASSERT_TRUE(loader.place(index - 1, original.saved.chunks[index - 1]).ok());
      }
    });
    ASSERT_TRUE(runner.run(0)) << "seed " << seed;
    ASSERT_EQ(runner.end(), SeededScheduler::End::finished) << "seed " << seed;
    ASSERT_TRUE(loader.complete());
    EXPECT_GT(asked, 0u);
    original.check(copy, kHarts);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// Whoever reads RAM in other ways waits, too; and once all is here, nobody looks any more.
TEST(AbsentPages, ReadersAndWritersThatAreNoHarts) {
  const Original original(1);
  using Access = std::function<void(GuestMemory&)>;
  const std::pair<u64, Access> accesses[] = {
      {kLoaded, [](GuestMemory& m) { EXPECT_EQ(load_le<u64>(m.readable(Pa(kLoaded + 8), 8).data()), kKnown); }},
      {kStored, [](GuestMemory& m) { EXPECT_EQ(load_le<u64>(m.writable(Pa(kStored), 16).data() + 8), kKnown); }},
      {kMapped,
       [](GuestMemory& m) {
         u8 bytes[8];
         EXPECT_TRUE(m.read(Pa(kMapped + 8), bytes));
         EXPECT_EQ(load_le<u64>(bytes), kKnown);
       }},
      {kCounted,
       [](GuestMemory& m) {
         u64 expected = 100;
         EXPECT_TRUE(m.compare_exchange<u64>(Pa(kCounted), expected, 200));
       }},
      {kReserved, [](GuestMemory& m) { EXPECT_EQ(m.atomic_load<u64>(Pa(kReserved)), 100u); }},
      {kSplit,
       [](GuestMemory& m) {
         u64 value = 0;
         EXPECT_TRUE(m.load(Pa(kSplit - 4), value));
         EXPECT_EQ(value, u64{0x9abc'def0} << 32);
       }},
      {kSent,
       [](GuestMemory& m) {
         EXPECT_TRUE(m.fill(Pa(kSent), 0, 8));
         u64 value = 0;
         EXPECT_TRUE(m.load(Pa(kSent + 8), value));
         EXPECT_EQ(value, kKnown + 1);
       }},
      {kRoot,
       [](GuestMemory& m) {
         EXPECT_TRUE(m.write(Pa(kRoot), std::vector<u8>(8, 1)));
         EXPECT_NE(m.atomic_load<u64>(Pa(kRoot + 8)), 0u);
       }},
  };
  for (const auto& [page, access] : accesses) {
    Box copy(Original::options(1));
    ASSERT_TRUE(copy.machine().restore(original.saved.head.state).ok());
    SnapshotLoader loader(copy.machine(), original.saved.head);
    loader.expect();
    std::atomic<bool> done{false};
    std::thread thread([&] {
      access(copy.memory());
      done = true;
    });
    u32 seen = 0;
    while ((seen = loader.wanted_word().load()) == 0) loader.wanted_word().wait(0, 20'000'000);
    const u32 wanted = loader.wanted();
    ASSERT_NE(wanted, 0u);
    EXPECT_EQ(original.saved.head.chunks[wanted - 1].runs[0].first, page_of(page));
    EXPECT_EQ(loader.wanted(), 0u) << "told of once";
    Atomic<u32> never{0};
    never.wait(0, 1'000'000);
    EXPECT_FALSE(done.load());
    for (u32 i = 0; i < original.saved.chunks.size(); i++) EXPECT_TRUE(loader.place(i, original.saved.chunks[i]).ok());
    thread.join();
    EXPECT_TRUE(done.load());
    for (u64 number = 0; number < copy.memory().page_count(); number++)
      ASSERT_EQ(copy.memory().page_state(number) & kPageAbsent, 0);
  }
}

}  // namespace
}  // namespace hartwood::test
