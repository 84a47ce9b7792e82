// SPDX-License-Identifier: Apache-2.0
#include "jit/flow_graph.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace hartwood::jit {
namespace {

// Strongly connected components of the nodes of `among`, by Tarjan's algorithm.
class Components {
 public:
  Components(const std::vector<FlowNode>& nodes, const std::vector<u32>& among)
      : nodes_(nodes), index_(nodes.size(), kOutside), low_(nodes.size()), on_stack_(nodes.size()) {
    for (const u32 n : among) index_[n] = kNew;
    for (const u32 n : among) {
      if (index_[n] == kNew) visit(n);
    }
  }
  std::vector<std::vector<u32>> found;

 private:
  static constexpr u32 kOutside = ~u32{0}, kNew = ~u32{0} - 1;
  void visit(u32 n) {
    index_[n] = low_[n] = counter_++;
    stack_.push_back(n);
    on_stack_[n] = true;
    for (const u32 m : nodes_[n].next) {
      if (index_[m] == kOutside) continue;
      if (index_[m] == kNew) {
        visit(m);
        low_[n] = std::min(low_[n], low_[m]);
      } else if (on_stack_[m]) {
        low_[n] = std::min(low_[n], index_[m]);
      }
    }
    if (low_[n] != index_[n]) return;
    std::vector<u32> component;
    u32 m;
    do {
      m = stack_.back();
      stack_.pop_back();
      on_stack_[m] = false;
      component.push_back(m);
    } while (m != n);
    found.push_back(std::move(component));
  }

  const std::vector<FlowNode>& nodes_;
  std::vector<u32> index_, low_;
  std::vector<bool> on_stack_;
  std::vector<u32> stack_;
  u32 counter_ = 0;
};

}  // namespace

FlowGraph::FlowGraph(const Region& region) : region_(region) {
  nodes_.resize(region.blocks.size());
  targets_.resize(region.blocks.size());
  for (u32 i = 0; i < region.blocks.size(); i++) {
    nodes_[i].block = i;
    nodes_[i].next = targets_[i] = successors(region.blocks[i]);
  }
  add_landings();
  std::vector<u32> all(nodes_.size());
  std::iota(all.begin(), all.end(), 0);
  make_reducible(all);
  number();
  find_dominators();
  mark();
  find_depths();
}

u32 FlowGraph::add(FlowNode node) {
  nodes_.push_back(std::move(node));
  return size() - 1;
}

void FlowGraph::add_landings() {
  std::map<u32, u32> landings;  // by block
  const auto landing_at = [&](u32 block) {
    const auto [at, fresh] = landings.emplace(block, size());
    if (fresh) add({.kind = FlowNode::Kind::landing, .block = block, .next = {block}});
    return at->second;
  };
  for (u32 i = 0; i < region_.blocks.size(); i++) {
    if (!calls(region_.blocks[i])) continue;
    const u32 back = region_.blocks[i].end.next;
    const u32 landing = landing_at(back);  // which may move the nodes
    std::ranges::replace(nodes_[i].next, back, landing);
  }
  if (region_.ways_in.empty()) return;
  std::vector<u32> ways = {0};
  for (const u32 block : region_.ways_in) {
    const u32 landing = landing_at(block);
    ways.push_back(add({.kind = FlowNode::Kind::way_in, .block = block, .next = {landing}}));
  }
  begin_ = add({.kind = FlowNode::Kind::begin, .next = ways});
}

u32 FlowGraph::edge(u32 from, u32 to) const {
  for (size_t i = 0; i < targets_[from].size(); i++) {
    if (targets_[from][i] == to) return nodes_[from].next[i];
  }
  HW_CHECK(false, "no such edge");
  return 0;
}

void FlowGraph::make_reducible(const std::vector<u32>& among) {
  for (std::vector<u32>& component : Components(nodes_, among).found) {
    if (component.size() == 1) continue;
    const auto inside = [&](u32 n) { return std::find(component.begin(), component.end(), n) != component.end(); };
    std::vector<u32> heads;
    for (u32 n = 0; n < nodes_.size(); n++) {
      for (const u32 m : nodes_[n].next) {
        if (!inside(n) && inside(m) && std::find(heads.begin(), heads.end(), m) == heads.end()) heads.push_back(m);
      }
    }
    if (inside(begin_) && std::find(heads.begin(), heads.end(), begin_) == heads.end()) heads.push_back(begin_);
    std::sort(heads.begin(), heads.end());
    if (heads.empty()) continue;  // not reachable
    u32 head = heads[0];
    // Where the function begins cannot be reached through a dispatcher only. If a loop has block 0 and that is the
    // begin, it stays the loop's header; the other entries are then entries of an inner component, or reached from it.
    if (heads.size() > 1) {
      has_dispatch_ = true;
      const u32 dispatch = add({.kind = FlowNode::Kind::dispatch, .next = heads});
      const size_t known = nodes_.size() - 1;
      for (u32 n = 0; n < known; n++) {
        for (size_t i = 0; i < nodes_[n].next.size(); i++) {
          const auto at = std::find(heads.begin(), heads.end(), nodes_[n].next[i]);
          if (at == heads.end()) continue;
          const u32 select =
              add({.kind = FlowNode::Kind::select, .route = static_cast<u32>(at - heads.begin()), .next = {dispatch}});
          nodes_[n].next[i] = select;
          if (inside(n)) component.push_back(select);
        }
      }
      component.push_back(dispatch);
      head = dispatch;
    }
    std::vector<u32> rest;
    for (const u32 n : component) {
      if (n != head) rest.push_back(n);
    }
    make_reducible(rest);
  }
}

