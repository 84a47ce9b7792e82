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

class Discovery {
 public:
  Discovery(const Window& window, u32 entry, const IsaOptions& isa, const RegionLimits& limits, const SeenTargets& seen)
      : window_(window), entry_(static_cast<i32>(entry)), isa_(isa), limits_(limits), seen_(seen) {}

  Region run() {
    explore();
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
    return Known{decoded, bits, flow_of(decoded)};
  }
  bool executed(i32 offset) const { return window_.executed(static_cast<u32>(offset)); }
  // Where a direct transfer goes; may be outside of the window.
  static i32 target(i32 offset, const Known& insn) { return offset + insn.decoded.insn.imm; }

  // Breadth first, so that what is near the entry is in when the limit is reached.
  void explore() {
    std::deque<i32> queue = {entry_};
    leaders_.insert(entry_);
    const auto lead = [&](i32 offset) {
      if (!executed(offset)) return;
      if (leaders_.insert(offset).second) queue.push_back(offset);
    };
    while (!queue.empty() && known_.size() < limits_.instructions && leaders_.size() < limits_.blocks) {
      i32 offset = queue.front();
      queue.pop_front();
      while (!known_.contains(offset) && known_.size() < limits_.instructions) {
        const std::optional<Known> insn = read(offset);
        if (!insn || insn->flow == Flow::interpret) break;
        known_.emplace(offset, *insn);
        const i32 behind = offset + insn->decoded.length;
        if (insn->flow == Flow::next) {
          offset = behind;
          if (leaders_.contains(offset)) break;
          continue;
        }
        if (insn->flow == Flow::branch || insn->flow == Flow::jump) lead(target(offset, *insn));
        if (insn->flow == Flow::branch || insn->flow == Flow::call || insn->flow == Flow::call_value) lead(behind);
        if (insn->flow == Flow::jump_value) {
          for (const i32 to : cases_of(offset)) lead(to);
        }
        break;
      }
    }
  }

  // The nearest ones, in order.
  std::vector<i32> cases_of(i32 jump) const {
    constexpr i32 kNear = 2048;
    constexpr size_t kMost = 64;
    std::vector<i32> near;
    for (const u32 to : seen_) {
      if (std::abs(static_cast<i32>(to) - jump) <= kNear) near.push_back(static_cast<i32>(to));
    }
    std::sort(near.begin(), near.end(), [&](i32 a, i32 b) { return std::abs(a - jump) < std::abs(b - jump); });
    if (near.size() > kMost) near.resize(kMost);
    std::sort(near.begin(), near.end());
    return near;
  }

  void build(Region& region) {
    region_ = &region;
    block_at(entry_);
    // Blocks are made as they are met, so the entry is block 0.
    for (u32 i = 0; i < region.blocks.size(); i++) fill(i);
  }

  u32 block_at(i32 offset) {
    const auto [at, fresh] = numbers_.emplace(offset, static_cast<u32>(region_->blocks.size()));
    if (fresh) region_->blocks.push_back({.offset = offset});
    return at->second;
  }

  void fill(u32 number) {
    const i32 start = region_->blocks[number].offset;
    i32 offset = start;
    std::vector<GuestInsn> guest;
    Terminator end;
    for (;;) {
      const auto found = known_.find(offset);
      if (found == known_.end() || (offset != start && leaders_.contains(offset))) {
        if (found != known_.end()) {
          end.kind = Exit::jump;
          end.taken = block_at(offset);
        } else {
          end.target = offset;
          const std::optional<Known> insn = read(offset);
          end.kind = insn && insn->flow == Flow::interpret ? Exit::interpret : Exit::go;
          end.cold = end.kind == Exit::go && !executed(offset);
        }
        break;
      }
      const Known& insn = found->second;
      guest.push_back({offset, insn.bits, insn.decoded.length, static_cast<u16>(insn.decoded.op)});
      const i32 behind = offset + insn.decoded.length;
      if (insn.flow == Flow::next) {
        offset = behind;
        continue;
      }
      const i32 to = target(offset, insn);
      switch (insn.flow) {
        case Flow::branch:
          end.kind = Exit::branch;
          end.taken = block_at(to);
          end.next = block_at(behind);
          break;
        case Flow::jump:
          end.kind = Exit::jump;
          end.taken = block_at(to);
          break;
        case Flow::call:
          end.kind = Exit::call;
          end.target = to;
          end.next = block_at(behind);
          break;
        case Flow::jump_value:
          end.kind = Exit::go_value;
          for (const i32 seen : cases_of(offset)) {
            if (known_.contains(seen)) end.cases.push_back(block_at(seen));
          }
          break;
        case Flow::call_value:
          end.kind = Exit::call_value;
          end.next = block_at(behind);
          break;
        case Flow::ret: end.kind = Exit::ret; break;
        default: break;
      }
      break;
    }
    region_->blocks[number].guest = std::move(guest);
    region_->blocks[number].end = std::move(end);
  }

  const Window& window_;
  i32 entry_;
  const IsaOptions& isa_;
  const RegionLimits& limits_;
  const SeenTargets& seen_;
  std::map<i32, Known> known_;
  std::set<i32> leaders_;
  std::map<i32, u32> numbers_;
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
    case Op::none:
    case Op::ecall:
    case Op::ebreak:
    case Op::mret:
    case Op::sret:
    case Op::wfi:
    case Op::sfence_vma:
    case Op::sinval_vma:
    case Op::sfence_w_inval:
    case Op::sfence_inval_ir:
    case Op::fence_i:
    case Op::amocas_q: return Flow::interpret;
    default: return Flow::next;
  }
}

Region discover(const Window& window, u32 entry, const IsaOptions& isa, const RegionLimits& limits,
                const SeenTargets& seen) {
  return Discovery(window, entry, isa, limits, seen).run();
}

}  // namespace hartwood::jit
