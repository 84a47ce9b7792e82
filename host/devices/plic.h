// SPDX-License-Identifier: Apache-2.0
// The platform-level interrupt controller [PLIC: Memory Map, Interrupt Gateways, Interrupt Claim Process,
// Interrupt Completion]. Context 2h is machine mode of hart h, context 2h + 1 its supervisor mode. Any
// thread; one lock guards all registers and orders the outputs.
//
// Every source's gateway forwards one request at a time. A high level makes the source pending unless a request
// is already pending or in service; a request stays pending when the level falls before the claim; on completion
// a level that is still high makes it pending again. An edge makes it pending likewise, once: what comes while a
// request is in service is kept until its completion, so that a handler which has looked already looks again.
#pragma once

#include <array>
#include <vector>

#include "base/serial.h"
#include "devices/virt_map.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class Plic final : public MmioDevice, public InterruptSink {
 public:
  static constexpr u64 kPriority = 0x0;       // u32 per source
  static constexpr u64 kPending = 0x1000;     // bit per source
  static constexpr u64 kEnable = 0x2000;      // bit per source, 0x80 bytes per context
  static constexpr u64 kContext = 0x20'0000;  // threshold and claim, 0x1000 bytes per context
  static constexpr u64 kEnableStride = 0x80;
  static constexpr u64 kContextStride = 0x1000;

  // `hart_count` at least 1, at most what fits into virt::kPlicBytes.
  Plic(u32 hart_count, HartInterrupts& harts);

  // Registers take 4-byte accesses only; others are access faults. Reserved space reads as zero.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Sources outside 1..95 are ignored.
  void set_level(u32 source, bool level) override;
  void pulse(u32 source) override;
  // As after power-on, except that the wires keep their levels.
  void reset();

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  static constexpr u32 kWords = virt::kPlicSources / 32;
  using Bits = std::array<u32, kWords>;
  struct Context {
    Bits enable{};
    u32 threshold = 0;
    bool output = false;
  };

  // The source that context would claim if only priorities above `threshold` count; 0: none.
  u32 best(const Context& context, u32 threshold) const;
  u32 claim(Context& context);
  void complete(Context& context, u32 source);
  void open_gateways();
  void update();
  void drive(u32 context, bool level);

  HartInterrupts& harts_;
  mutable Lock lock_;
  std::array<u8, virt::kPlicSources> priority_{};
  Bits level_{};
  Bits edge_{};  // came, and not yet forwarded
  Bits pending_{};
  Bits claimed_{};  // requests in service
  std::vector<Context> contexts_;
};

}  // namespace hartwood
