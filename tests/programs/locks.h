// SPDX-License-Identifier: Apache-2.0
// Guest programs that count under locks of several kinds (AMOs, LR/SC, tickets, a queue, loads and stores alone),
// without a lock, and that compare clocks.
#pragma once

#include "base/result.h"
#include "programs/guest.h"

namespace hartwood::test {

inline std::function<std::string(GuestView&)> expect_counters(u64 counter, u64 other) {
  return [=](GuestView& view) -> std::string {
    const u64 first = view.peek(kGuestData + kCounter), second = view.peek(kGuestData + kOther);
    if (first == counter && second == other) return {};
    return format("counters are %llu and %llu instead of %llu and %llu", static_cast<unsigned long long>(first),
                  static_cast<unsigned long long>(second), static_cast<unsigned long long>(counter),
                  static_cast<unsigned long long>(other));
  };
}

// Each hart takes a spinlock `rounds` times and counts with plain loads and stores.
inline GuestProgram amo_lock(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  const auto loop = g.bound();
  g.li(t0, 1);
  const auto again = g.bound();
  g.amo_at(Op::amoswap_w, t1, t0, kLock, Guest::acquire);
  g.bne(t1, zero, again);
  g.ld(t2, kCounter, s1);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.amo_at(Op::amoswap_w, zero, zero, kLock, Guest::release);
  g.li(t2, 3);
  g.amo_at(Op::amoadd_w, zero, t2, kOther, Guest::relaxed);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  program.check = expect_counters(u64{harts} * rounds, u64{harts} * rounds * 3);
  return program;
}

// The same with LR/SC, and a second counter that LR/SC itself increments.
inline GuestProgram reserved_lock(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  const auto loop = g.bound();
  g.li(t0, 1);
  g.addi(s3, s1, kLock);
  const auto again = g.bound();
  g.atomic(Op::lr_w, t1, zero, s3, Guest::acquire);
  g.bne(t1, zero, again);
  g.atomic(Op::sc_w, t1, t0, s3);
  g.bne(t1, zero, again);
  g.ld(t2, kCounter, s1);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.amo_at(Op::amoswap_w, zero, zero, kLock, Guest::release);
  g.addi(s3, s1, kOther);
  const auto retry = g.bound();
  g.atomic(Op::lr_d, t1, zero, s3);
  g.addi(t1, t1, 1);
  g.atomic(Op::sc_d, t2, t1, s3);
  g.bne(t2, zero, retry);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  program.check = expect_counters(u64{harts} * rounds, u64{harts} * rounds);
  return program;
}

// A lock that harts get in the order in which they drew their tickets.
inline GuestProgram ticket_lock(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  const auto loop = g.bound();
  g.li(t0, 1);
  g.amo_at(Op::amoadd_d, t1, t0, kLock, Guest::relaxed);
  const auto wait = g.bound();
  g.ld(t2, kLock + 8, s1);  // whose turn it is
  g.bne(t2, t1, wait);
  g.fence();
  g.ld(t2, kCounter, s1);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.ld(t2, kOther, s1);
  g.add(t2, t2, t1);
  g.sd(t2, kOther, s1);
  g.fence();
  g.addi(t1, t1, 1);
  g.sd(t1, kLock + 8, s1);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  const u64 all = u64{harts} * rounds;
  program.check = expect_counters(all, all * (all - 1) / 2);
  return program;
}

// A queue of waiting harts, each of which watches a word of its own (Mellor-Crummey and Scott's lock). kTable[hart][0]
// is the address of the successor's row, kTable[hart][1] is set while the hart waits.
inline GuestProgram queue_lock(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  g.table_entry(s3, s0, zero, t0);
  g.addi(s4, s1, kLock);
  const auto loop = g.bound();
  const auto taken = g.label(), released = g.label(), next = g.label();
  g.li(t0, 1);
  g.sd(zero, 0, s3);
  g.sd(t0, 8, s3);
  g.atomic(Op::amoswap_d, t1, s3, s4, Guest::both);
  g.beq(t1, zero, taken);
  g.fence();
  g.sd(s3, 0, t1);
  const auto wait = g.bound();
  g.ld(t2, 8, s3);
  g.bne(t2, zero, wait);
  g.bind(taken);
  g.fence();
  g.ld(t2, kCounter, s1);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.fence();
  g.ld(t1, 0, s3);
  g.bne(t1, zero, next);
  // The last one leaves the lock free, unless somebody has come meanwhile.
  const auto retry = g.bound();
  const auto successor = g.label();
  g.atomic(Op::lr_d, t2, zero, s4, Guest::both);
  g.bne(t2, s3, successor);
  g.atomic(Op::sc_d, t2, zero, s4, Guest::both);
  g.bne(t2, zero, retry);
  g.j(released);
  g.bind(successor);
  g.ld(t1, 0, s3);
  g.beq(t1, zero, successor);
  g.bind(next);
  g.fence();
  g.sd(zero, 8, t1);
  g.bind(released);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  program.check = expect_counters(u64{harts} * rounds, 0);
  return program;
}

// Two harts, loads, stores and fences only. kTable[0][hart] says who wants in, kLock who gives way.
inline GuestProgram petersons_lock(u32 rounds) {
  Guest g(2);
  g.li(s2, rounds);
  g.li(s5, 1);
  g.op(Op::xor_, s6, s0, s5);
  g.table_entry(s3, zero, s0, t0);
  g.table_entry(s4, zero, s6, t0);
  const auto loop = g.bound();
  g.sd(s5, 0, s3);
  g.sd(s6, kLock, s1);
  g.fence();
  const auto wait = g.bound();
  const auto inside = g.label();
  g.ld(t0, 0, s4);
  g.beq(t0, zero, inside);
  g.ld(t0, kLock, s1);
  g.beq(t0, s6, wait);
  g.bind(inside);
  g.fence();
  g.ld(t2, kCounter, s1);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.fence();
  g.sd(zero, 0, s3);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  program.check = expect_counters(u64{2} * rounds, 0);
  return program;
}

// Each hart increments two neighbouring doublewords at once by AMOCAS.Q, and the lower one alone by an AMO, which must
// not fall between the halves of the other.
inline GuestProgram pair_counter(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  g.addi(s3, s1, kCounter);
  const auto loop = g.bound();
  g.ld(a2, kCounter, s1);
  g.ld(a3, kCounter + 8, s1);
  const auto retry = g.bound();
  g.mv(s4, a2);
  g.mv(s5, a3);
  g.addi(a4, a2, 1);
  g.addi(a5, a3, 1);
  g.atomic(Op::amocas_q, a2, a4, s3, Guest::both);
  g.bne(a2, s4, retry);
  g.bne(a3, s5, retry);
  g.li(t0, 1);
  g.amo_at(Op::amoadd_d, zero, t0, kCounter);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  GuestProgram program = g.program();
  program.check = [=](GuestView& view) -> std::string {
    const u64 low = view.peek(kGuestData + kCounter), high = view.peek(kGuestData + kCounter + 8),
              all = u64{harts} * rounds;
    if (low == 2 * all && high == all) return {};
    return format("the halves are %llu and %llu after %llu increments of both", static_cast<unsigned long long>(low),
                  static_cast<unsigned long long>(high), static_cast<unsigned long long>(all));
  };
  return program;
}

// Each hart reads what time another one has seen, then its own clock, which must not show less.
inline GuestProgram clock_exchange(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, rounds);
  g.li(s3, 0);
  const auto loop = g.bound();
  g.ld(t1, kCounter, s1);
  g.fence();
  g.csrr(t2, kCsrTime);
  g.die_if_less(t2, t1, 1);
  g.die_if_less(t2, s3, 2);
  g.mv(s3, t2);
  g.amo_at(Op::amomaxu_d, zero, t2, kCounter);
  g.addi(s2, s2, -1);
  g.bne(s2, zero, loop);
  g.finish();
  return g.program();
}

}  // namespace hartwood::test
