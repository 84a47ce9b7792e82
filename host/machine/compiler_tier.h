// SPDX-License-Identifier: Apache-2.0
// The compiler tier of one machine: the registry of compiled modules, each hart's view of it, and one compiler.
#pragma once

#include <memory>
#include <vector>

#include "jit/compiler.h"
#include "jit/hart_code.h"

namespace hartwood {

class CompilerTier {
 public:
  // `first_slot`: the first of jit::kTableSlots slots of the function table. The harts come after.
  CompilerTier(GuestMemory& memory, u32 harts, const IsaOptions& isa, u32 first_slot, CompilerStatistics& statistics)
      : registry_(memory, harts, first_slot, statistics), compiler_(registry_, memory, isa, target_of(memory)) {}

  // A place is compiled after `visits` times Hart::kCold jumps to it, when some hart has executed `after` instructions;
  // `eager`: at once, whatever it is; for tests.
  void add_hart(Hart& hart, u32 visits, u64 after, bool eager) {
    harts_.push_back(
        std::make_unique<jit::HartCode>(hart, registry_, eager ? 1 : visits * Hart::kCold, eager ? 0 : after));
    hart.use_translated(harts_.back().get(), eager ? 1 : Hart::kCold);
  }
  jit::HartCode& hart(u32 index) { return *harts_[index]; }
  u32 harts() const { return static_cast<u32>(harts_.size()); }
  jit::Registry& registry() { return registry_; }
  jit::Compiler& compiler() { return compiler_; }

  static jit::Target target_of(GuestMemory& memory);

 private:
  jit::Registry registry_;
  jit::Compiler compiler_;
  std::vector<std::unique_ptr<jit::HartCode>> harts_;
};

}  // namespace hartwood
