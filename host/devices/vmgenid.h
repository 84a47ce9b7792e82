// SPDX-License-Identifier: Apache-2.0
// The generation id of the machine ("microsoft,vmgenid"): 16 bytes that are others after the machine was restored from
// a snapshot or copied, and an interrupt that says so. A guest mixes them into its random numbers, so that two machines
// of one snapshot do not draw the same ones. [linux: Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml]
// Any thread; one lock guards the id.
//
// The interrupt is an edge, as in the binding's example: the device has no register by which a guest could say that it
// has looked, so a level could fall only when the id is read, and a guest that defers reading it, or never does,
// would be interrupted without end. The gateway keeps an edge until it is claimed, and one that comes while an earlier
// one is in service until that is completed; a handler that has read some bytes of the former id looks again.
#pragma once

#include <array>
#include <span>

#include "base/serial.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class VmGenId final : public MmioDevice {
 public:
  static constexpr size_t kIdBytes = 16;
  using Id = std::array<u8, kIdBytes>;

  VmGenId(InterruptLine line, const Id& first) : line_(line), id_(first) {}

  // The id's bytes in their order, from offset 0; zeroes behind them. Writes are access faults.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Sets another id, then interrupts.
  void renew(std::span<const u8, kIdBytes> id);

  // An interrupt that waits is the controller's state. load() sets the saved id and does not interrupt.
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  InterruptLine line_;
  mutable Lock lock_;
  Id id_;
};

}  // namespace hartwood
