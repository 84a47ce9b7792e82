// SPDX-License-Identifier: Apache-2.0
// The protocol of shm/attention.h under the seeded scheduler, against a model. Each model hart caches
// versions of a few pages; whoever changes a page counts its version up and fences. From then on a hart that
// uses an older version is caught, as is one that nobody can wake. One thread, 1,000 seeds; a failure names
// its seed.
#include "shm/attention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "machine/seeded_scheduler.h"

namespace hartwood {
namespace {

constexpr u32 kPages = 4;

enum class Action : u8 { use, fence, interrupt, wait, leave, stop, alone };

// What a test checks and what its fibers share. Plain data: fibers switch only at shared atomics.
struct World {
  World(u32 count, u64 seed, const SchedulerOptions& options)
      : harts(count), random(seed ^ 0x5eed), scheduler(seed, options), protocol(*shared) {
    // Each seed has its own mixture: without those that sleep, fences mostly meet harts that have to answer.
    actions = {Action::use, Action::use, Action::fence, Action::fence};
    for (Action other : {Action::interrupt, Action::wait, Action::leave, Action::stop, Action::alone}) {
      if (random.one_in(2)) actions.push_back(other);
      if (actions.back() == Action::alone) some_run_alone = true;
    }
    for (u32 i = 0; i < harts; i++) shared->harts[i].hsm_state.store(kHsmStarted);
    shared->hart_count.store(harts);
  }
  void require(bool condition, const std::string& what) {
    if (!condition && failure.empty()) failure = what;
  }
  // Something that the control fiber may be waiting for has changed.
  void changed() {
    event.fetch_add(1);
    event.notify();
  }

  const u32 harts;
  SeededRandom random;
  std::vector<Action> actions;
  bool some_run_alone = false;
  SeededScheduler scheduler;
  std::unique_ptr<MachineShared> shared = std::make_unique<MachineShared>();
  AttentionProtocol protocol;
  u64 version[kPages] = {1, 1, 1, 1};
  u64 code_version = 1;
  u64 pair[2] = {};  // changed by whoever runs alone, in two steps
  Atomic<u32> event{0};
  std::string failure;
};

// A hart as far as the protocol is concerned: it does what hart/run.cpp does, with random actions for
// instructions.
class ModelHart final : public FenceTarget {
 public:
  ModelHart(World& world, u32 id) : world_(world), id_(id) {}

  void flush(const FenceRequest& request) override {
    schedule_point();
    if (request.kinds & kFenceCode) cached_code_ = 0;
    if ((request.kinds & kFenceTlb) == 0) return;
    for (u64 page = 0; page < kPages; page++) {
      if (request.size == ~u64{0} || page - request.start < request.size) cached_[page] = 0;
      schedule_point();
    }
  }
  void flush_everything() override {
    schedule_point();
    for (u64& entry : cached_) entry = 0;
    cached_code_ = 0;
  }

  void run(u32 actions) {
    protocol().unpark(id_, *this);
    while (actions-- != 0 && world_.failure.empty()) {
      attend();
      if (shared().hsm_state.load() != kHsmStarted) {
        asleep_ = true;
        protocol().sleep(id_, *this, kAttentionStart | kAttentionInterrupt, -1);
        asleep_ = false;
        actions++;
        continue;
      }
      asleep_ = false;
      switch (world_.actions[world_.random.below(static_cast<u32>(world_.actions.size()))]) {
        case Action::use: use(); break;
        case Action::fence: fence(id_, this); break;
        case Action::interrupt: interrupt(world_.random.below(world_.harts)); break;
        case Action::wait: wait_for_interrupt(); break;
        case Action::leave: leave(); break;
        case Action::stop: stop(); break;
        case Action::alone: alone(); break;
      }
    }
    finished_.store(1);
    leave_for_good();
    world_.changed();
  }

