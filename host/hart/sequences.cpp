// SPDX-License-Identifier: Apache-2.0
#include "hart/sequences.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace hartwood {
namespace {

struct Sequence {
  u16 number;
  u16 length;
  u16 ops[kLongestSequence];
  Step steps[kLongestSequence];
  Links links[kLongestSequence];
};

// The words of sequences.inc.
constexpr i8 x = Links::kRegister, r0 = 0, r1 = 1, r2 = 2, r3 = 3, r4 = 4;
constexpr bool kept = false, dead = true;

#define HW_CODE(kind, name, bytes, ...) static_cast<u16>((bytes == 2 ? kCompact : 0) + static_cast<u16>(Op::name))
#define HW_KIND(kind, name, bytes, ...) Step::kind
#define HW_LINKS(kind, name, bytes, ...) \
  { __VA_ARGS__ }
constexpr Sequence kSequences[] = {
#define HW_SEQUENCE2(number, a, b) \
  {number, 2, {HW_CODE a, HW_CODE b}, {HW_KIND a, HW_KIND b}, {HW_LINKS a, HW_LINKS b}},
#define HW_SEQUENCE3(number, a, b, d) \
  {number,                            \
   3,                                 \
   {HW_CODE a, HW_CODE b, HW_CODE d}, \
   {HW_KIND a, HW_KIND b, HW_KIND d}, \
   {HW_LINKS a, HW_LINKS b, HW_LINKS d}},
#define HW_SEQUENCE4(number, a, b, d, e)         \
  {number,                                       \
   4,                                            \
   {HW_CODE a, HW_CODE b, HW_CODE d, HW_CODE e}, \
   {HW_KIND a, HW_KIND b, HW_KIND d, HW_KIND e}, \
   {HW_LINKS a, HW_LINKS b, HW_LINKS d, HW_LINKS e}},
#define HW_SEQUENCE5(number, a, b, d, e, f)                 \
  {number,                                                  \
   5,                                                       \
   {HW_CODE a, HW_CODE b, HW_CODE d, HW_CODE e, HW_CODE f}, \
   {HW_KIND a, HW_KIND b, HW_KIND d, HW_KIND e, HW_KIND f}, \
   {HW_LINKS a, HW_LINKS b, HW_LINKS d, HW_LINKS e, HW_LINKS f}},
#define HW_SEQUENCE6(number, a, b, d, e, f, g)                         \
  {number,                                                             \
   6,                                                                  \
   {HW_CODE a, HW_CODE b, HW_CODE d, HW_CODE e, HW_CODE f, HW_CODE g}, \
   {HW_KIND a, HW_KIND b, HW_KIND d, HW_KIND e, HW_KIND f, HW_KIND g}, \
   {HW_LINKS a, HW_LINKS b, HW_LINKS d, HW_LINKS e, HW_LINKS f, HW_LINKS g}},
#include "hart/sequences.inc"
#undef HW_SEQUENCE2
#undef HW_SEQUENCE3
#undef HW_SEQUENCE4
#undef HW_SEQUENCE5
#undef HW_SEQUENCE6
};

constexpr u16 kSequenceCount = std::size(kSequences);

constexpr bool numbered_in_order() {
  for (u16 i = 0; i < kSequenceCount; i++) {
    if (kSequences[i].number != i) return false;
  }
  return true;
}
static_assert(numbered_in_order());

// What a sequence saves, in host instructions of Chromium: a dispatch for all but one instruction, a probe for all but
// one of each group, a register's way through memory for each link.
constexpr int saving(const Sequence& row) {
  constexpr int kDispatch = 20, kShared = 14, kFirst = 4, kLink = 9, kDead = 3;
  int sum = (row.length - 1) * kDispatch;
  for (u32 i = 0; i < row.length; i++) {
    if (row.steps[i] == Step::load_next || row.steps[i] == Step::store_next) sum += kShared;
    if (row.steps[i] == Step::load_first || row.steps[i] == Step::store_first) sum -= kFirst;
    const Links& links = row.links[i];
    sum += kLink * ((links.rs1 >= 0) + (links.rs2 >= 0)) + (links.dead ? kDead : 0);
  }
  return sum;
}

// Numbers of sequences by first operation, the best first, and where those of an operation begin.
struct Index {
  std::array<u16, kSequenceCount> order{};
  std::array<u16, kSlotIllegal + 1> begin{};
};

constexpr Index make_index() {
  Index index;
  for (u16 i = 0; i < kSequenceCount; i++) index.order[i] = i;
  std::sort(index.order.begin(), index.order.end(), [](u16 a, u16 b) {
    const Sequence &x = kSequences[a], &y = kSequences[b];
    if (x.ops[0] != y.ops[0]) return x.ops[0] < y.ops[0];
    return saving(x) != saving(y) ? saving(x) > saving(y) : a < b;
  });
  u16 at = 0;
  for (u32 op = 0; op <= kSlotIllegal; op++) {
    while (at < kSequenceCount && kSequences[index.order[at]].ops[0] < op) at++;
    index.begin[op] = at;
  }
  return index;
}
constexpr Index kIndex = make_index();

// Bytes that a load or store of integers moves.
i32 access_bytes(u16 op) {
  switch (static_cast<Op>(op & (kCompact - 1))) {
    case Op::ld:
    case Op::sd: return 8;
    case Op::lw:
    case Op::lwu:
    case Op::sw: return 4;
    case Op::lh:
    case Op::lhu:
    case Op::sh: return 2;
    default: return 1;
  }
}

// Whether the accesses of the sequence's groups can share a probe: the same base register, which nothing in between
// changes, no address further away than the reach, and none misaligned if the first is not.
bool groups_hold(const Sequence& row, std::span<const Insn> insns) {
  const Insn* loads = nullptr;
  const Insn* stores = nullptr;
  for (u32 i = 0; i < row.length; i++) {
    const Insn& insn = insns[i];
    const Step step = row.steps[i];
    if (step == Step::load_next || step == Step::store_next) {
      const Insn* first = step == Step::load_next ? loads : stores;
      if (first == nullptr || insn.rs1 != first->rs1) return false;
      const i32 bytes = access_bytes(insn.op), distance = insn.imm - first->imm, reach = kGroupReach;
      if (bytes > access_bytes(first->op) || distance % bytes != 0) return false;
      if (distance <= -reach || distance + bytes > reach) return false;
    }
    if (step == Step::load_first) loads = &insn;
    if (step == Step::store_first) stores = &insn;
    if (info(static_cast<Op>(insn.op & (kCompact - 1))).writes_x()) {
      if (loads != nullptr && insn.rd == loads->rs1) loads = nullptr;
      if (stores != nullptr && insn.rd == stores->rs1) stores = nullptr;
    }
  }
  return true;
}

// The registers that an instruction reads and writes; -1: none.
struct Operands {
  int rs1 = -1, rs2 = -1, rd = -1;
};
Operands operands_of(const Insn& insn) {
  const OpInfo& row = info(static_cast<Op>(insn.op & (kCompact - 1)));
  Operands result;
  const std::string_view files = row.operands;
  if (files.size() > 1 && files[1] == 'x') result.rs1 = insn.rs1;
  if (files.size() > 2 && files[2] == 'x')
    result.rs2 = row.format == Format::s || row.format == Format::b ? insn.store_rs2() : insn.rs2();
  if (row.writes_x()) result.rd = insn.rd;
  return result;
}

// Whether each operand that is given comes from the last instruction before that wrote its register, and each result
// that is dead is overwritten by one of the sequence before anything can leave it or read the register.
bool links_hold(const Sequence& row, std::span<const Insn> insns) {
  Operands operands[kLongestSequence];
  for (u32 i = 0; i < row.length; i++) {
    operands[i] = operands_of(insns[i]);
    const auto holds = [&](i8 from, int source) {
      int writer = static_cast<int>(i) - 1;
      while (writer >= 0 && operands[writer].rd != source) writer--;
      // A dead result is in no register.
      if (from == Links::kRegister) return writer < 0 || source < 0 || !row.links[writer].dead;
      return source >= 0 && writer == from;
    };
    if (!holds(row.links[i].rs1, operands[i].rs1) || !holds(row.links[i].rs2, operands[i].rs2)) return false;
  }
  for (u32 i = 0; i < row.length; i++) {
    if (!row.links[i].dead) continue;
    u32 next = i + 1;
    while (next < row.length && row.steps[next] == Step::alu && operands[next].rd != operands[i].rd) next++;
    if (next == row.length || row.steps[next] != Step::alu) return false;
  }
  return true;
}

}  // namespace

