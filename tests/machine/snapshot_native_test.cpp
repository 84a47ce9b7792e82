// SPDX-License-Identifier: Apache-2.0
// Snapshots of small machines: what is saved is loaded, all of it and nothing else; increments hold what was written
// since, by whoever wrote it; what does not fit is refused. Files: snapshot_file_native_test.cpp.
#include "machine/snapshot_rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kFree = kRamBase + 0x200'0000;  // what the tests use of RAM
constexpr u64 kRings = kRamBase + 0x100'0000;
constexpr u64 kDiskBytes = 64 * kPageBytes;

// Adds 1 to the doubleword at s3, again and again.
GuestProgram count_up() {
  Guest g(1);
  g.li(s3, kFree);
  const auto loop = g.bound();
  g.ld(t0, 0, s3);
  g.addi(t0, t0, 1);
  g.sd(t0, 0, s3);
  g.j(loop);
  return g.program();
}

std::vector<u8> noise(size_t bytes, u64 seed) {
  SeededRandom random(seed);
  std::vector<u8> result(bytes);
  for (u8& byte : result) byte = static_cast<u8>(random.next());
  return result;
}

std::set<u32> range(u32 first, u32 count) {
  std::set<u32> pages;
  for (u32 i = 0; i < count; i++) pages.insert(first + i);
  return pages;
}

TEST(Snapshot, OnlyOfAMachineThatRuns) {
  Box box;
  EXPECT_FALSE(save(box.machine()).ok());
  box.boot(count_up());
  EXPECT_TRUE(save(box.machine()).ok());
  EXPECT_FALSE(box.machine().restore(box.machine().save_state()).ok()) << "a machine that has been booted";
  box.machine().power().end(kPowerOff, 0);
  EXPECT_FALSE(save(box.machine()).ok());
}

