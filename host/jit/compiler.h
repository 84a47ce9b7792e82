// SPDX-License-Identifier: Apache-2.0
// One compiler: takes requests from the registry and makes modules of them. Runs on a worker of its own; there may be
// several over one registry.
#pragma once

#include "isa/isa.h"
#include "jit/region.h"
#include "jit/registry.h"

namespace hartwood::jit {

struct CompilerOptions {
  RegionLimits limits;
  LiftOptions lift;
  u32 module_instructions = 600;  // of a module's regions together
  u32 module_regions = 4;
  // More for one that is made anew with a place that the old one ended at.
  u32 joined_instructions = 300;
  u32 joined_regions = 1;
};

// The passes that can be left out, for tests: a bit each. See Target, RegionLimits and LiftOptions.
enum Pass : u32 {
  kGroupAccesses = 1 << 0,
  kDelayValues = 1 << 1,
  kNarrowWords = 1 << 2,
  kInlineCalls = 1 << 3,
  kTrackRegisters = 1 << 4,
  kInlineFloat = 1 << 5,
  kFoldConstants = 1 << 6,
  kHoistFrames = 1 << 7,
  kStoreAtOnce = 1 << 8,
  kWaysIn = 1 << 9,
};

class Compiler {
 public:
  Compiler(Registry& registry, GuestMemory& memory, const IsaOptions& isa, const Target& target,
           const CompilerOptions& options = {})
      : registry_(registry), memory_(memory), isa_(isa), target_(target), options_(options) {}

  // Compiles what is asked for next; returns the module's id, or 0 when nothing was asked for. Requests that give
  // nothing are skipped.
  u32 compile_next();
  // Of the module that compile_next() made last.
  const std::vector<u8>& bytes() const { return bytes_; }
  void set_passes(u32 passes);
  void set_fused_multiply_add(bool on) { options_.lift.fused_multiply_add = on; }

 private:
  u32 compile(const Request& request, const SeenTargets& seen);
  // The module to be made anew with what is asked for; null: none.
  const Request::Grown* joined(const Window& window, const Request& request, const SeenTargets& seen);

  Registry& registry_;
  GuestMemory& memory_;
  IsaOptions isa_;
  Target target_;
  CompilerOptions options_;
  std::vector<u8> bytes_;
};

// The regions of a module: those of `wanted`, and those that they call, as far as the limits go. Their code is lifted.
// Empty if the first entry's would be.
std::vector<Region> gather_regions(const Window& window, std::vector<u32> wanted, const IsaOptions& isa,
                                   const CompilerOptions& options, const SeenTargets& seen = {});

}  // namespace hartwood::jit
