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

// So is what was asked for because control jumps there; what it comes to directly is nobody's case.
TEST_F(JitRegistry, RequestsForWhatIsJumpedToAreSeen) {
  place({encode_i(Op::jalr, zero, a5, 0), 0, 0, 0, encode_i(Op::addi, a0, a0, 5), encode_i(Op::jalr, zero, ra, 0)});
  for (const bool indirect : {false, true}) {
    Registry registry(*memory_, 1, kFirstSlot, statistics_);
    Request asked = request(), taken;
    asked.entry += 16;
    asked.indirect = indirect;
    ASSERT_TRUE(registry.request(asked));
    std::vector<u32> seen;
    ASSERT_TRUE(registry.take(taken, seen));
    EXPECT_EQ(seen, indirect ? std::vector<u32>{asked.entry} : std::vector<u32>{});
  }
}

// A region that ended where nothing had been executed is made anew when something behind that gets hot; the new module
// takes the old one's place.
class JitRegistryGrowth : public JitRegistry {
 protected:
  static constexpr u32 kFirst = kWindowBefore * static_cast<u32>(kPageBytes), kLoop = 16;
  // A branch over a way out into a loop, which begins four instructions further on.
  JitRegistryGrowth() {
    place({encode_branch(Op::beq, a0, zero, 8), encode_i(Op::jalr, zero, ra, 0), encode_i(Op::addi, a1, zero, 1),
           encode_i(Op::addi, a1, a1, 1), encode_i(Op::addi, a2, a2, -1), encode_branch(Op::bne, a2, zero, -4),
           encode_i(Op::jalr, zero, ra, 0)});
  }
  Request asks_for(u32 offset, u32 executed_words) {
    Request result = request();
    result.entry = kFirst + offset;
    result.executed.resize(kWindowBytes / 128);
    for (u32 at = kFirst; at < kFirst + 4 * executed_words; at += 2)
      result.executed[at / 128] |= u64{1} << (at / 2 % 64);
    return result;
  }
  u32 compile(u32 offset, u32 executed_words, u32 harts = 2) {
    EXPECT_TRUE(registry_.request(asks_for(offset, executed_words)));
    const u32 id = compiler_.compile_next();
    for (u32 hart = 0; hart < harts; hart++) registry_.installed(hart, id);
    return id;
  }
};

TEST_F(JitRegistryGrowth, TakesThePlaceOfWhatEndedThere) {
  const u32 first = compile(0, 2);
  ASSERT_NE(first, 0u);
  ASSERT_EQ(find(0)->cold.size(), 1u);
  EXPECT_EQ(find(0)->cold[0].offset, kFirst + 8);
  ASSERT_TRUE(registry_.request(asks_for(kLoop, 7)));
  const u32 second = compiler_.compile_next();
  ASSERT_NE(second, 0u);
  EXPECT_EQ(find(0)->id, first) << "nobody has the new one";
  EXPECT_EQ(find(0, kLoop), nullptr);
  registry_.installed(0, second);
  EXPECT_EQ(find(0)->id, second);
  EXPECT_EQ(find(0, kLoop)->id, second) << "what was asked for has its own entry";
  EXPECT_EQ(find(1)->id, first) << "hart 1 does not have the new one yet";
  EXPECT_EQ(registry_.next_to_drop(), 0u);
  registry_.installed(1, second);
  EXPECT_EQ(find(1)->id, second);
  EXPECT_EQ(registry_.next_to_drop(), first);
  EXPECT_EQ(find(0)->replaces, first);
  EXPECT_EQ(find(0)->generation, 1u);
  EXPECT_TRUE(find(0)->cold.empty());
  EXPECT_FALSE(registry_.request(asks_for(0, 7))) << "it is compiled";
}

TEST_F(JitRegistryGrowth, OnlyWhatReachesThePlace) {
  const u32 first = compile(0, 2);
  // The cold place is executed by now, but from there control does not come to the one that is asked for.
  place({encode_branch(Op::beq, a0, zero, 8), encode_i(Op::jalr, zero, ra, 0), encode_i(Op::jalr, zero, ra, 0)});
  ASSERT_NE(compile(kLoop, 7), 0u);
  EXPECT_EQ(find(0)->id, first);
}

// A loop around both: entered at either place it would be entered in the middle.
TEST_F(JitRegistryGrowth, NotWithinOneLoop) {
  const u32 first = compile(0, 2);
  place({encode_branch(Op::beq, a0, zero, 8), encode_i(Op::jalr, zero, ra, 0), encode_i(Op::addi, a1, zero, 1),
         encode_i(Op::addi, a1, a1, 1), encode_i(Op::addi, a2, a2, -1), encode_branch(Op::bne, a2, zero, -20),
         encode_i(Op::jalr, zero, ra, 0)});
  ASSERT_NE(compile(kLoop, 7), 0u);
  EXPECT_EQ(find(0)->id, first);
  EXPECT_EQ(find(0, kLoop)->replaces, 0u);
}

TEST_F(JitRegistryGrowth, NothingAsLongAsItIsCold) {
  const u32 first = compile(0, 2);
  const u32 second = compile(kLoop, 2);
  ASSERT_NE(second, 0u);
  EXPECT_EQ(find(0)->id, first);
  EXPECT_EQ(find(0, kLoop)->replaces, 0u);
}

TEST_F(JitRegistryGrowth, NotOfOtherPages) {
  const u32 first = compile(0, 2);
  Request other = asks_for(kLoop, 7);
  other.pages[kWindowBefore] = kPage + 1;  // the same bytes there
  for (u32 i = 0; i < 7; i++) {
    u32 word = 0;
    ASSERT_TRUE(memory_->load(Pa(kRamBase + kPage * kPageBytes + 4 * i), word));
    ASSERT_TRUE(memory_->store(Pa(kRamBase + (kPage + 1) * kPageBytes + 4 * i), word));
  }
  ASSERT_TRUE(registry_.request(std::move(other)));
  const u32 second = compiler_.compile_next();
  for (const u32 hart : {0u, 1u}) registry_.installed(hart, second);
  EXPECT_EQ(find(0)->id, first);
}

// Each time one more block has been executed.
TEST_F(JitRegistryGrowth, AFewTimes) {
  std::vector<u32> words;
  constexpr u32 kBlocks = 12;
  for (u32 i = 0; i < kBlocks; i++) words.push_back(encode_branch(Op::beq, a0, zero, 4 * (kBlocks - i)));
  words.push_back(encode_i(Op::jalr, zero, ra, 0));
  place(words);
  u32 last = compile(0, 1), generations = 0;
  for (u32 i = 1; i < kBlocks; i++) {
    const u32 id = compile(4 * i, i + 1);
    ASSERT_NE(id, 0u);
    if (find(0)->id == last) break;
    EXPECT_EQ(find(0)->replaces, last);
    last = find(0)->id;
    generations++;
  }
  EXPECT_EQ(generations, Registry::kMostGenerations);
}

TEST_F(JitRegistry, HopelessPlacesAreNotAskedForAgain) {
  place({0xffff'ffff});
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
