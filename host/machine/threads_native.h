// SPDX-License-Identifier: Apache-2.0
// A machine's harts and clock on threads of their own, with pauses. Native only; in the browser the workers do this.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "machine/machine.h"

namespace hartwood {

class MachineThreads {
 public:
  // `max_instructions`: of one hart, after which the machine is powered off; 0: none.
  explicit MachineThreads(Machine& machine, u64 max_instructions = 0)
      : machine_(machine), max_instructions_(max_instructions) {}
  ~MachineThreads() { join(); }
  MachineThreads(const MachineThreads&) = delete;
  MachineThreads& operator=(const MachineThreads&) = delete;

  // Called on a hart's thread, which has come out because of a breakpoint or watchpoint and waits for resume(). Before
  // start().
  void on_debug(std::function<void()> tell) { tell_of_debug_ = std::move(tell); }
  void start();
  // As start() and pause(), before the first instruction.
  void start_paused();
  // Until the machine has ended.
  void join();
  bool limited() const { return limited_; }

  // From one thread that is none of these. pause() returns when the machine stands still, or false if it has ended.
  bool pause();
  void resume();
  // Only these harts go on, until it is called again; pauses in between change nothing of that.
  void resume(const std::vector<bool>& harts);

 private:
  void run_hart(u32 index);
  void run_clock();
  // Until resume(); false: the machine has ended. `index`: the hart's; the clock's is behind them.
  bool wait_for_resume(u32 index);

  Machine& machine_;
  const u64 max_instructions_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  u32 running_ = 0;  // threads in the machine
  u32 ended_ = 0;    // threads that have left for good
  u64 pauses_ = 0, resumes_ = 0;
  std::vector<bool> held_;  // stay where they are, whatever the others do
  std::function<void()> tell_of_debug_;
  bool limited_ = false;
};

}  // namespace hartwood