u32 sequence_count() { return kSequenceCount; }

std::span<const u16> sequence(u32 number) { return std::span(kSequences[number].ops).first(kSequences[number].length); }

std::span<const Step> sequence_steps(u32 number) {
  return std::span(kSequences[number].steps).first(kSequences[number].length);
}

std::span<const Links> sequence_links(u32 number) {
  return std::span(kSequences[number].links).first(kSequences[number].length);
}

u16 first_of_sequence(u16 op) { return op >= kSlotSequences ? kSequences[op - kSlotSequences].ops[0] : op; }

bool can_be_continued(u16 op) { return op < kSlotIllegal && kIndex.begin[op] != kIndex.begin[op + 1]; }

u16 sequence_at(std::span<const Insn> insns) {
  const u16 op = insns[0].op;
  if (op >= kSlotIllegal) return op;
  for (u32 at = kIndex.begin[op]; at < kIndex.begin[op + 1]; at++) {
    const Sequence& candidate = kSequences[kIndex.order[at]];
    if (candidate.length > insns.size()) continue;
    u32 same = 1;
    while (same < candidate.length && candidate.ops[same] == insns[same].op) same++;
    if (same == candidate.length && groups_hold(candidate, insns) && links_hold(candidate, insns))
      return static_cast<u16>(kSlotSequences + candidate.number);
  }
  return op;
}

}  // namespace hartwood
