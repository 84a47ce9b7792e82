// SPDX-License-Identifier: Apache-2.0
// A machine of nothing but harts with RV64IM and 1 MiB of memory, behind the gdb stub and its TCP socket, so that the
// real gdb can be tried at them alone (tests/debug/gdb-fake.mjs).
//
//   hartwood_gdb_fake PROGRAM [HOST]:PORT     prints the port; PROGRAM is a flat binary
//
// All harts begin at 0x80000000 with their number in a0. ecall switches the machine off, with a0 as its exit code. One
// thread executes all harts in turn, the main one serves gdb.
#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "api/native_gdb.h"
#include "hart/eval.h"
#include "isa/csr_names.h"
#include "isa/semantics/integer.h"

namespace hartwood {
namespace {

constexpr u64 kBase = 0x8000'0000, kBytes = 1 << 20;
constexpr u32 kHarts = 2;
constexpr int kTurn = 100;  // instructions of one hart until the next one's turn

struct Toy {
  u64 x[32] = {}, f[32] = {};
  u64 pc = kBase, priv = 3;
  u64 csrs[0x1000] = {};
};

class ToyMachine;

struct ToyContext : EvalArithmetic {
  ToyMachine& machine;
  Toy& hart;
  Insn insn;
  u64 length;
  u64 next;

  ToyContext(ToyMachine& m, Toy& h, const Decoded& decoded)
      : machine(m), hart(h), insn(decoded.insn), length(decoded.length), next(h.pc + decoded.length) {}
  u64 rs1() const { return hart.x[insn.rs1]; }
  u64 rs2() const { return hart.x[insn.rs2()]; }
  u64 branch_rs2() const { return hart.x[insn.rd]; }
  u64 store_rs2() const { return hart.x[insn.rd]; }
  u64 imm() const { return static_cast<u64>(static_cast<i64>(insn.imm)); }
  u64 pc() const { return hart.pc; }
  u64 link() const { return hart.pc + length; }
  bool rd(u64 value) {
    if (insn.rd != 0) hart.x[insn.rd] = value;
    return true;
  }
  bool branch(bool condition) { return condition ? jump(hart.pc + imm()) : true; }
  bool jump(u64 to) {
    next = to;
    return true;
  }
  template <class T>
  Value load(u64 address);
  template <class T>
  bool store(u64 address, u64 value);
};

class ToyMachine final : public GdbTarget {
 public:
  explicit ToyMachine(std::vector<u8> program) : program_(std::move(program)) { reset(); }
  GdbSocket* socket = nullptr;
  int wake = -1;

  u32 hart_count() const override { return kHarts; }
  std::string hart_description(u32 hart) override { return format("M-mode, hart %u of a toy", hart); }
  bool has_csr(u32 number) const override { return csr_name(number) != nullptr && number != 0x015; }
  bool read_register(u32 hart, GdbRegister reg, u64& value) override {
    value = at(hart, reg);
    return true;
  }
  bool write_register(u32 hart, GdbRegister reg, u64 value) override {
    if (reg.kind == GdbRegister::x && reg.index == 0) return false;
    at(hart, reg) = value;
    return true;
  }
  u64 read_memory(u32, GdbSpace, u64 address, std::span<u8> to) override {
    if (address - kBase >= kBytes) return 0;
    const u64 bytes = std::min<u64>(to.size(), kBase + kBytes - address);
    std::memcpy(to.data(), &memory_[address - kBase], bytes);
    return bytes;
  }
  bool write_memory(u32, GdbSpace, u64 address, std::span<const u8> from) override {
    if (address - kBase >= kBytes || from.size() > kBase + kBytes - address) return false;
    std::memcpy(&memory_[address - kBase], from.data(), from.size());
    return true;
  }
  Status insert(u32, const GdbPoint& point) override {
    points_.push_back(point);
    return {};
  }
  Status remove(const GdbPoint& point) override {
    std::erase(points_, point);
    return {};
  }
  void resume(const std::vector<GdbResume>& harts) override {
    const std::lock_guard guard(lock_);
    plan_ = harts;
    for (bool& first : first_) first = true;
    interrupt_ = false;
    running_ = true;
    changed_.notify_all();
  }
  void interrupt() override {
    const std::lock_guard guard(lock_);
    interrupt_ = true;
  }
  void detach() override {
    points_.clear();
    if (!running_) resume(std::vector<GdbResume>(kHarts, GdbResume{GdbResume::run}));
  }
  void kill() override { end(); }
  Status restart() override {
    points_.clear();
    reset();
    return {};
  }
  Result<std::string> monitor(u32, std::string_view command) override {
    if (command == "help") return std::string("retired   instructions of all harts\n");
    if (command == "retired") return format("%llu retired\n", static_cast<unsigned long long>(retired_));
    return errorf("not known: %s", std::string(command).c_str());
  }

