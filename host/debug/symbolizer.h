// SPDX-License-Identifier: Apache-2.0
// Addresses of a running guest in words: which object is loaded there, which function, which line, and which calls were
// inlined. An object is an ELF file at a bias: the kernel, a module, a program, a library. Its debug information is in
// itself or in a split file, which its build-id (or the link's checksum) proves to be its own. What is missing is said,
// not guessed. The files' bytes must outlive this. Used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "debug/dwarf_cfi.h"
#include "debug/dwarf_info.h"
#include "debug/elf_file.h"

namespace hartwood {

class Symbolizer {
 public:
  struct Frame {
    std::string function;  // empty: not told
    std::string file;      // empty: not told
    u32 line = 0;          // 0: not told
    bool inlined = false;  // into the frame that follows
  };
  struct Symbolized {
    std::string object;         // empty: the address is in none
    std::string symbol;         // empty: none
    u64 offset = 0;             // bytes behind the symbol
    std::vector<Frame> frames;  // innermost first; empty if nothing is known of functions and lines
    std::string note;           // what is missing, a sentence without its full stop; else empty
    // "function+0x12 (file:line)", with what is inlined there in front: "inner (file:line) in function+0x12
    // (file:line)". An address of which nothing is known is itself.
    std::string text(Va address) const;
  };
  struct Step {
    FrameRegisters registers;  // of the caller
    bool interrupted = false;  // the caller's pc is that of an instruction to come, not a return address
  };

  // Adds an object; its compressed sections are best provided before. `bias` is added to the addresses that it was
  // linked at. `expected` is the build-id of what is really loaded, if that is known. Returns a number for it. Errors:
  // the build-id differs or the file has none.
  Result<u32> add(std::string name, ElfFile file, u64 bias, std::span<const u8> expected = {});
  // Gives an object its split debug file. `bytes` are the whole file's, for the checksum of a link; may be empty if
  // there are build-ids. Errors: not this object's.
  Status add_debug_file(u32 object, ElfFile file, std::span<const u8> bytes = {});
  // Errors: there is no such object.
  Status remove(u32 object);

  Symbolized symbolize(Va address);
  // The address of a symbol in any object, in the order in which they were added.
  std::optional<Va> address_of(std::string_view name);
  // The caller of a frame, by call frame information. `interrupted`: the frame's pc is an instruction that was not
  // executed yet (the innermost frame, or one below a signal's). Nothing: the frame is the outermost. Errors: no object
  // or no information for the pc, damage, memory that cannot be read.
  Result<std::optional<Step>> unwind(const FrameRegisters& frame, bool interrupted, const ReadGuest& read);

 private:
  struct Object {
    std::string name;
    ElfFile file;
    std::optional<ElfFile> debug_file;
    u64 bias = 0;
    u64 low = 0, high = 0;  // of its memory, with the bias
    std::optional<DwarfInfo> info;
    std::optional<CallFrames> frames;
    std::string trouble;         // with its debug information
    std::string frames_trouble;  // with its call frame information
    bool opened = false, frames_opened = false;
  };
  Object* object_at(u64 address);
  void open(Object& object);
  void open_frames(Object& object);

  std::vector<std::unique_ptr<Object>> objects_;  // null: removed
};

}  // namespace hartwood
