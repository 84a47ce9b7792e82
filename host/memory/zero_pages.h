// SPDX-License-Identifier: Apache-2.0
// Large pieces of memory that are zero at first and take room only where they are touched. Any thread.
#pragma once

#include <memory>

#include "base/types.h"

namespace hartwood {

struct FreeZeroPages {
  u64 bytes = 0;
  void operator()(u64* words) const;
};
using ZeroPages = std::unique_ptr<u64[], FreeZeroPages>;

// `bytes`: a multiple of 4096, below 2 GiB. Aborts if there is no room.
ZeroPages allocate_zero_pages(u64 bytes);

}  // namespace hartwood
