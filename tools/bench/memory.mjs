// SPDX-License-Identifier: Apache-2.0
// How much of the computer's memory the page takes at the prompt: what its browser's processes have, each page that several
// share counted in parts (PSS), less what they have for an empty page.
import { readFileSync } from 'node:fs';
import { processTree } from './cpu-time.mjs';
import { median, row } from './numbers.mjs';

const few = 1, many = 4;  // harts
const target = 12;        // MB for each further hart
const pause = 200;        // ms between two looks
const steady = 1e6;       // bytes; so many looks in a row differ by no more
const looks = 5;
const most = 50;          // looks

/** Bytes of the process and its descendants. */
export function residentBytes(top) {
  let bytes = 0;
  for (const pid of processTree(top)) {
    try {
      bytes += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
    } catch {
      // it has just ended
    }
  }
  return bytes;
}

/** The same as soon as it no longer grows or shrinks, or after ten seconds. */
export async function settledBytes(top) {
  for (const seen = [];;) {
    seen.push(residentBytes(top));
    const last = seen.slice(-looks);
    const still = last.length === looks && Math.max(...last) - Math.min(...last) <= steady;
    if (still || seen.length === most) return seen.at(-1);
    await new Promise((done) => setTimeout(done, pause));
  }
}

/** { few, many }: for each round, bytes at the prompt. */
export async function measureMemory({ page, rounds, log }) {
  const runs = { few: [], many: [] };
  await page.bootTime();  // what a browser takes at its first page, it keeps
  for (let round = 0; round < rounds; round++) {
    log(`memory, round ${round + 1} of ${rounds}`);
    for (const [which, harts] of [['few', few], ['many', many]]) runs[which].push(await page.residentBytes(harts));
  }
  return runs;
}

export function memoryRows(runs) {
  const megabytes = (which) => median(runs[which]) / 1e6;
  const each = (megabytes('many') - megabytes('few')) / (many - few);
  const samples = { few: runs.few, many: runs.many };
  return [
    row('memory', `resident at the prompt, ${few} hart, 512 MB of guest RAM`, megabytes('few'), { unit: 'MB', samples, note: `${many} harts ${megabytes('many').toFixed(0)}` }),
    row('memory', 'for each further hart', each, { unit: 'MB', digits: 1, target, samples }),
  ];
}
