// SPDX-License-Identifier: Apache-2.0
// Scenarios of whole machines with guest programs. Programs are short: many seeds say more than long runs.
#include "schedule/scenarios.h"

#include "programs/fences.h"
#include "programs/interrupts.h"
#include "programs/litmus.h"
#include "programs/locks.h"
#include "programs/rings.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

using Draw = Play (*)(SeededRandom& random);

u32 from_to(SeededRandom& random, u32 first, u32 last) { return first + random.below(last - first + 1); }

Play play_of(GuestProgram program, std::string about) {
  Play play;
  play.program = std::move(program);
  play.about = std::move(about);
  return play;
}

Play draw_lock(SeededRandom& random) {
  const u32 harts = from_to(random, 2, 4), rounds = from_to(random, 3, 15);
  const auto with = [&](const char* name, GuestProgram program) {
    return play_of(std::move(program), format("%s, %u harts, %u rounds", name, program.harts, rounds));
  };
  switch (random.below(6)) {
    case 0: return with("lock by AMOSWAP", amo_lock(harts, rounds));
    case 1: return with("lock by LR/SC", reserved_lock(harts, rounds));
    case 2: return with("pairs by AMOCAS.Q", pair_counter(harts, rounds));
    case 3: return with("ticket lock", ticket_lock(harts, rounds));
    case 4: return with("queue lock", queue_lock(harts, rounds));
    default: return with("Peterson's lock", petersons_lock(rounds));
  }
}

Play draw_litmus(SeededRandom& random) {
  static const std::vector<Litmus> tests = litmus_tests();
  const Litmus& test = tests[random.below(static_cast<u32>(tests.size()))];
  constexpr u32 kTimes = 24;
  Play play = play_of(litmus_program(test, kTimes), test.name);
  // Harts that execute in turns are sequentially consistent: what fences forbid does not happen without them either.
  play.check = [&test](Stage& stage) -> std::string {
    for (u32 time = 0; time < kTimes; time++) {
      for (u32 hart = 0; hart < test.harts.size(); hart++) {
        u32 loads = 0;
        for (const LitmusStep& step : test.harts[hart])
          loads += step.kind == Kind::load || step.kind == Kind::reserved_load || step.kind == Kind::dependent_load;
        for (u32 i = 0; i < loads; i++) {
          if (stage.peek(litmus_results(kTimes) + 64 * time + 16 * hart + 8 * i) > 1)
            return "a load returned what nobody stores";
        }
      }
    }
    return litmus_count(test, stage, kTimes) == 0 ? "" : "an outcome that no order of the steps gives";
  };
  return play;
}

Play draw_storm(SeededRandom& random) {
  const u32 harts = from_to(random, 2, 4), rounds = from_to(random, 3, 8);
  const auto with = [&](const char* name, GuestProgram program) {
    return play_of(std::move(program), format("%s, %u harts, %u rounds", name, program.harts, rounds));
  };
  switch (random.below(8)) {
    case 0: return with("interrupts, asleep", interrupt_storm(harts, rounds, StormWait::sleeps));
    case 1: {
      // A hart that misses an interrupt hears of it when it next returns to its caller: far too late.
      Play play = with("interrupts, awake", interrupt_storm(harts, rounds, StormWait::spins));
      play.longest = 500'000;
      play.longest_slice = 64;
      return play;
    }
    case 2: return with("interrupts and writes of sip", interrupt_storm(harts, rounds, StormWait::writes_sip));
    case 3:
    case 4: return with("fences of page tables", page_table_storm(harts, rounds));
    case 5: return with("power off among fences", power_off_in_storm(rounds));
    case 6: return with("fences to sleepers", fences_to_sleepers(harts, rounds));
    default: return with("clocks", clock_exchange(harts, 3 * rounds));
  }
}

Play draw_timers(SeededRandom& random) {
  const u32 rounds = from_to(random, 3, 12);
  if (random.one_in(4)) return play_of(alarm_storm(rounds, 1'000'000), format("alarm, %u rounds", rounds));
  const u32 harts = from_to(random, 2, 4);
  Play play = play_of(timer_storm(harts, rounds, 4000), format("timers, %u harts, %u rounds", harts, rounds));
  play.longest_slice = 64;
  return play;
}

Play draw_code(SeededRandom& random) {
  const u32 harts = from_to(random, 2, 4), rounds = from_to(random, 3, 8);
  const auto with = [&](const char* name, GuestProgram program) {
    return play_of(std::move(program), format("%s, %u harts, %u rounds", name, program.harts, rounds));
  };
  switch (random.below(3)) {
    case 0: return with("code for all, remote FENCE.I", code_storm(harts, rounds));
    case 1: return with("own code, own FENCE.I", own_code(harts, rounds));
    default: return with("others' code, own FENCE.I", code_handover(harts, rounds));
  }
}

Play draw_hsm(SeededRandom& random) {
  const u32 rounds = from_to(random, 2, 8);
  const auto with = [&](const char* name, GuestProgram program) {
    return play_of(std::move(program), format("%s, %u harts, %u rounds", name, program.harts, rounds));
  };
  const u32 harts = from_to(random, 2, 4);
  switch (random.below(4)) {
    case 0: return with("start and stop", start_and_stop(harts, rounds, false));
    case 1: return with("start and stop, late interrupts", start_and_stop(harts, rounds, true));
    case 2: return with("two starters", start_race(rounds));
    default: return with("suspend and wake", suspend_and_wake(2 * rounds));
  }
}

