// SPDX-License-Identifier: Apache-2.0
// npm run bench: the numbers that the project aims at, as a table and as build/bench.json. What native QEMU can do as well
// is measured in turns with it, round by round, so that both see the same machine; medians of the rounds. Run it on an idle
// machine. A missed target is reported and is no failure; what does not run, or computes something else than QEMU, is.
//
//   npm run bench -- [--rounds 5] [--only GROUP,...]   the groups: see `groups`
//   npm run bench -- --quick          three rounds, and a quarter of each program's work or time
//   npm run bench -- --fresh          besides, set-up from nothing: a fresh clone and an empty cache (many minutes); its
//                                     result is kept in build/bench-fresh.json and shown by later runs
//   npm run bench -- --only workloads --names gzip,gcc     those of the workloads, one hart only
//   npm run bench -- --dist FOLDER    measure a page built before, with what is set up already
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { needNewNode } from './lib/node-version.mjs';
import { buildDir, execute, output, readOptions, root, run, runMain, toolEnvironment, UserError } from './lib/project.mjs';
import { chooseWorkloads } from './bench/workloads.mjs';
import { setUp, toolchainEnvironment } from './setup.mjs';

const programs = {
  integer: ['sieve', 'digest', 'sort', 'bytecode', 'calls', 'copy', 'chase', 'text'],
  float: ['matmul', 'nbody'],
  system: ['syscall', 'fork', 'exec', 'pipe', 'fault'],
};
const allPrograms = Object.values(programs).flat();
const groups = ['boot', 'programs', 'kernels', 'harts', 'latency', 'dispersed', 'workloads', 'untuned', 'suspension', 'idle', 'memory', 'main-thread', 'download', 'setup'];
const sides = { qemu: 'native QEMU', native: 'native Hartwood' };
const freshReport = join(buildDir, 'bench-fresh.json');
const freshLog = join(buildDir, 'log', 'bench-fresh.log');

/** The measurements. `context`: the sides, the guest's files and how much to do; every one returns rows. */
const measures = {
  async boot({ page, program, files, numbers: { median, row }, rounds }) {
    await page.warmCaches();
    const times = { page: [], off: [], qemu: [], native: [] };
    for (let round = 0; round < rounds; round++) {
      times.page.push(await page.bootTime());
      times.off.push(await page.bootTime('&compiler=off'));
      for (const kind of Object.keys(sides)) times[kind].push(await program.bootTime(kind, files));
    }
    const reference = median(times.qemu);
    return [
      row('boot', 'navigation to shell prompt, Chromium, 2 harts, warm cache', median(times.page),
        { unit: 'ms', target: 1500, reference, samples: times.page, note: `x ${(median(times.page) / reference).toFixed(2)}` }),
      row('boot', 'the same with ?compiler=off', median(times.off),
        { unit: 'ms', reference, samples: times.off, note: `x ${(median(times.off) / median(times.page)).toFixed(2)} of the page's time with it` }),
      row('boot', 'exec to shell prompt, native Hartwood, 2 harts', median(times.native),
        { unit: 'ms', reference, samples: times.native, note: `x ${(median(times.native) / reference).toFixed(2)}` }),
    ];
  },

  async programs({ page, program, withPrograms, numbers, rounds, divisor, log }) {
    const runs = { page: [], interpreter: [], qemu: [], native: [] };
    for (let round = 0; round < rounds; round++) {
      log(`programs, round ${round + 1} of ${rounds}`);
      runs.page.push(await page.runPrograms(allPrograms, divisor));
      runs.interpreter.push(await page.runPrograms(allPrograms, divisor, { compiler: false }));
      for (const kind of Object.keys(sides)) runs[kind].push(await program.runPrograms(kind, withPrograms, allPrograms, divisor));
    }
    numbers.checkResults(runs, allPrograms, { page: 'the page', interpreter: 'the page without compiler', ...sides });
    return programRows(runs, numbers);
  },

  async kernels(context) {
    const { measureKernels, kernelRows } = await import('./bench/kernels.mjs');
    const wasm32 = await context.compiledPrograms('wasm32', ['kernels'], context.env);
    return kernelRows(await measureKernels({ ...context, wasm32 }), context.versions);
  },

  async harts(context) {
    const { measureHarts, hartRows } = await import('./bench/harts.mjs');
    const host = join(await context.compiledPrograms('host', ['harts'], context.env), 'harts');
    return hartRows(await measureHarts({ ...context, host }));
  },

  async latency(context) {
    const { measureLatency, latencyRows } = await import('./bench/latency.mjs');
    return latencyRows(await measureLatency(context));
  },

  async dispersed(context) {
    const { measureDispersed, dispersedRows } = await import('./bench/dispersed.mjs');
    return dispersedRows(await measureDispersed(context));
  },

  async workloads(context) {
    const { measureWorkloads, workloadRows } = await import('./bench/workloads.mjs');
    return workloadRows(await measureWorkloads(context), context.versions);
  },

  async untuned(context) {
    const { measureUntuned, untunedRows } = await import('./bench/workloads.mjs');
    return untunedRows(await measureUntuned(context), context.versions);
  },

  async suspension(context) {
    const { measureSuspension, suspensionRows } = await import('./bench/suspension.mjs');
    return suspensionRows(await measureSuspension(context));
  },

  async memory(context) {
    const { measureMemory, memoryRows } = await import('./bench/memory.mjs');
    return memoryRows(await measureMemory(context));
  },

  async 'main-thread'(context) {
    const { measureMainThread, mainThreadRows } = await import('./bench/main-thread.mjs');
    return mainThreadRows(await measureMainThread(context));
  },

  async idle({ page, program, files, numbers: { row }, idleSeconds }) {
    const settle = 3;  // seconds; what booting left behind
    const harts = 4;
    const ours = await page.idleShare(harts, idleSeconds, settle);
    const theirs = await program.idleShare('qemu', files, harts, idleSeconds, settle);
    const native = await program.idleShare('native', files, harts, idleSeconds, settle);
    const percent = ({ total }) => 100 * total;
    const largest = ours.parts.slice(0, 3).map(({ name, share }) => `${name} ${(100 * share).toFixed(1)}`).join(', ');
    const common = { unit: '% of a core', digits: 1, reference: percent(theirs) };
    return [
      row('idle', `idle at the prompt, all of Chromium, ${harts} harts`, percent(ours),
        { ...common, target: 3, samples: ours.parts, note: `over ${idleSeconds} s: ${largest}` }),
      row('idle', `idle at the prompt, native Hartwood, ${harts} harts`, percent(native), { ...common, note: `over ${idleSeconds} s` }),
    ];
  },

  async download({ page, numbers: { row } }) {
    const files = await page.download();
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const largest = files.slice(0, 3).map(({ name, bytes }) => `${name.replace(/-\w+\./, '.')} ${(bytes / 1e6).toFixed(2)}`).join(', ');
    return [row('download', 'download for the page, as sent, with kernel and initramfs', total / 1e6,
      { unit: 'MB', target: 8, digits: 2, samples: files, note: `${files.length} files: ${largest}, ...` })];
  },

  async setup({ numbers: { row }, ready, fresh }) {
    const notMeasured = 'not measured in this run';
    let again = null;
    if (ready) again = (await run('node', ['tools/setup.mjs'])).seconds;
    if (fresh) await setUpFromNothing();
    const known = existsSync(freshReport) ? JSON.parse(readFileSync(freshReport, 'utf8')) : null;
    return [
      row('setup', 'set-up of npm start from nothing', known === null ? null : known.seconds / 60, {
        unit: 'min', target: 15, digits: 1,
        note: known === null ? `${notMeasured} (--fresh does)` : `measured ${known.date}; system packages were installed`,
      }),
      row('setup', 'set-up of npm start, second time', again, { unit: 's', target: 10, digits: 1, note: again === null ? notMeasured : undefined }),
    ];
  },
};

