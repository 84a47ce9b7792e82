// SPDX-License-Identifier: Apache-2.0
#include "jit/ir.h"

#include <cstring>

#include "base/result.h"

namespace hartwood::jit {
namespace {

constexpr IrInfo kInfo[] = {
#define IROP(name, result, operands, effect) {#name, IrType::result, operands, IrEffect::effect},
#include "jit/ir_ops.inc"
#undef IROP
};

const char* exit_name(Exit kind) {
  switch (kind) {
    case Exit::jump: return "jump";
    case Exit::branch: return "branch";
    case Exit::call: return "call";
    case Exit::call_value: return "call_value";
    case Exit::go: return "go";
    case Exit::go_value: return "go_value";
    case Exit::ret: return "ret";
    case Exit::system: return "system";
    case Exit::interpret: return "interpret";
  }
  return "?";
}

const char* fp_name(FpKind kind) {
  switch (kind) {
    case FpKind::add: return "add";
    case FpKind::sub: return "sub";
    case FpKind::mul: return "mul";
    case FpKind::div: return "div";
    case FpKind::sqrt: return "sqrt";
    case FpKind::madd: return "madd";
    case FpKind::msub: return "msub";
    case FpKind::nmsub: return "nmsub";
    case FpKind::nmadd: return "nmadd";
    case FpKind::from_i32: return "from_i32";
    case FpKind::from_u32: return "from_u32";
    case FpKind::from_i64: return "from_i64";
    case FpKind::from_u64: return "from_u64";
    case FpKind::to_i32: return "to_i32";
    case FpKind::to_i64: return "to_i64";
    case FpKind::eq: return "eq";
    case FpKind::lt: return "lt";
    case FpKind::le: return "le";
    case FpKind::to_double: return "to_double";
    case FpKind::to_single: return "to_single";
  }
  return "?";
}

// Kind and width, then registers, the destination first.
std::string fp_text(const FpArith& fp) {
  const std::string text = format(" %s.%c %c%u %c%u", fp_name(fp.kind), fp.is_double ? 'd' : 's',
                                  fp.writes_x() ? 'x' : 'f', fp.rd, fp.reads_x() ? 'x' : 'f', fp.rs1);
  switch (fp.sources()) {
    case 3: return text + format(" f%u f%u", fp.rs2, fp.rs3);
    case 2: return text + format(" f%u", fp.rs2);
    default: return text;
  }
}

IrType operand_type(const IrInfo& of, u32 index) { return of.operands[index] == 'C' ? IrType::C : IrType::I; }

}  // namespace

u32 FpArith::sources() const {
  switch (kind) {
    case FpKind::madd:
    case FpKind::msub:
    case FpKind::nmsub:
    case FpKind::nmadd: return 3;
    case FpKind::add:
    case FpKind::sub:
    case FpKind::mul:
    case FpKind::div:
    case FpKind::eq:
    case FpKind::lt:
    case FpKind::le: return 2;
    default: return 1;
  }
}

const IrInfo& info(Ir op) { return kInfo[static_cast<u8>(op)]; }

u32 Builder::binary(Ir op, u32 a, u32 b) {
  i64 x, y;
  if (!fold_) return emit({.op = op, .a = a, .b = b});
  // The address of code plus a constant is an address of code.
  if (op == Ir::add && is_constant(b, &y)) {
    if (at(a).op == Ir::code_address) return code_address(at(a).imm + y);
    if (y == 0) return a;
    if (is_constant(a, &x)) return constant(static_cast<i64>(static_cast<u64>(x) + static_cast<u64>(y)));
  }
  // Without Zba, an unsigned word is extended, and scaled, by two shifts.
  if (op == Ir::shr && is_constant(b, &y) && y <= 32) {
    const Inst& shifted = behind(a);
    if (shifted.op == Ir::shl && is_constant(shifted.b, &x) && x == 32) {
      const u32 word = unary(Ir::zext32, shifted.a);
      return y == 32 ? word : emit({.op = Ir::shl, .a = word, .b = constant(32 - y)});
    }
  }
  return emit({.op = op, .a = a, .b = b});
}

const Inst& Builder::behind(u32 value) const {
  const Inst& inst = at(value);
  return inst.op == Ir::get_x && known_[inst.reg] != kNoValue ? at(known_[inst.reg]) : inst;
}

u32 Builder::get_x(u32 reg) {
  const u32 known = known_[reg];
  if (fold_ && known != kNoValue) {
    const Inst& inst = at(known);
    if (inst.op == Ir::constant || inst.op == Ir::code_address) return emit({.op = inst.op, .imm = inst.imm});
  }
  return emit({.op = Ir::get_x, .reg = static_cast<u8>(reg)});
}

void Builder::set_x(u32 reg, u32 value) {
  emit({.op = Ir::set_x, .reg = static_cast<u8>(reg), .a = value});
  known_[reg] = value;
}

std::vector<u32> successors(const Block& block) {
  std::vector<u32> result;
  const auto add = [&](u32 to) {
    if (to == kNoBlock) return;
    for (const u32 seen : result) {
      if (seen == to) return;
    }
    result.push_back(to);
  };
  switch (block.end.kind) {
    case Exit::branch:
      add(block.end.taken);
      add(block.end.next);
      break;
    case Exit::jump: add(block.end.taken); break;
    case Exit::call:
    case Exit::call_value:
    case Exit::ret: add(block.end.next); break;
    default: break;
  }
  for (const u32 to : block.end.cases) add(to);
  return result;
}

std::string to_text(const Block& block) {
  std::string text;
  u32 guest = ~u32{0};
  for (u32 i = 0; i < block.code.size(); i++) {
    const Inst& inst = block.code[i];
    if (inst.guest != guest && inst.guest < block.guest.size()) {
      guest = inst.guest;
      text += format("  ; %x\n", block.guest[guest].offset);
    }
    const IrInfo& of = info(inst.op);
    text += of.result == IrType::none ? std::string("  ") : format("  v%u = ", i);
    text += of.name;
    switch (inst.op) {
      case Ir::get_x:
      case Ir::set_x: text += format(" x%u", inst.reg); break;
      case Ir::get_f:
      case Ir::set_f: text += format(" f%u", inst.reg); break;
      case Ir::load: text += format("%u%s", inst.size * 8, inst.is_signed ? "s" : "u"); break;
      case Ir::amo: text += format("%u kind %lld", inst.size * 8, static_cast<long long>(inst.imm)); break;
      case Ir::load_reserved:
      case Ir::store_conditional:
      case Ir::store: text += format("%u", inst.size * 8); break;
      case Ir::csr_read:
      case Ir::csr_write: text += format(" 0x%llx", static_cast<unsigned long long>(inst.imm)); break;
      case Ir::constant: text += format(" %lld", static_cast<long long>(inst.imm)); break;
      case Ir::fp_arith: text += fp_text(FpArith::unpack(inst.imm)); break;
      case Ir::code_address:
      case Ir::execute: text += format(" 0x%llx", static_cast<unsigned long long>(inst.imm)); break;
      default: break;
    }
    for (const u32 operand : {inst.a, inst.b, inst.c}) {
      if (operand != kNoValue) text += format(" v%u", operand);
    }
    text += '\n';
  }
  text += format("  %s", exit_name(block.end.kind));
  if (block.end.value != kNoValue) text += format(" v%u", block.end.value);
  switch (block.end.kind) {
    case Exit::call:
    case Exit::go:
    case Exit::interpret:
      text += format(" 0x%x", block.end.target);
      if (block.end.cold) text += " cold";
      break;
    default: break;
  }
  if (block.end.taken != kNoBlock) text += format(" b%u", block.end.taken);
  if (block.end.next != kNoBlock) text += format(" b%u", block.end.next);
  for (const u32 to : block.end.cases) text += format(" [b%u]", to);
  text += '\n';
  return text;
}

std::string to_text(const Region& region) {
  std::string text = format("region 0x%x\n", region.entry);
  for (const u32 block : region.ways_in) text += format("way in b%u\n", block);
  for (u32 i = 0; i < region.blocks.size(); i++) {
    text += format("b%u: ; 0x%x, %u instructions\n", i, region.blocks[i].offset, region.blocks[i].count());
    text += to_text(region.blocks[i]);
  }
  return text;
}

std::string verify(const Region& region) {
  for (const u32 block : region.ways_in) {
    if (block == 0 || block >= region.blocks.size()) return format("a way in at b%u", block);
    if (region.blocks[block].guest.empty()) return format("a way in where nothing is, b%u", block);
  }
  for (u32 number = 0; number < region.blocks.size(); number++) {
    const Block& block = region.blocks[number];
    const auto wrong = [&](u32 at, const char* what) {
      return format("b%u, v%u: %s\n%s", number, at, what, to_text(block).c_str());
    };
    u32 guest = 0;
    bool written = false;
    for (u32 i = 0; i < block.code.size(); i++) {
      const Inst& inst = block.code[i];
      const IrInfo& of = info(inst.op);
      if (inst.guest < guest || inst.guest >= block.count()) return wrong(i, "guest instructions out of order");
      if (inst.guest != guest) written = false;
      guest = inst.guest;
      const u32 operands[3] = {inst.a, inst.b, inst.c};
      const size_t wanted = std::strlen(of.operands);
      for (u32 k = 0; k < 3; k++) {
        if (k >= wanted) {
          if (operands[k] != kNoValue) return wrong(i, "too many operands");
          continue;
        }
        if (operands[k] >= i) return wrong(i, "an operand that is not there yet");
        if (info(block.code[operands[k]].op).result != operand_type(of, k))
          return wrong(i, "an operand of another type");
      }
      if (of.effect == IrEffect::exit && written) return wrong(i, "leaves a half executed instruction");
      if (of.effect == IrEffect::write) written = true;
      if ((inst.op == Ir::get_x || inst.op == Ir::set_x) && (inst.reg == 0 || inst.reg > 31))
        return wrong(i, "no such register");
      if ((inst.op == Ir::get_f || inst.op == Ir::set_f) && inst.reg > 31) return wrong(i, "no such register");
      if ((inst.op == Ir::load || inst.op == Ir::store) && inst.size != 1 && inst.size != 2 && inst.size != 4 &&
          inst.size != 8)
        return wrong(i, "no such size");
    }
    const Terminator& end = block.end;
    const bool needs_value =
        end.kind == Exit::branch || end.kind == Exit::call_value || end.kind == Exit::go_value || end.kind == Exit::ret;
    if (needs_value != (end.value != kNoValue)) return wrong(0, "terminator and value do not go together");
    if (needs_value) {
      if (end.value >= block.code.size()) return wrong(end.value, "the terminator's value is not there");
      const IrType type = info(block.code[end.value].op).result;
      if (type != (end.kind == Exit::branch ? IrType::C : IrType::I)) return wrong(end.value, "terminator's type");
    }
    for (const u32 to : successors(block)) {
      if (to >= region.blocks.size()) return wrong(0, "goes to a block that is not there");
    }
    const bool needs_taken = end.kind == Exit::branch || end.kind == Exit::jump;
    if (needs_taken && end.taken == kNoBlock) return wrong(0, "goes nowhere");
  }
  return {};
}

}  // namespace hartwood::jit
