// SPDX-License-Identifier: Apache-2.0
// The multi-hart guest programs in seeded slices: one seed is one execution, whether interpreted or, in Wasm, compiled
// with all passes or without. tests/machine/sliced.mjs compares the lines that this prints between native and Wasm.
//
// HARTWOOD_GUEST: a folder with Image and initramfs.cpio, to boot Linux from on two harts, as HARTWOOD_ENGINE says.
// HARTWOOD_SLICED_TYPED is typed at its prompt and ends it; HARTWOOD_SLICED_EXPECTED is counted in what it prints.
#include "machine/sliced.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "boot/files.h"
#include "devices/virtio/block_backend.h"
#include "machine/sliced_engine.h"
#include "programs/fences.h"
#include "programs/interrupts.h"
#include "programs/litmus.h"
#include "programs/locks.h"
#include "programs/rings.h"
#include "programs/timers.h"

namespace hartwood::test {
namespace {

class SlicedPlatform final : public Platform {
 public:
  struct Console final : ByteSink {
    u32 write(std::span<const u8> bytes) override {
      text.append(bytes.begin(), bytes.end());
      return static_cast<u32>(bytes.size());
    }
    std::string text;
  };
  u64 monotonic_ns() override { return 0; }
  u64 unix_ns() override { return u64{1'700'000'000} * 1'000'000'000; }
  EntropySource& entropy() override { return entropy_; }
  ByteSink& console_output() override { return console; }
  const Log& log() override { return log_; }
  Console console;

 private:
  SeededEntropy entropy_{1};
  Log log_{[](void*, LogLevel, const char*) {}, nullptr, LogLevel::warning};
};

u64 fnv(u64 hash, std::span<const u8> bytes) {
  for (const u8 each : bytes) hash = (hash ^ each) * 0x100'0000'01b3;
  return hash;
}
u64 fnv(const std::string& text) {
  return fnv(0xcbf2'9ce4'8422'2325, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

struct Execution {
  std::string problem;
  u64 console = 0, instructions = 0, ram = 0, trail = 0;
  friend bool operator==(const Execution&, const Execution&) = default;
  std::string text() const {
    using ull = unsigned long long;
    return format("console %016llx, %llu instructions, RAM %016llx, slices %016llx%s%s", ull{console},
                  ull{instructions}, ull{ram}, ull{trail}, problem.empty() ? "" : ": ", problem.c_str());
  }
};

// One machine, once.
class Sliced final : public GuestView {
 public:
  Sliced(u32 harts, u64 memory_bytes, SlicedEngine engine) {
    config_.zacas = true;
    config_.harts = harts;
    config_.memory_bytes = memory_bytes;
    config_.clock = ClockKind::instructions;
    config_.compiler = engine != SlicedEngine::interpreted;
    config_.compiler_eager = true;
    engine_ = engine;
  }
  Machine& make() {
    auto made = Machine::create(config_, platform_, *shared_);
    HW_CHECK(made.ok(), "machine");
    machine_ = std::move(*made);
    tier_.emplace(*machine_, engine_);
    return *machine_;
  }
  MachineConfig& config() { return config_; }

  Execution run_program(const GuestProgram& program, u64 seed) {
    make();
    HW_CHECK(machine_->add_disk(std::make_unique<MemoryBackend>(std::vector<u8>(64 << 10))).ok(), "disk");
    const std::vector<u8> kernel = linux_image(4096, 4096);
    BootFiles files;
    files.kernel = kernel;
    HW_CHECK(machine_->boot(files).ok(), "boot");
    const std::span<const u8> code(reinterpret_cast<const u8*>(program.words.data()), 4 * program.words.size());
    HW_CHECK(machine_->memory().write(Pa(kGuestCode), code), "room");
    if (program.prepare) program.prepare(*this);
    for (u32 i = 0; i < config_.harts; i++) {
      shared_->harts[i].hsm_state.store(i == 0 || !program.only_first_starts ? kHsmStarted : kHsmStopped);
      HartState& state = machine_->hart(i).state();
      state.pc = kGuestCode;
      state.x[a0] = i;
      machine_->hart(i).state_changed();
    }
    constexpr u64 kLongest = 5'000'000;
    Execution result = run(seed, 16u << (seed % 8), kLongest);
    if (result.problem.empty() && shared_->exit_code.load() != 0)
      result.problem = format("failed with %llu", static_cast<unsigned long long>(peek(kGuestData + kFailure)));
    if (result.problem.empty() && program.check) result.problem = program.check(*this);
    return result;
  }
  // `between`: after each slice.
  Execution run(u64 seed, u32 longest, u64 most, const std::function<void()>& between = {}) {
    SlicedRunner runner(*machine_, seed, longest, [&] {
      tier_->compile();
      if (between) between();
    });
    const SlicedRunner::End end = runner.run(most);
    Execution result;
    if (end != SlicedRunner::End::power)
      result.problem = end == SlicedRunner::End::limit ? "no end" : "all harts sleep for ever";
    result.console = fnv(platform_.console.text);
    result.instructions = machine_->retired();
    result.ram = machine_->ram_hash();
    result.trail = runner.trail();
    return result;
  }
  u64 compiled_instructions() const { return tier_->instructions(); }
  const std::string& console() const { return platform_.console.text; }

  u64 peek(u64 address) override {
    u64 value = 0;
    HW_CHECK(machine_->memory().load(Pa(address), value), "address");
    return value;
  }
  void poke(u64 address, u64 value) override { HW_CHECK(machine_->memory().store(Pa(address), value), "address"); }

 private:
  MachineConfig config_;
  SlicedEngine engine_;
  SlicedPlatform platform_;
  std::unique_ptr<MachineShared> shared_ = std::make_unique<MachineShared>();
  std::unique_ptr<Machine> machine_;
  std::optional<SlicedTier> tier_;
};

struct Named {
  const char* name;
  GuestProgram program;
  std::function<std::string(const std::string& console)> check = {};
};

std::vector<Named> programs() {
  std::vector<Named> all = {
      {"amo_lock", amo_lock(3, 200)},
      {"reserved_lock", reserved_lock(3, 100)},
      {"pair_counter", pair_counter(3, 100)},
      {"ticket_lock", ticket_lock(4, 50)},
      {"queue_lock", queue_lock(4, 50)},
      {"petersons_lock", petersons_lock(100)},
      {"clock_exchange", clock_exchange(3, 300)},
      {"interrupt_storm", interrupt_storm(4, 30, StormWait::sleeps)},
      {"interrupt_storm_awake", interrupt_storm(3, 30, StormWait::spins)},
      {"interrupt_storm_sip", interrupt_storm(3, 30, StormWait::writes_sip)},
      {"start_and_stop", start_and_stop(4, 20, false)},
      {"start_and_stop_late", start_and_stop(3, 20, true)},
      {"start_race", start_race(20)},
      {"suspend_and_wake", suspend_and_wake(40)},
      {"page_table_storm", page_table_storm(4, 20)},
      {"code_storm", code_storm(3, 50)},
      {"own_code", own_code(3, 50)},
      {"code_handover", code_handover(3, 50)},
      {"fences_to_sleepers", fences_to_sleepers(4, 20)},
      {"power_off_in_storm", power_off_in_storm(20)},
      {"timer_storm", timer_storm(3, 50, Clock::kTicksPerSecond)},
  };
  constexpr std::pair<const char*, RingUse> kRings[] = {
      {"ring_rng", RingUse::entropy}, {"ring_block", RingUse::block}, {"ring_console", RingUse::print}};
  for (const auto& [name, use] : kRings) {
    RingPlan plan;
    plan.use = use;
    plan.harts = 3;
    plan.rounds = 20;
    plan.batch = 2;
    plan.event_index = true;
    all.push_back({name, ring_program(plan)});
    if (use == RingUse::print) all.back().check = [plan](const std::string& text) { return check_lines(plan, text); };
  }
  return all;
}

constexpr u64 kSeeds = 6;

TEST(Sliced, OneSeedIsOneExecutionHoweverItIsExecuted) {
  u64 compiled = 0, instructions = 0;
  for (const Named& each : programs()) {
    std::string all;
    std::vector<Execution> first;
    for (u64 seed = 1; seed <= kSeeds; seed++) {
      const auto execute = [&](SlicedEngine engine) {
        Sliced sliced(each.program.harts, kMinRamBytes, engine);
        Execution result = sliced.run_program(each.program, seed);
        if (each.check && result.problem.empty()) result.problem = each.check(sliced.console());
        if (engine != SlicedEngine::interpreted) {
          compiled += sliced.compiled_instructions();
          instructions += result.instructions;
        }
        return result;
      };
      first.push_back(execute(SlicedEngine::interpreted));
      EXPECT_EQ(first.back().problem, "") << each.name << ", seed " << seed;
      for (const SlicedEngine engine : sliced_engines())
        EXPECT_EQ(execute(engine).text(), first.back().text())
            << each.name << ", seed " << seed << ", " << name_of(engine);
      all += first.back().text();
    }
    EXPECT_NE(first[0].trail, first[1].trail) << each.name;
    std::printf("sliced %s: %s; of %llu seeds %016llx\n", each.name, first[0].text().c_str(),
                static_cast<unsigned long long>(kSeeds), static_cast<unsigned long long>(fnv(all)));
  }
  if (sliced_engines().size() > 1) {
    std::printf("%llu of %llu instructions were compiled\n", static_cast<unsigned long long>(compiled),
                static_cast<unsigned long long>(instructions));
    EXPECT_GT(compiled, instructions / 4);
  }
}

std::vector<u8> file_of(const std::string& path) {
  std::vector<u8> bytes;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return bytes;
  u8 block[65536];
  for (size_t size; (size = std::fread(block, 1, sizeof block, file)) != 0;)
    bytes.insert(bytes.end(), block, block + size);
  std::fclose(file);
  return bytes;
}

TEST(Sliced, LinuxBoots) {
  const std::string guest = sliced_setting("HARTWOOD_GUEST"), typed = sliced_setting("HARTWOOD_SLICED_TYPED"),
                    expected = sliced_setting("HARTWOOD_SLICED_EXPECTED");
  if (guest.empty() || typed.empty() || expected.empty())
    GTEST_SKIP() << "HARTWOOD_GUEST, HARTWOOD_SLICED_TYPED and HARTWOOD_SLICED_EXPECTED are not set";
  const std::vector<u8> kernel = file_of(guest + "/Image"), initrd = file_of(guest + "/initramfs.cpio");
  ASSERT_FALSE(kernel.empty() || initrd.empty());
  const SlicedEngine engine = sliced_engine_asked();
  Sliced sliced(2, u64{128} << 20, engine);
  sliced.config().append = "console=hvc0";
  sliced.config().compiler_eager = false;
  sliced.config().compiler_visits = 20;
  sliced.config().compiler_after = 0;
  BootFiles files;
  files.kernel = kernel;
  files.initrd = initrd;
  Machine& machine = sliced.make();
  ASSERT_TRUE(machine.boot(files).ok());
  constexpr u64 kSeed = 3;
  constexpr u32 kLongest = 50'000;
  constexpr u64 kMost = 2'000'000'000;
  const std::string prompt = "root@hartwood:~# ";
  bool prompted = false;
  const Execution result = sliced.run(kSeed, kLongest, kMost, [&] {
    if (prompted || sliced.console().find(prompt) == std::string::npos) return;
    prompted = true;
    const std::string line = typed + '\n';
    EXPECT_EQ(machine.console_input({reinterpret_cast<const u8*>(line.data()), line.size()}), line.size());
  });
  u32 seen = 0;
  for (size_t at = 0; (at = sliced.console().find(expected, at)) != std::string::npos; at++) seen++;
  using ull = unsigned long long;
  std::printf("sliced Linux: %s\n", result.text().c_str());
  std::printf("hart 1 executed %llu instructions; %llu of all were compiled; \"%s\" %u times\n",
              ull{machine.hart(1).state().retired}, ull{sliced.compiled_instructions()}, expected.c_str(), seen);
  EXPECT_EQ(result.problem, "");
  EXPECT_GT(seen, 0u) << sliced.console().substr(sliced.console().size() -
                                                 std::min<size_t>(sliced.console().size(), 2000));
  EXPECT_GT(machine.hart(1).state().retired, 1'000'000u);
  if (engine != SlicedEngine::interpreted) {
    EXPECT_GT(sliced.compiled_instructions(), result.instructions / 5);
  }
}

}  // namespace
}  // namespace hartwood::test
