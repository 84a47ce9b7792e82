// SPDX-License-Identifier: Apache-2.0
// A mutex over the futex, the same in Wasm (where std::mutex does not exist without pthreads) and natively (where it
// lets the seeded scheduler see every step). Not recursive, not fair, needs no thread identity. Device registers are
// guarded by one each; sections are short and never wait for a hart.
#pragma once

#include "shm/atomic.h"

namespace hartwood {

class Lock {
 public:
  void lock() {
    u32 seen = kFree;
    if (word_.compare_exchange(seen, kHeld)) return;
    if (seen != kContended) seen = word_.exchange(kContended);
    while (seen != kFree) {
      word_.wait(kContended);
      seen = word_.exchange(kContended);
    }
  }
  void unlock() {
    // Pairs with the exchange in lock(): whoever waits left kContended behind.
    if (word_.exchange(kFree) == kContended) word_.notify(1);
  }

 private:
  static constexpr u32 kFree = 0, kHeld = 1, kContended = 2;
  Atomic<u32> word_{kFree};
};

class [[nodiscard]] Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace hartwood
