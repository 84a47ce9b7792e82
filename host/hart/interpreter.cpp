// SPDX-License-Identifier: Apache-2.0
// The fast loop: predecoded slots and one switch.
//
// What makes it fast, measured in Chromium and natively:
//   - a slot is 8 bytes and the next one is at a constant distance, which is in the case, not in the slot: 2-byte and
//     4-byte forms of an instruction are different cases;
//   - the pc is not kept but computed from the slot's address (`bias`) where an instruction asks for it;
//   - a branch inside the page moves the slot pointer and compares it with the page's bounds, nothing else;
//   - loads and stores probe the TLB inline (tlb.h) and call out only on a miss;
//   - the budget is counted down once an instruction, so that a slice ends at the exact instruction.
// `Fast` is the context that the definitions of isa/semantics run in; its members live in registers, because every
// function of it is inlined and its address is never given away. What changes seldom is in Hart::loop_: keeping it in
// registers would push out the slot pointer and the budget.
#include "hart/eval.h"
#include "hart/hart.h"
#include "isa/semantics/floating.h"
#include "isa/semantics/integer.h"

namespace hartwood {
namespace {

// Bytes of slot array for each byte of guest code.
constexpr unsigned kSlotScale = sizeof(Insn) / 2;
constexpr unsigned kSlotShift = 2;
static_assert(1u << kSlotShift == kSlotScale);

#define HW_INLINE [[gnu::always_inline]]

}  // namespace

DecodedPage* Hart::fetch_page(u64 pc) {
  const u64 tag = (pc & ~kPageMask) | kFetchValid | static_cast<u64>(state_.privilege);
  FetchEntry& entry = fetch_[(pc >> kPageShift) & (kFetchEntries - 1)];
  if (entry.tag == tag) [[likely]]
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
  // Where PMP cuts the page, every entry into it is checked anew; a run inside it is not [priv: PMP, matching].
  entry = {uniform ? tag : 0, page};
  return page;
}

bool Hart::fetch_half(u64 va, u16& half) {
  Translation translation;
  if (!translate(state_, parts_.memory, va, 2, Access::fetch, state_.privilege, translation, trap_)) return false;
  if (!parts_.memory.load(translation.pa, half)) return fail(Cause::fetch_access, va);
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
  const Tlb::Tables tables = tlb_.tables(data_context());
  loop_.read_table = reinterpret_cast<const u8*>(tables.read);
  loop_.write_table = reinterpret_cast<const u8*>(tables.write);
  loop_.table_mask = tlb_.index_mask() << 3;
  loop_.ram = parts_.memory.ram();
  loop_.outside_ram = ~(parts_.memory.size() - 1);
}

// One instruction at a time through execute(), with the tracer told before each.
void Hart::interpret_traced(u32 steps) {
  select_tables();
  while (steps-- != 0 && !leave_) {
    const u64 pc = state_.pc;
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
  bool left;  // a slow store changed something that the loop must take up

  HW_INLINE const Insn& insn() const { return *reinterpret_cast<const Insn*>(slot); }
  HW_INLINE u64 x(u32 index) const { return hart->state_.x[index]; }
  HW_INLINE u64 rs1() const { return x(insn().rs1); }
  HW_INLINE u64 rs2() const { return x(slot[4]); }
  HW_INLINE u64 branch_rs2() const { return x(insn().rd); }
  HW_INLINE u64 store_rs2() const { return x(insn().rd); }
  HW_INLINE u64 imm() const { return static_cast<u64>(static_cast<i64>(insn().imm)); }
  HW_INLINE u64 pc() const {
    return hart->loop_.page_va + (static_cast<uintptr_t>(slot - hart->loop_.first) >> kSlotShift);
  }
  HW_INLINE u64 link() const { return pc() + length; }
  HW_INLINE bool rd(u64 v) {
    hart->state_.x[insn().rd] = v;
    return true;
  }
  HW_INLINE bool branch(bool condition) {
    taken = condition;
    return true;
  }
  HW_INLINE bool jump(u64 to) {
    target = to;
    return true;
  }
  // The offset in RAM of an access, and whether it hit.
  template <class T>
  HW_INLINE bool probe(const u8* table, u64 va, u64& offset) const {
    return hart->probe<sizeof(T)>(table, va, offset);
  }
  template <class T>
  HW_INLINE static u64 extend(u64 value) {
    if constexpr (std::is_signed_v<T>) return static_cast<u64>(static_cast<i64>(static_cast<T>(value)));
    else return static_cast<T>(value);
  }
  template <class T>
  HW_INLINE Value load(u64 va) {
    u64 offset;
    if (probe<T>(hart->loop_.read_table, va, offset)) [[likely]]
      return {true, extend<T>(load_le<T>(hart->loop_.ram + static_cast<uintptr_t>(offset)))};
    const Value raw = slow_load(hart, va, sizeof(T), budget);
    return {raw.ok, extend<T>(raw.v)};
  }
  template <class T>
  HW_INLINE bool store(u64 va, u64 value) {
    u64 offset;
    left = false;
    if (probe<T>(hart->loop_.write_table, va, offset)) [[likely]] {
      store_le<T>(hart->loop_.ram + static_cast<uintptr_t>(offset), static_cast<T>(value));
      return true;
    }
    const SlowStore result = slow_store(hart, va, sizeof(T), value, budget);
    left = result.left;
    return result.ok;
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
    if constexpr (sizeof(fp::BitsOf<F>) == 8) return fs_raw(which);
    else return fp::unbox32(fs_raw(which));
  }
  template <class F>
  HW_INLINE bool fd(fp::BitsOf<F> value) {
    if constexpr (sizeof(value) == 8) hart->state_.f[insn().rd] = value;
    else hart->state_.f[insn().rd] = fp::box32(value);
    hart->state_.mstatus |= mstatus::kFs;
    return true;
  }
  HW_INLINE u64 store_fs2() const { return hart->state_.f[insn().rd]; }
  HW_INLINE u8& flags() { return hart->state_.fflags; }
  HW_INLINE void flags_done() { hart->state_.mstatus |= mstatus::kFs; }
  HW_INLINE static u64 constant(u64 v) { return v; }

 private:
  // Out of line, and by value: the address of the context stays with the loop.
  struct SlowStore {
    bool ok, left;
  };
  [[gnu::noinline]] static Value slow_load(Hart* hart, u64 va, unsigned size, u32 budget) {
    hart->sync_retired(budget + 1);
    Value result{false, 0};
    result.ok = hart->load_slow(va, size, result.v);
    return result;
  }
  [[gnu::noinline]] static SlowStore slow_store(Hart* hart, u64 va, unsigned size, u64 value, u32 budget) {
    hart->sync_retired(budget + 1);
    const bool ok = hart->store_slow(va, size, value);
    return {ok, hart->leave_};
  }
};

void Hart::interpret(u32 steps) {
  HartState& state = state_;
  select_tables();
  Fast c;
  c.hart = this;
  c.budget = steps;
  u64 pc = state.pc;

// Leaves the loop with the pc in `pc`.
#define HW_SYNC_PC() pc = c.pc()

enter_page:
  if (c.budget == 0) goto out;
  loop_.page = fetch_page(pc);
  if (loop_.page == nullptr) {
    c.budget--;
    take_trap(pc);
    state.retired = end_ - c.budget;
    return;
  }
  loop_.first = reinterpret_cast<const u8*>(loop_.page->slots);
  loop_.page_va = pc & ~kPageMask;
  c.slot = loop_.first + ((pc & kPageMask) << kSlotShift);

  for (;;) {
    if (c.budget == 0) [[unlikely]] {
      HW_SYNC_PC();
      goto out;
    }
    c.budget--;
    switch (c.insn().op) {
#define HW_CASE4(name)                \
  case static_cast<u16>(Op::name):    \
    semantics::name(c);               \
    c.slot += 4 * kSlotScale;         \
    continue;
#define HW_CASE2(name)                          \
  case kCompact + static_cast<u16>(Op::name):   \
    semantics::name(c);                         \
    c.slot += 2 * kSlotScale;                   \
    continue;
#define HW_CASE(name) HW_CASE4(name) HW_CASE2(name)
      HW_CASE(addi)
      HW_CASE(add)
      HW_CASE(lui)
      HW_CASE(addiw)
      HW_CASE(addw)
      HW_CASE(sub)
      HW_CASE(subw)
      HW_CASE(and_)
      HW_CASE(or_)
      HW_CASE(xor_)
      HW_CASE(andi)
      HW_CASE(slli)
      HW_CASE(srli)
      HW_CASE(srai)
      HW_CASE4(auipc)
      HW_CASE4(slti)
      HW_CASE4(sltiu)
      HW_CASE4(xori)
      HW_CASE4(ori)
      HW_CASE4(sll)
      HW_CASE4(slt)
      HW_CASE4(sltu)
      HW_CASE4(srl)
      HW_CASE4(sra)
      HW_CASE4(slliw)
      HW_CASE4(srliw)
      HW_CASE4(sraiw)
      HW_CASE4(sllw)
      HW_CASE4(srlw)
      HW_CASE4(sraw)
      HW_CASE4(mul)
      HW_CASE4(mulw)
      HW_CASE4(mulh)
      HW_CASE4(mulhu)
      HW_CASE4(div)
      HW_CASE4(divu)
      HW_CASE4(rem)
      HW_CASE4(remu)
      HW_CASE4(divw)
      HW_CASE4(divuw)
      HW_CASE4(remw)
      HW_CASE4(remuw)
      HW_CASE4(sh1add)
      HW_CASE4(sh2add)
      HW_CASE4(sh3add)
      HW_CASE4(add_uw)
      HW_CASE4(sh1add_uw)
      HW_CASE4(sh2add_uw)
      HW_CASE4(sh3add_uw)
      HW_CASE4(slli_uw)
      HW_CASE4(andn)
      HW_CASE4(orn)
      HW_CASE4(xnor)
      HW_CASE4(clz)
      HW_CASE4(ctz)
      HW_CASE4(clzw)
      HW_CASE4(ctzw)
      HW_CASE4(cpop)
      HW_CASE4(cpopw)
      HW_CASE4(sext_b)
      HW_CASE4(sext_h)
      HW_CASE4(zext_h)
      HW_CASE4(rev8)
      HW_CASE4(orc_b)
      HW_CASE4(max)
      HW_CASE4(maxu)
      HW_CASE4(min)
      HW_CASE4(minu)
      HW_CASE4(rol)
      HW_CASE4(ror)
      HW_CASE4(rori)
      HW_CASE4(rolw)
      HW_CASE4(rorw)
      HW_CASE4(roriw)
      HW_CASE4(bclr)
      HW_CASE4(bext)
      HW_CASE4(binv)
      HW_CASE4(bset)
      HW_CASE4(bclri)
      HW_CASE4(bexti)
      HW_CASE4(binvi)
      HW_CASE4(bseti)
      HW_CASE4(czero_eqz)
      HW_CASE4(czero_nez)

// A branch that stays in the page moves the slot pointer; one unsigned comparison covers both borders.
#define HW_BRANCH(name, bytes, base)                                             \
  case base + static_cast<u16>(Op::name): {                                      \
    semantics::name(c);                                                          \
    if (c.taken) {                                                               \
      const u8* to = c.slot + (static_cast<intptr_t>(c.insn().imm) << kSlotShift); \
      if (static_cast<uintptr_t>(to - loop_.first) < kPageBytes * kSlotScale) {        \
        c.slot = to;                                                             \
        continue;                                                                \
      }                                                                          \
      pc = c.pc() + c.imm();                                                     \
      goto enter_page;                                                           \
    }                                                                            \
    c.slot += (bytes)*kSlotScale;                                                \
    continue;                                                                    \
  }
      HW_BRANCH(beq, 2, kCompact)
      HW_BRANCH(bne, 2, kCompact)
      HW_BRANCH(beq, 4, 0)
      HW_BRANCH(bne, 4, 0)
      HW_BRANCH(blt, 4, 0)
      HW_BRANCH(bge, 4, 0)
      HW_BRANCH(bltu, 4, 0)
      HW_BRANCH(bgeu, 4, 0)

#define HW_JUMP(name, bytes, base)                                         \
  case base + static_cast<u16>(Op::name): {                                \
    c.length = bytes;                                                      \
    const u64 from = c.pc();                                               \
    semantics::name(c);                                                    \
    if (((c.target ^ from) & ~kPageMask) == 0) {                           \
      c.slot = loop_.first + ((c.target & kPageMask) << kSlotShift);             \
      continue;                                                            \
    }                                                                      \
    pc = c.target;                                                         \
    goto enter_page;                                                       \
  }
      HW_JUMP(jal, 4, 0)
      HW_JUMP(jalr, 4, 0)
      HW_JUMP(jal, 2, kCompact)
      HW_JUMP(jalr, 2, kCompact)

#define HW_LOAD(name, bytes, base)                   \
  case base + static_cast<u16>(Op::name):            \
    if (!semantics::name(c)) [[unlikely]]            \
      goto trapped;                                  \
    c.slot += (bytes)*kSlotScale;                    \
    continue;
#define HW_STORE(name, bytes, base)                  \
  case base + static_cast<u16>(Op::name):            \
    if (!semantics::name(c)) [[unlikely]]            \
      goto trapped;                                  \
    if (c.left) [[unlikely]]                         \
      goto left_after;                               \
    c.slot += (bytes)*kSlotScale;                    \
    continue;
      HW_LOAD(lw, 2, kCompact)
      HW_LOAD(ld, 2, kCompact)
      HW_LOAD(lb, 4, 0)
      HW_LOAD(lh, 4, 0)
      HW_LOAD(lw, 4, 0)
      HW_LOAD(ld, 4, 0)
      HW_LOAD(lbu, 4, 0)
      HW_LOAD(lhu, 4, 0)
      HW_LOAD(lwu, 4, 0)
      HW_STORE(sw, 2, kCompact)
      HW_STORE(sd, 2, kCompact)
      HW_STORE(sb, 4, 0)
      HW_STORE(sh, 4, 0)
      HW_STORE(sw, 4, 0)
      HW_STORE(sd, 4, 0)


// Floating point: with the unit off, or a reserved rounding mode, execute() raises the trap.
#define HW_FP_LOAD(name, bytes, base)     \
  case base + static_cast<u16>(Op::name): \
    if (!c.fp_begin()) goto cold;         \
    if (!semantics::name(c)) goto trapped; \
    c.slot += (bytes)*kSlotScale;         \
    continue;
#define HW_FP_STORE(name, bytes, base)    \
  case base + static_cast<u16>(Op::name): \
    if (!c.fp_begin()) goto cold;         \
    if (!semantics::name(c)) goto trapped; \
    if (c.left) goto left_after;          \
    c.slot += (bytes)*kSlotScale;         \
    continue;
#define HW_FP(name)                       \
  case static_cast<u16>(Op::name):        \
    if (!semantics::name(c)) goto cold;   \
    c.slot += 4 * kSlotScale;             \
    continue;
      HW_FP_LOAD(fld, 2, kCompact)
      HW_FP_LOAD(fld, 4, 0)
      HW_FP_LOAD(flw, 4, 0)
      HW_FP_STORE(fsd, 2, kCompact)
      HW_FP_STORE(fsd, 4, 0)
      HW_FP_STORE(fsw, 4, 0)
      HW_FP(fadd_d)
      HW_FP(fsub_d)
      HW_FP(fmul_d)
      HW_FP(fdiv_d)
      HW_FP(fmadd_d)
      HW_FP(fmsub_d)
      HW_FP(fnmsub_d)
      HW_FP(fnmadd_d)
      HW_FP(fsgnj_d)
      HW_FP(fsgnjn_d)
      HW_FP(fsgnjx_d)
      HW_FP(fmv_d_x)
      HW_FP(fmv_x_d)
      HW_FP(feq_d)
      HW_FP(flt_d)
      HW_FP(fle_d)
      HW_FP(fadd_s)
      HW_FP(fsub_s)
      HW_FP(fmul_s)
      HW_FP(fmadd_s)

      case kSlotUndecoded:
        c.budget++;
        code_.decode_slot(*loop_.page, static_cast<u32>((c.slot - loop_.first) >> 3));
        continue;
      case kSlotPageEnd:
        c.budget++;
        HW_SYNC_PC();
        goto enter_page;
      default:
      cold: {
        HW_SYNC_PC();
        sync_retired(c.budget + 1);
        const u32 at = static_cast<u32>(pc & kPageMask);
        const u16 low = load_le<u16>(loop_.page->bytes + at);
        const u32 length = instruction_length(low);
        u64 target = 0;
        Flow flow;
        if (c.insn().op == kSlotStraddle) {
          flow = execute_straddling(pc, low, target);
        } else {
          const u32 word = length == 4 ? load_le<u32>(loop_.page->bytes + at) : low;
          flow = execute(c.insn(), pc, length, word, target);
        }
        switch (flow) {
          case Flow::next:
            if (leave_) [[unlikely]] {
              pc += length;
              goto out;
            }
            if (c.insn().op == kSlotStraddle) {
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
            goto out;
          case Flow::trap:
            take_trap(pc);
            state.retired = end_ - c.budget;
            return;
        }
      }
    }
  }

left_after:
  HW_SYNC_PC();
  pc += instruction_length(load_le<u16>(loop_.page->bytes + (pc & kPageMask)));
  goto out;

trapped:
  HW_SYNC_PC();
  take_trap(pc);
  state.retired = end_ - c.budget;
  return;

out:
  state.pc = pc;
  sync_retired(c.budget);
}

}  // namespace hartwood
