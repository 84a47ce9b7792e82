// SPDX-License-Identifier: Apache-2.0
// [sbi: Base Extension]. Every function of it always succeeds.
#include "base/bits.h"
#include "sbi/extension.h"

namespace hartwood {
namespace {

constexpr u64 kSpecification = u64{2} << 24;  // 2.0: major in bits 30..24, minor below
// Not in the specification's list of implementation numbers, which has no entry for this machine: "HW" in
// ASCII, far above the numbers that are given out in order. Software treats an unknown number as having no
// quirks.
constexpr u64 kImplementation = 0x4857;
constexpr u64 kImplementationVersion = 1;  // 0.1: major in bits 31..16, minor below

bool available(u64 id) { return id == sext32(id) && find_sbi_extension(static_cast<u32>(id)) != nullptr; }

}  // namespace

SbiAnswer sbi_base(const SbiCall& call) {
  switch (call.function()) {
    case 0:  // get_spec_version
      return SbiAnswer::of(kSpecification);
    case 1:  // get_impl_id
      return SbiAnswer::of(kImplementation);
    case 2:  // get_impl_version
      return SbiAnswer::of(kImplementationVersion);
    case 3:  // probe_extension
      return SbiAnswer::of(available(call.argument(0)) ? 1 : 0);
    case 4:  // get_mvendorid, get_marchid, get_mimpid: zero, as the CSRs read
    case 5:
    case 6: return SbiAnswer::of(0);
    default: return SbiError::not_supported;
  }
}

}  // namespace hartwood