  // The harts' thread.
  void execute() {
    std::unique_lock guard(lock_);
    for (;;) {
      changed_.wait(guard, [this] { return running_ || ended_; });
      if (ended_) return;
      for (u32 hart = 0; hart < kHarts && running_; hart++) {
        for (int i = 0; i < kTurn && running_ && plan_[hart].action != GdbResume::stay; i++) step(hart);
      }
      if (running_ && interrupt_) stop({GdbStop::interrupted, 0});
      guard.unlock();  // whoever waits for it comes first
      std::this_thread::yield();
      guard.lock();
    }
  }
  void end() {
    const std::lock_guard guard(lock_);
    ended_ = true;
    running_ = false;
    changed_.notify_all();
    const char byte = 0;
    if (write(wake, &byte, 1) != 1) std::abort();
  }

  // From an instruction. A watchpoint stops when it is done.
  u8* access(u64 address, u64 bytes, bool writes) {
    if (address - kBase >= kBytes || bytes > kBase + kBytes - address) return nullptr;
    for (const GdbPoint& point : points_) {
      const bool wanted =
          point.kind == GdbPoint::watch_access || point.kind == (writes ? GdbPoint::watch_write : GdbPoint::watch_read);
      if (!wanted || address + bytes <= point.address || address >= point.address + point.bytes) continue;
      const GdbStop::Why why = point.kind == GdbPoint::watch_access ? GdbStop::watch_access
                               : writes                             ? GdbStop::watch_write
                                                                    : GdbStop::watch_read;
      watched_ = GdbStop{why, 0, std::max(address, point.address)};
    }
    return &memory_[address - kBase];
  }

 private:
  u64& at(u32 hart, GdbRegister reg) {
    Toy& toy = harts_[hart];
    switch (reg.kind) {
      case GdbRegister::x: return toy.x[reg.index];
      case GdbRegister::f: return toy.f[reg.index];
      case GdbRegister::csr: return toy.csrs[reg.index];
      case GdbRegister::privilege: return toy.priv;
      case GdbRegister::pc: break;
    }
    return toy.pc;
  }

  void reset() {
    memory_.assign(kBytes, 0);
    std::copy(program_.begin(), program_.end(), memory_.begin());
    for (u32 hart = 0; hart < kHarts; hart++) {
      harts_[hart] = Toy{};
      harts_[hart].x[10] = hart;
      harts_[hart].csrs[0xf14] = hart;
    }
  }

  void stop(const GdbStop& stop) {
    running_ = false;
    socket->stopped(stop);
  }

