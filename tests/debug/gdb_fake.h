// SPDX-License-Identifier: Apache-2.0
// A machine for tests of the gdb stub: registers, 64 KiB of memory that is one and the same at a virtual and a physical
// address, and a record of what it was asked for. Nothing runs; the test says when it stops.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "debug/gdb_server.h"

namespace hartwood::test {

class FakeTarget : public GdbTarget {
 public:
  static constexpr u64 kPhysical = 0x8000'0000, kVirtual = 0xffff'ffff'8000'0000, kBytes = 0x1'0000;

  explicit FakeTarget(u32 harts) : harts_(harts), memory(kBytes) {}

  struct Registers {
    u64 x[32] = {}, f[32] = {};
    u64 pc = kPhysical, priv = 3;
    std::map<u32, u64> csrs = {{0x001, 0}, {0x002, 0}, {0x003, 0}, {0x100, 0x11}, {0x180, 0x22}, {0x300, 0x33}};
  };

  u32 hart_count() const override { return static_cast<u32>(harts_.size()); }
  std::string hart_description(u32 hart) override { return harts_[hart].priv == 3 ? "M-mode" : "<S & \"U\">"; }
  bool has_csr(u32 number) const override { return harts_[0].csrs.count(number) != 0; }

  bool read_register(u32 hart, GdbRegister reg, u64& value) override {
    const u64* at = find(hart, reg);
    if (at != nullptr) value = *at;
    return at != nullptr;
  }
  bool write_register(u32 hart, GdbRegister reg, u64 value) override {
    u64* at = find(hart, reg);
    if (at == nullptr || (reg.kind == GdbRegister::x && reg.index == 0)) return false;
    if (reg.kind == GdbRegister::pc && value % 2 != 0) return false;
    *at = value;
    return true;
  }

  u64 read_memory(u32, GdbSpace space, u64 address, std::span<u8> to) override {
    largest_read = std::max<u64>(largest_read, to.size());
    const u64 at = address - base(space);
    if (at >= kBytes) return 0;
    const u64 bytes = std::min<u64>(to.size(), kBytes - at);
    std::copy_n(memory.begin() + static_cast<long>(at), bytes, to.begin());
    return bytes;
  }
  bool write_memory(u32, GdbSpace space, u64 address, std::span<const u8> from) override {
    const u64 at = address - base(space);
    if (at >= kBytes || from.size() > kBytes - at) return false;
    std::copy(from.begin(), from.end(), memory.begin() + static_cast<long>(at));
    return true;
  }

  Status insert(u32, const GdbPoint& point) override {
    if (point.kind == GdbPoint::watch_read) return Error{"no $watch# for reads}*"};
    if (std::find(points.begin(), points.end(), point) != points.end()) misused++;
    points.push_back(point);
    return {};
  }
  Status remove(const GdbPoint& point) override {
    const auto at = std::find(points.begin(), points.end(), point);
    if (at == points.end()) {
      misused++;
      return Error{"it is not there"};
    }
    points.erase(at);
    return {};
  }

  void resume(const std::vector<GdbResume>& harts) override {
    if (running || harts.size() != harts_.size()) misused++;
    plan = harts;
    running = true;
    resumed++;
  }
  void interrupt() override { interrupts++; }
  void detach() override {
    points.clear();
    running = true;
    detached++;
  }
  void kill() override {
    points.clear();
    if (killed++ != 0) misused++;
  }
  Status restart() override {
    points.clear();
    if (killed != 0) misused++;
    restarted++;
    for (Registers& hart : harts_) hart = Registers{};
    running = false;
    if (restart_fails) return Error{"nothing is left"};
    return {};
  }
  Result<std::string> monitor(u32 hart, std::string_view command) override {
    if (command == "fail") return Error{"it has failed"};
    if (command == "long") return std::string(100'000, 'a');
    if (command == "quiet") return std::string();
    return format("hart %u: ", hart) + std::string(command) + "\n";
  }

  std::vector<Registers> harts_;
  std::vector<u8> memory;
  std::vector<GdbPoint> points;
  std::vector<GdbResume> plan;
  bool running = true;
  bool restart_fails = false;
  unsigned resumed = 0, interrupts = 0, detached = 0, killed = 0, restarted = 0;
  unsigned misused = 0;  // calls that GdbTarget rules out
  u64 largest_read = 0;

 private:
  static u64 base(GdbSpace space) { return space == GdbSpace::physical_memory ? kPhysical : kVirtual; }
  u64* find(u32 hart, GdbRegister reg) {
    if (running) misused++;
    Registers& registers = harts_[hart];
    switch (reg.kind) {
      case GdbRegister::x: return &registers.x[reg.index];
      case GdbRegister::pc: return &registers.pc;
      case GdbRegister::f: return &registers.f[reg.index];
      case GdbRegister::csr: {
        const auto at = registers.csrs.find(reg.index);
        return at == registers.csrs.end() ? nullptr : &at->second;
      }
      case GdbRegister::privilege: return &registers.priv;
    }
    return nullptr;
  }
};

// A gdb and its machine: what was sent lies in `sent`.
class Session final : public GdbOutput {
 public:
  explicit Session(u32 harts = 2) : target(harts), server(target, *this) {}

  void send(std::string_view bytes) override {
    sent += bytes;
    largest_send = std::max(largest_send, bytes.size());
  }

  // A machine that runs, and a gdb that has arrived and uses no acknowledgments.
  void arrive() {
    server.connected();
    stop({GdbStop::interrupted, 0});
    ask("QStartNoAckMode");
    sent.clear();
  }
  void stop(const GdbStop& stop) {
    target.running = false;
    server.stopped(stop);
  }
  void bytes(std::string_view text) { server.receive({reinterpret_cast<const u8*>(text.data()), text.size()}); }
  static std::string frame(std::string_view body) {
    std::string packet;
    gdb_append_packet(packet, body);
    return packet;
  }
  // The answer's body, or "(none)", or all that was sent if that is not one packet.
  std::string ask(std::string_view body) {
    sent.clear();
    bytes(frame(body));
    return answer();
  }
  std::string answer() {
    std::string all;
    all.swap(sent);
    if (all.empty()) return "(none)";
    const size_t end = all.find('#');
    if (all[0] != '$' || end == std::string::npos || end + 3 != all.size()) return "raw: " + all;
    const std::string body = all.substr(1, end - 1);
    return frame(body) == all ? body : "wrong checksum: " + all;
  }

  FakeTarget target;
  std::string sent;
  size_t largest_send = 0;
  GdbServer server;
};

inline std::string hex(std::string_view text) {
  std::string digits;
  gdb_append_hex(digits, {reinterpret_cast<const u8*>(text.data()), text.size()});
  return digits;
}
// A register's value, as packets have it.
inline std::string hex64(u64 value) {
  std::string digits;
  gdb_append_hex(digits, {reinterpret_cast<const u8*>(&value), 8});
  return digits;
}

}  // namespace hartwood::test
