// SPDX-License-Identifier: Apache-2.0
// POSIX timers and timer files: what they count, whom they tell, and when. How accurately sleeps end.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static sigset_t set_of(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

static timer_t new_timer(clockid_t clock, int signal, int value) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal, .sigev_value = {.sival_int = value}};
  timer_t timer;
  MUST(timer_create(clock, &event, &timer) == 0, "timer_create");
  return timer;
}

static void set_timer(timer_t timer, int flags, uint64_t first, uint64_t interval) {
  struct itimerspec time = {.it_interval = timespec_of(interval), .it_value = timespec_of(first)};
  MUST(timer_settime(timer, flags, &time, NULL) == 0, "timer_settime");
}

// ---- timers ----

// The next one of these blocked signals.
static siginfo_t next_signal(int signal) {
  sigset_t set = set_of(signal);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  int found;
  while ((found = sigwaitinfo(&set, &info)) == -1 && errno == EINTR) {
  }
  MUST(found == signal, "sigwaitinfo");
  return info;
}

static bool is_pending(int signal) {
  sigset_t set;
  MUST(sigpending(&set) == 0, "sigpending");
  return sigismember(&set, signal) == 1;
}

static void expect_timer(siginfo_t info, int value) {
  EXPECT(info.si_code == SI_TIMER && info.si_value.sival_int == value,
         "a timer's signal has code %d and value %d, not %d", info.si_code, info.si_value.sival_int, value);
}

static void timer_once(clockid_t clock, bool absolute) {
  const int signal = SIGRTMIN;
  timer_t timer = new_timer(clock, signal, 4711);
  for (unsigned i = 0; i < 10; i++) {
    uint64_t asked = (500 + 777 * i) * MICROSECONDS, begin = clock_ns(clock);
    set_timer(timer, absolute ? TIMER_ABSTIME : 0, absolute ? begin + asked : asked, 0);
    struct itimerspec left;
    MUST(timer_gettime(timer, &left) == 0, "timer_gettime");
    EXPECT(ns_of(left.it_value) <= asked, "%llu ns are left of %llu", (unsigned long long)ns_of(left.it_value),
           (unsigned long long)asked);
    expect_timer(next_signal(signal), 4711);
    uint64_t taken = clock_ns(clock) - begin;
    EXPECT(taken >= asked, "a timer of clock %d ends after %.3f ms of %.3f", clock, (double)taken / 1e6,
           (double)asked / 1e6);
    EXPECT_TIME(taken < asked + 2 * MILLISECONDS, "a timer of clock %d ends after %.3f ms of %.3f", clock,
                (double)taken / 1e6, (double)asked / 1e6);
    MUST(timer_gettime(timer, &left) == 0, "timer_gettime");
    EXPECT(ns_of(left.it_value) == 0, "a timer that has ended has %llu ns left",
           (unsigned long long)ns_of(left.it_value));
  }
  // One that is deleted, or set anew, tells nothing of before.
  set_timer(timer, 0, 300 * MILLISECONDS, 0);
  set_timer(timer, 0, 0, 0);
  sleep_ns(310 * MILLISECONDS);
  EXPECT(!is_pending(signal), "a disarmed timer sends its signal");
  set_timer(timer, 0, 300 * MILLISECONDS, 0);
  MUST(timer_delete(timer) == 0, "timer_delete");
  sleep_ns(310 * MILLISECONDS);
  EXPECT(!is_pending(signal), "a deleted timer sends its signal");
}

