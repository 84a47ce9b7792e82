// SPDX-License-Identifier: Apache-2.0
// A function as a whole: its blocks as structured control, calls, jumps, and where the budget is looked at.
#include <algorithm>
#include <bit>

#include "jit/function_lowering.h"

namespace hartwood::jit {

Code FunctionLowering::run() {
  find_used();
  find_checks();
  find_dirty();
  find_live();
  find_valid();
  find_exits();
  for (u32 i = 1; i < 32; i++) {
    if (bit(used_.x, i)) x_local_[i] = code_.add_local(Type::i64);
  }
  for (u32 i = 0; i < 32; i++) {
    if (bit(used_.f, i)) f_local_[i] = code_.add_local(Type::f64);
  }
  budget_ = code_.add_local(Type::i32);
  site_ = code_.add_local(Type::i32);
  va_ = code_.add_local(Type::i64);
  x_ = code_.add_local(Type::i64);
  result_ = code_.add_local(Type::i64);
  find_frames();
  const bool chooses = !region_.ways_in.empty();
  if (graph_.has_dispatch() || chooses) route_ = code_.add_local(Type::i32);

  if (!chooses) enter();
  common_ = code_.open(op::kBlock);
  for (ExitClass& exit : exits_) exit.label = code_.open(op::kBlock);
  labels_.resize(graph_.size());
  loops_.resize(graph_.size());
  tree(graph_.begin());
  code_.op(op::kUnreachable);
  exits();
  return std::move(code_);
}

void FunctionLowering::enter() {
  load_budget();
  code_.get(budget_);
  code_.i32(static_cast<i32>(longest_[0]));
  code_.op(op::kI32LtS);
  code_.hint(false);
  code_.open(op::kIf);
  code_.get(kPc);
  code_.i64(1);
  code_.op(op::kI64Or);
  code_.op(op::kReturn);
  code_.close();
  reload(live_in_[0]);
  open_frames(0);
}

void FunctionLowering::begin(u32 n) {
  const std::vector<u32>& ways = graph_.node(n).next;
  HW_CHECK(ways.size() - 1 <= kMostWays, "more ways into a region than have numbers");
  code_.get(kDepth);
  code_.i32(kWayShift);
  code_.op(op::kI32ShrU);
  code_.tee(route_);
  code_.op(op::kI32Eqz);
  code_.hint(true);
  code_.open(op::kIf);
  enter();
  follow(n, ways[0]);
  code_.close();
  code_.get(kDepth);
  code_.i32(kSlotMask);
  code_.op(op::kI32And);
  code_.set(kDepth);
  code_.get(route_);
  code_.i32(1);
  code_.op(op::kI32Sub);
  code_.index(op::kBrTable, static_cast<u32>(ways.size() - 2));
  for (size_t i = 1; i < ways.size(); i++) code_.leb(code_.distance(label(n, ways[i])));
}

void FunctionLowering::land(u32 block) {
  load_budget();
  owed_ = 0;
  load_tables();  // a callee may have changed the translation context
  reload(live_in_[block]);
  open_frames(block);
  HW_CHECK(checked_[block], "behind a call the budget is looked at");
}

void FunctionLowering::tree(u32 n) {
  const FlowNode& node = graph_.node(n);
  if (node.loop) loops_[n] = code_.open(op::kLoop);
  within(n, 0);
  if (node.loop) code_.close();
}

void FunctionLowering::within(u32 n, size_t at) {
  const FlowNode& node = graph_.node(n);
  if (at < node.merges.size()) {
    const u32 merge = node.merges[at];
    labels_[merge] = code_.open(op::kBlock);
    within(n, at + 1);
    code_.close();
    owed_ = 0;
    tree(merge);
    return;
  }
  switch (node.kind) {
    case FlowNode::Kind::block: block(n); break;
    case FlowNode::Kind::begin: begin(n); break;
    case FlowNode::Kind::way_in:
      // The address of the region's entry, as if it had come that way.
      code_.get(kPc);
      code_.i64(i64{region_.entry} - region_.blocks[node.block].offset);
      code_.op(op::kI64Add);
      code_.set(kPc);
      follow(n, node.next[0]);
      break;
    case FlowNode::Kind::landing:
      land(node.block);
      follow(n, node.next[0]);
      break;
    case FlowNode::Kind::select:
      code_.i32(static_cast<i32>(node.route));
      code_.set(route_);
      follow(n, node.next[0]);
      break;
    case FlowNode::Kind::dispatch: {
      code_.get(route_);
      code_.index(op::kBrTable, static_cast<u32>(node.next.size() - 1));
      for (const u32 m : node.next) code_.leb(code_.distance(label(n, m)));
      break;
    }
  }
}

u32 FunctionLowering::label(u32 from, u32 to) const {
  return graph_.node(to).order <= graph_.node(from).order ? loops_[to] : labels_[to];
}

void FunctionLowering::follow(u32 from, u32 to) {
  const u32 owed = owed_;
  const FlowNode& node = graph_.node(to);
  const bool jumps = node.order <= graph_.node(from).order || node.merge;
  // Only a block that is reached from here alone can be charged for what was executed before it.
  if (jumps || node.kind != FlowNode::Kind::block || checked_[node.block]) charge();
  if (jumps)
    code_.br(label(from, to));
  else
    tree(to);
  owed_ = owed;
}

void FunctionLowering::block(u32 n) {
  number_ = graph_.node(n).block;
  const u32 number = number_;
  const Block& block = region_.blocks[number];
  dirty_ = dirty_in_[number];
  valid_ = valid_in_[number];
  if (checked_[number] && (number != 0 || graph_.node(n).loop || !region_.ways_in.empty())) check(block);
  owed_ += block.count();
  body(block);
  terminator(n, block);
}

void FunctionLowering::check(const Block& block) {
  HW_CHECK(owed_ == 0, "a budget is looked at that is not up to date");
  code_.get(budget_);
  code_.i32(static_cast<i32>(longest_[number_]));
  code_.op(op::kI32LtS);
  leave_if(block.offset, 0);
}

void FunctionLowering::terminator(u32 n, const Block& block) {
  const Terminator& end = block.end;
  const RegisterSet dirty = dirty_;
  switch (end.kind) {
    case Exit::jump: follow_block(n, end.taken); break;
    case Exit::branch:
      if (end.taken == end.next) {
        follow_block(n, end.next);
        break;
      }
      push(end.value);
      code_.open(op::kIf);
      follow_block(n, end.taken);
      code_.otherwise();
      follow_block(n, end.next);
      code_.close();
      code_.op(op::kUnreachable);
      break;
    case Exit::system: {
      spill(dirty);
      store_budget();
      const GuestInsn& guest = block.guest.back();
      code_.get(kState);
      code_.i64(std::bit_cast<i64>(operands_of(guest).slot));
      code_.i32(static_cast<i32>(guest.bits));
      push_address(guest.offset);
      code_.index(op::kCall, shared_.system);
      code_.op(op::kReturn);
      break;
    }
    case Exit::interpret: leave_at(end.target, 0); break;
    case Exit::ret:
      if (end.next == kNoBlock) {
        spill(dirty);
        store_budget();
        push(end.value);
        code_.op(op::kReturn);
        break;
      }
      push(end.value);
      code_.tee(result_);
      push_address(region_.blocks[end.next].offset);
      code_.op(op::kI64Eq);
      code_.hint(true);
      code_.open(op::kIf);
      follow_block(n, end.next);
      code_.close();
      leave_for_result(dirty);
      break;
    case Exit::go:
      if (end.cold) {
        leave_at(end.target, 0, false);
        break;
      }
      push_address(end.target);
      code_.set(result_);
      go(dirty, function_at(end.target));
      break;
    case Exit::go_value:
      push(end.value);
      code_.set(result_);
      if (!end.cases.empty()) cases(n, end);
      go(dirty, nullptr);
      break;
    case Exit::call:
    case Exit::call_value: {
      const u32* callee = end.kind == Exit::call ? function_at(end.target) : nullptr;
      if (end.kind == Exit::call)
        push_address(end.target);
      else
        push(end.value);
      code_.set(result_);
      if (!end.cases.empty()) {
        cases(n, end);
        // That it goes elsewhere is unlikely. An engine is told so by a condition, which holds for every address but 0.
        code_.get(result_);
        code_.i64(0);
        code_.op(op::kI64Ne);
        code_.hint(false);
        code_.open(op::kIf);
      }
      spill(dirty);
      store_budget();
      call(callee);
      code_.tee(result_);
      const GuestInsn& last = block.guest.back();
      push_address(last.offset + last.length);
      code_.op(op::kI64Ne);
      code_.hint(false);
      code_.open(op::kIf);
      code_.get(result_);
      code_.op(op::kReturn);
      code_.close();
      owed_ = 0;
      follow_block(n, end.next);
      if (!end.cases.empty()) {
        code_.close();
        leave_for_result(dirty);
      }
      break;
    }
  }
}

void FunctionLowering::leave_for_result(RegisterSet dirty) {
  spill(dirty);
  store_budget();
  code_.get(result_);
  code_.op(op::kReturn);
}

const u32* FunctionLowering::function_at(i32 offset) const {
  const auto found = shared_.functions.find(offset);
  return found == shared_.functions.end() ? nullptr : &found->second;
}

void FunctionLowering::go(RegisterSet dirty, const u32* callee) {
  spill(dirty);
  store_budget();
  call(callee);
  code_.op(op::kReturn);
}

void FunctionLowering::call(const u32* callee) {
  const i32 frame = static_cast<i32>(kFrameBytes + 8 * code_.local_count());
  code_.get(kDepth);
  code_.i32(frame);
  code_.op(op::kI32LtS);
  code_.hint(false);
  code_.open(op::kIf);
  code_.get(result_);
  code_.op(op::kReturn);
  code_.close();
  code_.get(kState);
  code_.get(result_);
  code_.get(kReadTable);
  code_.get(kWriteTable);
  code_.get(kDepth);
  code_.i32(frame);
  code_.op(op::kI32Sub);
  code_.index(op::kCall, callee != nullptr ? *callee : shared_.go);
}

void FunctionLowering::cases(u32 n, const Terminator& end) {
  charge();
  i32 low = region_.blocks[end.cases[0]].offset, high = low;
  for (const u32 to : end.cases) {
    low = std::min(low, region_.blocks[to].offset);
    high = std::max(high, region_.blocks[to].offset);
  }
  if (end.cases.size() == 1) {
    code_.get(result_);
    push_address(low);
    code_.op(op::kI64Eq);
    code_.br_if(label(n, graph_.edge(graph_.node(n).block, end.cases[0])));
    return;
  }
  // Halfwords from the lowest one; whatever is no such place wraps to a large number or has bit 0 set.
  const u32 entries = static_cast<u32>(high - low) / 2 + 1;
  const u32 elsewhere = code_.open(op::kBlock);
  code_.get(result_);
  code_.get(kPc);
  code_.op(op::kI64Sub);
  code_.i64(i64{low} - region_.entry);
  code_.op(op::kI64Sub);
  code_.tee(va_);
  code_.i64(static_cast<i64>(entries) * 2);
  code_.op(op::kI64GeU);
  code_.br_if(elsewhere);
  code_.get(va_);
  code_.op(op::kI32WrapI64);
  code_.i32(1);
  code_.op(op::kI32ShrU);
  code_.index(op::kBrTable, entries);
  std::vector<u32> at(entries, code_.distance(elsewhere));
  for (const u32 to : end.cases) {
    const u32 node = graph_.edge(graph_.node(n).block, to);
    at[static_cast<u32>(region_.blocks[to].offset - low) / 2] = code_.distance(label(n, node));
  }
  for (const u32 distance : at) code_.leb(distance);
  code_.leb(code_.distance(elsewhere));
  code_.close();
}

}  // namespace hartwood::jit
