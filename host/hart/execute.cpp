// SPDX-License-Identifier: Apache-2.0
// Every instruction, one at a time: what the fast loop does not handle itself (system, atomics, most floating point,
// instructions that lie in two pages), and all of them when tracing. `Eval` is the full context of isa/semantics over
// the hart's state.
#include "hart/eval.h"
#include "hart/hart.h"
#include "isa/semantics/floating.h"
#include "isa/semantics/integer.h"
#include "isa/semantics/memory.h"
#include "isa/semantics/system.h"

namespace hartwood {

struct Eval : EvalArithmetic {
  Hart& hart;
  HartState& state;
  const Insn insn;
  const u64 pc_;
  const u32 length;
  const u32 raw;
  u64 target = 0;
  Hart::Flow flow = Hart::Flow::next;

  Eval(Hart& h, const Insn& i, u64 pc, u32 bytes, u32 bits)
      : hart(h), state(h.state_), insn(i), pc_(pc), length(bytes), raw(bits) {}

  u64 rs1() const { return state.x[insn.rs1]; }
  u64 rs2() const { return state.x[insn.rs2()]; }
  u64 branch_rs2() const { return state.x[insn.rd]; }
  u64 store_rs2() const { return state.x[insn.rd]; }
  u64 store_fs2() const { return state.f[insn.rd]; }
  u64 rd_value() const { return insn.rd == kSinkRegister ? 0 : state.x[insn.rd]; }
  u32 rs1_index() const { return insn.rs1; }
  u64 imm() const { return static_cast<u64>(static_cast<i64>(insn.imm)); }
  u64 pc() const { return pc_; }
  u64 link() const { return pc_ + length; }
  bool rd(u64 v) {
    state.x[insn.rd] = v;
    return true;
  }
  bool illegal() { return hart.fail(Cause::illegal_instruction, raw); }

  bool branch(bool condition) {
    if (condition) jump(pc_ + imm());
    return true;
  }
  bool jump(u64 to) {
    target = to;
    flow = Hart::Flow::jump;
    return true;
  }
  // The state changed in a way that the fast loop must take up; it goes on at `to`.
  bool leave(u64 to) {
    target = to;
    flow = Hart::Flow::leave;
    return true;
  }
  bool leave() { return leave(link()); }

  static bool in_one_page(u64 va, unsigned size) { return (va & kPageMask) <= kPageBytes - size; }
  template <class T>
  Value load(u64 va) {
    u64 value, offset;
    if (hart.probe<sizeof(T)>(hart.loop_.read_table, va, offset)) [[likely]]
      value = load_le<T>(hart.loop_.ram + static_cast<uintptr_t>(offset));
    else if (sizeof(T) > 1 && in_one_page(va, sizeof(T)) && hart.probe<1>(hart.loop_.read_table, va, offset))
      value = load_le<T>(hart.loop_.ram + static_cast<uintptr_t>(offset));  // misaligned
    else if (!hart.load_slow(va, sizeof(T), value))
      return {false, 0};
    if constexpr (std::is_signed_v<T>) return {true, static_cast<u64>(static_cast<i64>(static_cast<T>(value)))};
    return {true, value};
  }
  template <class T>
  bool store(u64 va, u64 value) {
    u64 offset;
    if (hart.probe<sizeof(T)>(hart.loop_.write_table, va, offset)) [[likely]] {
      store_le<T>(hart.loop_.ram + static_cast<uintptr_t>(offset), static_cast<T>(value));
      return true;
    }
    if (sizeof(T) > 1 && in_one_page(va, sizeof(T)) && hart.probe<1>(hart.loop_.write_table, va, offset)) {
      store_le<T>(hart.loop_.ram + static_cast<uintptr_t>(offset), static_cast<T>(value));
      return true;
    }
    return hart.store_slow(va, sizeof(T), value);
  }

