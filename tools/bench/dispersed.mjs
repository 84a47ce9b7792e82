// SPDX-License-Identifier: Apache-2.0
// Code that is spread over many blocks which are visited at random (tests/bench/dispersed.c), on one hart.
import { checkResults, median, readResults, row } from './numbers.mjs';

const targets = { 2000: 3, 20000: 6 };  // times QEMU's time
const millisecondsEach = 3000;

/** { side: [for each round, Map of a line's name to { seconds }] }. */
export async function measureDispersed({ page, program, withPrograms, rounds, divisor, log }) {
  const runs = { page: [], interpreter: [], qemu: [] };
  const all = async (run) => {
    const results = new Map();
    for (const blocks of Object.keys(targets)) {
      for (const [name, result] of readResults(await run(`~/dispersed ${blocks} ${Math.round(millisecondsEach / divisor)}`))) results.set(name, result);
    }
    return results;
  };
  for (let round = 0; round < rounds; round++) {
    log(`dispersed code, round ${round + 1} of ${rounds}`);
    runs.page.push(await page.withGuest(1, all));
    runs.interpreter.push(await page.withGuest(1, all, { compiler: false }));
    runs.qemu.push(await program.withGuest('qemu', withPrograms, 1, all));
  }
  checkResults(runs, Object.keys(targets).map((blocks) => `dispersed${blocks}`), { page: 'the page', interpreter: 'the page without compiler', qemu: 'QEMU' });
  return runs;
}

export function dispersedRows(runs) {
  return Object.entries(targets).map(([blocks, target]) => {
    // A thousand visits are what the lines are about.
    const nanoseconds = (side) => runs[side].map((results) => results.get(`dispersed${blocks}`).seconds * 1e6);
    const ratio = (side) => median(nanoseconds(side)) / median(nanoseconds('qemu'));
    return row('dispersed', `${blocks} blocks visited at random, Chromium`, ratio('page'), {
      unit: "x QEMU's", digits: 2, target, reference: 1,
      samples: Object.fromEntries(Object.keys(runs).map((side) => [side, nanoseconds(side)])),
      note: `${median(nanoseconds('page')).toFixed(0)} ns a visit, QEMU ${median(nanoseconds('qemu')).toFixed(0)}; interpreted x ${ratio('interpreter').toFixed(2)}`,
    });
  });
}
