// SPDX-License-Identifier: Apache-2.0
// A stress program for the guest: it shows a machine wrong that executes stale code, loses a register or a flag at a
// switch, or breaks memory's order. Linux on riscv64, two harts or more; root for some of it.
//
//   stress NAME SECONDS [SEED]   one sub-test
//   stress all SECONDS [SEED]    every one by itself with integer kernels beside it, then all at the same time
//   stress                       prints the names
//
// Prints "stress NAME ok ROUNDS" or "stress NAME WRONG ..." for each ("together/NAME" where all run at once), and at
// last "stress passed N" or "stress failed". A sub-test that does not end is killed and told with what its threads are
// in.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stress.h"

static const struct Test {
  const char* name;
  void (*run)(void);
} kTests[] = {
    {"kernels", test_kernels}, {"exec", test_exec},     {"fork", test_fork},         {"remap", test_remap},
    {"protect", test_protect}, {"timer", test_timer},   {"longjmp", test_longjmp},   {"ucontext", test_ucontext},
    {"mutex", test_mutex},     {"atomic", test_atomic}, {"deep", test_deep},         {"patch", test_patch},
    {"caller", test_caller},   {"alias", test_alias},   {"filecode", test_filecode}, {"dlopen", test_dlopen},
    {"float", test_float},     {"flags", test_flags},   {"faults", test_faults},     {"pipe", test_pipe},
    {"files", test_files},
};
enum { kTestCount = sizeof kTests / sizeof kTests[0], kPatienceSeconds = 60 };

struct Report* report;
uint64_t random_seed = 1;
const char* program_path = "/proc/self/exe";
static uint64_t end_microseconds;
static bool started;

// ---- what sub-tests call ----

uint64_t now_microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool time_is_over(void) { return now_microseconds() >= end_microseconds; }

bool more(void) {
  if (started) report->rounds++;
  bool first = !started;
  started = true;
  return first || !time_is_over();
}

void stage(const char* literal, uint64_t first, uint64_t second) {
  report->stage = literal;
  report->stage_numbers[0] = first;
  report->stage_numbers[1] = second;
}

void wrong(const char* format, ...) {
  if (!__atomic_exchange_n(&report->claimed, 1, __ATOMIC_ACQ_REL)) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->message, sizeof report->message, format, arguments);
    va_end(arguments);
    __atomic_store_n(&report->written, 1, __ATOMIC_RELEASE);
  }
  // Another thread that is just writing its message must not be ended by this one's end.
  const struct timespec pause = {.tv_nsec = 1000000};
  for (unsigned i = 0; i < 2000 && !__atomic_load_n(&report->written, __ATOMIC_ACQUIRE); i++) nanosleep(&pause, NULL);
  _exit(kWrongExit);
}

const char* error_text(void) { return strerror(errno); }

uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
  return x ^ x >> 32;
}

unsigned online_harts(void) {
  static unsigned count;
  if (count == 0) count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? count : 1;
}

void pin(unsigned number) {
  cpu_set_t harts;
  CPU_ZERO(&harts);
  CPU_SET(number % online_harts(), &harts);
  MUST(sched_setaffinity(0, sizeof harts, &harts) == 0, "sched_setaffinity");
}

int exit_code_of(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) != child) MUST(errno == EINTR, "waitpid");
  EXPECT(WIFEXITED(status), "a child ended with signal %d", WTERMSIG(status));
  return WEXITSTATUS(status);
}

void start_thread(unsigned long* thread, ThreadBody body, void* argument) {
  errno = pthread_create(thread, NULL, body, argument);
  MUST(errno == 0, "pthread_create");
}

void join_thread(unsigned long thread) {
  errno = pthread_join(thread, NULL);
  MUST(errno == 0, "pthread_join");
}

void handle(int signal, void (*handler)(int, void*, void*), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = (void (*)(int, siginfo_t*, void*))handler;
  action.sa_flags = SA_SIGINFO | flags;
  MUST(sigaction(signal, &action, NULL) == 0, "sigaction");
}

// ---- running them ----

static void crashed(int signal, void* info, void* context) {
  const ucontext_t* at = context;
  uint64_t pc = (uint64_t)at->uc_mcontext.__gregs[0], address = (uint64_t)((siginfo_t*)info)->si_addr;
  unsigned instruction = signal == SIGILL ? *(uint16_t*)pc | (unsigned)*(uint16_t*)(pc + 2) << 16 : 0;
  wrong("signal %d, code %d, pc %#llx, ra %#llx, address %#llx, instruction %#x", signal, ((siginfo_t*)info)->si_code,
        (unsigned long long)pc, (unsigned long long)at->uc_mcontext.__gregs[1], (unsigned long long)address,
        instruction);
}

struct Running {
  const struct Test* test;
  const char* prefix;
  pid_t process;
  uint64_t give_up;
  struct Report* report;
};

static unsigned passed, failed;

static void say(const char* format, ...) {
  char line[700];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length >= (int)sizeof line) length = sizeof line - 1;
  for (int at = 0; at < length;) {
    ssize_t done = write(1, line + at, (size_t)(length - at));
    if (done <= 0) _exit(2);
    at += (int)done;
  }
}

