// SPDX-License-Identifier: Apache-2.0
#include "machine/debug_target.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "hart/page_walk.h"

namespace hartwood {
namespace {

// A range that does not end would keep whoever serves gdb: gdb asks again.
constexpr u32 kMostSteps = 100'000;

constexpr u32 kSigTrap = 5;

// Reads and writes of CSRs see what M-mode sees, floating point included.
class AsMachineMode {
 public:
  explicit AsMachineMode(HartState& state) : state_(state), privilege_(state.privilege), mstatus_(state.mstatus) {
    state.privilege = Privilege::machine;
    state.mstatus |= mstatus::kFs;
  }
  ~AsMachineMode() { state_.privilege = privilege_; }
  // The FS field as it was, whatever else was written.
  void restore_fs() { state_.mstatus = (state_.mstatus & ~mstatus::kFs) | (mstatus_ & mstatus::kFs); }

 private:
  HartState& state_;
  Privilege privilege_;
  u64 mstatus_;
};

std::string help_of(HartControl& control) {
  const Result<std::string> text = control.command("help");
  return text.ok() ? *text : std::string();
}

const char* mode_name(Privilege privilege) {
  return privilege == Privilege::user ? "U-mode" : privilege == Privilege::supervisor ? "S-mode" : "M-mode";
}

}  // namespace

void MachineDebugTarget::set_machine(Machine& machine) {
  machine_ = &machine;
  last_hart_ = 0;
  told_end_ = false;
  const std::vector<Inserted> before = std::exchange(inserted_, {});
  for (const Inserted& each : before) (void)insert(0, each.point);  // they were possible before
  machine.commit_debug_points();
  machine.debug_points().ignore_devices(true);
}

GdbStop MachineDebugTarget::words_of(const DebugStop& stop) const {
  GdbStop words;
  words.hart = stop.hart == DebugStop::kNoHart ? last_hart_ : stop.hart;
  words.address = stop.address;
  words.why = GdbStop::breakpoint;
  for (const Inserted& each : inserted_) {
    if (each.id != stop.id) continue;
    switch (each.point.kind) {
      case GdbPoint::software_breakpoint: words.why = GdbStop::breakpoint; break;
      case GdbPoint::hardware_breakpoint: words.why = GdbStop::hardware_breakpoint; break;
      case GdbPoint::watch_write: words.why = GdbStop::watch_write; break;
      case GdbPoint::watch_read: words.why = GdbStop::watch_read; break;
      case GdbPoint::watch_access: words.why = GdbStop::watch_access; break;
    }
  }
  return words;
}

bool MachineDebugTarget::stood_still() {
  GdbStop stop;
  stop.hart = last_hart_;
  stop.why = GdbStop::interrupted;
  // Others say so: ended(), resume().
  if (machine_->shared().power.load() != kPowerOn || stepping_) return true;
  if (const std::optional<DebugStop> met = machine_->debug_points().take_stop()) {
    stop = words_of(*met);
    // Others may have met something at the same time. They have not executed it, or say nothing of it.
    while (machine_->debug_points().take_stop()) {
    }
  } else if (!interrupting_.load()) {
    return false;
  }
  interrupting_ = false;
  last_hart_ = stop.hart;
  machine_->debug_points().ignore_devices(true);
  tell(stop);
  return true;
}

void MachineDebugTarget::ended() {
  if (std::exchange(told_end_, true)) return;
  GdbStop stop;
  stop.hart = last_hart_;
  const bool crashed = machine_->shared().power.load() == kPowerCrashed;
  stop.why = crashed ? GdbStop::terminated : GdbStop::exited;
  stop.code = crashed ? kSigTrap : machine_->shared().exit_code.load() & 0xff;
  tell(stop);
}

std::string MachineDebugTarget::hart_description(u32 hart) {
  Hart& of = machine_->hart(hart);
  const char* doing = "runs";
  switch (of.shared().hsm_state.load()) {
    case kHsmStarted: doing = of.waiting() ? "waits for an interrupt" : "runs"; break;
    case kHsmSuspended: doing = "suspended"; break;
    case kHsmStartPending: doing = "starts"; break;
    default: doing = "stopped"; break;
  }
  return format("hart %u, %s, %s", hart, mode_name(of.state().privilege), doing);
}

bool MachineDebugTarget::has_csr(u32 number) const {
  Hart& hart = machine_->hart(0);
  AsMachineMode mode(hart.state());
  u64 value;
  const bool has = hart.read_csr(number, value);
  mode.restore_fs();
  return has;
}

bool MachineDebugTarget::read_register(u32 hart, GdbRegister reg, u64& value) {
  HartState& state = machine_->hart(hart).state();
  switch (reg.kind) {
    case GdbRegister::x: value = state.x[reg.index]; return true;
    case GdbRegister::pc: value = state.pc; return true;
    case GdbRegister::f: value = state.f[reg.index]; return true;
    case GdbRegister::privilege: value = static_cast<u64>(state.privilege); return true;
    case GdbRegister::csr: {
      AsMachineMode mode(state);
      const bool is_status = reg.index == kCsrMstatus || reg.index == kCsrSstatus;
      if (is_status) mode.restore_fs();
      const bool read = machine_->hart(hart).read_csr(reg.index, value);
      mode.restore_fs();
      return read;
    }
  }
  return false;
}

bool MachineDebugTarget::write_register(u32 hart, GdbRegister reg, u64 value) {
  Hart& of = machine_->hart(hart);
  HartState& state = of.state();
  switch (reg.kind) {
    case GdbRegister::x:
      if (reg.index != 0) state.x[reg.index] = value;
      break;
    case GdbRegister::pc: state.pc = value & ~u64{1}; break;
    case GdbRegister::f:
      state.f[reg.index] = value;
      state.mstatus |= mstatus::kFs;
      break;
    case GdbRegister::privilege:
      if (value != 0 && value != 1 && value != 3) return false;
      state.privilege = static_cast<Privilege>(value);
      break;
    case GdbRegister::csr: {
      AsMachineMode mode(state);
      if (!of.write_csr(reg.index, value)) {
        mode.restore_fs();
        return false;
      }
      if (reg.index != kCsrMstatus && reg.index != kCsrSstatus) mode.restore_fs();
      break;
    }
  }
  const bool waited = of.waiting() && reg.kind != GdbRegister::pc;
  of.state_changed();
  of.set_waiting(waited);
  return true;
}

u64 MachineDebugTarget::read_memory(u32 hart, GdbSpace space, u64 address, std::span<u8> to) {
  const GuestMemory& memory = machine_->memory();
  const u64 satp = space == GdbSpace::virtual_memory ? machine_->hart(hart).data_space() : 0;
  for (u64 done = 0; done < to.size();) {
    const u64 piece = std::min<u64>(to.size() - done, kPageBytes - ((address + done) & kPageMask));
    const std::optional<Pa> pa = page_walk(memory, satp, address + done).pa;
    if (!pa || !memory.read(*pa, to.subspan(done, piece))) return done;
    done += piece;
  }
  return to.size();
}

bool MachineDebugTarget::write_memory(u32 hart, GdbSpace space, u64 address, std::span<const u8> from) {
  GuestMemory& memory = machine_->memory();
  const u64 satp = space == GdbSpace::virtual_memory ? machine_->hart(hart).data_space() : 0;
  for (u64 done = 0; done < from.size();) {
    const u64 piece = std::min<u64>(from.size() - done, kPageBytes - ((address + done) & kPageMask));
    const std::optional<Pa> pa = page_walk(memory, satp, address + done).pa;
    if (!pa || !memory.write(*pa, from.subspan(done, piece))) return false;
    done += piece;
  }
  // It may have been code, or a page table.
  machine_->drop_caches();
  return true;
}

Status MachineDebugTarget::insert(u32, const GdbPoint& point) {
  DebugPoints& points = machine_->debug_points();
  const u32 id = next_id_++;
  Status added;
  if (point.kind == GdbPoint::software_breakpoint || point.kind == GdbPoint::hardware_breakpoint) {
    Breakpoint breakpoint;
    breakpoint.id = id;
    breakpoint.va = point.address;
    added = points.add(breakpoint);
  } else {
    Watchpoint watchpoint;
    watchpoint.id = id;
    watchpoint.address = point.address;
    watchpoint.bytes = point.bytes;
    watchpoint.reads = point.kind != GdbPoint::watch_write;
    watchpoint.writes = point.kind != GdbPoint::watch_read;
    added = points.add(watchpoint);
  }
  if (added) inserted_.push_back({point, id});
  return added;
}

Status MachineDebugTarget::remove(const GdbPoint& point) {
  const auto at = std::ranges::find(inserted_, point, &Inserted::point);
  if (at == inserted_.end()) return Error{"there is no such point"};
  machine_->debug_points().remove(at->id);
  inserted_.erase(at);
  return {};
}

// One instruction, or those of a range. False: something was met, or the hart cannot go on.
bool MachineDebugTarget::step(u32 hart, const GdbResume& how) {
  Hart& of = machine_->hart(hart);
  for (u32 i = 0; i < kMostSteps; i++) {
    if (of.step(1) != 1) return false;
    if (how.action == GdbResume::step) return true;
    if (of.state().pc - how.start >= how.end - how.start) return true;
  }
  return true;
}

void MachineDebugTarget::let_run(const std::vector<bool>& harts) {
  machine_->debug_points().ignore_devices(false);
  control_.run(harts);
}

void MachineDebugTarget::resume(const std::vector<GdbResume>& harts) {
  machine_->commit_debug_points();
  std::vector<bool> running(harts.size());
  bool others = false, steps = false;
  for (u32 i = 0; i < harts.size(); i++) {
    running[i] = harts[i].action == GdbResume::run;
    others |= running[i];
    steps |= harts[i].action == GdbResume::step || harts[i].action == GdbResume::step_range;
  }
  if (!steps) {
    let_run(running);
    return;
  }
  machine_->debug_points().ignore_devices(false);
  stepping_ = true;
  if (others) control_.run(running);
  u32 stepped = last_hart_;
  for (u32 i = 0; i < harts.size(); i++) {
    if (harts[i].action != GdbResume::step && harts[i].action != GdbResume::step_range) continue;
    stepped = i;
    step(i, harts[i]);
  }
  if (others) control_.stop_and_wait();
  stepping_ = false;
  machine_->debug_points().ignore_devices(true);
  if (machine_->shared().power.load() != kPowerOn) {
    ended();
    return;
  }
  GdbStop stop;
  stop.hart = stepped;
  stop.why = GdbStop::step;
  if (const std::optional<DebugStop> met = machine_->debug_points().take_stop()) {
    stop = words_of(*met);
    while (machine_->debug_points().take_stop()) {
    }
  }
  last_hart_ = stop.hart;
  interrupting_ = false;
  tell(stop);
}

void MachineDebugTarget::interrupt() {
  interrupting_ = true;
  control_.stop();
}

void MachineDebugTarget::detach() {
  interrupting_ = false;
  control_.stop_and_wait();
  for (const Inserted& each : inserted_) machine_->debug_points().remove(each.id);
  inserted_.clear();
  machine_->commit_debug_points();
  while (machine_->debug_points().take_stop()) {
  }
  let_run(std::vector<bool>(machine_->hart_count(), true));
}

void MachineDebugTarget::kill() { control_.kill(); }

Status MachineDebugTarget::restart() {
  inserted_.clear();
  return control_.restart();
}

std::string MachineDebugTarget::walk_text(u32 hart, u64 va) const {
  const u64 satp = machine_->hart(hart).data_space();
  const PageWalk walk = page_walk(machine_->memory(), satp, va);
  std::string text =
      format("0x%llx, satp 0x%llx\n", static_cast<unsigned long long>(va), static_cast<unsigned long long>(satp));
  for (u32 i = 0; i < walk.steps; i++) {
    const PageWalk::Step& step = walk.step[i];
    text += format("level %u  [0x%llx] = 0x%016llx  ", walk.levels - 1 - i,
                   static_cast<unsigned long long>(step.address.value), static_cast<unsigned long long>(step.entry));
    constexpr char kBits[] = "VRWXUGAD";
    for (u32 bit = 8; bit-- > 0;) text += step.entry >> bit & 1 ? kBits[bit] : '-';
    text += '\n';
  }
  if (!walk.pa) return text + "not mapped: " + walk.why + "\n";
  return text + format("physical 0x%llx, page of 0x%llx bytes\n", static_cast<unsigned long long>(walk.pa->value),
                       static_cast<unsigned long long>(walk.region_bytes));
}

std::string MachineDebugTarget::state_text() const {
  std::string text;
  for (u32 i = 0; i < machine_->hart_count(); i++) {
    Hart& hart = machine_->hart(i);
    text += format("hart %u: %s, pc 0x%llx, satp 0x%llx, %llu instructions, %llu traps, mip 0x%llx, HSM state %u%s\n",
                   i, mode_name(hart.state().privilege), static_cast<unsigned long long>(hart.state().pc),
                   static_cast<unsigned long long>(hart.state().satp),
                   static_cast<unsigned long long>(hart.state().retired), static_cast<unsigned long long>(hart.traps()),
                   static_cast<unsigned long long>(hart.mip()), hart.shared().hsm_state.load(),
                   hart.waiting() ? ", waits for an interrupt" : "");
  }
  text += format("clock: %llu ticks of 100 ns\n", static_cast<unsigned long long>(machine_->clock().ticks()));
  for (u32 i = 0; i < machine_->disk_count(); i++)
    text += format("disk %u: %llu bytes\n", i, static_cast<unsigned long long>(machine_->disk(i).backend().size()));
  if (CompilerTier* const tier = machine_->compiler_tier(); tier != nullptr) {
    const CompilerStatistics& compiler = machine_->shared().compiler;
    text +=
        format("compiler: %u modules, %u regions\n", compiler.modules_live.load(), compiler.regions_compiled.load());
  }
  for (const Breakpoint& point : machine_->debug_points().breakpoints())
    text += format("breakpoint at 0x%llx\n", static_cast<unsigned long long>(point.va));
  for (const Watchpoint& point : machine_->debug_points().watchpoints())
    text += format("watchpoint at %s0x%llx, %llu bytes,%s%s\n", point.physical ? "physical " : "",
                   static_cast<unsigned long long>(point.address), static_cast<unsigned long long>(point.bytes),
                   point.reads ? " reads" : "", point.writes ? " writes" : "");
  return text;
}

Result<std::string> MachineDebugTarget::monitor(u32 hart, std::string_view command) {
  const size_t space = command.find(' ');
  const std::string name(command.substr(0, space));
  const std::string rest(space == std::string_view::npos ? "" : command.substr(space + 1));
  if (name == "help" || name.empty()) {
    return std::string(
               "walk ADDRESS   every level of the page tables of the chosen hart\n"
               "state          harts, clock, disks, compiler, points\n"
               "physical on|off  memory commands take physical addresses\n") +
           help_of(control_);
  }
  if (name == "walk") {
    char* end = nullptr;
    const u64 va = std::strtoull(rest.c_str(), &end, 0);
    if (rest.empty() || *end != 0) return Error{"walk takes an address, such as 0xffffffff80000000"};
    return walk_text(hart, va);
  }
  if (name == "state") return state_text();
  return control_.command(command);
}

}  // namespace hartwood
