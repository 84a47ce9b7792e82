// SPDX-License-Identifier: Apache-2.0
// How one region becomes one function; for the files lower*.cpp only, each of which has one part of it. lower.cpp says
// what such a function looks like.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/bits.h"
#include "hart/interfaces.h"
#include "isa/isa.h"
#include "isa/plain_access.h"
#include "jit/flow_graph.h"
#include "jit/frames.h"
#include "jit/lower.h"
#include "wasm/encoder.h"

namespace hartwood::jit {

namespace op = wasm::op;
using wasm::Code;
using wasm::Type;

enum Parameter : u32 { kState, kPc, kReadTable, kWriteTable, kDepth, kParameters };

// Bits of `site`: the place in the window, and what the budget gets back, with its sign.
inline constexpr u32 kSiteShift = TranslatedCode::kNotDoneShift;
inline constexpr i32 kSiteBias = 1 << 16;  // offsets may lie before or behind the window
inline constexpr u32 kFrameBytes = 160;    // an engine's own part of a frame, and the spilled temporaries

struct Shared {
  const Target& target;
  u32 region_type = 0;
  u32 execute = 0, accesses = 0, system = 0;  // imported
  u32 mulhu = 0;                              // of this module
  u32 go = 0;                                 // of this module: to any address
  std::map<i32, u32> functions;               // by window offset of the entry
};

inline u32 align_of(u8 size) { return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0; }

// Registers of one file as bits.
using Registers = u32;

// Registers of both files; never x0.
struct RegisterSet {
  Registers x = 0, f = 0;
  friend RegisterSet operator|(RegisterSet a, RegisterSet b) { return {a.x | b.x, a.f | b.f}; }
  friend RegisterSet operator&(RegisterSet a, RegisterSet b) { return {a.x & b.x, a.f & b.f}; }
  friend RegisterSet operator-(RegisterSet a, RegisterSet b) { return {a.x & ~b.x, a.f & ~b.f}; }
  friend bool operator==(RegisterSet, RegisterSet) = default;
  bool includes(RegisterSet other) const { return other - *this == RegisterSet{}; }
};

// The operands of an instruction that the full context executes.
struct Operands {
  RegisterSet read, written;
  bool is_csr = false;
  Insn slot;  // as Hart::execute_for_translated wants it
};
Operands operands_of(const GuestInsn& guest);

// One function, made by run() once. The sections of the private part are the files lower_*.cpp; the state is in
// lower_analysis.cpp.
class FunctionLowering {
 public:
  FunctionLowering(const Region& region, Shared& shared)
      : region_(region), shared_(shared), target_(shared.target), graph_(region), code_(kParameters) {}
  Code run();

 private:
  // ---- analysis
  // What an operation reads and sets in locals. The full context works on the hart's state; what it writes is loaded
  // again if the function uses it, so that both have it.
  static RegisterSet reads(const Inst& inst);
  static RegisterSet sets(const Inst& inst);
  RegisterSet writes(const Block& block, const Inst& inst) const;
  // What it sets that is not stored at once.
  RegisterSet dirties(const Inst& inst) const { return stores_at_once() ? RegisterSet{} : sets(inst); }
  bool stores_at_once() const { return target_.store_at_once && target_.track_registers && !graph_.has_tight_loop(); }
  void find_used();
  // Blocks where the budget is checked, and for how many instructions it must last there.
  void find_checks();
  // Registers that may differ from the hart's state when a block begins; those that must be in their locals there, as
  // they are read before they are written, or stored; and those that are in any case.
  void find_dirty();
  void find_live();
  void find_valid();
  // Where a function is left for one instruction's sake, all that is dirty is stored. What is stored at each such place
  // may be more, as long as it is valid; so a few sets do for all of them.
  void find_exits();
  struct ExitClass {
    RegisterSet stored, allowed;
    u32 label = 0;
    bool used = false;
  };
  ExitClass& exit_class();

