// SPDX-License-Identifier: Apache-2.0
#include "debug/dwarf_cfi.h"

#include <algorithm>
#include <map>

#include "debug/dwarf_forms.h"

namespace hartwood {
namespace {

using namespace dwarf;

// [lsb: DWARF Exception Header Encoding]
enum : u8 {
  kAbsolute = 0x00,
  kUleb = 0x01,
  kUdata2 = 0x02,
  kUdata4 = 0x03,
  kUdata8 = 0x04,
  kSleb = 0x09,
  kSdata2 = 0x0a,
  kSdata4 = 0x0b,
  kSdata8 = 0x0c
};
constexpr u8 kFormatMask = 0x0f, kRelationMask = 0x70, kPcRelative = 0x10, kIndirect = 0x80, kOmitted = 0xff;

// [dwarf5: Call Frame Instructions]; the first three have their operand in their low six bits.
enum : u8 {
  kAdvance = 0x40,
  kOffset = 0x80,
  kRestore = 0xc0,
  kNop = 0x00,
  kSetLocation = 0x01,
  kAdvance1 = 0x02,
  kAdvance2 = 0x03,
  kAdvance4 = 0x04,
  kOffsetExtended = 0x05,
  kRestoreExtended = 0x06,
  kUndefined = 0x07,
  kSameValue = 0x08,
  kRegister = 0x09,
  kRememberState = 0x0a,
  kRestoreState = 0x0b,
  kDefCfa = 0x0c,
  kDefCfaRegister = 0x0d,
  kDefCfaOffset = 0x0e,
  kDefCfaExpression = 0x0f,
  kExpression = 0x10,
  kOffsetExtendedSf = 0x11,
  kDefCfaSf = 0x12,
  kDefCfaOffsetSf = 0x13,
  kValOffset = 0x14,
  kValOffsetSf = 0x15,
  kValExpression = 0x16,
  kGnuArgsSize = 0x2e,
  kGnuNegativeOffset = 0x2f,
};

// [dwarf5: DWARF Expressions]
enum : u8 {
  kOpAddr = 0x03,
  kOpDeref = 0x06,
  kOpConst1u = 0x08,
  kOpConst1s,
  kOpConst2u,
  kOpConst2s,
  kOpConst4u,
  kOpConst4s,
  kOpConst8u,
  kOpConst8s,
  kOpConstu,
  kOpConsts,
  kOpDup,
  kOpDrop,
  kOpOver,
  kOpPick,
  kOpSwap,
  kOpRot,
  kOpAbs = 0x19,
  kOpAnd,
  kOpDiv,
  kOpMinus,
  kOpMod,
  kOpMul,
  kOpNeg,
  kOpNot,
  kOpOr,
  kOpPlus,
  kOpPlusUconst,
  kOpShl,
  kOpShr,
  kOpShra,
  kOpXor,
  kOpBra,
  kOpEq,
  kOpGe,
  kOpGt,
  kOpLe,
  kOpLt,
  kOpNe,
  kOpSkip,
  kOpLit0 = 0x30,
  kOpLit31 = 0x4f,
  kOpBreg0 = 0x70,
  kOpBreg31 = 0x8f,
  kOpBregx = 0x92,
  kOpDerefSize = 0x94,
  kOpNop = 0x96,
};

constexpr size_t kMostStates = 64;     // remembered at one time
constexpr size_t kMostStack = 64;      // values of an expression
constexpr unsigned kMostSteps = 4096;  // of an expression
constexpr u32 kRegisters = 32;
constexpr u32 kStackPointer = 2;
// x8, x9, x18 to x27, and sp, gp, tp, which a callee leaves as they were. [riscv-cc: Integer Register Convention]
constexpr u32 kSavedRegisters = 0x0ffc'031c;

// An encoded address; `where` is the address of the cursor's first byte.
u64 encoded(Cursor& cursor, u8 encoding, u8 address_bytes, u64 where) {
  if (encoding == kOmitted) return 0;
  const u64 at = where + cursor.at();
  u64 value = 0;
  switch (encoding & kFormatMask) {
    case kAbsolute: value = cursor.number(address_bytes); break;
    case kUleb: value = cursor.uleb(); break;
    case kUdata2: value = cursor.get<u16>(); break;
    case kUdata4: value = cursor.get<u32>(); break;
    case kUdata8: value = cursor.get<u64>(); break;
    case kSleb: value = static_cast<u64>(cursor.sleb()); break;
    case kSdata2: value = static_cast<u64>(i64{cursor.get<i16>()}); break;
    case kSdata4: value = static_cast<u64>(i64{cursor.get<i32>()}); break;
    case kSdata8: value = cursor.get<u64>(); break;
    default: cursor.fail(); return 0;
  }
  switch (encoding & kRelationMask) {
    case 0: return value;
    case kPcRelative: return value + at;
    default: cursor.fail(); return 0;  // relative to places that only a loaded program has
  }
}

}  // namespace

Result<CallFrames> CallFrames::read(std::span<const u8> eh_frame, u64 eh_frame_address,
                                    std::span<const u8> debug_frame) {
  CallFrames frames;
  if (const Status read = frames.read_section(eh_frame, eh_frame_address, true); !read.ok()) return read.error();
  if (const Status read = frames.read_section(debug_frame, 0, false); !read.ok()) return read.error();
  std::stable_sort(frames.entries_.begin(), frames.entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.low < b.low; });
  frames.entries_.shrink_to_fit();
  return frames;
}

