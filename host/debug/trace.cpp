// SPDX-License-Identifier: Apache-2.0
#include "debug/trace.h"

#include <cinttypes>

namespace hartwood {

TraceWriter::~TraceWriter() {
  for (Pending& pending : pending_) flush(pending);
}

void TraceWriter::flush(Pending& pending) {
  if (!pending.valid) return;
  pending.valid = false;
  const HartState& state = pending.hart->state();
  const bool compressed = instruction_length(static_cast<u16>(pending.bits)) == 2;
  std::fprintf(file_, "core %3u: %u 0x%016" PRIx64 " (0x%0*" PRIx32 ")", pending.hart->id(), pending.privilege,
               pending.pc, compressed ? 4 : 8, compressed ? pending.bits & 0xffff : pending.bits);
  for (unsigned i = 1; i < 32; i++) {
    if (state.x[i] != pending.x[i]) std::fprintf(file_, " x%-2u 0x%016" PRIx64, i, state.x[i]);
  }
  for (unsigned i = 0; i < 32; i++) {
    if (state.f[i] != pending.f[i]) std::fprintf(file_, " f%-2u 0x%016" PRIx64, i, state.f[i]);
  }
  std::fputc('\n', file_);
}

void TraceWriter::instruction(const Hart& hart, u64 pc, u32 bits) {
  Pending& pending = pending_[hart.id()];
  flush(pending);
  if (limit_ != 0 && written_ >= limit_) return;
  written_++;
  const HartState& state = hart.state();
  pending.valid = true;
  pending.hart = &hart;
  pending.pc = pc;
  pending.bits = bits;
  pending.privilege = static_cast<u8>(state.privilege);
  for (unsigned i = 0; i < 32; i++) {
    pending.x[i] = state.x[i];
    pending.f[i] = state.f[i];
  }
}

void TraceWriter::trap(const Hart& hart, u64 cause, u64 tval, u64 epc) {
  Pending& pending = pending_[hart.id()];
  // An exception takes the place of its instruction's line. Before an interrupt, and before an instruction that could
  // not be fetched, the last one is complete.
  if ((cause & kInterruptCause) || pending.pc != epc) flush(pending);
  pending.valid = false;
  if (limit_ != 0 && written_ >= limit_) return;
  std::fprintf(file_, "core %3u: trap 0x%" PRIx64 " tval 0x%" PRIx64 " epc 0x%" PRIx64 "\n", hart.id(), cause, tval,
               epc);
}

}  // namespace hartwood
