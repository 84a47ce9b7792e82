// SPDX-License-Identifier: Apache-2.0
// The encoder against bytes that were put together by hand from the binary format's grammar.
#include "wasm/encoder.h"

#include <gtest/gtest.h>

namespace hartwood::wasm {
namespace {

std::vector<u8> signed_leb(i64 value) {
  Bytes bytes;
  bytes.signed_leb(value);
  return bytes.take();
}
std::vector<u8> unsigned_leb(u64 value) {
  Bytes bytes;
  bytes.unsigned_leb(value);
  return bytes.take();
}

TEST(WasmEncoder, NumbersAreAsShortAsTheyCanBe) {
  EXPECT_EQ(unsigned_leb(0), (std::vector<u8>{0}));
  EXPECT_EQ(unsigned_leb(127), (std::vector<u8>{0x7f}));
  EXPECT_EQ(unsigned_leb(128), (std::vector<u8>{0x80, 1}));
  EXPECT_EQ(unsigned_leb(624485), (std::vector<u8>{0xe5, 0x8e, 0x26}));
  EXPECT_EQ(unsigned_leb(~u64{0}).size(), 10u);
  EXPECT_EQ(signed_leb(63), (std::vector<u8>{0x3f}));
  EXPECT_EQ(signed_leb(64), (std::vector<u8>{0xc0, 0}));
  EXPECT_EQ(signed_leb(-1), (std::vector<u8>{0x7f}));
  EXPECT_EQ(signed_leb(-64), (std::vector<u8>{0x40}));
  EXPECT_EQ(signed_leb(-65), (std::vector<u8>{0xbf, 0x7f}));
  EXPECT_EQ(signed_leb(INT64_MIN), (std::vector<u8>{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}));
}

TEST(WasmEncoder, WholeModule) {
  Module module;
  const u32 type = module.add_type({Type::i32, Type::i64}, {Type::i64});
  EXPECT_EQ(module.add_type({Type::i32, Type::i64}, {Type::i64}), type) << "equal types are one";
  module.import_table("e", "t");
  const u32 imported = module.import_function("e", "f", type);
  const u32 function = module.declare_function(type);
  EXPECT_EQ(imported, 0u);
  EXPECT_EQ(function, 1u);
  Code code(2);
  const u32 local = code.add_local(Type::i64);
  EXPECT_EQ(local, 2u);
  code.get(1);
  code.tee(local);
  module.set_body(function, std::move(code));
  module.export_function("x", function);
  module.add_elements(7, {function});
  EXPECT_EQ(module.finish(),
            (std::vector<u8>{0,  'a', 's', 'm',  1,    0,    0,    0,                             //
                             1,  7,   1,   0x60, 2,    0x7f, 0x7e, 1,    0x7e,                    // types
                             2,  15,  2,   1,    'e',  1,    't',  1,    0x70, 0,    0,           // imports
                             1,  'e', 1,   'f',  0,    0,                                         //
                             3,  2,   1,   0,                                                     // functions
                             7,  5,   1,   1,    'x',  0,    1,                                   // exports
                             9,  7,   1,   0,    0x41, 7,    0x0b, 1,    1,                       // elements
                             10, 10,  1,   8,    1,    1,    0x7e, 0x20, 1,    0x22, 2, 0x0b}));  // code
}

TEST(WasmEncoder, LabelsCountFromTheInnermost) {
  Code code(0);
  const u32 outer = code.open(op::kBlock);
  const u32 inner = code.open(op::kLoop);
  EXPECT_EQ(code.distance(outer), 1u);
  EXPECT_EQ(code.distance(inner), 0u);
  code.close();
  EXPECT_EQ(code.distance(outer), 0u);
  code.close();
  EXPECT_EQ(code.depth(), 0u);
}

TEST(WasmEncoder, HintsStandBeforeTheCodeAndCountTheLocals) {
  const auto module_with = [](bool hints) {
    Module module;
    module.use_branch_hints(hints);
    const u32 function = module.declare_function(module.add_type({Type::i32}, {}));
    Code code(1);
    code.add_local(Type::i64);
    code.get(0);
    code.hint(false);
    code.open(op::kIf);
    code.close();
    module.set_body(function, std::move(code));
    return module.finish();
  };
  const std::vector<u8> with = module_with(true), without = module_with(false);
  const std::string name = "metadata.code.branch_hint";
  const std::string text(with.begin(), with.end());
  const size_t at = text.find(name);
  ASSERT_NE(at, std::string::npos);
  // One function, number 0, one hint: byte 5 (three of locals, two of local.get), one byte, unlikely.
  EXPECT_EQ(text.substr(at + name.size(), 6), (std::string{1, 0, 1, 5, 1, 0}));
  EXPECT_EQ(with.size(), without.size() + name.size() + 9);
}

}  // namespace
}  // namespace hartwood::wasm
