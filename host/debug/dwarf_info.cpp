// SPDX-License-Identifier: Apache-2.0
#include "debug/dwarf_info.h"

#include <algorithm>

namespace hartwood {
namespace {

using namespace dwarf;

enum Tag : u16 {
  kTagInlinedSubroutine = 0x1d,
  kTagSubprogram = 0x2e,
};

enum Name : u16 {
  kSibling = 0x01,
  kName = 0x03,
  kLineProgram = 0x10,
  kLowPc = 0x11,
  kHighPc = 0x12,
  kDirectory = 0x1b,
  kAbstractOrigin = 0x31,
  kSpecification = 0x47,
  kRanges = 0x55,
  kCallFile = 0x58,
  kCallLine = 0x59,
  kLinkageName = 0x6e,
  kStringsBase = 0x72,
  kAddressesBase = 0x73,
  kListsBase = 0x74,
  kSplitName = 0x76,
  kMipsLinkageName = 0x2007,
  kGnuSplitName = 0x2130,
  kGnuRangesBase = 0x2132,
  kGnuAddressesBase = 0x2133,
};

// [dwarf5: Unit Headers]
enum UnitType : u8 { kCompile = 1, kType = 2, kPartial = 3, kSkeleton = 4, kSplitCompile = 5, kSplitType = 6 };

// [dwarf5: Range List Entries]
enum RangeEntry : u8 {
  kEndOfList = 0,
  kBaseAddressx = 1,
  kStartxEndx = 2,
  kStartxLength = 3,
  kOffsetPair = 4,
  kBaseAddress = 5,
  kStartEnd = 6,
  kStartLength = 7,
};

// How many entries a name may be passed on by: definitions, declarations, origins.
constexpr unsigned kMostOrigins = 16;
// How many inlined calls at one place are told.
constexpr size_t kMostFrames = 256;
// How many units are asked about one address: as a rule one knows it.
constexpr unsigned kMostUnits = 16;

u64 narrow(u64 address, u8 bytes) { return bytes >= 8 ? address : bits(address, bytes * 8u - 1, 0); }

}  // namespace

const DwarfInfo::Abbreviation* DwarfInfo::Abbreviations::find(u64 code) const {
  // Compilers count from 1.
  if (code - 1 < entries.size() && entries[code - 1].code == code) return &entries[code - 1];
  const auto found = std::lower_bound(entries.begin(), entries.end(), code,
                                      [](const Abbreviation& each, u64 wanted) { return each.code < wanted; });
  return found != entries.end() && found->code == code ? &*found : nullptr;
}

void DwarfInfo::RangeIndex::sort() {
  std::stable_sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.low < b.low; });
  highest.resize(ranges.size());
  u64 high = 0;
  for (size_t i = 0; i < ranges.size(); i++) highest[i] = high = std::max(high, ranges[i].high);
}

template <class Each>
void DwarfInfo::RangeIndex::at(u64 address, const Each& each) const {
  const auto behind = std::upper_bound(ranges.begin(), ranges.end(), address,
                                       [](u64 value, const Range& range) { return value < range.low; });
  for (size_t i = static_cast<size_t>(behind - ranges.begin()); i != 0 && highest[i - 1] > address; i--)
    if (ranges[i - 1].high > address) each(ranges[i - 1]);
}

Result<DwarfInfo> DwarfInfo::read(DwarfSections sections) {
  DwarfInfo info(std::move(sections));
  info.note_ = info.sections_.unreadable;
  if (const Status read = info.read_units(); !read.ok()) return read.error();
  return info;
}

