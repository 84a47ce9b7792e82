// SPDX-License-Identifier: Apache-2.0
#include "jit/region.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

namespace hartwood::jit {
namespace {

struct Known {
  Decoded decoded;
  u32 bits;
  Flow flow;
};

// The register of calls that may be inlined. The other one that conventions know, t0, is for routines that are none.
constexpr u32 kLink = 1;

// A way of calls from the region's entry to a function that is compiled into it. The first context is the region's own.
struct Context {
  u32 parent = 0;
  i32 back = 0;      // where it returns to, in its parent
  i32 function = 0;  // its first instruction
  u32 depth = 0;
  bool link_kept = false;  // the link register is still the call's where it returns
};

struct Place {
  u32 context;
  i32 offset;
  auto operator<=>(const Place&) const = default;
};

// A function as a candidate for inlining.
struct Callee {
  u32 instructions = 0, blocks = 0;
  bool link_kept = true, returns = false;
};

class Discovery {
 public:
  Discovery(const Window& window, u32 entry, const IsaOptions& isa, const RegionLimits& limits, const SeenTargets& seen)
      : window_(window), entry_(static_cast<i32>(entry)), isa_(isa), limits_(limits), seen_(seen) {
    contexts_.push_back({.function = entry_});
  }

  Region run() {
    explore({0, entry_});
    // Whatever has room; calls that come in are considered after those that were there.
    for (size_t i = 0; i < calls_.size() && limits_.inline_calls; i++) consider_call(calls_[i]);
    Region region;
    region.entry = static_cast<u32>(entry_);
    if (known_.empty()) return region;
    build(region);
    return region;
  }

 private:
  std::optional<Known> read(i32 at) const {
    const u32 offset = static_cast<u32>(at);
    if (!window_.has(offset)) return std::nullopt;
    const u16 low = load_le<u16>(window_.at(offset));
    const unsigned length = instruction_length(low);
    u32 bits = low;
    if (length == 4) {
      if (!window_.has(offset + 2)) return std::nullopt;
      bits |= u32{load_le<u16>(window_.at(offset + 2))} << 16;
    }
    const Decoded decoded = decode(bits, isa_);
    return Known{decoded, bits, window_.leaves_out(offset) ? Flow::interpret : flow_of(decoded)};
  }
  bool executed(i32 offset) const { return window_.executed(static_cast<u32>(offset)); }
  // Where a direct transfer goes; may be outside of the window.
  static i32 target(i32 offset, const Known& insn) { return offset + insn.decoded.insn.imm; }

  bool full() const { return known_.size() >= limits_.instructions || leaders_.size() >= limits_.blocks; }

  // Breadth first, so that what is near the start is in when the limit is reached.
  void explore(Place start) {
    const u32 context = start.context;
    std::deque<i32> queue = {start.offset};
    leaders_.insert(start);
    const auto lead = [&](i32 offset) {
      if (!executed(offset)) return;
      if (leaders_.insert({context, offset}).second) queue.push_back(offset);
    };
    while (!queue.empty() && !full()) {
      i32 offset = queue.front();
      queue.pop_front();
      while (!known_.contains({context, offset}) && known_.size() < limits_.instructions) {
        const std::optional<Known> insn = read(offset);
        if (!insn || insn->flow == Flow::interpret) break;
        known_.emplace(Place{context, offset}, *insn);
        const i32 behind = offset + insn->decoded.length;
        if (insn->flow == Flow::next) {
          offset = behind;
          if (leaders_.contains({context, offset})) break;
          continue;
        }
        if (insn->flow == Flow::call || insn->flow == Flow::call_value) calls_.push_back({context, offset});
        for_each_way(offset, *insn, lead);
        break;
      }
    }
  }

