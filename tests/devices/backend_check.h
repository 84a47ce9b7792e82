// SPDX-License-Identifier: Apache-2.0
// What every block back end must do.
#pragma once

#include "devices/virtio/block_backend.h"
#include "support.h"

namespace hartwood::device_test {

// `backend`: 256 KiB of zeroes that may be written.
inline void check_backend(BlockBackend& backend) {
  ASSERT_EQ(backend.size(), 256u << 10);
  const std::vector<u8> ones(200 << 10, 1);
  EXPECT_TRUE(backend.write(4096, ones));
  EXPECT_TRUE(backend.flush());
  EXPECT_TRUE(backend.write_zeroes(8192, 100 << 10, false));
  EXPECT_TRUE(backend.write_zeroes(4096, 512, true));
  std::vector<u8> seen(backend.size());
  EXPECT_TRUE(backend.read(0, seen));
  for (u64 i = 0; i < seen.size(); i++) {
    const bool zero = i < 4608 || (i >= 8192 && i < 8192 + (100 << 10)) || i >= 4096 + ones.size();
    ASSERT_EQ(seen[i], zero ? 0 : 1) << i;
  }
  EXPECT_TRUE(backend.discard(4096, 65536));
  EXPECT_TRUE(backend.discard(4096, 0));
  EXPECT_TRUE(backend.write_zeroes(4096, 0, true));
  u8 last = 9;
  EXPECT_TRUE(backend.read(backend.size() - 1, std::span(&last, 1)));
  EXPECT_EQ(last, 0);
}

}  // namespace hartwood::device_test