Status DwarfInfo::read_units() {
  Cursor cursor(sections_.info);
  abbreviation_budget_ = 4 * u64{sections_.abbrev.size()} + 4096;
  while (cursor.ok() && !cursor.at_end()) {
    Unit unit;
    unit.at = cursor.at();
    const std::string damage =
        format("the debug information is damaged or cut off at 0x%llx", static_cast<unsigned long long>(unit.at));
    unit.end = unit_end(cursor, unit.widths.offset);
    unit.widths.version = cursor.get<u16>();
    u8 type = kCompile;
    if (unit.widths.version >= 5) {
      type = cursor.get<u8>();
      unit.widths.address = cursor.get<u8>();
      unit.abbreviations_at = cursor.number(unit.widths.offset);
      if (type == kSkeleton || type == kSplitCompile) cursor.skip(8);
      if (type == kType || type == kSplitType) cursor.skip(8 + unit.widths.offset);
    } else {
      unit.abbreviations_at = cursor.number(unit.widths.offset);
      unit.widths.address = cursor.get<u8>();
    }
    unit.first = cursor.at();
    const bool readable = cursor.ok() && unit.first <= unit.end && unit.widths.version >= 2 &&
                          unit.widths.version <= 5 && unit.widths.address >= 1 && unit.widths.address <= 8;
    if (!readable) {
      if (unit.at == 0) return Error{damage};
      if (note_.empty()) note_ = damage;
      break;
    }
    unit.has_code = type == kCompile || type == kSkeleton || type == kSplitCompile;
    units_.push_back(std::move(unit));
    cursor.seek(units_.back().end);
  }
  units_.shrink_to_fit();
  u64 budget = list_bytes();  // lists are not shared as a rule
  for (u32 i = 0; i < units_.size(); i++) read_first_entry(units_[i], i, budget);
  read_address_ranges();
  for (u32 i = 0; i < units_.size(); i++)
    if (units_[i].has_code && !units_[i].has_ranges) rangeless_.push_back(i);
  unit_ranges_.sort();
  return {};
}

Cursor DwarfInfo::entry(const Unit& unit, u64 at) const {
  return Cursor(sections_.info.first(static_cast<size_t>(unit.end)), at);
}

const DwarfInfo::Abbreviations* DwarfInfo::abbreviations(u64 at) {
  std::unique_ptr<Abbreviations>& table = abbreviations_[at];
  if (table) return table.get();
  table = std::make_unique<Abbreviations>();
  Cursor cursor(sections_.abbrev, at);
  const u64 begin = cursor.at();
  // Tables that overlap could be read again and again.
  while (cursor.ok() && cursor.at() - begin < abbreviation_budget_) {
    Abbreviation each{};
    each.code = cursor.uleb();
    if (each.code == 0) break;
    each.tag = static_cast<u16>(std::min<u64>(cursor.uleb(), 0xffff));
    each.children = cursor.get<u8>() != 0;
    each.first = static_cast<u32>(table->attributes.size());
    each.sized = true;
    while (cursor.ok()) {
      Attribute attribute{};
      const u64 name = cursor.uleb();
      const u64 form = cursor.uleb();
      if (name == 0 && form == 0) break;
      attribute.name = static_cast<u16>(std::min<u64>(name, 0xffff));
      attribute.form = static_cast<u16>(std::min<u64>(form, 0xffff));
      if (attribute.form == kFormImplicitConst) attribute.implicit = cursor.sleb();
      const FormSize size = form_size(attribute.form);
      each.sized = each.sized && size.known;
      each.fixed += size.fixed;
      each.addresses += size.addresses;
      each.offsets += size.offsets;
      table->attributes.push_back(attribute);
    }
    each.count = static_cast<u32>(table->attributes.size()) - each.first;
    if (cursor.ok()) table->entries.push_back(each);
  }
  abbreviation_budget_ -= std::min(abbreviation_budget_, cursor.at() - begin);
  const auto rising = [](const Abbreviation& a, const Abbreviation& b) { return a.code < b.code; };
  if (!std::is_sorted(table->entries.begin(), table->entries.end(), rising))
    std::stable_sort(table->entries.begin(), table->entries.end(), rising);
  memory_ += table->entries.capacity() * sizeof(Abbreviation) + table->attributes.capacity() * sizeof(Attribute) + 64;
  return table.get();
}

