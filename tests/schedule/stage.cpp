// SPDX-License-Identifier: Apache-2.0
#include "schedule/stage.h"

#include <cstring>

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
  // `late`: threads begin one after the other.
  Runner(Stage& stage, Machine& machine, u64 seed, const SchedulerOptions& options, bool late)
      : SeededScheduler(seed, options), stage_(stage), machine_(machine), late_(late) {
    for (u32 i = 0; i < machine_.hart_count(); i++) {
      add([this, i] {
        if (late_) stage_.start_late();
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
  const bool late_;
  Atomic<u32> out_{0}, turn_{0};
  u32 gone_ = 0;
};

Stage::Stage(const Play& play, u64 seed, const SchedulerOptions& options)
    : play_(play), seed_(seed), options_(limited(play, options)), random_(seed ^ 0x5eed'5eed), clock_(platform_) {
  if (play.terminal_room != 0) platform_.terminal.room = play.terminal_room;
  std::unique_ptr<Act> act = make_act();
  Machine& machine = *act->machine;
  const std::vector<u8> kernel = linux_image(4096, 4096);
  BootFiles files;
  files.kernel = kernel;
  HW_CHECK(machine.boot(files).ok(), "boot");
  begin(std::move(act));

  const std::span<const u8> code(reinterpret_cast<const u8*>(play.program.words.data()), 4 * play.program.words.size());
  HW_CHECK(machine.memory().write(Pa(kGuestCode), code), "room");
  if (play.program.prepare) play.program.prepare(*this);
  for (u32 i = 0; i < machine.hart_count(); i++) {
    machine.shared().harts[i].hsm_state.store(i == 0 || !play.program.only_first_starts ? kHsmStarted : kHsmStopped);
    HartState& state = machine.hart(i).state();
    state.pc = kGuestCode;
    state.x[a0] = i;
    machine.hart(i).state_changed();
  }
}

Stage::~Stage() { clock_.follow(nullptr); }

std::unique_ptr<Stage::Act> Stage::make_act() {
  auto act = std::make_unique<Act>();
  MachineConfig config;
  config.zacas = true;
  config.harts = play_.program.harts;
  config.memory_bytes = kMinRamBytes;
  config.console = play_.console;
  auto made = Machine::create(config, platform_, *act->shared, &clock_);
  HW_CHECK(made.ok(), "machine");
  act->machine = std::move(*made);
  HW_CHECK(act->machine->add_disk(std::make_unique<MemoryBackend>(std::vector<u8>(kDiskBytes))).ok(), "disk");
  return act;
}

void Stage::begin(std::unique_ptr<Act> act) {
  const bool first = act_ == nullptr;
  clock_.follow(act->machine.get());
  act_ = std::move(act);
  act_->runner = std::make_unique<Runner>(*this, *act_->machine, first ? seed_ : random_.next(), options_, !first);
  add_controls();
}

void Stage::start_late() {
  if (random_.one_in(2)) never_.wait(0, 1 + random_.below(2000));
}

u64 Stage::peek(u64 address) {
  u64 value = 0;
  HW_CHECK(machine().memory().load(Pa(address), value), "address");
  return value;
}
void Stage::poke(u64 address, u64 value) { HW_CHECK(machine().memory().store(Pa(address), value), "address"); }

template <class Body>
void Stage::while_stopped(Body&& body) {
  machine().stop_all();
  act_->runner->await_all_out();
  body();
  machine().resume_all();
  act_->runner->let_in();
}

void Stage::type_input() {
  while (typed_ < play_.input.size()) {
    u32 taken;
    const u32 most = 1 + random_.below(random_.one_in(2) ? 4 : 40);
    const u32 size = std::min(most, static_cast<u32>(play_.input.size() - typed_));
    const u32 seen = act_->shared->console_room.load();
    {
      Guard guard(act_->outside);
      taken = machine().console_input(std::span(play_.input).subspan(typed_, size));
      typed_ += taken;
    }
    if (taken < size)
      act_->shared->console_room.wait(seen);
    else if (random_.one_in(2))
      never_.wait(0, 1 + random_.below(play_.longest_between_ns));
  }
}

void Stage::empty_terminal() {
  Terminal& terminal = platform_.terminal;
  for (;;) {
    const u32 seen = terminal.written.load();
    bool taken;
    {
      Guard guard(act_->outside);
      taken = terminal.take(1 + random_.below(play_.terminal_room)) != 0;
      if (taken) machine().console_drained();
    }
    if (!taken) terminal.written.wait(seen);
  }
}

// Some at random and all that are waited for, soon or late.
void Stage::bring_pages() {
  SnapshotLoader& loader = *act_->loader;
  const u32 longest_ns = 1u << (6 + random_.below(12));
  while (!loader.complete()) {
    const u32 seen = loader.wanted_word().load();
    const u32 wanted = loader.wanted();
    const std::vector<std::vector<u8>>& chunks = act_->source->chunks;
    const u32 index = wanted != 0 ? wanted - 1 : random_.below(static_cast<u32>(chunks.size()));
    if (!loader.place(index, chunks[index]).ok()) {
      problem_ = "a chunk does not fit the machine that it was saved from";
      return;
    }
    if (wanted == 0) loader.wanted_word().wait(seen, 1 + random_.below(longest_ns));
  }
}

void Stage::stop_and_resume() {
  while (paused_ < play_.pauses) {
    never_.wait(0, 1 + random_.below(play_.longest_between_ns));
    if (act_->shared->power.load() != kPowerOn) return;
    while_stopped([this] {
      paused_++;
      watch_pause();
      if (play_.snapshots && problem_.empty()) save_and_load();
    });
  }
}

void Stage::watch_pause() {
  const u64 executed = act_->runner->executed();
  const auto copy = [this](std::vector<u8>& to) {
    const std::span<const u8> from = machine().memory().readable(Pa(kGuestData), kGuestDataBytes);
    to.assign(from.begin(), from.end());
  };
  copy(before_);
  // Input is put into guest memory meanwhile; nothing else is.
  never_.wait(0, 1 + random_.below(play_.longest_between_ns));
  copy(after_);
  if (act_->runner->executed() != executed) problem_ = "a hart has executed instructions in a pause";
  if (play_.input.empty() && play_.terminal_room == 0 && before_ != after_) problem_ = "memory has changed in a pause";
}

void Stage::save_and_load() {
  Guard guard(act_->outside);
  SnapshotOptions options;
  options.chunk_pages = 1 + random_.below(8);
  if (!chain_.empty() && random_.one_in(2)) options.parent = machine().last_snapshot();
  Result<Saved> saved = save(machine(), options);
  if (!saved.ok()) {
    // Whoever has ended is not saved.
    if (act_->shared->power.load() == kPowerOn) problem_ = saved.message();
    return;
  }
  if (!saved->head.is_increment()) chain_.clear();
  chain_.push_back(std::move(*saved));
  next_ = make_act();
  const bool lazily = chain_.size() == 1 && random_.one_in(2);
  problem_ = load(*next_, lazily);
  if (!problem_.empty() || random_.one_in(2)) {
    next_ = nullptr;
    return;
  }
  // Nobody is to drive the old machine any more: the lock stays taken, and with it whoever waits for it.
  act_->runner->pause();
}

// What is wrong with the machine that was loaded, or nothing.
std::string Stage::load(Act& act, bool lazily) {
  std::vector<const Saved*> chain;
  for (const Saved& each : chain_) chain.push_back(&each);
  const Saved& last = chain_.back();
  if (lazily) {
    const Status restored = act.machine->restore(last.head.state);
    if (!restored) return restored.message();
    act.source = std::make_unique<Saved>(last);
    act.loader = std::make_unique<SnapshotLoader>(*act.machine, act.source->head);
    for (u32 i = 0; i < last.chunks.size(); i++) {
      if (last.head.chunks[i].region == SnapshotChunk::kRam) continue;
      const Status placed = act.loader->place(i, last.chunks[i]);
      if (!placed) return placed.message();
    }
    act.loader->expect();
    act.machine->note_snapshot(last.head.id);
  } else {
    const Status loaded = hartwood::test::load(*act.machine, chain);
    if (!loaded) return loaded.message();
    const GuestMemory& one = machine().memory();
    const GuestMemory& other = act.machine->memory();
    for (u64 page = 0; page < one.page_count(); page++) {
      const u64 at = page << kPageShift;
      if (((one.page_state(page) | other.page_state(page)) & (kPageDirty | kPageUsed)) != 0 &&
          std::memcmp(one.ram() + at, other.ram() + at, kPageBytes) != 0)
        return "the memory that was loaded is another one";
    }
  }
  return act.machine->save_state() == last.head.state ? "" : "the state that was loaded is another one";
}

void Stage::add_controls() {
  Runner& runner = *act_->runner;
  if (typed_ < play_.input.size()) runner.add([this] { type_input(); }, true);
  if (paused_ < play_.pauses) runner.add([this] { stop_and_resume(); }, true);
  if (play_.terminal_room != 0) runner.add([this] { empty_terminal(); }, true);
  if (act_->loader != nullptr) runner.add([this] { bring_pages(); }, true);
}

std::string Stage::run() {
  SeededScheduler::End end = act_->runner->run_fibers();
  while (end == SeededScheduler::End::paused && next_ != nullptr) {
    begin(std::move(next_));
    end = act_->runner->run_fibers();
  }
  if (!problem_.empty()) return problem_;
  if (end == SeededScheduler::End::exhausted) return "no end: the harts keep the host busy and execute nothing";
  if (end == SeededScheduler::End::paused)
    return format("no end after %llu instructions", static_cast<unsigned long long>(act_->runner->executed()));
  if (end == SeededScheduler::End::asleep) return "everybody sleeps: a wake-up was lost";
  if (act_->shared->power.load() != kPowerOff) return "the machine did not power off";
  // What nobody has waited for.
  for (u32 i = 0; act_->loader != nullptr && i < act_->source->chunks.size(); i++) {
    if (!act_->loader->place(i, act_->source->chunks[i]).ok()) return "a chunk does not fit";
  }
  if (act_->shared->exit_code.load() != 0)
    return format("the program failed with %llu", static_cast<unsigned long long>(peek(kGuestData + kFailure)));
  const std::string found = play_.program.check ? play_.program.check(*this) : std::string();
  return !found.empty() || !play_.check ? found : play_.check(*this);
}

Fingerprint Stage::fingerprint() const { return {fnv(text()), act_->machine->ram_hash(), act_->machine->retired()}; }

}  // namespace hartwood::test
