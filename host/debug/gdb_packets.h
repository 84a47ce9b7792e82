// SPDX-License-Identifier: Apache-2.0
// The lowest layer of gdb's remote serial protocol [gdb: Remote Protocol, Overview; Packet Acknowledgment; Interrupts]:
//
//   $ body # checksum      a packet: the checksum is the sum of the body's bytes, two hexadecimal digits
//   + and -                the last packet has arrived, or shall be sent again
//   0x03                   between packets: stop what runs
//
// In a body, '}' stands before a byte that was changed by xor 0x20, so that $, # and } never occur in it. Everything
// here is for one thread and holds bounded memory, whatever it is fed with.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace hartwood {

// The longest body, escapes included, that gdb may send, and about the longest that it gets. A page of memory in
// hexadecimal fits eight times.
inline constexpr u32 kGdbPacketBytes = 0x1'0000;

class GdbPacketReader {
 public:
  enum Event : u8 {
    none,      // more bytes are needed
    packet,    // body() has come whole and right
    damaged,   // one whose checksum or escapes are wrong
    too_long,  // a whole one whose body was dropped: it had more than kGdbPacketBytes
    acknowledged,
    not_acknowledged,
    interrupt
  };
  // Takes one byte. Bytes that belong to nothing are dropped.
  Event take(u8 byte);
  // The last packet's body, without escapes; until the next take().
  std::string_view body() const { return body_; }
  void reset();
  // Memory that is kept, in bytes.
  size_t held() const { return body_.capacity(); }

 private:
  enum class State : u8 { between, body, escaped, checksum_high, checksum_low };
  void start();
  void add(u8 byte);

  State state_ = State::between;
  bool too_long_ = false, bad_ = false;
  u8 sum_ = 0, given_ = 0;
  u32 length_ = 0;  // with escapes
  std::string body_;
};

// Adds "$body#xx" to `to`. `body` has no $ or # in it, and a } or * only where they are meant as gdb takes them.
void gdb_append_packet(std::string& to, std::string_view body);
// Adds binary data to a body, escaped.
void gdb_append_binary(std::string& body, std::span<const u8> data);
// How many bytes of `data`, from its start, take at most `room` bytes when they are escaped.
size_t gdb_binary_fits(std::string_view data, size_t room);

// Two digits for each byte.
void gdb_append_hex(std::string& to, std::span<const u8> data);
// A number in as few digits as it has.
void gdb_append_number(std::string& to, u64 value);

// What is left of a body while it is read from the front. Each of these takes something away, or returns false and
// leaves all as it was.
class GdbScanner {
 public:
  explicit GdbScanner(std::string_view text) : rest_(text) {}
  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  bool literal(std::string_view text);
  // One to sixteen hexadecimal digits, or more if the first ones are zeroes.
  bool number(u64& value);
  // Exactly to.size() bytes as two digits each.
  bool hex(std::span<u8> to);
  // All that comes before `end`, and `end`; or all that is left if it does not come.
  std::string_view until(char end);

 private:
  std::string_view rest_;
};
// A whole text of digits; false if one is missing or wrong.
bool gdb_hex_text(std::string_view digits, std::string& to);

}  // namespace hartwood