void DwarfInfo::read_first_entry(Unit& unit, u32 index, u64& budget) {
  const Abbreviations* table = abbreviations(unit.abbreviations_at);
  Cursor cursor = entry(unit, unit.first);
  const Abbreviation* abbreviation = table->find(cursor.uleb());
  if (!abbreviation) {
    unit.has_code = false;
    return;
  }
  const u64 head = unit.widths.offset == 8 ? 16 : 8;  // of .debug_str_offsets and .debug_addr
  if (unit.widths.version >= 5) {
    unit.strings_base = unit.addresses_base = head;
    unit.lists_base = unit.widths.offset == 8 ? 20 : 12;
  }
  FormValue low, high, list, directory, split;
  for (u32 i = 0; i < abbreviation->count; i++) {
    const Attribute& attribute = table->attributes[abbreviation->first + i];
    const FormValue value = read_form(cursor, attribute.form, unit.widths, attribute.implicit);
    if (!cursor.ok()) break;
    switch (attribute.name) {
      case kLineProgram: unit.lines_at = value.number; break;
      case kLowPc: low = value; break;
      case kHighPc: high = value; break;
      case kRanges: list = value; break;
      case kDirectory: directory = value; break;
      case kStringsBase: unit.strings_base = value.number; break;
      case kAddressesBase:
      case kGnuAddressesBase: unit.addresses_base = value.number; break;
      case kListsBase: unit.lists_base = value.number; break;
      case kGnuRangesBase: unit.ranges_base = value.number; break;
      case kSplitName:
      case kGnuSplitName: split = value; break;
      default: break;
    }
  }
  // Only now: the bases may come behind what counts from them.
  if (directory.present()) unit.directory = string(unit, directory);
  if (split.present()) unit.split_file = string(unit, split);
  if (low.present()) unit.low = address(unit, low);
  if (!unit.has_code) return;
  const size_t before = unit_ranges_.ranges.size();
  if (list.present()) {
    ranges(unit, list, index, budget, unit_ranges_.ranges);
  } else if (unit.low && high.present()) {
    const std::optional<u64> end = high.is_constant() ? *unit.low + high.number : address(unit, high);
    if (end && *end > *unit.low) unit_ranges_.ranges.push_back({*unit.low, *end, index});
  }
  unit.has_ranges = unit_ranges_.ranges.size() != before || list.present();
}

// [dwarf5: Lookup by Address], for units that do not tell their ranges themselves.
void DwarfInfo::read_address_ranges() {
  Cursor outer(sections_.aranges);
  while (outer.ok() && !outer.at_end()) {
    Widths widths;
    const u64 begin = outer.at();
    const u64 end = unit_end(outer, widths.offset);
    if (!outer.ok()) return;
    Cursor cursor(sections_.aranges.first(static_cast<size_t>(end)), outer.at());
    outer.seek(end);
    cursor.skip(2);  // its version
    const u64 at = cursor.number(widths.offset);
    widths.address = cursor.get<u8>();
    const u8 segment = cursor.get<u8>();
    if (!cursor.ok() || segment != 0 || widths.address == 0 || widths.address > 8) continue;
    const u64 tuple = 2u * widths.address;
    cursor.skip((tuple - (cursor.at() - begin) % tuple) % tuple);
    Unit* unit = unit_at(at);
    if (!unit || unit->at != at || unit->has_ranges || !unit->has_code) continue;
    const u32 index = static_cast<u32>(unit - units_.data());
    bool any = false;
    while (cursor.ok() && !cursor.at_end()) {
      const u64 low = cursor.number(widths.address), length = cursor.number(widths.address);
      if (!cursor.ok() || (low == 0 && length == 0)) break;
      if (low + length > low) unit_ranges_.ranges.push_back({low, low + length, index});
      any = true;
    }
    unit->has_ranges = any;
  }
}

// Units of which nobody says where their code is: their functions do.
void DwarfInfo::read_rangeless() {
  if (rangeless_.empty()) return;
  for (const u32 index : rangeless_)
    for (const Range& range : functions_of(units_[index]).ranges.ranges)
      unit_ranges_.ranges.push_back({range.low, range.high, index});
  rangeless_.clear();
  unit_ranges_.sort();
}

std::string_view DwarfInfo::string(const Unit& unit, const FormValue& value) {
  if (value.form == kFormString) return value.text;
  if (value.form == kFormStrp) return string_at(sections_.str, value.number);
  if (value.form == kFormLineStrp) return string_at(sections_.line_str, value.number);
  if (value.is_supplementary()) miss("names are in the supplementary file (dwz), which was not given");
  if (!value.is_string_index() || value.number > sections_.str_offsets.size()) return {};
  Cursor cursor(sections_.str_offsets, unit.strings_base + value.number * unit.widths.offset);
  const u64 at = cursor.number(unit.widths.offset);
  return cursor.ok() ? string_at(sections_.str, at) : std::string_view();
}

