// SPDX-License-Identifier: Apache-2.0
#include "devices/goldfish_rtc.h"

#include "base/bits.h"

namespace hartwood {
namespace {

constexpr u64 kLowMask = 0xffff'ffff;
constexpr u64 kHighMask = ~kLowMask;

}  // namespace

void GoldfishRtc::check_alarm() {
  if (!state_.armed || now() < state_.alarm) return;
  state_.armed = false;
  state_.irq_pending = true;
  update();
}

u64 GoldfishRtc::poll() {
  Guard guard(lock_);
  check_alarm();
  return due();
}

u64 GoldfishRtc::next_alarm() const {
  Guard guard(lock_);
  return due();
}

u64 GoldfishRtc::due() const {
  if (!state_.armed) return kNoAlarm;
  const u64 due = state_.alarm - state_.offset;
  return due == kNoAlarm ? due - 1 : due;
}

bool GoldfishRtc::mmio_read(u64 offset, unsigned size, u64& value) {
  if (size != 4) return false;
  Guard guard(lock_);
  check_alarm();
  value = 0;
  switch (offset) {
    case kTimeLow: {
      const u64 time = now();
      state_.time_high = static_cast<u32>(time >> 32);
      value = time & kLowMask;
      break;
    }
    case kTimeHigh: value = state_.time_high; break;
    case kAlarmLow: value = state_.alarm & kLowMask; break;
    case kAlarmHigh: value = state_.alarm >> 32; break;
    case kIrqEnabled: value = state_.irq_enabled; break;
    case kAlarmStatus: value = state_.armed; break;
    default: break;
  }
  return true;
}

bool GoldfishRtc::mmio_write(u64 offset, unsigned size, u64 value) {
  if (size != 4) return false;
  Guard guard(lock_);
  const u64 due_before = due();
  switch (offset) {
    case kTimeLow: {
      const u64 time = now();
      state_.offset += merge(time, value, kLowMask) - time;
      break;
    }
    case kTimeHigh: {
      const u64 time = now();
      state_.offset += merge(time, value << 32, kHighMask) - time;
      break;
    }
    case kAlarmLow:
      state_.alarm = merge(state_.alarm, value, kLowMask);
      state_.armed = true;
      break;
    case kAlarmHigh: state_.alarm = merge(state_.alarm, value << 32, kHighMask); break;
    case kIrqEnabled: state_.irq_enabled = (value & 1) != 0; break;
    case kClearAlarm: state_.armed = false; break;
    case kClearInterrupt: state_.irq_pending = false; break;
    default: break;
  }
  check_alarm();
  update();
  // One that was cleared needs no haste: when its time comes there is nothing to do.
  if (state_.armed && due() != due_before) deadlines_.deadlines_changed();
  return true;
}

void GoldfishRtc::reset() {
  Guard guard(lock_);
  const u64 offset = state_.offset;  // a clock outlives a reset
  state_ = State{};
  state_.offset = offset;
  update();
}

void GoldfishRtc::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("GRTC", 1);
  out.put(state_.offset);
  out.put(state_.alarm);
  out.put(state_.time_high);
  for (const bool flag : {state_.armed, state_.irq_pending, state_.irq_enabled}) out.put(static_cast<u8>(flag));
  out.end();
}

void GoldfishRtc::load(StateReader& in) {
  Guard guard(lock_);
  State state;
  in.begin("GRTC", 1);
  in.get(state.offset);
  in.get(state.alarm);
  in.get(state.time_high);
  state.armed = in.get<u8>() != 0;
  state.irq_pending = in.get<u8>() != 0;
  state.irq_enabled = in.get<u8>() != 0;
  in.end();
  if (in.failed()) return;
  state_ = state;
  check_alarm();
  update();
  deadlines_.deadlines_changed();
}

}  // namespace hartwood
