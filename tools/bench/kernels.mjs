// SPDX-License-Identifier: Apache-2.0
// The kernels of tests/bench/kernels.c on the page, in two QEMUs, and as WebAssembly in the same browser: one after the other
// for each kernel, all sides being up, and all of them started anew for each round so that warming up shows.
import { checkResults, geometricMean, median, readResults, row } from './numbers.mjs';

export const kernels = {
  integer: ['sieve', 'sha', 'qsort', 'chase', 'core', 'fib', 'str'],
  float: ['matmul', 'nbody', 'mandel'],
  indirect: ['vm', 'vcall'],
};
const allKernels = Object.values(kernels).flat();
const millisecondsEach = 1600;
const roundsTimed = 100;  // what a result line's time is for

/** The most that a class may take, as parts of native QEMU's time; and everything. */
const targets = { integer: 0.75, float: 0.25, indirect: 0.25, all: 0.45, slowest: 1, wasm32: 3.3, warmup: 150 };

/** { side: [for each round, Map of kernel and of kernel_warmup to { seconds, result }] } */
export async function measureKernels({ page, program, withPrograms, wasm32, rounds, divisor, log }) {
  const runs = { page: [], qemu: [], newest: [], wasm32: [] };
  const milliseconds = Math.round(millisecondsEach / divisor);
  const one = async (sides) => {
    for (const side of Object.keys(runs)) runs[side].push(new Map());
    for (const name of allKernels) {
      for (const [side, run] of Object.entries(sides)) {
        for (const [key, result] of readResults(await run(name))) runs[side].at(-1).set(key, result);
      }
    }
  };
  const command = (run) => (name) => run(`~/kernels ${name} ${milliseconds}`);
  for (let round = 0; round < rounds; round++) {
    log(`kernels, round ${round + 1} of ${rounds}`);
    await page.withGuest(1, (onPage) => program.withGuest('qemu', withPrograms, 1, (onQemu) => program.withGuest('newest', withPrograms, 1,
      (onNewest) => page.withWasm32(wasm32, (inWorker) => one({
        page: command(onPage), qemu: command(onQemu), newest: command(onNewest), wasm32: (name) => inWorker(name, String(milliseconds)),
      })))));
  }
  return runs;
}

/** `versions`: what 'qemu' and 'newest' call themselves. */
export function kernelRows(runs, versions) {
  const titles = { page: 'the page', qemu: `QEMU ${versions.qemu}`, newest: `QEMU ${versions.newest}`, wasm32: 'wasm32' };
  checkResults(runs, allKernels, titles);
  const seconds = (side, name) => median(runs[side].map((round) => round.get(name).seconds));
  const milliseconds = (side, name) => seconds(side, name) / roundsTimed * 1000;
  const warmup = (side, name) => seconds(side, `${name}_warmup`) * 1000;
  const ratio = (side, name) => seconds('page', name) / seconds(side, name);
  const samples = (name) => Object.fromEntries(Object.entries(runs).map(([side, rounds]) => [side, rounds.map((round) => ({
    milliseconds: round.get(name).seconds / roundsTimed * 1000, warmup: round.get(`${name}_warmup`).seconds * 1000,
  }))]));
  const others = (value) => `x ${value('newest').toFixed(2)} ${titles.newest}; x ${value('wasm32').toFixed(2)} wasm32`;

  const rows = [];
  for (const [kind, names] of Object.entries(kernels)) {
    for (const name of names) {
      rows.push(row('kernels', `${kind} kernel ${name}, Chromium, a round`, milliseconds('page', name), {
        unit: 'ms', digits: 3, reference: milliseconds('qemu', name), samples: samples(name),
        note: `x ${ratio('qemu', name).toFixed(2)}; ${others((side) => ratio(side, name))}; at speed after ${warmup('page', name).toFixed(0)} ms, `
          + `QEMU ${warmup('qemu', name).toFixed(0)} ms`,
      }));
    }
  }
  for (const [kind, names] of [...Object.entries(kernels), ['all', allKernels]]) {
    const mean = (side) => geometricMean(names.map((name) => ratio(side, name)));
    rows.push(row('kernels', `${kind} kernels, Chromium: time`, mean('qemu'),
      { unit: `x QEMU's`, target: targets[kind], digits: 2, reference: 1, note: `geometric mean; ${others(mean)}` }));
  }
  const slowest = allKernels.reduce((worst, name) => (ratio('qemu', name) > ratio('qemu', worst) ? name : worst));
  rows.push(
    row('kernels', 'the slowest kernel beside QEMU, Chromium: time', ratio('qemu', slowest),
      { unit: `x QEMU's`, target: targets.slowest, digits: 2, reference: 1, note: slowest }),
    row('kernels', 'all kernels, Chromium: time beside wasm32', geometricMean(allKernels.map((name) => ratio('wasm32', name))),
      { unit: "x wasm32's", target: targets.wasm32, digits: 2, note: 'geometric mean' }),
    row('kernels', 'from the first execution to 90 % of steady speed, Chromium', median(allKernels.map((name) => warmup('page', name))),
      { unit: 'ms', target: targets.warmup, reference: median(allKernels.map((name) => warmup('qemu', name))), note: 'median of the kernels' }),
  );
  return rows;
}
