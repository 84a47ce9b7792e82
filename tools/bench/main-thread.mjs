// SPDX-License-Identifier: Apache-2.0
// The longest task on the page's main thread, booting and under load, from a trace of Chromium: a task that takes long keeps
// the page from answering.
import { median, row } from './numbers.mjs';

const target = 16;  // ms of processor time
const load = ['~/bench text 4', '~/bench fork 4', 'find / -xdev | tail -n 2000; ~/bench none'];

/**
 * Milliseconds of processor time of the tasks of the renderer's main thread in a trace's events, longest first:
 * [{ milliseconds, what }], `what` being the longest event inside.
 */
export function mainThreadTasks(events) {
  const mains = events.filter(({ ph, name, args }) => ph === 'M' && name === 'thread_name' && args.name === 'CrRendererMain');
  const tasks = [];
  for (const { pid, tid } of mains) {
    const own = events.filter((event) => event.ph === 'X' && event.pid === pid && event.tid === tid);
    for (const task of own.filter(({ name }) => /RunTask$/.test(name))) {
      const inside = own.filter((event) => event !== task && event.ts >= task.ts && event.ts + (event.dur ?? 0) <= task.ts + (task.dur ?? 0))
        .filter(({ name }) => !/RunTask$/.test(name)).sort((a, b) => (b.dur ?? 0) - (a.dur ?? 0));
      tasks.push({ milliseconds: (task.tdur ?? task.dur ?? 0) / 1000, what: inside[0]?.name ?? task.args?.src_func ?? task.name });
    }
  }
  return tasks.sort((a, b) => b.milliseconds - a.milliseconds);
}

/** For each round, the tasks. */
export async function measureMainThread({ page, rounds, log }) {
  const runs = [];
  await page.warmCaches();
  for (let round = 0; round < rounds; round++) {
    log(`main thread, round ${round + 1} of ${rounds}`);
    runs.push(mainThreadTasks(await page.trace(load)));
  }
  return runs;
}

export function mainThreadRows(runs) {
  const longest = runs.map((tasks) => tasks[0]?.milliseconds ?? 0);
  const names = runs[0].slice(0, 3).map(({ milliseconds, what }) => `${what} ${milliseconds.toFixed(1)}`).join(', ');
  return [row('main-thread', 'longest task of the main thread, booting and under load, Chromium', median(longest), {
    unit: 'ms', digits: 1, target, samples: longest, note: `${runs[0].length} tasks; ${names}`,
  })];
}
