// SPDX-License-Identifier: Apache-2.0
// The host's side of the agent's channel, and the machine's generations. With a real guest:
// tests/boot/native-agent.mjs.
#include <set>
#include <string>

#include "machine/guest_rig.h"

namespace hartwood::test {
namespace {

std::string taken(ByteSource& source, size_t most = 100'000) {
  std::vector<u8> bytes(most);
  bytes.resize(source.read(bytes));
  return {bytes.begin(), bytes.end()};
}

TEST(AgentInput, TakesWholeLinesOrNothing) {
  auto input = std::make_unique<AgentInput>();
  EXPECT_EQ(taken(*input), "");
  EXPECT_TRUE(input->add("ping"));
  EXPECT_TRUE(input->add(""));
  EXPECT_TRUE(input->add("prepare"));
  EXPECT_EQ(taken(*input, 3), "pin");
  EXPECT_EQ(taken(*input), "g\n\nprepare\n");
  const std::string longest(AgentInput::kCapacity - 1, 'x');
  EXPECT_FALSE(input->add(longest + "x"));
  EXPECT_EQ(taken(*input), "");
  EXPECT_TRUE(input->add(longest));
  EXPECT_FALSE(input->add(""));
  EXPECT_EQ(taken(*input), longest + "\n");
}

TEST(AgentInput, IsBoundedAndForgets) {
  auto input = std::make_unique<AgentInput>();
  u32 lines = 0;
  while (lines < 100'000 && input->add("clock 1700000000")) lines++;
  EXPECT_EQ(lines, AgentInput::kCapacity / 17);
  EXPECT_FALSE(input->add("clock 1700000000"));
  input->clear();
  EXPECT_EQ(taken(*input), "");
  // Its counters wrap around the buffer.
  for (u32 i = 0; i < 5000; i++) {
    const std::string line = "line " + std::to_string(i);
    ASSERT_TRUE(input->add(line));
    ASSERT_EQ(taken(*input), line + "\n");
  }
}

TEST(AgentOutput, NeverStopsTheGuest) {
  auto ring = std::make_unique<ByteRing>();
  AgentOutput output(*ring);
  const std::vector<u8> line(1000, 'a');
  for (u32 i = 0; i < 100; i++) ASSERT_EQ(output.write(line), 1000u);
  // Sixty-five lines fit, and no part of another.
  EXPECT_EQ(ring->written.load(), 65'000u);
  EXPECT_EQ(ring->dropped.load(), 35'000u);
  std::vector<u8> out(1000);
  EXPECT_EQ(ring->pop(out.data(), 1000), 1000u);
  EXPECT_EQ(out, line);
  EXPECT_EQ(output.write(line), 1000u);
  EXPECT_EQ(ring->written.load(), 66'000u);
}

struct FullSink final : ByteSink {
  u32 write(std::span<const u8> bytes) override {
    const u32 size = static_cast<u32>(bytes.size() < 3 ? bytes.size() : 3);
    text.append(bytes.begin(), bytes.begin() + size);
    return size;
  }
  std::string text;
};

TEST(AgentOutput, GoesToTheEmbeddersSinkInstead) {
  auto ring = std::make_unique<ByteRing>();
  AgentOutput output(*ring);
  FullSink sink;
  output.set_sink(&sink);
  const std::vector<u8> line = {'p', 'o', 'n', 'g', '\n'};
  EXPECT_EQ(output.write(line), 5u) << "a sink without room does not stop the guest either";
  EXPECT_EQ(sink.text, "pon");
  EXPECT_EQ(ring->written.load(), 0u);
  EXPECT_EQ(ring->dropped.load(), 2u);
}

// Counts what is drawn, and has no more than it was given.
class CountedEntropy final : public EntropySource {
 public:
  u32 fill(std::span<u8> to) override {
    u32 size = 0;
    while (size < to.size() && left != 0) {
      to[size++] = next++;
      left--;
    }
    return size;
  }
  u8 next = 1;
  u32 left = 1000;
};

class CountedPlatform final : public Platform {
 public:
  u64 monotonic_ns() override { return platform_.monotonic_ns(); }
  u64 unix_ns() override { return platform_.unix_ns(); }
  EntropySource& entropy() override { return entropy_; }
  ByteSink& console_output() override { return platform_.console_output(); }
  const Log& log() override { return platform_.log(); }
  CountedEntropy entropy_;

 private:
  TestPlatform platform_;
};

TEST(MachineGeneration, DrawsAnIdAtFirstAndForEachRenewal) {
  CountedPlatform platform;
  auto shared = std::make_unique<MachineShared>();
  MachineConfig config;
  config.memory_bytes = kMinRamBytes;
  auto machine = Machine::create(config, platform, *shared);
  ASSERT_TRUE(machine.ok()) << machine.message();
  EXPECT_EQ(platform.entropy_.left, 1000u - 16);
  EXPECT_TRUE((*machine)->renew_generation().ok());
  EXPECT_EQ(platform.entropy_.left, 1000u - 32);
  platform.entropy_.left = 15;
  const Status status = (*machine)->renew_generation();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("entropy"), std::string::npos);
}

TEST(MachineAgent, TakesNothingWhereNobodyListens) {
  GuestRig rig(1, GuestRig::Time::real);  // a guest without a driver
  EXPECT_FALSE(rig.machine().agent_send("ping"));
  EXPECT_FALSE(rig.machine().agent_send("two\nlines"));
  CountedPlatform platform;
  auto shared = std::make_unique<MachineShared>();
  MachineConfig config;
  config.memory_bytes = kMinRamBytes;
  auto machine = Machine::create(config, platform, *shared);
  ASSERT_TRUE(machine.ok());
  EXPECT_FALSE((*machine)->agent_send("ping")) << "it was not booted";
}

}  // namespace
}  // namespace hartwood::test
