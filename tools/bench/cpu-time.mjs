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

/** The living processes of the tree below `top`, itself included: a Set of pids. */
export function processTree(top, all = processes()) {
  const members = new Set([top]);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      if (members.has(parent) && !members.has(pid)) grown = Boolean(members.add(pid));
    }
  }
  return members;
}

/** Ticks of each of them: Map of pid to ticks. */
function treeTicks(top) {
  const all = processes();
  const members = processTree(top, all);
  return new Map(all.filter(({ pid }) => members.has(pid)).map(({ pid, ticks }) => [pid, ticks]));
}

/** What a process is: the kind that Chromium gives its own ones, else the program's name. */
function describe(pid) {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]/);
    const kind = words.find((word) => word.startsWith('--type='));
    return kind ? kind.slice(7) : words[0].replace(/^.*\//, '');
  } catch {
    return 'ended';
  }
}

/**
 * What the tree below process `top` uses during `seconds` from now, as shares of one core: { total, parts }, `parts` being
 * [{ name, share }], largest first.
 */
export async function cpuShare(top, seconds) {
  const before = treeTicks(top);
  const start = performance.now();
  await new Promise((done) => setTimeout(done, seconds * 1000));
  const elapsed = (performance.now() - start) / 1000;
  const parts = [...treeTicks(top)]
    .map(([pid, now]) => ({ name: describe(pid), share: (now - (before.get(pid) ?? 0)) / ticksPerSecond / elapsed }))
    .filter(({ share }) => share > 0).sort((a, b) => b.share - a.share);
  return { total: parts.reduce((sum, { share }) => sum + share, 0), parts };
}
