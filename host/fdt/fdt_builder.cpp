// SPDX-License-Identifier: Apache-2.0
// The three blocks of a DTB are collected apart and joined by finish(). [devicetree: Flattened Devicetree
// Format]
#include "fdt/fdt_builder.h"

#include <algorithm>

#include "fdt/fdt_format.h"

namespace hartwood {
namespace {

constexpr size_t kMaxStrictName = 31;
constexpr size_t kMaxFoundName = 255;

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool all_of_set(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alphanumeric(c) || extra.find(c) != std::string_view::npos; });
}
bool is_found_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFoundName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

// For messages: never more than a line, whatever the name is.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 80));
  for (char& c : text)
    if (c < ' ' || c >= 0x7f) c = '?';
  return text;
}

}  // namespace

void FdtBuilder::fail(Error error) {
  if (error_.empty()) error_ = std::move(error.message);
}

bool FdtBuilder::check_node_name(std::string_view name) const {
  if (names_ == FdtNames::as_found) return is_found_name(name);
  const size_t at = name.find('@');
  const std::string_view stem = name.substr(0, at);
  if (stem.empty() || stem.size() > kMaxStrictName || !all_of_set(stem, ",._+-")) return false;
  if (at == std::string_view::npos) return true;
  const std::string_view unit = name.substr(at + 1);
  return !unit.empty() && unit.size() <= kMaxStrictName && all_of_set(unit, ",._+-");
}

bool FdtBuilder::check_property_name(std::string_view name) const {
  if (names_ == FdtNames::as_found) return is_found_name(name);
  return !name.empty() && name.size() <= kMaxStrictName && all_of_set(name, ",._+?#-");
}

void FdtBuilder::reserve(u64 address, u64 bytes) {
  if (bytes == 0 || address + (bytes - 1) < address) {
    fail(errorf("a memory reservation of the device tree is empty or wraps around"));
    return;
  }
  fdt::append_be64(reservations_, address);
  fdt::append_be64(reservations_, bytes);
}

void FdtBuilder::begin_node(std::string_view name) {
  std::string path;
  if (open_.empty()) {
    if (root_done_) return fail(errorf("the device tree has a second root"));
    if (!name.empty()) return fail(errorf("the root of a device tree has no name, not '%s'", shown(name).c_str()));
    root_done_ = true;
  } else {
    OpenNode& parent = open_.back();
    if (!check_node_name(name)) fail(errorf("'%s' is no name for a device tree node", shown(name).c_str()));
    path = parent.path + "/" + std::string(name);
    if (!parent.children.emplace(name).second) fail(errorf("the device tree has %s twice", shown(path).c_str()));
    if (open_.size() >= fdt::kMaxDepth) fail(errorf("the device tree is deeper than %u nodes", fdt::kMaxDepth));
  }
  fdt::append_be32(structure_, fdt::kBeginNode);
  structure_.insert(structure_.end(), name.begin(), name.end());
  structure_.push_back(0);
  structure_.resize(align_up(structure_.size(), 4));
  open_.push_back(OpenNode{std::move(path), {}, {}});
}

void FdtBuilder::end_node() {
  if (open_.empty()) return fail(errorf("the device tree ends a node that it did not begin"));
  fdt::append_be32(structure_, fdt::kEndNode);
  open_.pop_back();
}

u32 FdtBuilder::string_offset(std::string_view name) {
  if (const auto found = string_offsets_.find(name); found != string_offsets_.end()) return found->second;
  const u32 offset = static_cast<u32>(strings_.size());
  strings_.append(name);
  strings_.push_back('\0');
  string_offsets_.emplace(name, offset);
  return offset;
}

void FdtBuilder::property_bytes(std::string_view name, std::span<const u8> value) {
  if (open_.empty()) return fail(errorf("device tree property '%s' is in no node", shown(name).c_str()));
  OpenNode& node = open_.back();
  const std::string path = node.path.empty() ? "/" : node.path;
  if (!check_property_name(name))
    return fail(errorf("'%s' is no name for a device tree property (in %s)", shown(name).c_str(), shown(path).c_str()));
  if (!node.children.empty())
    return fail(errorf("device tree property '%s' follows a subnode of %s", shown(name).c_str(), shown(path).c_str()));
  if (!node.properties.emplace(name).second)
    return fail(errorf("%s has the property '%s' twice", shown(path).c_str(), shown(name).c_str()));
  if (value.size() > fdt::kMaxTreeBytes)
    return fail(errorf("device tree property '%s' is larger than a device tree may be", shown(name).c_str()));
  fdt::append_be32(structure_, fdt::kProperty);
  fdt::append_be32(structure_, static_cast<u32>(value.size()));
  fdt::append_be32(structure_, string_offset(name));
  structure_.insert(structure_.end(), value.begin(), value.end());
  structure_.resize(align_up(structure_.size(), 4));
}