  // ---- state
  u32 x_address(u32 reg) const { return target_.layout.x + 8 * reg; }
  u32 f_address(u32 reg) const { return target_.layout.f + 8 * reg; }
  void store_x(u32 reg);
  void store_f(u32 reg);
  void load_x(u32 reg);
  void load_f(u32 reg);
  void spill(RegisterSet registers);
  void reload(RegisterSet registers);
  void load_budget();
  void load_tables();
  void store_budget();
  // What the budget in its local gets if so many instructions of the block do not happen; negative where more happened
  // than it was charged for.
  i32 given_back(u32 not_done) const { return static_cast<i32>(not_done) - static_cast<i32>(owed_); }
  void push_budget(u32 not_done);
  // Brings the local up to date.
  void charge();
  // The virtual address of a place in the window.
  void push_address(i64 offset);
  // `interpret`: the instruction there is the interpreter's; else it may be that there is code for it.
  i32 site(i32 offset, u32 not_done, bool interpret = true) const;
  // `site` is on the stack.
  void leave();
  void leave_at(i32 offset, u32 not_done, bool interpret = true);
  // The same if the value on the stack, which it seldom is, is not zero.
  void leave_if(i32 offset, u32 not_done);
  void exits();

  // ---- structured control
  // Where control comes in: by the region's entry or another of its ways in.
  void begin(u32 n);
  void enter();
  // What is in locals when the block is entered from outside, or by a callee that returns.
  void land(u32 block);
  void tree(u32 n);
  void within(u32 n, size_t at);
  // The label of `to`, which is a merge point or a loop that `from` is in.
  u32 label(u32 from, u32 to) const;
  void follow(u32 from, u32 to);
  void follow_block(u32 n, u32 to) { follow(n, graph_.edge(graph_.node(n).block, to)); }
  void block(u32 n);
  void check(const Block& block);
  void terminator(u32 n, const Block& block);
  const u32* function_at(i32 offset) const;
  // The function's result is the address in `result_`.
  void leave_for_result(RegisterSet dirty);
  // Leaves for the address in `result_`.
  void go(RegisterSet dirty, const u32* callee);
  // Calls what is at the address in `result_`; where the stack does not suffice, that address is the function's result:
  // the dispatcher goes on there with an empty stack.
  void call(const u32* callee);
  // An indirect jump or call whose address, in `result_`, may be one of the places where it was seen to go; where it is
  // none of them, what is emitted behind this goes on.
  void cases(u32 n, const Terminator& end);

  // ---- values
  bool rematerialized(u32 v) const { return insts()[v].op == Ir::constant || insts()[v].op == Ir::code_address; }
  const std::vector<Inst>& insts() const { return region_.blocks[number_].code; }
  // Whether operation `at` writes a register of the set.
  bool writes(u32 at, RegisterSet any) const;
  // Decides which values are made where they are used (a use or a cheap one; no register that they read changes before)
  // and which are kept in a local.
  void plan(const Block& block);
  // Which values are words, sign-extended to 64 bits, as far as the block by itself tells.
  void find_words(const Block& block);
  static bool needs_operands_twice(Ir ir);
  u32 temporary(Type type);
  void body(const Block& block);
  // The operation has been emitted.
  void note(const Block& block, u32 i);
  // Which operations of the block set a register that is set again before anybody could see it.
  void find_overwritten(const Block& block);
  void push(u32 v);
  // Its low half.
  void push32(u32 v);
  // The operation on low halves that gives the low half of this one's result, or 0.
  static u8 opcode32(Ir ir);
  void make32(u32 v);
  // Bits of words: an engine sees a rotation in two shifts of 32 bits, and not where their results were extended.
  void bitwise(u32 v, u8 opcode);
  bool is_constant(u32 v, i64& value) const;
  void two(const Inst& inst, u8 opcode);
  void one(const Inst& inst, u8 opcode);
  void make(u32 v);
  // [unpriv: Division Operations]: what Wasm traps on has a result.
  void divide(const Inst& inst);

  // ---- effects
  const GuestInsn& guest_of(const Inst& inst) const { return region_.blocks[number_].guest[inst.guest]; }
  u32 not_done(const Inst& inst) const { return region_.blocks[number_].count() - inst.guest; }
  void effect(u32 i);
  u32 csr_address(const Inst& inst) const;
  static u8 load_opcode(u8 size, bool is_signed);
  static u8 store_opcode(u8 size);
  // The access's offset in RAM into `x_`; leaves where the TLB has it not. See hart/tlb.h for the form of an entry.
  void probe(const Inst& inst, u32 table);
  // The same of the address in `va_`: of the instruction at `offset`, and `not_done` ones of its block from it on.
  void probe(u32 table, u8 size, i32 offset, u32 not_done);
  // Exclusive or of the address in `va_` with its TLB entry.
  void probe_entry(u32 table);

