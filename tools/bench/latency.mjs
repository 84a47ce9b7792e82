// SPDX-License-Identifier: Apache-2.0
// How late a timer interrupts code that is hot and makes no system call (tests/bench/latency.c), on one hart.
import { median, readResults, row } from './numbers.mjs';

const samplesEach = 2000;
const target = 1; // ms
const shares = ['median', 'p99', 'worst'];

/** { side: [for each round, Map of a line's name to { seconds }] }. */
export async function measureLatency({ page, program, withPrograms, rounds, divisor, log }) {
  const runs = { page: [], qemu: [] };
  const command = `~/latency ${Math.round(samplesEach / divisor)}`;
  for (let round = 0; round < rounds; round++) {
    log(`latency, round ${round + 1} of ${rounds}`);
    runs.page.push(readResults(await page.withGuest(1, (run) => run(command))));
    runs.qemu.push(readResults(await program.withGuest('qemu', withPrograms, 1, (run) => run(command))));
  }
  return runs;
}

export function latencyRows(runs) {
  const milliseconds = (side, share) => runs[side].map((results) => results.get(`latency_${share}`).seconds * 1000);
  return shares.map((share) => row('latency', `timer to signal handler in a hot loop, Chromium: ${share}`, median(milliseconds('page', share)), {
    unit: 'ms', digits: 3, reference: median(milliseconds('qemu', share)), target: share === 'p99' ? target : undefined,
    samples: { page: milliseconds('page', share), qemu: milliseconds('qemu', share) },
  }));
}
