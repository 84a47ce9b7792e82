// SPDX-License-Identifier: Apache-2.0
#include "hart/sequences.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace hartwood {
namespace {

struct Sequence {
  u16 number;
  u16 length;
  u16 ops[kLongestSequence];
};

#define HW_CODE(kind, name, bytes) static_cast<u16>((bytes == 2 ? kCompact : 0) + static_cast<u16>(Op::name))
constexpr Sequence kSequences[] = {
#define HW_SEQUENCE2(number, a, b) {number, 2, {HW_CODE a, HW_CODE b}},
#define HW_SEQUENCE3(number, a, b, d) {number, 3, {HW_CODE a, HW_CODE b, HW_CODE d}},
#define HW_SEQUENCE4(number, a, b, d, e) {number, 4, {HW_CODE a, HW_CODE b, HW_CODE d, HW_CODE e}},
#include "hart/sequences.inc"
#undef HW_SEQUENCE2
#undef HW_SEQUENCE3
#undef HW_SEQUENCE4
};

constexpr u16 kSequenceCount = std::size(kSequences);

constexpr bool numbered_in_order() {
  for (u16 i = 0; i < kSequenceCount; i++) {
    if (kSequences[i].number != i) return false;
  }
  return true;
}
static_assert(numbered_in_order());

// Numbers of sequences by first operation, longest first, and where those of an operation begin.
struct Index {
  std::array<u16, kSequenceCount> order{};
  std::array<u16, kSlotIllegal + 1> begin{};
};

constexpr Index make_index() {
  Index index;
  for (u16 i = 0; i < kSequenceCount; i++) index.order[i] = i;
  std::sort(index.order.begin(), index.order.end(), [](u16 a, u16 b) {
    const Sequence &x = kSequences[a], &y = kSequences[b];
    if (x.ops[0] != y.ops[0]) return x.ops[0] < y.ops[0];
    return x.length != y.length ? x.length > y.length : a < b;
  });
  u16 at = 0;
  for (u32 op = 0; op <= kSlotIllegal; op++) {
    while (at < kSequenceCount && kSequences[index.order[at]].ops[0] < op) at++;
    index.begin[op] = at;
  }
  return index;
}
constexpr Index kIndex = make_index();

}  // namespace

u32 sequence_count() { return kSequenceCount; }

std::span<const u16> sequence(u32 number) { return std::span(kSequences[number].ops).first(kSequences[number].length); }

u16 first_of_sequence(u16 op) { return op >= kSlotSequences ? kSequences[op - kSlotSequences].ops[0] : op; }

bool can_be_continued(u16 op) { return op < kSlotIllegal && kIndex.begin[op] != kIndex.begin[op + 1]; }

u16 sequence_at(std::span<const u16> ops) {
  const u16 op = ops[0];
  if (op >= kSlotIllegal) return op;
  for (u32 at = kIndex.begin[op]; at < kIndex.begin[op + 1]; at++) {
    const std::span<const u16> candidate = sequence(kIndex.order[at]);
    if (candidate.size() <= ops.size() && std::equal(candidate.begin(), candidate.end(), ops.begin()))
      return static_cast<u16>(kSlotSequences + kIndex.order[at]);
  }
  return op;
}

}  // namespace hartwood
