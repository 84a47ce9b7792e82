// SPDX-License-Identifier: Apache-2.0
// Breakpoints and watchpoints of one hart. Watchpoints are compared with an oracle: what a tracer sees a random program
// access, byte by byte.
#include <random>

#include "hart/paging.h"
#include "hart/rig.h"

namespace hartwood::test {
namespace {

constexpr u64 kData = kRamBase + 0x20000, kDataBytes = 3 * kPageBytes;
constexpr u64 kLong = 1'000'000;

class Random {
 public:
  explicit Random(u64 seed) : engine_(seed) {}
  u64 next() { return engine_(); }
  u32 below(u32 n) { return static_cast<u32>(engine_() % n); }
  bool one_in(u32 n) { return below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

constexpr u64 kLeaf = pte::kRwx | pte::kAd;

Breakpoint break_at(u32 id, u64 va, u64 space = kAnySpace) { return {id, va, space}; }
Watchpoint watch(u32 id, u64 address, u64 bytes, bool reads, bool writes) {
  Watchpoint point;
  point.id = id;
  point.address = address;
  point.bytes = bytes;
  point.reads = reads;
  point.writes = writes;
  return point;
}

// ---- breakpoints

TEST(Breakpoints, StopBeforeTheInstructionAndGoOnFromThere) {
  Rig rig(RigOptions{.debug = true});
  Assembler code(kCode);
  code.addi(a0, zero, 0);
  const auto loop = code.bound();
  code.addi(a0, a0, 1);
  const u64 inside = code.here();
  code.addi(a1, a0, 0);
  code.addi(a2, a1, 0);
  code.j(loop);
  rig.start_at(kCode, code.words());
  ASSERT_TRUE(rig.points().add(break_at(7, inside)).ok());
  rig.commit_points();
  for (u64 round = 1; round < 6; round++) {
    const auto stop = rig.run_to_stop(kLong);
    ASSERT_TRUE(stop.has_value());
    EXPECT_EQ(stop->why, DebugStop::Why::breakpoint);
    EXPECT_EQ(stop->id, 7u);
    EXPECT_EQ(stop->pc, inside);
    EXPECT_EQ(rig.state().pc, inside);
    EXPECT_EQ(rig.x(a0), round);
    EXPECT_EQ(rig.x(a1), round - 1) << "the instruction has been executed";
  }
  EXPECT_TRUE(rig.points().remove(7));
  EXPECT_FALSE(rig.points().remove(7));
  rig.commit_points();
  EXPECT_FALSE(rig.run_to_stop(1000).has_value());
}

TEST(Breakpoints, StopInTheMiddleOfWhatTheLoopExecutesAtOnce) {
  // Every instruction of a run that sequences are made of, one after the other and several at once.
  for (u64 at = 0; at < 8; at++) {
    Rig rig(RigOptions{.debug = true});
    std::vector<u32> words;
    for (int i = 0; i < 8; i++) words.push_back(encode_load(Op::ld, static_cast<Reg>(a2 + i % 4), 8 * i, a1));
    words.push_back(encode_jump(Op::jal, zero, -32));
    rig.start_at(kCode, words);
    rig.x(a1) = kData;
    EXPECT_EQ(rig.run(64), Outcome{});  // decoded, with sequences
    rig.state().pc = kCode;
    ASSERT_TRUE(rig.points().add(break_at(1, kCode + 4 * at)).ok());
    rig.commit_points();
    for (int round = 0; round < 3; round++) {
      const auto stop = rig.run_to_stop(kLong);
      ASSERT_TRUE(stop.has_value());
      EXPECT_EQ(stop->pc, kCode + 4 * at);
    }
  }
}

TEST(Breakpoints, AtAnInstructionInTwoPages) {
  Rig rig(RigOptions{.debug = true});
  const u64 at = kCode + kPageBytes - 2;
  rig.poke<u16>(at - 2, 0x0001);  // c.nop
  rig.poke<u32>(at, encode_i(Op::addi, a0, a0, 1));
  rig.poke<u32>(at + 4, encode_jump(Op::jal, zero, -6));
  rig.state().pc = at - 2;
  rig.drop_caches();
  ASSERT_TRUE(rig.points().add(break_at(1, at)).ok());
  rig.commit_points();
  for (u64 round = 0; round < 3; round++) {
    const auto stop = rig.run_to_stop(kLong);
    ASSERT_TRUE(stop.has_value());
    EXPECT_EQ(stop->pc, at);
    EXPECT_EQ(rig.x(a0), round);
  }
}

TEST(Breakpoints, StepsPassTheOneWhereTheHartStands) {
  Rig rig(RigOptions{.debug = true});
  rig.start_at(kCode, {kNop, kNop, kNop, kNop});
  for (u32 i = 0; i < 3; i++) ASSERT_TRUE(rig.points().add(break_at(i + 1, kCode + 4 * i)).ok());
  rig.commit_points();
  ASSERT_TRUE(rig.run_to_stop(kLong).has_value());
  EXPECT_EQ(rig.hart().step(1), 1u);
  EXPECT_EQ(rig.state().pc, kCode + 4);
  // The next one ends the steps.
  EXPECT_EQ(rig.hart().step(5), 0u);
  EXPECT_EQ(rig.hart().step(5), 1u);
  EXPECT_EQ(rig.state().pc, kCode + 8);
}

TEST(Breakpoints, OfOneAddressSpace) {
  Rig rig(RigOptions{.debug = true});
  Paging paging(rig, SatpMode::sv39);
  const u64 va = 0x40'0000;
  paging.map(va, kCode, kLeaf);
  rig.place(kCode, {kNop, kNop, encode_jump(Op::jal, zero, -8)});
  rig.state().privilege = Privilege::supervisor;
  rig.state().satp = paging.satp(1);
  rig.state().pc = va;
  rig.drop_caches();
  ASSERT_TRUE(rig.points().add(break_at(1, va + 4, paging.satp(2))).ok());
  rig.commit_points();
  EXPECT_FALSE(rig.run_to_stop(1000).has_value());
  rig.state().satp = paging.satp(2);
  rig.drop_caches();
  const auto stop = rig.run_to_stop(1000);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->pc, va + 4);
}

TEST(Breakpoints, StayWhereCodeChanges) {
  Rig rig(RigOptions{.debug = true});
  rig.start_at(kCode, {kNop, kNop, kFenceI, encode_jump(Op::jal, zero, -12)});
  ASSERT_TRUE(rig.points().add(break_at(1, kCode + 4)).ok());
  rig.commit_points();
  for (u32 round = 0; round < 4; round++) {
    const auto stop = rig.run_to_stop(kLong);
    ASSERT_TRUE(stop.has_value());
    // What is executed behind the stop is what was there before: the hart fences later.
    EXPECT_EQ(rig.x(a0), u64{round < 2 ? 0 : round - 2});
    rig.poke<u32>(kCode + 4, encode_i(Op::addi, a0, zero, round));
  }
}

TEST(DebugPoints, Refuse) {
  Rig rig(RigOptions{.debug = true});
  EXPECT_FALSE(rig.points().add(break_at(1, 0x1001)).ok());
  EXPECT_TRUE(rig.points().add(break_at(1, 0x1000)).ok());
  EXPECT_FALSE(rig.points().add(break_at(1, 0x2000)).ok());
  EXPECT_FALSE(rig.points().add(watch(1, 0x2000, 4, true, true)).ok());
  EXPECT_FALSE(rig.points().add(watch(2, 0x2000, 0, true, true)).ok());
  EXPECT_FALSE(rig.points().add(watch(2, ~u64{0}, 2, true, true)).ok());
  EXPECT_FALSE(rig.points().add(watch(2, 0x2000, 4, false, false)).ok());
  Watchpoint outside = watch(2, kRamEnd - 1, 2, true, true);
  outside.physical = true;
  EXPECT_FALSE(rig.points().add(outside).ok());
}

// ---- watchpoints

// What one instruction accesses, as the tracer sees it.
struct SeenAccess {
  u64 pc, va;
  u32 bytes;
  bool read, write;
};

class AccessTracer final : public Tracer {
 public:
  void instruction(const Hart& hart, u64 pc, u32 word) override {
    const Decoded decoded = decode(word, hart.options().isa);
    const auto& about = info(decoded.op);
    const u64 base = hart.state().x[decoded.insn.rs1];
    const auto width = [&](Op op) -> u32 {
      switch (op) {
        case Op::lb:
        case Op::lbu:
        case Op::sb: return 1;
        case Op::lh:
        case Op::lhu:
        case Op::sh: return 2;
        case Op::lw:
        case Op::lwu:
        case Op::sw: return 4;
        default: return 8;
      }
    };
    switch (about.format) {
      case Format::load:
        seen.push_back({pc, base + static_cast<u64>(i64{decoded.insn.imm}), width(decoded.op), true, false});
        break;
      case Format::s:
        seen.push_back({pc, base + static_cast<u64>(i64{decoded.insn.imm}), width(decoded.op), false, true});
        break;
      case Format::amo: {
        const bool wide = (word >> 12 & 7) == 3;
        const bool reserve = decoded.op == Op::lr_w || decoded.op == Op::lr_d;
        const bool conditional = decoded.op == Op::sc_w || decoded.op == Op::sc_d;
        // The program's own: a conditional store right behind its reservation succeeds, another one does not.
        if (conditional && !std::exchange(reserved_, false)) break;
        if (reserve) reserved_ = true;
        seen.push_back({pc, base, wide ? 8u : 4u, !conditional, !reserve});
        break;
      }
      case Format::cbo: seen.push_back({pc, align_down(base, 64), 64, false, true}); break;
      default: break;
    }
  }
  void trap(const Hart&, u64, u64, u64) override {}
  std::vector<SeenAccess> seen;

