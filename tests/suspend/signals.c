// SPDX-License-Identifier: Apache-2.0
// SIGSTOP and SIGCONT, seen by the parent and by what is stopped; SIGALRM of alarm() and setitimer(), in hot loops and
// in blocking calls.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

// ---- stop ----

enum { kThreads = 3, kStops = 15 };

struct Team {
  struct Work work[kThreads];
  volatile uint64_t signals;
};
static struct Team* team;

static void count_signal(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  team->signals++;
}

static void* work_in_thread(void* work) { work_on(work); }

static pid_t start_team(void) {
  team = shared(sizeof *team);
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child > 0) return child;
  handle(SIGUSR1, count_signal, SA_RESTART);
  for (unsigned i = 1; i < kThreads; i++) {
    pthread_t thread;
    errno = pthread_create(&thread, NULL, work_in_thread, &team->work[i]);
    MUST(errno == 0, "pthread_create");
  }
  work_on(&team->work[0]);
}

static void stop(pid_t child, int signal) {
  MUST(kill(child, signal) == 0, "kill");
  int status = wait_status(child, WUNTRACED);
  EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == signal, "after signal %d a child's status is %#x", signal,
         (unsigned)status);
}

static void resume(pid_t child) {
  MUST(kill(child, SIGCONT) == 0, "kill");
  int status = wait_status(child, WCONTINUED);
  EXPECT(WIFCONTINUED(status), "after SIGCONT a child's status is %#x", (unsigned)status);
}

static void expect_nothing_new(pid_t child) {
  int status;
  pid_t found = waitpid(child, &status, WNOHANG | WUNTRACED | WCONTINUED);
  EXPECT(found == 0, "waitpid tells the same stop or resumption twice: %d, status %#x", found, (unsigned)status);
}

// Stopped, a process of three threads does nothing, takes no time and gets no signal; then it goes on as if nothing
// had been.
static void stop_what_computes(void) {
  const int signals[] = {SIGSTOP, SIGTSTP, SIGTTIN};
  pid_t child = start_team();
  for (unsigned round = 0; round < kStops; round++) {
    wait_for_work(team->work, kThreads);
    stop(child, signals[round % 3]);
    char state = state_of(child);
    EXPECT(state == 'T', "a stopped process has state %c", state);
    struct Team before = *team;
    uint64_t time = process_ns(child);
    MUST(kill(child, SIGUSR1) == 0, "kill");
    sleep_ns((1 + round) * MILLISECONDS);
    expect_nothing_new(child);
    EXPECT(memcmp(&before, team, sizeof before) == 0, "a stopped process goes on, or gets a signal");
    uint64_t taken = process_ns(child) - time;
    EXPECT(taken == 0, "a stopped process takes %llu ns", (unsigned long long)taken);
    resume(child);
    expect_nothing_new(child);
    while (team->signals != round + 1) sleep_ns(200 * MICROSECONDS);
  }
  wait_for_work(team->work, kThreads);
  stop(child, SIGSTOP);
  uint64_t steps = 0;
  for (unsigned i = 0; i < kThreads; i++) {
    check_work(&team->work[i], "stopped and resumed");
    steps += team->work[i].count;
  }
  kill_child(child);  // a stopped one
  figures("%d stops of %d threads, %llu steps;", kStops, kThreads, (unsigned long long)steps);
}

// A stop in a blocking call: the call is not over early, and not over while the process is stopped.
static void stop_what_sleeps(void) {
  volatile uint64_t* ended = shared(sizeof *ended);
  uint64_t begin = now_ns();
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    struct timespec time = timespec_of(400 * MILLISECONDS);
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    EXPECT(error == 0, "a sleep with a stop in it fails: %s", strerror(error));
    *ended = now_ns();
    _exit(7);
  }
  while (state_of(child) != 'S') sleep_ns(200 * MICROSECONDS);
  stop(child, SIGSTOP);
  sleep_ns(20 * MILLISECONDS);
  EXPECT(*ended == 0, "a stopped process ends its sleep");
  resume(child);
  int status = wait_status(child, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7, "a child ends with status %#x", (unsigned)status);
  EXPECT(*ended - begin >= 400 * MILLISECONDS, "a sleep of 400 ms with a stop in it takes %.2f ms",
         (double)(*ended - begin) / 1e6);

  // This one is to wake while it is stopped.
  *ended = 0;
  child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    struct timespec time = timespec_of(300 * MILLISECONDS);
    MUST(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == 0, "clock_nanosleep");
    *ended = now_ns();
    _exit(8);
  }
  while (state_of(child) != 'S') sleep_ns(200 * MICROSECONDS);
  stop(child, SIGSTOP);
  sleep_ns(350 * MILLISECONDS);
  EXPECT(*ended == 0, "a stopped process ends its sleep");
  uint64_t resumed = now_ns();
  MUST(kill(child, SIGCONT) == 0, "kill");  // its end can come before the resumption is waited for
  status = wait_status(child, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 8, "a child ends with status %#x", (unsigned)status);
  EXPECT(*ended >= resumed, "a stopped process ends its sleep");
  EXPECT_TIME(*ended - resumed < 5 * MILLISECONDS, "an overdue sleep ends %.2f ms after SIGCONT",
              (double)(*ended - resumed) / 1e6);
  figures(" sleeps and stops");
}