  // Where control goes behind the last instruction of a block, in its function.
  template <class Lead>
  void for_each_way(i32 offset, const Known& insn, Lead&& lead) const {
    if (insn.flow == Flow::branch || insn.flow == Flow::jump) lead(target(offset, insn));
    if (insn.flow == Flow::branch || insn.flow == Flow::call || insn.flow == Flow::call_value)
      lead(offset + insn.decoded.length);
    if (insn.flow == Flow::jump_value) {
      for (const i32 to : cases_of(offset)) lead(to);
    }
  }

  // Places near an indirect jump or call where control was seen to go, the nearest first.
  std::vector<i32> seen_near(i32 from) const {
    constexpr i32 kNear = 2048;
    std::vector<i32> near;
    for (const u32 to : seen_) {
      if (std::abs(static_cast<i32>(to) - from) <= kNear) near.push_back(static_cast<i32>(to));
    }
    std::ranges::sort(near, {}, [&](i32 to) { return std::pair(std::abs(to - from), to); });
    near.erase(std::ranges::unique(near).begin(), near.end());
    return near;
  }
  // In order of their addresses.
  std::vector<i32> cases_of(i32 jump) const {
    constexpr size_t kMost = 64;
    std::vector<i32> near = seen_near(jump);
    if (near.size() > kMost) near.resize(kMost);
    std::ranges::sort(near);
    return near;
  }

  // The function at `offset`, if it is one that may be compiled into its callers: small, returns by its link.
  std::optional<Callee> callee_at(i32 offset) const {
    Callee callee;
    if (!executed(offset)) return std::nullopt;
    std::set<i32> met, leaders = {offset};
    std::vector<i32> left = {offset};
    const auto lead = [&](i32 to) {
      if (executed(to) && leaders.insert(to).second) left.push_back(to);
    };
    while (!left.empty()) {
      i32 at = left.back();
      left.pop_back();
      while (met.insert(at).second) {
        const std::optional<Known> insn = read(at);
        if (!insn || insn->flow == Flow::interpret || insn->flow == Flow::system) return std::nullopt;
        if (met.size() > limits_.inlined_instructions) return std::nullopt;
        const Insn& fields = insn->decoded.insn;
        if (info(insn->decoded.op).writes_x() && fields.rd == kLink) callee.link_kept = false;
        if (insn->flow == Flow::ret) {
          if (fields.rs1 != kLink || fields.imm != 0) return std::nullopt;
          callee.returns = true;
        }
        if (insn->flow != Flow::next) {
          for_each_way(at, *insn, lead);
          break;
        }
        at += insn->decoded.length;
      }
    }
    callee.instructions = static_cast<u32>(met.size());
    callee.blocks = static_cast<u32>(leaders.size());
    if (!callee.returns) return std::nullopt;
    return callee;
  }

  // Whether nothing falls through to it: a return or a jump lies before it.
  bool begins_function(i32 offset) const {
    for (const i32 length : {2, 4}) {
      const std::optional<Known> before = read(offset - length);
      if (!before || before->decoded.length != length) continue;
      if (before->flow == Flow::ret || before->flow == Flow::jump || before->flow == Flow::jump_value) return true;
    }
    return false;
  }

