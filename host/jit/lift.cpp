// SPDX-License-Identifier: Apache-2.0
// From guest instructions to operations, by running the instructions' own definitions (isa/semantics) with a context
// whose values are names of operations. What has no definition in those terms (most floating point, atomics, CSRs)
// becomes fp_arith or execute.
#include "base/bits.h"
#include "hart/csr.h"
#include "isa/semantics/integer.h"
#include "isa/semantics/memory.h"
#include "jit/region.h"

namespace hartwood::jit {
namespace {

struct Lift;
struct Condition {
  u32 id;
};
struct Val {
  Lift* lift;
  u32 id;
};
Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator&(Val a, Val b);
Val operator|(Val a, Val b);
Val operator^(Val a, Val b);
Val operator~(Val a);

struct Loaded {
  bool ok;
  Val v;
};

struct Lift {
  using V = Val;
  Builder& builder;
  Block& block;
  const Insn& insn;
  i32 offset;
  u32 length;

  Val value(u32 id) { return {this, id}; }
  Val constant(u64 v) { return value(builder.constant(static_cast<i64>(v))); }
  Val x(u32 reg) { return reg == 0 ? constant(0) : value(builder.get_x(reg)); }
  Val rs1() { return x(insn.rs1); }
  Val rs2() { return x(insn.rs2()); }
  Val branch_rs2() { return x(insn.rd); }
  Val store_rs2() { return x(insn.rd); }
  Val imm() { return constant(static_cast<u64>(static_cast<i64>(insn.imm))); }
  Val pc() { return value(builder.code_address(offset)); }
  Val link() { return value(builder.code_address(offset + static_cast<i32>(length))); }
  bool rd(Val v) {
    if (insn.rd != 0) builder.set_x(insn.rd, v.id);
    return true;
  }
  bool branch(Condition condition) {
    block.end.value = condition.id;
    return true;
  }
  bool jump(Val to) {
    if (block.end.kind != Exit::jump && block.end.kind != Exit::call) block.end.value = to.id;
    return true;
  }

