// SPDX-License-Identifier: Apache-2.0
// FdtReader checks a device tree file (DTB) that someone gave us, once and wholly, and answers questions
// about it. It keeps its own copy; the names and values it hands out live as long as the reader. After
// parse() it never changes, so any thread may read it.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

struct FdtProperty {
  std::string_view name;
  std::span<const u8> value;

  // The value as one cell or two; nothing if it has another size.
  std::optional<u32> u32_value() const;
  std::optional<u64> u64_value() const;
  // Cell `index` of the value; nothing beyond its end.
  std::optional<u32> cell(size_t index) const;
  // The value as one string, or as a list of them; nothing if it is not terminated. [devicetree: Property
  // Values]
  std::optional<std::string_view> string_value() const;
  std::optional<std::vector<std::string_view>> strings() const;
};

// A node by its place in the file: 0 is the root, a parent comes before its children.
using FdtNodeIndex = u32;

struct FdtReservation {
  u64 address = 0;
  u64 bytes = 0;
};

class FdtReader {
 public:
  static constexpr FdtNodeIndex kNone = ~FdtNodeIndex{0};
  struct Node {
    std::string_view name;  // with its unit address; the root's is empty
    FdtNodeIndex parent = kNone;
    FdtNodeIndex first_child = kNone;
    FdtNodeIndex next_sibling = kNone;
    u32 first_property = 0;
    u32 property_count = 0;
  };

  // Takes version 17 (what dtc writes), at most 2 MiB and 64 levels. An error says what is broken.
  static Result<FdtReader> parse(std::span<const u8> file);
  FdtReader(FdtReader&&) = default;
  FdtReader& operator=(FdtReader&&) = default;
  FdtReader(const FdtReader&) = delete;
  FdtReader& operator=(const FdtReader&) = delete;

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(FdtNodeIndex index) const { return nodes_[index]; }
  std::span<const FdtProperty> properties(FdtNodeIndex index) const;
  // Null if the node has no such property.
  const FdtProperty* property(FdtNodeIndex index, std::string_view name) const;
  // "/soc/serial@10000000"; a part without a unit address finds the one child that fits but for that. A path
  // that does not begin with '/' begins with an alias. kNone if there is no such node, or more than one.
  FdtNodeIndex find_path(std::string_view path) const;
  // The first node after `after` (kNone: from the root on) that lists `compatible`; kNone if there is none.
  FdtNodeIndex find_compatible(std::string_view compatible, FdtNodeIndex after = kNone) const;
  FdtNodeIndex find_phandle(u32 phandle) const;

  const std::vector<FdtReservation>& reservations() const { return reservations_; }
  u32 boot_hart() const { return boot_hart_; }
  // The file without bytes that may follow it.
  std::span<const u8> bytes() const { return file_; }

 private:
  FdtReader() = default;
  Status parse_header();
  Status parse_structure();
  FdtNodeIndex find_child(FdtNodeIndex parent, std::string_view name) const;
  std::optional<std::string_view> string_at(size_t begin, size_t end) const;

  std::vector<u8> file_;
  size_t structure_at_ = 0, structure_end_ = 0;
  size_t strings_at_ = 0, strings_end_ = 0;
  u32 boot_hart_ = 0;
  std::vector<FdtReservation> reservations_;
  std::vector<Node> nodes_;
  std::vector<FdtProperty> properties_;
};

}  // namespace hartwood
