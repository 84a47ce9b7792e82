// SPDX-License-Identifier: Apache-2.0
#include "api/native_debugger.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace hartwood {

NativeDebugger::NativeDebugger()
    : target_(
          *this, [](void* self, const GdbStop& stop) { static_cast<NativeDebugger*>(self)->socket_.stopped(stop); },
          this),
      socket_(target_) {}

NativeDebugger::~NativeDebugger() {
  // Only where a machine that gdb wanted could not be made: the program ends.
  if (serving_.joinable()) serving_.detach();
  for (const int fd : wake_) {
    if (fd >= 0) close(fd);
  }
}

Status NativeDebugger::listen_at(const std::string& where, bool wait, bool follow) {
  wait_ = wait;
  follow_ = follow;
  const Status listening = socket_.listen_at(where);
  if (!listening) return listening;
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) return errorf("cannot make a pipe: %s", std::strerror(errno));
  active_ = true;
  std::fprintf(stderr, "hartwood: gdb can attach: target remote :%u%s\r\n", socket_.port(),
               socket_.reachable_from_elsewhere() ? " (from other computers too)" : "");
  return {};
}

void NativeDebugger::start(Machine& machine, MachineThreads& threads) {
  bool waiting;
  {
    const std::lock_guard lock(look_mutex_);
    look_ = leave_ = false;
  }
  {
    const std::lock_guard lock(mutex_);
    machine_ = &machine;
    threads_ = &threads;
    target_.set_machine(machine);
    waiting = standing_ = std::exchange(wait_, false) || restarting_;
  }
  threads.on_debug([this] { stop(); });
  if (waiting)
    threads.start_paused();
  else
    threads.start();
  watching_ = std::thread([this] { watch(); });
  const bool restarted = [&] {
    const std::lock_guard lock(mutex_);
    return std::exchange(restarting_, false);
  }();
  if (restarted)
    changed_.notify_all();  // the serving thread waits in restart()
  else
    serving_ = std::thread([this] { socket_.serve(wake_[0]); });
}

void NativeDebugger::machine_ended(bool another) {
  {
    const std::lock_guard lock(look_mutex_);
    leave_ = true;
    look_changed_.notify_all();
  }
  watching_.join();
  {
    const std::lock_guard lock(mutex_);
    if (restarting_) return;
  }
  if (!another) target_.ended();
  if (write(wake_[1], "", 1) < 0) std::perror("hartwood");
  serving_.join();
  char byte;
  if (read(wake_[0], &byte, 1) < 0) std::perror("hartwood");
}

void NativeDebugger::watch() {
  for (;;) {
    {
      std::unique_lock lock(look_mutex_);
      look_changed_.wait(lock, [this] { return look_ || leave_; });
      if (leave_) return;
      look_ = false;
    }
    const std::lock_guard lock(mutex_);
    const bool stood = standing_;
    if (!stood) threads_->pause();
    standing_ = true;
    if (target_.stood_still() || stood) continue;
    standing_ = false;
    machine_->thaw(follow_);
    threads_->resume(std::vector<bool>(machine_->hart_count(), true));
  }
}

void NativeDebugger::run(const std::vector<bool>& harts) {
  const std::lock_guard lock(mutex_);
  machine_->thaw(follow_);
  standing_ = false;
  threads_->resume(harts);
}

void NativeDebugger::stop() {
  const std::lock_guard lock(look_mutex_);
  look_ = true;
  look_changed_.notify_all();
}

void NativeDebugger::stop_and_wait() {
  const std::lock_guard lock(mutex_);
  if (standing_) return;
  threads_->pause();
  standing_ = true;
}

void NativeDebugger::kill() {
  machine_->power().end(kPowerOff, 0);
  threads_->resume();
}

Status NativeDebugger::restart() {
  std::unique_lock lock(mutex_);
  restarting_ = true;
  machine_->power().end(kPowerReboot, 0);
  threads_->resume();
  changed_.wait(lock, [this] { return !restarting_; });
  return {};
}

Result<std::string> NativeDebugger::command(std::string_view command) {
  if (command == "help") return std::string();
  return errorf("there is no command \"%.*s\"; `monitor help` names them", static_cast<int>(command.size()),
                command.data());
}

}  // namespace hartwood
