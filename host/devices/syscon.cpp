// SPDX-License-Identifier: Apache-2.0
#include "devices/syscon.h"

namespace hartwood {

bool Syscon::mmio_read(u64, unsigned size, u64& value) {
  value = 0;
  return size == 2 || size == 4;
}

bool Syscon::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size != 2 && size != 4) return false;
  if (offset != 0) return true;
  switch (static_cast<u16>(value)) {
    case kFail: power_.power_off(size == 4 ? static_cast<u16>(value >> 16) : 0); break;
    case kPass: power_.power_off(0); break;
    case kReset: power_.reboot(); break;
    default: break;
  }
  return true;
}

void Syscon::save(StateWriter& out) const {
  out.begin("SYSC", 1);
  out.end();
}

void Syscon::load(StateReader& in) {
  in.begin("SYSC", 1);
  in.end();
}

}  // namespace hartwood
