// SPDX-License-Identifier: Apache-2.0
// What a function has to know before anything is emitted: which registers it uses, what has changed at the end of a
// block, where the budget is checked. And its state: registers, budget and tables between locals and memory, the common
// exit.
#include <algorithm>

#include "jit/function_lowering.h"

namespace hartwood::jit {

void FunctionLowering::find_used() {
  for (const Block& block : region_.blocks) {
    for (const Inst& inst : block.code) {
      switch (inst.op) {
        case Ir::get_x: used_.x_read |= 1u << inst.reg; break;
        case Ir::set_x: used_.x_written |= 1u << inst.reg; break;
        case Ir::get_f: used_.f_read |= 1u << inst.reg; break;
        case Ir::set_f: used_.f_written |= 1u << inst.reg; break;
        case Ir::fp_arith: {
          const FpArith fp = FpArith::unpack(inst.imm);
          if (fp.reads_x())
            used_.x_read |= 1u << fp.rs1;
          else
            used_.f_read |= f_sources(fp);
          if (fp.writes_x())
            used_.x_written |= 1u << fp.rd;
          else
            used_.f_written |= 1u << fp.rd;
          break;
        }
        default: break;
      }
    }
  }
  used_.x_read &= ~1u;
  used_.x_written &= ~1u;
  // What the full context writes must come back into a local only where there is one.
  for (const Block& block : region_.blocks) {
    for (const Inst& inst : block.code) {
      if (inst.op != Ir::execute) continue;
      const Operands of = operands_of(block.guest[inst.guest]);
      if (of.rd_x && bit(used_.x(), of.rd)) used_.x_written |= 1u << of.rd;
      if (of.rd_f && bit(used_.f(), of.rd)) used_.f_written |= 1u << of.rd;
    }
  }
}

Registers FunctionLowering::f_sources(const FpArith& fp) {
  Registers result = 1u << fp.rs1;
  if (fp.sources() >= 2) result |= 1u << fp.rs2;
  if (fp.sources() == 3) result |= 1u << fp.rs3;
  return result;
}

void FunctionLowering::find_checks() {
  checked_.assign(region_.blocks.size(), false);
  longest_.assign(region_.blocks.size(), 0);
  checked_[0] = true;
  for (const u32 n : graph_.order()) {
    const FlowNode& node = graph_.node(n);
    if (node.loop && node.kind == FlowNode::Kind::block) checked_[node.block] = true;
    if (node.kind == FlowNode::Kind::dispatch) {
      for (const u32 m : node.next) checked_[graph_.node(m).block] = true;
    }
    if (node.kind == FlowNode::Kind::block && calls(region_.blocks[node.block])) {
      checked_[region_.blocks[node.block].end.next] = true;
    }
  }
  for (auto at = graph_.order().rbegin(); at != graph_.order().rend(); ++at) {
    const FlowNode& node = graph_.node(*at);
    if (node.kind != FlowNode::Kind::block) continue;
    const Block& block = region_.blocks[node.block];
    u32 rest = 0;
    for (const u32 to : successors(block)) {
      if (!checked_[to]) rest = std::max(rest, longest_[to]);
    }
    longest_[node.block] = block.count() + rest;
  }
}

void FunctionLowering::find_dirty() {
  const size_t count = region_.blocks.size();
  x_in_.assign(count, 0);
  f_in_.assign(count, 0);
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 b = 0; b < count; b++) {
      const Block& block = region_.blocks[b];
      const auto [x, f] = dirty_at_end(b);
      for (const u32 to : successors(block)) {
        const bool called = calls(block) && to == block.end.next;
        const Registers x_fresh = x_in_[to] | (called ? 0 : x), f_fresh = f_in_[to] | (called ? 0 : f);
        changed |= x_fresh != x_in_[to] || f_fresh != f_in_[to];
        x_in_[to] = x_fresh;
        f_in_[to] = f_fresh;
      }
    }
  }
}

