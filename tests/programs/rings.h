// SPDX-License-Identifier: Apache-2.0
// Guest programs that drive a virtqueue from several harts: one queue, one lock, requests of every hart on it. Whoever
// claims the device's interrupt takes what has been used, also that of others, and wakes its owners by interrupts.
// Every wait is a WFI, so a notification or an interrupt that is lost leaves everybody asleep.
//
// The driver suppresses what it can, as Linux does: notifications by what the device asks for, interrupts while it
// looks at the used ring, by the flag or by the event index.
#pragma once

#include "base/result.h"
#include "devices/plic.h"
#include "devices/virt_map.h"
#include "devices/virtio/mmio_transport.h"
#include "programs/interrupts.h"

namespace hartwood::test {

enum class RingUse : u8 {
  entropy,    // each request is filled
  block,      // by turns a sector is written and read back
  print,      // each request is a line of the console
  read_input  // all buffers wait for input, whose bytes are numbered; whoever takes one offers it again
};

struct RingPlan {
  RingUse use = RingUse::entropy;
  u32 harts = 2;             // 1 to 4
  u32 rounds = 4;            // of each hart; an even number for `block`
  u32 batch = 1;             // requests of a hart at once at most: 1 or 2
  bool event_index = false;  // negotiated
  bool one_claims = false;   // the device interrupts the last hart only, else all of them
  bool polls = false;        // harts look at the used ring before they sleep, by turns
  u32 input_bytes = 0;       // that come, for read_input
};

inline constexpr u32 kRingHeads = 8;  // at most: harts times batch
inline constexpr u64 kRingPlace = kGuestData + 0x1'0000, kRingAvailable = kRingPlace + 0x400,
                     kRingUsed = kRingPlace + 0x800, kRingBuffers = kRingPlace + 0x1000;
inline constexpr u32 kRingBufferBytes = 1024;  // of each head
inline constexpr u32 kRingLineBytes = 8;

// The numbered bytes of the console's input.
inline constexpr u32 kInputStep = 7, kInputFirst = 3;
inline u8 input_byte(u64 number) { return static_cast<u8>(number * kInputStep + kInputFirst); }

class RingGuest : public Guest {
 public:
  explicit RingGuest(const RingPlan& plan) : Guest(plan.harts), plan_(plan) {
    HW_CHECK(plan.harts * plan.batch <= kRingHeads, "too many requests");
    entries_ = plan.use == RingUse::block ? 3 : 1;
    heads_ = plan.use == RingUse::read_input ? 4 : plan.harts * plan.batch;
    while (size_ < heads_ * entries_) size_ *= 2;
    slot_ = plan.use == RingUse::block ? 1 : plan.use == RingUse::entropy ? 2 : 0;
    queue_ = plan.use == RingUse::print ? 1 : 0;
    irq_ = virt::virtio_irq(slot_);
  }

  GuestProgram make() {
    const Label process = label(), main = label();
    j(main);
    bind(process);
    take_used();
    bind(main);
    li(s2, 0);
    set_up();
    barrier(s2, kOther);
    li(s3, kRingPlace);
    li(s5, kSoftware);
    li(s6, virt::virtio_base(slot_));
    li(t0, kSoftware | kExternal);
    csrw(kCsrSie, t0);
    li(s7, 0);  // requests of this hart so far
    if (plan_.use == RingUse::read_input) {
      const auto all_read = [this](Label there) {
        ld(t0, kCounter, s1);
        li(t1, plan_.input_bytes);
        beq(t0, t1, there);
      };
      const Label other = label();
      bne(s0, zero, other);
      lock();
      ld(t0, kAvailableCount, s1);
      for (u32 head = 0; head < heads_; head++) {
        li(t4, head);
        offer(t4, head);
      }
      addi(t0, t0, heads_);
      publish();
      decide_kick(heads_);
      unlock();
      kick();
      bind(other);
      wait_until(process, all_read);
    } else {
      li(s2, 1);
      const Label round = bound();
      submit();
      wait_until(process, [this](Label there) {
        table_entry(t4, zero, s0, t0);
        ld(t0, 0, t4);
        beq(t0, s7, there);
      });
      inspect();
      addi(s2, s2, 1);
      li(t0, plan_.rounds + 1);
      bne(s2, t0, round);
    }
    // Others may still need this hart to take their interrupts.
    fence();
    li(t0, 1);
    amo_at(Op::amoadd_d, zero, t0, kDone);
    send_ipi_to_all();
    wait_until(process, [this](Label there) {
      ld(t0, kDone, s1);
      li(t1, harts());
      beq(t0, t1, there);
    });
    const Label sleep = label();
    bne(s0, zero, sleep);
    end();
    bind(sleep);
    csrw(kCsrSie, zero);
    const Label asleep = bound();
    wfi();
    j(asleep);
    GuestProgram made = program();
    made.prepare = [*this](GuestView& view) { describe(view); };
    return made;
  }

