// SPDX-License-Identifier: Apache-2.0
// The shape of a region for structured control flow: reverse postorder, dominators, loop headers, merge points. Regions
// with loops of several entries are made reducible first: such a loop gets a dispatch node as its only header, and
// every edge to one of its entries goes through a select node, which says to the dispatcher where to go.
//
// A call goes on at a landing, where the function's locals are made from memory again. A region with more ways in than
// its first block begins with a node that chooses among them; each leads to a landing too, behind a call to that
// call's.
//
// From this the emission is the one of "Beyond Relooper" (Ramsey): a node's dominator children that are merge points
// are placed behind blocks that end where they begin; the others are emitted where control first reaches them.
#pragma once

#include <vector>

#include "jit/ir.h"

namespace hartwood::jit {

struct FlowNode {
  enum class Kind : u8 { block, dispatch, select, begin, way_in, landing };
  Kind kind = Kind::block;
  u32 block = 0;          // of the region; way_in, landing: where it leads to
  u32 route = 0;          // select: what the dispatcher finds
  std::vector<u32> next;  // block: parallel to successors(); dispatch: by route; begin: by the number of the way in
  std::vector<u32> before;
  u32 order = 0;  // reverse postorder
  u32 dominator = 0;
  bool loop = false;        // some edge comes from further down
  u32 depth = 0;            // loops that it is in, its own included
  bool merge = false;       // must be reached by a label
  std::vector<u32> merges;  // merge points that it dominates immediately, by falling order
};

class FlowGraph {
 public:
  explicit FlowGraph(const Region& region);
  const FlowNode& node(u32 number) const { return nodes_[number]; }
  u32 size() const { return static_cast<u32>(nodes_.size()); }
  // The node that the edge from `block` to its successor `to` leads to.
  u32 edge(u32 from, u32 to) const;
  // Nodes in reverse postorder; unreachable ones are left out.
  const std::vector<u32>& order() const { return order_; }
  bool has_dispatch() const { return has_dispatch_; }
  // Whether some loop calls nothing, or the region calls itself.
  bool has_tight_loop() const { return has_tight_loop_; }
  u32 begin() const { return begin_; }

 private:
  u32 add(FlowNode node);
  void add_landings();
  void make_reducible(const std::vector<u32>& among);
  void number();
  void find_dominators();
  void mark();
  void find_depths();

  const Region& region_;
  std::vector<FlowNode> nodes_;
  std::vector<std::vector<u32>> targets_;  // of block nodes: successors(), in the order of `next`
  std::vector<u32> order_;
  u32 begin_ = 0;
  bool has_dispatch_ = false, has_tight_loop_ = false;
};

}  // namespace hartwood::jit
