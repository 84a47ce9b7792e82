// SPDX-License-Identifier: Apache-2.0
// What the scheduler makes of timer interrupts: shares of one hart between processes that never call it, by weight;
// and of processes that block: a hart that is idle.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

// ---- shares and nice ----

enum { kMostWorkers = 10 };
static const uint64_t kTurn = 10 * MILLISECONDS;  // the kernel's tick

struct Group {
  unsigned count;
  pid_t process[kMostWorkers];
  struct Work* work;  // of each
  uint64_t steps[kMostWorkers], time[kMostWorkers];
};

static void start_group(struct Group* group, unsigned count, const int nice_values[]) {
  group->count = count;
  group->work = shared(count * sizeof *group->work);
  for (unsigned i = 0; i < count; i++) group->process[i] = start_worker(&group->work[i], 0, nice_values[i]);
  wait_for_work(group->work, count);
}

// Adds to each one's steps and time what they are now, or takes it away; `kLooks` times, a turn of the scheduler apart.
enum { kLooks = 10 };
static void look_at_group(struct Group* group, uint64_t first, bool add) {
  for (unsigned look = 0; look < kLooks; look++) {
    sleep_until(first + look * kTurn);
    for (unsigned i = 0; i < group->count; i++) {
      uint64_t steps = group->work[i].count, time = process_ns(group->process[i]);
      group->steps[i] += add ? steps : -steps;
      group->time[i] += add ? time : -time;
    }
  }
}

// What each does in this time, steps and processor time as the kernel counts it: in the mean of ten spans of this
// length that begin one after the other, so that it does not matter much whose turn it is when one begins or ends.
static void measure_group(struct Group* group, uint64_t ns) {
  uint64_t begin = now_ns();
  for (unsigned i = 0; i < group->count; i++) group->steps[i] = group->time[i] = 0;
  look_at_group(group, begin, false);
  look_at_group(group, begin + ns, true);
  for (unsigned i = 0; i < group->count; i++) {
    group->steps[i] /= kLooks;
    group->time[i] /= kLooks;
    EXPECT(group->steps[i] > 0 && group->time[i] > 0, "process %u of %u gets nothing", i + 1, group->count);
  }
}

// Stopped, each has computed what its count says, however often it was switched away.
static void end_group(struct Group* group) {
  for (unsigned i = 0; i < group->count; i++) {
    kill(group->process[i], SIGSTOP);
    wait_status(group->process[i], WUNTRACED);
  }
  for (unsigned i = 0; i < group->count; i++) {
    char path[64], text[2000];
    snprintf(path, sizeof path, "/proc/%d/status", group->process[i]);
    read_text(path, text, sizeof text);
    const char* switches = strstr(text, "nonvoluntary_ctxt_switches:");
    EXPECT(switches != NULL && atoi(strchr(switches, ':') + 1) > 3, "a process was not preempted: %s",
           switches != NULL ? switches : text);
  }
  check_work(&group->work[1], "switched away and back");
  for (unsigned i = 0; i < group->count; i++) kill_child(group->process[i]);
}

void check_shares(void) {
  const int nice_values[kMostWorkers] = {0};
  struct Group group;
  MUST(pin(0), "sched_setaffinity");
  start_group(&group, kMostWorkers, nice_values);
  measure_group(&group, exact ? 6 * SECONDS : 3 * SECONDS);
  uint64_t steps = 0, time = 0;
  for (unsigned i = 0; i < kMostWorkers; i++) {
    steps += group.steps[i];
    time += group.time[i];
  }
  double least[2] = {1e9, 1e9}, most[2] = {0, 0};
  for (unsigned i = 0; i < kMostWorkers; i++) {
    double share[2] = {100.0 * kMostWorkers * (double)group.steps[i] / (double)steps,
                       100.0 * kMostWorkers * (double)group.time[i] / (double)time};
    for (unsigned which = 0; which < 2; which++) {
      if (share[which] < least[which]) least[which] = share[which];
      if (share[which] > most[which]) most[which] = share[which];
    }
  }
  figures("%d processes on a hart get %.2f to %.2f %% of an equal share of its work, %.2f to %.2f %% of its time",
          kMostWorkers, least[0], most[0], least[1], most[1]);
  EXPECT_TIME(least[0] >= 99 && most[0] <= 101, "%d equal processes get %.2f to %.2f %% of an equal share of the work",
              kMostWorkers, least[0], most[0]);
  EXPECT_TIME(least[1] >= 99 && most[1] <= 101, "%d equal processes get %.2f to %.2f %% of an equal share of the time",
              kMostWorkers, least[1], most[1]);
  end_group(&group);
}

