// SPDX-License-Identifier: Apache-2.0
// Memory-mapped devices and the physical bus that finds them. The bus is filled at set-up and read-only afterwards, so
// look-ups need no lock; a device guards its own registers.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  // `offset` from the device's base; `size` 1, 2, 4 or 8 bytes, naturally aligned and wholly inside the device's range.
  // Any hart's thread. False: the guest gets an access fault.
  virtual bool mmio_read(u64 offset, unsigned size, u64& value) = 0;
  virtual bool mmio_write(u64 offset, unsigned size, u64 value) = 0;
};

struct MmioRange {
  u64 base;  // physical, bytes
  u64 size;
  MmioDevice* device;
  std::string name;  // as in the memory map, for messages
};

class Bus {
 public:
  // Fails if the range is empty, wraps or overlaps another one.
  Status map(u64 base, u64 size, MmioDevice& device, std::string name);
  // The range that holds all of [pa, pa + size), or null.
  const MmioRange* find(Pa pa, unsigned size) const;
  const std::vector<MmioRange>& ranges() const { return ranges_; }

 private:
  std::vector<MmioRange> ranges_;  // sorted by base
};

}  // namespace hartwood
