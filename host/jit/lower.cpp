// SPDX-License-Identifier: Apache-2.0
// What a function looks like:
//
//   if it is entered by another of its ways in: choose among these; each leads to where its block's registers are
//   loaded, as the call that returns there does
//   leave at once if the budget does not last to the next place where it is checked
//   load the guest registers that are read, or stored unchanged, before they are written
//   block $common
//     block $exit2, block $exit1 ..
//       the blocks. Where the region ends (returns, jumps elsewhere, calls, traps) registers that may have changed are
//       stored, and the budget
//     end
//     here come accesses that missed the TLB, budgets that are used up, instructions that the interpreter must do:
//     `site` says where, and how many instructions of those that were charged for did not happen. Registers that may
//     have changed are stored
//   end
//   the budget gets back what did not happen, and the result is odd
//
// A few exits for the whole function keep the code of each access small: a miss costs an assignment and a jump to one.
// They differ in what they store, and places that can share one do (find_exits). A function without tight loops stores
// registers as soon as they are written instead, so its exits and calls store nothing: a third of what the engine's
// optimizer does is to find out where each of thirty registers is at each of a hundred exits.
//
// The budget is checked where a cycle can close: at entries, at loop headers and behind calls. At each such place it
// must last for the longest way to the next one, so that between them nothing has to be checked; where it does not, the
// interpreter goes on to the exact instruction. It is charged where ways meet, for all that was executed on this one;
// where the function is left in between, what it owes and what did not happen are added up.
#include "jit/lower.h"

#include "jit/function_lowering.h"

namespace hartwood::jit {
namespace {

// The high half of an unsigned product, from four products of halves.
Code high_product() {
  Code code(2);
  const u32 low = code.add_local(Type::i64), cross = code.add_local(Type::i64), other = code.add_local(Type::i64);
  const auto low_half = [&](u32 local) {
    code.get(local);
    code.i64(0xffff'ffff);
    code.op(op::kI64And);
  };
  const auto high_half = [&](u32 local) {
    code.get(local);
    code.i64(32);
    code.op(op::kI64ShrU);
  };
  low_half(0);
  low_half(1);
  code.op(op::kI64Mul);
  code.set(low);
  // cross = high(a) * low(b) + high(low)
  high_half(0);
  low_half(1);
  code.op(op::kI64Mul);
  high_half(low);
  code.op(op::kI64Add);
  code.set(cross);
  // other = low(a) * high(b) + low(cross)
  low_half(0);
  high_half(1);
  code.op(op::kI64Mul);
  low_half(cross);
  code.op(op::kI64Add);
  code.set(other);
  high_half(0);
  high_half(1);
  code.op(op::kI64Mul);
  high_half(cross);
  code.op(op::kI64Add);
  high_half(other);
  code.op(op::kI64Add);
  return code;
}

// To whatever code the hart's jump cache has for the address; where it has none, the address is the result.
Code go_anywhere(const Target& target, u32 region_type) {
  Code code(kParameters);
  const u32 entry = code.add_local(Type::i32);
  code.get(kState);
  code.memory(op::kI32Load, 2, target.layout.jump_cache);
  code.get(kPc);
  code.op(op::kI32WrapI64);
  code.i32(3);  // an instruction is two bytes or more, an entry sixteen
  code.op(op::kI32Shl);
  code.i32((kJumpEntries - 1) << 4);
  code.op(op::kI32And);
  code.op(op::kI32Add);
  code.set(entry);
  const u32 unknown = code.open(op::kBlock);
  code.get(kPc);
  code.get(entry);
  code.memory(op::kI64Load, 3, offsetof(JumpEntry, pc));
  code.op(op::kI64Ne);
  code.hint(false);
  code.br_if(unknown);
  code.get(kState);
  code.memory(op::kI32Load, 2, target.layout.context);
  code.get(entry);
  code.memory(op::kI32Load, 2, offsetof(JumpEntry, context));
  code.op(op::kI32Ne);
  code.hint(false);
  code.br_if(unknown);
  for (const u32 parameter : {kState, kPc, kReadTable, kWriteTable, kDepth}) code.get(parameter);
  code.get(entry);
  code.memory(op::kI32Load, 2, offsetof(JumpEntry, code));
  code.tee(entry);
  code.i32(static_cast<i32>(~kSlotMask));
  code.op(op::kI32And);
  code.op(op::kI32Or);
  code.get(entry);
  code.i32(kSlotMask);
  code.op(op::kI32And);
  code.index(op::kCallIndirect, region_type);
  code.leb(0);
  code.op(op::kReturn);
  code.close();
  code.get(kPc);
  return code;
}

}  // namespace

EmittedModule lower(const std::vector<Region>& regions, u32 slot, const Target& target) {
  EmittedModule result;
  wasm::Module module;
  module.use_branch_hints(target.branch_hints);
  Shared shared{.target = target};
  shared.region_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i32, Type::i32}, {Type::i64});
  const u32 execute_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i64, Type::i32}, {Type::i32});
  const u32 multiply_type = module.add_type({Type::i64, Type::i64}, {Type::i64});
  module.import_memory("env", "memory", 1, 65536, true);
  module.import_table("env", "table");
  const u32 accesses_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i32, Type::i32}, {Type::i32});
  const u32 system_type = module.add_type({Type::i32, Type::i64, Type::i32, Type::i64}, {Type::i64});
  shared.execute = module.import_function("core", "hw_jit_execute", execute_type);
  shared.accesses = module.import_function("core", "hw_jit_accesses", accesses_type);
  shared.system = module.import_function("core", "hw_jit_system", system_type);
  std::vector<u32> functions;
  for (const Region& region : regions) {
    functions.push_back(module.declare_function(shared.region_type));
    shared.functions.emplace(static_cast<i32>(region.entry), functions.back());
  }
  shared.mulhu = module.declare_function(multiply_type);
  shared.go = module.declare_function(shared.region_type);
  for (size_t i = 0; i < regions.size(); i++) {
    result.instructions += regions[i].instructions();
    module.set_body(functions[i], FunctionLowering(regions[i], shared).run());
  }
  module.set_body(shared.mulhu, high_product());
  module.set_body(shared.go, go_anywhere(target, shared.region_type));
  module.add_elements(slot, functions);
  result.bytes = module.finish();
  return result;
}

}  // namespace hartwood::jit