void check_nice(void) {
  // The kernel's weights of nice values, sched_prio_to_weight.
  enum { kCount = 3 };
  const int nice_values[kCount] = {0, 5, 10};
  const double weights[kCount] = {1024, 335, 110};
  struct Group group;
  MUST(pin(0), "sched_setaffinity");
  start_group(&group, kCount, nice_values);
  for (unsigned i = 0; i < kCount; i++) {
    errno = 0;
    int value = getpriority(PRIO_PROCESS, (id_t)group.process[i]);
    EXPECT(errno == 0 && value == nice_values[i], "nice value %d is %d", nice_values[i], value);
  }
  measure_group(&group, exact ? 3 * SECONDS : 2 * SECONDS);
  for (unsigned i = 1; i < kCount; i++) {
    double ratio = (double)group.steps[0] / (double)group.steps[i], expected = weights[0] / weights[i];
    figures("nice 0 to %d: %.2f of %.2f; ", nice_values[i], ratio, expected);
    EXPECT_TIME(ratio > expected * 0.92 && ratio < expected * 1.08,
                "a process of nice 0 gets %.2f times what one of nice %d gets, not %.2f", ratio, nice_values[i],
                expected);
  }
  // The other way round from now on.
  for (unsigned i = 0; i < kCount; i++) {
    MUST(setpriority(PRIO_PROCESS, (id_t)group.process[i], nice_values[kCount - 1 - i] - 5) == 0, "setpriority");
  }
  measure_group(&group, SECONDS);
  double ratio = (double)group.steps[2] / (double)group.steps[0];
  figures("changed to 5 and -5: 1 to %.2f", ratio);
  EXPECT_TIME(ratio > weights[0] / weights[2] * 0.75 && ratio < weights[0] / weights[2] * 1.25,
              "a process of nice -5 gets %.2f times what one of nice 5 gets", ratio);
  end_group(&group);
}

// ---- blocking ----

static const uint64_t kBlocked = 300 * MILLISECONDS;

// What the blocked process and the one that wakes it share.
static int to_waiter[2], sockets[2], event_file, lock_file, queue_file;
static volatile uint32_t* word;

static long futex(volatile uint32_t* address, int operation, uint32_t value) {
  return syscall(SYS_futex, address, operation, value, NULL, NULL, 0);
}

static void wait_read(void) {
  char byte = 0;
  ssize_t got = read(to_waiter[0], &byte, 1);
  EXPECT(got == 1 && byte == 'p', "a read of a pipe returns %zd", got);
}
static void wake_pipe(void) { MUST(write(to_waiter[1], "p", 1) == 1, "write"); }

static void wait_full_pipe(void) {
  static char block[4096];
  // As many as it takes until it is full, and one more, for which there is room only when somebody has read.
  for (unsigned i = 0; i < 17; i++) MUST(write(to_waiter[1], block, sizeof block) == sizeof block, "write");
}
static void wake_full_pipe(void) {
  static char block[4096];
  for (unsigned i = 0; i < 17; i++) {
    for (size_t got = 0; got < sizeof block;) {
      ssize_t part = read(to_waiter[0], block, sizeof block - got);
      MUST(part > 0, "read");
      got += (size_t)part;
    }
  }
}

static void wait_futex(void) {
  while (*word == 0) {
    long result = futex(word, FUTEX_WAIT, 0);
    EXPECT(result == 0 || errno == EAGAIN, "FUTEX_WAIT fails: %s", error_text());
  }
}
static void wake_futex(void) {
  *word = 1;
  long woken = futex(word, FUTEX_WAKE, 1);
  EXPECT(woken == 1, "FUTEX_WAKE wakes %ld", woken);
}

