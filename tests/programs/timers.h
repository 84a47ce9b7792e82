// SPDX-License-Identifier: Apache-2.0
// A guest program whose harts set timers and wait for them, asleep or running.
#pragma once

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

}  // namespace hartwood::test