 private:
  static constexpr i64 kAvailableCount = 0x280, kUsedCount = 0x300;  // offsets in the data, guarded by the lock
  static constexpr u64 kStatusOffset = 16, kDataOffset = 512, kSector = 512;
  static constexpr u32 kOutstandingRow = 1;

  void load(Op op, Reg rd, i64 imm, Reg at) { emit(encode_load(op, rd, imm, at)); }
  void store(Op op, Reg rs, i64 imm, Reg at) { emit(encode_store(op, rs, imm, at)); }
  void set_register(u64 offset, u32 value) {
    li(t0, virt::virtio_base(slot_) + offset);
    li(t1, value);
    sw(t1, 0, t0);
  }
  u32 request_bytes() const { return plan_.use == RingUse::block ? kSector : kRingLineBytes; }
  // Of a buffer for input: all lengths from 1 on.
  static u32 input_room(u32 head) { return 1 + head * 5; }

  // The descriptors, and what of the buffers does not change.
  void describe(GuestView& view) const {
    constexpr u64 kNext = 1, kWrite = 2;
    for (u32 head = 0; head < heads_; head++) {
      const u64 buffer = kRingBuffers + u64{head} * kRingBufferBytes;
      const auto descriptor = [&](u32 at, u64 address, u64 bytes, u64 flags) {
        view.poke(kRingPlace + 16 * u64{at}, address);
        view.poke(kRingPlace + 16 * u64{at} + 8, bytes | flags << 32 | u64{at + 1} << 48);
      };
      const u32 first = head * entries_;
      switch (plan_.use) {
        case RingUse::entropy: descriptor(first, buffer, kRingLineBytes, kWrite); break;
        case RingUse::print: descriptor(first, buffer, kRingLineBytes, 0); break;
        case RingUse::read_input: descriptor(first, buffer, input_room(head), kWrite); break;
        case RingUse::block:
          descriptor(first, buffer, 16, kNext);
          descriptor(first + 1, buffer + kDataOffset, kSector, kNext);
          descriptor(first + 2, buffer + kStatusOffset, 1, kWrite);
          break;
      }
    }
  }

