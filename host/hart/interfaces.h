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

// Sees every retired instruction and every trap, on the hart's thread. Slow: only where asked for.
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual void instruction(const Hart& hart, u64 pc, u32 bits) = 0;  // before it executes
  virtual void trap(const Hart& hart, u64 cause, u64 tval, u64 epc) = 0;
};

// HTIF for bare-metal programs: a store to `tohost` reaches this. [riscv-isa-sim's host-target interface]
class HostInterface {
 public:
  virtual ~HostInterface() = default;
  virtual void tohost(u64 value) = 0;
};

}  // namespace hartwood
