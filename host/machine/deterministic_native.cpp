// SPDX-License-Identifier: Apache-2.0
// Fibers on Boost.Context's lowest interface, which needs no exceptions. The main context only starts and ends runs;
// fibers switch directly to each other.
#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#include "machine/deterministic.h"

namespace hartwood {

namespace context = boost::context::detail;

struct DeterministicRunner::Fiber {
  enum class State : u8 { ready, waiting, done };
  static constexpr size_t kStackBytes = 512 * 1024;

  DeterministicRunner* runner = nullptr;
  u32 index = 0;  // hart, or hart_count for the clock
  State state = State::ready;
  Wake wake = Wake::notified;
  const std::atomic<u32>* word = nullptr;
  u64 deadline_ns = ~u64{0};
  context::fcontext_t suspended = nullptr;
  void* stack = nullptr;

  Fiber() {
    stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HW_CHECK(stack != MAP_FAILED, "no memory for a fiber's stack");
    mprotect(stack, kPageBytes, PROT_NONE);  // an overflow faults
  }
  ~Fiber() { munmap(stack, kStackBytes); }
};

DeterministicRunner::DeterministicRunner(Machine& machine, DeterministicClock& clock, u64 seed, DeterministicOptions options)
    : machine_(machine), clock_(clock), seed_(seed), options_(options) {
  clock.machine_ = &machine;
  for (u32 i = 0; i <= machine.hart_count(); i++) {
    auto fiber = std::make_unique<Fiber>();
    fiber->runner = this;
    fiber->index = i;
    fibers_.push_back(std::move(fiber));
  }
}

DeterministicRunner::~DeterministicRunner() { clock_.machine_ = nullptr; }

// SplitMix64.
u64 DeterministicRunner::random() {
  u64 z = seed_ += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

void DeterministicRunner::body(u32 index) {
  if (index == machine_.hart_count()) {
    machine_.run_clock();
    return;
  }
  for (;;) {
    constexpr u64 kChunk = 1'000'000;
    u64 budget = kChunk;
    if (limit_ != 0) {
      const u64 done = machine_.retired();
      if (done >= limit_) {
        limited_ = true;
        return;
      }
      if (limit_ - done < budget) budget = limit_ - done;
    }
    const Hart::Exit exit = machine_.run_hart(index, budget);
    if (exit == Hart::Exit::power || exit == Hart::Exit::stopped) return;
    point();
  }
}

namespace {
// Where the context that is being left is to be kept; set before every jump, used by whoever arrives.
thread_local context::fcontext_t* save_slot = nullptr;
}  // namespace

void DeterministicRunner::switch_to(Fiber& fiber) {
  Fiber* from = current_;
  current_ = &fiber;
  context::fcontext_t& own = from ? from->suspended : reinterpret_cast<context::fcontext_t&>(main_context_);
  save_slot = &own;
  if (fiber.suspended == nullptr) {
    fiber.suspended = context::make_fcontext(static_cast<u8*>(fiber.stack) + Fiber::kStackBytes, Fiber::kStackBytes,
                                             [](context::transfer_t transfer) {
                                               *save_slot = transfer.fctx;
                                               auto* self = static_cast<Fiber*>(transfer.data);
                                               self->runner->body(self->index);
                                               self->state = Fiber::State::done;
                                               self->runner->yield_to_main();
                                               HW_CHECK(false, "a finished fiber was resumed");
                                             });
  }
  const context::fcontext_t target = fiber.suspended;
  const context::transfer_t back = context::jump_fcontext(target, &fiber);
  // Whoever jumped here is suspended at back.fctx.
  *save_slot = back.fctx;
}

void DeterministicRunner::yield_to_main() {
  Fiber* from = current_;
  current_ = nullptr;
  save_slot = &from->suspended;
  const context::transfer_t back = context::jump_fcontext(static_cast<context::fcontext_t>(main_context_), nullptr);
  *save_slot = back.fctx;
}

void DeterministicRunner::wake_expired() {
  const u64 now = clock_.now_ns();
  for (auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::waiting && fiber->deadline_ns <= now) {
      fiber->state = Fiber::State::ready;
      fiber->wake = Wake::timed_out;
    }
  }
}

DeterministicRunner::Fiber* DeterministicRunner::choose() {
  wake_expired();
  Fiber* ready[kMaxHarts + 1];
  u32 count = 0;
  for (auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::ready) ready[count++] = fiber.get();
  }
  return count == 0 ? nullptr : ready[random() % count];
}

void DeterministicRunner::point() {
  if (current_ == nullptr || random() % options_.switch_one_in != 0) return;
  Fiber* next = choose();
  if (next != nullptr && next != current_) switch_to(*next);
}

Wake DeterministicRunner::wait(const std::atomic<u32>& word, u32 expected, i64 timeout_ns) {
  if (word.load() != expected) return Wake::changed;
  if (current_ == nullptr) return Wake::timed_out;
  Fiber& self = *current_;
  self.state = Fiber::State::waiting;
  self.word = &word;
  self.deadline_ns = timeout_ns < 0 ? ~u64{0} : clock_.now_ns() + static_cast<u64>(timeout_ns);
  Fiber* next = choose();
  if (next == nullptr) {
    // Everybody sleeps: time passes until the first deadline.
    u64 earliest = ~u64{0};
    for (auto& fiber : fibers_) {
      if (fiber->state == Fiber::State::waiting && fiber->deadline_ns < earliest) earliest = fiber->deadline_ns;
    }
    if (earliest != ~u64{0}) {
      clock_.idle_ns_ += earliest - clock_.now_ns();
      next = choose();
    }
  }
  if (next == &self) return self.wake;
  if (next != nullptr) {
    switch_to(*next);
  } else {
    yield_to_main();  // nobody can ever run again, unless something outside happens
  }
  return self.wake;
}

void DeterministicRunner::notify(const std::atomic<u32>& word, u32 count) {
  for (auto& fiber : fibers_) {
    if (count == 0) return;
    if (fiber->state == Fiber::State::waiting && fiber->word == &word) {
      fiber->state = Fiber::State::ready;
      fiber->wake = Wake::notified;
      count--;
    }
  }
}

u32 DeterministicRunner::slice() { return 1 + static_cast<u32>(random() % options_.longest_slice); }

bool DeterministicRunner::run(u64 max_instructions) {
  limit_ = max_instructions;
  limited_ = slept_for_ever_ = false;
  Scheduler* before = current_scheduler;
  current_scheduler = this;
  for (auto& fiber : fibers_) {
    // A fiber that ended at a limit starts again.
    if (fiber->state == Fiber::State::done) {
      fiber->state = Fiber::State::ready;
      fiber->suspended = nullptr;
    }
  }
  while (!limited_) {
    bool harts_left = false;
    for (auto& fiber : fibers_) harts_left |= fiber->index < machine_.hart_count() && fiber->state != Fiber::State::done;
    if (!harts_left) break;
    Fiber* next = choose();
    if (next == nullptr) {
      slept_for_ever_ = true;
      break;
    }
    switch_to(*next);
  }
  current_scheduler = before;
  return !limited_;
}

}  // namespace hartwood
