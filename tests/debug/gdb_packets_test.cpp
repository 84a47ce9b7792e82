// SPDX-License-Identifier: Apache-2.0
// The framing of gdb's remote protocol, and the reading of what is in a packet.
#include "debug/gdb_packets.h"

#include <gtest/gtest.h>

#include <vector>

namespace hartwood {
namespace {

// The events of `bytes`, without `none`; bodies of packets in between.
std::vector<std::string> events(GdbPacketReader& reader, std::string_view bytes) {
  std::vector<std::string> seen;
  for (const char c : bytes) {
    switch (reader.take(static_cast<u8>(c))) {
      case GdbPacketReader::none: break;
      case GdbPacketReader::packet: seen.push_back("packet " + std::string(reader.body())); break;
      case GdbPacketReader::damaged: seen.push_back("damaged"); break;
      case GdbPacketReader::too_long: seen.push_back("too long"); break;
      case GdbPacketReader::acknowledged: seen.push_back("+"); break;
      case GdbPacketReader::not_acknowledged: seen.push_back("-"); break;
      case GdbPacketReader::interrupt: seen.push_back("interrupt"); break;
    }
  }
  return seen;
}
using Events = std::vector<std::string>;

TEST(GdbPacketReader, TakesPacketsAndWhatIsBetween) {
  GdbPacketReader reader;
  EXPECT_EQ(events(reader, "+$g#67$m0,4#FD-\3xyz$#00"),
            (Events{"+", "packet g", "packet m0,4", "-", "interrupt", "packet "}));
}

TEST(GdbPacketReader, ComparesChecksums) {
  GdbPacketReader reader;
  EXPECT_EQ(events(reader, "$g#68$g#6x$g#x7$g#67"), (Events{"damaged", "damaged", "damaged", "packet g"}));
}

TEST(GdbPacketReader, UndoesEscapes) {
  GdbPacketReader reader;
  std::string packet;
  std::string body;
  const u8 data[] = {'$', '#', '}', '*', 3, 0, 0xff, '+'};
  gdb_append_binary(body, data);
  gdb_append_packet(packet, body);
  EXPECT_EQ(body.size(), 12u);
  EXPECT_EQ(events(reader, packet), (Events{"packet " + std::string(reinterpret_cast<const char*>(data), 8)}));
  EXPECT_EQ(gdb_binary_fits(std::string_view(reinterpret_cast<const char*>(data), 8), 12), 8u);
  EXPECT_EQ(gdb_binary_fits(std::string_view(reinterpret_cast<const char*>(data), 8), 7), 3u);
  // An escape with nothing behind it: '}' is 0x7d.
  EXPECT_EQ(events(reader, "$}#7d"), (Events{"damaged"}));
}

TEST(GdbPacketReader, BeginsAnewAtADollar) {
  GdbPacketReader reader;
  EXPECT_EQ(events(reader, "$m0,10$g#67"), (Events{"packet g"}));
}

TEST(GdbPacketReader, DropsBodiesThatAreTooLong) {
  GdbPacketReader reader;
  std::string longest, longer;
  gdb_append_packet(longest, std::string(kGdbPacketBytes, 'a'));
  gdb_append_packet(longer, std::string(kGdbPacketBytes + 1, 'a'));
  EXPECT_EQ(events(reader, longest)[0].size(), kGdbPacketBytes + 7);
  EXPECT_EQ(events(reader, longer), (Events{"too long"}));
  longer.back() ^= 1;
  EXPECT_EQ(events(reader, longer), (Events{"damaged"}));
  // No end at all.
  EXPECT_EQ(events(reader, "$" + std::string(10 * kGdbPacketBytes, 'a')), Events{});
  EXPECT_LE(reader.held(), 2 * kGdbPacketBytes);
  EXPECT_EQ(events(reader, "$g#67"), (Events{"packet g"}));
  // Escapes count as gdb sends them.
  std::string escapes, packet;
  for (u32 i = 0; i < kGdbPacketBytes / 2; i++) escapes += "}]";
  gdb_append_packet(packet, escapes);
  EXPECT_EQ(events(reader, packet)[0].size(), kGdbPacketBytes / 2 + 7);
  packet.clear();
  gdb_append_packet(packet, escapes + "}]");
  EXPECT_EQ(events(reader, packet), (Events{"too long"}));
}

TEST(GdbPackets, WriteNumbersAsShortAsTheyAre) {
  std::string text;
  for (const u64 value : {u64{0}, u64{0xf}, u64{0x10}, ~u64{0}, u64{1} << 60}) {
    gdb_append_number(text, value);
    text += ' ';
  }
  EXPECT_EQ(text, "0 f 10 ffffffffffffffff 1000000000000000 ");
}

TEST(GdbScanner, TakesWhatIsThere) {
  GdbScanner scanner("0000000000000000000012,fffffffffffffffff;AbcD;rest");
  u64 value = 0;
  u8 bytes[2], three[3];
  EXPECT_TRUE(scanner.number(value));
  EXPECT_EQ(value, 0x12u);
  EXPECT_FALSE(scanner.number(value));
  EXPECT_FALSE(scanner.literal(";"));
  EXPECT_TRUE(scanner.literal(","));
  EXPECT_FALSE(scanner.number(value));  // more than 64 bits
  EXPECT_EQ(scanner.until(';'), "fffffffffffffffff");
  EXPECT_FALSE(scanner.hex(three));
  EXPECT_TRUE(scanner.hex(bytes));
  EXPECT_EQ(bytes[0], 0xab);
  EXPECT_EQ(bytes[1], 0xcd);
  EXPECT_TRUE(scanner.literal(";"));
  EXPECT_FALSE(scanner.at_end());
  EXPECT_EQ(scanner.until(';'), "rest");
  EXPECT_TRUE(scanner.at_end());
  std::string text = "old";
  EXPECT_FALSE(gdb_hex_text("414", text));
  EXPECT_FALSE(gdb_hex_text("4g", text));
  EXPECT_EQ(text, "old");
  EXPECT_TRUE(gdb_hex_text("4142", text));
  EXPECT_EQ(text, "AB");
}

}  // namespace
}  // namespace hartwood
