// SPDX-License-Identifier: Apache-2.0
#include "differential/image.h"

#include "base/elf_format.h"
#include "differential/encode.h"
#include "hart/csr.h"
#include "support/asm.h"

namespace hartwood::differential {
namespace {

using namespace hartwood::test;  // register names and the assembler

// In the stub's page. The save area is what mscratch points to.
constexpr u64 kSaveArea = kStub + 0xc00, kCallBlock = kStub + 0xd00, kToHost = kStub + 0xf00;
constexpr i64 kSavedMode = 32, kSavedSlot = 40, kSavedMagic = 48;
constexpr u64 kPowerSwitch = 0x10'0000, kPowerOffWord = 0x5555, kPowerFailWord = 0x3333;
constexpr u64 kWriteCall = 64, kExitCall = 93;
// a6 of the runtime's own call at the very end.
constexpr u64 kFinish = 2;

void csr_op(Assembler& a, Op op, u32 csr, Reg rs1, Reg rd = zero) {
  a.emit(encode(op, {.rd = rd, .rs1 = rs1, .csr = csr}));
}

void common_setup(Assembler& a) {
  // One hart runs the programs. QEMU with more than one executes atomics as such, and reports their
  // misalignment as the specification says; alone, it takes them apart into a load, which faults first, and a
  // store.
  const auto first = a.label();
  a.csrr(t0, kCsrMhartid);
  a.beq(t0, zero, first);
  const auto parked = a.bound();
  a.wfi();
  a.j(parked);
  a.bind(first);
  // All of memory for every mode; floating point on; cache-block operations allowed everywhere.
  a.li(t0, ~u64{0} >> 10);
  a.csrw(kCsrPmpaddr0, t0);
  a.li(t0, 0x1f);
  a.csrw(kCsrPmpcfg0, t0);
  a.li(t0, mstatus::kMpp);
  a.csrc(kCsrMstatus, t0);
  a.li(t0, mstatus::kFs);
  csr_op(a, Op::csrrs, kCsrMstatus, t0);
  a.li(t0, envcfg::kCbze | envcfg::kCbcfe | 0x10);
  csr_op(a, Op::csrrs, kCsrMenvcfg, t0);
  csr_op(a, Op::csrrs, kCsrSenvcfg, t0);
}

// HTIF's write or exit call from a7, a0, a1, a2; clobbers t0 and t1.
void host_call(Assembler& a) {
  a.li(t0, kCallBlock);
  a.sd(a7, 0, t0);
  a.sd(a0, 8, t0);
  a.sd(a1, 16, t0);
  a.sd(a2, 24, t0);
  a.li(t1, kToHost);
  a.sd(t0, 0, t1);
}

// Ends the machine with the code in a0 (0 to 127) where there is no HTIF; clobbers t0 and t1.
void power_off(Assembler& a) {
  const auto finish = a.label();
  a.li(t0, kPowerSwitch);
  a.li(t1, kPowerOffWord);
  a.beq(a0, zero, finish);
  a.slli(t1, a0, 16);
  a.li(a0, kPowerFailWord);
  a.op(Op::add, t1, t1, a0);
  a.bind(finish);
  a.sw(t1, 0, t0);
  const auto forever = a.bound();
  a.j(forever);
}

// Programs in U-mode; everything but their two calls ends the machine with 64 + cause.
std::vector<u32> user_stub() {
  Assembler a(kStub);
  const auto handler = a.label();
  const auto unexpected = a.label(), ended = a.label();
  common_setup(a);
  a.emit(encode_upper(Op::auipc, t0, 0));
  const u64 from = a.here() - 4;
  const size_t patch = (a.here() - kStub) / 4;
  a.addi(t0, t0, 0);
  a.csrw(kCsrMtvec, t0);
  a.li(t0, kText);
  a.csrw(kCsrMepc, t0);
  a.emit(encode_plain(Op::mret));
  a.bind(handler);
  const u64 handler_at = a.here();
  a.csrr(t0, kCsrMcause);
  a.li(t1, 8);
  a.bne(t0, t1, unexpected);
  host_call(a);
  a.li(t0, kExitCall);
  a.beq(a7, t0, ended);
  a.csrr(t0, kCsrMepc);
  a.addi(t0, t0, 4);
  a.csrw(kCsrMepc, t0);
  a.emit(encode_plain(Op::mret));
  a.bind(unexpected);
  a.andi(t0, t0, 31);
  a.addi(a0, t0, 64);
  a.li(a7, kExitCall);
  host_call(a);
  a.bind(ended);
  power_off(a);
  std::vector<u32> words = a.words();
  words[patch] = encode_i(Op::addi, t0, t0, static_cast<i64>(handler_at - from));
  return words;
}

// Saves t0 to t4, records the trap in the current program's slot, and goes on behind the instruction, in the
// program's own mode. Calls with kMagic start the next program or end everything.
std::vector<u32> machine_stub() {
  Assembler a(kStub);
  const auto handler = a.label(), record = a.label(), no_entry = a.label(), resume = a.label(), leave = a.label();
  const auto finish = a.label(), short_one = a.label(), interrupt = a.label();
  common_setup(a);
  a.li(t0, kSaveArea);
  a.csrw(kCsrMscratch, t0);
  a.li(t1, kMagic);
  a.sd(t1, kSavedMagic, t0);
  a.emit(encode_upper(Op::auipc, t0, 0));
  const u64 from = a.here() - 4;
  const size_t patch = (a.here() - kStub) / 4;
  a.addi(t0, t0, 0);
  a.csrw(kCsrMtvec, t0);
  a.li(t0, kText);
  a.jalr(zero, t0, 0);
  a.bind(handler);
  const u64 handler_at = a.here();
  csr_op(a, Op::csrrw, kCsrMscratch, t0, t0);
  a.sd(t1, 0, t0);
  a.sd(t2, 8, t0);
  a.sd(t3, 16, t0);
  a.sd(t4, 24, t0);
  a.csrr(t1, kCsrMcause);
  a.addi(t2, t1, -8);
  a.li(t3, 4);
  a.branch(Op::bgeu, t2, t3, record);
  a.ld(t3, kSavedMagic, t0);
  a.bne(a7, t3, record);
  a.li(t2, kFinish);
  a.beq(a6, t2, finish);
  a.sd(a6, kSavedMode, t0);
  a.sd(a0, kSavedSlot, t0);
  a.j(resume);
  a.bind(record);
  a.ld(t2, kSavedSlot, t0);
  a.ld(t3, slot::kTraps, t2);
  a.addi(t3, t3, 1);
  a.sd(t3, slot::kTraps, t2);
  a.li(t4, slot::kTrapLogEntries + 1);
  a.branch(Op::bgeu, t3, t4, no_entry);
  static_assert(slot::kTrapEntryBytes == 24);
  a.slli(t4, t3, 3);
  a.slli(t3, t3, 4);
  a.op(Op::add, t3, t3, t4);
  a.op(Op::add, t3, t3, t2);
  const u32 kRecorded[] = {kCsrMcause, kCsrMtval, kCsrMepc};
  for (i64 i = 0; i < 3; i++) {
    a.csrr(t4, kRecorded[i]);
    a.sd(t4, slot::kTrapLog - slot::kTrapEntryBytes + 8 * i, t3);
  }
  a.bind(no_entry);
  a.ld(t3, slot::kTrapHash, t2);
  for (const u32 csr : kRecorded) {
    a.csrr(t4, csr);
    a.op(Op::xor_, t3, t3, t4);
    a.slli(t4, t3, 13);
    a.op(Op::xor_, t3, t3, t4);
    a.srli(t4, t3, 7);
    a.op(Op::xor_, t3, t3, t4);
    a.slli(t4, t3, 17);
    a.op(Op::xor_, t3, t3, t4);
  }
  a.sd(t3, slot::kTrapHash, t2);
  a.branch(Op::blt, t1, zero, interrupt);
  a.bind(resume);
  a.csrr(t1, kCsrMepc);
  a.emit(encode_load(Op::lhu, t2, 0, t1));
  a.andi(t2, t2, 3);
  a.li(t3, 3);
  a.addi(t1, t1, 2);
  a.bne(t2, t3, short_one);
  a.addi(t1, t1, 2);
  a.bind(short_one);
  a.csrw(kCsrMepc, t1);
  a.bind(leave);
  a.li(t1, mstatus::kMpp);
  a.csrc(kCsrMstatus, t1);
  a.ld(t1, kSavedMode, t0);
  a.slli(t1, t1, mstatus::kMppShift);
  csr_op(a, Op::csrrs, kCsrMstatus, t1);
  a.ld(t1, 0, t0);
  a.ld(t2, 8, t0);
  a.ld(t3, 16, t0);
  a.ld(t4, 24, t0);
  csr_op(a, Op::csrrw, kCsrMscratch, t0, t0);
  a.emit(encode_plain(Op::mret));
  a.bind(interrupt);
  csr_op(a, Op::csrrci, kCsrMip, static_cast<Reg>(2));
  a.j(leave);
  a.bind(finish);
  a.li(a7, kWriteCall);
  a.mv(a2, a1);
  a.mv(a1, a0);
  a.li(a0, 1);
  host_call(a);
  a.li(a0, 0);
  power_off(a);
  std::vector<u32> words = a.words();
  words[patch] = encode_i(Op::addi, t0, t0, static_cast<i64>(handler_at - from));
  return words;
}

class Text {
 public:
  u64 here() const { return kText + 2 * halves_.size(); }
  void word(u32 bits) {
    halves_.push_back(static_cast<u16>(bits));
    halves_.push_back(static_cast<u16>(bits >> 16));
  }
  void op(Op op, const Fields& fields) { word(encode(op, fields)); }
  // Two instructions that set a register to an address within 2 GiB.
  void address(u32 rd, u64 target) {
    const i64 distance = static_cast<i64>(target - here());
    op(Op::auipc, {.rd = rd, .imm = (distance + 0x800) >> 12});
    op(Op::addi, {.rd = rd, .rs1 = rd, .imm = distance});
  }
  std::vector<u16>& halves() { return halves_; }

