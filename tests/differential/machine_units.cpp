// SPDX-License-Identifier: Apache-2.0
// Units for programs below the trap handler: what traps, and what needs a privilege that the program may not
// have. Left out are the things that the specification leaves open and the references decide differently;
// each is said where.
#include "differential/builder.h"
#include "hart/csr.h"

namespace hartwood::differential {
namespace {

constexpr u32 kMachineMode = 3, kSupervisorMode = 1;
constexpr i64 kFsBits = 0x6000;

}  // namespace

// An sret further up may have left the program's own mode; any trap returns to it.
void Builder::own_mode() { emit(Op::ecall, {}); }

// Encodings that no extension gives a meaning to. (Any word that our decoder refuses would include those of
// extensions that only the reference has.)
void Builder::illegal_word() {
  switch (random_.below(7)) {
    case 0: emit_half(0); break;
    case 1: unit().items.push_back({.bits = 0xffff'ffff}); break;
    case 2: emit_half(0x8002); break;                             // c.jr x0
    case 3: emit_half(0x4002 | (random_.below(32) << 2)); break;  // c.lwsp x0
    case 4: unit().items.push_back({.bits = 0x7003}); break;      // LOAD with funct3 7
    case 5: emit(Op::csrrw, {.rd = destination(), .rs1 = random_.below(32), .csr = 0xc00}); break;  // read-only
    default: emit(Op::csrrs, {.rd = destination(), .rs1 = 0, .csr = 0x5c0}); break;                 // custom, not there
  }
}

void Builder::supervisor_call() {
  switch (random_.below(3)) {
    case 0: emit(Op::ecall, {}); break;
    case 1: emit(Op::ebreak, {}); break;
    default: emit_half(0x9002); break;
  }
}

// Loads and stores where neither RAM nor a device is. Atomics are left out: QEMU reports a load's fault for
// them.
void Builder::bad_address() {
  const u32 r = other_destination(0);
  emit(Op::addi, {.rd = r, .imm = static_cast<i64>(random_.between(1, 255))});
  emit(Op::slli, {.rd = r, .rs1 = r, .imm = 40});
  const Op op = memory_[random_.below(static_cast<u32>(memory_.size()))];
  const u32 reg = info(op).writes_x() ? destination() : random_.below(32);
  emit(op, {.rd = reg, .rs1 = r, .rs2 = reg, .imm = static_cast<i64>(random_.below(256)) * 8});
}

// mret and sret to the next instruction; where the mode lacks the privilege, each part traps.
void Builder::privileged_return() {
  const u32 r = other_destination(0), bits = other_destination(r);
  const bool machine = random_.chance(50);
  own_mode();
  emit(Op::auipc, {.rd = r});
  emit(Op::addi, {.rd = r, .rs1 = r, .imm = 28});
  emit(Op::csrrw, {.rs1 = r, .csr = machine ? kCsrMepc : kCsrSepc});
  emit(Op::addi, {.rd = bits, .imm = machine ? 3 : static_cast<i64>(random_.below(2))});
  emit(Op::slli, {.rd = bits, .rs1 = bits, .imm = machine ? 11 : 8});
  // mret stays in M-mode; sret goes to S or U, and the next trap returns to the program's own mode.
  emit(Op::csrrs, {.rs1 = bits, .csr = machine ? kCsrMstatus : kCsrSstatus});
  // Where it is illegal, QEMU may report the encoding of an earlier instruction in mtval.
  const bool legal = program_.mode == kMachineMode || (program_.mode == kSupervisorMode && !machine);
  if (legal) emit(machine ? Op::mret : Op::sret, {});
}

// Registers whose legal values the specification fixes. Written, read back, and for the dangerous ones only
// read.
void Builder::control_register() {
  static constexpr u32 kFree[] = {kCsrSscratch, kCsrSepc, kCsrStval, kCsrMtval, kCsrMepc};
  static constexpr Op kOps[] = {Op::csrrw, Op::csrrs, Op::csrrc, Op::csrrwi, Op::csrrsi, Op::csrrci};
  const u32 csr = kFree[random_.below(5)];
  const u32 rs1 = random_.below(32);
  if (rs1 != 0 && writable(rs1)) load_constant(rs1, random_.below(16));
  emit(kOps[random_.below(6)], {.rd = destination(), .rs1 = rs1, .csr = csr});
  // QEMU 10.0 keeps the lowest bit of these two, which is always zero.
  if (csr == kCsrMepc || csr == kCsrSepc) emit(Op::csrrci, {.rs1 = 1, .csr = csr});
  emit(Op::csrrs, {.rd = destination(), .csr = csr});
}

// With mstatus.FS off every floating-point instruction is illegal.
void Builder::float_off() {
  if (program_.mode == 0 || floating_.empty()) return supervisor_call();
  const u32 r = other_destination(0);
  emit(Op::lui, {.rd = r, .imm = kFsBits >> 12});
  emit(Op::csrrc, {.rs1 = r, .csr = kCsrSstatus});
  const Op op = floating_[random_.below(static_cast<u32>(floating_.size()))];
  emit(op, {.rd = info(op).writes_x() ? other_destination(r) : random_.below(32),
            .rs1 = random_.below(32),
            .rs2 = random_.below(32),
            .rs3 = random_.below(32),
            .rm = random_.below(5)});
  emit(Op::csrrs, {.csr = kCsrFrm});
  emit(Op::csrrs, {.rs1 = r, .csr = kCsrSstatus});
}

void Builder::privileged_plain() {
  std::vector<Op> choices = {Op::sfence_vma};
  if (options_.isa.has(Extension::Svinval)) {
    choices.push_back(Op::sinval_vma);
    // QEMU executes these two in U-mode, where they are illegal.
    if (program_.mode != 0) choices.insert(choices.end(), {Op::sfence_w_inval, Op::sfence_inval_ir});
  }
  // In U-mode QEMU waits and we trap; both are allowed.
  if (program_.mode == kMachineMode) choices.push_back(Op::wfi);
  const Op op = choices[random_.below(static_cast<u32>(choices.size()))];
  if (op != Op::wfi) {
    own_mode();
    emit(op, {.rs1 = random_.below(32), .rs2 = random_.below(32)});
    return;
  }
  software_interrupt(true);
}

// Only for programs in M-mode, which can make one pending. With mstatus.MIE off, a pending and enabled
// interrupt just ends a wait; with it on, the interrupt is taken at once, and the handler clears it.
void Builder::software_interrupt(bool wait) {
  own_mode();
  emit(wait ? Op::csrrci : Op::csrrsi, {.rs1 = 8, .csr = kCsrMstatus});
  emit(Op::csrrsi, {.rs1 = 2, .csr = kCsrMie});
  emit(Op::csrrsi, {.rs1 = 2, .csr = kCsrMip});
  if (wait) emit(Op::wfi, {});
  emit(Op::csrrci, {.rs1 = 2, .csr = kCsrMip});
  emit(Op::csrrci, {.rs1 = 2, .csr = kCsrMie});
}

void Builder::machine_unit() {
  switch (random_.below(9)) {
    case 0: return illegal_word();
    case 1: return supervisor_call();
    case 2: return bad_address();
    case 3: return privileged_return();
    case 4: return control_register();
    case 5: return float_off();
    case 6: return program_.mode == kMachineMode ? software_interrupt(false) : illegal_word();
    default: return privileged_plain();
  }
}

}  // namespace hartwood::differential
