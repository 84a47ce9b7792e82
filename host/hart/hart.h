// SPDX-License-Identifier: Apache-2.0
// One hart: state, run loop, traps, CSRs, memory access. Everything here belongs to the thread that calls run(), except
// what other threads reach through HartShared by the protocol of shm/attention.h.
//
// run() alternates between two things: looking at the attention word (fences, interrupts, timers, mail, stop) and
// interpreting a slice of instructions in which it does not look. Interrupts are therefore taken only at the ends of
// slices and after instructions that can make one deliverable, at places that depend on nothing but the instructions
// retired; that is what makes deterministic mode possible.
//
// Files: run.cpp (this loop, WFI, timers, fences), interpreter.cpp (the fast loop), execute.cpp (every instruction that
// the fast loop leaves out), csr.cpp, trap.cpp (traps, interrupts), access.cpp (slow accesses), debug.cpp (debuggers).
#pragma once

#include <bitset>

#include "hart/code_cache.h"
#include "hart/debug_points.h"
#include "hart/interfaces.h"
#include "hart/mmu.h"
#include "hart/tlb.h"
#include "isa/semantics/memory.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/attention.h"

namespace hartwood {

struct HartOptions {
  u32 id = 0;
  IsaOptions isa;
  SatpMode largest_mode = SatpMode::sv57;  // largest satp.MODE that the hart accepts
  u32 code_pages = 1024;                   // predecoded pages, about 21 KiB each
  u32 slice = 4096;                        // instructions between two looks at the attention word
  u64 reset_pc = 0;
  u64 tohost_pa = 0;  // HTIF mailbox, 0: none
};

struct HartParts {
  GuestMemory& memory;
  Bus& bus;
  AttentionProtocol& attention;
  Clock& clock;
  Firmware* firmware = nullptr;
  Tracer* tracer = nullptr;
  HostInterface* host = nullptr;
  VirtualTime* virtual_time = nullptr;  // null: a clock thread watches the deadlines
  DebugPoints* debug = nullptr;         // null: there is no debugger
};

class Hart final : public FenceTarget {
 public:
  enum class Exit : u8 {
    budget,   // executed what was asked
    mail,     // a message waits for the hart's worker; with virtual time also: it sleeps, or is stopped
    stopped,  // kAttentionStop is set
    power,    // the machine was powered off, rebooted, crashed or has exited
    debug,    // a breakpoint or watchpoint was met (DebugPoints::take_stop() says which), by this hart or a device
  };

  Hart(const HartOptions& options, const HartParts& parts);

  // Executes at most `budget` instructions (trapping ones count). The calling thread becomes the hart's; it sleeps in
  // WFI and while the hart is stopped by HSM. On return the hart is parked.
  Exit run(u64 budget);

  // Executes exactly `count` instructions (trapping ones count) although kAttentionStop is set, for debuggers: a WFI is
  // one that ends at once. Returns how many were executed: fewer if the hart is stopped by HSM, the machine ends, or a
  // breakpoint or watchpoint is met. The breakpoint where the hart stands does not count.
  u64 step(u64 count);

  HartState& state() { return state_; }
  const HartState& state() const { return state_; }
  const HartOptions& options() const { return options_; }
  u32 id() const { return options_.id; }
  AttentionProtocol& attention() { return parts_.attention; }
  GuestMemory& memory() { return parts_.memory; }
  HartShared& shared() { return shared_; }
  // To be called after `state()` was changed from outside (reset, load, debugger).
  void state_changed();
  // Whether the hart sleeps in WFI: the one thing about it that HartState does not say. After state_changed().
  bool waiting() const { return waiting_; }
  void set_waiting(bool waiting) { waiting_ = waiting; }

  // The merged interrupt-pending register.
  u64 mip() const { return mip_; }
  // For the SBI's implementation: called from Firmware::call only.
  void set_stimecmp(u64 ticks);
  void stop_self();     // HSM stop: does not run until started again
  void suspend_self();  // HSM retentive suspend: as WFI, and others see the state
  // HSM non-retentive suspend: the interrupt that ends it finds the hart in S-mode at physical address `pc`.
  void suspend_self_to(u64 pc, u64 opaque);
  void jump(u64 pc);  // continue there instead of after the ecall
  void fence_others(u64 harts, const FenceRequest& request);

