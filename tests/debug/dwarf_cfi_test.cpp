// SPDX-License-Identifier: Apache-2.0
// Where callers' registers are, by call frame information that the assembler made, and steps of unwinding by it.
#include "debug/dwarf_cfi.h"

#include <algorithm>
#include <map>

#include "base/bits.h"
#include "fixtures.h"

namespace hartwood {
namespace {

using test::Loaded;
using Rule = CallFrames::Rule;

CallFrames frames_of(ElfFile& file) {
  const std::optional<u32> index = file.find(".eh_frame");
  const Result<std::span<const u8>> eh = file.contents(".eh_frame"), debug = file.contents(".debug_frame");
  EXPECT_TRUE(eh.ok() && debug.ok());
  Result<CallFrames> frames = CallFrames::read(*eh, index ? file.sections()[*index].address : 0, *debug);
  EXPECT_TRUE(frames.ok()) << frames.message();
  return std::move(*frames);
}

CallFrames::Rules rules_at(const CallFrames& frames, u64 address) {
  const Result<std::optional<CallFrames::Rules>> rules = frames.rules(address);
  EXPECT_TRUE(rules.ok()) << rules.message();
  EXPECT_TRUE(rules.ok() && *rules) << address;
  return rules.ok() && *rules ? **rules : CallFrames::Rules{};
}

TEST(CallFrames, RulesFollowTheInstructions) {
  // frames.elf has the C code's in .debug_frame, and the assembler's in .eh_frame.
  for (const char* name : {"dwarf5.elf", "frames.elf", "stripped.elf", "shared.elf"}) {
    SCOPED_TRACE(name);
    Loaded file(name);
    const CallFrames frames = frames_of(file.elf);
    EXPECT_GE(frames.entries(), 6u);
    // framed() has saved its return address, and room for 160 bytes.
    const CallFrames::Rules entry = rules_at(frames, file.address("framed"));
    EXPECT_EQ(entry.cfa.kind, Rule::in_register);
    EXPECT_EQ(entry.cfa_register, 2u);
    EXPECT_EQ(entry.cfa.number, 0);
    EXPECT_EQ(entry.x[1].kind, Rule::unspecified);
    EXPECT_EQ(entry.return_register, 1u);
    EXPECT_EQ(entry.low, file.address("framed"));
    const CallFrames::Rules body = rules_at(frames, file.address("mark_framed"));
    EXPECT_EQ(body.cfa_register, 2u);
    EXPECT_GT(body.cfa.number, 160);
    EXPECT_EQ(body.x[1].kind, Rule::offset);
    EXPECT_EQ(body.x[1].number, -8);
    EXPECT_FALSE(body.signal_frame);

    const u64 by_hand = file.address("by_hand");
    const u64 mark = file.address("mark_by_hand");
    EXPECT_EQ(rules_at(frames, by_hand).cfa.number, 0);
    const CallFrames::Rules expressions = rules_at(frames, mark);
    EXPECT_EQ(expressions.cfa.kind, Rule::value_expression);
    EXPECT_EQ(expressions.x[1].kind, Rule::expression);
    EXPECT_EQ(expressions.x[8].kind, Rule::offset);
    EXPECT_EQ(expressions.x[8].number, -16);
    EXPECT_EQ(expressions.x[9].kind, Rule::value_expression);
    // Behind the way out, remembered rules hold again.
    const CallFrames::Rules restored = rules_at(frames, file.address("mark_restored"));
    EXPECT_EQ(restored.cfa.kind, Rule::value_expression);
    EXPECT_EQ(restored.x[9].kind, Rule::value_expression);
    const CallFrames::Rules leaving = rules_at(frames, file.address("mark_restored") - 2);
    EXPECT_EQ(leaving.cfa.kind, Rule::in_register);
    EXPECT_EQ(leaving.cfa.number, 0);
    EXPECT_EQ(leaving.x[1].kind, Rule::unspecified);
    EXPECT_EQ(leaving.x[9].kind, Rule::same_value);

    EXPECT_EQ(rules_at(frames, file.address("_start")).x[1].kind, Rule::undefined);
    const Result<std::optional<CallFrames::Rules>> none = frames.rules(file.address("frameless"));
    EXPECT_TRUE(none.ok() && !*none);
    EXPECT_FALSE(*frames.rules(0));
    EXPECT_FALSE(*frames.rules(~u64{0}));
  }
}

struct Memory {
  std::map<u64, u64> words;
  ReadGuest reader() {
    return [this](u64 address, unsigned bytes) -> std::optional<u64> {
      const auto found = words.find(address);
      if (found == words.end()) return std::nullopt;
      return bytes == 8 ? found->second : bits(found->second, bytes * 8 - 1, 0);
    };
  }
};

TEST(CallFrames, AStepByExpressions) {
  Loaded file("dwarf5.elf");
  const CallFrames frames = frames_of(file.elf);
  const CallFrames::Rules rules = rules_at(frames, file.address("mark_by_hand"));
  Memory memory;
  memory.words = {{0x8008, 0x1234}, {0x8000, 0x5678}};
  FrameRegisters frame;
  frame.pc = file.address("mark_by_hand");
  frame.set(8, 0x8000);
  frame.set(18, 18);
  frame.set(5, 5);
  Result<std::optional<FrameRegisters>> caller = CallFrames::unwind(rules, frame, 0, memory.reader());
  ASSERT_TRUE(caller.ok()) << caller.message();
  ASSERT_TRUE(*caller);
  EXPECT_EQ((*caller)->pc, 0x1234u);
  EXPECT_EQ((*caller)->x[2], 0x8010u) << "the stack pointer is the CFA";
  EXPECT_EQ((*caller)->x[8], 0x5678u);
  EXPECT_EQ((*caller)->x[9], 0x8001u);
  EXPECT_EQ((*caller)->x[18], 18u) << "a saved register that nobody touched";
  EXPECT_FALSE((*caller)->knows(5)) << "a callee may change it";
  EXPECT_FALSE((*caller)->knows(19));

  memory.words.erase(0x8008);
  caller = CallFrames::unwind(rules, frame, 0, memory.reader());
  EXPECT_FALSE(caller.ok()) << "the return address cannot be read";
  FrameRegisters unknown;
  unknown.pc = frame.pc;
  EXPECT_FALSE(CallFrames::unwind(rules, unknown, 0, memory.reader()).ok()) << "nobody knows x8";

  // The outermost frame says so.
  frame.set(2, 0x9000);
  caller = CallFrames::unwind(rules_at(frames, file.address("mark_start")), frame, 0, memory.reader());
  ASSERT_TRUE(caller.ok()) << caller.message();
  EXPECT_FALSE(*caller);
}

TEST(CallFrames, ALeafReturnsByItsRegister) {
  Loaded file("dwarf5.elf");
  const CallFrames frames = frames_of(file.elf);
  FrameRegisters frame;
  frame.pc = file.address("mark_outer");
  frame.set(1, 0x4444);
  frame.set(2, 0x8000);
  Memory memory;
  CallFrames::Rules rules = rules_at(frames, file.address("framed"));
  Result<std::optional<FrameRegisters>> caller = CallFrames::unwind(rules, frame, 0, memory.reader());
  ASSERT_TRUE(caller.ok() && *caller);
  EXPECT_EQ((*caller)->pc, 0x4444u);
  EXPECT_EQ((*caller)->x[2], 0x8000u);
  // The call has overwritten it for the caller itself; in an interrupted one it is what it was.
  EXPECT_FALSE((*caller)->knows(1));
  rules.signal_frame = true;
  caller = CallFrames::unwind(rules, frame, 0, memory.reader());
  ASSERT_TRUE(caller.ok() && *caller);
  EXPECT_TRUE((*caller)->knows(1));
}

TEST(DwarfExpression, EveryOperation) {
  FrameRegisters frame;
  frame.set(10, 100);
  Memory memory;
  memory.words = {{0x100, 0x1122'3344'5566'7788}};
  const auto value = [&](std::vector<u8> code) {
    const Result<u64> result = evaluate_dwarf(code, std::nullopt, frame, 0x1000, memory.reader());
    EXPECT_TRUE(result.ok()) << result.message() << " at the code " << unsigned(code.back());
    return result.ok() ? *result : 0xdead;
  };
  EXPECT_EQ(value({0x30}), 0u);
  EXPECT_EQ(value({0x4f}), 31u);
  EXPECT_EQ(value({0x03, 1, 2, 0, 0, 0, 0, 0, 0}), 0x1201u) << "an address, with the bias";
  EXPECT_EQ(value({0x08, 0xff}), 0xffu);
  EXPECT_EQ(value({0x09, 0xff}), ~u64{0});
  EXPECT_EQ(value({0x0a, 0xff, 0xff}), 0xffffu);
  EXPECT_EQ(value({0x0b, 0xff, 0xff}), ~u64{0});
  EXPECT_EQ(value({0x0c, 0xff, 0xff, 0xff, 0xff}), 0xffff'ffffu);
  EXPECT_EQ(value({0x0d, 0xff, 0xff, 0xff, 0xff}), ~u64{0});
  EXPECT_EQ(value({0x0e, 1, 0, 0, 0, 0, 0, 0, 0x80}), 0x8000'0000'0000'0001u);
  EXPECT_EQ(value({0x10, 0xe5, 0x8e, 0x26}), 624485u);
  EXPECT_EQ(value({0x11, 0x7f}), ~u64{0});
  EXPECT_EQ(value({0x0a, 0, 1, 0x06}), 0x1122'3344'5566'7788u);
  EXPECT_EQ(value({0x0a, 0, 1, 0x94, 2}), 0x7788u);
  EXPECT_EQ(value({0x33, 0x34, 0x12, 0x22, 0x22}), 11u) << "dup";
  EXPECT_EQ(value({0x33, 0x34, 0x13}), 3u) << "drop";
  EXPECT_EQ(value({0x33, 0x34, 0x14}), 3u) << "over";
  EXPECT_EQ(value({0x33, 0x34, 0x35, 0x15, 2}), 3u) << "pick";
  EXPECT_EQ(value({0x33, 0x34, 0x16}), 3u) << "swap";
  EXPECT_EQ(value({0x33, 0x34, 0x35, 0x17}), 4u) << "rot";
  EXPECT_EQ(value({0x33, 0x34, 0x35, 0x17, 0x13, 0x13}), 5u) << "rot puts the top below the next two";
  EXPECT_EQ(value({0x09, 0xfd, 0x19}), 3u);
  EXPECT_EQ(value({0x3c, 0x36, 0x1a}), 4u);
  EXPECT_EQ(value({0x09, 0xf9, 0x32, 0x1b}), static_cast<u64>(-3)) << "a signed quotient";
  EXPECT_EQ(value({0x0e, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09, 0xff, 0x1b}), u64{1} << 63);
  EXPECT_EQ(value({0x33, 0x35, 0x1c}), static_cast<u64>(-2));
  EXPECT_EQ(value({0x3b, 0x34, 0x1d}), 3u);
  EXPECT_EQ(value({0x33, 0x35, 0x1e}), 15u);
  EXPECT_EQ(value({0x33, 0x1f}), static_cast<u64>(-3));
  EXPECT_EQ(value({0x33, 0x20}), ~u64{3});
  EXPECT_EQ(value({0x33, 0x34, 0x21}), 7u);
  EXPECT_EQ(value({0x33, 0x34, 0x22}), 7u);
  EXPECT_EQ(value({0x33, 0x23, 0x80, 1}), 131u);
  EXPECT_EQ(value({0x33, 0x34, 0x24}), 48u);
  EXPECT_EQ(value({0x31, 0x08, 64, 0x24}), 0u);
  EXPECT_EQ(value({0x08, 48, 0x34, 0x25}), 3u);
  EXPECT_EQ(value({0x09, 0x80, 0x34, 0x26}), static_cast<u64>(-8));
  EXPECT_EQ(value({0x09, 0x80, 0x08, 99, 0x26}), ~u64{0});
  EXPECT_EQ(value({0x33, 0x36, 0x27}), 5u);
  const u8 comparisons[] = {0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e};  // eq ge gt le lt ne
  const u64 less[] = {0, 0, 0, 1, 1, 1}, equal[] = {1, 1, 0, 1, 0, 0}, more[] = {0, 1, 1, 0, 0, 1};
  for (size_t i = 0; i < 6; i++) {
    EXPECT_EQ(value({0x09, 0xff, 0x31, comparisons[i]}), less[i]) << i;
    EXPECT_EQ(value({0x33, 0x33, comparisons[i]}), equal[i]) << i;
    EXPECT_EQ(value({0x31, 0x09, 0xff, comparisons[i]}), more[i]) << i;
  }
  EXPECT_EQ(value({0x33, 0x31, 0x28, 1, 0, 0x32}), 3u) << "bra";
  EXPECT_EQ(value({0x33, 0x30, 0x28, 1, 0, 0x32}), 2u) << "bra that is not taken";
  EXPECT_EQ(value({0x33, 0x2f, 1, 0, 0x32, 0x96}), 3u) << "skip";
  EXPECT_EQ(value({0x7a, 0x7f}), 99u) << "breg10 - 1";
  EXPECT_EQ(value({0x92, 10, 1}), 101u);
  EXPECT_EQ(*evaluate_dwarf(std::vector<u8>{0x23, 2}, 40, frame, 0, memory.reader()), 42u);
}

TEST(DwarfExpression, WhatCannotBeEvaluatedIsAnError) {
  FrameRegisters frame;
  Memory memory;
  const auto fails = [&](std::vector<u8> code) {
    return !evaluate_dwarf(code, std::nullopt, frame, 0, memory.reader()).ok();
  };
  EXPECT_TRUE(fails({}));
  EXPECT_TRUE(fails({0x22}));
  EXPECT_TRUE(fails({0x31, 0x22}));
  EXPECT_TRUE(fails({0x31, 0x30, 0x1b})) << "by zero";
  EXPECT_TRUE(fails({0x31, 0x30, 0x1d}));
  EXPECT_TRUE(fails({0x31, 0x06})) << "no memory";
  EXPECT_TRUE(fails({0x31, 0x94, 3}));
  EXPECT_TRUE(fails({0x7a, 0})) << "a register that nobody knows";
  EXPECT_TRUE(fails({0x92, 0xff, 0x7f, 0}));
  EXPECT_TRUE(fails({0x50})) << "a location, not a value";
  EXPECT_TRUE(fails({0x2f, 0xfd, 0xff})) << "for ever";
  EXPECT_TRUE(fails({0x31, 0x2f, 0xfc, 0xff})) << "for ever, and deeper";
  EXPECT_TRUE(fails({0x2f, 0x7f, 0x7f})) << "to the outside";
  EXPECT_TRUE(fails({0x2f, 0x00, 0x80}));
  EXPECT_TRUE(fails({0x08}));
  EXPECT_TRUE(fails({0x31, 0x15, 1}));
}

TEST(CallFrames, DamageIsAnErrorOrLeftOut) {
  EXPECT_TRUE(CallFrames::read({}, 0, {}).ok());
  const u8 shorter[] = {20, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(CallFrames::read(shorter, 0, {}).ok());
  EXPECT_FALSE(CallFrames::read({}, 0, shorter).ok());
  Loaded file("dwarf5.elf");
  const Result<std::span<const u8>> section = file.elf.contents(".eh_frame");
  ASSERT_TRUE(section.ok());
  // An entry with an instruction that nobody knows: found, and refused.
  const u64 address = file.elf.sections()[*file.elf.find(".eh_frame")].address;
  std::vector<u8> bytes(section->begin(), section->end());
  const std::vector<u8> expression = {0x0f, 2, 0x78, 16};
  const auto at = std::search(bytes.begin(), bytes.end(), expression.begin(), expression.end());
  ASSERT_NE(at, bytes.end());
  *at = 0x3f;
  const Result<CallFrames> frames = CallFrames::read(bytes, address, {});
  ASSERT_TRUE(frames.ok());
  EXPECT_FALSE(frames->rules(file.address("mark_by_hand")).ok());
  EXPECT_TRUE(frames->rules(file.address("by_hand")).ok()) << "before it";
  EXPECT_TRUE(frames->rules(file.address("framed")).ok());
}

}  // namespace
}  // namespace hartwood
