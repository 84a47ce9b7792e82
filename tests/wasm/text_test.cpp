// SPDX-License-Identifier: Apache-2.0
// Modules as text: what the encoder writes is read back, and what no encoder writes is an error and nothing worse.
#include "wasm/text.h"

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <memory>
#include <regex>

#include "wasm/encoder.h"

namespace hartwood::wasm {
namespace {

// From a block of exactly that size, so that a sanitizer sees reads behind it.
Result<std::string> text_of(const std::vector<u8>& bytes, const TextOptions& options = {}) {
  const std::unique_ptr<u8[]> exact(new u8[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), exact.get());
  return to_text({exact.get(), bytes.size()}, options);
}

// Something of each section and of each kind of immediate.
std::vector<u8> rich_module() {
  Module module;
  const u32 type = module.add_type({Type::i32, Type::i64}, {Type::i64});
  const u32 none = module.add_type({}, {});
  module.import_memory("env", "memory", 1, 65536, true);
  module.import_table("env", "table");
  const u32 imported = module.import_function("core", "f \"\n", type);
  const u32 first = module.declare_function(type), second = module.declare_function(none);
  Code code(2);
  code.add_local(Type::i64);
  code.add_local(Type::i64);
  const u32 f = code.add_local(Type::f64);
  const u32 outer = code.open(op::kBlock);
  const u32 loop = code.open(op::kLoop);
  code.get(0);
  code.memory(op::kI64Load, 3, 24);
  code.tee(2);
  code.op(op::kI64Eqz);
  code.hint(false);
  code.br_if(outer);
  code.get(0);
  code.hint(true);
  code.open(op::kIf, static_cast<u8>(Type::i64));
  code.i64(-1);
  code.otherwise();
  code.i64(i64{-4096} << 20);
  code.close();
  code.set(3);
  code.get(0);
  code.index(op::kBrTable, 5);
  for (const u32 label : {loop, loop, loop, outer, loop, outer}) code.leb(code.distance(label));
  code.close();
  code.close();
  code.f64(0.75);
  code.set(f);
  code.get(f);
  code.prefixed(op::kSimdPrefix, op::kF64x2Splat);
  for (int i = 0; i < 2; i++) {
    code.get(f);
    code.prefixed(op::kSimdPrefix, op::kF64x2Splat);
  }
  code.prefixed(op::kSimdPrefix, op::kF64x2RelaxedMadd);
  code.prefixed(op::kSimdPrefix, op::kF64x2ExtractLane);
  code.op(0);
  code.prefixed(op::kMiscPrefix, op::kI64TruncSatF64S);
  code.op(op::kDrop);
  code.get(0);
  code.i32(100000);
  code.atomic(op::kI32AtomicRmwCmpxchg, 2, 8);
  code.op(op::kDrop);
  code.prefixed(op::kAtomicPrefix, op::kAtomicFence);
  code.op(0);
  code.get(0);
  code.get(1);
  code.memory(op::kI64Store, 0, 0);
  code.get(0);
  code.get(1);
  code.index(op::kCall, imported);
  code.op(op::kDrop);
  code.get(0);
  code.get(1);
  code.get(0);
  code.index(op::kCallIndirect, type);
  code.leb(0);
  module.set_body(first, std::move(code));
  module.set_body(second, Code(0));
  module.export_function("x", first);
  module.add_elements(1024, {first, second});
  return module.finish();
}

TEST(WasmText, WholeModule) {
  const Result<std::string> text = text_of(rich_module());
  ASSERT_TRUE(text.ok()) << text.message();
  EXPECT_EQ(*text,
            "type 0 (i32 i64) -> i64\n"
            "type 1 ()\n"
            "import memory \"env\" \"memory\" 1..65536 shared\n"
            "import table \"env\" \"table\" 0..\n"
            "import func 0 \"core\" \"f \\22\\0a\" (i32 i64) -> i64\n"
            "export func 1 \"x\"\n"
            "elements 1024: 1 2\n"
            "func 1 (i32 i64) -> i64\n"
            "  local i64 2..3\n"
            "  local f64 4\n"
            "  block $1\n"
            "    loop $2\n"
            "      local.get 0\n"
            "      i64.load offset=24\n"
            "      local.tee 2\n"
            "      i64.eqz\n"
            "      br_if $1 ;; unlikely\n"
            "      local.get 0\n"
            "      if $3 -> i64 ;; likely\n"
            "        i64.const -1\n"
            "      else\n"
            "        i64.const 0xffffffff00000000\n"
            "      local.set 3\n"
            "      local.get 0\n"
            "      br_table $2*3 $1 $2 else $1\n"
            "  f64.const 0x1.8p-1\n"
            "  local.set 4\n"
            "  local.get 4\n"
            "  f64x2.splat\n"
            "  local.get 4\n"
            "  f64x2.splat\n"
            "  local.get 4\n"
            "  f64x2.splat\n"
            "  f64x2.relaxed_madd\n"
            "  f64x2.extract_lane 0\n"
            "  i64.trunc_sat_f64_s\n"
            "  drop\n"
            "  local.get 0\n"
            "  i32.const 0x186a0\n"
            "  i32.atomic.rmw.cmpxchg offset=8\n"
            "  drop\n"
            "  atomic.fence\n"
            "  local.get 0\n"
            "  local.get 1\n"
            "  i64.store align=1\n"
            "  local.get 0\n"
            "  local.get 1\n"
            "  call 0\n"
            "  drop\n"
            "  local.get 0\n"
            "  local.get 1\n"
            "  local.get 0\n"
            "  call_indirect type 0\n"
            "func 2 ()\n");
}

TEST(WasmText, OneFunctionAndNamesForImmediates) {
  const std::vector<u8> module = rich_module();
  const Result<std::string> second = text_of(module, {.function = 2});
  ASSERT_TRUE(second.ok()) << second.message();
  EXPECT_EQ(*second, "func 2 ()\n");
  EXPECT_FALSE(text_of(module, {.function = 0}).ok()) << "an import has no code";
  EXPECT_FALSE(text_of(module, {.function = 3}).ok());

  TextOptions options{.function = 1};
  options.immediate = [](std::string_view instruction, u64 value) -> std::string {
    if (instruction.substr(0, 5) == "local") return value == 3 ? "x10" : "";
    if (instruction == "i64.load") return value == 24 ? "budget" : "";
    if (instruction == "call") return "execute";
    return {};
  };
  const Result<std::string> first = text_of(module, options);
  ASSERT_TRUE(first.ok()) << first.message();
  for (const char* line :
       {"\n  local i64 2 x10\n", " i64.load offset=budget\n", " local.set x10\n", " local.tee 2\n", " call execute\n"})
    EXPECT_NE(first->find(line), std::string::npos) << line << *first;
}

// Each constant of `op` in encoder.h is an instruction that the printer gives the same name.
TEST(WasmText, KnowsAllOpcodesOfTheEncoder) {
  std::ifstream file(HARTWOOD_SOURCE "/host/wasm/encoder.h");
  ASSERT_TRUE(file) << "this test reads the source tree";
  const auto plain = [](const std::string& name) {
    std::string result;
    for (const char c : name) {
      if (c != '.' && c != '_') result += static_cast<char>(std::tolower(static_cast<u8>(c)));
    }
    return result;
  };
  const std::regex pattern("  k(\\w+) = (0x[0-9a-f]+|[0-9]+),");
  bool prefixed = false;
  u32 found = 0;
  for (std::string line; std::getline(file, line) && line != "}  // namespace op";) {
    if (line == "enum : u32 {") prefixed = true;
    std::smatch match;
    if (!std::regex_match(line, match, pattern)) continue;
    const std::string name = match[1];
    const u32 opcode = static_cast<u32>(std::stoul(match[2], nullptr, 0));
    if (name.ends_with("Prefix") || name == "End") continue;
    // In a loop's `if`, so that there may be an `else`, followed by zeros, which serve as any immediate and are
    // `unreachable` where there is none. An instruction that opens something needs one `end` more.
    std::string text;
    for (u32 ends = 1; ends <= 2 && text.empty(); ends++) {
      Module module;
      const u32 function = module.declare_function(module.add_type({Type::i32}, {}));
      Code code(1);
      code.open(op::kLoop);
      code.open(op::kIf);
      if (prefixed)
        code.prefixed(name.find("TruncSat") != std::string::npos ? u8{op::kMiscPrefix}
                      : name.find("Atomic") != std::string::npos ? u8{op::kAtomicPrefix}
                                                                 : u8{op::kSimdPrefix},
                      opcode);
      else
        code.op(static_cast<u8>(opcode));
      for (int i = 0; i < 8; i++) code.op(0);
      for (u32 i = 1; i < ends; i++) code.op(op::kEnd);
      code.close();
      code.close();
      module.set_body(function, std::move(code));
      const Result<std::string> printed = text_of(module.finish(), {.function = function});
      if (printed) text = *printed;
    }
    // func, loop, if, and then it.
    std::smatch printed;
    ASSERT_TRUE(std::regex_search(text, printed, std::regex("if \\$2\n *([a-z0-9_.]+)"))) << name << "\n" << text;
    EXPECT_EQ(plain(printed[1]), plain(name));
    found++;
  }
  EXPECT_GT(found, 120u);
}

TEST(WasmText, PrefixesAreErrors) {
  const std::vector<u8> module = rich_module();
  // Without code, but complete: a header, and that with types or with types and imports.
  u32 complete = 0;
  for (size_t length = 0; length < module.size(); length++) {
    const std::vector<u8> prefix(module.begin(), module.begin() + static_cast<std::ptrdiff_t>(length));
    const Result<std::string> text = text_of(prefix);
    complete += text.ok();
    if (!text.ok()) {
      EXPECT_EQ(text.message().rfind("byte ", 0), 0u) << text.message();
    }
  }
  EXPECT_EQ(complete, 3u);
}

// Whatever a byte is changed to, the result is a text or an error.
TEST(WasmText, ChangedBytesDoNoHarm) {
  const std::vector<u8> module = rich_module();
  u32 refused = 0;
  for (size_t at = 0; at < module.size(); at++) {
    std::vector<u8> changed = module;
    std::vector<u8> values = {0, 0x7f, 0x80, 0xff};
    for (int i = 0; i < 8; i++) values.push_back(static_cast<u8>(module[at] ^ 1 << i));
    for (const u8 value : values) {
      changed[at] = value;
      const Result<std::string> text = text_of(changed);
      refused += !text.ok();
      if (text.ok()) {
        EXPECT_LT(text->size(), 20000u);
      }
    }
  }
  EXPECT_GT(refused, module.size() * 5);
}

TEST(WasmText, RandomCodeDoesNoHarm) {
  u64 state = 1;
  const auto random = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<u8>(state >> 40);
  };
  for (int round = 0; round < 20000; round++) {
    Module module;
    const u32 function = module.declare_function(module.add_type({Type::i32}, {}));
    Code code(1);
    for (int i = random() % 64; i >= 0; i--) code.op(random() % 4 == 0 ? random() % 16 : random());
    module.set_body(function, std::move(code));
    const Result<std::string> text = text_of(module.finish());
    EXPECT_TRUE(text.ok() || !text.message().empty());
  }
}

// Section by section, from bytes put together by hand.
TEST(WasmText, SaysWhatIsWrong) {
  const std::vector<u8> header = {0, 'a', 's', 'm', 1, 0, 0, 0};
  const auto wrong = [&](const std::vector<u8>& rest) {
    std::vector<u8> bytes = header;
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    const Result<std::string> text = text_of(bytes);
    return text.ok() ? std::string("nothing") : text.message();
  };
  // A module of one function without parameters, with that code.
  const auto code = [&](std::vector<u8> body) {
    std::vector<u8> rest = {1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, static_cast<u8>(body.size() + 2), 1};
    rest.push_back(static_cast<u8>(body.size()));
    rest.insert(rest.end(), body.begin(), body.end());
    return wrong(rest);
  };
  EXPECT_EQ(wrong({}), "nothing");
  EXPECT_EQ(code({0, 0x0b}), "nothing");
  EXPECT_EQ(text_of({0, 'a', 's', 'm', 2, 0, 0, 0}).message(), "byte 0: not a module of version 1");
  EXPECT_EQ(wrong({1, 2, 0}), "byte 9: is longer than what it is in");
  EXPECT_EQ(wrong({1, 2, 0, 0}), "byte 11: a section is longer than its contents");
  EXPECT_EQ(wrong({3, 1, 0, 1, 1, 0}), "byte 11: a section at the wrong place");
  EXPECT_EQ(wrong({5, 1, 0}), "byte 8: a section of an unknown kind");
  EXPECT_EQ(wrong({3, 2, 1, 0}), "byte 12: no such type");
  EXPECT_EQ(wrong({1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0}), "byte 18: functions without code");
  EXPECT_EQ(wrong({1, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "byte 10: a number that is too large");
  EXPECT_EQ(wrong({1, 5, 0xff, 0xff, 0xff, 0xff, 0x1f}), "byte 10: a number that is too large");
  EXPECT_EQ(code({0}), "byte 23: a function that does not end");
  EXPECT_EQ(code({0, 0x0b, 0x0b}), "byte 24: code behind a function's end");
  EXPECT_EQ(code({0, 0x06, 0x0b}), "byte 23: an unknown instruction");
  EXPECT_EQ(code({0, 0xfe, 0x7f, 0x0b}), "byte 23: an unknown instruction");
  EXPECT_EQ(code({0, 0x05, 0x0b}), "byte 23: an else without an if");
  EXPECT_EQ(code({0, 0x04, 0x40, 0x05, 0x05, 0x0b, 0x0b}), "byte 26: an else without an if");
  EXPECT_EQ(code({0, 0x0c, 1, 0x0b}), "byte 25: no such label");
  EXPECT_EQ(code({0, 0x20, 0, 0x0b}), "byte 23: no such local");
  EXPECT_EQ(code({0, 0x10, 1, 0x0b}), "byte 25: no such function");
  EXPECT_EQ(code({0, 0x02, 0x01, 0x0b, 0x0b}), "byte 25: no such type");
  EXPECT_EQ(code({0, 0x28, 3, 0, 0x0b}), "byte 23: alignment beyond the access's size");
  EXPECT_EQ(code({1, 0xff, 0xff, 0xff, 0x7f, 0x7f, 0x0b}), "byte 27: too many locals");
  EXPECT_EQ(code({1, 1, 0x70, 0x0b}), "byte 25: not a type of values");
  // The longest numbers that are allowed, and one bit more.
  EXPECT_EQ(code({0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x1a, 0x0b}), "nothing");
  EXPECT_EQ(code({0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x70, 0x1a, 0x0b}), "byte 24: a number that is too large");
  EXPECT_EQ(code({0, 0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x1a, 0x0b}), "nothing");
  EXPECT_EQ(code({0, 0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x1a, 0x0b}),
            "byte 24: a number that is too large");
}

TEST(WasmText, HintsMustBelongToABranch) {
  const auto hinted = [](auto emit) {
    Module module;
    const u32 function = module.declare_function(module.add_type({Type::i32}, {}));
    Code code(1);
    emit(code);
    module.set_body(function, std::move(code));
    const Result<std::string> text = text_of(module.finish());
    return text.ok() ? *text : text.message();
  };
  const std::string early = hinted([](Code& code) {
    code.hint(true);
    code.get(0);
    code.open(op::kIf);
    code.close();
  });
  EXPECT_NE(early.find("a hint that belongs to no branch"), std::string::npos) << early;
  const std::string twice = hinted([](Code& code) {
    code.get(0);
    code.hint(true);
    code.hint(false);
    code.open(op::kIf);
    code.close();
  });
  EXPECT_NE(twice.find("hints out of order"), std::string::npos) << twice;
  const std::string last = hinted([](Code& code) {
    code.get(0);
    code.op(op::kDrop);
    code.hint(true);
  });
  EXPECT_NE(last.find("a hint that belongs to no branch"), std::string::npos) << last;
}

TEST(WasmText, IndentationEndsSomewhere) {
  Module module;
  const u32 function = module.declare_function(module.add_type({}, {}));
  Code code(0);
  constexpr u32 kDeep = 20000;
  for (u32 i = 0; i < kDeep; i++) code.open(op::kBlock);
  for (u32 i = 0; i < kDeep; i++) code.close();
  module.set_body(function, std::move(code));
  const Result<std::string> text = text_of(module.finish());
  ASSERT_TRUE(text.ok()) << text.message();
  EXPECT_LT(text->size(), kDeep * 160);
  EXPECT_NE(text->find("block $20000\n"), std::string::npos);
}

}  // namespace
}  // namespace hartwood::wasm