  // CSR access with the current privilege. False: illegal instruction. Side effects included.
  bool read_csr(u32 number, u64& value);
  bool write_csr(u32 number, u64 value);

  // Virtual memory as the hart sees it now, for firmware and debuggers: false on any fault, without a trap.
  bool peek(u64 va, void* to, unsigned size);

  // FenceTarget
  void flush(const FenceRequest& request) override;
  void flush_everything() override;

  u64 traps() const { return traps_; }
  const DebugPoints* debug() const { return parts_.debug; }
  // What address translation depends on for a debugger: satp, or 0 where addresses are not translated.
  u64 data_space() const { return state_.privilege == Privilege::machine ? 0 : state_.satp; }
  const Tlb& tlb() const { return tlb_; }

  // Compiled code: what jit/hart_code.h needs of the hart. `code` outlives the hart's last run; null: interpreted only.
  // `visits`: jumps to a place between two questions whether there is code, 1 to 255; 1: it is asked at the beginning
  // of each slice too.
  void use_translated(TranslatedCode* code, u8 visits = kCold);
  TranslatedCode::Window& window() { return window_; }
  bool must_leave() const { return leave_; }
  // What the translation of code addresses depends on, besides the privilege: satp, or kAllSpaces where it is the
  // same for all.
  u64 code_space() const {
    if (state_.privilege == Privilege::machine) return 0;
    if (state_.privilege == Privilege::supervisor && state_.satp != 0 && !supervisor_code_local_) return kAllSpaces;
    return state_.satp;
  }
  static constexpr u64 kAllSpaces = ~u64{0};
  // The RAM page that fetches from `va` come from in the current mode, or kNoCodePage. Changes nothing.
  static constexpr u8 kCold = 64;
  // Bytes from the state to the window.
  static constexpr u32 kWindowDistance =
      (sizeof(HartState) + alignof(TranslatedCode::Window) - 1) & ~(alignof(TranslatedCode::Window) - 1);
  static constexpr u64 kNoCodePage = ~u64{0};
  u64 code_page(u64 va);
  // Which of a RAM page's halfwords begin an instruction that was executed here lately, or lies in a straight line
  // behind one: a bit each, kHalfwords of them. May be wrong; good for guesses only.
  static constexpr u32 kHalfwords = DecodedPage::kSlots;
  void executed(u64 page, u64* bits) const;
  // Executes one instruction for compiled code, which has `budget` instructions left before it. `insn`: as slots hold
  // it (code_cache.h), without a sequence. 0: done; 1: not done, the interpreter must do it (and will trap); 2: done,
  // and compiled code must be left behind it.
  u32 execute_for_translated(const Insn& insn, u32 bits, u64 pc, u32 budget);
  // The same for a run of plain accesses at `pc`. kAllDone: done; else compiled code must be left behind those that
  // were done: their bytes, less their number shifted by kNotDoneShift. Code that is no longer what was compiled ends
  // it too.
  u32 execute_accesses_for_translated(const AccessRun& run, u64 pc, u32 budget);
  // The same for an instruction behind which compiled code ends: one that traps, returns from a trap, fences or sleeps.
  // window.budget: instructions left behind it. Returns where the hart goes on, plus 1.
  u64 execute_system_for_translated(const Insn& insn, u32 bits, u64 pc);
  void refresh_fp_window();
  // How often compiled code was left because the interpreter had to execute an instruction of this kind (its address
  // was not in the TLB, it traps, or it is not compiled); Op::none: one that had not been decoded, or lies in two
  // pages.
  u64 fallbacks(Op op) const { return fallbacks_[static_cast<u32>(op)]; }

 private:
  friend struct Eval;
  friend struct Fast;

  // run.cpp
  Exit park_and_return(Exit exit);
  bool handle_attention(Exit& exit);
  bool wait_for_interrupt();  // false: nothing will ever wake the hart
  void resume();
  void enter_supervisor(u64 pc, u64 opaque);
  void refresh_lines();
  void refresh_timers();
  void arm_deadline(u64 now);
  void publish_retired();

