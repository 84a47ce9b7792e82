// SPDX-License-Identifier: Apache-2.0
// FdtBuilder writes a flattened device tree, node by node. One thread owns a builder.
//
// Mistakes (a bad name, a property after a subnode, a node left open) do not stop the caller: the first one
// is kept and finish() returns it, so that a tree is written in one go and checked once.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace hartwood {

// Which names a builder takes.
enum class FdtNames : u8 {
  // As the specification's sections "Node Names" and "Property Names" want them: 1 to 31 characters of their
  // sets.
  strict,
  // Any printable ASCII without '/', up to 255 characters: to write again what was read from a file.
  as_found,
};

class FdtBuilder {
 public:
  explicit FdtBuilder(FdtNames names = FdtNames::strict) : names_(names) {}

  // [devicetree: Memory Reservation Block] RAM that the kernel must not use, in bytes; `bytes` is not 0.
  void reserve(u64 address, u64 bytes);
  // The header's boot_cpuid_phys; 0 unless told.
  void set_boot_hart(u32 hart) { boot_hart_ = hart; }

  // The first node is the root and has the empty name. Siblings have different names.
  void begin_node(std::string_view name);
  void end_node();

  // Properties of the innermost open node, before its first subnode; each name once.
  void property_empty(std::string_view name);
  void property_u32(std::string_view name, u32 value);
  void property_u64(std::string_view name, u64 value);
  void property_cells(std::string_view name, std::span<const u32> cells);
  void property_cells(std::string_view name, std::initializer_list<u32> cells);
  void property_string(std::string_view name, std::string_view text);
  void property_strings(std::string_view name, std::span<const std::string> texts);
  void property_strings(std::string_view name, std::initializer_list<std::string_view> texts);
  void property_bytes(std::string_view name, std::span<const u8> value);

  // A phandle that this builder has not given out yet, from 1 up; it may be referred to before its node is
  // written.
  u32 new_phandle() { return ++last_phandle_; }
  // Writes the open node's "phandle". Two nodes with one phandle are an error.
  void property_phandle(u32 phandle);

  // The file, at most 2 MiB, or the first mistake. The builder is spent afterwards.
  Result<std::vector<u8>> finish();

 private:
  struct OpenNode {
    std::string path;
    std::set<std::string, std::less<>> properties;
    std::set<std::string, std::less<>> children;
  };
  void fail(Error error);
  bool check_node_name(std::string_view name) const;
  bool check_property_name(std::string_view name) const;
  u32 string_offset(std::string_view name);
  void append_strings_property(std::string_view name, std::string value);

  FdtNames names_;
  std::vector<OpenNode> open_;
  bool root_done_ = false;
  std::vector<u8> structure_;
  std::string strings_;
  std::map<std::string, u32, std::less<>> string_offsets_;
  std::vector<u8> reservations_;
  std::set<u32> phandles_;
  u32 last_phandle_ = 0;
  u32 boot_hart_ = 0;
  std::string error_;
};

}  // namespace hartwood
