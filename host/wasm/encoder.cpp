// SPDX-License-Identifier: Apache-2.0
#include "wasm/encoder.h"

#include <bit>

#include "base/check.h"

namespace hartwood::wasm {

void Bytes::unsigned_leb(u64 value) {
  do {
    const u8 low = value & 0x7f;
    value >>= 7;
    data_.push_back(static_cast<u8>(low | (value != 0 ? 0x80 : 0)));
  } while (value != 0);
}

void Bytes::signed_leb(i64 value) {
  for (;;) {
    const u8 low = value & 0x7f;
    value >>= 7;
    const bool last = (value == 0 && !(low & 0x40)) || (value == -1 && (low & 0x40));
    data_.push_back(static_cast<u8>(low | (last ? 0 : 0x80)));
    if (last) return;
  }
}

void Bytes::u64_le(u64 value) {
  for (unsigned i = 0; i < 8; i++) data_.push_back(static_cast<u8>(value >> (8 * i)));
}

void Bytes::name(std::string_view text) {
  unsigned_leb(text.size());
  data_.insert(data_.end(), text.begin(), text.end());
}

void Bytes::vector(const Bytes& other) {
  unsigned_leb(other.size());
  append(other);
}

void Code::f64(double value) {
  body_.byte(op::kF64Const);
  body_.u64_le(std::bit_cast<u64>(value));
}

u32 Module::add_type(const std::vector<Type>& parameters, const std::vector<Type>& results) {
  Bytes type;
  type.byte(0x60);
  type.unsigned_leb(parameters.size());
  for (const Type t : parameters) type.byte(static_cast<u8>(t));
  type.unsigned_leb(results.size());
  for (const Type t : results) type.byte(static_cast<u8>(t));
  for (u32 i = 0; i < types_.size(); i++) {
    if (types_[i].data() == type.data()) return i;
  }
  types_.push_back(std::move(type));
  return static_cast<u32>(types_.size() - 1);
}

void Module::import_memory(std::string_view module, std::string_view name, u32 pages, u32 max_pages, bool shared) {
  imports_.name(module);
  imports_.name(name);
  imports_.byte(2);
  imports_.byte(shared ? 3 : 1);
  imports_.unsigned_leb(pages);
  imports_.unsigned_leb(max_pages);
  import_count_++;
}

void Module::import_table(std::string_view module, std::string_view name) {
  imports_.name(module);
  imports_.name(name);
  imports_.byte(1);
  imports_.byte(0x70);
  imports_.byte(0);
  imports_.unsigned_leb(0);
  import_count_++;
}

u32 Module::import_function(std::string_view module, std::string_view name, u32 type) {
  HW_CHECK(functions_.empty(), "imports come before functions");
  imports_.name(module);
  imports_.name(name);
  imports_.byte(0);
  imports_.unsigned_leb(type);
  import_count_++;
  return imported_functions_++;
}

u32 Module::declare_function(u32 type) {
  functions_.push_back({type, {}, {}});
  return imported_functions_ + static_cast<u32>(functions_.size() - 1);
}

void Module::set_body(u32 function, Code&& code) {
  HW_CHECK(code.depth_ == 0, "unclosed construct");
  Bytes body;
  // Runs of equal types.
  std::vector<std::pair<u32, Type>> runs;
  for (const Type type : code.local_types_) {
    if (runs.empty() || runs.back().second != type)
      runs.push_back({1, type});
    else
      runs.back().first++;
  }
  body.unsigned_leb(runs.size());
  for (const auto& [count, type] : runs) {
    body.unsigned_leb(count);
    body.byte(static_cast<u8>(type));
  }
  // A hint's place counts from the start of the local declarations.
  const u32 declarations = static_cast<u32>(body.size());
  for (Code::Hint& hint : code.hints_) hint.at += declarations;
  body.append(code.body_);
  body.byte(op::kEnd);
  Function& to = functions_[function - imported_functions_];
  to.body = body.take();
  to.hints = std::move(code.hints_);
}

void Module::export_function(std::string_view name, u32 function) {
  exports_.name(name);
  exports_.byte(0);
  exports_.unsigned_leb(function);
  export_count_++;
}

void Module::add_elements(u32 slot, const std::vector<u32>& functions) {
  elements_.unsigned_leb(0);
  elements_.byte(op::kI32Const);
  elements_.signed_leb(static_cast<i32>(slot));
  elements_.byte(op::kEnd);
  elements_.unsigned_leb(functions.size());
  for (const u32 function : functions) elements_.unsigned_leb(function);
  element_count_++;
}

void Module::section(Bytes& out, u8 id, const Bytes& content) {
  out.byte(id);
  out.vector(content);
}

std::vector<u8> Module::finish() {
  Bytes out;
  for (const u8 byte : {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00}) out.byte(byte);

  Bytes types;
  types.unsigned_leb(types_.size());
  for (const Bytes& type : types_) types.append(type);
  section(out, 1, types);

  if (import_count_ != 0) {
    Bytes imports;
    imports.unsigned_leb(import_count_);
    imports.append(imports_);
    section(out, 2, imports);
  }

  Bytes functions;
  functions.unsigned_leb(functions_.size());
  for (const Function& function : functions_) functions.unsigned_leb(function.type);
  section(out, 3, functions);

  if (export_count_ != 0) {
    Bytes exports;
    exports.unsigned_leb(export_count_);
    exports.append(exports_);
    section(out, 7, exports);
  }
  if (element_count_ != 0) {
    Bytes elements;
    elements.unsigned_leb(element_count_);
    elements.append(elements_);
    section(out, 9, elements);
  }

  u32 hinted = 0;
  for (const Function& function : functions_) hinted += !function.hints.empty();
  if (hints_ && hinted != 0) {
    Bytes hints;
    hints.name("metadata.code.branch_hint");
    hints.unsigned_leb(hinted);
    for (u32 i = 0; i < functions_.size(); i++) {
      if (functions_[i].hints.empty()) continue;
      hints.unsigned_leb(imported_functions_ + i);
      hints.unsigned_leb(functions_[i].hints.size());
      for (const Code::Hint& hint : functions_[i].hints) {
        hints.unsigned_leb(hint.at);
        hints.unsigned_leb(1);
        hints.byte(hint.likely ? 1 : 0);
      }
    }
    section(out, 0, hints);
  }

  Bytes code;
  code.unsigned_leb(functions_.size());
  for (const Function& function : functions_) {
    code.unsigned_leb(function.body.size());
    for (const u8 byte : function.body) code.byte(byte);
  }
  section(out, 10, code);
  return out.take();
}

}  // namespace hartwood::wasm
