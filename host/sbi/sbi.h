// SPDX-License-Identifier: Apache-2.0
// The supervisor binary interface, version 2.0, answered by the core: what the kernel reaches by ECALL from
// S-mode where the machine has no firmware of its own. One file for each extension; extension.h has what they
// share.
//
// Called on the thread of the hart that made the call, on several threads at once. There is no state here at
// all: what the calls change is the calling hart, the shared words of other harts (by the protocol of
// shm/attention.h) and guest memory. A call never waits for anything but remote fences, during which the hart
// goes on answering fences itself.
#pragma once

#include <span>

#include "hart/interfaces.h"
#include "memory/guest_memory.h"

namespace hartwood {

// Where the debug console's bytes go to and come from. Any hart's thread, several at once.
class SbiConsole {
 public:
  virtual ~SbiConsole() = default;
  // Takes the first n bytes and returns n; never waits. The bytes may be guest memory that changes meanwhile.
  virtual u32 write(std::span<const u8> bytes) = 0;
  // Fills the front of `to` with what has arrived and returns its length; never waits.
  virtual u32 read(std::span<u8> to) = 0;
};

// The machine's power switch. Any hart's thread. On return MachineShared::power says so, and every hart, the
// caller included, has been given an attention bit to see it by; otherwise the request has failed.
class PowerControl {
 public:
  virtual ~PowerControl() = default;
  virtual void power_off(u32 code) = 0;  // 0: the guest has ended well, 1: it reported a system failure
  virtual void reboot() = 0;
};

class Sbi final : public Firmware {
 public:
  // Harts 0 to `harts` - 1 exist, 1 <= harts <= kMaxHarts. Everything outlives this object.
  Sbi(GuestMemory& memory, u32 harts, PowerControl& power, SbiConsole& console);

  // [sbi: Binary Encoding]: extension in a7, function in a6, results in a0 and a1; all other registers are
  // preserved.
  void call(Hart& hart) override;

 private:
  friend struct SbiCall;
  GuestMemory& memory_;
  const u32 harts_;
  PowerControl& power_;
  SbiConsole& console_;
};

}  // namespace hartwood