static void wait_poll(void) {
  struct pollfd files[2] = {{.fd = to_waiter[0], .events = POLLIN}, {.fd = sockets[0], .events = POLLIN}};
  int ready = poll(files, 2, -1);
  EXPECT(ready == 1 && files[0].revents == POLLIN && files[1].revents == 0, "poll() returns %d, events %#x and %#x",
         ready, (unsigned)files[0].revents, (unsigned)files[1].revents);
  wait_read();
}

static void wait_epoll(void) {
  int waits = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 77}};
  MUST(waits >= 0 && epoll_ctl(waits, EPOLL_CTL_ADD, event_file, &event) == 0, "epoll_ctl");
  int ready = epoll_wait(waits, &event, 1, -1);
  uint64_t value = 0;
  MUST(read(event_file, &value, sizeof value) == sizeof value, "read");
  EXPECT(ready == 1 && event.data.u64 == 77 && value == 5, "epoll_wait() returns %d; the event has %llu", ready,
         (unsigned long long)value);
  close(waits);
}
static void wake_event(void) {
  uint64_t value = 5;
  MUST(write(event_file, &value, sizeof value) == sizeof value, "write");
}

static void wait_socket(void) {
  char text[8] = "";
  ssize_t got = recv(sockets[0], text, sizeof text, 0);
  EXPECT(got == 4 && memcmp(text, "here", 4) == 0, "recv() returns %zd", got);
}
static void wake_socket(void) { MUST(send(sockets[1], "here", 4, 0) == 4, "send"); }

static void wait_signal(void) {
  sigset_t set;
  siginfo_t info;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  int signal = sigwaitinfo(&set, &info);
  EXPECT(signal == SIGUSR2, "sigwaitinfo() returns %d", signal);
}

static void wait_lock(void) {
  // Its own open file, which does not share the lock that the waker's has.
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", lock_file);
  FILE* own = fopen(path, "r");
  MUST(own != NULL, "fopen");
  MUST(flock(fileno(own), LOCK_EX) == 0, "flock");
  fclose(own);
}
static void wake_lock(void) { MUST(flock(lock_file, LOCK_UN) == 0, "flock"); }

static void wait_sleep(void) {
  struct timespec time = timespec_of(kBlocked);
  MUST(nanosleep(&time, NULL) == 0, "nanosleep");
}

static void wait_child(void) {
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    wait_read();
    _exit(3);
  }
  int status = wait_status(child, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 3, "a child ends with status %#x", (unsigned)status);
}

static void wait_queue(void) {
  char text[16] = "";
  ssize_t got = mq_receive(queue_file, text, sizeof text, NULL);
  EXPECT(got == 6 && memcmp(text, "queued", 6) == 0, "mq_receive() returns %zd: %s", got, error_text());
}
static void wake_queue(void) { MUST(mq_send(queue_file, "queued", 6, 0) == 0, "mq_send"); }

static void wait_busy(void) {
  for (uint64_t end = now_ns() + kBlocked; now_ns() < end;) {
  }
}

// No `wake`: it ends by itself. SIGUSR2 is sent where the name says so.
static const struct Blocking {
  const char* name;
  void (*wait)(void);
  void (*wake)(void);
} kBlocking[] = {
    {"read", wait_read, wake_pipe},     {"write", wait_full_pipe, wake_full_pipe}, {"futex", wait_futex, wake_futex},
    {"poll", wait_poll, wake_pipe},     {"epoll_wait", wait_epoll, wake_event},    {"recv", wait_socket, wake_socket},
    {"sigwaitinfo", wait_signal, NULL}, {"flock", wait_lock, wake_lock},           {"nanosleep", wait_sleep, NULL},
    {"waitpid", wait_child, wake_pipe}, {"mq_receive", wait_queue, wake_queue},
};
enum { kBlockingCount = sizeof kBlocking / sizeof kBlocking[0] };