 private:
  std::vector<u16> halves_;
};

// From the slot's contents to the registers, the program, and back. At most kAround bytes without the
// program.
constexpr u64 kAround = 4 * 160;

u64 place(Text& text, const Program& p, Level level, u64 slot_at, std::span<const u16> body) {
  const u32 base = p.base_register;
  const auto at = [&](u32 offset) { return static_cast<i64>(offset) - p.base_offset; };
  const u32 temporary = base == 1 ? 2 : 1;
  text.address(base, slot_at + static_cast<u64>(p.base_offset));
  if (level == Level::machine) {
    text.op(Op::ld, {.rd = a7, .rs1 = base, .imm = at(slot::kConstants + 8 * kConstantMagic)});
    text.op(Op::ld, {.rd = a6, .rs1 = base, .imm = at(slot::kConstants + 8 * kConstantMode)});
    text.op(Op::addi, {.rd = a0, .rs1 = base, .imm = at(0)});
    text.op(Op::ecall, {});
  }
  text.op(Op::ld, {.rd = temporary, .rs1 = base, .imm = at(slot::kFcsr)});
  text.op(Op::csrrw, {.rs1 = temporary, .csr = kCsrFcsr});
  for (u32 i = 0; i < 32; i++) text.op(Op::fld, {.rd = i, .rs1 = base, .imm = at(slot::kF + 8 * i)});
  for (u32 i = 1; i < 32; i++)
    if (i != base) text.op(Op::ld, {.rd = i, .rs1 = base, .imm = at(slot::kX + 8 * i)});
  const u64 start = text.here();
  text.halves().insert(text.halves().end(), body.begin(), body.end());
  for (u32 i = 1; i < 32; i++) text.op(Op::sd, {.rs1 = base, .rs2 = i, .imm = at(slot::kX + 8 * i)});
  text.op(Op::csrrs, {.rd = temporary, .csr = kCsrFcsr});
  text.op(Op::sd, {.rs1 = base, .rs2 = temporary, .imm = at(slot::kFcsr)});
  for (u32 i = 0; i < 32; i++) text.op(Op::fsd, {.rs1 = base, .rs2 = i, .imm = at(slot::kF + 8 * i)});
  return start;
}

void place_end(Text& text, Level level, u64 output, u64 bytes) {
  const auto number = [&](u32 rd, u64 value) {
    text.op(Op::lui, {.rd = rd, .imm = static_cast<i64>(value + 0x800) >> 12});
    text.op(Op::addiw, {.rd = rd, .rs1 = rd, .imm = static_cast<i64>(value)});
  };
  if (level == Level::machine) {
    // kMagic lies in every slot.
    text.address(t0, output + slot::kConstants + 8 * kConstantMagic);
    text.op(Op::ld, {.rd = a7, .rs1 = t0});
    text.op(Op::addi, {.rd = a6, .imm = kFinish});
    text.address(a0, output);
    number(a1, bytes);
    text.op(Op::ecall, {});
    return;
  }
  text.op(Op::addi, {.rd = a7, .imm = kWriteCall});
  text.op(Op::addi, {.rd = a0, .imm = 1});
  text.address(a1, output);
  number(a2, bytes);
  text.op(Op::ecall, {});
  text.op(Op::addi, {.rd = a7, .imm = kExitCall});
  text.op(Op::addi, {.rd = a0, .imm = 0});
  text.op(Op::ecall, {});
}

std::vector<u8> initial_slot(const Program& p) {
  std::vector<u8> bytes(slot::kBytes);
  const auto put = [&](u32 at, const u64* from, size_t count) { std::memcpy(bytes.data() + at, from, 8 * count); };
  put(slot::kScratch, p.scratch, std::size(p.scratch));
  put(slot::kConstants, p.constants, std::size(p.constants));
  put(slot::kX, p.x, 32);
  put(slot::kF, p.f, 32);
  put(slot::kFcsr, &p.fcsr, 1);
  return bytes;
}

struct Segment {
  u64 address;
  std::span<const u8> bytes;
};

// Segments of whole pages that may all be read, written and executed, and a symbol for HTIF.
std::vector<u8> build_elf(std::span<const Segment> segments, u64 entry) {
  constexpr u64 kPage = 4096;
  static constexpr char kNames[] = "\0tohost\0.symtab\0.strtab\0.shstrtab";
  std::vector<u8> file(kPage);
  std::vector<elf::ProgramHeader> headers;
  for (const Segment& segment : segments) {
    headers.push_back({elf::kSegmentLoad, 7, file.size(), segment.address, segment.address, segment.bytes.size(),
                       segment.bytes.size(), kPage});
    file.insert(file.end(), segment.bytes.begin(), segment.bytes.end());
    file.resize(align_up(file.size(), kPage));
  }
  const auto append = [&](const void* from, size_t bytes) {
    const u64 at = file.size();
    file.insert(file.end(), static_cast<const u8*>(from), static_cast<const u8*>(from) + bytes);
    return at;
  };
  constexpr u16 kAbsolute = 0xfff1;
  const elf::Symbol symbols[] = {{}, {1, 0x11, 0, kAbsolute, kToHost, 8}};
  const u64 symbols_at = append(symbols, sizeof symbols);
  const u64 names_at = append(kNames, sizeof kNames);
  file.resize(align_up(file.size(), 8));
  const elf::SectionHeader sections[] = {
      {},
      {8, elf::kSectionSymbols, 0, 0, symbols_at, sizeof symbols, 2, 1, 8, sizeof(elf::Symbol)},
      {16, 3, 0, 0, names_at, sizeof kNames, 0, 0, 1, 0},
      {24, 3, 0, 0, names_at, sizeof kNames, 0, 0, 1, 0},
  };
  const u64 sections_at = append(sections, sizeof sections);
  elf::FileHeader header{};
  const u8 ident[] = {0x7f, 'E', 'L', 'F', elf::kClass64, elf::kLittleEndian, 1};
  std::memcpy(header.ident, ident, sizeof ident);
  header.type = elf::kTypeExecutable;
  header.machine = elf::kMachineRiscv;
  header.version = 1;
  header.entry = entry;
  header.program_headers_at = sizeof header;
  header.section_headers_at = sections_at;
  header.flags = 5;  // compressed instructions, double-float ABI
  header.header_bytes = sizeof header;
  header.program_header_bytes = sizeof(elf::ProgramHeader);
  header.program_header_count = static_cast<u16>(headers.size());
  header.section_header_bytes = sizeof(elf::SectionHeader);
  header.section_header_count = 4;
  header.section_names_index = 3;
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header, headers.data(), headers.size() * sizeof(elf::ProgramHeader));
  return file;
}

}  // namespace