  // interpreter.cpp: executes at most `steps` instructions; returns early when something outside must look.
  void interpret(u32 steps);
  void interpret_traced(u32 steps);
  DecodedPage* fetch_page(u64 pc);
  bool floating(const u8* slot);
  // The TLB tables of the current translation context into loop_.
  void select_tables();

  // execute.cpp
  enum class Flow : u8 { next, jump, trap, leave };
  Flow execute(const Insn& slot, u64 pc, u32 length, u32 bits, u64& target);
  // An instruction that lies in two pages. Fetch faults become traps.
  Flow execute_straddling(u64 pc, u32 low_half, u64& target);
  bool fetch_half(u64 va, u16& half);

  // access.cpp. False: trap_ is set. Values are zero-extended.
  bool load_slow(u64 va, unsigned size, u64& value);
  bool store_slow(u64 va, unsigned size, u64 value);
  bool access_page(u64 va, unsigned size, Access access, Pa& pa);
  void note_watched(u64 va, Pa pa, unsigned size, Access access);
  bool memory_in_two_pages(u64 va, unsigned first, unsigned size, Access access, Pa& low, Pa& high);
  bool physical_load(Pa pa, u64 va, unsigned size, u64& value);
  bool physical_store(Pa pa, u64 va, unsigned size, u64 value);
  template <unsigned kSize>
  bool atomic_address(u64 va, Access access, Pa& pa) {
    u64 offset;
    if (probe<kSize>(access == Access::load ? loop_.read_table : loop_.write_table, va, offset)) [[likely]] {
      pa = Pa(kRamBase + offset);
      return true;
    }
    return atomic_address_slow(va, kSize, access, pa);
  }
  bool atomic_address_slow(u64 va, unsigned size, Access access, Pa& pa);
  bool zero_block(u64 va);
  void note_tohost(Pa pa);
  // A read-modify-write: the last store's bytes were read too. And a store-conditional that did not store.
  void note_watched_read() {
    if (watched_count_ != 0) [[unlikely]]
      watched_[watched_count_ - 1].read = true;
  }
  void forget_watched() { watched_count_ = 0; }

  // debug.cpp
  bool meets_breakpoint(u64 pc);
  void plant_breakpoints(DecodedPage& page, u64 va);
  void judge_watched();
  void take_up_debug_points();
  TlbContext data_context() const;

  // trap.cpp
  void take_trap(u64 pc);
  void enter_trap(u64 cause, u64 tval, u64 epc, bool interrupt);
  bool take_interrupt();
  u64 deliverable() const;
  bool return_from_machine();
  bool return_from_supervisor();
  bool fail(Cause cause, u64 tval) {
    trap_ = {cause, tval};
    return false;
  }

  // csr.cpp
  u64 read_mstatus() const;
  void write_mstatus(u64 value, u64 mask);
  bool counter_allowed(u32 number) const;
  void write_counter_inhibit(u64 value);
  u64 hpm_count(u32 counter) const;
  u64 read_hpm(u32 counter) const;
  void write_hpm_event(u32 counter, u64 number);
  void write_satp(u64 value);
  u64 supervisor_interrupts() const { return state_.mideleg; }
  bool stimecmp_enabled() const { return state_.menvcfg >> 63; }

  // Translation context, interrupt enables or lines have changed: other tables, and perhaps an interrupt to take.
  void context_changed();
  void sync_retired(u32 budget) { state_.retired = end_ - budget; }

  HartOptions options_;
  HartParts parts_;
  HartShared& shared_;
  // What the fast loop works with inside one page; set on its entry and at page changes.
  struct Loop {
    const u8* first = nullptr;  // first slot of the page
    u64 page_va = 0;
    const u8* read_table = nullptr;
    const u8* write_table = nullptr;
    u8* ram = nullptr;
    u64 outside_ram = 0;  // bits that no offset in RAM has
    u32 table_mask = 0;   // of the byte offset of a TLB entry
    DecodedPage* page = nullptr;
  };
  Loop loop_;
  // Emitted code reaches the window at a fixed distance from the state; checked by the constructor.
  alignas(16) HartState state_;
  TranslatedCode::Window window_;
  TranslatedCode* translated_ = nullptr;
  Tlb tlb_;
  CodeCache code_;

