// SPDX-License-Identifier: Apache-2.0
// What a function has to know before anything is emitted: which registers it uses, which have to be in their locals and
// which have changed, where the budget is checked. And its state: registers, budget and tables between locals and
// memory, the exits.
#include <algorithm>

#include "jit/function_lowering.h"

namespace hartwood::jit {

RegisterSet FunctionLowering::reads(const Inst& inst) {
  RegisterSet result;
  if (inst.op == Ir::get_x) result.x = 1u << inst.reg;
  if (inst.op == Ir::get_f) result.f = 1u << inst.reg;
  if (inst.op == Ir::fp_arith) {
    const FpArith fp = FpArith::unpack(inst.imm);
    Registers& file = fp.reads_x() ? result.x : result.f;
    file |= 1u << fp.rs1;
    if (fp.sources() >= 2) file |= 1u << fp.rs2;
    if (fp.sources() == 3) file |= 1u << fp.rs3;
  }
  result.x &= ~1u;
  return result;
}

RegisterSet FunctionLowering::sets(const Inst& inst) {
  RegisterSet result;
  if (inst.op == Ir::set_x) result.x = 1u << inst.reg;
  if (inst.op == Ir::set_f) result.f = 1u << inst.reg;
  if (inst.op == Ir::fp_arith) {
    const FpArith fp = FpArith::unpack(inst.imm);
    (fp.writes_x() ? result.x : result.f) = 1u << fp.rd;
  }
  result.x &= ~1u;
  return result;
}

RegisterSet FunctionLowering::writes(const Block& block, const Inst& inst) const {
  return inst.op == Ir::execute ? operands_of(block.guest[inst.guest]).written & used_ : sets(inst);
}

void FunctionLowering::find_used() {
  for (const Block& block : region_.blocks) {
    for (const Inst& inst : block.code) {
      used_ = used_ | reads(inst) | sets(inst);
    }
  }
  for (const Block& block : region_.blocks) {
    for (const Inst& inst : block.code) written_ = written_ | writes(block, inst);
  }
}

void FunctionLowering::find_checks() {
  checked_.assign(region_.blocks.size(), false);
  longest_.assign(region_.blocks.size(), 0);
  checked_[0] = true;
  for (const u32 b : region_.ways_in) checked_[b] = true;
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
  dirty_in_.assign(region_.blocks.size(), target_.track_registers ? RegisterSet{} : written_);
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 b = 0; b < region_.blocks.size(); b++) {
      const Block& block = region_.blocks[b];
      RegisterSet dirty = dirty_in_[b];
      for (const Inst& inst : block.code) dirty = dirty | dirties(inst);
      for (const u32 to : successors(block)) {
        if (calls(block) && to == block.end.next) continue;
        const RegisterSet fresh = dirty_in_[to] | dirty;
        changed |= !(fresh == dirty_in_[to]);
        dirty_in_[to] = fresh;
      }
    }
  }
}

void FunctionLowering::find_live() {
  live_in_.assign(region_.blocks.size(), target_.track_registers ? RegisterSet{} : used_);
  std::vector<RegisterSet> before;  // each operation: what is dirty
  for (bool changed = target_.track_registers; changed;) {
    changed = false;
    for (auto at = graph_.order().rbegin(); at != graph_.order().rend(); ++at) {
      if (graph_.node(*at).kind != FlowNode::Kind::block) continue;
      const u32 b = graph_.node(*at).block;
      const Block& block = region_.blocks[b];
      RegisterSet dirty = dirty_in_[b];
      before.clear();
      for (const Inst& inst : block.code) {
        before.push_back(dirty);
        dirty = dirty | dirties(inst);
      }
      const Exit kind = block.end.kind;
      // Where it is left, what is dirty is stored.
      RegisterSet live = kind == Exit::jump || kind == Exit::branch ? RegisterSet{} : dirty;
      for (const u32 to : successors(block)) {
        if (!calls(block) || to != block.end.next) live = live | live_in_[to];
      }
      for (u32 i = static_cast<u32>(block.code.size()); i-- > 0;) {
        const Inst& inst = block.code[i];
        live = (live - writes(block, inst)) | reads(inst);
        if (info(inst.op).effect == IrEffect::exit) live = live | before[i];
      }
      if (checked_[b]) live = live | dirty_in_[b];
      changed |= !(live == live_in_[b]);
      live_in_[b] = live;
    }
  }
}

