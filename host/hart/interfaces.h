// SPDX-License-Identifier: Apache-2.0
// What a hart asks of parts that it may not include: firmware and tracing.
#pragma once

#include "base/types.h"
#include "hart/state.h"
#include "isa/isa.h"

namespace hartwood {

class Hart;

// Answers ecalls from S-mode instead of a trap to M-mode, where the machine has no firmware of its own.
class Firmware {
 public:
  virtual ~Firmware() = default;
  // Called on the hart's thread with pc at the ecall; the hart steps over it afterwards unless `jump` was set.
  virtual void call(Hart& hart) = 0;
};

// Neighbouring plain loads or stores with one base register, as compiled code names them.
struct AccessRun {
  u32 count = 0;  // 1 to 255
  u32 base = 0;   // x register
  bool store = false, is_float = false;
  u32 registers = 0;  // what they load or store: a bit each
  u32 pack() const { return count | base << 8 | u32{store} << 16 | u32{is_float} << 17; }
  static AccessRun unpack(u32 packed, u32 registers) {
    return {packed & 0xff, packed >> 8 & 31, (packed >> 16 & 1) != 0, (packed >> 17 & 1) != 0, registers};
  }
};

// Guest code that has been compiled: one for each hart, called on the hart's thread. The interpreter asks it at places
// that control often goes to; see jit/hart_code.h.
class TranslatedCode {
 public:
  virtual ~TranslatedCode() = default;
  // What emitted code and the run loop share; the hart's, at a fixed distance from its state.
  struct Window {
    i32 budget = 0;      // instructions left in the slice
    u32 fp_ready = 0;    // 1: FS is dirty and frm is round-to-nearest
    u32 fp_fast = 0;     // 1: besides, the inexact flag is set
    u32 context = 0;     // names satp and privilege in the jump cache
    u32 jump_cache = 0;  // address of JumpEntry[]
    // TLB tables of the current translation context: addresses.
    u32 read_table = 0, write_table = 0;
    Hart* hart = nullptr;
    // Set by the hart: where control went does not come from compiled code alone, and may be in another context.
    bool moved = false;
  };
  // Emitted code names the place where it leaves a region by one word: a distance in bytes, and from this bit on the
  // instructions of the block that did not happen. A run of accesses returns a difference of two such words, or
  // kAllDone, which no difference is: distances are even.
  static constexpr u32 kNotDoneShift = 18;
  static constexpr u32 kAllDone = 1;
  // The interpreter is about to execute at `pc`, which lies in RAM page `page`, and has often been there. Executes
  // compiled code from there as far as there is any, with window.budget counted down; `pc` becomes where to go on, plus
  // 1 if an instruction must be interpreted there first. False: there is no code, and nothing has happened. `jumps`: to
  // the place, since this was asked there last; 0: it was not jumped to.
  // `indirect`: it was now by an indirect jump or call.
  virtual bool enter(u64& pc, u64 page, u32 jumps, bool indirect) = 0;
  // FENCE.I; and fences of address translation: everything, what is not global of an ASID, or what maps one address.
  virtual void fence_code() = 0;
  virtual void fence_all() = 0;
  virtual void fence_asid(u64 asid) = 0;
  virtual void fence_address(u64 va) = 0;
};

// Sees every retired instruction and every trap, on the hart's thread. Slow: only where asked for.
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual void instruction(const Hart& hart, u64 pc, u32 bits) = 0;  // before it executes
  virtual void trap(const Hart& hart, u64 cause, u64 tval, u64 epc) = 0;
};

// Time that passes by the instructions that the hart retires: nobody else watches its deadlines. On the hart's thread.
class VirtualTime {
 public:
  virtual ~VirtualTime() = default;
  // `ticks` lies ahead: how many instructions until the clock shows it, 1 or more.
  virtual u64 instructions_until(u64 ticks) = 0;
  // The hart sleeps until then. False: others may have instructions to execute before; it leaves run(), asleep.
  virtual bool sleep_until(u64 ticks) = 0;
};

// HTIF for bare-metal programs: a store to `tohost` reaches this. [riscv-isa-sim's host-target interface]
class HostInterface {
 public:
  virtual ~HostInterface() = default;
  virtual void tohost(u64 value) = 0;
};

}  // namespace hartwood
