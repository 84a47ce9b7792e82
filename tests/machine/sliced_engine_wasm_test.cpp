// SPDX-License-Identifier: Apache-2.0
// See sliced_engine.h. All harts share this thread's function table: a module is instantiated once.
#include <emscripten.h>
#include <gtest/gtest.h>

#include "machine/sliced_engine.h"

namespace hartwood::test {
namespace {

// clang-format off
EM_JS(int, sliced_asked, (), {
  return { compiled: 1, 'compiled-plain': 2 }[process.env.HARTWOOD_ENGINE] || 0;
})
EM_JS(int, sliced_environment, (const char* name, char* to, int room), {
  const value = process.env[UTF8ToString(name)] || '';
  stringToUTF8(value, to, room);
  return value.length;
})
// The first of `count` slots of the function table, the same each time.
EM_JS(int, sliced_slots, (int count), {
  if (globalThis.slicedSlots === undefined) globalThis.slicedSlots = wasmTable.grow(count);
  return globalThis.slicedSlots;
})
EM_JS(void, sliced_install, (const unsigned char* bytes, int length), {
  new WebAssembly.Instance(new WebAssembly.Module(HEAPU8.slice(bytes, bytes + length)),
                           { env: { memory: wasmMemory, table: wasmTable }, core: wasmExports });
})
EM_JS(void, sliced_clear, (int slot, int count), {
  for (let i = 0; i < count; i++) wasmTable.set(slot + i, null);
})
// clang-format on

}  // namespace

SlicedEngine sliced_engine_asked() { return static_cast<SlicedEngine>(sliced_asked()); }

std::string sliced_setting(const char* name) {
  char value[1024];
  sliced_environment(name, value, sizeof value);
  return value;
}

SlicedTier::SlicedTier(Machine& machine, SlicedEngine engine)
    : machine_(machine), plain_(engine == SlicedEngine::compiled_plain) {
  if (engine != SlicedEngine::interpreted)
    machine.enable_compiler(static_cast<u32>(sliced_slots(static_cast<int>(jit::kTableSlots))));
}

void SlicedTier::compile() {
  CompilerTier* tier = machine_.compiler_tier();
  if (tier == nullptr) return;
  if (fresh_) {
    tier->compiler().set_fused_multiply_add(true);
    if (plain_) tier->compiler().set_passes(0);
    fresh_ = false;
  }
  while (const u32 id = tier->compiler().compile_next()) {
    const std::vector<u8>& bytes = tier->compiler().bytes();
    sliced_install(bytes.data(), static_cast<int>(bytes.size()));
    for (u32 hart = 0; hart < tier->harts(); hart++) tier->hart(hart).installed(id);
  }
  while (const u32 id = tier->registry().next_to_drop()) {
    u32 slot, count;
    tier->registry().slots_of(id, slot, count);
    sliced_clear(static_cast<int>(slot), static_cast<int>(count));
    for (u32 hart = 0; hart < tier->harts(); hart++) tier->hart(hart).dropped(id);
  }
}

u64 SlicedTier::instructions() const {
  CompilerTier* tier = machine_.compiler_tier();
  u64 sum = 0;
  for (u32 hart = 0; tier != nullptr && hart < tier->harts(); hart++) sum += tier->hart(hart).instructions();
  return sum;
}

}  // namespace hartwood::test
