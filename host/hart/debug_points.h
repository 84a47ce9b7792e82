// SPDX-License-Identifier: Apache-2.0
// Breakpoints and watchpoints as harts see them: what a debugger has set, whether an instruction or an access meets it,
// and what the hart that met it says. One for each machine.
//
// Changes. They are made while all harts are out of run(), and take effect by commit(): each hart flushes everything
// before it runs again. In between harts read them without a lock.
//
// Breakpoints are virtual addresses. A hart plants them into the slots of a page when it begins to execute there
// (Hart::fetch_page), so that pages without one cost nothing; compiled code that has one inside is not entered any more
// and compiled again without that instruction (jit/hart_code.h).
//
// Watchpoints live in the state byte of pages (memory/guest_memory.h): no TLB has a page with watched bytes, so that
// only accesses to such pages come to the slow path, which looks at the bytes. A virtual address is followed: where a
// hart finds it mapped to another page, that page is marked too, and accesses to the page by other addresses count as
// long as the mapping stands. An access is judged after its instruction, when it is known that it did not trap.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/result.h"
#include "memory/guest_memory.h"
#include "shm/attention.h"
#include "shm/lock.h"

namespace hartwood {

// In place of a satp: every address space, and addresses that are not translated.
inline constexpr u64 kAnySpace = ~u64{0};

struct Breakpoint {
  u32 id = 0;
  u64 va = 0;  // even
  u64 space = kAnySpace;
};

struct Watchpoint {
  enum class Test : u8 { none, changed, equal, not_equal, below, above };  // of unsigned numbers
  u32 id = 0;
  bool physical = false;
  u64 address = 0;
  u64 bytes = 1;  // 1 or more; the range does not wrap
  u64 space = kAnySpace;
  bool reads = false, writes = true;
  bool walks = false;  // reads and writes by page-table walks count too
  // The bytes after the access, as a little-endian number; of more than 8 the first 8. Reads change nothing.
  Test test = Test::none;
  u64 value = 0;
  bool logs = false;          // instead of stopping
  u32 most_per_second = 100;  // log entries in a second of the guest's time
};

// Who has met what.
struct DebugStop {
  enum class Why : u8 { breakpoint, watchpoint };
  Why why = Why::breakpoint;
  u32 id = 0;          // of the breakpoint or watchpoint
  u32 hart = kNoHart;  // kNoHart: a device, or a walk
  u64 pc = 0;          // of the instruction: the next one at a breakpoint, else the one that accessed
  u64 address = 0;     // first watched byte that was accessed; virtual if the watchpoint is
  Pa pa{0};            // of it
  u32 bytes = 0;       // from there on, that were accessed and are watched, at most 8
  bool write = false;
  bool walk = false;                 // by a page-table walk
  u64 old_value = 0, new_value = 0;  // of these bytes
  static constexpr u32 kNoHart = ~u32{0};
};

// An access to a page that has watched bytes.
struct WatchedAccess {
  static constexpr u32 kMostBytes = 64;
  Pa pa{0};
  u64 va = 0;     // of those by harts
  u32 bytes = 0;  // 1 to kMostBytes, in one page
  bool read = false, write = false, walk = false;
  bool by_hart = true;
  u64 space = 0;  // satp, or 0 where addresses are not translated
  u64 pc = 0;
  u32 hart = 0;
  std::array<u8, kMostBytes> before{};  // the bytes of RAM before it
};

class DebugPoints final : public MemoryWatcher {
 public:
  // `attention` tells the harts where a device has met a watchpoint.
  DebugPoints(GuestMemory& memory, AttentionProtocol& attention) : memory_(memory), attention_(attention) {}

  // ---- the debugger, while all harts are out
  // Errors: an odd or impossible address, no bytes, too many points, an id that is taken.
  Status add(const Breakpoint& point);
  Status add(const Watchpoint& point);
  bool remove(u32 id);
  const std::vector<Breakpoint>& breakpoints() const { return breaks_; }
  const std::vector<Watchpoint>& watchpoints() const { return watches_; }
  // Whether something has changed since it was called last: then all harts have to flush everything. Marks the pages of
  // physical watchpoints; those of virtual ones are marked when a hart meets them.
  bool commit();
  static constexpr size_t kMostPoints = 4096;

  // ---- harts and compilers, between commits
  u32 epoch() const { return epoch_; }
  bool has_breakpoints() const { return !breaks_.empty(); }
  bool has_watchpoints() const { return !watches_.empty(); }
  // Calls tell(va) for each breakpoint in [first, first + bytes).
  template <class Tell>
  void each_break(u64 first, u64 bytes, Tell&& tell) const {
    for (const Breakpoint& point : breaks_) {
      if (point.va - first < bytes) tell(point.va);
    }
  }
  // The breakpoint at `va` in this space, or null. `space`: 0 where addresses are not translated.
  const Breakpoint* breakpoint(u64 va, u64 space) const;
  // Whether the page of `va` has bytes of a virtual watchpoint.
  bool watches_page(u64 va) const {
    if (virtual_watches_ == 0) [[likely]]
      return false;
    return watches_virtual_page(va);
  }
  // A hart has found `va`, of a page that is watched, in this RAM page. True: nobody knew; every hart has to flush, as
  // TLBs may have that page.
  bool follow(u64 va, u64 page, u64 space);
  // After the access: what is to stop the machine, if anything.
  std::optional<DebugStop> judge(const WatchedAccess& access, u64 ticks);

  // ---- what happened
  // By a hart that leaves run() because of it, or on behalf of a device.
  void report(const DebugStop& stop);
  // The oldest one that was not taken yet; none: there is none. While all harts are out: what a device has written is
  // the new value then.
  std::optional<DebugStop> take_stop();
  // A debugger accesses memory itself: nothing counts until it says otherwise. While all harts are out.
  void ignore_devices(bool on) { ignoring_.store(on); }
  // Counted and notified at each report.
  Atomic<u32>& reports() { return reports_; }
  struct Log {
    std::vector<DebugStop> entries;
    u64 dropped = 0;  // over a limit or for want of room
  };
  Log take_log();
  static constexpr size_t kMostLogEntries = 1024;

  // MemoryWatcher
  void accessed(Pa pa, u64 bytes, bool write, bool walk) override;

 private:
  struct Followed {
    u64 va_page, page, space;
  };
  bool watches_virtual_page(u64 va) const;
  std::optional<DebugStop> meeting(const Watchpoint& point, const WatchedAccess& access, u64 from) const;
  void log(const Watchpoint& point, const DebugStop& stop, u64 ticks);

  GuestMemory& memory_;
  AttentionProtocol& attention_;
  std::vector<Breakpoint> breaks_;
  std::vector<Watchpoint> watches_;
  u32 virtual_watches_ = 0;
  bool changed_ = false;
  u32 epoch_ = 0;
  Lock lock_;  // of all that follows
  std::vector<Followed> followed_;
  std::vector<u64> marked_;  // pages
  std::vector<DebugStop> stops_;
  Log log_;
  struct Rate {
    u32 id;
    u64 second;
    u32 count;
  };
  std::vector<Rate> rates_;
  Atomic<u32> reports_{0};
  Atomic<u32> ignoring_{0};
};

}  // namespace hartwood
