// SPDX-License-Identifier: Apache-2.0
// From 16 or 32 bits to text: mnemonic, a tab, operands separated by commas, as GNU objdump writes them with
// -M no-aliases; targets have 0x in front, so that they read as numbers. The two tables give mnemonics and
// register files, their formats the arrangement. Pure; any thread.
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "base/bits.h"
#include "isa/compressed.h"
#include "isa/csr_names.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

constexpr const char* kRoundingModes[8] = {"rne", "rtz", "rdn", "rup", "rmm", "5", "6", "dyn"};

// The constants of fli, by the number in its rs1 field [unpriv: "Zfa" Extension, Load-Immediate
// Instructions].
constexpr const char* kFliConstants[32] = {
    "-0x1p+0", "min",      "0x1p-16",  "0x1p-15",  "0x1p-8",  "0x1p-7",   "0x1p-4",   "0x1p-3",
    "0x1p-2",  "0x1.4p-2", "0x1.8p-2", "0x1.cp-2", "0x1p-1",  "0x1.4p-1", "0x1.8p-1", "0x1.cp-1",
    "0x1p+0",  "0x1.4p+0", "0x1.8p+0", "0x1.cp+0", "0x1p+1",  "0x1.4p+1", "0x1.8p+1", "0x1p+2",
    "0x1p+3",  "0x1p+4",   "0x1p+7",   "0x1p+8",   "0x1p+15", "0x1p+16",  "inf",      "nan"};

// Collects one line; operands get their commas here.
class Line {
 public:
  explicit Line(const char* mnemonic) : text_(mnemonic) {}
  void add(const char* operand) {
    text_ += first_ ? '\t' : ',';
    text_ += operand;
    first_ = false;
  }
  void x(u32 reg) { add(kXNames[reg & 31]); }
  void reg(char file, u32 reg) { add(file == 'F' || file == 'f' ? kFNames[reg & 31] : kXNames[reg & 31]); }
  void number(i32 value) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "%" PRId32, value);
    add(buffer);
  }
  void hex(u64 value) {
    char buffer[24];
    std::snprintf(buffer, sizeof buffer, "0x%" PRIx64, value);
    add(buffer);
  }
  void address(i32 offset, u32 base) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%" PRId32 "(%s)", offset, kXNames[base & 31]);
    add(buffer);
  }
  void address(u32 base) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "(%s)", kXNames[base & 31]);
    add(buffer);
  }
  void target(u64 pc, i32 offset) { hex(pc + static_cast<u64>(static_cast<i64>(offset))); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  bool first_ = true;
};

std::string illegal(u32 word, unsigned length) {
  char buffer[24];
  if (length == 2) {
    std::snprintf(buffer, sizeof buffer, ".half\t0x%04" PRIx32, word & 0xffff);
  } else {
    std::snprintf(buffer, sizeof buffer, ".word\t0x%08" PRIx32, word);
  }
  return buffer;
}

bool has_rounding_mode(const OpInfo& row) {
  for (const char* c = row.operands; *c; c++) {
    if (*c == 'r') return true;
  }
  return false;
}

// Conversions whose result is always exact: assemblers encode them with rne and do not write it.
bool exact_conversion(Op op) {
  switch (op) {
    case Op::fcvt_d_s:
    case Op::fcvt_d_w:
    case Op::fcvt_d_wu:
    case Op::fcvt_s_h:
    case Op::fcvt_d_h: return true;
    default: return false;
  }
}

void add_rounding_mode(Line& line, Op op, u32 rm) {
  if (op == Op::fcvtmod_w_d) {
    line.add("rtz");
  } else if (has_rounding_mode(info(op)) && rm != (exact_conversion(op) ? 0u : 7u)) {
    line.add(kRoundingModes[rm & 7]);
  }
}

// A set of i, o, r, w; "0" if it is empty, which assemblers accept.
std::string fence_set(u32 set) {
  std::string text;
  for (unsigned i = 0; i < 4; i++) {
    if (bit(set, 3 - i)) text += "iorw"[i];
  }
  return text.empty() ? "0" : text;
}

std::string fence_text(u32 word, u32 fields) {
  if (word == 0x0100000f) return "pause";
  const u32 mode = static_cast<u32>(bits(fields, 11, 8));
  const u32 before = static_cast<u32>(bits(fields, 7, 4));
  const u32 after = static_cast<u32>(bits(fields, 3, 0));
  if (mode == 8 && before == 3 && after == 3) return "fence.tso";
  Line line("fence");
  line.add(fence_set(before).c_str());
  line.add(fence_set(after).c_str());
  return line.take();
}

std::string amo_text(const OpInfo& row, const Insn& insn) {
  constexpr const char* kOrdering[4] = {"", ".rl", ".aq", ".aqrl"};
  Line line((std::string(row.mnemonic) + kOrdering[bits(static_cast<u32>(insn.imm), 9, 8)]).c_str());
  line.x(insn.rd);
  if (row.operands[2] != 0) line.x(insn.rs2());  // lr has no rs2
  line.address(insn.rs1);
  return line.take();
}

void add_csr(Line& line, u32 number) {
  if (const char* name = csr_name(number)) {
    line.add(name);
  } else {
    line.hex(number);
  }
}

