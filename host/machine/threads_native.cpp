// SPDX-License-Identifier: Apache-2.0
#include "machine/threads_native.h"

namespace hartwood {

void MachineThreads::start() {
  held_.assign(machine_.hart_count() + 1, false);
  running_ = machine_.hart_count() + 1;
  for (u32 i = 0; i < machine_.hart_count(); i++) threads_.emplace_back([this, i] { run_hart(i); });
  threads_.emplace_back([this] { run_clock(); });
}

void MachineThreads::start_paused() {
  pauses_++;
  machine_.stop_all();
  start();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  machine_.freeze();
}

void MachineThreads::join() {
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
}

bool MachineThreads::wait_for_resume(u32 index) {
  std::unique_lock lock(mutex_);
  running_--;
  changed_.notify_all();
  const auto ended = [&] { return machine_.shared().power.load() != kPowerOn; };
  // A thread that was told to stop by the end of a pause that was resumed already goes on at once.
  changed_.wait(lock, [&] { return (pauses_ == resumes_ && !held_[index]) || ended(); });
  if (ended()) {
    ended_++;
    changed_.notify_all();
    return false;
  }
  running_++;
  return true;
}

void MachineThreads::run_hart(u32 index) {
  constexpr u64 kBudget = 100'000'000;
  for (;;) {
    const u64 slice = max_instructions_ != 0 && max_instructions_ < kBudget ? max_instructions_ : kBudget;
    const Hart::Exit exit = machine_.run_hart(index, slice);
    if (exit == Hart::Exit::debug) {
      // Whoever is told stops the others; this one waits for them as if it had been stopped.
      {
        const std::lock_guard lock(mutex_);
        held_[index] = true;
      }
      if (tell_of_debug_) tell_of_debug_();
    }
    if (exit == Hart::Exit::power || exit == Hart::Exit::stopped || exit == Hart::Exit::debug) {
      if (!wait_for_resume(index)) return;
      continue;
    }
    if (max_instructions_ != 0 && machine_.shared().harts[index].retired.load() >= max_instructions_) {
      const std::lock_guard lock(mutex_);
      limited_ = true;
      machine_.power().end(kPowerOff, 0);
    }
  }
}

void MachineThreads::run_clock() {
  do {
    machine_.run_clock();
  } while (wait_for_resume(machine_.hart_count()));
}

bool MachineThreads::pause() {
  {
    const std::lock_guard lock(mutex_);
    pauses_++;
  }
  machine_.stop_all();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  machine_.freeze();
  return machine_.shared().power.load() == kPowerOn;
}

void MachineThreads::resume(const std::vector<bool>& harts) {
  {
    const std::lock_guard lock(mutex_);
    for (u32 i = 0; i < harts.size(); i++) held_[i] = !harts[i];
  }
  resume();
}

void MachineThreads::resume() {
  const std::lock_guard lock(mutex_);
  machine_.resume_all();
  resumes_++;
  changed_.notify_all();
}

}  // namespace hartwood
