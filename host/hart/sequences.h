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

// How many there are, and the operations of number `number`, as slots hold them.
u32 sequence_count();
std::span<const u16> sequence(u32 number);

// What the slot would hold without sequences.
u16 first_of_sequence(u16 op);
// The longest sequence that `ops` begins with, or its first operation. `ops`: at least one, none of them a sequence.
u16 sequence_at(std::span<const u16> ops);
// Whether something may follow `op` in a sequence.
bool can_be_continued(u16 op);

}  // namespace hartwood
