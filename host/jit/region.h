// SPDX-License-Identifier: Apache-2.0
// Region discovery: which guest instructions are compiled together. From an entry, control is followed through branches
// and direct jumps, and past calls to their return points, until it leaves the window or the region is large enough.
// What lies beyond is reached by leaving the region.
//
// A region can be entered at its first block, behind its calls and at the cases of its switches. Whoever has left a
// callee for the interpreter, by a fault, an interrupt or a place without code, has lost the compiled frames of all its
// callers: each of them goes on where its call returns to, and would be interpreted to its end without a way in there.
//
// Small functions are compiled into the loops that call them and into themselves, as far as there is room: a call of
// our own costs registers that go through memory twice. A block then belongs to a call site, and an instruction may be
// in several blocks. Where nothing in such a function writes the link register, its returns are jumps; else they
// compare.
#pragma once

#include "isa/isa.h"
#include "jit/ir.h"
#include "jit/window.h"

namespace hartwood::jit {

struct RegionLimits {
  u32 instructions = 400;  // TurboFan's time grows faster than a function's size
  u32 blocks = 200;
  bool inline_calls = true;
  bool ways_in = true;            // a region can be entered behind its calls and at its switches' cases too
  u32 inlined_instructions = 40;  // of one call
};

// How an instruction passes control on.
enum class Flow : u8 {
  next,        // to the one behind it
  branch,      // there or to the one behind it
  jump,        // a direct jump without link
  call,        // a direct jump with link
  jump_value,  // an indirect jump
  call_value,
  ret,        // an indirect jump by the link register
  system,     // the hart executes it, and nothing that was known before holds behind it: traps, returns, fences
  interpret,  // not for compiled code
};
Flow flow_of(const Decoded& decoded);

// Offsets that control was seen to come to by indirect jumps and calls. Those near an indirect jump that is no call and
// no return are taken for its targets (a switch's cases): it goes there inside the region; the others it reaches as any
// code outside.
using SeenTargets = std::vector<u32>;

// Blocks with their guest instructions and terminators, without code: lift() adds it. `entry` has a present page. Empty
// if the first instruction is not for compiled code.
Region discover(const Window& window, u32 entry, const IsaOptions& isa, const RegionLimits& limits,
                const SeenTargets& seen = {});

struct LiftOptions {
  bool fused_multiply_add = false;  // the engine has it
  bool inline_float = true;         // arithmetic by the engine's own, where that is exact
  bool fold_constants = true;
};

// Fills in the blocks' code.
void lift(Region& region, const IsaOptions& isa, const LiftOptions& options);

}  // namespace hartwood::jit