void check_stop(void) {
  stop_what_computes();
  stop_what_sleeps();
}

// ---- alarm ----

static volatile uint64_t alarms, alarm_time;

static void note_alarm(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  alarm_time = now_ns();
  alarms = alarms + 1;
}

static void arm(int which, uint64_t first, uint64_t interval) {
  struct itimerval timer = {
      .it_interval = {.tv_sec = (time_t)(interval / SECONDS), .tv_usec = (suseconds_t)(interval % SECONDS / 1000)},
      .it_value = {.tv_sec = (time_t)(first / SECONDS), .tv_usec = (suseconds_t)(first % SECONDS / 1000)}};
  MUST(setitimer(which, &timer, NULL) == 0, "setitimer");
}

// In a loop that calls nothing, so that only an interrupt can end it.
static void alarm_a_loop(void) {
  enum { kTimes = 40 };
  uint64_t late[kTimes];
  handle(SIGALRM, note_alarm, 0);
  for (unsigned i = 0; i < kTimes; i++) {
    uint64_t asked = (300 + 211 * i) * MICROSECONDS;
    alarms = 0;
    uint64_t begin = now_ns();
    arm(ITIMER_REAL, asked, 0);
    while (alarms == 0) {
    }
    uint64_t taken = alarm_time - begin;
    EXPECT(taken >= asked, "SIGALRM comes after %.3f ms of %.3f", (double)taken / 1e6, (double)asked / 1e6);
    EXPECT(alarms == 1, "%llu signals of one timer", (unsigned long long)alarms);
    late[i] = taken - asked;
  }
  qsort(late, kTimes, sizeof late[0], compare_u64);
  EXPECT_TIME(late[kTimes - 1] < 2 * MILLISECONDS, "SIGALRM in a loop is %.3f ms late", (double)late[kTimes - 1] / 1e6);
  figures("SIGALRM in a loop late by %.3f ms, at most %.3f;", (double)late[kTimes / 2] / 1e6,
          (double)late[kTimes - 1] / 1e6);
}

static void alarm_again_and_again(void) {
  enum { kTimes = 100 };
  const uint64_t interval = 2 * MILLISECONDS;
  alarms = 0;
  uint64_t begin = now_ns();
  arm(ITIMER_REAL, interval, interval);
  while (alarms < kTimes) {
  }
  uint64_t taken = now_ns() - begin;
  arm(ITIMER_REAL, 0, 0);
  uint64_t count = alarms;
  sleep_ns(5 * MILLISECONDS);
  EXPECT(alarms == count, "a disarmed timer sends SIGALRM");
  EXPECT(taken >= kTimes * interval, "%d alarms every 2 ms come in %.2f ms", kTimes, (double)taken / 1e6);
  EXPECT_TIME(taken < kTimes * interval + 2 * MILLISECONDS, "%d alarms every 2 ms come in %.2f ms", kTimes,
              (double)taken / 1e6);
  figures(" %d every 2 ms in %.2f ms;", kTimes, (double)taken / 1e6);
}

// What is interrupted computes the same.
static void alarm_what_computes(void) {
  struct Work* work = shared(sizeof *work);
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    alarms = 0;
    arm(ITIMER_REAL, 200 * MICROSECONDS, 200 * MICROSECONDS);
    work_on(work);
  }
  sleep_ns(100 * MILLISECONDS);
  while (work->count < 100000) sleep_ns(MILLISECONDS);
  kill(child, SIGSTOP);
  wait_status(child, WUNTRACED);
  check_work(work, "interrupted by alarms");
  kill_child(child);
}

