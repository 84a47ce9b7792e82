// SPDX-License-Identifier: Apache-2.0
// Whatever a gdb sends, the stub answers or drops it, holds bounded memory, and calls its target only as it may.
// Packets are valid ones, changed at random, and noise; the machine stops and ends at random. HARTWOOD_FUZZ sets how
// many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "debug/gdb_fake.h"

namespace hartwood::test {
namespace {

struct Random {
  u64 state;
  u64 next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  u32 below(u64 count) { return static_cast<u32>((next() >> 20) % count); }
};

constexpr const char* kSamples[] = {
    "?",
    "!",
    "g",
    "p20",
    "p1c1",
    "P1=0102030405060708",
    "P1041=0100000000000000",
    "mffffffff80000000,10",
    "m80000000,ffffffffffffffff",
    "Mffffffff80000010,3:0102fe",
    "xffffffff80000000,20",
    "Xffffffff80000000,3:abc",
    "Hg1",
    "Hc-1",
    "Hgp1.2",
    "T2",
    "c",
    "C05",
    "s",
    "S05;80000000",
    "D",
    "D;1",
    "k",
    "R00",
    "vCont?",
    "vCont;c",
    "vCont;s:1;c",
    "vCont;r1000,1010:2;t:1",
    "vKill;1",
    "vRun;",
    "vAttach;1",
    "vMustReplyEmpty",
    "Z0,80000000,4",
    "Z1,80000000,2",
    "Z2,ffffffff80000001,1000",
    "Z3,0,1",
    "Z4,0,8",
    "z0,80000000,4",
    "z2,ffffffff80000001,1000",
    "qSupported:swbreak+",
    "qSupported:error-message+;hwbreak+",
    "QStartNoAckMode",
    "qXfer:features:read:target.xml:0,40",
    "qXfer:features:read:target.xml:100,40",
    "qXfer:threads:read::0,100",
    "qXfer:memory-map:read::0,50",
    "qC",
    "qfThreadInfo",
    "qsThreadInfo",
    "qThreadExtraInfo,1",
    "qRcmd,706879736963616c206f6e",
    "qRcmd,68656c70",
    "qRcmd,6661696c",
    "qSymbol::",
    "qAttached",
    "qOffsets",
    "QPassSignals:1;2",
    "Qqemu.PhyMemMode:1",
    "qqemu.PhyMemMode",
    "G0102030405060708",
};
constexpr char kAlphabet[] = "0123456789abcdefx,;:-+.=*p$#}\3 gGmMcCsSvqQZzrt";

std::string changed(Random& random) {
  std::string body = kSamples[random.below(std::size(kSamples))];
  for (u32 changes = random.below(4); changes != 0; changes--) {
    const u32 at = random.below(body.size() + 1);
    const char c =
        random.below(8) == 0 ? static_cast<char>(random.next()) : kAlphabet[random.below(sizeof kAlphabet - 1)];
    switch (random.below(6)) {
      case 0: body.insert(at, 1, c); break;
      case 1: body.erase(at, 1); break;
      case 2: body.resize(at); break;
      case 3: body += kSamples[random.below(std::size(kSamples))]; break;
      case 4: body.insert(at, random.below(30), c); break;
      default:
        if (at < body.size()) body[at] = c;
        break;
    }
  }
  return body;
}

// What was sent is whole packets and acknowledgments, as gdb reads them.
bool well_formed(std::string_view sent) {
  GdbPacketReader reader;
  bool between = true;
  for (const char c : sent) {
    const bool was_between = between;
    if (c == '$') between = false;
    const GdbPacketReader::Event event = reader.take(static_cast<u8>(c));
    if (event == GdbPacketReader::damaged || event == GdbPacketReader::too_long || event == GdbPacketReader::interrupt)
      return false;
    if (event == GdbPacketReader::packet) {
      between = true;
    } else if (was_between && between && c != '+' && c != '-') {
      return false;
    }
  }
  return between;
}

u64 rounds() {
  const char* given = std::getenv("HARTWOOD_FUZZ");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 400'000;
}

TEST(GdbFuzz, AnswersOrDropsAnything) {
  const u64 count = rounds();
  for (u64 seed = 1; seed <= 4; seed++) {
    Random random{seed * 0x9e37'79b9'7f4a'7c15};
    std::optional<Session> current(std::in_place, 3);
    current->arrive();
    u64 answered = 0, stops = 0;
    for (u64 round = 0; round < count / 4; round++) {
      Session& gdb = *current;
      gdb.sent.clear();
      bool wants_answer = false;
      switch (random.below(16)) {
        case 0: {  // noise
          std::string noise(random.below(64), '\0');
          for (char& c : noise) c = static_cast<char>(random.next());
          gdb.bytes(noise);
          break;
        }
        case 1: {  // a packet that was damaged on its way
          std::string packet = Session::frame(changed(random));
          packet[random.below(packet.size())] ^= static_cast<char>(1 << random.below(8));
          gdb.bytes(packet);
          break;
        }
        case 2: gdb.bytes(random.below(2) != 0 ? "\3" : "-"); break;
        case 3:
          if (random.below(200) == 0) gdb.bytes(Session::frame(std::string(random.below(2 * kGdbPacketBytes), 'q')));
          break;
        default: {
          // Out of whatever the noise has begun.
          gdb.bytes("#00");
          gdb.sent.clear();
          const std::string body = changed(random);
          wants_answer = body.find_first_of("$#}") == std::string::npos && body.find_first_of("kRcCsSv") != 0;
          wants_answer = wants_answer && !gdb.target.running && gdb.target.killed == 0;
          gdb.bytes(Session::frame(body));
          if (wants_answer) {
            ASSERT_NE(gdb.sent, "") << "seed " << seed << ", round " << round << ": " << body;
            answered++;
          }
          break;
        }
      }
      ASSERT_TRUE(well_formed(gdb.sent)) << "seed " << seed << ", round " << round << ": " << gdb.sent;
      ASSERT_EQ(gdb.target.misused, 0u) << "seed " << seed << ", round " << round;
      ASSERT_LE(gdb.target.points.size(), kGdbPoints);
      ASSERT_LE(gdb.largest_send, kGdbPacketBytes + 4);
      ASSERT_LE(gdb.target.largest_read, kGdbPacketBytes);
      ASSERT_LE(gdb.server.held(), 10 * kGdbPacketBytes);
      // The machine's side.
      if (gdb.target.running && random.below(3) == 0) {
        gdb.stop({static_cast<GdbStop::Why>(random.below(random.below(20) == 0 ? 9 : 7)), random.below(4),
                  random.next(), static_cast<unsigned>(random.next())});
        // One that nobody waited for has set the machine off again.
        stops++;
      }
      if (random.below(100) == 0) {
        gdb.server.disconnected();
        gdb.bytes(Session::frame("g"));
        gdb.server.connected();
      }
      if (gdb.target.killed != 0) {
        ASSERT_EQ(gdb.target.killed, 1u);
        current.emplace(3);
        current->arrive();
      }
    }
    EXPECT_GT(answered, count / 40);
    EXPECT_GT(stops, count / 400);
  }
}

}  // namespace
}  // namespace hartwood::test
