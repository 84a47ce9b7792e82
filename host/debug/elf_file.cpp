// SPDX-License-Identifier: Apache-2.0
#include "debug/elf_file.h"

#include <algorithm>

#include "base/elf_format.h"
#include "debug/cursor.h"

namespace hartwood {
namespace {

constexpr u32 kSectionStrings = 3, kSectionRela = 4, kSectionNote = 7, kSectionNoBits = 8, kSectionDynamicSymbols = 11;
constexpr u64 kFlagThreadLocal = 0x400;
constexpr u32 kSegmentNote = 4;
constexpr u32 kFlagSegmentExecutable = 1;
constexpr u16 kSectionReserved = 0xff00, kSectionManySections = 0xffff;
constexpr u8 kSymbolSection = 3, kSymbolFile = 4, kSymbolThreadLocal = 6;
constexpr u32 kNoteBuildId = 3;
constexpr u32 kCompressionZlib = 1, kCompressionZstd = 2;
// DEFLATE cannot do better; what claims more is damaged, and not worth the memory.
constexpr u64 kDeflateFactor = 1032;
constexpr u64 kMostInflated = u64{1} << 31;
// How many labels are passed over in search of the function that they are in.
constexpr unsigned kMostLabels = 256;

struct CompressionHeader {
  u32 type;
  u32 reserved;
  u64 bytes;
  u64 alignment;
};
static_assert(sizeof(CompressionHeader) == 24);

struct Relocation {
  u64 offset;
  u64 info;
  i64 addend;
};
static_assert(sizeof(Relocation) == 24);

// [riscv-elf-psabi: Relocations]
enum : u32 {
  kNone = 0,
  k32 = 1,
  k64 = 2,
  kAdd8 = 33,
  kAdd16,
  kAdd32,
  kAdd64,
  kSub8,
  kSub16,
  kSub32,
  kSub64,
  kAlign = 43,
  kRelax = 51,
  kSub6 = 52,
  kSet6,
  kSet8,
  kSet16,
  kSet32,
  k32Pcrel = 57,
  kSetUleb128 = 60,
  kSubUleb128 = 61,
};

// The build-id in a run of notes; empty if it is not there.
std::span<const u8> build_id_in(std::span<const u8> notes) {
  Cursor cursor(notes);
  while (cursor.ok() && cursor.left() >= 12) {
    const u32 name_bytes = cursor.get<u32>(), bytes = cursor.get<u32>(), type = cursor.get<u32>();
    const std::span<const u8> name = cursor.take(name_bytes);
    cursor.skip((4 - name_bytes % 4) % 4);
    const std::span<const u8> value = cursor.take(bytes);
    if (!cursor.ok()) break;
    if (type == kNoteBuildId && name.size() == 4 && std::memcmp(name.data(), "GNU", 4) == 0) return value;
    cursor.skip(std::min<u64>((4 - bytes % 4) % 4, cursor.left()));
  }
  return {};
}

// Rewrites a ULEB128 in the bytes that it has.
bool store_uleb(std::span<u8> bytes, u64 at, u64 value) {
  for (; at < bytes.size(); at++) {
    const bool more = bytes[at] & 0x80;
    bytes[at] = static_cast<u8>((value & 0x7f) | (more ? 0x80 : 0));
    value >>= 7;
    if (!more) return true;
  }
  return false;
}

}  // namespace

Result<ElfFile> ElfFile::read(std::span<const u8> file) {
  const auto header = elf::record<elf::FileHeader>(file, 0);
  if (!header || load_le<u32>(file.data()) != 0x464c'457f) return errorf("not an ELF file");
  if (header->ident[elf::kClassAt] != elf::kClass64 || header->ident[elf::kDataAt] != elf::kLittleEndian)
    return errorf("not a 64-bit little-endian ELF file");
  ElfFile elf;
  elf.file_ = file;
  elf.machine_ = header->machine;
  switch (header->type) {
    case elf::kTypeObject: elf.kind_ = Kind::object; break;
    case elf::kTypeExecutable: elf.kind_ = Kind::executable; break;
    case elf::kTypeDynamic: elf.kind_ = Kind::dynamic; break;
    default: return errorf("an ELF file of type %u, not an executable, a library or an object", header->type);
  }
  if (const Status read = elf.read_sections(); !read.ok()) return read.error();
  elf.read_segments();
  elf.read_build_id();
  return elf;
}

Status ElfFile::read_sections() {
  const auto header = elf::record<elf::FileHeader>(file_, 0);
  if (header->section_headers_at == 0) return {};
  const Error damaged = errorf("the ELF file's section headers are damaged or cut off");
  const auto first = elf::record<elf::SectionHeader>(file_, header->section_headers_at);
  if (header->section_header_bytes != sizeof(elf::SectionHeader) || !first) return damaged;
  // Too many for 16 bits: the first section says how many.
  const u64 count = header->section_header_count != 0 ? header->section_header_count : first->bytes;
  const u32 names = header->section_names_index != kSectionManySections ? header->section_names_index : first->link;
  if (count > file_.size() / sizeof(elf::SectionHeader) ||
      !elf::within(header->section_headers_at, count * sizeof(elf::SectionHeader), file_.size()))
    return damaged;
  sections_.reserve(static_cast<size_t>(count));
  std::vector<u32> name_at;
  for (u64 i = 0; i < count; i++) {
    const auto raw =
        elf::record<elf::SectionHeader>(file_, header->section_headers_at + i * sizeof(elf::SectionHeader));
    ElfSection section;
    section.type = raw->type;
    section.flags = raw->flags;
    section.address = raw->address;
    section.bytes = raw->bytes;
    section.offset = raw->offset;
    section.link = raw->link;
    section.info = raw->info;
    section.in_file =
        raw->type != kSectionNoBits && raw->type != 0 && elf::within(raw->offset, raw->bytes, file_.size());
    sections_.push_back(section);
    name_at.push_back(raw->name);
  }
  if (names < count)
    for (size_t i = 0; i < sections_.size(); i++) sections_[i].name = text(names, name_at[i]);
  return {};
}

void ElfFile::read_segments() {
  const auto header = elf::record<elf::FileHeader>(file_, 0);
  if (header->program_header_bytes != sizeof(elf::ProgramHeader)) return;
  for (u32 i = 0; i < header->program_header_count; i++) {
    const auto raw =
        elf::record<elf::ProgramHeader>(file_, header->program_headers_at + i * sizeof(elf::ProgramHeader));
    if (!raw) return;
    if (raw->type == elf::kSegmentLoad)
      segments_.push_back({raw->offset, raw->virtual_address, raw->file_bytes, raw->memory_bytes,
                           (raw->flags & kFlagSegmentExecutable) != 0});
    if (raw->type == kSegmentNote && build_id_.empty() && elf::within(raw->offset, raw->file_bytes, file_.size()))
      build_id_ = build_id_in(file_.subspan(static_cast<size_t>(raw->offset), static_cast<size_t>(raw->file_bytes)));
  }
}

void ElfFile::read_build_id() {
  // A split debug file's segments point at bytes that it does not have: its sections tell.
  std::span<const u8> found;
  for (const ElfSection& section : sections_)
    if (section.type == kSectionNote && found.empty()) found = build_id_in(raw(section));
  if (!found.empty()) build_id_ = found;
}

std::string ElfFile::build_id_text() const {
  std::string text;
  for (const u8 byte : build_id_) text += format("%02x", byte);
  return text;
}

std::optional<ElfFile::DebugLink> ElfFile::debug_link() const {
  const std::optional<u32> section = find(".gnu_debuglink");
  if (!section) return std::nullopt;
  const std::span<const u8> bytes = raw(sections_[*section]);
  Cursor cursor(bytes);
  DebugLink link;
  link.file = cursor.string();
  cursor.skip((4 - cursor.at() % 4) % 4);
  link.crc = cursor.get<u32>();
  if (!cursor.ok()) return std::nullopt;
  return link;
}

std::optional<u32> ElfFile::find(std::string_view name) const {
  for (u32 i = 0; i < sections_.size(); i++)
    if (sections_[i].name == name && sections_[i].type != 0) return i;
  return std::nullopt;
}

std::optional<u32> ElfFile::section_at(u64 address) const {
  for (u32 i = 0; i < sections_.size(); i++)
    if (sections_[i].allocated() && !(sections_[i].flags & kFlagThreadLocal) && sections_[i].contains(address))
      return i;
  return std::nullopt;
}

std::span<const u8> ElfFile::raw(const ElfSection& section) const {
  if (!section.in_file) return {};
  return file_.subspan(static_cast<size_t>(section.offset), static_cast<size_t>(section.bytes));
}

std::string_view ElfFile::text(u32 section, u64 at) const {
  if (section >= sections_.size() || sections_[section].type != kSectionStrings) return {};
  Cursor cursor(raw(sections_[section]), at);
  return cursor.string();
}

std::string_view ElfFile::text_from(u32 section, u64 at) const {
  if (section >= sections_.size() || sections_[section].type != kSectionStrings) return {};
  const std::span<const u8> bytes = raw(sections_[section]);
  if (at >= bytes.size()) return {};
  return {reinterpret_cast<const char*>(bytes.data() + at), static_cast<size_t>(bytes.size() - at)};
}

Status ElfFile::place(u32 section, u64 address) {
  if (kind_ != Kind::object || section >= sections_.size()) return errorf("not a section of an object file");
  if (symbols_read_ || !relocated_.empty()) return errorf("the object's sections are in use already");
  sections_[section].address = address;
  return {};
}

void ElfFile::lay_out(u64 from) {
  for (u32 i = 0; i < sections_.size(); i++) {
    if (!sections_[i].allocated()) continue;
    if (!place(i, from).ok()) return;
    from = align_up(from + sections_[i].bytes, kPageBytes);
  }
}

std::vector<ElfFile::Compressed> ElfFile::compressed() const {
  std::vector<Compressed> list;
  for (u32 i = 0; i < sections_.size(); i++) {
    const ElfSection& section = sections_[i];
    if (!section.compressed() || section.allocated() || provided_.contains(i)) continue;
    const std::span<const u8> bytes = raw(section);
    const auto header = elf::record<CompressionHeader>(bytes, 0);
    if (!header || (header->type != kCompressionZlib && header->type != kCompressionZstd)) continue;
    const std::span<const u8> stream = bytes.subspan(sizeof(CompressionHeader));
    if (header->bytes > kMostInflated) continue;
    if (header->type == kCompressionZlib && header->bytes / kDeflateFactor > stream.size()) continue;
    list.push_back({i, header->type, stream, header->bytes});
  }
  return list;
}

Status ElfFile::provide(u32 section, std::vector<u8> bytes) {
  for (const Compressed& each : compressed()) {
    if (each.section != section) continue;
    if (each.bytes != bytes.size())
      return errorf("section %s has %zu bytes decompressed, its header says %llu",
                    std::string(sections_[section].name).c_str(), bytes.size(),
                    static_cast<unsigned long long>(each.bytes));
    provided_[section] = std::move(bytes);
    return {};
  }
  return errorf("section %u is not a compressed one", section);
}

Result<std::span<const u8>> ElfFile::contents(std::string_view name) {
  const std::optional<u32> section = find(name);
  if (!section || sections_[*section].type == kSectionNoBits) return std::span<const u8>();
  return contents(*section);
}

Result<std::span<const u8>> ElfFile::contents(u32 index) {
  if (index >= sections_.size()) return errorf("the file has no section %u", index);
  if (const auto done = relocated_.find(index); done != relocated_.end()) return std::span<const u8>(done->second);
  const ElfSection& section = sections_[index];
  std::span<const u8> bytes = raw(section);
  const std::string name(section.name);
  if (!section.in_file) return errorf("section %s is outside the file", name.c_str());
  if (section.compressed()) {
    const auto provided = provided_.find(index);
    if (provided == provided_.end()) return errorf("section %s is compressed and was not decompressed", name.c_str());
    bytes = provided->second;
  }
  if (kind_ != Kind::object) return bytes;
  std::vector<u8> copy;
  bool any = false;
  for (u32 i = 0; i < sections_.size(); i++) {
    if (sections_[i].type != kSectionRela || sections_[i].info != index) continue;
    if (!any) copy.assign(bytes.begin(), bytes.end());
    any = true;
    if (const Status done = relocate(index, i, copy); !done.ok()) return done.error();
  }
  if (!any) return bytes;
  return std::span<const u8>(relocated_[index] = std::move(copy));
}

// [riscv-elf-psabi: Relocations]; ADD and SUB come in pairs at one place, each changes what is there.
Status ElfFile::relocate(u32 index, u32 relocations, std::span<u8> bytes) {
  const std::string name(sections_[index].name);
  if (machine_ != elf::kMachineRiscv) return errorf("an object for another processor, %s stays as it is", name.c_str());
  const ElfSection& table = sections_[relocations];
  const std::span<const u8> list = raw(table);
  if (table.link >= sections_.size() || !table.in_file)
    return errorf("the relocations of section %s are damaged", name.c_str());
  const std::span<const u8> symbols = raw(sections_[table.link]);
  for (u64 at = 0; at + sizeof(Relocation) <= list.size(); at += sizeof(Relocation)) {
    const Relocation each = load_le<Relocation>(list.data() + at);
    const u32 type = static_cast<u32>(each.info);
    if (type == kNone || type == kRelax || type == kAlign) continue;
    const u64 symbol_at = (each.info >> 32) * sizeof(elf::Symbol);
    const auto symbol = elf::record<elf::Symbol>(symbols, symbol_at);
    if (!symbol) return errorf("a relocation of section %s names no symbol", name.c_str());
    u64 value = symbol->value + static_cast<u64>(each.addend);
    if (symbol->section != elf::kSectionUndefined && symbol->section < sections_.size())
      value += sections_[symbol->section].address;
    static constexpr u8 kWidths[] = {1, 2, 4, 8};
    unsigned width = 0;
    if (type >= kAdd8 && type <= kSub64)
      width = kWidths[(type - kAdd8) % 4];
    else if (type == k32 || type == kSet32 || type == k32Pcrel)
      width = 4;
    else if (type == k64)
      width = 8;
    else if (type == kSub6 || type == kSet6 || type == kSet8 || type == kSetUleb128 || type == kSubUleb128)
      width = 1;
    else if (type == kSet16)
      width = 2;
    else
      return errorf("section %s has a relocation of kind %u, which debug information does not use", name.c_str(), type);
    if (!elf::within(each.offset, width, bytes.size()))
      return errorf("a relocation of section %s is outside of it", name.c_str());
    u8* place = bytes.data() + each.offset;
    u64 old = 0;
    std::memcpy(&old, place, width);
    u64 fresh = value;
    if (type >= kAdd8 && type <= kAdd64) fresh = old + value;
    if (type >= kSub8 && type <= kSub64) fresh = old - value;
    if (type == k32Pcrel) fresh = value - (sections_[index].address + each.offset);
    if (type == kSet6) fresh = merge(old, value, 0x3f);
    if (type == kSub6) fresh = merge(old, old - value, 0x3f);
    if (type == kSetUleb128 || type == kSubUleb128) {
      Cursor cursor(bytes, each.offset);
      const u64 there = cursor.uleb();
      fresh = type == kSetUleb128 ? value : there - value;
      if (!store_uleb(bytes, each.offset, fresh)) return errorf("a number of section %s has no end", name.c_str());
    } else {
      std::memcpy(place, &fresh, width);
    }
  }
  return {};
}

void ElfFile::read_symbols() {
  if (symbols_read_) return;
  symbols_read_ = true;
  for (const u32 wanted : {elf::kSectionSymbols, kSectionDynamicSymbols}) {
    for (const ElfSection& section : sections_) {
      if (section.type != wanted) continue;
      const std::span<const u8> bytes = raw(section);
      for (u64 at = 0; at + sizeof(elf::Symbol) <= bytes.size(); at += sizeof(elf::Symbol)) {
        const elf::Symbol symbol = load_le<elf::Symbol>(bytes.data() + at);
        const u8 type = symbol.info & 15;
        if (symbol.section == elf::kSectionUndefined || symbol.section >= kSectionReserved) continue;
        if (symbol.section >= sections_.size()) continue;
        if (type == kSymbolSection || type == kSymbolFile || type == kSymbolThreadLocal) continue;
        const u8 bind = symbol.info >> 4;
        u64 address = symbol.value;
        if (kind_ == Kind::object) address += sections_[symbol.section].address;
        symbols_.push_back({address, symbol.bytes, symbol.section, section.link, symbol.name, type, bind});
      }
    }
  }
  // Only the first bytes: hostile names may share one endless string.
  std::erase_if(symbols_, [&](const SymbolEntry& entry) {
    const std::string_view name = text_from(entry.names, entry.name);
    return name.empty() || name[0] == 0 || name[0] == '$' || name.starts_with(".L");
  });
  std::stable_sort(symbols_.begin(), symbols_.end(), [](const SymbolEntry& a, const SymbolEntry& b) {
    return a.section != b.section ? a.section < b.section : a.address < b.address;
  });
}

ElfFile::Symbol ElfFile::symbol(const SymbolEntry& entry) const {
  return {text(entry.names, entry.name), entry.address, entry.bytes, entry.type == elf::kSymbolFunction};
}

size_t ElfFile::symbol_count() {
  read_symbols();
  return symbols_.size();
}

std::optional<ElfFile::Symbol> ElfFile::symbol_for(u64 address) {
  read_symbols();
  const std::optional<u32> section = section_at(address);
  if (!section) return std::nullopt;
  const bool code = sections_[*section].executable();
  const auto key = std::pair(*section, address);
  auto behind =
      std::upper_bound(symbols_.begin(), symbols_.end(), key, [](const auto& wanted, const SymbolEntry& entry) {
        return wanted.first != entry.section ? wanted.first < entry.section : wanted.second < entry.address;
      });
  const SymbolEntry* best = nullptr;
  const auto covers = [&](const SymbolEntry& entry) { return address - entry.address < std::max<u64>(entry.bytes, 1); };
  // Of several at one address: what covers the wanted one, then what has a type, then functions, then the shorter, then
  // the earlier in the file.
  const auto better = [&](const SymbolEntry& fresh, const SymbolEntry& old) {
    const bool fresh_covers = covers(fresh), old_covers = covers(old);
    if (fresh_covers != old_covers) return fresh_covers;
    if (!old_covers) return fresh.bytes >= old.bytes;
    const auto rank = [](const SymbolEntry& entry) {
      return entry.type == elf::kSymbolFunction ? 2 : entry.type != elf::kSymbolNone ? 1 : 0;
    };
    if (rank(fresh) != rank(old)) return rank(fresh) > rank(old);
    return fresh.bytes <= old.bytes;
  };
  unsigned looked_at = 0;
  for (auto entry = behind; entry != symbols_.begin();) {
    --entry;
    if (entry->section != *section) break;
    if (code && entry->type == elf::kSymbolObject) continue;
    if (!best || (entry->address == best->address && better(*entry, *best))) {
      best = &*entry;
      continue;
    }
    if (entry->address == best->address) continue;
    // Labels are nearer than the function that they are in; but it covers the address.
    if (best->type != elf::kSymbolNone || ++looked_at > kMostLabels) break;
    if (entry->type != elf::kSymbolNone && covers(*entry)) best = &*entry;
  }
  if (!best) return std::nullopt;
  return symbol(*best);
}

std::optional<ElfFile::Symbol> ElfFile::symbol_named(std::string_view name) {
  read_symbols();
  const SymbolEntry* found = nullptr;
  for (const SymbolEntry& entry : symbols_) {
    const std::string_view from = text_from(entry.names, entry.name);
    if (!from.starts_with(name) || from.size() == name.size() || from[name.size()] != 0) continue;
    if (!found || (found->bind == elf::kBindLocal && entry.bind != elf::kBindLocal)) found = &entry;
  }
  if (!found) return std::nullopt;
  return symbol(*found);
}

}  // namespace hartwood
