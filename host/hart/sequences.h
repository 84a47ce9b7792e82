// SPDX-License-Identifier: Apache-2.0
// Sequences of instructions that the fast loop executes by one dispatch.
//
// Dispatching costs about twice what an instruction's own work does, in Chromium as natively. So where neighbouring
// instructions of the same page are one of the sequences in sequences.inc, the first one's slot holds the sequence's
// number instead of its own operation. The slots behind it are what they would be without: a jump into the middle
// finds an ordinary instruction there, or a sequence that begins there. Every instruction of a sequence reads its
// fields from its own slot, counts against the budget and traps by itself, so nothing but time depends on the list.
//
// Groups. Half of a load's or store's time is the look into the TLB. Loads of one sequence that have the same base
// register and lie near each other can share it, and so can stores: the first one of such a group (`load_first`,
// `store_first`) probes, and that its address is kGroupReach or more away from both ends of its page makes the others
// (`load_next`, `store_next`) hit wherever they lie within that reach. A probe that fails, for whatever reason, says
// nothing about the others: then the first instruction is executed alone, and the next ones as the slots behind it say.
//
// Links. A register's way through memory costs more than most instructions' own work, in time above all where each
// instruction waits for the one before. So an operand can be given as the result of an earlier instruction of the
// sequence (r0, r1 ..), and a result that the sequence overwrites, before anything could fault, branch or read it, is
// not written (`dead`).
//
// Whether the operands suit is looked at when a slot is decoded; a sequence whose groups or links do not hold is not
// used there.
#pragma once

#include <span>

#include "hart/code_cache.h"

namespace hartwood {

inline constexpr u32 kLongestSequence = 6;
// Bytes. All that a group touches is less than this before the first one's address, or ends at most this behind it.
inline constexpr u32 kGroupReach = 64;

// The kinds of steps that sequences.inc names.
enum class Step : u8 { alu, branch, jump, load, store, load_first, load_next, store_first, store_next };

// Where an instruction of a sequence finds its operands: in a register, or as the result of the sequence's instruction
// of that number.
struct Links {
  static constexpr i8 kRegister = -1;
  i8 rs1 = kRegister, rs2 = kRegister;
  bool dead = false;
};

// How many there are, and of number `number` the operations, as slots hold them, the steps and the links.
u32 sequence_count();
std::span<const u16> sequence(u32 number);
std::span<const Step> sequence_steps(u32 number);
std::span<const Links> sequence_links(u32 number);

// What the slot would hold without sequences.
u16 first_of_sequence(u16 op);
// The sequence that saves most of those that `insns` begin with, or the first one's operation. `insns`: at least one,
// as they lie in slots, none with a sequence for its operation.
u16 sequence_at(std::span<const Insn> insns);
// Whether something may follow `op` in a sequence.
bool can_be_continued(u16 op);

}  // namespace hartwood
