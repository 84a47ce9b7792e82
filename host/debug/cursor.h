// SPDX-License-Identifier: Apache-2.0
// Reading of bytes that nobody vouches for: debug information of guest files. A read past the end fails the cursor;
// from then on every read yields zero or nothing, so that a loop checks `ok()` once a turn. No state beyond the
// position.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>

#include "base/bits.h"
#include "base/types.h"

namespace hartwood {

class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(std::span<const u8> bytes, u64 at = 0) : bytes_(bytes) { seek(at); }

  bool ok() const { return ok_; }
  u64 at() const { return at_; }
  u64 left() const { return bytes_.size() - at_; }
  bool at_end() const { return at_ == bytes_.size(); }
  void fail() {
    ok_ = false;
    at_ = bytes_.size();
  }
  void seek(u64 at) {
    if (at > bytes_.size())
      fail();
    else
      at_ = at;
  }
  void skip(u64 bytes) {
    if (bytes > left())
      fail();
    else
      at_ += bytes;
  }
  template <class T>
  T get() {
    static_assert(std::is_integral_v<T>);
    if (sizeof(T) > left()) {
      fail();
      return T{};
    }
    const T value = load_le<T>(bytes_.data() + at_);
    at_ += sizeof(T);
    return value;
  }
  // A little-endian number of 0 to 8 bytes.
  u64 number(unsigned bytes) {
    if (bytes > 8 || bytes > left()) {
      fail();
      return 0;
    }
    u64 value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= u64{bytes_[at_ + i]} << (8 * i);
    at_ += bytes;
    return value;
  }
  // [dwarf5: Variable Length Data]; bits above the 64th are dropped.
  u64 uleb() { return leb().value; }
  i64 sleb() {
    const Leb read = leb();
    return read.bits >= 64 ? static_cast<i64>(read.value) : sign_extend(read.value, read.bits == 0 ? 1 : read.bits);
  }
  // Up to a zero byte, which is read too.
  std::string_view string() {
    const void* end = left() == 0 ? nullptr : std::memchr(bytes_.data() + at_, 0, static_cast<size_t>(left()));
    if (!end) {
      fail();
      return {};
    }
    const u8* begin = bytes_.data() + at_;
    const size_t length = static_cast<size_t>(static_cast<const u8*>(end) - begin);
    at_ += length + 1;
    return {reinterpret_cast<const char*>(begin), length};
  }
  std::span<const u8> take(u64 bytes) {
    if (bytes > left()) {
      fail();
      return {};
    }
    const std::span<const u8> taken = bytes_.subspan(static_cast<size_t>(at_), static_cast<size_t>(bytes));
    at_ += bytes;
    return taken;
  }

 private:
  struct Leb {
    u64 value = 0;
    unsigned bits = 0;
  };
  Leb leb() {
    Leb read;
    for (;;) {
      if (left() == 0) {
        fail();
        return {};
      }
      const u8 byte = bytes_[at_++];
      if (read.bits < 64) {
        read.value |= u64{byte & 0x7fu} << read.bits;
        read.bits += 7;
      }
      if (!(byte & 0x80)) return read;
    }
  }

  std::span<const u8> bytes_;
  u64 at_ = 0;
  bool ok_ = true;
};

}  // namespace hartwood