Image build_image(std::span<const Program> programs, Level level, const std::vector<bool>& dropped) {
  std::vector<std::vector<u16>> bodies;
  u64 text_bytes = 256;
  std::vector<u32> starts;
  for (const Program& program : programs) {
    bodies.push_back(lay_out(program, dropped, starts));
    text_bytes += 2 * bodies.back().size() + kAround;
  }
  Image image;
  image.output = align_up(kText + text_bytes, 4096);
  image.output_bytes = programs.size() * slot::kBytes;
  Text text;
  std::vector<u8> output;
  for (size_t i = 0; i < programs.size(); i++) {
    const u64 before = text.here();
    image.bodies.push_back(place(text, programs[i], level, image.output + i * slot::kBytes, bodies[i]));
    HW_CHECK(text.here() - before <= kAround + 2 * bodies[i].size(), "kAround is too small");
    const std::vector<u8> slot = initial_slot(programs[i]);
    output.insert(output.end(), slot.begin(), slot.end());
  }
  place_end(text, level, image.output, image.output_bytes);
  HW_CHECK(text.here() <= image.output, "the text runs into the output");
  const std::vector<u32> stub = level == Level::machine ? machine_stub() : user_stub();
  HW_CHECK(kStub + 4 * stub.size() <= kSaveArea, "the stub runs into its data");
  std::vector<u8> stub_page(4096);
  std::memcpy(stub_page.data(), stub.data(), 4 * stub.size());
  const auto* text_bytes_at = reinterpret_cast<const u8*>(text.halves().data());
  const Segment segments[] = {
      {kStub, stub_page}, {kText, {text_bytes_at, 2 * text.halves().size()}}, {image.output, output}};
  image.for_machine = build_elf(segments, kStub);
  image.for_process = build_elf(segments, kText);
  return image;
}

}  // namespace hartwood::differential
