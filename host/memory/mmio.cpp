// SPDX-License-Identifier: Apache-2.0
#include "memory/mmio.h"

#include <algorithm>

namespace hartwood {

Status Bus::map(u64 base, u64 size, MmioDevice& device, std::string name) {
  if (size == 0 || base + size < base) return errorf("%s: empty or wrapping address range", name.c_str());
  for (const MmioRange& range : ranges_) {
    if (base < range.base + range.size && range.base < base + size)
      return errorf("%s overlaps %s", name.c_str(), range.name.c_str());
  }
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), base,
                                      [](u64 value, const MmioRange& range) { return value < range.base; });
  ranges_.insert(after, MmioRange{base, size, &device, std::move(name)});
  return {};
}

const MmioRange* Bus::find(Pa pa, unsigned size) const {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), pa.value,
                                      [](u64 value, const MmioRange& range) { return value < range.base; });
  if (after == ranges_.begin()) return nullptr;
  const MmioRange& range = *std::prev(after);
  const u64 offset = pa.value - range.base;
  return offset < range.size && size <= range.size - offset ? &range : nullptr;
}

}  // namespace hartwood
