// SPDX-License-Identifier: Apache-2.0
// The board's test finisher ("sifive,test1", "syscon-poweroff", "syscon-reboot"): one 32-bit register that
// ends or restarts the machine. No state. Any hart's thread.
#pragma once

#include "base/serial.h"
#include "devices/sinks.h"
#include "memory/mmio.h"

namespace hartwood {

class Syscon final : public MmioDevice {
 public:
  static constexpr u16 kFail = 0x3333;  // with the code in bits 31..16
  static constexpr u16 kPass = 0x5555;
  static constexpr u16 kReset = 0x7777;

  explicit Syscon(PowerSink& power) : power_(power) {}

  // Reads as zero. 2- and 4-byte writes of offset 0 act; values that mean nothing are ignored.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  PowerSink& power_;
};

}  // namespace hartwood
