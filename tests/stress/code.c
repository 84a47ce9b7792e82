// SPDX-License-Identifier: Apache-2.0
// Code that changes: by another hart, by what it calls, through another address of the same memory, behind a file.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

enum { kReadExecute = PROT_READ | PROT_EXEC, kAll = PROT_READ | PROT_WRITE | PROT_EXEC };
// Versions that differ in their first instruction only (see write_version), so that storing it changes the function.
enum { kVersionUnit = 1 << 12, kLastVersion = kVersions / kVersionUnit - 1 };

static uint32_t first_word(uint32_t version) {
  uint32_t code[kCodeBytes / 4];
  write_version(code, version * kVersionUnit);
  return code[0];
}

static void yield_while(const uint32_t* word, uint32_t value) {
  for (unsigned spins = 1; __atomic_load_n(word, __ATOMIC_ACQUIRE) == value; spins++) {
    if (spins % 256 == 0) sched_yield();
  }
}

// ---- patch ----

// What the writer has begun to write and what is flushed, and what the runner has seen.
static uint32_t begun, flushed, seen_version, request, answer;
static volatile bool writer_ends;
static Code patched;
static uint64_t runs;

static void* run_patched(void* unused) {
  (void)unused;
  pin(1);
  uint64_t random = random_seed * 31 + 3;
  while (!writer_ends) {
    for (unsigned i = 0; i < 100; i++) {
      uint32_t low = __atomic_load_n(&flushed, __ATOMIC_ACQUIRE);
      Code code = __atomic_load_n(&patched, __ATOMIC_ACQUIRE);
      uint32_t asked = __atomic_load_n(&request, __ATOMIC_ACQUIRE);
      if (asked != answer) {  // the writer waits: now it changes everything, and then exactly one version is right
        __atomic_store_n(&answer, asked, __ATOMIC_RELEASE);
        yield_while(&request, asked);
        asked = __atomic_load_n(&request, __ATOMIC_ACQUIRE);
        low = __atomic_load_n(&flushed, __ATOMIC_ACQUIRE);
        uint32_t found = version_of(__atomic_load_n(&patched, __ATOMIC_ACQUIRE), 30) / kVersionUnit;
        EXPECT(found == low, "code rewritten by another hart while this one waited: version %u runs, not %u", found,
               low);
        __atomic_store_n(&answer, asked, __ATOMIC_RELEASE);
        continue;
      }
      uint64_t n = (next_random(&random) >> 33) % 40 + 1;
      uint32_t found = version_of(code, n) / kVersionUnit;
      uint32_t high = __atomic_load_n(&begun, __ATOMIC_ACQUIRE);
      EXPECT(low <= found && found <= high,
             "code patched by another hart: version %u runs; flushed before was %u, begun after %u", found, low, high);
      __atomic_store_n(&seen_version, found, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static uint32_t jump_to(const uint8_t* from, const uint8_t* to) {
  uint32_t offset = (uint32_t)(to - from);
  return 0x6fu | (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3ff) << 21 | (offset >> 11 & 1) << 20 |
         (offset >> 12 & 0xff) << 12;
}

void test_patch(void) {
  uint8_t* area = map_at(CODE_AREA, 8 * kPage, kAll, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint8_t *entry = area + 64, *slots[2] = {area + kPage + 128, area + 3 * kPage - 16};
  uint32_t version = 1;
  uint64_t random = random_seed * 37 + 5;
  write_version(slots[0], version * kVersionUnit);
  uint32_t jump = jump_to(entry, slots[0]);
  memcpy(entry, &jump, sizeof jump);
  flush_code(area, area + 8 * kPage);
  begun = flushed = version;
  patched = (Code)(void*)entry;
  pin(0);
  unsigned long runner;
  start_thread(&runner, run_patched, NULL);
  unsigned slot = 0;
  while (more()) {
    for (unsigned i = 0; i < 100 && version + 1 < kLastVersion; i++) {
      version++;
      uint64_t choice = next_random(&random) >> 12;
      stage("patch, by method to version", choice % 4, version);
      if (choice % 4 == 0) {  // everything is rewritten while the runner waits, at a place of any alignment
        uint32_t asked = request + 1;
        __atomic_store_n(&request, asked, __ATOMIC_RELEASE);
        while (__atomic_load_n(&answer, __ATOMIC_ACQUIRE) != asked) sched_yield();
        slot = 0;
        slots[0] = area + 5 * kPage + (choice >> 8) % (kPage + 64) / 2 * 2;
        uint8_t* at = slots[0];
        for (unsigned nops = (unsigned)(choice >> 24) % 4; nops > 0; nops--) {
          const uint16_t nop = 0x0001;  // C.NOP
          memcpy(at, &nop, sizeof nop);
          at += sizeof nop;
        }
        write_version(at, version * kVersionUnit);
        jump = jump_to(entry, slots[0]);
        memcpy(entry, &jump, sizeof jump);
        flush_code(area, area + 8 * kPage);
        __atomic_store_n(&begun, version, __ATOMIC_RELEASE);
        __atomic_store_n(&flushed, version, __ATOMIC_RELEASE);
        __atomic_store_n(&request, asked + 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&answer, __ATOMIC_ACQUIRE) != asked + 1) sched_yield();
        // Whole words from here on.
        slots[0] = area + kPage + 128;
        slots[1] = area + 3 * kPage - 16;
        slot = 1;
      }
      // Into the slot that does not run, then the jump.
      if (choice % 4 == 1 || choice % 4 == 0) {
        version += choice % 4 == 0;
        __atomic_store_n(&begun, version, __ATOMIC_RELEASE);
        // What runs is the other slot, once the runner has seen the last version there.
        while (__atomic_load_n(&seen_version, __ATOMIC_ACQUIRE) != flushed) sched_yield();
        slot ^= 1;
        write_version(slots[slot], version * kVersionUnit);
        flush_code(slots[slot], slots[slot] + kCodeBytes);
        __atomic_store_n((uint32_t*)(void*)entry, jump_to(entry, slots[slot]), __ATOMIC_RELEASE);
      } else {  // one instruction
        __atomic_store_n(&begun, version, __ATOMIC_RELEASE);
        __atomic_store_n((uint32_t*)(void*)slots[slot], first_word(version), __ATOMIC_RELEASE);
      }
      flush_code(area, area + 8 * kPage);
      __atomic_store_n(&flushed, version, __ATOMIC_RELEASE);
      uint32_t found = version_of((Code)(void*)entry, choice % 60 + 1) / kVersionUnit;
      EXPECT(found == version, "code patched by this hart: version %u runs, not %u", found, version);
      // Hot for a while.
      if (i % 25 == 0) {
        uint64_t before = __atomic_load_n(&runs, __ATOMIC_RELAXED);
        while (__atomic_load_n(&runs, __ATOMIC_RELAXED) < before + 3) sched_yield();
      }
    }
  }
  writer_ends = true;
  join_thread(runner);
}

// ---- caller ----

enum { kPatchEvery = 7 };
static uint64_t caller_sum, caller_random;
static uint32_t caller_step;

static void flush_own(uint8_t* at, unsigned how) {
  if (how == 0)
    flush_code(at, at + 4);
  else
    __asm__ volatile("fence.i" ::: "memory");
}

// Called by generated code; the instruction that it returns to adds caller_step.
__attribute__((noinline)) static void patch_caller(uint64_t left) {
  uint8_t* at = __builtin_return_address(0);
  if (left % kPatchEvery == 0) {
    caller_step = (uint32_t)(next_random(&caller_random) >> 20) % 2048;
    uint32_t instruction = 0x00090913 | caller_step << 20;  // addi s2, s2, step
    memcpy(at, &instruction, sizeof instruction);
    flush_own(at, left % 3);
  }
  caller_sum += caller_step;
}

void test_caller(void) {
  pin(0);
  static const uint32_t kCaller[] = {
      0xfe010113,  // addi sp, sp, -32
      0x00113023,  // sd ra, 0(sp)
      0x00813423,  // sd s0, 8(sp)
      0x00913823,  // sd s1, 16(sp)
      0x01213c23,  // sd s2, 24(sp)
      0x00050413,  // mv s0, a0
      0x00058493,  // mv s1, a1
      0x00000913,  // li s2, 0
      0x00040513,  // loop: mv a0, s0
      0x000480e7,  // jalr s1
      0x00090913,  // addi s2, s2, 0: patched
      0xfff40413,  // addi s0, s0, -1
      0xfe0418e3,  // bnez s0, loop
      0x00090513,  // mv a0, s2
      0x00013083,  // ld ra, 0(sp)
      0x00813403,  // ld s0, 8(sp)
      0x01013483,  // ld s1, 16(sp)
      0x01813903,  // ld s2, 24(sp)
      0x02010113,  // addi sp, sp, 32
      0x00008067,  // ret
  };
  // Stores a1 over the instruction behind its own FENCE.I.
  static const uint32_t kSelf[] = {
      0x00000297,  // auipc t0, 0
      0x00b2a623,  // sw a1, 12(t0)
      0x0000100f,  // fence.i
      0x00000013,  // patched
      0x00008067,  // ret
  };
  typedef uint64_t (*Caller)(uint64_t n, void (*callee)(uint64_t));
  typedef uint64_t (*Self)(uint64_t a0, uint32_t instruction);
  uint8_t* area = map_at(CODE_AREA, 3 * kPage, kAll, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  caller_random = random_seed * 41 + 7;
  while (more()) {
    // Anywhere, also with the patched instruction on two pages.
    uint64_t choice = next_random(&caller_random) >> 9;
    uint8_t* at = area + (choice % 3 ? kPage - 42 : choice % kPage / 2 * 2);
    memcpy(at, kCaller, sizeof kCaller);
    flush_code(at, at + sizeof kCaller);
    caller_sum = caller_step = 0;
    stage("caller, at", (uint64_t)at, 0);
    uint64_t n = choice % 4000 + 300;
    if (n % kPatchEvery == 0) n++;
    uint64_t found = ((Caller)(void*)at)(n, patch_caller);
    EXPECT(found == caller_sum, "a caller that is patched by what it calls adds up %llu, not %llu",
           (unsigned long long)found, (unsigned long long)caller_sum);
    at = area + 2 * kPage - 16 + choice % 3 * 2;
    memcpy(at, kSelf, sizeof kSelf);
    flush_code(at, at + sizeof kSelf);
    uint64_t x = 0, expected = 0;
    for (unsigned i = 0; i < 400; i++) {
      uint32_t step = (uint32_t)(choice >> i % 40) & 0x7ff;
      x = ((Self)(void*)at)(x, 0x00050513 | step << 20);  // addi a0, a0, step
      expected += step;
      EXPECT(x == expected, "code that patches itself: %llu after %u calls, not %llu", (unsigned long long)x, i,
             (unsigned long long)expected);
    }
  }
}

// ---- alias ----

enum { kAliasPages = 4 };
static struct Shown { uint32_t published, child_seen, stop; } * shown;
static uint8_t* second_view;

static void* run_alias(void* unused) {
  (void)unused;
  pin(1);
  while (!__atomic_load_n(&shown->stop, __ATOMIC_ACQUIRE)) {
    uint32_t low = __atomic_load_n(&shown->published, __ATOMIC_ACQUIRE);
    uint32_t found = version_of((Code)(void*)second_view, 20) / kVersionUnit;
    uint32_t high = __atomic_load_n(&begun, __ATOMIC_ACQUIRE);
    EXPECT(
        low <= found && found <= high,
        "code written through another address by another hart: version %u runs; published before was %u, begun after %u",
        found, low, high);
  }
  return NULL;
}

// Another process with the same memory at another address. What it has not flushed for itself it may not count on.
static void run_alias_child(int file) {
  uint8_t* own = map_at(CODE_AREA + 64 * kPage, kAliasPages * kPage, kReadExecute, MAP_SHARED, file, 0);
  while (!__atomic_load_n(&shown->stop, __ATOMIC_ACQUIRE)) {
    uint32_t low = __atomic_load_n(&shown->published, __ATOMIC_ACQUIRE);
    flush_code(own, own + kPage);
    uint32_t found = version_of((Code)(void*)own, 50) / kVersionUnit;
    EXPECT(found >= low, "code written by another process: version %u runs; published before was %u", found, low);
    __atomic_store_n(&shown->child_seen, found, __ATOMIC_RELEASE);
    sched_yield();
  }
  _exit(5);
}

static void write_code(uint8_t* at, int file, uint64_t offset, const void* bytes, size_t size, unsigned how) {
  int ends[2];
  struct iovec from = {(void*)bytes, size}, to = {at, size};
  switch (how) {
    case 0: MUST(pwrite(file, bytes, size, (off_t)offset) == (ssize_t)size, "pwrite"); break;
    case 1: MUST(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)size, "process_vm_writev"); break;
    case 2:
      MUST(pipe(ends) == 0 && write(ends[1], bytes, size) == (ssize_t)size && read(ends[0], at, size) == (ssize_t)size,
           "read");
      close(ends[0]);
      close(ends[1]);
      break;
    default: memcpy(at, bytes, size); break;
  }
}

void test_alias(void) {
  int file = versions_file("alias", 1, kAliasPages);
  uint64_t random = random_seed * 43 + 9;
  uint8_t* writable = map_at(NULL, kAliasPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  uint8_t* code = map_at(CODE_AREA, kAliasPages * kPage, kReadExecute, MAP_SHARED, file, 0);
  second_view = map_at(CODE_AREA + 32 * kPage, kAliasPages * kPage, kReadExecute, MAP_SHARED, file, 0);
  shown = map_at(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  uint32_t version = 1;
  write_version(writable, version * kVersionUnit);
  flush_code(code, code + kPage);
  begun = shown->published = version;
  pin(0);
  pid_t child = fork();
  MUST(child >= 0, "fork");
  if (child == 0) run_alias_child(file);
  unsigned long runner;
  start_thread(&runner, run_alias, NULL);
  while (more()) {
    for (unsigned i = 0; i < 60; i++) {
      uint64_t choice = next_random(&random) >> 11;
      unsigned how = choice % 6;
      // Page 0 is for all: one instruction changes. The kernel's own copy might not store it in one piece.
      if (version < kLastVersion) {
        version++;
        stage("alias, to version", version, 0);
        __atomic_store_n(&begun, version, __ATOMIC_RELEASE);
        __atomic_store_n((uint32_t*)(void*)writable, first_word(version), __ATOMIC_RELEASE);
        flush_code(code, code + kPage);
        __atomic_store_n(&shown->published, version, __ATOMIC_RELEASE);
      }
      uint32_t found = version_of((Code)(void*)code, choice % 90 + 1) / kVersionUnit;
      EXPECT(found == version, "code written through another address: version %u runs, not %u", found, version);
      // The others are this thread's, written in every way.
      unsigned page = 1 + (unsigned)(choice >> 8) % (kAliasPages - 1);
      uint64_t offset = page * kPage + (choice >> 16) % (kPage - kCodeBytes) / 2 * 2;
      uint32_t own = (uint32_t)(choice >> 20) % kVersions, bytes[kCodeBytes / 4];
      write_version(bytes, own);
      stage("alias, written in way to version", how, own);
      write_code(writable + offset, file, offset, bytes, sizeof bytes, how);
      flush_code(code + offset, code + offset + kCodeBytes);
      found = version_of((Code)(void*)(code + offset), 25);
      uint32_t again = version_of((Code)(void*)(second_view + offset), 25);
      EXPECT(found == own && again == own, "code written in way %u: versions %u and %u run at two addresses, not %u",
             how, found, again, own);
    }
    if (report->rounds % 8 == 0) {
      stage("alias, waiting for the child to see version", version, 0);
      while (__atomic_load_n(&shown->child_seen, __ATOMIC_ACQUIRE) < version) {
        EXPECT(!report->claimed && waitpid(child, NULL, WNOHANG) == 0, "the child has ended");
        sched_yield();
      }
    }
  }
  __atomic_store_n(&shown->stop, 1, __ATOMIC_RELEASE);
  join_thread(runner);
  int exit_code = exit_code_of(child);
  EXPECT(exit_code == 5, "the child has ended with %d", exit_code);
}

// ---- filecode ----

// A loop device over a memfd: its pages come from the memfd, and come again from there once they have been dropped.
static int open_loop(int backing) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return -1;
  int file = -1;
  for (unsigned attempt = 0; attempt < 8 && file < 0; attempt++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) break;
    // Where the program was started, not in /dev, from which nothing may be executed if it is mounted so.
    const char* path = "stress-loop";
    unlink(path);
    if (mknod(path, S_IFBLK | 0600, makedev(7, (unsigned)number)) != 0) break;
    file = open(path, O_RDWR | O_CLOEXEC);
    unlink(path);
    struct loop_config config = {.fd = (uint32_t)backing, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    if (file >= 0 && ioctl(file, LOOP_CONFIGURE, &config) != 0) {
      close(file);
      file = -1;
    }
  }
  close(control);
  return file;
}

enum { kFilePages = 48 };
static uint32_t versions_run[2][kFilePages];

static void* run_file_pages(void* number) {
  unsigned own = (unsigned)(uintptr_t)number;
  pin(own);
  for (unsigned i = 0; i < kFilePages; i++) {
    unsigned page = (i * 29 + own * 17) % kFilePages;
    versions_run[own][page] = version_of((Code)(void*)(CODE_AREA + page * kPage), 40);
  }
  return NULL;
}

static void drop_pages(int file, uint64_t choice) {
  if (choice % 16 == 0) {
    int drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    // The first number keeps the kernel from telling about the second.
    if (drop >= 0) MUST(pwrite(drop, "4", 1, 0) == 1 && pwrite(drop, "1", 1, 0) == 1, "drop_caches");
    if (drop >= 0) close(drop);
  } else if (choice % 16 == 1) {
    ioctl(file, BLKFLSBUF, 0);
  }
  errno = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  MUST(errno == 0, "posix_fadvise");
  // Other use of the memory that is free now.
  if (choice % 4 == 0) {
    const size_t size = 128 * kPage;
    uint8_t* other = map_at(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t at = 0; at < size; at += kPage) write_version(other + at, 77);
    MUST(munmap(other, size) == 0, "munmap");
  }
}

void test_filecode(void) {
  uint64_t random = random_seed * 47 + 11, fresh = 0, total = 0;
  int backing = versions_file("backing", 1, kFilePages);
  int file = open_loop(backing);
  bool from_loop = file >= 0;
  if (!from_loop) file = backing;  // not root, or no such device: then pages are never read again
  for (uint32_t round = 1; more(); round++) {
    uint64_t choice = next_random(&random) >> 10;
    uint32_t first = round * kFilePages % kVersions;
    for (unsigned i = 0; i < kFilePages; i++) {
      uint8_t code[kCodeBytes];
      write_version(code, first + i);
      MUST(pwrite(backing, code, sizeof code, (off_t)i * kPage) == sizeof code, "pwrite");
    }
    drop_pages(file, choice);
    if (!from_loop) flush_code(CODE_AREA, CODE_AREA + kFilePages * kPage);
    stage("filecode, first version", first, 0);
    map_at(CODE_AREA, kFilePages * kPage, kReadExecute, choice >> 20 & 1 ? MAP_SHARED : MAP_PRIVATE, file, 0);
    unsigned long threads[2];
    for (unsigned i = 0; i < 2; i++) start_thread(&threads[i], run_file_pages, (void*)(uintptr_t)i);
    for (unsigned i = 0; i < 2; i++) join_thread(threads[i]);
    // The page cache says what must have run: a page that was in use could not be dropped.
    for (unsigned i = 0; i < kFilePages; i++) {
      uint8_t content[kCodeBytes], code[kCodeBytes];
      MUST(pread(file, content, sizeof content, (off_t)i * kPage) == sizeof content, "pread");
      for (unsigned hart = 0; hart < 2; hart++) {
        write_version(code, versions_run[hart][i]);
        EXPECT(memcmp(code, content, sizeof code) == 0,
               "page %u of a file runs version %u in thread %u, and has another", i, versions_run[hart][i], hart);
      }
      total++;
      fresh += versions_run[0][i] == first + i;
    }
    MUST(munmap(CODE_AREA, kFilePages * kPage) == 0, "munmap");
  }
  EXPECT(fresh * 2 > total, "of %llu pages only %llu were read again", (unsigned long long)total,
         (unsigned long long)fresh);
}
