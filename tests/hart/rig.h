// SPDX-License-Identifier: Apache-2.0
// One hart with RAM, a register-file device and a clock that the test sets; no firmware. It starts in M-mode
// with all of memory open, trap vectors at kMachineTrap and kSupervisorTrap, and nothing pending. Two ways to
// execute: execute() places an instruction and drops everything cached first; stub() runs one of a fixed page
// of instructions and drops nothing, so that what earlier accesses left in the caches shows. Single-threaded,
// natively and in Wasm.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

#include "hart/engine.h"
#include "hart/hart.h"
#include "sbi/support.h"
#include "support/asm.h"

namespace hartwood::test {

inline constexpr u64 kStubs = kRamBase + 0x3000;  // one page
inline constexpr u64 kMachineTrap = kRamBase + 0x8000, kSupervisorTrap = kRamBase + 0x9000;
inline constexpr u64 kDevice = 0x1000'0000, kDeviceBytes = 0x1000;
inline constexpr u64 kRamEnd = kRamBase + kRam;

// ---- encoders that support/asm.h has no need of

inline u32 encode_unary(Op op, Reg rd, Reg rs1) { return base_of(op, Format::unary) | u32{rd} << 7 | u32{rs1} << 15; }
inline u32 encode_shift5(Op op, Reg rd, Reg rs1, u32 amount) {
  HW_CHECK(amount < 32, "shift amount");
  return base_of(op, Format::shamt5) | u32{rd} << 7 | u32{rs1} << 15 | amount << 20;
}
inline u32 encode_csri(Op op, Reg rd, u32 csr, u32 imm) {
  return base_of(op, Format::csri) | u32{rd} << 7 | (imm & 31) << 15 | csr << 20;
}
inline u32 encode_cbo(Op op, Reg address) { return base_of(op, Format::cbo) | u32{address} << 15; }
inline u32 encode_sfence(Op op, Reg address, Reg asid) { return encode_r(op, zero, address, asid); }
inline constexpr u32 kNop = 0x0000'0013, kEcall = 0x0000'0073, kEbreak = 0x0010'0073, kMret = 0x3020'0073,
                     kSret = 0x1020'0073, kWfi = 0x1050'0073, kFenceI = 0x0000'100f;

// A load of a0 from [a1], a store of a0 to [a1], an atomic that takes a2 and gives a0.
inline u32 access_word(Op op) {
  switch (info(op).format) {
    case Format::load: return encode_load(op, a0, 0, a1);
    case Format::s: return encode_store(op, a0, 0, a1);
    case Format::amo: return encode_amo(op, a0, a1, op == Op::lr_w || op == Op::lr_d ? zero : a2);
    case Format::cbo: return encode_cbo(op, a1);
    default: HW_CHECK(false, "no memory access"); return 0;
  }
}

// Records accesses; offsets below 0x800 work, others refuse.
struct RegisterDevice final : MmioDevice {
  struct Seen {
    bool write;
    u64 offset;
    unsigned size;
    u64 value;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  bool mmio_read(u64 offset, unsigned size, u64& value) override {
    if (offset >= 0x800) return false;
    seen.push_back({false, offset, size, 0});
    value = answer;
    return true;
  }
  bool mmio_write(u64 offset, unsigned size, u64 value) override {
    if (offset >= 0x800) return false;
    seen.push_back({true, offset, size, value});
    if (on_write) on_write(value);
    return true;
  }
  u64 answer = 0;
  std::vector<Seen> seen;
  std::function<void(u64)> on_write;
};
inline std::ostream& operator<<(std::ostream& out, const RegisterDevice::Seen& s) {
  return out << (s.write ? "write" : "read") << s.size << "(0x" << std::hex << s.offset << ", 0x" << s.value << std::dec
             << ")";
}

// What one instruction did: nothing out of the ordinary, or a trap with these values, taken to that mode.
struct Outcome {
  bool trapped = false;
  u64 cause = 0, tval = 0, epc = 0;
  Privilege to = Privilege::machine;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  if (!o.trapped) return out << "no trap";
  return out << "trap(cause " << (o.cause >> 63 ? "interrupt " : "") << (o.cause & 63) << std::hex << ", tval 0x"
             << o.tval << ", epc 0x" << o.epc << std::dec << ", to " << static_cast<int>(o.to) << ")";
}

struct RecordingTracer final : Tracer {
  struct Step {
    u64 pc;
    u32 bits;
  };
  void instruction(const Hart&, u64 pc, u32 bits) override { steps.push_back({pc, bits}); }
  void trap(const Hart&, u64 cause, u64, u64) override { traps.push_back(cause); }
  std::vector<Step> steps;
  std::vector<u64> traps;
};

struct RigOptions {
  bool zacas = false;
  SatpMode largest_mode = SatpMode::sv57;
  u32 code_pages = 16;
  u32 slice = 64;
  Tracer* tracer = nullptr;  // with one, every instruction goes through execute()
  bool debug = false;        // with breakpoints and watchpoints
};

class Rig {
 public:
  explicit Rig(const RigOptions& options = {})
      : shared_(std::make_unique<MachineShared>()),
        memory_(std::move(GuestMemory::create(kRam).value())),
        attention(*shared_) {
    HW_CHECK(bus.map(kDevice, kDeviceBytes, device, "device").ok(), "empty bus");
    for (u32 i = 0; i < kMaxInitiators; i++) {
      shared_->harts[i].mtimecmp.store(~u64{0});
      shared_->harts[i].park.store(kParked);
    }
    HartOptions of_hart;
    of_hart.isa.set(Extension::Zacas, options.zacas);
    of_hart.largest_mode = options.largest_mode;
    of_hart.code_pages = options.code_pages;
    of_hart.slice = options.slice;
    shared_->hart_count.store(1);
    if (options.debug) points_ = std::make_unique<DebugPoints>(*memory_, attention);
    HartParts parts{*memory_, bus, attention, clock, nullptr, options.tracer};
    parts.debug = points_.get();
    hart_ = std::make_unique<Hart>(of_hart, parts);
    if (options.tracer == nullptr) engine_ = make_engine(*hart_);
    reset();
    place_stubs();
  }

