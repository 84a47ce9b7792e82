// SPDX-License-Identifier: Apache-2.0
// Guest programs that send interrupts, start, stop and suspend harts. Every wait is a WFI that only an
// interrupt ends, so one that is lost leaves everybody asleep.
#pragma once

#include "programs/guest.h"

namespace hartwood::test {

inline constexpr u64 kSoftware = 2;  // SSIP and SSIE
inline constexpr u64 kExternal = 1 << 9;
inline constexpr u64 kSstatusSie = 2;
inline constexpr u64 kHsmCall = 0x48'534d;

// Table: request [from][to] in rows 0 to 3, answer [from][to] in rows 4 to 7. At most four harts.
// Each hart numbers a request to another, sends an interrupt and sleeps until the other's handler has
// answered with an interrupt of its own. writes_sip: between them it writes other bits of sip, which must not
// touch the software one. spins: it does not sleep but goes on, interruptible everywhere.
enum class StormWait : u8 { sleeps, writes_sip, spins };
inline GuestProgram interrupt_storm(u32 harts, u32 rounds, StormWait way) {
  Guest g(harts);
  const auto main = g.label();
  g.j(main);

  const u64 handler_at = g.here();  // changes t and a registers
  g.csrr(t0, kCsrScause);
  g.li(t1, u64{1} << 63 | 1);
  g.die_unless_equal(t0, t1, 1);
  g.li(t0, kSoftware);
  g.csrc(kCsrSip, t0);
  g.fence();
  g.li(t3, 0);
  const auto each = g.bound();
  const auto next = g.label();
  g.table_entry(t4, t3, s0, t0);
  g.ld(t5, 0, t4);
  g.ld(t1, 256, t4);
  g.beq(t5, t1, next);
  g.sd(t5, 256, t4);
  g.fence();
  g.mask_of(t5, t3);
  g.send_ipi(t5);
  g.bind(next);
  g.addi(t3, t3, 1);
  g.li(t0, harts);
  g.bne(t3, t0, each);
  g.sret();

  g.bind(main);
  g.li(t1, handler_at);
  g.csrw(kCsrStvec, t1);
  g.li(s5, kSstatusSie);
  g.li(s6, kSoftware);
  g.csrw(kCsrSie, s6);
  g.li(s7, kExternal);
  g.li(s2, 1);  // round
  g.li(s3, 0);  // distance to the target less one
  g.li(s8, rounds + 1);
  const auto loop = g.bound();
  // s4 = (s0 + 1 + s3) % harts
  g.add(s4, s0, s3);
  g.addi(s4, s4, 1);
  g.li(t0, harts);
  g.op(Op::remu, s4, s4, t0);
  g.table_entry(s9, s0, s4, t0);
  g.sd(s2, 0, s9);
  g.fence();
  g.mask_of(t0, s4);
  g.send_ipi(t0);
  const auto wait = g.bound();
  const auto answered = g.label();
  g.csrc(kCsrSstatus, s5);
  g.ld(t0, 256, s9);
  g.beq(t0, s2, answered);
  if (way == StormWait::writes_sip) {
    g.csrs(kCsrSip, s7);
    g.csrc(kCsrSip, s7);
  }
  if (way != StormWait::spins) g.wfi();
  g.csrs(kCsrSstatus, s5);
  if (way == StormWait::spins) {
    // The handler changes t0: it is taken for what it was only with interrupts off, above.
    g.li(s11, 20);
    const auto spin = g.bound();
    g.addi(s11, s11, -1);
    g.bne(s11, zero, spin);
  }
  g.j(wait);
  g.bind(answered);
  g.addi(s2, s2, 1);
  g.addi(s3, s3, 1);
  g.li(t0, harts - 1);
  const auto wrapped = g.label();
  g.bltu(s3, t0, wrapped);
  g.li(s3, 0);
  g.bind(wrapped);
  g.bne(s2, s8, loop);
  // Others may still want answers: sleep until all have finished.
  g.li(t0, 1);
  g.amo_at(Op::amoadd_d, zero, t0, kDone);
  g.send_ipi_to_all();
  const auto rest = g.bound();
  const auto over = g.label();
  g.csrc(kCsrSstatus, s5);
  g.ld(t0, kDone, s1);
  g.li(t1, harts);
  g.beq(t0, t1, over);
  g.wfi();
  g.csrs(kCsrSstatus, s5);
  g.j(rest);
  g.bind(over);
  const auto sleep = g.label();
  g.bne(s0, zero, sleep);
  g.end();
  g.bind(sleep);
  g.csrw(kCsrSie, zero);
  const auto asleep = g.bound();
  g.wfi();
  g.j(asleep);
  return g.program();
}

// Hart 0 starts all others again and again. Each waits for an interrupt, notes its round in kTable[0][hart],
// tells hart 0 by an interrupt and stops. `noise`: hart 0 sends a second interrupt, which may meet the target
// anywhere on its way to being stopped; it stays pending.
inline GuestProgram start_and_stop(u32 harts, u32 rounds, bool noise) {
  Guest g(harts);
  const auto main = g.label();
  g.j(main);

  const u64 secondary = g.here();
  g.mv(s0, a0);
  g.mv(s2, a1);
  g.li(s1, kGuestData);
  g.li(s6, kSoftware);
  g.csrr(t0, kCsrSatp);
  g.die_unless_equal(t0, zero, 1);
  g.csrr(t0, kCsrSstatus);
  g.andi(t0, t0, kSstatusSie);
  g.die_unless_equal(t0, zero, 2);
  g.csrw(kCsrSie, s6);
  const auto poll = g.bound();
  const auto woken = g.label();
  g.csrr(t0, kCsrSip);
  g.andi(t0, t0, kSoftware);
  g.bne(t0, zero, woken);
  g.wfi();
  g.j(poll);
  g.bind(woken);
  g.csrc(kCsrSip, s6);
  g.table_entry(t4, zero, s0, t0);
  g.sd(s2, 0, t4);
  g.fence();
  g.li(t0, 1);
  g.send_ipi(t0);
  g.firmware(kHsmCall, 1);
  g.die(3);  // hart_stop has returned

  g.bind(main);
  g.li(s6, kSoftware);
  g.csrw(kCsrSie, s6);
  g.li(s2, 1);
  const auto round = g.bound();
  g.li(s3, 1);
  const auto start = g.bound();
  const auto started = g.label(), retry = g.bound();
  g.mv(a0, s3);
  g.li(a1, secondary);
  g.mv(a2, s2);
  g.firmware(kHsmCall, 0);
  g.beq(a0, zero, started);
  g.li(t0, static_cast<u64>(i64{-6}));
  g.die_unless_equal(a0, t0, 4);
  g.mv(a0, s3);
  g.firmware(kHsmCall, 2);
  g.die_unless_equal(a0, zero, 5);
  g.li(t0, 3);
  g.die_if_less(t0, a1, 6);
  g.j(retry);
  g.bind(started);
  g.mask_of(t0, s3);
  g.send_ipi(t0);
  g.addi(s3, s3, 1);
  g.li(t0, harts);
  g.bne(s3, t0, start);
  g.li(s3, 1);
  const auto await = g.bound();
  const auto there = g.label();
  g.csrc(kCsrSip, s6);
  g.table_entry(t4, zero, s3, t0);
  g.ld(t0, 0, t4);
  g.beq(t0, s2, there);
  g.wfi();
  g.j(await);
  g.bind(there);
  if (noise) {
    g.mask_of(t0, s3);
    g.send_ipi(t0);
  }
  g.addi(s3, s3, 1);
  g.li(t0, harts);
  g.bne(s3, t0, await);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, round);
  g.end();
  GuestProgram program = g.program();
  program.only_first_starts = true;
  return program;
}