static struct Running start(const struct Test* test, const char* prefix, uint64_t microseconds) {
  struct Running running = {.test = test, .prefix = prefix};
  running.report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (running.report == MAP_FAILED) exit(2);
  running.report->stage = "start";
  running.give_up = now_microseconds() + microseconds + kPatienceSeconds * 1000000ull;
  running.process = fork();
  if (running.process < 0) exit(2);
  if (running.process > 0) {
    setpgid(running.process, running.process);
    return running;
  }
  setpgid(0, 0);
  report = running.report;
  end_microseconds = now_microseconds() + microseconds;
  static uint8_t stack[32768];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGTRAP};
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) handle(signals[i], crashed, SA_ONSTACK);
  test->run();
  _exit(0);
}

// One line for each thread of the process group: where it waits, or that it runs.
static void tell_threads(pid_t group) {
  DIR* processes = opendir("/proc");
  for (struct dirent* entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
    pid_t process = atoi(entry->d_name);
    if (process <= 0 || getpgid(process) != group) continue;
    char path[100], text[200];
    snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR* tasks = opendir(path);
    for (struct dirent* task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
      if (task->d_name[0] == '.') continue;
      snprintf(path, sizeof path, "/proc/%d/task/%.20s/syscall", process, task->d_name);
      int file = open(path, O_RDONLY);
      ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
      if (file >= 0) close(file);
      text[length > 0 ? length : 0] = 0;
      text[strcspn(text, "\n")] = 0;
      say("  process %d thread %.20s: system call %s\n", process, task->d_name, text);
    }
    if (tasks != NULL) closedir(tasks);
  }
  if (processes != NULL) closedir(processes);
}

// Whether the sub-test has ended; if so, or if it has to be ended, its line is printed.
static bool ended(struct Running* running) {
  int status;
  const struct Report* its = running->report;
  pid_t found = waitpid(running->process, &status, WNOHANG);
  bool hangs = found == 0 && now_microseconds() > running->give_up;
  if (found == 0 && !hangs) return false;
  char where[120] = "start";
  if (its->stage != NULL) {
    snprintf(where, sizeof where, "%s %llu %llu", its->stage, (unsigned long long)its->stage_numbers[0],
             (unsigned long long)its->stage_numbers[1]);
  }
  const char *prefix = running->prefix, *name = running->test->name;
  unsigned long long rounds = its->rounds;
  if (hangs) {
    tell_threads(running->process);
    say("stress %s%s WRONG in round %llu at %s: does not end\n", prefix, name, rounds, where);
  } else if (its->written) {
    say("stress %s%s WRONG in round %llu at %s: %s\n", prefix, name, rounds, where, its->message);
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    say("stress %s%s WRONG in round %llu at %s: wait status %#x\n", prefix, name, rounds, where, status);
  } else if (rounds == 0) {
    say("stress %s%s WRONG: no round was done\n", prefix, name);
  } else {
    say("stress %s%s ok %llu\n", prefix, name, rounds);
    passed++;
    failed--;
  }
  failed++;
  kill(-running->process, SIGKILL);  // what it has left behind, if it failed
  if (hangs) waitpid(running->process, &status, 0);
  munmap(running->report, sizeof *running->report);
  return true;
}

static void finish(struct Running* running, unsigned count) {
  const struct timespec pause = {.tv_nsec = 20000000};
  for (unsigned left = count; left > 0;) {
    for (unsigned i = 0; i < count; i++) {
      if (running[i].process == 0 || !ended(&running[i])) continue;
      running[i].process = 0;
      left--;
    }
    if (left > 0) nanosleep(&pause, NULL);
  }
}

static void run_all(uint64_t microseconds) {
  // The first test, the kernels, runs beside each of the others; they share three fifths of the time.
  uint64_t alone = microseconds * 3 / 5;
  struct Running background = start(&kTests[0], "", alone);
  for (unsigned i = 1; i < kTestCount; i++) {
    struct Running one = start(&kTests[i], "", alone / (kTestCount - 1));
    finish(&one, 1);
  }
  finish(&background, 1);
  struct Running all[kTestCount];
  for (unsigned i = 0; i < kTestCount; i++) all[i] = start(&kTests[i], "together/", microseconds - alone);
  finish(all, kTestCount);
}

int main(int argc, char** argv) {
  if (argc == 4 && strcmp(argv[1], "child") == 0)
    return run_child((unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 10));
  if (argc < 3) {
    for (unsigned i = 0; i < kTestCount; i++) puts(kTests[i].name);
    return argc > 1;
  }
  setvbuf(stdout, NULL, _IONBF, 0);
  static char path[1024];
  if (readlink("/proc/self/exe", path, sizeof path - 1) > 0) program_path = path;
  uint64_t microseconds = (uint64_t)(atof(argv[2]) * 1e6);
  if (argc > 3) random_seed = strtoull(argv[3], NULL, 10) | 1;
  bool found = strcmp(argv[1], "all") == 0;
  if (found) run_all(microseconds);
  for (unsigned i = 0; i < kTestCount; i++) {
    if (strcmp(argv[1], kTests[i].name) != 0) continue;
    found = true;
    struct Running one = start(&kTests[i], "", microseconds);
    finish(&one, 1);
  }
  if (!found) fprintf(stderr, "stress: no sub-test %s\n", argv[1]);
  if (failed || !found) {
    say("stress failed\n");
    return 1;
  }
  say("stress passed %u\n", passed);
  return 0;
}