  // Translations of code pages, by virtual page, privilege and space (tlb.h).
  struct FetchEntry {
    u64 tag;  // va page | privilege | space << 2 | kFetchValid
    DecodedPage* page;
  };
  static constexpr u32 kFetchEntries = 512;
  static constexpr u64 kFetchValid = 0x800, kFetchSpace = 0x1c;
  FetchEntry fetch_[kFetchEntries];
  u64 fetch_mode_ = 0;  // a tag without its page, now
  u32 space_ = 0;       // of the current satp
  // The supervisor's code is not the same in all spaces: its translations and its compiled code belong to one satp.
  bool supervisor_code_local_ = false;
  FetchEntry& fetch_entry(u64 pc) { return fetch_[fetch_index(pc, static_cast<u32>(fetch_mode_ & kFetchSpace) >> 2)]; }
  static u32 fetch_index(u64 va, u32 space) {
    constexpr u32 kApart = 67;  // programs of different spaces like the same addresses
    return (static_cast<u32>(va >> kPageShift) + kApart * space) & (kFetchEntries - 1);
  }
  // All large pages that code was fetched from lie between these.
  u64 large_code_first_ = ~u64{0}, large_code_last_ = 0;
  void flush_fetch();
  void flush_code_address(u64 va);
  void flush_fetch_spaces();  // all but what is shared
  // satp has another value.
  void enter_space();
  void note_code(u64 va, const Translation& translation);

  // Visits of places that control jumps to, until compiled code is asked for; by a hash of the place.
  static constexpr u32 kHeatCells = 4096;
  u8 visits_ = kCold;
  u8 heat_[kHeatCells];
  std::bitset<kHeatCells> hot_;  // cells of places that compiled code begins at: it is asked for there at each jump
  u8& heat_of(const u8* slot) { return heat_[(reinterpret_cast<uintptr_t>(slot) >> 3) & (kHeatCells - 1)]; }
  bool is_hot(const u8* slot) { return hot_[static_cast<size_t>(&heat_of(slot) - heat_)]; }
  // How control came to a place: a slice begins there; or by any instruction but the following; or by an indirect jump
  // or call that is no return.
  enum class WayIn : u8 { resumed, direct, indirect };
  static WayIn way_of(const u8* jalr_slot);
  // As TranslatedCode::enter.
  bool enter_translated(u64& pc, u32 budget, u8& heat, WayIn way);

  u64 fallbacks_[kOpCount] = {};
  Trap trap_;
  u64 mip_ = 0;
  u64 end_ = 0;  // state_.retired once the slice's budget is used up without traps
  u64 traps_ = 0;
  bool leave_ = false;             // the fast loop must return
  bool refetch_ = false;           // code pages may map elsewhere: the fast loop must look for its page again
  bool waiting_ = false;           // in WFI
  bool stepping_ = false;          // in step()
  bool stopped_by_debug_ = false;  // a breakpoint or watchpoint was met: leave run()
  bool must_follow_ = false;       // a watched page was found: all harts have to flush
  u32 debug_epoch_ = 0;
  u64 passed_break_ = ~u64{0};  // pc at which the hart has stopped: it goes on from there
  u64 executing_pc_ = 0;        // of what execute() executes, or did last
  // What the instruction accesses of watched pages: two pages, or one by a read-modify-write.
  static constexpr u32 kMostWatched = 4;
  u32 watched_count_ = 0;
  WatchedAccess watched_[kMostWatched];
  u64 executed_ = 0;     // instructions, those that trapped included
  bool jumped_ = false;  // firmware set pc

  // The offset in RAM of an access of kSize bytes, and whether the table has it; see tlb.h.
  template <unsigned kSize>
  [[gnu::always_inline]] bool probe(const u8* table, u64 va, u64& offset) const {
    const u64 entry =
        *reinterpret_cast<const u64*>(table + (static_cast<u32>(va >> (kPageShift - 3)) & loop_.table_mask));
    offset = va ^ entry;
    return (offset & (loop_.outside_ram | (kSize - 1))) == 0;
  }
};

}  // namespace hartwood
