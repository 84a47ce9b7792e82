// SPDX-License-Identifier: Apache-2.0
// The records of an ELF64 file as they lie in it, little-endian, read by copy because files align nothing for
// us. [gabi: ELF Header, Sections, Symbol Table, Program Header], [riscv-elf-psabi: ELF Object Files]
#pragma once

#include <optional>
#include <span>

#include "base/bits.h"
#include "base/types.h"

namespace hartwood::elf {

struct FileHeader {
  u8 ident[16];
  u16 type;
  u16 machine;
  u32 version;
  u64 entry;
  u64 program_headers_at;
  u64 section_headers_at;
  u32 flags;
  u16 header_bytes;
  u16 program_header_bytes;
  u16 program_header_count;
  u16 section_header_bytes;
  u16 section_header_count;
  u16 section_names_index;
};
static_assert(sizeof(FileHeader) == 64);

struct ProgramHeader {
  u32 type;
  u32 flags;
  u64 offset;
  u64 virtual_address;
  u64 physical_address;
  u64 file_bytes;
  u64 memory_bytes;
  u64 alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

struct SectionHeader {
  u32 name;
  u32 type;
  u64 flags;
  u64 address;
  u64 offset;
  u64 bytes;
  u32 link;
  u32 info;
  u64 alignment;
  u64 entry_bytes;
};
static_assert(sizeof(SectionHeader) == 64);

struct Symbol {
  u32 name;
  u8 info;
  u8 other;
  u16 section;
  u64 value;
  u64 bytes;
};
static_assert(sizeof(Symbol) == 24);

inline constexpr unsigned kClassAt = 4, kDataAt = 5, kVersionAt = 6;  // in FileHeader::ident
inline constexpr u8 kClass64 = 2, kClass32 = 1, kLittleEndian = 1, kBigEndian = 2;
inline constexpr u16 kTypeExecutable = 2, kTypeDynamic = 3, kTypeObject = 1;
inline constexpr u16 kMachineRiscv = 243;
inline constexpr u32 kFlagRve = 0x8;
inline constexpr u32 kSegmentLoad = 1, kSegmentInterpreter = 3;
inline constexpr u32 kFlagReadable = 4;  // in ProgramHeader::flags
inline constexpr u16 kManyProgramHeaders = 0xffff;
inline constexpr u32 kSectionSymbols = 2;
inline constexpr u16 kSectionUndefined = 0;
inline constexpr u8 kSymbolNone = 0, kSymbolObject = 1, kSymbolFunction = 2;
inline constexpr u8 kBindLocal = 0;

// The record at byte `at` of the file; nothing if it is not wholly inside.
template <class T>
std::optional<T> record(std::span<const u8> file, u64 at) {
  if (at > file.size() || sizeof(T) > file.size() - at) return std::nullopt;
  return load_le<T>(file.data() + at);
}
inline bool within(u64 at, u64 bytes, u64 end) { return at <= end && bytes <= end - at; }

}  // namespace hartwood::elf
