// SPDX-License-Identifier: Apache-2.0
// Fibers on one thread under a seeded scheduler, native only: what a test would do with threads, but so that
// one seed is one execution. A fiber may be switched out at every shared atomic operation (shm/atomic.h calls
// point() there), and before it sleeps on or notifies a word. Time is virtual: when all fibers sleep it jumps
// to the earliest deadline.
//
// Everything happens on the thread that calls run_fibers(), which installs the scheduler for as long as it
// runs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/types.h"
#include "shm/atomic.h"

namespace hartwood {

// SplitMix64: its whole state is 64 bits, so a seed is all there is to note down.
class SeededRandom {
 public:
  explicit SeededRandom(u64 seed) : state_(seed) {}
  u64 next();
  // 0 to n - 1; n is not 0.
  u32 below(u32 n) { return static_cast<u32>(next() % n); }
  bool one_in(u32 n) { return below(n) == 0; }

 private:
  u64 state_;
};

struct SchedulerOptions {
  u32 longest_slice = 4096;     // instructions between two looks at the attention word, at most
  u32 longest_run = 1'000'000;  // instructions between two returns of a hart to its caller, at most
  u32 switch_one_in = 8;        // an atomic operation switches fibers with this chance
  u32 spurious_one_in = 0;      // a sleep ends at once and for no reason with this chance; 0: never
  u32 stall_one_in = 0;         // a switched-out fiber stays out for up to 1,000 operations with this chance; 0: never
  u64 max_points = 0;           // atomic operations after which run_fibers() gives up; 0: never
};

class SeededScheduler : public Scheduler {
 public:
  explicit SeededScheduler(u64 seed, const SchedulerOptions& options = {});
  ~SeededScheduler() override;
  SeededScheduler(const SeededScheduler&) = delete;
  SeededScheduler& operator=(const SeededScheduler&) = delete;

  // Before run_fibers(). A background fiber is one that nobody waits for, but that is not left before it sleeps or
  // returns: it may hold a lock.
  void add(std::function<void()> body, bool background = false);

  enum class End : u8 {
    finished,   // every fiber but the background ones has returned
    paused,     // a fiber called pause()
    asleep,     // every fiber sleeps, and no deadline will wake one
    exhausted,  // max_points operations were made
  };
  // Fibers that have returned start anew; the others go on where they were.
  End run_fibers();
  // From a fiber: run_fibers() returns now.
  void pause();

  // Scheduler
  void point() override;
  Wake wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) override;
  void notify(const std::atomic<u32>& word, u32 count) override;
  u32 slice() override;
  u32 run_length() { return 1 + random_.below(options_.longest_run); }

 protected:
  // Virtual time. Here an atomic operation takes 10 ns.
  virtual u64 now_ns() const { return points_ * 10 + skipped_ns_; }
  virtual void skip_ns(u64 ns) { skipped_ns_ += ns; }

 private:
  struct Fiber;
  static constexpr u64 kNever = ~u64{0};
  Fiber* choose();
  Fiber* choose_or_skip();
  void switch_to(Fiber& fiber);
  void switch_to_main();
  void jump(void*& own, Fiber* to);

  SeededRandom random_;
  SchedulerOptions options_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> ready_;
  Fiber* current_ = nullptr;
  void* main_context_ = nullptr;
  void* main_stack_ = nullptr;
  size_t main_stack_bytes_ = 0;
  void** save_slot_ = nullptr;  // where the context that is being left is to be kept
  u64 points_ = 0;
  u64 last_point_ = kNever;
  u64 skipped_ns_ = 0;
  bool paused_ = false;
};

}  // namespace hartwood
