// SPDX-License-Identifier: Apache-2.0
#include "jit/hart_code.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bits.h"

namespace hartwood::jit {
namespace {

// What emitted functions may use of the worker's stack; engines give workers a megabyte or more.
constexpr i32 kStackBytes = 400 * 1024;

// Compiled code that ended where there is none is looked at once in so many times, and then counts as so many jumps
// each.
constexpr u32 kGapsSeen = 8, kGapJumps = 2;

using RegionFunction = u64 (*)(HartState*, u64, u32, u32, i32);

u64 call(CodePlace code, Hart& hart, u64 pc) {
#ifdef __wasm__
  const TranslatedCode::Window& window = hart.window();
  static_assert(kStackBytes <= kSlotMask);
  return reinterpret_cast<RegionFunction>(code & kSlotMask)(&hart.state(), pc, window.read_table, window.write_table,
                                                            static_cast<i32>((code & ~kSlotMask) | kStackBytes));
#else
  // Nothing is ever installed natively.
  (void)code, (void)hart;
  return pc;
#endif
}

// Below `size`, a power of two.
u32 hash(u64 value, u32 size) {
  constexpr u64 kGolden = 0x9e37'79b9'7f4a'7c15;
  return static_cast<u32>(value * kGolden >> 40) & (size - 1);
}

}  // namespace

HartCode::HartCode(Hart& hart, Registry& registry, u32 jumps, u64 after)
    : hart_(hart), registry_(registry), jumps_(jumps), after_(after), cache_(new JumpEntry[kJumpEntries]()) {
  checked_.reserve(65536);
  hart_.window().jump_cache = static_cast<u32>(reinterpret_cast<uintptr_t>(cache_.get()));
}

u32 HartCode::context() {
  const HartState& state = hart_.state();
  const u32 privilege = static_cast<u32>(state.privilege);
  const u64 space = hart_.code_space();
  if (current_.name != 0 && current_.space == space && current_.privilege == privilege) return current_.name;
  Context& context = contexts_[hash(space + privilege, kContexts)];
  if (context.name == 0 || context.space != space || context.privilege != privilege)
    context = {space, privilege, ++last_name_};
  if (last_name_ == ~u32{0}) {
    std::memset(static_cast<void*>(cache_.get()), 0, sizeof(JumpEntry) * kJumpEntries);
    fence_all();
    last_name_ = 1;
    context = {space, privilege, 1};
  }
  current_ = context;
  return context.name;
}

void HartCode::fence_all() {
  current_ = {};
  for (Context& context : contexts_) context.name = 0;
  shared_ = local_ = {};
}

void HartCode::fence_asid(u64 asid) {
  current_ = {};
  constexpr unsigned kAsidFirst = 44, kAsidLast = 59;  // of satp
  for (Context& context : contexts_) {
    if (context.space != Hart::kAllSpaces && bits(context.space, kAsidLast, kAsidFirst) == asid) context.name = 0;
  }
}

void HartCode::fence_code() {
  fence_all();
  epoch_++;
}

void HartCode::fence_address(u64 va) {
  const u64 vpn = va >> kPageShift;
  if (shared_.has(vpn)) {
    fence_all();
  } else if (local_.has(vpn)) {
    current_ = {};
    for (Context& context : contexts_) {
      if (context.space != Hart::kAllSpaces) context.name = 0;
    }
    local_ = {};
  }
}

void HartCode::installed(u32 module) {
  if (checked_.size() <= module) checked_.resize(module + 1);
  const CompiledModule* fresh = registry_.installed(hart_.id(), module);
  if (fresh == nullptr) return;
  // Places that had no code before, or older code. An entry's index has the bits of a place in its page at the bottom.
  constexpr u32 kPerPage = static_cast<u32>(kPageBytes) / 2;
  for (const CompiledModule::Entry& entry : fresh->entries) {
    for (u32 at = (entry.offset & kPageMask) / 2; at < kJumpEntries; at += kPerPage) cache_[at] = {};
  }
}

void HartCode::dropped(u32 module) {
  u32 slot, count;
  registry_.slots_of(module, slot, count);
  for (u32 i = 0; i < kJumpEntries; i++) {
    if ((cache_[i].code & kSlotMask) - slot < count) cache_[i] = {};
  }
  registry_.dropped(hart_.id(), module);
}

// Whether a breakpoint lies inside of a module whose window begins at `first_va` here. Then the module is of no use any
// more; what is made next has no such instruction.
bool HartCode::has_breakpoint(CompiledModule& module, u64 first_va) {
  bool found = false;
  hart_.debug()->each_break(first_va, kWindowBytes, [&](u64 va) {
    const u32 offset = static_cast<u32>(va - first_va);
    const auto holds = [&](const CompiledModule::Range& range) { return offset - range.offset < range.bytes; };
    if (std::ranges::none_of(module.ranges, holds)) return;
    registry_.leave_out(module, module.pages[offset >> kPageShift], offset);
    found = true;
  });
  return found;
}

// The code at `pc`, or 0. Enters it into the jump cache.
CodePlace HartCode::find(u64 pc, u64 page) {
  const u64 va = pc & ~kPageMask;
  u32 entry = 0;
  CompiledModule* module = registry_.find(
      hart_.id(), page, static_cast<u32>(pc & kPageMask),
      [&](i32 distance) { return hart_.code_page(va + static_cast<u64>(static_cast<i64>(distance)) * kPageBytes); },
      entry);
  if (module == nullptr) return 0;
  if (checked_[module->id] != epoch_) {
    if (!registry_.check_source(*module)) return 0;
    checked_[module->id] = epoch_;
  }
  const u32 home = module->entries[entry].offset >> kPageShift;
  if (hart_.debug() != nullptr && hart_.debug()->has_breakpoints() && has_breakpoint(*module, va - home * kPageBytes))
    return 0;
  for (u32 i = 0; i < kWindowPages; i++) {
    if (module->pages[i] == kNoPage) continue;
    note_page((va >> kPageShift) + i - home);
  }
  const CodePlace code = module->slot + module->entries[entry].code;
  entry_of(pc) = {pc, hart_.window().context, code};
  return code;
}

void HartCode::consider(u64 pc, u64 page, u32 jumps, bool indirect) {
  Candidates::Place& candidate = candidates_.of(pc);
  candidate.visits += jumps;
  candidate.indirect |= indirect;
  if (candidate.visits < jumps_) return;
  candidate.visits = 0;
  ask(pc, page, candidate.indirect);
}

void HartCode::consider_gap(u64 pc) {
  const u64 page = hart_.code_page(pc);
  if (page != kNoPage) consider(pc, page, kGapsSeen * kGapJumps, false);
}

void HartCode::ask(u64 pc, u64 page, bool indirect) {
  Request request;
  request.indirect = indirect;
  request.entry = kWindowBefore * static_cast<u32>(kPageBytes) + static_cast<u32>(pc & kPageMask);
  const u64 first = (pc & ~kPageMask) - kWindowBefore * kPageBytes;
  for (u32 i = 0; i < kWindowPages; i++)
    request.pages[i] = i == kWindowBefore ? page : hart_.code_page(first + i * kPageBytes);
  static_assert(Hart::kNoCodePage == kNoPage);
  // A switch is hot before each of its cases is: those that were jumped to at all belong to it too.
  for (const Candidates::Place& other : candidates_.all()) {
    const u64 offset = other.pc - first;
    if (other.indirect && other.visits != 0 && offset < kWindowPages * kPageBytes)
      request.jumped_to.push_back(static_cast<u32>(offset));
  }
  constexpr u32 kWords = Hart::kHalfwords / 64;
  if (jumps_ > 1) {
    request.executed.resize(kWindowPages * kWords);
    for (u32 i = 0; i < kWindowPages; i++) {
      if (request.pages[i] != kNoPage) hart_.executed(request.pages[i], request.executed.data() + i * kWords);
    }
  }
  registry_.request(std::move(request));
}

bool HartCode::enter(u64& pc, u64 page, u32 jumps, bool indirect) {
  if (!registry_.open()) {
    // There is no code yet, so a boot is spared the search.
    if (hart_.state().retired < after_) return false;
    registry_.set_open();
  }
  TranslatedCode::Window& window = hart_.window();
  window.context = context();
  for (bool entered = false;; entered = true) {
    JumpEntry& known = entry_of(pc);
    CodePlace code = known.code;
    if (known.pc != pc || known.context != window.context) {
      if (known.pc != (pc | 1) || known.context != window.context) {
        if (page == kNoPage) page = hart_.code_page(pc);
        code = page == kNoPage ? 0 : find(pc, page);
        if (code == 0 && page != kNoPage) {
          known = {pc | 1, window.context, 0};
          note_page(pc >> kPageShift);
        }
      }
      if (code == 0) {
        if (entered) {
          if (++gaps_ % kGapsSeen == 0) consider_gap(pc);
        } else if (page != kNoPage && jumps != 0)
          consider(pc, page, jumps, indirect);
        return entered;
      }
    }
    entries_++;
    const i32 before = window.budget;
    pc = call(code, hart_, pc);
    instructions_ += static_cast<u64>(before - window.budget);
    const bool moved = std::exchange(window.moved, false);
    if (hart_.must_leave()) return true;
    if (moved) {
      window.context = context();
      pc &= ~u64{1};
    } else if ((pc & 1) != 0) {
      return true;
    }
    page = kNoPage;
  }
}

}  // namespace hartwood::jit
