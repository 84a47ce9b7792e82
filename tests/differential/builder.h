// SPDX-License-Identifier: Apache-2.0
// What makes the units of one program (program.cpp, machine_units.cpp). Private to the generator.
#pragma once

#include <utility>

#include "differential/encode.h"
#include "differential/program.h"

namespace hartwood::differential {

class Builder {
 public:
  Builder(const ProgramOptions& options, u64 index);
  Program make();

 private:
  Unit& unit() { return program_.units.back(); }
  bool may_trap() const { return options_.level == Level::machine; }
  bool writable(u32 r) const { return r != program_.base_register && (r == 0 || r != counter_); }
  u32 destination();
  u32 other_destination(u32 not_this);  // not x0 either
  // The immediate that reaches byte `at` of the slot from the base register.
  i64 from_base(u32 at) const { return static_cast<i64>(at) - program_.base_offset; }
  static u32 access_bytes(Op op) {
    const u32 width = info(op).match >> 12 & 7;
    return 1u << (info(op).format == Format::amo ? width : width & 3);
  }
  u32 scratch_offset(u32 bytes, bool aligned);

  void emit(Op op, const Fields& fields);
  void emit_half(u32 half);
  void undo();
  void load_constant(u32 rd, u32 constant);
  u32 point_at(u32 at);  // a register that is set to the address of that byte of the slot
  void refresh_float(u32 r, u32 format);

  void any_unit(bool in_loop);
  void loop();
  void plain(Op op, bool static_rounding);
  void compressed();
  void memory_access(Op op);
  void atomic(Op op);
  void compare_and_swap(Op op);
  void reservation();
  void float_status();
  void forward_branch();
  void patch_code();
  void ordering();

  // machine_units.cpp
  void machine_unit();
  void own_mode();
  void illegal_word();
  void supervisor_call();
  void bad_address();
  void privileged_return();
  void control_register();
  void float_off();
  void privileged_plain();
  void software_interrupt(bool wait);

  void operands();
  void settle_targets();

  const ProgramOptions& options_;
  Random random_;
  Program program_;
  u32 loop_ = 0;
  u32 counter_ = 0;  // register of the loop that is being made; 0 none
  std::vector<Op> integer_, floating_, memory_, atomics_, swaps_, branches_;
};

}  // namespace hartwood::differential