  // The registers as the rig starts with; caches dropped. RAM stays.
  void reset() {
    HartState fresh;
    fresh.pc = kCode;
    fresh.mtvec = kMachineTrap;
    fresh.stvec = kSupervisorTrap;
    fresh.pmpcfg[0] = 0x1f;
    fresh.pmpaddr[0] = (u64{1} << 54) - 1;
    hart_->state() = fresh;
    for (u64& va : stub_va_) va = kStubs;
    shared().lines.store(0);
    shared().mtimecmp.store(~u64{0});
    hart_->state_changed();
  }

  Hart& hart() { return *hart_; }
  HartState& state() { return hart_->state(); }
  u64& x(Reg reg) { return hart_->state().x[reg]; }
  GuestMemory& memory() { return *memory_; }
  DebugPoints& points() { return *points_; }
  void commit_points() {
    if (points_->commit()) shared().park.store(kParkedMustFlush);
  }
  // Executes at most `count` instructions: whether that ended at a breakpoint or watchpoint, and which.
  std::optional<DebugStop> run_to_stop(u64 count) {
    if (engine_ != nullptr) engine_->prepare(count);
    const Hart::Exit exit = hart_->run(count);
    if (exit != Hart::Exit::debug) {
      EXPECT_EQ(exit, Hart::Exit::budget);
      return std::nullopt;
    }
    const std::optional<DebugStop> stop = points_->take_stop();
    EXPECT_TRUE(stop.has_value());
    return stop;
  }
  HartShared& shared() { return shared_->harts[0]; }
  MachineShared& machine() { return *shared_; }

  template <class T>
  T peek(u64 pa) {
    T value{};
    EXPECT_TRUE(memory_->fetch(Pa(pa), value)) << std::hex << pa;
    return value;
  }
  template <class T>
  void poke(u64 pa, T value) {
    EXPECT_TRUE(memory_->store(Pa(pa), value)) << std::hex << pa;
  }

  // Words to physical memory, behind the hart's back.
  void place(u64 pa, const std::vector<u32>& words) {
    for (size_t i = 0; i < words.size(); i++) poke<u32>(pa + 4 * i, words[i]);
  }
  // The same and everything cached dropped, with pc there.
  void start_at(u64 pa, const std::vector<u32>& words) {
    place(pa, words);
    state().pc = pa;
    hart_->state_changed();
  }
  void drop_caches() { hart_->state_changed(); }

