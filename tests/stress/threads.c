// SPDX-License-Identifier: Apache-2.0
// Threads: locks by futex, atomic instructions, memory's order, and deep recursion that is switched away in the middle.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "stress.h"

enum { kThreads = 4 };

// `body(number)` in kThreads threads; every second one may run anywhere, the others on one hart.
static unsigned (*volatile thread_body)(unsigned number);
static void* run_numbered(void* number) {
  unsigned own = (unsigned)(uintptr_t)number;
  if (own != 2) pin(own);
  thread_body(own);
  return NULL;
}

static void run_threads(unsigned (*body)(unsigned)) {
  unsigned long threads[kThreads];
  thread_body = body;
  for (unsigned i = 0; i < kThreads; i++) start_thread(&threads[i], run_numbered, (void*)(uintptr_t)i);
  for (unsigned i = 0; i < kThreads; i++) join_thread(threads[i]);
}

// ---- mutex ----

enum { kCounts = 2000, kItems = 1500, kQueue = 16, kTurns = 300 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER,
                      turned = PTHREAD_COND_INITIALIZER;
static uint64_t guarded[4];
static struct Item {
  unsigned producer, number;
  uint64_t hash;
} queue[kQueue];
static unsigned queue_first, queue_length, turn;
static uint64_t produced, consumed;
static unsigned consumed_count;

static unsigned count_guarded(unsigned number) {
  for (unsigned i = 0; i < kCounts; i++) {
    pthread_mutex_lock(&mutex);
    // Four words that always agree.
    uint64_t value = guarded[0];
    for (unsigned j = 1; j < 4; j++)
      EXPECT(guarded[j] == value * (j + 1), "under a mutex: word %u is %llu with %llu", j,
             (unsigned long long)guarded[j], (unsigned long long)value);
    for (unsigned j = 0; j < 4; j++) guarded[j] += j + 1;
    if (i % 300 == number) sched_yield();
    pthread_mutex_unlock(&mutex);
  }
  return 0;
}

static unsigned produce_or_consume(unsigned number) {
  bool producer = number < 2;
  unsigned last[2] = {0, 0};
  for (unsigned i = 1; i <= kItems; i++) {
    pthread_mutex_lock(&mutex);
    if (producer) {
      while (queue_length == kQueue) pthread_cond_wait(&not_full, &mutex);
      struct Item item = {number, i, mixed(number * 1000000ull + i)};
      queue[(queue_first + queue_length++) % kQueue] = item;
      produced += item.hash;
      pthread_cond_signal(&not_empty);
    } else {
      while (queue_length == 0) pthread_cond_wait(&not_empty, &mutex);
      struct Item item = queue[queue_first];
      queue_first = (queue_first + 1) % kQueue;
      queue_length--;
      consumed += item.hash;
      consumed_count++;
      pthread_cond_signal(&not_full);
      EXPECT(item.producer < 2 && item.hash == mixed(item.producer * 1000000ull + item.number),
             "item %u of producer %u has hash %#llx", item.number, item.producer, (unsigned long long)item.hash);
      EXPECT(item.number > last[item.producer], "item %u of producer %u comes after item %u", item.number,
             item.producer, last[item.producer]);
      last[item.producer] = item.number;
    }
    pthread_mutex_unlock(&mutex);
  }
  return 0;
}

static unsigned take_turns(unsigned number) {
  for (unsigned i = 0; i < kTurns; i++) {
    pthread_mutex_lock(&mutex);
    while (turn % kThreads != number) pthread_cond_wait(&turned, &mutex);
    EXPECT(turn / kThreads == i, "thread %u's turn %u comes at %u", number, i, turn);
    turn++;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&mutex);
  }
  return 0;
}

void test_mutex(void) {
  while (more()) {
    memset(guarded, 0, sizeof guarded);
    stage("mutex, counters", 0, 0);
    run_threads(count_guarded);
    EXPECT(guarded[0] == kThreads * kCounts, "a counter under a mutex is %llu, not %d", (unsigned long long)guarded[0],
           kThreads * kCounts);
    produced = consumed = consumed_count = 0;
    stage("mutex, producers and consumers", 0, 0);
    run_threads(produce_or_consume);
    EXPECT(produced == consumed && consumed_count == 2 * kItems && queue_length == 0,
           "%u items are consumed, %u are left; the sums are %#llx and %#llx", consumed_count, queue_length,
           (unsigned long long)produced, (unsigned long long)consumed);
    turn = 0;
    stage("mutex, turns", 0, 0);
    run_threads(take_turns);
  }
}

