// SPDX-License-Identifier: Apache-2.0
#include "memory/guest_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#ifdef __wasm__
#include <unistd.h>
#else
#include <sys/mman.h>
#endif

namespace hartwood {
namespace {

// Zeroed pages. Natively reserved lazily. In Wasm the linear memory starts as zeroes, and clearing what nobody has used
// yet would make the browser commit all of guest RAM, so only what lies below the highest end of the heap so far is
// cleared. That mark is about the linear memory itself, of which an instance has one.
u8* allocate_pages(u64 bytes) {
#ifdef __wasm__
  static uintptr_t used_end = 0;
  const uintptr_t before = reinterpret_cast<uintptr_t>(sbrk(0));
  if (before > used_end) used_end = before;
  auto* block = static_cast<u8*>(std::aligned_alloc(kPageBytes, static_cast<size_t>(bytes)));
  if (block == nullptr) return nullptr;
  const uintptr_t start = reinterpret_cast<uintptr_t>(block);
  if (start < used_end) std::memset(block, 0, std::min<size_t>(static_cast<size_t>(bytes), used_end - start));
  if (start + bytes > used_end) used_end = start + static_cast<uintptr_t>(bytes);
  return block;
#else
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  madvise(block, bytes, MADV_HUGEPAGE);
  return static_cast<u8*>(block);
#endif
}

}  // namespace

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(u64 bytes) {
  if (!is_power_of_two(bytes) || bytes < kMinRamBytes || bytes > kMaxRamBytes)
    return errorf("memory of %llu MiB is not possible; choose 64, 128, 256, 512, 1024 or 2048 MiB",
                  static_cast<unsigned long long>(bytes >> 20));
  std::unique_ptr<GuestMemory> memory(new GuestMemory(bytes));
  if (memory->ram_ == nullptr)
    return errorf("no room for %llu MiB of guest memory; choose less memory",
                  static_cast<unsigned long long>(bytes >> 20));
  return memory;
}

GuestMemory::GuestMemory(u64 bytes)
    : size_(bytes),
      ram_(allocate_pages(bytes)),
      states_(new std::atomic<u8>[bytes >> kPageShift]()),
      generations_(new std::atomic<u32>[bytes >> kPageShift]()) {}

GuestMemory::~GuestMemory() {
#ifdef __wasm__
  std::free(ram_);
#else
  if (ram_ != nullptr) munmap(ram_, size_);
#endif
}

std::span<const u8> GuestMemory::readable(Pa pa, u64 bytes) const {
  if (!contains(pa, bytes)) return {};
  if (bytes != 0) {
    tell_watcher(pa, bytes, false);
    require(pa, bytes);
  }
  return {ram_ + offset_of(pa), static_cast<size_t>(bytes)};
}

std::span<u8> GuestMemory::writable(Pa pa, u64 bytes) {
  if (!contains(pa, bytes)) return {};
  if (bytes != 0) {
    tell_watcher(pa, bytes, true);
    note_write(pa, bytes);
  }
  return {ram_ + offset_of(pa), static_cast<size_t>(bytes)};
}

bool GuestMemory::read(Pa pa, std::span<u8> to) const {
  if (!contains(pa, to.size())) return false;
  if (to.empty()) return true;
  tell_watcher(pa, to.size(), false);
  require(pa, to.size());
  std::memcpy(to.data(), ram_ + offset_of(pa), to.size());
  return true;
}

bool GuestMemory::write(Pa pa, std::span<const u8> from) {
  const std::span<u8> to = writable(pa, from.size());
  if (to.size() != from.size()) return false;
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
  return true;
}

bool GuestMemory::fill(Pa pa, u8 value, u64 bytes) {
  const std::span<u8> to = writable(pa, bytes);
  if (to.size() != bytes) return false;
  if (bytes != 0) std::memset(to.data(), value, to.size());
  return true;
}

void GuestMemory::compare_exchange_pair(Pa pa, u64 expected_low, u64 expected_high, u64 low, u64 high, u64& old_low,
                                        u64& old_high) {
  note_write(pa, 16);
  std::atomic<u64>& first = word<u64>(pa);
  std::atomic<u64>& second = word<u64>(pa + 8);
  old_low = first.load();
  old_high = second.load();
  if (old_low != expected_low || old_high != expected_high) return;
  schedule_point();  // where others would come between if they were not parked
  first.store(low);
  second.store(high);
}

void GuestMemory::note_page_write(u64 page) {
  require_page(page);  // a part of it may be all that is written
  const u8 old = states_[page].fetch_or(kPageDirty);
  // Pairs with the decoder, which sets kPageCode before it copies the page's bytes: a write that comes later than the
  // copy finds the bit here and changes the generation that the copy is keyed by.
  if (old & kPageCode) generations_[page].fetch_add(1);
}

void GuestMemory::tell_of_access(Pa pa, u64 bytes, bool write, bool walk) const {
  if (!contains(pa, bytes)) return;
  for (u64 at = pa.value, end = pa.value + bytes; at < end;) {
    const u64 in_page = std::min(end - at, kPageBytes - (at & kPageMask));
    if (page_state(offset_of(Pa(at)) >> kPageShift) & (kPageWatchRead | kPageWatchWrite))
      watcher_->accessed(Pa(at), in_page, write, walk);
    at += in_page;
  }
}

void GuestMemory::expect_pages(PageSource& source) {
  source_ = &source;
  some_absent_.store(1);
}

void GuestMemory::pages_arrived() {
  // Pairs with require_pages(): who saw a page absent has read the counter before.
  arrivals_.fetch_add(1);
  arrivals_.notify();
}

void GuestMemory::require_pages(Pa pa, u64 bytes) const {
  const u64 first = offset_of(pa) >> kPageShift;
  const u64 last = (offset_of(pa) + bytes - 1) >> kPageShift;
  for (u64 page = first; page <= last; page++) {
    for (;;) {
      const u32 seen = arrivals_.load();
      if ((page_state(page) & kPageAbsent) == 0) break;
      source_->want(page);
      arrivals_.wait(seen);
    }
  }
}

void GuestMemory::forget_dirty() {
  for (u64 page = 0; page < page_count(); page++) {
    if ((states_[page].load(std::memory_order_relaxed) & kPageDirty) == 0) continue;
    set_page_state(page, kPageUsed);
    clear_page_state(page, kPageDirty);
  }
}

}  // namespace hartwood
