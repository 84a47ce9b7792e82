// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/console.h"

#include <bit>

#include "base/bits.h"

namespace hartwood {
namespace {

// [virtio: Console Device, Device configuration layout]
struct ConsoleConfig {
  u16 columns;
  u16 rows;
  u32 max_ports;
  u32 emergency_write;
};
static_assert(sizeof(ConsoleConfig) == 12);

struct ControlMessage {
  u32 port;
  u16 event;
  u16 value;
};
static_assert(sizeof(ControlMessage) == 8);

constexpr size_t kMaxNameBytes = 255;

}  // namespace

VirtioConsole::VirtioConsole(std::vector<ConsolePort> ports) {
  HW_CHECK(!ports.empty() && ports.size() <= kMaxPorts, "number of console ports");
  for (ConsolePort& port : ports) {
    HW_CHECK(port.name.size() <= kMaxNameBytes, "length of a console port's name");
    HW_CHECK(std::has_single_bit(port.queue_size), "size of a console port's queues");
    ports_.emplace_back().options = std::move(port);
  }
}

u64 VirtioConsole::features() const {
  return u64{1} << kSizeFeature | u64{1} << kMultiportFeature | u64{1} << kEmergencyWriteFeature;
}

void VirtioConsole::read_config(u32 offset, std::span<u8> to) {
  const ConsolePort& port = ports_[0].options;
  const ConsoleConfig config{port.columns, port.rows, static_cast<u32>(ports_.size()), 0};
  read_config_from(config, offset, to);
}

void VirtioConsole::write_config(u32 offset, std::span<const u8> from) {
  if (offset != offsetof(ConsoleConfig, emergency_write) || from.empty()) return;
  if (ports_[0].options.output != nullptr) ports_[0].options.output->write(from.first(1));
}

void VirtioConsole::reset() {
  for (Port& port : ports_) {
    port.added = port.ready = port.guest_open = false;
    port.messages = 0;
    port.sent = 0;
  }
}

bool VirtioConsole::accepts_input(const Port& port) const {
  if (!transport().running()) return false;
  return multiport() ? port.guest_open : &port == ports_.data();
}

// ---- Control queues ----

void VirtioConsole::post(Port& port, Event event) { port.messages = static_cast<u16>(port.messages | 1u << event); }

// Sends what is due, in ascending order of ports, as far as the driver has buffers.
void VirtioConsole::flush_messages() {
  if (!transport().running() || !multiport()) return;
  // The order in which a driver can use them.
  constexpr Event kOrder[] = {kPortAdd, kConsolePort, kPortName, kResize, kPortOpen};
  for (u32 index = 0; index < ports_.size(); index++) {
    for (const Event event : kOrder) {
      if ((ports_[index].messages >> event & 1) == 0) continue;
      if (!send_message(index, event)) {
        transport().signal(transport().queue(kControlReceive));
        return;
      }
      ports_[index].messages = static_cast<u16>(ports_[index].messages & ~(1u << event));
    }
  }
  transport().signal(transport().queue(kControlReceive));
}

// False: no buffer, or the queue is broken.
bool VirtioConsole::send_message(u32 index, Event event) {
  const Port& port = ports_[index];
  VirtQueue& queue = transport().queue(kControlReceive);
  VirtQueue::Next next = queue.peek(chain_);
  if (next == VirtQueue::Next::empty && queue.rearm()) next = queue.peek(chain_);
  if (next == VirtQueue::Next::faulty) transport().broken(queue.fault());
  if (next != VirtQueue::Next::chain) return false;

  u8 message[sizeof(ControlMessage) + kMaxNameBytes];
  size_t size = sizeof(ControlMessage);
  ControlMessage header{index, event, 1};
  if (event == kPortOpen) header.value = port.options.connected;
  store_le(message, header);
  if (event == kPortName) {
    std::memcpy(message + size, port.options.name.data(), port.options.name.size());
    size += port.options.name.size();
  } else if (event == kResize) {
    store_le(message + size, port.options.columns);
    store_le(message + size + 2, port.options.rows);
    size += 4;
  }
  if (chain_.writable_bytes() < size) {
    transport().broken("control buffer is too small");
    return false;
  }
  Cursor(chain_.writable()).write(transport().memory(), std::span<const u8>(message, size));
  queue.advance();
  queue.push(chain_.ticket(), static_cast<u32>(size));
  return true;
}

void VirtioConsole::handle_control(const Chain& chain) {
  u8 bytes[sizeof(ControlMessage)];
  if (Cursor(chain.readable()).read(transport().memory(), bytes) == sizeof bytes) {
    const auto message = load_le<ControlMessage>(bytes);
    handle_event(message.port, message.event, message.value);
  }
  transport().queue(kControlTransmit).push(chain.ticket(), 0);
}

void VirtioConsole::handle_event(u32 index, u16 event, u16 value) {
  if (event == kDeviceReady) {
    if (value == 0) return;
    for (Port& port : ports_) {
      if (!port.added) post(port, kPortAdd);
      port.added = true;
    }
    return;
  }
  if (index >= ports_.size() || !ports_[index].added) return;
  Port& port = ports_[index];
  if (event == kPortReady && value != 0) {
    port.ready = true;
    if (!port.options.name.empty()) post(port, kPortName);
    if (port.options.console) {
      post(port, kConsolePort);
      if (transport().has_feature(kSizeFeature)) post(port, kResize);
    }
    if (port.options.connected) post(port, kPortOpen);
  } else if (event == kPortOpen) {
    port.guest_open = value != 0;
  }
}

// ---- Output ----

Handled VirtioConsole::transmit(Port& port, u32 queue, const Chain& chain) {
  const bool dropped = port.options.output == nullptr || !port.options.connected;
  Cursor cursor(chain.readable());
  cursor.skip(port.sent);
  Segment piece;
  while (!dropped && cursor.next(piece)) {
    const std::span<const u8> bytes = transport().memory().readable(piece.address, piece.bytes);
    const u32 taken = port.options.output->write(bytes);
    port.sent += taken;
    if (taken < piece.bytes) return Handled::stalled;
  }
  port.sent = 0;
  transport().queue(queue).push(chain.ticket(), 0);
  return Handled::done;
}

void VirtioConsole::drain_output(u32 index) {
  const u32 queue = transmit_queue(index);
  drain_queue(transport(), queue, chain_,
              [&](const Chain& chain, u64&) { return transmit(ports_[index], queue, chain); });
}

// ---- Input ----

// Lets `fill` put bytes into the guest's buffers, segment by segment: a callable span<u8> -> u32 that fills
// the front and returns its length; less than the span means that there is no more.
template <class Fill>
void VirtioConsole::fill_buffers(u32 index, Fill&& fill) {
  if (!accepts_input(ports_[index])) return;
  const u32 number = receive_queue(index);
  VirtQueue& queue = transport().queue(number);
  bool exhausted = false;
  for (u32 step = 0; !exhausted; step++) {
    if (step == kChainsPerNotify) {
      transport().defer(number);
      transport().signal(queue, true);
      return;
    }
    const VirtQueue::Next next = queue.peek(chain_);
    if (next == VirtQueue::Next::faulty) {
      transport().broken(queue.fault());
      return;
    }
    if (next == VirtQueue::Next::empty) {
      if (queue.rearm()) continue;
      break;
    }
    if (chain_.writable_bytes() == 0) {
      transport().broken("receive buffer is not writable");
      return;
    }
    u32 filled = 0;
    Cursor cursor(chain_.writable());
    Segment piece;
    while (!exhausted && cursor.next(piece)) {
      const u32 got = fill(transport().memory().writable(piece.address, piece.bytes));
      filled += got;
      exhausted = got < piece.bytes;
    }
    if (filled == 0) break;
    queue.advance();
    queue.push(chain_.ticket(), filled);
  }
  transport().signal(queue);
}

void VirtioConsole::pull_input(u32 index) {
  ByteSource* input = ports_[index].options.input;
  if (input == nullptr) {
    if (transport().running()) transport().queue(receive_queue(index)).rearm();
    return;
  }
  fill_buffers(index, [&](std::span<u8> to) { return std::min(input->read(to), static_cast<u32>(to.size())); });
}

// ---- Entry points ----

void VirtioConsole::notify(u32 queue) {
  if (queue == kControlTransmit) {
    drain_queue(transport(), queue, chain_, [&](const Chain& chain, u64&) {
      handle_control(chain);
      return Handled::done;
    });
    flush_messages();
    for (u32 index = 0; index < ports_.size(); index++) pull_input(index);  // a port may just have been opened
  } else if (queue == kControlReceive) {
    flush_messages();
  } else {
    const u32 index = port_of(queue);
    if (queue % 2 == 0)
      pull_input(index);
    else
      drain_output(index);
  }
}

u32 VirtioConsole::receive(u32 port, std::span<const u8> bytes) {
  if (port >= ports_.size()) return 0;
  Guard guard(transport().lock());
  u32 taken = 0;
  if (bytes.empty()) return 0;
  fill_buffers(port, [&](std::span<u8> to) {
    const u32 size = static_cast<u32>(std::min<size_t>(to.size(), bytes.size() - taken));
    if (size != 0) std::memcpy(to.data(), bytes.data() + taken, size);
    taken += size;
    return size;
  });
  return taken;
}

void VirtioConsole::poll_input(u32 port) {
  if (port >= ports_.size()) return;
  Guard guard(transport().lock());
  pull_input(port);
}

void VirtioConsole::pump(u32 port) {
  if (port >= ports_.size()) return;
  Guard guard(transport().lock());
  drain_output(port);
}

void VirtioConsole::resize(u32 index, u16 columns, u16 rows) {
  if (index >= ports_.size()) return;
  Guard guard(transport().lock());
  Port& port = ports_[index];
  if (port.options.columns == columns && port.options.rows == rows) return;
  port.options.columns = columns;
  port.options.rows = rows;
  if (index == 0) transport().config_changed();
  if (port.ready && port.options.console && transport().has_feature(kSizeFeature)) post(port, kResize);
  flush_messages();
}

void VirtioConsole::set_connected(u32 index, bool connected) {
  if (index >= ports_.size()) return;
  Guard guard(transport().lock());
  Port& port = ports_[index];
  if (port.options.connected == connected) return;
  port.options.connected = connected;
  if (port.ready) post(port, kPortOpen);
  flush_messages();
  if (!connected) drain_output(index);  // output that waited for the sink is dropped
}

bool VirtioConsole::guest_open(u32 port) const {
  Guard guard(transport().lock());
  return port < ports_.size() && ports_[port].guest_open;
}

// ---- State ----

void VirtioConsole::save(StateWriter& out) const {
  out.begin("VCON", 1);
  out.put(static_cast<u32>(ports_.size()));
  for (const Port& port : ports_) {
    out.put(port.options.columns);
    out.put(port.options.rows);
    for (const bool flag : {port.options.connected, port.added, port.ready, port.guest_open})
      out.put(static_cast<u8>(flag));
    out.put(port.messages);
    out.put(port.sent);
  }
  out.end();
}

void VirtioConsole::load(StateReader& in) {
  in.begin("VCON", 1);
  if (in.get<u32>() != ports_.size()) in.fail("saved console has another number of ports");
  std::vector<Port> ports = ports_;
  for (Port& port : ports) {
    in.get(port.options.columns);
    in.get(port.options.rows);
    for (bool* flag : {&port.options.connected, &port.added, &port.ready, &port.guest_open}) *flag = in.get<u8>() != 0;
    in.get(port.messages);
    in.get(port.sent);
  }
  in.end();
  if (!in.failed()) ports_ = std::move(ports);
}

}  // namespace hartwood
