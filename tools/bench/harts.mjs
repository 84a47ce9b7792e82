// SPDX-License-Identifier: Apache-2.0
// Two harts: whether they are twice one (tests/bench/two_harts.c, two processes that share nothing), and what code costs
// that one hart runs for the first time and another has made hot. The measure of the first is what two processes of this
// very machine get from its two processors in the same minute.
import { median, readResults, row } from './numbers.mjs';
import { output, UserError } from '../lib/project.mjs';

const parallel = 'core';
const moved = ['sieve', 'core', 'vm', 'matmul'];
const millisecondsEach = 1600;
const targets = { scaling: 0.92, first: 1.5 };

/** { side: [for each round, Map of a line's name to { seconds }] }, the sides being 'page', 'qemu' and 'host'. `host`: a program. */
export async function measureHarts({ page, program, withPrograms, host, rounds, divisor, log }) {
  const runs = { page: [], qemu: [], host: [] };
  const milliseconds = Math.round(millisecondsEach / divisor);
  const onHost = async (args) => {
    const text = await output(host, args.split(' '));
    if (text === undefined) throw new UserError(`${host} ${args} failed; it needs two processors`);
    return text;
  };
  for (let round = 0; round < rounds; round++) {
    log(`harts, round ${round + 1} of ${rounds}`);
    for (const side of Object.keys(runs)) runs[side].push(new Map());
    await page.withGuest(2, (onPage) => program.withGuest('qemu', withPrograms, 2, async (onQemu) => {
      const sides = { page: (args) => onPage(`~/harts ${args}`), qemu: (args) => onQemu(`~/harts ${args}`), host: onHost };
      // Moving comes first: afterwards the second hart knows the code.
      for (const args of [...moved.map((name) => `move ${name}`), `scale ${parallel}`]) {
        for (const [side, run] of Object.entries(sides)) {
          for (const [key, result] of readResults(await run(`${args} ${milliseconds}`))) runs[side].at(-1).set(key, result);
        }
      }
    }));
  }
  return runs;
}

/** What two processes get done at once, as a part of what each gets done by itself: 1 is perfect. */
export function scaling(results, name) {
  const speed = (what) => 1 / results.get(`${name}_${what}0`).seconds + 1 / results.get(`${name}_${what}1`).seconds;
  return speed('both') / speed('alone');
}

/** The time of the first round on the second hart as a multiple of a round there at last; or of `what` as such. */
export function firstRun(results, name, what = 'first') {
  return results.get(`${name}_${what}`).seconds / results.get(`${name}_there`).seconds;
}

export function hartRows(runs) {
  const scale = (side) => median(runs[side].map((results) => scaling(results, parallel)));
  const first = (side, name, what) => median(runs[side].map((results) => firstRun(results, name, what)));
  const worst = (side) => Math.max(...moved.map((name) => first(side, name)));
  const samples = (of) => Object.fromEntries(Object.entries(runs).map(([side, rounds]) => [side, rounds.map(of)]));
  return [
    row('harts', `kernel ${parallel} on two harts, Chromium: scaling`, scale('page') / scale('host'), {
      unit: "x two processes'", target: targets.scaling, atLeast: true, digits: 2, reference: scale('qemu') / scale('host'),
      samples: samples((results) => scaling(results, parallel)),
      note: `the page ${scale('page').toFixed(2)}, QEMU ${scale('qemu').toFixed(2)}, two native processes ${scale('host').toFixed(2)} of twice one`,
    }),
    row('harts', 'first round on the second hart of what is hot on the first, Chromium', worst('page'), {
      unit: 'x steady', target: targets.first, digits: 2, reference: worst('qemu'),
      samples: samples((results) => Object.fromEntries(moved.map((name) => [name, firstRun(results, name)]))),
      note: `the worst of ${moved.map((name) => `${name} ${first('page', name).toFixed(2)} (first five ${first('page', name, 'early').toFixed(2)})`).join(', ')}`,
    }),
  ];
}
