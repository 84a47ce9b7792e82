// SPDX-License-Identifier: Apache-2.0
#include "devices/uart16550.h"

#include <algorithm>

namespace hartwood {
namespace {

constexpr u8 kIerReceive = 1, kIerTransmit = 2, kIerLine = 4, kIerModem = 8;
constexpr u8 kIidNone = 0x01, kIidModem = 0x00, kIidTransmit = 0x02, kIidReceive = 0x04, kIidLine = 0x06,
             kIidTimeout = 0x0c, kIidFifos = 0xc0;
constexpr u8 kFcrEnable = 1, kFcrClearReceive = 2, kFcrClearTransmit = 4;
constexpr u8 kLcrDlab = 0x80;
constexpr u8 kLsrReady = 0x01, kLsrOverrun = 0x02, kLsrHoldingEmpty = 0x20, kLsrEmpty = 0x40;
constexpr u8 kMsrCts = 0x10, kMsrDsr = 0x20, kMsrRi = 0x40, kMsrDcd = 0x80;
constexpr u8 kDeltaRi = 0x04;

}  // namespace

u32 Uart16550::trigger() const {
  if (!fifo_enabled()) return 1;
  constexpr u32 kLevels[] = {1, 4, 8, 14};
  return kLevels[regs_.fcr >> 6];
}

// Bits 7..4 of MSR: a peer that is always there, or our own outputs in loopback.
u8 Uart16550::modem_lines() const {
  if (!loopback()) return kMsrCts | kMsrDsr | kMsrDcd;
  u8 lines = 0;
  if (regs_.mcr & 0x01) lines |= kMsrDsr;  // DTR
  if (regs_.mcr & 0x02) lines |= kMsrCts;  // RTS
  if (regs_.mcr & 0x04) lines |= kMsrRi;   // OUT1
  if (regs_.mcr & 0x08) lines |= kMsrDcd;  // OUT2
  return lines;
}

u8 Uart16550::interrupt_id() const {
  if ((regs_.ier & kIerLine) && regs_.overrun) return kIidLine;
  if ((regs_.ier & kIerReceive) && !rx_.empty()) return rx_.size() >= trigger() ? kIidReceive : kIidTimeout;
  if ((regs_.ier & kIerTransmit) && regs_.transmit_empty) return kIidTransmit;
  if ((regs_.ier & kIerModem) && regs_.msr_delta != 0) return kIidModem;
  return kIidNone;
}

void Uart16550::update() const { line_.set(interrupt_id() != kIidNone); }

// Moves input from the line into the receive FIFO while there is room.
void Uart16550::fill() {
  if (loopback()) return;
  while (rx_.size() < fifo_limit()) {
    if (backlog_.empty()) {
      if (input_ == nullptr) return;
      u8 bytes[kFifoBytes];
      const u32 wanted = fifo_limit() - rx_.size();
      const u32 got = std::min(input_->read(std::span<u8>(bytes, wanted)), wanted);
      if (got == 0) return;
      rx_.push(std::span<const u8>(bytes, got));
    } else {
      rx_.push(backlog_.pop());
    }
  }
}

// Hands the transmit FIFO to the sink.
void Uart16550::drain() {
  if (tx_.empty()) return;
  while (!tx_.empty()) {
    const std::span<const u8> run = tx_.front();
    const u32 taken = output_ != nullptr ? output_->write(run) : static_cast<u32>(run.size());
    if (taken == 0) return;
    tx_.drop(taken);
  }
  regs_.transmit_empty = true;
}

void Uart16550::transmit(u8 byte) {
  regs_.transmit_empty = false;
  if (loopback()) {
    if (rx_.size() < fifo_limit())
      rx_.push(byte);
    else
      regs_.overrun = true;
    regs_.transmit_empty = true;
    return;
  }
  drain();
  regs_.transmit_empty = false;
  if (tx_.size() >= fifo_limit() && !fifo_enabled()) tx_.clear();  // an unsent byte of THR is overwritten
  tx_.push(byte);
  drain();
}

void Uart16550::write_fcr(u8 value) {
  const bool toggled = ((value ^ regs_.fcr) & kFcrEnable) != 0;
  if (toggled || (value & kFcrClearReceive)) rx_.clear();
  if (toggled || (value & kFcrClearTransmit)) {
    tx_.clear();
    regs_.transmit_empty = true;
  }
  // Without bit 0 the other bits are not programmed.
  regs_.fcr = (value & kFcrEnable) ? value & 0xc9 : 0;
  fill();
}

void Uart16550::write_mcr(u8 value) {
  const u8 before = modem_lines();
  regs_.mcr = value & 0x1f;
  const u8 after = modem_lines();
  // CTS, DSR and DCD report any change, RI its trailing edge.
  const u8 changed = static_cast<u8>((before ^ after) >> 4);
  regs_.msr_delta |= changed & 0x0b;
  if ((before & kMsrRi) && !(after & kMsrRi)) regs_.msr_delta |= kDeltaRi;
  fill();
}

u8 Uart16550::read_register(u64 index) {
  const bool dlab = (regs_.lcr & kLcrDlab) != 0;
  switch (index) {
    case kData: {
      if (dlab) return regs_.divisor_low;
      const u8 byte = rx_.pop();
      fill();
      return byte;
    }
    case kInterruptEnable: return dlab ? regs_.divisor_high : regs_.ier;
    case kInterruptId: {
      const u8 id = interrupt_id();
      if (id == kIidTransmit) regs_.transmit_empty = false;
      return static_cast<u8>(id | (fifo_enabled() ? kIidFifos : 0));
    }
    case kLineControl: return regs_.lcr;
    case kModemControl: return regs_.mcr;
    case kLineStatus: {
      drain();
      u8 status = 0;
      if (!rx_.empty()) status |= kLsrReady;
      if (regs_.overrun) status |= kLsrOverrun;
      if (tx_.empty()) status |= kLsrHoldingEmpty | kLsrEmpty;
      regs_.overrun = false;
      return status;
    }
    case kModemStatus: {
      const u8 status = static_cast<u8>(modem_lines() | regs_.msr_delta);
      regs_.msr_delta = 0;
      return status;
    }
    case kScratch: return regs_.scr;
    default: return 0;
  }
}

void Uart16550::write_register(u64 index, u8 value) {
  const bool dlab = (regs_.lcr & kLcrDlab) != 0;
  switch (index) {
    case kData:
      if (dlab)
        regs_.divisor_low = value;
      else
        transmit(value);
      break;
    case kInterruptEnable:
      if (dlab) {
        regs_.divisor_high = value;
      } else {
        const bool rising = (value & kIerTransmit) && !(regs_.ier & kIerTransmit);
        regs_.ier = value & 0x0f;
        if (rising && tx_.empty()) regs_.transmit_empty = true;
      }
      break;
    case kInterruptId: write_fcr(value); break;
    case kLineControl: regs_.lcr = value; break;
    case kModemControl: write_mcr(value); break;
    case kScratch: regs_.scr = value; break;
    default: break;
  }
}

bool Uart16550::mmio_read(u64 offset, unsigned, u64& value) {
  Guard guard(lock_);
  value = read_register(offset);
  update();
  return true;
}

bool Uart16550::mmio_write(u64 offset, unsigned, u64 value) {
  Guard guard(lock_);
  write_register(offset, static_cast<u8>(value));
  update();
  return true;
}

u32 Uart16550::receive(std::span<const u8> bytes) {
  Guard guard(lock_);
  fill();
  const u32 taken = backlog_.push(bytes);
  fill();
  update();
  return taken;
}

void Uart16550::poll_input() {
  Guard guard(lock_);
  fill();
  update();
}

void Uart16550::pump() {
  Guard guard(lock_);
  drain();
  update();
}

void Uart16550::reset() {
  Guard guard(lock_);
  regs_ = Registers{};
  rx_.clear();
  tx_.clear();
  update();
}

void Uart16550::save(StateWriter& out) const {
  Guard guard(lock_);
  out.begin("UART", 1);
  for (const u8 value : {regs_.ier, regs_.fcr, regs_.lcr, regs_.mcr, regs_.scr, regs_.divisor_low, regs_.divisor_high,
                         regs_.msr_delta, static_cast<u8>(regs_.overrun), static_cast<u8>(regs_.transmit_empty)})
    out.put(value);
  rx_.save(out);
  tx_.save(out);
  backlog_.save(out);
  out.end();
}

void Uart16550::load(StateReader& in) {
  Guard guard(lock_);
  Registers regs;
  ByteFifo<kFifoBytes> rx, tx;
  ByteFifo<kBacklogBytes> backlog;
  in.begin("UART", 1);
  for (u8* field :
       {&regs.ier, &regs.fcr, &regs.lcr, &regs.mcr, &regs.scr, &regs.divisor_low, &regs.divisor_high, &regs.msr_delta})
    in.get(*field);
  regs.overrun = in.get<u8>() != 0;
  regs.transmit_empty = in.get<u8>() != 0;
  rx.load(in);
  tx.load(in);
  backlog.load(in);
  in.end();
  const u32 limit = (regs.fcr & kFcrEnable) ? kFifoBytes : 1;
  if (rx.size() > limit || tx.size() > limit) in.fail("saved serial port holds more bytes than it can");
  if (in.failed()) return;
  regs.ier &= 0x0f;
  regs.fcr &= 0xc9;
  regs.mcr &= 0x1f;
  regs.msr_delta &= 0x0f;
  regs_ = regs;
  rx_ = rx;
  tx_ = tx;
  backlog_ = backlog;
  update();
}

}  // namespace hartwood
