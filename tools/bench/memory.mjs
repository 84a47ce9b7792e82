// SPDX-License-Identifier: Apache-2.0
// How much of the computer's memory the page takes at the prompt: what its browser's processes have, each page that several
// share counted in parts (PSS), less what they have for an empty page.
import { readFileSync } from 'node:fs';
import { processTree } from './cpu-time.mjs';
import { median, row } from './numbers.mjs';

const few = 1, many = 4;  // harts
const target = 12;        // MB for each further hart
const settle = 3000;      // ms

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

/** { few, many }: for each round, bytes at the prompt. */
export async function measureMemory({ page, rounds, log }) {
  const runs = { few: [], many: [] };
  await page.bootTime();  // what a browser takes at its first page, it keeps
  for (let round = 0; round < rounds; round++) {
    log(`memory, round ${round + 1} of ${rounds}`);
    for (const [which, harts] of [['few', few], ['many', many]]) runs[which].push(await page.residentBytes(harts, settle));
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
