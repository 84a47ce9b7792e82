// SPDX-License-Identifier: Apache-2.0
// Guest RAM and its page states: sizes, ranges at the edges of the address space, generations, atomics. One
// thread.
#include "memory/guest_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

namespace hartwood::test {
namespace {

constexpr u64 kEnd = kRamBase + kMinRamBytes;

class GuestMemoryTest : public testing::Test {
 protected:
  std::unique_ptr<GuestMemory> memory_ = std::move(GuestMemory::create(kMinRamBytes).value());
  u8 state(u64 pa) const { return memory_->page_state((pa - kRamBase) >> kPageShift); }
  u32 generation(u64 pa) const { return memory_->code_generation((pa - kRamBase) >> kPageShift); }
};

TEST(GuestMemorySizes, PowersOfTwoInRange) {
  for (const u64 bytes : {u64{0}, u64{1}, u64{32} << 20, u64{63} << 20, u64{65} << 20, u64{96} << 20,
                          (u64{64} << 20) + 1, (u64{64} << 20) - kPageBytes, u64{4} << 30, ~u64{0}}) {
    const auto memory = GuestMemory::create(bytes);
    EXPECT_FALSE(memory.ok()) << bytes;
    EXPECT_NE(memory.message().find("64"), std::string::npos);
    EXPECT_NE(memory.message().find("2048"), std::string::npos);
  }
  for (const u64 bytes : {u64{64} << 20, u64{128} << 20}) {
    const auto memory = GuestMemory::create(bytes);
    ASSERT_TRUE(memory.ok());
    EXPECT_EQ((*memory)->size(), bytes);
    EXPECT_EQ((*memory)->page_count(), bytes / kPageBytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*memory)->ram()) % kPageBytes, 0u);
  }
}

TEST(GuestMemorySizes, FreshMemoryIsZeroEvenWhereOldMemoryWas) {
  for (int round = 0; round < 3; round++) {
    const auto memory = std::move(GuestMemory::create(kMinRamBytes).value());
    const auto* words = reinterpret_cast<const u64*>(memory->ram());
    u64 any = 0;
    for (u64 i = 0; i < kMinRamBytes / 8; i++) any |= words[i];
    EXPECT_EQ(any, 0u);
    for (u64 page = 0; page < memory->page_count(); page++) ASSERT_EQ(memory->page_state(page), 0);
    ASSERT_TRUE(memory->fill(Pa(kRamBase), 0xa5, kMinRamBytes));
  }
}

TEST_F(GuestMemoryTest, Ranges) {
  const struct {
    u64 pa, bytes;
    bool inside;
  } rows[] = {{kRamBase, 0, true},
              {kRamBase, 1, true},
              {kRamBase, kMinRamBytes, true},
              {kRamBase, kMinRamBytes + 1, false},
              {kRamBase - 1, 1, false},
              {kRamBase - 1, 2, false},
              {kRamBase - 8, kMinRamBytes + 16, false},
              {kEnd - 1, 1, true},
              {kEnd - 1, 2, false},
              {kEnd, 0, false},
              {kEnd, 1, false},
              {kRamBase + 8, ~u64{0}, false},
              {kRamBase + 8, ~u64{0} - 7, false},
              {0, 1, false},
              {~u64{0}, 1, false},
              {~u64{0}, ~u64{0}, false},
              {u64{1} << 63, kRamBase, false}};
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::Message() << std::hex << row.pa << " " << row.bytes);
    EXPECT_EQ(memory_->contains(Pa(row.pa), row.bytes), row.inside);
    if (row.bytes == 0) continue;
    EXPECT_EQ(memory_->readable(Pa(row.pa), row.bytes).size(), row.inside ? row.bytes : 0);
    EXPECT_EQ(memory_->writable(Pa(row.pa), row.bytes).size(), row.inside ? row.bytes : 0);
    EXPECT_EQ(memory_->fill(Pa(row.pa), 0, row.bytes), row.inside);
  }
}