Play draw_ring(SeededRandom& random) {
  RingPlan plan;
  constexpr RingUse kUses[] = {RingUse::entropy, RingUse::block, RingUse::print};
  plan.use = kUses[random.below(3)];
  plan.harts = from_to(random, 1, 4);
  plan.rounds = 2 * from_to(random, 1, 5);
  plan.batch = from_to(random, 1, 2);
  plan.event_index = random.one_in(2);
  plan.one_claims = random.one_in(2);
  plan.polls = random.one_in(2);
  Play play = play_of(ring_program(plan), {});
  if (plan.use == RingUse::print) {
    play.terminal_room = random.one_in(2) ? 0 : from_to(random, 1, 20);
    play.check = [plan](Stage& stage) { return check_lines(plan, stage.text()); };
  }
  play.about = format("%s, %u harts, %u rounds, batch %u%s%s%s, terminal of %u",
                      plan.use == RingUse::entropy ? "rng"
                      : plan.use == RingUse::block ? "block"
                                                   : "console output",
                      plan.harts, plan.rounds, plan.batch, plan.event_index ? ", event index" : "",
                      plan.one_claims ? ", one claims" : "", plan.polls ? ", polls" : "", play.terminal_room);
  return play;
}

Play draw_output(SeededRandom& random) {
  RingPlan plan;  // of what is printed
  plan.use = RingUse::print;
  plan.harts = from_to(random, 1, 4);
  plan.rounds = from_to(random, 1, 5);
  const bool firmware = random.one_in(2);
  Play play = play_of(output_program(plan.harts, plan.rounds, firmware), {});
  // The firmware ends a line by two bytes that it writes together.
  play.terminal_room = random.one_in(2) ? 0 : from_to(random, firmware ? 2 : 1, 20);
  play.longest = 20'000'000;  // harts that ask again and again leave little time to empty it
  play.check = [plan, firmware](Stage& stage) {
    std::string text = stage.text();
    if (firmware) std::erase(text, '\r');
    return check_lines(plan, text);
  };
  play.about = format("%s, %u harts, %u rounds, terminal of %u", firmware ? "firmware" : "16550", plan.harts,
                      plan.rounds, play.terminal_room);
  return play;
}

Play draw_input(SeededRandom& random) {
  const u32 harts = from_to(random, 1, 4), bytes = from_to(random, 1, 150), way = random.below(4);
  RingPlan plan;
  plan.use = RingUse::read_input;
  plan.harts = harts;
  plan.event_index = random.one_in(2);
  plan.one_claims = random.one_in(2);
  plan.polls = random.one_in(2);
  plan.input_bytes = bytes;
  Play play = play_of(way < 2 ? ring_program(plan) : input_program(harts, bytes, way == 3), {});
  play.console = way < 2 ? ConsoleKind::virtio : way == 2 ? ConsoleKind::uart : ConsoleKind::sbi;
  for (u32 i = 0; i < bytes; i++) play.input.push_back(input_byte(i));
  if (way == 3) play.longest = 20'000'000;  // harts that ask again and again leave little time to type
  play.about = format("%s, %u harts, %u bytes", way < 2 ? "virtio" : way == 2 ? "16550" : "firmware", harts, bytes);
  if (way < 2)
    play.about += format("%s%s%s", plan.event_index ? ", event index" : "", plan.one_claims ? ", one claims" : "",
                         plan.polls ? ", polls" : "");
  return play;
}

// In pauses a timer may be as late as it likes, but it comes.
Play draw_patient_timers(SeededRandom& random) {
  const u32 harts = from_to(random, 2, 4), rounds = from_to(random, 3, 12);
  return play_of(timer_storm(harts, rounds, Clock::kTicksPerSecond),
                 format("timers, %u harts, %u rounds", harts, rounds));
}

constexpr Draw kPausable[] = {draw_lock,  draw_code,   draw_hsm,   draw_ring,
                              draw_input, draw_output, draw_storm, draw_patient_timers};

Play draw_pause(SeededRandom& random) {
  Play play = kPausable[random.below(static_cast<u32>(std::size(kPausable)))](random);
  play.pauses = from_to(random, 1, 6);
  play.longest_between_ns = 1u << from_to(random, 6, 16);
  play.about += format(", %u pauses", play.pauses);
  return play;
}

// What is saved must be all that the guest relies on.
Play draw_snapshot(SeededRandom& random) {
  Play play = draw_pause(random);
  play.snapshots = true;
  play.about += ", saved";
  return play;
}

template <Draw draw>
Outcome run_play(u64 seed, const SchedulerOptions& options, bool fingerprint) {
  SeededRandom random(seed ^ 0xd4a3'0000'0000);
  const Play play = draw(random);
  Stage stage(play, seed, options);
  Outcome outcome;
  outcome.about = play.about;
  outcome.failure = stage.run();
  if (fingerprint) outcome.fingerprint = stage.fingerprint();
  return outcome;
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"locks", "guest locks of six kinds", run_play<draw_lock>},
      {"litmus", "shapes of the memory model", run_play<draw_litmus>},
      {"storms", "interrupts between harts, remote fences, their end by power off", run_play<draw_storm>},
      {"timers", "deadlines against the clock that sleeps until them", run_play<draw_timers>},
      {"code", "code that is changed while others execute it", run_play<draw_code>},
      {"rings", "virtqueues of block, console and rng, driven by several harts", run_play<draw_ring>},
      {"hsm", "harts that start, stop and suspend", run_play<draw_hsm>},
      {"output", "console output by the 16550 and the firmware to a terminal that is slow", run_play<draw_output>},
      {"input", "console input against guests that read it", run_play<draw_input>},
      {"pause", "any of these, stopped and resumed", run_play<draw_pause>},
      {"snapshot", "any of these, saved, and perhaps gone on with from the snapshot", run_play<draw_snapshot>},
      {"modules", "compiled modules: published, replaced, dropped while harts use them", run_modules},
  };
  return all;
}

}  // namespace hartwood::test