  void set_up() {
    // This hart's side of the interrupt controller.
    const Label no_interrupt = label(), other = label();
    const u64 context_of_0 = virt::kPlicBase + Plic::kContext + Plic::kContextStride;
    li(s4, context_of_0 + 4);
    li(t0, 2 * Plic::kContextStride);
    op(Op::mul, t0, t0, s0);
    add(s4, s4, t0);  // claim and complete
    if (plan_.one_claims) {
      li(t0, harts() - 1);
      bne(s0, t0, no_interrupt);
    }
    li(t0, virt::kPlicBase + Plic::kEnable + Plic::kEnableStride);
    li(t1, 2 * Plic::kEnableStride);
    op(Op::mul, t1, t1, s0);
    add(t0, t0, t1);
    li(t1, u64{1} << irq_);
    sw(t1, 0, t0);
    bind(no_interrupt);
    bne(s0, zero, other);
    li(t0, virt::kPlicBase + Plic::kPriority + 4 * u64{irq_});
    li(t1, 1);
    sw(t1, 0, t0);
    using V = VirtioMmio;
    for (const u32 status : {0u, 1u, 3u}) set_register(V::kStatus, status);
    set_register(V::kDriverFeaturesSelect, 0);
    set_register(V::kDriverFeatures, plan_.event_index ? 1u << V::kEventIndexFeature : 0);
    set_register(V::kDriverFeaturesSelect, 1);
    set_register(V::kDriverFeatures, 1u << (V::kVersion1Feature - 32));
    set_register(V::kStatus, 11);
    set_register(V::kQueueSelect, queue_);
    set_register(V::kQueueSize, size_);
    const auto address = [&](u64 low, u64 value) {
      set_register(low, static_cast<u32>(value));
      set_register(low + 4, static_cast<u32>(value >> 32));
    };
    address(V::kQueueDescLow, kRingPlace);
    address(V::kQueueDriverLow, kRingAvailable);
    address(V::kQueueDeviceLow, kRingUsed);
    set_register(V::kQueueReady, 1);
    set_register(V::kStatus, 15);
    li(t0, virt::virtio_base(slot_) + V::kStatus);
    load(Op::lw, t0, 0, t0);
    li(t1, 15);
    die_unless_equal(t0, t1, 50);
    bind(other);
  }

  void lock() {
    li(t0, 1);
    const Label again = bound();
    amo_at(Op::amoswap_w, t1, t0, kLock, Guest::acquire);
    bne(t1, zero, again);
  }
  void unlock() { amo_at(Op::amoswap_w, zero, zero, kLock, Guest::release); }

  // Puts the head `head` behind the `ahead` that come after the count in t0. Changes t1, t2, t3.
  void offer(Reg head, u32 ahead) {
    li(t1, kOutstandingRow);
    table_entry(t2, t1, head, t3);
    ld(t1, 0, t2);
    die_unless_equal(t1, zero, 51);
    li(t1, 1);
    sd(t1, 0, t2);
    addi(t1, t0, ahead);
    andi(t1, t1, size_ - 1);
    slli(t1, t1, 1);
    add(t1, t1, s3);
    li(t2, entries_);
    op(Op::mul, t2, t2, head);
    store(Op::sh, t2, kRingAvailable - kRingPlace + 4, t1);
  }
  // The count in t0 becomes the available index.
  void publish() {
    sd(t0, kAvailableCount, s1);
    fence();
    store(Op::sh, t0, kRingAvailable - kRingPlace + 2, s3);
    fence();
  }
  // s11 = whether to notify, after so many (or as many as `count` says) became available and t0 is the count.
  void decide_kick(u32 fresh, Reg count = zero) {
    if (plan_.event_index) {
      li(t2, kRingUsed + 4 + 8 * u64{size_});
      load(Op::lhu, t3, 0, t2);
      sub(t2, t0, t3);
      addi(t2, t2, -1);
      slli(t2, t2, 48);
      srli(t2, t2, 48);
      if (count == zero) {
        li(t3, fresh);
        op(Op::sltu, s11, t2, t3);
      } else {
        op(Op::sltu, s11, t2, count);
      }
    } else {
      li(t2, kRingUsed);
      load(Op::lhu, t3, 0, t2);
      andi(t3, t3, 1);
      li(t2, 1);
      op(Op::xor_, s11, t3, t2);
      if (count != zero) {
        op(Op::sltu, t2, zero, count);
        op(Op::and_, s11, s11, t2);
      }
    }
  }
  void kick() {
    const Label quiet = label();
    beq(s11, zero, quiet);
    li(t1, queue_);
    sw(t1, VirtioMmio::kQueueNotify, s6);
    bind(quiet);
  }