// ---- atomic ----

enum { kAdds = 8000, kMessages = 300, kPhases = 20 };
static struct {
  uint64_t added __attribute__((aligned(64)));
  uint32_t added_word, xored;
  uint64_t exchanged, swapped, largest, spoiled, half[2];
  uint64_t tickets[kThreads];
} cells;
static uint64_t spin_lock __attribute__((aligned(64))), spin_guarded[3];

// LR/SC with work between, which a compiler of the machine's might take apart.
static uint64_t add_by_reservation(uint64_t* cell, uint64_t value) {
  uint64_t old, changed, failed;
  __asm__ volatile(
      "1: lr.d.aqrl %0, (%3)\n"
      "  add %1, %0, %4\n"
      "  sc.d.rl %2, %1, (%3)\n"
      "  bnez %2, 1b\n"
      : "=&r"(old), "=&r"(changed), "=&r"(failed)
      : "r"(cell), "r"(value)
      : "memory");
  return old;
}

static void relax(unsigned* spins) {
  if (++*spins % 64 == 0) sched_yield();
}

static unsigned use_atomics(unsigned number) {
  uint64_t own_tickets = 0, last_ticket = 0;
  for (uint64_t i = 1; i <= kAdds; i++) {
    __atomic_fetch_add(&cells.added, i, __ATOMIC_RELAXED);
    __atomic_fetch_add(&cells.added_word, 3, __ATOMIC_ACQ_REL);
    __atomic_fetch_xor(&cells.xored, (uint32_t)mixed(i * 4 + number), __ATOMIC_SEQ_CST);
    uint64_t seen = __atomic_load_n(&cells.swapped, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&cells.swapped, &seen, seen + 5, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    uint64_t ticket = add_by_reservation(&cells.exchanged, 1) + 1;
    EXPECT(ticket > last_ticket, "LR/SC: ticket %llu comes after %llu", (unsigned long long)ticket,
           (unsigned long long)last_ticket);
    last_ticket = ticket;
    own_tickets += mixed(ticket);
    uint64_t candidate = mixed(i * 4 + number) >> 1;
    __asm__ volatile("amomaxu.d.aqrl zero, %1, (%0)" ::"r"(&cells.largest), "r"(candidate) : "memory");
    // Two halves of one word by two AMOs: neither must lose the other's.
    if (number & 1)
      __atomic_fetch_add(&cells.half[0], 1ull << 32, __ATOMIC_RELAXED);
    else
      __atomic_fetch_add((uint32_t*)&cells.half[0], 1u, __ATOMIC_RELAXED);
    if (i % 8 == 0) {
      unsigned spins = 0;
      while (__atomic_exchange_n(&spin_lock, 1, __ATOMIC_ACQUIRE)) relax(&spins);
      EXPECT(spin_guarded[0] == spin_guarded[1] && spin_guarded[1] == spin_guarded[2],
             "under a spin lock: %llu, %llu, %llu", (unsigned long long)spin_guarded[0],
             (unsigned long long)spin_guarded[1], (unsigned long long)spin_guarded[2]);
      for (unsigned j = 0; j < 3; j++) spin_guarded[j]++;
      __atomic_store_n(&spin_lock, 0, __ATOMIC_RELEASE);
    }
  }
  cells.tickets[number] = own_tickets;
  return 0;
}

// Message passing, and a sequence lock: what is read after a flag or between two equal counts is whole.
static uint64_t mailbox[8] __attribute__((aligned(64))), mail_flag __attribute__((aligned(64))),
    mail_taken __attribute__((aligned(64)));
static uint64_t sequence __attribute__((aligned(64))), sequenced[6];

static unsigned pass_messages(unsigned number) {
  unsigned spins = 0;
  for (uint64_t i = 1; i <= kMessages; i++) {
    if (number == 0) {
      for (unsigned j = 0; j < 8; j++) mailbox[j] = i * 8 + j;
      __atomic_store_n(&mail_flag, i, __ATOMIC_RELEASE);
      while (__atomic_load_n(&mail_taken, __ATOMIC_ACQUIRE) != i) relax(&spins);
    } else if (number == 1) {
      while (__atomic_load_n(&mail_flag, __ATOMIC_ACQUIRE) != i) relax(&spins);
      for (unsigned j = 0; j < 8; j++)
        EXPECT(mailbox[j] == i * 8 + j, "message %llu: word %u is %llu", (unsigned long long)i, j,
               (unsigned long long)mailbox[j]);
      __atomic_store_n(&mail_taken, i, __ATOMIC_RELEASE);
    } else if (number == 2) {
      __atomic_store_n(&sequence, i * 2 - 1, __ATOMIC_RELAXED);
      __atomic_thread_fence(__ATOMIC_RELEASE);
      for (unsigned j = 0; j < 6; j++) __atomic_store_n(&sequenced[j], i * (j + 1), __ATOMIC_RELAXED);
      __atomic_store_n(&sequence, i * 2, __ATOMIC_RELEASE);
    } else {
      uint64_t before, words[6];
      do {
        while ((before = __atomic_load_n(&sequence, __ATOMIC_ACQUIRE)) & 1) relax(&spins);
        for (unsigned j = 0; j < 6; j++) words[j] = __atomic_load_n(&sequenced[j], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
      } while (__atomic_load_n(&sequence, __ATOMIC_RELAXED) != before);
      for (unsigned j = 0; j < 6; j++)
        EXPECT(words[j] == before / 2 * (j + 1), "sequence lock at %llu: word %u is %llu", (unsigned long long)before,
               j, (unsigned long long)words[j]);
    }
  }
  return 0;
}

static pthread_barrier_t barrier;
static uint64_t phases[kThreads];
static unsigned arrived __attribute__((aligned(64))), sense __attribute__((aligned(64)));

static unsigned pass_barriers(unsigned number) {
  unsigned spins = 0, own_sense = 0;
  for (uint64_t phase = 1; phase <= kPhases; phase++) {
    for (unsigned kind = 0; kind < 2; kind++) {
      phases[number] = phase * 2 + kind;
      if (kind == 0) {
        pthread_barrier_wait(&barrier);
      } else {
        own_sense ^= 1;
        if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == kThreads) {
          arrived = 0;
          __atomic_store_n(&sense, own_sense, __ATOMIC_RELEASE);
        } else {
          while (__atomic_load_n(&sense, __ATOMIC_ACQUIRE) != own_sense) relax(&spins);
        }
      }
      for (unsigned i = 0; i < kThreads; i++)
        EXPECT(phases[i] == phase * 2 + kind, "behind barrier %llu of kind %u: thread %u is in phase %llu",
               (unsigned long long)phase, kind, i, (unsigned long long)phases[i]);
      pthread_barrier_wait(&barrier);
    }
  }
  return 0;
}

void test_atomic(void) {
  const uint64_t sum = (uint64_t)kAdds * (kAdds + 1) / 2 * kThreads;
  uint32_t xored = 0;
  uint64_t tickets = 0, largest = 0;
  for (uint64_t i = 1; i <= kAdds; i++) {
    for (unsigned number = 0; number < kThreads; number++) {
      uint64_t candidate = mixed(i * 4 + number);
      xored ^= (uint32_t)candidate;
      if (candidate >> 1 > largest) largest = candidate >> 1;
    }
  }
  for (uint64_t i = 1; i <= (uint64_t)kAdds * kThreads; i++) tickets += mixed(i);
  while (more()) {
    memset(&cells, 0, sizeof cells);
    memset(spin_guarded, 0, sizeof spin_guarded);
    stage("atomic, counters", 0, 0);
    run_threads(use_atomics);
    EXPECT(cells.added == sum, "AMOADD.D: %llu, not %llu", (unsigned long long)cells.added, (unsigned long long)sum);
    EXPECT(cells.added_word == 3u * kAdds * kThreads, "AMOADD.W: %u", cells.added_word);
    EXPECT(cells.xored == xored, "AMOXOR.W: %#x, not %#x", cells.xored, xored);
    EXPECT(cells.swapped == 5ull * kAdds * kThreads, "compare and exchange: %llu", (unsigned long long)cells.swapped);
    EXPECT(cells.exchanged == (uint64_t)kAdds * kThreads, "LR/SC: %llu", (unsigned long long)cells.exchanged);
    EXPECT(cells.largest == largest, "AMOMAXU.D: %#llx, not %#llx", (unsigned long long)cells.largest,
           (unsigned long long)largest);
    EXPECT(cells.half[0] == ((uint64_t)2 * kAdds << 32 | 2 * kAdds), "AMOADD.W and AMOADD.D on one word: %#llx",
           (unsigned long long)cells.half[0]);
    EXPECT(spin_guarded[0] == kAdds / 8 * kThreads, "a counter under a spin lock is %llu",
           (unsigned long long)spin_guarded[0]);
    uint64_t found = cells.tickets[0] + cells.tickets[1] + cells.tickets[2] + cells.tickets[3];
    EXPECT(found == tickets, "LR/SC: the tickets' sum is %#llx, not %#llx", (unsigned long long)found,
           (unsigned long long)tickets);
    mail_flag = mail_taken = sequence = 0;
    memset(sequenced, 0, sizeof sequenced);
    stage("atomic, messages", 0, 0);
    run_threads(pass_messages);
    sense = arrived = 0;
    stage("atomic, barriers", 0, 0);
    pthread_barrier_init(&barrier, NULL, kThreads);
    run_threads(pass_barriers);
    pthread_barrier_destroy(&barrier);
  }
}

// ---- deep ----

static uint64_t deep_round;

// Two functions that call each other, with locals of different sizes; some levels give up the hart.
__attribute__((noinline)) static uint64_t deep_even(unsigned depth, uint64_t x, uint64_t yields);
__attribute__((noinline)) static uint64_t deep_odd(unsigned depth, uint64_t x, uint64_t yields) {
  volatile uint64_t kept[5] = {x, x * 3, x * 5, x * 7, depth};
  if ((yields >> depth % 61 & 1) != 0) sched_yield();
  uint64_t below = depth == 0 ? x : deep_even(depth - 1, mixed(x), yields);
  EXPECT(kept[0] == x && kept[1] == x * 3 && kept[2] == x * 5 && kept[3] == x * 7 && kept[4] == depth,
         "recursion: a frame at depth %u has changed", depth);
  return below * 3 + x;
}

static uint64_t deep_even(unsigned depth, uint64_t x, uint64_t yields) {
  volatile uint8_t kept[70];
  for (unsigned i = 0; i < sizeof kept; i++) kept[i] = (uint8_t)(x + i);
  uint64_t below = depth == 0 ? x : deep_odd(depth - 1, mixed(x), yields);
  if ((yields >> (depth + 7) % 61 & 1) != 0) sched_yield();
  for (unsigned i = 0; i < sizeof kept; i++)
    EXPECT(kept[i] == (uint8_t)(x + i), "recursion: byte %u of a frame at depth %u has changed", i, depth);
  return below * 3 + x;
}

static unsigned recurse(unsigned number) {
  uint64_t random = deep_round * 4 + number + 1;
  for (unsigned i = 0; i < 12; i++) {
    uint64_t x = next_random(&random);
    unsigned depth = (unsigned)(x >> 50) % 300 + 100;
    uint64_t values[400], expected;
    values[0] = x;
    for (unsigned j = 1; j <= depth; j++) values[j] = mixed(values[j - 1]);
    expected = values[depth];
    for (unsigned j = depth + 1; j-- > 0;) expected = expected * 3 + values[j];
    uint64_t found = deep_even(depth, x, next_random(&random) & random >> 7 & random << 9 & random >> 21);
    EXPECT(found == expected, "recursion of depth %u returns %#llx, not %#llx", depth, (unsigned long long)found,
           (unsigned long long)expected);
  }
  return 0;
}

void test_deep(void) {
  for (deep_round = random_seed; more(); deep_round++) {
    stage("deep, recursion with switches", deep_round, 0);
    run_threads(recurse);
  }
}
