// SPDX-License-Identifier: Apache-2.0
// Guest programs whose harts all fence each other at once and check that nothing forbidden is used
// afterwards: translations after a change of the page table, instructions after a change of the code.
//
// Each hart owns one window (a page, or a function) that it alone changes, in rounds: it changes the window,
// fences all harts, and only then announces the round in kTable[0][hart]. Whoever has read the announcement
// finds that round, or a later one, in the window.
#pragma once

#include "programs/guest.h"

namespace hartwood::test {

inline constexpr u64 kRootTable = kGuestData + 0x1'0000, kMiddleTable = kGuestData + 0x1'1000,
                     kLeafTable = kGuestData + 0x1'2000;
inline constexpr u64 kWindows = 0x4000'0000;                // virtual; one page for each hart
inline constexpr u64 kWindowPages = kGuestData + 0x2'0000;  // physical; two pages for each hart
inline constexpr u64 kFunctions = kGuestCode + 0x1'0000;    // a page for each hart

// Sv39: RAM at its own addresses, and the windows.
inline void build_page_tables(GuestView& view, u32 harts) {
  constexpr u64 kValid = 1, kLeaf = 0xcf, kPointerShift = 2;  // leaf: D A X W R V
  const auto entry = [](u64 address, u64 flags) { return (address >> kPointerShift) | flags; };
  view.poke(kRootTable + 8 * (kRamBase >> 30), entry(kRamBase, kLeaf));
  view.poke(kRootTable + 8 * (kWindows >> 30), entry(kMiddleTable, kValid));
  view.poke(kMiddleTable, entry(kLeafTable, kValid));
  for (u32 i = 0; i < harts; i++) view.poke(kLeafTable + 8 * i, entry(kWindowPages + 0x2000 * i, kLeaf));
}

// The window's page holds its round, and 0 as soon as nobody may see it any more. The second doubleword
// counts what others have stored through their windows: in a page that nobody may see it stays 0.
inline GuestProgram page_table_storm(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(t0, u64{8} << 60 | kRootTable >> 12);
  g.csrw(kCsrSatp, t0);
  g.sfence_vma();
  g.li(s2, 1);  // round
  g.li(s3, kWindows);
  g.slli(t0, s0, 12);
  g.add(s4, s3, t0);  // own window
  g.li(s5, kWindowPages);
  g.slli(t0, s0, 13);
  g.add(s5, s5, t0);  // own pages
  g.li(s6, kLeafTable);
  g.slli(t0, s0, 3);
  g.add(s6, s6, t0);  // own entry
  g.li(s10, 0x1000);
  g.table_entry(s7, zero, s0, t0);  // own announcement

  const auto loop = g.bound();
  g.andi(t1, s2, 1);
  g.slli(t1, t1, 12);
  g.add(s8, s5, t1);  // the new page
  g.op(Op::xor_, t1, t1, s10);
  g.add(s9, s5, t1);  // the old one
  g.ld(t0, 8, s8);
  g.die_unless_equal(t0, zero, 1);  // somebody has stored through an old translation
  g.sd(s2, 0, s8);
  g.srli(t0, s8, 2);
  g.addi(t0, t0, 0xcf);
  g.fence();
  g.sd(t0, 0, s6);
  // The fence, by turns: every hart, this page; every hart, everything; the others, all windows, and this one
  // itself.
  const auto second = g.label(), third = g.label(), fenced = g.label();
  g.li(t0, 3);
  g.op(Op::remu, t0, s2, t0);
  g.li(a1, ~u64{0});
  g.bne(t0, zero, second);
  g.mv(a2, s4);
  g.mv(a3, s10);
  g.firmware(0x5246'4e43, 1);
  g.j(fenced);
  g.bind(second);
  g.addi(t0, t0, -1);
  g.bne(t0, zero, third);
  g.li(a2, 0);
  g.li(a3, ~u64{0});
  g.firmware(0x5246'4e43, 1);
  g.j(fenced);
  g.bind(third);
  g.mask_of(t0, s0);
  g.li(a0, (1u << harts) - 1);
  g.sub(a0, a0, t0);
  g.li(a1, 0);
  g.li(a2, kWindows);
  g.li(a3, 0x1000 * u64{harts});
  g.li(a4, 0);
  g.sfence_vma(s4);
  g.firmware(0x5246'4e43, 2);
  g.bind(fenced);
  g.die_unless_equal(a0, zero, 2);
  g.sd(zero, 0, s9);
  g.sd(zero, 8, s9);
  g.sd(s2, 0, s7);
  // Through all windows.
  g.li(s11, 0);
  const auto each = g.bound();
  g.table_entry(t4, zero, s11, t0);
  g.ld(t1, 0, t4);
  g.fence();
  g.slli(t2, s11, 12);
  g.add(t2, t2, s3);
  g.ld(t3, 0, t2);
  g.die_if_less(t3, t1, 3);
  g.sd(s2, 8, t2);
  g.addi(s11, s11, 1);
  g.li(t0, harts);
  g.bne(s11, t0, each);
  g.ld(t3, 0, s4);
  g.die_unless_equal(t3, s2, 4);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.finish();
  GuestProgram program = g.program();
  program.prepare = [harts](GuestView& view) { build_page_tables(view, harts); };
  return program;
}

// The window is a function that returns its round: the owner stores the instruction anew. rounds < 2048.
inline GuestProgram code_storm(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, 1);
  g.li(s3, kFunctions);
  g.slli(t0, s0, 12);
  g.add(s4, s3, t0);  // own function
  g.table_entry(s7, zero, s0, t0);
  g.li(s8, encode_i(Op::addi, a0, zero, 0));
  const auto loop = g.bound();
  g.slli(t0, s2, 20);
  g.op(Op::or_, t0, t0, s8);
  g.sw(t0, 0, s4);
  g.fence();
  g.fence_i();
  g.li(a0, 0);
  g.li(a1, ~u64{0});
  g.firmware(0x5246'4e43, 0);
  g.die_unless_equal(a0, zero, 1);
  g.sd(s2, 0, s7);
  g.li(s11, 0);
  const auto each = g.bound();
  g.table_entry(t4, zero, s11, t0);
  g.ld(t1, 0, t4);
  g.fence();
  g.slli(t2, s11, 12);
  g.add(t2, t2, s3);
  g.jalr(ra, t2, 0);
  g.die_if_less(a0, t1, 2);
  g.addi(s11, s11, 1);
  g.li(t0, harts);
  g.bne(s11, t0, each);
  g.jalr(ra, s4, 0);
  g.die_unless_equal(a0, s2, 3);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.finish();
  GuestProgram program = g.program();
  program.prepare = [harts](GuestView& view) {
    const u64 body = encode_i(Op::addi, a0, zero, 0) | u64{encode_i(Op::jalr, zero, ra, 0)} << 32;
    for (u32 i = 0; i < harts; i++) view.poke(kFunctions + 0x1000 * i, body);
  };
  return program;
}

// Each hart rewrites only its own function and executes FENCE.I itself: what it calls afterwards is new, whatever the
// others do to their code in the same pages. The functions lie side by side, 16 bytes each.
inline GuestProgram own_code(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, 1);
  g.li(s4, kFunctions);
  g.slli(t0, s0, 4);
  g.add(s4, s4, t0);
  g.li(s8, encode_i(Op::addi, a0, zero, 0));
  const auto loop = g.bound();
  g.slli(t0, s2, 20);
  g.op(Op::or_, t0, t0, s8);
  g.sw(t0, 0, s4);
  g.fence_i();
  g.jalr(ra, s4, 0);
  g.die_unless_equal(a0, s2, 1);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.finish();
  GuestProgram program = g.program();
  program.prepare = [harts](GuestView& view) {
    const u64 body = encode_i(Op::addi, a0, zero, 0) | u64{encode_i(Op::jalr, zero, ra, 0)} << 32;
    for (u32 i = 0; i < harts; i++) view.poke(kFunctions + 16 * i, body);
  };
  return program;
}

// Each hart rewrites its own function and announces the round, without a fence of others. Whoever has read an
// announcement executes FENCE.I itself and then finds that round, or a later one, in the function.
inline GuestProgram code_handover(u32 harts, u32 rounds) {
  Guest g(harts);
  g.li(s2, 1);
  g.li(s3, kFunctions);
  g.slli(t0, s0, 12);
  g.add(s4, s3, t0);
  g.table_entry(s7, zero, s0, t0);
  g.li(s8, encode_i(Op::addi, a0, zero, 0));
  const auto loop = g.bound();
  g.slli(t0, s2, 20);
  g.op(Op::or_, t0, t0, s8);
  g.sw(t0, 0, s4);
  g.fence();
  g.sd(s2, 0, s7);
  g.li(s11, 0);
  const auto each = g.bound();
  g.table_entry(t4, zero, s11, t0);
  g.ld(t1, 0, t4);
  g.fence();
  g.fence_i();
  g.slli(t2, s11, 12);
  g.add(t2, t2, s3);
  g.jalr(ra, t2, 0);
  g.die_if_less(a0, t1, 1);
  g.addi(s11, s11, 1);
  g.li(t0, harts);
  g.bne(s11, t0, each);
  g.addi(s2, s2, 1);
  g.li(t0, rounds + 1);
  g.bne(s2, t0, loop);
  g.finish();
  GuestProgram program = g.program();
  program.prepare = [harts](GuestView& view) {
    const u64 body = encode_i(Op::addi, a0, zero, 0) | u64{encode_i(Op::jalr, zero, ra, 0)} << 32;
    for (u32 i = 0; i < harts; i++) view.poke(kFunctions + 0x1000 * i, body);
  };
  return program;
}

// Hart 0 changes the page behind one window, fences all, and only then wakes the others, which sleep in WFI or
// suspended, by turns: a fence to a hart that sleeps is a mark, which it has to find before it looks through the
// window. Each tells hart 0 what it saw, by an interrupt; hart 0 sleeps until all have.
inline GuestProgram fences_to_sleepers(u32 harts, u32 rounds) {
  constexpr u64 kSoftwareBit = 2, kHsm = 0x48'534d, kRemoteFence = 0x5246'4e43;
  Guest g(harts);
  g.li(t0, u64{8} << 60 | kRootTable >> 12);
  g.csrw(kCsrSatp, t0);
  g.sfence_vma();
  g.li(s6, kSoftwareBit);
  g.csrw(kCsrSie, s6);
  g.li(s2, 1);  // round
  g.li(s3, kWindows);
  g.li(s4, rounds + 1);
  g.table_entry(s7, zero, s0, t0);  // own answer
  const auto other = g.label();
  g.bne(s0, zero, other);

  g.li(s5, kWindowPages);
  g.li(s8, kLeafTable);
  const auto loop = g.bound();
  g.andi(t1, s2, 1);
  g.slli(t1, t1, 12);
  g.add(t1, t1, s5);
  g.sd(s2, 0, t1);
  g.srli(t0, t1, 2);
  g.addi(t0, t0, 0xcf);
  g.fence();
  g.sd(t0, 0, s8);
  g.li(a0, 0);
  g.li(a1, ~u64{0});
  g.mv(a2, s3);
  g.li(a3, 0x1000);
  g.firmware(kRemoteFence, 1);
  g.die_unless_equal(a0, zero, 1);
  // The old page is nobody's any more.
  g.li(t0, 0x1000);
  g.andi(t1, s2, 1);
  g.slli(t1, t1, 12);
  g.op(Op::xor_, t1, t1, t0);
  g.add(t1, t1, s5);
  g.sd(zero, 0, t1);
  g.fence();
  g.sd(s2, kCounter, s1);
  g.fence();
  g.send_ipi_to_all();
  g.li(s9, 1);
  const auto await = g.bound();
  const auto answered = g.label();
  g.csrc(kCsrSip, s6);
  g.fence();
  g.table_entry(t4, zero, s9, t0);
  g.ld(t0, 0, t4);
  g.beq(t0, s2, answered);
  g.wfi();
  g.j(await);
  g.bind(answered);
  g.addi(s9, s9, 1);
  g.li(t0, harts);
  g.bne(s9, t0, await);
  g.addi(s2, s2, 1);
  g.bne(s2, s4, loop);
  g.end();

  g.bind(other);
  const auto sleep = g.bound();
  const auto woken = g.label(), suspends = g.label();
  g.csrc(kCsrSip, s6);
  g.fence();
  g.ld(t0, kCounter, s1);
  g.beq(t0, s2, woken);
  g.add(t0, s2, s0);
  g.andi(t0, t0, 1);
  g.bne(t0, zero, suspends);
  g.wfi();
  g.j(sleep);
  g.bind(suspends);
  g.li(a0, 0);
  g.firmware(kHsm, 3);
  g.die_unless_equal(a0, zero, 2);
  g.j(sleep);
  g.bind(woken);
  g.fence();
  g.ld(t0, 0, s3);
  g.die_unless_equal(t0, s2, 3);
  g.sd(s2, 0, s7);
  g.fence();
  g.li(t0, 1);
  g.send_ipi(t0);
  g.addi(s2, s2, 1);
  g.j(sleep);
  GuestProgram program = g.program();
  program.prepare = [harts](GuestView& view) { build_page_tables(view, harts); };
  return program;
}

// Hart 0 fences `rounds` times, then ends the machine, while hart 3 sleeps and the others fence on: nobody
// may go on waiting for a hart that has left.
inline GuestProgram power_off_in_storm(u32 rounds) {
  Guest g(4);
  const auto loop = g.label(), sleep = g.label(), end = g.label();
  g.li(s2, rounds);
  g.li(t0, 3);
  g.beq(s0, t0, sleep);
  g.bind(loop);
  g.li(a1, ~u64{0});
  g.li(a2, 0);
  g.li(a3, ~u64{0});
  g.firmware(0x5246'4e43, 1);
  g.die_unless_equal(a0, zero, 1);
  g.bne(s0, zero, loop);
  g.addi(s2, s2, -1);
  g.beq(s2, zero, end);
  g.j(loop);
  g.bind(end);
  g.end();
  g.bind(sleep);
  const auto asleep = g.bound();
  g.wfi();
  g.j(asleep);
  return g.program();
}

}  // namespace hartwood::test
