// SPDX-License-Identifier: Apache-2.0
// Linux only; not part of the Wasm build.
#include <sys/random.h>

#include <cerrno>

#include "devices/entropy.h"

namespace hartwood {

u32 NativeEntropy::fill(std::span<u8> to) {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t got = getrandom(to.data() + done, to.size() - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<u32>(done);
}

}  // namespace hartwood