TEST_F(GuestMemoryTest, CopiesAllOrNothing) {
  std::vector<u8> bytes(3 * kPageBytes);
  std::iota(bytes.begin(), bytes.end(), u8{1});
  const u64 at = kRamBase + kPageBytes - 5;
  EXPECT_TRUE(memory_->write(Pa(at), bytes));
  std::vector<u8> back(bytes.size());
  EXPECT_TRUE(memory_->read(Pa(at), back));
  EXPECT_EQ(back, bytes);
  // Half outside.
  const u64 last = kEnd - 100;
  EXPECT_FALSE(memory_->write(Pa(last), bytes));
  std::vector<u8> kept(bytes.size(), 9);
  EXPECT_FALSE(memory_->read(Pa(last), kept));
  EXPECT_EQ(kept, std::vector<u8>(bytes.size(), 9));
  u64 word = 1;
  EXPECT_TRUE(memory_->load(Pa(kEnd - 8), word));
  EXPECT_EQ(word, 0u);
  EXPECT_FALSE(memory_->load(Pa(kEnd - 7), word));
  EXPECT_FALSE(memory_->store<u64>(Pa(kEnd - 7), 1));
  EXPECT_FALSE(memory_->fill(Pa(kEnd - 7), 1, 8));
  EXPECT_EQ(*(memory_->ram() + kMinRamBytes - 1), 0);
  // Nothing at all is fine anywhere inside.
  EXPECT_TRUE(memory_->write(Pa(kRamBase), {}));
  EXPECT_TRUE(memory_->read(Pa(kRamBase), {}));
  EXPECT_TRUE(memory_->fill(Pa(kRamBase), 1, 0));
}

