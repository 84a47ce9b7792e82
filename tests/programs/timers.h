// SPDX-License-Identifier: Apache-2.0
// Guest programs that set timers and the real-time clock's alarm and wait for them, asleep or running.
#pragma once

#include "devices/goldfish_rtc.h"
#include "devices/plic.h"
#include "devices/virt_map.h"
#include "programs/guest.h"

namespace hartwood::test {

// Each hart sets its timer `rounds` times, for times that differ, and waits for the interrupt: by turns
// asleep, which its own sleep ends, and running, which the machine's clock has to end. `latest`: ticks that
// an interrupt may be late.
inline GuestProgram timer_storm(u32 harts, u32 rounds, u64 latest) {
  constexpr u64 kTimer = 1 << 5, kSie = 2;
  Guest g(harts);
  const auto main = g.label();
  g.j(main);

  const u64 handler_at = g.here();
  g.csrr(t0, kCsrScause);
  g.li(t1, u64{1} << 63 | 5);
  g.die_unless_equal(t0, t1, 1);
  g.csrr(t0, kCsrTime);
  g.die_if_less(t0, s4, 2);  // early
  g.li(t1, latest);
  g.add(t1, t1, s4);
  g.die_if_less(t1, t0, 3);  // late
  g.li(a0, ~u64{0});
  g.firmware(0x5449'4d45, 0);
  g.mv(s5, s2);
  g.sret();

  g.bind(main);
  g.li(t1, handler_at);
  g.csrw(kCsrStvec, t1);
  g.li(t0, kTimer);
  g.csrw(kCsrSie, t0);
  g.li(s6, kSie);
  g.li(s2, 1);
  g.li(s5, 0);  // the last round whose interrupt came
  const auto loop = g.bound();
  // In 1 to 64 ticks, by round and hart.
  g.li(t0, 37);
  g.op(Op::mul, t0, t0, s2);
  g.add(t0, t0, s0);
  g.andi(t0, t0, 63);
  g.csrr(s4, kCsrTime);
  g.add(s4, s4, t0);
  g.addi(s4, s4, 1);
  g.mv(a0, s4);
  g.firmware(0x5449'4d45, 0);
  const auto wait = g.bound();
  const auto came = g.label(), awake = g.label();
  g.csrc(kCsrSstatus, s6);
  g.beq(s5, s2, came);
  g.andi(t0, s2, 1);
  g.beq(t0, zero, awake);
  g.wfi();
  g.bind(awake);
  g.csrs(kCsrSstatus, s6);
  g.li(s11, 20);
  const auto spin = g.bound();
  g.addi(s11, s11, -1);
  g.bne(s11, zero, spin);
  g.j(wait);
  g.bind(came);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.csrw(kCsrSie, zero);
  g.finish();
  return g.program();
}

// One hart sets the real-time clock's alarm `rounds` times and waits for its interrupt, by turns asleep and running:
// no timer of a hart is set, so nothing but the alarm can wake anybody. Each alarm is first set for later and, once the
// machine sleeps for that, moved nearer. `latest`: nanoseconds that an interrupt may be late.
inline GuestProgram alarm_storm(u32 rounds, u64 latest) {
  constexpr u64 kContext = virt::kPlicBase + Plic::kContext + Plic::kContextStride;  // hart 0 in S-mode
  constexpr u64 kEnable = virt::kPlicBase + Plic::kEnable + 0x80;
  constexpr i64 kClaim = 4;
  constexpr i64 kExternal = 1 << 9;
  Guest g(1);
  const auto lwu = [&g](Reg rd, i64 imm, Reg address) { g.emit(encode_load(Op::lwu, rd, imm, address)); };
  g.li(t0, 1);
  g.li(t1, virt::kPlicBase + 4 * virt::kRtcIrq);
  g.sw(t0, 0, t1);
  g.li(t0, u64{1} << virt::kRtcIrq);
  g.li(t1, kEnable);
  g.sw(t0, 0, t1);
  g.li(s4, kContext);
  g.sw(zero, 0, s4);
  g.li(t0, kExternal);
  g.csrw(kCsrSie, t0);  // ends a WFI; sstatus.SIE is clear, so no trap is taken
  g.li(s3, virt::kRtcBase);
  g.li(t0, 1);
  g.sw(t0, GoldfishRtc::kIrqEnabled, s3);
  g.li(s2, 1);
  const auto loop = g.bound();
  // In 10 us and up to 31 us more, by round.
  const auto read_time = [&](Reg to) {
    lwu(to, GoldfishRtc::kTimeLow, s3);
    lwu(t1, GoldfishRtc::kTimeHigh, s3);
    g.slli(t1, t1, 32);
    g.add(to, to, t1);
  };
  read_time(s5);
  g.li(t0, 3701);
  g.op(Op::mul, t0, t0, s2);
  g.li(t1, 0x7fff);
  g.op(Op::and_, t0, t0, t1);
  g.add(s5, s5, t0);
  g.li(t0, 10'000);
  g.add(s5, s5, t0);
  g.srli(t0, s5, 32);
  g.sw(t0, GoldfishRtc::kAlarmHigh, s3);
  g.li(t0, 0xffff'ffff);
  g.sw(t0, GoldfishRtc::kAlarmLow, s3);
  g.li(s11, 20);
  const auto spin = g.bound();
  g.addi(s11, s11, -1);
  g.bne(s11, zero, spin);
  g.sw(s5, GoldfishRtc::kAlarmLow, s3);
  const auto wait = g.bound();
  const auto came = g.label(), awake = g.label();
  g.csrr(t0, kCsrSip);
  g.andi(t0, t0, kExternal);
  g.bne(t0, zero, came);
  g.andi(t0, s2, 1);
  g.beq(t0, zero, awake);
  g.wfi();
  g.bind(awake);
  g.j(wait);
  g.bind(came);
  read_time(t0);
  g.die_if_less(t0, s5, 1);  // early
  read_time(t0);
  g.li(t1, latest);
  g.add(t1, t1, s5);
  g.die_if_less(t1, t0, 2);  // late
  lwu(s6, kClaim, s4);
  g.sw(zero, GoldfishRtc::kClearInterrupt, s3);
  g.sw(s6, kClaim, s4);
  g.li(t1, virt::kRtcIrq);
  g.die_unless_equal(s6, t1, 3);
  // The line falls before the next round; the hart hears of it like of a rising one.
  const auto falls = g.bound();
  g.csrr(t0, kCsrSip);
  g.andi(t0, t0, kExternal);
  g.bne(t0, zero, falls);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.finish();
  return g.program();
}

}  // namespace hartwood::test
