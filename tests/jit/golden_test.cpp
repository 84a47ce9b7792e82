// SPDX-License-Identifier: Apache-2.0
// What the compiler makes of small guest programs, against golden/*.txt: the guest's instructions, the operations that
// they are lifted to, and the WebAssembly text of the function. For the reader of a change: it shows what the change
// does to the code. Whether the code is right, other tests say.
//
//   HARTWOOD_UPDATE_GOLDEN=1 build/native/hartwood_tests --gtest_filter='*Golden*'     writes the files anew
//
// The target is made up and fixed, and places that depend on the machine's own tables and layouts are written by name,
// so that files change when the compiler does.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "hart/code_cache.h"
#include "jit/compiler.h"
#include "support/asm.h"
#include "wasm/text.h"

namespace hartwood::jit {
namespace {

using namespace hartwood::test;

constexpr u32 kEntry = kWindowBefore * static_cast<u32>(kPageBytes);
const char* const kFolder = HARTWOOD_SOURCE "/tests/jit/golden";

// What is not as usual.
struct Setting {
  u32 at = kEntry;
  SeenTargets seen = {};
  RegionLimits limits = {};
  u32 missing_page = kWindowPages;  // of the window
  std::set<u32> cold = {};          // offsets that were never executed
  bool fused_multiply_add = true;
  bool group_accesses = true;
  bool whole_module = false;
};
struct Program {
  const char* name;
  const char* about;
  std::vector<u32> code;  // those of 16 bits are placed as such
  Setting setting = {};
};
// For GoogleTest's messages.
void PrintTo(const Program& program, std::ostream* out) { *out << program.name; }

// ---- instructions, where support/asm.h has no shorter way

const u32 kReturn = encode_i(Op::jalr, zero, ra, 0);
u32 r(Op op, Reg rd, Reg rs1, Reg rs2) { return encode_r(op, rd, rs1, rs2); }
u32 i(Op op, Reg rd, Reg rs1, i64 imm) { return encode_i(op, rd, rs1, imm); }
u32 shift(Op op, Reg rd, Reg rs1, u32 amount) { return info(op).match | rd << 7 | rs1 << 15 | amount << 20; }
u32 unary(Op op, Reg rd, Reg rs1) { return info(op).match | rd << 7 | rs1 << 15; }
u32 load(Op op, Reg rd, i64 imm, Reg address) { return encode_load(op, rd, imm, address); }
u32 store(Op op, Reg rs2, i64 imm, Reg address) { return encode_store(op, rs2, imm, address); }
u32 branch(Op op, Reg rs1, Reg rs2, i64 offset) { return encode_branch(op, rs1, rs2, offset); }
u32 jump(i64 offset) { return encode_jump(Op::jal, zero, offset); }
u32 call(i64 offset) { return encode_jump(Op::jal, ra, offset); }

// Floating registers by number; the rounding mode is the dynamic one unless it is given.
enum Rounding : u32 { rne, rtz, rdn, rup, rmm, dyn = 7 };
u32 f(Op op, u32 rd, u32 rs1, u32 rs2 = 0, u32 rs3 = 0, Rounding rounding = dyn) {
  const OpInfo& of = info(op);
  const bool rounds = std::string_view(of.operands).back() == 'r';
  return of.match | rd << 7 | rs1 << 15 | (rounds ? rounding << 12 : 0) | (~of.mask & rs2 << 20) |
         (of.format == Format::r4 ? rs3 << 27 : 0);
}
u32 f_load(Op op, u32 rd, i64 imm, Reg address) { return load(op, static_cast<Reg>(rd), imm, address); }
u32 f_store(Op op, u32 rs2, i64 imm, Reg address) { return store(op, static_cast<Reg>(rs2), imm, address); }
// [unpriv: Compressed Instruction Set Listings]
u32 c_addi(Reg rd, i64 imm) { return 0x0001 | rd << 7 | (low_bits(imm, 6) >> 5) << 12 | (low_bits(imm, 6) & 31) << 2; }
u32 c_mv(Reg rd, Reg rs2) { return 0x8002 | rd << 7 | rs2 << 2; }
u32 c_ldsp(Reg rd, u32 offset) { return 0x6002 | rd << 7 | (offset >> 5 & 1) << 12 | (offset >> 3 & 3) << 5; }
const u32 kCompressedReturn = 0x8082;

const Program kPrograms[] = {
    // ---- control
    {"straight_line",
     "constants, arithmetic and an address of code",
     {encode_upper(Op::lui, a0, 0x12345), i(Op::addi, a0, a0, 0x678), r(Op::xor_, a1, a0, a2),
      i(Op::sltiu, a3, a1, 100), encode_upper(Op::auipc, a4, 1), r(Op::sub, a5, a4, a3), kReturn}},
    {"loop", "counts down", {i(Op::addi, a0, a0, -1), branch(Op::bne, a0, zero, -4), kReturn}},
    {"loop_budget",
     "the budget is checked at the header, for the longer way through the loop",
     {i(Op::addi, a1, zero, 0), branch(Op::bge, a1, a0, 32), i(Op::andi, a2, a1, 1), branch(Op::beq, a2, zero, 16),
      i(Op::addi, a3, a3, 1), i(Op::addi, a3, a3, 2), i(Op::addi, a3, a3, 3), i(Op::addi, a1, a1, 1), jump(-28),
      kReturn}},
    {"nested_loops",
     "a sum over a matrix",
     {i(Op::addi, a3, a1, 0), load(Op::lw, a4, 0, a2), r(Op::add, a0, a0, a4), i(Op::addi, a2, a2, 4),
      i(Op::addi, a3, a3, -1), branch(Op::bne, a3, zero, -16), i(Op::addi, a5, a5, -1), branch(Op::bne, a5, zero, -28),
      kReturn}},
    {"diamond",
     "both ways meet again",
     {branch(Op::blt, a0, a1, 12), i(Op::addi, a2, a0, 1), jump(8), i(Op::addi, a2, a1, 2), r(Op::add, a0, a2, a2),
      kReturn}},
    {"early_return",
     "ways that do not meet again",
     {branch(Op::beq, a0, zero, 16), i(Op::addi, a0, a0, 1), branch(Op::bltu, a0, a1, 8), kReturn, kReturn}},
    {"irreducible",
     "a loop with two entries",
     {branch(Op::beq, a0, zero, 12), i(Op::addi, a1, a1, 1), branch(Op::beq, a1, a2, 12), i(Op::addi, a3, a3, 1),
      branch(Op::bne, a3, a4, -12), kReturn}},
    {"call_return",
     "a function that saves registers and calls another one of the same module",
     {i(Op::addi, sp, sp, -16), store(Op::sd, ra, 8, sp), store(Op::sd, s0, 0, sp), i(Op::addi, s0, a0, 0), call(24),
      r(Op::add, a0, a0, s0), load(Op::ld, ra, 8, sp), load(Op::ld, s0, 0, sp), i(Op::addi, sp, sp, 16), kReturn,
      shift(Op::slli, a0, a0, 1), kReturn}},
    {"recursion",
     "a function that calls itself",
     {branch(Op::bne, a0, zero, 8), kReturn, i(Op::addi, a0, a0, -1), call(-12), i(Op::addi, a1, a1, 1), kReturn}},
    {"inlined_call",
     "a loop and the function it calls",
     {call(12), branch(Op::bne, a0, zero, -4), kReturn, i(Op::addi, a0, a0, -1), kReturn}},
    {"inlined_call_with_a_frame",
     "its return compares, as it loads the link register",
     {call(12), branch(Op::bne, a0, zero, -4), kReturn, i(Op::addi, sp, sp, -16), store(Op::sd, ra, 8, sp),
      i(Op::addi, a0, a0, -1), load(Op::ld, ra, 8, sp), i(Op::addi, sp, sp, 16), kReturn}},
    {"frame_in_a_loop",
     "one look into the TLB in front of the loop, for both of its blocks; one behind the write to the base register",
     {i(Op::addi, sp, sp, -32), load(Op::ld, a1, 8, sp), branch(Op::beq, a1, zero, 8), store(Op::sd, a0, 16, sp),
      i(Op::addi, a0, a0, -1), branch(Op::bne, a0, zero, -16), load(Op::ld, sp, 24, sp), load(Op::ld, a1, 0, sp),
      branch(Op::bne, a1, zero, -4), kReturn}},
    {"inlined_pointer_calls",
     "two functions were called through pointers",
     {i(Op::jalr, ra, a2, 0), branch(Op::bne, a0, zero, -4), kReturn, i(Op::addi, a0, a0, -1), kReturn,
      i(Op::addi, a0, a0, -2), kReturn},
     {.seen = {kEntry + 12, kEntry + 20}}},
    {"indirect_call",
     "through a pointer in memory",
     {load(Op::ld, t1, 16, a0), i(Op::jalr, ra, t1, 0), i(Op::addi, a0, a0, 1), kReturn}},
    {"indirect_jump", "nothing is known of where it goes", {load(Op::ld, t1, 0, a0), i(Op::jalr, zero, t1, 4)}},
    {"jump_table",
     "a switch, by the places where it was seen to go",
     {shift(Op::slli, a0, a0, 2), r(Op::add, a0, a0, a1), load(Op::lw, a0, 0, a0), r(Op::add, a0, a0, a1),
      i(Op::jalr, zero, a0, 0), i(Op::addi, a0, zero, 1), jump(20), i(Op::addi, a0, zero, 2), jump(12),
      i(Op::addi, a0, zero, 3), jump(4), kReturn},
     {.seen = {kEntry + 20, kEntry + 28, kEntry + 36}}},
    {"tail_out_of_window", "a jump to code that this compilation does not see", {i(Op::addi, a0, a0, 1), jump(-65536)}},
    {"cold_branch",
     "one way was never executed: it leaves without looking for code",
     {branch(Op::beq, a0, zero, 12), i(Op::addi, a0, a0, 1), kReturn, i(Op::addi, a0, a0, 2), kReturn},
     {.cold = {kEntry + 12, kEntry + 16}}},
    {"page_crossing",
     "straight into the next page, with an instruction in both",
     {c_addi(a0, 1), i(Op::addi, a1, a0, 100), r(Op::add, a0, a0, a1), kReturn},
     {.at = kEntry + 0xffc}},
    {"missing_page",
     "straight into a page that is not there",
     {i(Op::addi, a0, a0, 1), i(Op::addi, a0, a0, 2), i(Op::addi, a0, a0, 3)},
     {.at = kEntry + 0xff8, .missing_page = kWindowBefore + 1}},
    {"region_limit",
     "more instructions than a region may have: the rest is a region of its own",
     {i(Op::addi, a0, a0, 1), i(Op::addi, a1, a1, 2), i(Op::addi, a2, a2, 3), r(Op::add, a0, a0, a1),
      r(Op::add, a0, a0, a2), kReturn},
     {.limits = {.instructions = 4, .blocks = 200}}},
    {"compressed",
     "instructions of two bytes",
     {c_addi(a0, -1), c_mv(a1, a0), c_ldsp(a2, 40), branch(Op::bne, a0, zero, -6), kCompressedReturn}},

    // ---- memory
    {"load_sizes",
     "each width and extension, each with a probe of its own",
     {load(Op::lb, a1, 0, a0), load(Op::lbu, a2, 1, a0), load(Op::lh, a3, 2, a0), load(Op::lhu, a4, 4, a0),
      load(Op::lw, a5, 8, a0), load(Op::lwu, a6, 12, a0), load(Op::ld, a7, 16, a0), load(Op::ld, zero, 24, a0),
      kReturn},
     {.group_accesses = false}},
    {"store_sizes",
     "each width, each with a probe of its own; zero from x0",
     {store(Op::sb, a1, 0, a0), store(Op::sh, a2, 2, a0), store(Op::sw, a3, 4, a0), store(Op::sd, a4, 8, a0),
      store(Op::sd, zero, 16, a0), kReturn},
     {.group_accesses = false}},
    {"group_loads",
     "registers restored from the stack: one probe",
     {load(Op::ld, ra, 24, sp), load(Op::ld, s0, 16, sp), load(Op::lw, s1, 8, sp), load(Op::lbu, s2, 0, sp),
      i(Op::addi, sp, sp, 32), kReturn}},
    {"group_stores",
     "registers saved on the stack: one probe",
     {i(Op::addi, sp, sp, -32), store(Op::sd, ra, 24, sp), store(Op::sd, s0, 16, sp), store(Op::sd, zero, 8, sp),
      store(Op::sw, s1, 0, sp), kReturn}},
    {"span",
     "two loads that are no neighbours, then a store: one look into the table for stores",
     {load(Op::lw, a5, 8, a4), i(Op::addiw, a3, a3, -1), load(Op::ld, a2, 0, a4), store(Op::sd, a3, 16, a4), kReturn}},
    {"span_of_its_base",
     "the last load writes the base register, and what follows belongs to another span",
     {load(Op::lw, a5, 8, a4), i(Op::addiw, a3, a3, -1), load(Op::ld, a4, 0, a4), load(Op::ld, a2, 8, a4), kReturn}},
    {"group_that_ends",
     "a load of the base register, another base, a store",
     {load(Op::ld, a1, 8, a0), load(Op::ld, a0, 0, a0), load(Op::ld, a2, 0, a0), load(Op::ld, a3, 0, a1),
      store(Op::sd, a2, 8, a1), kReturn}},

    // ---- integers
    {"sign_extension",
     "explicit ones, and pairs of shifts",
     {unary(Op::sext_b, a1, a0), unary(Op::sext_h, a2, a0), unary(Op::zext_h, a3, a0), i(Op::addiw, a4, a0, 0),
      r(Op::add_uw, a5, a0, zero), shift(Op::slli, a6, a0, 48), shift(Op::srai, a6, a6, 48), kReturn}},
    {"multiply",
     "both halves of the product",
     {r(Op::mul, a2, a0, a1), r(Op::mulhu, a3, a0, a1), r(Op::mulhsu, a4, a0, a1), r(Op::mulh, a5, a0, a1),
      r(Op::mulw, a6, a0, a1), kReturn}},
    {"divide",
     "with results where WebAssembly traps",
     {r(Op::div, a2, a0, a1), r(Op::divu, a3, a0, a1), r(Op::rem, a4, a0, a1), r(Op::remu, a5, a0, a1), kReturn}},
    {"divide_words",
     "the same of low halves",
     {r(Op::divw, a2, a0, a1), r(Op::divuw, a3, a0, a1), r(Op::remw, a4, a0, a1), r(Op::remuw, a5, a0, a1), kReturn}},
    {"shifts",
     "by constants and registers",
     {shift(Op::slli, a2, a0, 3), shift(Op::srli, a3, a0, 40), shift(Op::srai, a4, a0, 63), r(Op::sll, a5, a0, a1),
      r(Op::srl, a6, a0, a1), r(Op::sra, a7, a0, a1), kReturn}},
    {"words",
     "arithmetic and shifts of low halves",
     {i(Op::addiw, a2, a0, -5), r(Op::addw, a3, a0, a1), r(Op::subw, a4, a0, a1), shift(Op::slliw, a5, a0, 5),
      shift(Op::srliw, a6, a0, 6), shift(Op::sraiw, a7, a0, 7), r(Op::sllw, t0, a0, a1), r(Op::srlw, t1, a0, a1),
      r(Op::sraw, t2, a0, a1), kReturn}},
    {"word_bits",
     "two shifts that make a rotation of a word, and bits of values that are words, or are not",
     {shift(Op::slliw, a2, a0, 5), shift(Op::srliw, a3, a0, 27), r(Op::or_, a2, a2, a3), r(Op::xor_, a4, a2, a3),
      r(Op::and_, a5, a4, a0), r(Op::addw, a6, a4, a5), r(Op::xor_, a7, a6, a2), kReturn}},
    {"comparisons",
     "as values, and as conditions of branches",
     {r(Op::slt, a2, a0, a1), r(Op::sltu, a3, a0, a1), i(Op::slti, a4, a0, -7), i(Op::sltiu, a5, a0, 1),
      r(Op::sltu, a6, zero, a0), branch(Op::bgeu, a2, a3, 8), branch(Op::bge, a4, zero, 4), kReturn}},
    {"bit_counts",
     "Zbb's counts",
     {unary(Op::clz, a1, a0), unary(Op::ctz, a2, a0), unary(Op::cpop, a3, a0), unary(Op::clzw, a4, a0),
      unary(Op::ctzw, a5, a0), unary(Op::cpopw, a6, a0), kReturn}},
    {"bit_logic",
     "Zbb's logic, rotations and orders",
     {r(Op::andn, a2, a0, a1), r(Op::orn, a3, a0, a1), r(Op::xnor, a4, a0, a1), r(Op::rol, a5, a0, a1),
      r(Op::rorw, a6, a0, a1), shift(Op::rori, a7, a0, 12), unary(Op::rev8, t0, a0), unary(Op::orc_b, t1, a0),
      kReturn}},
    {"minimum_maximum",
     "Zbb's, and Zicond",
     {r(Op::min, a2, a0, a1), r(Op::minu, a3, a0, a1), r(Op::max, a4, a0, a1), r(Op::maxu, a5, a0, a1),
      r(Op::czero_eqz, a6, a0, a1), r(Op::czero_nez, a7, a0, a1), kReturn}},
    {"single_bits",
     "Zbs, by constants and registers",
     {r(Op::bset, a2, a0, a1), r(Op::bclr, a3, a0, a1), r(Op::binv, a4, a0, a1), r(Op::bext, a5, a0, a1),
      shift(Op::bseti, a6, a0, 40), shift(Op::bexti, a7, a0, 41), kReturn}},
    {"extended_words",
     "two shifts are an extension, through a register too; not where another instruction is between",
     {shift(Op::slli, a5, a4, 32), shift(Op::srli, a5, a5, 32), shift(Op::slli, a3, a3, 32),
      shift(Op::srli, a3, a3, 30), shift(Op::slli, a2, a4, 32), i(Op::addi, a2, a2, 1), shift(Op::srli, a2, a2, 32),
      kReturn}},
    {"far_addresses",
     "two gigabytes away, both ways",
     {encode_upper(Op::auipc, a0, 0x7ffff), encode_upper(Op::auipc, a1, -0x80000), kReturn}},
    {"loaded_constants",
     "constants go through registers",
     {encode_upper(Op::lui, a5, 0x12), i(Op::addi, a5, a5, 0x345), encode_upper(Op::auipc, a4, 1),
      i(Op::addi, a4, a4, 8), kReturn}},
    {"scaled_addresses",
     "Zba",
     {r(Op::sh1add, a2, a0, a1), r(Op::sh2add, a3, a0, a1), r(Op::sh3add, a4, a0, a1), r(Op::sh3add_uw, a5, a0, a1),
      shift(Op::slli_uw, a6, a0, 4), load(Op::ld, a7, 0, a4), kReturn}},

    // ---- floating point
    {"float_double",
     "arithmetic of the engine where flags and rounding allow it",
     {f(Op::fadd_d, 10, 11, 12), f(Op::fsub_d, 13, 10, 12), f(Op::fmul_d, 14, 13, 13), f(Op::fdiv_d, 15, 14, 10),
      f(Op::fsqrt_d, 16, 15), kReturn}},
    {"float_single",
     "operands must be boxed",
     {f(Op::fadd_s, 10, 11, 12), f(Op::fmul_s, 14, 10, 10), f(Op::fsqrt_s, 16, 14), kReturn}},
    {"float_fused",
     "with relaxed_madd, if the engine fuses it",
     {f(Op::fmadd_d, 10, 11, 12, 13), f(Op::fmsub_d, 10, 11, 12, 10), f(Op::fnmsub_d, 14, 11, 12, 13),
      f(Op::fnmadd_d, 15, 11, 12, 13), kReturn}},
    {"float_not_fused",
     "an engine that does not fuse: the full context's",
     {f(Op::fmadd_d, 10, 11, 12, 13), f(Op::fadd_d, 10, 10, 13), kReturn},
     {.fused_multiply_add = false}},
    {"float_convert",
     "from and to integers, and between widths",
     {f(Op::fcvt_d_w, 10, a0), f(Op::fcvt_d_wu, 11, a0), f(Op::fcvt_d_l, 12, a0), f(Op::fcvt_d_lu, 13, a0),
      f(Op::fcvt_w_d, a1, 10, 0, 0, rtz), f(Op::fcvt_l_d, a2, 11, 0, 0, rtz), f(Op::fcvt_s_d, 14, 12),
      f(Op::fcvt_d_s, 15, 14), f(Op::fcvt_l_d, a3, 11, 0, 0, rup), kReturn}},
    {"float_compare",
     "and a branch on the result",
     {f(Op::feq_d, a0, 10, 11), f(Op::flt_d, a1, 10, 11), f(Op::fle_d, zero, 10, 11), branch(Op::beq, a1, zero, 4),
      kReturn}},
    {"float_moves",
     "loads, stores, sign injection, moves of bits",
     {f_load(Op::fld, 10, 0, a0), f_load(Op::fld, 11, 8, a0), f_load(Op::flw, 12, 16, a0), f(Op::fsgnjn_d, 10, 10, 10),
      f(Op::fsgnj_d, 13, 10, 11), f(Op::fsgnjx_s, 12, 12, 12), f(Op::fmv_x_d, a1, 13), f(Op::fmv_w_x, 14, a1),
      f_store(Op::fsd, 10, 0, a0), f_store(Op::fsd, 13, 8, a0), f_store(Op::fsw, 12, 16, a0), kReturn}},

    // ---- the full context's, and the interpreter's
    {"amo",
     "read-modify-write; one without a destination",
     {encode_amo(Op::amoadd_d, a1, a0, a2), encode_amo(Op::amoor_w, zero, a0, a2),
      encode_amo(Op::amomaxu_w, a2, a0, a1), kReturn}},
    {"lr_sc",
     "a lock",
     {encode_amo(Op::lr_w, a1, a0, zero), branch(Op::bne, a1, zero, -4), encode_amo(Op::sc_w, a1, a0, a2),
      branch(Op::bne, a1, zero, -12), kReturn}},
    {"csr",
     "reads and writes; the tables of the TLB are read again behind them",
     {encode_csr(Op::csrrs, a0, kCsrStvec, zero), i(Op::ori, a0, a0, 2), encode_csr(Op::csrrw, zero, kCsrStvec, a0),
      encode_csr(Op::csrrc, a1, kCsrSstatus, a0), kReturn}},
    {"plain_csr",
     "a place in the state: swapped, read, with bits set and cleared",
     {encode_csr(Op::csrrw, tp, kCsrSscratch, tp), encode_csr(Op::csrrs, a0, kCsrScause, zero),
      encode_csr(Op::csrrs, a1, kCsrStval, a0), encode_csr(Op::csrrc, zero, kCsrSepc, a2), kReturn}},
    {"fence",
     "between a store and a load",
     {store(Op::sw, a1, 0, a0), info(Op::fence).match | 0x33u << 20, load(Op::lw, a2, 0, a3), kReturn}},
    {"ecall_exit",
     "the hart's: the region ends with it",
     {i(Op::addi, a7, zero, 93), i(Op::addi, a0, zero, 0), encode_plain(Op::ecall), kReturn}},
    {"supervisor_return",
     "behind a load: what has changed is the state's",
     {load(Op::ld, a0, 0, sp), encode_plain(Op::sret)}},
    {"illegal", "behind a branch", {branch(Op::bne, a0, zero, 8), 0xffffffff, i(Op::addi, a0, a0, 1), kReturn}},

    // ---- what is around the functions
    {"whole_module",
     "with all sections, and the functions that every module has",
     {call(8), kReturn, i(Op::addi, a0, a0, 1), kReturn},
     {.whole_module = true}},
};

// ---- from a program to its text

// Numbers far from each other and from anything that is in code.
Target target_of(const Program& program) {
  Target target;
  target.layout = {.x = 0x1000,
                   .f = 0x2000,
                   .budget = 0x3000,
                   .fp_ready = 0x3004,
                   .fp_fast = 0x3008,
                   .context = 0x300c,
                   .jump_cache = 0x3010,
                   .privilege = 0x301c,
                   .sscratch = 0x4000,
                   .sepc = 0x4008,
                   .scause = 0x4010,
                   .stval = 0x4018,
                   .read_table = 0x3014};
  target.ram_base = 0x0800'0000;
  target.ram_bytes = u64{64} << 20;
  target.branch_hints = true;
  target.group_accesses = program.setting.group_accesses;
  return target;
}

std::string state_name(const StateLayout& layout, u64 offset) {
  if (offset >= layout.x && offset < layout.x + 33 * 8 && (offset - layout.x) % 8 == 0)
    return format("x%llu", static_cast<unsigned long long>(offset - layout.x) / 8);
  if (offset >= layout.f && offset < layout.f + 32 * 8 && (offset - layout.f) % 8 == 0)
    return format("f%llu", static_cast<unsigned long long>(offset - layout.f) / 8);
  if (offset == layout.budget) return "budget";
  if (offset == layout.fp_ready) return "fp_ready";
  if (offset == layout.fp_fast) return "fp_fast";
  if (offset == layout.context) return "context";
  if (offset == layout.jump_cache) return "jump_cache";
  if (offset == layout.read_table) return "read_table";
  if (offset == layout.privilege) return "privilege";
  if (offset == layout.sscratch) return "sscratch";
  if (offset == layout.sepc) return "sepc";
  if (offset == layout.scause) return "scause";
  if (offset == layout.stval) return "stval";
  if (offset == layout.read_table + 4) return "write_table";
  return {};
}

// Locals of a function by what is loaded into them from the hart's state, or stored there, if that is one thing only.
std::map<u64, std::string> local_names(const std::string& text) {
  std::map<u64, std::string> names = {{0, "state"}, {1, "pc"}, {2, "read_table"}, {3, "write_table"}, {4, "depth"}};
  std::map<std::string, std::set<u64>> locals;
  std::map<u64, std::set<std::string>> found;
  const auto note = [&](u64 local, const std::string& name) {
    if (local < 5) return;
    found[local].insert(name);
    locals[name].insert(local);
  };
  const auto behind = [](const std::string& line, const char* start) -> std::string {
    const size_t length = std::strlen(start);
    return line.compare(0, length, start) == 0 ? line.substr(length) : std::string();
  };
  const auto state_offset = [](const std::string& line, const char* kind) -> std::string {
    const size_t at = line.find(" offset=");
    if (line.find(kind) == std::string::npos || at == std::string::npos) return {};
    const std::string name = line.substr(at + 8);
    return std::isalpha(static_cast<u8>(name[0])) && name.compare(0, 3, "ram") != 0 ? name : std::string();
  };
  std::istringstream lines(text);
  std::string before;
  for (std::string line; std::getline(lines, line);) {
    line.erase(0, line.find_first_not_of(' '));
    if (const std::string local = behind(line, "local.set ");
        !local.empty() && std::isdigit(static_cast<u8>(local[0]))) {
      if (const std::string name = state_offset(before, ".load"); !name.empty()) note(std::stoull(local), name);
    }
    if (const std::string local = behind(before, "local.get ");
        !local.empty() && std::isdigit(static_cast<u8>(local[0]))) {
      if (const std::string name = state_offset(line, ".store"); !name.empty()) note(std::stoull(local), name);
    }
    before = line;
  }
  for (const auto& [local, all] : found) {
    if (all.size() == 1 && locals[*all.begin()].size() == 1) names[local] = *all.begin();
  }
  return names;
}

std::string guest_text(const Program& program, const IsaOptions& isa) {
  std::string text;
  u32 at = program.setting.at;
  for (const u32 bits : program.code) {
    const unsigned length = instruction_length(static_cast<u16>(bits));
    std::string instruction = disassemble(bits, at, isa);
    std::replace(instruction.begin(), instruction.end(), '\t', ' ');
    text += format("%x: %0*x%*s  %s\n", at, static_cast<int>(2 * length), bits, static_cast<int>(8 - 2 * length), "",
                   instruction.c_str());
    at += length;
  }
  return text;
}

Window window_of(const Program& program) {
  std::vector<u8> bytes(kWindowBytes);
  Window window;
  window.executed_halfwords.assign(kWindowBytes / 128, ~u64{0});
  u32 at = program.setting.at;
  for (const u32 bits : program.code) {
    const unsigned length = instruction_length(static_cast<u16>(bits));
    for (unsigned k = 0; k < length; k++) bytes[at + k] = static_cast<u8>(bits >> (8 * k));
    at += length;
  }
  for (const u32 offset : program.setting.cold)
    window.executed_halfwords[offset / 128] &= ~(u64{1} << (offset / 2 % 64));
  for (u32 page = 0; page < kWindowPages; page++) {
    if (page == program.setting.missing_page) continue;
    window.pages[page] = page;
    window.copy_page(page, bytes.data() + page * kPageBytes);
  }
  return window;
}

std::string golden_text(const Program& program) {
  const IsaOptions isa;
  const Target target = target_of(program);
  CompilerOptions options;
  options.limits = program.setting.limits;
  options.lift.fused_multiply_add = program.setting.fused_multiply_add;
  const std::vector<Region> regions =
      gather_regions(window_of(program), {program.setting.at}, isa, options, program.setting.seen);
  std::string text = format("%s: %s\n\n== guest\n%s", program.name, program.about, guest_text(program, isa).c_str());
  text += "\n== operations\n";
  // Slots of instructions hold numbers of the instruction table, which grows.
  std::map<u64, std::string> slots;
  for (const Region& region : regions) {
    EXPECT_EQ(verify(region), "") << to_text(region);
    text += to_text(region);
    for (const Block& block : region.blocks) {
      for (const GuestInsn& guest : block.guest) {
        const Decoded decoded = decode(guest.bits, isa);
        slots[std::bit_cast<u64>(to_slot(decoded))] = format("{slot of %s}", info(decoded.op).mnemonic);
      }
    }
  }
  const EmittedModule module = lower(regions, 1024, target);

  constexpr const char* kImported[] = {"hw_jit_execute", "hw_jit_accesses", "hw_jit_system"};  // they come first
  constexpr u32 kImports = std::size(kImported);
  std::map<u64, std::string> locals;
  wasm::TextOptions shown;
  shown.immediate = [&](std::string_view instruction, u64 value) -> std::string {
    if (instruction.substr(0, 5) == "local") {
      const auto at = locals.find(value);
      return at == locals.end() ? std::string() : at->second;
    }
    // The imports, the regions in their order, and what each module has besides.
    if (instruction == "call") {
      if (value < kImports) return kImported[value];
      if (value - kImports < regions.size()) return format("region_%x", regions[value - kImports].entry);
      return format("helper_%llu", static_cast<unsigned long long>(value - kImports - regions.size()));
    }
    if (instruction == "i64.const") {
      const auto at = slots.find(value);
      return at == slots.end() ? std::string() : at->second;
    }
    if (instruction.find(".load") != std::string_view::npos || instruction.find(".store") != std::string_view::npos) {
      if (value == target.ram_base) return "ram";
      if (value > target.ram_base) return format("ram+%llu", static_cast<unsigned long long>(value - target.ram_base));
      return state_name(target.layout, value);
    }
    return {};
  };
  const auto print = [&](std::optional<u32> function) {
    shown.function = function;
    const Result<std::string> printed = wasm::to_text(module.bytes, shown);
    EXPECT_TRUE(printed.ok()) << printed.message();
    return printed.ok() ? *printed : std::string();
  };
  text += "\n== wasm\n";
  if (program.setting.whole_module) return text + print(std::nullopt);
  for (u32 number = kImports; number < kImports + regions.size(); number++) {
    locals.clear();
    locals = local_names(print(number));
    text += print(number);
  }
  return text;
}

// ---- files

std::string path_of(const std::string& name) { return format("%s/%s.txt", kFolder, name.c_str()); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool updates() {
  const char* value = std::getenv("HARTWOOD_UPDATE_GOLDEN");
  return value != nullptr && std::string_view(value) != "" && std::string_view(value) != "0";
}

class JitGolden : public ::testing::TestWithParam<Program> {};

TEST_P(JitGolden, IsAsInTheFile) {
  const Program& program = GetParam();
  const std::string text = golden_text(program);
  if (HasFailure()) return;
  const std::string path = path_of(program.name);
  if (updates()) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    ASSERT_TRUE(file) << "cannot write " << path;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << "no " << path << "; HARTWOOD_UPDATE_GOLDEN=1 makes it";
  std::stringstream wanted;
  wanted << file.rdbuf();
  if (wanted.str() == text) return;
  ADD_FAILURE() << path << ": - the file, + what the compiler makes now\n"
                << ::testing::internal::edit_distance::CreateUnifiedDiff(lines_of(wanted.str()), lines_of(text), 3)
                << "If that is meant: HARTWOOD_UPDATE_GOLDEN=1 "
                << "build/native/hartwood_tests --gtest_filter='*Golden*'";
}

INSTANTIATE_TEST_SUITE_P(Programs, JitGolden, ::testing::ValuesIn(kPrograms),
                         [](const auto& of) { return std::string(of.param.name); });

// Each program has a name of its own, and no file is left of one that is gone.
TEST(JitGoldenFiles, BelongToPrograms) {
  std::set<std::string> names;
  for (const Program& program : kPrograms) EXPECT_TRUE(names.insert(program.name).second) << program.name;
  std::error_code error;
  u32 files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, error)) {
    files++;
    if (names.contains(entry.path().stem().string())) continue;
    if (updates())
      std::filesystem::remove(entry.path(), error);
    else
      ADD_FAILURE() << entry.path() << " belongs to no program; HARTWOOD_UPDATE_GOLDEN=1 removes it";
  }
  EXPECT_FALSE(error) << error.message();
  if (!updates()) {
    EXPECT_EQ(files, names.size());
  }
}

}  // namespace
}  // namespace hartwood::jit
