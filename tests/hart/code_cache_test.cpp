// SPDX-License-Identifier: Apache-2.0
// Predecoded pages by themselves: slots, staleness by epoch and generation, eviction.
#include "hart/code_cache.h"

#include <gtest/gtest.h>

#include "support/asm.h"

namespace hartwood::test {
namespace {

constexpr u64 kPage = 5, kAt = kRamBase + kPage * kPageBytes;

class CodeCacheTest : public testing::Test {
 protected:
  std::unique_ptr<GuestMemory> memory_ = std::move(GuestMemory::create(kMinRamBytes).value());
  IsaOptions isa_;

  void put(u64 pa, u32 word) { ASSERT_TRUE(memory_->store<u32>(Pa(pa), word)); }
  // The slot of the instruction at byte `at` of the page, decoded if it is not yet.
  static Insn slot(CodeCache& cache, DecodedPage& page, u32 at) {
    if (page.slots[at / 2].op == kSlotUndecoded) cache.decode_slot(page, at / 2);
    return page.slots[at / 2];
  }
};

TEST_F(CodeCacheTest, DecodesSlotsOfBothLengths) {
  CodeCache cache(*memory_, isa_, 4);
  put(kAt, encode_i(Op::addi, a0, a1, -5));
  put(kAt + 4, 0x0505'9002);  // c.ebreak, c.addi a0, 1
  put(kAt + 8, 0xffff'ffff);
  put(kAt + 12, 0x0000'0000);
  DecodedPage& page = *cache.find(kPage);
  EXPECT_EQ(page.page, kPage);
  EXPECT_EQ(slot(cache, page, 0), (Insn{static_cast<u16>(Op::addi), a0, a1, -5}));
  EXPECT_EQ(slot(cache, page, 4).op, kCompact + static_cast<u16>(Op::ebreak));
  EXPECT_EQ(slot(cache, page, 6), (Insn{static_cast<u16>(kCompact + static_cast<u16>(Op::addi)), a0, a0, 1}));
  EXPECT_EQ(slot(cache, page, 8).op, kSlotIllegal);
  EXPECT_EQ(slot(cache, page, 12).op, kSlotIllegal);
  // Every halfword has a slot: the middle of an instruction is decoded as what it looks like there.
  EXPECT_EQ(slot(cache, page, 2).op, to_slot(decode(encode_i(Op::addi, a0, a1, -5) >> 16, isa_)).op);
  EXPECT_EQ(page.slots[DecodedPage::kSlots].op, kSlotPageEnd);
}

TEST_F(CodeCacheTest, TheLastHalfword) {
  CodeCache cache(*memory_, isa_, 4);
  put(kAt + 0xffc, 0x0513'0001);  // c.nop, and half of an addi
  DecodedPage& page = *cache.find(kPage);
  EXPECT_EQ(slot(cache, page, 0xffc).op, kCompact + static_cast<u16>(Op::addi));
  EXPECT_EQ(slot(cache, page, 0xffe).op, kSlotStraddle);
  put(kAt + 0xffc, 0x0001'0513);  // an addi that ends where the page does
  cache.new_epoch();
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0xffc).op, static_cast<u16>(Op::addi));
  EXPECT_EQ(slot(cache, page, 0xffe).op, kCompact + static_cast<u16>(Op::addi));
}

TEST_F(CodeCacheTest, WritesToX0GoToTheSink) {
  CodeCache cache(*memory_, isa_, 4);
  const u32 words[] = {encode_i(Op::addi, zero, a1, 1), encode_load(Op::ld, zero, 0, a1), encode_jump(Op::jal, zero, 8),
                       encode_csr(Op::csrrw, zero, kCsrMscratch, a1), encode_amo(Op::amoadd_w, zero, a1, a2)};
  for (u32 i = 0; i < std::size(words); i++) put(kAt + 4 * i, words[i]);
  put(kAt + 0x40, encode_store(Op::sd, zero, 0, a1));  // no destination: the field is another
  put(kAt + 0x44, encode_branch(Op::beq, a1, zero, 8));
  put(kAt + 0x48, info(Op::fadd_d).match);  // f0 is a register like any other
  DecodedPage& page = *cache.find(kPage);
  for (u32 i = 0; i < std::size(words); i++) EXPECT_EQ(slot(cache, page, 4 * i).rd, kSinkRegister) << i;
  EXPECT_EQ(slot(cache, page, 0x40).rd, 0);
  EXPECT_EQ(slot(cache, page, 0x44).rd, 0);
  EXPECT_EQ(slot(cache, page, 0x48).rd, 0);
}

TEST_F(CodeCacheTest, KeepsPagesAndMarksThem) {
  CodeCache cache(*memory_, isa_, 4);
  EXPECT_FALSE(memory_->page_state(kPage) & kPageCode);
  DecodedPage* page = cache.find(kPage);
  EXPECT_TRUE(memory_->page_state(kPage) & kPageCode);
  EXPECT_EQ(cache.find(kPage), page);
  EXPECT_EQ(cache.find(kPage + 4096), cache.find(kPage + 4096));  // the same bucket
  EXPECT_NE(cache.find(kPage + 4096), page);
  EXPECT_EQ(cache.find(kPage), page);
  EXPECT_EQ(cache.decoded_pages(), 2u);
}

TEST_F(CodeCacheTest, AnEpochComparesBeforeItDecodesAgain) {
  CodeCache cache(*memory_, isa_, 4);
  put(kAt, encode_i(Op::addi, a0, a0, 1));
  DecodedPage* page = cache.find(kPage);
  EXPECT_EQ(slot(cache, *page, 0).imm, 1);
  // Nothing changed: what was decoded stays.
  cache.new_epoch();
  EXPECT_EQ(cache.find(kPage), page);
  EXPECT_EQ(page->slots[0].imm, 1);
  EXPECT_EQ(cache.decoded_pages(), 1u);
  // Changed behind everybody's back, as by a store through a write TLB: only the next epoch sees it.
  store_le<u32>(memory_->ram() + kPage * kPageBytes, encode_i(Op::addi, a0, a0, 2));
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0).imm, 1);
  cache.new_epoch();
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0).imm, 2);
  EXPECT_EQ(cache.decoded_pages(), 2u);
}

TEST_F(CodeCacheTest, AGenerationIsSeenWithoutAnEpoch) {
  CodeCache cache(*memory_, isa_, 4);
  put(kAt, encode_i(Op::addi, a0, a0, 1));
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0).imm, 1);
  put(kAt, encode_i(Op::addi, a0, a0, 2));
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0).imm, 2);
  put(kAt, encode_i(Op::addi, a0, a0, 2));  // the same bytes
  const u64 decoded = cache.decoded_pages();
  EXPECT_EQ(slot(cache, *cache.find(kPage), 0).imm, 2);
  EXPECT_EQ(cache.decoded_pages(), decoded);
}

