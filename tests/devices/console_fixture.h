// SPDX-License-Identifier: Apache-2.0
// A console of two ports in a slot, and a driver that speaks the control protocol.
#pragma once

#include "devices/virtio/console.h"
#include "mock_driver.h"

namespace hartwood::device_test {

inline constexpr u64 kSize = 1, kMultiport = 2, kEmergency = 4;

struct Message {
  u32 port;
  u16 event;
  u16 value;
  std::string rest;
  bool operator==(const Message&) const = default;
};
inline void PrintTo(const Message& m, std::ostream* out) {
  *out << "{" << m.port << ", " << m.event << ", " << m.value << ", \"" << m.rest << "\"}";
}

struct ConsoleTest : testing::Test {
  static constexpr u32 kIrq = 1;
  // All queues, with control receive buffers.
  void start(u64 features = kSize | kMultiport, u32 control_buffers = 8) {
    driver.bring_up(features, 6, 8);
    for (u32 i = 0; i < control_buffers; i++)
      driver.add(VirtioConsole::kControlReceive, {{control_buffer(i), 64, true}});
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

}  // namespace hartwood::device_test
