// SPDX-License-Identifier: Apache-2.0
// A board with nothing but RAM, harts and the firmware's calls, set up as a kernel finds it; a clock that the
// test sets; a console and a power switch that record. Without threads: whoever wants them runs harts on his
// own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "hart/hart.h"
#include "sbi/sbi.h"
#include "shm/lock.h"
#include "support/asm.h"

namespace hartwood::test {

inline constexpr u64 kBase = 0x10, kTime = 0x5449'4d45, kIpi = 0x73'5049, kRfence = 0x5246'4e43, kHsm = 0x48'534d,
                     kSrst = 0x5352'5354, kDbcn = 0x4442'434e, kSusp = 0x5355'5350;
inline constexpr i64 kSuccess = 0, kFailed = -1, kNotSupported = -2, kInvalidParam = -3, kDenied = -4,
                     kInvalidAddress = -5, kAlreadyAvailable = -6;

inline constexpr u64 kRam = kMinRamBytes;
inline constexpr u64 kCode = kRamBase + 0x1000;
inline constexpr u64 kData = kRamBase + 0x10'0000;
inline constexpr u64 kSsiBit = 1 << kSsi, kStiBit = 1 << kSti;

struct ManualClock final : Clock {
  u64 elapsed() override { return now.load_relaxed(); }
  u64 unix_nanoseconds() override { return 0; }
  Atomic<u64> now{0};
};

struct RecordingConsole final : SbiConsole {
  u32 write(std::span<const u8> bytes) override {
    Guard guard(lock);
    writes++;
    const auto taken = static_cast<u32>(std::min<u64>(bytes.size(), room));
    output.append(bytes.begin(), bytes.begin() + taken);
    room -= taken;
    return taken;
  }
  u32 read(std::span<u8> to) override {
    Guard guard(lock);
    const auto taken = static_cast<u32>(std::min(to.size(), input.size()));
    std::copy_n(input.begin(), taken, to.begin());
    input.erase(0, taken);
    return taken;
  }
  Lock lock;
  std::string output, input;
  u64 room = ~u64{0};
  u32 writes = 0;
};

struct RecordingPower final : PowerControl {
  explicit RecordingPower(AttentionProtocol& a) : attention(a) {}
  void power_off(u32 exit_code) override {
    code.store(exit_code);
    end(kPowerOff);
  }
  void reboot() override { end(kPowerReboot); }
  void end(PowerState state) {
    if (!works) return;
    attention.shared().power.store(state);
    for (u32 hart = 0; hart < kMaxHarts; hart++) attention.post(hart, kAttentionInterrupt);
  }
  AttentionProtocol& attention;
  Atomic<u32> code{0xdead};
  bool works = true;
};

struct Answer {
  i64 error;
  u64 value;
  friend bool operator==(const Answer&, const Answer&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Answer& a) {
  return out << "{" << a.error << ", 0x" << std::hex << a.value << std::dec << "}";
}

class Board {
 public:
  explicit Board(u32 harts, Tracer* tracer = nullptr, Clock* other_clock = nullptr)
      : shared_(std::make_unique<MachineShared>()),
        memory_(std::move(GuestMemory::create(kRam).value())),
        attention(*shared_),
        power(attention),
        sbi(*memory_, harts, power, console) {
    shared_->hart_count.store(harts);
    for (u32 i = 0; i < kMaxInitiators; i++) {
      shared_->harts[i].mtimecmp.store(~u64{0});
      shared_->harts[i].hsm_state.store(kHsmStopped);
      shared_->harts[i].park.store(kParked);
    }
    shared_->harts[0].hsm_state.store(kHsmStarted);
    for (u32 i = 0; i < harts; i++) {
      HartOptions options;
      options.id = i;
      options.code_pages = 16;
      options.slice = 64;
      Clock& time = other_clock != nullptr ? *other_clock : clock;
      harts_.push_back(std::make_unique<Hart>(options, HartParts{*memory_, bus_, attention, time, &sbi, tracer}));
      HartState& state = harts_.back()->state();
      state.privilege = Privilege::supervisor;
      state.pc = kCode;
      state.medeleg = 0xb1ff;
      state.mideleg = kSsiBit | kStiBit | 1 << kSei;
      state.mcounteren = 7;
      state.menvcfg = envcfg::kStce;
      state.pmpcfg[0] = 0x1f;
      state.pmpaddr[0] = (u64{1} << 54) - 1;
      harts_.back()->state_changed();
    }
  }

  Hart& hart(u32 index) { return *harts_[index]; }
  HartShared& shared(u32 index) { return shared_->harts[index]; }
  MachineShared& machine() { return *shared_; }
  GuestMemory& memory() { return *memory_; }

  u64 peek(u64 address) {
    u64 value = 0;
    EXPECT_TRUE(memory_->load(Pa(address), value)) << std::hex << address;
    return value;
  }

  // Makes one hart execute one ECALL in S-mode, and checks that it changes a0, a1 and pc only.
  Answer call(u32 index, u64 extension, u64 function, std::vector<u64> arguments = {}) {
    if (shared(index).hsm_state.load() != kHsmStarted) {
      ADD_FAILURE() << "hart " << index << " does not run";
      return {1, 1};
    }
    Hart& hart = prepare(index, extension, function, arguments);
    const HartState before = hart.state();
    EXPECT_EQ(hart.run(1), Hart::Exit::budget);
    const HartState& after = hart.state();
    for (unsigned i = 0; i < 32; i++) {
      if (i != a0 && i != a1) {
        EXPECT_EQ(after.x[i], before.x[i]) << "x" << i;
      }
      EXPECT_EQ(after.f[i], before.f[i]) << "f" << i;
    }
    EXPECT_EQ(after.pc, before.pc + 4);
    EXPECT_EQ(after.retired, before.retired + 1);
    EXPECT_EQ(after.privilege, Privilege::supervisor);
    EXPECT_EQ(after.mstatus, before.mstatus);
    EXPECT_EQ(after.mie, before.mie);
    EXPECT_EQ(after.satp, before.satp);
    return {static_cast<i64>(after.x[a0]), after.x[a1]};
  }
  // The same without running: pc is at an ECALL that two additions to x5 follow.
  Hart& prepare(u32 index, u64 extension, u64 function, const std::vector<u64>& arguments) {
    Hart& hart = *harts_[index];
    Assembler code(kCode);
    code.ecall();
    code.addi(t0, t0, 1);
    code.addi(t0, t0, 1);
    code.place(*memory_);
    HartState& state = hart.state();
    for (unsigned i = 1; i < 32; i++) {
      state.x[i] = 0x1111'2222'3333'0000 + i;
      state.f[i] = 0x4444'5555'6666'0000 + i;
    }
    for (size_t i = 0; i < arguments.size(); i++) state.x[a0 + i] = arguments[i];
    state.x[a6] = function;
    state.x[a7] = extension;
    state.pc = kCode;
    hart.state_changed();
    return hart;
  }

 private:
  std::unique_ptr<MachineShared> shared_;
  std::unique_ptr<GuestMemory> memory_;
  Bus bus_;
  std::vector<std::unique_ptr<Hart>> harts_;

 public:
  AttentionProtocol attention;
  ManualClock clock;
  RecordingConsole console;
  RecordingPower power;
  Sbi sbi;
};

}  // namespace hartwood::test
