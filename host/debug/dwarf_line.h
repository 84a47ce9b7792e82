// SPDX-License-Identifier: Apache-2.0
// One unit's line table: which instruction came from which line. Versions 2 to 5. The program is run once, when the
// table is read; its rows stay in 16 bytes each, sorted, so that a lookup is two binary searches. Immutable once read;
// its names are in the sections, which must outlive it. [dwarf5: Line Number Information]
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "debug/dwarf_forms.h"

namespace hartwood {

class LineTable {
 public:
  struct Row {
    u64 address = 0;
    u32 line = 0;              // 0: no line
    u32 file : 30 = 0;         // for file()
    u32 is_stmt : 1 = 0;       // a good place for a breakpoint
    u32 sequence_end : 1 = 0;  // the first address behind the sequence
  };
  static_assert(sizeof(u64) + sizeof(u32) * 2 == 16);
  // Rows of rising addresses without a gap: [low, high).
  struct Sequence {
    u64 low = 0;
    u64 high = 0;
    u32 first = 0;  // row
    u32 rows = 0;   // with the one that ends it
  };

  // The table at `offset` of .debug_line. `directory` is the unit's, where its compiler ran. Errors: outside of the
  // section, a version that is not known, a header that contradicts itself. A program that breaks off keeps the
  // sequences before.
  static Result<LineTable> read(const DwarfSections& sections, u64 offset, u8 address_bytes,
                                std::string_view directory);

  // The last row whose instruction is at or before the address, within its sequence.
  std::optional<Row> find(u64 address) const;
  // The path of a file, with its directories in front as the compiler was given them; empty if there is no such file.
  std::string file(u64 index) const;

  std::span<const Row> rows() const { return rows_; }
  std::span<const Sequence> sequences() const { return sequences_; }
  u16 version() const { return version_; }
  size_t memory_bytes() const;

 private:
  struct File {
    std::string_view name;
    u64 directory = 0;
  };
  struct Header {
    dwarf::Widths widths;
    u8 minimum_instruction = 1;
    u8 operations = 1;
    bool default_is_stmt = true;
    i8 line_base = 0;
    u8 line_range = 1;
    u8 opcode_base = 1;
    std::span<const u8> opcode_lengths;
  };
  Status read_old_names(Cursor& cursor);
  Status read_new_names(Cursor& cursor, const DwarfSections& sections, const dwarf::Widths& widths);
  void run(Cursor& cursor, const Header& header);
  void end_sequence(size_t first);
  void sort_sequences();

  u16 version_ = 0;
  std::string_view unit_directory_;
  std::vector<std::string_view> directories_;
  std::vector<File> files_;
  std::vector<Row> rows_;
  std::vector<Sequence> sequences_;  // sorted, none over another
};

}  // namespace hartwood
