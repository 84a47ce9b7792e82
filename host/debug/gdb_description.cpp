// SPDX-License-Identifier: Apache-2.0
#include "debug/gdb_description.h"

#include "hart/csr.h"
#include "isa/csr_names.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

void add_register(std::string& xml, const char* name, u32 number, const char* type) {
  xml += format("<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>\n", name, 8 * kGdbRegisterBytes, type,
                number);
}

bool is_pointer_to_code(u32 x) { return x == 1; }
bool is_pointer_to_data(u32 x) { return x == 2 || x == 3 || x == 4 || x == 8; }

// gdb wants these beside the f registers, not among the other CSRs.
bool belongs_to_fpu(u32 csr) { return csr == kCsrFflags || csr == kCsrFrm || csr == kCsrFcsr; }

}  // namespace

GdbRegister gdb_register(u32 number) {
  if (number < kGdbPc) return {GdbRegister::x, number};
  if (number == kGdbPc) return {GdbRegister::pc, 0};
  if (number < kGdbFirstCsr) return {GdbRegister::f, number - kGdbFirstF};
  if (number < kGdbPrivilege) return {GdbRegister::csr, number - kGdbFirstCsr};
  return {GdbRegister::privilege, 0};
}

std::string gdb_target_xml(const GdbTarget& target) {
  std::string xml =
      "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
      "<architecture>riscv:rv64</architecture>\n<feature name=\"org.gnu.gdb.riscv.cpu\">\n";
  for (u32 x = 0; x < 32; x++)
    add_register(xml, kXNames[x], x, is_pointer_to_code(x) ? "code_ptr" : is_pointer_to_data(x) ? "data_ptr" : "int");
  add_register(xml, "pc", kGdbPc, "code_ptr");
  xml +=
      "</feature>\n<feature name=\"org.gnu.gdb.riscv.fpu\">\n<union id=\"riscv_double\">"
      "<field name=\"float\" type=\"ieee_single\"/><field name=\"double\" type=\"ieee_double\"/></union>\n";
  for (u32 f = 0; f < 32; f++) add_register(xml, kFNames[f], kGdbFirstF + f, "riscv_double");
  for (const u32 csr : {kCsrFflags, kCsrFrm, kCsrFcsr}) add_register(xml, csr_name(csr), kGdbFirstCsr + csr, "int");
  xml += "</feature>\n<feature name=\"org.gnu.gdb.riscv.csr\">\n";
  for (u32 csr = 0; csr <= 0xfff; csr++) {
    if (belongs_to_fpu(csr) || !target.has_csr(csr)) continue;
    const char* name = csr_name(csr);
    if (name != nullptr) add_register(xml, name, kGdbFirstCsr + csr, "int");
  }
  xml += "</feature>\n<feature name=\"org.gnu.gdb.riscv.virtual\">\n";
  add_register(xml, "priv", kGdbPrivilege, "int");
  return xml + "</feature>\n</target>\n";
}

// gdb refuses to touch what a memory map does not have, and it is virtual addresses that it asks for: all may be
// memory. A length of 2^64 cannot be written, two halves can.
std::string gdb_memory_map_xml() {
  return "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
         "\"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n<memory-map>\n"
         "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>\n"
         "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>\n</memory-map>\n";
}

std::string gdb_threads_xml(GdbTarget& target) {
  std::string xml = "<?xml version=\"1.0\"?>\n<threads>\n";
  for (u32 hart = 0; hart < target.hart_count(); hart++) {
    xml += format("<thread id=\"%x\" core=\"%u\" name=\"hart %u\">", hart + 1, hart, hart);
    xml += xml_text(target.hart_description(hart)) + "</thread>\n";
  }
  return xml + "</threads>\n";
}

std::string xml_text(std::string_view text) {
  std::string xml;
  for (const char c : text) {
    if (c == '<') {
      xml += "&lt;";
    } else if (c == '>') {
      xml += "&gt;";
    } else if (c == '&') {
      xml += "&amp;";
    } else if (c == '"') {
      xml += "&quot;";
    } else if (static_cast<u8>(c) < 0x20 || static_cast<u8>(c) > 0x7e) {
      xml += '?';
    } else {
      xml += c;
    }
  }
  return xml;
}

}  // namespace hartwood
