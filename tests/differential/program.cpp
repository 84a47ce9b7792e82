// SPDX-License-Identifier: Apache-2.0
// Units that exist at both levels; machine_units.cpp has those that trap or need privilege.
#include "differential/program.h"

#include <algorithm>

#include "base/check.h"
#include "differential/builder.h"
#include "isa/compressed.h"

namespace hartwood::differential {
namespace {

constexpr u32 kIntegerConstants = 16;  // constants 0..15 integers, then doubles, singles, halves
constexpr u32 kDoubles = 16, kSingles = 30, kHalves = 38;
constexpr u32 kFflags = 1, kFrm = 2, kFcsr = 3;

struct CompressedRow {
  u16 mask, match;
};
constexpr CompressedRow kCompressedRows[] = {
#define CINSN(name, mnemonic, needs, format, mask, match, base) {mask, match},
#include "isa/compressed.inc"
#undef CINSN
};

bool is_load(Op op) { return info(op).format == Format::load; }
bool is_store(Op op) { return info(op).format == Format::s; }

}  // namespace

Builder::Builder(const ProgramOptions& options, u64 index)
    : options_(options), random_(options.seed * 0x2545'f491'4f6c'dd1d + index) {
  random_ = Random(random_.next());
  program_.index = index;
  for (u32 i = 1; i < kOpCount; i++) {
    const Op op = static_cast<Op>(i);
    const OpInfo& row = info(op);
    // The row's own encoding decodes to it exactly if its extensions are on (rs1 = 1 for those that need a
    // register).
    if (decode(encode(op, {}), options.isa).op != op) continue;
    switch (row.format) {
      case Format::r:
      case Format::r4:
      case Format::i:
      case Format::shamt6:
      case Format::shamt5:
      case Format::unary:
      case Format::u:
        if (op == Op::jalr || row.extension == Extension::S || row.extension == Extension::Svinval) break;
        (row.operands[0] == 'X' && std::string(row.operands).find('f') == std::string::npos ? integer_ : floating_)
            .push_back(op);
        break;
      case Format::load:
      case Format::s: memory_.push_back(op); break;
      case Format::amo:
        if (op == Op::lr_w || op == Op::lr_d || op == Op::sc_w || op == Op::sc_d) break;
        (row.extension == Extension::Zacas ? swaps_ : atomics_).push_back(op);
        break;
      case Format::b: branches_.push_back(op); break;
      default: break;
    }
  }
}

u32 Builder::destination() {
  for (;;) {
    const u32 r = random_.below(32);
    if (writable(r)) return r;
  }
}

u32 Builder::other_destination(u32 not_this) {
  for (;;) {
    const u32 r = random_.between(1, 31);
    if (r != not_this && writable(r)) return r;
  }
}

void Builder::emit(Op op, const Fields& fields) { unit().items.push_back({.bits = encode(op, fields)}); }

void Builder::emit_half(u32 half) { unit().items.push_back({.bits = half, .length = 2}); }

u32 Builder::scratch_offset(u32 bytes, bool aligned) {
  const u32 offset = random_.below(slot::kScratchBytes - bytes + 1);
  return aligned ? offset & ~(bytes - 1) : offset;
}

void Builder::load_constant(u32 rd, u32 constant) {
  emit(Op::ld, {.rd = rd, .rs1 = program_.base_register, .imm = from_base(slot::kConstants + 8 * constant)});
}

u32 Builder::point_at(u32 at) {
  const u32 r = other_destination(0);
  emit(Op::addi, {.rd = r, .rs1 = program_.base_register, .imm = from_base(at)});
  return r;
}

void Builder::refresh_float(u32 r, u32 format) {
  static constexpr u32 kFirst[] = {kSingles, kDoubles, kHalves, kDoubles};
  static constexpr u32 kCount[] = {kHalves - kSingles, kSingles - kDoubles, kConstantPatch - kHalves,
                                   kSingles - kDoubles};
  if (!random_.chance(70)) format = random_.below(3);
  const u32 constant = kFirst[format] + random_.below(kCount[format]);
  emit(Op::fld, {.rd = r, .rs1 = program_.base_register, .imm = from_base(slot::kConstants + 8 * constant)});
}

// Any instruction whose operands are registers and immediates only.
void Builder::plain(Op op, bool static_rounding) {
  const OpInfo& row = info(op);
  Fields f;
  f.rs1 = random_.below(32);
  f.rs2 = random_.chance(10) ? f.rs1 : random_.below(32);
  f.rs3 = random_.below(32);
  f.rd = row.writes_x() ? destination() : random_.below(32);
  f.imm = random_.chance(50) ? static_cast<i64>(edge_integer(random_)) : static_cast<i64>(random_.next());
  f.rm = static_rounding || random_.chance(50) ? random_.below(5) : 7;
  if (may_trap() && random_.chance(3)) f.rm = 5 + random_.below(2);
  const u32 format = row.match >> 25 & 3;
  unsigned source = 0;
  for (const char* c = row.operands + 1; *c != 0; c++) {
    if (*c == 'r') continue;
    const u32 r = source == 0 ? f.rs1 : source == 1 ? f.rs2 : f.rs3;
    source++;
    if (*c == 'f' && random_.chance(50)) refresh_float(r, format);
    if (*c == 'x' && r != 0 && writable(r) && random_.chance(25)) load_constant(r, random_.below(kIntegerConstants));
  }
  emit(op, f);
  // QEMU 10 takes the result's upper bits for more copies of the sign than they are, and leaves out the sign
  // extension of a later shift to the left in the same block: the jump ends the block.
  if (op == Op::roriw) emit(Op::jal, {.rd = 0, .imm = 4});
  // QEMU leaves these out, flags and all, if a later instruction of its block overwrites their result unread.
  if (std::string_view(row.mnemonic).starts_with("fround")) {
    const u32 at = scratch_offset(8, true);
    emit(Op::fsd, {.rs1 = program_.base_register, .rs2 = f.rd, .imm = from_base(at)});
  }
}

void Builder::compressed() {
  for (;;) {
    const CompressedRow& row = kCompressedRows[random_.below(std::size(kCompressedRows))];
    const u32 half = row.match | (static_cast<u32>(random_.next()) & ~row.mask & 0xffff);
    const Decoded decoded = decode(half, options_.isa);
    if (decoded.op == Op::none || decoded.op == Op::jal || decoded.op == Op::jalr || decoded.op == Op::ebreak) continue;
    if (info(decoded.op).format == Format::b) continue;
    const u32 r = decoded.insn.rs1;
    if (is_load(decoded.op) || is_store(decoded.op)) {
      const bool writes_x = is_load(decoded.op) && info(decoded.op).writes_x();
      if (!writable(r) || (writes_x && !writable(decoded.insn.rd))) continue;
      // The largest offset is 504; all of them fit behind the scratch memory's first bytes.
      const u32 bytes = access_bytes(decoded.op);
      const u32 limit = slot::kScratchBytes - bytes - static_cast<u32>(decoded.insn.imm);
      const i64 start = static_cast<i64>(random_.below(limit + 1) & (random_.chance(70) ? ~7u : ~0u));
      emit(Op::addi, {.rd = r, .rs1 = program_.base_register, .imm = from_base(static_cast<u32>(start))});
      emit_half(half);
      return;
    }
    if (info(decoded.op).writes_x() && !writable(decoded.insn.rd)) continue;
    if (r != 0 && writable(r) && random_.chance(25)) load_constant(r, random_.below(kIntegerConstants));
    emit_half(half);
    return;
  }
}

void Builder::memory_access(Op op) {
  const u32 at = scratch_offset(access_bytes(op), random_.chance(60));
  const u32 reg = is_store(op) || !info(op).writes_x() ? random_.below(32) : destination();
  if (random_.chance(50)) {
    emit(op, {.rd = reg, .rs1 = program_.base_register, .rs2 = reg, .imm = from_base(at)});
    return;
  }
  const i64 imm = sign_extend(random_.next(), 11);
  const u32 r = other_destination(0);
  emit(Op::addi, {.rd = r, .rs1 = program_.base_register, .imm = from_base(at) / 2});
  emit(Op::addi, {.rd = r, .rs1 = r, .imm = from_base(at) - from_base(at) / 2 - imm});
  emit(op, {.rd = reg, .rs1 = r, .rs2 = reg, .imm = imm});
}

void Builder::atomic(Op op) {
  const u32 bytes = access_bytes(op);
  const bool aligned = !may_trap() || random_.chance(85);
  const u32 r = point_at(scratch_offset(bytes, aligned));
  emit(op, {.rd = destination(), .rs1 = r, .rs2 = random_.below(32), .ordering = random_.below(4)});
}

void Builder::compare_and_swap(Op op) {
  const u32 bytes = access_bytes(op);
  const bool pair = op == Op::amocas_q;
  const bool aligned = !may_trap() || random_.chance(90);
  const u32 r = point_at(scratch_offset(bytes, aligned));
  u32 rd;
  do {
    // QEMU overwrites, for the rest of a block, the zero that its code reads when rd is x0
    // (riscv/riscv-arch-test issue 1624).
    rd = pair ? random_.between(1, 15) * 2 : random_.between(1, 31);
  } while (rd == r || !writable(rd) || (pair && (rd + 1 == r || !writable(rd + 1))));
  // Half of them find what they expect.
  if (random_.chance(50)) {
    emit(bytes == 4 ? Op::lw : Op::ld, {.rd = rd, .rs1 = r});
    if (pair) emit(Op::ld, {.rd = rd + 1, .rs1 = r, .imm = 8});
  }
  const u32 rs2 = pair ? random_.below(16) * 2 : random_.below(32);
  emit(op, {.rd = rd, .rs1 = r, .rs2 = rs2, .ordering = random_.below(4)});
}

void Builder::reservation() {
  const bool wide = random_.chance(50);
  const Op lr = wide ? Op::lr_d : Op::lr_w, sc = wide ? Op::sc_d : Op::sc_w;
  const u32 bytes = wide ? 8 : 4;
  const u32 at = scratch_offset(bytes, true);
  const u32 r = point_at(at);
  const u32 result = other_destination(r);
  emit(lr, {.rd = result, .rs1 = r, .ordering = random_.below(4)});
  for (u32 i = random_.below(3); i != 0; i--) {
    const u32 other = other_destination(r);
    emit(random_.chance(50) ? Op::add : Op::xori, {.rd = other, .rs1 = result, .rs2 = random_.below(32), .imm = 77});
  }
  u32 address = r;
  if (random_.chance(15)) {
    address = other_destination(r);
    emit(Op::addi, {.rd = address, .rs1 = program_.base_register, .imm = from_base(scratch_offset(bytes, true))});
  }
  emit(sc, {.rd = destination(), .rs1 = address, .rs2 = random_.below(32), .ordering = random_.below(4)});
  if (random_.chance(20)) {
    // The reservation is used up: this one fails.
    const u32 again = point_at(at);
    emit(sc, {.rd = destination(), .rs1 = again, .rs2 = random_.below(32)});
  }
}

void Builder::float_status() {
  static constexpr Op kOps[] = {Op::csrrw, Op::csrrs, Op::csrrc, Op::csrrwi, Op::csrrsi, Op::csrrci};
  const u32 csr = kFflags + random_.below(3);
  const u32 source = random_.below(32);
  emit(kOps[random_.below(6)], {.rd = destination(), .rs1 = source, .csr = csr});
  if (csr == kFflags || (may_trap() && random_.chance(20))) return;
  if (random_.chance(50) && !floating_.empty())
    plain(floating_[random_.below(static_cast<u32>(floating_.size()))], true);
  // Five bits written to fcsr leave frm 0.
  emit(Op::csrrwi, {.rd = destination(), .rs1 = random_.below(5), .csr = random_.chance(80) ? kFrm : kFcsr});
}

void Builder::forward_branch() {
  const Decoded probe = decode(0xc001, options_.isa);  // c.beqz
  const bool small = probe.op != Op::none && random_.chance(40);
  const u32 rs1 = random_.below(32);
  switch (random_.below(5)) {
    case 0:
    case 1:
    case 2:
      if (small) {
        unit().items.push_back({.bits = (random_.chance(50) ? 0xc001u : 0xe001u) | random_.below(8) << 7,
                                .length = 2,
                                .fix = Item::Fix::compressed_branch});
      } else {
        const Op op = branches_[random_.below(static_cast<u32>(branches_.size()))];
        if (rs1 != 0 && writable(rs1) && random_.chance(25)) load_constant(rs1, random_.below(kIntegerConstants));
        const u32 rs2 = random_.chance(20) ? rs1 : random_.below(32);
        unit().items.push_back({.bits = encode(op, {.rs1 = rs1, .rs2 = rs2}), .fix = Item::Fix::branch});
      }
      break;
    case 3:
      if (small) {
        unit().items.push_back({.bits = 0xa001, .length = 2, .fix = Item::Fix::compressed_jump});
      } else {
        unit().items.push_back({.bits = encode(Op::jal, {.rd = destination()}), .fix = Item::Fix::jump});
      }
      break;
    default: {
      const u32 r = other_destination(0);
      const u32 link = destination();
      emit(Op::auipc, {.rd = r});
      // jalr clears the lowest bit of the sum.
      const u8 odd = static_cast<u8>(random_.below(2));
      Item last{.bits = encode(Op::jalr, {.rd = link, .rs1 = r}), .fix = Item::Fix::from_auipc, .low = odd};
      if (!small) {
        unit().items.push_back(last);
      } else {
        unit().items.push_back(
            {.bits = encode(Op::addi, {.rd = r, .rs1 = r}), .fix = Item::Fix::from_auipc, .low = odd});
        emit_half((!writable(1) || random_.chance(50) ? 0x8002u : 0x9002u) | r << 7);  // c.jr, c.jalr
      }
      break;
    }
  }
  unit().target = static_cast<i32>(program_.units.size() + random_.below(small ? 3 : 8));
}

// Stores an instruction over one further on, and executes it after fence.i.
void Builder::patch_code() {
  const u32 r = other_destination(0), word = other_destination(r), rd = other_destination(0);
  emit(Op::auipc, {.rd = r});
  emit(Op::lwu, {.rd = word, .rs1 = program_.base_register, .imm = from_base(slot::kConstants + 8 * kConstantPatch)});
  // The patch's destination is put into it here: bits 7 to 11 of the constant are zero.
  const u32 bits_register = other_destination(r);
  if (bits_register == word) return undo();
  emit(Op::addi, {.rd = bits_register, .imm = static_cast<i64>(rd << 6)});
  emit(Op::add, {.rd = word, .rs1 = word, .rs2 = bits_register});
  emit(Op::add, {.rd = word, .rs1 = word, .rs2 = bits_register});
  const u8 patched = 7;
  unit().items.push_back({.bits = encode(Op::sw, {.rs1 = r, .rs2 = word}), .fix = Item::Fix::to_item, .low = patched});
  emit(Op::fence_i, {});
  emit(Op::addi, {.rd = rd, .rs1 = rd, .imm = 1});
}

void Builder::ordering() {
  std::vector<Op> choices = {Op::fence, Op::fence_i};
  const auto add = [&](Extension extension, std::initializer_list<Op> ops) {
    if (options_.isa.has(extension)) choices.insert(choices.end(), ops);
  };
  add(Extension::Zawrs, {Op::wrs_nto, Op::wrs_sto});
  // Linux lets no process use these.
  if (may_trap()) add(Extension::Zicbom, {Op::cbo_clean, Op::cbo_flush, Op::cbo_inval});
  add(Extension::Zicboz, {Op::cbo_zero, Op::cbo_zero});
  choices.push_back(Op::ori);
  const Op op = choices[random_.below(static_cast<u32>(choices.size()))];
  if (op == Op::ori) {
    // Zicbop's prefetches are hints in the space of ori.
    static constexpr u32 kKinds[] = {0, 1, 3};
    emit(op, {.rd = 0,
              .rs1 = random_.below(32),
              .imm = static_cast<i64>(random_.below(128) << 5 | kKinds[random_.below(3)])});
  } else if (info(op).format == Format::cbo) {
    emit(op, {.rs1 = point_at(scratch_offset(1, false))});
  } else {
    emit(op, {.imm = op == Op::fence ? static_cast<i64>(random_.below(256)) : 0});
  }
}

void Builder::undo() { unit().items.clear(); }

void Builder::any_unit(bool in_loop) {
  program_.units.emplace_back();
  unit().loop = in_loop ? loop_ : 0;
  const auto pick = [&](const std::vector<Op>& ops) { return ops[random_.below(static_cast<u32>(ops.size()))]; };
  const u32 kind = random_.below(100);
  if (kind < 30) {
    plain(pick(integer_), false);
  } else if (kind < 62 && !floating_.empty()) {
    plain(pick(floating_), false);
  } else if (kind < 70 && options_.isa.has(Extension::C)) {
    compressed();
  } else if (kind < 80) {
    memory_access(pick(memory_));
  } else if (kind < 84 && !atomics_.empty()) {
    atomic(pick(atomics_));
  } else if (kind < 86 && !swaps_.empty()) {
    compare_and_swap(pick(swaps_));
  } else if (kind < 88 && !atomics_.empty()) {
    reservation();
  } else if (kind < 91 && options_.isa.has(Extension::F)) {
    float_status();
  } else if (kind < 96) {
    forward_branch();
  } else if (kind < 98) {
    ordering();
  } else if (kind < 99 && random_.chance(8) && options_.isa.has(Extension::Zifencei)) {
    patch_code();
  } else if (may_trap()) {
    machine_unit();
  } else {
    plain(pick(integer_), false);
  }
}

void Builder::loop() {
  const i32 first = static_cast<i32>(program_.units.size());
  loop_++;
  const u32 counter = other_destination(0);
  program_.units.emplace_back();
  emit(Op::addi, {.rd = counter, .imm = static_cast<i64>(random_.between(1, 6))});
  counter_ = counter;
  for (u32 i = random_.between(1, 5); i != 0; i--) any_unit(true);
  program_.units.emplace_back();
  unit().loop = loop_;
  unit().needs = first;
  unit().target = first + 1;
  emit(Op::addi, {.rd = counter, .rs1 = counter, .imm = -1});
  unit().items.push_back({.bits = encode(Op::bne, {.rs1 = counter}), .fix = Item::Fix::branch});
  counter_ = 0;
}

// A target inside of a loop that the branch is not in would meet a counter that was never set.
void Builder::settle_targets() {
  const i32 count = static_cast<i32>(program_.units.size());
  for (i32 i = 0; i < count; i++) {
    Unit& from = program_.units[static_cast<size_t>(i)];
    if (from.target < 0 || from.target <= i) continue;
    from.target = std::min(from.target, count);
    const auto closed = [&](i32 to) {
      return to < count && program_.units[static_cast<size_t>(to)].loop != 0 &&
             program_.units[static_cast<size_t>(to)].loop != from.loop;
    };
    while (closed(from.target)) from.target++;
    // Compressed branches reach 254 bytes.
    if (from.items.back().length == 2 && from.target > i + 4) from.target = i + 1;
  }
}

void Builder::operands() {
  Program& p = program_;
  const auto number = [&](unsigned width, u64 near) { return boxed(random_, width, edge_float(random_, width, near)); };
  u64 near = 0;
  for (u32 i = 0; i < slot::kConstantCount; i++) {
    p.constants[i] = i < kDoubles   ? edge_integer(random_)
                     : i < kSingles ? near = number(64, near)
                     : i < kHalves  ? near = number(32, near & 0xffff'ffff)
                                    : near = number(16, near & 0xffff);
  }
  p.constants[kConstantPatch] = encode(Op::xori, {.rs1 = random_.below(32), .imm = static_cast<i64>(random_.next())});
  p.constants[kConstantMagic] = kMagic;
  p.constants[kConstantMode] = p.mode;
  for (u32 i = 0; i < 32; i++) {
    if (i != 0) p.x[i] = edge_integer(random_);
    static constexpr u32 kWidths[] = {64, 64, 32, 16};
    p.f[i] = number(kWidths[random_.below(4)], 0);
  }
  p.fcsr = u64{random_.below(5)} << 5 | random_.below(32);
  for (u64& word : p.scratch)
    word = random_.chance(60) ? edge_integer(random_) : number(random_.chance(50) ? 64 : 32, 0);
}

Program Builder::make() {
  Program& p = program_;
  if (may_trap()) {
    static constexpr u32 kModes[] = {0, 1, 3};
    p.mode = kModes[random_.below(3)];
  }
  do {
    p.base_register = random_.between(1, 31);
  } while (may_trap() && (p.base_register == 10 || p.base_register == 16 || p.base_register == 17));
  p.base_offset = static_cast<i32>(random_.between(80, 160)) * 8;
  operands();
  const u32 wanted = random_.between(30, 110);
  while (p.units.size() < wanted) {
    if (random_.chance(4)) {
      loop();
    } else {
      any_unit(false);
    }
  }
  settle_targets();
  return std::move(program_);
}

Program make_program(const ProgramOptions& options, u64 index) { return Builder(options, index).make(); }

std::vector<u16> lay_out(const Program& program, const std::vector<bool>& dropped, std::vector<u32>& starts) {
  const auto kept = [&](size_t i) {
    const i32 needs = program.units[i].needs;
    const auto gone = [&](size_t at) { return at < dropped.size() && dropped[at]; };
    return !gone(i) && (needs < 0 || !gone(static_cast<size_t>(needs)));
  };
  starts.clear();
  u32 at = 0;
  for (size_t i = 0; i < program.units.size(); i++) {
    starts.push_back(at);
    if (!kept(i)) continue;
    for (const Item& item : program.units[i].items) at += item.length;
  }
  starts.push_back(at);
  std::vector<u16> code;
  for (size_t i = 0; i < program.units.size(); i++) {
    const Unit& unit = program.units[i];
    if (!kept(i)) continue;
    std::vector<i64> places;
    for (const Item& item : unit.items) {
      const i64 here = static_cast<i64>(2 * code.size());
      places.push_back(here);
      const i64 target = unit.target < 0 ? here : static_cast<i64>(starts[static_cast<size_t>(unit.target)]);
      u32 bits = item.bits;
      switch (item.fix) {
        case Item::Fix::none: break;
        case Item::Fix::branch: bits |= branch_bits(target - here); break;
        case Item::Fix::jump: bits |= jump_bits(target - here); break;
        case Item::Fix::compressed_branch:
          HW_CHECK(target - here < 256, "a compressed branch goes too far");
          bits |= compressed_branch_bits(target - here);
          break;
        case Item::Fix::compressed_jump: bits |= compressed_jump_bits(target - here); break;
        case Item::Fix::from_auipc: bits |= static_cast<u32>((target - places[item.other]) | item.low) << 20; break;
        case Item::Fix::to_item: {
          i64 distance = 0;
          for (size_t k = item.other; k < item.low; k++) distance += unit.items[k].length;
          bits |= static_cast<u32>(distance & 31) << 7 | static_cast<u32>(distance >> 5) << 25;
          break;
        }
      }
      code.push_back(static_cast<u16>(bits));
      if (item.length == 4) code.push_back(static_cast<u16>(bits >> 16));
    }
  }
  return code;
}

}  // namespace hartwood::differential
