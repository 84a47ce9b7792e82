// SPDX-License-Identifier: Apache-2.0
// hartwood_schedules: tries scenarios under seeds, and executes one seed again. tests/schedule/run.mjs calls it.
//
//   hartwood_schedules list
//   hartwood_schedules run [--only NAME,NAME] [--first N] [--step N] [--seeds N] [--seconds N]
//       Seeds first, first + step ... of each scenario, so many or as long as the time lasts, which the scenarios share
//       evenly. Ends a scenario at the first seed that fails. Exit code 1: some seed has failed.
//   hartwood_schedules replay NAME SEED [--slice N] [--run N] [--switch N] [--spurious N] [--stall N]
//       One execution, with the options that the seed draws, or others. Prints what tells it from another one.
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>

#include "schedule/options.h"
#include "schedule/scenarios.h"

namespace hartwood::test {
namespace {

using ull = unsigned long long;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "hartwood_schedules: %s\n", why.c_str());
  std::exit(2);
}

u64 number(const char* name, const char* text) {
  char* end = nullptr;
  const u64 value = std::strtoull(text, &end, 0);
  if (*text == 0 || *end != 0) give_up(format("%s takes a number, not \"%s\"", name, text));
  return value;
}

const Scenario& scenario_named(const std::string& name) {
  for (const Scenario& each : scenarios()) {
    if (name == each.name) return each;
  }
  give_up("there is no scenario \"" + name + "\"; `hartwood_schedules list` names them");
}

double seconds_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void print_fingerprint(const Fingerprint& print) {
  std::printf("  console %016llx, RAM %016llx, %llu instructions\n", ull{print.console}, ull{print.ram},
              ull{print.instructions});
}

struct Tried {
  const Scenario* scenario;
  u64 next;
  u64 seeds = 0;
  double seconds = 0;
  bool failed = false;
};

int run(int count, char** arguments) {
  std::vector<Tried> all;
  u64 first = 1, step = 1, seeds = 0;
  double limit = 0;
  std::string only;
  for (int i = 0; i < count; i += 2) {
    const std::string name = arguments[i];
    if (i + 1 == count) give_up(name + " takes a value");
    if (name == "--only")
      only = arguments[i + 1];
    else if (name == "--first")
      first = number("--first", arguments[i + 1]);
    else if (name == "--step")
      step = number("--step", arguments[i + 1]);
    else if (name == "--seeds")
      seeds = number("--seeds", arguments[i + 1]);
    else if (name == "--seconds")
      limit = static_cast<double>(number("--seconds", arguments[i + 1]));
    else
      give_up("there is no option \"" + name + "\"");
  }
  if (seeds == 0 && limit == 0) give_up("run takes --seeds, --seconds or both");
  if (only.empty()) {
    for (const Scenario& each : scenarios()) all.push_back({&each, first});
  }
  for (size_t at = 0; at < only.size();) {
    const size_t end = std::min(only.find(',', at), only.size());
    all.push_back({&scenario_named(only.substr(at, end - at)), first});
    at = end + 1;
  }
  const double start = seconds_now();
  for (;;) {
    // Whoever has had the least time.
    Tried* next = nullptr;
    for (Tried& each : all) {
      if (each.failed || (seeds != 0 && each.seeds == seeds)) continue;
      if (next == nullptr || each.seconds < next->seconds) next = &each;
    }
    const double now = seconds_now();
    if (next == nullptr || (limit != 0 && now - start > limit)) break;
    const u64 seed = next->next;
    const SchedulerOptions options = draw_options(seed);
    const Outcome outcome = next->scenario->run(seed, options, false);
    next->next += step;
    next->seeds++;
    next->seconds += seconds_now() - now;
    if (outcome.failure.empty()) continue;
    next->failed = true;
    std::printf("FAILED %s seed %llu: %s\n  %s; %s\n  again: build/native/hartwood_schedules replay %s %llu\n",
                next->scenario->name, ull{seed}, outcome.failure.c_str(), outcome.about.c_str(),
                describe(options).c_str(), next->scenario->name, ull{seed});
    std::fflush(stdout);
  }
  bool failed = false;
  for (const Tried& each : all) {
    std::printf("%-8s %8llu seeds %8.1f s\n", each.scenario->name, ull{each.seeds}, each.seconds);
    failed |= each.failed;
  }
  return failed ? 1 : 0;
}

int replay(int count, char** arguments) {
  if (count < 2) give_up("replay takes a scenario and a seed");
  const Scenario& scenario = scenario_named(arguments[0]);
  const u64 seed = number("the seed", arguments[1]);
  SchedulerOptions options = draw_options(seed);
  for (int i = 2; i < count; i += 2) {
    const std::string name = arguments[i];
    if (i + 1 == count) give_up(name + " takes a value");
    const u32 value = static_cast<u32>(number(arguments[i], arguments[i + 1]));
    if (name == "--slice")
      options.longest_slice = value;
    else if (name == "--run")
      options.longest_run = value;
    else if (name == "--switch")
      options.switch_one_in = value;
    else if (name == "--spurious")
      options.spurious_one_in = value;
    else if (name == "--stall")
      options.stall_one_in = value;
    else
      give_up("there is no option \"" + name + "\"");
  }
  if (options.longest_slice == 0 || options.longest_run == 0 || options.switch_one_in == 0)
    give_up("--slice, --run and --switch take 1 or more");
  const Outcome outcome = scenario.run(seed, options, true);
  std::printf("%s %s seed %llu%s%s\n  %s; %s\n", outcome.failure.empty() ? "passed" : "FAILED", scenario.name,
              ull{seed}, outcome.failure.empty() ? "" : ": ", outcome.failure.c_str(), outcome.about.c_str(),
              describe(options).c_str());
  print_fingerprint(outcome.fingerprint);
  return outcome.failure.empty() ? 0 : 1;
}

int list() {
  for (const Scenario& each : scenarios()) std::printf("%-8s %s\n", each.name, each.about);
  return 0;
}

}  // namespace
}  // namespace hartwood::test

int main(int count, char** arguments) {
  // A machine lives for a millisecond and touches little of its RAM: small pages are cleared sooner.
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  const std::string action = count > 1 ? arguments[1] : "";
  if (action == "list" && count == 2) return hartwood::test::list();
  if (action == "run") return hartwood::test::run(count - 2, arguments + 2);
  if (action == "replay") return hartwood::test::replay(count - 2, arguments + 2);
  std::fprintf(stderr, "usage: hartwood_schedules list | run OPTIONS | replay NAME SEED OPTIONS\n");
  return 2;
}
