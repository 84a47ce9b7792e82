// SPDX-License-Identifier: Apache-2.0
// Versioned save and load of plain state. Each hart and device writes one section: a four-character tag, a version and
// its fields in order, little-endian. Reading never trusts the input: a short or foreign section sets `failed()` and
// every later read yields zeroes, so that a loader can check once at its end.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/types.h"

namespace hartwood {

class StateWriter {
 public:
  // Opens a section; sections do not nest.
  void begin(const char (&tag)[5], u32 version);
  void end();
  template <class T>
  void put(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    append(&value, sizeof value);
  }
  void put_bytes(std::span<const u8> data);  // with its length (u64) in front
  const std::vector<u8>& bytes() const { return bytes_; }

 private:
  void append(const void* data, size_t size);
  std::vector<u8> bytes_;
  size_t length_at_ = 0;
};

class StateReader {
 public:
  explicit StateReader(std::span<const u8> bytes) : bytes_(bytes) {}
  // Enters the next section; fails unless its tag is `tag` and its version is at most `newest`. Returns the version, 0
  // on failure.
  u32 begin(const char (&tag)[5], u32 newest);
  // Leaves the section; fails if fields of it were not read.
  void end();
  template <class T>
  T get() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value{};
    take(&value, sizeof value);
    return value;
  }
  template <class T>
  void get(T& value) {
    value = get<T>();
  }
  // At most `limit` bytes, else failure.
  std::vector<u8> get_bytes(u64 limit);
  void fail(const char* why);
  // No section follows.
  bool at_end() const { return position_ == bytes_.size(); }
  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }

 private:
  void take(void* data, size_t size);
  std::span<const u8> bytes_;
  size_t position_ = 0;
  size_t section_end_ = 0;
  std::string error_;
};

}  // namespace hartwood