  // ---- atomics
  template <class T>
  static u64 extended(T value) {
    return static_cast<u64>(static_cast<i64>(value));
  }
  template <class T>
  Value amo(semantics::AmoKind kind, u64 va, u64 operand) {
    using U = std::make_unsigned_t<T>;
    Pa pa;
    if (!hart.atomic_address<sizeof(T)>(va, Access::store, pa)) return {false, 0};
    GuestMemory& memory = hart.parts_.memory;
    U old = memory.atomic_load<U>(pa);
    while (!memory.compare_exchange<U>(
        pa, old, static_cast<U>(semantics::amo_result<T>(kind, static_cast<T>(old), static_cast<T>(operand))))) {
    }
    hart.note_watched_read();
    hart.note_tohost(pa);
    return {true, extended(static_cast<T>(old))};
  }
  template <class T>
  Value load_reserved(u64 va) {
    using U = std::make_unsigned_t<T>;
    Pa pa;
    if (!hart.atomic_address<sizeof(T)>(va, Access::load, pa)) return {false, 0};
    const U value = hart.parts_.memory.atomic_load<U>(pa);
    state.reserved = true;
    state.reserved_size = sizeof(T);
    state.reserved_pa = pa.value;
    state.reserved_value = value;
    return {true, extended(static_cast<T>(value))};
  }
  template <class T>
  Value store_conditional(u64 va, u64 value) {
    using U = std::make_unsigned_t<T>;
    const bool reserved = state.reserved;
    Pa pa;
    if (!hart.atomic_address<sizeof(T)>(va, Access::store, pa)) return {false, 0};
    state.reserved = false;
    U expected = static_cast<U>(state.reserved_value);
    const bool stored = reserved && state.reserved_pa == pa.value && state.reserved_size == sizeof(T) &&
                        hart.parts_.memory.compare_exchange<U>(pa, expected, static_cast<U>(value));
    if (stored)
      hart.note_tohost(pa);
    else
      hart.forget_watched();
    return {true, stored ? u64{0} : u64{1}};
  }
  template <class T>
  Value compare_and_swap(u64 va, u64 expected, u64 desired) {
    using U = std::make_unsigned_t<T>;
    Pa pa;
    if (!hart.atomic_address<sizeof(T)>(va, Access::store, pa)) return {false, 0};
    U seen = static_cast<U>(expected);
    hart.note_watched_read();
    if (hart.parts_.memory.compare_exchange<U>(pa, seen, static_cast<U>(desired))) hart.note_tohost(pa);
    return {true, extended(static_cast<T>(seen))};
  }
  bool compare_and_swap_pair() {
    // Alone first, then the address: a fence that is served on the way must not leave us with an old translation.
    AttentionProtocol& attention = hart.parts_.attention;
    attention.begin_exclusive(hart.id(), hart);
    const bool done = compare_and_swap_pair_alone();
    attention.end_exclusive();
    hart.leave_ = true;
    return done && leave();
  }
  bool compare_and_swap_pair_alone() {
    const u64 va = rs1();
    Pa pa;
    if (!hart.atomic_address<16>(va, Access::store, pa)) return false;
    hart.note_watched_read();
    const bool sink = insn.rd == kSinkRegister;
    const u64 expected_low = sink ? 0 : state.x[insn.rd], expected_high = sink ? 0 : state.x[insn.rd + 1];
    const u32 rs2 = insn.rs2();
    const u64 desired_low = rs2 == 0 ? 0 : state.x[rs2], desired_high = rs2 == 0 ? 0 : state.x[rs2 + 1];
    u64 low, high;
    hart.parts_.memory.compare_exchange_pair(pa, expected_low, expected_high, desired_low, desired_high, low, high);
    hart.note_tohost(pa);
    if (!sink) {
      state.x[insn.rd] = low;
      state.x[insn.rd + 1] = high;
    }
    return true;
  }
  bool wait_for_store(bool) { return true; }  // returning at once is allowed [unpriv: "Zawrs"]
  bool fence() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return true;
  }
  bool fence_i() {
    hart.code_.new_epoch();
    hart.flush_fetch();
    if (hart.translated_ != nullptr) hart.translated_->fence_code();
    return leave();
  }
  // [cmo: Cache-Block Management Instructions; Machine Environment Configuration]
  bool cache_block(u32 kind, u64 va) {
    const auto allowed = [&](unsigned at, u64 need) {
      if (state.privilege == Privilege::machine) return true;
      if ((bits(state.menvcfg, at + (need == 3), at) & need) == 0) return false;
      return state.privilege == Privilege::supervisor || (bits(state.senvcfg, at + (need == 3), at) & need) != 0;
    };
    if (kind == 4) {
      if (!allowed(7, 1)) return illegal();
      return hart.zero_block(va);
    }
    if (!(kind == 0 ? allowed(4, 3) : allowed(6, 1))) return illegal();
    // Caches are coherent; only the access is checked: reads or writes must be possible, and a fault is a store's.
    const u64 start = align_down(va, 64);
    Translation out;
    const Privilege privilege = effective_privilege(state, Access::load);
    Trap trap;
    if (!translate(state, hart.parts_.memory, start, 64, Access::load, privilege, out, trap) &&
        !translate(state, hart.parts_.memory, start, 64, Access::store, privilege, out, trap))
      return hart.fail(trap.cause, va);
    const bool exists = hart.parts_.memory.contains(out.pa, 64) || hart.parts_.bus.find(out.pa, 64) != nullptr;
    return exists || hart.fail(Cause::store_access, va);
  }

