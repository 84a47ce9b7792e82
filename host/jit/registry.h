// SPDX-License-Identifier: Apache-2.0
// All compiled modules of a machine, and the requests for more: what harts and compiler workers share. Any thread; one
// lock, taken only when a hart looks for code that its jump cache does not have, when it asks for some, and by
// compilers.
//
// Life of a module. A hart asks for the code at a hot place: it says which RAM pages lie around it. A compiler takes
// the request, copies the pages, translates, and publishes the module with the bytes that it was made from. Each hart
// then gets the engine's module by message, instantiates it and says so (installed()); before that the hart does not
// find it.
//
// Again, with more. A place gets hot when it is first executed often, and what a function does later is then still
// cold: a region ends there (Terminator::cold), and at that edge one Wasm function calls another, with all registers
// going through memory. So when a place is asked for that modules would have with them if they were made now, because
// what was cold has been executed since, one of them is made anew together with it, unless both lie in one loop. The
// new module is found instead of the old one from when it is installed, and the old one is dead as soon as all harts
// have the new one. That may happen a few times to a module (kMostGenerations).
//
// Validity. A module is right for a hart as long as the pages around the place map to the same RAM pages and these hold
// the same bytes. Both are looked at when the hart finds the module, once for each of the hart's contexts and epochs
// (see hart_code.h); an epoch ends with FENCE.I, as the architecture has it. So nobody has to be told that a page was
// written, by whomever: what is found is right, whether the page was dirtied while it was compiled, by a device,
// through another virtual address or with other code since. A module whose bytes differ is dead: no hart finds it any
// more.
//
// Eviction. Dead modules, and when the budget of bytes is used up those that were not found for long, are dropped: the
// compiler posts that to every hart; a hart does it between runs, when none of its frames can be inside, and
// acknowledges. Only when all have, the table slots are used again.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include "jit/lower.h"
#include "jit/window.h"
#include "memory/guest_memory.h"
#include "shm/hart_shared.h"
#include "shm/lock.h"

namespace hartwood::jit {

// Table slots that translated code may use, from Registry's first on.
inline constexpr u32 kTableSlots = 65536;

// What compiled code may take of the process's memory, in bytes; and how much of it an engine takes for each byte of a
// module, with its bookkeeping and its machine code: 11 to 13 where all is optimized, 19 for the smallest modules, by
// tools/bench/code-memory.mjs.
inline constexpr u64 kCodeMemory = u64{256} << 20, kMemoryPerByte = 16;

struct Request {
  u32 entry = 0;                        // window offset
  std::array<u64, kWindowPages> pages;  // RAM page numbers, kNoPage where nothing executable is mapped
  std::vector<u64> executed;            // Window::executed_halfwords
  bool indirect = false;                // control comes to the entry by indirect jumps or calls
  std::vector<u32> jumped_to;           // window offsets of other such places, as far as a hart remembers
  // Modules that end where something has been executed since, and where in this window their first entries are. Set by
  // take().
  struct Grown {
    u32 module, entry;
  };
  std::vector<Grown> grown;
};

struct CompiledModule {
  u32 id = 0;
  u32 slot = 0;  // first
  u32 slots = 0;
  std::array<u64, kWindowPages> pages;  // kNoPage: nothing of it is used
  struct Range {
    u32 offset, bytes;
  };
  std::vector<Range> ranges;  // of the window, that were translated
  std::vector<u8> source;     // their bytes, one after the other
  struct Entry {
    u32 offset;      // in the window
    CodePlace code;  // relative to `slot`
  };
  std::vector<Entry> entries;  // the first one is that of the first region
  struct Place {
    u32 offset;
    u64 page;
  };
  std::vector<Place> cold;  // window offsets where its regions end because nothing was executed there
  u32 replaces = 0;         // id of the module that this one was made instead of, 0: none
  u32 generation = 0;       // how many before it were replaced
  bool replaced = false;    // or being replaced
  u32 emitted_bytes = 0;
  Atomic<u32> installed{0};  // bit per hart
  Atomic<u32> dead{0};
  u32 published = 0;        // Registry::now() then
  u32 last_found = 0;       // and when a hart found it last
  bool leaves_out = false;  // it was made without some instruction
  bool dropping = false;
  u32 forgotten = 0;  // bit per hart that acknowledged the drop
};

class Registry {
 public:
  // `statistics` outlives the registry. `first_slot`: of the function table.
  Registry(GuestMemory& memory, u32 harts, u32 first_slot, CompilerStatistics& statistics);