void FunctionLowering::find_valid() {
  valid_in_.assign(region_.blocks.size(), used_);
  valid_in_[0] = live_in_[0];
  for (const u32 b : region_.ways_in) valid_in_[b] = live_in_[b];
  for (bool changed = true; changed;) {
    changed = false;
    for (const u32 n : graph_.order()) {
      if (graph_.node(n).kind != FlowNode::Kind::block) continue;
      const u32 b = graph_.node(n).block;
      const Block& block = region_.blocks[b];
      RegisterSet valid = valid_in_[b];
      for (const Inst& inst : block.code) valid = valid | writes(block, inst);
      for (const u32 to : successors(block)) {
        const RegisterSet reaches = calls(block) && to == block.end.next ? live_in_[to] : valid;
        const RegisterSet fresh = valid_in_[to] & reaches;
        changed |= !(fresh == valid_in_[to]);
        valid_in_[to] = fresh;
      }
    }
  }
  for (u32 b = 0; b < region_.blocks.size(); b++)
    HW_CHECK(valid_in_[b].includes(live_in_[b]), "a register that is needed has not been loaded");
}

void FunctionLowering::find_exits() {
  const auto place = [&](RegisterSet dirty, RegisterSet valid) {
    for (ExitClass& known : exits_) {
      if (!(known.allowed & valid).includes(known.stored | dirty)) continue;
      known.stored = known.stored | dirty;
      known.allowed = known.allowed & valid;
      return;
    }
    exits_.push_back({.stored = dirty, .allowed = valid});
  };
  for (const u32 n : graph_.order()) {
    if (graph_.node(n).kind != FlowNode::Kind::block) continue;
    const u32 b = graph_.node(n).block;
    const Block& block = region_.blocks[b];
    RegisterSet dirty = dirty_in_[b], valid = valid_in_[b];
    if (checked_[b]) place(dirty, valid);
    for (const Inst& inst : block.code) {
      if (info(inst.op).effect == IrEffect::exit) place(dirty, valid);
      dirty = dirty | dirties(inst);
      valid = valid | writes(block, inst);
    }
    if (block.end.kind == Exit::interpret || block.end.kind == Exit::go) place(dirty, valid);
  }
}

FunctionLowering::ExitClass& FunctionLowering::exit_class() {
  for (ExitClass& each : exits_) {
    if (each.stored.includes(dirty_) && valid_.includes(each.stored)) return each;
  }
  HW_CHECK(false, "a place where the function is left that the analysis has not seen");
  return exits_[0];
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

void FunctionLowering::spill(RegisterSet registers) {
  for (u32 i = 1; i < 32; i++) {
    if (bit(registers.x & used_.x, i)) store_x(i);
  }
  for (u32 i = 0; i < 32; i++) {
    if (bit(registers.f & used_.f, i)) store_f(i);
  }
}

void FunctionLowering::reload(RegisterSet registers) {
  for (u32 i = 1; i < 32; i++) {
    if (bit(registers.x & used_.x, i)) load_x(i);
  }
  for (u32 i = 0; i < 32; i++) {
    if (bit(registers.f & used_.f, i)) load_f(i);
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

void FunctionLowering::push_budget(u32 not_done) {
  code_.get(budget_);
  if (given_back(not_done) == 0) return;
  code_.i32(given_back(not_done));
  code_.op(op::kI32Add);
}

void FunctionLowering::charge() {
  if (owed_ == 0) return;
  push_budget(0);
  code_.set(budget_);
  owed_ = 0;
}

void FunctionLowering::store_budget() {
  code_.get(kState);
  push_budget(0);
  code_.memory(op::kI32Store, 2, target_.layout.budget);
}

void FunctionLowering::push_address(i64 offset) {
  code_.get(kPc);
  const i64 distance = offset - region_.entry;
  if (distance == 0) return;
  code_.i64(distance);
  code_.op(op::kI64Add);
}

i32 FunctionLowering::site(i32 offset, u32 not_done, bool interpret) const {
  HW_CHECK(offset >= -kSiteBias && offset + kSiteBias < 1 << kSiteShift, "a place too far from the window");
  const u32 back = static_cast<u32>(given_back(not_done));
  return static_cast<i32>(static_cast<u32>(offset + kSiteBias) | (interpret ? 1 : 0) | back << kSiteShift);
}

void FunctionLowering::leave_at(i32 offset, u32 not_done, bool interpret) {
  code_.i32(site(offset, not_done, interpret));
  leave();
}

void FunctionLowering::leave_if(i32 offset, u32 not_done) {
  code_.hint(false);
  code_.open(op::kIf);
  leave_at(offset, not_done);
  code_.close();
}

void FunctionLowering::leave() {
  ExitClass& exit = exit_class();
  exit.used = true;
  code_.set(site_);
  code_.br(exit.label);
}

void FunctionLowering::exits() {
  bool used = false;
  for (size_t i = exits_.size(); i-- > 0;) {
    const ExitClass& exit = exits_[i];
    code_.close();
    if (exit.used) {
      spill(exit.stored);
      code_.br(common_);
    } else {
      code_.op(op::kUnreachable);
    }
    used |= exit.used;
  }
  code_.close();
  if (!used) {
    code_.op(op::kUnreachable);
    return;
  }
  code_.get(kState);
  code_.get(budget_);
  code_.get(site_);
  code_.i32(kSiteShift);
  code_.op(op::kI32ShrS);
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
