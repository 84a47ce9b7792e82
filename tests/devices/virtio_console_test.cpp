// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/console.h"

#include "console_fixture.h"

namespace hartwood::device_test {
namespace {

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
  EXPECT_EQ(messages(),
            (std::vector<Message>{{0, 4, 1, ""}, {0, 7, 1, "console"}, {0, 5, 1, size_bytes(132, 43)}, {0, 6, 1, ""}}));
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

TEST_F(ConsoleTest, EachPortHasQueuesOfItsSize) {
  VirtioConsole small{{{.name = "console"}, {.name = "stream", .console = false, .queue_size = 16}}};
  const u32 sizes[] = {256, 256, VirtioConsole::kQueueSize, VirtioConsole::kQueueSize, 16, 16};
  ASSERT_EQ(small.queue_count(), std::size(sizes));
  for (u32 queue = 0; queue < std::size(sizes); queue++) EXPECT_EQ(small.queue_max(queue), sizes[queue]) << queue;
  for (u32 port = 0; port < 3; port++) {
    EXPECT_EQ(VirtioConsole::port_of(VirtioConsole::receive_queue(port)), port);
    EXPECT_EQ(VirtioConsole::port_of(VirtioConsole::transmit_queue(port)), port);
  }
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

// ---- State ----

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

}  // namespace
}  // namespace hartwood::device_test
