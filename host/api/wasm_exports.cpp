// SPDX-License-Identifier: Apache-2.0
// The core's flat interface for JavaScript. One module, instantiated by every worker over one shared memory: the io
// worker first (constructors run there), then one worker for each hart and one for the clock. There is one machine in a
// memory, so it is the one process-wide object here; everything below this file gets it passed.
//
// Who calls what: hw_hart_run, hw_module_installed and hw_module_dropped a hart's worker; hw_clock_run the clock's; the
// rest of the compiler's block the compiler's; hw_restore_place and what chunks are the snapshot's; all else the io
// worker.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "devices/virtio/block_backend.h"
#include "machine/config.h"
#include "machine/machine.h"
#include "machine/snapshot_loader.h"
#include "machine/snapshot_writer.h"

#define HW_EXPORT(name) extern "C" __attribute__((export_name(#name)))
#define HW_IMPORT(name) extern "C" __attribute__((import_module("host"), import_name(#name)))

HW_IMPORT(now) double host_now();          // milliseconds since the machine's epoch, the same epoch in all workers
HW_IMPORT(unix_ms) double host_unix_ms();  // milliseconds since 1970-01-01 UTC
HW_IMPORT(entropy) void host_entropy(void* to, hartwood::u32 length);
HW_IMPORT(log) void host_log(int level, const char* text, hartwood::u32 length);

namespace hartwood {
namespace {

constexpr u32 kTableBase = 1024;  // table slots from here on are translated code's; the core's functions lie below
constexpr u32 kStackBytes = 256 * 1024;
constexpr u32 kMaxWorkers = kMaxHarts + 4;  // harts, clock, and room for compilers

// One below each stack, so that a frame that overflows lands on bytes that nobody uses.
constexpr u32 kGuardBytes = 16 * 1024;
struct alignas(16) WorkerStack {
  u8 guard[kGuardBytes];
  u8 bytes[kStackBytes];
};
WorkerStack worker_stacks[kMaxWorkers];

class HostEntropy final : public EntropySource {
 public:
  u32 fill(std::span<u8> to) override {
    host_entropy(to.data(), static_cast<u32>(to.size()));
    return static_cast<u32>(to.size());
  }
};

class RingSink final : public ByteSink {
 public:
  explicit RingSink(ByteRing& ring) : ring_(ring) {}
  // Several devices write; the ring has one producer at a time.
  u32 write(std::span<const u8> bytes) override {
    Guard guard(lock_);
    return ring_.push(bytes.data(), static_cast<u32>(bytes.size()));
  }