  // ---- spans and frames
  struct Span {
    AccessRange range;
    u32 at = 0;        // local: where the first byte is in RAM, or kNowhere
    u32 accesses = 0;  // of a block
    u32 done = 0;      // of them
  };
  // Spans of a block stand behind those of the region's frames.
  static constexpr u32 kNoSpan = ~u32{0};
  bool is_frame(u32 span) const { return span < frames_.size(); }
  void find_frames();
  void find_spans(const Block& block);
  // Opens the frames that have to be opened behind one of these instructions of the block, the last one excluded.
  void behind(u32 first, u32 end);
  // Opens those that are used in the block before they are opened again; all registers are in their locals.
  void open_frames(u32 block);
  void open_frame(u32 number, i32 distance);
  // How many instructions from `first` on make one group; 0: it is in no span.
  u32 group_at(const Block& block, u32 first) const;
  void group(const Block& block, u32 first, u32 count);
  // Its place in RAM, or to the label `apart` if not all of it can be reached. The base register is `distance` from
  // what its offsets are relative to.
  void find_span(const Span& span, u32 base, i32 distance, u32 apart);
  // An access to RAM at `distance` bytes from what `place` pushes.
  template <class Place>
  void direct(const PlainAccess& access, Place&& place, u32 distance);
  void alone(const Block& block, u32 number, const PlainAccess& access);
  void by_the_full_context(const Block& block, u32 first, const std::vector<PlainAccess>& accesses);

  // Atomics, of which the probe has found the address and its alignment.
  void keep(u32 i);
  void atomic(u8 size, u32 of_32, u32 of_64);
  void push_sized(u8 size, u32 v);
  void amo(u32 i);
  void push_physical();
  // The two bytes that say that there is a reservation of this size.
  static i32 reservation(u8 size) { return 1 | size << 8; }
  void load_reserved(u32 i);
  void store_conditional(u32 i);
  void execute(const Inst& inst) { execute(guest_of(inst), not_done(inst)); }
  // `not_done`: instructions of the block from this one on.
  void execute(const GuestInsn& guest, u32 not_done);

  // ---- floating point
  // Arithmetic with the engine's own, where its result and flags are known to be the guest's: rounding
  // to nearest, the inexact flag set already, and a result that is neither tiny, infinite, zero nor NaN.
  void arithmetic(const Inst& inst);

  const Region& region_;
  Shared& shared_;
  const Target& target_;
  FlowGraph graph_;
  Code code_;
  RegisterSet used_, written_;
  std::vector<bool> checked_;                               // by block
  std::vector<u32> longest_;                                // by block: instructions to the next check
  std::vector<RegisterSet> dirty_in_, live_in_, valid_in_;  // by block
  std::vector<ExitClass> exits_;
  std::vector<std::vector<AddressFacts>> facts_;  // by block and guest instruction
  std::vector<Frame> frames_;
  u32 x_local_[32] = {}, f_local_[32] = {};
  u32 owed_ = 0;    // instructions, to the end of the block, that the budget's local has not been charged for
  u32 common_ = 0;  // label: behind the exits' stores
  u32 budget_ = 0, site_ = 0, va_ = 0, x_ = 0, result_ = 0, route_ = 0, fp_temporary_ = kNoValue;
  std::vector<u32> labels_, loops_;  // by node
  // Of the block that is being emitted.
  u32 number_ = 0;
  std::vector<u32> uses_, last_use_, in_local_, made_at_;
  std::vector<bool> delayed_, word_, overwritten_;
  std::vector<RegisterSet> leaves_;
  std::vector<Span> spans_;
  std::vector<u32> span_of_;       // by guest instruction
  std::vector<PlainAccess> seen_;  // by guest instruction: as seen from what its span's offsets are relative to
  struct Opening {
    u32 frame, guest;  // behind this instruction
    i32 distance;
  };
  std::vector<Opening> openings_;
  RegisterSet dirty_, valid_;  // before the operation that is being emitted
  std::vector<u32> pool32_, pool64_;
  u32 next32_ = 0, next64_ = 0;
};

}  // namespace hartwood::jit
