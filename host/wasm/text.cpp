// SPDX-License-Identifier: Apache-2.0
#include "wasm/text.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "wasm/encoder.h"

namespace hartwood::wasm {
namespace {

// What engines allow [wasm-js: Implementation-defined Limits]; here it bounds the text as well.
constexpr u32 kMaxLocals = 50000, kMaxParameters = 1000;
// Deeper lines are not indented further, or the text would grow with the square of the code's size.
constexpr size_t kMaxIndent = 64;

enum class Immediate : u8 {
  unknown,  // no such opcode
  none,
  construct,
  otherwise,
  end,
  label,
  labels,
  local,
  global,
  function,
  type_and_table,
  zero,
  memory,
  i32,
  i64,
  f32,
  f64,
  v128,
  lane
};

struct Spec {
  Immediate immediate = Immediate::unknown;
  std::string name;
  u32 align = 0;  // log2 of an access's size
};

struct Named {
  u32 opcode;
  Immediate immediate;
  const char* name;
  u32 align = 0;
};

constexpr Named kControl[] = {
    {op::kUnreachable, Immediate::none, "unreachable"},
    {0x01, Immediate::none, "nop"},
    {op::kBlock, Immediate::construct, "block"},
    {op::kLoop, Immediate::construct, "loop"},
    {op::kIf, Immediate::construct, "if"},
    {op::kElse, Immediate::otherwise, "else"},
    {op::kEnd, Immediate::end, "end"},
    {op::kBr, Immediate::label, "br"},
    {op::kBrIf, Immediate::label, "br_if"},
    {op::kBrTable, Immediate::labels, "br_table"},
    {op::kReturn, Immediate::none, "return"},
    {op::kCall, Immediate::function, "call"},
    {op::kCallIndirect, Immediate::type_and_table, "call_indirect"},
    {op::kDrop, Immediate::none, "drop"},
    {op::kSelect, Immediate::none, "select"},
    {op::kLocalGet, Immediate::local, "local.get"},
    {op::kLocalSet, Immediate::local, "local.set"},
    {op::kLocalTee, Immediate::local, "local.tee"},
    {0x23, Immediate::global, "global.get"},
    {0x24, Immediate::global, "global.set"},
    {0x3f, Immediate::zero, "memory.size"},
    {0x40, Immediate::zero, "memory.grow"},
    {op::kI32Const, Immediate::i32, "i32.const"},
    {op::kI64Const, Immediate::i64, "i64.const"},
    {0x43, Immediate::f32, "f32.const"},
    {op::kF64Const, Immediate::f64, "f64.const"},
};

constexpr Named kAccesses[] = {
    {op::kI32Load, Immediate::memory, "i32.load", 2},
    {op::kI64Load, Immediate::memory, "i64.load", 3},
    {op::kF32Load, Immediate::memory, "f32.load", 2},
    {op::kF64Load, Immediate::memory, "f64.load", 3},
    {0x2c, Immediate::memory, "i32.load8_s", 0},
    {op::kI32Load8U, Immediate::memory, "i32.load8_u", 0},
    {0x2e, Immediate::memory, "i32.load16_s", 1},
    {0x2f, Immediate::memory, "i32.load16_u", 1},
    {op::kI64Load8S, Immediate::memory, "i64.load8_s", 0},
    {op::kI64Load8U, Immediate::memory, "i64.load8_u", 0},
    {op::kI64Load16S, Immediate::memory, "i64.load16_s", 1},
    {op::kI64Load16U, Immediate::memory, "i64.load16_u", 1},
    {op::kI64Load32S, Immediate::memory, "i64.load32_s", 2},
    {op::kI64Load32U, Immediate::memory, "i64.load32_u", 2},
    {op::kI32Store, Immediate::memory, "i32.store", 2},
    {op::kI64Store, Immediate::memory, "i64.store", 3},
    {op::kF32Store, Immediate::memory, "f32.store", 2},
    {op::kF64Store, Immediate::memory, "f64.store", 3},
    {op::kI32Store8, Immediate::memory, "i32.store8", 0},
    {0x3b, Immediate::memory, "i32.store16", 1},
    {op::kI64Store8, Immediate::memory, "i64.store8", 0},
    {op::kI64Store16, Immediate::memory, "i64.store16", 1},
    {op::kI64Store32, Immediate::memory, "i64.store32", 2},
};

// Opcodes without immediates that follow each other.
struct Run {
  u32 first;
  const char* prefix;
  const char* names;  // separated by spaces
};
constexpr const char* kIntegerCompare = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
constexpr const char* kFloatCompare = "eq ne lt gt le ge";
constexpr const char* kInteger =
    "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
constexpr const char* kFloat = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
constexpr Run kPlain[] = {
    {0x45, "i32.", kIntegerCompare},
    {0x50, "i64.", kIntegerCompare},
    {0x5b, "f32.", kFloatCompare},
    {0x61, "f64.", kFloatCompare},
    {0x67, "i32.", kInteger},
    {0x79, "i64.", kInteger},
    {0x8b, "f32.", kFloat},
    {0x99, "f64.", kFloat},
    {0xa7, "i32.", "wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u"},
    {0xac, "i64.", "extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u"},
    {0xb2, "f32.", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64"},
    {0xb7, "f64.", "convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32"},
    {0xbc, "i32.", "reinterpret_f32"},
    {0xbd, "i64.", "reinterpret_f64"},
    {0xbe, "f32.", "reinterpret_i32"},
    {0xbf, "f64.", "reinterpret_i64"},
    {0xc0, "i32.", "extend8_s extend16_s"},
    {0xc2, "i64.", "extend8_s extend16_s extend32_s"},
};
constexpr Run kMisc[] = {
    {0, "i32.trunc_sat_", "f32_s f32_u f64_s f64_u"},
    {4, "i64.trunc_sat_", "f32_s f32_u f64_s f64_u"},
};
constexpr Run kSimdPlain[] = {
    {0x0f, "", "i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat"},
    {0x4d, "v128.", "not and andnot or xor bitselect"},
    {0xe0, "f32x4.", "abs neg"},
    {0xe3, "f32x4.", "sqrt add sub mul div min max"},
    {0xec, "f64x2.", "abs neg"},
    {0xef, "f64x2.", "sqrt add sub mul div min max"},
    {0x105, "f32x4.", "relaxed_madd relaxed_nmadd"},
    {0x107, "f64x2.", "relaxed_madd relaxed_nmadd"},
};
constexpr Named kSimd[] = {
    {0x00, Immediate::memory, "v128.load", 4},     {0x0b, Immediate::memory, "v128.store", 4},
    {0x0c, Immediate::v128, "v128.const"},         {0x1b, Immediate::lane, "i32x4.extract_lane"},
    {0x1c, Immediate::lane, "i32x4.replace_lane"}, {0x1d, Immediate::lane, "i64x2.extract_lane"},
    {0x1e, Immediate::lane, "i64x2.replace_lane"}, {0x1f, Immediate::lane, "f32x4.extract_lane"},
    {0x20, Immediate::lane, "f32x4.replace_lane"}, {op::kF64x2ExtractLane, Immediate::lane, "f64x2.extract_lane"},
    {0x22, Immediate::lane, "f64x2.replace_lane"},
};
constexpr Named kAtomic[] = {
    {0x00, Immediate::memory, "memory.atomic.notify", 2},
    {0x01, Immediate::memory, "memory.atomic.wait32", 2},
    {0x02, Immediate::memory, "memory.atomic.wait64", 3},
    {op::kAtomicFence, Immediate::zero, "atomic.fence"},
};

Spec look_up(std::span<const Named> table, u32 opcode) {
  for (const Named& each : table) {
    if (each.opcode == opcode) return {each.immediate, each.name, each.align};
  }
  return {};
}
Spec look_up(std::span<const Run> table, u32 opcode) {
  for (const Run& run : table) {
    if (opcode < run.first) continue;
    u32 at = run.first;
    for (const char* name = run.names;; at++) {
      const size_t length = std::strcspn(name, " ");
      if (at == opcode) return {Immediate::none, run.prefix + std::string(name, length)};
      if (name[length] == 0) break;
      name += length + 1;
    }
  }
  return {};
}
// Loads, stores and each read-modify-write have seven forms, by type and width.
Spec atomic_access(u32 opcode) {
  constexpr u32 kFirst = op::kI32AtomicLoad, kForms = 7;
  constexpr const char* kTypes[kForms] = {"i32", "i64", "i32", "i32", "i64", "i64", "i64"};
  constexpr const char* kWidths[kForms] = {"", "", "8", "16", "8", "16", "32"};
  constexpr u32 kAligns[kForms] = {2, 3, 0, 1, 0, 1, 2};
  constexpr const char* kKinds[] = {"load", "store", "add", "sub", "and", "or", "xor", "xchg", "cmpxchg"};
  if (opcode < kFirst || opcode >= kFirst + kForms * std::size(kKinds)) return {};
  const u32 kind = (opcode - kFirst) / kForms, form = (opcode - kFirst) % kForms;
  const bool narrow = kWidths[form][0] != 0;
  std::string name = format("%s.atomic.", kTypes[form]);
  if (kind < 2)
    name += format("%s%s%s", kKinds[kind], kWidths[form], narrow && kind == 0 ? "_u" : "");
  else
    name += format("rmw%s.%s%s", kWidths[form], kKinds[kind], narrow ? "_u" : "");
  return {Immediate::memory, std::move(name), kAligns[form]};
}
Spec first_of(Spec a, Spec b) { return a.immediate != Immediate::unknown ? std::move(a) : std::move(b); }

Spec spec_of(u8 prefix, u32 opcode) {
  switch (prefix) {
    case 0: return first_of(first_of(look_up(kControl, opcode), look_up(kAccesses, opcode)), look_up(kPlain, opcode));
    case op::kMiscPrefix: return look_up(kMisc, opcode);
    case op::kSimdPrefix: return first_of(look_up(kSimd, opcode), look_up(kSimdPlain, opcode));
    default: return first_of(look_up(kAtomic, opcode), atomic_access(opcode));
  }
}

const char* type_name(u8 type) {
  switch (type) {
    case 0x7f: return "i32";
    case 0x7e: return "i64";
    case 0x7d: return "f32";
    case 0x7c: return "f64";
    case 0x7b: return "v128";
    default: return nullptr;
  }
}

// Reads items from a part of the module. The first error stays, and from then on everything is zero and the part is at
// its end, so that loops end.
class Reader {
 public:
  Reader(std::span<const u8> all, size_t at, size_t end, std::string& error)
      : all_(all), at_(at), end_(end), error_(error) {}

  bool ok() const { return error_.empty(); }
  bool at_end() const { return !ok() || at_ == end_; }
  size_t at() const { return at_; }
  size_t left() const { return end_ - at_; }
  void fail(const char* what) { fail(at_, what); }
  void fail(size_t at, const char* what) {
    if (ok()) error_ = format("byte %zu: %s", at, what);
  }

  u8 byte() {
    if (at_end()) {
      fail("ends too early");
      return 0;
    }
    return all_[at_++];
  }
  u32 number() { return static_cast<u32>(leb(32, false)); }
  i64 signed_number(unsigned bits) { return static_cast<i64>(leb(bits, true)); }
  u64 little(unsigned bytes) {
    u64 value = 0;
    for (unsigned i = 0; i < bytes; i++) value |= u64{byte()} << (8 * i);
    return value;
  }
  // In quotation marks; what is not plain ASCII as \xx.
  std::string name() {
    std::string text;
    Reader part = sub();
    while (!part.at_end()) text += static_cast<char>(part.byte());
    return text;
  }
  // A length and as many bytes, which the caller reads.
  Reader sub() {
    const size_t start = at_;
    size_t length = number();
    if (length > left()) {
      fail(start, "is longer than what it is in");
      length = 0;
    }
    at_ += length;
    return {all_, at_ - length, at_, error_};
  }
  void expect_end(const char* what) {
    if (ok() && at_ != end_) fail(what);
  }

 private:
  // [wasm: Values, Integers]: no longer than the type needs, and nothing but the sign in the bits that are too many.
  u64 leb(unsigned bits, bool is_signed) {
    u64 value = 0;
    const size_t start = at_;
    for (unsigned shift = 0;; shift += 7) {
      const u8 part = byte();
      if (!ok()) return 0;
      value |= u64{part & 0x7fu} << shift;
      const unsigned left = bits - shift;
      if (left < 7) {
        const u32 over = (part & 0x7fu) >> (is_signed ? left - 1 : left);
        const bool fits = over == 0 || (is_signed && over == 0x7fu >> (left - 1));
        if (!fits || (part & 0x80)) {
          fail(start, "a number that is too large");
          return 0;
        }
      }
      if (part & 0x80) continue;
      if (is_signed && (part & 0x40) && shift + 7 < 64) value |= ~u64{0} << (shift + 7);
      return value;
    }
  }

  std::span<const u8> all_;
  size_t at_, end_;
  std::string& error_;
};

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) {
    const u8 byte = static_cast<u8>(c);
    if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\')
      text += format("\\%02x", byte);
    else
      text += c;
  }
  return text + '"';
}

// Masks and addresses read better in hexadecimal.
std::string integer(i64 value, unsigned bits) {
  constexpr i64 kSmall = 65536;
  if (value > -kSmall && value < kSmall) return format("%lld", static_cast<long long>(value));
  u64 shown = static_cast<u64>(value);
  if (bits == 32) shown &= 0xffff'ffff;
  return format("0x%llx", static_cast<unsigned long long>(shown));
}

// All of the value, a NaN's bits as well.
std::string floating(double value, u64 payload) {
  if (std::isnan(value))
    return format("%snan:0x%llx", std::signbit(value) ? "-" : "", static_cast<unsigned long long>(payload));
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return format("%a", value);
}

class Printer {
 public:
  Printer(std::span<const u8> module, const TextOptions& options) : module_(module), options_(options) {}

