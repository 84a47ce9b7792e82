// SPDX-License-Identifier: Apache-2.0
// The compiled engine of engine.h: a compiler, a registry and one hart's view of it for each thing that is executed, so
// that nothing is remembered of what the test has changed meanwhile. Node compiles the modules, in this thread.
#include "hart/engine.h"

#include <emscripten.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "hart/rig.h"
#include "machine/compiler_tier.h"

namespace hartwood::test {
namespace {

// clang-format off
EM_JS(int, engine_asked, (), {
  return { compiled: 1, 'compiled-plain': 2 }[process.env.HARTWOOD_ENGINE] || 0;
})
// The first of `count` slots of the function table, the same each time.
EM_JS(int, engine_slots, (int count), {
  if (globalThis.engineSlots === undefined) globalThis.engineSlots = wasmTable.grow(count);
  return globalThis.engineSlots;
})
EM_JS(void, engine_install, (const unsigned char* bytes, int length), {
  new WebAssembly.Instance(new WebAssembly.Module(HEAPU8.slice(bytes, bytes + length)),
                           { env: { memory: wasmMemory, table: wasmTable }, core: wasmExports });
})
// clang-format on

struct Totals {
  u64 prepared = 0, compiled = 0, entries = 0;
};
Totals totals;

class CompiledEngine final : public Engine {
 public:
  CompiledEngine(Hart& hart, bool plain) : hart_(hart), plain_(plain) {}
  ~CompiledEngine() override { drop(); }

  void prepare(u64 count) override {
    drop();
    totals.prepared++;
    const u64 pc = hart_.state().pc;
    const u64 page = hart_.code_page(pc);
    if (page == Hart::kNoCodePage) return;
    constexpr u32 kSlots = 64;
    const u32 first = static_cast<u32>(engine_slots(kSlots));
    statistics_ = std::make_unique<CompilerStatistics>();
    registry_ = std::make_unique<jit::Registry>(hart_.memory(), 1, first, *statistics_);
    // What does not happen costs nothing, and a region is left at once if the budget is too small for it.
    jit::CompilerOptions options;
    options.limits.instructions = static_cast<u32>(std::clamp<u64>(count, 1, options.limits.instructions));
    options.lift.fused_multiply_add = true;
    jit::Compiler compiler(*registry_, hart_.memory(), hart_.options().isa, CompilerTier::target_of(hart_.memory()),
                           options);
    if (plain_) compiler.set_passes(0);
    code_ = std::make_unique<jit::HartCode>(hart_, *registry_, 1, 0);
    hart_.use_translated(code_.get(), 1);
    code_->ask(pc, page, false);
    const u32 id = compiler.compile_next();
    if (id == 0) return;
    totals.compiled++;
    engine_install(compiler.bytes().data(), static_cast<int>(compiler.bytes().size()));
    code_->installed(id);
  }

 private:
  void drop() {
    if (code_ == nullptr) return;
    totals.entries += code_->entries();
    hart_.use_translated(nullptr);
    code_.reset();
  }

  Hart& hart_;
  bool plain_;
  std::unique_ptr<CompilerStatistics> statistics_;
  std::unique_ptr<jit::Registry> registry_;
  std::unique_ptr<jit::HartCode> code_;
};

// Says at the end how much was executed compiled, so that an engine that is never entered does not pass.
class Report final : public testing::Environment {
 public:
  void TearDown() override {
    if (engine_asked() == 0 || totals.prepared == 0) return;
    std::printf("compiled engine: %llu runs, %llu compiled, %llu entries\n",
                static_cast<unsigned long long>(totals.prepared), static_cast<unsigned long long>(totals.compiled),
                static_cast<unsigned long long>(totals.entries));
    EXPECT_GT(totals.entries, totals.prepared / 2);
  }
};
[[maybe_unused]] const testing::Environment* const report = testing::AddGlobalTestEnvironment(new Report);

TEST(Engine, IsEnteredWhereItIsAskedFor) {
  const u64 before = totals.entries;
  {
    Rig rig;
    rig.x(a0) = 41;
    EXPECT_EQ(rig.execute(encode_i(Op::addi, a0, a0, 1)), Outcome{});
    EXPECT_EQ(rig.x(a0), 42u);
  }
  EXPECT_EQ(totals.entries - before, engine_asked() == 0 ? 0u : 1u);
}

}  // namespace

std::unique_ptr<Engine> make_engine(Hart& hart) {
  const int asked = engine_asked();
  if (asked == 0) return nullptr;
  return std::make_unique<CompiledEngine>(hart, asked == 2);
}

}  // namespace hartwood::test
