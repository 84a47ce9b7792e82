// SPDX-License-Identifier: Apache-2.0
// Call frame information, .eh_frame and .debug_frame: for an instruction, where its caller's registers are, and one
// step of unwinding by it. For RISC-V's registers x0 to x31; rules for others are read and dropped. The sections' bytes
// must outlive this. Immutable once read. Guest memory comes through a callback, which may refuse. [dwarf5: Call Frame
// Information], [lsb: Exception Frames], [riscv-elf-psabi: DWARF Register Numbers]
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

// What a hart's frame is known to hold. x[0] is always 0 and known.
struct FrameRegisters {
  u64 pc = 0;
  u64 x[32] = {};
  u32 known = 1;  // one bit for each of x
  bool knows(unsigned index) const { return known >> index & 1; }
  void set(unsigned index, u64 value) {
    if (index == 0) return;
    x[index] = value;
    known |= u32{1} << index;
  }
};

// `bytes` (1, 2, 4 or 8) bytes of guest memory at a virtual address, zero-extended; nothing if they cannot be read.
using ReadGuest = std::function<std::optional<u64>(u64 address, unsigned bytes)>;

class CallFrames {
 public:
  struct Rule {
    enum Kind : u8 {
      unspecified,      // the ABI's: saved registers keep their values, others are lost
      undefined,        // lost
      same_value,       // unchanged
      offset,           // in memory at CFA + number
      value_offset,     // CFA + number
      in_register,      // register `number` of this frame
      expression,       // in memory at what the expression yields
      value_expression  // what the expression yields
    } kind = unspecified;
    i64 number = 0;
    std::span<const u8> code;
  };
  // The rules that hold at one instruction. The CFA is `in_register` (register `cfa_register` plus number) or
  // `value_expression`.
  struct Rules {
    u64 low = 0, high = 0;  // the function's code that the entry is for
    Rule cfa;
    u32 cfa_register = 0;
    Rule x[32];
    u32 return_register = 1;
    bool signal_frame = false;  // the frame's pc is that of an interrupted instruction
  };

  // `eh_frame` was linked at `eh_frame_address`. Both may be empty. Errors: the first entry of a section is damaged.
  // What is behind later damage is left out.
  static Result<CallFrames> read(std::span<const u8> eh_frame, u64 eh_frame_address, std::span<const u8> debug_frame);

  // Nothing if no entry covers the address. Errors: the entry's program is damaged.
  Result<std::optional<Rules>> rules(u64 address) const;
  size_t entries() const { return entries_.size(); }

  // The caller's registers, by the rules of the frame's instruction; `bias` is what was added to linked addresses. The
  // result's pc is a return address (behind the call), unless the frame is a signal's. Errors: a register or memory
  // that is needed is not there, an expression that is damaged. Nothing: the frame is the outermost one.
  static Result<std::optional<FrameRegisters>> unwind(const Rules& rules, const FrameRegisters& frame, u64 bias,
                                                      const ReadGuest& read);

 private:
  struct Common {  // one CIE
    std::span<const u8> program;
    u64 code_alignment = 1;
    i64 data_alignment = 1;
    u32 return_register = 1;
    u8 encoding = 0;  // of an entry's addresses
    u8 address_bytes = 8;
    bool augmented = false;
    bool signal_frame = false;
  };
  struct Entry {  // one FDE
    u64 low, high;
    u32 common;
    std::span<const u8> program;
    u64 program_address;  // where the program was linked, for addresses relative to it
  };
  Status read_section(std::span<const u8> section, u64 section_address, bool eh);

  std::vector<Common> commons_;
  std::vector<Entry> entries_;  // by `low`
};

// The value that a DWARF expression leaves on top of its stack. `first`: what is on it at the start, if anything.
// Errors: an unknown operation, a register or memory that is not there, an empty or too deep stack, too many steps.
// [dwarf5: DWARF Expressions]
Result<u64> evaluate_dwarf(std::span<const u8> code, std::optional<u64> first, const FrameRegisters& frame, u64 bias,
                           const ReadGuest& read);

}  // namespace hartwood
