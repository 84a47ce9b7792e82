// SPDX-License-Identifier: Apache-2.0
// What compiles and installs a whole machine's code between its slices, in Wasm, where Node compiles modules in this
// thread; natively there is only the interpreter.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "machine/machine.h"

namespace hartwood::test {

enum class SlicedEngine : u8 { interpreted, compiled, compiled_plain };
inline const char* name_of(SlicedEngine engine) {
  constexpr const char* kNames[] = {"interpreted", "compiled", "compiled without passes"};
  return kNames[static_cast<u8>(engine)];
}

#ifdef __wasm__

// All that there are, which a test compares.
inline std::vector<SlicedEngine> sliced_engines() {
  return {SlicedEngine::interpreted, SlicedEngine::compiled, SlicedEngine::compiled_plain};
}
// What HARTWOOD_ENGINE asks for.
SlicedEngine sliced_engine_asked();
// Of the environment; empty: not set.
std::string sliced_setting(const char* name);

class SlicedTier {
 public:
  // Before the machine boots.
  SlicedTier(Machine& machine, SlicedEngine engine);
  // Whatever is asked for, while no hart runs.
  void compile();
  // Executed by compiled code so far.
  u64 instructions() const;

 private:
  Machine& machine_;
  bool fresh_ = true, plain_;
};

#else

inline std::vector<SlicedEngine> sliced_engines() { return {SlicedEngine::interpreted}; }
inline SlicedEngine sliced_engine_asked() { return SlicedEngine::interpreted; }
inline std::string sliced_setting(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

class SlicedTier {
 public:
  SlicedTier(Machine&, SlicedEngine) {}
  void compile() {}
  u64 instructions() const { return 0; }
};

#endif

}  // namespace hartwood::test