std::optional<u64> DwarfInfo::address(const Unit& unit, const FormValue& value) const {
  if (value.is_address()) return value.number;
  if (!value.is_address_index() || value.number > sections_.addr.size()) return std::nullopt;
  Cursor cursor(sections_.addr, unit.addresses_base + value.number * unit.widths.address);
  const u64 at = cursor.number(unit.widths.address);
  return cursor.ok() ? std::optional(at) : std::nullopt;
}

void DwarfInfo::ranges(const Unit& unit, const FormValue& value, u32 index, u64& budget, std::vector<Range>& to) const {
  if (unit.widths.version >= 5)
    new_ranges(unit, value, index, budget, to);
  else
    old_ranges(unit, unit.ranges_base + value.number, index, budget, to);
}

// [dwarf4: Non-Contiguous Address Ranges]
void DwarfInfo::old_ranges(const Unit& unit, u64 at, u32 index, u64& budget, std::vector<Range>& to) const {
  Cursor cursor(sections_.ranges, at);
  u64 base = unit.low.value_or(0);
  const u8 bytes = unit.widths.address;
  for (; budget != 0; budget--) {
    const u64 low = cursor.number(bytes), high = cursor.number(bytes);
    if (!cursor.ok() || (low == 0 && high == 0)) return;
    if (low == narrow(~u64{0}, bytes)) {
      base = high;
      continue;
    }
    const u64 from = narrow(base + low, bytes), end = narrow(base + high, bytes);
    if (from < end) to.push_back({from, end, index});
  }
}

void DwarfInfo::new_ranges(const Unit& unit, const FormValue& value, u32 index, u64& budget,
                           std::vector<Range>& to) const {
  u64 at = value.number;
  if (value.form == kFormRnglistx) {
    if (value.number > sections_.rnglists.size()) return;
    Cursor table(sections_.rnglists, unit.lists_base + value.number * unit.widths.offset);
    at = unit.lists_base + table.number(unit.widths.offset);
    if (!table.ok()) return;
  }
  Cursor cursor(sections_.rnglists, at);
  const u8 bytes = unit.widths.address;
  const auto indexed = [&]() -> u64 {
    FormValue number;
    number.form = kFormAddrx;
    number.number = cursor.uleb();
    const std::optional<u64> found = address(unit, number);
    if (!found) cursor.fail();
    return found.value_or(0);
  };
  u64 base = unit.low.value_or(0);
  for (; budget != 0 && cursor.ok(); budget--) {
    u64 low = 0, high = 0;
    switch (cursor.get<u8>()) {
      case kEndOfList: return;
      case kBaseAddressx: base = indexed(); continue;
      case kBaseAddress: base = cursor.number(bytes); continue;
      case kStartxEndx:
        low = indexed();
        high = indexed();
        break;
      case kStartxLength:
        low = indexed();
        high = low + cursor.uleb();
        break;
      case kOffsetPair:
        low = base + cursor.uleb();
        high = base + cursor.uleb();
        break;
      case kStartEnd:
        low = cursor.number(bytes);
        high = cursor.number(bytes);
        break;
      case kStartLength:
        low = cursor.number(bytes);
        high = low + cursor.uleb();
        break;
      default: return;
    }
    if (cursor.ok() && narrow(low, bytes) < narrow(high, bytes))
      to.push_back({narrow(low, bytes), narrow(high, bytes), index});
  }
}

DwarfInfo::Unit* DwarfInfo::unit_at(u64 at) {
  const auto behind =
      std::upper_bound(units_.begin(), units_.end(), at, [](u64 value, const Unit& unit) { return value < unit.at; });
  if (behind == units_.begin()) return nullptr;
  Unit& unit = *std::prev(behind);
  return at < unit.end ? &unit : nullptr;
}

std::optional<u64> DwarfInfo::reference(const Unit& unit, const FormValue& value) {
  switch (value.form) {
    case kFormRef1:
    case kFormRef2:
    case kFormRef4:
    case kFormRef8:
    case kFormRefUdata:
      if (value.number >= unit.end - unit.at) return std::nullopt;
      return unit.at + value.number;
    case kFormRefAddr: return value.number;
    default:
      if (value.is_supplementary()) miss("names are in the supplementary file (dwz), which was not given");
      return std::nullopt;
  }
}

