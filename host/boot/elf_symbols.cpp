// SPDX-License-Identifier: Apache-2.0
#include "boot/elf_symbols.h"

#include <algorithm>

#include "base/elf_format.h"

namespace hartwood {
namespace {

struct Sections {
  elf::SectionHeader symbols;
  elf::SectionHeader names;
};

// The symbol table's section and that of its names; nothing if the file has none.
Result<std::optional<Sections>> find_sections(std::span<const u8> file) {
  const auto header = elf::record<elf::FileHeader>(file, 0);
  if (!header || header->ident[elf::kClassAt] != elf::kClass64 || header->ident[elf::kDataAt] != elf::kLittleEndian ||
      header->machine != elf::kMachineRiscv || load_le<u32>(file.data()) != 0x464c'457f)
    return errorf("not a RISC-V ELF64 file, so it has no symbols to read");
  if (header->section_headers_at == 0) return std::optional<Sections>();
  const Error damaged = errorf("the ELF file's section headers are damaged or cut off");
  if (header->section_header_bytes != sizeof(elf::SectionHeader)) return damaged;
  u64 count = header->section_header_count;
  if (count == 0) {  // too many for 16 bits: the first section says how many
    const auto first = elf::record<elf::SectionHeader>(file, header->section_headers_at);
    if (!first) return damaged;
    count = first->bytes;
  }
  if (count > file.size() / sizeof(elf::SectionHeader) ||
      !elf::within(header->section_headers_at, count * sizeof(elf::SectionHeader), file.size()))
    return damaged;
  for (u64 i = 0; i < count; i++) {
    const u64 at = header->section_headers_at + i * sizeof(elf::SectionHeader);
    const auto section = elf::record<elf::SectionHeader>(file, at);
    if (!section) return damaged;
    if (section->type != elf::kSectionSymbols) continue;
    if (section->link >= count) return damaged;
    const auto names =
        elf::record<elf::SectionHeader>(file, header->section_headers_at + section->link * sizeof(elf::SectionHeader));
    if (!names || !elf::within(section->offset, section->bytes, file.size()) ||
        !elf::within(names->offset, names->bytes, file.size()) || section->entry_bytes != sizeof(elf::Symbol))
      return errorf("the ELF file's symbol table is damaged or cut off");
    return std::optional(Sections{*section, *names});
  }
  return std::optional<Sections>();
}

bool is_assembler_name(std::string_view name) { return name.empty() || name[0] == '$' || name.starts_with(".L"); }

}  // namespace

Result<SymbolTable> SymbolTable::read(std::span<const u8> file) {
  const Result<std::optional<Sections>> sections = find_sections(file);
  if (!sections) return sections.error();
  SymbolTable table;
  if (!*sections) return table;
  const elf::SectionHeader& symbols = (*sections)->symbols;
  const elf::SectionHeader& names = (*sections)->names;
  if (names.bytes > ~u32{0}) return errorf("the ELF file's symbol names take more than 4 GiB");
  table.names_.assign(reinterpret_cast<const char*>(file.data() + names.offset), static_cast<size_t>(names.bytes));

  for (u64 i = 0; i < symbols.bytes / sizeof(elf::Symbol); i++) {
    const auto raw = elf::record<elf::Symbol>(file, symbols.offset + i * sizeof(elf::Symbol));
    if (!raw || raw->section == elf::kSectionUndefined) continue;
    const u8 type = raw->info & 15;
    if (type > elf::kSymbolFunction) continue;
    if (raw->name >= table.names_.size())
      return errorf("symbol %llu of the ELF file has a name outside the file", static_cast<unsigned long long>(i));
    const size_t end = table.names_.find('\0', raw->name);
    if (end == std::string::npos) return errorf("the ELF file's symbol names have no end");
    const std::string_view name = std::string_view(table.names_).substr(raw->name, end - raw->name);
    if (is_assembler_name(name)) continue;
    const Kind kind = type == elf::kSymbolFunction ? Kind::function
                      : type == elf::kSymbolObject ? Kind::object
                                                   : Kind::none;
    table.entries_.push_back(
        {raw->value, raw->bytes, raw->name, static_cast<u32>(name.size()), kind, raw->info >> 4 == elf::kBindLocal});
  }

  std::stable_sort(table.entries_.begin(), table.entries_.end(), [](const Entry& a, const Entry& b) {
    if (a.address != b.address) return a.address < b.address;
    if (a.kind != b.kind) return a.kind > b.kind;
    return a.local < b.local;
  });
  table.by_name_.resize(table.entries_.size());
  for (u32 i = 0; i < table.by_name_.size(); i++) table.by_name_[i] = i;
  std::sort(table.by_name_.begin(), table.by_name_.end(), [&](u32 a, u32 b) {
    const Symbol left = table.at(a), right = table.at(b);
    if (left.name != right.name) return left.name < right.name;
    if (left.local != right.local) return right.local;
    return a < b;
  });
  return table;
}

SymbolTable::Symbol SymbolTable::symbol(const Entry& entry) const {
  return {Va(entry.address), entry.bytes, std::string_view(names_).substr(entry.name_at, entry.name_bytes), entry.kind,
          entry.local};
}

SymbolTable::Symbol SymbolTable::at(size_t index) const { return symbol(entries_[index]); }

std::optional<SymbolTable::Location> SymbolTable::locate(Va address) const {
  auto behind = std::upper_bound(entries_.begin(), entries_.end(), address.value,
                                 [](u64 value, const Entry& entry) { return value < entry.address; });
  if (behind == entries_.begin()) return std::nullopt;
  // The best of those that share the nearest address below: one that covers `address`, else one of unknown
  // length.
  const u64 nearest = std::prev(behind)->address;
  const auto first = std::lower_bound(entries_.begin(), behind, nearest,
                                      [](const Entry& entry, u64 value) { return entry.address < value; });
  const u64 offset = address.value - nearest;
  for (auto entry = first; entry != behind; ++entry)
    if (offset < entry->bytes) return Location{symbol(*entry), offset};
  for (auto entry = first; entry != behind; ++entry)
    if (entry->bytes == 0) return Location{symbol(*entry), offset};
  return std::nullopt;
}

std::optional<SymbolTable::Symbol> SymbolTable::find(std::string_view name) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                      [&](u32 index, std::string_view wanted) { return at(index).name < wanted; });
  if (found == by_name_.end() || at(*found).name != name) return std::nullopt;
  return at(*found);
}

Result<std::optional<HtifAddresses>> find_htif(const ElfImage& image, u64 bias, const SymbolTable& symbols) {
  const auto place = [&](const SymbolTable::Symbol& symbol) -> Result<Pa> {
    const std::optional<Pa> pa = image.physical(symbol.address);
    // The last of the word's eight bytes has to lie in a segment too.
    if (!pa || pa->value % 8 != 0 || !image.physical(symbol.address + 7))
      return errorf("the ELF file's symbol '%s' at 0x%llx is not an aligned 8-byte word of its memory",
                    std::string(symbol.name).c_str(), static_cast<unsigned long long>(symbol.address.value));
    return *pa + bias;
  };
  const std::optional<SymbolTable::Symbol> tohost = symbols.find("tohost");
  if (!tohost) return std::optional<HtifAddresses>();
  const Result<Pa> to = place(*tohost);
  if (!to) return to.error();
  HtifAddresses addresses{*to, std::nullopt};
  if (const std::optional<SymbolTable::Symbol> fromhost = symbols.find("fromhost")) {
    const Result<Pa> from = place(*fromhost);
    if (!from) return from.error();
    addresses.fromhost = *from;
  }
  return std::optional(addresses);
}

}  // namespace hartwood
