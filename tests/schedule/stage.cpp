// SPDX-License-Identifier: Apache-2.0
#include "schedule/stage.h"

#include "boot/files.h"
#include "devices/virtio/block_backend.h"

namespace hartwood::test {
namespace {

constexpr u64 kDiskBytes = 64 << 10;

u64 fnv(const std::string& text) {
  u64 hash = 0xcbf2'9ce4'8422'2325;
  for (const char each : text) hash = (hash ^ static_cast<u8>(each)) * 0x100'0000'01b3;
  return hash;
}

// Operations are points of the scheduler; nobody needs so many.
SchedulerOptions limited(const Play& play, SchedulerOptions options) {
  options.longest_slice = std::min(options.longest_slice, play.longest_slice);
  options.max_points = 100'000'000;
  return options;
}

}  // namespace

u32 Terminal::write(std::span<const u8> bytes) {
  u32 taken;
  {
    Guard guard(lock_);
    taken = std::min(room - held_, static_cast<u32>(bytes.size()));
    if (room != ~u32{0}) held_ += taken;
    text.append(bytes.begin(), bytes.begin() + taken);
  }
  written.fetch_add(1);
  written.notify();
  return taken;
}

u32 Terminal::take(u32 most) {
  Guard guard(lock_);
  const u32 taken = std::min(most, held_);
  held_ -= taken;
  return taken;
}

// Harts and clock as an embedder's threads would call them: one that was told to stop waits outside until it is its
// turn again.
class Stage::Runner final : public SeededScheduler {
 public:
  Runner(Stage& stage, u64 seed, const SchedulerOptions& options)
      : SeededScheduler(seed, options), stage_(stage), machine_(*stage.machine_) {
    for (u32 i = 0; i < machine_.hart_count(); i++) {
      add([this, i] {
        for (;;) {
          const Hart::Exit exit = machine_.run_hart(i, run_length());
          if (exit == Hart::Exit::power) break;
          if (exit == Hart::Exit::stopped)
            wait_outside();
          else
            point();
        }
        leave_for_good();
      });
    }
    add(
        [this] {
          for (;;) {
            machine_.run_clock();
            if (machine_.shared().power.load() != kPowerOn) break;
            wait_outside();
          }
          leave_for_good();
        },
        true);
  }

  u32 slice() override {
    if (executed() >= stage_.play_.longest) pause();
    return SeededScheduler::slice();
  }

  // For whoever has stopped the machine: waits until everybody is out; lets them in again.
  void await_all_out() {
    for (u32 seen = out_.load(); seen != machine_.hart_count() + 1; seen = out_.load()) out_.wait(seen);
  }
  void let_in() {
    out_.store(gone_);
    turn_.fetch_add(1);
    turn_.notify();
  }

  u64 executed() const {
    u64 sum = machine_.retired();
    for (u32 i = 0; i < machine_.hart_count(); i++) sum += machine_.hart(i).traps();
    return sum;
  }

 protected:
  u64 now_ns() const override { return stage_.clock_.now_ns(); }
  void skip_ns(u64 ns) override { stage_.clock_.skip_ns(ns); }

 private:
  void come_out() {
    out_.fetch_add(1);
    out_.notify();
  }
  void wait_outside() {
    const u32 turn = turn_.load();
    come_out();
    while (turn_.load() == turn) turn_.wait(turn);
  }
  void leave_for_good() {
    gone_++;
    come_out();
  }