std::string word_text(u32 word, u64 pc, Op op, const Insn& insn) {
  const OpInfo& row = info(op);
  const char* operands = row.operands;
  Line line(row.mnemonic);
  switch (row.format) {
    case Format::none: break;
    case Format::r:
    case Format::r4: {
      const u32 sources[3] = {insn.rs1, insn.rs2(), insn.rs3()};
      if (operands[0] != '-') line.reg(operands[0], insn.rd);
      for (unsigned i = 0; operands[1 + i] == 'x' || operands[1 + i] == 'f'; i++) {
        line.reg(operands[1 + i], sources[i]);
      }
      add_rounding_mode(line, op, insn.rm());
      break;
    }
    case Format::unary:
      line.reg(operands[0], insn.rd);
      if (operands[1] == 0) {
        line.add(kFliConstants[insn.rs1]);
      } else {
        line.reg(operands[1], insn.rs1);
      }
      add_rounding_mode(line, op, insn.rm());
      break;
    case Format::i:
      line.x(insn.rd);
      if (op == Op::jalr) {
        line.address(insn.imm, insn.rs1);
      } else {
        line.x(insn.rs1);
        line.number(insn.imm);
      }
      break;
    case Format::load:
      line.reg(operands[0], insn.rd);
      line.address(insn.imm, insn.rs1);
      break;
    case Format::shamt6:
    case Format::shamt5:
      line.x(insn.rd);
      line.x(insn.rs1);
      line.hex(static_cast<u32>(insn.imm));
      break;
    case Format::s:
      line.reg(operands[2], insn.store_rs2());
      line.address(insn.imm, insn.rs1);
      break;
    case Format::b:
      line.x(insn.rs1);
      line.x(insn.store_rs2());
      line.target(pc, insn.imm);
      break;
    case Format::u:
      line.x(insn.rd);
      line.hex(static_cast<u32>(insn.imm) >> 12);
      break;
    case Format::j:
      line.x(insn.rd);
      line.target(pc, insn.imm);
      break;
    case Format::amo: return amo_text(row, insn);
    case Format::csr:
      line.x(insn.rd);
      add_csr(line, static_cast<u32>(insn.imm));
      line.x(insn.rs1);
      break;
    case Format::csri:
      line.x(insn.rd);
      add_csr(line, static_cast<u32>(insn.imm));
      line.number(insn.rs1);
      break;
    case Format::fence: return fence_text(word, static_cast<u32>(insn.imm));
    case Format::cbo: line.address(insn.rs1); break;
  }
  return line.take();
}

std::string half_text(u64 pc, const CRow& row, const Insn& insn) {
  const OpInfo& base = info(row.base);
  Line line(row.mnemonic);
  switch (row.format) {
    case CFormat::illegal:
    case CFormat::fixed: break;
    case CFormat::addi4spn:
      line.x(insn.rd);
      line.x(insn.rs1);
      line.number(insn.imm);
      break;
    case CFormat::fload_d:
    case CFormat::load_w:
    case CFormat::load_d:
    case CFormat::loadsp_fd:
    case CFormat::loadsp_w:
    case CFormat::loadsp_d:
      line.reg(base.operands[0], insn.rd);
      line.address(insn.imm, insn.rs1);
      break;
    case CFormat::fstore_d:
    case CFormat::store_w:
    case CFormat::store_d:
    case CFormat::storesp_w:
    case CFormat::storesp_d:
      line.reg(base.operands[2], insn.store_rs2());
      line.address(insn.imm, insn.rs1);
      break;
    case CFormat::imm6:
    case CFormat::imm6_rd:
    case CFormat::imm6_p:
    case CFormat::li:
    case CFormat::addi16sp:
      line.x(insn.rd);
      line.number(insn.imm);
      break;
    case CFormat::lui:
      line.x(insn.rd);
      line.hex(static_cast<u32>(insn.imm) >> 12);
      break;
    case CFormat::shift_p:
    case CFormat::shift:
      line.x(insn.rd);
      line.hex(static_cast<u32>(insn.imm));
      break;
    case CFormat::alu_p:
    case CFormat::mv:
    case CFormat::add:
      line.x(insn.rd);
      line.x(insn.rs2());
      break;
    case CFormat::jump: line.target(pc, insn.imm); break;
    case CFormat::branch:
      line.x(insn.rs1);
      line.target(pc, insn.imm);
      break;
    case CFormat::jr:
    case CFormat::jalr: line.x(insn.rs1); break;
  }
  return line.take();
}

}  // namespace

std::string disassemble(u32 word, u64 pc, const IsaOptions& options) {
  const Decoded decoded = decode(word, options);
  if (decoded.length == 4) {
    return decoded.op == Op::none ? illegal(word, 4) : word_text(word, pc, decoded.op, decoded.insn);
  }
  const CRow* row = find_compressed(word & 0xffff);
  // All zeroes is an instruction by its name, though it always traps.
  const bool named = decoded.op != Op::none || (options.has(Extension::C) && (word & 0xffff) == 0);
  return named && row != nullptr ? half_text(pc, *row, decoded.insn) : illegal(word, 2);
}

}  // namespace hartwood
