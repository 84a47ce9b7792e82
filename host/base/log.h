// SPDX-License-Identifier: Apache-2.0
// Messages for the person who runs the machine, not for the guest. A machine has one Log and hands it to its parts.
#pragma once

#include <string>

namespace hartwood {

enum class LogLevel : unsigned char { debug, info, warning, error };

class Log {
 public:
  using Sink = void (*)(void* user, LogLevel level, const char* text);
  Log() = default;
  Log(Sink sink, void* user, LogLevel least) : sink_(sink), user_(user), least_(least) {}
  bool enabled(LogLevel level) const { return sink_ != nullptr && level >= least_; }
  // Any thread; the sink must allow that.
  void write(LogLevel level, const std::string& text) const {
    if (enabled(level)) sink_(user_, level, text.c_str());
  }

 private:
  Sink sink_ = nullptr;
  void* user_ = nullptr;
  LogLevel least_ = LogLevel::info;
};

}  // namespace hartwood
