// SPDX-License-Identifier: Apache-2.0
// The intermediate representation of a region of guest code.
//
// A region is a graph of blocks. A block holds operations in the order of guest instructions; a value is named by the
// index of the operation that makes it and is used in its own block only. Between blocks state lives in guest
// registers, which get_x and set_x read and write: in the emitted code each is a local, and the engine's own compiler
// turns them into values. So there are no phis here, and a pass looks at one block at a time.
//
// Every operation says which guest instruction it belongs to. An operation with the effect `exit` may leave the region
// with that instruction not executed; nothing of that instruction may have been written before it, which the verifier
// checks. A block ends with a terminator, which belongs to the last instruction.
//
// Addresses are offsets in the region's window: the pages around its entry, contiguous in the guest's virtual
// addresses.
#pragma once

#include <string>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace hartwood::jit {

enum class Ir : u8 {
#define IROP(name, result, operands, effect) name,
#include "jit/ir_ops.inc"
#undef IROP
};
enum class IrType : u8 { none, I, C };
enum class IrEffect : u8 { pure, read, write, exit, pure_effect };

struct IrInfo {
  const char* name;
  IrType result;
  const char* operands;
  IrEffect effect;
};
const IrInfo& info(Ir op);

inline constexpr u32 kNoValue = ~u32{0};

// Arithmetic on floating registers that is compiled inline where flags and rounding allow it.
enum class FpKind : u8 {
  add,
  sub,
  mul,
  div,
  sqrt,
  madd,
  msub,
  nmsub,
  nmadd,
  from_i32,
  from_u32,
  from_i64,
  from_u64,
  to_i32,
  to_i64,
  eq,
  lt,
  le,
  to_double,
  to_single
};

// What fp_arith packs into `imm`.
struct FpArith {
  FpKind kind;
  bool is_double;
  u8 rd, rs1, rs2, rs3;
  i64 pack() const {
    return static_cast<i64>(u64{static_cast<u8>(kind)} | u64{is_double} << 8 | u64{rd} << 16 | u64{rs1} << 24 |
                            u64{rs2} << 32 | u64{rs3} << 40);
  }
  static FpArith unpack(i64 imm) {
    const u64 v = static_cast<u64>(imm);
    return {static_cast<FpKind>(v & 0xff), (v >> 8 & 1) != 0,        static_cast<u8>(v >> 16),
            static_cast<u8>(v >> 24),      static_cast<u8>(v >> 32), static_cast<u8>(v >> 40)};
  }
  bool writes_x() const { return kind >= FpKind::to_i32 && kind <= FpKind::le; }
  bool reads_x() const { return kind >= FpKind::from_i32 && kind <= FpKind::from_u64; }
  // How many of rs1, rs2 and rs3 it reads.
  u32 sources() const;
};

struct Inst {
  Ir op = Ir::constant;
  u8 reg = 0;   // guest register
  u8 size = 0;  // of a memory access, bytes
  bool is_signed = false;
  u16 guest = 0;  // index of the guest instruction in its block
  u32 a = kNoValue, b = kNoValue, c = kNoValue;
  i64 imm = 0;
};

// What leaves the block. `value` is an operand in the block.
enum class Exit : u8 {
  jump,        // to taken
  branch,      // value ? taken : next
  call,        // of the code at `target` (window offset); it returns to `next`
  call_value,  // of the code at the address `value`
  go,          // to the code at `target`, outside of the region
  go_value,    // to the code at the address `value`
  ret,         // as go_value, by a return: the caller is expected there, or `next` if it is a block
  system,      // the block's last instruction is the hart's: it traps, returns from a trap, fences or sleeps
  interpret,   // the instruction at `target` is the interpreter's
};

inline constexpr u32 kNoBlock = ~u32{0};

struct Terminator {
  Exit kind = Exit::interpret;
  u32 value = kNoValue;
  u32 taken = kNoBlock, next = kNoBlock;  // blocks
  i32 target = 0;                         // window offset; may be outside of it
  std::vector<u32> cases;                 // go_value, call_value: blocks that it was seen to go to
  bool cold = false;                      // go: control was never seen to go there
};

struct GuestInsn {
  i32 offset;  // in the window
  u32 bits;    // 16 or 32
  u8 length;
  u16 op;  // isa Op
};

struct Block {
  i32 offset = 0;  // of its first instruction; outside of the window: a block of none, which leaves
  std::vector<GuestInsn> guest;
  std::vector<Inst> code;
  Terminator end;
  u32 count() const { return static_cast<u32>(guest.size()); }
};

struct Region {
  u32 entry = 0;              // window offset of blocks[0]
  std::vector<Block> blocks;  // blocks[0] is the entry
  std::vector<u32> ways_in;   // other blocks where control may enter from outside, by their numbers
  u32 instructions() const {
    u32 sum = 0;
    for (const Block& block : blocks) sum += block.count();
    return sum;
  }
};

inline bool calls(const Block& block) { return block.end.kind == Exit::call || block.end.kind == Exit::call_value; }

// Blocks that `block` may go to inside the region.
std::vector<u32> successors(const Block& block);

// Readable form, for tests and for people.
std::string to_text(const Region& region);
std::string to_text(const Block& block);
// What is wrong with it, or an empty text.
std::string verify(const Region& region);

// Appends operations to a block, simplifying what constants decide, also those that went through a register.
class Builder {
 public:
  explicit Builder(Block& block, bool fold = true) : block_(block), fold_(fold) {
    for (u32& value : known_) value = kNoValue;
  }
  void set_guest(u16 index) { guest_ = index; }
  u32 emit(Inst inst) {
    inst.guest = guest_;
    block_.code.push_back(inst);
    return static_cast<u32>(block_.code.size() - 1);
  }
  u32 constant(i64 value) { return emit({.op = Ir::constant, .imm = value}); }
  u32 code_address(i64 offset) { return emit({.op = Ir::code_address, .imm = offset}); }
  u32 unary(Ir op, u32 a) { return emit({.op = op, .a = a}); }
  u32 binary(Ir op, u32 a, u32 b);
  u32 get_x(u32 reg);
  void set_x(u32 reg, u32 value);
  // The block does not know what is in the register from now on.
  void forget_x(u32 reg) { known_[reg] = kNoValue; }
  const Inst& at(u32 value) const { return block_.code[value]; }
  bool is_constant(u32 value, i64* out = nullptr) const {
    if (at(value).op != Ir::constant) return false;
    if (out != nullptr) *out = at(value).imm;
    return true;
  }

 private:
  // What the block has put into the register that `value` was read from, or `value`.
  const Inst& behind(u32 value) const;

  Block& block_;
  bool fold_;
  u16 guest_ = 0;
  u32 known_[32];
};

}  // namespace hartwood::jit
