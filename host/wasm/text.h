// SPDX-License-Identifier: Apache-2.0
// Modules as text for people and for comparisons: one instruction a line, nesting by indentation only, so there is no
// `end`. A label is the number of constructs around its own (the function's body is $0), which stays the same when
// something is added elsewhere. What branch hints say stands behind the instruction. Reads all that the encoder writes
// and little more; not a validator: it looks at structure and bounds, not at types of operands. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace hartwood::wasm {

struct TextOptions {
  // Only this one's code; numbered as calls do.
  std::optional<u32> function;
  // What is written for an immediate: a constant, the offset of an access, the number of a local (in its declaration,
  // `instruction` is "local") or of a called function. An empty text stands for the number.
  std::function<std::string(std::string_view instruction, u64 value)> immediate;
};

// The error says where the bytes are not what they should be.
Result<std::string> to_text(std::span<const u8> module, const TextOptions& options = {});

}  // namespace hartwood::wasm