  // s8 = requests of this round: one, or two in every other pair of rounds.
  void requests_of_round() {
    li(s8, 1);
    if (plan_.batch < 2) return;
    addi(t0, s2, 1);
    srli(t0, t0, 1);
    andi(t0, t0, 1);
    add(s8, s8, t0);
  }
  // s9 = head of request s10, a5 = its buffer.
  void find_buffer() {
    li(t0, plan_.batch);
    op(Op::mul, s9, s0, t0);
    add(s9, s9, s10);
    li(t0, kRingBufferBytes);
    op(Op::mul, a5, s9, t0);
    li(t0, kRingBuffers);
    add(a5, a5, t0);
  }
  template <class Body>
  void each_request(Body&& body) {
    requests_of_round();
    li(s10, 0);
    const Label next = bound();
    find_buffer();
    body();
    addi(s10, s10, 1);
    bne(s10, s8, next);
  }
  // t0 = what a sector holds after round `round`.
  void pattern(Reg round) {
    slli(t0, round, 8);
    add(t0, t0, s9);
    addi(t0, t0, 1);
  }

  void submit() {
    each_request([this] {
      switch (plan_.use) {
        case RingUse::entropy: sd(zero, 0, a5); break;
        case RingUse::print: write_line(); break;
        case RingUse::block: write_request(); break;
        case RingUse::read_input: break;
      }
    });
    lock();
    ld(t0, kAvailableCount, s1);
    for (u32 i = 0; i < plan_.batch; i++) {
      const Label less = label();
      if (i != 0) {
        li(t4, 2);
        bne(s8, t4, less);
      }
      li(t4, plan_.batch);
      op(Op::mul, t4, s0, t4);
      addi(t4, t4, i);
      offer(t4, i);
      bind(less);
    }
    add(t0, t0, s8);
    add(s7, s7, s8);
    publish();
    decide_kick(0, s8);
    unlock();
    kick();
  }
  void write_line() {
    addi(t0, s9, 'A');
    store(Op::sb, t0, 0, a5);
    for (u32 i = 0; i < 6; i++) {
      srli(t0, s2, 4 * (5 - i));
      andi(t0, t0, 15);
      addi(t0, t0, 'a');
      store(Op::sb, t0, 1 + i, a5);
    }
    li(t0, '\n');
    store(Op::sb, t0, 7, a5);
  }
  void write_request() {
    const Label reads = label(), ready = label();
    li(t2, entries_);
    op(Op::mul, t2, t2, s9);
    slli(t2, t2, 4);
    add(t2, t2, s3);  // its descriptors
    sd(s9, 8, a5);    // the sector
    li(t0, 0xff);
    store(Op::sb, t0, kStatusOffset, a5);
    andi(t0, s2, 1);
    beq(t0, zero, reads);
    pattern(s2);
    sd(t0, kDataOffset, a5);
    sd(t0, kDataOffset + kSector - 8, a5);
    li(t0, 1);
    sd(t0, 0, a5);
    store(Op::sh, t0, 16 + 12, t2);
    j(ready);
    bind(reads);
    sd(zero, kDataOffset, a5);
    sd(zero, kDataOffset + kSector - 8, a5);
    sd(zero, 0, a5);
    li(t0, 3);
    store(Op::sh, t0, 16 + 12, t2);
    bind(ready);
  }
  void inspect() {
    each_request([this] {
      const Label fine = label();
      switch (plan_.use) {
        case RingUse::entropy:
          ld(t0, 0, a5);
          bne(t0, zero, fine);
          die(60);
          break;
        case RingUse::block:
          load(Op::lbu, t0, kStatusOffset, a5);
          die_unless_equal(t0, zero, 61);
          andi(t0, s2, 1);
          bne(t0, zero, fine);
          addi(t1, s2, -1);
          pattern(t1);
          ld(t1, kDataOffset, a5);
          die_unless_equal(t1, t0, 62);
          ld(t1, kDataOffset + kSector - 8, a5);
          die_unless_equal(t1, t0, 63);
          break;
        case RingUse::print:
        case RingUse::read_input: break;
      }
      bind(fine);
    });
  }