 private:
  bool reserved_ = false;
};

std::vector<u32> random_program(Random& random) {
  Assembler code(kCode);
  constexpr Op kLoads[] = {Op::lb, Op::lh, Op::lw, Op::ld, Op::lbu, Op::lhu, Op::lwu};
  constexpr Op kStores[] = {Op::sb, Op::sh, Op::sw, Op::sd};
  constexpr Op kAtomics[] = {Op::amoadd_w, Op::amoswap_d, Op::amoxor_d, Op::amoor_w,
                             Op::amomax_d, Op::amocas_w,  Op::amocas_d};
  code.li(s1, 8);
  const auto loop = code.bound();
  for (int i = 0; i < 40; i++) {
    const Reg data = static_cast<Reg>(a2 + random.below(5));
    const u64 address = kData + random.below(static_cast<u32>(kDataBytes) - 128);
    code.li(a0, random.one_in(3) ? align_down(address, kPageBytes) + kPageBytes - random.below(16) : address);
    for (u32 n = 1 + random.below(4); n > 0; n--) {
      const i64 offset = static_cast<i64>(random.below(32));
      switch (random.below(8)) {
        case 0:
        case 1:
        case 2: code.emit(encode_load(kLoads[random.below(7)], data, offset, a0)); break;
        case 3:
        case 4:
        case 5: code.emit(encode_store(kStores[random.below(4)], data, offset, a0)); break;
        case 6: {
          code.li(a1, align_down(address, 8));
          if (random.one_in(3)) {
            code.emit(encode_amo(Op::lr_d, data, a1, zero));
            code.emit(encode_amo(Op::sc_d, t0, a1, s1));
            if (random.one_in(2)) code.emit(encode_amo(Op::sc_d, t0, a1, s1));
          } else {
            code.emit(encode_amo(kAtomics[random.below(7)], data, a1, s1));
          }
          break;
        }
        default:
          code.li(a1, address);
          code.emit(encode_cbo(Op::cbo_zero, a1));
          break;
      }
    }
    code.op(Op::add, a2, a2, s1);
    code.op(Op::xor_, a3, a3, a2);
  }
  code.addi(s1, s1, -1);
  code.bne(s1, zero, loop);
  code.emit(kEbreak);
  return code.words();
}

void start_program(Rig& rig, const std::vector<u32>& words, u64 seed) {
  Random random(seed);
  for (u64 at = 0; at < kDataBytes; at += 8) rig.poke<u64>(kData + at, random.next());
  for (u32 i = 0; i < 5; i++) rig.x(static_cast<Reg>(a2 + i)) = random.next();
  rig.start_at(kCode, words);
}

struct Expected {
  u64 pc, address;
  u32 id, bytes;
  bool write;
  friend bool operator==(const Expected&, const Expected&) = default;
};
std::ostream& operator<<(std::ostream& out, const Expected& e) {
  return out << std::hex << "pc 0x" << e.pc << " address 0x" << e.address << std::dec << " point " << e.id << " bytes "
             << e.bytes << (e.write ? " write" : " read");
}

// Of each instruction, the first piece that some watchpoint watches, by the first that does.
std::vector<Expected> oracle(const std::vector<SeenAccess>& accesses, const std::vector<Watchpoint>& points) {
  std::vector<Expected> all;
  for (const SeenAccess& access : accesses) {
    const u64 first_bytes = std::min<u64>(access.bytes, kPageBytes - (access.va & kPageMask));
    const std::pair<u64, u64> pieces[] = {{access.va, first_bytes},
                                          {access.va + first_bytes, access.bytes - first_bytes}};
    bool found = false;
    for (const auto& [start, bytes] : pieces) {
      if (found || bytes == 0) break;
      for (const Watchpoint& point : points) {
        if (!((point.reads && access.read) || (point.writes && access.write))) continue;
        u64 address = 0;
        u32 count = 0;
        for (u64 at = start; at < start + bytes; at++) {
          if (at < point.address || at >= point.address + point.bytes) continue;
          if (count++ == 0) address = at;
        }
        if (count == 0) continue;
        all.push_back({access.pc, address, point.id, std::min(count, 8u), access.write && point.writes});
        found = true;
        break;
      }
    }
  }
  return all;
}

TEST(Watchpoints, MeetWhatTheOracleSaysByteByByte) {
  u64 stops = 0;
  for (u64 seed = 1; seed <= 60; seed++) {
    Random random(seed);
    const std::vector<u32> words = random_program(random);
    AccessTracer tracer;
    Rig plain(RigOptions{.zacas = true, .tracer = &tracer});
    start_program(plain, words, seed);
    while (plain.hart().traps() == 0) plain.run(64);

    std::vector<Watchpoint> points;
    for (u32 id = 1 + random.below(4); id > 0; id--) {
      const bool reads = random.one_in(2);
      Watchpoint point = watch(id, kData + random.below(static_cast<u32>(kDataBytes) - 1500),
                               1 + random.below(random.one_in(2) ? 8 : 1500), reads, !reads || random.one_in(2));
      point.physical = random.one_in(3);
      points.push_back(point);
    }
    Rig rig(RigOptions{.zacas = true, .debug = true});
    start_program(rig, words, seed);
    for (const Watchpoint& point : points) ASSERT_TRUE(rig.points().add(point).ok());
    rig.commit_points();
    std::vector<Expected> met;
    while (rig.hart().traps() == 0) {
      const auto stop = rig.run_to_stop(64);
      if (!stop) continue;
      met.push_back({stop->pc, stop->address, stop->id, stop->bytes, stop->write});
      u64 now = 0;
      for (u32 i = 0; i < stop->bytes; i++) now |= u64{rig.peek<u8>(stop->address + i)} << (8 * i);
      ASSERT_EQ(stop->new_value, now);
    }
    ASSERT_EQ(met, oracle(tracer.seen, points)) << "seed " << seed;
    stops += met.size();
    // And nothing else is different.
    for (u32 i = 1; i < 32; i++) ASSERT_EQ(rig.state().x[i], plain.state().x[i]);
    for (u64 at = 0; at < kDataBytes; at += 8) ASSERT_EQ(rig.peek<u64>(kData + at), plain.peek<u64>(kData + at));
  }
  EXPECT_GT(stops, 1000u);
}

TEST(Watchpoints, SayOldAndNewValues) {
  Rig rig(RigOptions{.debug = true});
  rig.poke<u64>(kData, 0x1122'3344'5566'7788);
  rig.start_at(kCode, {encode_store(Op::sw, a0, 2, a1), kNop});
  rig.x(a0) = 0xaabb'ccdd;
  rig.x(a1) = kData;
  ASSERT_TRUE(rig.points().add(watch(3, kData + 4, 4, false, true)).ok());
  rig.commit_points();
  const auto stop = rig.run_to_stop(10);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->pc, kCode);
  EXPECT_EQ(rig.state().pc, kCode + 4) << "behind the instruction";
  EXPECT_EQ(stop->address, kData + 4);
  EXPECT_EQ(stop->bytes, 2u);
  EXPECT_EQ(stop->old_value, 0x3344u);
  EXPECT_EQ(stop->new_value, 0xaabbu);
  EXPECT_TRUE(stop->write);
}

TEST(Watchpoints, OnlyIfTheirConditionHolds) {
  const auto stops = [](Watchpoint::Test test, u64 value) {
    Rig rig(RigOptions{.debug = true});
    rig.poke<u64>(kData, 5);
    // 5, 6, 7, 7
    rig.start_at(kCode, {encode_store(Op::sd, a0, 0, a1), encode_i(Op::addi, a0, a0, 1),
                         encode_store(Op::sd, a0, 0, a1), encode_i(Op::addi, a0, a0, 1),
                         encode_store(Op::sd, a0, 0, a1), encode_store(Op::sd, a0, 0, a1), kNop, kNop});
    rig.x(a0) = 5;
    rig.x(a1) = kData;
    Watchpoint point = watch(1, kData, 8, false, true);
    point.test = test;
    point.value = value;
    EXPECT_TRUE(rig.points().add(point).ok());
    rig.commit_points();
    std::string pcs;
    while (const auto stop = rig.run_to_stop(kCode + 32 - rig.state().pc > 0 ? (kCode + 32 - rig.state().pc) / 4 : 1))
      pcs += static_cast<char>('0' + (stop->pc - kCode) / 4);
    return pcs;
  };
  EXPECT_EQ(stops(Watchpoint::Test::none, 0), "0245");
  EXPECT_EQ(stops(Watchpoint::Test::changed, 0), "24");
  EXPECT_EQ(stops(Watchpoint::Test::equal, 6), "2");
  EXPECT_EQ(stops(Watchpoint::Test::not_equal, 6), "045");
  EXPECT_EQ(stops(Watchpoint::Test::below, 6), "0");
  EXPECT_EQ(stops(Watchpoint::Test::above, 6), "45");
}

TEST(Watchpoints, FollowAVirtualAddressAndSeeOtherAddressesOfItsPage) {
  Rig rig(RigOptions{.debug = true});
  Paging paging(rig, SatpMode::sv39);
  const u64 code = 0x40'0000, one = 0x50'0000, other = 0x60'0000;
  paging.map(code, kCode, kLeaf);
  paging.map(one, kData, kLeaf);
  paging.map(other, kData, kLeaf);
  rig.place(kCode, {encode_load(Op::lw, a2, 8, a0), encode_store(Op::sw, a2, 8, a1), encode_store(Op::sw, a2, 12, a1),
                    encode_jump(Op::jal, zero, -12)});
  rig.state().privilege = Privilege::supervisor;
  rig.state().satp = paging.satp(1);
  rig.state().pc = code;
  rig.x(a0) = one;
  rig.x(a1) = other;
  rig.drop_caches();
  EXPECT_EQ(rig.run(40), Outcome{});  // the pages are in the TLB
  rig.state().pc = code;
  ASSERT_TRUE(rig.points().add(watch(1, one + 8, 4, false, true)).ok());
  rig.commit_points();
  // A read finds where the address is mapped; the store by the other address follows it.
  const auto stop = rig.run_to_stop(100);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->pc, code + 4);
  EXPECT_EQ(stop->address, one + 8) << "in the watchpoint's terms";
  // Mapped elsewhere, the page is nobody's any more.
  paging.map(one, kData + kPageBytes, kLeaf);
  rig.drop_caches();
  EXPECT_FALSE(rig.run_to_stop(100).has_value());
}

TEST(Watchpoints, SeeDevices) {
  Rig rig(RigOptions{.debug = true});
  rig.start_at(kCode, {encode_store(Op::sw, a0, 0, a1), kNop, kNop});
  rig.x(a1) = kDevice;
  rig.device.on_write = [&](u64) {
    std::vector<u8> bytes(200, 0x5a);
    EXPECT_TRUE(rig.memory().write(Pa(kData), bytes));
  };
  ASSERT_TRUE(rig.points()
                  .add([] {
                    Watchpoint point = watch(1, kData + 100, 2, false, true);
                    point.physical = true;
                    return point;
                  }())
                  .ok());
  rig.commit_points();
  const auto stop = rig.run_to_stop(10);
  ASSERT_TRUE(stop.has_value());
  EXPECT_EQ(stop->hart, DebugStop::kNoHart);
  EXPECT_EQ(stop->address, kData + 100);
  EXPECT_EQ(stop->old_value, 0u);
  EXPECT_EQ(stop->new_value, 0x5a5au);
}

TEST(Watchpoints, SeePageTableWalksWhereAsked) {
  for (const bool walks : {false, true}) {
    Rig rig(RigOptions{.debug = true});
    Paging paging(rig, SatpMode::sv39);
    paging.map(0x40'0000, kCode, kLeaf);
    rig.place(kCode, {kNop, kNop});
    rig.state().privilege = Privilege::supervisor;
    rig.state().satp = paging.satp(1);
    rig.state().pc = 0x40'0000;
    Watchpoint point = watch(1, paging.root(), kPageBytes, true, false);
    point.physical = true;
    point.walks = walks;
    ASSERT_TRUE(rig.points().add(point).ok());
    rig.drop_caches();
    rig.commit_points();
    const auto stop = rig.run_to_stop(2);
    ASSERT_EQ(stop.has_value(), walks);
    if (walks) {
      EXPECT_TRUE(stop->walk);
    }
  }
}

TEST(Watchpoints, LogInsteadAsOftenAsAllowed) {
  Rig rig(RigOptions{.debug = true});
  rig.start_at(kCode, {encode_store(Op::sw, a0, 0, a1), encode_i(Op::addi, a0, a0, 1), encode_jump(Op::jal, zero, -8)});
  rig.x(a1) = kData;
  Watchpoint point = watch(1, kData, 4, false, true);
  point.logs = true;
  point.most_per_second = 10;
  ASSERT_TRUE(rig.points().add(point).ok());
  rig.commit_points();
  EXPECT_EQ(rig.run(300), Outcome{});
  const DebugPoints::Log log = rig.points().take_log();
  ASSERT_EQ(log.entries.size(), 10u);
  EXPECT_EQ(log.dropped, 90u);
  EXPECT_EQ(log.entries[9].new_value, 9u);
  EXPECT_TRUE(rig.points().take_log().entries.empty());
}

TEST(Watchpoints, AreGoneWhenTheyAreRemoved) {
  Rig rig(RigOptions{.debug = true});
  rig.start_at(kCode, {encode_store(Op::sw, a0, 0, a1), encode_jump(Op::jal, zero, -4)});
  rig.x(a1) = kData;
  ASSERT_TRUE(rig.points().add(watch(1, kData, 4, false, true)).ok());
  rig.commit_points();
  ASSERT_TRUE(rig.run_to_stop(10).has_value());
  rig.points().remove(1);
  rig.commit_points();
  EXPECT_FALSE(rig.run_to_stop(1000).has_value());
  EXPECT_EQ(rig.memory().page_state((kData - kRamBase) >> kPageShift) & (kPageWatchRead | kPageWatchWrite), 0);
}

}  // namespace
}  // namespace hartwood::test
