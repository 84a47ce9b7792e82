// SPDX-License-Identifier: Apache-2.0
// The fast loop: predecoded slots and one switch.
//
// What makes it fast, measured in Chromium and natively:
//   - a slot is 8 bytes and the next one is at a constant distance, which is in the case, not in the slot: 2-byte and
//     4-byte forms of an instruction are different cases;
//   - the pc is not kept but computed from the slot's address (`bias`) where an instruction asks for it;
//   - a branch inside the page moves the slot pointer and compares it with the page's bounds, nothing else;
//   - loads and stores probe the TLB inline (tlb.h) and call out only on a miss;
//   - the budget is counted down once a dispatch, by what the dispatch executes, so that a slice ends at the exact
//     instruction; there is no other check of it in the loop.
// `Fast` is the context that the definitions of isa/semantics run in; its members live in registers, because every
// function of it is inlined and its address is never given away. What changes seldom is in Hart::loop_: keeping it in
// registers would push out the slot pointer and the budget.
#include <cstring>

#include "hart/eval.h"
#include "hart/hart.h"
#include "hart/sequences.h"
#include "isa/semantics/floating.h"
#include "isa/semantics/integer.h"

namespace hartwood {
namespace {

// Bytes of slot array for each byte of guest code.
constexpr unsigned kSlotScale = sizeof(Insn) / 2;
constexpr unsigned kSlotShift = 2;
static_assert(1u << kSlotShift == kSlotScale);

// The Op of what a slot holds; Op::none's where it holds none.
u32 operation_of(u16 op) {
  op = first_of_sequence(op);
  if (op >= kSlotIllegal) return 0;
  return op >= kCompact ? op - kCompact : op;
}

#define HW_INLINE [[gnu::always_inline]]

}  // namespace

DecodedPage* Hart::fetch_page(u64 pc) {
  FetchEntry& entry = fetch_entry(pc);
  if (entry.tag == ((pc & ~kPageMask) | fetch_mode_)) [[likely]]
    return entry.page;
  state_.count(HpmEvent::fetch_misses);
  Translation translation;
  GuestMemory& memory = parts_.memory;
  if (!translate(state_, memory, pc, 2, Access::fetch, state_.privilege, translation, trap_)) return nullptr;
  if (!memory.contains(translation.pa, 2)) {
    trap_ = {Cause::fetch_access, pc};
    return nullptr;
  }
  const u64 evictions = code_.evictions();
  DecodedPage* page = code_.find(memory.offset_of(translation.pa) >> kPageShift);
  // Entries may point at a page that was given to other code just now.
  if (code_.evictions() != evictions) flush_fetch();
  bool uniform = true;
  pmp_allows(state_, Pa(translation.pa.value & ~kPageMask), kPageBytes, Access::fetch, state_.privilege, &uniform);
  if (parts_.debug != nullptr && parts_.debug->has_breakpoints()) [[unlikely]]
    plant_breakpoints(*page, pc);
  // Where PMP cuts the page, every entry into it is checked anew; a run inside it is not [priv: PMP, matching].
  note_code(pc, translation);
  FetchEntry& fresh = fetch_entry(pc);
  fresh = {uniform ? (pc & ~kPageMask) | fetch_mode_ : 0, page};
  return page;
}

bool Hart::fetch_half(u64 va, u16& half) {
  Translation translation;
  if (!translate(state_, parts_.memory, va, 2, Access::fetch, state_.privilege, translation, trap_)) return false;
  if (!parts_.memory.fetch(translation.pa, half)) return fail(Cause::fetch_access, va);
  return true;
}

Hart::Flow Hart::execute_straddling(u64 pc, u32 low_half, u64& target) {
  u16 high;
  if (!fetch_half(pc + 2, high)) {
    trap_.tval = pc + 2;
    return Flow::trap;
  }
  const u32 word = low_half | u32{high} << 16;
  return execute(to_slot(decode(word, options_.isa)), pc, 4, word, target);
}

void Hart::select_tables() {
  // Machine mode and code that all spaces share have space 0, the others their own plus 1.
  const bool shared = state_.privilege == Privilege::machine ||
                      (state_.privilege == Privilege::supervisor && !supervisor_code_local_ && state_.satp != 0);
  fetch_mode_ = kFetchValid | static_cast<u64>(state_.privilege) | (shared ? 0 : u64{space_} + 1) << 2;
  const Tlb::Tables tables = tlb_.tables(data_context());
  loop_.read_table = reinterpret_cast<const u8*>(tables.read);
  loop_.write_table = reinterpret_cast<const u8*>(tables.write);
  loop_.table_mask = tlb_.index_mask() << 3;
  loop_.ram = parts_.memory.ram();
  loop_.outside_ram = ~(parts_.memory.size() - 1);
  window_.read_table = static_cast<u32>(reinterpret_cast<uintptr_t>(loop_.read_table));
  window_.write_table = static_cast<u32>(reinterpret_cast<uintptr_t>(loop_.write_table));
}

// One instruction at a time through execute(), with the tracer told before each.
void Hart::interpret_traced(u32 steps) {
  select_tables();
  while (steps-- != 0 && !leave_) {
    const u64 pc = state_.pc;
    if (meets_breakpoint(pc)) return;
    u16 low = 0, high = 0;
    u64 target = 0;
    Flow flow = Flow::trap;
    if (fetch_half(pc, low) && (instruction_length(low) == 2 || fetch_half(pc + 2, high))) {
      const u32 word = instruction_length(low) == 2 ? low : low | u32{high} << 16;
      parts_.tracer->instruction(*this, pc, word);
      flow = execute(to_slot(decode(word, options_.isa)), pc, instruction_length(low), word, target);
      if (flow == Flow::next) target = pc + instruction_length(low);
    }
    if (flow == Flow::trap) {
      enter_trap(static_cast<u64>(trap_.cause), trap_.tval, pc, false);
    } else {
      state_.pc = target;
      state_.retired++;
    }
  }
}

struct Fast : EvalArithmetic {
  Hart* hart;
  const u8* slot;  // the instruction's; its fields are read where they are used
  u32 budget;
  u32 length;
  u64 target;
  bool taken;
  // How the next access finds its address: constants where they are used, so that one of three bodies remains.
  enum class Way : u8 { alone, first, next };
  Way way;
  // What the instruction takes from others of its sequence; constants too where they are used.
  bool has_rs1 = false, has_rs2 = false, dead = false;
  u64 given_rs1, given_rs2;
  u64 result;           // of the last instruction that has one
  const u8* read_base;  // of the group that was begun last: what its instructions' offsets count from, in RAM
  u8* write_base;

