// SPDX-License-Identifier: Apache-2.0
// Other code at the same address, by every way that a mapping can change, and protections that a handler of SIGSEGV
// mends. The user flushes instruction caches only where Linux asks for it: after writing code, not after mapping.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "stress.h"

enum { kReadExecute = PROT_READ | PROT_EXEC, kReadWrite = PROT_READ | PROT_WRITE };

// ---- remap ----

static sigjmp_buf back;
static uint8_t* volatile faulting;  // the call that must fault
static volatile uint64_t fault_pc, fault_address;

static void expected_fault(int signal, void* info, void* context) {
  const ucontext_t* at = context;
  fault_pc = (uint64_t)at->uc_mcontext.__gregs[0];
  fault_address = (uint64_t)((siginfo_t*)info)->si_addr;
  EXPECT(faulting != NULL, "signal %d at pc %#llx, address %#llx", signal, (unsigned long long)fault_pc,
         (unsigned long long)fault_address);
  siglongjmp(back, 1);
}

static void call_faults(uint8_t* code) {
  faulting = code;
  if (sigsetjmp(back, 1) == 0) {
    uint64_t product = ((Code)(void*)code)(3);
    wrong("code at %p runs though it is not mapped for execution; it computes %#llx", (void*)code,
          (unsigned long long)product);
  }
  faulting = NULL;
  EXPECT(fault_pc == (uint64_t)code && fault_address == (uint64_t)code,
         "a call of %p faults at pc %#llx, address %#llx", (void*)code, (unsigned long long)fault_pc,
         (unsigned long long)fault_address);
}

// One page that this thread exchanges while another one calls it. Versions only grow. Only one instruction of the code
// differs between them (a version is a multiple of 4096), so a thread that is between two instructions may go on.
enum { kVersionUnit = 1 << 12 };
static uint8_t* const kSharedCode = CODE_AREA + 16 * kPage;
static uint32_t beginning, published;
static uint64_t calls_elsewhere;

static void* call_shared(void* unused) {
  (void)unused;
  pin(1);
  uint64_t random = random_seed * 7 + 3;
  do {
    for (unsigned i = 0; i < 200; i++) {
      uint64_t n = (next_random(&random) >> 40) % 50 + 1;
      uint32_t low = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
      uint32_t found = version_of((Code)(void*)kSharedCode, n) / kVersionUnit;
      uint32_t high = __atomic_load_n(&beginning, __ATOMIC_ACQUIRE);
      EXPECT(low <= found && found <= high,
             "a page remapped by another hart: version %u runs; published before was %u, begun after %u", found, low,
             high);
    }
    __atomic_fetch_add(&calls_elsewhere, 200, __ATOMIC_RELAXED);
  } while (!time_is_over());
  return NULL;
}

static void exchange_shared(int file, unsigned slots, unsigned how) {
  uint32_t version = published + 1;
  if (version >= kVersions / kVersionUnit) return;
  uint64_t offset = (uint64_t)(version % slots) * kPage;
  uint8_t code[kCodeBytes];
  write_version(code, version * kVersionUnit);
  MUST(pwrite(file, code, sizeof code, (off_t)offset) == sizeof code, "pwrite");
  flush_code(kSharedCode, kSharedCode + kPage);
  __atomic_store_n(&beginning, version, __ATOMIC_RELEASE);
  if (how % 3 == 2) {
    void* elsewhere = map_at(NULL, kPage, kReadExecute, MAP_SHARED, file, offset);
    if (how & 4) version_of((Code)elsewhere, 2);  // touched there, or not
    MUST(mremap(elsewhere, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, kSharedCode) == kSharedCode, "mremap");
  } else {
    map_at(kSharedCode, kPage, kReadExecute, how % 3 ? MAP_SHARED : MAP_PRIVATE, file, offset);
  }
  __atomic_store_n(&published, version, __ATOMIC_RELEASE);
}

// A hot loop that begins with an instruction on two pages. The first page has its lower half and the start value, the
// second one its upper half, which is the step.
static uint8_t* const kHead = CODE_AREA + 8 * kPage;
static uint8_t* const kTail = CODE_AREA + 9 * kPage;
enum { kHalves = 16 };

static int halves_file(void) {
  int file = versions_file("halves", 0, 2 * kHalves);
  for (uint32_t i = 0; i < kHalves; i++) {
    // mv t1, a0; li a0, 3 * i; the lower half of addi a0, a0, STEP
    const uint32_t head[] = {0x00050313, 0x00000513 | 3 * i << 20, 0x0513};
    MUST(pwrite(file, head, 10, (off_t)(i + 1) * kPage - 10) == 10, "pwrite");
    // Its upper half; addi t1, t1, -1; bnez t1, loop; ret
    const uint16_t tail[] = {(uint16_t)((i * 7 + 1) << 4 | 5), 0x0313, 0xfff3, 0x1ce3, 0xfe03, 0x8067, 0x0000};
    MUST(pwrite(file, tail, sizeof tail, (off_t)(kHalves + i) * kPage) == sizeof tail, "pwrite");
  }
  return file;
}