  // ---- floating point
  bool fp_begin() { return (state.mstatus & mstatus::kFs) ? true : illegal(); }
  bool rounding(fp::Rm& rm) {
    const u8 mode = insn.rm() == 7 ? state.frm : insn.rm();
    if (mode > 4) return illegal();
    rm = static_cast<fp::Rm>(mode);
    return true;
  }
  u64 fs_raw(int which) const { return state.f[which == 1 ? insn.rs1 : which == 2 ? insn.rs2() : insn.rs3()]; }
  template <class F>
  fp::BitsOf<F> fs(int which) const {
    const u64 raw_bits = fs_raw(which);
    if constexpr (sizeof(fp::BitsOf<F>) == 8)
      return raw_bits;
    else if constexpr (sizeof(fp::BitsOf<F>) == 4)
      return fp::unbox32(raw_bits);
    else
      return fp::unbox16(raw_bits);
  }
  template <class F>
  bool fd(fp::BitsOf<F> value) {
    if constexpr (sizeof(value) == 8)
      state.f[insn.rd] = value;
    else if constexpr (sizeof(value) == 4)
      state.f[insn.rd] = fp::box32(value);
    else
      state.f[insn.rd] = fp::box16(value);
    state.mstatus |= mstatus::kFs;
    return true;
  }
  u8& flags() { return state.fflags; }
  void flags_done() { state.mstatus |= mstatus::kFs; }

  // ---- system
  bool environment_call() {
    if (state.privilege == Privilege::supervisor && hart.parts_.firmware != nullptr) {
      hart.jumped_ = false;
      state.pc = pc_;
      hart.parts_.firmware->call(hart);
      hart.leave_ = true;  // the call may have sent this hart an interrupt, put it to sleep or ended the machine
      return leave(hart.jumped_ ? state.pc : link());
    }
    const Cause cause = state.privilege == Privilege::user         ? Cause::ecall_u
                        : state.privilege == Privilege::supervisor ? Cause::ecall_s
                                                                   : Cause::ecall_m;
    return hart.fail(cause, 0);
  }
  bool breakpoint() { return hart.fail(Cause::breakpoint, pc_); }
  bool csr(semantics::CsrKind kind, u64 operand, bool writes) {
    const u32 number = static_cast<u32>(insn.imm);
    const bool reads = kind != semantics::CsrKind::write || insn.rd != kSinkRegister;
    u64 old = 0;
    // An instruction that does not read still needs the register to exist.
    if (!hart.read_csr(number, old)) return illegal();
    if (writes) {
      // The software-writable view of SEIP, not the line, takes part in a read-modify-write.
      u64 base = old;
      if (number == kCsrMip) base = (old & ~(u64{1} << kSei)) | (state.mip_soft & (u64{1} << kSei));
      const u64 fresh = kind == semantics::CsrKind::write ? operand
                        : kind == semantics::CsrKind::set ? base | operand
                                                          : base & ~operand;
      if (!hart.write_csr(number, fresh)) return illegal();
    }
    if (reads) rd(old);
    const bool refetch = hart.refetch_;
    hart.refetch_ = false;
    return hart.leave_ || refetch ? leave() : true;
  }
  bool machine_return() {
    if (state.privilege != Privilege::machine) return illegal();
    hart.return_from_machine();
    return leave(state.pc);
  }
  bool supervisor_return() {
    const bool trapped = state.privilege == Privilege::supervisor && (state.mstatus & mstatus::kTsr);
    if (state.privilege == Privilege::user || trapped) return illegal();
    hart.return_from_supervisor();
    return leave(state.pc);
  }
  bool wait_for_interrupt() {
    if (state.privilege == Privilege::user) return illegal();
    if (state.privilege == Privilege::supervisor && (state.mstatus & mstatus::kTw)) return illegal();
    hart.waiting_ = true;
    hart.leave_ = true;
    return leave();
  }
  bool sfence_vma() {
    const bool trapped = state.privilege == Privilege::supervisor && (state.mstatus & mstatus::kTvm);
    if (state.privilege == Privilege::user || trapped) return illegal();
    FenceRequest request;
    if (raw >> 15 & 31) {
      request.start = rs1();
      request.size = 1;
    }
    if (raw >> 20 & 31) {
      request.by_asid = true;
      request.asid = rs2() & 0xffff;
    }
    hart.flush(request);
    return leave();
  }
  bool sfence_order() { return state.privilege == Privilege::user ? illegal() : true; }
};

Hart::Flow Hart::execute(const Insn& slot, u64 pc, u32 length, u32 bits, u64& target) {
  executing_pc_ = pc;
  Eval c(*this, slot, pc, length, bits);
  bool done = false;
  switch (static_cast<Op>(slot.op >= kCompact && slot.op < kSlotIllegal ? slot.op - kCompact : slot.op)) {
#define INSN(name, mnemonic, extension, format, mask, match, operands) \
  case Op::name:                                                       \
    done = semantics::name(c);                                         \
    break;
#include "isa/instructions.inc"
#undef INSN
    default: done = c.illegal(); break;
  }
  target = c.target;
  return done ? c.flow : Flow::trap;
}

}  // namespace hartwood
