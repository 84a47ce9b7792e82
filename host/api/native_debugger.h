// SPDX-License-Identifier: Apache-2.0
// The native command line's gdb: the socket, the machine behind it, and the threads between the two. A machine that is
// replaced by another one, because the guest has rebooted or gdb has asked for it, keeps its gdb.
//
//   serving thread   reads gdb's packets and makes all calls of the target
//   watching thread  stops the machine when a hart has met something, or gdb wants it to stop
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "api/native_gdb.h"
#include "machine/debug_target.h"
#include "machine/threads_native.h"

namespace hartwood {

class NativeDebugger final : public HartControl {
 public:
  NativeDebugger();
  ~NativeDebugger() override;

  // `wait`: the first machine does nothing before gdb says so. `follow`: the guest's wall clock follows the host's
  // through stops.
  Status listen_at(const std::string& where, bool wait, bool follow);
  bool active() const { return active_; }

  // Starts the machine's threads, and serves gdb from now on.
  void start(Machine& machine, MachineThreads& threads);
  // The machine has ended and its threads are gone. `another`: a machine follows.
  void machine_ended(bool another);

  // HartControl, on the serving thread
  void run(const std::vector<bool>& harts) override;
  void stop() override;
  void stop_and_wait() override;
  void kill() override;
  Status restart() override;
  Result<std::string> command(std::string_view command) override;

 private:
  void watch();

  MachineDebugTarget target_;
  GdbSocket socket_;
  bool active_ = false, wait_ = false, follow_ = true;
  Machine* machine_ = nullptr;
  MachineThreads* threads_ = nullptr;
  std::thread serving_, watching_;
  int wake_[2] = {-1, -1};
  // A hart's thread says so, and nobody may hold this who waits for harts.
  std::mutex look_mutex_;
  std::condition_variable look_changed_;
  bool look_ = false;   // the watching thread is to stop the machine
  bool leave_ = false;  // and this ends it
  std::mutex mutex_;    // of what follows
  std::condition_variable changed_;
  bool standing_ = false;  // the machine is stopped, by us
  bool restarting_ = false;
};

}  // namespace hartwood
