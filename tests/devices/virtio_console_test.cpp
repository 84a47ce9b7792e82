// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/console.h"

#include <thread>

#include "mock_driver.h"

namespace hartwood::test {
namespace {

constexpr u64 kSize = 1, kMultiport = 2, kEmergency = 4;

struct Message {
  u32 port;
  u16 event;
  u16 value;
  std::string rest;
  bool operator==(const Message&) const = default;
};
void PrintTo(const Message& m, std::ostream* out) {
  *out << "{" << m.port << ", " << m.event << ", " << m.value << ", \"" << m.rest << "\"}";
}

struct ConsoleTest : testing::Test {
  static constexpr u32 kIrq = 1;
  // All queues, with control receive buffers.
  void start(u64 features = kSize | kMultiport, u32 control_buffers = 8) {
    driver.bring_up(features, 6, 8);
    for (u32 i = 0; i < control_buffers; i++) driver.add(VirtioConsole::kControlReceive, {{control_buffer(i), 64, true}});
  }
  static u64 control_buffer(u32 index) { return kDataArea + 0x10'0000 + 64 * index; }
  void tell(u32 port, u16 event, u16 value) {
    const u64 at = driver.data(8);
    memory->store<u32>(Pa(at), port);
    memory->store<u16>(Pa(at + 4), event);
    memory->store<u16>(Pa(at + 6), value);
    driver.add(VirtioConsole::kControlTransmit, {{at, 8}});
    driver.kick(VirtioConsole::kControlTransmit);
    ASSERT_EQ(driver.take(VirtioConsole::kControlTransmit)->bytes, 0u);
  }
  // Control messages that came; their buffers are offered again.
  std::vector<Message> messages() {
    std::vector<Message> list;
    while (const auto used = driver.take(VirtioConsole::kControlReceive)) {
      const u64 at = control_buffer(used->id);
      Message message{};
      memory->load(Pa(at), message.port);
      memory->load(Pa(at + 4), message.event);
      memory->load(Pa(at + 6), message.value);
      message.rest = guest_text(*memory, at + 8, used->bytes - 8);
      list.push_back(message);
      driver.offer(VirtioConsole::kControlReceive, static_cast<u16>(used->id));
    }
    return list;
  }
  static std::string size_bytes(u16 columns, u16 rows) {
    const u16 pair[] = {columns, rows};
    return {reinterpret_cast<const char*>(pair), 4};
  }
  void open_port(u32 port) {
    tell(0, VirtioConsole::kDeviceReady, 1);
    tell(port, VirtioConsole::kPortReady, 1);
    tell(port, VirtioConsole::kPortOpen, 1);
    messages();
  }
  void offer_input(u32 queue, u32 bytes) {
    const u64 at = driver.data(bytes);
    input_buffers.push_back(at);
    driver.add(queue, {{at, bytes, true}});
  }
  std::string take_input(u32 queue) {
    std::string text;
    while (const auto used = driver.take(queue)) {
      text += guest_text(*memory, input_buffers.front(), used->bytes);
      input_buffers.erase(input_buffers.begin());
    }
    return text;
  }
  void output(u32 queue, const std::string& text) {
    driver.add(queue, {{driver.data(as_bytes(text)), static_cast<u32>(text.size())}});
    driver.kick(queue);
  }

  std::unique_ptr<GuestMemory> memory = make_memory();
  FakeWires wires;
  FakeSink sink, second_sink;
  FakeSource source;
  VirtioConsole device{{{.name = "console", .output = &sink, .input = &source, .columns = 132, .rows = 43},
                        {.name = "org.example.stream", .console = false, .output = &second_sink}}};
  VirtioMmio slot{*memory, &device, InterruptLine(wires, kIrq)};
  MockDriver driver{*memory, slot};
  std::vector<u64> input_buffers;
};

TEST_F(ConsoleTest, FeaturesQueuesAndConfiguration) {
  EXPECT_EQ(driver.get(VirtioMmio::kDeviceId), 3u);
  EXPECT_EQ(driver.offered() & 0xff'ffff, kSize | kMultiport | kEmergency);
  EXPECT_EQ(device.queue_count(), 6u);
  EXPECT_EQ(VirtioConsole::receive_queue(0), 0u);
  EXPECT_EQ(VirtioConsole::transmit_queue(0), 1u);
  EXPECT_EQ(VirtioConsole::receive_queue(1), 4u);
  EXPECT_EQ(VirtioConsole::transmit_queue(1), 5u);
  EXPECT_EQ(read_reg(slot, 0x100, 2), 132u);
  EXPECT_EQ(read_reg(slot, 0x102, 2), 43u);
  EXPECT_EQ(read_reg(slot, 0x104, 4), 2u);
  EXPECT_EQ(read_reg(slot, 0x108, 4), 0u);
}

TEST_F(ConsoleTest, PortsAreAnnouncedNamedSizedAndOpened) {
  start();
  tell(0xffff'ffff, VirtioConsole::kDeviceReady, 1);
  EXPECT_EQ(messages(), (std::vector<Message>{{0, 1, 1, ""}, {1, 1, 1, ""}}));
  tell(0, VirtioConsole::kPortReady, 1);
  EXPECT_EQ(messages(), (std::vector<Message>{
                            {0, 4, 1, ""}, {0, 7, 1, "console"}, {0, 5, 1, size_bytes(132, 43)}, {0, 6, 1, ""}}));
  tell(1, VirtioConsole::kPortReady, 1);
  EXPECT_EQ(messages(), (std::vector<Message>{{1, 7, 1, "org.example.stream"}, {1, 6, 1, ""}}));
  EXPECT_FALSE(device.guest_open(0));
  tell(0, VirtioConsole::kPortOpen, 1);
  EXPECT_TRUE(device.guest_open(0));
  tell(0, VirtioConsole::kPortOpen, 0);
  EXPECT_FALSE(device.guest_open(0));
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(ConsoleTest, MessagesWaitForBuffersAndDoNotPileUp) {
  start(kSize | kMultiport, 0);
  for (int i = 0; i < 1000; i++) {
    tell(0, VirtioConsole::kDeviceReady, 1);
    tell(0, VirtioConsole::kPortReady, 1);
  }
  for (u32 i = 0; i < 8; i++) driver.add(VirtioConsole::kControlReceive, {{control_buffer(i), 64, true}});
  driver.kick(VirtioConsole::kControlReceive);
  std::vector<u16> events;
  for (const Message& message : messages()) events.push_back(message.event);
  EXPECT_EQ(events, (std::vector<u16>{1, 4, 7, 5, 6, 1}));
}

TEST_F(ConsoleTest, ResizeTellsTheDriverBothWays) {
  start();
  open_port(0);
  driver.acknowledge();
  device.resize(0, 100, 30);
  EXPECT_EQ(messages(), (std::vector<Message>{{0, 5, 1, size_bytes(100, 30)}}));
  EXPECT_EQ(driver.acknowledge(), VirtioMmio::kUsedBufferInterrupt | VirtioMmio::kConfigInterrupt);
  EXPECT_EQ(read_reg(slot, 0x100, 4), 30u << 16 | 100);
  device.resize(0, 100, 30);  // nothing changed
  EXPECT_FALSE(wires.levels[kIrq]);
  device.resize(1, 10, 10);  // not a terminal
  device.resize(7, 10, 10);  // not a port
  EXPECT_TRUE(messages().empty());
}

TEST_F(ConsoleTest, ResizeWithoutTheFeatureOrMultiport) {
  start(kMultiport);
  open_port(0);
  device.resize(0, 90, 20);
  EXPECT_TRUE(messages().empty());
  start(kSize, 0);
  driver.acknowledge();
  const u32 generation = driver.get(VirtioMmio::kConfigGeneration);
  device.resize(0, 91, 21);
  EXPECT_EQ(driver.acknowledge(), VirtioMmio::kConfigInterrupt);
  EXPECT_NE(driver.get(VirtioMmio::kConfigGeneration), generation);
}

TEST_F(ConsoleTest, OutputReachesTheSinkOfItsPort) {
  start();
  open_port(0);
  output(1, "to the console");
  output(5, "to the stream");
  EXPECT_EQ(sink.text, "to the console");
  EXPECT_EQ(second_sink.text, "to the stream");
  EXPECT_EQ(driver.take(1)->bytes, 0u);
}

TEST_F(ConsoleTest, FullSinkHoldsTheChainUntilPumped) {
  start();
  sink.room = 7;
  const u64 a = driver.data(as_bytes("split ")), b = driver.data(as_bytes("over two"));
  driver.add(1, {{a, 6}, {b, 8}});
  output(1, " and more");
  EXPECT_EQ(sink.text, "split o");
  EXPECT_FALSE(driver.take(1).has_value());
  sink.room = 3;
  device.pump(0);
  EXPECT_EQ(sink.text, "split over");
  EXPECT_FALSE(driver.take(1).has_value());
  sink.room = 1000;
  device.pump(0);
  EXPECT_EQ(sink.text, "split over two and more");
  EXPECT_TRUE(driver.take(1).has_value());
  EXPECT_TRUE(driver.take(1).has_value());
}

TEST_F(ConsoleTest, DisconnectedPortDropsOutput) {
  start();
  open_port(0);
  sink.room = 0;
  output(1, "lost");
  device.set_connected(0, false);
  EXPECT_EQ(messages(), (std::vector<Message>{{0, 6, 0, ""}}));
  EXPECT_TRUE(driver.take(1).has_value());
  EXPECT_EQ(sink.text, "");
  sink.room = 100;
  device.set_connected(0, true);
  EXPECT_EQ(messages(), (std::vector<Message>{{0, 6, 1, ""}}));
  output(1, "seen");
  EXPECT_EQ(sink.text, "seen");
}

TEST_F(ConsoleTest, InputWaitsForAnOpenPortAndForBuffers) {
  start();
  offer_input(0, 4);
  EXPECT_EQ(device.receive(0, as_bytes("early")), 0u);
  open_port(0);
  EXPECT_EQ(device.receive(0, as_bytes("hello")), 4u);
  EXPECT_EQ(device.receive(0, as_bytes("o")), 0u);
  offer_input(0, 100);
  offer_input(0, 100);
  EXPECT_EQ(device.receive(0, as_bytes("o")), 1u);
  EXPECT_EQ(device.receive(0, as_bytes(" there")), 6u);
  EXPECT_EQ(device.receive(0, {}), 0u);
  EXPECT_EQ(device.receive(9, as_bytes("x")), 0u);
  EXPECT_EQ(take_input(0), "hello there");
  EXPECT_TRUE(wires.levels[kIrq]);
}

TEST_F(ConsoleTest, SourceIsPulledWhenInputOrBuffersOrAnOpeningCome) {
  start();
  offer_input(0, 3);
  driver.kick(0);
  source.text = "abcdefgh";
  device.poll_input(0);
  EXPECT_EQ(source.text.size(), 8u);  // the guest has not opened the port
  open_port(0);
  EXPECT_EQ(source.text, "defgh");
  offer_input(0, 3);
  driver.kick(0);
  EXPECT_EQ(source.text, "gh");
  offer_input(0, 100);
  offer_input(0, 100);
  driver.kick(0);
  source.text = "ij";
  device.poll_input(0);
  EXPECT_EQ(take_input(0), "abcdefghij");
}

TEST_F(ConsoleTest, WithoutMultiportOnlyTheFirstPortWorksAndIsAlwaysOpen) {
  start(kSize, 0);
  offer_input(0, 16);
  EXPECT_EQ(device.receive(0, as_bytes("plain")), 5u);
  EXPECT_EQ(take_input(0), "plain");
  EXPECT_EQ(device.receive(1, as_bytes("no")), 0u);
  output(1, "out");
  EXPECT_EQ(sink.text, "out");
}

TEST_F(ConsoleTest, NothingMovesBeforeDriverOk) {
  EXPECT_EQ(device.receive(0, as_bytes("x")), 0u);
  device.poll_input(0);
  device.pump(0);
  device.resize(0, 5, 5);
  device.set_connected(1, false);
  EXPECT_FALSE(wires.levels[kIrq]);
  EXPECT_EQ(read_reg(slot, 0x100, 2), 5u);
}

TEST_F(ConsoleTest, EmergencyWriteNeedsNoDriver) {
  write_reg(slot, 0x108, 'H', 4);
  write_reg(slot, 0x108, 'i', 1);
  write_reg(slot, 0x109, 'x', 1);
  write_reg(slot, 0x100, 'x', 4);
  EXPECT_EQ(sink.text, "Hi");
  EXPECT_EQ(read_reg(slot, 0x100, 2), 132u);
}

// ---- Drivers that break the rules ----

TEST_F(ConsoleTest, NonsenseMessagesAreIgnored) {
  start();
  tell(0, VirtioConsole::kPortReady, 1);  // before it was announced
  tell(2, VirtioConsole::kPortReady, 1);
  tell(0xffff'ffff, VirtioConsole::kPortOpen, 1);
  tell(0, VirtioConsole::kDeviceReady, 0);
  tell(0, 999, 1);
  driver.add(VirtioConsole::kControlTransmit, {{driver.data(7), 7}});
  driver.add(VirtioConsole::kControlTransmit, {{driver.data(8), 8, true}});
  driver.kick(VirtioConsole::kControlTransmit);
  EXPECT_TRUE(messages().empty());
  EXPECT_FALSE(device.guest_open(0));
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(ConsoleTest, ControlBufferThatIsTooSmallNeedsAReset) {
  start(kMultiport, 0);
  driver.add(VirtioConsole::kControlReceive, {{control_buffer(0), 7, true}});
  tell(0, VirtioConsole::kDeviceReady, 1);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_STREQ(slot.fault(), "control buffer is too small");
}

TEST_F(ConsoleTest, ReceiveBufferThatIsNotWritableNeedsAReset) {
  start();
  open_port(0);
  driver.add(0, {{driver.data(8), 8}});
  EXPECT_EQ(device.receive(0, as_bytes("x")), 0u);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_EQ(device.receive(0, as_bytes("x")), 0u);
  device.resize(0, 1, 1);
  device.pump(0);
}

TEST_F(ConsoleTest, BrokenReceiveQueueNeedsAReset) {
  start();
  open_port(0);
  driver.offer(0, 99);
  EXPECT_EQ(device.receive(0, as_bytes("x")), 0u);
  EXPECT_TRUE(driver.needs_reset());
}

// ---- State and threads ----

TEST_F(ConsoleTest, State) {
  start();
  open_port(0);
  device.resize(0, 77, 7);
  sink.room = 3;
  output(1, "abcdef");
  FakeSink other_sink;
  VirtioConsole twin{{{.name = "console", .output = &other_sink}, {.name = "org.example.stream", .console = false}}};
  VirtioMmio other(*memory, &twin, InterruptLine());
  check_state(other, saved(slot));
  EXPECT_TRUE(twin.guest_open(0));
  EXPECT_EQ(read_reg(other, 0x100, 4), 7u << 16 | 77);
  twin.pump(0);
  EXPECT_EQ(sink.text + other_sink.text, "abcdef");
  VirtioConsole single{{{.name = "console"}}};
  VirtioMmio single_slot(*memory, &single, InterruptLine());
  EXPECT_FALSE(restore(single_slot, saved(slot)));
}

TEST_F(ConsoleTest, InputResizeAndOutputFromThreeThreads) {
  start();
  open_port(0);
  constexpr u32 kBytes = 4000;
  std::thread page([&] {
    std::string left;
    for (u32 i = 0; i < kBytes; i++) left += static_cast<char>(i);
    while (!left.empty()) {
      const u32 taken = device.receive(0, as_bytes(left));
      left.erase(0, taken);
      if (taken == 0) std::this_thread::yield();
    }
  });
  std::thread resizer([&] {
    for (u16 i = 0; i < 500; i++) device.resize(0, i, 24);
  });
  const u64 in = driver.data(64), out = driver.data(as_bytes("o"));
  auto offer_one = [&] {
    driver.add(0, {{in, 64, true}});
    driver.kick(0);
  };
  std::string got;
  u32 sent = 0;
  offer_one();
  while (got.size() < kBytes) {
    driver.acknowledge();
    if (const auto used = driver.take(0)) {
      got += guest_text(*memory, in, used->bytes);
      offer_one();
    }
    messages();
    driver.kick(VirtioConsole::kControlReceive);
    driver.add(1, {{out, 1}});
    driver.kick(1);
    if (driver.take(1)) sent++;
    std::this_thread::yield();
  }
  page.join();
  resizer.join();
  for (u32 i = 0; i < kBytes; i++) ASSERT_EQ(static_cast<u8>(got[i]), static_cast<u8>(i));
  EXPECT_EQ(sink.text.size(), sent);
  EXPECT_EQ(read_reg(slot, 0x100, 2), 499u);
  EXPECT_FALSE(driver.needs_reset());
}

}  // namespace
}  // namespace hartwood::test
