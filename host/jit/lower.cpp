// SPDX-License-Identifier: Apache-2.0
// What a function looks like:
//
//   leave at once if the budget does not last to the next place where it is checked
//   load the guest registers that the region uses into locals
//   block $out
//     the blocks; each charges the budget for its instructions when it begins. Where the region ends (returns, jumps
//     elsewhere, calls) registers that may have changed are stored, and the budget
//   end
//   here come accesses that missed the TLB, budgets that are used up, instructions that the interpreter must do: `site`
//   says where, and how many instructions of its block did not happen. All registers that the region writes are stored,
//   the budget gets back what did not happen, and the result is odd.
//
// One such exit for the whole function keeps the code of each access small: a miss costs an assignment and a jump
// there.
//
// The budget is checked where a cycle can close: at entries, at loop headers and behind calls. At each such place it
// must last for the longest way to the next one, so that between them nothing has to be checked; where it does not, the
// interpreter goes on to the exact instruction.
#include "jit/lower.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>

#include "base/bits.h"
#include "hart/code_cache.h"
#include "hart/interfaces.h"
#include "isa/isa.h"
#include "isa/plain_access.h"
#include "isa/semantics/memory.h"
#include "jit/flow_graph.h"
#include "wasm/encoder.h"

namespace hartwood::jit {
namespace {

namespace op = wasm::op;
using wasm::Code;
using wasm::Type;

enum Parameter : u32 { kState, kPc, kReadTable, kWriteTable, kDepth, kParameters };

// Bits of `site`: the place in the window, and what the budget gets back.
constexpr u32 kSiteShift = TranslatedCode::kNotDoneShift;
constexpr i32 kSiteBias = 1 << 16;  // offsets may lie before or behind the window
constexpr u32 kFrameBytes = 160;    // an engine's own part of a frame, and the spilled temporaries

struct Shared {
  const Target& target;
  u32 region_type;
  u32 execute_type, execute;     // imported
  u32 accesses;                  // imported
  u32 mulhu;                     // of this module
  u32 go;                        // of this module: to any address
  std::map<i32, u32> functions;  // by window offset of the entry
};

u32 align_of(u8 size) { return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0; }

// Registers of one file as bits.
using Registers = u32;

struct Used {
  Registers x_read = 0, x_written = 0, f_read = 0, f_written = 0;
  Registers x() const { return (x_read | x_written) & ~1u; }
  Registers f() const { return f_read | f_written; }
};

// The operands of an instruction that the full context executes.
struct Operands {
  Registers x = 0, f = 0;
  u32 rd = 0;
  bool rd_x = false, rd_f = false;
  bool is_csr = false;
  Insn slot;  // as Hart::execute_for_translated wants it
};
Operands operands_of(const GuestInsn& guest) {
  IsaOptions all;
  all.enabled = ~u32{0};
  const Decoded decoded = decode(guest.bits, all);
  const Insn& insn = decoded.insn;
  const OpInfo& of = info(decoded.op);
  Operands result;
  result.rd = insn.rd;
  result.slot = to_slot(decoded);
  result.rd_x = of.writes_x() && insn.rd != 0;
  result.rd_f = of.writes_f();
  result.is_csr = of.format == Format::csr || of.format == Format::csri;
  const bool store = of.format == Format::s;
  const u32 sources[3] = {insn.rs1, store ? u32{insn.rd} : u32{insn.rs2()}, insn.rs3()};
  u32 index = 0;
  for (const char* letter = of.operands + 1; *letter != 0 && index < 3; letter++) {
    if (*letter == 'x')
      result.x |= 1u << (sources[index++] & 31);
    else if (*letter == 'f')
      result.f |= 1u << (sources[index++] & 31);
  }
  // amocas compares with rd.
  if (result.rd_x) result.x |= 1u << insn.rd;
  if (result.rd_f) result.f |= 1u << insn.rd;
  result.x &= ~1u;
  return result;
}

std::optional<PlainAccess> plain_access(const GuestInsn& guest) {
  IsaOptions all;
  all.enabled = ~u32{0};
  return hartwood::plain_access(decode(guest.bits, all));
}

class FunctionLowering {
 public:
  FunctionLowering(const Region& region, Shared& shared)
      : region_(region), shared_(shared), target_(shared.target), graph_(region), code_(kParameters) {}