DwarfInfo::Functions& DwarfInfo::functions_of(Unit& unit) {
  if (unit.functions) return *unit.functions;
  unit.functions = std::make_unique<Functions>();
  Functions& result = *unit.functions;
  const Abbreviations* table = abbreviations(unit.abbreviations_at);
  u64 budget = list_bytes();  // lists are not shared as a rule
  Cursor cursor = entry(unit, unit.first);
  std::vector<i32> around;  // for each level of the tree the function that it is in
  while (cursor.ok() && !cursor.at_end()) {
    const u64 at = cursor.at();
    const u64 code = cursor.uleb();
    if (code == 0) {
      if (!around.empty()) around.pop_back();
      if (around.empty()) break;
      continue;
    }
    const Abbreviation* abbreviation = table->find(code);
    if (!abbreviation) break;
    i32 inside = around.empty() ? -1 : around.back();
    if (abbreviation->tag != kTagSubprogram && abbreviation->tag != kTagInlinedSubroutine) {
      if (abbreviation->sized) {
        cursor.skip(abbreviation->fixed + u64{abbreviation->addresses} * unit.widths.address +
                    u64{abbreviation->offsets} * unit.widths.offset);
      } else {
        for (u32 i = 0; i < abbreviation->count && cursor.ok(); i++) {
          const Attribute& attribute = table->attributes[abbreviation->first + i];
          read_form(cursor, attribute.form, unit.widths, attribute.implicit);
        }
      }
    } else {
      Function function{};
      function.entry_at = at;
      function.inlined = abbreviation->tag == kTagInlinedSubroutine;
      function.parent = inside;
      function.depth = inside < 0 ? 0 : result.functions[static_cast<size_t>(inside)].depth + 1;
      FormValue low, high, list;
      for (u32 i = 0; i < abbreviation->count && cursor.ok(); i++) {
        const Attribute& attribute = table->attributes[abbreviation->first + i];
        const FormValue value = read_form(cursor, attribute.form, unit.widths, attribute.implicit);
        switch (attribute.name) {
          case kLowPc: low = value; break;
          case kHighPc: high = value; break;
          case kRanges: list = value; break;
          case kCallFile: function.call_file = static_cast<u32>(value.number); break;
          case kCallLine: function.call_line = static_cast<u32>(value.number); break;
          default: break;
        }
      }
      if (!cursor.ok()) break;
      const u32 index = static_cast<u32>(result.functions.size());
      const size_t before = result.ranges.ranges.size();
      const std::optional<u64> begin = low.present() ? address(unit, low) : std::nullopt;
      if (list.present()) {
        ranges(unit, list, index, budget, result.ranges.ranges);
      } else if (begin && high.present()) {
        const std::optional<u64> end = high.is_constant() ? *begin + high.number : address(unit, high);
        if (end && *end > *begin) result.ranges.ranges.push_back({*begin, *end, index});
      }
      // Without code it matters only to what is inside of it, which then has none either as a rule.
      if (result.ranges.ranges.size() != before || abbreviation->children) {
        result.functions.push_back(function);
        inside = static_cast<i32>(index);
      }
    }
    if (!cursor.ok()) break;
    if (abbreviation->children)
      around.push_back(inside);
    else if (around.empty())
      break;  // a unit of one entry
  }
  result.functions.shrink_to_fit();
  result.ranges.sort();
  result.ranges.ranges.shrink_to_fit();
  memory_ += result.functions.capacity() * sizeof(Function) + result.ranges.ranges.capacity() * sizeof(Range) +
             result.ranges.highest.capacity() * sizeof(u64) + sizeof(Functions);
  return result;
}

const LineTable* DwarfInfo::lines_of(const Unit& unit) {
  if (!unit.lines_at) return nullptr;
  const auto [entry, fresh] = lines_.try_emplace(*unit.lines_at);
  if (!fresh) return entry->second.get();
  Result<LineTable> table = LineTable::read(sections_, *unit.lines_at, unit.widths.address, unit.directory);
  memory_ += sizeof(LineTable) + 64;
  if (!table.ok()) return nullptr;
  entry->second = std::make_unique<LineTable>(std::move(*table));
  memory_ += entry->second->memory_bytes();
  return entry->second.get();
}

std::string_view DwarfInfo::name_of(Unit& unit, Function& function) {
  if (function.named) return function.name;
  Name name;
  const bool complete = missing_.empty();
  find_name(unit, function.entry_at, 0, name);
  function.name = !name.linkage.empty() ? name.linkage : name.plain;
  // What is missing is told each time.
  function.named = complete && missing_.empty();
  return function.name;
}

