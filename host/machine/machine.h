// SPDX-License-Identifier: Apache-2.0
// The one place where the parts meet. A Machine is made from a configuration, given its files, booted once, and then
// run by the embedder's threads: one calls run_hart(i) for each hart, one run_clock(). Everything else may be called
// from any thread except where it says otherwise.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "boot/boot_plan.h"
#include "boot/elf_symbols.h"
#include "devices/aclint.h"
#include "devices/goldfish_rtc.h"
#include "devices/plic.h"
#include "devices/syscon.h"
#include "devices/uart16550.h"
#include "devices/virtio/block.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/rng.h"
#include "devices/vmgenid.h"
#include "hart/hart.h"
#include "machine/compiler_tier.h"
#include "machine/config.h"
#include "machine/parts.h"
#include "machine/snapshot_format.h"
#include "sbi/sbi.h"

namespace hartwood {

struct BootFiles {
  std::span<const u8> kernel;
  std::span<const u8> initrd;
  std::span<const u8> firmware;
  std::span<const u8> device_tree;  // empty: built from the configuration
};

class Machine {
 public:
  // `shared` outlives the machine and was default-constructed. `clock` null: what the configuration says.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, Platform& platform, MachineShared& shared,
                                                 Clock* clock = nullptr);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Before boot(). At most kMaxDisks, in the order of /dev/vda, vdb ...
  Status add_disk(std::unique_ptr<BlockBackend> backend);
  size_t disk_count() const { return disks_.size(); }
  void set_tracer(Tracer* tracer) { tracer_ = tracer; }

  // Places the files and the device tree and sets the harts to their first instruction. Once, on one thread.
  Status boot(const BootFiles& files);
  // Instead of boot(): the machine that was saved, in every register. The content of RAM and disks is not part of it
  // (machine/snapshot_reader.h). The clock stands still until thaw(). After an error the machine is of no use.
  Status restore(std::span<const u8> state);
  // What restore() takes. While no hart runs, nor the clock, nor anybody else calls the machine.
  std::vector<u8> save_state();

  // After boot().
  Hart& hart(u32 index) { return *harts_[index]; }
  u32 hart_count() const { return config_.harts; }
  Hart::Exit run_hart(u32 index, u64 budget) { return harts_[index]->run(budget); }
  // Sets timer bits when deadlines pass and fires the alarm, until the machine ends or stop_clock() or stop_all().
  void run_clock();
  void stop_clock();
  // run_clock() has returned and may be called again.
  void resume_clock() { clock_stop_.store(0); }

  // Console. Input returns the number of bytes taken.
  u32 console_input(std::span<const u8> bytes);
  void console_resize(u16 columns, u16 rows);
  // The output sink has room again.
  void console_drained();

  // The guest's agent (kernel/initramfs/agent.c). A line for it, without its end: taken whole, or not at all where no
  // agent listens or too many lines wait. Its answers go to the sink set here, which is called with a device's lock
  // held and from any hart's thread, or else to MachineShared::agent_output.
  static constexpr u32 kAgentPort = 1;  // of the virtio console
  bool agent_send(std::string_view line);
  void set_agent_output(ByteSink* sink) { agent_output_.set_sink(sink); }  // before boot()

  // Another generation of the machine, as after it was restored from a snapshot: a new id, and an interrupt that tells
  // the guest of it. Fails if there is no entropy.
  Status renew_generation();

  // A pause: every hart leaves run() with Exit::stopped, and the clock's thread leaves run_clock(). Time runs on.
  void stop_all();
  // After all of them have left: they may be run again, the clock too.
  void resume_all();
  // While all harts are out of run(): the guest's time stands still from freeze() to thaw(). With `follow` its wall
  // clock (the RTC) goes on with the host's, as a computer's does while it is suspended; else it goes on where it
  // stood. Without effect on virtual time, which stands still anyway.
  // `since_ns`: the platform's time from which on it has stood still, if that is earlier than now.
  void freeze(u64 since_ns = ~u64{0}) { own_clock_.freeze(since_ns); }
  void thaw(bool follow);
  // After thaw(): with `follow` has the guest's agent set its clock. May wait for guest memory that is still on its
  // way.
  void tell_agent_time(bool follow);
  // The snapshot that dirty pages are dirty with respect to; zero: none.
  const SnapshotId& last_snapshot() const { return last_snapshot_; }
  // The machine has just been saved as, or restored from, this one. As save_state().
  void note_snapshot(const SnapshotId& id);
  // From the platform's entropy; where that repeats, from the state.
  SnapshotId new_snapshot_id(std::span<const u8> state);
  // Breakpoints and watchpoints. Changed while all harts are out of run(), and then committed: true if there was
  // something to commit.
  DebugPoints& debug_points() { return *debug_points_; }
  bool commit_debug_points();
  // While all harts are out of run(): each of them forgets everything that it caches before it runs again, as after a
  // debugger has written into code or page tables.
  void drop_caches();
  PowerSwitch& power() { return power_; }
  MachineShared& shared() { return shared_; }
  GuestMemory& memory() { return *memory_; }
  // In the order of /dev/vda ...
  VirtioBlock& disk(u32 index) { return *blocks_[index]; }
  bool booted() const { return booted_; }
  AttentionProtocol& attention() { return attention_; }
  Clock& clock() { return *clock_; }
  // Null unless the machine's time is its own harts' instructions.
  VirtualClock* virtual_clock() { return clock_ == &virtual_clock_ ? &virtual_clock_ : nullptr; }
  const MachineConfig& config() const { return config_; }
  // Null where the configuration wants no compiler.
  CompilerTier* compiler_tier() { return compiler_tier_.get(); }
  // Before boot(); where the configuration wants a compiler. `first_slot`: of the function table, for translated code.
  void enable_compiler(u32 first_slot);
  // Registers, devices and RAM as a number: two runs of the same execution agree.
  u64 ram_hash() const;
  u64 retired() const;