void test_remap(void) {
  enum { kSlots = 48, kFirst = 1000, kPages = 4 };
  uint64_t random = random_seed * 5 + 1;
  handle(SIGSEGV, expected_fault, SA_NODEFER);
  int file = versions_file("versions", kFirst, kSlots), shared = versions_file("shared", 1, kSlots);
  int halves = halves_file();
  map_at(kHead, kPage, kReadExecute, MAP_PRIVATE, halves, 0);
  map_at(kTail, kPage, kReadExecute, MAP_PRIVATE, halves, kHalves * kPage);
  uint64_t head = 0, tail = 0;
  uint32_t versions[kPages];
  for (unsigned i = 0; i < kPages; i++) {
    versions[i] = kFirst + i;
    map_at(CODE_AREA + i * kPage, kPage, kReadExecute, MAP_PRIVATE, file, i * kPage);
  }
  exchange_shared(shared, kSlots, 0);
  pin(0);
  unsigned long caller;
  start_thread(&caller, call_shared, NULL);
  while (more()) {
    for (unsigned step = 0; step < 64; step++) {
      uint64_t choice = next_random(&random) >> 8;
      unsigned page = choice % kPages, slot = (unsigned)(choice >> 8) % kSlots, how = (unsigned)(choice >> 16) % 10;
      uint8_t* at = CODE_AREA + page * kPage;
      stage("remap, by method", how, step);
      switch (how) {
        case 0:
        case 1:
          map_at(at, kPage, kReadExecute, how ? MAP_SHARED : MAP_PRIVATE, file, slot * kPage);
          versions[page] = kFirst + slot;
          break;
        case 2:  // anonymous memory
          map_at(at, kPage, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          versions[page] = (uint32_t)(choice >> 30) % kVersions;
          write_version(at, versions[page]);
          flush_code(at, at + kCodeBytes);
          MUST(mprotect(at, kPage, kReadExecute) == 0, "mprotect");
          break;
        case 3: {  // a page that was called elsewhere, or not
          void* elsewhere = map_at(NULL, kPage, kReadExecute, MAP_PRIVATE, file, slot * kPage);
          versions[page] = kFirst + slot;
          if (choice >> 40 & 1)
            EXPECT(version_of((Code)elsewhere, 5) == versions[page], "a new page has another's code");
          MUST(mremap(elsewhere, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at, "mremap");
          break;
        }
        case 4: {  // written over a private page, then dropped: the file's version again
          map_at(at, kPage, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, file, slot * kPage);
          uint32_t other = (uint32_t)(choice >> 33) % kVersions;
          if (choice >> 40 & 1) version_of((Code)(void*)at, 7);
          write_version(at, other);
          flush_code(at, at + kCodeBytes);
          uint32_t found = version_of((Code)(void*)at, 200);
          EXPECT(found == other, "a private page written over with version %u runs version %u", other, found);
          versions[page] = kFirst + slot;
          MUST(madvise(at, kPage, MADV_DONTNEED) == 0, "madvise");
          break;
        }
        case 5:
          MUST(munmap(at, kPage) == 0, "munmap");
          call_faults(at);
          map_at(at, kPage, kReadExecute, MAP_PRIVATE, file, slot * kPage);
          versions[page] = kFirst + slot;
          break;
        case 6:
          MUST(mprotect(at, kPage, choice >> 41 & 1 ? PROT_NONE : PROT_READ) == 0, "mprotect");
          call_faults(at);
          MUST(mprotect(at, kPage, kReadExecute) == 0, "mprotect");
          break;
        case 7: {  // two pages change places
          uint8_t *other = CODE_AREA + (page + 1) % kPages * kPage,
                  *between = map_at(NULL, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          MUST(mremap(at, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, between) == between, "mremap");
          MUST(mremap(other, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at, "mremap");
          MUST(mremap(between, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other, "mremap");
          uint32_t version = versions[page];
          versions[page] = versions[(page + 1) % kPages];
          versions[(page + 1) % kPages] = version;
          break;
        }
        case 8:
          if (choice >> 40 & 1) {
            head = slot % kHalves;
            map_at(kHead, kPage, kReadExecute, MAP_PRIVATE, halves, head * kPage);
          } else {
            tail = slot % kHalves;
            map_at(kTail, kPage, kReadExecute, MAP_SHARED, halves, (kHalves + tail) * kPage);
          }
          break;
        default: exchange_shared(shared, kSlots, (unsigned)(choice >> 42)); break;
      }
      for (unsigned i = 0; i < kPages; i++) {
        uint64_t n = step == 0 ? 20000 : (choice >> (20 + i)) % 100 + 1;
        uint32_t found = version_of((Code)(void*)(CODE_AREA + i * kPage), n);
        EXPECT(found == versions[i], "after method %u on page %u, page %u runs version %u, not %u", how, page, i, found,
               versions[i]);
      }
      uint64_t times = step == 0 ? 20000 : choice % 100 + 1, found = ((Code)(void*)(kTail - 10))(times);
      uint64_t expected = 3 * head + times * (tail * 7 + 1);
      EXPECT(found == expected, "after method %u, a loop on two pages computes %llu, not %llu", how,
             (unsigned long long)found, (unsigned long long)expected);
    }
  }
  join_thread(caller);
  EXPECT(calls_elsewhere > 0, "the other thread has not called");
}

// ---- protect ----

enum { kDataPages = 24, kCodePages = 4, kWords = kPage / 8 };

struct Protected {
  uint8_t* area;
  uint32_t lacking;  // bit i: page i may not be accessed as it is going to be
  unsigned faults;
};
static __thread struct Protected* own;  // a handler finds its thread's

static void mend(int signal, void* info, void* context) {
  uint8_t* address = ((siginfo_t*)info)->si_addr;
  const ucontext_t* at = context;
  uint64_t page = (uint64_t)(address - own->area) / kPage;
  EXPECT(page < kDataPages + kCodePages && own->lacking >> page & 1,
         "signal %d at pc %#llx: page %lld needs no mending", signal, (unsigned long long)at->uc_mcontext.__gregs[0],
         (long long)page);
  MUST(mprotect(own->area + page * kPage, kPage, page < kDataPages ? kReadWrite : kReadExecute) == 0, "mprotect");
  own->lacking &= ~(1u << page);
  own->faults++;
}

static void protect_storm(struct Protected* state, uint64_t random, unsigned steps) {
  own = state;
  uint64_t* words = (uint64_t*)state->area;
  for (unsigned step = 0; step < steps; step++) {
    uint64_t choice = next_random(&random);
    bool writing = choice & 1;
    unsigned expected = 0;
    stage("protect, step", step, writing);
    for (unsigned page = 0; page < kDataPages + kCodePages; page++) {
      if (next_random(&random) >> 30 & 3) continue;
      bool none = random >> 40 & 1;
      MUST(mprotect(state->area + page * kPage, kPage, none ? PROT_NONE : PROT_READ) == 0, "mprotect");
      if (page >= kDataPages || none || writing) {
        state->lacking |= 1u << page;
        expected++;
      }
    }
    state->faults = 0;
    // One hot loop over all pages.
    uint64_t sum = 0, should = 0;
    for (unsigned i = 0; i < kDataPages * kWords; i += 5) {
      sum += words[i];
      if (writing) words[i] += i;
    }
    for (unsigned i = 0; i < kCodePages; i++) {
      uint32_t found = version_of((Code)(void*)(state->area + (kDataPages + i) * kPage), 64);
      EXPECT(found == 500 + i, "code page %u runs version %u", i, found);
    }
    EXPECT(state->faults == expected && state->lacking == 0, "%u faults instead of %u", state->faults, expected);
    // The sum again, by what the cells must hold: each is i times (how often it was written) + i.
    for (unsigned i = 0; i < kDataPages * kWords; i += 5) should += words[i] - (writing ? i : 0);
    EXPECT(sum == should, "the words add up to %#llx, not %#llx", (unsigned long long)sum, (unsigned long long)should);
    // Readable pages without write permission stay behind for the next step.
    MUST(mprotect(state->area, kDataPages * kPage, kReadWrite) == 0, "mprotect");
  }
}

static void prepare_protected(struct Protected* state, int file) {
  state->area = map_at(NULL, (kDataPages + kCodePages) * kPage, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  map_at(state->area + kDataPages * kPage, kCodePages * kPage, kReadExecute, MAP_PRIVATE, file, 0);
}

static int protect_file;

static void* protect_elsewhere(void* unused) {
  (void)unused;
  pin(1);
  struct Protected state = {0};
  prepare_protected(&state, protect_file);
  for (uint64_t round = 1; !time_is_over(); round++) protect_storm(&state, random_seed * 11 + round * 2 + 1, 4);
  return NULL;
}

void test_protect(void) {
  handle(SIGSEGV, mend, 0);
  protect_file = versions_file("protected", 500, kCodePages);
  pin(0);
  struct Protected state = {0};
  prepare_protected(&state, protect_file);
  unsigned long other;
  start_thread(&other, protect_elsewhere, NULL);
  for (uint64_t round = 1; more(); round++) protect_storm(&state, random_seed * 13 + round * 2, 4);
  join_thread(other);
}