  // ---- harts
  // Whether anything is to be compiled yet. What a boot does happens once: the engine, which optimizes the interpreter
  // then, and the harts can use the processors better than a compiler.
  bool open() const { return open_.load() != 0; }
  void set_open() { open_.store(1); }
  // Asks for the code at a place; false if it is compiled, under way or hopeless, or if too many wait.
  bool request(Request request);
  // A module with an entry at `offset` of RAM page `page`, installed on `hart`, whose pages are where `page_at` says
  // (distance in pages from `page` -> RAM page). `entry`: index of the entry.
  template <class PageAt>
  CompiledModule* find(u32 hart, u64 page, u32 offset, PageAt page_at, u32& entry) {
    Guard guard(lock_);
    CompiledModule* newest = nullptr;
    const auto [from, to] = entries_.equal_range(key(page, offset));
    for (auto at = from; at != to; ++at) {
      CompiledModule& module = *modules_[at->second.module];
      if (module.dead.load() != 0 || ((module.installed.load() >> hart) & 1) == 0) continue;
      const u32 home = module.entries[at->second.entry].offset >> kPageShift;
      bool same = true;
      for (u32 i = 0; i < kWindowPages && same; i++) {
        if (module.pages[i] != kNoPage && i != home)
          same = page_at(static_cast<i32>(i) - static_cast<i32>(home)) == module.pages[i];
      }
      if (!same || (newest != nullptr && newest->id > module.id)) continue;
      newest = &module;
      entry = at->second.entry;
    }
    if (newest != nullptr) newest->last_found = ++now_;
    return newest;
  }
  // Whether RAM holds what the module was made from; if not, the module is dead from now on.
  bool check_source(CompiledModule& module);
  // Returns the module, or null if there is none.
  const CompiledModule* installed(u32 hart, u32 id);
  void dropped(u32 hart, u32 id);

  // ---- compilers
  // Takes a request. False: none. `seen`: window offsets of the places in its pages that control was seen to come to
  // by indirect jumps and calls: what the request says, and such that were asked for so far.
  bool take(Request& request, std::vector<u32>& seen);
  // Whether the caller is to replace a module, and nobody else does.
  bool replace(u32 id);
  // Reserves slots; 0: none are free.
  u32 allocate_slots(u32 count);
  // Makes a module findable; returns its id.
  u32 publish(std::unique_ptr<CompiledModule> module);
  static constexpr u32 kMostGenerations = 4;
  void failed(const Request& request);
  void engine_refused(u32 id);
  // A module that harts are to drop, or 0. Its slots: slots_of().
  u32 next_to_drop();
  void slots_of(u32 id, u32& slot, u32& count);
  // Counted when there is work for a compiler.
  Atomic<u32>& work() { return work_; }

  // ---- breakpoints
  // A hart has found a module with this instruction inside, at `offset` of RAM page `page`, which compiled code has to
  // leave out from now on.
  void leave_out(CompiledModule& module, u64 page, u32 offset);
  // As window offsets.
  std::vector<u32> left_out(const std::array<u64, kWindowPages>& pages);
  // Nothing is left out any more; modules without such instructions are made anew. While all harts are out of run().
  void forget_left_out();

  void set_budget(u64 emitted_bytes) { budget_ = emitted_bytes; }

 private:
  struct EntryName {
    u32 module, entry;
  };
  static u64 key(u64 page, u32 offset) { return page << kPageShift | (offset & kPageMask); }
  static u64 key(const Request& request) { return key(request.pages[request.entry >> kPageShift], request.entry); }
  void forget(u32 id);
  void find_grown(Request& request);

  GuestMemory& memory_;
  u32 all_harts_;
  CompilerStatistics& statistics_;
  Lock lock_;
  std::unordered_multimap<u64, EntryName> entries_;
  std::unordered_multimap<u64, EntryName> cold_;  // by page: which module ends there, and which one it is of its `cold`
  std::vector<std::unique_ptr<CompiledModule>> modules_;  // by id; 0 is none
  static constexpr u32 kMaxRequests = 64;
  std::vector<Request> requests_;
  // Places that were asked for: how often that has failed, and whether it is under way.
  struct Asked {
    u32 attempts = 0;
    bool waiting = false;
  };
  std::unordered_map<u64, Asked> asked_;
  std::unordered_map<u64, std::vector<u16>> places_;    // asked for, by RAM page
  std::unordered_map<u64, std::vector<u16>> left_out_;  // by RAM page
  u32 next_slot_, end_slot_;
  std::vector<std::pair<u32, u32>> free_slots_;
  u64 budget_ = kCodeMemory / kMemoryPerByte;
  u64 live_bytes_ = 0;
  u32 now_ = 1;
  Atomic<u32> work_{0};
  Atomic<u32> open_{0};  // set by any hart, read by all; nothing is published with it
};

}  // namespace hartwood::jit
