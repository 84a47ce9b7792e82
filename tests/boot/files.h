// SPDX-License-Identifier: Apache-2.0
// Small kernels and firmware for the loaders' tests, made in memory. Test code, one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bits.h"
#include "base/elf_format.h"

namespace hartwood::test {

template <class T>
void append(std::vector<u8>& to, const T& record) {
  to.resize(to.size() + sizeof record);
  store_le(to.data() + to.size() - sizeof record, record);
}

// An ELF64 file: header, program headers, the segments' bytes, and a symbol table if there are symbols.
class ElfMaker {
 public:
  struct Segment {
    u64 va, pa;
    std::vector<u8> bytes;
    u64 memory_bytes;
    bool header_page = false;  // as linkers make one: read-only, from the file's first byte on
  };
  struct Symbol {
    std::string name;
    u64 value;
    u64 bytes = 0;
    u8 type = elf::kSymbolFunction;
    bool local = false;
    bool undefined = false;
  };
  u16 type = elf::kTypeExecutable;
  u16 machine = elf::kMachineRiscv;
  u8 elf_class = elf::kClass64, data = elf::kLittleEndian;
  u32 flags = 1;
  u64 entry = 0x8000'0000;
  bool interpreter = false;
  std::vector<Segment> segments;
  std::vector<Symbol> symbols;

  std::vector<u8> make() const {
    std::vector<elf::ProgramHeader> headers;
    const u64 count = segments.size() + (interpreter ? 1 : 0);
    u64 at = sizeof(elf::FileHeader) + count * sizeof(elf::ProgramHeader);
    for (const Segment& each : segments) {
      const u32 rights = each.header_page ? 4 : 7;
      headers.push_back({elf::kSegmentLoad, rights, each.header_page ? 0 : at, each.va, each.pa, each.bytes.size(),
                         each.memory_bytes, 4096});
      at += each.bytes.size();
    }
    if (interpreter) headers.push_back({elf::kSegmentInterpreter, 4, 64, 0, 0, 1, 1, 1});

    std::string names(1, '\0');
    std::vector<u8> table(sizeof(elf::Symbol));  // the first symbol is none
    for (const Symbol& each : symbols) {
      const u8 info = static_cast<u8>((each.local ? 0 : 1) << 4 | each.type);
      append(table, elf::Symbol{static_cast<u32>(names.size()), info, 0, static_cast<u16>(each.undefined ? 0 : 1),
                                each.value, each.bytes});
      names += each.name + '\0';
    }

    elf::FileHeader header{};
    const u8 ident[] = {0x7f, 'E', 'L', 'F', elf_class, data, 1};
    std::copy(std::begin(ident), std::end(ident), header.ident);
    header.type = type;
    header.machine = machine;
    header.version = 1;
    header.entry = entry;
    header.program_headers_at = sizeof header;
    header.flags = flags;
    header.header_bytes = sizeof header;
    header.program_header_bytes = sizeof(elf::ProgramHeader);
    header.program_header_count = static_cast<u16>(count);
    header.section_header_bytes = sizeof(elf::SectionHeader);
    if (!symbols.empty()) {
      header.section_headers_at = at + table.size() + names.size();
      header.section_header_count = 3;
    }

    std::vector<u8> file;
    append(file, header);
    for (const elf::ProgramHeader& each : headers) append(file, each);
    for (const Segment& each : segments) file.insert(file.end(), each.bytes.begin(), each.bytes.end());
    if (symbols.empty()) return file;
    file.insert(file.end(), table.begin(), table.end());
    file.insert(file.end(), names.begin(), names.end());
    append(file, elf::SectionHeader{});
    append(file, elf::SectionHeader{0, elf::kSectionSymbols, 0, 0, at, table.size(), 2, 1, 8, sizeof(elf::Symbol)});
    append(file, elf::SectionHeader{0, 3, 0, 0, at + table.size(), names.size(), 0, 0, 1, 0});
    return file;
  }
};

// A program for harts in M-mode: its words at the start of RAM, where they begin, and a zeroed page at `tohost`.
inline std::vector<u8> bare_metal_elf(const std::vector<u32>& words, u64 tohost) {
  std::vector<u8> bytes;
  for (const u32 word : words) append(bytes, word);
  ElfMaker maker;
  maker.segments = {{maker.entry, maker.entry, bytes, bytes.size()}, {tohost, tohost, std::vector<u8>(8), 4096}};
  maker.symbols = {{"_start", maker.entry, 4}, {"tohost", tohost, 8, elf::kSymbolObject}};
  return maker.make();
}

inline std::vector<u8> pattern(size_t bytes, u8 first) {
  std::vector<u8> data(bytes);
  for (size_t i = 0; i < bytes; i++) data[i] = static_cast<u8>(first + i * 7);
  return data;
}

// A bare-metal program at the start of RAM: code, and data with bss a page later.
inline ElfMaker bare_program() {
  ElfMaker maker;
  maker.entry = 0x8000'0004;
  maker.segments = {{0x8000'0000, 0x8000'0000, pattern(64, 1), 64}, {0x8000'1000, 0x8000'1000, pattern(32, 9), 4096}};
  maker.symbols = {{"_start", 0x8000'0004, 8},
                   {"tohost", 0x8000'1040, 8, elf::kSymbolObject},
                   {"fromhost", 0x8000'1080, 8, elf::kSymbolNone},
                   {"$x", 0x8000'0004, 0, elf::kSymbolNone, true},
                   {"helper", 0x8000'000c, 0, elf::kSymbolFunction, true}};
  return maker;
}

// As the kernel's vmlinux: linked into the upper half, at physical addresses from 0 on.
inline ElfMaker vmlinux_like() {
  ElfMaker maker;
  maker.entry = 0xffff'ffff'8000'0000;
  maker.segments = {{0xffff'ffff'8000'0000, 0, pattern(4096, 3), 4096},
                    {0xffff'ffff'8020'0000, 0x20'0000, pattern(512, 5), 0x10'0000}};
  return maker;
}

// A kernel's Image of `file_bytes`, at least 64, that occupies `memory_bytes`.
inline std::vector<u8> linux_image(size_t file_bytes, u64 memory_bytes, u64 text_offset = 0x20'0000, u64 flags = 0) {
  std::vector<u8> file = pattern(file_bytes, 0x40);
  store_le<u64>(file.data() + 8, text_offset);
  store_le<u64>(file.data() + 16, memory_bytes);
  store_le<u64>(file.data() + 24, flags);
  store_le<u32>(file.data() + 32, 2);
  store_le<u64>(file.data() + 48, 0x5643'5349'52);
  store_le<u32>(file.data() + 56, 0x0543'5352);
  return file;
}

}  // namespace hartwood::test
