// SPDX-License-Identifier: Apache-2.0
// Floating-point arithmetic with the engine's own.
#include "jit/function_lowering.h"

namespace hartwood::jit {

void FunctionLowering::arithmetic(const Inst& inst) {
  const FpArith fp = FpArith::unpack(inst.imm);
  if (fp.kind == FpKind::from_i32 || fp.kind == FpKind::from_u32) {
    // Always exact.
    if (fp.rs1 == 0) {
      code_.i32(0);
    } else {
      code_.get(x_local_[fp.rs1]);
      code_.op(op::kI32WrapI64);
    }
    code_.op(fp.kind == FpKind::from_i32 ? op::kF64ConvertI32S : op::kF64ConvertI32U);
    code_.set(f_local_[fp.rd]);
    return;
  }
  const u32 done = code_.open(op::kBlock);
  const u32 slow = code_.open(op::kBlock);
  const auto unless = [&] {
    code_.op(op::kI32Eqz);
    code_.hint(false);
    code_.br_if(slow);
  };
  const auto fast_flags = [&] {
    code_.get(kState);
    code_.memory(op::kI32Load, 2, target_.layout.fp_fast);
    unless();
  };
  const auto f = [&](u32 reg) { code_.get(f_local_[reg]); };
  // A zero is exact where a factor, or what is divided or rooted, is zero.
  const auto unless_zero = [&](bool second) {
    code_.get(fp_temporary_);
    code_.f64(0);
    code_.op(op::kF64Eq);
    f(fp.rs1);
    code_.f64(0);
    code_.op(op::kF64Eq);
    if (second) {
      f(fp.rs2);
      code_.f64(0);
      code_.op(op::kF64Eq);
      code_.op(op::kI32Or);
    }
    code_.op(op::kI32And);
    unless();
  };
  const auto double_result = [&] {
    if (fp_temporary_ == kNoValue) fp_temporary_ = code_.add_local(Type::f64);
    code_.tee(fp_temporary_);
    code_.op(op::kI64ReinterpretF64);
    code_.i64(1);
    code_.op(op::kI64Shl);
    if (fp.kind == FpKind::add || fp.kind == FpKind::sub) {
      // Sums below the normal range, zero among them, are exact.
      code_.i64(static_cast<i64>(u64{2047} << 53));
      code_.op(op::kI64GeU);
      code_.hint(false);
      code_.br_if(slow);
    } else {
      code_.i64((i64{1} << 53) + 2);
      code_.op(op::kI64Sub);
      code_.i64(static_cast<i64>((u64{2046} << 53) - 2));
      code_.op(op::kI64GeU);
      code_.hint(false);
      code_.open(op::kIf);
      unless_zero(fp.kind != FpKind::div && fp.kind != FpKind::sqrt);
      code_.close();
    }
    code_.get(fp_temporary_);
    code_.set(f_local_[fp.rd]);
  };
  // An operand in single precision; anything that is not boxed is slow.
  const auto boxed = [&](u32 reg) {
    f(reg);
    code_.op(op::kI64ReinterpretF64);
    code_.i64(32);
    code_.op(op::kI64ShrU);
    code_.i64(0xffff'ffff);
    code_.op(op::kI64Eq);
    unless();
  };
  const auto single = [&](u32 reg) {
    f(reg);
    code_.op(op::kI64ReinterpretF64);
    code_.op(op::kI32WrapI64);
    code_.op(op::kF32ReinterpretI32);
  };
  const auto single_result = [&] {
    const u32 bits = temporary(Type::i32);
    code_.op(op::kI32ReinterpretF32);
    code_.tee(bits);
    code_.i32(1);
    code_.op(op::kI32Shl);
    code_.i32((1 << 24) + 2);
    code_.op(op::kI32Sub);
    code_.i32(static_cast<i32>((u32{254} << 24) - 2));
    code_.op(op::kI32GeU);
    code_.hint(false);
    code_.br_if(slow);
    code_.get(bits);
    code_.op(op::kI64ExtendI32U);
    code_.i64(static_cast<i64>(0xffff'ffff'0000'0000));
    code_.op(op::kI64Or);
    code_.op(op::kF64ReinterpretI64);
    code_.set(f_local_[fp.rd]);
  };
  const auto x_result = [&] {
    if (fp.rd == 0)
      code_.op(op::kDrop);
    else
      code_.set(x_local_[fp.rd]);
  };
  switch (fp.kind) {
    case FpKind::add:
    case FpKind::sub:
    case FpKind::mul:
    case FpKind::div: {
      fast_flags();
      const u8 step = static_cast<u8>(static_cast<u8>(fp.kind) - static_cast<u8>(FpKind::add));
      if (fp.is_double) {
        f(fp.rs1);
        f(fp.rs2);
        code_.op(static_cast<u8>(op::kF64Add + step));
        double_result();
      } else {
        boxed(fp.rs1);
        if (fp.rs2 != fp.rs1) boxed(fp.rs2);
        single(fp.rs1);
        single(fp.rs2);
        code_.op(static_cast<u8>(op::kF32Add + step));
        single_result();
      }
      break;
    }
    case FpKind::sqrt:
      fast_flags();
      if (fp.is_double) {
        f(fp.rs1);
        code_.op(op::kF64Sqrt);
        double_result();
      } else {
        boxed(fp.rs1);
        single(fp.rs1);
        code_.op(op::kF32Sqrt);
        single_result();
      }
      break;
    case FpKind::madd:
    case FpKind::msub:
    case FpKind::nmsub:
    case FpKind::nmadd: {
      fast_flags();
      const bool subtract = fp.kind == FpKind::msub || fp.kind == FpKind::nmadd;
      const bool negate = fp.kind == FpKind::nmsub || fp.kind == FpKind::nmadd;
      f(fp.rs1);
      code_.prefixed(op::kSimdPrefix, op::kF64x2Splat);
      f(fp.rs2);
      code_.prefixed(op::kSimdPrefix, op::kF64x2Splat);
      f(fp.rs3);
      if (subtract) code_.op(op::kF64Neg);
      code_.prefixed(op::kSimdPrefix, op::kF64x2Splat);
      code_.prefixed(op::kSimdPrefix, negate ? op::kF64x2RelaxedNmadd : op::kF64x2RelaxedMadd);
      code_.prefixed(op::kSimdPrefix, op::kF64x2ExtractLane);
      code_.op(0);
      double_result();
      break;
    }
    case FpKind::from_i32:
    case FpKind::from_u32: break;  // above
    case FpKind::from_i64:
    case FpKind::from_u64:
      fast_flags();
      if (fp.rs1 == 0)
        code_.i64(0);
      else
        code_.get(x_local_[fp.rs1]);
      code_.op(fp.kind == FpKind::from_i64 ? op::kF64ConvertI64S : op::kF64ConvertI64U);
      code_.set(f_local_[fp.rd]);
      break;
    case FpKind::to_i32:
    case FpKind::to_i64:
      fast_flags();
      f(fp.rs1);
      code_.op(op::kF64Abs);
      code_.f64(fp.kind == FpKind::to_i32 ? 0x1p31 : 0x1p63);
      code_.op(op::kF64Lt);
      unless();
      f(fp.rs1);
      code_.prefixed(op::kMiscPrefix, op::kI64TruncSatF64S);
      x_result();
      break;
    case FpKind::eq:
    case FpKind::lt:
    case FpKind::le:
      f(fp.rs1);
      f(fp.rs1);
      code_.op(op::kF64Eq);
      f(fp.rs2);
      f(fp.rs2);
      code_.op(op::kF64Eq);
      code_.op(op::kI32And);
      unless();
      f(fp.rs1);
      f(fp.rs2);
      code_.op(fp.kind == FpKind::eq ? op::kF64Eq : fp.kind == FpKind::lt ? op::kF64Lt : op::kF64Le);
      code_.op(op::kI64ExtendI32U);
      x_result();
      break;
    case FpKind::to_double:
      boxed(fp.rs1);
      single(fp.rs1);
      single(fp.rs1);
      code_.op(op::kF32Eq);
      unless();
      single(fp.rs1);
      code_.op(op::kF64PromoteF32);
      code_.set(f_local_[fp.rd]);
      break;
    case FpKind::to_single:
      fast_flags();
      f(fp.rs1);
      code_.op(op::kF32DemoteF64);
      single_result();
      break;
  }
  code_.br(done);
  code_.close();
  execute(inst);
  code_.close();
}

}  // namespace hartwood::jit