  HW_INLINE const Insn& insn() const { return *reinterpret_cast<const Insn*>(slot); }
  HW_INLINE u64 x(u32 index) const { return hart->state_.x[index]; }
  HW_INLINE u64 rs1() const { return has_rs1 ? given_rs1 : x(insn().rs1); }
  HW_INLINE u64 rs2() const { return has_rs2 ? given_rs2 : x(slot[4]); }
  HW_INLINE u64 branch_rs2() const { return has_rs2 ? given_rs2 : x(insn().rd); }
  HW_INLINE u64 store_rs2() const { return has_rs2 ? given_rs2 : x(insn().rd); }
  HW_INLINE u64 imm() const { return static_cast<u64>(static_cast<i64>(insn().imm)); }
  HW_INLINE u64 pc() const {
    return hart->loop_.page_va + (static_cast<uintptr_t>(slot - hart->loop_.first) >> kSlotShift);
  }
  HW_INLINE u64 link() const { return pc() + length; }
  HW_INLINE bool rd(u64 v) {
    if (!dead) hart->state_.x[insn().rd] = v;
    result = v;
    return true;
  }
  struct InRegister {};
  HW_INLINE void take_rs1(InRegister) { has_rs1 = false; }
  HW_INLINE void take_rs1(u64 value) {
    has_rs1 = true;
    given_rs1 = value;
  }
  HW_INLINE void take_rs2(InRegister) { has_rs2 = false; }
  HW_INLINE void take_rs2(u64 value) {
    has_rs2 = true;
    given_rs2 = value;
  }
  HW_INLINE bool branch(bool condition) {
    taken = condition;
    return true;
  }
  HW_INLINE bool jump(u64 to) {
    target = to;
    return true;
  }
  // The offset in RAM of an access, and whether it hit. The first of a group must have its reach inside the page.
  template <class T>
  HW_INLINE bool probe(const u8* table, u64 va, u64& offset) const {
    if (!hart->probe<sizeof(T)>(table, va, offset)) [[unlikely]]
      return false;
    if (way != Way::first) return true;
    return (static_cast<u32>(offset) & kPageMask) - kGroupReach <= kPageBytes - 2 * kGroupReach;
  }
  template <class T>
  HW_INLINE static u64 extend(u64 value) {
    if constexpr (std::is_signed_v<T>)
      return static_cast<u64>(static_cast<i64>(static_cast<T>(value)));
    else
      return static_cast<T>(value);
  }
  // A miss is no trap: the full context executes the instruction again and finds out. No access calls anything here: a
  // call would make Chromium's compiler keep the loop's variables in memory, in every case and not only in that one.
  template <class T>
  HW_INLINE Value load(u64 va) {
    if (way == Way::next) return {true, extend<T>(load_le<T>(read_base + insn().imm))};
    u64 offset;
    if (!probe<T>(hart->loop_.read_table, va, offset)) [[unlikely]]
      return {false, 0};
    const u8* at = hart->loop_.ram + static_cast<uintptr_t>(offset);
    if (way == Way::first) read_base = at - insn().imm;
    return {true, extend<T>(load_le<T>(at))};
  }
  template <class T>
  HW_INLINE bool store(u64 va, u64 value) {
    if (way == Way::next) {
      store_le<T>(write_base + insn().imm, static_cast<T>(value));
      return true;
    }
    u64 offset;
    if (!probe<T>(hart->loop_.write_table, va, offset)) [[unlikely]]
      return false;
    u8* at = hart->loop_.ram + static_cast<uintptr_t>(offset);
    if (way == Way::first) write_base = at - insn().imm;
    store_le<T>(at, static_cast<T>(value));
    return true;
  }

