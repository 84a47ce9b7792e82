// SPDX-License-Identifier: Apache-2.0
#include "jit/frames.h"

#include <algorithm>

#include "base/bits.h"
#include "jit/function_lowering.h"

namespace hartwood::jit {
namespace {

constexpr i32 kMostBytes = 256;      // a frame that lies across two pages is not found
constexpr i32 kMostDistance = 4096;  // of the base register from the origin
constexpr u64 kLook = 7,
              kOpen = 12;  // operations that a look into the TLB costs more than one at the frame; an opening

// Each loop around a place makes it eight times as frequent.
u64 weight(const FlowGraph& graph, u32 block) { return u64{1} << 3 * std::min(graph.node(block).depth, 5u); }

class Finder {
 public:
  Finder(const Region& region, const FlowGraph& graph, const std::vector<std::vector<AddressFacts>>& facts)
      : region_(region), graph_(graph), facts_(facts) {}

  // What the frame of this register would save, in operations; fills it in.
  i64 find(Frame& frame) {
    find_distances(frame);
    find_range(frame);
    if (frame.range.empty()) return 0;
    find_live(frame);
    return saved(frame) - cost(frame);
  }

 private:
  template <class Visit>
  void blocks(Visit&& visit) const {
    for (const u32 n : graph_.order()) {
      if (graph_.node(n).kind == FlowNode::Kind::block) visit(graph_.node(n).block);
    }
  }

  void find_distances(Frame& frame) const {
    const size_t count = region_.blocks.size();
    frame.distance.assign(count, std::nullopt);
    std::vector<bool> met(count);
    frame.distance[0] = 0;
    met[0] = true;
    for (bool changed = true; changed;) {
      changed = false;
      blocks([&](u32 b) {
        if (!met[b]) return;
        std::optional<i32> at = frame.distance[b];
        for (const AddressFacts& each : facts_[b]) frame.step(each, at);
        for (const u32 to : successors(region_.blocks[b])) {
          const bool opens = calls(region_.blocks[b]) && to == region_.blocks[b].end.next;
          const std::optional<i32> there = opens ? at.value_or(0) : at;
          if (!met[to]) {
            met[to] = changed = true;
            frame.distance[to] = there;
          } else if (frame.distance[to] && frame.distance[to] != there) {
            frame.distance[to] = std::nullopt;
            changed = true;
          }
        }
      });
    }
  }

  // The most frequent accesses first.
  void find_range(Frame& frame) const {
    struct Candidate {
      u64 weight;
      PlainAccess access;
    };
    std::vector<Candidate> candidates;
    blocks([&](u32 b) {
      std::optional<i32> at = frame.distance[b];
      for (const AddressFacts& each : facts_[b]) {
        if (each.access && each.access->base == frame.base && at) {
          candidates.push_back({weight(graph_, b), *each.access});
          candidates.back().access.offset += *at;
        }
        frame.step(each, at);
      }
    });
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
    std::vector<PlainAccess> accesses;
    for (const Candidate& each : candidates) {
      if (frame.range.add(each.access, kMostBytes, accesses)) accesses.push_back(each.access);
    }
  }

  void find_live(Frame& frame) const {
    frame.live.assign(region_.blocks.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (auto n = graph_.order().rbegin(); n != graph_.order().rend(); ++n) {
        if (graph_.node(*n).kind != FlowNode::Kind::block) continue;
        const u32 b = graph_.node(*n).block;
        const bool live = live_at(frame, b, 0);
        changed |= live != frame.live[b];
        frame.live[b] = live;
      }
    }
  }

  // Whether the frame is used, before it is opened again, by instruction `first` of the block or behind that.
  bool live_at(const Frame& frame, u32 b, u32 first) const {
    std::optional<i32> at = frame.distance[b];
    for (u32 i = 0; i < facts_[b].size(); i++) {
      if (i >= first && frame.member(facts_[b][i], at)) return true;
      if (frame.step(facts_[b][i], at) && i >= first) return false;
    }
    const Block& block = region_.blocks[b];
    return std::ranges::any_of(successors(block),
                               [&](u32 to) { return !(calls(block) && to == block.end.next) && frame.live[to]; });
  }

  // Looks that the frame's accesses would take without it: one for all between two writes of the base register.
  i64 saved(const Frame& frame) const {
    u64 result = 0;
    blocks([&](u32 b) {
      std::optional<i32> at = frame.distance[b];
      bool looked = false;
      for (const AddressFacts& each : facts_[b]) {
        if (!looked && frame.member(each, at)) {
          looked = true;
          result += kLook * weight(graph_, b);
        }
        frame.step(each, at);
        if (bit(each.written, frame.base) || each.ends) looked = false;
      }
    });
    return static_cast<i64>(result);
  }

