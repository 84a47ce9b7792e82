// SPDX-License-Identifier: Apache-2.0
// The futex: Atomics.wait and notify in Wasm, the futex system call on Linux, the scheduler where one is installed.
#include "shm/atomic.h"

#ifndef __wasm__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#endif

namespace hartwood {

#ifdef __wasm__

Wake futex_wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) {
  auto* address = reinterpret_cast<i32*>(const_cast<std::atomic<u32>*>(&word));
  switch (__builtin_wasm_memory_atomic_wait32(address, static_cast<i32>(expected), timeout_ns)) {
    case 0: return Wake::notified;
    case 1: return Wake::changed;
    default: return Wake::timed_out;
  }
}

void futex_notify(const std::atomic<u32>& word, u32 count) {
  auto* address = reinterpret_cast<i32*>(const_cast<std::atomic<u32>*>(&word));
  __builtin_wasm_memory_atomic_notify(address, count);
}

#else

thread_local Scheduler* current_scheduler = nullptr;

Wake futex_wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) {
  if (current_scheduler != nullptr) return current_scheduler->wait(word, expected, timeout_ns);
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_ns / 1'000'000'000);
  timeout.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000);
  const long status =
      syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? nullptr : &timeout, nullptr, 0);
  if (status == 0) return Wake::notified;
  return errno == ETIMEDOUT ? Wake::timed_out : Wake::changed;
}

void futex_notify(const std::atomic<u32>& word, u32 count) {
  if (current_scheduler != nullptr) {
    current_scheduler->notify(word, count);
    return;
  }
  const int waiters = count > 0x7fffffffu ? 0x7fffffff : static_cast<int>(count);
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, waiters, nullptr, nullptr, 0);
}

#endif

}  // namespace hartwood