TEST_F(GuestMemoryTest, ScalarsOfAnyAlignment) {
  for (u64 at = kRamBase + kPageBytes - 9; at < kRamBase + kPageBytes + 2; at++) {
    EXPECT_TRUE(memory_->store<u64>(Pa(at), 0x0102'0304'0506'0708));
    u64 word = 0;
    EXPECT_TRUE(memory_->load(Pa(at), word));
    EXPECT_EQ(word, 0x0102'0304'0506'0708u);
    u8 lowest = 0;
    EXPECT_TRUE(memory_->load(Pa(at), lowest));
    EXPECT_EQ(lowest, 8);
  }
}

TEST_F(GuestMemoryTest, EveryWriteMakesDirtyAndCountsGenerations) {
  constexpr u64 kAt = kRamBase + 0x10'0000;
  const auto writes = std::to_array<void (*)(GuestMemory&)>({
      [](GuestMemory& m) { m.store<u8>(Pa(kAt), 1); },
      [](GuestMemory& m) { m.store<u64>(Pa(kAt + 8), 1); },
      [](GuestMemory& m) { m.fill(Pa(kAt), 1, 16); },
      [](GuestMemory& m) {
        m.write(Pa(kAt + 100), std::array<u8, 3>{1, 2, 3});
      },
      [](GuestMemory& m) { m.writable(Pa(kAt), 1); },
      [](GuestMemory& m) { m.atomic_store<u32>(Pa(kAt), 1); },
      [](GuestMemory& m) {
        u64 expected = 0;
        m.compare_exchange<u64>(Pa(kAt), expected, 1);
      },
      [](GuestMemory& m) {
        u64 low, high;
        m.compare_exchange_pair(Pa(kAt), 0, 0, 1, 1, low, high);
      },
      [](GuestMemory& m) { m.note_write(Pa(kAt + 4095), 1); },
  });
  const u64 page = (kAt - kRamBase) >> kPageShift;
  for (size_t i = 0; i < writes.size(); i++) {
    SCOPED_TRACE(i);
    memory_->clear_page_state(page, kPageDirty | kPageCode);
    const u32 before = generation(kAt);
    writes[i](*memory_);
    EXPECT_EQ(state(kAt), kPageDirty);
    EXPECT_EQ(generation(kAt), before);  // no code, nothing to count
    memory_->set_page_state(page, kPageCode);
    writes[i](*memory_);
    writes[i](*memory_);
    EXPECT_EQ(generation(kAt), before + 2);
    EXPECT_EQ(state(kAt), kPageDirty | kPageCode);
  }
  // The neighbours were not meant.
  EXPECT_EQ(state(kAt - 1), 0);
  EXPECT_EQ(state(kAt + kPageBytes), 0);
}

TEST_F(GuestMemoryTest, ReadsChangeNoState) {
  u64 word = 0;
  memory_->load(Pa(kRamBase), word);
  memory_->atomic_load<u64>(Pa(kRamBase));
  memory_->readable(Pa(kRamBase), 100);
  std::vector<u8> bytes(100);
  memory_->read(Pa(kRamBase), bytes);
  memory_->writable(Pa(kRamBase), 0);
  EXPECT_EQ(state(kRamBase), 0);
}

TEST_F(GuestMemoryTest, AWriteOverSeveralPagesCountsEach) {
  const u64 first = kRamBase + 8 * kPageBytes;
  for (u64 page = 8; page < 12; page++) memory_->set_page_state(page, kPageCode);
  memory_->fill(Pa(first + kPageBytes - 1), 0,
                kPageBytes + 2);  // the last byte of one, all of the next, one of the third
  for (u64 page = 8; page < 12; page++) {
    EXPECT_EQ(memory_->code_generation(page), page < 11 ? 1u : 0u) << page;
    EXPECT_EQ(memory_->page_state(page), page < 11 ? kPageCode | kPageDirty : kPageCode) << page;
  }
}

TEST_F(GuestMemoryTest, PageStatesAreIndependentBits) {
  for (const u8 bit : {kPageCode, kPageWatchRead, kPageWatchWrite, kPageAbsent, kPageDirty}) {
    memory_->set_page_state(3, bit);
    EXPECT_EQ(memory_->page_state(3), bit);
    memory_->set_page_state(3, 0x1f);
    memory_->clear_page_state(3, bit);
    EXPECT_EQ(memory_->page_state(3), 0x1f & ~bit);
    memory_->clear_page_state(3, 0xff);
    EXPECT_EQ(memory_->page_state(2) | memory_->page_state(4), 0);
  }
}

TEST_F(GuestMemoryTest, Atomics) {
  const Pa at(kRamBase + 64);
  memory_->atomic_store<u64>(at, 0x1122'3344'5566'7788);
  EXPECT_EQ(memory_->atomic_load<u64>(at), 0x1122'3344'5566'7788u);
  EXPECT_EQ(memory_->atomic_load<u32>(at), 0x5566'7788u);
  EXPECT_EQ(memory_->atomic_load<u16>(at + 6), 0x1122u);
  u32 seen = 0;
  EXPECT_FALSE(memory_->compare_exchange<u32>(at, seen, 1));
  EXPECT_EQ(seen, 0x5566'7788u);
  EXPECT_TRUE(memory_->compare_exchange<u32>(at, seen, 1));
  EXPECT_EQ(memory_->atomic_load<u64>(at), 0x1122'3344'0000'0001u);
  u64 low = 0, high = 0;
  memory_->compare_exchange_pair(at, 0, 0, 5, 6, low, high);
  EXPECT_EQ(low, 0x1122'3344'0000'0001u);
  EXPECT_EQ(high, 0u);
  EXPECT_EQ(memory_->atomic_load<u64>(at), 0x1122'3344'0000'0001u);
  memory_->compare_exchange_pair(at, low, high, 5, 6, low, high);
  EXPECT_EQ(low, 0x1122'3344'0000'0001u);
  EXPECT_EQ(memory_->atomic_load<u64>(at), 5u);
  EXPECT_EQ(memory_->atomic_load<u64>(at + 8), 6u);
}

}  // namespace
}  // namespace hartwood::test
