// SPDX-License-Identifier: Apache-2.0
// Machine code that the sub-tests write: functions that tell their version by what they compute in a loop.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stress.h"

void write_version(void* to, uint32_t version) {
  const uint32_t words[kCodeBytes / 4] = {
      0x000002b7 | ((version + 0x800) & 0xfffff000),  // lui t0, upper bits
      0x0002829b | version << 20,                     // addiw t0, t0, lower bits
      0x00050313,                                     // mv t1, a0
      0x00000513,                                     // li a0, 0
      0x00550533,                                     // loop: add a0, a0, t0
      0xfff30313,                                     // addi t1, t1, -1
      0xfe031ce3,                                     // bnez t1, loop
      0x00008067,                                     // ret
  };
  memcpy(to, words, sizeof words);
}

uint32_t version_of(Code code, uint64_t n) {
  uint64_t product = code(n);
  EXPECT(product % n == 0 && product / n < kVersions,
         "generated code at %p computes %#llx for %llu: no version's result", (void*)code, (unsigned long long)product,
         (unsigned long long)n);
  return (uint32_t)(product / n);
}

void flush_code(void* from, void* to) {
  const long flush_icache = 259;
  if (syscall(flush_icache, from, to, 0ul) == 0) return;
  MUST(errno == ENOSYS, "riscv_flush_icache");
  __asm__ volatile("fence.i" ::: "memory");
}

int versions_file(const char* name, uint32_t first, unsigned pages) {
  int file = memfd_create(name, MFD_CLOEXEC);
  MUST(file >= 0 && ftruncate(file, (off_t)pages * kPage) == 0, "memfd_create");
  for (unsigned i = 0; i < pages; i++) {
    uint8_t code[kCodeBytes];
    write_version(code, first + i);
    MUST(pwrite(file, code, sizeof code, (off_t)i * kPage) == sizeof code, "pwrite");
  }
  return file;
}

void* map_at(void* address, size_t size, int protection, int flags, int file, uint64_t offset) {
  void* mapped = mmap(address, size, protection, flags | (address != NULL ? MAP_FIXED : 0), file, (off_t)offset);
  MUST(mapped != MAP_FAILED, "mmap");
  EXPECT(address == NULL || mapped == address, "mmap(MAP_FIXED) gives %p for %p", mapped, address);
  return mapped;
}
