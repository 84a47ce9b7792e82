// SPDX-License-Identifier: Apache-2.0
// Guest RAM and the one state byte of each of its pages.
//
// RAM is one contiguous block of host memory that begins at guest physical kRamBase. Harts access it in place through
// their TLBs. Everything else that touches RAM - the page-table walker, atomics, devices, loaders, the debugger - goes
// through this class, which checks the range and keeps the page states:
//
//   code          a hart holds predecoded or translated instructions of this page. A write by the slow path or a
//                 device counts the page's generation up, which drops them.
//   watch_read,
//   watch_write   a debugger watches bytes of this page: never entered into a TLB for that kind of access.
//   absent        the page's content is not here yet (snapshots that load lazily): an access asks for it first.
//   dirty         written since the last snapshot. Set by whoever takes write access, so a page in a write TLB is
//                 dirty.
//   used          written before the last snapshot, or brought by one. A page that is neither dirty nor used is zero.
//
// State bytes are atomic: any thread may set or clear bits. A TLB fill reads the byte after the translation and before
// the entry is published (hart/mmu.cpp), and a shootdown follows every change that forbids what an entry allowed.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "base/bits.h"
#include "base/result.h"
#include "base/types.h"
#include "shm/atomic.h"

namespace hartwood {

inline constexpr u64 kRamBase = 0x8000'0000;
inline constexpr u64 kMinRamBytes = u64{64} << 20;
inline constexpr u64 kMaxRamBytes = u64{2} << 30;

enum PageState : u8 {
  kPageCode = 1 << 0,
  kPageWatchRead = 1 << 1,
  kPageWatchWrite = 1 << 2,
  kPageAbsent = 1 << 3,
  kPageDirty = 1 << 4,
  kPageUsed = 1 << 5,
};

// Who has the content of absent pages.
class PageSource {
 public:
  virtual ~PageSource() = default;
  // Somebody waits for this page; called on the waiting thread, perhaps several times. Returns at once. Whoever brings
  // the page waits for no hart and takes no lock of a device, because the waiting thread may hold it.
  virtual void want(u64 page) = 0;
};

// Who is told of accesses to pages that are watched (kPageWatchRead, kPageWatchWrite), but of those that harts' own
// instructions make: harts know more of them, and tell by themselves.
class MemoryWatcher {
 public:
  virtual ~MemoryWatcher() = default;
  // Before the access, on its thread. [pa, pa + bytes) is RAM and in one page. `walk`: of a page-table entry.
  virtual void accessed(Pa pa, u64 bytes, bool write, bool walk) = 0;
};

class GuestMemory {
 public:
  // `bytes`: 64 MiB to 2 GiB, a power of two; another size is an error that lists the accepted ones.
  static Result<std::unique_ptr<GuestMemory>> create(u64 bytes);
  ~GuestMemory();
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  u64 size() const { return size_; }
  u8* ram() const { return ram_; }  // host address of guest physical kRamBase, page-aligned
  bool contains(Pa pa, u64 bytes) const {
    const u64 offset = pa.value - kRamBase;
    return offset < size_ && bytes <= size_ - offset;
  }
  u64 offset_of(Pa pa) const { return pa.value - kRamBase; }

  // Host bytes of [pa, pa + bytes), or an empty span if not all of it is RAM. For reading.
  std::span<const u8> readable(Pa pa, u64 bytes) const;
  // The same for writing: marks the pages dirty and counts their generation if they hold code. Ask again for every
  // request; do not keep the span across guest execution.
  std::span<u8> writable(Pa pa, u64 bytes);

  // Copies; false and nothing copied if the range is not all RAM.
  bool read(Pa pa, std::span<u8> to) const;
  bool write(Pa pa, std::span<const u8> from);
  bool fill(Pa pa, u8 value, u64 bytes);

  // Little-endian scalars of any alignment, not atomic. load: false if not RAM.
  template <class T>
  bool load(Pa pa, T& value) const {
    tell_watcher(pa, sizeof(T), false);
    return fetch(pa, value);
  }
  // The same for the code of harts, and for what watches.
  template <class T>
  bool fetch(Pa pa, T& value) const {
    if (!contains(pa, sizeof(T))) return false;
    require(pa, sizeof(T));
    value = load_le<T>(ram_ + offset_of(pa));
    return true;
  }
  template <class T>
  bool store(Pa pa, T value) {
    if (!contains(pa, sizeof(T))) return false;
    tell_watcher(pa, sizeof(T), true);
    note_write(pa, sizeof(T));
    store_le(ram_ + offset_of(pa), value);
    return true;
  }