  void consider_call(Place call) {
    const Known& insn = known_.at(call);
    if (insn.decoded.insn.rd != kLink || !repeats(call)) return;
    if (insn.flow == Flow::call) {
      const i32 function = target(call.offset, insn);
      if (const std::optional<Callee> callee = callee_at(function);
          callee && may_inline(call.context, function, *callee))
        inline_call(call, function, *callee);
      return;
    }
    constexpr u32 kSmall = 16;
    size_t left = 8;
    for (const i32 function : seen_near(call.offset)) {
      if (left == 0) break;
      if (!begins_function(function)) continue;
      const std::optional<Callee> callee = callee_at(function);
      if (!callee || !callee->link_kept || callee->instructions > kSmall) continue;
      if (!may_inline(call.context, function, *callee)) continue;
      inline_call(call, function, *callee);
      left--;
    }
  }
  // Whether the call lies in a loop of the region, or in what was compiled into one, or calls the region's own entry.
  // Elsewhere inlining costs the engine's compiler more time than it gives.
  bool repeats(Place call) const {
    if (call.context != 0) return true;
    const Known& insn = known_.at(call);
    if (insn.flow == Flow::call && target(call.offset, insn) == entry_) return true;
    std::set<i32> met;
    std::vector<i32> left = {call.offset + insn.decoded.length};
    while (!left.empty()) {
      i32 at = left.back();
      left.pop_back();
      while (met.insert(at).second) {
        const auto found = known_.find({0, at});
        if (found == known_.end()) break;
        if (at == call.offset) return true;
        if (found->second.flow != Flow::next) {
          for_each_way(at, found->second, [&](i32 to) { left.push_back(to); });
          break;
        }
        at += found->second.decoded.length;
      }
    }
    return false;
  }
  bool may_inline(u32 context, i32 function, const Callee& callee) const {
    constexpr u32 kDeepest = 3, kRecursions = 2;
    if (contexts_[context].depth >= kDeepest) return false;
    if (known_.size() + callee.instructions > limits_.instructions || leaders_.size() + callee.blocks > limits_.blocks)
      return false;
    u32 recursions = 0;
    for (u32 at = context;; at = contexts_[at].parent) {
      if (contexts_[at].function == function) recursions++;
      if (at == 0) return recursions <= kRecursions;
    }
  }
  void inline_call(Place call, i32 function, const Callee& callee) {
    const u32 context = static_cast<u32>(contexts_.size());
    contexts_.push_back({.parent = call.context,
                         .back = call.offset + known_.at(call).decoded.length,
                         .function = function,
                         .depth = contexts_[call.context].depth + 1,
                         .link_kept = callee.link_kept});
    inlined_[call].push_back(context);
    explore({context, function});
  }

  void build(Region& region) {
    region_ = &region;
    block_at({0, entry_});
    // Blocks are made as they are met, so the entry is block 0.
    for (u32 i = 0; i < places_.size(); i++) fill(i);
    if (limits_.ways_in) find_ways_in();
  }

  // Behind calls: whoever left a callee for the interpreter comes back there, and all who called the caller behind it.
  // And where indirect jumps go, as others may come there from a part of the switch that is in another region.
  void find_ways_in() {
    std::set<u32> found;
    for (u32 i = 0; i < places_.size(); i++) {
      if (places_[i].context != 0) continue;
      const Terminator& end = region_->blocks[i].end;
      if (calls(region_->blocks[i])) found.insert(end.next);
      if (end.kind == Exit::go_value) found.insert(end.cases.begin(), end.cases.end());
    }
    for (const u32 block : found) {
      if (block != 0 && !region_->blocks[block].guest.empty()) region_->ways_in.push_back(block);
    }
  }

  u32 block_at(Place place) {
    const auto [at, fresh] = numbers_.emplace(place, static_cast<u32>(places_.size()));
    if (fresh) {
      region_->blocks.push_back({.offset = place.offset});
      places_.push_back(place);
    }
    return at->second;
  }

  void fill(u32 number) {
    const Place start = places_[number];
    Place place = start;
    std::vector<GuestInsn> guest;
    Terminator end;
    for (;;) {
      const auto found = known_.find(place);
      if (found == known_.end() || (place != start && leaders_.contains(place))) {
        if (found != known_.end()) {
          end.kind = Exit::jump;
          end.taken = block_at(place);
        } else {
          end.target = place.offset;
          const std::optional<Known> insn = read(place.offset);
          end.kind = insn && insn->flow == Flow::interpret ? Exit::interpret : Exit::go;
          end.cold = end.kind == Exit::go && !executed(place.offset);
        }
        break;
      }
      const Known& insn = found->second;
      guest.push_back({place.offset, insn.bits, insn.decoded.length, static_cast<u16>(insn.decoded.op)});
      if (insn.flow != Flow::next) {
        finish(end, place, insn);
        break;
      }
      place.offset += insn.decoded.length;
    }
    region_->blocks[number].guest = std::move(guest);
    region_->blocks[number].end = std::move(end);
  }