  Val unary(Ir op, Val a) { return value(builder.unary(op, a.id)); }
  Val binary(Ir op, Val a, Val b) { return value(builder.binary(op, a.id, b.id)); }
  Condition compare(Ir op, Val a, Val b) { return {builder.emit({.op = op, .a = a.id, .b = b.id})}; }
  Val shl(Val a, Val b) { return binary(Ir::shl, a, b); }
  Val shr(Val a, Val b) { return binary(Ir::shr, a, b); }
  Val sar(Val a, Val b) { return binary(Ir::sar, a, b); }
  Val shl32(Val a, Val b) { return binary(Ir::shl32, a, b); }
  Val shr32(Val a, Val b) { return binary(Ir::shr32, a, b); }
  Val sar32(Val a, Val b) { return binary(Ir::sar32, a, b); }
  Val rotl(Val a, Val b) { return binary(Ir::rotl, a, b); }
  Val rotr(Val a, Val b) { return binary(Ir::rotr, a, b); }
  Val rotl32(Val a, Val b) { return binary(Ir::rotl32, a, b); }
  Val rotr32(Val a, Val b) { return binary(Ir::rotr32, a, b); }
  Val sext32(Val a) { return unary(Ir::sext32, a); }
  Val zext32(Val a) { return unary(Ir::zext32, a); }
  Condition eq(Val a, Val b) { return compare(Ir::eq, a, b); }
  Condition ne(Val a, Val b) { return compare(Ir::ne, a, b); }
  Condition lt_s(Val a, Val b) { return compare(Ir::lt_s, a, b); }
  Condition lt_u(Val a, Val b) { return compare(Ir::lt_u, a, b); }
  Condition ge_s(Val a, Val b) { return compare(Ir::ge_s, a, b); }
  Condition ge_u(Val a, Val b) { return compare(Ir::ge_u, a, b); }
  Val from_bool(Condition c) { return value(builder.emit({.op = Ir::from_bool, .a = c.id})); }
  Val select(Condition c, Val a, Val b) {
    return value(builder.emit({.op = Ir::select, .a = c.id, .b = a.id, .c = b.id}));
  }
  Val mulh_uu(Val a, Val b) { return binary(Ir::mulh_uu, a, b); }
  // The unsigned product's high half, less what the negative operands' weights added.
  Val mulh_su(Val a, Val b) {
    Val product = mulh_uu(a, b);
    Val sign = sar(a, constant(63));
    Val excess = sign & b;
    return product - excess;
  }
  Val mulh_ss(Val a, Val b) {
    Val half = mulh_su(a, b);
    Val sign = sar(b, constant(63));
    Val excess = sign & a;
    return half - excess;
  }
  Val div_u(Val a, Val b) { return binary(Ir::div_u, a, b); }
  Val rem_u(Val a, Val b) { return binary(Ir::rem_u, a, b); }
  Val div_s(Val a, Val b) { return binary(Ir::div_s, a, b); }
  Val rem_s(Val a, Val b) { return binary(Ir::rem_s, a, b); }
  Val clz64(Val a) { return unary(Ir::clz, a); }
  Val ctz64(Val a) { return unary(Ir::ctz, a); }
  Val popcount(Val a) { return unary(Ir::popcount, a); }
  // Swaps neighbours of ever larger size.
  Val byteswap(Val a) {
    for (const auto& [mask, by] :
         {std::pair{u64{0x00ff'00ff'00ff'00ff}, u64{8}}, std::pair{u64{0x0000'ffff'0000'ffff}, u64{16}}}) {
      Val moved = shr(a, constant(by));
      Val high = moved & constant(mask);
      Val kept = a & constant(mask);
      Val low = shl(kept, constant(by));
      a = high | low;
    }
    return rotl(a, constant(32));
  }
  Val or_combine_bytes(Val a) {
    for (const auto& [by, mask] : {std::pair{u64{4}, u64{0x0f0f'0f0f'0f0f'0f0f}},
                                   std::pair{u64{2}, u64{0x0303'0303'0303'0303}}, std::pair{u64{1}, ~u64{0}}}) {
      Val moved = shr(a, constant(by));
      Val masked = moved & constant(mask);
      a = a | masked;
    }
    Val bits = a & constant(0x0101'0101'0101'0101);
    return bits * constant(0xff);
  }
  template <class T>
  Loaded load(Val address) {
    return {
        true,
        value(builder.emit({.op = Ir::load, .size = sizeof(T), .is_signed = std::is_signed_v<T>, .a = address.id}))};
  }
  template <class T>
  bool store(Val address, Val v) {
    builder.emit({.op = Ir::store, .size = sizeof(T), .a = address.id, .b = v.id});
    return true;
  }

  // ---- atomics
  template <class T>
  Loaded amo(semantics::AmoKind kind, Val address, Val operand) {
    return {true,
            value(builder.emit(
                {.op = Ir::amo, .size = sizeof(T), .a = address.id, .b = operand.id, .imm = static_cast<i64>(kind)}))};
  }
  template <class T>
  Loaded load_reserved(Val address) {
    return {true, value(builder.emit({.op = Ir::load_reserved, .size = sizeof(T), .a = address.id}))};
  }
  template <class T>
  Loaded store_conditional(Val address, Val v) {
    return {true, value(builder.emit({.op = Ir::store_conditional, .size = sizeof(T), .a = address.id, .b = v.id}))};
  }

  // ---- floating registers as bits
  Val f(u32 reg) { return value(builder.emit({.op = Ir::get_f, .reg = static_cast<u8>(reg)})); }
  bool fd(Val bits) {
    builder.emit({.op = Ir::set_f, .reg = insn.rd, .a = bits.id});
    return true;
  }
  Val box32(Val v) { return v | constant(0xffff'ffff'0000'0000); }
  // [unpriv: NaN Boxing of Narrower Values]
  Val unbox32(Val v) {
    Val high = shr(v, constant(32));
    Condition boxed = eq(high, constant(0xffff'ffff));
    Val low = zext32(v);
    return select(boxed, low, constant(0x7fc0'0000));
  }
};

Val operator+(Val a, Val b) { return a.lift->binary(Ir::add, a, b); }
Val operator-(Val a, Val b) { return a.lift->binary(Ir::sub, a, b); }
Val operator*(Val a, Val b) { return a.lift->binary(Ir::mul, a, b); }
Val operator&(Val a, Val b) { return a.lift->binary(Ir::bit_and, a, b); }
Val operator|(Val a, Val b) { return a.lift->binary(Ir::bit_or, a, b); }
Val operator^(Val a, Val b) { return a.lift->binary(Ir::bit_xor, a, b); }
Val operator~(Val a) { return a ^ a.lift->constant(~u64{0}); }

// Of a load or store.
Val address(Lift& c) {
  Val base = c.rs1();
  return base + c.imm();
}

// CSRs that are no more than a place in the hart's state for whoever is not in U-mode. A trap's way into a kernel and
// out of it is full of them. [priv: Supervisor CSRs]
bool is_plain_csr(u32 number) {
  return number == kCsrSscratch || number == kCsrSepc || number == kCsrScause || number == kCsrStval;
}

// [unpriv: CSR Instructions]
void plain_csr(Lift& c, Op op) {
  const u32 number = static_cast<u32>(c.insn.imm);
  const bool immediate = op == Op::csrrwi || op == Op::csrrsi || op == Op::csrrci;
  const bool replaces = op == Op::csrrw || op == Op::csrrwi, sets = op == Op::csrrs || op == Op::csrrsi;
  Val old = c.value(c.builder.emit({.op = Ir::csr_read, .imm = number}));
  if (replaces || c.insn.rs1 != 0) {
    Val operand = immediate ? c.constant(c.insn.rs1) : c.rs1();
    Val fresh = replaces ? operand : sets ? old | operand : old & ~operand;
    if (number == kCsrSepc) fresh = fresh & c.constant(~u64{1});
    c.builder.emit({.op = Ir::csr_write, .a = fresh.id, .imm = number});
  }
  c.rd(old);
}

enum class Sign : u8 { copy, negate, exclusive };

// FSGNJ and its relatives in both widths. [unpriv: Floating-Point Conversion and Move Instructions]
void sign_injection(Lift& c, Sign how, bool is_double) {
  const u64 sign = is_double ? u64{1} << 63 : u64{1} << 31;
  Val a = c.f(c.insn.rs1);
  Val b = c.f(c.insn.rs2());
  if (!is_double) {
    a = c.unbox32(a);
    b = c.unbox32(b);
  }
  Val result = a;
  if (how == Sign::exclusive) {
    Val other = b & c.constant(sign);
    result = a ^ other;
  } else {
    if (how == Sign::negate) b = ~b;
    Val rest = a & c.constant(~sign);
    Val from = b & c.constant(sign);
    result = rest | from;
  }
  c.fd(is_double ? result : c.box32(result));
}

class Lifter {
 public:
  Lifter(Block& block, const IsaOptions& isa, const LiftOptions& options)
      : block_(block), isa_(isa), options_(options), builder_(block, options.fold_constants) {}

  void run() {
    for (u32 i = 0; i < block_.count(); i++) {
      builder_.set_guest(static_cast<u16>(i));
      instruction(block_.guest[i]);
    }
  }

 private:
  void ready_for_fp() {
    if (fp_ready_) return;
    builder_.emit({.op = Ir::fp_ready});
    fp_ready_ = true;
  }
  void execute(const GuestInsn& guest) {
    builder_.emit({.op = Ir::execute, .imm = static_cast<i64>(guest.bits)});
    builder_.forget_x(decode(guest.bits, isa_).insn.rd);
    fp_ready_ = false;
  }
  // The one that is being lifted, of these fields.
  void arith(const GuestInsn& guest, const Insn& insn, FpKind kind, bool is_double) {
    if (!options_.inline_float) return execute(guest);
    ready_for_fp();
    const FpArith packed{kind, is_double, insn.rd, insn.rs1, insn.rs2(), insn.rs3()};
    builder_.emit({.op = Ir::fp_arith, .imm = packed.pack()});
    if (packed.writes_x()) builder_.forget_x(packed.rd);
  }

  void instruction(const GuestInsn& guest) {
    const Decoded decoded = decode(guest.bits, isa_);
    if (flow_of(decoded) == Flow::system) return;  // the terminator executes it
    const Insn& insn = decoded.insn;
    Lift c{builder_, block_, insn, guest.offset, guest.length};
    // Static rounding to nearest, or frm, which fp_ready knows to be that.
    const bool nearest = insn.rm() == 0 || insn.rm() == 7;
    const bool rounds = insn.rm() <= 4 || insn.rm() == 7;  // the others are reserved
    switch (decoded.op) {
#define HW_LIFT(name)   \
  case Op::name:        \
    semantics::name(c); \
    return;
#include "jit/lifted.inc"
#undef HW_LIFT
      case Op::fence: builder_.emit({.op = Ir::fence}); return;

      case Op::csrrw:
      case Op::csrrs:
      case Op::csrrc:
      case Op::csrrwi:
      case Op::csrrsi:
      case Op::csrrci:
        if (is_plain_csr(static_cast<u32>(insn.imm))) return plain_csr(c, decoded.op);
        break;

      case Op::fld:
        ready_for_fp();
        c.fd(c.load<u64>(address(c)).v);
        return;
      case Op::flw:
        ready_for_fp();
        c.fd(c.box32(c.load<u32>(address(c)).v));
        return;
      case Op::fsd: {
        ready_for_fp();
        Val to = address(c);
        c.store<u64>(to, c.f(insn.rd));
        return;
      }
      case Op::fsw: {
        ready_for_fp();
        Val to = address(c);
        c.store<u32>(to, c.f(insn.rd));
        return;
      }
      case Op::fsgnj_d:
        ready_for_fp();
        sign_injection(c, Sign::copy, true);
        return;
      case Op::fsgnjn_d:
        ready_for_fp();
        sign_injection(c, Sign::negate, true);
        return;
      case Op::fsgnjx_d:
        ready_for_fp();
        sign_injection(c, Sign::exclusive, true);
        return;
      case Op::fsgnj_s:
        ready_for_fp();
        sign_injection(c, Sign::copy, false);
        return;
      case Op::fsgnjn_s:
        ready_for_fp();
        sign_injection(c, Sign::negate, false);
        return;
      case Op::fsgnjx_s:
        ready_for_fp();
        sign_injection(c, Sign::exclusive, false);
        return;
      case Op::fmv_x_d:
        ready_for_fp();
        c.rd(c.f(insn.rs1));
        return;
      case Op::fmv_x_w:
        ready_for_fp();
        c.rd(c.sext32(c.f(insn.rs1)));
        return;
      case Op::fmv_d_x:
        ready_for_fp();
        c.fd(c.rs1());
        return;
      case Op::fmv_w_x:
        ready_for_fp();
        c.fd(c.box32(c.rs1()));
        return;

      case Op::fadd_d:
        if (nearest) return arith(guest, insn, FpKind::add, true);
        break;
      case Op::fsub_d:
        if (nearest) return arith(guest, insn, FpKind::sub, true);
        break;
      case Op::fmul_d:
        if (nearest) return arith(guest, insn, FpKind::mul, true);
        break;
      case Op::fdiv_d:
        if (nearest) return arith(guest, insn, FpKind::div, true);
        break;
      case Op::fsqrt_d:
        if (nearest) return arith(guest, insn, FpKind::sqrt, true);
        break;
      case Op::fadd_s:
        if (nearest) return arith(guest, insn, FpKind::add, false);
        break;
      case Op::fsub_s:
        if (nearest) return arith(guest, insn, FpKind::sub, false);
        break;
      case Op::fmul_s:
        if (nearest) return arith(guest, insn, FpKind::mul, false);
        break;
      case Op::fdiv_s:
        if (nearest) return arith(guest, insn, FpKind::div, false);
        break;
      case Op::fsqrt_s:
        if (nearest) return arith(guest, insn, FpKind::sqrt, false);
        break;
      case Op::fmadd_d:
        if (nearest && options_.fused_multiply_add) return arith(guest, insn, FpKind::madd, true);
        break;
      case Op::fmsub_d:
        if (nearest && options_.fused_multiply_add) return arith(guest, insn, FpKind::msub, true);
        break;
      case Op::fnmsub_d:
        if (nearest && options_.fused_multiply_add) return arith(guest, insn, FpKind::nmsub, true);
        break;
      case Op::fnmadd_d:
        if (nearest && options_.fused_multiply_add) return arith(guest, insn, FpKind::nmadd, true);
        break;
      case Op::fcvt_d_w:
        if (rounds) return arith(guest, insn, FpKind::from_i32, true);
        break;
      case Op::fcvt_d_wu:
        if (rounds) return arith(guest, insn, FpKind::from_u32, true);
        break;
      case Op::fcvt_d_l:
        if (nearest) return arith(guest, insn, FpKind::from_i64, true);
        break;
      case Op::fcvt_d_lu:
        if (nearest) return arith(guest, insn, FpKind::from_u64, true);
        break;
      case Op::fcvt_w_d:
        if (insn.rm() == 1) return arith(guest, insn, FpKind::to_i32, true);
        break;
      case Op::fcvt_l_d:
        if (insn.rm() == 1) return arith(guest, insn, FpKind::to_i64, true);
        break;
      case Op::feq_d: return arith(guest, insn, FpKind::eq, true);
      case Op::flt_d: return arith(guest, insn, FpKind::lt, true);
      case Op::fle_d: return arith(guest, insn, FpKind::le, true);
      case Op::fcvt_d_s:
        if (rounds) return arith(guest, insn, FpKind::to_double, true);
        break;
      case Op::fcvt_s_d:
        if (nearest) return arith(guest, insn, FpKind::to_single, true);
        break;
      default: break;
    }
    execute(guest);
  }

  Block& block_;
  const IsaOptions& isa_;
  const LiftOptions& options_;
  Builder builder_;
  bool fp_ready_ = false;
};

}  // namespace

void lift(Region& region, const IsaOptions& isa, const LiftOptions& options) {
  for (Block& block : region.blocks) Lifter(block, isa, options).run();
}

}  // namespace hartwood::jit
