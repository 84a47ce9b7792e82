// SPDX-License-Identifier: Apache-2.0
// Writes WebAssembly modules in the binary format. Functions are byte buffers that the caller fills with instructions;
// the encoder knows sections, indices and LEB128, nothing of what the code means. Used by one thread at a time.
//
// The order of calls: types, imports, then functions (whose indices follow the imports'), then finish().
// [wasm: Binary Format; branch hints: the proposal's section "Code Metadata"]
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace hartwood::wasm {

enum class Type : u8 { i32 = 0x7f, i64 = 0x7e, f32 = 0x7d, f64 = 0x7c, v128 = 0x7b };
inline constexpr u8 kNoResult = 0x40;

// Opcodes, by the names of the text format.
namespace op {
enum : u8 {
  kUnreachable = 0x00,
  kBlock = 0x02,
  kLoop = 0x03,
  kIf = 0x04,
  kElse = 0x05,
  kEnd = 0x0b,
  kBr = 0x0c,
  kBrIf = 0x0d,
  kBrTable = 0x0e,
  kReturn = 0x0f,
  kCall = 0x10,
  kCallIndirect = 0x11,
  kDrop = 0x1a,
  kSelect = 0x1b,
  kLocalGet = 0x20,
  kLocalSet = 0x21,
  kLocalTee = 0x22,
  kI32Load = 0x28,
  kI64Load = 0x29,
  kF32Load = 0x2a,
  kF64Load = 0x2b,
  kI32Load8U = 0x2d,
  kI32Load16U = 0x2f,
  kI64Load8S = 0x30,
  kI64Load8U = 0x31,
  kI64Load16S = 0x32,
  kI64Load16U = 0x33,
  kI64Load32S = 0x34,
  kI64Load32U = 0x35,
  kI32Store = 0x36,
  kI64Store = 0x37,
  kF32Store = 0x38,
  kF64Store = 0x39,
  kI32Store8 = 0x3a,
  kI32Store16 = 0x3b,
  kI64Store8 = 0x3c,
  kI64Store16 = 0x3d,
  kI64Store32 = 0x3e,
  kI32Const = 0x41,
  kI64Const = 0x42,
  kF64Const = 0x44,
  kI32Eqz = 0x45,
  kI32Eq = 0x46,
  kI32Ne = 0x47,
  kI32LtS = 0x48,
  kI32LtU = 0x49,
  kI32GtU = 0x4b,
  kI32LeU = 0x4d,
  kI32GeU = 0x4f,
  kI64Eqz = 0x50,
  kI64Eq = 0x51,
  kI64Ne = 0x52,
  kI64LtS = 0x53,
  kI64LtU = 0x54,
  kI64GeS = 0x59,
  kI64GeU = 0x5a,
  kF32Eq = 0x5b,
  kF32Ne = 0x5c,
  kF32Lt = 0x5d,
  kF32Le = 0x5f,
  kF64Eq = 0x61,
  kF64Ne = 0x62,
  kF64Lt = 0x63,
  kF64Le = 0x65,
  kI32Add = 0x6a,
  kI32Sub = 0x6b,
  kI32Mul = 0x6c,
  kI32And = 0x71,
  kI32Or = 0x72,
  kI32Xor = 0x73,
  kI32Shl = 0x74,
  kI32ShrS = 0x75,
  kI32ShrU = 0x76,
  kI32Rotl = 0x77,
  kI32Rotr = 0x78,
  kI64Clz = 0x79,
  kI64Ctz = 0x7a,
  kI64Popcnt = 0x7b,
  kI64Add = 0x7c,
  kI64Sub = 0x7d,
  kI64Mul = 0x7e,
  kI64DivS = 0x7f,
  kI64DivU = 0x80,
  kI64RemS = 0x81,
  kI64RemU = 0x82,
  kI64And = 0x83,
  kI64Or = 0x84,
  kI64Xor = 0x85,
  kI64Shl = 0x86,
  kI64ShrS = 0x87,
  kI64ShrU = 0x88,
  kI64Rotl = 0x89,
  kI64Rotr = 0x8a,
  kF32Sqrt = 0x91,
  kF32Add = 0x92,
  kF32Sub = 0x93,
  kF32Mul = 0x94,
  kF32Div = 0x95,
  kF64Abs = 0x99,
  kF64Neg = 0x9a,
  kF64Sqrt = 0x9f,
  kF64Add = 0xa0,
  kF64Sub = 0xa1,
  kF64Mul = 0xa2,
  kF64Div = 0xa3,
  kI32WrapI64 = 0xa7,
  kI64ExtendI32S = 0xac,
  kI64ExtendI32U = 0xad,
  kF64ConvertI32S = 0xb7,
  kF64ConvertI32U = 0xb8,
  kF64ConvertI64S = 0xb9,
  kF64ConvertI64U = 0xba,
  kF32DemoteF64 = 0xb6,
  kF64PromoteF32 = 0xbb,
  kI32ReinterpretF32 = 0xbc,
  kI64ReinterpretF64 = 0xbd,
  kF32ReinterpretI32 = 0xbe,
  kF64ReinterpretI64 = 0xbf,
  kI64Extend8S = 0xc2,
  kI64Extend16S = 0xc3,
  kMiscPrefix = 0xfc,
  kSimdPrefix = 0xfd,
  kAtomicPrefix = 0xfe,
};
// After kMiscPrefix, kSimdPrefix, kAtomicPrefix, as LEB128.
enum : u32 {
  kI64TruncSatF64S = 6,
  kF64x2Splat = 0x14,
  kF64x2ExtractLane = 0x21,
  kF64x2RelaxedMadd = 0x107,
  kF64x2RelaxedNmadd = 0x108,
  kAtomicFence = 0x03,
  kI32AtomicLoad = 0x10,
  kI64AtomicLoad = 0x11,
  kI32AtomicRmwAdd = 0x1e,
  kI64AtomicRmwAdd = 0x1f,
  kI32AtomicRmwAnd = 0x2c,
  kI64AtomicRmwAnd = 0x2d,
  kI32AtomicRmwOr = 0x33,
  kI64AtomicRmwOr = 0x34,
  kI32AtomicRmwXor = 0x3a,
  kI64AtomicRmwXor = 0x3b,
  kI32AtomicRmwXchg = 0x41,
  kI64AtomicRmwXchg = 0x42,
  kI32AtomicRmwCmpxchg = 0x48,
  kI64AtomicRmwCmpxchg = 0x49,
};
}  // namespace op

// Appends encoded items to a byte vector.
class Bytes {
 public:
  void byte(u8 value) { data_.push_back(value); }
  void unsigned_leb(u64 value);
  void signed_leb(i64 value);
  void u64_le(u64 value);
  void name(std::string_view text);
  void append(const Bytes& other) { data_.insert(data_.end(), other.data_.begin(), other.data_.end()); }
  void vector(const Bytes& other);  // its length, then its bytes
  size_t size() const { return data_.size(); }
  const std::vector<u8>& data() const { return data_; }
  std::vector<u8> take() { return std::move(data_); }

 private:
  std::vector<u8> data_;
};

// The body of one function.
class Code {
 public:
  explicit Code(u32 parameters) : locals_(parameters) {}

  u32 add_local(Type type) {
    local_types_.push_back(type);
    return locals_++;
  }
  void op(u8 opcode) { body_.byte(opcode); }
  void prefixed(u8 prefix, u32 opcode) {
    body_.byte(prefix);
    body_.unsigned_leb(opcode);
  }
  void index(u8 opcode, u32 value) {
    body_.byte(opcode);
    body_.unsigned_leb(value);
  }
  void get(u32 local) { index(op::kLocalGet, local); }
  void set(u32 local) { index(op::kLocalSet, local); }
  void tee(u32 local) { index(op::kLocalTee, local); }
  void i32(i32 value) {
    body_.byte(op::kI32Const);
    body_.signed_leb(value);
  }
  void i64(i64 value) {
    body_.byte(op::kI64Const);
    body_.signed_leb(value);
  }
  void f64(double value);
  // `align`: log2 of the access's size at most.
  void memory(u8 opcode, u32 align, u64 offset) {
    body_.byte(opcode);
    body_.unsigned_leb(align);
    body_.unsigned_leb(offset);
  }
  void atomic(u32 opcode, u32 align, u64 offset) {
    prefixed(op::kAtomicPrefix, opcode);
    body_.unsigned_leb(align);
    body_.unsigned_leb(offset);
  }
  // Structured control. Labels are depths: the value of depth() when the construct was opened names it.
  u32 open(u8 opcode, u8 result = kNoResult) {
    body_.byte(opcode);
    body_.byte(result);
    return ++depth_;
  }
  void otherwise() { body_.byte(op::kElse); }
  void close() {
    body_.byte(op::kEnd);
    depth_--;
  }
  u32 depth() const { return depth_; }
  void br(u32 label) { index(op::kBr, depth_ - label); }
  void br_if(u32 label) { index(op::kBrIf, depth_ - label); }
  u32 distance(u32 label) const { return depth_ - label; }
  void leb(u64 value) { body_.unsigned_leb(value); }
  // For the next `if` or `br_if`: whether its condition is expected to hold. Call right before it.
  void hint(bool likely) { hints_.push_back({static_cast<u32>(body_.size()), likely}); }

  size_t size() const { return body_.size(); }
  u32 local_count() const { return locals_; }

 private:
  friend class Module;
  struct Hint {
    u32 at;  // in the instructions
    bool likely;
  };
  u32 locals_;
  std::vector<Type> local_types_;
  Bytes body_;
  std::vector<Hint> hints_;
  u32 depth_ = 0;
};

class Module {
 public:
  u32 add_type(const std::vector<Type>& parameters, const std::vector<Type>& results);
  void import_memory(std::string_view module, std::string_view name, u32 pages, u32 max_pages, bool shared);
  void import_table(std::string_view module, std::string_view name);
  u32 import_function(std::string_view module, std::string_view name, u32 type);
  // The index of a function whose body is set later.
  u32 declare_function(u32 type);
  void set_body(u32 function, Code&& code);
  void export_function(std::string_view name, u32 function);
  // Puts functions into table 0 from `slot` on when the module is instantiated.
  void add_elements(u32 slot, const std::vector<u32>& functions);
  void use_branch_hints(bool on) { hints_ = on; }

  std::vector<u8> finish();

 private:
  struct Function {
    u32 type;
    std::vector<u8> body;  // local declarations and instructions
    std::vector<Code::Hint> hints;
  };
  void section(Bytes& out, u8 id, const Bytes& content);
  std::vector<Bytes> types_;
  Bytes imports_;
  u32 import_count_ = 0;
  u32 imported_functions_ = 0;
  std::vector<Function> functions_;
  Bytes exports_;
  u32 export_count_ = 0;
  Bytes elements_;
  u32 element_count_ = 0;
  bool hints_ = true;
};

}  // namespace hartwood::wasm
