// SPDX-License-Identifier: Apache-2.0
// One execution of a scenario: a fresh machine, so that it depends on its seed and on nothing before it, whose harts
// and clock are fibers of a seeded scheduler beside those of the scenario: a terminal that takes output, somebody who
// types, somebody who stops and resumes the machine. Everything happens on one thread.
//
// Where a play wants snapshots, the machine is also saved while it stands still, by itself or as an increment to the
// snapshot before. What was saved is loaded into another machine, and the two are compared. Then the execution goes on
// with either of them: an act with the same machine has not ended; with the other one the next act begins, with fresh
// fibers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "machine/machine.h"
#include "machine/memory_snapshot.h"
#include "machine/seeded_scheduler.h"
#include "programs/guest.h"

namespace hartwood::test {

// The console's far end. Takes what it has room for; with little room somebody has to empty it.
class Terminal final : public ByteSink {
 public:
  u32 write(std::span<const u8> bytes) override;
  // Makes room for up to `most` bytes; how many.
  u32 take(u32 most);

  u32 room = ~u32{0};  // bytes that are held at most
  std::string text;    // everything that was written
  Atomic<u32> written{0};

 private:
  Lock lock_;
  u32 held_ = 0;
};

class StagePlatform final : public Platform {
 public:
  u64 monotonic_ns() override { return 0; }
  u64 unix_ns() override { return u64{1'700'000'000} * 1'000'000'000; }
  EntropySource& entropy() override { return entropy_; }
  ByteSink& console_output() override { return terminal; }
  const Log& log() override { return log_; }
  Terminal terminal;

 private:
  SeededEntropy entropy_{1};
  Log log_{[](void*, LogLevel, const char*) {}, nullptr, LogLevel::warning};
};

// An execution as numbers: two of the same are the same.
struct Fingerprint {
  u64 console = 0, ram = 0, instructions = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

class Stage;

// What a scenario wants to be executed.
struct Play {
  GuestProgram program;
  std::string about;            // what was drawn, for people
  u64 longest = 3'000'000;      // instructions, traps included
  u32 longest_slice = ~u32{0};  // where what is late counts as lost
  ConsoleKind console = ConsoleKind::virtio;
  u32 terminal_room = 0;            // 0: without end; else it is emptied piece by piece
  std::vector<u8> input;            // typed in pieces
  u32 pauses = 0;                   // times that the machine is stopped and resumed
  bool snapshots = false;           // and perhaps saved and loaded meanwhile
  u32 longest_between_ns = 20'000;  // pauses, and pieces of input
  // Afterwards: what is wrong, or nothing.
  std::function<std::string(Stage&)> check;
};

class Stage final : public GuestView {
 public:
  Stage(const Play& play, u64 seed, const SchedulerOptions& options);
  ~Stage() override;

  // What went wrong, or nothing. Once.
  std::string run();
  Fingerprint fingerprint() const;

  u64 peek(u64 address) override;
  void poke(u64 address, u64 value) override;
  Machine& machine() { return *act_->machine; }
  const std::string& text() const { return platform_.terminal.text; }

 private:
  class Runner;
  // A machine and everybody who runs or drives it. What fibers leave behind when an act ends is not used again.
  struct Act {
    std::unique_ptr<MachineShared> shared = std::make_unique<MachineShared>();
    std::unique_ptr<Machine> machine;
    // Of pages that come while the machine runs, and where they come from; null: all are there.
    std::unique_ptr<Saved> source;
    std::unique_ptr<SnapshotLoader> loader;
    std::unique_ptr<Runner> runner;
    // Held by whoever drives the machine from outside, beside harts and clock, and while it is saved: the machine and
    // what a driver knows of it are saved together.
    Lock outside;
  };

  std::unique_ptr<Act> make_act();
  void begin(std::unique_ptr<Act> act);
  void start_late();
  void add_controls();
  void type_input();
  void empty_terminal();
  void bring_pages();
  void stop_and_resume();
  void watch_pause();
  void save_and_load();
  std::string load(Act& act, bool lazily);
  // From a fiber: `body` is called while all harts and the clock are out of the machine.
  template <class Body>
  void while_stopped(Body&& body);

  const Play& play_;
  u64 seed_;
  SchedulerOptions options_;
  SeededRandom random_;  // of the controls
  StagePlatform platform_;
  VirtualClock clock_;
  std::unique_ptr<Act> act_, next_;
  Atomic<u32> never_{0};      // to sleep on
  size_t typed_ = 0;          // bytes of the input
  u32 paused_ = 0;            // pauses that were made
  std::vector<Saved> chain_;  // the last snapshot, after those that it is an increment to
  // Memory around a pause. Not the fiber's own: it may be left where it is when the machine has ended.
  std::vector<u8> before_, after_;
  std::string problem_;  // that a control has found
};

}  // namespace hartwood::test
