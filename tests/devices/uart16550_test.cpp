// SPDX-License-Identifier: Apache-2.0
#include "devices/uart16550.h"

#include "support.h"

namespace hartwood::device_test {
namespace {

struct UartTest : testing::Test {
  static constexpr u32 kIrq = 10;
  u8 get(u64 reg) { return static_cast<u8>(read_reg(device, reg, 1)); }
  void put(u64 reg, u8 value) { write_reg(device, reg, value, 1); }
  bool irq() const { return wires.levels[kIrq]; }
  void enable_fifo(u8 trigger_bits = 0) { put(Uart16550::kInterruptId, static_cast<u8>(1 | trigger_bits << 6)); }

  FakeWires wires;
  FakeSink sink;
  Uart16550 device{InterruptLine(wires, kIrq), &sink};
};

TEST_F(UartTest, ResetValues) {
  EXPECT_EQ(get(Uart16550::kData), 0);
  EXPECT_EQ(get(Uart16550::kInterruptEnable), 0);
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x01);
  EXPECT_EQ(get(Uart16550::kLineControl), 0);
  EXPECT_EQ(get(Uart16550::kModemControl), 0);
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x60);
  EXPECT_EQ(get(Uart16550::kModemStatus), 0xb0);
  EXPECT_EQ(get(Uart16550::kScratch), 0);
  EXPECT_EQ(get(8), 0);
  EXPECT_EQ(get(0xff), 0);
  EXPECT_FALSE(irq());
}

TEST_F(UartTest, WritableBitsOfEachRegister) {
  put(Uart16550::kScratch, 0xa5);
  EXPECT_EQ(get(Uart16550::kScratch), 0xa5);
  put(Uart16550::kInterruptEnable, 0xf5);
  EXPECT_EQ(get(Uart16550::kInterruptEnable), 0x05);
  put(Uart16550::kModemControl, 0xef);
  EXPECT_EQ(get(Uart16550::kModemControl), 0x0f);
  put(Uart16550::kLineStatus, 0xff);
  put(Uart16550::kModemStatus, 0xff);
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x60);
  EXPECT_EQ(get(Uart16550::kModemStatus) & 0xf0, 0xb0);
  put(Uart16550::kLineControl, 0x83);
  put(Uart16550::kData, 0x0c);
  put(Uart16550::kInterruptEnable, 0x12);
  EXPECT_EQ(get(Uart16550::kData), 0x0c);
  EXPECT_EQ(get(Uart16550::kInterruptEnable), 0x12);
  put(Uart16550::kLineControl, 0x03);
  EXPECT_EQ(get(Uart16550::kInterruptEnable), 0x05);  // the divisor hid it
  EXPECT_EQ(sink.text, "");
}

TEST_F(UartTest, WideAccessSeesOneRegister) {
  write_reg(device, Uart16550::kScratch, 0x1234, 4);
  EXPECT_EQ(read_reg(device, Uart16550::kScratch, 8), 0x34u);
}

TEST_F(UartTest, OutputReachesTheSinkAndTheTransmitterIsEmptyAgain) {
  for (const char c : std::string("hello")) {
    EXPECT_EQ(get(Uart16550::kLineStatus) & 0x60, 0x60);
    put(Uart16550::kData, static_cast<u8>(c));
  }
  EXPECT_EQ(sink.text, "hello");
}

TEST_F(UartTest, TransmitInterruptComesWithEnableAndAfterEachByteAndGoesWithIir) {
  put(Uart16550::kInterruptEnable, 2);
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x02);
  EXPECT_FALSE(irq());
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x01);
  put(Uart16550::kData, 'x');
  EXPECT_TRUE(irq());
  put(Uart16550::kInterruptEnable, 0);
  EXPECT_FALSE(irq());
}

TEST_F(UartTest, FullSinkKeepsBytesInTheFifoUntilPumped) {
  enable_fifo();
  put(Uart16550::kInterruptEnable, 2);
  get(Uart16550::kInterruptId);
  sink.room = 2;
  for (const char c : std::string("abcdefghijklmnopqrstuvwxyz")) put(Uart16550::kData, static_cast<u8>(c));
  EXPECT_EQ(sink.text, "ab");
  EXPECT_EQ(get(Uart16550::kLineStatus) & 0x60, 0);
  EXPECT_FALSE(irq());
  sink.room = 5;
  device.pump();
  EXPECT_EQ(sink.text, "abcdefg");
  EXPECT_FALSE(irq());
  sink.room = 1000;
  device.pump();
  EXPECT_EQ(sink.text, "abcdefghijklmnopqr");  // two passed, sixteen waited, the rest was lost
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(Uart16550::kLineStatus) & 0x60, 0x60);
}

TEST_F(UartTest, PollingTheLineStatusDrainsToo) {
  sink.room = 0;
  put(Uart16550::kData, 'a');
  EXPECT_EQ(get(Uart16550::kLineStatus) & 0x60, 0);
  put(Uart16550::kData, 'b');  // without FIFO the byte is overwritten
  sink.room = 10;
  EXPECT_EQ(get(Uart16550::kLineStatus) & 0x60, 0x60);
  EXPECT_EQ(sink.text, "b");
}

TEST_F(UartTest, ReceivesOneByteAtATimeWithoutFifo) {
  put(Uart16550::kInterruptEnable, 1);
  EXPECT_EQ(device.receive(as_bytes("xyz")), 3u);
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x04);
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x61);
  EXPECT_EQ(get(Uart16550::kData), 'x');
  EXPECT_EQ(get(Uart16550::kData), 'y');
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(Uart16550::kData), 'z');
  EXPECT_FALSE(irq());
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x60);
  EXPECT_EQ(get(Uart16550::kData), 0);
}