  void step(u32 number) {
    Toy& hart = harts_[number];
    for (const GdbPoint& point : points_) {
      const bool soft = point.kind == GdbPoint::software_breakpoint;
      if (first_[number] || point.address != hart.pc || (!soft && point.kind != GdbPoint::hardware_breakpoint))
        continue;
      return stop({soft ? GdbStop::breakpoint : GdbStop::hardware_breakpoint, number});
    }
    first_[number] = false;
    u32 word = 0;
    const bool there = hart.pc - kBase < kBytes - 4;
    if (there) std::memcpy(&word, &memory_[hart.pc - kBase], 4);
    const Decoded decoded = decode(word, IsaOptions{});
    ToyContext context(*this, hart, decoded);
    watched_.reset();
    if (decoded.op == Op::ecall) return stop({GdbStop::exited, number, 0, static_cast<unsigned>(hart.x[10] & 0xff)});
    if (!there || !perform(decoded.op, context)) return stop({GdbStop::terminated, number, 0, 11});
    retired_++;
    hart.pc = context.next;
    const GdbResume& plan = plan_[number];
    if (watched_) {
      watched_->hart = number;
      stop(*watched_);
    } else if (plan.action == GdbResume::step ||
               (plan.action == GdbResume::step_range && (hart.pc < plan.start || hart.pc >= plan.end))) {
      stop({GdbStop::step, number});
    }
  }

  static bool perform(Op op, ToyContext& context) {
    switch (op) {
#define TOY(name) \
  case Op::name: return semantics::name(context);
      // clang-format off
      TOY(lui) TOY(auipc) TOY(jal) TOY(jalr) TOY(beq) TOY(bne) TOY(blt) TOY(bge) TOY(bltu) TOY(bgeu)
      TOY(lb) TOY(lh) TOY(lw) TOY(ld) TOY(lbu) TOY(lhu) TOY(lwu) TOY(sb) TOY(sh) TOY(sw) TOY(sd)
      TOY(addi) TOY(slti) TOY(sltiu) TOY(xori) TOY(ori) TOY(andi) TOY(slli) TOY(srli) TOY(srai)
      TOY(add) TOY(sub) TOY(sll) TOY(slt) TOY(sltu) TOY(xor_) TOY(srl) TOY(sra) TOY(or_) TOY(and_)
      TOY(addiw) TOY(slliw) TOY(srliw) TOY(sraiw) TOY(addw) TOY(subw) TOY(sllw) TOY(srlw) TOY(sraw)
      TOY(mul) TOY(mulw) TOY(div) TOY(divu) TOY(rem) TOY(remu)
      // clang-format on
#undef TOY
                          default : return false;
    }
  }

  std::vector<u8> program_, memory_;
  Toy harts_[kHarts];
  std::vector<GdbPoint> points_;
  std::vector<GdbResume> plan_ = std::vector<GdbResume>(kHarts, GdbResume{GdbResume::run});
  bool first_[kHarts] = {};  // nothing executed since resume()
  bool running_ = true, interrupt_ = false, ended_ = false;
  std::optional<GdbStop> watched_;
  u64 retired_ = 0;
  std::mutex lock_;
  std::condition_variable changed_;
};

template <class T>
Value ToyContext::load(u64 address) {
  const u8* from = machine.access(address, sizeof(T), false);
  if (from == nullptr) return {false, 0};
  return {true, static_cast<u64>(static_cast<i64>(load_le<T>(from)))};
}
template <class T>
bool ToyContext::store(u64 address, u64 value) {
  u8* to = machine.access(address, sizeof(T), true);
  if (to != nullptr) store_le(to, static_cast<T>(value));
  return to != nullptr;
}

int run(const char* file, const char* where) {
  std::ifstream in(file, std::ios::binary);
  std::vector<u8> program((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (program.empty() || program.size() > kBytes) {
    std::fprintf(stderr, "%s: not a program\n", file);
    return 1;
  }
  ToyMachine machine(std::move(program));
  GdbSocket socket(machine);
  const Status listens = socket.listen_at(where);
  int wake[2];
  if (!listens || pipe2(wake, O_CLOEXEC) != 0) {
    std::fprintf(stderr, "%s\n", listens.message().c_str());
    return 1;
  }
  machine.socket = &socket;
  machine.wake = wake[1];
  std::printf("%u\n", socket.port());
  std::fflush(stdout);
  std::thread harts([&machine] { machine.execute(); });
  socket.serve(wake[0]);
  harts.join();
  return 0;
}

}  // namespace
}  // namespace hartwood

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hartwood_gdb_fake PROGRAM [HOST]:PORT\n");
    return 1;
  }
  return hartwood::run(argv[1], argv[2]);
}
