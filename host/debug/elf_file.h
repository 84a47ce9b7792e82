// SPDX-License-Identifier: Apache-2.0
// A checked view of an ELF64 little-endian file for the debugger: sections, symbols, build-id, the link to a split
// debug file, and the contents of sections as debug information needs them: decompressed by the host, relocated if the
// file is an object (a kernel module). The file's bytes stay the caller's and must outlive the view. Nothing in the
// file is trusted. Used by one thread. [gabi: Sections, Symbol Table, Compressed sections], [riscv-elf-psabi:
// Relocations]
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

struct ElfSection {
  std::string_view name;
  u32 type = 0;
  u64 flags = 0;
  u64 address = 0;  // where it was linked or placed
  u64 bytes = 0;    // in memory; in the file too, unless it has no contents there
  u64 offset = 0;   // in the file
  u32 link = 0;
  u32 info = 0;
  bool in_file = false;  // it has contents, and they are inside the file
  bool allocated() const { return flags & 2; }
  bool executable() const { return flags & 4; }
  bool compressed() const { return flags & 0x800; }
  bool contains(u64 at) const { return at >= address && at - address < bytes; }
};

class ElfFile {
 public:
  enum class Kind : u8 { object, executable, dynamic };
  struct Symbol {
    std::string_view name;
    u64 address = 0;
    u64 bytes = 0;  // 0: not told
    bool function = false;
  };
  // A section that the host has to decompress: `stream` is zlib's format (algorithm 1) or Zstandard's (2).
  struct Compressed {
    u32 section = 0;
    u32 algorithm = 0;
    std::span<const u8> stream;
    u64 bytes = 0;  // decompressed
  };
  struct DebugLink {
    std::string_view file;
    u32 crc = 0;  // CRC-32 of that file
  };
  struct Segment {  // one that is loaded
    u64 offset = 0;
    u64 address = 0;
    u64 file_bytes = 0;
    u64 memory_bytes = 0;
    bool executable = false;
  };

  // Errors: not an ELF64 little-endian file of the kinds above; section headers outside the file.
  static Result<ElfFile> read(std::span<const u8> file);

  Kind kind() const { return kind_; }
  std::span<const ElfSection> sections() const { return sections_; }
  std::span<const Segment> segments() const { return segments_; }
  // The first section of this name.
  std::optional<u32> find(std::string_view name) const;
  // The allocated section that holds the address; none for thread-local ones.
  std::optional<u32> section_at(u64 address) const;
  // Empty if the file has none.
  std::span<const u8> build_id() const { return build_id_; }
  std::string build_id_text() const;
  std::optional<DebugLink> debug_link() const;

  // Objects only, before the first use of symbols and contents: where a section was loaded.
  Status place(u32 section, u64 address);
  // Objects only: places all allocated sections one behind the other, page by page.
  void lay_out(u64 from);

  // The sections of debug information that cannot be read before the host has provided them.
  std::vector<Compressed> compressed() const;
  // Errors: not a compressed section, another length than its header tells.
  Status provide(u32 section, std::vector<u8> bytes);
  // A section's bytes, decompressed and relocated; valid as long as this view. Errors: compressed and not provided,
  // outside of the file, relocations that are damaged or of an unknown kind.
  Result<std::span<const u8>> contents(u32 section);
  // The same by name; empty if there is no such section.
  Result<std::span<const u8>> contents(std::string_view name);

  // How many named symbols there are, from .symtab and .dynsym.
  size_t symbol_count();
  // The symbol of an address: in code a function or label, else an object as well. The one that says it covers the
  // address, else the nearest below it in its section.
  std::optional<Symbol> symbol_for(u64 address);
  // The first symbol of this name, a global one if there is one. Looks at all of them.
  std::optional<Symbol> symbol_named(std::string_view name);

 private:
  struct SymbolEntry {
    u64 address;
    u64 bytes;
    u32 section;
    u32 names;  // the section of its name
    u32 name;
    u8 type;
    u8 bind;
  };
  Status read_sections();
  void read_segments();
  void read_build_id();
  void read_symbols();
  std::string_view text(u32 section, u64 at) const;       // a string of a string section
  std::string_view text_from(u32 section, u64 at) const;  // all that the section holds from there
  Symbol symbol(const SymbolEntry& entry) const;
  std::span<const u8> raw(const ElfSection& section) const;
  Status relocate(u32 section, u32 relocations, std::span<u8> bytes);

  std::span<const u8> file_;
  Kind kind_ = Kind::executable;
  u16 machine_ = 0;
  std::vector<ElfSection> sections_;
  std::vector<Segment> segments_;
  std::span<const u8> build_id_;
  std::map<u32, std::vector<u8>> provided_;
  std::map<u32, std::vector<u8>> relocated_;
  std::vector<SymbolEntry> symbols_;  // by section and address
  bool symbols_read_ = false;
};

}  // namespace hartwood
