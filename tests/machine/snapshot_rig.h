// SPDX-License-Identifier: Apache-2.0
// Machines for the tests of snapshots: made, booted with a guest program or restored, driven by hand through their one
// hart, and saved in memory. Packing is left out here: a chunk's packed bytes are its bytes. One thread, unless a test
// makes more.
#pragma once

#include <gtest/gtest.h>

#include <cstring>

#include "machine/guest_rig.h"
#include "machine/memory_snapshot.h"

namespace hartwood::test {

// Time stands where a test puts it, or is the host's; random bytes repeat.
class SnapshotPlatform final : public Platform {
 public:
  u64 monotonic_ns() override { return real_time ? real_.monotonic_ns() : now_ns.load(); }
  u64 unix_ns() override { return wall_ns.load(); }
  EntropySource& entropy() override { return entropy_; }
  SeededEntropy* seeded_entropy() override { return &entropy_; }
  ByteSink& console_output() override { return real_.console; }
  const Log& log() override { return real_.log(); }
  std::string& text() { return real_.console.text; }

  bool real_time = false;
  std::atomic<u64> now_ns{0};
  std::atomic<u64> wall_ns{u64{1'700'000'000} * 1'000'000'000};

 private:
  TestPlatform real_;
  SeededEntropy entropy_{7};
};

struct BoxOptions {
  u32 harts = 1;
  u64 memory_bytes = kMinRamBytes;
  ClockKind clock = ClockKind::host;
  bool fibers = false;                          // for DeterministicRunner
  u64 now_ns = u64{1'000'000} * 1'000'000'000;  // the platform's time at the start
  std::vector<u64> disks;
  bool read_only = false;
  std::string append;
  bool real_time = false;
};

class Box final : public GuestView {
 public:
  explicit Box(const BoxOptions& options = {}) : clock_(platform_) {
    platform_.now_ns = options.now_ns;
    platform_.real_time = options.real_time;
    MachineConfig config;
    config.harts = options.harts;
    config.memory_bytes = options.memory_bytes;
    config.clock = options.clock;
    config.append = options.append;
    for (const u64 bytes : options.disks) {
      (void)bytes;
      config.disks.push_back({"disk", options.read_only});
    }
    auto made = Machine::create(config, platform_, *shared_, options.fibers ? &clock_ : nullptr);
    HW_CHECK(made.ok(), made.message().c_str());
    machine_ = std::move(*made);
    for (const u64 bytes : options.disks) {
      auto disk = MemoryBackend::make(bytes, options.read_only);
      HW_CHECK(disk.ok() && machine_->add_disk(std::move(*disk)).ok(), "disk");
    }
  }

  Machine& machine() { return *machine_; }
  GuestMemory& memory() { return machine_->memory(); }
  MachineShared& shared() { return *shared_; }
  VirtualClock& clock() { return clock_; }
  SnapshotPlatform& platform() { return platform_; }
  HartState& state(u32 hart = 0) { return machine_->hart(hart).state(); }
  bool on() const { return shared_->power.load() == kPowerOn; }
  u64 peek(u64 address) override {
    u64 value = 0;
    HW_CHECK(memory().load(Pa(address), value), "address");
    return value;
  }
  void poke(u64 address, u64 value) override { HW_CHECK(memory().store(Pa(address), value), "address"); }
  std::span<const u8> disk(u32 index) { return static_cast<MemoryBackend&>(machine_->disk(index).backend()).bytes(); }

  // All harts at the program's first instruction, in S-mode.
  void boot(const GuestProgram& program) {
    const std::vector<u8> kernel = linux_image(4096, 4096);
    BootFiles files;
    files.kernel = kernel;
    HW_CHECK(machine_->boot(files).ok(), "boot");
    put_code(kGuestCode, program.words);
    HW_CHECK(memory().fill(Pa(kGuestData), 0, kGuestDataBytes), "room");
    if (program.prepare) program.prepare(*this);
    for (u32 i = 0; i < machine_->hart_count(); i++) {
      shared_->harts[i].hsm_state.store(i == 0 || !program.only_first_starts ? kHsmStarted : kHsmStopped);
      state(i).pc = kGuestCode;
      state(i).x[a0] = i;
      machine_->hart(i).state_changed();
    }
  }
  void put_code(u64 at, const std::vector<u32>& words) {
    HW_CHECK(memory().write(Pa(at), {reinterpret_cast<const u8*>(words.data()), 4 * words.size()}), "room");
  }
  // One hart executes so many instructions, interrupts that it takes included, or fewer if the machine ends or, with
  // virtual time, sleeps for ever. Perhaps some more: those that it took in the last call of run_hart().
  void run(u64 instructions) {
    const u64 end = executed() + instructions;
    while (executed() < end && on()) {
      const u64 before = executed();
      const Hart::Exit exit = machine_->run_hart(0, end - before);
      if (exit == Hart::Exit::mail && executed() == before) return;
    }
  }
  u64 executed() {
    u64 sum = machine_->retired();
    for (u32 i = 0; i < machine_->hart_count(); i++) sum += machine_->hart(i).traps();
    return sum;
  }

  // One store or load of 32 bits by hart 0, from code at kGuestCode + 0x800, with its other state as it was.
  void store32(u64 address, u32 value) { access32(encode_store(Op::sw, a1, 0, a0), address, value); }
  u32 load32(u64 address) { return access32(encode_load(Op::lwu, a1, 0, a0), address, 0); }