  void finish(Terminator& end, Place last, const Known& insn) {
    const u32 context = last.context;
    const i32 to = target(last.offset, insn);
    const i32 behind = last.offset + insn.decoded.length;
    const auto inlined = inlined_.find(last);
    switch (insn.flow) {
      case Flow::branch:
        end.kind = Exit::branch;
        end.taken = block_at({context, to});
        end.next = block_at({context, behind});
        break;
      case Flow::jump:
        end.kind = Exit::jump;
        end.taken = block_at({context, to});
        break;
      case Flow::call:
        if (inlined != inlined_.end()) {
          end.kind = Exit::jump;
          end.taken = block_at({inlined->second[0], to});
          break;
        }
        end.kind = Exit::call;
        end.target = to;
        end.next = block_at({context, behind});
        break;
      case Flow::jump_value:
        end.kind = Exit::go_value;
        for (const i32 seen : cases_of(last.offset)) {
          if (known_.contains({context, seen})) end.cases.push_back(block_at({context, seen}));
        }
        break;
      case Flow::call_value:
        end.kind = Exit::call_value;
        end.next = block_at({context, behind});
        if (inlined == inlined_.end()) break;
        for (const u32 callee : inlined->second) end.cases.push_back(block_at({callee, contexts_[callee].function}));
        break;
      case Flow::ret: {
        const Context& of = contexts_[context];
        end.kind = Exit::ret;
        if (context == 0) break;
        const u32 back = block_at({of.parent, of.back});
        if (of.link_kept) {
          end.kind = Exit::jump;
          end.taken = back;
        } else {
          end.next = back;
        }
        break;
      }
      case Flow::system: end.kind = Exit::system; break;
      default: break;
    }
  }

  const Window& window_;
  i32 entry_;
  const IsaOptions& isa_;
  const RegionLimits& limits_;
  const SeenTargets& seen_;
  std::vector<Context> contexts_;
  std::map<Place, Known> known_;
  std::set<Place> leaders_;
  std::vector<Place> calls_;                   // by the time they were met
  std::map<Place, std::vector<u32>> inlined_;  // contexts of a call's callees
  std::map<Place, u32> numbers_;
  std::vector<Place> places_;  // of the region's blocks
  Region* region_ = nullptr;
};

}  // namespace

Flow flow_of(const Decoded& decoded) {
  const auto is_link = [](u32 reg) { return reg == 1 || reg == 5; };
  switch (decoded.op) {
    case Op::beq:
    case Op::bne:
    case Op::blt:
    case Op::bge:
    case Op::bltu:
    case Op::bgeu: return Flow::branch;
    case Op::jal: return is_link(decoded.insn.rd) ? Flow::call : Flow::jump;
    case Op::jalr:
      if (is_link(decoded.insn.rd)) return Flow::call_value;
      return is_link(decoded.insn.rs1) ? Flow::ret : Flow::jump_value;
    case Op::ecall:
    case Op::ebreak:
    case Op::mret:
    case Op::sret:
    case Op::wfi:
    case Op::sfence_vma:
    case Op::sinval_vma:
    case Op::sfence_w_inval:
    case Op::sfence_inval_ir:
    case Op::fence_i: return Flow::system;
    case Op::none:
    case Op::amocas_q: return Flow::interpret;
    default: return Flow::next;
  }
}

Region discover(const Window& window, u32 entry, const IsaOptions& isa, const RegionLimits& limits,
                const SeenTargets& seen) {
  return Discovery(window, entry, isa, limits, seen).run();
}

}  // namespace hartwood::jit
