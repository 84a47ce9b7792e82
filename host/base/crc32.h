// SPDX-License-Identifier: Apache-2.0
// CRC-32 with the polynomial of IEEE 802.3, as gzip, PNG and everybody's command line tools compute it. Against damage,
// not against an enemy.
#pragma once

#include <span>

#include "base/types.h"

namespace hartwood {

// `before`: the result for the bytes in front of these; 0 for none.
u32 crc32(std::span<const u8> bytes, u32 before = 0);

}  // namespace hartwood
