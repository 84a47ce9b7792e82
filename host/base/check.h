// SPDX-License-Identifier: Apache-2.0
// HW_CHECK: a condition that only our own bug can break. Guest input and configuration never reach it: those are
// `Trap`s and `Result`s. A failed check reports through the fatal handler (the page shows it) and ends the program.
#pragma once

namespace hartwood {

// Called once with the message before the program ends; may be called on any thread. Null: standard error.
using FatalHandler = void (*)(const char* message);
void set_fatal_handler(FatalHandler handler);

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* why);

}  // namespace hartwood

#define HW_CHECK(condition, why)                                     \
  do {                                                               \
    if (!(condition)) [[unlikely]]                                   \
      ::hartwood::check_failed(__FILE__, __LINE__, #condition, why); \
  } while (false)
