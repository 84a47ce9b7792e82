// SPDX-License-Identifier: Apache-2.0
// Operations that touch memory, or that the full context executes.
#include <bit>

#include "hart/code_cache.h"
#include "hart/csr.h"
#include "isa/semantics/memory.h"
#include "jit/function_lowering.h"

namespace hartwood::jit {

Operands operands_of(const GuestInsn& guest) {
  IsaOptions all;
  all.enabled = ~u32{0};
  const Decoded decoded = decode(guest.bits, all);
  const Insn& insn = decoded.insn;
  const OpInfo& of = info(decoded.op);
  Operands result;
  result.slot = to_slot(decoded);
  if (of.writes_x()) result.written.x = 1u << insn.rd & ~1u;
  if (of.writes_f()) result.written.f = 1u << insn.rd;
  result.is_csr = of.format == Format::csr || of.format == Format::csri;
  const bool store = of.format == Format::s;
  const u32 sources[3] = {insn.rs1, store ? u32{insn.rd} : u32{insn.rs2()}, insn.rs3()};
  u32 index = 0;
  for (const char* letter = of.operands + 1; *letter != 0 && index < 3; letter++) {
    if (*letter == 'x')
      result.read.x |= 1u << (sources[index++] & 31);
    else if (*letter == 'f')
      result.read.f |= 1u << (sources[index++] & 31);
  }
  // amocas compares with rd.
  result.read = result.read | result.written;
  result.read.x &= ~1u;
  return result;
}

void FunctionLowering::effect(u32 i) {
  const Inst& inst = insts()[i];
  switch (inst.op) {
    case Ir::set_x:
      push(inst.a);
      code_.set(x_local_[inst.reg]);
      break;
    case Ir::set_f:
      push(inst.a);
      code_.op(op::kF64ReinterpretI64);
      code_.set(f_local_[inst.reg]);
      break;
    case Ir::load:
      probe(inst, kReadTable);
      code_.get(x_);
      code_.op(op::kI32WrapI64);
      code_.memory(load_opcode(inst.size, inst.is_signed), align_of(inst.size), target_.ram_base);
      in_local_[i] = temporary(Type::i64);
      code_.set(in_local_[i]);
      break;
    case Ir::store:
      probe(inst, kWriteTable);
      code_.get(x_);
      code_.op(op::kI32WrapI64);
      push(inst.b);
      code_.memory(store_opcode(inst.size), align_of(inst.size), target_.ram_base);
      break;
    case Ir::amo: amo(i); break;
    case Ir::load_reserved: load_reserved(i); break;
    case Ir::store_conditional: store_conditional(i); break;
    case Ir::fp_ready:
      code_.get(kState);
      code_.memory(op::kI32Load, 2, target_.layout.fp_ready);
      code_.op(op::kI32Eqz);
      leave_if(guest_of(inst).offset, not_done(inst));
      break;
    case Ir::fp_arith: arithmetic(inst); break;
    case Ir::csr_read:
      code_.get(kState);
      code_.memory(op::kI32Load8U, 0, target_.layout.privilege);
      code_.op(op::kI32Eqz);
      leave_if(guest_of(inst).offset, not_done(inst));
      code_.get(kState);
      code_.memory(op::kI64Load, 3, csr_address(inst));
      keep(i);
      break;
    case Ir::csr_write:
      code_.get(kState);
      push(inst.a);
      code_.memory(op::kI64Store, 3, csr_address(inst));
      break;
    case Ir::fence:
      code_.prefixed(op::kAtomicPrefix, op::kAtomicFence);
      code_.op(0);
      break;
    case Ir::execute: execute(inst); break;
    default: HW_CHECK(false, "no effect"); break;
  }
}

u32 FunctionLowering::csr_address(const Inst& inst) const {
  switch (inst.imm) {
    case kCsrSscratch: return target_.layout.sscratch;
    case kCsrSepc: return target_.layout.sepc;
    case kCsrScause: return target_.layout.scause;
    case kCsrStval: return target_.layout.stval;
    default: HW_CHECK(false, "a CSR that is more than a place"); return 0;
  }
}

u8 FunctionLowering::load_opcode(u8 size, bool is_signed) {
  switch (size) {
    case 1: return is_signed ? op::kI64Load8S : op::kI64Load8U;
    case 2: return is_signed ? op::kI64Load16S : op::kI64Load16U;
    case 4: return is_signed ? op::kI64Load32S : op::kI64Load32U;
    default: return op::kI64Load;
  }
}

u8 FunctionLowering::store_opcode(u8 size) {
  return size == 8 ? op::kI64Store : size == 4 ? op::kI64Store32 : size == 2 ? op::kI64Store16 : op::kI64Store8;
}

void FunctionLowering::keep(u32 i) {
  in_local_[i] = temporary(Type::i64);
  code_.set(in_local_[i]);
}

void FunctionLowering::atomic(u8 size, u32 of_32, u32 of_64) {
  code_.atomic(size == 4 ? of_32 : of_64, align_of(size), target_.ram_base);
}

void FunctionLowering::push_sized(u8 size, u32 v) {
  if (size == 4)
    push32(v);
  else
    push(v);
}

void FunctionLowering::amo(u32 i) {
  const Inst& inst = insts()[i];
  probe(inst, kWriteTable);
  code_.get(x_);
  code_.op(op::kI32WrapI64);
  push_sized(inst.size, inst.b);
  switch (static_cast<semantics::AmoKind>(inst.imm)) {
    case semantics::AmoKind::swap: atomic(inst.size, op::kI32AtomicRmwXchg, op::kI64AtomicRmwXchg); break;
    case semantics::AmoKind::add: atomic(inst.size, op::kI32AtomicRmwAdd, op::kI64AtomicRmwAdd); break;
    case semantics::AmoKind::bit_xor: atomic(inst.size, op::kI32AtomicRmwXor, op::kI64AtomicRmwXor); break;
    case semantics::AmoKind::bit_and: atomic(inst.size, op::kI32AtomicRmwAnd, op::kI64AtomicRmwAnd); break;
    case semantics::AmoKind::bit_or: atomic(inst.size, op::kI32AtomicRmwOr, op::kI64AtomicRmwOr); break;
    default: HW_CHECK(false, "an AMO that WebAssembly has not");
  }
  if (inst.size == 4) code_.op(op::kI64ExtendI32S);
  keep(i);
}

void FunctionLowering::push_physical() {
  code_.get(x_);
  code_.i64(static_cast<i64>(kRamBase));
  code_.op(op::kI64Add);
}

void FunctionLowering::load_reserved(u32 i) {
  const Inst& inst = insts()[i];
  probe(inst, kReadTable);
  code_.get(x_);
  code_.op(op::kI32WrapI64);
  atomic(inst.size, op::kI32AtomicLoad, op::kI64AtomicLoad);
  if (inst.size == 4) code_.op(op::kI64ExtendI32S);
  keep(i);
  code_.get(kState);
  code_.i32(reservation(inst.size));
  code_.memory(op::kI32Store16, 1, target_.layout.reserved);
  code_.get(kState);
  push_physical();
  code_.memory(op::kI64Store, 3, target_.layout.reserved_pa);
  code_.get(kState);
  code_.get(in_local_[i]);
  if (inst.size == 4) {
    code_.i64(0xffff'ffff);
    code_.op(op::kI64And);
  }
  code_.memory(op::kI64Store, 3, target_.layout.reserved_value);
}

void FunctionLowering::store_conditional(u32 i) {
  const Inst& inst = insts()[i];
  probe(inst, kWriteTable);
  code_.get(kState);
  code_.memory(op::kI32Load16U, 1, target_.layout.reserved);
  code_.i32(reservation(inst.size));
  code_.op(op::kI32Eq);
  code_.get(kState);
  code_.memory(op::kI64Load, 3, target_.layout.reserved_pa);
  push_physical();
  code_.op(op::kI64Eq);
  code_.op(op::kI32And);
  code_.get(kState);
  code_.i32(0);
  code_.memory(op::kI32Store8, 0, target_.layout.reserved);
  code_.open(op::kIf, static_cast<u8>(Type::i64));
  code_.get(x_);
  code_.op(op::kI32WrapI64);
  code_.get(kState);
  code_.memory(op::kI64Load, 3, target_.layout.reserved_value);
  if (inst.size == 4) code_.op(op::kI32WrapI64);
  push_sized(inst.size, inst.b);
  atomic(inst.size, op::kI32AtomicRmwCmpxchg, op::kI64AtomicRmwCmpxchg);
  code_.get(kState);
  code_.memory(op::kI64Load, 3, target_.layout.reserved_value);
  if (inst.size == 4) code_.op(op::kI32WrapI64);
  code_.op(inst.size == 4 ? u8{op::kI32Ne} : u8{op::kI64Ne});
  code_.op(op::kI64ExtendI32U);
  code_.otherwise();
  code_.i64(1);
  code_.close();
  keep(i);
}

void FunctionLowering::probe(const Inst& inst, u32 table) {
  push(inst.a);
  code_.set(va_);
  probe(table, inst.size, guest_of(inst).offset, not_done(inst));
}

void FunctionLowering::probe(u32 table, u8 size, i32 offset, u32 not_done) {
  probe_entry(table);
  code_.tee(x_);
  code_.i64(static_cast<i64>(~(target_.ram_bytes - size)));
  code_.op(op::kI64And);
  code_.i64(0);
  code_.op(op::kI64Ne);
  leave_if(offset, not_done);
}

void FunctionLowering::probe_entry(u32 table) {
  const unsigned ram_shift = static_cast<unsigned>(std::countr_zero(target_.ram_bytes));
  const u32 index_mask = ((u32{1} << (ram_shift - kPageShift + 1)) - 1) << 3;
  static_assert(kMaxRamBytes <= u64{1} << 31, "the index comes from the low half of the address");
  // In this order V8 loads the entry once: what it takes from memory in an operation, it may load before that as well.
  code_.get(va_);
  code_.get(va_);
  code_.i64(kPageShift - 3);
  code_.op(op::kI64ShrU);
  code_.op(op::kI32WrapI64);
  code_.i32(static_cast<i32>(index_mask));
  code_.op(op::kI32And);
  code_.get(table);
  code_.op(op::kI32Add);
  code_.memory(op::kI64Load, 3, 0);
  code_.op(op::kI64Xor);
}

void FunctionLowering::execute(const GuestInsn& guest, u32 not_done) {
  const Operands of = operands_of(guest);
  spill(of.read & dirty_);
  code_.get(kState);
  code_.i64(std::bit_cast<i64>(of.slot));
  code_.i32(static_cast<i32>(guest.bits));
  push_address(guest.offset);
  push_budget(not_done);
  code_.index(op::kCall, shared_.execute);
  code_.set(site_);
  if (of.is_csr) load_tables();
  reload(of.written);
  code_.get(site_);
  code_.hint(false);
  code_.open(op::kIf);
  // 1: it is the interpreter's; 2: it is done, but the world has changed.
  code_.i32(site(guest.offset, not_done));
  code_.i32(site(guest.offset + guest.length, not_done - 1));
  code_.get(site_);
  code_.i32(1);
  code_.op(op::kI32Eq);
  code_.op(op::kSelect);
  leave();
  code_.close();
}

}  // namespace hartwood::jit