  // Until `reached` jumps to the label that it gets. It may change t registers.
  template <class Reached>
  void wait_until(Label process, Reached&& reached) {
    const Label over = label(), wait = bound();
    csrc(kCsrSip, s5);
    fence();
    reached(over);
    if (plan_.polls) {
      const Label not_now = label();
      add(t0, s2, s0);
      andi(t0, t0, 1);
      beq(t0, zero, not_now);
      jal(ra, process);
      reached(over);
      bind(not_now);
    }
    wfi();
    csrr(t0, kCsrSip);
    andi(t0, t0, kExternal);
    beq(t0, zero, wait);
    load(Op::lw, t0, 0, s4);
    beq(t0, zero, wait);  // another hart was faster
    li(t1, irq_);
    die_unless_equal(t0, t1, 52);
    load(Op::lw, t1, VirtioMmio::kInterruptStatus, s6);
    sw(t1, VirtioMmio::kInterruptAck, s6);
    jal(ra, process);
    li(t0, irq_);
    sw(t0, 0, s4);
    j(wait);
    bind(over);
  }

  // A subroutine: takes everything from the used ring. Changes all but s0 to s7.
  void take_used() {
    const bool input = plan_.use == RingUse::read_input;
    lock();
    li(s9, 0);   // whom to wake: a mask
    li(s10, 0);  // requests that were offered again
    const Label again = bound(), next = label(), empty = label();
    if (!plan_.event_index) {
      li(t0, 1);
      store(Op::sh, t0, kRingAvailable - kRingPlace, s3);
    }
    bind(next);
    fence();
    li(s8, kRingUsed);
    load(Op::lhu, t0, 2, s8);
    ld(a4, kUsedCount, s1);
    slli(t2, a4, 48);
    srli(t2, t2, 48);
    beq(t0, t2, empty);
    fence();
    andi(t3, a4, size_ - 1);
    slli(t3, t3, 3);
    add(t3, t3, s8);
    load(Op::lwu, t4, 4, t3);  // head
    load(Op::lwu, t5, 8, t3);  // bytes
    li(t0, entries_);
    op(Op::remu, t1, t4, t0);
    die_unless_equal(t1, zero, 53);
    li(t0, entries_);
    op(Op::divu, t4, t4, t0);
    li(t0, kOutstandingRow);
    table_entry(t1, t0, t4, t2);
    ld(t2, 0, t1);
    li(t0, 1);
    die_unless_equal(t2, t0, 54);  // given back twice, or never offered
    sd(zero, 0, t1);
    addi(a4, a4, 1);
    sd(a4, kUsedCount, s1);
    if (input) {
      take_input();
    } else {
      if (plan_.use == RingUse::entropy) {
        li(t0, kRingLineBytes);
        die_unless_equal(t5, t0, 55);
      }
      li(t0, plan_.batch);
      op(Op::divu, t4, t4, t0);
      table_entry(t1, zero, t4, t2);
      ld(t2, 0, t1);
      addi(t2, t2, 1);
      sd(t2, 0, t1);
      mask_of(t0, t4);
      op(Op::or_, s9, s9, t0);
    }
    j(next);
    bind(empty);
    if (plan_.event_index) {
      li(t2, kRingAvailable + 4 + 2 * u64{size_});
      store(Op::sh, a4, 0, t2);
    } else {
      store(Op::sh, zero, kRingAvailable - kRingPlace, s3);
    }
    fence();
    load(Op::lhu, t0, 2, s8);
    slli(t2, a4, 48);
    srli(t2, t2, 48);
    bne(t0, t2, again);
    if (input) {
      ld(t0, kAvailableCount, s1);
      decide_kick(0, s10);
    }
    unlock();
    if (input) {
      kick();
      const Label more = label();
      ld(t0, kCounter, s1);
      li(t1, plan_.input_bytes);
      bne(t0, t1, more);
      send_ipi_to_all();
      bind(more);
    } else {
      const Label nobody = label();
      beq(s9, zero, nobody);
      send_ipi(s9);
      bind(nobody);
    }
    jalr(zero, ra, 0);
  }
  // Of head t4, t5 bytes: they have to be the next ones. The buffer is offered again.
  void take_input() {
    const Label bad = label(), good = label();
    beq(t5, zero, bad);
    li(t0, kRingBufferBytes);
    op(Op::mul, a5, t4, t0);
    li(t0, kRingBuffers);
    add(a5, a5, t0);
    ld(a3, kCounter, s1);
    const Label byte = bound();
    load(Op::lbu, t0, 0, a5);
    li(t1, kInputStep);
    op(Op::mul, t1, t1, a3);
    addi(t1, t1, kInputFirst);
    andi(t1, t1, 255);
    bne(t0, t1, bad);
    addi(a3, a3, 1);
    addi(a5, a5, 1);
    addi(t5, t5, -1);
    bne(t5, zero, byte);
    j(good);
    bind(bad);
    die(56);
    bind(good);
    sd(a3, kCounter, s1);
    ld(t0, kAvailableCount, s1);
    offer(t4, 0);
    addi(t0, t0, 1);
    publish();
    addi(s10, s10, 1);
  }