  Code run() {
    find_used();
    find_checks();
    find_dirty();
    for (u32 i = 1; i < 32; i++) {
      if (bit(used_.x(), i)) x_local_[i] = code_.add_local(Type::i64);
    }
    for (u32 i = 0; i < 32; i++) {
      if (bit(used_.f(), i)) f_local_[i] = code_.add_local(Type::f64);
    }
    budget_ = code_.add_local(Type::i32);
    site_ = code_.add_local(Type::i32);
    va_ = code_.add_local(Type::i64);
    x_ = code_.add_local(Type::i64);
    result_ = code_.add_local(Type::i64);
    if (graph_.has_dispatch()) route_ = code_.add_local(Type::i32);

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
    reload(used_.x(), used_.f());
    out_ = code_.open(op::kBlock);
    labels_.resize(graph_.size());
    loops_.resize(graph_.size());
    tree(0);
    code_.op(op::kUnreachable);
    code_.close();
    common_exit();
    return std::move(code_);
  }

 private:
  // ------------------------------------------------------------------------------------------------------- analysis
  void find_used() {
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

  static Registers f_sources(const FpArith& fp) {
    Registers result = 1u << fp.rs1;
    switch (fp.kind) {
      case FpKind::madd:
      case FpKind::msub:
      case FpKind::nmsub:
      case FpKind::nmadd: result |= 1u << fp.rs3; [[fallthrough]];
      case FpKind::add:
      case FpKind::sub:
      case FpKind::mul:
      case FpKind::div:
      case FpKind::eq:
      case FpKind::lt:
      case FpKind::le: result |= 1u << fp.rs2; break;
      default: break;
    }
    return result;
  }

  static bool calls(const Block& block) { return block.end.kind == Exit::call || block.end.kind == Exit::call_value; }

  // Blocks where the budget is checked, and for how many instructions it must last there.
  void find_checks() {
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

  // Registers that may differ from the hart's state when a block begins and when it ends.
  void find_dirty() {
    const size_t count = region_.blocks.size();
    x_in_.assign(count, 0);
    f_in_.assign(count, 0);
    for (bool changed = true; changed;) {
      changed = false;
      for (u32 b = 0; b < count; b++) {
        const Block& block = region_.blocks[b];
        const auto [x, f] = dirty_at_end(b);
        for (const u32 to : successors(block)) {
          const Registers x_fresh = x_in_[to] | (calls(block) ? 0 : x), f_fresh = f_in_[to] | (calls(block) ? 0 : f);
          changed |= x_fresh != x_in_[to] || f_fresh != f_in_[to];
          x_in_[to] = x_fresh;
          f_in_[to] = f_fresh;
        }
      }
    }
  }
  std::pair<Registers, Registers> dirty_at_end(u32 number) const {
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

  // ---------------------------------------------------------------------------------------------------------- state
  u32 x_address(u32 reg) const { return target_.layout.x + 8 * reg; }
  u32 f_address(u32 reg) const { return target_.layout.f + 8 * reg; }
  void store_x(u32 reg) {
    code_.get(kState);
    code_.get(x_local_[reg]);
    code_.memory(op::kI64Store, 3, x_address(reg));
  }
  void store_f(u32 reg) {
    code_.get(kState);
    code_.get(f_local_[reg]);
    code_.memory(op::kF64Store, 3, f_address(reg));
  }
  void load_x(u32 reg) {
    code_.get(kState);
    code_.memory(op::kI64Load, 3, x_address(reg));
    code_.set(x_local_[reg]);
  }
  void load_f(u32 reg) {
    code_.get(kState);
    code_.memory(op::kF64Load, 3, f_address(reg));
    code_.set(f_local_[reg]);
  }
  void spill(Registers x, Registers f) {
    for (u32 i = 1; i < 32; i++) {
      if (bit(x & used_.x(), i)) store_x(i);
    }
    for (u32 i = 0; i < 32; i++) {
      if (bit(f & used_.f(), i)) store_f(i);
    }
  }
  void reload(Registers x, Registers f) {
    for (u32 i = 1; i < 32; i++) {
      if (bit(x & used_.x(), i)) load_x(i);
    }
    for (u32 i = 0; i < 32; i++) {
      if (bit(f & used_.f(), i)) load_f(i);
    }
  }
  void load_budget() {
    code_.get(kState);
    code_.memory(op::kI32Load, 2, target_.layout.budget);
    code_.set(budget_);
  }
  void load_tables() {
    for (const u32 parameter : {kReadTable, kWriteTable}) {
      code_.get(kState);
      code_.memory(op::kI32Load, 2, target_.layout.read_table + 4 * (parameter - kReadTable));
      code_.set(parameter);
    }
  }
  void store_budget() {
    code_.get(kState);
    code_.get(budget_);
    code_.memory(op::kI32Store, 2, target_.layout.budget);
  }
  // The virtual address of a place in the window.
  void push_address(i32 offset) {
    code_.get(kPc);
    const i64 distance = i64{offset} - region_.entry;
    if (distance == 0) return;
    code_.i64(distance);
    code_.op(op::kI64Add);
  }

  // `interpret`: the instruction there is the interpreter's; else it may be that there is code for it.
  static i32 site(i32 offset, u32 not_done, bool interpret = true) {
    return static_cast<i32>(static_cast<u32>(offset + kSiteBias) | (interpret ? 1 : 0) | not_done << kSiteShift);
  }
  void leave_at(i32 offset, u32 not_done, bool interpret = true) {
    left_ = true;
    code_.i32(site(offset, not_done, interpret));
    code_.set(site_);
    code_.br(out_);
  }
  void common_exit() {
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

  // ---------------------------------------------------------------------------------------------- structured control
  void tree(u32 n) {
    const FlowNode& node = graph_.node(n);
    if (node.loop) loops_[n] = code_.open(op::kLoop);
    within(n, 0);
    if (node.loop) code_.close();
  }
  void within(u32 n, size_t at) {
    const FlowNode& node = graph_.node(n);
    if (at < node.merges.size()) {
      const u32 merge = node.merges[at];
      labels_[merge] = code_.open(op::kBlock);
      within(n, at + 1);
      code_.close();
      tree(merge);
      return;
    }
    switch (node.kind) {
      case FlowNode::Kind::block: block(n); break;
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
  // The label of `to`, which is a merge point or a loop that `from` is in.
  u32 label(u32 from, u32 to) const {
    return graph_.node(to).order <= graph_.node(from).order ? loops_[to] : labels_[to];
  }
  void follow(u32 from, u32 to) {
    if (graph_.node(to).order <= graph_.node(from).order || graph_.node(to).merge)
      code_.br(label(from, to));
    else
      tree(to);
  }
  void follow_block(u32 n, u32 to) { follow(n, graph_.edge(graph_.node(n).block, to)); }

  void block(u32 n) {
    number_ = graph_.node(n).block;
    const u32 number = number_;
    const Block& block = region_.blocks[number];
    if (checked_[number] && number != 0) check(block);
    if (number == 0 && graph_.node(n).loop) check(block);
    if (block.count() != 0) {
      code_.get(budget_);
      code_.i32(static_cast<i32>(block.count()));
      code_.op(op::kI32Sub);
      code_.set(budget_);
    }
    body(block);
    terminator(n, block);
  }
  void check(const Block& block) {
    code_.get(budget_);
    code_.i32(static_cast<i32>(longest_[number_]));
    code_.op(op::kI32LtS);
    code_.hint(false);
    code_.open(op::kIf);
    leave_at(block.offset, 0);
    code_.close();
  }

  void terminator(u32 n, const Block& block) {
    const Terminator& end = block.end;
    const auto [x, f] = dirty_at_end(graph_.node(n).block);
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
      case Exit::interpret: leave_at(end.target, 0); break;
      case Exit::ret:
        spill(x, f);
        store_budget();
        push(end.value);
        code_.op(op::kReturn);
        break;
      case Exit::go:
        if (end.cold) {
          leave_at(end.target, 0, false);
          break;
        }
        push_address(end.target);
        code_.set(result_);
        go(x, f, function_at(end.target));
        break;
      case Exit::go_value:
        push(end.value);
        code_.set(result_);
        if (!end.cases.empty()) cases(n, end);
        go(x, f, nullptr);
        break;
      case Exit::call:
      case Exit::call_value: {
        const u32* callee = end.kind == Exit::call ? function_at(end.target) : nullptr;
        if (end.kind == Exit::call)
          push_address(end.target);
        else
          push(end.value);
        code_.set(result_);
        spill(x, f);
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
        load_budget();
        load_tables();  // the callee may have changed the translation context
        reload(used_.x(), used_.f());
        HW_CHECK(checked_[end.next], "behind a call the budget is looked at");
        follow_block(n, end.next);
        break;
      }
    }
  }
  const u32* function_at(i32 offset) const {
    const auto found = shared_.functions.find(offset);
    return found == shared_.functions.end() ? nullptr : &found->second;
  }
  // Leaves for the address in `result_`.
  void go(Registers x, Registers f, const u32* callee) {
    spill(x, f);
    store_budget();
    call(callee);
    code_.op(op::kReturn);
  }
  // Calls what is at the address in `result_`; where the stack does not suffice, that address is the function's result:
  // the dispatcher goes on there with an empty stack.
  void call(const u32* callee) {
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
  // An indirect jump whose address, in `result_`, is one of the places where it was seen to go.
  void cases(u32 n, const Terminator& end) {
    i32 low = region_.blocks[end.cases[0]].offset, high = low;
    for (const u32 to : end.cases) {
      low = std::min(low, region_.blocks[to].offset);
      high = std::max(high, region_.blocks[to].offset);
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

  // --------------------------------------------------------------------------------------------------------- values
  bool rematerialized(u32 v) const { return insts()[v].op == Ir::constant || insts()[v].op == Ir::code_address; }
  const std::vector<Inst>& insts() const { return region_.blocks[number_].code; }

  // Whether operation `at` writes a register of the set.
  bool writes(u32 at, Registers x, Registers f) const {
    const Inst& inst = insts()[at];
    switch (inst.op) {
      case Ir::set_x: return bit(x, inst.reg);
      case Ir::set_f: return bit(f, inst.reg);
      case Ir::fp_arith: {
        const FpArith fp = FpArith::unpack(inst.imm);
        return fp.writes_x() ? bit(x, fp.rd) : bit(f, fp.rd);
      }
      case Ir::execute: {
        const Operands of = operands_of(region_.blocks[number_].guest[inst.guest]);
        return (of.rd_x && bit(x, of.rd)) || (of.rd_f && bit(f, of.rd));
      }
      default: return false;
    }
  }

  // Decides which values are made where they are used (a use or a cheap one; no register that they read changes before)
  // and which are kept in a local.
  void plan(const Block& block) {
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
    x_leaves_.assign(count, 0);
    f_leaves_.assign(count, 0);
    for (u32 i = 0; i < count; i++) {
      const Inst& inst = block.code[i];
      if (inst.op == Ir::get_x) x_leaves_[i] = 1u << inst.reg;
      if (inst.op == Ir::get_f) f_leaves_[i] = 1u << inst.reg;
      for (const u32 operand : {inst.a, inst.b, inst.c}) {
        if (operand == kNoValue) continue;
        x_leaves_[i] |= x_leaves_[operand];
        f_leaves_[i] |= f_leaves_[operand];
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
      for (u32 j = i + 1; j < where && safe; j++) safe = !writes(j, x_leaves_[i], f_leaves_[i]);
      if (!safe) continue;
      delayed_[i] = true;
      made_at_[i] = where;
    }
  }
  // Which values are words, sign-extended to 64 bits, as far as the block by itself tells.
  void find_words(const Block& block) {
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
        for (u32 reg = 1; reg < 32; reg++) {
          if (writes(i, 1u << reg, 0)) words &= ~(1u << reg);
        }
      }
    }
  }
  static bool needs_operands_twice(Ir ir) {
    return ir == Ir::div_s || ir == Ir::div_u || ir == Ir::rem_s || ir == Ir::rem_u;
  }

  u32 temporary(Type type) {
    std::vector<u32>& pool = type == Type::i32 ? pool32_ : pool64_;
    u32& next = type == Type::i32 ? next32_ : next64_;
    if (next == pool.size()) pool.push_back(code_.add_local(type));
    return pool[next++];
  }

  void body(const Block& block) {
    plan(block);
    find_words(block);
    next32_ = next64_ = 0;
    u32 guest = ~u32{0};
    for (u32 i = 0; i < block.code.size(); i++) {
      const Inst& inst = block.code[i];
      if (inst.guest != guest) {
        guest = inst.guest;
        const u32 run = target_.group_accesses ? group_at(block, guest) : 1;
        if (run > 1) {
          if (inst.op == Ir::fp_ready) effect(i);
          group(block, guest, run);
          while (i + 1 < block.code.size() && block.code[i + 1].guest < guest + run) i++;
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
    }
  }

  // How many instructions from `first` on make one group: all loads or all stores, with one base register, near each
  // other, each naturally aligned if the largest is.
  u32 group_at(const Block& block, u32 first) const {
    constexpr u32 kMost = 16;
    constexpr i32 kSpan = 512;
    const std::optional<PlainAccess> head = plain_access(block.guest[first]);
    if (!head || head->base == 0) return 1;
    i32 low = head->offset, high = head->offset + head->size;
    u8 largest = head->size;
    u32 count = 1;
    bool base_kept = head->store || head->is_float || head->data != head->base;
    while (base_kept && count < kMost && first + count < block.count()) {
      const std::optional<PlainAccess> next = plain_access(block.guest[first + count]);
      if (!next || next->store != head->store || next->is_float != head->is_float || next->base != head->base) break;
      low = std::min(low, next->offset);
      high = std::max(high, next->offset + next->size);
      largest = std::max(largest, next->size);
      if (high - low > kSpan) break;
      bool aligned = true;
      for (u32 i = 0; i <= count; i++) {
        const PlainAccess each = *plain_access(block.guest[first + i]);
        if ((each.offset - low) % each.size != 0) aligned = false;
        // The lowest address is what is tested, for the largest size.
        if (each.size == largest && (each.offset - low) % largest != 0) aligned = false;
      }
      if (!aligned) break;
      base_kept = next->store || next->is_float || next->data != next->base;
      count++;
    }
    return count;
  }

  // One probe for all of them. Where it fails (a page border, a miss, a misaligned base) the full context executes
  // them one by one, in one call: a call for each would be most of a region's code.
  void group(const Block& block, u32 first, u32 count) {
    std::vector<PlainAccess> accesses;
    for (u32 i = 0; i < count; i++) accesses.push_back(*plain_access(block.guest[first + i]));
    i32 low = accesses[0].offset, high = low;
    u8 largest = 1;
    for (const PlainAccess& each : accesses) {
      low = std::min(low, each.offset);
      high = std::max(high, each.offset + each.size);
      largest = std::max(largest, each.size);
    }
    const bool store = accesses[0].store;
    code_.get(x_local_[accesses[0].base]);
    if (low != 0) {
      code_.i64(low);
      code_.op(op::kI64Add);
    }
    code_.set(va_);
    code_.get(va_);
    probe_entry(store ? kWriteTable : kReadTable);
    code_.tee(x_);
    code_.i64(static_cast<i64>(~(target_.ram_bytes - largest)));
    code_.op(op::kI64And);
    code_.op(op::kI64Eqz);
    // The last byte in the same page.
    code_.get(x_);
    code_.op(op::kI32WrapI64);
    code_.i32(static_cast<i32>(kPageMask));
    code_.op(op::kI32And);
    code_.i32(static_cast<i32>(kPageBytes) - (high - low));
    code_.op(op::kI32LeU);
    code_.op(op::kI32And);
    code_.hint(true);
    code_.open(op::kIf);
    const u32 at = temporary(Type::i32);
    code_.get(x_);
    code_.op(op::kI32WrapI64);
    code_.set(at);
    for (const PlainAccess& each : accesses) {
      const u64 offset = target_.ram_base + static_cast<u64>(each.offset - low);
      code_.get(at);
      if (each.store) {
        if (each.is_float)
          code_.get(f_local_[each.data]);
        else if (each.data == 0)
          code_.i64(0);
        else
          code_.get(x_local_[each.data]);
        code_.memory(each.is_float ? u8{op::kF64Store} : store_opcode(each.size), align_of(each.size), offset);
      } else {
        code_.memory(each.is_float ? u8{op::kF64Load} : load_opcode(each.size, each.is_signed), align_of(each.size),
                     offset);
        if (each.is_float)
          code_.set(f_local_[each.data]);
        else if (each.data == 0)
          code_.op(op::kDrop);
        else
          code_.set(x_local_[each.data]);
      }
    }
    code_.otherwise();
    const GuestInsn& head = block.guest[first];
    const u32 not_done = block.count() - first;
    AccessRun run{.count = count, .base = accesses[0].base, .store = store, .is_float = accesses[0].is_float};
    for (const PlainAccess& each : accesses) run.registers |= 1u << each.data;
    const Registers x = (run.is_float ? 0 : run.registers & ~1u) | 1u << run.base;
    spill(x, run.is_float ? run.registers : 0);
    code_.get(kState);
    push_address(head.offset);
    code_.i32(static_cast<i32>(run.pack()));
    code_.i32(static_cast<i32>(run.registers));
    code_.get(budget_);
    code_.i32(static_cast<i32>(not_done));
    code_.op(op::kI32Add);
    code_.index(op::kCall, shared_.accesses);
    code_.set(site_);
    for (u32 i = run.is_float ? 0 : 1; i < 32 && !store; i++) {
      if (!bit(run.registers, i)) continue;
      if (run.is_float)
        load_f(i);
      else
        load_x(i);
    }
    code_.get(site_);
    code_.i32(static_cast<i32>(TranslatedCode::kAllDone));
    code_.op(op::kI32Ne);
    code_.hint(false);
    code_.open(op::kIf);
    left_ = true;
    code_.i32(site(head.offset, not_done));
    code_.get(site_);
    code_.op(op::kI32Add);
    code_.set(site_);
    code_.br(out_);
    code_.close();
    code_.close();
  }

  void push(u32 v) {
    if (in_local_[v] != kNoValue)
      code_.get(in_local_[v]);
    else
      make(v);
  }
  // Its low half.
  void push32(u32 v) {
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
  // The operation on low halves that gives the low half of this one's result, or 0.
  static u8 opcode32(Ir ir) {
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
  void make32(u32 v) {
    const Inst& inst = insts()[v];
    push32(inst.a);
    push32(inst.b);
    code_.op(opcode32(inst.op));
  }
  // Bits of words: an engine sees a rotation in two shifts of 32 bits, and not where their results were extended.
  void bitwise(u32 v, u8 opcode) {
    const Inst& inst = insts()[v];
    if (word_[v] && !rematerialized(inst.a) && !rematerialized(inst.b)) {
      make32(v);
      code_.op(op::kI64ExtendI32S);
    } else {
      two(inst, opcode);
    }
  }
  bool is_constant(u32 v, i64& value) const {
    value = insts()[v].imm;
    return insts()[v].op == Ir::constant;
  }

  void two(const Inst& inst, u8 opcode) {
    push(inst.a);
    push(inst.b);
    code_.op(opcode);
  }
  void one(const Inst& inst, u8 opcode) {
    push(inst.a);
    code_.op(opcode);
  }

  void make(u32 v) {
    const Inst& inst = insts()[v];
    switch (inst.op) {
      case Ir::constant: code_.i64(inst.imm); break;
      case Ir::code_address: push_address(static_cast<i32>(inst.imm)); break;
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

  // [unpriv: Division Operations]: what Wasm traps on has a result.
  void divide(const Inst& inst) {
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

  // -------------------------------------------------------------------------------------------------------- effects
  const GuestInsn& guest_of(const Inst& inst) const { return region_.blocks[number_].guest[inst.guest]; }
  u32 not_done(const Inst& inst) const { return region_.blocks[number_].count() - inst.guest; }

  void effect(u32 i) {
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
        code_.hint(false);
        code_.open(op::kIf);
        leave_at(guest_of(inst).offset, not_done(inst));
        code_.close();
        break;
      case Ir::fp_arith: arithmetic(inst); break;
      case Ir::fence:
        code_.prefixed(op::kAtomicPrefix, op::kAtomicFence);
        code_.op(0);
        break;
      case Ir::execute: execute(inst); break;
      default: HW_CHECK(false, "no effect"); break;
    }
  }
  static u8 load_opcode(u8 size, bool is_signed) {
    switch (size) {
      case 1: return is_signed ? op::kI64Load8S : op::kI64Load8U;
      case 2: return is_signed ? op::kI64Load16S : op::kI64Load16U;
      case 4: return is_signed ? op::kI64Load32S : op::kI64Load32U;
      default: return op::kI64Load;
    }
  }
  static u8 store_opcode(u8 size) {
    return size == 8 ? op::kI64Store : size == 4 ? op::kI64Store32 : size == 2 ? op::kI64Store16 : op::kI64Store8;
  }
  // ---- atomics, of which the probe has found the address and its alignment
  void keep(u32 i) {
    in_local_[i] = temporary(Type::i64);
    code_.set(in_local_[i]);
  }
  void atomic(u8 size, u32 of_32, u32 of_64) {
    code_.atomic(size == 4 ? of_32 : of_64, align_of(size), target_.ram_base);
  }
  void push_sized(u8 size, u32 v) {
    if (size == 4)
      push32(v);
    else
      push(v);
  }
  void amo(u32 i) {
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
  void push_physical() {
    code_.get(x_);
    code_.i64(static_cast<i64>(kRamBase));
    code_.op(op::kI64Add);
  }
  // The two bytes that say that there is a reservation of this size.
  static i32 reservation(u8 size) { return 1 | size << 8; }
  void load_reserved(u32 i) {
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
  void store_conditional(u32 i) {
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

  // The access's offset in RAM into `x_`; leaves where the TLB has it not. See hart/tlb.h for the form of an entry.
  void probe(const Inst& inst, u32 table) {
    push(inst.a);
    code_.tee(va_);
    probe_entry(table);
    code_.tee(x_);
    code_.i64(static_cast<i64>(~(target_.ram_bytes - inst.size)));
    code_.op(op::kI64And);
    code_.i64(0);
    code_.op(op::kI64Ne);
    code_.hint(false);
    code_.open(op::kIf);
    leave_at(guest_of(inst).offset, not_done(inst));
    code_.close();
  }
  // Exclusive or of the address on the stack, which is in `va_` too, with its TLB entry.
  void probe_entry(u32 table) {
    const unsigned ram_shift = static_cast<unsigned>(std::countr_zero(target_.ram_bytes));
    const u32 index_mask = ((u32{1} << (ram_shift - kPageShift + 1)) - 1) << 3;
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

  void execute(const Inst& inst) { execute(guest_of(inst), not_done(inst)); }
  // `not_done`: instructions of the block from this one on.
  void execute(const GuestInsn& guest, u32 not_done) {
    const Operands of = operands_of(guest);
    spill(of.x, of.f);
    code_.get(kState);
    code_.i64(std::bit_cast<i64>(of.slot));
    code_.i32(static_cast<i32>(guest.bits));
    push_address(guest.offset);
    code_.get(budget_);
    code_.i32(static_cast<i32>(not_done));
    code_.op(op::kI32Add);
    code_.index(op::kCall, shared_.execute);
    code_.set(site_);
    if (of.is_csr) load_tables();
    if (of.rd_x && bit(used_.x(), of.rd)) load_x(of.rd);
    if (of.rd_f && bit(used_.f(), of.rd)) load_f(of.rd);
    code_.get(site_);
    code_.hint(false);
    code_.open(op::kIf);
    // 1: it is the interpreter's; 2: it is done, but the world has changed.
    left_ = true;
    code_.i32(site(guest.offset, not_done));
    code_.i32(site(guest.offset + guest.length, not_done - 1));
    code_.get(site_);
    code_.i32(1);
    code_.op(op::kI32Eq);
    code_.op(op::kSelect);
    code_.set(site_);
    code_.br(out_);
    code_.close();
  }

  // Floating-point arithmetic with the engine's own, where its result and flags are known to be the guest's: rounding
  // to nearest, the inexact flag set already, and a result that is neither tiny, infinite, zero nor NaN.
  void arithmetic(const Inst& inst) {
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

  const Region& region_;
  Shared& shared_;
  const Target& target_;
  FlowGraph graph_;
  Code code_;
  Used used_;
  std::vector<bool> checked_;  // by block
  std::vector<u32> longest_;   // by block: instructions to the next check
  std::vector<Registers> x_in_, f_in_;
  u32 x_local_[32] = {}, f_local_[32] = {};
  u32 budget_ = 0, site_ = 0, va_ = 0, x_ = 0, result_ = 0, route_ = 0, fp_temporary_ = kNoValue;
  u32 out_ = 0;
  bool left_ = false;
  std::vector<u32> labels_, loops_;  // by node
  // Of the block that is being emitted.
  u32 number_ = 0;
  std::vector<u32> uses_, last_use_, in_local_, made_at_;
  std::vector<bool> delayed_, word_;
  std::vector<Registers> x_leaves_, f_leaves_;
  std::vector<u32> pool32_, pool64_;
  u32 next32_ = 0, next64_ = 0;
};

// The high half of an unsigned product, from four products of halves.
Code high_product() {
  Code code(2);
  const u32 low = code.add_local(Type::i64), cross = code.add_local(Type::i64), other = code.add_local(Type::i64);
  const auto low_half = [&](u32 local) {
    code.get(local);
    code.i64(0xffff'ffff);
    code.op(op::kI64And);
  };
  const auto high_half = [&](u32 local) {
    code.get(local);
    code.i64(32);
    code.op(op::kI64ShrU);
  };
  low_half(0);
  low_half(1);
  code.op(op::kI64Mul);
  code.set(low);
  // cross = high(a) * low(b) + high(low)
  high_half(0);
  low_half(1);
  code.op(op::kI64Mul);
  high_half(low);
  code.op(op::kI64Add);
  code.set(cross);
  // other = low(a) * high(b) + low(cross)
  low_half(0);
  high_half(1);
  code.op(op::kI64Mul);
  low_half(cross);
  code.op(op::kI64Add);
  code.set(other);
  high_half(0);
  high_half(1);
  code.op(op::kI64Mul);
  high_half(cross);
  code.op(op::kI64Add);
  high_half(other);
  code.op(op::kI64Add);
  return code;
}

// To whatever code the hart's jump cache has for the address; where it has none, the address is the result.
Code go_anywhere(const Target& target, u32 region_type) {
  Code code(kParameters);
  const u32 entry = code.add_local(Type::i32);
  code.get(kState);
  code.memory(op::kI32Load, 2, target.layout.jump_cache);
  code.get(kPc);
  code.op(op::kI32WrapI64);
  code.i32(3);  // an instruction is two bytes or more, an entry sixteen
  code.op(op::kI32Shl);
  code.i32((kJumpEntries - 1) << 4);
  code.op(op::kI32And);
  code.op(op::kI32Add);
  code.tee(entry);
  code.memory(op::kI64Load, 3, offsetof(JumpEntry, pc));
  code.get(kPc);
  code.op(op::kI64Eq);
  code.get(entry);
  code.memory(op::kI32Load, 2, offsetof(JumpEntry, context));
  code.get(kState);
  code.memory(op::kI32Load, 2, target.layout.context);
  code.op(op::kI32Eq);
  code.op(op::kI32And);
  code.hint(true);
  code.open(op::kIf);
  for (const u32 parameter : {kState, kPc, kReadTable, kWriteTable, kDepth}) code.get(parameter);
  code.get(entry);
  code.memory(op::kI32Load, 2, offsetof(JumpEntry, slot));
  code.index(op::kCallIndirect, region_type);
  code.leb(0);
  code.op(op::kReturn);
  code.close();
  code.get(kPc);
  return code;
}

}  // namespace

EmittedModule lower(const std::vector<Region>& regions, u32 slot, const Target& target) {
  EmittedModule result;
  wasm::Module module;
  module.use_branch_hints(target.branch_hints);
  Shared shared{target, 0, 0, 0, 0, 0, 0, {}};
  shared.region_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i32, Type::i32}, {Type::i64});
  shared.execute_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i64, Type::i32}, {Type::i32});
  const u32 multiply_type = module.add_type({Type::i64, Type::i64}, {Type::i64});
  module.import_memory("env", "memory", 1, 65536, true);
  module.import_table("env", "table");
  const u32 accesses_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i32, Type::i32}, {Type::i32});
  shared.execute = module.import_function("core", "hw_jit_execute", shared.execute_type);
  shared.accesses = module.import_function("core", "hw_jit_accesses", accesses_type);
  std::vector<u32> functions;
  for (const Region& region : regions) {
    functions.push_back(module.declare_function(shared.region_type));
    shared.functions.emplace(static_cast<i32>(region.entry), functions.back());
  }
  shared.mulhu = module.declare_function(multiply_type);
  shared.go = module.declare_function(shared.region_type);
  for (size_t i = 0; i < regions.size(); i++) {
    result.instructions += regions[i].instructions();
    module.set_body(functions[i], FunctionLowering(regions[i], shared).run());
  }
  module.set_body(shared.mulhu, high_product());
  module.set_body(shared.go, go_anywhere(target, shared.region_type));
  module.add_elements(slot, functions);
  result.bytes = module.finish();
  return result;
}

}  // namespace hartwood::jit
