// SPDX-License-Identifier: Apache-2.0
// Natively the system gives pages of zeroes. In Wasm the linear memory starts as zeroes: what nobody has used yet is
// taken from behind the heap, not from the heap, which would have to be cleared, and a browser commits what is cleared.
// The heap gets along with that: it sees a gap. What is given back is kept for the next piece of that size, and cleared
// then.
#include "memory/zero_pages.h"

#include <cstring>

#include "base/check.h"
#ifdef __wasm__
#include <unistd.h>

#include "shm/lock.h"
#else
#include <sys/mman.h>
#endif

namespace hartwood {

#ifdef __wasm__

namespace {

struct Unused {
  Unused* next;
  u64 bytes;
};
Lock lock;
Unused* unused;

}  // namespace

ZeroPages allocate_zero_pages(u64 bytes) {
  Guard guard(lock);
  for (Unused** at = &unused; *at != nullptr; at = &(*at)->next) {
    Unused* const found = *at;
    if (found->bytes != bytes) continue;
    *at = found->next;
    std::memset(static_cast<void*>(found), 0, static_cast<size_t>(bytes));
    return ZeroPages(reinterpret_cast<u64*>(found), {bytes});
  }
  void* const end = sbrk(static_cast<intptr_t>(bytes + kPageBytes));
  HW_CHECK(end != reinterpret_cast<void*>(-1), "no room for tables; choose less memory or fewer harts");
  const uintptr_t first = (reinterpret_cast<uintptr_t>(end) + kPageBytes - 1) & ~static_cast<uintptr_t>(kPageMask);
  return ZeroPages(reinterpret_cast<u64*>(first), {bytes});
}

void FreeZeroPages::operator()(u64* words) const {
  Guard guard(lock);
  auto* const freed = reinterpret_cast<Unused*>(words);
  *freed = {unused, bytes};
  unused = freed;
}

#else

ZeroPages allocate_zero_pages(u64 bytes) {
  void* const block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  HW_CHECK(block != MAP_FAILED, "no room for tables; choose less memory or fewer harts");
  return ZeroPages(static_cast<u64*>(block), {bytes});
}

void FreeZeroPages::operator()(u64* words) const { munmap(words, bytes); }

#endif

}  // namespace hartwood
