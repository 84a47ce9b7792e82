// SPDX-License-Identifier: Apache-2.0
// Dispersed code: many small blocks, each of its own, visited at random, as large programs run. riscv64 Linux only.
//
//   dispersed BLOCKS [MILLISECONDS]   BLOCKS of 1 to 20000; prints what a thousand visits take as dispersedBLOCKS, at
//                                     last: over the later half of the time
//
// Each block computes a little on two registers and goes on where the next entry of an order says, which is a random
// permutation of the blocks.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kBlocks = 20000, kBlockBytes = 64, kMostPasses = 1 << 20 };

__asm__(
    "  .text\n"
    "  .balign 64\n"
    "blocks:\n"
    "  .set number, 0\n"
    "  .rept 20000\n"
    "  .balign 64\n"
    "  addi a0, a0, number % 2048\n"
    "  slli t0, a0, number % 31 + 1\n"
    "  xor a1, a1, t0\n"
    "  srli t0, a1, number % 13 + 3\n"
    "  add a0, a0, t0\n"
    "  ld t1, 0(a2)\n"
    "  addi a2, a2, 8\n"
    "  jr t1\n"
    "  .set number, number + 1\n"
    "  .endr\n"
    "visit:\n"  // a0, a1: state; a2: the order, whose last entry is `done`; a3: where the state goes
    "  ld t1, 0(a2)\n"
    "  addi a2, a2, 8\n"
    "  jr t1\n"
    "done:\n"
    "  sd a0, 0(a3)\n"
    "  sd a1, 8(a3)\n"
    "  ret\n");
extern const char blocks[], done[];
void visit(uint64_t a, uint64_t b, const char* const* order, uint64_t state[2]);

static const char* order[kBlocks + 1];
static double passes[kMostPasses];  // seconds

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 0;
  const double seconds = argc > 2 ? atoi(argv[2]) / 1e3 : 1;
  if (count < 1 || count > kBlocks) {
    fprintf(stderr, "usage: dispersed BLOCKS [MILLISECONDS], 1 to %d blocks\n", kBlocks);
    return 1;
  }
  uint32_t seed = 1;
  for (int i = 0; i < count; i++) order[i] = blocks + (int64_t)i * (kBlocks / count) * kBlockBytes;
  for (int i = count - 1; i > 0; i--) {
    seed = seed * 1664525 + 1013904223;
    const int other = (int)((uint64_t)(seed >> 8) * (uint64_t)(i + 1) >> 24);
    const char* const kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  order[count] = done;
  // Every pass begins with the same state and must end with the same.
  uint64_t first[2], state[2];
  visit(1, 2, order, first);
  int done_passes = 0;
  const double start = now();
  for (double before = start; done_passes < kMostPasses && (done_passes < 20 || before - start < seconds);) {
    visit(1, 2, order, state);
    const double after = now();
    passes[done_passes++] = after - before;
    before = after;
    if (state[0] != first[0] || state[1] != first[1]) {
      fprintf(stderr, "a pass computed something else\n");
      return 1;
    }
  }
  double later = 0;
  for (int i = done_passes / 2; i < done_passes; i++) later += passes[i];
  const double visits = (double)(done_passes - done_passes / 2) * count;
  printf("bench dispersed%d %lld %016llx\n", count, (long long)(later / visits * 1e9 + 0.5),
         (unsigned long long)(first[0] ^ first[1]));
  return 0;
}
