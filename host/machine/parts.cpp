// SPDX-License-Identifier: Apache-2.0
#include "machine/parts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "machine/machine.h"

namespace hartwood {

void HartLines::set_lines(u32 hart, u32 mask, bool level) {
  Atomic<u32>& lines = attention_.shared().harts[hart].lines;
  if (!level) {
    lines.fetch_and(~mask);
    // The hart merges the lines again when it next looks; a falling line needs no hurry, but must not be missed.
    attention_.post(hart, kAttentionInterrupt);
    return;
  }
  if ((lines.fetch_or(mask) & mask) != mask) attention_.post(hart, kAttentionInterrupt);
}

void HartLines::set_mtimecmp(u32 hart, u64 ticks) {
  attention_.shared().harts[hart].mtimecmp.store(ticks);
  attention_.post(hart, kAttentionTimer);
}

u64 HartLines::mtimecmp(u32 hart) const { return attention_.shared().harts[hart].mtimecmp.load(); }
u32 HartLines::lines(u32 hart) const { return attention_.shared().harts[hart].lines.load(); }

MachineClock::MachineClock(Platform& platform, MachineShared& shared)
    : platform_(platform), shared_(shared), start_ns_(platform.monotonic_ns()) {}

u64 MachineClock::unix_nanoseconds() {
  return (frozen() ? frozen_unix_ns_ : platform_.unix_ns()) - wall_behind_ns_.load();
}

void MachineClock::freeze(u64 since_ns) {
  if (frozen()) return;
  const u64 now_ns = platform_.monotonic_ns();
  const u64 latest_ns = start_ns_.load() + shared_.clock_latest.load() * kNanosecondsPerTick;
  frozen_ns_ = std::min(now_ns, std::max(since_ns, latest_ns));
  frozen_unix_ns_ = platform_.unix_ns() - (now_ns - frozen_ns_);
  frozen_.store(1);
}

void MachineClock::thaw(bool follow) {
  if (!frozen()) return;
  const u64 now_ns = platform_.monotonic_ns();
  start_ns_.fetch_add(now_ns > frozen_ns_ ? now_ns - frozen_ns_ : 0);
  if (follow)
    wall_behind_ns_.store(0);
  else
    wall_behind_ns_.fetch_add(platform_.unix_ns() - frozen_unix_ns_);
  // Last: a reader that sees it running finds the time that it goes on from.
  frozen_.store(0);
}

u64 MachineClock::elapsed() {
  // A reader that still sees it frozen has a time that is not newer, which the maximum below takes care of.
  const u64 now_ns = frozen() ? frozen_ns_ : platform_.monotonic_ns();
  const u64 start_ns = start_ns_.load();
  const u64 now = now_ns > start_ns ? (now_ns - start_ns) / kNanosecondsPerTick : 0;
  u64 latest = shared_.clock_latest.load();
  // Pairs with itself on other threads: whoever reads a smaller value returns the largest that was published.
  while (latest < now) {
    if (shared_.clock_latest.compare_exchange(latest, now)) return now;
  }
  return latest;
}

u64 VirtualClock::now_ns() const { return idle_ns_ + (machine_ != nullptr ? machine_->retired() << shift_ : 0); }

void PowerSwitch::end(PowerState state, u32 code) {
  MachineShared& shared = attention_.shared();
  {
    Guard guard(lock_);
    if (shared.power.load() != kPowerOn) return;
    // The code first: whoever sees the state finds it.
    shared.exit_code.store(code);
    shared.power.store(state);
  }
  shared.event.fetch_add(1);
  shared.event.notify();
  for (u32 hart = 0; hart < kMaxHarts; hart++) attention_.post(hart, kAttentionInterrupt);
  shared.clock_word.fetch_add(1);
  shared.clock_word.notify();
}

u32 ConsoleInput::read(std::span<u8> to) {
  u32 taken = 0;
  bool waited_for = false;
  {
    Guard guard(lock_);
    while (taken < to.size() && read_ != written_) to[taken++] = bytes_[read_++ % kCapacity];
    if (taken != 0) waited_for = std::exchange(refused_, false);
  }
  if (waited_for) {
    // Pairs with a writer that read the counter, then wrote, then waits.
    room_.fetch_add(1);
    room_.notify();
  }
  return taken;
}

u32 ConsoleInput::write(std::span<const u8> from) {
  Guard guard(lock_);
  u32 taken = 0;
  while (taken < from.size() && written_ - read_ < kCapacity) bytes_[written_++ % kCapacity] = from[taken++];
  refused_ |= taken < from.size();
  return taken;
}

void ConsoleInput::save(StateWriter& out) {
  Guard guard(lock_);
  std::vector<u8> bytes;
  for (u32 at = read_; at != written_; at++) bytes.push_back(bytes_[at % kCapacity]);
  out.put_bytes(bytes);
}

void ConsoleInput::load(StateReader& in) {
  const std::vector<u8> bytes = in.get_bytes(kCapacity);
  Guard guard(lock_);
  read_ = written_ = 0;
  refused_ = false;
  for (const u8 byte : bytes) bytes_[written_++] = byte;
}

u32 AgentInput::read(std::span<u8> to) {
  Guard guard(lock_);
  // Only now: what was written earlier would be late by as long as nobody read it.
  if (wanted_time_ != nullptr && read_ == written_) {
    constexpr u64 kSecond = 1'000'000'000;
    const u64 now = wanted_time_->unix_nanoseconds();
    add_locked(format("clock %llu.%09llu", static_cast<unsigned long long>(now / kSecond),
                      static_cast<unsigned long long>(now % kSecond)));
    wanted_time_ = nullptr;
  }
  u32 taken = 0;
  while (taken < to.size() && read_ != written_) to[taken++] = bytes_[read_++ % kCapacity];
  return taken;
}

bool AgentInput::add(std::string_view line) {
  Guard guard(lock_);
  return add_locked(line);
}

bool AgentInput::add_locked(std::string_view line) {
  if (line.size() >= kCapacity - (written_ - read_)) return false;
  for (const char c : line) bytes_[written_++ % kCapacity] = static_cast<u8>(c);
  bytes_[written_++ % kCapacity] = '\n';
  return true;
}

void AgentInput::want_time(Clock& clock) {
  Guard guard(lock_);
  wanted_time_ = &clock;
}

void AgentInput::clear() {
  Guard guard(lock_);
  read_ = written_;
}

u32 AgentOutput::write(std::span<const u8> bytes) {
  const u32 size = static_cast<u32>(bytes.size());
  // One producer at a time: the console's lock is held.
  const u32 taken = sink_ != nullptr ? sink_->write(bytes) : ring_.room() < size ? 0 : ring_.push(bytes.data(), size);
  if (taken < size) ring_.dropped.fetch_add(size - taken);
  return size;
}

void Htif::answer(u64 value) {
  if (fromhost_.value != 0) memory_.store<u64>(fromhost_, value);
}

void Htif::tohost(u64 value) {
  Guard guard(lock_);
  const u64 device = value >> 56, command = (value >> 48) & 0xff, payload = value & 0xffff'ffff'ffff;
  if (device == 0 && command == 0) {
    if (payload & 1) {
      power_.end(kPowerExited, static_cast<u32>(payload >> 1));
      return;
    }
    memory_.store<u64>(tohost_, 0);
    system_call(Pa(payload));
    return;
  }
  memory_.store<u64>(tohost_, 0);
  if (device == 1 && command == 1) {
    const u8 byte = static_cast<u8>(payload);
    console_.write({&byte, 1});
  }
  answer(device << 56 | command << 48);
}

// A block of eight doublewords: number, then arguments. Only write to the two output streams and exit exist here.
void Htif::system_call(Pa block) {
  constexpr u64 kWrite = 64, kExit = 93, kNoSuchCall = ~u64{37};  // -ENOSYS
  u64 number = 0, fd = 0, address = 0, length = 0;
  if (!memory_.load(block, number) || !memory_.load(block + 8, fd) || !memory_.load(block + 16, address) ||
      !memory_.load(block + 24, length)) {
    answer(1);
    return;
  }
  u64 result = kNoSuchCall;
  if (number == kExit) {
    power_.end(kPowerExited, static_cast<u32>(fd));
    return;
  }
  if (number == kWrite && (fd == 1 || fd == 2)) {
    const std::span<const u8> bytes = memory_.readable(Pa(address), length);
    result = bytes.size();
    console_.write(bytes);
  }
  memory_.store<u64>(block, result);
  answer(1);
}

bool BootRom::mmio_read(u64 offset, unsigned size, u64& value) {
  value = 0;
  for (unsigned i = 0; i < size; i++) {
    if (offset + i < bytes_.size()) value |= u64{bytes_[offset + i]} << (8 * i);
  }
  return true;
}

}  // namespace hartwood