  i64 cost(const Frame& frame) const {
    u64 result = frame.live[0] ? kOpen : 0;
    blocks([&](u32 b) {
      std::optional<i32> at = frame.distance[b];
      for (u32 i = 0; i < facts_[b].size(); i++) {
        if (frame.step(facts_[b][i], at) && live_at(frame, b, i + 1)) result += kOpen * weight(graph_, b);
      }
      const Block& block = region_.blocks[b];
      if (calls(block) && frame.live[block.end.next]) result += kOpen * weight(graph_, b);
    });
    return static_cast<i64>(result);
  }

  const Region& region_;
  const FlowGraph& graph_;
  const std::vector<std::vector<AddressFacts>>& facts_;
};

}  // namespace

bool AccessRange::add(const PlainAccess& access, i32 most, const std::vector<PlainAccess>& others) {
  const bool first = empty();
  AccessRange fresh = *this;
  fresh.low = first ? access.offset : std::min(low, access.offset);
  fresh.high = first ? access.offset + access.size : std::max(high, access.offset + access.size);
  fresh.largest = std::max(largest, access.size);
  fresh.store |= access.store;
  if (fresh.high - fresh.low > most || !fresh.covers(access)) return false;
  if (!std::ranges::all_of(others, [&](const PlainAccess& each) { return fresh.covers(each); })) return false;
  *this = fresh;
  return true;
}

bool AccessRange::covers(const PlainAccess& access) const {
  return access.offset >= low && access.offset + access.size <= high && (access.offset - low) % access.size == 0 &&
         access.size <= largest && (store || !access.store);
}

std::vector<AddressFacts> address_facts(const Block& block) {
  std::vector<AddressFacts> result(block.count());
  IsaOptions all;
  all.enabled = ~u32{0};
  for (u32 i = 0; i < block.count(); i++) {
    const Decoded decoded = decode(block.guest[i].bits, all);
    AddressFacts& facts = result[i];
    facts.access = hartwood::plain_access(decoded);
    if (facts.access && facts.access->base == 0) facts.access.reset();
    facts.written = operands_of(block.guest[i]).written.x;
    if (decoded.op == Op::addi && decoded.insn.rd == decoded.insn.rs1 && decoded.insn.rd != 0)
      facts.addend = decoded.insn.imm;
  }
  for (const Inst& inst : block.code) {
    if (inst.op == Ir::execute && operands_of(block.guest[inst.guest]).is_csr) result[inst.guest].ends = true;
  }
  return result;
}

bool Frame::step(const AddressFacts& facts, std::optional<i32>& at) const {
  if (bit(facts.written, base)) {
    if (!facts.addend) {
      at = 0;
      return true;
    }
    if (!at) return false;
    *at += *facts.addend;
    if (*at < -kMostDistance || *at > kMostDistance) {
      at = 0;
      return true;
    }
  } else if (facts.ends) {
    if (!at) at = 0;
    return true;
  }
  return false;
}

std::optional<PlainAccess> Frame::member(const AddressFacts& facts, const std::optional<i32>& at) const {
  if (!facts.access || facts.access->base != base || !at) return std::nullopt;
  PlainAccess seen = *facts.access;
  seen.offset += *at;
  if (!range.covers(seen)) return std::nullopt;
  return seen;
}

std::vector<Frame> find_frames(const Region& region, const FlowGraph& graph,
                               const std::vector<std::vector<AddressFacts>>& facts) {
  constexpr size_t kMost = 2;
  u32 bases = 0;
  for (const std::vector<AddressFacts>& block : facts) {
    for (const AddressFacts& each : block) {
      if (each.access) bases |= 1u << each.access->base;
    }
  }
  struct Found {
    i64 gain;
    Frame frame;
  };
  std::vector<Found> found;
  for (u32 base = 1; base < 32; base++) {
    if (!bit(bases, base)) continue;
    Frame frame{.base = base};
    const i64 gain = Finder(region, graph, facts).find(frame);
    if (gain > 0) found.push_back({gain, std::move(frame)});
  }
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.gain > b.gain; });
  std::vector<Frame> result;
  for (Found& each : found) {
    if (result.size() < kMost) result.push_back(std::move(each.frame));
  }
  return result;
}

}  // namespace hartwood::jit
