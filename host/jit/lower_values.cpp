// SPDX-License-Identifier: Apache-2.0
// Values: which are made where, and the operations of integers.
#include <algorithm>

#include "jit/function_lowering.h"

namespace hartwood::jit {

bool FunctionLowering::writes(u32 at, RegisterSet any) const {
  return !((writes(region_.blocks[number_], insts()[at]) & any) == RegisterSet{});
}

void FunctionLowering::plan(const Block& block) {
  const size_t count = block.code.size();
  uses_.assign(count, 0);
  last_use_.assign(count, 0);
  in_local_.assign(count, kNoValue);
  for (u32 i = 0; i < count; i++) {
    for (const u32 operand : {block.code[i].a, block.code[i].b, block.code[i].c}) {
      if (operand == kNoValue) continue;
      uses_[operand]++;
      last_use_[operand] = i;
    }
  }
  if (block.end.value != kNoValue) {
    uses_[block.end.value]++;
    last_use_[block.end.value] = static_cast<u32>(count);
  }
  // From the end: a delayed value is made at its use, which may itself be delayed to its own.
  made_at_.assign(count, 0);
  delayed_.assign(count, false);
  leaves_.assign(count, {});
  for (u32 i = 0; i < count; i++) {
    const Inst& inst = block.code[i];
    leaves_[i] = reads(inst);
    for (const u32 operand : {inst.a, inst.b, inst.c}) {
      if (operand != kNoValue) leaves_[i] = leaves_[i] | leaves_[operand];
    }
  }
  for (u32 i = static_cast<u32>(count); i-- > 0;) {
    made_at_[i] = i;
    if (!target_.delay_values) continue;
    const Inst& inst = block.code[i];
    const IrEffect effect = info(inst.op).effect;
    if (effect != IrEffect::pure && effect != IrEffect::read) continue;
    if (uses_[i] == 0) continue;
    if (uses_[i] != 1 && inst.op != Ir::get_x && inst.op != Ir::constant && inst.op != Ir::code_address) continue;
    if (needs_operands_twice(inst.op)) continue;
    u32 where = i;
    // All uses; a delayed user makes it where it is made itself.
    for (u32 j = i + 1; j <= last_use_[i]; j++) {
      const bool user =
          j == count ? block.end.value == i : block.code[j].a == i || block.code[j].b == i || block.code[j].c == i;
      if (user) where = std::max(where, j == count ? j : made_at_[j]);
    }
    bool safe = true;
    for (u32 j = i + 1; j < where && safe; j++) safe = !writes(j, leaves_[i]);
    if (!safe) continue;
    delayed_[i] = true;
    made_at_[i] = where;
  }
}

void FunctionLowering::find_words(const Block& block) {
  word_.assign(block.code.size(), false);
  if (!target_.narrow_words) return;
  Registers words = 1;
  for (u32 i = 0; i < block.code.size(); i++) {
    const Inst& inst = block.code[i];
    switch (inst.op) {
      case Ir::constant: word_[i] = inst.imm == static_cast<i32>(inst.imm); break;
      case Ir::get_x: word_[i] = bit(words, inst.reg); break;
      case Ir::shl32:
      case Ir::shr32:
      case Ir::sar32:
      case Ir::rotl32:
      case Ir::rotr32:
      case Ir::sext8:
      case Ir::sext16:
      case Ir::sext32:
      case Ir::clz:
      case Ir::ctz:
      case Ir::popcount:
      case Ir::from_bool: word_[i] = true; break;
      case Ir::load: word_[i] = inst.size < 4 || (inst.size == 4 && inst.is_signed); break;
      case Ir::bit_and:
      case Ir::bit_or:
      case Ir::bit_xor: word_[i] = word_[inst.a] && word_[inst.b]; break;
      default: break;
    }
    if (inst.op == Ir::set_x) {
      words = word_[inst.a] ? words | 1u << inst.reg : words & ~(1u << inst.reg);
    } else if (inst.op == Ir::fp_arith || inst.op == Ir::execute) {
      words &= ~writes(block, inst).x;
    }
  }
}

bool FunctionLowering::needs_operands_twice(Ir ir) {
  return ir == Ir::div_s || ir == Ir::div_u || ir == Ir::rem_s || ir == Ir::rem_u;
}

u32 FunctionLowering::temporary(Type type) {
  std::vector<u32>& pool = type == Type::i32 ? pool32_ : pool64_;
  u32& next = type == Type::i32 ? next32_ : next64_;
  if (next == pool.size()) pool.push_back(code_.add_local(type));
  return pool[next++];
}

void FunctionLowering::body(const Block& block) {
  plan(block);
  find_words(block);
  find_spans(block);
  if (stores_at_once()) find_overwritten(block);
  next32_ = next64_ = 0;
  u32 guest = 0, opened = 0;  // the instruction that is being emitted; what is before `opened` has been seen to
  for (u32 i = 0; i < block.code.size(); i++) {
    const Inst& inst = block.code[i];
    if (i == 0 || inst.guest != guest) {
      guest = inst.guest;
      behind(opened, guest);
      opened = guest;
      if (const u32 run = group_at(block, guest); run != 0) {
        if (inst.op == Ir::fp_ready) effect(i);
        group(block, guest, run);
        for (; i < block.code.size() && block.code[i].guest < guest + run; i++) note(block, i);
        i--;
        guest += run - 1;
        continue;
      }
    }
    switch (info(inst.op).effect) {
      case IrEffect::pure:
      case IrEffect::read:
        if (uses_[i] == 0 || delayed_[i]) break;
        make(i);
        in_local_[i] = temporary(info(inst.op).result == IrType::C ? Type::i32 : Type::i64);
        code_.set(in_local_[i]);
        break;
      default: effect(i); break;
    }
    note(block, i);
  }
  behind(opened, block.count());
}

void FunctionLowering::find_overwritten(const Block& block) {
  overwritten_.assign(block.code.size(), false);
  RegisterSet later;
  for (u32 i = static_cast<u32>(block.code.size()); i-- > 0;) {
    const Inst& inst = block.code[i];
    const RegisterSet set = sets(inst);
    overwritten_[i] = later.includes(set);
    later = info(inst.op).effect == IrEffect::exit ? RegisterSet{} : later | set;
  }
}

void FunctionLowering::note(const Block& block, u32 i) {
  const Inst& inst = block.code[i];
  if (stores_at_once() && !overwritten_[i]) spill(sets(inst));
  dirty_ = dirty_ | dirties(inst);
  valid_ = valid_ | writes(block, inst);
}

void FunctionLowering::push(u32 v) {
  if (in_local_[v] != kNoValue)
    code_.get(in_local_[v]);
  else
    make(v);
}

void FunctionLowering::push32(u32 v) {
  i64 constant;
  if (is_constant(v, constant)) {
    code_.i32(static_cast<i32>(constant));
  } else if (target_.narrow_words && in_local_[v] == kNoValue && opcode32(insts()[v].op) != 0) {
    make32(v);
  } else {
    push(v);
    code_.op(op::kI32WrapI64);
  }
}

u8 FunctionLowering::opcode32(Ir ir) {
  switch (ir) {
    case Ir::add: return op::kI32Add;
    case Ir::sub: return op::kI32Sub;
    case Ir::mul: return op::kI32Mul;
    case Ir::bit_and: return op::kI32And;
    case Ir::bit_or: return op::kI32Or;
    case Ir::bit_xor: return op::kI32Xor;
    case Ir::shl32: return op::kI32Shl;
    case Ir::shr32: return op::kI32ShrU;
    case Ir::sar32: return op::kI32ShrS;
    case Ir::rotl32: return op::kI32Rotl;
    case Ir::rotr32: return op::kI32Rotr;
    default: return 0;
  }
}

void FunctionLowering::make32(u32 v) {
  const Inst& inst = insts()[v];
  push32(inst.a);
  push32(inst.b);
  code_.op(opcode32(inst.op));
}

void FunctionLowering::bitwise(u32 v, u8 opcode) {
  const Inst& inst = insts()[v];
  if (word_[v] && !rematerialized(inst.a) && !rematerialized(inst.b)) {
    make32(v);
    code_.op(op::kI64ExtendI32S);
  } else {
    two(inst, opcode);
  }
}

bool FunctionLowering::is_constant(u32 v, i64& value) const {
  value = insts()[v].imm;
  return insts()[v].op == Ir::constant;
}

void FunctionLowering::two(const Inst& inst, u8 opcode) {
  push(inst.a);
  push(inst.b);
  code_.op(opcode);
}

void FunctionLowering::one(const Inst& inst, u8 opcode) {
  push(inst.a);
  code_.op(opcode);
}

void FunctionLowering::make(u32 v) {
  const Inst& inst = insts()[v];
  switch (inst.op) {
    case Ir::constant: code_.i64(inst.imm); break;
    case Ir::code_address: push_address(inst.imm); break;
    case Ir::get_x: code_.get(x_local_[inst.reg]); break;
    case Ir::get_f:
      code_.get(f_local_[inst.reg]);
      code_.op(op::kI64ReinterpretF64);
      break;
    case Ir::add: two(inst, op::kI64Add); break;
    case Ir::sub: two(inst, op::kI64Sub); break;
    case Ir::mul: two(inst, op::kI64Mul); break;
    case Ir::bit_and: bitwise(v, op::kI64And); break;
    case Ir::bit_or: bitwise(v, op::kI64Or); break;
    case Ir::bit_xor: bitwise(v, op::kI64Xor); break;
    case Ir::shl: two(inst, op::kI64Shl); break;
    case Ir::shr: two(inst, op::kI64ShrU); break;
    case Ir::sar: two(inst, op::kI64ShrS); break;
    case Ir::rotl: two(inst, op::kI64Rotl); break;
    case Ir::rotr: two(inst, op::kI64Rotr); break;
    case Ir::shl32:
    case Ir::shr32:
    case Ir::sar32:
    case Ir::rotl32:
    case Ir::rotr32:
      make32(v);
      code_.op(op::kI64ExtendI32S);
      break;
    case Ir::sext8: one(inst, op::kI64Extend8S); break;
    case Ir::sext16: one(inst, op::kI64Extend16S); break;
    case Ir::sext32:
      push32(inst.a);
      code_.op(op::kI64ExtendI32S);
      break;
    case Ir::zext32:
      push32(inst.a);
      code_.op(op::kI64ExtendI32U);
      break;
    case Ir::clz: one(inst, op::kI64Clz); break;
    case Ir::ctz: one(inst, op::kI64Ctz); break;
    case Ir::popcount: one(inst, op::kI64Popcnt); break;
    case Ir::mulh_uu:
      push(inst.a);
      push(inst.b);
      code_.index(op::kCall, shared_.mulhu);
      break;
    case Ir::div_s:
    case Ir::div_u:
    case Ir::rem_s:
    case Ir::rem_u: divide(inst); break;
    case Ir::eq:
    case Ir::ne: {
      i64 constant;
      if (is_constant(inst.b, constant) && constant == 0) {
        one(inst, op::kI64Eqz);
        if (inst.op == Ir::ne) code_.op(op::kI32Eqz);
      } else {
        two(inst, inst.op == Ir::eq ? op::kI64Eq : op::kI64Ne);
      }
      break;
    }
    case Ir::lt_s: two(inst, op::kI64LtS); break;
    case Ir::lt_u: two(inst, op::kI64LtU); break;
    case Ir::ge_s: two(inst, op::kI64GeS); break;
    case Ir::ge_u: two(inst, op::kI64GeU); break;
    case Ir::from_bool: one(inst, op::kI64ExtendI32U); break;
    case Ir::select:
      push(inst.b);
      push(inst.c);
      push(inst.a);
      code_.op(op::kSelect);
      break;
    default: HW_CHECK(false, "not a value"); break;
  }
}

void FunctionLowering::divide(const Inst& inst) {
  const bool is_signed = inst.op == Ir::div_s || inst.op == Ir::rem_s;
  const bool remainder = inst.op == Ir::rem_s || inst.op == Ir::rem_u;
  const u32 a = temporary(Type::i64), b = temporary(Type::i64);
  push(inst.a);
  code_.set(a);
  push(inst.b);
  code_.tee(b);
  code_.op(op::kI64Eqz);
  code_.hint(false);
  code_.open(op::kIf, static_cast<u8>(Type::i64));
  if (remainder)
    code_.get(a);
  else
    code_.i64(-1);
  code_.otherwise();
  if (is_signed) {
    code_.get(b);
    code_.i64(-1);
    code_.op(op::kI64Eq);
    code_.hint(false);
    code_.open(op::kIf, static_cast<u8>(Type::i64));
    code_.i64(0);
    if (!remainder) {
      code_.get(a);
      code_.op(op::kI64Sub);
    }
    code_.otherwise();
  }
  code_.get(a);
  code_.get(b);
  code_.op(inst.op == Ir::div_s   ? op::kI64DivS
           : inst.op == Ir::div_u ? op::kI64DivU
           : inst.op == Ir::rem_s ? op::kI64RemS
                                  : op::kI64RemU);
  if (is_signed) code_.close();
  code_.close();
}

}  // namespace hartwood::jit