// Each signal and its overruns are all the periods that have gone by: none is lost, none comes twice.
static void timer_periods(void) {
  enum { kSignals = 60 };
  const int signal = SIGRTMIN + 1;
  const uint64_t period = 1500 * MICROSECONDS;
  timer_t timer = new_timer(CLOCK_MONOTONIC, signal, 1);
  uint64_t begin = now_ns(), periods = 0;
  set_timer(timer, 0, period, period);
  for (unsigned i = 0; i < kSignals; i++) {
    if (i % 20 == 19) sleep_ns(10 * MILLISECONDS);  // to miss some
    uint64_t before = now_ns();
    siginfo_t info = next_signal(signal);
    expect_timer(info, 1);
    uint64_t after = now_ns();
    int overruns = timer_getoverrun(timer);
    EXPECT(info.si_overrun == overruns, "a signal tells %d overruns, timer_getoverrun() %d", info.si_overrun, overruns);
    periods += 1 + (uint64_t)overruns;
    EXPECT(periods <= (after - begin) / period, "%llu periods of 1.5 ms in %.2f ms", (unsigned long long)periods,
           (double)(after - begin) / 1e6);
    // What had gone by before the call is in it; the timer began after `begin`, within a period where times are exact.
    EXPECT_TIME(periods + 2 > (before - begin) / period, "only %llu periods of 1.5 ms in %.2f ms",
                (unsigned long long)periods, (double)(before - begin) / 1e6);
  }
  sleep_ns(60 * MILLISECONDS + period / 2);
  siginfo_t info = next_signal(signal);
  EXPECT(info.si_overrun >= 38, "%d overruns in 60 ms of 1.5 ms each", info.si_overrun);
  MUST(timer_delete(timer) == 0, "timer_delete");
  figures("%llu periods in %d signals;", (unsigned long long)periods, kSignals);
}

static volatile pid_t told_thread;
static volatile uint64_t told;

static void tell_thread(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  told_thread = (pid_t)syscall(SYS_gettid);
  told = told + 1;
}

static volatile pid_t waiting_thread;
static volatile bool enough;

static void* compute_until_told(void* unused) {
  waiting_thread = (pid_t)syscall(SYS_gettid);
  while (!enough) {
  }
  return unused;
}

// A timer for one thread interrupts that one, wherever it computes, and no other.
static void timer_of_thread(void) {
  const int signal = SIGRTMIN + 2;
  handle(signal, tell_thread, 0);
  pthread_t thread;
  errno = pthread_create(&thread, NULL, compute_until_told, NULL);
  MUST(errno == 0, "pthread_create");
  while (waiting_thread == 0) sleep_ns(200 * MICROSECONDS);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
  event.sigev_notify_thread_id = waiting_thread;
  timer_t timer;
  MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create");
  for (uint64_t i = 1; i <= 20; i++) {
    set_timer(timer, 0, 700 * MICROSECONDS, 0);
    while (told != i) {
    }
    EXPECT(told_thread == waiting_thread, "a timer of thread %d interrupts thread %d", waiting_thread, told_thread);
  }
  enough = true;
  pthread_join(thread, NULL);
  MUST(timer_delete(timer) == 0, "timer_delete");
}

static void timer_of_processor_time(void) {
  const int signal = SIGRTMIN + 3;
  timer_t timer = new_timer(CLOCK_PROCESS_CPUTIME_ID, signal, 3);
  uint64_t begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  set_timer(timer, 0, 40 * MILLISECONDS, 0);
  sleep_ns(80 * MILLISECONDS);
  EXPECT_TIME(!is_pending(signal), "a timer of processor time runs in a sleep");
  while (!is_pending(signal)) {
  }
  uint64_t taken = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin;
  EXPECT(taken >= 40 * MILLISECONDS, "40 ms of processor time end after %.2f ms", (double)taken / 1e6);
  EXPECT_TIME(taken < 55 * MILLISECONDS, "40 ms of processor time end after %.2f ms", (double)taken / 1e6);
  next_signal(signal);
  MUST(timer_delete(timer) == 0, "timer_delete");
}

// Of many timers the one that ends first tells it first.
static void timers_in_order(void) {
  enum { kTimers = 64 };
  const int signal = SIGRTMIN + 4;
  timer_t timers[kTimers];
  MUST(pin(0), "sched_setaffinity");  // one queue of timers
  uint64_t base = now_ns() + 20 * MILLISECONDS;
  for (int i = 0; i < kTimers; i++) {
    timers[i] = new_timer(CLOCK_MONOTONIC, signal, i);
    set_timer(timers[i], TIMER_ABSTIME, base + (uint64_t)(i * 37 % kTimers) * 200 * MICROSECONDS, 0);
  }
  // All are set in time, unless the host was busy.
  bool in_time = now_ns() < base;
  EXPECT_TIME(in_time, "%d timers are not set in 20 ms", kTimers);
  for (int order = 0; order < kTimers; order++) {
    siginfo_t info = next_signal(signal);
    int value = info.si_value.sival_int;
    EXPECT(value >= 0 && value < kTimers, "no timer has the value %d", value);
    EXPECT(!in_time || value * 37 % kTimers == order, "timer %d comes as number %d", value * 37 % kTimers, order);
    uint64_t due = base + (uint64_t)(value * 37 % kTimers) * 200 * MICROSECONDS;
    EXPECT(now_ns() >= due, "timer %d comes early", value);
  }
  for (int i = 0; i < kTimers; i++) MUST(timer_delete(timers[i]) == 0, "timer_delete");
  figures(" %d in order;", kTimers);
}