static void alarm_seconds(void) {
  handle(SIGALRM, note_alarm, 0);
  alarms = 0;
  unsigned left = alarm(100);
  EXPECT(left == 0, "the first alarm() returns %u", left);
  left = alarm(50);
  EXPECT(left <= 100 && left > 90, "alarm() returns %u of 100 s", left);
  left = alarm(0);
  EXPECT(left <= 50 && left > 40, "alarm(0) returns %u of 50 s", left);
  struct itimerval timer;
  MUST(getitimer(ITIMER_REAL, &timer) == 0, "getitimer");
  EXPECT(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0, "a timer goes on after alarm(0)");
  sigset_t mask, none;
  sigemptyset(&none);
  sigemptyset(&mask);
  sigaddset(&mask, SIGALRM);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  uint64_t begin = now_ns();
  alarm(1);
  int result = sigsuspend(&none);
  EXPECT(result == -1 && errno == EINTR && alarms == 1, "sigsuspend() returns %d: %s, after %llu signals", result,
         error_text(), (unsigned long long)alarms);
  uint64_t taken = now_ns() - begin;
  EXPECT(taken >= SECONDS, "alarm(1) comes after %.3f s", (double)taken / 1e9);
  EXPECT_TIME(taken < SECONDS + 10 * MILLISECONDS, "alarm(1) comes after %.3f s", (double)taken / 1e9);
  figures(" alarm(1) after %.4f s", (double)taken / 1e9);
}

static void alarm_what_blocks(void) {
  int ends[2];
  char byte = 0;
  MUST(pipe(ends) == 0, "pipe");
  handle(SIGALRM, note_alarm, 0);
  alarms = 0;
  // Periodic: the first one can come before the call.
  arm(ITIMER_REAL, 5 * MILLISECONDS, 5 * MILLISECONDS);
  ssize_t got = read(ends[0], &byte, 1);
  int error = errno;
  arm(ITIMER_REAL, 0, 0);
  errno = error;
  EXPECT(got == -1 && errno == EINTR && alarms > 0, "a read that SIGALRM interrupts returns %zd: %s, %llu signals", got,
         error_text(), (unsigned long long)alarms);
  // With SA_RESTART the read goes on, until somebody writes.
  handle(SIGALRM, note_alarm, SA_RESTART);
  alarms = 0;
  arm(ITIMER_REAL, 5 * MILLISECONDS, 5 * MILLISECONDS);
  pid_t child = fork();  // has no timer
  MUST(child >= 0, "fork");
  if (child == 0) {
    sleep_ns(30 * MILLISECONDS);
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  got = read(ends[0], &byte, 1);
  arm(ITIMER_REAL, 0, 0);
  EXPECT(got == 1 && byte == 'x' && alarms > 0, "a read with SA_RESTART returns %zd, after %llu signals", got,
         (unsigned long long)alarms);
  EXPECT(wait_status(child, 0) == 0, "a child fails");
  close(ends[0]);
  close(ends[1]);

  // With no handler it ends who gets it.
  child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    signal(SIGALRM, SIG_DFL);
    arm(ITIMER_REAL, 3 * MILLISECONDS, 0);
    for (;;) {
    }
  }
  int status = wait_status(child, 0);
  EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM, "SIGALRM ends a child with status %#x", (unsigned)status);
}

// Timers of processor time, which run in ticks of the scheduler: these stand still in a sleep.
static void alarm_of_processor_time(void) {
  handle(SIGVTALRM, note_alarm, 0);
  alarms = 0;
  uint64_t begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  arm(ITIMER_VIRTUAL, 30 * MILLISECONDS, 0);
  sleep_ns(60 * MILLISECONDS);
  EXPECT_TIME(alarms == 0, "SIGVTALRM comes in a sleep");
  while (alarms == 0) {
  }
  uint64_t taken = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin;
  EXPECT_TIME(taken >= 15 * MILLISECONDS && taken < 60 * MILLISECONDS,
              "SIGVTALRM of 30 ms comes after %.2f ms of processor time", (double)taken / 1e6);
}

void check_alarm(void) {
  alarm_a_loop();
  alarm_again_and_again();
  alarm_what_computes();
  alarm_what_blocks();
  alarm_of_processor_time();
  alarm_seconds();
}
