// SPDX-License-Identifier: Apache-2.0
// Signals that hit hot loops: what they interrupt must go on exactly as it was, or exactly as the handler wants it.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stress.h"

static void arm(uint64_t microseconds) {
  struct itimerval once = {.it_value = {.tv_usec = (suseconds_t)microseconds}};
  MUST(setitimer(ITIMER_REAL, &once, NULL) == 0, "setitimer");
}

// ---- timer ----

static volatile uint64_t ticks, ticks_elsewhere;
static unsigned long elsewhere;
static volatile bool timers_end;

static void disturb(const char* where, uint64_t count) {
  check_registers(mixed(count), 10, where);
  static uint64_t expected;
  uint64_t found = digest(77, 100);
  if (expected == 0) expected = found;
  EXPECT(found == expected, "%s: a digest is %#llx, not %#llx", where, (unsigned long long)found,
         (unsigned long long)expected);
}

static void tick(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  uint64_t count = ++ticks;
  disturb("timer's handler", count);
  if (timers_end) return;
  if (count % 2) pthread_kill(elsewhere, SIGUSR1);
  arm(mixed(count) % 2500 + 200);
}

static void tick_elsewhere(int signal, void* info, void* context) {
  (void)signal, (void)info, (void)context;
  disturb("second thread's handler", ++ticks_elsewhere);
}

static void compute(uint64_t round, const char* where) {
  check_registers(mixed(round), 100000, where);
  for (unsigned i = 0; i < 3; i++) {
    unsigned number = (unsigned)(round * 3 + i);
    check_kernel(number % kernel_count, where);
    check_series(number % series_count, number / series_count % kRoundingModes, where);
  }
}

static void* compute_elsewhere(void* unused) {
  (void)unused;
  pin(1);
  for (uint64_t round = 0; !time_is_over(); round++) compute(round, "second thread under signals");
  return NULL;
}

void test_timer(void) {
  handle(SIGALRM, tick, SA_RESTART);
  handle(SIGUSR1, tick_elsewhere, SA_RESTART);
  pin(0);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, NULL);
  start_thread(&elsewhere, compute_elsewhere, NULL);
  pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
  arm(300);
  for (uint64_t round = 0; more(); round++) {
    stage("timer, kernel after so many signals", round, ticks);
    compute(round, "first thread under signals");
  }
  timers_end = true;
  pthread_sigmask(SIG_BLOCK, &alarm, NULL);  // no more signals to a thread that ends
  join_thread(elsewhere);
  EXPECT(ticks > 0 && (report->rounds < 2 || ticks_elsewhere > 0), "%llu and %llu signals have come",
         (unsigned long long)ticks, (unsigned long long)ticks_elsewhere);
}

// ---- longjmp ----

static sigjmp_buf base;
static volatile sig_atomic_t may_jump;

static void jump(int signal, void* info, void* context) {
  (void)info, (void)context;
  if (!may_jump) {
    if (signal == SIGALRM) arm(200);
    return;
  }
  may_jump = 0;
  siglongjmp(base, signal);
}

// Down to `depth` and up again; what it computes is checked at each level.
__attribute__((noinline)) static uint64_t climb(unsigned depth, uint64_t x) {
  volatile uint64_t kept = x * 7;
  if (depth == 0) return x;
  uint64_t below = climb(depth - 1, x + depth);
  EXPECT(kept == x * 7, "recursion: a frame's word is %#llx, not %#llx", (unsigned long long)kept,
         (unsigned long long)(x * 7));
  return below;
}

__attribute__((noinline)) static uint64_t raise_below(unsigned depth, uint64_t x) {
  volatile uint64_t kept = x;
  if (depth == 0) raise(SIGUSR1);
  return depth == 0 ? kept : raise_below(depth - 1, x * 3) + kept;
}

// Recursion without an end, on a small stack.
__attribute__((noinline)) static uint64_t exhaust(uint64_t x) {
  volatile uint64_t kept[4] = {x, x + 1, x + 2, x + 3};
  if (x == ~0ull) return x;
  return exhaust(x + 1) + kept[x & 3];
}

static __thread sigjmp_buf own_base;
static __thread uint8_t* stack_end;