  RingPlan plan_;
  u32 entries_, heads_, size_ = 1, slot_, queue_, irq_;
};

inline GuestProgram ring_program(const RingPlan& plan) { return RingGuest(plan).make(); }

// What the lines of RingUse::print must have come to: every request's once, those of a head in their order.
inline std::string check_lines(const RingPlan& plan, const std::string& text) {
  std::vector<u32> last(kRingHeads, 0);
  u32 lines = 0, expected = 0;
  for (u32 round = 1; round <= plan.rounds; round++)
    expected += plan.harts * (plan.batch < 2 ? 1 : 1 + (((round + 1) >> 1) & 1));
  if (text.size() % kRingLineBytes != 0) return "the console has a piece of a line";
  for (size_t at = 0; at < text.size(); at += kRingLineBytes, lines++) {
    const u32 head = static_cast<u32>(text[at] - 'A');
    u32 round = 0;
    for (u32 i = 1; i < 7; i++) round = round << 4 | static_cast<u32>(text[at + i] - 'a');
    if (head >= kRingHeads || text[at + 7] != '\n') return "the console has a line that nobody wrote";
    if (round <= last[head] || round > plan.rounds) return "the console's lines are out of order";
    last[head] = round;
  }
  if (lines != expected) return format("the console has %u lines of %u", lines, expected);
  return {};
}

// The same lines by the 16550 or by calls of the firmware, which may take a part of what they get.
inline GuestProgram output_program(u32 harts, u32 rounds, bool firmware_writes) {
  Guest g(harts);
  constexpr u32 kTransmit = 0, kLineStatus = 5, kTransmitEmpty = 0x20;
  g.li(s6, virt::kUartBase);
  g.li(s2, 1);
  g.li(s7, kRingBuffers);
  const auto round = g.bound(), again = g.label();
  g.li(t0, 1);
  g.bind(again);
  g.amo_at(Op::amoswap_w, t1, t0, kLock, Guest::acquire);
  g.bne(t1, zero, again);
  g.addi(t0, s0, 'A');
  g.emit(encode_store(Op::sb, t0, 0, s7));
  for (u32 i = 0; i < 6; i++) {
    g.srli(t0, s2, 4 * (5 - i));
    g.andi(t0, t0, 15);
    g.addi(t0, t0, 'a');
    g.emit(encode_store(Op::sb, t0, 1 + i, s7));
  }
  g.li(t0, '\n');
  g.emit(encode_store(Op::sb, t0, 7, s7));
  g.mv(s3, s7);
  g.addi(s4, s7, kRingLineBytes);
  const auto next = g.bound();
  if (firmware_writes) {
    g.sub(a0, s4, s3);
    g.mv(a1, s3);
    g.li(a2, 0);
    g.firmware(0x4442'434e, 0);
    g.die_unless_equal(a0, zero, 1);
    g.add(s3, s3, a1);
  } else {
    const auto busy = g.bound();
    g.emit(encode_load(Op::lbu, t0, kLineStatus, s6));
    g.andi(t0, t0, kTransmitEmpty);
    g.beq(t0, zero, busy);
    g.emit(encode_load(Op::lbu, t0, 0, s3));
    g.emit(encode_store(Op::sb, t0, kTransmit, s6));
    g.addi(s3, s3, 1);
  }
  g.bne(s3, s4, next);
  g.amo_at(Op::amoswap_w, zero, zero, kLock, Guest::release);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, round);
  if (!firmware_writes) {
    // The last bytes may still wait for room.
    const auto busy = g.bound();
    g.emit(encode_load(Op::lbu, t0, kLineStatus, s6));
    g.andi(t0, t0, 0x40);
    g.beq(t0, zero, busy);
  }
  g.finish();
  return g.program();
}

// Input by the 16550 or by calls of the firmware instead: harts take bytes under a lock.
inline GuestProgram input_program(u32 harts, u32 bytes, bool firmware_reads) {
  Guest g(harts);
  const auto load = [&g](Op op, Reg rd, i64 imm, Reg at) { g.emit(encode_load(op, rd, imm, at)); };
  const u64 claim = virt::kPlicBase + Plic::kContext + Plic::kContextStride + 4;
  constexpr u32 kReceive = 0, kInterruptEnable = 1, kLineStatus = 5;
  const u64 own_byte = kRingBuffers;
  g.li(s5, kSoftware);
  g.li(s6, virt::kUartBase);
  g.li(s4, claim);
  g.li(t0, 2 * Plic::kContextStride);
  g.op(Op::mul, t0, t0, s0);
  g.add(s4, s4, t0);
  if (!firmware_reads) {
    g.li(t0, virt::kPlicBase + Plic::kEnable + Plic::kEnableStride);
    g.li(t1, 2 * Plic::kEnableStride);
    g.op(Op::mul, t1, t1, s0);
    g.add(t0, t0, t1);
    g.li(t1, u64{1} << virt::kUartIrq);
    g.sw(t1, 0, t0);
    g.li(t0, virt::kPlicBase + Plic::kPriority + 4 * virt::kUartIrq);
    g.li(t1, 1);
    g.sw(t1, 0, t0);
    g.emit(encode_store(Op::sb, t1, kInterruptEnable, s6));
    g.li(t0, kSoftware | kExternal);
    g.csrw(kCsrSie, t0);
  }
  const auto wait = g.bound();
  const auto over = g.label(), look = g.label(), idle = g.label(), again = g.label();
  g.csrc(kCsrSip, s5);
  g.fence();
  g.ld(t0, kCounter, s1);
  g.li(t1, bytes);
  g.beq(t0, t1, over);
  if (!firmware_reads) {
    g.wfi();
    load(Op::lw, s7, 0, s4);
    g.bne(s7, zero, look);
    g.j(wait);
  }
  g.bind(look);
  g.li(t0, 1);
  g.bind(again);
  g.amo_at(Op::amoswap_w, t1, t0, kLock, Guest::acquire);
  g.bne(t1, zero, again);
  const auto next = g.bound();
  const auto got = g.label();
  if (firmware_reads) {
    g.li(a0, 1);
    g.li(a1, own_byte);
    g.li(a2, 0);
    g.firmware(0x4442'434e, 1);
    g.die_unless_equal(a0, zero, 2);
    g.beq(a1, zero, idle);
    g.li(t0, own_byte);
    load(Op::lbu, t0, 0, t0);
  } else {
    load(Op::lbu, t0, kLineStatus, s6);
    g.andi(t0, t0, 1);
    g.beq(t0, zero, idle);
    load(Op::lbu, t0, kReceive, s6);
  }
  g.ld(t2, kCounter, s1);
  g.li(t1, kInputStep);
  g.op(Op::mul, t1, t1, t2);
  g.addi(t1, t1, kInputFirst);
  g.andi(t1, t1, 255);
  g.beq(t0, t1, got);
  g.die(1);
  g.bind(got);
  g.addi(t2, t2, 1);
  g.sd(t2, kCounter, s1);
  g.j(next);
  g.bind(idle);
  g.amo_at(Op::amoswap_w, zero, zero, kLock, Guest::release);
  if (!firmware_reads) {
    g.sw(s7, 0, s4);
    g.send_ipi_to_all();
  }
  g.j(wait);
  g.bind(over);
  g.finish();
  return g.program();
}

}  // namespace hartwood::test
