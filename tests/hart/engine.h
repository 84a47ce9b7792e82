// SPDX-License-Identifier: Apache-2.0
// What executes a rig's instructions besides the interpreter: in WebAssembly, with HARTWOOD_ENGINE=compiled (or
// compiled-plain, without the passes that can be left out) in the environment, everything that a rig is about to
// execute is compiled first, and executed compiled as far as it can be. The same tests then say the same of both.
#pragma once

#include <memory>

#include "hart/hart.h"

namespace hartwood::test {

class Engine {
 public:
  virtual ~Engine() = default;
  // The hart is about to execute `count` instructions from its pc.
  virtual void prepare(u64 count) = 0;
};

// Null: the interpreter alone. The hart outlives the engine.
#ifdef __wasm__
std::unique_ptr<Engine> make_engine(Hart& hart);
#else
inline std::unique_ptr<Engine> make_engine(Hart&) { return nullptr; }
#endif

}  // namespace hartwood::test