// Harts 0 and 1 both start hart 2, each with its own argument, and each `rounds` times with success. Whoever
// was told of success must be the one whose argument arrives: kTable[1][argument] counts what arrived.
inline GuestProgram start_race(u32 rounds) {
  Guest g(3);
  const auto starter = g.label();
  g.li(t0, 2);
  g.bne(s0, t0, starter);
  g.firmware(kHsmCall, 1);
  g.die(1);

  const u64 secondary = g.here();
  g.li(s1, kGuestData);
  g.mv(s2, a1);
  g.li(t0, 2);
  g.die_unless_equal(a0, t0, 2);
  g.li(t0, 1);
  g.table_entry(t4, t0, s2, t1);
  g.atomic(Op::amoadd_d, zero, t0, t4, Guest::both);
  g.firmware(kHsmCall, 1);
  g.die(3);

  g.bind(starter);
  g.li(s2, 0);
  g.li(s4, rounds);
  const auto loop = g.bound();
  const auto failed = g.label();
  g.li(a0, 2);
  g.li(a1, secondary);
  g.mv(a2, s0);
  g.firmware(kHsmCall, 0);
  g.bne(a0, zero, failed);
  g.addi(s2, s2, 1);
  g.bne(s2, s4, loop);
  // All of its starts arrive, the last one soon.
  g.li(t0, 1);
  g.table_entry(t4, t0, s0, t1);
  const auto wait = g.bound();
  g.ld(t0, 0, t4);
  g.bltu(t0, s4, wait);
  const auto done = g.label();
  g.j(done);
  g.bind(failed);
  g.li(t0, static_cast<u64>(i64{-6}));
  g.die_unless_equal(a0, t0, 4);
  g.j(loop);
  g.bind(done);
  g.li(t0, 1);
  g.amo_at(Op::amoadd_d, zero, t0, kDone);
  const auto sleep = g.label();
  g.bne(s0, zero, sleep);
  g.li(t1, 2);
  const auto both = g.bound();
  g.ld(t0, kDone, s1);
  g.bne(t0, t1, both);
  g.end();
  g.bind(sleep);
  const auto asleep = g.bound();
  g.wfi();
  g.j(asleep);
  GuestProgram program = g.program();
  program.check = [rounds](GuestView& view) -> std::string {
    for (u32 starter_id : {0u, 1u}) {
      const u64 arrived = view.peek(Guest::table_address(1, starter_id));
      if (arrived != rounds) return "a hart was started with another starter's argument";
    }
    return {};
  };
  return program;
}

