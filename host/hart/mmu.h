// SPDX-License-Identifier: Apache-2.0
// Address translation and protection: the page-table walk of Sv39, Sv48 and Sv57 with Svadu, Svnapot and Svpbmt, and
// PMP. Pure with respect to the hart: it reads the state it is given and writes only A and D bits into guest memory.
#pragma once

#include "hart/state.h"
#include "hart/trap.h"
#include "memory/guest_memory.h"

namespace hartwood {

struct Translation {
  Pa pa{};
  u64 region_bytes = kPageBytes;  // size of the leaf that maps it
  bool user = false;              // the leaf's U
  bool global = false;            // the same for all values of satp; false where satp translates nothing
  bool writable = false;          // a store by the same context would succeed without a change of the PTE
};

// The mode that a load or store runs in: MPP's under MPRV [priv: Memory Privilege in mstatus Register].
Privilege effective_privilege(const HartState& state, Access access);

// True if `privilege` addresses memory through satp.
inline bool translates(const HartState& state, Privilege privilege) {
  return privilege != Privilege::machine && (state.satp >> 60) != 0;
}

// Translates one byte's address and checks permissions and PMP for [pa, pa + size), which lies in one page. Sets A and
// D where the hart does that itself. False: `trap` holds the fault. [priv: Virtual Address Translation Process]
bool translate(const HartState& state, GuestMemory& memory, u64 va, unsigned size, Access access, Privilege privilege,
               Translation& out, Trap& trap);

// [priv: Physical Memory Protection]. `uniform` (may be null) is set if the answer is the same for the whole 4 KiB
// page.
bool pmp_allows(const HartState& state, Pa pa, unsigned size, Access access, Privilege privilege, bool* uniform);

Cause page_fault(Access access);
Cause access_fault(Access access);

}  // namespace hartwood
