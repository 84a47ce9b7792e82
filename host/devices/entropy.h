// SPDX-License-Identifier: Apache-2.0
// Where random bytes come from: the host's generator natively, a seed in the deterministic machine, and
// whatever the page's workers supply in Wasm. A source is called by one thread at a time: by one device under
// that device's lock, or through the machine's LockedEntropy.
#pragma once

#include <span>

#include "base/serial.h"
#include "base/types.h"

namespace hartwood {

class EntropySource {
 public:
  virtual ~EntropySource() = default;
  // Fills the front of `to` and returns its length; 0: nothing now.
  virtual u32 fill(std::span<u8> to) = 0;
};

// The same bytes for the same seed, for runs that must repeat exactly. Not for secrets.
class SeededEntropy final : public EntropySource {
 public:
  explicit SeededEntropy(u64 seed) : state_(seed) {}
  u32 fill(std::span<u8> to) override;
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  u64 state_;
};

#ifndef __wasm__
// The operating system's generator. Never blocks once the host has booted.
class NativeEntropy final : public EntropySource {
 public:
  u32 fill(std::span<u8> to) override;
};
#endif

}  // namespace hartwood
