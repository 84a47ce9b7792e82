// SPDX-License-Identifier: Apache-2.0
// What every worker may see of a hart: its attention word, parking state, mail counters, fence requests, interrupt
// lines, timers and statistics. JavaScript uses the offsets (tools generate them from this file), so the layout has no
// pointers and is the same natively and in Wasm. The protocol over these fields is in shm/attention.h.
#pragma once

#include "shm/atomic.h"
#include "shm/ring.h"

namespace hartwood {

inline constexpr u32 kMaxHarts = 8;
// Harts and one control thread (io worker, debugger, tests) may initiate remote fences.
inline constexpr u32 kControl = kMaxHarts;
inline constexpr u32 kMaxInitiators = kMaxHarts + 1;

// Bits of the attention word.
enum Attention : u32 {
  kAttentionInterrupt = 1 << 0,  // `lines` changed: look for an interrupt to take
  kAttentionTimer = 1 << 1,      // a deadline passed or a comparator was written: look at the clock
  kAttentionStop = 1 << 2,       // leave hart_run and stay out until resumed
  kAttentionFlush = 1 << 3,      // some initiator counted a fence request
  kAttentionAck = 1 << 4,        // one of this hart's own fence requests was acknowledged
  kAttentionMail = 1 << 5,       // a message was posted to this hart's worker
  kAttentionStart = 1 << 6,      // the hart's HSM state became start-pending
  kAttentionDebug = 1 << 7,      // a device has met a watchpoint: leave hart_run
  kAttentionExclusive = 1 << 8,  // a hart wants to run alone: park until it is done
};

enum ParkState : u32 {
  kRunning = 0,          // answers its attention word
  kParked = 1,           // in WFI, stopped, in JavaScript or not started
  kParkedMustFlush = 2,  // as kParked; everything cached is flushed before it runs again
};

// SBI HSM hart states, numbered as the call returns them [sbi: Hart State Management Extension].
enum HsmState : u32 {
  kHsmStarted = 0,
  kHsmStopped = 1,
  kHsmStartPending = 2,
  kHsmStopPending = 3,
  kHsmSuspended = 4,
  kHsmSuspendPending = 5,
  kHsmResumePending = 6,
};

// What a fence asks of its target. Fields are payload: published by the request counter.
enum FenceKind : u32 { kFenceTlb = 1, kFenceCode = 2, kFenceAll = 4 };
struct FencePayload {
  Atomic<u32> kinds;    // FenceKind bits
  Atomic<u32> by_asid;  // 1: only translations of `asid`
  Atomic<u64> start;    // first virtual address
  Atomic<u64> size;     // bytes; ~0: all addresses
  Atomic<u64> asid;
};

struct alignas(64) HartShared {
  Atomic<u32> attention;          // +0
  Atomic<u32> park;               // +4  ParkState
  Atomic<u32> mail_posted;        // +8  counted by senders after postMessage
  Atomic<u32> mail_taken;         // +12 counted by the hart's JavaScript
  Atomic<u32> lines;              // +16 interrupt lines into mip, at mip's bit positions, set by devices and SBI
  Atomic<u32> hsm_state;          // +20 HsmState
  Atomic<u32> in_wfi;             // +24 1 while the hart sleeps for the guest (page's status line)
  Atomic<u32> modules_installed;  // +28 modules of translated code in this hart's function table, in all
  Atomic<u64> retired;            // +32 instructions, spilled at every slice
  Atomic<u64> mtimecmp;           // +40 ACLINT comparator in ticks; ~0: never
  Atomic<u64> deadline;           // +48 earliest comparator of a running hart in ticks, for the clock thread; ~0: none
  Atomic<u64> start_address;      // +56 HSM start arguments, published by hsm_state and kAttentionStart
  Atomic<u64> start_opaque;       // +64

  alignas(64) Atomic<u32> fence_requested[kMaxInitiators];  // [initiator], counted by the initiator
  Atomic<u32> fence_served[kMaxInitiators];                 // [initiator], stored by the target
  FencePayload fence_payload[kMaxInitiators];
};
static_assert(offsetof(HartShared, lines) == 16 && offsetof(HartShared, retired) == 32 &&
              offsetof(HartShared, start_opaque) == 64 && sizeof(HartShared) % 64 == 0);

// What the compiler has done since the start, for the page's status line. Nothing is ordered by these.
struct CompilerStatistics {
  Atomic<u32> requests;          // pages and regions that harts asked for
  Atomic<u32> modules_compiled;  // handed to the engine, less those that it refused
  Atomic<u32> modules_failed;    // refused by the engine: our bug
  Atomic<u32> modules_evicted;   // dropped from every hart
  Atomic<u32> regions_compiled;
  Atomic<u32> modules_live;
  Atomic<u64> bytes_emitted;  // of WebAssembly
};

// One per machine, at a fixed place of the shared memory.
struct alignas(64) MachineShared {
  Atomic<u32> power;           // +0  PowerState
  Atomic<u32> exit_code;       // +4  of HTIF or a failed boot
  Atomic<u32> clock_word;      // +8  the clock thread sleeps here; counted when it has to look at the deadlines again
  Atomic<u32> hart_count;      // +12
  Atomic<u64> clock_latest;    // +16 most ticks since the start that anyone has read, whatever the guest set mtime to
  Atomic<u64> clock_deadline;  // +24 the earliest deadline of a hart that the clock thread knows of, ticks
  Atomic<u32> event;           // +32 counted on every change of `power`; waiters outside the machine sleep here
  Atomic<u32> fatal;           // +36 1: fatal_message holds one of our bugs
  Atomic<u32> exclusive;       // +40 the hart that runs alone, plus 1; 0: none. Others sleep here until it is done
  Atomic<u32> console_room;    // +44 counted when the guest has made room for console input after some was refused
  char fatal_message[464] = {};
  CompilerStatistics compiler;
  HartShared harts[kMaxInitiators];  // the last one is the control thread's: it initiates and never runs
  ByteRing console_output;           // console bytes towards the page
  ByteRing serial_output;            // the 16550's, where it is not the console
  ByteRing agent_output;             // lines of the guest's agent, each whole
};

enum PowerState : u32 {
  kPowerOn = 0,
  kPowerOff = 1,
  kPowerReboot = 2,
  kPowerCrashed = 3,  // the guest cannot go on (e.g. trap vector unmapped in a bare machine)
  kPowerExited = 4,   // HTIF: exit_code is set
};

}  // namespace hartwood
