// SPDX-License-Identifier: Apache-2.0
// Litmus shapes [unpriv: RVWMO Memory Consistency Model, Appendix A]: a few loads and stores for each hart,
// and the outcome that the memory model forbids (or, without fences, allows). Each run does the shape many
// times on fresh cells; harts meet at a barrier every few times, so that they stay side by side.
#pragma once

#include <array>

#include "programs/guest.h"

namespace hartwood::test {

struct LitmusStep {
  enum Kind : u8 { store, load, fence, amo_store, reserved_load, dependent_load, dependent_store } kind;
  u8 location = 0;  // 0: x, 1: y
};
using Kind = LitmusStep::Kind;

struct Litmus {
  const char* name;
  std::vector<std::vector<LitmusStep>> harts;  // at most two loads each
  // What each hart's loads return in the outcome of interest; hart by hart, two each, -1: not looked at.
  std::vector<std::array<int, 2>> outcome;
  bool forbidden;
};

inline constexpr u32 kLitmusTimes = 256;                    // as many as fit kGuestDataBytes
inline constexpr u64 kLitmusCells = kGuestData + 0x1'0000;  // 128 bytes each time: x, and y 64 bytes later
// Behind the cells of all times; 64 bytes each time: 16 for each hart.
inline constexpr u64 litmus_results(u32 times) { return kLitmusCells + u64{128} * times; }
inline constexpr u64 litmus_end(u32 times) { return litmus_results(times) + u64{64} * times; }
static_assert(litmus_end(kLitmusTimes) <= kGuestData + kGuestDataBytes);

inline GuestProgram litmus_program(const Litmus& test, u32 times = kLitmusTimes) {
  const u32 harts = static_cast<u32>(test.harts.size());
  Guest g(harts);
  g.li(s2, 0);  // times
  g.li(s3, 0);  // barriers
  g.li(s4, kLitmusCells);
  g.li(s5, litmus_results(times));
  g.slli(t0, s0, 4);
  g.add(s5, s5, t0);
  g.li(s6, 1);
  const auto loop = g.bound();
  const auto no_barrier = g.label(), done = g.label();
  g.andi(t0, s2, 63);
  g.bne(t0, zero, no_barrier);
  g.barrier(s3, kCounter);
  g.addi(s3, s3, 1);
  g.bind(no_barrier);
  g.addi(s7, s4, 64);
  // Each hart waits a little, each time differently, so that all distances between them occur.
  g.li(t0, 5);
  g.op(Op::mul, t0, t0, s0);
  g.addi(t0, t0, 3);
  g.op(Op::mul, t0, t0, s2);
  g.andi(t0, t0, 31);
  const auto spin = g.bound();
  g.addi(t0, t0, -1);
  g.branch(Op::bge, t0, zero, spin);
  for (u32 hart = 0; hart < harts; hart++) {
    const auto other = g.label();
    g.li(t0, hart);
    g.bne(s0, t0, other);
    Reg result = a2;
    Reg last = a2;
    for (const LitmusStep& step : test.harts[hart]) {
      const Reg at = step.location == 0 ? s4 : s7;
      switch (step.kind) {
        case Kind::store: g.sd(s6, 0, at); break;
        case Kind::amo_store: g.atomic(Op::amoswap_d, zero, s6, at, Guest::both); break;
        case Kind::fence: g.fence(); break;
        case Kind::dependent_store:
          g.op(Op::xor_, t1, last, last);
          g.add(t1, t1, s6);
          g.sd(t1, 0, at);
          break;
        case Kind::load:
        case Kind::reserved_load:
        case Kind::dependent_load:
          if (step.kind == Kind::load) {
            g.ld(result, 0, at);
          } else if (step.kind == Kind::reserved_load) {
            g.atomic(Op::lr_d, result, zero, at, Guest::both);
          } else {
            g.op(Op::xor_, t1, last, last);
            g.add(t1, t1, at);
            g.ld(result, 0, t1);
          }
          last = result;
          result = a3;
          break;
      }
    }
    g.sd(a2, 0, s5);
    g.sd(a3, 8, s5);
    g.j(done);
    g.bind(other);
  }
  g.bind(done);
  g.addi(s4, s4, 128);
  g.addi(s5, s5, 64);
  g.addi(s2, s2, 1);
  g.li(t0, times);
  g.bne(s2, t0, loop);
  g.finish();
  return g.program();
}

// How often the outcome of interest came.
inline u32 litmus_count(const Litmus& test, GuestView& view, u32 times = kLitmusTimes) {
  u32 count = 0;
  for (u32 time = 0; time < times; time++) {
    bool matches = true;
    for (u32 hart = 0; hart < test.outcome.size(); hart++) {
      for (u32 i = 0; i < 2; i++) {
        const int wanted = test.outcome[hart][i];
        if (wanted < 0) continue;
        const u64 got = view.peek(litmus_results(times) + 64 * time + 16 * hart + 8 * i);
        matches &= got == static_cast<u64>(wanted);
      }
    }
    if (matches) count++;
  }
  return count;
}

inline std::vector<Litmus> litmus_tests() {
  using K = LitmusStep;
  constexpr LitmusStep wx{K::store, 0}, wy{K::store, 1}, rx{K::load, 0}, ry{K::load, 1}, f{K::fence},
      ax{K::amo_store, 0}, ay{K::amo_store, 1}, lrx{K::reserved_load, 0}, lry{K::reserved_load, 1},
      drx{K::dependent_load, 0}, dwx{K::dependent_store, 0}, dwy{K::dependent_store, 1};
  constexpr std::array<int, 2> none{-1, -1};
  return {
      {"MP", {{wx, wy}, {ry, rx}}, {none, {1, 0}}, false},
      {"MP+fences", {{wx, f, wy}, {ry, f, rx}}, {none, {1, 0}}, true},
      {"MP+amo.aqrl+lr.aqrl", {{wx, ay}, {lry, rx}}, {none, {1, 0}}, true},
      {"MP+fence+addr", {{wx, f, wy}, {ry, drx}}, {none, {1, 0}}, true},
      {"SB", {{wx, ry}, {wy, rx}}, {{0, -1}, {0, -1}}, false},
      {"SB+fences", {{wx, f, ry}, {wy, f, rx}}, {{0, -1}, {0, -1}}, true},
      {"SB+amo.aqrl", {{ax, ry}, {ay, rx}}, {{0, -1}, {0, -1}}, true},
      {"LB", {{rx, wy}, {ry, wx}}, {{1, -1}, {1, -1}}, false},
      {"LB+fences", {{rx, f, wy}, {ry, f, wx}}, {{1, -1}, {1, -1}}, true},
      {"LB+datas", {{rx, dwy}, {ry, dwx}}, {{1, -1}, {1, -1}}, true},
      {"IRIW", {{wx}, {wy}, {rx, ry}, {ry, rx}}, {none, none, {1, 0}, {1, 0}}, false},
      {"IRIW+fences", {{wx}, {wy}, {rx, f, ry}, {ry, f, rx}}, {none, none, {1, 0}, {1, 0}}, true},
      {"IRIW+lr.aqrl", {{wx}, {wy}, {lrx, ry}, {lry, rx}}, {none, none, {1, 0}, {1, 0}}, true},
      {"CoRR", {{wx}, {rx, rx}}, {none, {1, 0}}, true},
  };
}

}  // namespace hartwood::test