Status CallFrames::read_section(std::span<const u8> section, u64 section_address, bool eh) {
  const Error damaged = errorf("the section %s is damaged or cut off", eh ? ".eh_frame" : ".debug_frame");
  std::map<u64, u32> commons;  // by where they are
  constexpr u32 kUnusable = ~u32{0};
  // Reads the CIE at `at`, once.
  const auto common_at = [&](u64 at) -> u32 {
    const auto [place, fresh] = commons.try_emplace(at, kUnusable);
    if (!fresh) return place->second;
    u8 offset_bytes = 4;
    Cursor outer(section, at);
    const u64 end = unit_end(outer, offset_bytes);
    if (!outer.ok()) return kUnusable;
    Cursor cursor(section.first(static_cast<size_t>(end)), outer.at());
    const u64 id = cursor.number(eh ? 4 : offset_bytes);
    if (id != (eh ? 0 : offset_bytes == 8 ? ~u64{0} : 0xffff'ffff)) return kUnusable;
    Common common;
    const u8 version = cursor.get<u8>();
    const std::string_view augmentation = cursor.string();
    if (version != 1 && version != 3 && version != 4) return kUnusable;
    if (version == 4) {
      common.address_bytes = cursor.get<u8>();
      if (cursor.get<u8>() != 0 || common.address_bytes == 0 || common.address_bytes > 8) return kUnusable;
    }
    common.code_alignment = cursor.uleb();
    common.data_alignment = cursor.sleb();
    common.return_register = static_cast<u32>(std::min<u64>(version == 1 ? cursor.get<u8>() : cursor.uleb(), ~u32{0}));
    if (common.return_register >= kRegisters) return kUnusable;
    u64 augmentation_end = 0;
    for (const char letter : augmentation) {
      if (letter == 'z' && !common.augmented) {
        common.augmented = true;
        const u64 length = cursor.uleb();
        if (length > cursor.left()) return kUnusable;
        augmentation_end = cursor.at() + length;
      } else if (letter == 'R') {
        common.encoding = cursor.get<u8>();
        if (common.encoding & kIndirect) return kUnusable;
      } else if (letter == 'P') {
        const u8 encoding = cursor.get<u8>();
        encoded(cursor, encoding & kFormatMask, common.address_bytes, 0);
      } else if (letter == 'L') {
        cursor.skip(1);
      } else if (letter == 'S') {
        common.signal_frame = true;
      } else if (!common.augmented) {
        return kUnusable;  // no telling where the program begins
      } else {
        break;  // its data is skipped
      }
    }
    if (augmentation_end != 0) cursor.seek(augmentation_end);
    if (!cursor.ok()) return kUnusable;
    common.program = cursor.take(cursor.left());
    commons_.push_back(common);
    return place->second = static_cast<u32>(commons_.size() - 1);
  };

  Cursor outer(section);
  while (outer.ok() && !outer.at_end()) {
    const u64 begin = outer.at();
    u8 offset_bytes = 4;
    const u64 end = unit_end(outer, offset_bytes);
    if (!outer.ok()) {
      if (begin == 0) return damaged;
      break;
    }
    const u64 body = outer.at();
    outer.seek(end);
    if (body == end) continue;  // the mark that ends a file's entries
    Cursor cursor(section.first(static_cast<size_t>(end)), body);
    const u64 id = cursor.number(eh ? 4 : offset_bytes);
    const u64 common_id = eh ? 0 : offset_bytes == 8 ? ~u64{0} : 0xffff'ffff;
    if (!cursor.ok() || id == common_id || (eh && id > body)) continue;
    const u32 index = common_at(eh ? body - id : id);
    if (index == kUnusable) continue;
    const Common& common = commons_[index];
    Entry entry{};
    entry.common = index;
    entry.low = encoded(cursor, common.encoding, common.address_bytes, section_address);
    const u64 length = encoded(cursor, common.encoding & kFormatMask, common.address_bytes, section_address);
    if (common.augmented) cursor.skip(cursor.uleb());
    if (!cursor.ok() || length == 0 || entry.low + length < entry.low) continue;
    entry.high = entry.low + length;
    entry.program_address = section_address + cursor.at();
    entry.program = cursor.take(cursor.left());
    entries_.push_back(entry);
  }
  return {};
}

Result<std::optional<CallFrames::Rules>> CallFrames::rules(u64 address) const {
  auto behind = std::upper_bound(entries_.begin(), entries_.end(), address,
                                 [](u64 value, const Entry& entry) { return value < entry.low; });
  if (behind == entries_.begin()) return std::optional<Rules>();
  // Of several for one function, the first: .eh_frame's.
  const u64 low = std::prev(behind)->low;
  const auto first =
      std::lower_bound(entries_.begin(), behind, low, [](const Entry& entry, u64 value) { return entry.low < value; });
  const auto found = std::find_if(first, behind, [&](const Entry& entry) { return address < entry.high; });
  if (found == behind) return std::optional<Rules>();
  const Entry& entry = *found;
  const Common& common = commons_[entry.common];

  struct State {
    Rule cfa;
    u32 cfa_register = 0;
    Rule x[kRegisters];
  };
  State state, initial;
  std::vector<State> remembered;
  u64 location = entry.low;
  const Error damaged =
      errorf("the call frame information for 0x%llx is damaged", static_cast<unsigned long long>(entry.low));
  // Runs one program up to the address. False: it is damaged.
  const auto run = [&](std::span<const u8> program, u64 program_address, bool is_entry) -> bool {
    Cursor cursor(program);
    const auto set = [&](u64 index, Rule rule) {
      if (index < kRegisters) state.x[index] = rule;
    };
    const auto factored = [&](u64 count) { return static_cast<i64>(count * static_cast<u64>(common.data_alignment)); };
    const auto set_cfa = [&](u64 index, i64 offset) {
      state.cfa = {Rule::in_register, offset, {}};
      state.cfa_register = static_cast<u32>(std::min<u64>(index, kRegisters));
    };
    while (cursor.ok() && !cursor.at_end()) {
      const u8 byte = cursor.get<u8>();
      const u8 operand = byte & 0x3f;
      u64 further = 0;
      switch (byte & 0xc0 ? byte & 0xc0 : byte) {
        case kAdvance: further = operand; break;
        case kAdvance1: further = cursor.get<u8>(); break;
        case kAdvance2: further = cursor.get<u16>(); break;
        case kAdvance4: further = cursor.get<u32>(); break;
        case kSetLocation: {
          const u64 next = encoded(cursor, common.encoding, common.address_bytes, program_address);
          if (next > address) return true;
          location = next;
          break;
        }
        case kOffset: set(operand, {Rule::offset, factored(cursor.uleb()), {}}); break;
        case kRestore:
          if (operand < kRegisters) state.x[operand] = initial.x[operand];
          break;
        case kNop: break;
        case kOffsetExtended: {
          const u64 index = cursor.uleb();
          set(index, {Rule::offset, factored(cursor.uleb()), {}});
          break;
        }
        case kRestoreExtended: {
          const u64 index = cursor.uleb();
          if (index < kRegisters) state.x[index] = initial.x[index];
          break;
        }
        case kUndefined: set(cursor.uleb(), {Rule::undefined, 0, {}}); break;
        case kSameValue: set(cursor.uleb(), {Rule::same_value, 0, {}}); break;
        case kRegister: {
          const u64 index = cursor.uleb();
          const u64 other = cursor.uleb();
          set(index, {Rule::in_register, static_cast<i64>(std::min<u64>(other, kRegisters)), {}});
          break;
        }
        case kRememberState:
          if (remembered.size() == kMostStates) return false;
          remembered.push_back(state);
          break;
        case kRestoreState:
          if (remembered.empty()) return false;
          state = remembered.back();
          remembered.pop_back();
          break;
        case kDefCfa: {
          const u64 index = cursor.uleb();
          set_cfa(index, static_cast<i64>(cursor.uleb()));
          break;
        }
        case kDefCfaSf: {
          const u64 index = cursor.uleb();
          set_cfa(index, factored(static_cast<u64>(cursor.sleb())));
          break;
        }
        case kDefCfaRegister: {
          // GNU's assembler for RISC-V opens with this: the offset is 0 then.
          if (state.cfa.kind == Rule::value_expression) return false;
          set_cfa(cursor.uleb(), state.cfa.number);
          break;
        }
        case kDefCfaOffset:
        case kDefCfaOffsetSf: {
          if (state.cfa.kind != Rule::in_register) return false;
          state.cfa.number =
              byte == kDefCfaOffset ? static_cast<i64>(cursor.uleb()) : factored(static_cast<u64>(cursor.sleb()));
          break;
        }
        case kDefCfaExpression: state.cfa = {Rule::value_expression, 0, cursor.take(cursor.uleb())}; break;
        case kExpression:
        case kValExpression: {
          const u64 index = cursor.uleb();
          const std::span<const u8> code = cursor.take(cursor.uleb());
          set(index, {byte == kExpression ? Rule::expression : Rule::value_expression, 0, code});
          break;
        }
        case kOffsetExtendedSf:
        case kValOffsetSf: {
          const u64 index = cursor.uleb();
          const i64 offset = factored(static_cast<u64>(cursor.sleb()));
          set(index, {byte == kValOffsetSf ? Rule::value_offset : Rule::offset, offset, {}});
          break;
        }
        case kValOffset: {
          const u64 index = cursor.uleb();
          set(index, {Rule::value_offset, factored(cursor.uleb()), {}});
          break;
        }
        case kGnuArgsSize: cursor.uleb(); break;
        case kGnuNegativeOffset: {
          const u64 index = cursor.uleb();
          set(index, {Rule::offset, -factored(cursor.uleb()), {}});
          break;
        }
        default: return false;
      }
      if (further != 0) {
        location += further * common.code_alignment;
        if (is_entry && location > address) return cursor.ok();
      }
    }
    return cursor.ok();
  };
  if (!run(common.program, 0, false)) return damaged;
  initial = state;
  location = entry.low;
  remembered.clear();
  if (!run(entry.program, entry.program_address, true)) return damaged;

  Rules rules;
  rules.low = entry.low;
  rules.high = entry.high;
  rules.cfa = state.cfa;
  rules.cfa_register = state.cfa_register;
  std::copy(std::begin(state.x), std::end(state.x), std::begin(rules.x));
  rules.return_register = common.return_register;
  rules.signal_frame = common.signal_frame;
  return std::optional(rules);
}

Result<std::optional<FrameRegisters>> CallFrames::unwind(const Rules& rules, const FrameRegisters& frame, u64 bias,
                                                         const ReadGuest& read) {
  const auto here = static_cast<unsigned long long>(frame.pc);
  u64 cfa = 0;
  if (rules.cfa.kind == Rule::in_register) {
    if (rules.cfa_register >= kRegisters || !frame.knows(rules.cfa_register))
      return errorf("the frame at pc 0x%llx counts from a register that is not known", here);
    cfa = frame.x[rules.cfa_register] + static_cast<u64>(rules.cfa.number);
  } else if (rules.cfa.kind == Rule::value_expression) {
    const Result<u64> value = evaluate_dwarf(rules.cfa.code, std::nullopt, frame, bias, read);
    if (!value.ok()) return value.error();
    cfa = *value;
  } else {
    return errorf("the frame at pc 0x%llx does not tell its address", here);
  }

  FrameRegisters caller;
  for (u32 i = 1; i < kRegisters; i++) {
    const Rule& rule = rules.x[i];
    switch (rule.kind) {
      case Rule::undefined: break;
      case Rule::unspecified:
        if (i == kStackPointer)
          caller.set(i, cfa);
        else if ((kSavedRegisters >> i & 1 || i == rules.return_register) && frame.knows(i))
          caller.set(i, frame.x[i]);
        break;
      case Rule::same_value:
        if (frame.knows(i)) caller.set(i, frame.x[i]);
        break;
      case Rule::offset: {
        const std::optional<u64> value = read(cfa + static_cast<u64>(rule.number), 8);
        if (value) caller.set(i, *value);
        break;
      }
      case Rule::value_offset: caller.set(i, cfa + static_cast<u64>(rule.number)); break;
      case Rule::in_register:
        if (rule.number < kRegisters && frame.knows(static_cast<unsigned>(rule.number)))
          caller.set(i, frame.x[rule.number]);
        break;
      case Rule::expression:
      case Rule::value_expression: {
        const Result<u64> value = evaluate_dwarf(rule.code, cfa, frame, bias, read);
        if (!value.ok()) return value.error();
        if (rule.kind == Rule::value_expression) {
          caller.set(i, *value);
        } else if (const std::optional<u64> loaded = read(*value, 8)) {
          caller.set(i, *loaded);
        }
        break;
      }
    }
  }
  if (rules.x[rules.return_register].kind == Rule::undefined) return std::optional<FrameRegisters>();
  if (!caller.knows(rules.return_register))
    return errorf("the return address of the frame at pc 0x%llx cannot be read", here);
  caller.pc = caller.x[rules.return_register];
  // The call itself has overwritten the caller's own one, if it was one.
  if (!rules.signal_frame) caller.known &= ~(u32{1} << rules.return_register);
  if (caller.pc == 0) return std::optional<FrameRegisters>();
  return std::optional(caller);
}

Result<u64> evaluate_dwarf(std::span<const u8> code, std::optional<u64> first, const FrameRegisters& frame, u64 bias,
                           const ReadGuest& read) {
  std::vector<u64> stack;
  if (first) stack.push_back(*first);
  Cursor cursor(code);
  const Error damaged = errorf("a DWARF expression is damaged");
  for (unsigned steps = 0; cursor.ok() && !cursor.at_end(); steps++) {
    if (steps == kMostSteps) return errorf("a DWARF expression does not end");
    const u8 op = cursor.get<u8>();
    const size_t depth = stack.size();
    const auto need = [&](size_t count) { return depth >= count; };
    const auto top = [&](size_t index) -> u64& { return stack[depth - 1 - index]; };
    const auto binary = [&](auto apply) {
      if (!need(2)) return false;
      const u64 right = top(0), left = top(1);
      stack.pop_back();
      stack.back() = apply(left, right);
      return true;
    };
    const auto compare = [&](auto apply) {
      return binary([&](u64 a, u64 b) -> u64 { return apply(static_cast<i64>(a), static_cast<i64>(b)); });
    };
    const auto load = [&](unsigned bytes) {
      if (!need(1)) return false;
      const std::optional<u64> value = read(top(0), bytes);
      if (value) top(0) = *value;
      return value.has_value();
    };
    const auto based = [&](u64 index) {
      const u64 offset = static_cast<u64>(cursor.sleb());
      if (index >= kRegisters || !frame.knows(static_cast<unsigned>(index))) return false;
      stack.push_back(frame.x[index] + offset);
      return true;
    };
    bool done = true;
    if (op >= kOpLit0 && op <= kOpLit31) {
      stack.push_back(op - kOpLit0);
    } else if (op >= kOpBreg0 && op <= kOpBreg31) {
      done = based(op - kOpBreg0);
    } else {
      switch (op) {
        case kOpAddr: stack.push_back(cursor.get<u64>() + bias); break;
        case kOpDeref: done = load(8); break;
        case kOpDerefSize: {
          const u8 bytes = cursor.get<u8>();
          done = (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && load(bytes);
          break;
        }
        case kOpConst1u: stack.push_back(cursor.get<u8>()); break;
        case kOpConst1s: stack.push_back(static_cast<u64>(i64{cursor.get<i8>()})); break;
        case kOpConst2u: stack.push_back(cursor.get<u16>()); break;
        case kOpConst2s: stack.push_back(static_cast<u64>(i64{cursor.get<i16>()})); break;
        case kOpConst4u: stack.push_back(cursor.get<u32>()); break;
        case kOpConst4s: stack.push_back(static_cast<u64>(i64{cursor.get<i32>()})); break;
        case kOpConst8u:
        case kOpConst8s: stack.push_back(cursor.get<u64>()); break;
        case kOpConstu: stack.push_back(cursor.uleb()); break;
        case kOpConsts: stack.push_back(static_cast<u64>(cursor.sleb())); break;
        case kOpDup:
        case kOpOver:
        case kOpPick: {
          const u64 index = op == kOpDup ? 0 : op == kOpOver ? 1 : cursor.get<u8>();
          done = index < depth;
          if (done) stack.push_back(u64{top(index)});
          break;
        }
        case kOpDrop:
          done = need(1);
          if (done) stack.pop_back();
          break;
        case kOpSwap:
          done = need(2);
          if (done) std::swap(top(0), top(1));
          break;
        case kOpRot:
          done = need(3);
          if (done) std::rotate(stack.end() - 3, stack.end() - 1, stack.end());
          break;
        case kOpAbs:
          done = need(1);
          if (done && static_cast<i64>(top(0)) < 0) top(0) = 0 - top(0);
          break;
        case kOpNeg:
          done = need(1);
          if (done) top(0) = 0 - top(0);
          break;
        case kOpNot:
          done = need(1);
          if (done) top(0) = ~top(0);
          break;
        case kOpPlusUconst:
          done = need(1);
          if (done) top(0) += cursor.uleb();
          break;
        case kOpAnd: done = binary([](u64 a, u64 b) { return a & b; }); break;
        case kOpOr: done = binary([](u64 a, u64 b) { return a | b; }); break;
        case kOpXor: done = binary([](u64 a, u64 b) { return a ^ b; }); break;
        case kOpPlus: done = binary([](u64 a, u64 b) { return a + b; }); break;
        case kOpMinus: done = binary([](u64 a, u64 b) { return a - b; }); break;
        case kOpMul: done = binary([](u64 a, u64 b) { return a * b; }); break;
        case kOpShl: done = binary([](u64 a, u64 b) { return b < 64 ? a << b : 0; }); break;
        case kOpShr: done = binary([](u64 a, u64 b) { return b < 64 ? a >> b : 0; }); break;
        case kOpShra:
          done = binary([](u64 a, u64 b) { return static_cast<u64>(static_cast<i64>(a) >> std::min<u64>(b, 63)); });
          break;
        case kOpDiv:
          done = need(2) && top(0) != 0;
          // The one quotient that has no place in 64 bits stays what it was.
          if (done)
            binary([](u64 a, u64 b) {
              return b == ~u64{0} ? 0 - a : static_cast<u64>(static_cast<i64>(a) / static_cast<i64>(b));
            });
          break;
        case kOpMod:
          done = need(2) && top(0) != 0;
          if (done) binary([](u64 a, u64 b) { return a % b; });
          break;
        case kOpEq: done = compare([](i64 a, i64 b) { return a == b; }); break;
        case kOpNe: done = compare([](i64 a, i64 b) { return a != b; }); break;
        case kOpGe: done = compare([](i64 a, i64 b) { return a >= b; }); break;
        case kOpGt: done = compare([](i64 a, i64 b) { return a > b; }); break;
        case kOpLe: done = compare([](i64 a, i64 b) { return a <= b; }); break;
        case kOpLt: done = compare([](i64 a, i64 b) { return a < b; }); break;
        case kOpBra:
        case kOpSkip: {
          const u64 by = static_cast<u64>(i64{cursor.get<i16>()});
          bool jump = true;
          if (op == kOpBra) {
            done = need(1);
            if (!done) break;
            jump = top(0) != 0;
            stack.pop_back();
          }
          if (jump && cursor.ok()) cursor.seek(cursor.at() + by);
          break;
        }
        case kOpBregx: done = based(cursor.uleb()); break;
        case kOpNop: break;
        default: return errorf("a DWARF expression has the operation 0x%02x, which frames do not use", op);
      }
    }
    if (!done || !cursor.ok() || stack.size() > kMostStack) return damaged;
  }
  if (!cursor.ok() || stack.empty()) return damaged;
  return stack.back();
}

}  // namespace hartwood