static void timer_files(void) {
  int file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  MUST(file >= 0, "timerfd_create");
  const uint64_t period = 2 * MILLISECONDS;
  uint64_t begin = now_ns(), sum = 0, count;
  struct itimerspec time = {.it_interval = timespec_of(period), .it_value = timespec_of(period)};
  EXPECT(read(file, &count, sizeof count) == -1 && errno == EAGAIN, "a timer file that is not armed can be read");
  MUST(timerfd_settime(file, 0, &time, NULL) == 0, "timerfd_settime");
  while (sum < 50) {
    struct pollfd wait = {.fd = file, .events = POLLIN};
    int ready = poll(&wait, 1, -1);
    EXPECT(ready == 1 && wait.revents == POLLIN, "poll() of a timer file returns %d, events %#x", ready,
           (unsigned)wait.revents);
    MUST(read(file, &count, sizeof count) == sizeof count, "read of a timer file");
    sum += count;
    uint64_t most = (now_ns() - begin) / period;
    EXPECT(count > 0 && sum <= most, "a timer file counts %llu of %llu periods", (unsigned long long)sum,
           (unsigned long long)most);
  }
  uint64_t taken = now_ns() - begin;
  EXPECT_TIME(taken < sum * period + 2 * MILLISECONDS, "%llu periods of 2 ms take %.2f ms", (unsigned long long)sum,
              (double)taken / 1e6);
  close(file);

  file = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
  MUST(file >= 0, "timerfd_create");
  uint64_t due = clock_ns(CLOCK_REALTIME) + 7 * MILLISECONDS;
  time = (struct itimerspec){.it_value = timespec_of(due)};
  MUST(timerfd_settime(file, TFD_TIMER_ABSTIME, &time, NULL) == 0, "timerfd_settime");
  MUST(read(file, &count, sizeof count) == sizeof count, "read of a timer file");
  EXPECT(count == 1 && clock_ns(CLOCK_REALTIME) >= due, "a timer file of one time counts %llu",
         (unsigned long long)count);
  close(file);
  figures(" %llu of a file in %.2f ms", (unsigned long long)sum, (double)taken / 1e6);
}

void check_timers(void) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int i = 0; i < 5; i++) {
    if (i != 2) sigaddset(&signals, SIGRTMIN + i);  // timer_of_thread() has a handler
  }
  sigprocmask(SIG_BLOCK, &signals, NULL);
  timer_once(CLOCK_MONOTONIC, false);
  timer_once(CLOCK_MONOTONIC, true);
  timer_once(CLOCK_REALTIME, true);
  timer_periods();
  timer_of_thread();
  timer_of_processor_time();
  timers_in_order();
  timer_files();
}

// ---- sleep ----

enum { kSleeps = 120 };

// Sleeps of 0.2 to 8 ms; the lateness of each, sorted.
static void measure_sleeps(uint64_t late[kSleeps]) {
  uint64_t random = 12345;
  for (unsigned i = 0; i < kSleeps; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint64_t asked = 200 * MICROSECONDS + (random >> 33) % (7800 * MICROSECONDS);
    struct timespec time = timespec_of(asked);
    uint64_t begin = now_ns();
    if (i % 2 == 1) time = timespec_of(begin + asked);
    int error = clock_nanosleep(CLOCK_MONOTONIC, i % 2 == 1 ? TIMER_ABSTIME : 0, &time, NULL);
    uint64_t taken = now_ns() - begin;
    EXPECT(error == 0, "clock_nanosleep fails: %s", strerror(error));
    EXPECT(taken >= asked, "a sleep of %.3f ms ends after %.3f", (double)asked / 1e6, (double)taken / 1e6);
    late[i] = taken - asked;
  }
  qsort(late, kSleeps, sizeof late[0], compare_u64);
}

