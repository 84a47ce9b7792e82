// SPDX-License-Identifier: Apache-2.0
// The small devices of the board: test finisher, real-time clock, seeded entropy, and the memory map.
#include "devices/entropy.h"
#include "devices/goldfish_rtc.h"
#include "devices/syscon.h"
#include "devices/virt_map.h"
#include "support.h"

namespace hartwood::device_test {
namespace {

struct FakePower final : PowerSink {
  void power_off(u32 code) override { log += "off " + std::to_string(code) + ";"; }
  void reboot() override { log += "reboot;"; }
  std::string log;
};

TEST(Syscon, MeaningOfEachValue) {
  FakePower power;
  Syscon device(power);
  write_reg(device, 0, 0x5555);
  write_reg(device, 0, 0x7777);
  write_reg(device, 0, 0x002a'3333);
  write_reg(device, 0, 0x5555, 2);
  EXPECT_EQ(power.log, "off 0;reboot;off 42;off 0;");
  write_reg(device, 0, 0x1234);
  write_reg(device, 4, 0x5555);
  EXPECT_TRUE(refuses(device, 0, 1));
  EXPECT_TRUE(refuses(device, 0, 8));
  EXPECT_EQ(power.log, "off 0;reboot;off 42;off 0;");
  EXPECT_EQ(read_reg(device, 0), 0u);
  check_state(device, saved(device));
}

struct RtcTest : testing::Test {
  static constexpr u32 kIrq = virt::kRtcIrq;
  u64 time() {
    const u64 low = read_reg(device, GoldfishRtc::kTimeLow);
    return read_reg(device, GoldfishRtc::kTimeHigh) << 32 | low;
  }
  void set_alarm(u64 at) {
    write_reg(device, GoldfishRtc::kAlarmHigh, at >> 32);
    write_reg(device, GoldfishRtc::kAlarmLow, at & 0xffff'ffff);
  }
  FakeClock clock;
  FakeWires wires;
  FakeDeadlines deadlines;
  GoldfishRtc device{clock, InterruptLine(wires, kIrq), deadlines};
};

TEST_F(RtcTest, ReadingTheLowHalfLatchesTheHighHalf) {
  clock.now_ns = 0x1'ffff'ffff;
  EXPECT_EQ(read_reg(device, GoldfishRtc::kTimeLow), 0xffff'ffffu);
  clock.now_ns = 0x2'0000'0000;
  EXPECT_EQ(read_reg(device, GoldfishRtc::kTimeHigh), 1u);
  EXPECT_EQ(time(), 0x2'0000'0000u);
}

TEST_F(RtcTest, TimeCanBeSet) {
  clock.now_ns = 1000;
  write_reg(device, GoldfishRtc::kTimeHigh, 5);
  write_reg(device, GoldfishRtc::kTimeLow, 9);
  EXPECT_EQ(time(), 0x5'0000'0009u);
  clock.now_ns = 1100;
  EXPECT_EQ(time(), 0x5'0000'0009u + 100);
}

TEST_F(RtcTest, AlarmFiresWhenItIsDueAndInterruptsIfEnabled) {
  clock.now_ns = 100;
  EXPECT_EQ(device.next_alarm(), GoldfishRtc::kNoAlarm);
  set_alarm(0x1'0000'0200);
  EXPECT_EQ(read_reg(device, GoldfishRtc::kAlarmStatus), 1u);
  EXPECT_EQ(read_reg(device, GoldfishRtc::kAlarmHigh), 1u);
  EXPECT_EQ(read_reg(device, GoldfishRtc::kAlarmLow), 0x200u);
  EXPECT_EQ(device.next_alarm(), 0x1'0000'0200u);
  write_reg(device, GoldfishRtc::kIrqEnabled, 1);
  EXPECT_EQ(read_reg(device, GoldfishRtc::kIrqEnabled), 1u);
  clock.now_ns = 0x1'0000'01ff;
  device.poll();
  EXPECT_FALSE(wires.levels[kIrq]);
  clock.now_ns = 0x1'0000'0200;
  device.poll();
  EXPECT_TRUE(wires.levels[kIrq]);
  EXPECT_EQ(read_reg(device, GoldfishRtc::kAlarmStatus), 0u);
  EXPECT_EQ(device.next_alarm(), GoldfishRtc::kNoAlarm);
  write_reg(device, GoldfishRtc::kIrqEnabled, 0);
  EXPECT_FALSE(wires.levels[kIrq]);
  write_reg(device, GoldfishRtc::kIrqEnabled, 1);
  EXPECT_TRUE(wires.levels[kIrq]);
  write_reg(device, GoldfishRtc::kClearInterrupt, 1);
  EXPECT_FALSE(wires.levels[kIrq]);
}

TEST_F(RtcTest, AlarmInThePastFiresAtOnceAndAClearedOneNever) {
  clock.now_ns = 1000;
  write_reg(device, GoldfishRtc::kIrqEnabled, 1);
  set_alarm(999);
  EXPECT_TRUE(wires.levels[kIrq]);
  write_reg(device, GoldfishRtc::kClearInterrupt, 1);
  set_alarm(2000);
  write_reg(device, GoldfishRtc::kClearAlarm, 1);
  clock.now_ns = 3000;
  device.poll();
  EXPECT_FALSE(wires.levels[kIrq]);
}

TEST_F(RtcTest, AlarmFollowsAChangeOfTheTime) {
  clock.now_ns = 1000;
  set_alarm(5000);
  write_reg(device, GoldfishRtc::kTimeLow, 4000);  // 3000 ahead of the host
  EXPECT_EQ(device.next_alarm(), 2000u);
}

// Whoever sleeps for the alarm hears of every one that is new or has moved, and of nothing else.
TEST_F(RtcTest, SaysWhenTheAlarmMoves) {
  clock.now_ns = 1000;
  const auto told = [&] { return deadlines.changes.exchange(0); };
  write_reg(device, GoldfishRtc::kAlarmHigh, 1);
  write_reg(device, GoldfishRtc::kIrqEnabled, 1);
  EXPECT_EQ(told(), 0u) << "not armed";
  write_reg(device, GoldfishRtc::kAlarmLow, 5000);
  EXPECT_EQ(told(), 1u);
  write_reg(device, GoldfishRtc::kAlarmLow, 5000);
  EXPECT_EQ(told(), 0u) << "the same";
  write_reg(device, GoldfishRtc::kAlarmHigh, 0);
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(device.next_alarm(), 5000u);
  write_reg(device, GoldfishRtc::kTimeLow, 3000);
  EXPECT_EQ(told(), 1u) << "by the time";
  EXPECT_EQ(device.next_alarm(), 3000u);
  write_reg(device, GoldfishRtc::kClearAlarm, 1);
  write_reg(device, GoldfishRtc::kAlarmLow, 900);
  EXPECT_EQ(told(), 0u) << "cleared, and one that fires at once";
  EXPECT_EQ(device.poll(), GoldfishRtc::kNoAlarm);
}

TEST_F(RtcTest, OtherSizesFaultAndOtherRegistersAreZero) {
  for (const unsigned size : {1u, 2u, 8u}) EXPECT_TRUE(refuses(device, 0, size));
  EXPECT_EQ(read_reg(device, 0x20), 0u);
  EXPECT_EQ(read_reg(device, 0xffc), 0u);
  write_reg(device, 0x20, 1);
}

TEST_F(RtcTest, State) {
  clock.now_ns = 1000;
  write_reg(device, GoldfishRtc::kTimeLow, 500);
  set_alarm(900);
  write_reg(device, GoldfishRtc::kIrqEnabled, 1);
  FakeWires other_wires;
  GoldfishRtc other(clock, InterruptLine(other_wires, kIrq), deadlines);
  check_state(other, saved(device));
  EXPECT_EQ(other.next_alarm(), 1400u);
  clock.now_ns = 1400;
  EXPECT_TRUE(restore(other, saved(device)));
  EXPECT_TRUE(other_wires.levels[kIrq]);  // it became due while the machine was away
  device.reset();
  EXPECT_EQ(device.next_alarm(), GoldfishRtc::kNoAlarm);
  EXPECT_EQ(time(), 900u);
}

TEST(Entropy, SeededBytesRepeatAndDiffer) {
  std::array<u8, 64> a{}, b{}, c{}, d{};
  SeededEntropy first(1), second(1), third(2);
  EXPECT_EQ(first.fill(a), 64u);
  second.fill(b);
  third.fill(c);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  check_state(third, saved(first));
  first.fill(d);
  EXPECT_NE(a, d);
  third.fill(c);
  EXPECT_EQ(c, d);
}

TEST(VirtMap, RegionsLieApart) {
  const std::vector<std::pair<u64, u64>> regions = {
      {virt::kSysconBase, virt::kSysconBytes},    {virt::kRtcBase, virt::kRtcBytes},
      {virt::kAclintBase, virt::kAclintBytes},    {virt::kVmGenIdBase, virt::kVmGenIdBytes},
      {virt::kPlicBase, virt::kPlicBytes},        {virt::kUartBase, virt::kUartBytes},
      {virt::virtio_base(0), virt::kVirtioBytes}, {virt::virtio_base(7), virt::kVirtioBytes}};
  for (size_t i = 1; i < regions.size(); i++) EXPECT_LE(regions[i - 1].first + regions[i - 1].second, regions[i].first);
  EXPECT_EQ(virt::virtio_base(7), 0x1000'8000u);
  EXPECT_EQ(virt::virtio_irq(7), 8u);
}

}  // namespace
}  // namespace hartwood::device_test