// Hart 1 suspends itself again and again, by turns to be resumed elsewhere and where it is; hart 0 ends each
// suspension by an interrupt, which it sends as soon as hart 1 says that it is about to sleep.
inline GuestProgram suspend_and_wake(u32 rounds) {
  Guest g(2);
  const auto main = g.label(), second = g.label(), again = g.label();
  g.j(main);

  const u64 resumed = g.here();
  g.die_unless_equal(a1, s2, 3);
  g.die_unless_equal(a0, s0, 4);
  g.j(again);

  g.bind(main);
  g.li(s6, kSoftware);
  g.csrw(kCsrSie, s6);
  g.li(s2, 0);
  g.bne(s0, zero, second);
  // hart 0
  const auto loop = g.bound();
  g.addi(s2, s2, 1);
  const auto wait = g.bound();
  const auto told = g.label();
  g.csrc(kCsrSip, s6);
  g.ld(t0, kCounter, s1);
  g.beq(t0, s2, told);
  g.wfi();
  g.j(wait);
  g.bind(told);
  g.li(t0, 2);
  g.send_ipi(t0);
  g.li(t0, rounds);
  g.bne(s2, t0, loop);
  g.finish();
  // hart 1
  g.bind(second);
  g.bind(again);
  const auto done = g.label(), retentive = g.label();
  g.csrc(kCsrSip, s6);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.beq(s2, t0, done);
  g.sd(s2, kCounter, s1);
  g.fence();
  g.li(t0, 1);
  g.send_ipi(t0);
  g.andi(t0, s2, 1);
  g.beq(t0, zero, retentive);
  g.li(a0, 0x8000'0000);
  g.li(a1, resumed);
  g.mv(a2, s2);
  g.firmware(kHsmCall, 3);
  g.die(1);
  g.bind(retentive);
  g.li(a0, 0);
  g.firmware(kHsmCall, 3);
  g.die_unless_equal(a0, zero, 2);
  g.j(again);
  g.bind(done);
  g.finish();
  return g.program();
}

}  // namespace hartwood::test
