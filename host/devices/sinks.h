// SPDX-License-Identifier: Apache-2.0
// What a device needs from the host: somewhere to put bytes, somewhere to get them, a power switch.
// Implementations are called on any hart's thread with the device's lock held, so they never call back into
// the device and never wait for a hart.
#pragma once

#include <span>

#include "base/types.h"

namespace hartwood {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes the first n bytes and returns n. n < bytes.size(): there is no more room now; whoever makes room
  // calls the device's pump(). A sink that would rather lose output than stop the guest takes all.
  virtual u32 write(std::span<const u8> bytes) = 0;
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills the front of `to` with what has arrived and returns its length; 0: nothing now. Whoever adds input
  // calls the device's poll_input().
  virtual u32 read(std::span<u8> to) = 0;
};

class PowerSink {
 public:
  virtual ~PowerSink() = default;
  // The guest asked for the end of the machine; `code` is 0 for success, else the failure code it gave (16
  // bits).
  virtual void power_off(u32 code) = 0;
  virtual void reboot() = 0;
};

}  // namespace hartwood