  // Atomic access to naturally aligned words in RAM (checked by the caller: HW_CHECK). Used by the walker, AMO, LR/SC,
  // and virtqueue indices, which pair with the guest's own atomics and fences: points of the seeded scheduler.
  template <class T>
  T atomic_load(Pa pa) const {
    require(pa, sizeof(T));
    schedule_point();
    return word<T>(pa).load();
  }
  template <class T>
  void atomic_store(Pa pa, T value) {
    tell_watcher(pa, sizeof(T), true);
    note_write(pa, sizeof(T));
    schedule_point();
    word<T>(pa).store(value);
  }
  template <class T>
  bool compare_exchange(Pa pa, T& expected, T desired) {
    note_write(pa, sizeof(T));
    schedule_point();
    return word<T>(pa).compare_exchange_strong(expected, desired);
  }
  // A 16-byte compare-exchange, aligned and in RAM. Neither Wasm nor every native target has an atomic one: the caller
  // sees to it that no hart runs meanwhile (AttentionProtocol::begin_exclusive). Returns what was there.
  void compare_exchange_pair(Pa pa, u64 expected_low, u64 expected_high, u64 low, u64 high, u64& old_low,
                             u64& old_high);

  template <class T>
  std::atomic<T>& word(Pa pa) const {
    HW_CHECK(contains(pa, sizeof(T)) && pa.value % sizeof(T) == 0, "misplaced atomic");
    return *reinterpret_cast<std::atomic<T>*>(ram_ + offset_of(pa));
  }

  // Page states; `page` counts from kRamBase.
  u64 page_count() const { return size_ >> kPageShift; }
  u8 page_state(u64 page) const { return states_[page].load(std::memory_order_seq_cst); }
  void set_page_state(u64 page, u8 bits) { states_[page].fetch_or(bits); }
  void clear_page_state(u64 page, u8 bits) { states_[page].fetch_and(static_cast<u8>(~bits)); }
  // Counts writes that were seen while the page held code; a change means that what was decoded may be stale.
  u32 code_generation(u64 page) const { return generations_[page].load(); }

  // To be called before a write of [pa, pa + bytes), all RAM, that does not go through the methods above.
  void note_write(Pa pa, u64 bytes) {
    const u64 first = offset_of(pa) >> kPageShift;
    const u64 last = (offset_of(pa) + bytes - 1) >> kPageShift;
    for (u64 page = first; page <= last; page++) {
      const u8 state = states_[page].load(std::memory_order_relaxed);
      if ((state & (kPageDirty | kPageCode | kPageAbsent)) != kPageDirty) [[unlikely]]
        note_page_write(page);
    }
  }

  // While nobody accesses anything; null: nobody watches. Outlives the memory's users.
  void set_watcher(MemoryWatcher* watcher) { watcher_ = watcher; }
  void tell_watcher(Pa pa, u64 bytes, bool write, bool walk = false) const {
    if (watcher_ != nullptr) [[unlikely]]
      tell_of_access(pa, bytes, write, walk);
  }

  // Absent pages. Before the first access, on one thread: `source` will bring what is marked kPageAbsent.
  void expect_pages(PageSource& source);
  // The bytes of pages have been written in place and their marks cleared: who waits looks again.
  void pages_arrived();
  // None is absent any more: nobody needs to look.
  void all_pages_arrived() { some_absent_.store(0); }
  // Sleeps until no page of [pa, pa + bytes), all RAM, is absent. Every access does this but those through a TLB, which
  // holds no absent page.
  void require(Pa pa, u64 bytes) const {
    if (some_absent_.hint() != 0) [[unlikely]]
      require_pages(pa, bytes);
  }
  void require_page(u64 page) const { require(Pa(kRamBase + (page << kPageShift)), 1); }

  // Dirty pages since when: none is dirty from now on; those that were are used. All harts are out of run() and flush
  // everything before they go on.
  void forget_dirty();

 private:
  explicit GuestMemory(u64 bytes);
  void note_page_write(u64 page);
  void require_pages(Pa pa, u64 bytes) const;
  void tell_of_access(Pa pa, u64 bytes, bool write, bool walk) const;

  u64 size_;
  u8* ram_ = nullptr;
  std::unique_ptr<std::atomic<u8>[]> states_;
  std::unique_ptr<std::atomic<u32>[]> generations_;
  PageSource* source_ = nullptr;
  MemoryWatcher* watcher_ = nullptr;
  Atomic<u32> some_absent_{0};
  mutable Atomic<u32> arrivals_{0};
};

}  // namespace hartwood
