// SPDX-License-Identifier: Apache-2.0
// The ns16550a serial port. Any thread; one lock guards all registers, and the sink and the source are called
// under it.
//
// Output goes through the 16-byte transmit FIFO to a ByteSink, at once while the sink takes it; then the
// transmitter is empty again before the store returns. When the sink is full, bytes stay in the FIFO until
// pump() or the guest's next access. Input waits in a backlog until the receive FIFO has room, so no input
// byte is ever overrun; only loopback can overrun. Line speed and modem wires do nothing. The receive
// time-out of the FIFO passes at once: a byte below the trigger level interrupts as soon as it is there.
#pragma once

#include <span>

#include "base/serial.h"
#include "devices/byte_fifo.h"
#include "devices/sinks.h"
#include "memory/interrupt.h"
#include "memory/mmio.h"
#include "shm/lock.h"

namespace hartwood {

class Uart16550 final : public MmioDevice {
 public:
  // Register numbers; byte-wide, one byte apart.
  enum Register : u64 {
    kData = 0,             // RBR, THR; divisor low with DLAB
    kInterruptEnable = 1,  // IER; divisor high with DLAB
    kInterruptId = 2,      // IIR read, FCR written
    kLineControl = 3,      // LCR
    kModemControl = 4,     // MCR
    kLineStatus = 5,       // LSR, read-only
    kModemStatus = 6,      // MSR, read-only
    kScratch = 7,          // SCR
  };
  static constexpr u32 kFifoBytes = 16;
  static constexpr u32 kBacklogBytes = 4096;

  // `output` null: bytes are dropped. `input` is asked whenever the receive FIFO has room; null: receive()
  // only.
  Uart16550(InterruptLine line, ByteSink* output, ByteSource* input = nullptr)
      : line_(line), output_(output), input_(input) {}

  // Accesses wider than a byte see the one register at `offset`, zero-extended.
  bool mmio_read(u64 offset, unsigned size, u64& value) override;
  bool mmio_write(u64 offset, unsigned size, u64 value) override;

  // Input from the line. Takes what fits into the backlog and returns its length; offer the rest again later.
  u32 receive(std::span<const u8> bytes);
  // The source has new input.
  void poll_input();
  // The sink has room again.
  void pump();
  void reset();

  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  struct Registers {
    u8 ier = 0;
    u8 fcr = 0;
    u8 lcr = 0;
    u8 mcr = 0;
    u8 scr = 0;
    u8 divisor_low = 0;
    u8 divisor_high = 0;
    u8 msr_delta = 0;             // bits 3..0 of MSR
    bool overrun = false;         // LSR bit 1
    bool transmit_empty = false;  // the THRE interrupt is due
  };

  bool fifo_enabled() const { return (regs_.fcr & 1) != 0; }
  bool loopback() const { return (regs_.mcr & 0x10) != 0; }
  u32 fifo_limit() const { return fifo_enabled() ? kFifoBytes : 1; }
  u32 trigger() const;
  u8 modem_lines() const;
  u8 interrupt_id() const;
  void update() const;
  void fill();
  void drain();
  void transmit(u8 byte);
  void write_fcr(u8 value);
  void write_mcr(u8 value);
  u8 read_register(u64 index);
  void write_register(u64 index, u8 value);

  InterruptLine line_;
  ByteSink* output_;
  ByteSource* input_;
  mutable Lock lock_;
  Registers regs_;
  ByteFifo<kFifoBytes> rx_;
  ByteFifo<kFifoBytes> tx_;
  ByteFifo<kBacklogBytes> backlog_;  // arrived, not yet in rx_
};

}  // namespace hartwood
