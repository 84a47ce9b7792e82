// SPDX-License-Identifier: Apache-2.0
// The virtio console [virtio: Console Device], with several ports. Port 0 is the machine's console, hvc0 in
// Linux. Registers and queues belong to the notifying hart under the transport's lock; receive(),
// poll_input(), pump(), resize() and set_connected() may be called from any thread and take that lock.
//
// Bytes are copied once, between guest RAM and the port's sink or source. The device buffers nothing: input
// waits in its source (or with the caller of receive()) until the guest offers buffers and has the port open;
// output that a sink does not take stays in the transmit queue until pump(). Linux's console writer spins
// until its output was taken, so a sink that refuses stops that hart. Control messages to the driver are kept
// as one bit per port and kind, so a driver that asks and never reads costs nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "devices/sinks.h"
#include "devices/virtio/device.h"

namespace hartwood {

struct ConsolePort {
  std::string name{};           // the guest's /sys/class/virtio-ports/*/name; at most 255 bytes
  bool console = true;          // a terminal (hvcN), else a plain byte stream (/dev/vportNpM)
  ByteSink* output = nullptr;   // null: output is dropped
  ByteSource* input = nullptr;  // null: receive() only
  u16 columns = 80;
  u16 rows = 24;
  bool connected = true;  // the host's end is open
  // Of the port's two queues; a power of two. Linux gives a page to each entry of the one that receives.
  u16 queue_size = 256;
};

class VirtioConsole final : public VirtioDevice {
 public:
  static constexpr u32 kDeviceId = 3;
  static constexpr u32 kSizeFeature = 0, kMultiportFeature = 1, kEmergencyWriteFeature = 2;
  static constexpr u32 kMaxPorts = 16;
  static constexpr u32 kQueueSize = 256;                           // of the control queues
  static constexpr u32 kControlReceive = 2, kControlTransmit = 3;  // queues
  static constexpr u32 receive_queue(u32 port) { return port == 0 ? 0 : 2 * port + 2; }
  static constexpr u32 transmit_queue(u32 port) { return receive_queue(port) + 1; }
  static constexpr u32 port_of(u32 queue) { return queue < 2 ? 0 : queue / 2 - 1; }  // not of a control queue

  // [virtio: Console Device, Multiport Device Operation]
  enum Event : u16 {
    kDeviceReady = 0,
    kPortAdd = 1,
    kPortRemove = 2,
    kPortReady = 3,
    kConsolePort = 4,
    kResize = 5,
    kPortOpen = 6,
    kPortName = 7,
  };

  // 1 to kMaxPorts ports; port 0 should be a console.
  explicit VirtioConsole(std::vector<ConsolePort> ports);

  // Input for a port. Copies what fits into the guest's buffers and returns its length: 0 while the guest is
  // not ready.
  u32 receive(u32 port, std::span<const u8> bytes);
  // The port's source has new input.
  void poll_input(u32 port);
  // The port's sink has room again.
  void pump(u32 port);
  // The terminal has another size: columns and rows of characters.
  void resize(u32 port, u16 columns, u16 rows);
  // The host's end of the port was opened or closed.
  void set_connected(u32 port, bool connected);
  // Whether the guest has the port open.
  bool guest_open(u32 port) const;

  u32 id() const override { return kDeviceId; }
  u64 features() const override;
  u32 queue_count() const override { return 2 * (static_cast<u32>(ports_.size()) + 1); }
  u32 queue_max(u32 queue) const override {
    const bool control = queue == kControlReceive || queue == kControlTransmit;
    return control ? kQueueSize : ports_[port_of(queue)].options.queue_size;
  }
  void read_config(u32 offset, std::span<u8> to) override;
  void write_config(u32 offset, std::span<const u8> from) override;
  void notify(u32 queue) override;
  void reset() override;
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

 private:
  struct Port {
    ConsolePort options;
    bool added = false;  // the driver was told of it
    bool ready = false;  // the driver has set it up
    bool guest_open = false;
    u16 messages = 0;  // events to be sent, a bit 1 << Event each
    u64 sent = 0;      // bytes of the transmit queue's first chain that the sink has taken
  };

  bool multiport() const { return transport().has_feature(kMultiportFeature); }
  bool accepts_input(const Port& port) const;
  void post(Port& port, Event event);
  void flush_messages();
  bool send_message(u32 index, Event event);
  void handle_control(const Chain& chain);
  void handle_event(u32 index, u16 event, u16 value);
  Handled transmit(Port& port, u32 queue, const Chain& chain);
  void drain_output(u32 port);
  void pull_input(u32 port);
  template <class Fill>
  void fill_buffers(u32 port, Fill&& fill);

  std::vector<Port> ports_;
  Chain chain_;
};

}  // namespace hartwood