static void overflow(int signal, void* info, void* context) {
  (void)context;
  uint8_t* address = ((siginfo_t*)info)->si_addr;
  EXPECT(stack_end != NULL && address >= stack_end - kPage && address < stack_end,
         "signal %d at address %p, stack ends at %p", signal, (void*)address, (void*)stack_end);
  siglongjmp(own_base, 1);
}

static void* overflow_in_thread(void* argument) {
  static __thread uint8_t alternate[20000];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  MUST(sigaltstack(&stack, NULL) == 0, "sigaltstack");
  stack_end = argument;
  volatile unsigned times = 0;
  while (times < 3) {
    if (sigsetjmp(own_base, 1) == 0) wrong("endless recursion returns %#llx", (unsigned long long)exhaust(times));
    times++;
  }
  stack.ss_flags = SS_DISABLE;
  MUST(sigaltstack(&stack, NULL) == 0, "sigaltstack");
  return NULL;
}

static void overflow_stack(void) {
  enum { kStack = 64 * kPage };
  uint8_t* area = map_at(NULL, kStack + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(mprotect(area + kPage, kStack, PROT_READ | PROT_WRITE) == 0, "mprotect");
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  MUST(pthread_attr_setstack(&attributes, area + kPage, kStack) == 0, "pthread_attr_setstack");
  MUST(pthread_create(&thread, &attributes, overflow_in_thread, area + kPage) == 0, "pthread_create");
  join_thread(thread);
  pthread_attr_destroy(&attributes);
  MUST(munmap(area, kStack + kPage) == 0, "munmap");
}

void test_longjmp(void) {
  handle(SIGALRM, jump, SA_ONSTACK);
  handle(SIGUSR1, jump, SA_ONSTACK);
  handle(SIGSEGV, overflow, SA_ONSTACK);
  volatile uint64_t random = random_seed * 23 + 7;
  while (more()) {
    uint64_t state = random;
    uint64_t choice = next_random(&state);
    random = state;
    // The timer strikes somewhere in the recursion.
    stage("longjmp out of a timer's handler", choice, 0);
    volatile uint64_t done = 0;
    arm(choice % 3000 + 200);
    int signal = sigsetjmp(base, 1);
    if (signal == 0) {
      may_jump = 1;
      for (uint64_t i = 0;; i++) {
        unsigned depth = (unsigned)(i % 180 + 20);
        uint64_t found = climb(depth, i);
        EXPECT(found == i + depth * (depth + 1) / 2, "recursion of depth %u returns %#llx", depth,
               (unsigned long long)found);
        done = done + 1;
      }
    }
    EXPECT(signal == SIGALRM, "siglongjmp gives %d", signal);
    // The handler's signal is not blocked any more, so the second one comes too.
    stage("longjmp out of a handler 100 deep", choice, done);
    volatile uint64_t guard = choice;
    for (volatile unsigned i = 0; i < 20; i++) {
      signal = sigsetjmp(base, 1);
      if (signal == 0) {
        may_jump = 1;
        wrong("recursion goes on after a jump out of it: %#llx", (unsigned long long)raise_below(100 + i, choice));
      }
      EXPECT(signal == SIGUSR1 && guard == choice, "siglongjmp gives %d, a local has %#llx", signal,
             (unsigned long long)guard);
    }
    stage("longjmp out of an exhausted stack", choice, 0);
    overflow_stack();
  }
}

// ---- ucontext ----

__asm__(
    ".text\n"
    ".option push\n"
    ".option norvc\n"
    // Until the handler sets a1: returns it.
    "spin_for_register:\n"
    "  li a1, 0\n"
    "  li t0, 0\n"
    "spin_for_register_loop:\n"
    "1: addi t0, t0, 1\n"
    "  beqz a1, 1b\n"
    "spin_for_register_out:\n"
    "  mv a0, a1\n"
    "  ret\n"
    // Until the handler sets pc to the way out: returns how far it has counted.
    "spin_for_pc:\n"
    "  li a0, 1\n"
    "spin_for_pc_loop:\n"
    "1: addi a0, a0, 2\n"
    "  addi a0, a0, -1\n"
    "  addi a0, a0, 1\n"
    "  j 1b\n"
    "spin_for_pc_out:\n"
    "  ret\n"
    // Until the handler sets fa0: returns its bits.
    "spin_for_float:\n"
    "  fmv.d.x fa0, zero\n"
    "spin_for_float_loop:\n"
    "1: fmv.x.d a0, fa0\n"
    "  beqz a0, 1b\n"
    "spin_for_float_out:\n"
    "  ret\n"
    ".option pop\n");
uint64_t spin_for_register(void), spin_for_pc(void), spin_for_float(void);
extern const char spin_for_register_loop[], spin_for_register_out[], spin_for_pc_loop[], spin_for_pc_out[],
    spin_for_float_loop[], spin_for_float_out[];

enum { kA0 = 10, kA1 = 11 };
static volatile uint64_t given;
static uint8_t* forbidden;  // a page whose loads the handler answers

static bool within(uint64_t pc, const char* from, const char* to) { return pc >= (uint64_t)from && pc < (uint64_t)to; }

static void change(int signal, void* info, void* context) {
  (void)signal, (void)info;
  ucontext_t* at = context;
  unsigned long* registers = at->uc_mcontext.__gregs;
  uint64_t pc = registers[0];
  if (within(pc, spin_for_register_loop, spin_for_register_out)) {
    registers[kA1] = given;
  } else if (within(pc, spin_for_pc_loop, spin_for_pc_out)) {
    given = registers[kA0];
    registers[0] = (unsigned long)spin_for_pc_out;
  } else if (within(pc, spin_for_float_loop, spin_for_float_out)) {
    at->uc_mcontext.__fpregs.__d.__f[kA0] = given;
  } else {
    arm(100);
  }
}

static void emulate(int signal, void* info, void* context) {
  unsigned long* registers = ((ucontext_t*)context)->uc_mcontext.__gregs;
  uint64_t pc = registers[0];
  if (signal == SIGSEGV) {
    uint8_t* address = ((siginfo_t*)info)->si_addr;
    EXPECT(address >= forbidden && address < forbidden + kPage, "signal %d at pc %#llx, address %p", signal,
           (unsigned long long)pc, (void*)address);
    registers[*(uint32_t*)pc >> 7 & 31] = mixed((uint64_t)(address - forbidden));
  } else if (signal == SIGILL) {
    registers[kA0] = registers[kA0] * 3 + 1;
  } else {
    registers[kA0] ^= 0x5555;
  }
  registers[0] = pc + 4;
}

void test_ucontext(void) {
  handle(SIGALRM, change, 0);
  handle(SIGSEGV, emulate, 0);
  handle(SIGILL, emulate, 0);
  handle(SIGTRAP, emulate, 0);
  forbidden = map_at(NULL, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t random = random_seed * 29 + 9;
  while (more()) {
    uint64_t wanted = next_random(&random) | 1;
    given = wanted;
    stage("ucontext, a register that a handler sets", wanted, 0);
    arm(wanted % 900 + 100);
    uint64_t found = spin_for_register();
    EXPECT(found == wanted, "a handler sets a1 to %#llx, and it is %#llx", (unsigned long long)wanted,
           (unsigned long long)found);
    stage("ucontext, a floating-point register that a handler sets", wanted, 0);
    arm(wanted % 800 + 100);
    found = spin_for_float();
    EXPECT(found == wanted, "a handler sets fa0 to %#llx, and it is %#llx", (unsigned long long)wanted,
           (unsigned long long)found);
    stage("ucontext, a pc that a handler sets", wanted, 0);
    arm(wanted % 700 + 100);
    found = spin_for_pc();
    EXPECT(found == given, "a0 was %#llx in the handler that set pc, and is %#llx", (unsigned long long)given,
           (unsigned long long)found);

    stage("ucontext, instructions that a handler skips", wanted, 0);
    uint64_t sum = 0, expected = 0;
    for (unsigned i = 0; i < 300; i++) {
      uint64_t value, offset = (wanted + i * 24) % (kPage - 8);
      __asm__ volatile(".option push\n.option norvc\nld %0, 0(%1)\n.option pop"
                       : "=r"(value)
                       : "r"(forbidden + offset));
      sum = sum * 3 + value;
      expected = expected * 3 + mixed(offset);
      register uint64_t a0 __asm__("a0") = sum;
      __asm__ volatile(".word 0x0000000b\n.word 0x00100073" : "+r"(a0));  // custom-0, EBREAK
      sum = a0;
      expected = (expected * 3 + 1) ^ 0x5555;
      EXPECT(sum == expected, "after %u instructions that a handler skipped: %#llx, not %#llx", i,
             (unsigned long long)sum, (unsigned long long)expected);
    }
  }
}
