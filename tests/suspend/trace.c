// SPDX-License-Identifier: Apache-2.0
// ptrace: registers, memory, breakpoints, system calls, signals and events of a process that another one traces. Linux
// on riscv64 has no PTRACE_SINGLESTEP; debuggers step by breakpoints, and so does this. A breakpoint is an EBREAK that
// the tracer writes over an instruction, in code that may be hot on another hart just then.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suspend.h"

// Registers as PTRACE_GETREGSET gives them: pc, then x1 to x31.
enum { kPc = 0, kRa = 1, kSp = 2, kA0 = 10, kA1 = 11, kA2 = 12, kA7 = 17, kRegisters = 32, kFloatRegisters = 32 };
struct Registers {
  uint64_t x[kRegisters];
};
struct FloatRegisters {
  uint64_t f[kFloatRegisters];
  uint32_t fcsr;
};

// ---- what is traced ----

__asm__(
    ".text\n"
    ".balign 8\n"
    // traced_steps(a0): one instruction of two or four bytes after the other.
    ".globl traced_steps, traced_steps_end\n"
    "traced_steps:\n"
    ".option push\n"
    ".option rvc\n"
    "  c.addi a0, 5\n"
    ".option norvc\n"
    "  addi a0, a0, 300\n"
    ".option rvc\n"
    "  c.slli a0, 3\n"
    "  c.mv a1, a0\n"
    ".option norvc\n"
    "  xori a0, a0, 0x155\n"
    "  mul a0, a0, a1\n"
    ".option rvc\n"
    "  c.sub a0, a1\n"
    ".option norvc\n"
    "  srli a0, a0, 2\n"
    ".option rvc\n"
    "  c.addi a0, -1\n"
    "traced_steps_end:\n"
    "  c.jr ra\n"
    // traced_loop(a0: uint64_t* count): counts in *a0 until a1, which nothing here sets, is not zero; returns a1. At
    // traced_loop_place stands an instruction of four bytes, at traced_loop_short one of two.
    ".globl traced_loop, traced_loop_place, traced_loop_short, traced_loop_end\n"
    "traced_loop:\n"
    "  li a1, 0\n"
    "  li a2, 0\n"
    "1:\n"
    ".option norvc\n"
    "traced_loop_place:\n"
    "  addi a2, a2, 1\n"
    ".option rvc\n"
    "traced_loop_short:\n"
    "  c.nop\n"
    ".option norvc\n"
    "  sd a2, 0(a0)\n"
    "  beqz a1, 1b\n"
    "traced_loop_end:\n"
    "  mv a0, a1\n"
    "  ret\n"
    // traced_float(): until fa0 is not zero; returns its bits.
    ".globl traced_float, traced_float_end\n"
    "traced_float:\n"
    "  fmv.d.x fa0, zero\n"
    "1: fmv.x.d a0, fa0\n"
    "  beqz a0, 1b\n"
    "traced_float_end:\n"
    "  ret\n"
    ".option pop\n");
uint64_t traced_steps(uint64_t x), traced_loop(volatile uint64_t*count), traced_float(void);
extern const char traced_steps_end[], traced_loop_place[], traced_loop_short[], traced_loop_end[], traced_float_end[];

// a0 after each instruction of traced_steps.
enum { kSteps = 9 };
static void expected_steps(uint64_t x, uint64_t a0[kSteps]) {
  uint64_t a1 = ((x + 5) + 300) << 3;
  a0[0] = x + 5;
  a0[1] = a0[0] + 300;
  a0[2] = a0[3] = a1;
  a0[4] = a1 ^ 0x155;
  a0[5] = a0[4] * a1;
  a0[6] = a0[5] - a1;
  a0[7] = a0[6] >> 2;
  a0[8] = a0[7] - 1;
}

struct Traced {
  volatile uint64_t count, result, handled;
  char text[64];
};
static struct Traced* traced;

static void note_signal(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  traced->handled++;
}

