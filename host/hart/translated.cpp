// SPDX-License-Identifier: Apache-2.0
// Compiled code beside the interpreter: how a hart enters it, what it tells those who make it, and what it does for it.
#include <cstring>

#include "hart/eval.h"
#include "hart/hart.h"
#include "isa/fp/format.h"
#include "isa/plain_access.h"

namespace hartwood {

void Hart::use_translated(TranslatedCode* code, u8 visits) {
  translated_ = code;
  visits_ = visits;
  std::memset(heat_, visits, sizeof heat_);
  hot_.reset();
  if (visits == 1) hot_.set();
}

void Hart::refresh_fp_window() {
  window_.fp_ready = (state_.mstatus & mstatus::kFs) == mstatus::kFs && state_.frm == 0;
  window_.fp_fast = window_.fp_ready != 0 && (state_.fflags & fp::kNX) != 0;
}

u64 Hart::code_page(u64 va) {
  const FetchEntry& entry = fetch_entry(va);
  if (entry.tag == ((va & ~kPageMask) | fetch_mode_)) return entry.page->page;
  // Without updates of A, a page that has not been accessed is a fault here.
  const u64 kept = state_.menvcfg;
  const Trap kept_trap = trap_;
  state_.menvcfg &= ~envcfg::kAdue;
  Translation translation;
  const bool mapped = translate(state_, parts_.memory, va, 2, Access::fetch, state_.privilege, translation, trap_) &&
                      parts_.memory.contains(translation.pa, 2);
  state_.menvcfg = kept;
  trap_ = kept_trap;
  if (!mapped) return kNoCodePage;
  note_code(va, translation);
  bool uniform = true;
  pmp_allows(state_, Pa(translation.pa.value & ~kPageMask), kPageBytes, Access::fetch, state_.privilege, &uniform);
  return uniform ? parts_.memory.offset_of(translation.pa) >> kPageShift : kNoCodePage;
}

void Hart::executed(u64 page, u64* bits) const {
  std::memset(bits, 0, kHalfwords / 8);
  const DecodedPage* const decoded = code_.known(page);
  if (decoded == nullptr) return;
  for (u32 slot = 0; slot < kHalfwords; slot++) {
    if (decoded->slots[slot].op != kSlotUndecoded) bits[slot / 64] |= u64{1} << (slot % 64);
  }
}

u32 Hart::execute_for_translated(const Insn& insn, u32 bits, u64 pc, u32 budget) {
  sync_retired(budget);
  const u32 length = instruction_length(static_cast<u16>(bits));
  u64 target = 0;
  switch (execute(insn, pc, length, bits, target)) {
    case Flow::next: break;
    case Flow::leave: HW_CHECK(target == pc + length, "an instruction that jumps"); return 2;
    case Flow::jump:
    case Flow::trap: return 1;
  }
  if (leave_) return 2;
  refresh_fp_window();
  return 0;
}

u64 Hart::execute_system_for_translated(const Insn& insn, u32 bits, u64 pc) {
  sync_retired(static_cast<u32>(window_.budget) + 1);
  const u32 length = instruction_length(static_cast<u16>(bits));
  u64 target = 0;
  switch (execute(insn, pc, length, bits, target)) {
    case Flow::next: target = pc + length; break;
    case Flow::leave:
    case Flow::jump: break;
    case Flow::trap:
      take_trap(pc);
      target = state_.pc;
      break;
  }
  window_.moved = true;
  refresh_fp_window();
  return target | 1;
}

u32 Hart::execute_accesses_for_translated(const AccessRun& run, u64 pc, u32 budget) {
  u32 done = 0, bytes = 0;
  bool leave = leave_;
  const u64 page = code_page(pc);
  for (; page != kNoCodePage && done < run.count && !leave; done++) {
    const u64 at = (pc & kPageMask) + bytes;
    const Pa pa(kRamBase + (page << kPageShift) + at);
    u16 low = 0, high = 0;
    if (at + 2 > kPageBytes || !parts_.memory.fetch(pa, low)) break;
    const u32 length = instruction_length(low);
    if (at + length > kPageBytes || (length == 4 && !parts_.memory.fetch(pa + 2, high))) break;
    const u32 word = low | u32{high} << 16;
    const Decoded decoded = decode(word, options_.isa);
    const std::optional<PlainAccess> access = plain_access(decoded);
    // Compiled code has spilled the registers of the run, no others.
    if (!access || access->base != run.base || access->store != run.store || access->is_float != run.is_float ||
        (run.registers >> access->data & 1) == 0)
      break;
    sync_retired(budget - done);
    u64 target = 0;
    const Flow flow = execute(to_slot(decoded), pc + bytes, length, word, target);
    HW_CHECK(flow != Flow::jump, "an access that jumps");
    if (flow == Flow::trap) break;
    bytes += length;
    leave = leave_ || flow == Flow::leave;
  }
  if (done == run.count && !leave) {
    refresh_fp_window();
    return TranslatedCode::kAllDone;
  }
  return bytes - (done << TranslatedCode::kNotDoneShift);
}

Hart::WayIn Hart::way_of(const u8* jalr_slot) {
  constexpr u32 kLink = 1;
  const Insn& insn = *reinterpret_cast<const Insn*>(jalr_slot);
  return insn.rd == kSinkRegister && insn.rs1 == kLink ? WayIn::direct : WayIn::indirect;
}

// Out of the fast loop, so that it calls one function only.
bool Hart::enter_translated(u64& pc, u32 budget, u8& heat, WayIn way) {
  window_.budget = static_cast<i32>(budget);
  const bool resumed = way == WayIn::resumed;  // nothing has jumped there
  if (!resumed) heat = visits_;
  if (translated_ == nullptr) return false;
  refresh_fp_window();
  const size_t cell = static_cast<size_t>(&heat - heat_);
  const u32 jumps = resumed ? 0 : hot_[cell] ? 1 : visits_;
  const bool entered = translated_->enter(pc, loop_.page->page, jumps, way == WayIn::indirect);
  if (resumed) return entered;
  hot_[cell] = entered;
  if (entered) heat = 1;
  return entered;
}

}  // namespace hartwood
