// SPDX-License-Identifier: Apache-2.0
// The symbol table of an ELF file: addresses to names for traces, profiles and the debugger, names to
// addresses for HTIF and breakpoints. Immutable once read, so any thread may use it. [gabi: Symbol Table]
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "boot/elf.h"

namespace hartwood {

class SymbolTable {
 public:
  enum class Kind : u8 { none, object, function };
  struct Symbol {
    Va address;
    u64 bytes = 0;  // 0: not told
    std::string_view name;
    Kind kind = Kind::none;
    bool local = false;
  };
  struct Location {
    Symbol symbol;
    u64 offset = 0;  // bytes behind the symbol's address
  };

  // An empty table if the file has none. Left out: undefined symbols, section and file symbols, and the
  // assembler's own ("$x", ".L1"). Errors: not a RISC-V ELF64 file, a table or names that are outside the
  // file.
  static Result<SymbolTable> read(std::span<const u8> file);

  // By rising address; at one address functions first, then global ones.
  size_t size() const { return entries_.size(); }
  Symbol at(size_t index) const;
  // The symbol that covers the address, or the nearest below it if that does not say how long it is.
  std::optional<Location> locate(Va address) const;
  // The symbol of this name; a global one is preferred.
  std::optional<Symbol> find(std::string_view name) const;

 private:
  struct Entry {
    u64 address;
    u64 bytes;
    u32 name_at;
    u32 name_bytes;
    Kind kind;
    bool local;
  };
  Symbol symbol(const Entry& entry) const;

  std::vector<Entry> entries_;
  std::vector<u32> by_name_;  // indices into entries_
  std::string names_;
};

// The two words by which a bare-metal program talks to its host. [riscv-isa-sim: HTIF]
struct HtifAddresses {
  Pa tohost;
  std::optional<Pa> fromhost;
};

// Where a loaded image has "tohost" and "fromhost"; nothing if it has no tohost. An Error if one is not
// 8-byte aligned or outside the image's memory.
Result<std::optional<HtifAddresses>> find_htif(const ElfImage& image, u64 bias, const SymbolTable& symbols);

}  // namespace hartwood