std::pair<Registers, Registers> FunctionLowering::dirty_at_end(u32 number) const {
  Registers x = x_in_[number], f = f_in_[number];
  const Block& block = region_.blocks[number];
  for (const Inst& inst : block.code) {
    if (inst.op == Ir::set_x) x |= 1u << inst.reg;
    if (inst.op == Ir::set_f) f |= 1u << inst.reg;
    if (inst.op == Ir::fp_arith) {
      const FpArith fp = FpArith::unpack(inst.imm);
      (fp.writes_x() ? x : f) |= 1u << fp.rd;
    }
  }
  return {x & ~1u, f};
}

void FunctionLowering::store_x(u32 reg) {
  code_.get(kState);
  code_.get(x_local_[reg]);
  code_.memory(op::kI64Store, 3, x_address(reg));
}

void FunctionLowering::store_f(u32 reg) {
  code_.get(kState);
  code_.get(f_local_[reg]);
  code_.memory(op::kF64Store, 3, f_address(reg));
}

void FunctionLowering::load_x(u32 reg) {
  code_.get(kState);
  code_.memory(op::kI64Load, 3, x_address(reg));
  code_.set(x_local_[reg]);
}

void FunctionLowering::load_f(u32 reg) {
  code_.get(kState);
  code_.memory(op::kF64Load, 3, f_address(reg));
  code_.set(f_local_[reg]);
}

void FunctionLowering::spill(Registers x, Registers f) {
  for (u32 i = 1; i < 32; i++) {
    if (bit(x & used_.x(), i)) store_x(i);
  }
  for (u32 i = 0; i < 32; i++) {
    if (bit(f & used_.f(), i)) store_f(i);
  }
}

void FunctionLowering::reload(Registers x, Registers f) {
  for (u32 i = 1; i < 32; i++) {
    if (bit(x & used_.x(), i)) load_x(i);
  }
  for (u32 i = 0; i < 32; i++) {
    if (bit(f & used_.f(), i)) load_f(i);
  }
}

void FunctionLowering::load_budget() {
  code_.get(kState);
  code_.memory(op::kI32Load, 2, target_.layout.budget);
  code_.set(budget_);
}

void FunctionLowering::load_tables() {
  for (const u32 parameter : {kReadTable, kWriteTable}) {
    code_.get(kState);
    code_.memory(op::kI32Load, 2, target_.layout.read_table + 4 * (parameter - kReadTable));
    code_.set(parameter);
  }
}

void FunctionLowering::store_budget() {
  code_.get(kState);
  code_.get(budget_);
  code_.memory(op::kI32Store, 2, target_.layout.budget);
}

void FunctionLowering::push_address(i32 offset) {
  code_.get(kPc);
  const i64 distance = i64{offset} - region_.entry;
  if (distance == 0) return;
  code_.i64(distance);
  code_.op(op::kI64Add);
}

i32 FunctionLowering::site(i32 offset, u32 not_done, bool interpret) {
  return static_cast<i32>(static_cast<u32>(offset + kSiteBias) | (interpret ? 1 : 0) | not_done << kSiteShift);
}

void FunctionLowering::leave_at(i32 offset, u32 not_done, bool interpret) {
  left_ = true;
  code_.i32(site(offset, not_done, interpret));
  code_.set(site_);
  code_.br(out_);
}

void FunctionLowering::common_exit() {
  if (!left_) {
    code_.op(op::kUnreachable);
    return;
  }
  spill(used_.x_written, used_.f_written);
  code_.get(kState);
  code_.get(budget_);
  code_.get(site_);
  code_.i32(kSiteShift);
  code_.op(op::kI32ShrU);
  code_.op(op::kI32Add);
  code_.memory(op::kI32Store, 2, target_.layout.budget);
  code_.get(kPc);
  code_.get(site_);
  code_.i32((1 << kSiteShift) - 1);
  code_.op(op::kI32And);
  code_.op(op::kI64ExtendI32U);
  code_.op(op::kI64Add);
  code_.i64(-i64{kSiteBias} - region_.entry);
  code_.op(op::kI64Add);
}

}  // namespace hartwood::jit
