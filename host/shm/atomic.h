// SPDX-License-Identifier: Apache-2.0
// The one wrapper around atomics that two workers share, and the futex that they sleep on. Sequentially consistent
// unless the name says otherwise. Natively every operation is a possible switch of the seeded scheduler (below), so
// that one seed is one execution; in Wasm and without a scheduler the hook costs nothing or one thread-local load.
#pragma once

#include <atomic>

#include "base/types.h"

namespace hartwood {

enum class Wake : u8 { notified, changed, timed_out };

// A cooperative scheduler for one thread. Installed by the deterministic machine and by tests; never in Wasm.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // Before every atomic operation of a fiber: may switch to another one.
  virtual void point() = 0;
  // As futex_wait and futex_notify below, among fibers; time is virtual.
  virtual Wake wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) = 0;
  virtual void notify(const std::atomic<u32>& word, u32 count) = 0;
  // Instructions that the running hart executes before it looks at its attention word again, at least 1.
  virtual u32 slice() = 0;
};

#ifdef __wasm__
inline void schedule_point() {}
#else
// The scheduler whose fiber runs on this thread, or null.
extern thread_local Scheduler* current_scheduler;
inline void schedule_point() {
  if (current_scheduler != nullptr) [[unlikely]]
    current_scheduler->point();
}
#endif

// Sleeps while `word` is `expected`, at most `timeout_ns` nanoseconds (negative: for ever). May wake for no reason.
Wake futex_wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns);
void futex_notify(const std::atomic<u32>& word, u32 count = ~u32{0});

template <class T>
class Atomic {
 public:
  constexpr Atomic(T value = T{}) : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load() const {
    schedule_point();
    return value_.load();
  }
  // For values that no other access is ordered by: statistics, payloads published by another atomic.
  T load_relaxed() const {
    schedule_point();
    return value_.load(std::memory_order_relaxed);
  }
  // Only to decide whether a real load is worth while: no point of the scheduler, and ordered by nothing.
  T hint() const { return value_.load(std::memory_order_relaxed); }
  void store(T value) {
    schedule_point();
    value_.store(value);
  }
  void store_relaxed(T value) {
    schedule_point();
    value_.store(value, std::memory_order_relaxed);
  }
  T exchange(T value) {
    schedule_point();
    return value_.exchange(value);
  }
  bool compare_exchange(T& expected, T desired) {
    schedule_point();
    return value_.compare_exchange_strong(expected, desired);
  }
  T fetch_add(T value) {
    schedule_point();
    return value_.fetch_add(value);
  }
  T fetch_or(T value) {
    schedule_point();
    return value_.fetch_or(value);
  }
  T fetch_and(T value) {
    schedule_point();
    return value_.fetch_and(value);
  }
  // Futex operations; T is u32.
  Wake wait(T expected, i64 timeout_ns = -1) const { return futex_wait(value_, expected, timeout_ns); }
  void notify(u32 count = ~u32{0}) const { futex_notify(value_, count); }

 private:
  std::atomic<T> value_;
  static_assert(std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T));
};

}  // namespace hartwood