  Stage& stage_;
  Machine& machine_;
  Atomic<u32> out_{0}, turn_{0};
  u32 gone_ = 0;
};

Stage::Stage(const Play& play, u64 seed, const SchedulerOptions& options)
    : play_(play), random_(seed ^ 0x5eed'5eed), clock_(platform_) {
  MachineConfig config;
  config.zacas = true;
  config.harts = play.program.harts;
  config.memory_bytes = kMinRamBytes;
  config.console = play.console;
  auto made = Machine::create(config, platform_, *shared_, &clock_);
  HW_CHECK(made.ok(), "machine");
  machine_ = std::move(*made);
  HW_CHECK(machine_->add_disk(std::make_unique<MemoryBackend>(std::vector<u8>(kDiskBytes))).ok(), "disk");
  const std::vector<u8> kernel = linux_image(4096, 4096);
  BootFiles files;
  files.kernel = kernel;
  HW_CHECK(machine_->boot(files).ok(), "boot");
  clock_.follow(machine_.get());

  const std::span<const u8> code(reinterpret_cast<const u8*>(play.program.words.data()), 4 * play.program.words.size());
  HW_CHECK(machine_->memory().write(Pa(kGuestCode), code), "room");
  if (play.program.prepare) play.program.prepare(*this);
  for (u32 i = 0; i < config.harts; i++) {
    shared_->harts[i].hsm_state.store(i == 0 || !play.program.only_first_starts ? kHsmStarted : kHsmStopped);
    HartState& state = machine_->hart(i).state();
    state.pc = kGuestCode;
    state.x[a0] = i;
    machine_->hart(i).state_changed();
  }
  if (play.terminal_room != 0) platform_.terminal.room = play.terminal_room;
  runner_ = std::make_unique<Runner>(*this, seed, limited(play, options));
  add_controls();
}

Stage::~Stage() { clock_.follow(nullptr); }

u64 Stage::peek(u64 address) {
  u64 value = 0;
  HW_CHECK(machine_->memory().load(Pa(address), value), "address");
  return value;
}
void Stage::poke(u64 address, u64 value) { HW_CHECK(machine_->memory().store(Pa(address), value), "address"); }

template <class Body>
void Stage::while_stopped(Body&& body) {
  machine_->stop_all();
  runner_->await_all_out();
  body();
  machine_->resume_all();
  runner_->let_in();
}

void Stage::type_input() {
  for (size_t at = 0; at < play_.input.size();) {
    const u32 most = 1 + random_.below(random_.one_in(2) ? 4 : 40);
    const u32 size = std::min(most, static_cast<u32>(play_.input.size() - at));
    const u32 seen = shared_->console_room.load();
    const u32 taken = machine_->console_input(std::span(play_.input).subspan(at, size));
    at += taken;
    if (taken < size)
      shared_->console_room.wait(seen);
    else if (random_.one_in(2))
      never_.wait(0, 1 + random_.below(play_.longest_between_ns));
  }
}

// A scenario `snapshot` will be this, with more in the middle: save the machine, load it into the one of a second
// stage, compare the two, and go on with one of them, from other seeds.
void Stage::stop_and_resume() {
  for (u32 i = 0; i < play_.pauses; i++) {
    never_.wait(0, 1 + random_.below(play_.longest_between_ns));
    if (shared_->power.load() != kPowerOn) return;
    while_stopped([this] {
      const u64 executed = runner_->executed();
      const auto copy = [this](std::vector<u8>& to) {
        const std::span<const u8> from = machine_->memory().readable(Pa(kGuestData), kGuestDataBytes);
        to.assign(from.begin(), from.end());
      };
      copy(before_);
      // Input is put into guest memory meanwhile; nothing else is.
      never_.wait(0, 1 + random_.below(play_.longest_between_ns));
      copy(after_);
      if (runner_->executed() != executed) problem_ = "a hart has executed instructions in a pause";
      if (play_.input.empty() && play_.terminal_room == 0 && before_ != after_)
        problem_ = "memory has changed in a pause";
    });
  }
}

void Stage::add_controls() {
  if (!play_.input.empty()) runner_->add([this] { type_input(); }, true);
  if (play_.pauses != 0) runner_->add([this] { stop_and_resume(); }, true);
  if (play_.terminal_room == 0) return;
  runner_->add(
      [this] {
        Terminal& terminal = platform_.terminal;
        for (;;) {
          const u32 seen = terminal.written.load();
          if (terminal.take(1 + random_.below(play_.terminal_room)) != 0)
            machine_->console_drained();
          else
            terminal.written.wait(seen);
        }
      },
      true);
}

std::string Stage::run() {
  const SeededScheduler::End end = runner_->run_fibers();
  if (!problem_.empty()) return problem_;
  if (end == SeededScheduler::End::exhausted) return "no end: the harts keep the host busy and execute nothing";
  if (end == SeededScheduler::End::paused)
    return format("no end after %llu instructions", static_cast<unsigned long long>(runner_->executed()));
  if (end == SeededScheduler::End::asleep) return "everybody sleeps: a wake-up was lost";
  if (shared_->power.load() != kPowerOff) return "the machine did not power off";
  if (shared_->exit_code.load() != 0)
    return format("the program failed with %llu", static_cast<unsigned long long>(peek(kGuestData + kFailure)));
  const std::string found = play_.program.check ? play_.program.check(*this) : std::string();
  return !found.empty() || !play_.check ? found : play_.check(*this);
}

Fingerprint Stage::fingerprint() const { return {fnv(text()), machine_->ram_hash(), machine_->retired()}; }

}  // namespace hartwood::test