static void tell_sleeps(const char* where, const uint64_t late[kSleeps], uint64_t most_median, uint64_t most) {
  double median = (double)late[kSleeps / 2] / 1e6, worst = (double)late[kSleeps - 1] / 1e6;
  EXPECT_TIME(late[kSleeps / 2] < most_median, "%s sleeps are %.3f ms late (median)", where, median);
  EXPECT_TIME(late[kSleeps - 1] < most, "%s a sleep is %.3f ms late", where, worst);
  figures("%s median %.3f ms late, worst %.3f; ", where, median, worst);
}

static void nothing(int signal, void* info, void* context) { (void)signal, (void)info, (void)context; }

// A sleep that a signal interrupts tells what is left of it.
static void sleep_interrupted(void) {
  handle(SIGALRM, nothing, 0);
  timer_t timer = new_timer(CLOCK_MONOTONIC, SIGALRM, 0);
  const uint64_t asked = 300 * MILLISECONDS;
  struct timespec time = timespec_of(asked), left = {0};
  set_timer(timer, 0, 10 * MILLISECONDS, 10 * MILLISECONDS);
  uint64_t begin = now_ns();
  int result = nanosleep(&time, &left);
  uint64_t taken = now_ns() - begin;
  EXPECT(result == -1 && errno == EINTR, "an interrupted sleep returns %d: %s", result, error_text());
  EXPECT(ns_of(left) + taken >= asked && ns_of(left) <= asked, "%.3f ms are left of 300 after %.3f",
         (double)ns_of(left) / 1e6, (double)taken / 1e6);
  EXPECT_TIME(ns_of(left) + taken < asked + 2 * MILLISECONDS, "%.3f ms are left of 300 after %.3f",
              (double)ns_of(left) / 1e6, (double)taken / 1e6);
  MUST(timer_delete(timer) == 0, "timer_delete");
}

// The timeouts of calls that wait for something else; in whole milliseconds or finer.
static void sleep_in_other_calls(void) {
  int ends[2];
  MUST(pipe(ends) == 0, "pipe");
  int waits = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  MUST(waits >= 0 && epoll_ctl(waits, EPOLL_CTL_ADD, ends[0], &event) == 0, "epoll_ctl");
  const char* names[] = {"poll", "select", "epoll_wait", "sigtimedwait"};
  sigset_t signals = set_of(SIGUSR2);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  for (unsigned i = 0; i < 40; i++) {
    unsigned call = i % 4, ms = 1 + i % 7;
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval time = {.tv_usec = (suseconds_t)ms * 1000};
    struct timespec precise = timespec_of(ms * MILLISECONDS);
    int result;
    uint64_t begin = now_ns();
    switch (call) {
      case 0: result = poll(&one, 1, (int)ms); break;
      case 1: result = select(ends[0] + 1, &set, NULL, NULL, &time); break;
      case 2: result = epoll_wait(waits, &event, 1, (int)ms); break;
      default: result = sigtimedwait(&signals, NULL, &precise) == -1 && errno == EAGAIN ? 0 : 1; break;
    }
    uint64_t taken = now_ns() - begin;
    EXPECT(result == 0, "%s() returns %d where nothing comes", names[call], result);
    EXPECT(taken >= ms * MILLISECONDS, "%s() of %u ms ends after %.3f", names[call], ms, (double)taken / 1e6);
    EXPECT_TIME(taken < (ms + 2) * MILLISECONDS, "%s() of %u ms ends after %.3f", names[call], ms, (double)taken / 1e6);
  }
  close(waits);
  close(ends[0]);
  close(ends[1]);
}

void check_sleep(void) {
  uint64_t late[kSleeps];
  MUST(pin(0), "sched_setaffinity");
  measure_sleeps(late);
  tell_sleeps("alone:", late, 2 * MILLISECONDS, 5 * MILLISECONDS);
  sleep_interrupted();
  sleep_in_other_calls();
  // Beside one that computes on the same hart: at once where the sleeper has real-time priority.
  struct Work* work = shared(sizeof *work);
  pid_t worker = start_worker(work, 0, 0);
  measure_sleeps(late);
  tell_sleeps("beside a busy process:", late, 2 * MILLISECONDS, 15 * MILLISECONDS);
  struct sched_param priority = {.sched_priority = 10};
  MUST(sched_setscheduler(0, SCHED_FIFO, &priority) == 0, "sched_setscheduler");
  measure_sleeps(late);
  tell_sleeps("with real-time priority:", late, MILLISECONDS, 2 * MILLISECONDS);
  kill_child(worker);
}
