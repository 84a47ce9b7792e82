// SPDX-License-Identifier: Apache-2.0
// Configurations that are right, and for each mistake the message that names it.
#include "machine/config.h"

#include <gtest/gtest.h>

#include "../fdt/mutate.h"

namespace hartwood {
namespace {

std::string message_of(std::string_view json) {
  const Result<MachineConfig> config = parse_config(json);
  return config ? "accepted" : config.message();
}

TEST(Config, AbsentKeysKeepTheDefaults) {
  const Result<MachineConfig> config = parse_config("{}");
  ASSERT_TRUE(config.ok()) << config.message();
  EXPECT_EQ(config->harts, 1u);
  EXPECT_EQ(config->memory_bytes, u64{512} << 20);
  EXPECT_EQ(config->append, "");
  EXPECT_EQ(config->va_bits, 57u);
  EXPECT_FALSE(config->zacas);
  EXPECT_TRUE(config->svadu);
  EXPECT_EQ(config->console, ConsoleKind::virtio);
  EXPECT_EQ(config->firmware, FirmwareKind::built_in);
  EXPECT_FALSE(config->deterministic);
  EXPECT_EQ(config->clock, ClockKind::host);
  EXPECT_EQ(config->seed, 0u);
  EXPECT_TRUE(config->disks.empty());
}

TEST(Config, EveryKeyIsRead) {
  const Result<MachineConfig> config = parse_config(R"({
    "harts": 8, "memory": "1G", "append": "console=hvc0 quiet \u00fc", "paging": "sv39", "zacas": true,
    "svadu": false, "console": "sbi", "firmware": "none", "deterministic": true, "seed": "0xfedcba9876543210",
    "disks": [{"source": "a.img"}, {"source": "b.img", "read_only": true}]})");
  ASSERT_TRUE(config.ok()) << config.message();
  EXPECT_EQ(config->harts, 8u);
  EXPECT_EQ(config->memory_bytes, u64{1} << 30);
  EXPECT_EQ(config->append, "console=hvc0 quiet \xc3\xbc");
  EXPECT_EQ(config->va_bits, 39u);
  EXPECT_TRUE(config->zacas);
  EXPECT_FALSE(config->svadu);
  EXPECT_EQ(config->console, ConsoleKind::sbi);
  EXPECT_EQ(config->firmware, FirmwareKind::none);
  EXPECT_TRUE(config->deterministic);
  EXPECT_EQ(config->seed, 0xfedc'ba98'7654'3210u);
  ASSERT_EQ(config->disks.size(), 2u);
  EXPECT_EQ(config->disks[0].source, "a.img");
  EXPECT_FALSE(config->disks[0].read_only);
  EXPECT_TRUE(config->disks[1].read_only);
}

TEST(Config, MemorySizes) {
  const std::pair<const char*, u64> good[] = {{"64", 64},   {"64M", 64},  {"65536K", 64}, {"128m", 128},
                                              {"1G", 1024}, {"2g", 2048}, {"2048", 2048}, {"512M", 512}};
  for (const auto& [text, mib] : good) {
    const Result<u64> bytes = parse_memory_size(text);
    ASSERT_TRUE(bytes.ok()) << text << ": " << bytes.message();
    EXPECT_EQ(*bytes, mib << 20) << text;
  }
  for (const char* text : {"", "M", "32M", "96M", "4G", "0", "-64", "+64", "64MB", "64 M", " 64", "0x40", "1.5G",
                           "18446744073709551616", "18446744073709551615G", "17179869185G", "1T"})
    EXPECT_FALSE(parse_memory_size(text).ok()) << text;
  EXPECT_EQ(parse_config(R"({"memory": 256})")->memory_bytes, u64{256} << 20);
}

TEST(Config, VirtualTimeIsForOneHart) {
  EXPECT_EQ(parse_config(R"({"clock": "virtual"})")->clock, ClockKind::instructions);
  EXPECT_EQ(parse_config(R"({"clock": "host", "harts": 2})")->clock, ClockKind::host);
  EXPECT_EQ(message_of(R"({"clock": "virtual", "harts": 2})"),
            "clock has to be \"host\" where there are several harts, not \"virtual\"");
  EXPECT_NE(message_of(R"({"clock": 1})").find("clock has to be one of \"host\", \"virtual\", not 1"),
            std::string::npos);
}

TEST(Config, Seeds) {
  EXPECT_EQ(*parse_seed("18446744073709551615"), ~u64{0});
  EXPECT_EQ(*parse_seed("0xFF"), 255u);
  for (const char* text : {"", "0x", "-1", "18446744073709551616", "0x10000000000000000", "1 ", "x"})
    EXPECT_FALSE(parse_seed(text).ok()) << text;
  EXPECT_EQ(parse_config(R"({"seed": 18446744073709551615})")->seed, ~u64{0});
}

TEST(Config, MistakesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no JSON"},
      {"{", "no JSON from byte"},
      {R"({"harts": 2,})", "no JSON from byte 13"},
      {"{} x", "no JSON"},
      {"// comment\n{}", "no JSON"},
      {"\xff", "no JSON"},
      {"[]", "the configuration has to be an object, not an array"},
      {"null", "has to be an object, not null"},
      {R"({"harts": 0})", "harts has to be a whole number from 1 to 8, not 0"},
      {R"({"harts": 9})", "from 1 to 8, not 9"},
      {R"({"harts": -1})", "from 1 to 8, not -1"},
      {R"({"harts": 2.0})", "harts has to be a whole number from 1 to 8, not 2"},
      {R"({"harts": 4294967297})", "not 4294967297"},
      {R"({"harts": 1e400})", "no JSON"},
      {R"({"harts": "2"})", "not \"2\""},
      {R"({"harts": null})", "not null"},
      {R"({"hart": 2})",
       "unknown key \"hart\"; known are append, clock, compiler, compiler_after, compiler_eager, compiler_visits"},
      {R"({"harts": 1, "harts": 2})", "the key \"harts\" twice"},
      {R"({"memory": 100})", "memory has to be 64, 128, 256, 512, 1024 or 2048 MiB"},
      {R"({"memory": "lots"})", "not \"lots\""},
      {R"({"memory": [64]})", "not an array"},
      {R"({"memory": -64})", "not -64"},
      {R"({"append": 7})", "append has to be a text of at most 1023 bytes, not 7"},
      {R"({"append": "a\u0000b"})", "append has to be a text"},
      {R"({"paging": "sv32"})", "paging has to be one of \"sv39\", \"sv48\", \"sv57\", not \"sv32\""},
      {R"({"paging": 57})", "paging has to be one of"},
      {R"({"console": "tty"})", "\"virtio\", \"uart\", \"sbi\", not \"tty\""},
      {R"({"firmware": true})", "\"built-in\", \"file\", \"none\", not true"},
      {R"({"zacas": 1})", "zacas has to be true or false, not 1"},
      {R"({"svadu": "yes"})", "svadu has to be true or false"},
      {R"({"deterministic": []})", "deterministic has to be true or false, not an array"},
      {R"({"seed": -1})", "seed has to be a whole number from 0"},
      {R"({"seed": "abc"})", "not \"abc\""},
      {R"({"disks": {}})", "disks has to be an array of at most 4 elements, not an object"},
      {R"({"disks": [1]})", "disks[0] has to be an object, not 1"},
      {R"({"disks": [{"source": "a"}, {}]})", "disks[1].source has to be the name of a disk, not absent"},
      {R"({"disks": [{"source": ""}]})", "disks[0].source has to be the name of a disk, not \"\""},
      {R"({"disks": [{"source": "a", "read_only": 1}]})", "disks[0].read_only has to be true or false, not 1"},
      {R"({"disks": [{"source": "a", "readonly": true}]})",
       "disks[0] has an unknown key \"readonly\"; known are read_only, source"},
      {R"({"disks": [{"source":"a"},{"source":"b"},{"source":"c"},{"source":"d"},{"source":"e"}]})", "at most 4"},
  };
  for (const auto& [json, message] : cases)
    EXPECT_NE(message_of(json).find(message), std::string::npos) << json << ": " << message_of(json);
}

TEST(Config, LimitsOfSizeAndDepth) {
  EXPECT_EQ(message_of("{\"append\": \"" + std::string(kMaxAppendBytes, 'x') + "\"}"), "accepted");
  EXPECT_NE(message_of("{\"append\": \"" + std::string(kMaxAppendBytes + 1, 'x') + "\"}").find("1023"),
            std::string::npos);
  EXPECT_NE(message_of(std::string(100'000, '[')).find("deeper than 32"), std::string::npos);
  EXPECT_NE(message_of(std::string((size_t{1} << 20) + 1, ' ')).find("1 MiB"), std::string::npos);
  EXPECT_LT(message_of("{\"" + std::string(5000, 'k') + "\": 1}").size(), 500u) << "messages stay short";
}

TEST(Config, SurvivesDamage) {
  const std::string good = R"({"harts":2,"memory":"512M","append":"a","paging":"sv48","console":"uart","zacas":false,)"
                           R"("seed":12,"disks":[{"source":"x","read_only":true}]})";
  ASSERT_EQ(message_of(good), "accepted");
  const std::vector<u8> bytes(good.begin(), good.end());
  for (size_t length = 0; length < good.size(); length++)
    EXPECT_NE(message_of(std::string_view(good).substr(0, length)), "accepted") << length;
  test::Mutator mutator(5);
  int accepted = 0;
  for (int i = 0; i < 20'000; i++) {
    const std::vector<u8> damaged = mutator.damage(bytes);
    const std::string message = message_of({reinterpret_cast<const char*>(damaged.data()), damaged.size()});
    EXPECT_FALSE(message.empty());
    accepted += message == "accepted";
  }
  EXPECT_GT(accepted, 10);
  EXPECT_LT(accepted, 10'000);
}

}  // namespace
}  // namespace hartwood
