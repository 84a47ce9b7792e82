// SPDX-License-Identifier: Apache-2.0
// What people do on a Linux machine, timed: processes, tools, interpreters, a compiler, a database (tests/bench/workloads),
// in the page and in two native QEMUs, one hart each; and a build of a small project on two harts beside one. A dozen
// programs of the same userland have no targets.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir, root, UserError } from '../lib/project.mjs';
import { appendFiles } from './guest-archive.mjs';
import { checkResults, geometricMean, median, readResults, row } from './numbers.mjs';
import { compiledPrograms } from './programs.mjs';

/** Titles by name; tests/bench/workloads/run knows what they are. */
export const workloads = {
  exec1000: '1,000 fork and exec', shell1000: 'shell loop of 1,000 /bin/true', gzip: 'gzip of 16 MB', gunzip: 'gunzip of 16 MB',
  find: 'find over / twenty times', fault256: 'page faults over 256 MB', pipe50k: '50,000 pipe round trips', syscall1m: '1 M system calls',
  sort: 'sort of 1 M lines', awk: 'awk over 400,000 lines', sha256: 'sha256sum of 64 MB', lua_nbody: 'Lua: n-body',
  lua_trees: 'Lua: binary trees', lua_strings: 'Lua: strings', python_start: 'Python start-up, ten times', python_mix: 'Python: a mix',
  gcc: 'gcc -O1 of a file of 2,000 lines', sqlite: 'sqlite: 100,000 rows',
};
/** Those that nothing was tuned for: how the machine does on what it has not seen. */
export const untuned = {
  bzip2: 'bzip2 of 4 MB', xz: 'xz -3 of 2 MB', zstd: 'zstd -9 of 4 MB', openssl: 'openssl: digests and ChaCha20 of 4 MB', perl: 'Perl over 100,000 lines',
  git: 'git log -p of 60 commits, twice', gcc_o2: 'gcc -O2 of a file of 300 lines', vim: 'vim: substitute and sort 20,000 lines', bc: 'bc: 1,200 digits',
  jq: 'jq over 30,000 objects', grep: 'grep -E over 150,000 lines', sed: 'sed over 200,000 lines',
};
const targets = { qemu: 0.8, newest: 1, worst: 1.5, make: 0.9 };
const files = ['run', 'nbody.lua', 'trees.lua', 'strings.lua', 'mix.py'];
const wrapper = `#!/bin/sh
[ -e /debian/proc/self ] || { mount -t proc proc /debian/proc && mount -o bind /dev /debian/dev; } || exit 1
exec chroot /debian /workloads/run "$@"
`;

/** The workloads named in `text`, with commas between them, in our order; all of them if it is empty. */
export function chooseWorkloads(text) {
  const named = text.split(',').filter(Boolean);
  const unknown = named.filter((name) => !Object.hasOwn(workloads, name));
  if (unknown.length) throw new UserError(`no workload ${unknown.join(', ')}; there are: ${Object.keys(workloads).join(' ')}`);
  return Object.keys(workloads).filter((name) => !named.length || named.includes(name));
}

/** The path of an initramfs made of `initrd`, the Debian tree and what runs in it. */
export async function workloadInitrd(initrd) {
  const tree = join(buildDir, 'guest', 'workloads', 'workloads.cpio');
  if (!existsSync(tree)) throw new UserError('there is no userland for the workloads; npm run setup -- --tests workloads makes it');
  const compiled = await compiledPrograms('guest', ['bench', 'timed', 'inputs']);
  const contents = { 'root/workload': Buffer.from(wrapper) };
  for (const name of files) contents[`debian/workloads/${name}`] = readFileSync(join(root, 'tests/bench/workloads', name));
  for (const name of ['bench', 'timed', 'inputs']) contents[`debian/workloads/${name}`] = readFileSync(join(compiled, name));
  mkdirSync(join(buildDir, 'bench'), { recursive: true });
  const file = join(buildDir, 'bench', 'workloads.cpio');
  const padding = Buffer.alloc((512 - readFileSync(initrd).length % 512) % 512);
  writeFileSync(file, appendFiles(Buffer.concat([readFileSync(initrd), padding, readFileSync(tree)]), contents));
  return file;
}

/** Runs workloads of `names` one after the other: Map of name to { seconds, result }. */
export async function runWorkloads(run, names, divisor, log = () => {}) {
  const results = new Map();
  for (const name of names) {
    log(name);
    // A line of results ends the wait also where there is no result.
    const text = await run(`~/workload ${name} ${divisor} || echo bench failed 1 ffffffffffffffff`);
    const found = readResults(text).get(name);
    if (found === undefined) throw new UserError(`the workload ${name} failed: ${JSON.stringify(text.slice(-500))}`);
    results.set(name, found);
  }
  return results;
}

