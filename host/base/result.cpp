// SPDX-License-Identifier: Apache-2.0
// Formatting of messages.
#include "base/result.h"

#include <cstdarg>
#include <cstdio>

namespace hartwood {
namespace {
std::string vformat(const char* pattern, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, pattern, again);
  va_end(again);
  if (length <= 0) return {};
  std::string text(static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, arguments);
  return text;
}
}  // namespace

std::string format(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  std::string text = vformat(pattern, arguments);
  va_end(arguments);
  return text;
}

Error errorf(const char* pattern, ...) {
  va_list arguments;
  va_start(arguments, pattern);
  Error error{vformat(pattern, arguments)};
  va_end(arguments);
  return error;
}

}  // namespace hartwood
