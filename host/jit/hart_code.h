// SPDX-License-Identifier: Apache-2.0
// One hart's view of compiled code: the jump cache, and the loop that runs from one region to the next. Belongs to the
// hart's thread.
//
// The jump cache says for a virtual address and a context which table slot has its code. A context names what the
// translation of addresses depends on: satp and the privilege, or the privilege alone where all values of satp share
// the code, as a kernel's. Coming back to a satp finds its context again, with all of its entries. A context ends when
// a fence of translation may concern it: then it gets a new name, and entries with the old one match no more; nothing
// is cleared. The fence of one address ends contexts only where code of that page was found. FENCE.I ends all contexts,
// and an epoch: after it a module's bytes are compared again before it is run.
#pragma once

#include <memory>

#include "hart/hart.h"
#include "jit/candidates.h"
#include "jit/registry.h"

namespace hartwood::jit {

class HartCode final : public TranslatedCode {
 public:
  // `jumps`: to a place until it is compiled, 1 or more. `after`: instructions that one of the harts has to have
  // executed before.
  HartCode(Hart& hart, Registry& registry, u32 jumps, u64 after);

  bool enter(u64& pc, u64 page, u32 jumps, bool indirect) override;
  void fence_code() override;
  void fence_all() override;
  void fence_asid(u64 asid) override;
  void fence_address(u64 va) override;

  // Asks the registry for the code at `pc`, in RAM page `page`. `indirect`: control comes there by indirect jumps.
  void ask(u64 pc, u64 page, bool indirect);
  // The hart's thread has instantiated a module, or forgotten one that is being dropped.
  void installed(u32 module);
  void dropped(u32 module);

  // What happened so far: calls of compiled code from outside, and instructions that it retired.
  u64 entries() const { return entries_; }
  u64 instructions() const { return instructions_; }
  // How often compiled code ended and there was none where it went.
  u64 gaps() const { return gaps_; }
  u64 fallbacks(Op op) const { return hart_.fallbacks(op); }

 private:
  static constexpr u32 kContexts = 64;
  static constexpr u32 kFilterBits = 16384;
  struct Context {
    u64 space = 0;  // Hart::code_space()
    u32 privilege = 0;
    u32 name = 0;  // 0: unused
  };
  u32 context();
  // Where there is no code, the entry says so with an odd pc, which no jump asks for.
  JumpEntry& entry_of(u64 pc) { return cache_[(pc >> 1) & (kJumpEntries - 1)]; }
  CodePlace find(u64 pc, u64 page);
  bool has_breakpoint(CompiledModule& module, u64 first_va);
  void consider_gap(u64 pc);
  void consider(u64 pc, u64 page, u32 jumps, bool indirect);

  Hart& hart_;
  Registry& registry_;
  u32 jumps_;
  u64 after_;
  std::unique_ptr<JumpEntry[]> cache_;
  Context contexts_[kContexts];
  Context current_;  // the one that was asked for last, until a fence
  u32 last_name_ = 0;
  u32 epoch_ = 1;
  std::vector<u32> checked_;  // by module id: the epoch in which its bytes were compared
  Candidates candidates_;
  // Virtual pages that the jump cache says something of, by a hash; those that all spaces share, and the others.
  struct Filter {
    u64 pages[kFilterBits / 64] = {};
    void note(u64 vpn) { pages[vpn % kFilterBits / 64] |= u64{1} << (vpn % 64); }
    bool has(u64 vpn) const { return (pages[vpn % kFilterBits / 64] >> (vpn % 64)) & 1; }
  };
  void note_page(u64 vpn) { (hart_.code_space() == Hart::kAllSpaces ? shared_ : local_).note(vpn); }
  Filter shared_, local_;
  u64 entries_ = 0, instructions_ = 0, gaps_ = 0;
};

}  // namespace hartwood::jit
