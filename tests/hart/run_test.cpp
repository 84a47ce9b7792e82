// SPDX-License-Identifier: Apache-2.0
// The ends of run(): budget, mail, stop, power; a hart that HSM has stopped; what peek() sees. One thread, so
// that nothing here sleeps; harts that do are tested with threads elsewhere.
#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

const std::vector<u32> kCount = {encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, zero, -4)};

TEST(Run, BudgetsAddUp) {
  Rig rig;
  rig.start_at(kCode, kCount);
  rig.x(a0) = 0;
  u64 sum = 0;
  for (const u64 budget : {0u, 1u, 2u, 0u, 63u, 64u, 65u, 1000u, 1u}) {
    EXPECT_EQ(rig.hart().run(budget), Hart::Exit::budget);
    sum += budget;
    EXPECT_EQ(rig.state().retired, sum);
    EXPECT_EQ(rig.x(a0), (sum + 1) / 2);
    EXPECT_EQ(rig.shared().retired.load(), sum);
    EXPECT_EQ(rig.shared().park.load(), u32{kParked});
  }
}

TEST(Run, MailEndsItOnce) {
  Rig rig;
  rig.start_at(kCode, kCount);
  rig.attention.post(0, kAttentionMail);
  EXPECT_EQ(rig.hart().run(100), Hart::Exit::mail);
  EXPECT_EQ(rig.state().retired, 0u);
  EXPECT_EQ(rig.hart().run(100), Hart::Exit::budget);
  EXPECT_EQ(rig.state().retired, 100u);
}

TEST(Run, StopHoldsUntilItIsTakenBack) {
  Rig rig;
  rig.start_at(kCode, kCount);
  rig.attention.post(0, kAttentionStop);
  for (int i = 0; i < 3; i++) EXPECT_EQ(rig.hart().run(100), Hart::Exit::stopped);
  EXPECT_EQ(rig.state().retired, 0u);
  rig.attention.take(0, kAttentionStop);
  EXPECT_EQ(rig.hart().run(100), Hart::Exit::budget);
}

TEST(Run, ThePowerSwitch) {
  Rig rig;
  rig.start_at(kCode, kCount);
  rig.machine().power.store(kPowerOff);
  rig.attention.post(0, kAttentionInterrupt);
  EXPECT_EQ(rig.hart().run(100), Hart::Exit::power);
  EXPECT_EQ(rig.state().retired, 0u);
}

TEST(Run, MailArrivesBetweenSlices) {
  Rig rig{RigOptions{.slice = 10}};
  rig.start_at(kCode,
               {encode_i(Op::addi, a0, a0, 1), encode_store(Op::sw, zero, 0, a1), encode_jump(Op::jal, zero, -8)});
  rig.x(a0) = 0;
  rig.x(a1) = kDevice;
  rig.device.on_write = [&](u64) {
    if (rig.device.seen.size() == 5) rig.attention.post(0, kAttentionMail);
  };
  EXPECT_EQ(rig.hart().run(1000), Hart::Exit::mail);
  // The fifth store is instruction 14: the slice that it is in ends after 20.
  EXPECT_EQ(rig.state().retired, 20u);
}

TEST(Run, AStoppedHartExecutesNothing) {
  Rig rig;
  rig.start_at(kCode, kCount);
  rig.shared().hsm_state.store(kHsmStopped);
  rig.attention.post(0, kAttentionMail);
  EXPECT_EQ(rig.hart().run(100), Hart::Exit::mail);
  EXPECT_EQ(rig.state().retired, 0u);
  // Started, it begins in S-mode with its number and the caller's value. [sbi: Hart State Management
  // Extension]
  rig.state().satp = u64{8} << 60;
  rig.state().mstatus = mstatus::kSie;
  rig.shared().start_address.store(kCode);
  rig.shared().start_opaque.store(0x0b0e);
  rig.shared().hsm_state.store(kHsmStartPending);
  rig.attention.post(0, kAttentionStart);
  EXPECT_EQ(rig.hart().run(0), Hart::Exit::budget);
  EXPECT_EQ(rig.shared().hsm_state.load(), u32{kHsmStarted});
  EXPECT_EQ(rig.state().privilege, Privilege::supervisor);
  EXPECT_EQ(rig.state().pc, kCode);
  EXPECT_EQ(rig.x(a0), 0u);
  EXPECT_EQ(rig.x(a1), 0x0b0eu);
  EXPECT_EQ(rig.state().satp, 0u);
  EXPECT_EQ(rig.state().mstatus & mstatus::kSie, 0u);
  EXPECT_EQ(rig.hart().run(10), Hart::Exit::budget);
  EXPECT_EQ(rig.state().retired, 10u);
}

TEST(Run, AFenceThatCameWhileParkedIsServedFirst) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(kStubs, kStubs, pte::kRx | pte::kAd);
  paging.map(0x1000, kData, pte::kRw | pte::kAd);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  rig.poke<u64>(kData, 1);
  rig.poke<u64>(kData + 0x1000, 2);
  EXPECT_EQ(rig.loaded(Op::ld, 0x1000), 1u);
  paging.map(0x1000, kData + 0x1000, pte::kRw | pte::kAd);
  rig.attention.remote_fence(kControl, 1, FenceRequest{.start = 0x1000, .size = kPageBytes}, nullptr);
  EXPECT_EQ(rig.shared().park.load(), u32{kParkedMustFlush});
  EXPECT_EQ(rig.loaded(Op::ld, 0x1000), 2u);
}

TEST(Peek, SeesWhatTheHartWouldLoad) {
  Rig rig;
  Paging paging(rig, SatpMode::sv39);
  paging.map(0x1000, kData, pte::kRead | pte::kAd);
  paging.map(0x2000, kData + 0x8000, pte::kRead | pte::kAd);
  paging.map(0x4000, kData, pte::kRead | pte::kU | pte::kAd);
  paging.map(0x5000, kDevice, pte::kRead | pte::kAd);
  paging.enable();
  rig.state().privilege = Privilege::supervisor;
  rig.poke<u32>(kData + 0xffe, 0xffff'2211);
  rig.poke<u16>(kData + 0x8000, 0x4433);
  u32 word = 0;
  EXPECT_TRUE(rig.hart().peek(0x1ffe, &word, 4));
  EXPECT_EQ(word, 0x4433'2211u);
  const HartState before = rig.state();
  const u64 traps = rig.hart().traps();
  for (const u64 va : {u64{0x0ffe}, u64{0x2ffe}, u64{0x4000}, u64{0x5000}, u64{1} << 63})
    EXPECT_FALSE(rig.hart().peek(va, &word, 4)) << std::hex << va;
  EXPECT_EQ(rig.hart().traps(), traps);
  EXPECT_EQ(rig.state().pc, before.pc);
  EXPECT_TRUE(rig.device.seen.empty());
}

}  // namespace
}  // namespace hartwood::test