 private:
  ByteRing& ring_;
  Lock lock_;
};

class WasmPlatform final : public Platform {
 public:
  explicit WasmPlatform(MachineShared& shared)
      : output_(shared.console_output), log_(&print, nullptr, LogLevel::info) {}
  u64 monotonic_ns() override {
    const double ms = host_now();
    return ms > 0 ? static_cast<u64>(ms * 1e6) : 0;
  }
  u64 unix_ns() override {
    constexpr u64 kRepeated = u64{1'767'225'600} * 1'000'000'000;
    return seeded_ ? kRepeated : static_cast<u64>(host_unix_ms()) * 1'000'000;
  }
  EntropySource& entropy() override {
    if (seeded_) return *seeded_;
    return entropy_;
  }
  SeededEntropy* seeded_entropy() override { return seeded_ ? &*seeded_ : nullptr; }
  ByteSink& console_output() override { return output_; }
  const Log& log() override { return log_; }
  // From now on nothing depends on the host.
  void repeat(u64 seed) { seeded_.emplace(seed); }

 private:
  static void print(void*, LogLevel level, const char* text) {
    host_log(static_cast<int>(level), text, static_cast<u32>(std::strlen(text)));
  }
  HostEntropy entropy_;
  std::optional<SeededEntropy> seeded_;
  RingSink output_;
  Log log_;
};

struct Buffer {
  u8* data = nullptr;
  u32 size = 0;
  std::span<const u8> bytes() const { return {data, size}; }
};

enum FileKind : u32 { kKernel = 0, kInitrd = 1, kFirmware = 2, kDeviceTree = 3, kDisk = 4 };

// Lives from hw_machine_create until the memory is dropped: a memory serves one machine.
struct Embedding {
  MachineShared shared;
  WasmPlatform platform{shared};
  std::unique_ptr<Machine> machine;
  Buffer files[4];
  std::vector<std::span<u8>> disks;
  std::string error;
  std::optional<SnapshotWriter> writer;
  std::vector<u8> head;                // the snapshot's that was last made
  std::span<const u8> chunk;           // of hw_snapshot_chunk
  std::vector<SnapshotHead> restored;  // a full one, then increments
  std::vector<std::unique_ptr<SnapshotLoader>> loaders;
};
Embedding embedding;

int fail(const std::string& message) {
  embedding.error = message;
  return -1;
}

// The machine works in place on `bytes`.
Status add_disk(std::span<u8> bytes) {
  Machine& machine = *embedding.machine;
  const auto& disks = machine.config().disks;
  const size_t index = machine.disk_count();
  const bool read_only = index < disks.size() && disks[index].read_only;
  const Status added = machine.add_disk(std::make_unique<MemoryBackend>(bytes, read_only));
  if (added) embedding.disks.push_back(bytes);
  return added;
}

// One of our bugs: the page finds the message, whatever thread met it.
void report_fatal(const char* message) {
  MachineShared& shared = embedding.shared;
  std::strncpy(shared.fatal_message, message, sizeof shared.fatal_message - 1);
  shared.fatal.store(1);
  shared.event.fetch_add(1);
  shared.event.notify();
}

}  // namespace

HW_EXPORT(hw_stack_low) u32 hw_stack_low(u32 number) {
  return number >= 1 && number <= kMaxWorkers
             ? static_cast<u32>(reinterpret_cast<uintptr_t>(worker_stacks[number - 1].bytes))
             : 0;
}
HW_EXPORT(hw_stack_size) u32 hw_stack_size() { return kStackBytes; }
HW_EXPORT(hw_allocate) void* hw_allocate(u32 size) { return std::malloc(size); }
HW_EXPORT(hw_release) void hw_release(void* pointer) { std::free(pointer); }
HW_EXPORT(hw_error_ptr) const char* hw_error_ptr() { return embedding.error.data(); }
HW_EXPORT(hw_error_len) u32 hw_error_len() { return static_cast<u32>(embedding.error.size()); }
HW_EXPORT(hw_shared) MachineShared* hw_shared() { return &embedding.shared; }

HW_EXPORT(hw_machine_create) int hw_machine_create(const char* json, u32 length) {
  set_fatal_handler(&report_fatal);
  if (embedding.machine) return fail("this memory has a machine already");
  const auto config = parse_config({json, length});
  if (!config) return fail(config.message());
  if (config->clock == ClockKind::instructions) embedding.platform.repeat(config->seed);
  auto machine = Machine::create(*config, embedding.platform, embedding.shared);
  if (!machine) return fail(machine.message());
  embedding.machine = std::move(*machine);
  if (embedding.machine->config().compiler) embedding.machine->enable_compiler(kTableBase);
  return 0;
}

// Guest RAM, for the page's readMemory: it stays where it is.
HW_EXPORT(hw_ram) const u8* hw_ram() { return embedding.machine ? embedding.machine->memory().ram() : nullptr; }

HW_EXPORT(hw_machine_file) int hw_machine_file(u32 kind, u8* data, u32 length) {
  if (!embedding.machine) return fail("no machine has been made");
  if (kind == kDisk) {
    const Status added = add_disk({data, length});
    return added ? 0 : fail(added.message());
  }
  if (kind >= std::size(embedding.files)) return fail("no such kind of file");
  std::free(embedding.files[kind].data);
  embedding.files[kind] = {data, length};
  return 0;
}

// What is on the disks, for the reboot of a machine that has ended.
HW_EXPORT(hw_disks) u32 hw_disks() { return static_cast<u32>(embedding.disks.size()); }
HW_EXPORT(hw_disk_at) const u8* hw_disk_at(u32 disk) { return embedding.disks[disk].data(); }
HW_EXPORT(hw_disk_bytes) u32 hw_disk_bytes(u32 disk) { return static_cast<u32>(embedding.disks[disk].size()); }

HW_EXPORT(hw_machine_start) int hw_machine_start() {
  if (!embedding.machine) return fail("no machine has been made");
  BootFiles files;
  files.kernel = embedding.files[kKernel].bytes();
  files.initrd = embedding.files[kInitrd].bytes();
  files.firmware = embedding.files[kFirmware].bytes();
  files.device_tree = embedding.files[kDeviceTree].bytes();
  const Status booted = embedding.machine->boot(files);
  for (Buffer& file : embedding.files) {
    std::free(file.data);
    file = {};
  }
  return booted ? 0 : fail(booted.message());
}

HW_EXPORT(hw_hart_run) u32 hw_hart_run(u32 hart, u32 budget) {
  return static_cast<u32>(embedding.machine->run_hart(hart, budget));
}
HW_EXPORT(hw_clock_run) void hw_clock_run() { embedding.machine->run_clock(); }

HW_EXPORT(hw_console_input) u32 hw_console_input(const u8* bytes, u32 length) {
  return embedding.machine->console_input({bytes, length});
}
HW_EXPORT(hw_console_resize) void hw_console_resize(u32 columns, u32 rows) {
  const auto clamp = [](u32 v) { return static_cast<u16>(v < 1 ? 1 : v > 1000 ? 1000 : v); };
  embedding.machine->console_resize(clamp(columns), clamp(rows));
}
HW_EXPORT(hw_console_drained) void hw_console_drained() { embedding.machine->console_drained(); }

// A line for the guest's agent, without its end; 1 if it was taken. Answers come in MachineShared::agent_output.
HW_EXPORT(hw_agent_send) u32 hw_agent_send(const char* line, u32 length) {
  return embedding.machine && embedding.machine->agent_send({line, length}) ? 1 : 0;
}

// The compiler tier, as workers/compiler.ts (compiler worker) and workers/translations.ts (harts) use it.
Atomic<u32> no_compiler_word;

CompilerTier* compiler_tier() { return embedding.machine ? embedding.machine->compiler_tier() : nullptr; }

// Counted up, and notified, when a request is queued and when the machine ends.
HW_EXPORT(hw_compiler_word) Atomic<u32>* hw_compiler_word() {
  return compiler_tier() != nullptr ? &compiler_tier()->registry().work() : &no_compiler_word;
}
// Before the first hw_compile. Bit 0: f64x2.relaxed_madd is fused.
HW_EXPORT(hw_note_features) void hw_note_features(u32 features) {
  if (compiler_tier() != nullptr) compiler_tier()->compiler().set_fused_multiply_add(features & 1);
}
// Translates the next request; its module's id, or 0 when nothing is queued.
HW_EXPORT(hw_compile) u32 hw_compile() {
  return compiler_tier() != nullptr ? compiler_tier()->compiler().compile_next() : 0;
}
// The module just made, until the next hw_compile.
HW_EXPORT(hw_compiled_bytes) const u8* hw_compiled_bytes() { return compiler_tier()->compiler().bytes().data(); }
HW_EXPORT(hw_compiled_length) u32 hw_compiled_length() {
  return static_cast<u32>(compiler_tier()->compiler().bytes().size());
}
// The engine refused the bytes.
HW_EXPORT(hw_compiled_failed) void hw_compiled_failed(u32 id) { compiler_tier()->registry().engine_refused(id); }
// The next module that every hart has to drop, or 0; and the table slots that it has.
HW_EXPORT(hw_dropped_next) u32 hw_dropped_next() {
  return compiler_tier() != nullptr ? compiler_tier()->registry().next_to_drop() : 0;
}
HW_EXPORT(hw_module_slot) u32 hw_module_slot(u32 id) {
  u32 slot, count;
  compiler_tier()->registry().slots_of(id, slot, count);
  return slot;
}
HW_EXPORT(hw_module_slots) u32 hw_module_slots(u32 id) {
  u32 slot, count;
  compiler_tier()->registry().slots_of(id, slot, count);
  return count;
}
// The slots of each hart's function table that translated code may use.
HW_EXPORT(hw_table_base) u32 hw_table_base() { return kTableBase; }
HW_EXPORT(hw_table_slots) u32 hw_table_slots() { return jit::kTableSlots; }
// The state of a hart that may not execute anything: translated code that is called with it returns at once. An engine
// that compiles functions when they are first called has then compiled it.
HW_EXPORT(hw_idle_state) const u8* hw_idle_state() {
  alignas(16) static const u8 state[Hart::kWindowDistance + sizeof(TranslatedCode::Window)] = {};
  return state;
}
// On the hart's worker, outside hw_hart_run.
HW_EXPORT(hw_module_installed) void hw_module_installed(u32 hart, u32 id) {
  compiler_tier()->hart(hart).installed(id);
  embedding.shared.harts[hart].modules_installed.fetch_add(1);
}
HW_EXPORT(hw_module_dropped) void hw_module_dropped(u32 hart, u32 id) { compiler_tier()->hart(hart).dropped(id); }
// Counters of a hart's compiled code: 0 calls of it, 1 instructions that it retired, 2 ends where there was no code to
// go on with. For tests.
HW_EXPORT(hw_hart_counter) double hw_hart_counter(u32 hart, u32 which) {
  const jit::HartCode& code = compiler_tier()->hart(hart);
  return static_cast<double>(which == 0 ? code.entries() : which == 1 ? code.instructions() : code.gaps());
}
// Instructions of a kind that compiled code left to the interpreter: Hart::fallbacks. `op` counts up from 0; the name
// of each is at hw_op_name, with a zero behind it, and null behind the last one.
HW_EXPORT(hw_hart_fallbacks) double hw_hart_fallbacks(u32 hart, u32 op) {
  return static_cast<double>(compiler_tier()->hart(hart).fallbacks(static_cast<Op>(op)));
}
HW_EXPORT(hw_op_name) const char* hw_op_name(u32 op) {
  return op < kOpCount ? info(static_cast<Op>(op)).name : nullptr;
}
// Which passes the compiler makes: jit::Pass. For tests.
HW_EXPORT(hw_compiler_passes) void hw_compiler_passes(u32 passes) { compiler_tier()->compiler().set_passes(passes); }
// How many bytes of emitted code are kept. For tests.
HW_EXPORT(hw_compiler_budget) void hw_compiler_budget(u32 bytes) { compiler_tier()->registry().set_budget(bytes); }

// A pause: whoever set kAttentionStop of the harts has the clock return too, and calls it again behind hw_resume_clock.
HW_EXPORT(hw_stop_clock) void hw_stop_clock() { embedding.machine->stop_clock(); }
HW_EXPORT(hw_resume_clock) void hw_resume_clock() { embedding.machine->resume_clock(); }
// Time stands still between these, while all harts are out of hw_hart_run and the clock out of hw_clock_run.
// `since_ms`: since when the harts have not run, by host.now; later than now: from now on.
HW_EXPORT(hw_freeze) void hw_freeze(double since_ms) {
  constexpr double kLatest = 1e15, kNanosecondsPerMs = 1e6;
  embedding.machine->freeze(since_ms < kLatest ? static_cast<u64>(std::max(since_ms, 0.0) * kNanosecondsPerMs)
                                               : ~u64{0});
}
HW_EXPORT(hw_thaw) void hw_thaw(u32 follow) { embedding.machine->thaw(follow != 0); }
// After hw_thaw; may wait for memory that the pager brings.
HW_EXPORT(hw_tell_agent_time) void hw_tell_agent_time(u32 follow) { embedding.machine->tell_agent_time(follow != 0); }
// On the hart's worker, while the hart is stopped: Hart::step.
HW_EXPORT(hw_hart_step) u32 hw_hart_step(u32 hart, u32 count) {
  return static_cast<u32>(embedding.machine->hart(hart).step(count));
}

// Saving, on the io worker, between hw_freeze and hw_thaw: machine/snapshot_writer.h. `parent`: 16 bytes, or null;
// `order`: numbers of pages. Returns the number of chunks, or -1.
HW_EXPORT(hw_snapshot_begin)
int hw_snapshot_begin(const char* notes, u32 notes_length, const u8* parent, const u32* order, u32 order_length,
                      u32 chunk_pages) {
  SnapshotOptions options;
  options.notes.assign(notes, notes_length);
  if (parent != nullptr) std::memcpy(options.parent.data(), parent, options.parent.size());
  options.order.assign(order, order + order_length);
  if (chunk_pages != 0) options.chunk_pages = chunk_pages;
  embedding.writer.emplace(*embedding.machine);
  const Status begun = embedding.writer->begin(options);
  return begun ? static_cast<int>(embedding.writer->chunk_count()) : fail(begun.message());
}
// The bytes to pack, at hw_snapshot_chunk_at; 0: nothing to pack for this chunk; -1: an error.
HW_EXPORT(hw_snapshot_chunk) int hw_snapshot_chunk(u32 index) {
  const auto bytes = embedding.writer->chunk(index);
  if (!bytes) return fail(bytes.message());
  embedding.chunk = *bytes;
  return static_cast<int>(bytes->size());
}
HW_EXPORT(hw_snapshot_chunk_at) const u8* hw_snapshot_chunk_at() { return embedding.chunk.data(); }
// This and the next may be called when the machine runs again.
HW_EXPORT(hw_snapshot_packed) void hw_snapshot_packed(u32 index, u32 bytes) { embedding.writer->packed(index, bytes); }
// The head of the file, at hw_snapshot_head_at; its length.
HW_EXPORT(hw_snapshot_head) u32 hw_snapshot_head() {
  embedding.head = embedding.writer->head();
  return static_cast<u32>(embedding.head.size());
}
HW_EXPORT(hw_snapshot_head_at) const u8* hw_snapshot_head_at() { return embedding.head.data(); }
// 16 bytes: the snapshot that the machine was last saved as or restored from; zeroes: none.
HW_EXPORT(hw_last_snapshot) const u8* hw_last_snapshot() { return embedding.machine->last_snapshot().data(); }

// Restoring, instead of hw_machine_file and hw_machine_start: hw_restore_head for each snapshot, the full one first, on
// the io worker. Then one other worker places chunks (all of a snapshot before the next one's).
HW_EXPORT(hw_restore_head) int hw_restore_head(const u8* bytes, u32 length) {
  auto head = SnapshotHead::parse({bytes, length});
  if (!head) return fail(head.message());
  std::vector<SnapshotHead>& heads = embedding.restored;
  if (heads.empty() ? head->is_increment() : head->parent != heads.back().id)
    return fail(heads.empty() ? "an increment needs the snapshot that it is one to, before it"
                              : "this increment is not one to the snapshot before it");
  if (!heads.empty() && (head->ram_bytes != heads[0].ram_bytes || head->disk_bytes != heads[0].disk_bytes))
    return fail("the increments are not of one machine");
  heads.push_back(std::move(*head));
  return 0;
}
// `expect`: the machine may run before its chunks are placed; for a single snapshot. The disks' bytes are not expected:
// their chunks have to be placed before.
HW_EXPORT(hw_restore_start) int hw_restore_start(u32 expect) {
  Machine& machine = *embedding.machine;
  const SnapshotHead& last = embedding.restored.back();
  for (const u64 disk_bytes : last.disk_bytes) {
    const u32 size = static_cast<u32>(disk_bytes);
    auto* const data = static_cast<u8*>(std::calloc(size, 1));
    if (data == nullptr && size != 0) return fail("there is no room for the disk");
    const Status added = add_disk({data, size});
    if (!added) return fail(added.message());
  }
  const Status restored = machine.restore(last.state);
  if (!restored) return fail(restored.message());
  for (const SnapshotHead& head : embedding.restored)
    embedding.loaders.push_back(std::make_unique<SnapshotLoader>(machine, head));
  if (expect != 0) embedding.loaders[0]->expect();
  machine.note_snapshot(last.id);
  return 0;
}
HW_EXPORT(hw_restore_notes_at) const char* hw_restore_notes_at() { return embedding.restored.back().notes.data(); }
HW_EXPORT(hw_restore_notes) u32 hw_restore_notes() { return static_cast<u32>(embedding.restored.back().notes.size()); }
HW_EXPORT(hw_restore_chunks) u32 hw_restore_chunks(u32 snapshot) {
  return static_cast<u32>(embedding.restored[snapshot].chunks.size());
}
// Where the chunk lies in the file, how many bytes it has there, and how many unpacked; whether it is of a disk.
HW_EXPORT(hw_restore_offset) double hw_restore_offset(u32 snapshot, u32 chunk) {
  return static_cast<double>(embedding.restored[snapshot].chunks[chunk].offset);
}
HW_EXPORT(hw_restore_packed) u32 hw_restore_packed(u32 snapshot, u32 chunk) {
  return embedding.restored[snapshot].chunks[chunk].packed_bytes;
}
HW_EXPORT(hw_restore_unpacked) u32 hw_restore_unpacked(u32 snapshot, u32 chunk) {
  const SnapshotChunk& found = embedding.restored[snapshot].chunks[chunk];
  return found.packed_bytes == 0 ? 0 : static_cast<u32>(found.pages() * kPageBytes);
}
HW_EXPORT(hw_restore_of_disk) u32 hw_restore_of_disk(u32 snapshot, u32 chunk) {
  return embedding.restored[snapshot].chunks[chunk].region != SnapshotChunk::kRam;
}
HW_EXPORT(hw_restore_first_page) u32 hw_restore_first_page(u32 snapshot, u32 chunk) {
  return embedding.restored[snapshot].chunks[chunk].runs[0].first;
}
HW_EXPORT(hw_restore_file_bytes) double hw_restore_file_bytes(u32 snapshot) {
  return static_cast<double>(embedding.restored[snapshot].file_bytes);
}
HW_EXPORT(hw_restore_place) int hw_restore_place(u32 snapshot, u32 chunk, const u8* bytes, u32 length) {
  const Status placed = embedding.loaders[snapshot]->place(chunk, {bytes, length});
  return placed ? 0 : fail(placed.message());
}
// A chunk of the expected snapshot that a hart or device waits for, plus 1; 0: none. The word counts, and is notified.
HW_EXPORT(hw_restore_wanted) u32 hw_restore_wanted() { return embedding.loaders[0]->wanted(); }
HW_EXPORT(hw_restore_wanted_word) Atomic<u32>* hw_restore_wanted_word() { return &embedding.loaders[0]->wanted_word(); }

}  // namespace hartwood
