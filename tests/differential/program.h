// SPDX-License-Identifier: Apache-2.0
// A random guest program: initial registers, constants and memory, and a list of units. A unit is a few
// instructions that stay together (an address and its access, LR and SC); branches go from unit to unit, so
// that a failing program can be reduced by leaving units out. Everything follows from (seed, index, options).
// Single-threaded.
//
// The conventions that make a program end and its accesses hit its own memory:
//   - the base register points into the program's slot and is never a destination;
//   - branches go forward, except at the end of a loop, whose counter nothing else in the loop writes;
//   - an LR is followed by its SC, without another memory access between them;
//   - at level user nothing traps: reserved rounding modes are not used and never stay in frm, atomics are
//   aligned.
#pragma once

#include <string>
#include <vector>

#include "differential/values.h"
#include "isa/isa.h"

namespace hartwood::differential {

enum class Level : u8 {
  user,     // unprivileged and without traps: also for references that emulate processes
  machine,  // M-, S- and U-mode programs below a handler that records traps and goes on behind them
};

// The slot of a program in the output, in bytes. A multiple of 64, so that cbo.zero stays in `scratch`.
namespace slot {
inline constexpr u32 kScratch = 0, kScratchBytes = 512;
inline constexpr u32 kConstants = kScratch + kScratchBytes, kConstantCount = 48;
inline constexpr u32 kX = kConstants + 8 * kConstantCount;
inline constexpr u32 kF = kX + 8 * 32;
inline constexpr u32 kFcsr = kF + 8 * 32;
inline constexpr u32 kTraps = kFcsr + 8;                                                   // how many
inline constexpr u32 kTrapHash = kTraps + 8;                                               // of all of them
inline constexpr u32 kTrapLog = kTrapHash + 8, kTrapLogEntries = 9, kTrapEntryBytes = 24;  // cause, tval, epc
inline constexpr u32 kBytes = 1664;
static_assert(kBytes >= kTrapLog + kTrapLogEntries * kTrapEntryBytes && kBytes % 64 == 0);
}  // namespace slot

// Constants with a fixed meaning.
inline constexpr u32 kConstantPatch = 45, kConstantMode = 46, kConstantMagic = 47;
// What a7 holds in the runtime's own environment calls.
inline constexpr u64 kMagic = 0x6861'7274'776f'6f64;

// One instruction. What refers to another unit, or to an earlier item of its own, is filled in by lay_out().
struct Item {
  enum class Fix : u8 {
    none,
    branch,             // to the unit's target
    jump,               // jal
    compressed_branch,  // c.beqz, c.bnez
    compressed_jump,    // c.j
    from_auipc,         // an I-type immediate: the target's distance from item `other`, plus `low`
    to_item,            // an S-type immediate: the distance of item `low` from item `other`
  };
  u32 bits = 0;
  u8 length = 4;
  Fix fix = Fix::none;
  u8 other = 0;
  u8 low = 0;
};

struct Unit {
  std::vector<Item> items;
  i32 target = -1;  // unit that a branch goes to; units.size() is the end
  u32 loop = 0;     // inside of which loop; 0 none
  i32 needs = -1;   // left out together with this unit
};

struct Program {
  u64 index = 0;
  u32 base_register = 0;
  i32 base_offset = 0;  // where in the slot it points
  u32 mode = 0;         // Level::machine: 0 U, 1 S, 3 M
  u64 x[32] = {}, f[32] = {};
  u64 fcsr = 0;
  u64 constants[slot::kConstantCount] = {};
  u64 scratch[slot::kScratchBytes / 8] = {};
  std::vector<Unit> units;
};

struct ProgramOptions {
  u64 seed = 1;
  Level level = Level::user;
  IsaOptions isa;  // only enabled extensions are used
};

Program make_program(const ProgramOptions& options, u64 index);

// The instructions of all units but those in `dropped`, with branches resolved; `starts` receives the offset
// in bytes of each unit and of the end. Branches to dropped units go to the next one that is there.
std::vector<u16> lay_out(const Program& program, const std::vector<bool>& dropped, std::vector<u32>& starts);

}  // namespace hartwood::differential