TEST_F(UartTest, FifoTriggerLevelsAndTimeout) {
  put(Uart16550::kInterruptEnable, 1);
  const u32 levels[] = {1, 4, 8, 14};
  for (u8 bits = 0; bits < 4; bits++) {
    enable_fifo(bits);
    put(Uart16550::kInterruptId, static_cast<u8>(3 | bits << 6));
    EXPECT_EQ(get(Uart16550::kInterruptId), 0xc1);
    for (u32 count = 1; count <= 16; count++) {
      device.receive(as_bytes("k"));
      EXPECT_TRUE(irq());
      EXPECT_EQ(get(Uart16550::kInterruptId), count >= levels[bits] ? 0xc4 : 0xcc) << count;
    }
  }
}

TEST_F(UartTest, FifoControlClearsAndToggles) {
  enable_fifo();
  device.receive(as_bytes("ab"));
  put(Uart16550::kInterruptId, 0x03);
  EXPECT_EQ(get(Uart16550::kLineStatus) & 1, 0);
  device.receive(as_bytes("ab"));
  put(Uart16550::kInterruptId, 0x00);  // off: both FIFOs are emptied
  EXPECT_EQ(get(Uart16550::kLineStatus) & 1, 0);
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x01);
}

TEST_F(UartTest, BacklogGivesBackPressure) {
  const std::string much(10'000, 'q');
  const u32 taken = device.receive(as_bytes(much));
  EXPECT_EQ(taken, Uart16550::kBacklogBytes);
  for (u32 i = 0; i < taken; i++) ASSERT_EQ(get(Uart16550::kData), 'q');
  EXPECT_EQ(get(Uart16550::kLineStatus) & 3, 0);  // nothing left, nothing overrun
}

TEST_F(UartTest, PullsFromASource) {
  FakeSource source;
  Uart16550 pulling(InterruptLine(wires, kIrq), &sink, &source);
  write_reg(pulling, Uart16550::kInterruptId, 1, 1);
  write_reg(pulling, Uart16550::kInterruptEnable, 1, 1);
  std::string expected;
  for (int i = 0; i < 100; i++) expected += static_cast<char>('a' + i % 26);
  source.text = expected;
  pulling.poll_input();
  EXPECT_TRUE(irq());
  std::string seen;
  while (read_reg(pulling, Uart16550::kLineStatus, 1) & 1)
    seen += static_cast<char>(read_reg(pulling, Uart16550::kData, 1));
  EXPECT_EQ(seen, expected);
  EXPECT_FALSE(irq());
}

TEST_F(UartTest, LoopbackOfDataOverrunAndLineInterrupt) {
  put(Uart16550::kModemControl, 0x10);
  put(Uart16550::kData, '1');
  EXPECT_EQ(sink.text, "");
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x61);
  put(Uart16550::kInterruptEnable, 5);
  put(Uart16550::kData, '2');
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x06);  // before received data
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x63);
  EXPECT_EQ(get(Uart16550::kLineStatus), 0x61);  // reading cleared the error
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x04);
  EXPECT_EQ(get(Uart16550::kData), '1');
}

TEST_F(UartTest, LoopbackKeepsTheLineOut) {
  put(Uart16550::kModemControl, 0x10);
  device.receive(as_bytes("later"));
  EXPECT_EQ(get(Uart16550::kLineStatus) & 1, 0);
  put(Uart16550::kModemControl, 0);
  EXPECT_EQ(get(Uart16550::kData), 'l');
}

TEST_F(UartTest, LoopbackOfModemLinesWithDeltas) {
  put(Uart16550::kModemControl, 0x1a);  // RTS and OUT2
  get(Uart16550::kModemStatus);
  EXPECT_EQ(get(Uart16550::kModemStatus), 0x90);
  put(Uart16550::kInterruptEnable, 8);
  EXPECT_FALSE(irq());
  put(Uart16550::kModemControl, 0x15);  // DTR and OUT1
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(Uart16550::kInterruptId), 0x00);
  EXPECT_EQ(get(Uart16550::kModemStatus), 0x6b);  // CTS, DSR and DCD changed; RI rose, which is no event
  EXPECT_FALSE(irq());
  put(Uart16550::kModemControl, 0x11);
  EXPECT_EQ(get(Uart16550::kModemStatus), 0x24);  // RI fell
}

TEST_F(UartTest, State) {
  enable_fifo(1);
  put(Uart16550::kInterruptEnable, 3);
  put(Uart16550::kScratch, 0x77);
  sink.room = 0;
  put(Uart16550::kData, 'T');
  device.receive(as_bytes("a longer line than the receive queue has room for"));
  get(Uart16550::kData);
  FakeWires other_wires;
  FakeSink other_sink;
  Uart16550 other(InterruptLine(other_wires, kIrq), &other_sink);
  check_state(other, saved(device));
  EXPECT_TRUE(other_wires.levels[kIrq]);
  EXPECT_EQ(read_reg(other, Uart16550::kScratch, 1), 0x77u);
  std::string seen;
  while (read_reg(other, Uart16550::kLineStatus, 1) & 1)
    seen += static_cast<char>(read_reg(other, Uart16550::kData, 1));
  EXPECT_EQ(seen, " longer line than the receive queue has room for");
  EXPECT_EQ(other_sink.text, "T");
  device.reset();
  EXPECT_FALSE(irq());
  EXPECT_EQ(get(Uart16550::kScratch), 0);
}

}  // namespace
}  // namespace hartwood::device_test