void FlowGraph::number() {
  std::vector<u32> post;
  std::vector<bool> seen(nodes_.size());
  // Depth first with an explicit stack: node and the next successor to look at.
  std::vector<std::pair<u32, size_t>> stack = {{begin_, 0}};
  seen[begin_] = true;
  while (!stack.empty()) {
    auto& [n, at] = stack.back();
    if (at < nodes_[n].next.size()) {
      const u32 m = nodes_[n].next[nodes_[n].next.size() - 1 - at++];
      if (!seen[m]) {
        seen[m] = true;
        stack.push_back({m, 0});
      }
    } else {
      post.push_back(n);
      stack.pop_back();
    }
  }
  order_.assign(post.rbegin(), post.rend());
  for (u32 i = 0; i < order_.size(); i++) nodes_[order_[i]].order = i;
  for (const u32 n : order_) {
    for (const u32 m : nodes_[n].next) {
      std::vector<u32>& before = nodes_[m].before;
      if (std::find(before.begin(), before.end(), n) == before.end()) before.push_back(n);
    }
  }
}

// "A Simple, Fast Dominance Algorithm" (Cooper, Harvey, Kennedy).
void FlowGraph::find_dominators() {
  constexpr u32 kNone = ~u32{0};
  std::vector<u32> dominator(nodes_.size(), kNone);
  dominator[begin_] = begin_;
  for (bool changed = true; changed;) {
    changed = false;
    for (const u32 n : order_) {
      if (n == begin_) continue;
      u32 found = kNone;
      for (const u32 p : nodes_[n].before) {
        if (dominator[p] == kNone) continue;
        u32 x = p, y = found;
        if (found == kNone) {
          found = p;
          continue;
        }
        while (x != y) {
          while (nodes_[x].order > nodes_[y].order) x = dominator[x];
          while (nodes_[y].order > nodes_[x].order) y = dominator[y];
        }
        found = x;
      }
      if (dominator[n] != found) {
        dominator[n] = found;
        changed = true;
      }
    }
  }
  for (const u32 n : order_) nodes_[n].dominator = dominator[n];
}

void FlowGraph::mark() {
  for (const u32 n : order_) {
    u32 forward = 0;
    for (const u32 p : nodes_[n].before) {
      if (nodes_[p].order >= nodes_[n].order)
        nodes_[n].loop = true;
      else
        forward++;
    }
    if (forward >= 2) nodes_[n].merge = true;
  }
  for (const u32 n : order_) {
    const bool table = nodes_[n].kind == FlowNode::Kind::dispatch || nodes_[n].kind == FlowNode::Kind::begin ||
                       (nodes_[n].kind == FlowNode::Kind::block && !region_.blocks[nodes_[n].block].end.cases.empty());
    if (!table) continue;
    for (const u32 m : nodes_[n].next) {
      if (nodes_[m].order > nodes_[n].order) nodes_[m].merge = true;
    }
  }
  for (const u32 n : order_) {
    if (n != begin_ && nodes_[n].merge) nodes_[nodes_[n].dominator].merges.push_back(n);
  }
  for (const u32 n : order_) {
    std::sort(nodes_[n].merges.begin(), nodes_[n].merges.end(),
              [&](u32 a, u32 b) { return nodes_[a].order > nodes_[b].order; });
  }
}

void FlowGraph::find_depths() {
  for (const Block& block : region_.blocks)
    has_tight_loop_ |= block.end.kind == Exit::call && block.end.target == static_cast<i32>(region_.entry);
  for (const u32 head : order_) {
    if (!nodes_[head].loop) continue;
    std::vector<bool> inside(nodes_.size());
    inside[head] = true;
    std::vector<u32> left;
    for (const u32 p : nodes_[head].before) {
      if (nodes_[p].order >= nodes_[head].order) left.push_back(p);
    }
    while (!left.empty()) {
      const u32 n = left.back();
      left.pop_back();
      if (inside[n]) continue;
      inside[n] = true;
      for (const u32 p : nodes_[n].before) left.push_back(p);
    }
    bool tight = true;
    for (u32 n = 0; n < nodes_.size(); n++) {
      if (!inside[n]) continue;
      nodes_[n].depth++;
      tight &= nodes_[n].kind != FlowNode::Kind::block || !calls(region_.blocks[nodes_[n].block]);
    }
    has_tight_loop_ |= tight;
  }
}

}  // namespace hartwood::jit
