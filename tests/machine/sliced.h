// SPDX-License-Identifier: Apache-2.0
// A machine of several harts on one thread without fibers, natively and in Wasm: a seed draws which hart executes how
// many instructions next, while all others are parked, so that fences to them are marks and nobody waits. Time passes
// by retired instructions, and jumps when all harts sleep. One seed is one execution, whether its instructions are
// interpreted or compiled.
//
// Against the fibers of machine/deterministic.h harts change only at ends of slices, never within an operation of the
// host: for what guest programs see of each other, not for what the host's threads do.
#pragma once

#include <functional>
#include <vector>

#include "machine/machine.h"

namespace hartwood::test {

class SlicedRunner {
 public:
  enum class End : u8 { power, asleep, limit };

  // `machine` counts time by instructions (ClockKind::instructions) and has booted. `between`: after each slice, on the
  // same thread, while all harts are parked; may be empty. `longest`: instructions of a slice.
  SlicedRunner(Machine& machine, u64 seed, u32 longest, std::function<void()> between = {})
      : machine_(machine), state_(seed), longest_(longest), between_(std::move(between)) {
    HW_CHECK(machine.virtual_clock() != nullptr, "a machine whose time is the host's");
    machine.virtual_clock()->share();
    asleep_.resize(machine.hart_count());
  }

  // Until the machine ends, all harts sleep for ever, or so many instructions and traps were executed in all.
  End run(u64 most) {
    while (executed() < most) {
      if (machine_.shared().power.load() != kPowerOn) return End::power;
      awake_.clear();
      for (u32 hart = 0; hart < machine_.hart_count(); hart++) {
        if (can_run(hart)) awake_.push_back(hart);
      }
      if (awake_.empty()) {
        if (!skip()) return End::asleep;
        continue;
      }
      const u32 hart = awake_[draw(static_cast<u32>(awake_.size()))];
      // Slices of all sizes: half of them a few instructions.
      const u32 longest = draw(2) == 0 ? longest_ : longest_ < 16 ? longest_ : 16;
      const Hart::Exit exit = machine_.run_hart(hart, 1 + draw(longest));
      asleep_[hart] = exit == Hart::Exit::mail;
      note(hart, exit);
      if (between_) between_();
    }
    return End::limit;
  }

  // All slices so far as a number: who executed, how it ended, where, and after how many instructions.
  u64 trail() const { return trail_; }
  u64 slices() const { return slices_; }

 private:
  // SplitMix64, as the fibers' scheduler draws.
  u32 draw(u32 n) {
    u64 z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return static_cast<u32>((z ^ (z >> 31)) % n);
  }
  bool can_run(u32 hart) {
    HartShared& shared = machine_.shared().harts[hart];
    if (shared.attention.load() != 0) return true;
    if (shared.hsm_state.load() == kHsmStopped) return false;
    return !asleep_[hart] || shared.deadline.load() <= machine_.clock().ticks();
  }
  // To the first deadline of those who sleep. False: there is none.
  bool skip() {
    u64 earliest = ~u64{0};
    for (u32 hart = 0; hart < machine_.hart_count(); hart++) {
      HartShared& shared = machine_.shared().harts[hart];
      if (shared.hsm_state.load() != kHsmStopped) earliest = std::min(earliest, shared.deadline.load());
    }
    if (earliest == ~u64{0}) return false;
    machine_.virtual_clock()->skip_to(earliest);
    return true;
  }
  u64 executed() const {
    u64 sum = machine_.retired();
    for (u32 i = 0; i < machine_.hart_count(); i++) sum += machine_.hart(i).traps();
    return sum;
  }
  void note(u32 hart, Hart::Exit exit) {
    const HartState& state = machine_.hart(hart).state();
    for (const u64 part : {u64{hart}, static_cast<u64>(exit), state.pc, state.retired})
      trail_ = std::rotl((trail_ ^ part) * 0xff51'afd7'ed55'8ccd, 31);
    slices_++;
  }

  Machine& machine_;
  u64 state_;
  u32 longest_;
  std::function<void()> between_;
  std::vector<bool> asleep_;
  std::vector<u32> awake_;
  u64 trail_ = 0x9e37'79b9'7f4a'7c15, slices_ = 0;
};

}  // namespace hartwood::test
