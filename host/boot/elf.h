// SPDX-License-Identifier: Apache-2.0
// ELF64 files for RISC-V: kernels, firmware and bare-metal programs. parse_elf checks all that loading relies
// on, so that what it returns can be copied without further questions except where RAM is. Pure functions,
// any thread. [gabi: ELF Header, Program Header], [riscv-elf-psabi: ELF Object Files]
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "memory/guest_memory.h"

namespace hartwood {

// Bytes [start, start + bytes) of guest physical memory.
struct PaRange {
  Pa start;
  u64 bytes = 0;
  constexpr Pa end() const { return start + bytes; }
  constexpr bool empty() const { return bytes == 0; }
  // Empty ranges overlap nothing. Neither range wraps around.
  constexpr bool overlaps(const PaRange& other) const {
    return bytes != 0 && other.bytes != 0 && start < other.end() && other.start < end();
  }
  friend constexpr bool operator==(const PaRange&, const PaRange&) = default;
};

// A part of the file that goes to memory; p_memsz is not 0, file bytes lie in the file, nothing wraps.
struct ElfSegment {
  u64 file_offset = 0;
  u64 file_bytes = 0;
  u64 memory_bytes = 0;  // at least file_bytes; the rest is zeroes
  Va va;
  Pa pa;  // p_paddr as the file has it
};

struct ElfImage {
  std::vector<ElfSegment> segments;  // by rising physical address, without overlaps; at least one
  Va entry;                          // e_entry
  Pa entry_pa;                       // where e_entry is in physical memory: inside a segment, an even address
  // Physical addresses may be moved by a constant: a position-independent file (ET_DYN), or a kernel linked
  // into the upper half of the virtual addresses, which maps itself wherever it was put.
  bool movable = false;

  // All that the segments cover, holes included.
  PaRange extent() const;
  // Where the virtual address lies when loaded at p_paddr; nothing if no segment has it.
  std::optional<Pa> physical(Va va) const;
};

// A read-only page with only the file's headers, which linkers add far below a bare-metal program, is left
// out. Errors: not ELF, 32-bit, big-endian, not RISC-V, an object file, RV64E, a program that needs an
// interpreter, program headers or segments that are outside the file, wrap around or overlap, an entry
// outside all segments.
Result<ElfImage> parse_elf(std::span<const u8> file);

struct LoadedElf {
  Pa entry;
  PaRange extent;
  u64 bias = 0;  // added, modulo 2^64, to each p_paddr
};

// How far the image is to be moved: 0 if it fits into [ram_base, ram_base + ram_bytes) as it is; else, if it
// is movable, what brings its first byte to `fallback` (keeping its offset in a 4 KiB page). An Error if it
// does not fit.
Result<u64> elf_bias(const ElfImage& image, u64 ram_base, u64 ram_bytes, Pa fallback);

// Copies the segments of a checked image to p_paddr + bias and clears the rest of each. All is in RAM or
// nothing is written. `file` is what parse_elf saw.
Result<LoadedElf> load_elf(GuestMemory& memory, std::span<const u8> file, const ElfImage& image, u64 bias);

// parse_elf, elf_bias with the start of RAM as fallback, and load_elf, in one.
Result<LoadedElf> load_elf(GuestMemory& memory, std::span<const u8> file);

}  // namespace hartwood
