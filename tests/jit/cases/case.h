// SPDX-License-Identifier: Apache-2.0
// For the cases in assembly and in C. See start.S.
#pragma once

#define MSTATUS_FS 0x6000
#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x800
#define MSTATUS_MPRV 0x20000
#define SSTATUS_SUM 0x40000

#ifndef __ASSEMBLER__
typedef unsigned long u64;
typedef unsigned int u32;

typedef struct {
  u64 x[32], epc, cause, tval, instret;
} Frame;

enum { kUserCall = 8, kLoadFault = 13, kStoreFault = 15, kIllegal = 2 };

extern Frame frame;
extern char pages[];  // free memory, from a page on

int run(void);
_Noreturn void finish(u64 code);
_Noreturn void enter_user(u64 pc, const u64* x);
_Noreturn void enter_supervisor(void (*function)(void));
void machine(Frame* f);
void supervisor(Frame* f);

#define READ_CSR(name)                                            \
  ({                                                              \
    u64 value_;                                                   \
    __asm__ volatile("csrr %0, " #name : "=r"(value_)::"memory"); \
    value_;                                                       \
  })
#define WRITE_CSR(name, value) __asm__ volatile("csrw " #name ", %0" ::"r"((u64)(value)) : "memory")

static inline void fence_i(void) { __asm__ volatile("fence.i" ::: "memory"); }
static inline void sfence_vma(void) { __asm__ volatile("sfence.vma" ::: "memory"); }
static inline void sfence_page(u64 va) { __asm__ volatile("sfence.vma %0" ::"r"(va) : "memory"); }

static inline void expect(u64 value, u64 wanted, u64 code) {
  if (value != wanted) finish(code);
}

static inline void copy(void* to, const void* from, u64 bytes) {
  for (u64 i = 0; i < bytes; i += 4) *(volatile u32*)((char*)to + i) = *(const u32*)((const char*)from + i);
}

// Pages from `pages` on.
static inline u64 new_page(void) {
  static u64 next;
  if (next == 0) next = (u64)pages;
  next += 4096;
  return next - 4096;
}

// Sv39 [priv: Sv39]. A and D are set from the beginning: when they are is not what the cases are about.
enum { kV = 1, kR = 2, kW = 4, kX = 8, kU = 16, kG = 32, kAd = 0xc0 };
static inline u64 pte(u64 pa, u64 flags) { return pa >> 2 | flags | kAd | kV; }
// The entry for `va`'s page; tables are made on the way.
static inline u64* entry_of(u64* root, u64 va) {
  u64* table = root;
  for (int level = 2; level > 0; level--) {
    u64* at = &table[va >> (12 + 9 * level) & 511];
    if (*at == 0) *at = new_page() >> 2 | kV;
    table = (u64*)(*at >> 10 << 12);
  }
  return &table[va >> 12 & 511];
}
// A table in which RAM is where it is physically, for S-mode.
static inline u64* new_space(void) {
  u64* root = (u64*)new_page();
  root[2] = pte(0x80000000, kR | kW | kX | kG);
  return root;
}
static inline u64 satp_of(u64* root, u64 asid) { return 8ul << 60 | asid << 44 | (u64)root >> 12; }
#endif
