// SPDX-License-Identifier: Apache-2.0
// What a debugger can do with a machine, as the gdb stub (debug/gdb_server.h) asks for it. The machine implements
// GdbTarget; the stub knows nothing else of it.
//
// All calls come from the thread that drives the stub. All but interrupt(), detach() and has_csr() come while every
// hart is stopped: between GdbServer::stopped() and the next resume(). The target answers each resume() with exactly
// one call of GdbServer::stopped(), and so it does with an interrupt() that nothing else was running for (a debugger
// arrives). It may make that call before resume() or interrupt() return, or later.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

// Why all harts stand.
struct GdbStop {
  enum Why : u8 {
    breakpoint,           // a software breakpoint at the hart's pc, which has not been executed
    hardware_breakpoint,  // the same, inserted as a hardware breakpoint
    watch_write,          // the instruction that wrote is done; `address` is the first watched byte that it touched
    watch_read,
    watch_access,  // a point for reads and writes; either happened
    step,          // the hart did what resume() asked it for
    interrupted,   // by interrupt()
    exited,        // the machine is off, with `code` as its exit code
    terminated,    // the machine is off because of a failure; `code` is a signal number as gdb counts them
    halted_at_attach
  };
  Why why = interrupted;
  u32 hart = 0;       // whose stop it is
  u64 address = 0;    // watchpoints
  unsigned code = 0;  // exited: 0 to 255; terminated: 1 to 255
};

// What one hart is to do until the next stop.
struct GdbResume {
  enum Action : u8 { stay, run, step, step_range };
  Action action = stay;
  u64 start = 0, end = 0;  // step_range: step while start <= pc < end, and once in any case
  friend bool operator==(const GdbResume&, const GdbResume&) = default;
};

// A register as the target knows it.
struct GdbRegister {
  enum Kind : u8 { x, pc, f, csr, privilege };
  Kind kind = x;
  u32 index = 0;  // x and f: 0 to 31; csr: its number; else 0
  friend bool operator==(const GdbRegister&, const GdbRegister&) = default;
};

struct GdbPoint {
  // In the order of gdb's Z packets.
  enum Kind : u8 { software_breakpoint, hardware_breakpoint, watch_write, watch_read, watch_access };
  Kind kind = software_breakpoint;
  u64 address = 0;  // virtual
  u64 bytes = 0;    // watchpoints: 1 or more, address + bytes - 1 does not wrap; breakpoints: 2 or 4
  friend bool operator==(const GdbPoint&, const GdbPoint&) = default;
};

enum class GdbSpace : u8 { virtual_memory, physical_memory };

class GdbTarget {
 public:
  virtual ~GdbTarget() = default;

  // At least 1, and always the same. All of them are shown, started or not.
  virtual u32 hart_count() const = 0;
  // A few words for `info threads`, such as "S-mode, running" or "stopped (HSM)".
  virtual std::string hart_description(u32 hart) = 0;
  // Whether harts have this CSR (0 to 0xfff): it is then in the description that gdb gets when it arrives.
  virtual bool has_csr(u32 number) const = 0;

  // False: there is no such register, it cannot be read, or not be written. A read has no side effects.
  virtual bool read_register(u32 hart, GdbRegister reg, u64& value) = 0;
  virtual bool write_register(u32 hart, GdbRegister reg, u64 value) = 0;

  // Virtual memory is what `hart` sees in its present mode, whatever the pages' permissions. `to` is not empty and does
  // not wrap around the end of the address space. Returns how many bytes from the start could be read; devices are not
  // read if that would change them.
  virtual u64 read_memory(u32 hart, GdbSpace space, u64 address, std::span<u8> to) = 0;
  // All of it, or false, when a part may have been written. Also into pages that the guest may not write; harts execute
  // what was written.
  virtual bool write_memory(u32 hart, GdbSpace space, u64 address, std::span<const u8> from) = 0;

  // The stub never inserts the same point twice, and removes only what it has inserted. `hart` is the one that gdb has
  // chosen: an address space could be taken from it.
  virtual Status insert(u32 hart, const GdbPoint& point) = 0;
  virtual Status remove(const GdbPoint& point) = 0;

  // One entry for each hart, not all of them `stay`. A hart that stands at a breakpoint executes that instruction
  // first.
  virtual void resume(const std::vector<GdbResume>& harts) = 0;
  // Harts that run shall stop soon; nothing happens if they stand already because of a stop that is on its way.
  virtual void interrupt() = 0;
  // gdb has gone: no points are left, all harts run on, an interrupt() without an answer is forgotten. Any state, also
  // twice.
  virtual void detach() = 0;
  // The end of the machine, for good. No stop is reported for it.
  virtual void kill() = 0;
  // As a reset does it; all harts then stand before its first instruction, and there are no points. Also after the
  // machine was switched off, not after kill().
  virtual Status restart() = 0;
  // A command of the user's; the text is shown to them as it is.
  virtual Result<std::string> monitor(u32 hart, std::string_view command) = 0;
};

}  // namespace hartwood