  // Changes some pages or the code, and sees to it that nobody uses what was there before. `own` null: from
  // outside.
  void fence(u32 initiator, FenceTarget* own) {
    FenceRequest request;
    u64 wanted[kPages] = {};
    u64 wanted_code = 0;
    switch (world_.random.below(4)) {
      case 0:
        request.kinds = kFenceCode;
        wanted_code = ++world_.code_version;
        break;
      case 1:
        request.kinds = kFenceTlb | kFenceCode;
        wanted_code = ++world_.code_version;
        for (u32 page = 0; page < kPages; page++) wanted[page] = ++world_.version[page];
        break;
      default:
        request.kinds = kFenceTlb;
        request.start = world_.random.below(kPages);
        request.size = 1 + world_.random.below(static_cast<u32>(kPages - request.start));
        for (u64 page = request.start; page < request.start + request.size; page++)
          wanted[page] = ++world_.version[page];
        break;
    }
    const u64 targets = world_.random.below(1u << world_.harts);
    schedule_point();
    if (own != nullptr && (targets >> initiator & 1)) own->flush(request);
    // Who waits for a fence parks meanwhile if another hart wants to run alone, and then need not have flushed yet.
    if (own != nullptr) asleep_ = world_.some_run_alone;
    world_.protocol.remote_fence(initiator, targets, request, own);
    if (own != nullptr) asleep_ = false;
    for (u32 i = 0; i < world_.harts; i++) {
      if ((targets >> i & 1) == 0) continue;
      ModelHart& target = *all[i];
      for (u32 page = 0; page < kPages; page++) target.fenced(target.cached_[page], target.floor_[page], wanted[page]);
      target.fenced(target.cached_code_, target.code_floor_, wanted_code);
    }
  }

  u32 pending() const { return lines_.load(); }
  bool finished() const { return finished_.load() != 0; }
  void interrupt(u32 target) {
    all[target]->lines_.fetch_or(1);
    protocol().post(target, kAttentionInterrupt);
  }
  // As hart_start does it (sbi/hart_state.cpp).
  bool start(u64 argument) {
    u32 seen = kHsmStopped;
    if (!shared().hsm_state.compare_exchange(seen, kHsmStartPending)) return false;
    shared().start_address.store(argument);
    shared().start_opaque.store(~argument);
    protocol().post(id_, kAttentionStart);
    return true;
  }

  ModelHart* all[kMaxHarts] = {};

 private:
  AttentionProtocol& protocol() { return world_.protocol; }
  HartShared& shared() { return world_.shared->harts[id_]; }

  // A fence that covers this entry has returned to its initiator.
  void fenced(u64 cached, u64& floor, u64 wanted) {
    if (wanted == 0) return;
    // A hart that is asleep may hold old entries; it has to drop them before it uses one.
    if (!asleep_) world_.require(cached == 0 || cached >= wanted, "a fence returned before its target had flushed");
    if (floor < wanted) floor = wanted;
  }

  void alone() {
    asleep_ = true;  // while another one runs alone before us
    protocol().begin_exclusive(id_, *this);
    asleep_ = false;
    const u64 next = world_.pair[0] + 1;
    world_.pair[0] = next;
    schedule_point();
    world_.require(world_.pair[0] == next, "two harts ran alone at once");
    world_.pair[1] = next;
    protocol().end_exclusive();
  }

  void use() {
    world_.require(world_.pair[0] == world_.pair[1], "a hart went on while another ran alone");
    const u32 page = world_.random.below(kPages);
    if (cached_[page] == 0) cached_[page] = world_.version[page];
    world_.require(cached_[page] >= floor_[page], "a translation was used after the fence that forbade it");
    if (cached_code_ == 0) cached_code_ = world_.code_version;
    world_.require(cached_code_ >= code_floor_, "old code was executed after the fence that forbade it");
  }

  void attend() {
    const u32 seen = shared().attention.load();
    if (seen & kAttentionExclusive) {
      asleep_ = true;
      protocol().yield_to_exclusive(id_, *this);
      asleep_ = false;
    }
    if (seen & kAttentionFlush) protocol().serve_fences(id_, *this);
    if (seen & kAttentionAck) protocol().take(id_, kAttentionAck);
    if (seen & kAttentionInterrupt) {
      protocol().take(id_, kAttentionInterrupt);
      take_lines();
    }
    if (seen & kAttentionStart) {
      protocol().take(id_, kAttentionStart);
      if (shared().hsm_state.load() == kHsmStartPending) {
        world_.require(shared().start_address.load() == ~shared().start_opaque.load(),
                       "start arguments of two starters");
        flush_everything();
        shared().hsm_state.store(kHsmStarted);
        world_.changed();
      }
    }
  }
  bool take_lines() {
    // A stopped hart takes no interrupt: it stays pending.
    if (shared().hsm_state.load() != kHsmStarted || lines_.exchange(0) == 0) return false;
    world_.changed();
    return true;
  }