/** Each side on one hart: { side: [for each round, Map of name to result] }. */
async function measureOnOne({ open, names, rounds, divisor, log, group }) {
  const one = { page: [], qemu: [], newest: [] };
  for (let round = 0; round < rounds; round++) {
    for (const side of Object.keys(one)) {
      log(`${group}, ${side}, round ${round + 1} of ${rounds}`);
      one[side].push(await open(side, 1, (run) => runWorkloads(run, names, divisor)));
    }
  }
  checkResults(one, names, { page: 'the page', qemu: 'QEMU', newest: 'the newest QEMU' });
  return one;
}

const opener = (page, program, machine) => (side, harts, body) =>
  side === 'page' ? page.withGuest(harts, body, { initrd: machine.initrd }) : program.withGuest(side, machine, harts, body);

/** The programs of `untuned`: { side: [for each round, Map of name to result] }. */
export async function measureUntuned({ page, program, files: guest, rounds, divisor, log }) {
  const machine = { kernel: guest.kernel, initrd: await workloadInitrd(guest.initrd) };
  return measureOnOne({ open: opener(page, program, machine), names: Object.keys(untuned), rounds, divisor, log, group: 'untuned' });
}

/**
 * { one, two }: each { side: [for each round, Map of name to result] }, on one hart and, if all workloads are measured,
 * `make` on two.
 */
export async function measureWorkloads({ page, program, files: guest, workloadNames: names, rounds, divisor, log }) {
  const machine = { kernel: guest.kernel, initrd: await workloadInitrd(guest.initrd) };
  const withMake = names.length === Object.keys(workloads).length;
  const two = { page: [], qemu: [] };
  const open = opener(page, program, machine);
  const one = await measureOnOne({ open, names, rounds, divisor, log, group: 'workloads' });
  for (let round = 0; withMake && round < rounds; round++) {
    for (const side of Object.keys(two)) two[side].push(await open(side, 2, (run) => runWorkloads(run, ['make1', 'make2'], divisor)));
  }
  if (withMake) checkResults(two, ['make1', 'make2'], { page: 'the page', qemu: 'QEMU' });
  return { one, two };
}

// A row for each program, and their mean beside each QEMU. `limits`: see targets.
function rowsOnOne(one, versions, group, titles, limits) {
  const names = [...one.page[0].keys()];
  const seconds = (side, name) => median(one[side].map((results) => results.get(name).seconds));
  const ratio = (side, name) => seconds('page', name) / seconds(side, name);
  const mean = (side) => geometricMean(names.map((name) => ratio(side, name)));
  const worst = names.reduce((a, b) => (ratio('qemu', a) > ratio('qemu', b) ? a : b));
  const common = { unit: "x QEMU's", digits: 2, reference: 1 };
  return [
    ...names.map((name) => row(group, `${titles[name]}, Chromium`, seconds('page', name) * 1000, {
      unit: 'ms', reference: seconds('qemu', name) * 1000,
      samples: Object.fromEntries(Object.entries(one).map(([side, rounds]) => [side, rounds.map((results) => results.get(name).seconds)])),
      note: `x ${ratio('qemu', name).toFixed(2)}; of the newest x ${ratio('newest', name).toFixed(2)}`,
    })),
    row(group, `${group}: time, QEMU ${versions.qemu}`, mean('qemu'), { ...common, target: limits.qemu, note: 'geometric mean' }),
    row(group, `${group}: time, QEMU ${versions.newest}`, mean('newest'), { ...common, target: limits.newest, note: 'geometric mean' }),
    row(group, `${group}: the slowest`, ratio('qemu', worst), { ...common, target: limits.worst, note: titles[worst] }),
  ];
}

/** As they come: these have no targets. */
export const untunedRows = (one, versions) => rowsOnOne(one, versions, 'untuned', untuned, {});

export function workloadRows({ one, two }, versions) {
  const rows = rowsOnOne(one, versions, 'workloads', workloads, targets);
  if (two.page.length) {
    const scaling = (side) => median(two[side].map((results) => results.get('make1').seconds / results.get('make2').seconds));
    rows.push(row('workloads', 'make -j2 on two harts beside -j1: scaling', scaling('page') / scaling('qemu'), {
      unit: "x QEMU's", digits: 2, target: targets.make, atLeast: true, reference: 1,
      note: `${scaling('page').toFixed(2)}, QEMU ${scaling('qemu').toFixed(2)}`,
    }));
  }
  return rows;
}