TEST_F(CodeCacheTest, ExecutesWhatItsCopySays) {
  // Slots that are decoded late come from the copy, so that a page is never half old and half new.
  CodeCache cache(*memory_, isa_, 4);
  put(kAt, encode_i(Op::addi, a0, a0, 1));
  put(kAt + 4, encode_i(Op::addi, a1, a1, 1));
  DecodedPage& page = *cache.find(kPage);
  EXPECT_EQ(slot(cache, page, 0).imm, 1);
  put(kAt + 4, encode_i(Op::addi, a1, a1, 2));
  EXPECT_EQ(slot(cache, page, 4).imm, 1);
  EXPECT_EQ(slot(cache, *cache.find(kPage), 4).imm, 2);
}

TEST_F(CodeCacheTest, Eviction) {
  for (const u32 capacity : {1u, 3u, 8u}) {
    CodeCache cache(*memory_, isa_, capacity);
    // Pages of which many share a bucket; the bytes tell them apart.
    const auto number = [](u32 i) { return u64{i % 4} * 4096 + i; };
    for (u32 i = 0; i < 40; i++)
      put(kRamBase + number(i) * kPageBytes, encode_i(Op::addi, a0, a0, static_cast<i64>(i)));
    u32 seed = 7;
    for (u32 round = 0; round < 3000; round++) {
      seed = seed * 1664525 + 1013904223;
      const u32 i = (seed >> 16) % 40;
      DecodedPage& page = *cache.find(number(i));
      ASSERT_EQ(page.page, number(i));
      ASSERT_EQ(slot(cache, page, 0).imm, static_cast<i32>(i));
      ASSERT_EQ(&page, cache.find(number(i)));
    }
  }
}

TEST_F(CodeCacheTest, WithoutZacasItDoesNotDecodeIt) {
  put(kAt, encode_amo(Op::amocas_w, a0, a1, a2));
  CodeCache without(*memory_, isa_, 2);
  EXPECT_EQ(slot(without, *without.find(kPage), 0).op, kSlotIllegal);
  isa_.set(Extension::Zacas, true);
  CodeCache with(*memory_, isa_, 2);
  EXPECT_EQ(slot(with, *with.find(kPage), 0).op, static_cast<u16>(Op::amocas_w));
}

}  // namespace
}  // namespace hartwood::test
