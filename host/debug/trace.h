// SPDX-License-Identifier: Apache-2.0
// One line for each retired instruction, in the form of Spike's commit log, so that runs can be compared line by line:
//     core   0: 3 0x0000000080000000 (0x00000297) x5  0x0000000080000000
// (hart, privilege, pc, encoding, registers that changed), and one for each trap:
//     core   0: trap 0x8000000000000005 tval 0x0 epc 0x80000100
// An instruction's line is written when the next one begins, because only then its results are known. Used by one
// thread at a time: trace one hart, or a deterministic machine.
#pragma once

#include <cstdio>

#include "hart/hart.h"
#include "shm/hart_shared.h"

namespace hartwood {

class TraceWriter final : public Tracer {
 public:
  // Writes to `file`, which stays the caller's. Stops writing after `limit` instructions (0: no limit).
  TraceWriter(std::FILE* file, u64 limit) : file_(file), limit_(limit) {}
  ~TraceWriter() override;
  void instruction(const Hart& hart, u64 pc, u32 bits) override;
  void trap(const Hart& hart, u64 cause, u64 tval, u64 epc) override;
  u64 written() const { return written_; }

 private:
  struct Pending {
    bool valid = false;
    const Hart* hart = nullptr;
    u64 pc = 0;
    u32 bits = 0;
    u8 privilege = 0;
    u64 x[32] = {};
    u64 f[32] = {};
  };
  void flush(Pending& pending);

  std::FILE* file_;
  u64 limit_;
  u64 written_ = 0;
  Pending pending_[kMaxHarts];
};

}  // namespace hartwood
