// SPDX-License-Identifier: Apache-2.0
// Names of registers and extensions: ABI names of x and f registers, CSR names, extensions as ISA strings
// spell them. Constant data; any thread.
#include <algorithm>
#include <iterator>
#include <string_view>

#include "isa/csr_names.h"
#include "isa/isa.h"

namespace hartwood {
namespace {

struct CsrName {
  u16 number;
  const char* name;
};
constexpr CsrName kCsrNames[] = {
#define CSR(number, name) {number, #name},
#include "isa/csr_names.inc"
#undef CSR
};
constexpr bool by_number(const CsrName& a, const CsrName& b) { return a.number < b.number; }
static_assert(std::is_sorted(std::begin(kCsrNames), std::end(kCsrNames), by_number), "csr_name searches by halving");

constexpr const char* kExtensionNames[] = {
    "i",   "m",   "a",      "f",     "d",     "c",   "s",   "zicsr",  "zifencei", "zba",    "zbb",
    "zbc", "zbs", "zicond", "zacas", "zawrs", "zfa", "zfh", "zfhmin", "zicbom",   "zicboz", "svinval",
};
static_assert(std::size(kExtensionNames) == static_cast<size_t>(Extension::count));

}  // namespace

const char* const kXNames[32] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                 "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                 "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
const char* const kFNames[32] = {"ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1", "fa0",
                                 "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4", "fs5",
                                 "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

const char* extension_name(Extension extension) {
  return extension < Extension::count ? kExtensionNames[static_cast<u32>(extension)] : "?";
}

const char* csr_name(u32 number) {
  if (number > 0xfff) return nullptr;
  const CsrName wanted{static_cast<u16>(number), nullptr};
  const CsrName* row = std::lower_bound(std::begin(kCsrNames), std::end(kCsrNames), wanted, by_number);
  return row != std::end(kCsrNames) && row->number == number ? row->name : nullptr;
}

int csr_number(std::string_view name) {
  for (const CsrName& row : kCsrNames) {
    if (name == row.name) return row.number;
  }
  return -1;
}

}  // namespace hartwood
