// SPDX-License-Identifier: Apache-2.0
// How much processor time a program and its children have used, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = 100;  // USER_HZ, the same on every Linux architecture that we run on

function processes() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      // The program's name, in brackets, may contain anything.
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
      return [{ pid: Number(pid), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }];
    } catch {
      return [];  // it has just ended
    }
  });
}

/** Ticks of each living process of the tree below `top`: Map of pid to ticks. */
function treeTicks(top) {
  const all = processes();
  const members = new Set([top]);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      if (members.has(parent) && !members.has(pid)) grown = Boolean(members.add(pid));
    }
  }
  return new Map(all.filter(({ pid }) => members.has(pid)).map(({ pid, ticks }) => [pid, ticks]));
}

/** The share of one core that the tree below process `top` uses during `seconds` from now. */
export async function cpuShare(top, seconds) {
  const before = treeTicks(top);
  const start = performance.now();
  await new Promise((done) => setTimeout(done, seconds * 1000));
  const elapsed = (performance.now() - start) / 1000;
  let ticks = 0;
  for (const [pid, now] of treeTicks(top)) ticks += now - (before.get(pid) ?? 0);
  return ticks / ticksPerSecond / elapsed;
}
