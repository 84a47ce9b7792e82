// SPDX-License-Identifier: Apache-2.0
// Reduces a failing program to few units (delta debugging: leave out halves, quarters, ... single units as long as it
// still fails), and says in words how two results differ.

/** The same program with as many units left out as possible: { ...what, drop: [unit] }. */
export async function minimise(tools, reference, what) {
  const first = await tools.generate({ ...what, drop: what.drop ?? [] });
  const units = first.layout.units;
  let kept = Array.from({ length: units }, (_, i) => i).filter((i) => !(what.drop ?? []).includes(i));
  const dropOf = (list) => {
    const set = new Set(list);
    return Array.from({ length: units }, (_, i) => i).filter((i) => !set.has(i));
  };
  const fails = async (list) => (await tools.compare(reference, await tools.generate({ ...what, drop: dropOf(list) }), 5)) !== undefined;
  if (!(await fails(kept))) return { ...what, drop: what.drop ?? [] };
  for (let size = Math.max(1, kept.length >> 1); size >= 1; size >>= 1) {
    for (let again = true; again;) {
      again = false;
      for (let at = kept.length - size; at > -size; at -= size) {
        const without = kept.filter((_, i) => i < at || i >= at + size);
        if (without.length === kept.length || !(await fails(without))) continue;
        kept = without;
        again = size === 1;
      }
    }
  }
  return { ...what, drop: dropOf(kept) };
}

/** [1, 2, 3, 7] as "1-3,7". */
export function ranges(numbers) {
  const parts = [];
  for (const number of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** "1-3,7" as [1, 2, 3, 7]. */
export function numbersOf(text) {
  return text.split(',').filter(Boolean).flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

const xNames = 'zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6'.split(' ');

/** The name of the doubleword at byte `at` of a slot. */
export function nameOf(layout, at) {
  if (at < layout.constants) return `memory[${at}]`;
  if (at < layout.x) return `constant ${(at - layout.constants) / 8}`;
  if (at < layout.f) return `x${(at - layout.x) / 8} (${xNames[(at - layout.x) / 8]})`;
  if (at < layout.fcsr) return `f${(at - layout.f) / 8}`;
  if (at === layout.fcsr) return 'fcsr';
  if (at === layout.traps) return 'number of traps';
  if (at === layout.hash) return 'hash of the traps';
  const entry = Math.floor((at - layout.log) / 24);
  return `trap ${entry} ${['cause', 'tval', 'epc'][((at - layout.log) % 24) / 8]}`;
}

/** The differences of the first program of a comparison, one a line. */
export function describe(wrong) {
  if (!wrong) return 'the difference went away when the program was run again';
  const lines = [wrong.message];
  if (wrong.layout) {
    for (let at = 0; at < wrong.layout.bytes; at += 8) {
      const ours = wrong.ours.readBigUInt64LE(at), theirs = wrong.theirs.readBigUInt64LE(at);
      if (ours === theirs) continue;
      const hex = (value) => value.toString(16).padStart(16, '0');
      lines.push(`  ${nameOf(wrong.layout, at).padEnd(20)} Hartwood ${hex(ours)}  reference ${hex(theirs)}`);
    }
  }
  return lines.join('\n');
}
