// SPDX-License-Identifier: Apache-2.0
// A machine's state, all of it but the content of RAM and disks, as sections of base/serial.h. Harts come first,
// because virtual time is what they retired; then the devices, whose interrupt lines and times build on that.
#include "base/bits.h"
#include "base/crc32.h"
#include "machine/machine.h"

namespace hartwood {
namespace {
constexpr u32 kVersion = 1;
constexpr size_t kMostRomBytes = kPageBytes;
}  // namespace

std::vector<u8> Machine::save_state() {
  StateWriter out;
  out.begin("MACH", kVersion);
  out.put(config_.harts);
  out.put(memory_->size());
  out.put(static_cast<u32>(blocks_.size()));
  out.put(clock_->unix_nanoseconds());
  out.put(virtual_clock_.idle_ns());
  out.put(static_cast<u8>(rom_ != nullptr));
  out.put_bytes(rom_ ? rom_->bytes() : std::span<const u8>());
  out.put(static_cast<u8>(htif_ != nullptr));
  out.put(htif_ ? htif_->tohost_address().value : u64{0});
  out.put(htif_ ? htif_->fromhost_address().value : u64{0});
  input_.save(out);
  out.end();
  SeededEntropy* const seeded = platform_.seeded_entropy();
  if (seeded != nullptr) seeded->save(out);
  for (u32 i = 0; i < config_.harts; i++) {
    const HartShared& shared = shared_.harts[i];
    harts_[i]->state().save(out);
    out.begin("HSHR", kVersion);
    out.put(static_cast<u8>(harts_[i]->waiting()));
    out.put(shared.lines.load());
    out.put(shared.hsm_state.load());
    out.put(shared.start_address.load());
    out.put(shared.start_opaque.load());
    out.end();
  }
  plic_.save(out);
  aclint_.save(out);
  syscon_.save(out);
  uart_.save(out);
  rtc_.save(out);
  vmgenid_.save(out);
  for (const auto& slot : slots_) slot->save(out);
  return out.bytes();
}

Status Machine::restore(std::span<const u8> state) {
  if (booted_) return Error{"the machine has been booted already; make a new one"};
  if (clock_ == &own_clock_) own_clock_.freeze();
  StateReader in(state);
  const Status loaded = load_state(in);
  if (!loaded) return errorf("the snapshot does not fit this machine: %s", loaded.message().c_str());
  booted_ = true;
  restored_ = true;
  return {};
}

void Machine::thaw(bool follow) {
  if (!own_clock_.frozen()) return;
  // Before the first instruction: no two machines of one snapshot draw the same random numbers. Without entropy the
  // guest has had none before either.
  if (restored_ && !renew_generation())
    platform_.log().write(LogLevel::warning, "no entropy to renew the machine's generation");
  restored_ = false;
  own_clock_.thaw(follow);
}

void Machine::tell_agent_time(bool follow) {
  if (!follow || clock_ != &own_clock_) return;
  agent_input_.want_time(*clock_);
  console_.poll_input(kAgentPort);
}

Status Machine::load_state(StateReader& in) {
  in.begin("MACH", kVersion);
  const u32 harts = in.get<u32>();
  const u64 bytes = in.get<u64>();
  const u32 disks = in.get<u32>();
  const u64 unix_ns = in.get<u64>();
  virtual_clock_.set_idle_ns(in.get<u64>());
  const bool has_rom = in.get<u8>() != 0;
  std::vector<u8> rom = in.get_bytes(kMostRomBytes);
  const bool has_htif = in.get<u8>() != 0;
  const Pa tohost(in.get<u64>()), fromhost(in.get<u64>());
  input_.load(in);
  in.end();
  if (in.failed()) return Error{in.error()};
  if (harts != config_.harts || bytes != memory_->size() || disks != blocks_.size())
    return Error{"it was saved with another number of harts or disks, or another size of memory"};
  if (clock_ == &own_clock_) own_clock_.set_wall_clock(unix_ns);

  Status status = attach_devices();
  if (!status) return status;
  if (has_rom) {
    status = attach_rom(std::move(rom));
    if (!status) return status;
  } else {
    attach_firmware();
  }
  if (has_htif) attach_htif(tohost, fromhost);
  make_harts();
  if (SeededEntropy* const seeded = platform_.seeded_entropy(); seeded != nullptr) seeded->load(in);
  std::vector<u32> lines;
  std::vector<bool> waiting;
  for (u32 i = 0; i < config_.harts; i++) {
    HartShared& shared = shared_.harts[i];
    harts_[i]->state().load(in);
    in.begin("HSHR", kVersion);
    waiting.push_back(in.get<u8>() != 0);
    lines.push_back(in.get<u32>());
    const u32 hsm = in.get<u32>();
    shared.start_address.store(in.get<u64>());
    shared.start_opaque.store(in.get<u64>());
    in.end();
    // Between two instructions there are only these.
    if (hsm != kHsmStarted && hsm != kHsmStopped && hsm != kHsmStartPending && hsm != kHsmSuspended)
      in.fail("saved hart is in a state that no hart stops in");
    shared.hsm_state.store(hsm);
  }
  plic_.load(in);
  aclint_.load(in);
  syscon_.load(in);
  uart_.load(in);
  rtc_.load(in);
  vmgenid_.load(in);
  for (auto& slot : slots_) slot->load(in);
  if (in.failed()) return Error{in.error()};
  if (!in.at_end()) return Error{"saved state goes on behind its end"};
  for (u32 i = 0; i < config_.harts; i++) {
    // Devices have set the lines they drive; those that only harts change (SSIP of an SBI call) are in here.
    shared_.harts[i].lines.store(lines[i]);
    harts_[i]->state_changed();
    harts_[i]->set_waiting(waiting[i]);
    // A start is announced where one waits, and nowhere else: a later starter's would be taken for announced before it
    // has written its arguments.
    const u32 start = shared_.harts[i].hsm_state.load() == kHsmStartPending ? u32{kAttentionStart} : 0;
    attention_.post(i, kAttentionInterrupt | kAttentionTimer | start);
  }
  return {};
}

void Machine::note_snapshot(const SnapshotId& id) {
  last_snapshot_ = id;
  memory_->forget_dirty();
  for (auto& block : blocks_) block->forget_dirty();
  // What may be stored to without a look is what was dirty. All harts are parked; each flushes before it runs.
  for (u32 i = 0; i < config_.harts; i++) shared_.harts[i].park.store(kParkedMustFlush);
}

SnapshotId Machine::new_snapshot_id(std::span<const u8> state) {
  SnapshotId id{};
  if (platform_.seeded_entropy() == nullptr && platform_.entropy().fill(id) == id.size()) return id;
  u32 checksum = crc32(last_snapshot_);  // one that follows another at once has the same state
  for (size_t at = 0; at < id.size(); at += sizeof checksum) {
    checksum = crc32(state, checksum + 1);
    store_le(id.data() + at, checksum);
  }
  return id;
}

}  // namespace hartwood
