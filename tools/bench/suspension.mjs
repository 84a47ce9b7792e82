// SPDX-License-Identifier: Apache-2.0
// How long it takes to stop a machine, to save it, to go on with what was saved, and to be at a prompt from a snapshot that
// comes with the page; and how much longer the native binary takes where one seed is one execution.
import { join } from 'node:path';
import { buildDir, execute, UserError } from '../lib/project.mjs';
import { median, row } from './numbers.mjs';

const pausesEach = 200;
const targets = { pause: 5, instant: 500 };  // ms

const share = (values, part) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** In the page: pauses under load, then a snapshot and what goes on with it. */
async function inPage({ pauses, patience }) {
  const { machine } = globalThis.hartwood;
  const wait = (pattern) => machine.waitFor(pattern, { timeout: patience });
  machine.console.write('while :; do :; done & while :; do sed p /etc/passwd | sort > /dev/null; done & \n');
  await wait(/:~# /);
  await new Promise((resolve) => setTimeout(resolve, 2000)); // what is hot is being compiled now
  const times = { pause: [], resume: [] };
  for (let i = 0; i < pauses; i++) {
    const begin = performance.now();
    await machine.pause();
    const stopped = performance.now();
    await machine.resume();
    times.pause.push(stopped - begin);
    times.resume.push(performance.now() - stopped);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const begin = performance.now();
  const blob = await machine.snapshot();
  const saved = performance.now();
  machine.terminate();
  const { Machine } = await import('./hartwood.js');
  const restoring = performance.now();
  const restored = await Machine.restore(blob);
  const running = performance.now();
  restored.console.write('\x03echo $((6*7))\n');
  await restored.waitFor('42', { timeout: patience });
  const answered = performance.now();
  await restored.loaded;
  const loaded = performance.now();
  restored.terminate();
  return {
    ...times, snapshot: saved - begin, bytes: blob.size,
    running: running - restoring, answered: answered - restoring, loaded: loaded - restoring,
  };
}

/** Milliseconds from navigation to a prompt that echoes what is typed. */
async function instantTime(page) {
  return page.atAddress('', async (visit) => visit.evaluate(async () => {
    while (globalThis.hartwood?.machine == null) await new Promise((resolve) => setTimeout(resolve, 1));
    const { machine } = globalThis.hartwood;
    machine.console.write('%typed'); // nothing that it printed before
    await machine.waitFor('%typed', { timeout: 20_000 });
    return performance.now();
  }));
}

/** Seconds that the native binary takes on two harts for a boot, some work on both, and power off. */
async function nativeSeconds({ kernel, initrd }, more) {
  const work = 'for n in 1 2 3 4; do seq 1 20000 | gzip | gunzip | sha1sum & done; wait; poweroff';
  const { code, seconds, lines } = await execute(join(buildDir, 'native/hartwood'), ['--harts', '2', '--memory', '128M',
    '--kernel', kernel, '--initrd', initrd, '--append', `console=hvc0 hartwood.run="${work}"`, ...more], { keep: true, timeoutSeconds: 300 });
  if (code !== 0) throw new UserError(`hartwood ${more.join(' ')} ended with ${code}`, { tail: lines.slice(-20) });
  return seconds;
}

/** For each round: what inPage() returns, and the instant start. */
export async function measureSuspension({ page, files, rounds, log }) {
  const runs = [];
  await page.warmCaches();
  for (let visit = 0; visit < 3; visit++) await instantTime(page);
  for (let round = 0; round < rounds; round++) {
    log(`suspension, round ${round + 1} of ${rounds}`);
    const instant = await instantTime(page);
    const all = await page.atPrompt('?harts=2', (visit) => visit.evaluate(inPage, { pauses: pausesEach, patience: 60_000 }));
    const threads = await nativeSeconds(files, []);
    const deterministic = await nativeSeconds(files, ['--deterministic', '--seed', String(round + 1)]);
    runs.push({ ...all, instant, threads, deterministic });
  }
  return runs;
}

export function suspensionRows(runs) {
  const of = (name) => runs.map((run) => run[name]);
  const all = (name) => runs.flatMap((run) => run[name]);
  const ms = { unit: 'ms' };
  return [
    row('suspension', 'navigation to a prompt that echoes, from the snapshot that comes with the page', median(of('instant')),
      { ...ms, target: targets.instant, samples: of('instant') }),
    row('suspension', 'machine.pause() under load, 2 harts: p99', share(all('pause'), 0.99),
      { ...ms, digits: 2, target: targets.pause, note: `median ${median(all('pause')).toFixed(2)}, worst ${Math.max(...all('pause')).toFixed(1)}` }),
    row('suspension', 'machine.resume(): p99', share(all('resume'), 0.99), { ...ms, digits: 2, note: `median ${median(all('resume')).toFixed(2)}` }),
    row('suspension', 'machine.snapshot(), 512 MB of guest RAM, 2 busy harts', median(of('snapshot')), { ...ms, samples: of('snapshot') }),
    row('suspension', 'its size', median(of('bytes')) / 1e6, { unit: 'MB', digits: 1, samples: of('bytes') }),
    row('suspension', 'Machine.restore(): to running harts', median(of('running')), { ...ms, samples: of('running') }),
    row('suspension', 'the same, to the first answer', median(of('answered')), { ...ms, samples: of('answered') }),
    row('suspension', 'the same, to all of its memory', median(of('loaded')), { ...ms, samples: of('loaded') }),
    row('suspension', 'deterministic mode, 2 harts, native: boot, work on both, power off', median(runs.map((run) => run.deterministic / run.threads)),
      { unit: 'x threads', digits: 1, samples: runs, note: `${median(of('deterministic')).toFixed(1)} s against ${median(of('threads')).toFixed(1)} s` }),
  ];
}
