// SPDX-License-Identifier: Apache-2.0
// The tree of units, functions and inlined calls in a file's debug information, DWARF 2 to 5: an address becomes the
// function that holds it and the chain of calls inlined there. Opening reads the units' first entries; a unit's
// functions and lines are read when an address of it is first asked for, and dropped when too much has been read. What
// a hostile file can cost is bounded by its size. The sections' bytes must outlive this. Used by one thread. [dwarf5:
// Debugging Information Entry, Program Scope Entries, Inlinable and Inlined Subroutines]
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "debug/dwarf_forms.h"
#include "debug/dwarf_line.h"

namespace hartwood {

class DwarfInfo {
 public:
  struct Frame {
    std::string_view function;  // the linkage name, else the name; empty: not told
    std::string file;           // empty: not told
    u32 line = 0;               // 0: not told
    bool inlined = false;       // into the frame that follows
  };
  struct Place {
    std::vector<Frame> frames;  // innermost first; empty: no unit knows the address
    u64 entry = 0;              // where the last frame's function begins, or the part of it that holds the address
    std::string note;           // what is missing: a supplementary or split file
  };

  // An empty one if there is no .debug_info. Errors: the first unit's header is damaged. Damage behind that loses the
  // units from there on, which `note()` tells.
  static Result<DwarfInfo> read(DwarfSections sections);
  DwarfInfo(DwarfInfo&&) = default;
  DwarfInfo& operator=(DwarfInfo&&) = default;

  Place find(u64 address);
  size_t units() const { return units_.size(); }
  const std::string& note() const { return note_; }
  // What was read is dropped when it takes more than so many bytes.
  void set_memory_limit(size_t bytes) { memory_limit_ = bytes; }
  size_t memory_bytes() const { return memory_; }

 private:
  struct Attribute {
    u16 name;
    u16 form;
    i64 implicit;
  };
  struct Abbreviation {
    u64 code;
    u16 tag;
    bool children;
    bool sized;  // all forms: `fixed` bytes, and so many addresses and offsets
    u32 first, count;
    u32 fixed, addresses, offsets;
  };
  struct Abbreviations {
    std::vector<Abbreviation> entries;  // by code
    std::vector<Attribute> attributes;
    const Abbreviation* find(u64 code) const;
  };
  struct Range {
    u64 low;
    u64 high;
    u32 index;  // of the function or unit
  };
  // Ranges by their low ends, each with the highest end of all before it, so that a search knows where to stop.
  struct RangeIndex {
    std::vector<Range> ranges;
    std::vector<u64> highest;
    void sort();
    template <class Each>
    void at(u64 address, const Each& each) const;
  };
  struct Function {
    u64 entry_at;  // of its entry, in .debug_info
    i32 parent;    // the function around it, -1: none
    u32 depth;
    u32 call_file, call_line;
    bool inlined;
    std::string_view name;
    bool named;
  };
  struct Functions {
    std::vector<Function> functions;
    RangeIndex ranges;
  };
  struct Unit {
    u64 at = 0, end = 0, first = 0;  // in .debug_info: header, end, first entry
    dwarf::Widths widths;
    u64 abbreviations_at = 0;
    bool has_code = false;  // may hold functions: not a type unit
    bool has_ranges = false;
    std::optional<u64> low;
    std::optional<u64> lines_at;
    std::string_view directory;
    std::string_view split_file;  // the .dwo file that has the rest
    u64 strings_base = 0, addresses_base = 0, ranges_base = 0, lists_base = 0;
    std::unique_ptr<Functions> functions;
  };
  struct Name {
    std::string_view linkage, plain;
  };

  explicit DwarfInfo(DwarfSections sections) : sections_(std::move(sections)) {}
  Status read_units();
  void read_first_entry(Unit& unit, u32 index, u64& budget);
  void read_address_ranges();
  void read_rangeless();
  const Abbreviations* abbreviations(u64 at);
  Cursor entry(const Unit& unit, u64 at) const;
  Functions& functions_of(Unit& unit);
  const LineTable* lines_of(const Unit& unit);
  std::string_view string(const Unit& unit, const dwarf::FormValue& value);
  std::optional<u64> address(const Unit& unit, const dwarf::FormValue& value) const;
  void ranges(const Unit& unit, const dwarf::FormValue& value, u32 index, u64& budget, std::vector<Range>& to) const;
  void old_ranges(const Unit& unit, u64 at, u32 index, u64& budget, std::vector<Range>& to) const;
  void new_ranges(const Unit& unit, const dwarf::FormValue& value, u32 index, u64& budget,
                  std::vector<Range>& to) const;
  std::optional<u64> reference(const Unit& unit, const dwarf::FormValue& value);
  Unit* unit_at(u64 at);
  std::string_view name_of(Unit& unit, Function& function);
  void find_name(const Unit& unit, u64 at, unsigned depth, Name& name);
  bool find_in(Unit& unit, u64 address, Place& place);
  void miss(const char* what);
  void forget();
  // More entries than that are in no list that is read once.
  u64 list_bytes() const { return sections_.ranges.size() + sections_.rnglists.size() + 64; }

  DwarfSections sections_;
  std::vector<Unit> units_;  // by their place in .debug_info
  RangeIndex unit_ranges_;
  std::vector<u32> rangeless_;  // units that do not say where their code is
  std::map<u64, std::unique_ptr<Abbreviations>> abbreviations_;
  u64 abbreviation_budget_ = 0;
  std::map<u64, std::unique_ptr<LineTable>> lines_;  // null: damaged
  std::string note_;
  std::string missing_;  // while an address is looked for
  size_t memory_ = 0;
  size_t memory_limit_ = size_t{256} << 20;
};

}  // namespace hartwood
