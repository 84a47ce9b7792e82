// SPDX-License-Identifier: Apache-2.0
#include "debug/gdb_packets.h"

namespace hartwood {
namespace {

constexpr u8 kInterruptByte = 3;
constexpr u8 kEscape = '}', kEscapeXor = 0x20;
constexpr char kDigits[] = "0123456789abcdef";

// -1 if it is none.
int digit(u8 c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool needs_escape(u8 c) { return c == '$' || c == '#' || c == '}' || c == '*'; }

}  // namespace

void GdbPacketReader::reset() {
  state_ = State::between;
  body_.clear();
}

void GdbPacketReader::start() {
  state_ = State::body;
  too_long_ = bad_ = false;
  sum_ = 0;
  length_ = 0;
  body_.clear();
}

void GdbPacketReader::add(u8 byte) {
  if (!too_long_) body_.push_back(static_cast<char>(byte));
}

GdbPacketReader::Event GdbPacketReader::take(u8 byte) {
  switch (state_) {
    case State::between:
      if (byte == '$') {
        start();
      } else if (byte == '+') {
        return acknowledged;
      } else if (byte == '-') {
        return not_acknowledged;
      } else if (byte == kInterruptByte) {
        return interrupt;
      }
      return none;

    case State::body:
    case State::escaped:
      // The end of the packet before has been lost: neither byte occurs inside.
      if (byte == '$') {
        start();
        return none;
      }
      if (byte == '#') {
        if (state_ == State::escaped) bad_ = true;
        state_ = State::checksum_high;
        return none;
      }
      sum_ = static_cast<u8>(sum_ + byte);
      if (length_ == kGdbPacketBytes) {
        too_long_ = true;
        body_.clear();
      } else {
        length_++;
      }
      if (state_ == State::escaped) {
        add(byte ^ kEscapeXor);
        state_ = State::body;
      } else if (byte == kEscape) {
        state_ = State::escaped;
      } else {
        add(byte);
      }
      return none;

    case State::checksum_high:
    case State::checksum_low: {
      const int value = digit(byte);
      if (value < 0) bad_ = true;
      if (state_ == State::checksum_high) {
        given_ = static_cast<u8>(value << 4);
        state_ = State::checksum_low;
        return none;
      }
      state_ = State::between;
      if (bad_ || static_cast<u8>(given_ | value) != sum_) return damaged;
      return too_long_ ? too_long : packet;
    }
  }
  return none;
}

void gdb_append_packet(std::string& to, std::string_view body) {
  u8 sum = 0;
  for (const char c : body) sum = static_cast<u8>(sum + static_cast<u8>(c));
  to += '$';
  to += body;
  to += '#';
  gdb_append_hex(to, {&sum, 1});
}

void gdb_append_binary(std::string& body, std::span<const u8> data) {
  for (const u8 byte : data) {
    if (needs_escape(byte)) {
      body += static_cast<char>(kEscape);
      body += static_cast<char>(byte ^ kEscapeXor);
    } else {
      body += static_cast<char>(byte);
    }
  }
}

size_t gdb_binary_fits(std::string_view data, size_t room) {
  size_t count = 0;
  for (const char c : data) {
    const size_t needed = needs_escape(static_cast<u8>(c)) ? 2 : 1;
    if (needed > room) break;
    room -= needed;
    count++;
  }
  return count;
}

void gdb_append_hex(std::string& to, std::span<const u8> data) {
  for (const u8 byte : data) {
    to += kDigits[byte >> 4];
    to += kDigits[byte & 15];
  }
}

void gdb_append_number(std::string& to, u64 value) {
  unsigned shift = 60;
  while (shift != 0 && (value >> shift) == 0) shift -= 4;
  for (;; shift -= 4) {
    to += kDigits[(value >> shift) & 15];
    if (shift == 0) return;
  }
}

bool GdbScanner::literal(std::string_view text) {
  if (!rest_.starts_with(text)) return false;
  rest_.remove_prefix(text.size());
  return true;
}

bool GdbScanner::number(u64& value) {
  u64 sum = 0;
  size_t count = 0;
  for (; count < rest_.size(); count++) {
    const int next = digit(static_cast<u8>(rest_[count]));
    if (next < 0) break;
    if (sum >> 60 != 0) return false;
    sum = sum << 4 | static_cast<u64>(next);
  }
  if (count == 0) return false;
  value = sum;
  rest_.remove_prefix(count);
  return true;
}

bool GdbScanner::hex(std::span<u8> to) {
  if (rest_.size() / 2 < to.size()) return false;
  for (size_t i = 0; i < to.size(); i++) {
    const int high = digit(static_cast<u8>(rest_[2 * i])), low = digit(static_cast<u8>(rest_[2 * i + 1]));
    if (high < 0 || low < 0) return false;
    to[i] = static_cast<u8>(high << 4 | low);
  }
  rest_.remove_prefix(2 * to.size());
  return true;
}

std::string_view GdbScanner::until(char end) {
  const size_t at = rest_.find(end);
  const std::string_view found = rest_.substr(0, at);
  rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at + 1);
  return found;
}

bool gdb_hex_text(std::string_view digits, std::string& to) {
  if (digits.size() % 2 != 0) return false;
  std::string text(digits.size() / 2, '\0');
  GdbScanner scanner(digits);
  if (!scanner.hex({reinterpret_cast<u8*>(text.data()), text.size()})) return false;
  to = std::move(text);
  return true;
}

}  // namespace hartwood
