// SPDX-License-Identifier: Apache-2.0
#include "debug/dwarf_line.h"

#include <algorithm>

namespace hartwood {
namespace {

using namespace dwarf;

// [dwarf5: Line Number Opcodes]
enum : u8 {
  kExtended = 0,
  kCopy = 1,
  kAdvancePc = 2,
  kAdvanceLine = 3,
  kSetFile = 4,
  kSetColumn = 5,
  kNegateStmt = 6,
  kSetBasicBlock = 7,
  kConstAddPc = 8,
  kFixedAdvancePc = 9,
  kSetPrologueEnd = 10,
  kSetEpilogueBegin = 11,
  kSetIsa = 12,
};
enum : u8 { kEndSequence = 1, kSetAddress = 2, kDefineFile = 3 };
enum : u64 { kContentPath = 1, kContentDirectory = 2 };
constexpr u32 kMostFiles = (u32{1} << 30) - 1;

}  // namespace

Result<LineTable> LineTable::read(const DwarfSections& sections, u64 offset, u8 address_bytes,
                                  std::string_view directory) {
  const auto where = static_cast<unsigned long long>(offset);
  const Error damaged = errorf("the line table at 0x%llx is damaged or cut off", where);
  Cursor outer(sections.line, offset);
  Header header;
  const u64 end = unit_end(outer, header.widths.offset);
  if (!outer.ok()) return damaged;
  Cursor cursor(sections.line.first(static_cast<size_t>(end)), outer.at());
  LineTable table;
  table.unit_directory_ = directory;
  table.version_ = header.widths.version = cursor.get<u16>();
  header.widths.address = address_bytes;
  if (table.version_ < 2 || table.version_ > 5)
    return errorf("the line table at 0x%llx has version %u, known are 2 to 5", where, table.version_);
  if (table.version_ >= 5) {
    header.widths.address = cursor.get<u8>();
    cursor.skip(1);  // the size of a segment's number
  }
  const u64 header_bytes = cursor.number(header.widths.offset);
  if (header_bytes > cursor.left()) return damaged;
  const u64 program_at = cursor.at() + header_bytes;
  header.minimum_instruction = cursor.get<u8>();
  if (table.version_ >= 4) header.operations = cursor.get<u8>();
  header.default_is_stmt = cursor.get<u8>() != 0;
  header.line_base = static_cast<i8>(cursor.get<u8>());
  header.line_range = cursor.get<u8>();
  header.opcode_base = cursor.get<u8>();
  header.opcode_lengths = cursor.take(header.opcode_base == 0 ? 0 : header.opcode_base - 1);
  if (!cursor.ok() || header.line_range == 0 || header.operations == 0 || header.widths.address == 0 ||
      header.widths.address > 8)
    return damaged;
  const Status names =
      table.version_ >= 5 ? table.read_new_names(cursor, sections, header.widths) : table.read_old_names(cursor);
  if (!names.ok()) return errorf("the line table at 0x%llx: %s", where, names.message().c_str());
  cursor.seek(program_at);
  table.run(cursor, header);
  table.sort_sequences();
  table.rows_.shrink_to_fit();
  return table;
}

Status LineTable::read_old_names(Cursor& cursor) {
  for (;;) {
    const std::string_view name = cursor.string();
    if (!cursor.ok()) return errorf("its directories have no end");
    if (name.empty()) break;
    directories_.push_back(name);
  }
  for (;;) {
    File file;
    file.name = cursor.string();
    if (!cursor.ok()) return errorf("its files have no end");
    if (file.name.empty()) return {};
    file.directory = cursor.uleb();
    cursor.uleb();  // its time
    cursor.uleb();  // its length
    files_.push_back(file);
  }
}

Status LineTable::read_new_names(Cursor& cursor, const DwarfSections& sections, const Widths& widths) {
  for (const bool directories : {true, false}) {
    struct Part {
      u64 content;
      u16 form;
    };
    std::vector<Part> parts;
    for (u32 count = cursor.get<u8>(); count != 0; count--) {
      const u64 content = cursor.uleb();
      const u64 form = cursor.uleb();
      parts.push_back({content, static_cast<u16>(std::min<u64>(form, 0xffff))});
      // What takes no bytes could come as often as it likes.
      if (form == kFormImplicitConst || form == kFormFlagPresent) return errorf("its names are in an unusual form");
    }
    const u64 count = cursor.uleb();
    if (!cursor.ok() || (parts.empty() ? count != 0 : count > cursor.left()))
      return errorf("its names are damaged or cut off");
    for (u64 i = 0; i < count && cursor.ok(); i++) {
      File file;
      for (const Part& part : parts) {
        const FormValue value = read_form(cursor, part.form, widths, 0);
        if (part.content == kContentDirectory) file.directory = value.number;
        if (part.content != kContentPath) continue;
        if (value.form == kFormString) file.name = value.text;
        if (value.form == kFormLineStrp) file.name = string_at(sections.line_str, value.number);
        if (value.form == kFormStrp) file.name = string_at(sections.str, value.number);
      }
      if (directories)
        directories_.push_back(file.name);
      else
        files_.push_back(file);
    }
    if (!cursor.ok()) return errorf("its names are damaged or cut off");
  }
  return {};
}

void LineTable::run(Cursor& cursor, const Header& header) {
  struct Registers {
    u64 address = 0;
    u64 operation = 0;
    u64 file = 1;
    u64 line = 1;
    bool is_stmt;
  } now;
  const auto restart = [&] {
    now = {};
    now.is_stmt = header.default_is_stmt;
  };
  const auto advance = [&](u64 by) {
    if (header.operations == 1) {
      now.address += by * header.minimum_instruction;
      return;
    }
    const u64 operation = now.operation + by;
    now.address += operation / header.operations * header.minimum_instruction;
    now.operation = operation % header.operations;
  };
  size_t first = rows_.size();
  const auto emit = [&](bool end) {
    if (rows_.size() >= 0xffff'fff0) return cursor.fail();
    Row row;
    row.address = now.address;
    row.line = static_cast<u32>(now.line);
    row.file = static_cast<u32>(std::min<u64>(now.file, kMostFiles));
    row.is_stmt = now.is_stmt;
    row.sequence_end = end;
    rows_.push_back(row);
  };
  restart();
  while (cursor.ok() && !cursor.at_end()) {
    const u8 opcode = cursor.get<u8>();
    if (opcode >= header.opcode_base) {
      const u8 adjusted = static_cast<u8>(opcode - header.opcode_base);
      advance(adjusted / header.line_range);
      now.line += static_cast<u64>(header.line_base + adjusted % header.line_range);
      emit(false);
      continue;
    }
    switch (opcode) {
      case kExtended: {
        const u64 length = cursor.uleb();
        const std::span<const u8> bytes = cursor.take(length);
        if (!cursor.ok() || bytes.empty()) break;
        Cursor inner(bytes);
        const u8 extended = inner.get<u8>();
        if (extended == kEndSequence) {
          emit(true);
          end_sequence(first);
          first = rows_.size();
          restart();
        } else if (extended == kSetAddress) {
          now.address = inner.number(static_cast<unsigned>(std::min<u64>(inner.left(), 8)));
          now.operation = 0;
        } else if (extended == kDefineFile) {
          File file;
          file.name = inner.string();
          file.directory = inner.uleb();
          if (inner.ok()) files_.push_back(file);
        }
        break;
      }
      case kCopy: emit(false); break;
      case kAdvancePc: advance(cursor.uleb()); break;
      case kAdvanceLine: now.line += static_cast<u64>(cursor.sleb()); break;
      case kSetFile: now.file = cursor.uleb(); break;
      case kSetColumn: cursor.uleb(); break;
      case kNegateStmt: now.is_stmt = !now.is_stmt; break;
      case kSetBasicBlock:
      case kSetPrologueEnd:
      case kSetEpilogueBegin: break;
      case kConstAddPc: advance(static_cast<u8>(255 - header.opcode_base) / header.line_range); break;
      case kFixedAdvancePc:
        now.address += cursor.get<u16>();
        now.operation = 0;
        break;
      case kSetIsa: cursor.uleb(); break;
      default:  // one that came later: its operands are counted
        for (u8 i = header.opcode_lengths[opcode - 1u]; i != 0; i--) cursor.uleb();
        break;
    }
  }
  rows_.resize(first);  // without an end it covers nothing
}

void LineTable::end_sequence(size_t first) {
  const auto rising = [](const Row& a, const Row& b) { return a.address < b.address; };
  const auto begin = rows_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto last = rows_.end() - 1;
  if (!std::is_sorted(begin, last, rising)) std::stable_sort(begin, last, rising);
  const u64 low = begin->address, high = last->address;
  if (begin == last || high <= low) {
    rows_.resize(first);
    return;
  }
  sequences_.push_back({low, high, static_cast<u32>(first), static_cast<u32>(rows_.size() - first)});
}

void LineTable::sort_sequences() {
  std::stable_sort(sequences_.begin(), sequences_.end(), [](const Sequence& a, const Sequence& b) {
    return a.low != b.low ? a.low < b.low : a.high > b.high;
  });
  // One that begins inside another loses what they share.
  u64 covered = 0;
  size_t kept = 0;
  for (Sequence sequence : sequences_) {
    if (kept != 0 && sequence.high <= covered) continue;
    if (kept != 0 && sequence.low < covered) sequence.low = covered;
    covered = sequence.high;
    sequences_[kept++] = sequence;
  }
  sequences_.resize(kept);
  sequences_.shrink_to_fit();
}

std::optional<LineTable::Row> LineTable::find(u64 address) const {
  const auto behind = std::upper_bound(sequences_.begin(), sequences_.end(), address,
                                       [](u64 value, const Sequence& sequence) { return value < sequence.low; });
  if (behind == sequences_.begin()) return std::nullopt;
  const Sequence& sequence = *std::prev(behind);
  if (address >= sequence.high) return std::nullopt;
  const auto first = rows_.begin() + sequence.first, last = first + sequence.rows - 1;
  const auto row =
      std::upper_bound(first, last, address, [](u64 value, const Row& each) { return value < each.address; });
  if (row == first) return std::nullopt;
  return *std::prev(row);
}

std::string LineTable::file(u64 index) const {
  // Before version 5, files count from 1 and directory 0 is the unit's; since then both count from 0.
  const bool old = version_ < 5;
  if (old && index-- == 0) return {};
  if (index >= files_.size()) return {};
  const File& file = files_[index];
  if (file.name.starts_with('/')) return std::string(file.name);
  std::string_view directory;
  if (!old && file.directory < directories_.size()) directory = directories_[file.directory];
  if (old && file.directory != 0 && file.directory <= directories_.size()) directory = directories_[file.directory - 1];
  std::string path;
  if (!directory.starts_with('/') && !unit_directory_.empty()) path = std::string(unit_directory_) + '/';
  if (!directory.empty()) path += std::string(directory) + '/';
  return path + std::string(file.name);
}

size_t LineTable::memory_bytes() const {
  return rows_.capacity() * sizeof(Row) + sequences_.capacity() * sizeof(Sequence) + files_.capacity() * sizeof(File) +
         directories_.capacity() * sizeof(std::string_view);
}

}  // namespace hartwood