function programRows(runs, { median, geometricMean, row }) {
  const seconds = (side, name) => median(runs[side].map((round) => round.get(name).seconds));
  const instructions = (name) => median(runs.page.map((round) => round.get(name).instructions));
  const ratio = (side, name) => seconds(side, name) / seconds('qemu', name);
  // A program's work is the same on the page and in the native binary, so the page's count serves for both.
  const mips = (side, name) => instructions(name) / seconds(side, name) / 1e6;
  const rows = [];
  for (const [kind, names] of Object.entries(programs)) {
    for (const name of names) {
      const speed = kind === 'system' ? '' : `, ${mips('page', name).toFixed(0)}, ${mips('interpreter', name).toFixed(0)} and ${mips('native', name).toFixed(0)} MIPS`;
      rows.push(row('programs', `${kind} program ${name}, Chromium`, seconds('page', name) * 1000, {
        unit: 'ms', digits: 1, reference: seconds('qemu', name) * 1000,
        samples: Object.fromEntries(Object.entries(runs).map(([side, rounds]) => [side, rounds.map((round) => round.get(name).seconds)])),
        note: `x ${ratio('page', name).toFixed(2)}; interpreted x ${ratio('interpreter', name).toFixed(2)}; native x ${ratio('native', name).toFixed(2)}${speed}`,
      }));
    }
  }
  for (const [side, where, targets] of [['page', 'Chromium', {}], ['interpreter', 'Chromium, interpreter', { mips: 400, ratio: 2.2 }], ['native', 'native Hartwood', {}]]) {
    rows.push(row('programs', `integer programs, MMU on, ${where}: speed`, geometricMean(programs.integer.map((name) => mips(side, name))),
      { unit: 'MIPS', target: targets.mips, atLeast: true, note: 'geometric mean' }));
    for (const [kind, names] of Object.entries(programs)) {
      rows.push(row('programs', `${kind} programs, ${where}: time`, geometricMean(names.map((name) => ratio(side, name))), {
        unit: "x QEMU's", target: kind === 'integer' ? targets.ratio : undefined, digits: 2, reference: 1, note: 'geometric mean',
      }));
    }
  }
  return rows;
}