  Result<std::string> run() {
    Reader in(module_, 0, module_.size(), error_);
    if (in.little(8) != 0x0000'0001'6d73'6100) in.fail(0, "not a module of version 1");
    u32 last = 0;
    while (!in.at_end()) {
      const size_t start = in.at();
      const u8 id = in.byte();
      Reader part = in.sub();
      if (!in.ok()) break;
      if (id != 0 && id <= last) in.fail(start, "a section at the wrong place");
      if (id != 0) last = id;
      switch (id) {
        case 0: custom(part); break;
        case 1: types(part); break;
        case 2: imports(part); break;
        case 3: functions(part); break;
        case 7: exports(part); break;
        case 9: elements(part); break;
        case 10: code(part); break;
        default: in.fail(start, "a section of an unknown kind"); break;
      }
      part.expect_end("a section is longer than its contents");
    }
    if (in.ok() && bodies_ != functions_.size() - imported_) in.fail("functions without code");
    if (in.ok() && !hints_.empty()) in.fail("hints for a function that is not there");
    if (in.ok() && options_.function && !found_) in.fail("no such function");
    if (!error_.empty()) return Error{error_};
    return std::move(text_);
  }

 private:
  struct Hint {
    u32 at;
    bool likely;
  };

  void line(size_t depth, const std::string& text) {
    text_.append(2 * std::min(depth, kMaxIndent), ' ');
    text_ += text;
    text_ += '\n';
  }
  // Of the module's other parts.
  void outside(const std::string& text) {
    if (!options_.function) line(0, text);
  }
  std::string immediate(std::string_view instruction, u64 value, std::string number) const {
    if (options_.immediate) {
      std::string text = options_.immediate(instruction, value);
      if (!text.empty()) return text;
    }
    return number;
  }

  const char* value_type(Reader& in) {
    const char* name = type_name(in.byte());
    if (name == nullptr) in.fail("not a type of values");
    return name == nullptr ? "?" : name;
  }
  std::string type_list(Reader& in, u32& count) {
    std::string text;
    const u32 all = count = in.number();
    if (all > kMaxParameters) in.fail("too many parameters or results");
    for (u32 i = 0; i < all && in.ok(); i++) text += format("%s%s", i == 0 ? "" : " ", value_type(in));
    return text;
  }
  void types(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      if (in.byte() != 0x60) in.fail("not a function's type");
      Signature type;
      const std::string parameters = type_list(in, type.parameters);
      u32 results = 0;
      const std::string result = type_list(in, results);
      type.text = "(" + parameters + ")";
      if (results != 0) type.text += " -> " + result;
      outside(format("type %u %s", i, type.text.c_str()));
      types_.push_back(std::move(type));
    }
  }
  u32 type_index(Reader& in) {
    const u32 index = in.number();
    if (index < types_.size()) return index;
    in.fail("no such type");
    return 0;
  }
  std::string limits(Reader& in) {
    const u8 flags = in.byte();
    if (flags > 3) in.fail("unknown limits");
    std::string text = format("%u..", in.number());
    if (flags & 1) text += format("%u", in.number());
    if (flags & 2) text += " shared";
    return text;
  }
  void imports(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      const std::string module = quoted(in.name()), name = quoted(in.name());
      std::string what;
      switch (in.byte()) {
        case 0: {
          const u32 type = type_index(in);
          if (!in.ok()) break;
          what =
              format("func %zu %s %s %s", functions_.size(), module.c_str(), name.c_str(), types_[type].text.c_str());
          functions_.push_back(type);
          imported_++;
          break;
        }
        case 1:
          if (in.byte() != 0x70) in.fail("a table of something else than functions");
          what = format("table %s %s %s", module.c_str(), name.c_str(), limits(in).c_str());
          break;
        case 2: what = format("memory %s %s %s", module.c_str(), name.c_str(), limits(in).c_str()); break;
        default: in.fail("an import of an unknown kind"); break;
      }
      outside("import " + what);
    }
  }
  void functions(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) functions_.push_back(type_index(in));
  }
  u32 function_index(Reader& in) {
    const u32 index = in.number();
    if (index >= functions_.size()) in.fail("no such function");
    return index;
  }
  void exports(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      const std::string name = quoted(in.name());
      if (in.byte() != 0) in.fail("an export of an unknown kind");
      outside(format("export func %u %s", function_index(in), name.c_str()));
    }
  }
  void elements(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      if (in.number() != 0) in.fail("elements of an unknown kind");
      if (in.byte() != op::kI32Const) in.fail("the place of elements is no constant");
      std::string text = format("elements %lld:", static_cast<long long>(in.signed_number(32)));
      if (in.byte() != op::kEnd) in.fail("the place of elements is no constant");
      const u32 members = in.number();
      for (u32 k = 0; k < members && in.ok(); k++) text += format(" %u", function_index(in));
      outside(text);
    }
  }

  void custom(Reader& in) {
    const std::string name = in.name();
    if (name == "metadata.code.branch_hint") {
      branch_hints(in);
      return;
    }
    outside(format("custom %s %zu bytes", quoted(name).c_str(), in.left()));
    while (!in.at_end()) in.byte();
  }
  // An engine would ignore what is wrong here; for us it is a bug all the same.
  void branch_hints(Reader& in) {
    if (bodies_ != 0 || !hints_.empty()) in.fail("hints behind the code, or twice");
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      const u32 function = function_index(in);
      if (in.ok() && (function < imported_ || (!hints_.empty() && hints_.rbegin()->first >= function)))
        in.fail("hints for an import, or out of order");
      const u32 hints = in.number();
      std::vector<Hint>& all = hints_[function];
      for (u32 k = 0; k < hints && in.ok(); k++) {
        const u32 at = in.number();
        if (!all.empty() && all.back().at >= at) in.fail("hints out of order");
        if (in.number() != 1) in.fail("a hint of another size");
        const u8 likely = in.byte();
        if (likely > 1) in.fail("an unknown hint");
        all.push_back({at, likely == 1});
      }
    }
  }

  void code(Reader& in) {
    const u32 count = in.number();
    for (u32 i = 0; i < count && in.ok(); i++) {
      const size_t number = size_t{imported_} + i;
      if (number >= functions_.size()) {
        in.fail("code without a function");
        return;
      }
      Reader part = in.sub();
      function(part, static_cast<u32>(number));
      bodies_++;
    }
  }

  void function(Reader& in, u32 number) {
    const bool wanted = !options_.function || options_.function == number;
    found_ |= wanted;
    const size_t before = text_.size();
    const Signature& type = types_[functions_[number]];
    line(0, format("func %u %s", number, type.text.c_str()));
    std::vector<Hint> hints;
    if (const auto at = hints_.find(number); at != hints_.end()) {
      hints = std::move(at->second);
      hints_.erase(at);
    }
    const size_t start = in.at();
    u32 locals = type.parameters;
    const u32 runs = in.number();
    for (u32 i = 0; i < runs && in.ok(); i++) {
      const u32 count = in.number();
      if (locals > kMaxLocals || count > kMaxLocals - locals) in.fail("too many locals");
      const char* of = value_type(in);
      if (in.ok()) declare(of, locals, count);
      locals += in.ok() ? count : 0;
    }
    body(in, start, locals, hints);
    if (!wanted) text_.resize(before);
  }
  // Those without a name as ranges.
  void declare(const char* type, u32 first, u32 count) {
    std::string text = format("local %s", type);
    for (u32 i = 0; i < count;) {
      const std::string name = immediate("local", first + i, {});
      if (!name.empty()) {
        text += ' ' + name;
        i++;
        continue;
      }
      u32 end = i + 1;
      while (end < count && immediate("local", first + end, {}).empty()) end++;
      text += format(" %u", first + i);
      if (end - i > 1) text += format("..%u", first + end - 1);
      i = end;
    }
    line(1, text);
  }

  struct Construct {
    u8 opcode;
    bool otherwise = false;
  };
  static std::string label_at(Reader& in, const std::vector<Construct>& open) {
    const u32 distance = in.number();
    if (distance >= open.size()) {
      in.fail("no such label");
      return {};
    }
    return format("$%zu", open.size() - 1 - distance);
  }

  void body(Reader& in, size_t start, u32 locals, const std::vector<Hint>& hints) {
    std::vector<Construct> open = {{op::kBlock}};
    size_t hint = 0;
    while (!in.at_end()) {
      const size_t at = in.at();
      const u8 first = in.byte();
      const bool prefixed = first == op::kMiscPrefix || first == op::kSimdPrefix || first == op::kAtomicPrefix;
      const Spec spec = prefixed ? spec_of(first, in.number()) : spec_of(0, first);
      std::string text = spec.name;
      size_t depth = open.size();
      switch (spec.immediate) {
        case Immediate::unknown: in.fail(at, "an unknown instruction"); break;
        case Immediate::none: break;
        case Immediate::construct:
          text += format(" $%zu", open.size()) + block_type(in);
          open.push_back({first});
          break;
        case Immediate::otherwise:
          if (open.back().opcode != op::kIf || open.back().otherwise) in.fail(at, "an else without an if");
          open.back().otherwise = true;
          depth--;
          break;
        case Immediate::end:
          open.pop_back();
          if (open.empty()) in.expect_end("code behind a function's end");
          break;
        case Immediate::label: text += ' ' + label_at(in, open); break;
        case Immediate::labels: text += labels(in, open); break;
        case Immediate::local: {
          const u32 local = in.number();
          if (local >= locals) in.fail(at, "no such local");
          text += ' ' + immediate(spec.name, local, format("%u", local));
          break;
        }
        case Immediate::global: text += format(" %u", in.number()); break;
        case Immediate::function: {
          const u32 callee = function_index(in);
          text += ' ' + immediate(spec.name, callee, format("%u", callee));
          break;
        }
        case Immediate::type_and_table: {
          const u32 type = type_index(in);
          if (in.number() != 0) in.fail("no such table");
          text += format(" type %u", type);
          break;
        }
        case Immediate::zero:
          if (in.byte() != 0) in.fail("not the zero that belongs there");
          break;
        case Immediate::memory: text += access(in, at, spec); break;
        case Immediate::i32: text += constant(in, spec.name, 32); break;
        case Immediate::i64: text += constant(in, spec.name, 64); break;
        case Immediate::f32: {
          const u32 bits = static_cast<u32>(in.little(4));
          text += ' ' + floating(std::bit_cast<float>(bits), bits & 0x7f'ffff);
          break;
        }
        case Immediate::f64: {
          const u64 bits = in.little(8);
          text += ' ' + floating(std::bit_cast<double>(bits), bits & 0xf'ffff'ffff'ffff);
          break;
        }
        case Immediate::v128: {
          const u64 low = in.little(8), high = in.little(8);
          text += format(" i64x2 0x%llx 0x%llx", static_cast<unsigned long long>(low),
                         static_cast<unsigned long long>(high));
          break;
        }
        case Immediate::lane: text += format(" %u", in.byte()); break;
      }
      if (!in.ok()) return;
      if (hint < hints.size() && u64{start} + hints[hint].at <= at) {
        if (u64{start} + hints[hint].at != at || (first != op::kIf && first != op::kBrIf)) {
          in.fail(at, "a hint that belongs to no branch");
          return;
        }
        text += hints[hint++].likely ? " ;; likely" : " ;; unlikely";
      }
      if (spec.immediate != Immediate::end) line(depth, text);
      if (open.empty()) break;
    }
    if (in.ok() && !open.empty()) in.fail("a function that does not end");
    if (in.ok() && hint != hints.size()) in.fail("a hint behind the code");
  }
  std::string block_type(Reader& in) {
    const i64 type = in.signed_number(33);
    if (type == -64) return {};
    if (type < 0) {
      const char* name = type >= -128 ? type_name(static_cast<u8>(type & 0x7f)) : nullptr;
      if (name != nullptr) return format(" -> %s", name);
    } else if (static_cast<u64>(type) < types_.size()) {
      return format(" type %u", static_cast<u32>(type));
    }
    in.fail("no such type");
    return {};
  }
  // Equal neighbours once, with their number.
  static std::string labels(Reader& in, const std::vector<Construct>& open) {
    const u32 count = in.number();
    std::string text, last;
    u32 same = 0;
    const auto flush = [&] {
      if (same != 0) text += ' ' + last;
      if (same > 1) text += format("*%u", same);
      same = 0;
    };
    for (u32 i = 0; i < count && in.ok(); i++) {
      std::string label = label_at(in, open);
      if (label != last) flush();
      last = std::move(label);
      same++;
    }
    flush();
    return text + " else " + label_at(in, open);
  }
  std::string access(Reader& in, size_t at, const Spec& spec) {
    const u32 align = in.number();
    const u32 offset = in.number();
    if (align > spec.align) in.fail(at, "alignment beyond the access's size");
    std::string text;
    if (const std::string name = immediate(spec.name, offset, {}); !name.empty())
      text += " offset=" + name;
    else if (offset != 0)
      text += " offset=" + integer(offset, 32);
    if (align != spec.align) text += format(" align=%u", 1u << (align & 31));
    return text;
  }
  std::string constant(Reader& in, const std::string& instruction, unsigned bits) {
    const i64 value = in.signed_number(bits);
    return ' ' + immediate(instruction, static_cast<u64>(value), integer(value, bits));
  }

  struct Signature {
    std::string text;
    u32 parameters = 0;
  };
  std::span<const u8> module_;
  const TextOptions& options_;
  std::string text_, error_;
  std::vector<Signature> types_;
  std::vector<u32> functions_;  // their types
  u32 imported_ = 0;
  size_t bodies_ = 0;
  std::map<u32, std::vector<Hint>> hints_;  // of functions whose code did not come yet
  bool found_ = false;
};

}  // namespace

Result<std::string> to_text(std::span<const u8> module, const TextOptions& options) {
  return Printer(module, options).run();
}

}  // namespace hartwood::wasm
