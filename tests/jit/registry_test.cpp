// SPDX-License-Identifier: Apache-2.0
// The life of modules: asked for, compiled, installed, found, invalid, dropped, their slots used again.
#include "jit/registry.h"

#include <gtest/gtest.h>

#include "jit/compiler.h"
#include "support/asm.h"

namespace hartwood::jit {
namespace {

using namespace hartwood::test;

constexpr u32 kFirstSlot = 1000;

class JitRegistry : public ::testing::Test {
 protected:
  static constexpr u64 kPage = 7;
  JitRegistry() {
    target_.ram_bytes = memory_->size();
    place({encode_i(Op::addi, a0, a0, 1), encode_i(Op::jalr, zero, ra, 0)});
  }
  void place(const std::vector<u32>& words) {
    for (size_t i = 0; i < words.size(); i++)
      ASSERT_TRUE(memory_->store(Pa(kRamBase + kPage * kPageBytes + 4 * i), words[i]));
  }
  Request request(u64 page = kPage) {
    Request result;
    result.entry = kWindowBefore * static_cast<u32>(kPageBytes);
    result.pages.fill(kNoPage);
    result.pages[kWindowBefore] = page;
    return result;
  }
  CompiledModule* find(u32 hart, u32 offset = 0) {
    u32 entry = 0;
    return registry_.find(
        hart, kPage, offset, [](i32) { return kNoPage; }, entry);
  }
  std::unique_ptr<GuestMemory> memory_ = std::move(GuestMemory::create(kMinRamBytes).value());
  CompilerStatistics statistics_;
  Registry registry_{*memory_, 2, kFirstSlot, statistics_};
  Target target_;
  Compiler compiler_{registry_, *memory_, IsaOptions{}, target_};
};

TEST_F(JitRegistry, FoundOnlyWhereInstalled) {
  EXPECT_EQ(compiler_.compile_next(), 0u);
  EXPECT_TRUE(registry_.request(request()));
  EXPECT_FALSE(registry_.request(request())) << "it waits already";
  const u32 id = compiler_.compile_next();
  ASSERT_NE(id, 0u);
  EXPECT_FALSE(registry_.request(request())) << "it is compiled already";
  EXPECT_EQ(find(0), nullptr);
  registry_.installed(0, id);
  ASSERT_NE(find(0), nullptr);
  EXPECT_EQ(find(0)->slot, kFirstSlot);
  EXPECT_EQ(find(1), nullptr);
  EXPECT_EQ(find(0, 4), nullptr) << "no entry there";
}

TEST_F(JitRegistry, OtherBytesKill) {
  ASSERT_TRUE(registry_.request(request()));
  const u32 id = compiler_.compile_next();
  registry_.installed(0, id);
  EXPECT_TRUE(registry_.check_source(*find(0)));
  // Behind the translated code: nothing happens.
  ASSERT_TRUE(memory_->store(Pa(kRamBase + kPage * kPageBytes + 8), u32{1}));
  EXPECT_TRUE(registry_.check_source(*find(0)));
  place({encode_i(Op::addi, a0, a0, 2)});
  EXPECT_FALSE(registry_.check_source(*find(0)));
  EXPECT_EQ(find(0), nullptr);
  EXPECT_TRUE(registry_.request(request())) << "the new code may be compiled";
}

TEST_F(JitRegistry, DirtiedWhileItWasCompiled) {
  ASSERT_TRUE(registry_.request(request()));
  const u32 id = compiler_.compile_next();
  place({encode_i(Op::addi, a0, a0, 2)});  // before any hart has it
  registry_.installed(0, id);
  ASSERT_NE(find(0), nullptr);
  EXPECT_FALSE(registry_.check_source(*find(0)));
}

TEST_F(JitRegistry, SlotsComeBackWhenAllHartsHaveForgotten) {
  ASSERT_TRUE(registry_.request(request()));
  const u32 id = compiler_.compile_next();
  registry_.installed(0, id);
  place({encode_i(Op::addi, a0, a0, 2)});
  EXPECT_FALSE(registry_.check_source(*find(0)));
  EXPECT_EQ(registry_.next_to_drop(), 0u) << "not before every hart has had it";
  registry_.installed(1, id);
  EXPECT_EQ(registry_.next_to_drop(), id);
  EXPECT_EQ(registry_.next_to_drop(), 0u) << "told once";
  u32 slot, count;
  registry_.slots_of(id, slot, count);
  EXPECT_EQ(slot, kFirstSlot);
  registry_.dropped(0, id);
  EXPECT_NE(registry_.allocate_slots(count), kFirstSlot) << "hart 1 may still call it";
  registry_.dropped(1, id);
  EXPECT_EQ(registry_.allocate_slots(count), kFirstSlot);
  EXPECT_EQ(statistics_.modules_evicted.load(), 1u);
  EXPECT_EQ(statistics_.modules_live.load(), 0u);
}

TEST_F(JitRegistry, TheBudgetEvictsWhatWasNotFoundForLongest) {
  u32 ids[3];
  for (u32 i = 0; i < 3; i++) {
    const u64 page = 20 + i;
    ASSERT_TRUE(memory_->store(Pa(kRamBase + page * kPageBytes), encode_i(Op::jalr, zero, ra, 0)));
    ASSERT_TRUE(registry_.request(request(page)));
    ids[i] = compiler_.compile_next();
    for (const u32 hart : {0u, 1u}) registry_.installed(hart, ids[i]);
  }
  u32 entry;
  for (const u64 page : {20, 22}) {
    EXPECT_NE(registry_.find(
                  0, page, 0, [](i32) { return kNoPage; }, entry),
              nullptr);
  }
  EXPECT_EQ(registry_.next_to_drop(), 0u);
  registry_.set_budget(1);
  EXPECT_EQ(registry_.next_to_drop(), ids[1]);
  EXPECT_EQ(registry_.next_to_drop(), ids[0]);
}

// What a switch jumped to is compiled with it, though nobody has asked for code there.
TEST_F(JitRegistry, SeenPlacesBecomeCases) {
  constexpr u32 kCase = 16;
  place({encode_i(Op::jalr, zero, a5, 0), 0, 0, 0, encode_i(Op::addi, a0, a0, 5), encode_i(Op::jalr, zero, ra, 0)});
  for (const bool seen : {false, true}) {
    Request asked = request();
    const u32 place = asked.entry + kCase;
    if (seen) asked.jumped_to = {place, place + 1'000'000, ~u32{0}};
    Registry registry(*memory_, 1, kFirstSlot, statistics_);
    Compiler compiler(registry, *memory_, IsaOptions{}, target_);
    ASSERT_TRUE(registry.request(std::move(asked)));
    const u32 id = compiler.compile_next();
    ASSERT_NE(id, 0u);
    const CompiledModule* const module = registry.installed(0, id);
    ASSERT_NE(module, nullptr);
    bool translated = false;
    for (const CompiledModule::Range& range : module->ranges)
      translated |= range.offset <= place && place < range.offset + range.bytes;
    EXPECT_EQ(translated, seen);
  }
}

TEST_F(JitRegistry, HopelessPlacesAreNotAskedForAgain) {
  place({encode_plain(Op::ecall)});
  ASSERT_TRUE(registry_.request(request()));
  EXPECT_EQ(compiler_.compile_next(), 0u);
  EXPECT_FALSE(registry_.request(request()));
  // Pages that RAM does not have come from no hart, but would harm nobody.
  Request wild = request();
  wild.pages[kWindowBefore] = memory_->page_count() + 5;
  EXPECT_TRUE(registry_.request(wild));
  EXPECT_EQ(compiler_.compile_next(), 0u);
}

}  // namespace
}  // namespace hartwood::jit