/** Times the set-up of a fresh clone with an empty cache, and keeps the time. */
async function setUpFromNothing() {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-fresh-'));
  try {
    const clone = join(folder, 'clone');
    await run('git', ['clone', '-q', root, clone]);
    const env = toolEnvironment({ HARTWOOD_CACHE: join(folder, 'cache'), CCACHE_DIR: join(folder, 'ccache') });
    delete env.CCACHE_BASEDIR;
    const { code, seconds, lines } = await execute('npm', ['run', '--silent', 'setup'], { cwd: clone, env, log: freshLog });
    if (code !== 0) throw new UserError('the set-up from nothing failed', { log: freshLog, tail: lines });
    writeFileSync(freshReport, `${JSON.stringify({ seconds, date: new Date().toISOString().slice(0, 10), cores: cpus().length })}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function choose(text) {
  const chosen = text.split(',');
  const unknown = chosen.filter((name) => !groups.includes(name));
  if (unknown.length) throw new UserError(`nothing to measure under ${unknown.join(', ')}; there are: ${groups.join(' ')}`);
  return groups.filter((name) => chosen.includes(name));
}

/** What the numbers depend on. */
async function describeRun({ rounds, divisor, load, versions }) {
  const firstLine = async (program, args) => (await output(program, args))?.split('\n')[0] ?? null;
  return {
    date: new Date().toISOString(), rounds, divisor,
    processor: cpus()[0]?.model, cores: cpus().length, loadBefore: load, loadAfter: loadavg()[0],
    versions,
    chromium: await firstLine(process.env.HARTWOOD_CHROMIUM ?? '/usr/bin/chromium', ['--version']),
    commit: await firstLine('git', ['-C', root, 'describe', '--always', '--dirty']),
  };
}

await runMain(async (args) => {
  await needNewNode();
  const { options } = readOptions(args, { rounds: '', only: groups.join(','), names: '', quick: false, fresh: false, dist: '' });
  const rounds = options.rounds === '' ? (options.quick ? 3 : 5) : Number(options.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new UserError(`--rounds must be a whole number above 0: ${options.rounds}`);
  const chosen = choose(options.only);
  const workloadNames = chooseWorkloads(options.names);
  if (options.names !== '' && !chosen.includes('workloads')) throw new UserError('--names is for the group workloads');
  const divisor = options.quick ? 4 : 1;

  const ready = options.dist === '';
  // The newest QEMU that there is; the older one is a package.
  const userland = chosen.includes('workloads') || chosen.includes('untuned');
  const newest = userland || chosen.includes('kernels');
  const env = ready
    ? (await setUp(['dist', 'native', ...(newest ? ['references'] : []), ...(userland ? ['workloads'] : [])], { tests: true })).env
    : await toolchainEnvironment();
  const load = loadavg()[0];
  if (load > 0.5) console.log(`note: the load of this machine is ${load.toFixed(1)}; the numbers mean little unless it is near 0`);
  const files = { kernel: join(buildDir, 'guest/kernel/Image'), initrd: join(buildDir, 'guest/initramfs/initramfs.cpio') };
  for (const [name, file] of Object.entries(files)) {
    if (!existsSync(file)) throw new UserError(`there is no ${name}; npm run setup makes it`);
    files[name] = realpathSync(file);
  }
  // These need the installed packages.
  const { PageSide } = await import('./bench/page-side.mjs');
  const { benchInitrd } = await import('./bench/guest-archive.mjs');
  const { compiledPrograms } = await import('./bench/programs.mjs');
  const numbers = await import('./bench/numbers.mjs');
  const program = await import('./bench/program-side.mjs');
  const versions = {};
  for (const kind of newest ? ['qemu', 'newest'] : ['qemu']) versions[kind] = await program.versionOf(kind);
  const withPrograms = { ...files, initrd: await benchInitrd(files.initrd) };
  const page = await PageSide.open(resolve(options.dist || join(root, 'dist')), withPrograms.initrd);
  const rows = [];
  try {
    const context = {
      page, program, numbers, files, withPrograms, rounds, divisor, ready, env, workloadNames, versions, compiledPrograms, idleSeconds: 10,
      fresh: options.fresh, log: (text) => console.log(`measuring ${text}`),
    };
    for (const name of chosen) {
      context.log(name);
      rows.push(...await measures[name](context));
    }
  } finally {
    await page.close();
  }

  console.log(`\n${numbers.formatTable(rows)}`);
  const report = join(buildDir, 'bench.json');
  writeFileSync(report, `${JSON.stringify({ ...await describeRun({ rounds, divisor, load, versions }), rows: rows.map(({ digits, ...kept }) => kept) }, null, 2)}\n`);
  console.log(`\nthe same as JSON: ${report}`);
});
