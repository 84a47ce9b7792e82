// SPDX-License-Identifier: Apache-2.0
// A machine as gdb's stub sees it (debug/gdb_target.h): registers, memory, breakpoints and watchpoints, single steps
// and the words of a stop. Who runs the harts, on what threads, is the HartControl's; this is the same natively and in
// the browser.
#pragma once

#include <atomic>
#include <vector>

#include "debug/gdb_target.h"
#include "machine/machine.h"

namespace hartwood {

// Whoever runs a machine's harts.
class HartControl {
 public:
  virtual ~HartControl() = default;
  // While the machine stands still: these harts run, and the clock; the others stay. Returns at once. Later, and after
  // stop() or a stop of the debugger's (Hart::Exit::debug) soon, all stand still again and MachineDebugTarget's
  // stood_still() is called.
  virtual void run(const std::vector<bool>& harts) = 0;
  // They run: all are to come out. Any number of times, also when they are out.
  virtual void stop() = 0;
  // The same, and returns when all are out. From the thread that called run().
  virtual void stop_and_wait() = 0;
  // The end of the machine, while it stands still.
  virtual void kill() = 0;
  virtual Status restart() = 0;
  // What only this embedder can do, such as a snapshot into a file.
  virtual Result<std::string> command(std::string_view command) = 0;
};

class MachineDebugTarget final : public GdbTarget {
 public:
  // `tell` is called with each stop, as GdbServer::stopped() wants it, on whatever thread the cause is.
  using Tell = void (*)(void* context, const GdbStop& stop);
  MachineDebugTarget(HartControl& control, Tell tell, void* context)
      : control_(control), tell_(tell), context_(context) {}

  // The machine, before any other call, and again where another one takes its place: points are inserted into it too.
  void set_machine(Machine& machine);

  // ---- from the HartControl
  // All harts are out; no step is under way. Says why to gdb; false: nobody asked for it, and they are to go on.
  bool stood_still();
  // The machine has ended, and no other one takes its place.
  void ended();

  // ---- GdbTarget
  u32 hart_count() const override { return machine_->hart_count(); }
  std::string hart_description(u32 hart) override;
  bool has_csr(u32 number) const override;
  bool read_register(u32 hart, GdbRegister reg, u64& value) override;
  bool write_register(u32 hart, GdbRegister reg, u64 value) override;
  u64 read_memory(u32 hart, GdbSpace space, u64 address, std::span<u8> to) override;
  bool write_memory(u32 hart, GdbSpace space, u64 address, std::span<const u8> from) override;
  Status insert(u32 hart, const GdbPoint& point) override;
  Status remove(const GdbPoint& point) override;
  void resume(const std::vector<GdbResume>& harts) override;
  void interrupt() override;
  void detach() override;
  void kill() override;
  Status restart() override;
  Result<std::string> monitor(u32 hart, std::string_view command) override;

 private:
  struct Inserted {
    GdbPoint point;
    u32 id;
  };
  void tell(const GdbStop& stop) { tell_(context_, stop); }
  GdbStop words_of(const DebugStop& stop) const;
  void let_run(const std::vector<bool>& harts);
  bool step(u32 hart, const GdbResume& how);
  std::string walk_text(u32 hart, u64 va) const;
  std::string state_text() const;

  HartControl& control_;
  Tell tell_;
  void* context_;
  Machine* machine_ = nullptr;
  std::vector<Inserted> inserted_;
  u32 next_id_ = kFirstId;
  static constexpr u32 kFirstId = 0x1000'0000;  // smaller ones are others'
  u32 last_hart_ = 0;
  std::atomic<bool> interrupting_{false};
  std::atomic<bool> stepping_{false};  // resume() is looking after the stop itself
  bool told_end_ = false;
};

}  // namespace hartwood
