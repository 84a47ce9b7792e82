// SPDX-License-Identifier: Apache-2.0
// Fibers on Boost.Context's lowest interface, which needs no exceptions. The main context only starts and
// ends runs; fibers switch directly to each other.
#include "machine/seeded_scheduler.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#ifdef __SANITIZE_ADDRESS__
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#include "base/bits.h"
#include "base/check.h"

namespace hartwood {

namespace context = boost::context::detail;

// AddressSanitizer keeps books of stacks: it is told of every switch.
namespace {
#ifdef __SANITIZE_ADDRESS__
void tell_leaving(void** kept, const void* stack, size_t bytes) { __sanitizer_start_switch_fiber(kept, stack, bytes); }
void tell_arrived(void* kept) { __sanitizer_finish_switch_fiber(kept, nullptr, nullptr); }
void tell_fresh(void* stack, size_t bytes) { __asan_unpoison_memory_region(stack, bytes); }
void own_stack(void*& stack, size_t& bytes) {
  pthread_attr_t attributes;
  HW_CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0, "stack of this thread");
  pthread_attr_getstack(&attributes, &stack, &bytes);
  pthread_attr_destroy(&attributes);
}
#else
void tell_leaving(void**, const void*, size_t) {}
void tell_arrived(void*) {}
void tell_fresh(void*, size_t) {}
void own_stack(void*&, size_t&) {}
#endif
}  // namespace

u64 SeededRandom::next() {
  u64 z = state_ += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

struct SeededScheduler::Fiber {
  enum class State : u8 { ready, waiting, done };
  static constexpr size_t kStackBytes = 512 * 1024;

  SeededScheduler& scheduler;
  std::function<void()> body;
  bool background;
  State state = State::ready;
  Wake wake = Wake::notified;
  const std::atomic<u32>* word = nullptr;  // while waiting, with what it was seen to be
  u32 expected = 0;
  u64 deadline_ns = kNever;
  u64 stalled_until = 0;      // points_ before which others go first
  void* suspended = nullptr;  // null: starts at body()
  void* stack;

  Fiber(SeededScheduler& s, std::function<void()> b, bool bg) : scheduler(s), body(std::move(b)), background(bg) {
    stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HW_CHECK(stack != MAP_FAILED, "no memory for a fiber's stack");
    mprotect(stack, kPageBytes, PROT_NONE);  // an overflow faults
  }
  ~Fiber() {
    tell_fresh(stack, kStackBytes);  // whoever gets these addresses next
    munmap(stack, kStackBytes);
  }
};

SeededScheduler::SeededScheduler(u64 seed, const SchedulerOptions& options) : random_(seed), options_(options) {}

SeededScheduler::~SeededScheduler() = default;

void SeededScheduler::add(std::function<void()> body, bool background) {
  fibers_.push_back(std::make_unique<Fiber>(*this, std::move(body), background));
  ready_.reserve(fibers_.size());
}

// Whoever arrives, here or at the start of a fiber, keeps the context that was left. `to` null: the main
// context.
void SeededScheduler::jump(void*& own, Fiber* to) {
  void* kept = nullptr;
  tell_leaving(&kept, to != nullptr ? to->stack : main_stack_, to != nullptr ? Fiber::kStackBytes : main_stack_bytes_);
  save_slot_ = &own;
  const context::transfer_t back = context::jump_fcontext(to != nullptr ? to->suspended : main_context_, to);
  *save_slot_ = back.fctx;
  tell_arrived(kept);
}

void SeededScheduler::switch_to(Fiber& fiber) {
  void*& own = current_ != nullptr ? current_->suspended : main_context_;
  current_ = &fiber;
  if (fiber.suspended == nullptr) {
    tell_fresh(fiber.stack, Fiber::kStackBytes);
    fiber.suspended = context::make_fcontext(static_cast<u8*>(fiber.stack) + Fiber::kStackBytes, Fiber::kStackBytes,
                                             [](context::transfer_t transfer) {
                                               tell_arrived(nullptr);
                                               auto* self = static_cast<Fiber*>(transfer.data);
                                               *self->scheduler.save_slot_ = transfer.fctx;
                                               self->body();
                                               self->state = Fiber::State::done;
                                               self->scheduler.switch_to_main();
                                               HW_CHECK(false, "a fiber that has returned was resumed");
                                             });
  }
  jump(own, &fiber);
}

void SeededScheduler::switch_to_main() {
  void*& own = current_->suspended;
  current_ = nullptr;
  jump(own, nullptr);
}

// A fiber that can run, or null. One that is stalled runs only where all are.
SeededScheduler::Fiber* SeededScheduler::choose() {
  const u64 now = now_ns();
  ready_.clear();
  Fiber* stalled = nullptr;
  for (auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::waiting && fiber->deadline_ns <= now) {
      fiber->state = Fiber::State::ready;
      fiber->wake = Wake::timed_out;
    }
    if (fiber->state != Fiber::State::ready) continue;
    if (fiber->stalled_until > points_)
      stalled = fiber.get();
    else
      ready_.push_back(fiber.get());
  }
  return ready_.empty() ? stalled : ready_[random_.below(static_cast<u32>(ready_.size()))];
}

