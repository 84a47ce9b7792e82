// SPDX-License-Identifier: Apache-2.0
// A whole machine that runs the programs of tests/programs/ again and again: on threads, or on one under the
// seeded scheduler. Starting anew is done by hand (a real machine boots once), because making one costs more
// than a run.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

#include "boot/files.h"
#include "machine/deterministic.h"
#include "machine/machine.h"
#include "programs/guest.h"

namespace hartwood::test {

class TestPlatform final : public Platform {
 public:
  struct Console final : ByteSink {
    u32 write(std::span<const u8> bytes) override {
      Guard guard(lock);
      text.append(bytes.begin(), bytes.end());
      return static_cast<u32>(bytes.size());
    }
    Lock lock;
    std::string text;
  };
  u64 monotonic_ns() override {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  }
  u64 unix_ns() override { return u64{1'700'000'000} * 1'000'000'000; }
  EntropySource& entropy() override { return entropy_; }
  ByteSink& console_output() override { return console; }
  const Log& log() override { return log_; }
  Console console;

 private:
  SeededEntropy entropy_{1};
  Log log_{[](void*, LogLevel, const char*) {}, nullptr, LogLevel::warning};
};

class GuestRig final : public GuestView {
 public:
  enum class Time : u8 { real, by_instructions };

  GuestRig(u32 harts, Time time) : clock_(platform_) {
    MachineConfig config;
    config.zacas = true;
    config.harts = harts;
    config.memory_bytes = kMinRamBytes;
    auto made = Machine::create(config, platform_, *shared_, time == Time::real ? nullptr : &clock_);
    HW_CHECK(made.ok(), "machine");
    machine_ = std::move(*made);
    const std::vector<u8> kernel = linux_image(4096, 4096);
    BootFiles files;
    files.kernel = kernel;
    HW_CHECK(machine_->boot(files).ok(), "boot");
    for (u32 i = 0; i < harts; i++) fresh_.push_back(machine_->hart(i).state());
  }

  Machine& machine() { return *machine_; }
  u64 peek(u64 address) override {
    u64 value = 0;
    HW_CHECK(machine_->memory().load(Pa(address), value), "address");
    return value;
  }
  void poke(u64 address, u64 value) override { HW_CHECK(machine_->memory().store(Pa(address), value), "address"); }

  // Everything as at the machine's start, but for time, which goes on. All harts have left run().
  void restart(const GuestProgram& program) {
    GuestMemory& memory = machine_->memory();
    HW_CHECK(program.harts == machine_->hart_count(), "program for another number of harts");
    const std::span<const u8> code(reinterpret_cast<const u8*>(program.words.data()), 4 * program.words.size());
    HW_CHECK(memory.write(Pa(kGuestCode), code) && memory.fill(Pa(kGuestData), 0, kGuestDataBytes), "room");
    if (program.prepare) program.prepare(*this);
    shared_->power.store(kPowerOn);
    shared_->exit_code.store(0);
    for (u32 i = 0; i < machine_->hart_count(); i++) {
      HartShared& hart = shared_->harts[i];
      hart.attention.store(0);
      hart.lines.store(0);
      hart.mtimecmp.store(~u64{0});
      hart.deadline.store(~u64{0});
      hart.hsm_state.store(i == 0 || !program.only_first_starts ? kHsmStarted : kHsmStopped);
      HartState& state = machine_->hart(i).state();
      const u64 retired = state.retired;
      state = fresh_[i];
      state.retired = retired;
      state.pc = kGuestCode;
      state.x[a0] = i;
      machine_->hart(i).state_changed();
    }
  }

  // Runs the program once under one seed. Returns what went wrong, or nothing.
  std::string run_seed(const GuestProgram& program, u64 seed, const SchedulerOptions& options,
                       u64 longest = 5'000'000) {
    restart(program);
    return continue_seed(program, seed, options, longest);
  }
  // The same from where the machine is.
  std::string continue_seed(const GuestProgram& program, u64 seed, const SchedulerOptions& options,
                            u64 longest = 5'000'000) {
    DeterministicRunner runner(*machine_, clock_, seed, options);
    if (!runner.run(executed() + longest))
      return format("no end after %llu instructions", static_cast<unsigned long long>(longest));
    if (runner.slept_for_ever()) return "everybody sleeps: a wake-up was lost";
    return verdict(program);
  }
  // Starts a run and leaves it after about so many instructions, with all harts out of run().
  void start_seed(const GuestProgram& program, u64 seed, const SchedulerOptions& options, u64 instructions) {
    restart(program);
    DeterministicRunner runner(*machine_, clock_, seed, options);
    EXPECT_FALSE(runner.run(executed() + instructions));
    machine_->stop_all();
    EXPECT_TRUE(runner.run(0));
    machine_->resume_all();
  }

  // The same on threads.
  std::string run_threads(const GuestProgram& program) {
    restart(program);
    std::thread clock([this] { machine_->run_clock(); });
    std::vector<std::thread> harts;
    for (u32 i = 0; i < machine_->hart_count(); i++) {
      harts.emplace_back([this, i] {
        while (machine_->run_hart(i, 10'000'000) != Hart::Exit::power) {
        }
      });
    }
    // The watchdog. Where harts do not even end with the machine, the test program does.
    bool late = false;
    constexpr u64 kPatience = u64{60} * 1'000'000'000;
    const u64 start = platform_.monotonic_ns();
    u32 event = shared_->event.load();
    while (shared_->power.load() == kPowerOn) {
      if (platform_.monotonic_ns() - start > kPatience) {
        late = true;
        machine_->power().end(kPowerCrashed, 0);
        for (u32 i = 0; i < machine_->hart_count(); i++) report(i);
        break;
      }
      shared_->event.wait(event, 1'000'000'000);
      event = shared_->event.load();
    }
    std::thread guard([this] { guard_joins(); });
    for (std::thread& hart : harts) hart.join();
    clock.join();
    joined_.store(1);
    joined_.notify();
    guard.join();
    joined_.store(0);
    if (late) return "no end after a minute";
    return verdict(program);
  }

 private:
  u64 executed() const {
    u64 sum = machine_->retired();
    for (u32 i = 0; i < machine_->hart_count(); i++) sum += machine_->hart(i).traps();
    return sum;
  }
  std::string verdict(const GuestProgram& program) {
    if (shared_->power.load() != kPowerOff) return "the machine did not power off";
    if (shared_->exit_code.load() != 0)
      return format("the program failed with %llu", static_cast<unsigned long long>(peek(kGuestData + kFailure)));
    return program.check ? program.check(*this) : std::string();
  }
  void report(u32 hart) {
    const HartShared& shared = shared_->harts[hart];
    std::fprintf(stderr, "hart %u: attention %x, park %u, hsm %u, lines %x, in WFI %u, retired %llu\n", hart,
                 shared.attention.load(), shared.park.load(), shared.hsm_state.load(), shared.lines.load(),
                 shared.in_wfi.load(), static_cast<unsigned long long>(shared.retired.load()));
  }
  void guard_joins() {
    constexpr i64 kPatience = i64{30} * 1'000'000'000;
    if (joined_.load() == 0 && joined_.wait(0, kPatience) == Wake::timed_out && joined_.load() == 0) {
      std::fprintf(stderr, "harts do not end with the machine\n");
      std::abort();
    }
  }

  TestPlatform platform_;
  VirtualClock clock_;
  std::unique_ptr<MachineShared> shared_ = std::make_unique<MachineShared>();
  std::unique_ptr<Machine> machine_;
  std::vector<HartState> fresh_;
  Atomic<u32> joined_{0};
};

}  // namespace hartwood::test