void FdtBuilder::property_empty(std::string_view name) { property_bytes(name, {}); }

void FdtBuilder::property_u32(std::string_view name, u32 value) { property_cells(name, {value}); }

void FdtBuilder::property_u64(std::string_view name, u64 value) {
  property_cells(name, {static_cast<u32>(value >> 32), static_cast<u32>(value)});
}

void FdtBuilder::property_cells(std::string_view name, std::span<const u32> cells) {
  std::vector<u8> value;
  value.reserve(cells.size() * 4);
  for (const u32 cell : cells) fdt::append_be32(value, cell);
  property_bytes(name, value);
}

void FdtBuilder::property_cells(std::string_view name, std::initializer_list<u32> cells) {
  property_cells(name, std::span<const u32>(cells.begin(), cells.size()));
}

void FdtBuilder::append_strings_property(std::string_view name, std::string value) {
  property_bytes(name, {reinterpret_cast<const u8*>(value.data()), value.size()});
}

void FdtBuilder::property_string(std::string_view name, std::string_view text) { property_strings(name, {text}); }

void FdtBuilder::property_strings(std::string_view name, std::initializer_list<std::string_view> texts) {
  std::string value;
  for (const std::string_view text : texts) {
    if (text.find('\0') != std::string_view::npos)
      fail(errorf("a string of the device tree property '%s' contains a zero byte", shown(name).c_str()));
    value.append(text);
    value.push_back('\0');
  }
  append_strings_property(name, std::move(value));
}

void FdtBuilder::property_strings(std::string_view name, std::span<const std::string> texts) {
  std::string value;
  for (const std::string& text : texts) {
    if (text.find('\0') != std::string::npos)
      fail(errorf("a string of the device tree property '%s' contains a zero byte", shown(name).c_str()));
    value.append(text);
    value.push_back('\0');
  }
  append_strings_property(name, std::move(value));
}

void FdtBuilder::property_phandle(u32 phandle) {
  // [devicetree: phandle] 0 and ~0 are no phandles.
  if (phandle == 0 || phandle == ~u32{0} || !phandles_.insert(phandle).second)
    fail(errorf("the device tree uses the phandle %u twice, or it is none", phandle));
  property_u32("phandle", phandle);
}

Result<std::vector<u8>> FdtBuilder::finish() {
  if (!open_.empty())
    fail(errorf("the device tree's node %s is not ended", open_.back().path.empty() ? "/" : open_.back().path.c_str()));
  if (!root_done_) fail(errorf("the device tree is empty"));
  if (!error_.empty()) return Error{error_};

  fdt::append_be32(structure_, fdt::kEnd);
  reservations_.resize(reservations_.size() + fdt::kReservationBytes);  // the list ends with zeroes
  const size_t reservations_at = fdt::kHeaderBytes;                     // a multiple of 8, as it has to be
  const size_t structure_at = reservations_at + reservations_.size();
  const size_t strings_at = structure_at + structure_.size();
  const size_t total = strings_at + strings_.size();
  if (total > fdt::kMaxTreeBytes) return errorf("the device tree is larger than 2 MiB");

  std::vector<u8> file(fdt::kHeaderBytes);
  const auto put = [&](u32 at, size_t value) { fdt::store_be32(file.data() + at, static_cast<u32>(value)); };
  put(fdt::kAtMagic, fdt::kMagic);
  put(fdt::kAtTotalSize, total);
  put(fdt::kAtStructure, structure_at);
  put(fdt::kAtStrings, strings_at);
  put(fdt::kAtReservations, reservations_at);
  put(fdt::kAtVersion, fdt::kVersion);
  put(fdt::kAtLastCompatible, fdt::kLastCompatibleVersion);
  put(fdt::kAtBootHart, boot_hart_);
  put(fdt::kAtStringsBytes, strings_.size());
  put(fdt::kAtStructureBytes, structure_.size());
  file.insert(file.end(), reservations_.begin(), reservations_.end());
  file.insert(file.end(), structure_.begin(), structure_.end());
  file.insert(file.end(), strings_.begin(), strings_.end());
  return file;
}

}  // namespace hartwood
