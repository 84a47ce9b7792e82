// SPDX-License-Identifier: Apache-2.0
// Sequences of instructions that the fast loop executes by one dispatch.
//
// Dispatching costs about twice what an instruction's own work does, in Chromium as natively. So where neighbouring
// instructions of the same page are one of the sequences in sequences.inc, the first one's slot holds the sequence's
// number instead of its own operation. The slots behind it are what they would be without: a jump into the middle
// finds an ordinary instruction there, or a sequence that begins there. Every instruction of a sequence reads its
// fields from its own slot, counts against the budget and traps by itself, so nothing but time depends on the list.
#pragma once

#include <span>

#include "hart/code_cache.h"

namespace hartwood {

inline constexpr u32 kLongestSequence = 4;

// Both in place of an Insn's op. Whether an instruction is executed as part of what came before it shows nowhere.
u16 first_of_sequence(u16 op);  // the operation that the slot would hold without sequences
// The longest sequence that `ops` begins with, or its first operation. `ops`: at least one, none of them a sequence.
u16 sequence_at(std::span<const u16> ops);
// Whether something may follow `op` in a sequence.
bool can_be_continued(u16 op);

#define HW_SEQUENCE_NAME(kind, name, bytes) _##name##bytes
#define HW_SEQUENCE_JOIN2(a, b) HW_SEQUENCE_PASTE2(a, b)
#define HW_SEQUENCE_PASTE2(a, b) sequence##a##b
#define HW_SEQUENCE_JOIN3(a, b, d) HW_SEQUENCE_PASTE3(a, b, d)
#define HW_SEQUENCE_PASTE3(a, b, d) sequence##a##b##d
#define HW_SEQUENCE_JOIN4(a, b, d, e) HW_SEQUENCE_PASTE4(a, b, d, e)
#define HW_SEQUENCE_PASTE4(a, b, d, e) sequence##a##b##d##e
#define HW_SEQUENCE_NUMBER2(a, b) HW_SEQUENCE_JOIN2(HW_SEQUENCE_NAME a, HW_SEQUENCE_NAME b)
#define HW_SEQUENCE_NUMBER3(a, b, d) HW_SEQUENCE_JOIN3(HW_SEQUENCE_NAME a, HW_SEQUENCE_NAME b, HW_SEQUENCE_NAME d)
#define HW_SEQUENCE_NUMBER4(a, b, d, e) \
  HW_SEQUENCE_JOIN4(HW_SEQUENCE_NAME a, HW_SEQUENCE_NAME b, HW_SEQUENCE_NAME d, HW_SEQUENCE_NAME e)

enum SequenceNumber : u16 {
#define HW_SEQUENCE2(a, b) HW_SEQUENCE_NUMBER2(a, b),
#define HW_SEQUENCE3(a, b, d) HW_SEQUENCE_NUMBER3(a, b, d),
#define HW_SEQUENCE4(a, b, d, e) HW_SEQUENCE_NUMBER4(a, b, d, e),
#include "hart/sequences.inc"
#undef HW_SEQUENCE2
#undef HW_SEQUENCE3
#undef HW_SEQUENCE4
  kSequenceCount
};

}  // namespace hartwood