TEST(Snapshot, RamDisksAndStateComeBack) {
  BoxOptions options;
  options.disks = {kDiskBytes, 3 * kPageBytes + 512};
  Box box(options);
  box.boot(count_up());
  ASSERT_TRUE(box.memory().write(Pa(kFree + 100), noise(50'000, 1)));
  const u64 last = kRamBase + kMinRamBytes - 8;
  box.poke(last, 0x1234);
  BlockBackend &first = box.machine().disk(0).backend(), &second = box.machine().disk(1).backend();
  ASSERT_TRUE(first.write(5 * kPageBytes + 3, noise(10'000, 2)));
  ASSERT_TRUE(second.write(3 * kPageBytes - 10, noise(522, 3)));  // to its end, within a page
  box.run(1000);
  const auto saved = save(box.machine(), {.notes = "{}"});
  ASSERT_TRUE(saved.ok()) << saved.message();
  EXPECT_EQ(saved->head.notes, "{}");
  EXPECT_EQ(saved->head.disk_bytes, options.disks);
  EXPECT_TRUE(saved->pages().contains(page_of(last)));
  EXPECT_EQ(saved->pages(1), range(5, 3));
  EXPECT_EQ(saved->pages(2), range(2, 2));
  EXPECT_TRUE(saved->pages(0, true).empty()) << "zero pages are left out";

  Box copy(options);
  const Status loaded = load(copy.machine(), {&*saved});
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_EQ(ram_difference(box, copy), "");
  EXPECT_EQ(copy.machine().ram_hash(), box.machine().ram_hash());
  EXPECT_TRUE(same_disk(box, copy, 0) && same_disk(box, copy, 1));
  EXPECT_EQ(copy.state().pc, box.state().pc);
  EXPECT_EQ(copy.machine().save_state(), box.machine().save_state());
  EXPECT_EQ(copy.machine().last_snapshot(), saved->head.id);
}

TEST(Snapshot, ReadOnlyDisksComeBackReadOnly) {
  BoxOptions options;
  options.disks = {kDiskBytes};
  options.read_only = true;
  Box box(options);
  box.boot(count_up());
  ASSERT_FALSE(box.machine().disk(0).backend().write(0, noise(10, 1)));
  ASSERT_TRUE(box.machine().disk(0).backend().restore(kPageBytes, noise(10'000, 1)));
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  EXPECT_EQ(saved->pages(1), range(1, 3));
  Box copy(options);
  ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
  EXPECT_TRUE(same_disk(box, copy, 0));
  EXPECT_TRUE(copy.machine().disk(0).backend().read_only());
}

TEST(Snapshot, TheConfigurationComesBack) {
  Box box({.harts = 3, .disks = {kDiskBytes}, .read_only = true});
  Guest g(3);
  g.wfi();
  box.boot(g.program());
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  const auto config = parse_config(saved->head.config);
  ASSERT_TRUE(config.ok()) << config.message();
  EXPECT_EQ(config->harts, 3u);
  EXPECT_EQ(config->memory_bytes, kMinRamBytes);
  ASSERT_EQ(config->disks.size(), 1u);
  EXPECT_TRUE(config->disks[0].read_only);
}

TEST(Snapshot, OrderAndSizeOfChunks) {
  Box box;
  box.boot(count_up());
  ASSERT_TRUE(box.memory().write(Pa(kFree), noise(20 * kPageBytes, 1)));
  const u32 at = page_of(kFree);
  SnapshotOptions options;
  // One twice, one that is zero, one that does not exist.
  options.order = {at + 7, at + 3, at + 7, at + 100, ~u32{0}, at + 4};
  options.chunk_pages = 3;
  const auto saved = save(box.machine(), options);
  ASSERT_TRUE(saved.ok());
  ASSERT_GT(saved->head.chunks.size(), 6u);
  const std::vector<PageRun>& runs = saved->head.chunks[0].runs;
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_TRUE(runs[0].first == at + 7 && runs[0].count == 1);
  EXPECT_TRUE(runs[1].first == at + 3 && runs[1].count == 2);
  u32 before = 0;
  for (size_t i = 1; i < saved->head.chunks.size(); i++) {
    const SnapshotChunk& chunk = saved->head.chunks[i];
    EXPECT_LE(chunk.pages(), 3u);
    for (const PageRun& run : chunk.runs) {
      EXPECT_TRUE(i == 1 || run.first > before) << "the others in their order";
      before = run.first;
    }
  }
  EXPECT_FALSE(saved->pages().contains(at + 100));
  Box copy;
  ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
  EXPECT_EQ(ram_difference(box, copy), "");

  for (const auto& [asked, given] : {std::pair<u32, u32>{0, 1}, {1, 1}, {256, 256}, {100'000, 256}}) {
    ASSERT_TRUE(box.memory().write(Pa(kFree), noise(300 * kPageBytes, 1)));
    const auto other = save(box.machine(), {.chunk_pages = asked});
    ASSERT_TRUE(other.ok());
    u32 most = 0;
    for (const SnapshotChunk& chunk : other->head.chunks) most = std::max(most, chunk.pages());
    EXPECT_EQ(most, given) << asked;
  }
}

// ---- what a loader refuses

struct LoaderTest : testing::Test {
  LoaderTest() {
    box.boot(count_up());
    EXPECT_TRUE(box.memory().write(Pa(kFree), noise(10 * kPageBytes, 1)));
    saved = std::move(*save(box.machine()));
    EXPECT_TRUE(copy.machine().restore(saved.head.state).ok());
  }
  Box box;
  Saved saved;
  Box copy;
};

TEST_F(LoaderTest, WrongBytesAreNeverPlaced) {
  SnapshotLoader loader(copy.machine(), saved.head);
  const Box untouched;
  for (u32 i = 0; i < saved.chunks.size(); i++) {
    std::vector<u8> bytes = saved.chunks[i];
    ASSERT_FALSE(bytes.empty());
    for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::vector<u8> wrong = bytes;
      wrong[at] ^= 1;
      EXPECT_NE(loader.place(i, wrong).message().find("checksum"), std::string::npos);
    }
    std::vector<u8> longer = bytes;
    longer.push_back(0);
    EXPECT_NE(loader.place(i, longer).message().find("length"), std::string::npos);
    EXPECT_NE(loader.place(i, std::span(bytes).first(bytes.size() - 1)).message().find("length"), std::string::npos);
    EXPECT_FALSE(loader.place(i, {}).ok());
    EXPECT_FALSE(loader.placed(i));
  }
  EXPECT_FALSE(loader.place(static_cast<u32>(saved.chunks.size()), {}).ok());
  EXPECT_FALSE(loader.place(~u32{0}, {}).ok());
  EXPECT_EQ(copy.machine().ram_hash(), Box().machine().ram_hash()) << "nothing was written";
}

TEST_F(LoaderTest, TwiceChangesNothing) {
  SnapshotLoader loader(copy.machine(), saved.head);
  ASSERT_TRUE(loader.place(0, saved.chunks[0]).ok());
  EXPECT_TRUE(loader.placed(0));
  const u64 page = kRamBase + (u64{saved.head.chunks[0].runs[0].first} << kPageShift);
  copy.poke(page, 0x77);  // the machine runs on
  EXPECT_TRUE(loader.place(0, saved.chunks[0]).ok());
  EXPECT_EQ(copy.peek(page), 0x77u);
  for (u32 i = 1; i < saved.chunks.size(); i++) {
    EXPECT_FALSE(loader.complete());
    ASSERT_TRUE(loader.place(i, saved.chunks[i]).ok());
  }
  EXPECT_TRUE(loader.complete());
}

TEST_F(LoaderTest, ZeroChunksHaveNoBytes) {
  box.machine().note_snapshot(saved.head.id);
  ASSERT_TRUE(box.memory().fill(Pa(kFree), 0, 3 * kPageBytes));
  const auto increment = save_increment(box.machine());
  ASSERT_TRUE(increment.ok());
  EXPECT_EQ(increment->pages(0, true), range(page_of(kFree), 3));
  ASSERT_EQ(increment->chunks.size(), 1u);
  ASSERT_TRUE(increment->chunks[0].empty());
  ASSERT_TRUE(place_all(copy.machine(), saved).ok());
  EXPECT_NE(copy.peek(kFree), 0u);
  SnapshotLoader loader(copy.machine(), increment->head);
  EXPECT_FALSE(loader.place(0, std::vector<u8>(3 * kPageBytes)).ok()) << "bytes where none are";
  EXPECT_TRUE(loader.place(0, {}).ok());
  EXPECT_EQ(ram_difference(box, copy), "");
}

// A head whose sizes are not the machine's, although its state is: every chunk is refused, and nothing is written
// beyond the end of anything.
TEST(SnapshotFits, HeadsOfOtherMachinesAreRefused) {
  BoxOptions options;
  options.disks = {kDiskBytes};
  Box box(options);
  box.boot(count_up());
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  const auto refused = [&](auto change) {
    SnapshotHead head = saved->head;
    head.chunks[0].packed_bytes = 1;
    change(head);
    const auto parsed = SnapshotHead::parse(head.write());
    ASSERT_TRUE(parsed.ok()) << parsed.message();
    Box copy(options);
    ASSERT_TRUE(copy.machine().restore(parsed->state).ok());
    SnapshotLoader loader(copy.machine(), *parsed);
    loader.expect();
    for (u32 i = 0; i < parsed->chunks.size(); i++)
      EXPECT_NE(loader.place(i, std::vector<u8>(parsed->chunks[i].pages() * kPageBytes)).message().find("other"),
                std::string::npos);
  };
  refused([](SnapshotHead& head) {
    head.ram_bytes = 2 * kMinRamBytes;
    head.chunks[0].runs[0] = {static_cast<u32>(kMinRamBytes >> kPageShift), 1};
  });
  refused([](SnapshotHead& head) {
    head.disk_bytes[0] *= 2;
    head.chunks[0].region = 1;
    head.chunks[0].runs = {{kDiskBytes >> kPageShift, 1}};
  });
  refused([](SnapshotHead& head) {
    head.disk_bytes.push_back(kPageBytes);
    head.chunks[0].region = 2;
    head.chunks[0].runs = {{0, 1}};
  });
  refused([](SnapshotHead& head) { head.disk_bytes.clear(); });
}

TEST(SnapshotFits, StatesOfOtherMachinesAreRefused) {
  Box box;
  box.boot(count_up());
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  for (const BoxOptions& other :
       {BoxOptions{.harts = 2}, BoxOptions{.memory_bytes = 2 * kMinRamBytes}, BoxOptions{.disks = {kDiskBytes}}}) {
    Box copy(other);
    EXPECT_NE(copy.machine().restore(saved->head.state).message().find("does not fit"), std::string::npos);
  }
}

// ---- increments

struct IncrementTest : testing::Test {
  IncrementTest() : box(options()) {
    box.boot(count_up());
    box.memory().write(Pa(kFree), noise(100, 1));
  }
  static BoxOptions options() {
    BoxOptions result;
    result.disks = {kDiskBytes, 3 * kPageBytes + 512};
    return result;
  }
  void begin() { add(save(box.machine())); }
  // The pages of RAM in the increment that is saved now.
  std::set<u32> increment() {
    add(save_increment(box.machine()));
    return chain.back()->pages();
  }
  void add(Result<Saved> saved) {
    ASSERT_TRUE(saved.ok()) << saved.message();
    chain.push_back(std::make_unique<Saved>(std::move(*saved)));
  }
  // All of it, in order, is the machine as it is.
  void check_chain() {
    Box copy(options());
    std::vector<const Saved*> files;
    for (const auto& each : chain) files.push_back(each.get());
    const Status loaded = load(copy.machine(), files);
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    EXPECT_EQ(ram_difference(box, copy), "");
    EXPECT_TRUE(same_disk(box, copy, 0) && same_disk(box, copy, 1));
    EXPECT_EQ(copy.machine().save_state(), box.machine().save_state());
  }
  Box box;
  std::vector<std::unique_ptr<Saved>> chain;
};

TEST_F(IncrementTest, StoresOfHarts) {
  box.run(100);
  begin();
  EXPECT_TRUE(increment().empty()) << "nothing has run";
  const u64 before = box.peek(kFree);
  for (int time = 0; time < 3; time++) {
    // The hart goes on with what its TLB holds; it has to ask again for the page that it stores to.
    box.run(100);
    EXPECT_EQ(increment(), range(page_of(kFree), 1)) << time;
  }
  EXPECT_GT(box.peek(kFree), before + 50);
  // Loads leave nothing behind.
  Guest g(1);
  g.li(s3, kFree);
  const auto loop = g.bound();
  g.ld(t0, 0, s3);
  g.j(loop);
  box.put_code(kGuestCode, g.words());
  box.state().pc = kGuestCode;
  box.machine().hart(0).state_changed();
  EXPECT_EQ(increment(), range(page_of(kGuestCode), 1));
  box.run(1000);
  EXPECT_TRUE(increment().empty());
  check_chain();
}

TEST_F(IncrementTest, OtherAccessesOfHarts) {
  const u64 page = kFree + 0x10'0000;
  Guest g(1);
  g.li(s3, page);
  g.li(s4, page + kPageBytes - 4);
  g.li(s5, page + 3 * kPageBytes);
  g.li(s6, page + 5 * kPageBytes);
  g.sd(s3, 0, s4);                    // over the end of a page
  g.amo(Op::amoadd_d, zero, s3, s5);  // read and written at once
  g.emit(encode_amo(Op::lr_d, t0, s6, zero));
  g.emit(encode_amo(Op::sc_d, t1, s6, s3));
  const auto stay = g.bound();
  g.j(stay);
  box.put_code(kGuestCode, g.words());
  begin();
  box.run(200);
  ASSERT_EQ(box.state().x[t1], 0u);
  std::set<u32> expected = range(page_of(page), 2);
  expected.insert({page_of(page) + 3, page_of(page) + 5});
  EXPECT_EQ(increment(), expected);
  check_chain();
}

// What the walk writes: A and D bits, in the page of the table.
TEST_F(IncrementTest, AccessedAndDirtyBits) {
  const u64 root = kFree + 0x10'0000, middle = root + 0x1'0000, leaves = root + 0x2'0000, data = root + 0x3'0000;
  constexpr u64 kVa = 0x4000'0000, kValid = 1, kRwx = 0xe, kAccessed = 1 << 6, kDirty = 1 << 7;
  const auto entry = [](u64 pa, u64 flags) { return pa >> 2 | flags; };
  box.poke(root + 8 * 2, entry(kRamBase, kValid | kRwx | kAccessed | kDirty));
  box.poke(root + 8 * 1, entry(middle, kValid));
  box.poke(middle, entry(leaves, kValid));
  box.poke(leaves, entry(data, kValid | kRwx));
  const auto go = [&](u32 instruction) {
    Guest g(1);
    g.li(a2, kVa);
    g.emit(instruction);
    const auto stay = g.bound();
    g.j(stay);
    box.put_code(kGuestCode, g.words());
    box.state().pc = kGuestCode;
    box.state().satp = u64{8} << 60 | root >> kPageShift;
    box.machine().hart(0).state_changed();
    if (chain.empty())
      begin();
    else
      increment();
    box.run(50);
    EXPECT_EQ(box.state().scause, 0u);
  };
  go(encode_load(Op::ld, a3, 0, a2));
  EXPECT_EQ(box.peek(leaves) & (kAccessed | kDirty), kAccessed);
  EXPECT_EQ(increment(), range(page_of(leaves), 1));
  go(encode_store(Op::sd, a2, 0, a2));
  EXPECT_EQ(box.peek(leaves) & (kAccessed | kDirty), kAccessed | kDirty);
  EXPECT_EQ(increment(), (std::set<u32>{page_of(leaves), page_of(data)}));
  check_chain();
}

TEST_F(IncrementTest, WhatDevicesWriteIntoRam) {
  ASSERT_TRUE(box.machine().disk(0).backend().write(0, noise(kDiskBytes, 5)));
  DiskDriver driver{box, kRings};
  driver.start();
  const u64 data = kFree + 0x20'0000 - 256;  // over the end of a page
  driver.prepare(DiskDriver::kRead, 3, data, 512);
  driver.notify();
  driver.prepare(DiskDriver::kRead, 4, data, 512);
  begin();
  driver.notify();
  EXPECT_EQ(box.peek(driver.status()) & 0xff, 0u);
  EXPECT_EQ(std::memcmp(box.memory().ram() + (data - kRamBase), box.disk(0).data() + 4 * 512, 512), 0);
  EXPECT_EQ(increment(),
            (std::set<u32>{page_of(driver.used()), page_of(driver.status()), page_of(data), page_of(data) + 1}));
  EXPECT_TRUE(chain.back()->pages(1).empty()) << "reading a disk changes nothing of it";
  check_chain();
}

TEST_F(IncrementTest, DisksWrittenDiscardedAndZeroed) {
  ASSERT_TRUE(box.machine().disk(0).backend().write(0, noise(kDiskBytes, 5)));
  ASSERT_TRUE(box.machine().disk(1).backend().write(0, noise(3 * kPageBytes + 512, 6)));
  DiskDriver first{box, kRings}, second{box, kRings + 0x10'0000, 2};
  first.start();
  second.start();
  const u64 data = kFree + 0x20'0000;
  ASSERT_TRUE(box.memory().write(Pa(data), noise(0x8000, 7)));
  begin();
  constexpr u64 kSectorsPerPage = kPageBytes / 512;
  EXPECT_EQ(first.request(DiskDriver::kWrite, 10 * kSectorsPerPage + 7, data, 1024), 0u);  // the end of a page, and on
  EXPECT_EQ(first.request(DiskDriver::kWrite, 20 * kSectorsPerPage, data, 512), 0u);
  EXPECT_EQ(second.request(DiskDriver::kWrite, 3 * kSectorsPerPage, data, 512), 0u);  // its last sector
  increment();
  EXPECT_EQ(chain.back()->pages(1), (std::set<u32>{10, 11, 20}));
  EXPECT_EQ(chain.back()->pages(2), (std::set<u32>{3}));
  check_chain();

  EXPECT_EQ(first.erase(DiskDriver::kDiscard, 30 * kSectorsPerPage, 16, data), 0u);
  EXPECT_EQ(first.erase(DiskDriver::kWriteZeroes, 40 * kSectorsPerPage, 24, data), 0u);
  EXPECT_EQ(first.erase(DiskDriver::kWriteZeroes, 50 * kSectorsPerPage + 1, 1, data), 0u);
  EXPECT_EQ(second.erase(DiskDriver::kWriteZeroes, 0, 25, data), 0u);
  increment();
  EXPECT_EQ(chain.back()->pages(1), (std::set<u32>{30, 31, 40, 41, 42, 50}));
  const std::set<u32> zero = chain.back()->pages(1, true);
  EXPECT_TRUE(zero.contains(40) && zero.contains(42) && !zero.contains(50));
  EXPECT_EQ(chain.back()->pages(2, true), range(0, 4));
  check_chain();

  // Out of range: an error for the guest, and nothing is written.
  EXPECT_EQ(first.request(DiskDriver::kWrite, 64 * kSectorsPerPage - 1, data, 1024), 1u);
  increment();
  EXPECT_TRUE(chain.back()->pages(1).empty());
  check_chain();
}

TEST_F(IncrementTest, OnlyToTheLastSnapshot) {
  SnapshotOptions options;
  options.parent[0] = 1;
  EXPECT_FALSE(save(box.machine(), options).ok()) << "there was none";
  begin();
  const SnapshotId first = chain.back()->head.id;
  EXPECT_FALSE(save(box.machine(), options).ok());
  increment();
  EXPECT_EQ(chain.back()->head.parent, first);
  options.parent = first;
  EXPECT_FALSE(save(box.machine(), options).ok()) << "there was one between";
  EXPECT_EQ(box.machine().last_snapshot(), chain.back()->head.id) << "a refused one changes nothing";
  EXPECT_NE(chain.back()->head.id, first);
  increment();
  check_chain();
}

// A restored machine's increments are to what it was restored from.
TEST_F(IncrementTest, OfARestoredMachine) {
  box.run(100);
  begin();
  Box copy(options());
  ASSERT_TRUE(load(copy.machine(), {chain[0].get()}).ok());
  copy.run(100);
  const auto next = save_increment(copy.machine());
  ASSERT_TRUE(next.ok()) << next.message();
  EXPECT_EQ(next->pages(), range(page_of(kFree), 1));
  Box third(options());
  ASSERT_TRUE(load(third.machine(), {chain[0].get(), &*next}).ok());
  EXPECT_EQ(ram_difference(copy, third), "");
  EXPECT_EQ(third.state().x[t0], copy.state().x[t0]);
}

// ---- time

TEST(SnapshotClock, APauseIsNoTimeForTheGuest) {
  constexpr u64 kHour = u64{3600} * 1'000'000'000;
  Box box;
  Guest g(1);
  const auto loop = g.bound();
  g.csrr(s2, kCsrTime);
  g.j(loop);
  box.boot(g.program());
  SnapshotPlatform& platform = box.platform();
  platform.now_ns += 5'000;
  box.run(10);
  const u64 before = box.state().x[s2];
  EXPECT_EQ(before, 50u);
  box.machine().freeze();
  platform.now_ns += kHour;
  EXPECT_EQ(box.machine().clock().ticks(), 50u);
  box.machine().thaw(true);
  box.run(10);
  EXPECT_EQ(box.state().x[s2], before);
  platform.now_ns += 700;
  box.run(10);
  EXPECT_EQ(box.state().x[s2], before + 7);

  // A restored machine goes on from the time when it was saved, whatever its host's time is.
  box.machine().freeze();
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  for (const u64 now : {u64{0}, u64{5'000}, platform.now_ns + kHour}) {
    BoxOptions there;
    there.now_ns = now;
    Box copy(there);
    ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
    copy.platform().now_ns += kHour;  // loading takes its time
    copy.machine().thaw(true);
    copy.run(10);
    EXPECT_EQ(copy.state().x[s2], before + 7);
    copy.platform().now_ns += 300;
    copy.run(10);
    EXPECT_EQ(copy.state().x[s2], before + 10);
  }
}

u64 rtc(Box& box) {
  const u64 low = box.load32(virt::kRtcBase + GoldfishRtc::kTimeLow);
  return u64{box.load32(virt::kRtcBase + GoldfishRtc::kTimeHigh)} << 32 | low;
}

TEST(SnapshotClock, TheWallClockFollowsOrStops) {
  constexpr u64 kHour = u64{3600} * 1'000'000'000;
  Box box;
  box.boot(count_up());
  SnapshotPlatform& platform = box.platform();
  const u64 start = platform.wall_ns;
  EXPECT_EQ(rtc(box), start);
  const auto pause = [&](bool follow) {
    box.machine().freeze();
    platform.wall_ns += kHour;
    box.machine().thaw(follow);
  };
  pause(false);
  EXPECT_EQ(rtc(box), start);
  platform.wall_ns += 1000;
  EXPECT_EQ(rtc(box), start + 1000);
  pause(true);
  EXPECT_EQ(rtc(box), start + 2 * kHour + 1000) << "the host's time";
  pause(false);
  EXPECT_EQ(rtc(box), start + 2 * kHour + 1000);

  box.machine().freeze();
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  for (const bool follow : {true, false}) {
    Box copy;
    copy.platform().wall_ns = start + 10 * kHour;
    ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
    copy.platform().wall_ns += 5000;
    copy.machine().thaw(follow);
    EXPECT_EQ(rtc(copy), follow ? start + 10 * kHour + 5000 : start + 2 * kHour + 1000) << follow;
    copy.platform().wall_ns += 50;
    EXPECT_EQ(rtc(copy), follow ? start + 10 * kHour + 5050 : start + 2 * kHour + 1050) << follow;
  }
}

// A timer that was set before a pause ends as much later as the pause was long.
TEST(SnapshotClock, TimersWaitForThePausesEnd) {
  Box box;
  Guest g(1);
  g.li(t0, 1 << 5);
  g.csrw(kCsrSie, t0);
  g.csrr(a0, kCsrTime);
  g.addi(a0, a0, 1000);
  g.firmware(0x5449'4d45, 0);
  const auto loop = g.bound();
  g.csrr(s2, kCsrSip);
  g.j(loop);
  box.boot(g.program());
  box.run(100);
  box.platform().now_ns += 500 * 100;
  const auto check = [](Box& each) {
    each.platform().now_ns += u64{1'000'000'000};
    each.machine().thaw(true);
    each.run(100);
    EXPECT_EQ(each.state().x[s2] & 1 << 5, 0u);
    each.platform().now_ns += 499 * 100;
    each.run(100);
    EXPECT_EQ(each.state().x[s2] & 1 << 5, 0u);
    each.platform().now_ns += 100;
    each.run(100);
    EXPECT_NE(each.state().x[s2] & 1 << 5, 0u);
  };
  box.machine().freeze();
  const auto saved = save(box.machine());
  ASSERT_TRUE(saved.ok());
  Box copy;
  ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
  check(box);
  check(copy);
}

}  // namespace
}  // namespace hartwood::test