// Idle time of hart 0 since the start, by /proc/stat: in ticks of 10 ms.
static uint64_t idle_ns(void) {
  static char text[8000];
  read_text("/proc/stat", text, sizeof text);
  const char* line = strstr(text, "\ncpu0 ");
  unsigned long long user, nice_time, kernel, idle, waiting;
  EXPECT(
      line != NULL && sscanf(line, " cpu0 %llu %llu %llu %llu %llu", &user, &nice_time, &kernel, &idle, &waiting) == 5,
      "no cpu0 in /proc/stat");
  return (idle + waiting) * (SECONDS / (uint64_t)sysconf(_SC_CLK_TCK));
}

struct Measured {
  double idle;    // of the time that it was blocked, in percent
  uint64_t time;  // processor time of the blocked process, in ns
};

static struct Measured measure_blocking(const struct Blocking* way) {
  volatile uint64_t* times = shared(2 * sizeof *times);  // of the child: processor time before and after
  *word = 0;
  if (way->wake == wake_lock) MUST(flock(lock_file, LOCK_EX) == 0, "flock");
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) {
    times[0] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    way->wait();
    times[1] = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    _exit(0);
  }
  uint64_t begin = now_ns(), idle = idle_ns();
  if (way->wait == wait_sleep || way->wait == wait_busy) {
    sleep_ns(kBlocked - 20 * MILLISECONDS);
  } else {
    sleep_ns(kBlocked);
    char state = state_of(child);
    EXPECT(state == 'S' && times[1] == 0, "%s: a blocked process has state %c", way->name, state);
  }
  struct Measured measured = {.idle = 100.0 * (double)(idle_ns() - idle) / (double)(now_ns() - begin)};
  if (way->wake != NULL) way->wake();
  if (way->wait == wait_signal) kill(child, SIGUSR2);
  int status = wait_status(child, 0);
  EXPECT(status == 0, "%s: its process ends with status %#x", way->name, (unsigned)status);
  measured.time = times[1] - times[0];
  return measured;
}

static void open_all(void) {
  MUST(pipe(to_waiter) == 0, "pipe");
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
  event_file = eventfd(0, 0);
  MUST(event_file >= 0, "eventfd");
  FILE* file = tmpfile();
  MUST(file != NULL, "tmpfile");
  lock_file = fileno(file);
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
  queue_file = mq_open("/hartwood-suspend", O_RDWR | O_CREAT, 0600, &attributes);
  MUST(queue_file >= 0, "mq_open");
  mq_unlink("/hartwood-suspend");
  word = shared(sizeof *word);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  sigprocmask(SIG_BLOCK, &signals, NULL);
}

void check_blocking(void) {
  // In wall time the host can be away for most of a measurement, but hardly for most of each of these.
  const unsigned tries = exact ? 1 : 6;
  const double least_idle = exact ? 90 : 50;
  const uint64_t most_time = exact ? 2 * MILLISECONDS : kBlocked / 2;
  MUST(pin(0), "sched_setaffinity");
  open_all();
  double least = 100;
  for (unsigned i = 0; i < kBlockingCount; i++) {
    struct Measured measured = {0};
    for (unsigned number = 0; number < tries; number++) {
      measured = measure_blocking(&kBlocking[i]);
      if (measured.idle >= least_idle && measured.time <= most_time) break;
    }
    EXPECT(measured.idle >= least_idle, "%s: the hart is idle for %.1f %% of the time", kBlocking[i].name,
           measured.idle);
    EXPECT(measured.time <= most_time, "%s: takes %.2f ms of processor time", kBlocking[i].name,
           (double)measured.time / 1e6);
    if (measured.idle < least) least = measured.idle;
  }
  // What does not block is seen.
  const struct Blocking busy = {"a loop", wait_busy, NULL};
  struct Measured measured = measure_blocking(&busy);
  EXPECT(measured.idle < 10, "a hart that computes is idle for %.1f %% of the time", measured.idle);
  figures("%d ways to block: the hart idle for %.1f %% of the time or more; a loop: %.1f %%", kBlockingCount, least,
          measured.idle);
}
