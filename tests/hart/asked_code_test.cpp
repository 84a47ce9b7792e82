// SPDX-License-Identifier: Apache-2.0
// When a hart asks for compiled code: at places that are jumped to often, and at once where it is told that there is
// some.
#include <gtest/gtest.h>

#include <vector>

#include "hart/rig.h"

namespace hartwood::test {
namespace {

// Has no code, and remembers what it was asked.
class Asked final : public TranslatedCode {
 public:
  bool enter(u64& pc, u64, u32 jumps, bool indirect) override {
    asked.push_back({pc, jumps, indirect});
    return false;
  }
  void fence_code() override {}
  void fence_all() override {}
  void fence_asid(u64) override {}
  void fence_address(u64) override {}

  static constexpr u64 kLoop = kCode + 4;
  struct Question {
    u64 pc;
    u32 jumps;
    bool indirect;
    friend bool operator==(const Question&, const Question&) = default;
  };
  std::vector<Question> asked;
};

class AskedCode : public testing::Test {
 protected:
  // `jumps` times to Asked::kLoop, by the hart alone, in slices of seven instructions.
  void jump(u32 jumps, u32 back) {
    rig_.place(kCode, {encode_i(Op::addi, a1, a1, 0), encode_i(Op::addi, a0, a0, 1), back});
    rig_.x(a0) = 0;
    rig_.x(a1) = Asked::kLoop;
    rig_.state().pc = kCode;
    rig_.drop_caches();
    rig_.hart().use_translated(&code_);
    EXPECT_EQ(rig_.hart().run(1 + 2 * jumps), Hart::Exit::budget);
    EXPECT_EQ(rig_.x(a0), jumps);
    rig_.hart().use_translated(nullptr);
  }
  const u32 direct_ = encode_jump(Op::jal, zero, -4), indirect_ = encode_i(Op::jalr, zero, a1, 0),
            return_ = encode_i(Op::jalr, zero, ra, 0);
  Rig rig_{RigOptions{.slice = 7}};
  Asked code_;
};

TEST_F(AskedCode, IsAskedForWhereControlOftenGoes) {
  jump(Hart::kCold - 1, direct_);
  EXPECT_TRUE(code_.asked.empty()) << "slices begin there too, which is no jump";
  jump(Hart::kCold + 1, direct_);
  EXPECT_EQ(code_.asked, (std::vector<Asked::Question>{{Asked::kLoop, Hart::kCold, false}}));
}

TEST_F(AskedCode, IsAskedForWithTheWayThatControlCame) {
  jump(Hart::kCold + 1, indirect_);
  EXPECT_EQ(code_.asked, (std::vector<Asked::Question>{{Asked::kLoop, Hart::kCold, true}}));
  code_.asked.clear();
  rig_.x(ra) = Asked::kLoop;
  jump(Hart::kCold + 1, return_);
  EXPECT_EQ(code_.asked, (std::vector<Asked::Question>{{Asked::kLoop, Hart::kCold, false}}));
}

}  // namespace
}  // namespace hartwood::test
