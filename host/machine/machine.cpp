// SPDX-License-Identifier: Apache-2.0
#include "machine/machine.h"

#include "base/bits.h"
#include "boot/board_fdt.h"
#include "boot/elf.h"
#include "devices/virt_map.h"
#include "fdt/fdt_chosen.h"

namespace hartwood {
namespace {

std::vector<ConsolePort> console_ports(ConsoleKind kind, ByteSink& output, ByteSource& input, ByteSink& agent_output,
                                       ByteSource& agent_input) {
  ConsolePort port;
  port.name = "hartwood.console";
  port.output = &output;
  port.input = kind == ConsoleKind::virtio ? &input : nullptr;
  ConsolePort agent;
  agent.name = "org.hartwood.agent.0";
  agent.console = false;
  agent.output = &agent_output;
  agent.input = &agent_input;
  agent.queue_size = 16;
  return {port, agent};
}

VmGenId::Id first_generation(EntropySource& entropy) {
  VmGenId::Id id{};
  entropy.fill(id);
  return id;
}

SatpMode satp_mode(u32 va_bits) {
  return va_bits == 39 ? SatpMode::sv39 : va_bits == 48 ? SatpMode::sv48 : SatpMode::sv57;
}

IsaOptions isa_options(const MachineConfig& config) {
  IsaOptions isa;
  isa.set(Extension::Zacas, config.zacas);
  return isa;
}

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, Platform& platform, MachineShared& shared,
                                                 Clock* clock) {
  if (config.harts < 1 || config.harts > kMaxHarts)
    return errorf("%u harts are not possible; choose 1 to %u", config.harts, kMaxHarts);
  auto memory = GuestMemory::create(config.memory_bytes);
  if (!memory) return memory.error();
  std::unique_ptr<Machine> machine(new Machine(config, platform, shared, clock));
  machine->memory_ = std::move(*memory);
  machine->debug_points_ = std::make_unique<DebugPoints>(*machine->memory_, machine->attention_);
  const Status mapped = machine->map_devices();
  if (!mapped) return mapped.error();
  return machine;
}

Machine::Machine(const MachineConfig& config, Platform& platform, MachineShared& shared, Clock* clock)
    : config_(config),
      platform_(platform),
      shared_(shared),
      attention_(shared),
      lines_(attention_),
      clock_waker_(shared),
      own_clock_(platform, shared),
      virtual_clock_(platform),
      clock_(clock != nullptr                          ? clock
             : config.clock == ClockKind::instructions ? static_cast<Clock*>(&virtual_clock_)
                                                       : &own_clock_),
      power_(attention_),
      output_(platform),
      input_(shared.console_room),
      agent_output_(shared.agent_output),
      entropy_(platform.entropy()),
      isa_(isa_options(config)),
      aclint_(config.harts, lines_, *clock_, clock_waker_),
      plic_(config.harts, lines_),
      syscon_(power_),
      uart_(InterruptLine(plic_, virt::kUartIrq), &output_, config.console == ConsoleKind::uart ? &input_ : nullptr),
      rtc_(*clock_, InterruptLine(plic_, virt::kRtcIrq), clock_waker_),
      vmgenid_(InterruptLine(plic_, virt::kVmGenIdIrq), first_generation(entropy_)),
      console_(console_ports(config.console, output_, input_, agent_output_, agent_input_)),
      rng_(entropy_),
      firmware_power_(power_),
      firmware_console_(output_, config.console == ConsoleKind::sbi ? &input_ : nullptr) {
  virtual_clock_.follow(this);
  shared.hart_count.store(config.harts);
  for (HartShared& hart : shared.harts) {
    hart.mtimecmp.store(~u64{0});
    hart.deadline.store(~u64{0});
    hart.hsm_state.store(kHsmStopped);
    hart.park.store(kParked);
  }
  shared.clock_deadline.store(~u64{0});
}

Machine::~Machine() = default;

Status Machine::map_devices() {
  struct Entry {
    u64 base, size;
    MmioDevice* device;
    const char* name;
  };
  const Entry entries[] = {
      {virt::kSysconBase, virt::kSysconBytes, &syscon_, "syscon"},
      {virt::kRtcBase, virt::kRtcBytes, &rtc_, "rtc"},
      {virt::kAclintBase, virt::kAclintBytes, &aclint_, "aclint"},
      {virt::kPlicBase, virt::kPlicBytes, &plic_, "plic"},
      {virt::kUartBase, virt::kUartBytes, &uart_, "uart"},
      {virt::kVmGenIdBase, virt::kVmGenIdBytes, &vmgenid_, "vmgenid"},
  };
  for (const Entry& entry : entries) {
    const Status status = bus_.map(entry.base, entry.size, *entry.device, entry.name);
    if (!status) return status;
  }
  return {};
}

Status Machine::add_disk(std::unique_ptr<BlockBackend> backend) {
  if (booted_) return Error{"disks must be added before the machine boots"};
  if (blocks_.size() >= kMaxDisks) return errorf("a machine has at most %u disks", kMaxDisks);
  BlockOptions options;
  options.queues = config_.harts;
  options.serial = format("hartwood-%u", static_cast<unsigned>(blocks_.size()));
  blocks_.push_back(std::make_unique<VirtioBlock>(*backend, options));
  disks_.push_back(std::move(backend));
  return {};
}

std::vector<std::string> Machine::isa_extensions() const {
  // In the order of an ISA string [unpriv: ISA Extension Naming Conventions].
  std::vector<std::string> list = {"i",      "m",      "a",      "f",     "d",        "c",           "zicbom", "zicbop",
                                   "zicboz", "zicntr", "zicond", "zicsr", "zifencei", "zihintpause", "zihpm"};
  if (isa_.has(Extension::Zacas)) list.push_back("zacas");
  for (const char* name : {"zawrs", "zfa", "zfh", "zfhmin", "zba", "zbb", "zbc", "zbs", "sstc"}) list.push_back(name);
  if (config_.svadu) list.push_back("svadu");
  for (const char* name : {"svinval", "svnapot", "svpbmt"}) list.push_back(name);
  return list;
}

// Slots in the order that the guest finds them: console, disks, entropy.
Status Machine::attach_devices() {
  std::vector<VirtioDevice*> devices = {&console_};
  for (auto& block : blocks_) devices.push_back(block.get());
  devices.push_back(&rng_);
  for (u32 slot = 0; slot < virt::kVirtioSlots; slot++) {
    VirtioDevice* device = slot < devices.size() ? devices[slot] : nullptr;
    slots_.push_back(
        std::make_unique<VirtioMmio>(*memory_, device, InterruptLine(plic_, virt::virtio_irq(slot)), &platform_.log()));
    const Status status = bus_.map(virt::virtio_base(slot), virt::kVirtioBytes, *slots_.back(), "virtio");
    if (!status) return status;
  }
  return {};
}

Status Machine::attach_rom(std::vector<u8> bytes) {
  rom_ = std::make_unique<BootRom>(std::move(bytes));
  return bus_.map(kBootRomBase.value, kPageBytes, *rom_, "boot rom");
}

void Machine::attach_firmware() {
  sbi_ = std::make_unique<Sbi>(*memory_, config_.harts, firmware_power_, firmware_console_);
}

void Machine::attach_htif(Pa tohost, Pa fromhost) {
  htif_ = std::make_unique<Htif>(*memory_, power_, output_);
  htif_->set_mailboxes(tohost, fromhost);
  tohost_ = tohost;
  // Stores to it must be seen: its page stays out of the write TLBs.
  if (memory_->contains(tohost_, 8))
    memory_->set_page_state(memory_->offset_of(tohost_) >> kPageShift, kPageWatchWrite);
}

Result<std::vector<u8>> Machine::device_tree(const BootFiles& files, const Placement& plan) {
  std::vector<u8> seed(64);
  seed.resize(entropy_.fill(seed));
  if (!files.device_tree.empty()) {
    auto tree = FdtReader::parse(files.device_tree);
    if (!tree) return tree.error();
    const Status fits = check_device_tree(*tree, {Pa(kRamBase), memory_->size()}, config_.harts);
    if (!fits) return fits.error();
    FdtChosen chosen;
    if (!config_.append.empty()) chosen.bootargs = config_.append;
    if (!plan.initrd.empty()) chosen.initrd = FdtInitrd{plan.initrd.start.value, plan.initrd.end().value};
    return fdt_with_chosen(*tree, chosen);
  }
  BoardDescription board;
  board.harts = config_.harts;
  board.timebase_hz = Clock::kTicksPerSecond;
  board.isa_extensions = isa_extensions();
  board.va_bits = config_.va_bits;
  board.memory = {Pa(kRamBase), memory_->size()};
  board.machine_mode = plan.machine_mode();
  if (plan.machine_mode()) board.clint = PaRange{Pa(virt::kAclintBase), virt::kAclintBytes};
  board.plic = PaRange{Pa(virt::kPlicBase), virt::kPlicBytes};
  board.plic_sources = virt::kPlicSources - 1;
  board.uart = BoardDevice{{Pa(virt::kUartBase), virt::kUartBytes}, virt::kUartIrq};
  board.rtc = BoardDevice{{Pa(virt::kRtcBase), virt::kRtcBytes}, virt::kRtcIrq};
  board.vmgenid = BoardDevice{{Pa(virt::kVmGenIdBase), virt::kVmGenIdBytes}, virt::kVmGenIdIrq};
  board.test = PaRange{Pa(virt::kSysconBase), virt::kSysconBytes};
  for (u32 slot = 0; slot < slots_.size(); slot++)
    board.virtio_mmio.push_back({{Pa(virt::virtio_base(slot)), virt::kVirtioBytes}, virt::virtio_irq(slot)});
  board.bootargs = config_.append;
  board.initrd = plan.initrd;
  board.rng_seed = std::move(seed);
  return build_device_tree(board);
}

Status Machine::boot(const BootFiles& files) {
  if (booted_) return Error{"the machine has been booted already; make a new one"};
  BootRequest request;
  request.ram_bytes = memory_->size();
  request.mode = config_.firmware == FirmwareKind::built_in ? BootMode::built_in
                 : config_.firmware == FirmwareKind::file   ? BootMode::firmware
                                                            : BootMode::bare;
  request.kernel = files.kernel;
  request.initrd = files.initrd;
  request.firmware = files.firmware;
  auto plan = plan_boot(request);
  if (!plan) return plan.error();

  const Status attached = attach_devices();
  if (!attached) return attached;
  auto tree = device_tree(files, *plan);
  if (!tree) return tree.error();
  const Status loaded = load_boot(*memory_, request, *plan, *tree);
  if (!loaded) return loaded;

  if (plan->machine_mode()) {
    const Status status = attach_rom(boot_rom_for(*plan));
    if (!status) return status;
  } else {
    attach_firmware();
  }
  if (plan->mode == BootMode::bare) {
    auto image = parse_elf(files.kernel);
    auto symbols = SymbolTable::read(files.kernel);
    if (image && symbols) {
      auto mailboxes = find_htif(*image, plan->kernel_bias, *symbols);
      if (!mailboxes) return mailboxes.error();
      if (mailboxes->has_value()) attach_htif((*mailboxes)->tohost, (*mailboxes)->fromhost.value_or(Pa(0)));
    }
  }
  make_harts();
  reset_harts(*plan);
  booted_ = true;
  return {};
}

void Machine::enable_compiler(u32 first_slot) {
  compiler_tier_ = std::make_unique<CompilerTier>(*memory_, config_.harts, isa_, first_slot, shared_.compiler);
}

void Machine::make_harts() {
  for (u32 i = 0; i < config_.harts; i++) {
    HartOptions options;
    options.id = i;
    options.isa = isa_;
    options.largest_mode = satp_mode(config_.va_bits);
    options.tohost_pa = tohost_.value;
    // Compiled code ends with its slice, and begins anew behind it. With virtual time an execution must not depend on
    // whether there is any.
    const bool virtual_time = clock_ == &virtual_clock_;
    if (compiler_tier_ || virtual_time) options.slice = 32768;
    HartParts parts{*memory_, bus_, attention_, *clock_, sbi_.get(), tracer_, htif_.get()};
    parts.debug = debug_points_.get();
    if (virtual_time) parts.virtual_time = &virtual_clock_;
    harts_.push_back(std::make_unique<Hart>(options, parts));
    if (compiler_tier_)
      compiler_tier_->add_hart(*harts_.back(), config_.compiler_visits, config_.compiler_after, config_.compiler_eager);
  }
}

void Machine::reset_harts(const Placement& plan) {
  for (u32 i = 0; i < config_.harts; i++) {
    HartState& state = harts_[i]->state();
    state.pc = plan.entry.value;
    state.x[10] = i;
    state.x[11] = plan.device_tree.start.value;
    if (plan.machine_mode()) {
      // What the boot ROM leaves in the registers.
      const u64 info = rom_ ? kBootRomBase.value + 0x28 : 0;
      state.x[5] = plan.entry.value;
      state.x[12] = plan.mode == BootMode::firmware ? info : 0;
      shared_.harts[i].hsm_state.store(kHsmStarted);
    } else {
      // What firmware sets before it starts a kernel. Only hart 0 runs; the kernel starts the others.
      state.privilege = Privilege::supervisor;
      state.medeleg = 0xb1ff;  // everything but environment calls from S-mode
      state.mideleg = u64{1} << kSsi | u64{1} << kSti | u64{1} << kSei;
      state.mcounteren = 7;
      state.scounteren = 7;
      state.menvcfg = envcfg::kStce | envcfg::kPbmte | (config_.svadu ? envcfg::kAdue : 0) | envcfg::kCbie |
                      envcfg::kCbcfe | envcfg::kCbze;
      state.pmpcfg[0] = 0x1f;  // all of memory, RWX
      state.pmpaddr[0] = (u64{1} << 54) - 1;
      shared_.harts[i].hsm_state.store(i == 0 ? kHsmStarted : kHsmStopped);
    }
    harts_[i]->state_changed();
  }
}

// ------------------------------------------------------------------------------------------------------------- clock

void Machine::run_clock() {
  if (clock_ == &virtual_clock_) return;  // the hart watches its deadlines itself
  for (;;) {
    // First the word, then what it announces: a change that comes later changes the word again.
    const u32 seen = shared_.clock_word.load();
    if (shared_.power.load() != kPowerOn || clock_stop_.load() != 0) return;
    const u64 now = clock_->ticks();
    u64 earliest = ~u64{0};
    for (u32 i = 0; i < config_.harts; i++) {
      HartShared& hart = shared_.harts[i];
      u64 deadline = hart.deadline.load();
      if (deadline <= now) {
        // The hart stores a new deadline when it has looked; if it did so already, the exchange leaves it alone.
        if (hart.deadline.compare_exchange(deadline, ~u64{0})) attention_.post(i, kAttentionTimer);
        deadline = hart.deadline.load();
      }
      if (deadline < earliest) earliest = deadline;
    }
    const u64 alarm = rtc_.poll();
    // Pairs with Hart::arm_deadline: it stores its deadline, then compares with this one.
    shared_.clock_deadline.store(earliest);
    i64 timeout_ns = -1;
    if (earliest != ~u64{0}) {
      const u64 ticks = earliest > now ? earliest - now : 0;
      constexpr u64 kLongest = 3600 * Clock::kTicksPerSecond;
      timeout_ns = static_cast<i64>((ticks < kLongest ? ticks : kLongest) * MachineClock::kNanosecondsPerTick);
    }
    if (alarm != GoldfishRtc::kNoAlarm) {
      // By the host's wall clock, which may be set, and which runs on while the host is suspended: we sleep by another
      // one, so we look now and then.
      constexpr u64 kLongest = u64{60} * 1'000'000'000;
      const u64 wall = clock_->unix_nanoseconds();
      const u64 left = alarm > wall ? alarm - wall : 0;
      const i64 alarm_ns = static_cast<i64>(left < kLongest ? left : kLongest);
      if (timeout_ns < 0 || alarm_ns < timeout_ns) timeout_ns = alarm_ns;
    }
    if (timeout_ns == 0) continue;
    // A deadline stored between our look and the store of clock_deadline was compared with the old value.
    bool again = false;
    for (u32 i = 0; i < config_.harts; i++) again |= shared_.harts[i].deadline.load() < earliest;
    if (!again) shared_.clock_word.wait(seen, timeout_ns);
  }
}

void Machine::stop_clock() {
  clock_stop_.store(1);
  clock_waker_.deadlines_changed();
}

// ----------------------------------------------------------------------------------------------------------- console

u32 Machine::console_input(std::span<const u8> bytes) {
  const u32 taken = input_.write(bytes);
  switch (config_.console) {
    case ConsoleKind::virtio: console_.poll_input(0); break;
    case ConsoleKind::uart: uart_.poll_input(); break;
    case ConsoleKind::sbi: break;  // the guest asks
  }
  return taken;
}

void Machine::console_resize(u16 columns, u16 rows) { console_.resize(0, columns, rows); }

void Machine::console_drained() {
  console_.pump(0);
  uart_.pump();
}

bool Machine::agent_send(std::string_view line) {
  if (line.find('\n') != std::string_view::npos || !booted_) return false;
  if (!console_.guest_open(kAgentPort)) {
    agent_input_.clear();  // what an agent that has ended left behind is not for the next one
    return false;
  }
  const bool taken = agent_input_.add(line);
  console_.poll_input(kAgentPort);
  return taken;
}

Status Machine::renew_generation() {
  VmGenId::Id id{};
  if (entropy_.fill(id) != id.size()) return Error{"there is no entropy for a new generation of the machine"};
  vmgenid_.renew(id);
  return {};
}

void Machine::stop_all() {
  stop_clock();
  for (u32 i = 0; i < config_.harts; i++) attention_.post(i, kAttentionStop);
}
void Machine::resume_all() {
  // Deadlines that passed meanwhile are found by the harts and by run_clock() when they start.
  resume_clock();
  for (u32 i = 0; i < config_.harts; i++) attention_.take(i, kAttentionStop);
}

bool Machine::commit_debug_points() {
  if (!debug_points_->commit()) return false;
  if (compiler_tier_) compiler_tier_->registry().forget_left_out();
  drop_caches();
  return true;
}

void Machine::drop_caches() {
  for (u32 i = 0; i < config_.harts; i++) shared_.harts[i].park.store(kParkedMustFlush);
}

u64 Machine::retired() const {
  u64 sum = 0;
  for (const auto& hart : harts_) sum += hart->state().retired;
  return sum;
}

u64 Machine::ram_hash() const {
  // A multiply-and-rotate hash of RAM in 8-byte words; zero words, most of RAM, cost one comparison.
  u64 hash = 0x9e37'79b9'7f4a'7c15;
  const u8* ram = memory_->ram();
  for (u64 at = 0; at < memory_->size(); at += 8) {
    const u64 word = load_le<u64>(ram + at);
    if (word == 0) continue;
    hash = std::rotl((hash ^ word ^ at) * 0xff51'afd7'ed55'8ccd, 29);
  }
  return hash;
}

}  // namespace hartwood
