// SPDX-License-Identifier: Apache-2.0
// The kernels of `npm run bench -- --only kernels,harts` (kernels.c), and how their rounds are timed (rounds.h). The
// same sources become programs of the guest, of the machine that measures, and WebAssembly.
#pragma once
#include <stdint.h>

enum { kTurns = 8 };

/** A round takes some milliseconds under QEMU. Its result depends on nothing but its turn, a number below kTurns. */
struct Kernel {
  const char* name;
  void (*prepare)(void);  // makes what a round reads; NULL if it reads nothing
  uint64_t (*round)(uint32_t turn);
};

/** Ends with an entry without a name. */
extern const struct Kernel kKernels[];
