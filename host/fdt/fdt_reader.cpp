// SPDX-License-Identifier: Apache-2.0
// Every offset is compared with the end of the block it must lie in before it is used; sizes are size_t sums
// of u32 values that were bounded by the file's size, at most 2 MiB, so that none of them wraps.
#include "fdt/fdt_reader.h"

#include <algorithm>

#include "fdt/fdt_format.h"

namespace hartwood {
namespace {

bool is_printable_name(std::string_view name) {
  return name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

bool within(size_t at, size_t bytes, size_t end) { return at <= end && bytes <= end - at; }

}  // namespace

std::optional<u32> FdtProperty::u32_value() const {
  return value.size() == 4 ? std::optional(fdt::load_be32(value.data())) : std::nullopt;
}

std::optional<u64> FdtProperty::u64_value() const {
  return value.size() == 8 ? std::optional(fdt::load_be64(value.data())) : std::nullopt;
}

std::optional<u32> FdtProperty::cell(size_t index) const {
  return index < value.size() / 4 ? std::optional(fdt::load_be32(value.data() + index * 4)) : std::nullopt;
}

std::optional<std::vector<std::string_view>> FdtProperty::strings() const {
  std::vector<std::string_view> texts;
  if (value.empty()) return texts;
  if (value.back() != 0) return std::nullopt;
  std::string_view rest(reinterpret_cast<const char*>(value.data()), value.size());
  while (!rest.empty()) {
    const size_t end = rest.find('\0');
    texts.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return texts;
}

std::optional<std::string_view> FdtProperty::string_value() const {
  if (value.empty() || value.back() != 0) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size() - 1);
  return text.find('\0') == std::string_view::npos ? std::optional(text) : std::nullopt;
}

Result<FdtReader> FdtReader::parse(std::span<const u8> file) {
  if (file.size() < fdt::kHeaderBytes || fdt::load_be32(file.data()) != fdt::kMagic)
    return errorf("not a device tree file: it must begin with the bytes d0 0d fe ed; compile a source with dtc -O dtb");
  const u32 total = fdt::load_be32(file.data() + fdt::kAtTotalSize);
  if (total < fdt::kHeaderBytes || total > file.size())
    return errorf("the device tree file is cut off: its header says %u bytes, it has %zu", total, file.size());
  if (total > fdt::kMaxTreeBytes) return errorf("the device tree file is larger than 2 MiB");

  FdtReader reader;
  reader.file_.assign(file.begin(), file.begin() + total);
  if (Status status = reader.parse_header(); !status) return status.error();
  if (Status status = reader.parse_structure(); !status) return status.error();
  return reader;
}

Status FdtReader::parse_header() {
  const auto word = [&](u32 at) { return fdt::load_be32(file_.data() + at); };
  const u32 version = word(fdt::kAtVersion), last = word(fdt::kAtLastCompatible);
  if (version < fdt::kVersion || last > fdt::kVersion)
    return errorf("the device tree file has version %u; convert it with dtc -I dtb -O dtb -V 17", version);
  boot_hart_ = word(fdt::kAtBootHart);

  structure_at_ = word(fdt::kAtStructure);
  strings_at_ = word(fdt::kAtStrings);
  const size_t structure_bytes = word(fdt::kAtStructureBytes), strings_bytes = word(fdt::kAtStringsBytes);
  if (structure_at_ % 4 != 0 || structure_at_ < fdt::kHeaderBytes || structure_bytes % 4 != 0 ||
      !within(structure_at_, structure_bytes, file_.size()))
    return errorf("the device tree file's structure block is not inside the file");
  if (strings_at_ < fdt::kHeaderBytes || !within(strings_at_, strings_bytes, file_.size()))
    return errorf("the device tree file's strings block is not inside the file");
  structure_end_ = structure_at_ + structure_bytes;
  strings_end_ = strings_at_ + strings_bytes;

  size_t at = word(fdt::kAtReservations);
  if (at % 8 != 0 || at < fdt::kHeaderBytes) return errorf("the device tree file's memory reservations are misplaced");
  for (;; at += fdt::kReservationBytes) {
    if (!within(at, fdt::kReservationBytes, file_.size()))
      return errorf("the device tree file's memory reservations do not end inside the file");
    const FdtReservation entry{fdt::load_be64(file_.data() + at), fdt::load_be64(file_.data() + at + 8)};
    if (entry.address == 0 && entry.bytes == 0) return {};
    if (entry.bytes != 0 && entry.address + (entry.bytes - 1) < entry.address)
      return errorf("a memory reservation of the device tree file wraps around");
    if (entry.bytes != 0) reservations_.push_back(entry);
  }
}

// The string in [begin, end) up to its zero byte; nothing if there is none.
std::optional<std::string_view> FdtReader::string_at(size_t begin, size_t end) const {
  if (begin >= end) return std::nullopt;
  const std::string_view rest(reinterpret_cast<const char*>(file_.data()) + begin, end - begin);
  const size_t length = rest.find('\0');
  return length == std::string_view::npos ? std::nullopt : std::optional(rest.substr(0, length));
}

Status FdtReader::parse_structure() {
  struct Open {
    FdtNodeIndex node;
    FdtNodeIndex last_child;
  };
  std::vector<Open> open;
  size_t at = structure_at_;
  const auto broken = [&](const char* what) {
    return errorf("the device tree file is broken at byte %zu: %s", at, what);
  };
  for (;;) {
    if (!within(at, 4, structure_end_)) return broken("the structure block has no end token");
    const u32 token = fdt::load_be32(file_.data() + at);
    if (token == fdt::kNop) {
      at += 4;
    } else if (token == fdt::kBeginNode) {
      const std::optional<std::string_view> name = string_at(at + 4, structure_end_);
      if (!name) return broken("a node name has no end");
      if (open.empty() ? (!nodes_.empty() || !name->empty()) : (name->empty() || !is_printable_name(*name)))
        return broken(nodes_.empty() ? "the root has a name" : "a node name is not valid, or there are two roots");
      if (open.size() >= fdt::kMaxDepth) return broken("the nodes are nested too deeply");
      const FdtNodeIndex index = static_cast<FdtNodeIndex>(nodes_.size());
      Node node;
      node.name = *name;
      node.first_property = static_cast<u32>(properties_.size());
      if (!open.empty()) {
        Open& parent = open.back();
        node.parent = parent.node;
        if (parent.last_child == kNone)
          nodes_[parent.node].first_child = index;
        else
          nodes_[parent.last_child].next_sibling = index;
        parent.last_child = index;
      }
      nodes_.push_back(node);
      open.push_back({index, kNone});
      at = align_up(at + 4 + name->size() + 1, 4);
    } else if (token == fdt::kEndNode) {
      if (open.empty()) return broken("a node ends that did not begin");
      open.pop_back();
      at += 4;
    } else if (token == fdt::kProperty) {
      if (open.empty()) return broken("a property is in no node");
      if (open.back().last_child != kNone) return broken("a property follows a subnode");
      if (!within(at, 12, structure_end_)) return broken("a property is cut off");
      const size_t bytes = fdt::load_be32(file_.data() + at + 4);
      const size_t name_at = fdt::load_be32(file_.data() + at + 8);
      if (!within(at + 12, bytes, structure_end_)) return broken("a property's value is cut off");
      if (name_at >= strings_end_ - strings_at_) return broken("a property's name is not in the strings block");
      const std::optional<std::string_view> name = string_at(strings_at_ + name_at, strings_end_);
      if (!name || name->empty() || !is_printable_name(*name)) return broken("a property's name is not valid");
      properties_.push_back({*name, {file_.data() + at + 12, bytes}});
      nodes_[open.back().node].property_count++;
      at = align_up(at + 12 + bytes, 4);
    } else if (token == fdt::kEnd) {
      if (!open.empty()) return broken("it ends inside a node");
      if (nodes_.empty()) return broken("it has no root");
      return {};
    } else {
      return broken("an unknown token");
    }
  }
}

std::span<const FdtProperty> FdtReader::properties(FdtNodeIndex index) const {
  const Node& of = nodes_[index];
  return std::span(properties_).subspan(of.first_property, of.property_count);
}

const FdtProperty* FdtReader::property(FdtNodeIndex index, std::string_view name) const {
  for (const FdtProperty& each : properties(index))
    if (each.name == name) return &each;
  return nullptr;
}

FdtNodeIndex FdtReader::find_child(FdtNodeIndex parent, std::string_view name) const {
  FdtNodeIndex without_unit = kNone;
  bool ambiguous = false;
  for (FdtNodeIndex child = nodes_[parent].first_child; child != kNone; child = nodes_[child].next_sibling) {
    const std::string_view full = nodes_[child].name;
    if (full == name) return child;
    if (full.substr(0, full.find('@')) == name) {
      ambiguous = without_unit != kNone;
      without_unit = child;
    }
  }
  return ambiguous ? kNone : without_unit;
}

FdtNodeIndex FdtReader::find_path(std::string_view path) const {
  FdtNodeIndex at = 0;
  if (path.empty()) return kNone;
  if (path.front() != '/') {
    const size_t slash = std::min(path.find('/'), path.size());
    const FdtNodeIndex aliases = find_child(0, "aliases");
    const FdtProperty* alias = aliases == kNone ? nullptr : property(aliases, path.substr(0, slash));
    const std::optional<std::string_view> target = alias == nullptr ? std::nullopt : alias->string_value();
    if (!target || target->empty() || target->front() != '/') return kNone;
    at = find_path(*target);
    if (at == kNone) return kNone;
    path.remove_prefix(slash);
  }
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    if (path.empty()) break;
    const size_t slash = std::min(path.find('/'), path.size());
    at = find_child(at, path.substr(0, slash));
    if (at == kNone) return kNone;
    path.remove_prefix(slash);
  }
  return at;
}

FdtNodeIndex FdtReader::find_compatible(std::string_view compatible, FdtNodeIndex after) const {
  for (size_t index = after == kNone ? 0 : size_t{after} + 1; index < nodes_.size(); index++) {
    const FdtProperty* list = property(static_cast<FdtNodeIndex>(index), "compatible");
    if (list == nullptr) continue;
    const auto texts = list->strings();
    if (texts && std::find(texts->begin(), texts->end(), compatible) != texts->end())
      return static_cast<FdtNodeIndex>(index);
  }
  return kNone;
}

FdtNodeIndex FdtReader::find_phandle(u32 phandle) const {
  for (size_t index = 0; index < nodes_.size(); index++) {
    const FdtProperty* handle = property(static_cast<FdtNodeIndex>(index), "phandle");
    if (handle != nullptr && handle->u32_value() == phandle) return static_cast<FdtNodeIndex>(index);
  }
  return kNone;
}

}  // namespace hartwood