  // Floating point. What these refuse is executed by the full context, which knows how to trap.
  HW_INLINE bool fp_begin() const { return (hart->state_.mstatus & mstatus::kFs) != 0; }
  HW_INLINE bool rounding(fp::Rm& rm) const {
    const u8 field = insn().rm();
    const u8 mode = field == 7 ? hart->state_.frm : field;
    rm = static_cast<fp::Rm>(mode);
    return mode <= 4;
  }
  HW_INLINE u64 fs_raw(int which) const {
    return hart->state_.f[which == 1 ? insn().rs1 : which == 2 ? slot[4] : slot[5]];
  }
  template <class F>
  HW_INLINE fp::BitsOf<F> fs(int which) const {
    if constexpr (sizeof(fp::BitsOf<F>) == 8)
      return fs_raw(which);
    else
      return fp::unbox32(fs_raw(which));
  }
  template <class F>
  HW_INLINE bool fd(fp::BitsOf<F> value) {
    if constexpr (sizeof(value) == 8)
      hart->state_.f[insn().rd] = value;
    else
      hart->state_.f[insn().rd] = fp::box32(value);
    hart->state_.mstatus |= mstatus::kFs;
    return true;
  }
  HW_INLINE u64 store_fs2() const { return hart->state_.f[insn().rd]; }
  HW_INLINE u8& flags() { return hart->state_.fflags; }
  HW_INLINE void flags_done() { hart->state_.mstatus |= mstatus::kFs; }
  HW_INLINE static u64 constant(u64 v) { return v; }
};

// Arithmetic that may have to call the exact library: a function of its own, because the loop calls nothing.
#define HW_FLOATING_OPERATIONS \
  HW_FLOATING(fadd_d)          \
  HW_FLOATING(fsub_d)          \
  HW_FLOATING(fmul_d)          \
  HW_FLOATING(fdiv_d)          \
  HW_FLOATING(fmadd_d)         \
  HW_FLOATING(fmsub_d)         \
  HW_FLOATING(fnmsub_d)        \
  HW_FLOATING(fnmadd_d)        \
  HW_FLOATING(feq_d)           \
  HW_FLOATING(flt_d)           \
  HW_FLOATING(fle_d)           \
  HW_FLOATING(fadd_s)          \
  HW_FLOATING(fsub_s)          \
  HW_FLOATING(fmul_s)          \
  HW_FLOATING(fmadd_s)

// False: the full context executes it.
bool Hart::floating(const u8* slot) {
  Fast c;
  c.hart = this;
  c.slot = slot;
  c.way = Fast::Way::alone;
  switch (c.insn().op) {
#define HW_FLOATING(name) \
  case static_cast<u16>(Op::name): return semantics::name(c);
    HW_FLOATING_OPERATIONS
#undef HW_FLOATING
    default: return false;
  }
}

void Hart::interpret(u32 steps) {
  HartState& state = state_;
  select_tables();
  Fast c;
  c.hart = this;
  c.budget = steps;
  u64 pc = state.pc;
  WayIn way = WayIn::resumed;
  constexpr Fast::InRegister in_register, x;
  constexpr bool kept = false, dead = true;

// Leaves the loop with the pc in `pc`.
#define HW_SYNC_PC() pc = c.pc()

enter_page:
  if (c.budget == 0) goto out;
  loop_.page = fetch_page(pc);
  if (loop_.page == nullptr) {
    c.budget--;
    goto trapped;
  }
  loop_.first = reinterpret_cast<const u8*>(loop_.page->slots);
  loop_.page_va = pc & ~kPageMask;
  c.slot = loop_.first + ((pc & kPageMask) << kSlotShift);
  if (way == WayIn::resumed ? is_hot(c.slot) : --heat_of(c.slot) == 0) [[unlikely]] {
    pc = c.pc();
  hot : {
    // The place may be one where compiled code begins.
    u64 to = pc;
    const bool entered = enter_translated(to, c.budget, heat_of(c.slot), way);
    way = WayIn::direct;
    c.budget = static_cast<u32>(window_.budget);
    if (entered) {
      pc = to & ~u64{1};
      if (leave_ || c.budget == 0) goto out;
      if ((to & 1) == 0) goto enter_page;
      // An instruction must be interpreted here first.
      loop_.page = fetch_page(pc);
      if (loop_.page == nullptr) {
        c.budget--;
        goto trapped;
      }
      loop_.first = reinterpret_cast<const u8*>(loop_.page->slots);
      loop_.page_va = pc & ~kPageMask;
      c.slot = loop_.first + ((pc & kPageMask) << kSlotShift);
      fallbacks_[operation_of(c.insn().op)]++;
    }
  }
  }
  way = WayIn::direct;

  for (;;) {
    switch (c.insn().op) {
// Charges the budget for `count` instructions.
#define HW_CHARGE(count)             \
  if (c.budget < count) [[unlikely]] \
    goto short_of_budget;            \
  c.budget -= count;
// An instruction's work, by kind; what follows in the loop goes on behind it. `rest`: how many more of a sequence
// follow, which the budget has been charged for.
#define HW_STEP_alu(name, bytes, rest) semantics::name(c);
#define HW_STEP_load(name, bytes, rest)   \
  c.way = Fast::Way::alone;               \
  if (!semantics::name(c)) [[unlikely]] { \
    c.budget += rest;                     \
    goto cold;                            \
  }
#define HW_STEP_store(name, bytes, rest) HW_STEP_load(name, bytes, rest)
// A group's first access that cannot speak for the others is executed alone, and so are they.
#define HW_STEP_load_first(name, bytes, rest) \
  c.way = Fast::Way::first;                   \
  if (!semantics::name(c)) [[unlikely]] {     \
    c.budget += rest + 1;                     \
    goto alone_##name##_##bytes;              \
  }
#define HW_STEP_store_first(name, bytes, rest) HW_STEP_load_first(name, bytes, rest)
#define HW_STEP_load_next(name, bytes, rest) \
  c.way = Fast::Way::next;                   \
  semantics::name(c);
#define HW_STEP_store_next(name, bytes, rest) HW_STEP_load_next(name, bytes, rest)
// A branch that stays in the page moves the slot pointer; one unsigned comparison covers both borders.
#define HW_STEP_branch(name, bytes, rest)                                        \
  semantics::name(c);                                                            \
  if (c.taken) {                                                                 \
    c.budget += rest;                                                            \
    const u8* to = c.slot + (static_cast<intptr_t>(c.insn().imm) << kSlotShift); \
    if (static_cast<uintptr_t>(to - loop_.first) < kPageBytes * kSlotScale) {    \
      const bool backwards = to <= c.slot;                                       \
      c.slot = to;                                                               \
      if (backwards && --heat_of(to) == 0) [[unlikely]] {                        \
        HW_SYNC_PC();                                                            \
        goto hot;                                                                \
      }                                                                          \
      continue;                                                                  \
    }                                                                            \
    pc = c.pc() + c.imm();                                                       \
    goto enter_page;                                                             \
  }
#define HW_STEP_jump(name, bytes, rest)                              \
  {                                                                  \
    const u64 from = c.pc();                                         \
    const u8* const jump = c.slot;                                   \
    semantics::name(c);                                              \
    if (((c.target ^ from) & ~kPageMask) == 0) {                     \
      c.slot = loop_.first + ((c.target & kPageMask) << kSlotShift); \
      if (--heat_of(c.slot) == 0) [[unlikely]] {                     \
        if (Op::name == Op::jalr) way = way_of(jump);                \
        pc = c.target;                                               \
        goto hot;                                                    \
      }                                                              \
      continue;                                                      \
    }                                                                \
    if (Op::name == Op::jalr) way = way_of(jump);                    \
    pc = c.target;                                                   \
    goto enter_page;                                                 \
  }
#define HW_STEP(kind, name, bytes, rest, from1, from2, fate) \
  c.length = bytes;                                          \
  c.take_rs1(from1);                                         \
  c.take_rs2(from2);                                         \
  c.dead = fate;                                             \
  HW_STEP_##kind(name, bytes, rest) c.slot += (bytes)*kSlotScale;
#define HW_SINGLE(kind, name, bytes) HW_STEP(kind, name, bytes, 0, in_register, in_register, false)

#define HW_CASE4(kind, name)         \
  case static_cast<u16>(Op::name): { \
    HW_CHARGE(1)                     \
    HW_SINGLE(kind, name, 4)         \
    continue;                        \
  }
#define HW_CASE2(kind, name)                    \
  case kCompact + static_cast<u16>(Op::name): { \
    HW_CHARGE(1)                                \
    HW_SINGLE(kind, name, 2)                    \
    continue;                                   \
  }
// Accesses that groups begin with.
#define HW_ACCESS4(kind, name)           \
  case static_cast<u16>(Op::name):       \
    [[gnu::unused]] alone_##name##_4 : { \
      HW_CHARGE(1)                       \
      HW_SINGLE(kind, name, 4)           \
      continue;                          \
    }
#define HW_ACCESS2(kind, name)                \
  case kCompact + static_cast<u16>(Op::name): \
    [[gnu::unused]] alone_##name##_2 : {      \
      HW_CHARGE(1)                            \
      HW_SINGLE(kind, name, 2)                \
      continue;                               \
    }
#define HW_BOTH(kind, name) HW_CASE4(kind, name) HW_CASE2(kind, name)
      HW_BOTH(alu, addi)
      HW_BOTH(alu, add)
      HW_BOTH(alu, lui)
      HW_BOTH(alu, addiw)
      HW_BOTH(alu, addw)
      HW_BOTH(alu, sub)
      HW_BOTH(alu, subw)
      HW_BOTH(alu, and_)
      HW_BOTH(alu, or_)
      HW_BOTH(alu, xor_)
      HW_BOTH(alu, andi)
      HW_BOTH(alu, slli)
      HW_BOTH(alu, srli)
      HW_BOTH(alu, srai)
      HW_CASE4(alu, auipc)
      HW_CASE4(alu, slti)
      HW_CASE4(alu, sltiu)
      HW_CASE4(alu, xori)
      HW_CASE4(alu, ori)
      HW_CASE4(alu, sll)
      HW_CASE4(alu, slt)
      HW_CASE4(alu, sltu)
      HW_CASE4(alu, srl)
      HW_CASE4(alu, sra)
      HW_CASE4(alu, slliw)
      HW_CASE4(alu, srliw)
      HW_CASE4(alu, sraiw)
      HW_CASE4(alu, sllw)
      HW_CASE4(alu, srlw)
      HW_CASE4(alu, sraw)
      HW_CASE4(alu, mul)
      HW_CASE4(alu, mulw)
      HW_CASE4(alu, mulh)
      HW_CASE4(alu, mulhu)
      HW_CASE4(alu, div)
      HW_CASE4(alu, divu)
      HW_CASE4(alu, rem)
      HW_CASE4(alu, remu)
      HW_CASE4(alu, divw)
      HW_CASE4(alu, divuw)
      HW_CASE4(alu, remw)
      HW_CASE4(alu, remuw)
      HW_CASE4(alu, sh1add)
      HW_CASE4(alu, sh2add)
      HW_CASE4(alu, sh3add)
      HW_CASE4(alu, add_uw)
      HW_CASE4(alu, sh1add_uw)
      HW_CASE4(alu, sh2add_uw)
      HW_CASE4(alu, sh3add_uw)
      HW_CASE4(alu, slli_uw)
      HW_CASE4(alu, andn)
      HW_CASE4(alu, orn)
      HW_CASE4(alu, xnor)
      HW_CASE4(alu, clz)
      HW_CASE4(alu, ctz)
      HW_CASE4(alu, clzw)
      HW_CASE4(alu, ctzw)
      HW_CASE4(alu, cpop)
      HW_CASE4(alu, cpopw)
      HW_CASE4(alu, sext_b)
      HW_CASE4(alu, sext_h)
      HW_CASE4(alu, zext_h)
      HW_CASE4(alu, rev8)
      HW_CASE4(alu, orc_b)
      HW_CASE4(alu, max)
      HW_CASE4(alu, maxu)
      HW_CASE4(alu, min)
      HW_CASE4(alu, minu)
      HW_CASE4(alu, rol)
      HW_CASE4(alu, ror)
      HW_CASE4(alu, rori)
      HW_CASE4(alu, rolw)
      HW_CASE4(alu, rorw)
      HW_CASE4(alu, roriw)
      HW_CASE4(alu, bclr)
      HW_CASE4(alu, bext)
      HW_CASE4(alu, binv)
      HW_CASE4(alu, bset)
      HW_CASE4(alu, bclri)
      HW_CASE4(alu, bexti)
      HW_CASE4(alu, binvi)
      HW_CASE4(alu, bseti)
      HW_CASE4(alu, czero_eqz)
      HW_CASE4(alu, czero_nez)
      HW_BOTH(branch, beq)
      HW_BOTH(branch, bne)
      HW_CASE4(branch, blt)
      HW_CASE4(branch, bge)
      HW_CASE4(branch, bltu)
      HW_CASE4(branch, bgeu)
      HW_BOTH(jump, jal)
      HW_BOTH(jump, jalr)
      HW_ACCESS4(load, lw)
      HW_ACCESS2(load, lw)
      HW_ACCESS4(load, ld)
      HW_ACCESS2(load, ld)
      HW_ACCESS4(load, lb)
      HW_ACCESS4(load, lh)
      HW_ACCESS4(load, lbu)
      HW_ACCESS4(load, lhu)
      HW_ACCESS4(load, lwu)
      HW_ACCESS4(store, sw)
      HW_ACCESS2(store, sw)
      HW_ACCESS4(store, sd)
      HW_ACCESS2(store, sd)
      HW_ACCESS4(store, sb)
      HW_ACCESS4(store, sh)
      HW_BOTH(load, fld)
      HW_CASE4(load, flw)
      HW_BOTH(store, fsd)
      HW_CASE4(store, fsw)
      HW_CASE4(load, fsgnj_d)
      HW_CASE4(load, fsgnjn_d)
      HW_CASE4(load, fsgnjx_d)
      HW_CASE4(load, fmv_d_x)
      HW_CASE4(load, fmv_x_d)

#define HW_FLOATING(name) case static_cast<u16>(Op::name):
      HW_FLOATING_OPERATIONS
#undef HW_FLOATING
      HW_CHARGE(1)
      if (!floating(c.slot)) goto cold;
      c.slot += 4 * kSlotScale;
      continue;

// Sequences (sequences.h). Where the budget does not suffice for all of one, the first is executed alone. r0, r1 ..
// are the results of its instructions.
#define HW_STEP0(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 0, __VA_ARGS__)
#define HW_STEP1(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 1, __VA_ARGS__)
#define HW_STEP2(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 2, __VA_ARGS__)
#define HW_STEP3(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 3, __VA_ARGS__)
#define HW_STEP4(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 4, __VA_ARGS__)
#define HW_STEP5(kind, name, bytes, ...) HW_STEP(kind, name, bytes, 5, __VA_ARGS__)
#define HW_RESULT(name) [[maybe_unused]] const u64 name = c.result;
#define HW_SEQUENCE2(number, a, b)                             \
  case kSlotSequences + number: {                              \
    HW_CHARGE(2) HW_STEP1 a HW_RESULT(r0) HW_STEP0 b continue; \
  }
#define HW_SEQUENCE3(number, a, b, d)                                                   \
  case kSlotSequences + number: {                                                       \
    HW_CHARGE(3) HW_STEP2 a HW_RESULT(r0) HW_STEP1 b HW_RESULT(r1) HW_STEP0 d continue; \
  }
#define HW_SEQUENCE4(number, a, b, d, e)                                                                         \
  case kSlotSequences + number: {                                                                                \
    HW_CHARGE(4) HW_STEP3 a HW_RESULT(r0) HW_STEP2 b HW_RESULT(r1) HW_STEP1 d HW_RESULT(r2) HW_STEP0 e continue; \
  }
#define HW_SEQUENCE5(number, a, b, d, e, f)                                                             \
  case kSlotSequences + number: {                                                                       \
    HW_CHARGE(5)                                                                                        \
    HW_STEP4 a HW_RESULT(r0) HW_STEP3 b HW_RESULT(r1) HW_STEP2 d HW_RESULT(r2) HW_STEP1 e HW_RESULT(r3) \
        HW_STEP0 f continue;                                                                            \
  }
#define HW_SEQUENCE6(number, a, b, d, e, f, g)                                                          \
  case kSlotSequences + number: {                                                                       \
    HW_CHARGE(6)                                                                                        \
    HW_STEP5 a HW_RESULT(r0) HW_STEP4 b HW_RESULT(r1) HW_STEP3 d HW_RESULT(r2) HW_STEP2 e HW_RESULT(r3) \
        HW_STEP1 f HW_RESULT(r4) HW_STEP0 g continue;                                                   \
  }
#include "hart/sequences.inc"
#undef HW_SEQUENCE2
#undef HW_SEQUENCE3
#undef HW_SEQUENCE4
#undef HW_SEQUENCE5
#undef HW_SEQUENCE6

      case kSlotUndecoded: code_.decode_slot(*loop_.page, static_cast<u32>((c.slot - loop_.first) >> 3)); continue;
      case kSlotPageEnd: HW_SYNC_PC(); goto enter_page;
      case kSlotBreak:
        HW_SYNC_PC();
        if (c.budget == 0 || meets_breakpoint(pc)) goto out;
        goto short_of_budget;
      default:
      short_of_budget:
        if (c.budget == 0) {
          HW_SYNC_PC();
          goto out;
        }
        c.budget--;
      cold : {
        HW_SYNC_PC();
        sync_retired(c.budget + 1);
        const u32 at = static_cast<u32>(pc & kPageMask);
        const u16 low = load_le<u16>(loop_.page->bytes + at);
        const u32 length = instruction_length(low);
        u64 target = 0;
        Flow flow;
        const bool straddles = length == 4 && at == kPageBytes - 2;
        if (straddles) {
          flow = execute_straddling(pc, low, target);
        } else {
          const u32 word = length == 4 ? load_le<u32>(loop_.page->bytes + at) : low;
          Insn insn = c.insn();
          if (insn.op == kSlotBreak) [[unlikely]]
            insn = to_slot(decode(word, options_.isa));
          insn.op = first_of_sequence(insn.op);
          flow = execute(insn, pc, length, word, target);
        }
        switch (flow) {
          case Flow::next:
            if (leave_) [[unlikely]] {
              pc += length;
              goto out;
            }
            if (straddles) {
              pc += length;
              goto enter_page;
            }
            c.slot += length * kSlotScale;
            continue;
          case Flow::jump:
            pc = target;
            if (leave_) goto out;
            goto enter_page;
          case Flow::leave:
            pc = target;
            if (leave_) goto out;
            goto enter_page;
          case Flow::trap: goto trapped;
        }
      }
    }
  }

trapped:
  // The handler is the next to execute, unless something outside must be looked at first.
  take_trap(pc);
  pc = state.pc;
  if (!leave_) goto enter_page;
out:
  state.pc = pc;
  sync_retired(c.budget);
}

}  // namespace hartwood
