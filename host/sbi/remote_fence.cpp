// SPDX-License-Identifier: Apache-2.0
// [sbi: RFENCE Extension]. Returns when all the harts of the list have fenced, or will before they run again.
// The functions for guests of a hypervisor do not exist, as H does not.
#include "sbi/extension.h"

namespace hartwood {
namespace {

// Fills in the addresses of arguments 2 (start) and 3 (size in bytes). False: they run over the end of the
// address space.
bool address_range(const SbiCall& call, FenceRequest& request) {
  const u64 start = call.argument(2), size = call.argument(3);
  if (size == ~u64{0} || (start == 0 && size == 0)) return true;  // everything, as `request` says already
  if (size != 0 && start + (size - 1) < start) return false;
  request.start = start;
  request.size = size;
  return true;
}

}  // namespace

SbiAnswer sbi_remote_fence(const SbiCall& call) {
  constexpr u64 kAsidMask = 0xffff;  // satp.ASID has 16 bits
  FenceRequest request;
  switch (call.function()) {
    case 0:  // remote_fence_i
      request.kinds = kFenceCode;
      break;
    case 2:  // remote_sfence_vma_asid
      request.by_asid = true;
      request.asid = call.argument(4) & kAsidMask;
      [[fallthrough]];
    case 1:  // remote_sfence_vma
      request.kinds = kFenceTlb;
      if (!address_range(call, request)) return SbiError::invalid_address;
      break;
    default: return SbiError::not_supported;
  }
  u64 harts;
  if (!call.hart_list(harts)) return SbiError::invalid_param;
  if (request.size == 0) return SbiError::success;  // no address
  call.hart.fence_others(harts, request);
  return SbiError::success;
}

}  // namespace hartwood
