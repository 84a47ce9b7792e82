// SPDX-License-Identifier: Apache-2.0
// Guest programs that count under locks made of AMOs and of LR/SC, without a lock by LR/SC, and that compare
// clocks.
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