 private:
  Machine(const MachineConfig& config, Platform& platform, MachineShared& shared, Clock* clock);
  Status map_devices();
  Result<std::vector<u8>> device_tree(const BootFiles& files, const Placement& plan);
  Status attach_devices();
  Status attach_rom(std::vector<u8> bytes);
  void attach_firmware();
  void attach_htif(Pa tohost, Pa fromhost);
  void make_harts();
  void reset_harts(const Placement& plan);
  Status load_state(StateReader& in);
  std::vector<std::string> isa_extensions() const;

  class Output final : public ByteSink {
   public:
    explicit Output(Platform& platform) : platform_(platform) {}
    u32 write(std::span<const u8> bytes) override { return platform_.console_output().write(bytes); }

   private:
    Platform& platform_;
  };
  class FirmwarePower final : public PowerControl {
   public:
    explicit FirmwarePower(PowerSwitch& power) : power_(power) {}
    void power_off(u32 code) override { power_.power_off(code); }
    void reboot() override { power_.reboot(); }

   private:
    PowerSwitch& power_;
  };
  class FirmwareConsole final : public SbiConsole {
   public:
    FirmwareConsole(ByteSink& output, ByteSource* input) : output_(output), input_(input) {}
    // Linux's early console sends bare line feeds; a terminal wants a carriage return before each.
    u32 write(std::span<const u8> bytes) override {
      u32 done = 0;
      while (done < bytes.size()) {
        u32 end = done;
        while (end < bytes.size() && bytes[end] != '\n') end++;
        done += output_.write(bytes.subspan(done, end - done));
        if (done < end) return done;
        if (end == bytes.size()) break;
        constexpr u8 kNewLine[] = {'\r', '\n'};
        // Where only the carriage return found room, the line feed is not yet taken.
        if (output_.write(kNewLine) < sizeof kNewLine) return done;
        done++;
      }
      return done;
    }
    u32 read(std::span<u8> to) override { return input_ ? input_->read(to) : 0; }

   private:
    ByteSink& output_;
    ByteSource* input_;
  };

  MachineConfig config_;
  Platform& platform_;
  MachineShared& shared_;
  AttentionProtocol attention_;
  HartLines lines_;
  ClockWaker clock_waker_;
  MachineClock own_clock_;
  VirtualClock virtual_clock_;
  Clock* clock_;
  PowerSwitch power_;
  Output output_;
  ConsoleInput input_;
  AgentInput agent_input_;
  AgentOutput agent_output_;
  LockedEntropy entropy_;
  std::unique_ptr<GuestMemory> memory_;
  std::unique_ptr<DebugPoints> debug_points_;
  Bus bus_;
  IsaOptions isa_;

  Aclint aclint_;
  Plic plic_;
  Syscon syscon_;
  Uart16550 uart_;
  GoldfishRtc rtc_;
  VmGenId vmgenid_;
  VirtioConsole console_;
  VirtioRng rng_;
  std::vector<std::unique_ptr<BlockBackend>> disks_;
  std::vector<std::unique_ptr<VirtioBlock>> blocks_;
  std::vector<std::unique_ptr<VirtioMmio>> slots_;
  std::unique_ptr<BootRom> rom_;
  FirmwarePower firmware_power_;
  FirmwareConsole firmware_console_;
  std::unique_ptr<Sbi> sbi_;
  std::unique_ptr<Htif> htif_;
  Tracer* tracer_ = nullptr;
  Pa tohost_;
  std::unique_ptr<CompilerTier> compiler_tier_;
  std::vector<std::unique_ptr<Hart>> harts_;
  bool booted_ = false;
  bool restored_ = false;  // and has not run yet
  SnapshotId last_snapshot_{};
  Atomic<u32> clock_stop_{0};
};

}  // namespace hartwood