  void wait_for_interrupt() {
    while (world_.failure.empty() && !take_lines()) {
      const i64 timeout = world_.random.one_in(4) ? i64{2000} : -1;
      asleep_ = true;
      protocol().sleep(id_, *this, kAttentionInterrupt | kAttentionStart, timeout);
      asleep_ = false;
      attend();
      if (timeout >= 0) return;
    }
  }

  // To the caller's code and back, as Hart::park_and_return and Hart::run do.
  void leave() {
    leave_for_good();
    const u32 points = world_.random.below(16);
    for (u32 i = 0; i < points; i++) schedule_point();
    protocol().unpark(id_, *this);
    asleep_ = false;
  }
  void leave_for_good() {
    asleep_ = true;
    for (;;) {
      protocol().park(id_);
      if (!(shared().attention.load() & (kAttentionFlush | kAttentionExclusive))) return;
      protocol().take(id_, kAttentionExclusive);
      protocol().unpark(id_, *this);
      protocol().serve_fences(id_, *this);
    }
  }
  void stop() {
    shared().hsm_state.store(kHsmStopped);
    world_.changed();
  }

  World& world_;
  const u32 id_;
  Atomic<u32> lines_{0};
  Atomic<u32> finished_{0};
  bool asleep_ = true;
  u64 cached_[kPages] = {}, cached_code_ = 0;
  u64 floor_[kPages] = {}, code_floor_ = 0;
};

// Wakes every hart until all have finished: if one of them does not hear it, everybody sleeps and the
// scheduler tells.
void control(World& world, ModelHart** harts) {
  u64 argument = 0;
  for (;;) {
    const u32 event = world.event.load();
    bool all_finished = true;
    for (u32 i = 0; i < world.harts; i++) {
      if (harts[i]->finished()) continue;
      all_finished = false;
      harts[i]->start(++argument);
      // One interrupt at a time: a second one would wake the hart that slept through the first.
      if (harts[i]->pending() == 0) harts[0]->interrupt(i);
    }
    if (all_finished || !world.failure.empty()) return;
    if (world.random.one_in(4)) harts[0]->fence(kControl, nullptr);
    world.event.wait(event);
  }
}

struct Scenario {
  u32 harts;
  u32 actions;
};

std::string run_seed(u64 seed, const Scenario& scenario) {
  SeededRandom random(seed * 0x1234'5678'9abc'def1);
  SchedulerOptions options;
  options.switch_one_in = 1u << random.below(4);
  options.spurious_one_in = random.one_in(2) ? 0 : 8;
  options.stall_one_in = random.one_in(2) ? 0 : 16;
  options.max_points = 2'000'000;
  World world(scenario.harts, seed, options);
  std::unique_ptr<ModelHart> harts[kMaxHarts];
  ModelHart* all[kMaxHarts] = {};
  for (u32 i = 0; i < scenario.harts; i++) {
    harts[i] = std::make_unique<ModelHart>(world, i);
    all[i] = harts[i].get();
    world.shared->harts[i].park.store(kParked);
  }
  for (u32 i = 0; i < scenario.harts; i++) {
    std::copy(all, all + kMaxHarts, harts[i]->all);
    world.scheduler.add([&world, &harts, &scenario, i] { harts[i]->run(scenario.actions); });
  }
  world.scheduler.add([&world, &all] { control(world, all); });
  const SeededScheduler::End end = world.scheduler.run_fibers();
  if (!world.failure.empty()) return world.failure;
  if (end == SeededScheduler::End::asleep) return "everybody sleeps: a wake-up was lost";
  if (end == SeededScheduler::End::exhausted) return "no end after 2,000,000 steps";
  return {};
}

void run_seeds(const Scenario& scenario) {
  constexpr u64 kSeeds = 1000;
  for (u64 seed = 1; seed <= kSeeds; seed++) {
    const std::string failure = run_seed(seed, scenario);
    ASSERT_EQ(failure, "") << "seed " << seed;
  }
}

TEST(AttentionSeeds, TwoHarts) { run_seeds({2, 60}); }
TEST(AttentionSeeds, ThreeHarts) { run_seeds({3, 60}); }
TEST(AttentionSeeds, FourHarts) { run_seeds({4, 60}); }

}  // namespace
}  // namespace hartwood