void DwarfInfo::find_name(const Unit& unit, u64 at, unsigned depth, Name& name) {
  if (depth == kMostOrigins) return;
  const Abbreviations* table = abbreviations(unit.abbreviations_at);
  Cursor cursor = entry(unit, at);
  const Abbreviation* abbreviation = table->find(cursor.uleb());
  if (!abbreviation) return;
  std::optional<u64> further;
  for (u32 i = 0; i < abbreviation->count && cursor.ok(); i++) {
    const Attribute& attribute = table->attributes[abbreviation->first + i];
    const FormValue value = read_form(cursor, attribute.form, unit.widths, attribute.implicit);
    if (!cursor.ok()) return;
    switch (attribute.name) {
      case kLinkageName:
      case kMipsLinkageName:
        if (name.linkage.empty()) name.linkage = string(unit, value);
        break;
      case kName:
        if (name.plain.empty()) name.plain = string(unit, value);
        break;
      case kAbstractOrigin:
      case kSpecification: further = reference(unit, value); break;
      default: break;
    }
  }
  if (!further || !name.linkage.empty()) return;
  if (const Unit* other = unit_at(*further)) find_name(*other, *further, depth + 1, name);
}

bool DwarfInfo::find_in(Unit& unit, u64 address, Place& place) {
  Functions& all = functions_of(unit);
  const Range* best = nullptr;
  all.ranges.at(address, [&](const Range& range) {
    if (!best) {
      best = &range;
      return;
    }
    const u32 depth = all.functions[range.index].depth, best_depth = all.functions[best->index].depth;
    const u64 length = range.high - range.low, best_length = best->high - best->low;
    if (depth > best_depth || (depth == best_depth && length < best_length)) best = &range;
  });
  const LineTable* lines = lines_of(unit);
  const std::optional<LineTable::Row> row = lines ? lines->find(address) : std::nullopt;
  if (!best && !row) return false;
  Frame frame;
  if (row) {
    frame.file = lines->file(row->file);
    frame.line = row->line;
  }
  place.frames.clear();
  if (!best) {
    place.frames.push_back(std::move(frame));
    return true;
  }
  u32 outermost = best->index;
  for (i32 index = static_cast<i32>(best->index); index >= 0 && place.frames.size() < kMostFrames;) {
    Function& function = all.functions[static_cast<size_t>(index)];
    outermost = static_cast<u32>(index);
    frame.function = name_of(unit, function);
    frame.inlined = function.inlined && function.parent >= 0;
    place.frames.push_back(std::move(frame));
    if (!function.inlined) break;
    frame = {};
    if (lines) frame.file = lines->file(function.call_file);
    frame.line = function.call_line;
    index = function.parent;
  }
  place.entry = best->low;
  all.ranges.at(address, [&](const Range& range) {
    if (range.index == outermost) place.entry = range.low;
  });
  return true;
}

DwarfInfo::Place DwarfInfo::find(u64 address) {
  if (memory_ > memory_limit_) forget();
  missing_.clear();
  Place place;
  for (const bool again : {false, true}) {
    if (again) {
      if (rangeless_.empty()) break;
      read_rangeless();
    }
    // As a rule one unit. Of several, the one that knows the function.
    bool done = false;
    unsigned asked = 0;
    unit_ranges_.at(address, [&](const Range& range) {
      if (done || asked == kMostUnits) return;
      asked++;
      Unit& unit = units_[range.index];
      if (!unit.split_file.empty()) {
        const std::string file(unit.split_file.substr(0, 200));
        miss(("functions are in the split file " + file + ", which was not given").c_str());
      }
      Place found;
      if (!find_in(unit, address, found)) return;
      done = !found.frames[0].function.empty();
      if (done || place.frames.empty()) place = std::move(found);
    });
    if (!place.frames.empty()) break;
  }
  place.note = missing_;
  return place;
}

void DwarfInfo::miss(const char* what) {
  if (missing_.empty()) missing_ = what;
}

void DwarfInfo::forget() {
  for (Unit& unit : units_) unit.functions.reset();
  lines_.clear();
  abbreviations_.clear();
  abbreviation_budget_ = 4 * u64{sections_.abbrev.size()} + 4096;
  memory_ = 0;
}

}  // namespace hartwood
