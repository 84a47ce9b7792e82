// SPDX-License-Identifier: Apache-2.0
// From regions to a WebAssembly module: one function for each region.
#pragma once

#include <vector>

#include "jit/ir.h"

namespace hartwood::jit {

// Where emitted code finds things: byte offsets from the hart's state, which is a function's first parameter.
struct StateLayout {
  u32 x = 0;                                // u64[33]
  u32 f = 0;                                // u64[32]
  u32 budget = 0;                           // i32: instructions left in the slice
  u32 fp_ready = 0;                         // u32: FS is dirty and frm is RNE
  u32 fp_fast = 0;                          // u32: fp_ready, and NX is set
  u32 context = 0;                          // u32: translation context of the jump cache
  u32 jump_cache = 0;                       // u32: address of JumpEntry[kJumpEntries]
  u32 reserved = 0;                         // u8: LR/SC's reservation exists; its size in bytes, u8, lies behind it
  u32 reserved_pa = 0, reserved_value = 0;  // u64
  u32 privilege = 0;                        // u8
  u32 sscratch = 0, sepc = 0, scause = 0, stval = 0;  // u64
  u32 read_table = 0;  // u32: address of the TLB table of the current context; write_table lies behind it
};

// Where the code at a virtual address is, per hart.
struct JumpEntry {
  u64 pc;
  u32 context;
  u32 code;  // CodePlace
};

// A table slot, and from bit kWayShift on the number of the way into the function that is there: 0 for its region's
// entry, else one of Region::ways_in, from 1 on. No code has slot 0.
using CodePlace = u32;
inline constexpr u32 kWayShift = 20;
inline constexpr u32 kSlotMask = (1u << kWayShift) - 1;
inline constexpr u32 kMostWays = (1u << (32 - kWayShift)) - 1;
inline constexpr u32 kJumpEntries = 16384;

// What the machine and the engine are like.
struct Target {
  StateLayout layout;
  u32 ram_base = 0;   // address of guest RAM in linear memory
  u64 ram_bytes = 0;  // a power of two
  bool branch_hints = true;
  bool group_accesses = true;   // one probe for accesses near one base register
  bool hoist_frames = true;     // one probe for accesses near one base register in several blocks
  bool delay_values = true;     // values that are used once are made there, without a local
  bool narrow_words = true;     // what only its low half is used of is computed in 32 bits
  bool track_registers = true;  // only what is needed is loaded, only what has changed is stored
  // Functions whose loops all call something store registers where they are written, not where they are left or call.
  // The engine's compiler takes two thirds of the time for that; but in a loop that calls nothing it would be slower.
  bool store_at_once = true;
};

struct EmittedModule {
  std::vector<u8> bytes;
  u32 instructions = 0;  // guest's
};

// `slot`: table slot of the first region; the others follow. Calls between the regions are direct. Every function has
// the type (state, pc, read table, write table, stack left) -> pc; the stack left, less than 1 << kWayShift bytes, has
// the number of the way in above it. An even result is where the guest goes on; an odd
// one, less one, is the instruction at which the interpreter has to go on, and nothing of it has happened.
EmittedModule lower(const std::vector<Region>& regions, u32 slot, const Target& target);

}  // namespace hartwood::jit
