// SPDX-License-Identifier: Apache-2.0
// Harts that are taken offline and come back, as `echo 0 > /sys/devices/system/cpu/cpu1/online` does it: who ran there
// goes on elsewhere, nobody else notices, and all that counts harts knows.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

enum { kRounds = 50, kHart = 1, kOther = 0, kSmallText = 4000, kWorkers = 3 };

static void set_online(int hart, bool online) {
  char path[64];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/online", hart);
  EXPECT(write_text(path, online ? "1" : "0"), "hart %d does not go %s: %s", hart, online ? "online" : "offline",
         error_text());
  char text[16];
  read_text(path, text, sizeof text);
  EXPECT(strcmp(text, online ? "1\n" : "0\n") == 0, "%s has %s after it was written", path, text);
}

static bool is_counted(int hart) {
  char text[kSmallText], line[16];
  read_text("/proc/stat", text, sizeof text);
  snprintf(line, sizeof line, "\ncpu%d ", hart);
  return strstr(text, line) != NULL;
}

static void expect_online(const char* list, int count) {
  char text[64];
  read_text("/sys/devices/system/cpu/online", text, sizeof text);
  EXPECT(strncmp(text, list, strlen(list)) == 0 && text[strlen(list)] == '\n', "online harts are %s, not %s", text,
         list);
  EXPECT(online_harts() == count, "sysconf() knows %d harts online, not %d", online_harts(), count);
}

// On which hart a process was last, by /proc.
static int hart_of(pid_t process) {
  char path[64], text[600];
  snprintf(path, sizeof path, "/proc/%d/stat", process);
  read_text(path, text, sizeof text);
  const char* at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 39; field++) at = strchr(at + 1, ' ');
  EXPECT(at != NULL, "%s has: %s", path, text);
  return atoi(at);
}

static void expect_on(pid_t process, int hart, const char* where) {
  int found = hart_of(process);
  EXPECT(found == hart, "%s: a process is on hart %d, not %d", where, found, hart);
}

static bool pin_process(pid_t process, int hart) {
  cpu_set_t harts;
  CPU_ZERO(&harts);
  CPU_SET((unsigned)hart, &harts);
  return sched_setaffinity(process, sizeof harts, &harts) == 0;
}

// Sleeps again and again on any hart, so that its timer is on one that goes.
static pid_t start_sleeper(volatile uint64_t* count) {
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child > 0) return child;
  for (;; *count = *count + 1) sleep_ns(700 * MICROSECONDS);
}

// Takes `hart` offline and brings it back; three that work and one that sleeps are there all the time.
static void rounds(int hart, int other, int count) {
  struct Work* work = shared(kWorkers * sizeof *work);
  volatile uint64_t* sleeps = shared(sizeof *sleeps);
  pid_t on_it = start_worker(&work[0], hart, 0), on_other = start_worker(&work[1], other, 0);
  pid_t anywhere = start_worker(&work[2], -1, 0), sleeper = start_sleeper(sleeps);
  char rest[8];
  snprintf(rest, sizeof rest, "%d", other);
  for (int round = 0; round < count; round++) {
    wait_for_work(work, kWorkers);
    expect_on(on_it, hart, "pinned");
    expect_on(on_other, other, "pinned");

    set_online(hart, false);
    expect_online(rest, 1);
    EXPECT(!is_counted(hart), "/proc/stat counts hart %d, which is offline", hart);
    EXPECT(!pin(hart) && errno == EINVAL, "a process can be pinned to hart %d, which is offline", hart);
    uint64_t slept = *sleeps;
    wait_for_work(work, kWorkers);
    while (*sleeps < slept + 3) sleep_ns(500 * MICROSECONDS);
    expect_on(on_it, other, "moved away");
    expect_on(on_other, other, "pinned");
    expect_on(anywhere, other, "where one hart is left");

    set_online(hart, true);
    expect_online("0-1", 2);
    EXPECT(is_counted(hart), "/proc/stat does not count hart %d, which is online again", hart);
    MUST(pin_process(on_it, hart), "sched_setaffinity");
    // It was running or waiting elsewhere, and the kernel moves it before the call returns or at once after.
    wait_for_work(&work[0], 1);
    expect_on(on_it, hart, "pinned again");
    // A system call of ours on that hart as well, with its own timer.
    MUST(pin(hart), "sched_setaffinity");
    unsigned now_on;
    MUST(syscall(SYS_getcpu, &now_on, NULL, NULL) == 0, "getcpu");
    EXPECT((int)now_on == hart, "a process pinned to hart %d runs on hart %u", hart, now_on);
    sleep_ns(MILLISECONDS);
    MUST(pin(other), "sched_setaffinity");
  }
  const pid_t workers[kWorkers] = {on_it, on_other, anywhere};
  for (unsigned i = 0; i < kWorkers; i++) {
    kill(workers[i], SIGSTOP);
    wait_status(workers[i], WUNTRACED);
  }
  for (unsigned i = 0; i < kWorkers; i++) {
    check_work(&work[i], "while harts went and came");
    kill_child(workers[i]);
  }
  kill_child(sleeper);
}

void check_hotplug(void) {
  expect_online("0-1", 2);
  rounds(kHart, kOther, kRounds);
  figures("hart 1 %d times offline and online", kRounds);
  if (access("/sys/devices/system/cpu/cpu0/online", W_OK) == 0) {
    rounds(kOther, kHart, kRounds / 5);
    figures(", hart 0 %d times", kRounds / 5);
  }
  // While everything sleeps, too.
  for (int i = 0; i < 10; i++) {
    set_online(kHart, false);
    sleep_ns(20 * MILLISECONDS);
    set_online(kHart, true);
    sleep_ns(20 * MILLISECONDS);
  }
  expect_online("0-1", 2);
  figures(", idle ones 10 times");
}