  // Executes `count` instructions where pc is.
  Outcome run(u64 count = 1) {
    const u64 traps = hart_->traps();
    if (engine_ != nullptr) engine_->prepare(count);
    EXPECT_EQ(hart_->run(count), Hart::Exit::budget);
    return outcome_since(traps);
  }
  Outcome outcome_since(u64 traps) {
    if (hart_->traps() == traps) return {};
    const HartState& s = state();
    if (s.privilege == Privilege::machine) return {true, s.mcause, s.mtval, s.mepc, Privilege::machine};
    return {true, s.scause, s.stval, s.sepc, Privilege::supervisor};
  }
  // Places one instruction at physical kCode and executes it there in the current mode, translation off. The
  // pc comes back to kCode unless it jumped or trapped.
  Outcome execute(u32 word) {
    start_at(kCode, {word});
    const Outcome outcome = run();
    if (!outcome.trapped && (state().pc == kCode + 4 || state().pc == kCode + 2)) state().pc = kCode;
    return outcome;
  }

  // One of the fixed instructions, at the address that stub_va() names for the current mode.
  Outcome stub(u32 word) {
    const auto at = stubs_.find(word);
    HW_CHECK(at != stubs_.end(), "not among the stubs");
    state().pc = stub_va(state().privilege) + at->second;
    return run();
  }
  u64& stub_va(Privilege privilege) { return stub_va_[static_cast<u32>(privilege)]; }
  u64 stub_offset(u32 word) const { return stubs_.at(word); }
  // A memory access by a stub. A trap is undone, all but its effects on memory and caches.
  struct Accessed {
    Outcome outcome;
    u64 value;  // a0 afterwards
  };
  Accessed access(Op op, u64 va, u64 value = 0, u64 operand = 0) {
    x(a0) = value;
    x(a1) = va;
    x(a2) = operand;
    const HartState before = state();
    const Outcome outcome = stub(access_word(op));
    const u64 result = x(a0);
    if (outcome.trapped) {
      EXPECT_EQ(result, value) << "a trapping instruction wrote its destination";
      EXPECT_EQ(outcome.epc, stub_va(before.privilege) + stub_offset(access_word(op)));
      const u64 retired = state().retired;
      EXPECT_EQ(retired, before.retired);
      state() = before;
    }
    return {outcome, result};
  }
  // The cause of the trap that an access takes, nothing if it succeeds. The tval must be `va`.
  std::optional<Cause> fault(Op op, u64 va) {
    const Accessed accessed = access(op, va);
    if (!accessed.outcome.trapped) return std::nullopt;
    EXPECT_EQ(accessed.outcome.tval, va) << std::hex << va;
    return static_cast<Cause>(accessed.outcome.cause);
  }
  std::optional<Cause> load_fault(u64 va) { return fault(Op::lbu, va); }
  std::optional<Cause> store_fault(u64 va) { return fault(Op::sb, va); }
  // An instruction fetch: a jump there and one instruction (which the test has put there).
  std::optional<Cause> fetch_fault(u64 va) {
    const HartState before = state();
    state().pc = va;
    const Outcome outcome = run();
    state() = before;
    if (!outcome.trapped) return std::nullopt;
    EXPECT_EQ(outcome.tval, va) << std::hex << va;
    EXPECT_EQ(outcome.epc, va) << std::hex << va;
    return static_cast<Cause>(outcome.cause);
  }
  u64 loaded(Op op, u64 va) {
    const Accessed accessed = access(op, va);
    EXPECT_EQ(accessed.outcome, Outcome{}) << std::hex << va;
    return accessed.value;
  }
  void stored(Op op, u64 va, u64 value) { EXPECT_EQ(access(op, va, value).outcome, Outcome{}) << std::hex << va; }

