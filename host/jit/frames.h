// SPDX-License-Identifier: Apache-2.0
// Frames: memory near one register that a region goes back to again and again, as a function's locals near `sp`. One
// look into the TLB finds a frame's place in RAM; its accesses in all blocks then need no more than a look at whether
// it was found.
//
// An access belongs to a frame by its distance from the frame's origin, the address that was in the base register when
// the frame was opened. The distance is known where the register has only been moved by constants since then, and by
// the same on every way. So `addi sp,sp,-48` moves the distance and keeps the frame.
//
// A frame is opened, by a look into the TLB, where the region is entered, behind calls, behind writes to the base
// register and behind CSR instructions that may have changed the TLB's tables; each time only if it is used before the
// next such place. What a callee did to the base register does not matter: the origin is where the register says.
// Nothing else takes away an entry's translation inside a region (see lower_spans.cpp).
//
// A frame is worth while if it saves more looks than it costs. Both are weighed by the loops they are in.
#pragma once

#include <optional>
#include <vector>

#include "isa/plain_access.h"
#include "jit/flow_graph.h"

namespace hartwood::jit {

// A piece of memory near a register, and what is accessed there. Offsets are in bytes from the register or the origin.
struct AccessRange {
  i32 low = 0, high = 0;  // the first byte, and the one behind the last
  u8 largest = 1;         // size of an access; `low` is tested for its alignment
  bool store = false;
  bool empty() const { return low == high; }
  // Extends it. False: it would have more than `most` bytes, or one's alignment would not follow from that of `low`.
  bool add(const PlainAccess& access, i32 most, const std::vector<PlainAccess>& others);
  bool covers(const PlainAccess& access) const;
};

// What matters about a guest instruction for an address that is kept.
struct AddressFacts {
  std::optional<PlainAccess> access;
  u32 written = 0;            // integer registers, a bit each
  std::optional<i32> addend;  // it adds this to the register that it writes
  bool ends = false;          // the TLB's tables may be others behind it
};
std::vector<AddressFacts> address_facts(const Block& block);

struct Frame {
  u32 base = 0;  // register
  AccessRange range;
  // By block, at its begin: how far the base register is from the origin, where that is known; and whether the frame is
  // used before it is opened again.
  std::vector<std::optional<i32>> distance;
  std::vector<bool> live;

  // Behind the instruction; true if the frame has to be opened there, which may be at any distance.
  bool step(const AddressFacts& facts, std::optional<i32>& at) const;
  // The access as seen from the origin, if it is one of the frame's.
  std::optional<PlainAccess> member(const AddressFacts& facts, const std::optional<i32>& at) const;
};

// Those that are worth while, two at most. `facts` by block.
std::vector<Frame> find_frames(const Region& region, const FlowGraph& graph,
                               const std::vector<std::vector<AddressFacts>>& facts);

}  // namespace hartwood::jit
