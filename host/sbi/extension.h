// SPDX-License-Identifier: Apache-2.0
// What the extensions share: a call's arguments, its answer, the checks that several of them make, and the
// table that the dispatcher and the probe function look extensions up in. On the thread of the calling hart;
// no state.
#pragma once

#include <span>

#include "hart/hart.h"
#include "sbi/sbi.h"

namespace hartwood {

// [sbi: Binary Encoding, Standard SBI Errors]
enum class SbiError : i64 {
  success = 0,
  failed = -1,
  not_supported = -2,
  invalid_param = -3,
  denied = -4,
  invalid_address = -5,
  already_available = -6,
};

struct SbiAnswer {
  SbiError error = SbiError::success;  // to a0
  u64 value = 0;                       // to a1
  bool repeat = false;                 // nothing was done: the hart makes the same call again, registers unchanged

  SbiAnswer() = default;
  SbiAnswer(SbiError e) : error(e) {}
  static SbiAnswer of(u64 v) {
    SbiAnswer answer;
    answer.value = v;
    return answer;
  }
  static SbiAnswer again() {
    SbiAnswer answer;
    answer.repeat = true;
    return answer;
  }
};

struct SbiCall {
  Sbi& sbi;
  Hart& hart;

  // a0 to a5.
  u64 argument(unsigned index) const { return hart.state().x[10 + index]; }
  // A parameter of 32 bits: what lies above is ignored.
  u32 argument32(unsigned index) const { return static_cast<u32>(argument(index)); }
  u32 function() const { return static_cast<u32>(hart.state().x[16]); }

  GuestMemory& memory() const { return sbi.memory_; }
  PowerControl& power() const { return sbi.power_; }
  SbiConsole& console() const { return sbi.console_; }
  u32 hart_count() const { return sbi.harts_; }
  HartShared& shared(u64 hart_id) const { return hart.attention().shared().harts[hart_id]; }

  // The harts that arguments 0 (mask) and 1 (base) name, as a mask of hart ids. False: one of them does not
  // exist. [sbi: Hart list parameter]
  bool hart_list(u64& harts) const;

  // True if S-mode can execute at `address`: it is in RAM, the whole of which firmware opens to S-mode, and
  // aligned.
  bool can_execute_at(u64 address) const { return address % 2 == 0 && memory().contains(Pa(address), 2); }
};

// Answers every function of one extension.
using SbiHandler = SbiAnswer (*)(const SbiCall&);

SbiAnswer sbi_base(const SbiCall& call);            // base.cpp
SbiAnswer sbi_timer(const SbiCall& call);           // timer.cpp
SbiAnswer sbi_ipi(const SbiCall& call);             // ipi.cpp
SbiAnswer sbi_remote_fence(const SbiCall& call);    // remote_fence.cpp
SbiAnswer sbi_hart_state(const SbiCall& call);      // hart_state.cpp
SbiAnswer sbi_system_reset(const SbiCall& call);    // system_reset.cpp
SbiAnswer sbi_debug_console(const SbiCall& call);   // debug_console.cpp
SbiAnswer sbi_system_suspend(const SbiCall& call);  // system_suspend.cpp

struct SbiExtension {
  u32 id;  // EID
  SbiHandler handler;
};
// The extension with this number, or null.
const SbiExtension* find_sbi_extension(u32 id);

}  // namespace hartwood