  // CSR instructions in the current mode. False: illegal instruction, and nothing changed.
  bool csr(Op op, u32 number, u64 operand, u64& old) {
    x(a0) = 0xa0a0'a0a0'a0a0'a0a0;
    x(a1) = operand;
    return csr_word(encode_csr(op, a0, number, a1), old);
  }
  bool csr_word(u32 word, u64& old) {
    start_at(kCode, {word});
    const HartState before = state();
    const Outcome outcome = run();
    if (outcome.trapped) {
      EXPECT_EQ(outcome, (Outcome{true, static_cast<u64>(Cause::illegal_instruction), word, kCode, outcome.to}));
      state() = before;
      hart_->state_changed();
      return false;
    }
    old = x(a0);
    if (state().pc == kCode + 4) state().pc = kCode;
    return true;
  }
  bool readable(u32 number) {
    u64 old;
    return csr_word(encode_csr(Op::csrrs, a0, number, zero), old);
  }
  u64 read(u32 number) {
    u64 old = 0;
    EXPECT_TRUE(csr_word(encode_csr(Op::csrrs, a0, number, zero), old)) << std::hex << number;
    return old;
  }
  bool writable(u32 number, u64 value) {
    u64 old;
    x(a1) = value;
    return csr_word(encode_csr(Op::csrrw, zero, number, a1), old);
  }
  void write(u32 number, u64 value) { EXPECT_TRUE(writable(number, value)) << std::hex << number; }
  u64 rewritten(u32 number, u64 value) {
    write(number, value);
    return read(number);
  }

  void set_privilege(Privilege privilege) {
    state().privilege = privilege;
    hart_->state_changed();
  }

 private:
  void place_stubs() {
    std::vector<u32> words = {kNop, kEcall, kEbreak, kMret, kSret, kWfi, kFenceI};
    for (const Op op :
         {Op::lb,        Op::lh,        Op::lw,        Op::ld,        Op::lbu,      Op::lhu,      Op::lwu,
          Op::sb,        Op::sh,        Op::sw,        Op::sd,        Op::flh,      Op::flw,      Op::fld,
          Op::fsh,       Op::fsw,       Op::fsd,       Op::lr_w,      Op::lr_d,     Op::sc_w,     Op::sc_d,
          Op::amoswap_w, Op::amoadd_w,  Op::amoxor_w,  Op::amoand_w,  Op::amoor_w,  Op::amomin_w, Op::amomax_w,
          Op::amominu_w, Op::amomaxu_w, Op::amoswap_d, Op::amoadd_d,  Op::amoxor_d, Op::amoand_d, Op::amoor_d,
          Op::amomin_d,  Op::amomax_d,  Op::amominu_d, Op::amomaxu_d, Op::amocas_w, Op::amocas_d, Op::amocas_q,
          Op::cbo_inval, Op::cbo_clean, Op::cbo_flush, Op::cbo_zero})
      words.push_back(access_word(op));
    for (const Op op : {Op::sfence_vma, Op::sinval_vma}) {
      words.push_back(encode_sfence(op, zero, zero));
      words.push_back(encode_sfence(op, a1, zero));
      words.push_back(encode_sfence(op, zero, a2));
      words.push_back(encode_sfence(op, a1, a2));
    }
    for (const u32 csr : {kCsrSatp, kCsrMstatus, kCsrSstatus, kCsrMenvcfg, kCsrPmpcfg0, kCsrPmpaddr0})
      words.push_back(encode_csr(Op::csrrw, zero, csr, a1));
    for (size_t i = 0; i < words.size(); i++) stubs_[words[i]] = static_cast<u32>(4 * i);
    place(kStubs, words);
  }

  std::unique_ptr<MachineShared> shared_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<DebugPoints> points_;
  std::unique_ptr<Hart> hart_;
  std::unique_ptr<Engine> engine_;
  std::map<u32, u32> stubs_;
  u64 stub_va_[4] = {kStubs, kStubs, kStubs, kStubs};

 public:
  Bus bus;
  RegisterDevice device;
  AttentionProtocol attention;
  ManualClock clock;
};

inline const char* privilege_name(Privilege privilege) {
  return privilege == Privilege::machine ? "M" : privilege == Privilege::supervisor ? "S" : "U";
}
inline constexpr Privilege kPrivileges[] = {Privilege::user, Privilege::supervisor, Privilege::machine};

}  // namespace hartwood::test
