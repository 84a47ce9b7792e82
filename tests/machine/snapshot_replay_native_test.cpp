// SPDX-License-Identifier: Apache-2.0
// A machine with virtual time goes on after a snapshot exactly as if there had been none: run to N, save, run to M, and
// the same from the snapshot - memory, console, every register and device are equal. (Linux:
// tests/boot/native-restore.mjs.)
#include "machine/snapshot_rig.h"
#include "programs/fences.h"
#include "programs/locks.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

constexpr u64 kDiskBytes = 64 * kPageBytes;

BoxOptions options() {
  BoxOptions result;
  result.clock = ClockKind::instructions;
  result.disks = {kDiskBytes};
  return result;
}

// What is cached is not saved: the copy misses its TLB more often.
std::vector<u8> state_without_misses(Box& box) {
  for (const HpmEvent event : {HpmEvent::load_misses, HpmEvent::store_misses, HpmEvent::fetch_misses})
    box.state().event_counts[static_cast<unsigned>(event)] = 0;
  return box.machine().save_state();
}

void expect_equal(Box& one, Box& other) {
  EXPECT_EQ(ram_difference(one, other), "");
  EXPECT_EQ(one.machine().ram_hash(), other.machine().ram_hash());
  EXPECT_EQ(one.machine().retired(), other.machine().retired());
  EXPECT_EQ(one.state().pc, other.state().pc);
  EXPECT_EQ(one.shared().power.load(), other.shared().power.load());
  EXPECT_EQ(one.shared().exit_code.load(), other.shared().exit_code.load());
  EXPECT_EQ(state_without_misses(one), state_without_misses(other));
  EXPECT_TRUE(same_disk(one, other, 0));
}

// Prints, stores all over a few pages, takes random numbers from the clock: whatever is not restored shows.
GuestProgram printer() {
  Guest g(1);
  g.li(s2, 1);
  g.li(s3, 6'364'136'223'846'793'005);
  g.li(s4, kRamBase + 0x200'0000);
  const auto loop = g.bound();
  for (int i = 0; i < 10; i++) {
    g.op(Op::mul, s2, s2, s3);
    g.addi(s2, s2, 1234);
    g.csrr(t0, kCsrTime);
    g.add(s2, s2, t0);
    g.srli(t0, s2, 44);
    g.slli(t0, t0, 3);
    g.li(t1, 0x3'fff8);
    g.op(Op::and_, t0, t0, t1);
    g.add(t0, t0, s4);
    g.sd(s2, 0, t0);
  }
  g.srli(a0, s2, 60);
  g.addi(a0, a0, 'a');
  g.li(a7, 1);
  g.ecall();
  g.j(loop);
  return g.program();
}

void check(const char* name, const GuestProgram& program, u64 length) {
  // Where does it end, if it does?
  Box whole(options());
  whole.boot(program);
  whole.run(length);
  if (!whole.on()) {
    EXPECT_EQ(whole.shared().exit_code.load(), 0u) << name;
  }
  const u64 end = whole.executed();
  ASSERT_GT(end, 300u) << name;
  for (u64 part = 1; part <= 7; part++) {
    const u64 at = end * part / 8 + part % 3;
    Box box(options());
    box.boot(program);
    box.run(at);
    ASSERT_GE(box.executed(), at) << name;
    const auto saved = save(box.machine());
    ASSERT_TRUE(saved.ok()) << saved.message();
    const std::string printed = box.platform().text();
    box.run(length - at);
    EXPECT_EQ(box.machine().ram_hash(), whole.machine().ram_hash()) << "saving changes nothing";
    EXPECT_EQ(box.platform().text(), whole.platform().text());

    Box copy(options());
    ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
    EXPECT_EQ(copy.machine().save_state(), saved->head.state) << name << ": saved again at once";
    copy.machine().thaw(true);
    copy.run(length - at);
    expect_equal(box, copy);
    EXPECT_EQ(printed + copy.platform().text(), whole.platform().text());
    ASSERT_FALSE(testing::Test::HasFailure()) << name << ", saved after " << at << " of " << end;
  }
}

TEST(SnapshotReplay, GuestPrograms) {
  check("printer", printer(), 200'000);
  check("timers", timer_storm(1, 200, 1'000'000), 5'000'000);
  check("a lock", amo_lock(1, 500), 5'000'000);
  check("a reserved lock", reserved_lock(1, 500), 5'000'000);
  check("page tables", page_table_storm(1, 100), 5'000'000);
  check("code", code_storm(1, 100), 5'000'000);
}

// Saved after every one of some instructions, in the middle of whatever there is.
TEST(SnapshotReplay, AfterEveryInstruction) {
  const GuestProgram program = timer_storm(1, 3, 1'000'000);
  Box whole(options());
  whole.boot(program);
  whole.run(100'000);
  ASSERT_FALSE(whole.on());
  for (u64 at = 1; at < whole.executed(); at += 1 + at / 100) {
    Box box(options());
    box.boot(program);
    box.run(at);
    const auto saved = save(box.machine());
    ASSERT_TRUE(saved.ok());
    Box copy(options());
    ASSERT_TRUE(load(copy.machine(), {&*saved}).ok());
    copy.run(100'000);
    ASSERT_EQ(copy.machine().ram_hash(), whole.machine().ram_hash()) << at;
    ASSERT_EQ(copy.machine().retired(), whole.machine().retired()) << at;
    ASSERT_EQ(state_without_misses(copy), state_without_misses(whole)) << at;
  }
}

}  // namespace
}  // namespace hartwood::test
