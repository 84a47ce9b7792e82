// SPDX-License-Identifier: Apache-2.0
#include "devices/vmgenid.h"

#include <algorithm>

namespace hartwood {

bool VmGenId::mmio_read(u64 offset, unsigned size, u64& value) {
  value = 0;
  Guard guard(lock_);
  for (unsigned i = 0; i < size; i++) {
    if (offset + i < kIdBytes) value |= u64{id_[offset + i]} << (8 * i);
  }
  return true;
}

bool VmGenId::mmio_write(u64, unsigned, u64) { return false; }

void VmGenId::renew(std::span<const u8, kIdBytes> id) {
  {
    Guard guard(lock_);
    std::copy(id.begin(), id.end(), id_.begin());
  }
  line_.pulse();
}

void VmGenId::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("VGEN", 1);
  for (const u8 byte : id_) out.put(byte);
  out.end();
}

void VmGenId::load(StateReader& in) {
  Guard guard(lock_);
  Id id;
  in.begin("VGEN", 1);
  for (u8& byte : id) in.get(byte);
  in.end();
  if (!in.failed()) id_ = id;
}

}  // namespace hartwood