 private:
  u32 access32(u32 instruction, u64 address, u32 value) {
    const u64 at = kGuestCode + 0x800;
    u32 there = 0;
    HW_CHECK(memory().load(Pa(at), there), "address");
    if (there != instruction) HW_CHECK(memory().store(Pa(at), instruction), "address");
    Hart& hart = machine_->hart(0);
    const HartState before = hart.state();
    hart.state().pc = at;
    hart.state().satp = 0;
    hart.state().x[a0] = address;
    hart.state().x[a1] = value;
    hart.state_changed();
    HW_CHECK(machine_->run_hart(0, 1) == Hart::Exit::budget, "one instruction");
    HW_CHECK(hart.state().pc == at + 4, "access to a device");
    const u64 result = hart.state().x[a1];
    hart.state() = before;
    hart.state_changed();
    return static_cast<u32>(result);
  }

  SnapshotPlatform platform_;
  VirtualClock clock_;
  std::unique_ptr<MachineShared> shared_ = std::make_unique<MachineShared>();
  std::unique_ptr<Machine> machine_;
};

// Empty, or the first page that differs.
inline std::string ram_difference(Box& a, Box& b) {
  for (u64 page = 0; page < a.memory().page_count(); page++) {
    if (std::memcmp(a.memory().ram() + (page << kPageShift), b.memory().ram() + (page << kPageShift), kPageBytes) != 0)
      return format("page %llu differs", static_cast<unsigned long long>(page));
  }
  return {};
}
inline bool same_disk(Box& a, Box& b, u32 index) {
  const std::span<const u8> one = a.disk(index), two = b.disk(index);
  return one.size() == two.size() && std::memcmp(one.data(), two.data(), one.size()) == 0;
}
inline u32 page_of(u64 address) { return static_cast<u32>((address - kRamBase) >> kPageShift); }

// ---- a disk's driver

// One queue of a disk, in pages of its own from `base` on: descriptors, available, used, request header, status byte.
// Data is the caller's.
struct DiskDriver {
  Box& box;
  u64 base;
  u32 slot = 1;
  u16 offered = 0;
  static constexpr u32 kEntries = 8;
  enum Request : u32 { kRead = 0, kWrite = 1, kDiscard = 11, kWriteZeroes = 13 };
  u64 descriptors() const { return base; }
  u64 available() const { return base + 0x1000; }
  u64 used() const { return base + 0x2000; }
  u64 header() const { return base + 0x3000; }
  u64 status() const { return base + 0x4000; }
  u64 reg(u64 offset) const { return virt::virtio_base(slot) + offset; }

  void start() {
    box.store32(reg(VirtioMmio::kStatus), 0);
    box.store32(reg(VirtioMmio::kStatus), 3);
    box.store32(reg(VirtioMmio::kDriverFeaturesSelect), 0);
    box.store32(reg(VirtioMmio::kDriverFeatures), 1u << 13 | 1u << 14);  // discard, write zeroes
    box.store32(reg(VirtioMmio::kDriverFeaturesSelect), 1);
    box.store32(reg(VirtioMmio::kDriverFeatures), 1);  // version 1
    box.store32(reg(VirtioMmio::kStatus), 11);
    box.store32(reg(VirtioMmio::kQueueSelect), 0);
    box.store32(reg(VirtioMmio::kQueueSize), kEntries);
    const auto place = [&](u64 low, u64 address) {
      box.store32(reg(low), static_cast<u32>(address));
      box.store32(reg(low + 4), static_cast<u32>(address >> 32));
    };
    place(VirtioMmio::kQueueDescLow, descriptors());
    place(VirtioMmio::kQueueDriverLow, available());
    place(VirtioMmio::kQueueDeviceLow, used());
    box.store32(reg(VirtioMmio::kQueueReady), 1);
    box.store32(reg(VirtioMmio::kStatus), 15);
    HW_CHECK(box.load32(reg(VirtioMmio::kStatus)) == 15, "disk");
  }
  // Everything but the notification.
  void prepare(u32 type, u64 sector, u64 data, u32 bytes) {
    const auto descriptor = [&](u32 index, u64 address, u32 size, u16 flags) {
      box.poke(descriptors() + 16 * index, address);
      box.poke(descriptors() + 16 * index + 8, u64{size} | u64{flags} << 32 | u64{index + 1} << 48);
    };
    box.poke(header(), type);
    box.poke(header() + 8, sector);
    box.poke(status(), 0xee);
    descriptor(0, header(), 16, 1);
    descriptor(1, data, bytes, type == kRead ? 3 : 1);
    descriptor(2, status(), 1, 2);
    box.memory().store<u16>(Pa(available() + 4 + 2 * (offered % kEntries)), 0);
    box.memory().store<u16>(Pa(available() + 2), ++offered);
  }
  void notify() { box.store32(reg(VirtioMmio::kQueueNotify), 0); }
  u8 request(u32 type, u64 sector, u64 data, u32 bytes) {
    prepare(type, sector, data, bytes);
    notify();
    return static_cast<u8>(box.peek(status()));
  }
  // A discard, or zeroes.
  u8 erase(u32 type, u64 sector, u32 sectors, u64 data) {
    box.poke(data, sector);
    box.poke(data + 8, sectors);
    return request(type, 0, data, 16);
  }
};

}  // namespace hartwood::test