static pid_t start_traced(int hart, void (*body)(void)) {
  traced = shared(sizeof *traced);
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child > 0) return child;
  if (hart >= 0) MUST(pin(hart), "sched_setaffinity");
  handle(SIGUSR1, note_signal, SA_RESTART);
  body();
  _exit(5);
}

// ---- the tracer's calls ----

static void trace(enum __ptrace_request request, pid_t process, void* address, void* data, const char* what) {
  MUST(ptrace(request, process, address, data) == 0, what);
}
#define TRACE(request, process, address, data) \
  trace(request, process, (void*)(uintptr_t)(address), (void*)(uintptr_t)(data), #request)

static struct Registers registers_of(pid_t process) {
  struct Registers registers;
  struct iovec all = {&registers, sizeof registers};
  TRACE(PTRACE_GETREGSET, process, NT_PRSTATUS, &all);
  EXPECT(all.iov_len == sizeof registers, "the general registers have %zu bytes", all.iov_len);
  return registers;
}

static void set_registers(pid_t process, const struct Registers* registers) {
  struct iovec all = {(void*)registers, sizeof *registers};
  TRACE(PTRACE_SETREGSET, process, NT_PRSTATUS, &all);
}

static void set_register(pid_t process, int number, uint64_t value) {
  struct Registers registers = registers_of(process);
  registers.x[number] = value;
  set_registers(process, &registers);
}

static uint64_t peek(pid_t process, const void* address) {
  errno = 0;
  long value = ptrace(PTRACE_PEEKTEXT, process, address, NULL);
  MUST(errno == 0, "PTRACE_PEEKTEXT");
  return (uint64_t)value;
}

// Writes an EBREAK as long as the instruction there; returns the eight bytes that stood there.
static uint64_t set_breakpoint(pid_t process, const void* address) {
  uint64_t before = peek(process, address);
  uint64_t with = (before & 3) == 3 ? (before & ~0xffffffffull) | 0x00100073 : (before & ~0xffffull) | 0x9002;
  TRACE(PTRACE_POKETEXT, process, address, with);
  return before;
}

static void expect_stop(pid_t process, int signal, int event, const char* where) {
  int status = wait_status(process, 0);
  EXPECT(WIFSTOPPED(status) && status >> 8 == (signal | event << 8), "%s: the status is %#x, not signal %d, event %d",
         where, (unsigned)status, signal, event);
}

static void expect_breakpoint(pid_t process, const void* address, const char* where) {
  expect_stop(process, SIGTRAP, 0, where);
  siginfo_t info;
  TRACE(PTRACE_GETSIGINFO, process, 0, &info);
  EXPECT(info.si_code == TRAP_BRKPT, "%s: SIGTRAP has code %d", where, info.si_code);
  uint64_t pc = registers_of(process).x[kPc];
  EXPECT(pc == (uint64_t)address && info.si_addr == address, "%s: a breakpoint at %p stops at %#llx, signal of %p",
         where, address, (unsigned long long)pc, info.si_addr);
}

static void expect_exit(pid_t process, int code) {
  int status = wait_status(process, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == code, "what was traced ends with status %#x", (unsigned)status);
}

static void interrupt(pid_t process) {
  TRACE(PTRACE_INTERRUPT, process, 0, 0);
  expect_stop(process, SIGTRAP, PTRACE_EVENT_STOP, "PTRACE_INTERRUPT");
}

static void wait_for_count(uint64_t more) {
  for (uint64_t enough = traced->count + more; traced->count < enough;) sleep_ns(200 * MICROSECONDS);
}

static bool within(uint64_t pc, const void* from, const void* to) { return pc >= (uint64_t)from && pc < (uint64_t)to; }

// ---- registers and memory ----

static void body_loop(void) { traced->result = traced_loop(&traced->count); }

// Attached, it stops; its registers and memory can be read and written; let go, it goes on with them.
static void attach_and_detach(int hart) {
  pid_t child = start_traced(hart, body_loop);
  for (unsigned round = 0; round < 10; round++) {
    wait_for_count(1000);
    TRACE(PTRACE_ATTACH, child, 0, 0);
    expect_stop(child, SIGSTOP, 0, "PTRACE_ATTACH");
    char state = state_of(child);
    EXPECT(state == 't', "a traced process that is stopped has state %c", state);
    struct Registers registers = registers_of(child);
    uint64_t count = traced->count;
    EXPECT(within(registers.x[kPc], traced_loop, traced_loop_end), "a loop is stopped at %#llx, outside of it",
           (unsigned long long)registers.x[kPc]);
    EXPECT(registers.x[kA0] == (uint64_t)&traced->count && (registers.x[kA2] == count || registers.x[kA2] == count + 1),
           "a loop that has counted to %llu has %llu in a2", (unsigned long long)count,
           (unsigned long long)registers.x[kA2]);
    sleep_ns(3 * MILLISECONDS);
    EXPECT(traced->count == count, "a traced process goes on while it is stopped");
    // Its memory by three ways.
    uint64_t found = peek(child, (const void*)&traced->count), copy = 0;
    struct iovec here = {&copy, sizeof copy}, there = {(void*)&traced->count, sizeof copy};
    ssize_t got = process_vm_readv(child, &here, 1, &there, 1, 0);
    EXPECT(found == count && got == 8 && copy == count, "the count %llu is read as %llu and %llu",
           (unsigned long long)count, (unsigned long long)found, (unsigned long long)copy);
    // The count goes on from what is set.
    uint64_t jump = (round + 1) * 1000000000ull;
    set_register(child, kA2, jump);
    TRACE(PTRACE_DETACH, child, 0, 0);
    while (traced->count < jump) sleep_ns(200 * MICROSECONDS);
  }
  TRACE(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
  interrupt(child);
  set_register(child, kA1, 0x123456789abcdef1);
  TRACE(PTRACE_CONT, child, 0, 0);
  expect_exit(child, 5);
  EXPECT(traced->result == 0x123456789abcdef1, "a register that was set is %#llx", (unsigned long long)traced->result);
}

static void body_float(void) { traced->result = traced_float(); }

static void float_registers(void) {
  pid_t child = start_traced(-1, body_float);
  TRACE(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
  for (;;) {  // until it has come to its loop
    interrupt(child);
    if (within(registers_of(child).x[kPc], (const char*)traced_float + 4, traced_float_end)) break;
    TRACE(PTRACE_CONT, child, 0, 0);
    sleep_ns(300 * MICROSECONDS);
  }
  struct FloatRegisters registers;
  struct iovec all = {&registers, sizeof registers};
  TRACE(PTRACE_GETREGSET, child, NT_PRFPREG, &all);
  EXPECT(registers.f[kA0] == 0, "fa0 is %#llx", (unsigned long long)registers.f[kA0]);
  registers.f[kA0] = 0x400921fb54442d18;
  TRACE(PTRACE_SETREGSET, child, NT_PRFPREG, &all);
  TRACE(PTRACE_CONT, child, 0, 0);
  expect_exit(child, 5);
  EXPECT(traced->result == 0x400921fb54442d18, "a floating-point register that was set is %#llx",
         (unsigned long long)traced->result);
}

// ---- breakpoints ----

static void body_steps(void) {
  for (;;) {
    uint64_t x = traced->count;
    traced->result = traced_steps(x);
    traced->count = x + 1;
  }
}

// From each instruction of a function to the next one.
static unsigned step_by_breakpoints(int hart) {
  enum { kVisits = 12 };
  unsigned steps = 0;
  pid_t child = start_traced(hart, body_steps);
  TRACE(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
  for (unsigned visit = 0; visit < kVisits; visit++) {
    // What it does in between is hot.
    wait_for_count(2000);
    interrupt(child);
    const char* place = (const char*)traced_steps;
    uint64_t pc = registers_of(child).x[kPc];
    uint64_t before = set_breakpoint(child, place), a0[kSteps];
    TRACE(PTRACE_CONT, child, 0, 0);
    expect_breakpoint(child, place,
                      within(pc, traced_steps, traced_steps_end) ? "stopped in the function" : "a function's start");
    uint64_t x = registers_of(child).x[kA0];
    EXPECT(x == traced->count, "a function's argument is %llu, not %llu", (unsigned long long)x,
           (unsigned long long)traced->count);
    expected_steps(x, a0);
    for (unsigned i = 0; i < kSteps; i++, steps++) {
      const char* next = place + ((before & 3) == 3 ? 4 : 2);
      // Back in its place, and the next one.
      TRACE(PTRACE_POKETEXT, child, place, before);
      before = set_breakpoint(child, next);
      TRACE(PTRACE_CONT, child, 0, 0);
      expect_breakpoint(child, next, "a step");
      uint64_t found = registers_of(child).x[kA0];
      EXPECT(found == a0[i], "after step %u a0 is %#llx, not %#llx", i + 1, (unsigned long long)found,
             (unsigned long long)a0[i]);
      place = next;
    }
    EXPECT(place == traced_steps_end, "%d steps end at %p, not %p", kSteps, place, traced_steps_end);
    TRACE(PTRACE_POKETEXT, child, place, before);
    TRACE(PTRACE_CONT, child, 0, 0);
    while (traced->count == x) sleep_ns(200 * MICROSECONDS);
  }
  // The code is as it was: it computes right without a stop.
  interrupt(child);
  uint64_t a0[kSteps], x = traced->count, result = traced->result;
  expected_steps(x, a0);
  uint64_t now = a0[kSteps - 1];
  expected_steps(x - 1, a0);
  EXPECT(result == now || result == a0[kSteps - 1], "without breakpoints the function returns %#llx",
         (unsigned long long)result);
  kill_child(child);
  return steps;
}

// Again and again in a hot loop, at an instruction of four bytes and at one of two. Each lap counts as it must.
static unsigned break_a_loop(int hart) {
  enum { kTimes = 40, kLaps = 5 };
  const char* places[] = {traced_loop_place, traced_loop_short};
  unsigned hits = 0;
  pid_t child = start_traced(hart, body_loop);
  TRACE(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
  for (unsigned i = 0; i < kTimes; i++) {
    const char *place = places[i % 2], *other = places[1 - i % 2];
    wait_for_count(3000);
    interrupt(child);
    uint64_t before = set_breakpoint(child, place), last = 0;
    for (unsigned lap = 0; lap < kLaps; lap++, hits++) {
      TRACE(PTRACE_CONT, child, 0, 0);
      expect_breakpoint(child, place, "a loop");
      uint64_t a2 = registers_of(child).x[kA2];
      EXPECT(lap == 0 || a2 == last + 1, "lap %u: a2 is %llu, and was %llu", lap, (unsigned long long)a2,
             (unsigned long long)last);
      EXPECT(traced->count == a2 - (place == traced_loop_short), "lap %u: the count is %llu, a2 %llu", lap,
             (unsigned long long)traced->count, (unsigned long long)a2);
      last = a2;
      // Over it, by a breakpoint at the other place.
      TRACE(PTRACE_POKETEXT, child, place, before);
      uint64_t there = set_breakpoint(child, other);
      TRACE(PTRACE_CONT, child, 0, 0);
      expect_breakpoint(child, other, "beside it in the loop");
      TRACE(PTRACE_POKETEXT, child, other, there);
      // Both may lie in the same eight bytes.
      before = set_breakpoint(child, place);
    }
    TRACE(PTRACE_POKETEXT, child, place, before);
    TRACE(PTRACE_CONT, child, 0, 0);
  }
  wait_for_count(3000);
  interrupt(child);
  set_register(child, kA1, 99);
  TRACE(PTRACE_CONT, child, 0, 0);
  expect_exit(child, 5);
  EXPECT(traced->result == 99, "the loop returns %llu", (unsigned long long)traced->result);
  return hits;
}

// ---- system calls and signals ----

enum { kCalls = 30 };

static void body_calls(void) {
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  raise(SIGSTOP);
  for (unsigned i = 0; i < kCalls; i++) {
    traced->result = (uint64_t)syscall(SYS_getpid);
    traced->count++;
  }
}

static void expect_call(pid_t process, int operation, const char* where) {
  expect_stop(process, SIGTRAP | 0x80, 0, where);
  struct __ptrace_syscall_info info;
  long size = ptrace(PTRACE_GET_SYSCALL_INFO, process, sizeof info, &info);
  MUST(size > 0, "PTRACE_GET_SYSCALL_INFO");
  EXPECT(info.op == operation && info.arch == 0xc00000f3u && info.stack_pointer == registers_of(process).x[kSp],
         "%s: the information is of operation %d, architecture %#x", where, info.op, info.arch);
  if (operation == PTRACE_SYSCALL_INFO_ENTRY) {
    EXPECT(info.entry.nr == SYS_getpid, "%s: the system call is %llu", where, (unsigned long long)info.entry.nr);
  }
}

// A tracer sees each system call before and after it, can change its number, and what it returns.
static void system_calls(void) {
  pid_t child = start_traced(-1, body_calls);
  expect_stop(child, SIGSTOP, 0, "PTRACE_TRACEME");
  TRACE(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
  // Out of raise(), with what else the C library calls in it.
  struct __ptrace_syscall_info info;
  do {
    TRACE(PTRACE_SYSCALL, child, 0, 0);
    expect_stop(child, SIGTRAP | 0x80, 0, "PTRACE_SYSCALL");
    MUST(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0, "PTRACE_GET_SYSCALL_INFO");
  } while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_getpid);
  uint64_t expected = 0;
  for (unsigned i = 0; i < kCalls; i++) {
    if (i > 0) {
      TRACE(PTRACE_SYSCALL, child, 0, 0);
      expect_call(child, PTRACE_SYSCALL_INFO_ENTRY, "before a call");
    }
    uint64_t number = registers_of(child).x[kA7];
    EXPECT(number == SYS_getpid, "a7 is %llu before getpid()", (unsigned long long)number);
    EXPECT(traced->count == i && traced->result == expected,
           "%llu of %u calls are done, the last one returned %llu, not %llu", (unsigned long long)traced->count, i,
           (unsigned long long)traced->result, (unsigned long long)expected);
    expected = (uint64_t)child;
    if (i % 3 == 1) {  // another call
      set_register(child, kA7, SYS_getppid);
      expected = (uint64_t)getpid();
    }
    TRACE(PTRACE_SYSCALL, child, 0, 0);
    expect_call(child, PTRACE_SYSCALL_INFO_EXIT, "after a call");
    uint64_t a0 = registers_of(child).x[kA0];
    EXPECT(a0 == expected, "call %u returns %llu, not %llu", i + 1, (unsigned long long)a0,
           (unsigned long long)expected);
    if (i % 3 == 2) {  // another result
      expected = 1000000 + i;
      set_register(child, kA0, expected);
    }
  }
  TRACE(PTRACE_CONT, child, 0, 0);
  expect_exit(child, 5);
  EXPECT(traced->count == kCalls && traced->result == expected,
         "%llu of %d calls, the last one returned %llu, not %llu", (unsigned long long)traced->count, kCalls,
         (unsigned long long)traced->result, (unsigned long long)expected);
}

// A tracer sees a signal first, and decides whether it comes.
static void signals_of_traced(void) {
  pid_t child = start_traced(-1, body_loop);
  wait_for_count(1000);
  TRACE(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
  for (uint64_t i = 0; i < 10; i++) {
    uint64_t handled = traced->handled;
    kill(child, SIGUSR1);
    expect_stop(child, SIGUSR1, 0, "a signal");
    siginfo_t info;
    TRACE(PTRACE_GETSIGINFO, child, 0, &info);
    EXPECT(info.si_signo == SIGUSR1 && info.si_pid == getpid(), "a signal of process %d comes from %d", getpid(),
           info.si_pid);
    EXPECT(traced->handled == handled, "a signal is handled before its tracer lets it");
    TRACE(PTRACE_CONT, child, 0, i % 2 ? SIGUSR1 : 0);
    wait_for_count(3000);
    EXPECT(traced->handled == handled + i % 2, "a signal that is %s is handled %llu times", i % 2 ? "passed" : "kept",
           (unsigned long long)(traced->handled - handled));
  }
  interrupt(child);
  TRACE(PTRACE_DETACH, child, 0, 0);
  wait_for_count(1000);
  kill_child(child);
}

// ---- events ----

int run_traced(void) { return 23; }

static void body_exec(void) {
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  raise(SIGSTOP);
  pid_t child = fork();
  if (child == 0) _exit(9);
  int status = wait_status(child, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 9) _exit(6);
  execl("/proc/self/exe", "suspend", "traced", (char*)NULL);
}

static unsigned long message_of(pid_t process) {
  unsigned long message;
  TRACE(PTRACE_GETEVENTMSG, process, 0, &message);
  return message;
}

// Continues, past SIGCHLD, to the next event.
static void expect_event(pid_t process, int event, const char* where) {
  int signal = 0;
  for (;;) {
    TRACE(PTRACE_CONT, process, 0, signal);
    int status = wait_status(process, 0);
    EXPECT(WIFSTOPPED(status), "%s: the status is %#x", where, (unsigned)status);
    if (status >> 8 == (SIGTRAP | event << 8)) return;
    signal = WSTOPSIG(status);
    EXPECT(signal == SIGCHLD, "%s: the status is %#x, not event %d", where, (unsigned)status, event);
  }
}

static void events(void) {
  pid_t process = start_traced(-1, body_exec);
  expect_stop(process, SIGSTOP, 0, "PTRACE_TRACEME");
  TRACE(PTRACE_SETOPTIONS, process, 0,
        PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
  // glibc's fork() is clone(SIGCHLD).
  expect_event(process, PTRACE_EVENT_FORK, "fork()");
  pid_t child = (pid_t)message_of(process);
  expect_stop(child, SIGSTOP, 0, "a forked process, which is traced as well");
  expect_event(child, PTRACE_EVENT_EXIT, "the end of a forked process");
  EXPECT(message_of(child) == 9 << 8, "a forked process ends with %#lx", message_of(child));
  TRACE(PTRACE_CONT, child, 0, 0);
  expect_exit(child, 9);
  expect_event(process, PTRACE_EVENT_EXEC, "exec()");
  EXPECT(message_of(process) == (unsigned long)process, "exec() was of process %lu", message_of(process));
  expect_event(process, PTRACE_EVENT_EXIT, "the end of another program");
  EXPECT(message_of(process) == 23 << 8, "another program ends with %#lx", message_of(process));
  TRACE(PTRACE_CONT, process, 0, 0);
  expect_exit(process, 23);
}

void check_ptrace(void) {
  int harts = online_harts();
  unsigned steps = 0, hits = 0;
  // What is traced on the tracer's hart, and on another one.
  MUST(pin(0), "sched_setaffinity");
  for (int hart = 0; hart < harts && hart < 2; hart++) {
    attach_and_detach(hart);
    steps += step_by_breakpoints(hart);
    hits += break_a_loop(hart);
  }
  float_registers();
  system_calls();
  signals_of_traced();
  events();
  figures("%u steps and %u laps by breakpoints, %d system calls", steps, hits, kCalls);
}