// Where everybody sleeps, time passes until the first deadline.
SeededScheduler::Fiber* SeededScheduler::choose_or_skip() {
  if (Fiber* next = choose()) return next;
  u64 earliest = kNever;
  for (auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::waiting && fiber->deadline_ns < earliest) earliest = fiber->deadline_ns;
  }
  // What lies 146 years ahead does not come.
  constexpr u64 kEndOfTime = u64{1} << 62;
  if (earliest >= kEndOfTime) return nullptr;
  skip_ns(earliest - now_ns());
  return choose();
}

void SeededScheduler::point() {
  if (current_ == nullptr) return;
  points_++;
  if (points_ > last_point_) {
    switch_to_main();
    return;
  }
  if (!random_.one_in(options_.switch_one_in)) return;
  constexpr u32 kLongestStall = 1000;
  if (options_.stall_one_in != 0 && random_.one_in(options_.stall_one_in))
    current_->stalled_until = points_ + random_.below(kLongestStall);
  Fiber* next = choose();
  if (next != current_) switch_to(*next);
}

Wake SeededScheduler::wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) {
  point();  // the word may change between the caller's look and the sleep
  if (word.load() != expected) return Wake::changed;
  if (current_ == nullptr) return Wake::timed_out;
  if (options_.spurious_one_in != 0 && random_.one_in(options_.spurious_one_in)) return Wake::notified;
  Fiber& self = *current_;
  self.state = Fiber::State::waiting;
  self.word = &word;
  self.expected = expected;
  const u64 now = now_ns();
  const u64 timeout = static_cast<u64>(timeout_ns);
  self.deadline_ns = timeout_ns < 0 || timeout >= kNever - now ? kNever : now + timeout;
  Fiber* next = choose_or_skip();
  if (next == nullptr) {
    switch_to_main();  // nobody can ever run again, unless something outside happens
  } else if (next != &self) {
    switch_to(*next);
  }
  return self.wake;
}

void SeededScheduler::notify(const std::atomic<u32>& word, u32 count) {
  point();  // between the change of the word and its announcement
  for (auto& fiber : fibers_) {
    if (count == 0) return;
    if (fiber->state == Fiber::State::waiting && fiber->word == &word) {
      fiber->state = Fiber::State::ready;
      fiber->wake = Wake::notified;
      count--;
    }
  }
}

u32 SeededScheduler::slice() { return 1 + random_.below(options_.longest_slice); }

void SeededScheduler::pause() {
  paused_ = true;
  switch_to_main();
}

SeededScheduler::End SeededScheduler::run_fibers() {
  paused_ = false;
  own_stack(main_stack_, main_stack_bytes_);
  last_point_ = options_.max_points != 0 ? points_ + options_.max_points : kNever;
  Scheduler* before = current_scheduler;
  current_scheduler = this;
  for (auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::done) {
      fiber->state = Fiber::State::ready;
      fiber->suspended = nullptr;
    } else if (fiber->state == Fiber::State::waiting && fiber->word->load() != fiber->expected) {
      // Changed from outside meanwhile, where no scheduler was there to hear of it.
      fiber->state = Fiber::State::ready;
      fiber->wake = Wake::changed;
    }
  }
  End end = End::finished;
  for (;;) {
    bool left = false;
    for (auto& fiber : fibers_)
      left |= fiber->background ? fiber->state == Fiber::State::ready : fiber->state != Fiber::State::done;
    if (!left) break;
    Fiber* next = choose_or_skip();
    if (next == nullptr) {
      end = End::asleep;
      break;
    }
    switch_to(*next);
    if (paused_) {
      end = End::paused;
      break;
    }
    if (points_ > last_point_) {
      end = End::exhausted;
      break;
    }
  }
  current_scheduler = before;
  return end;
}

}  // namespace hartwood
