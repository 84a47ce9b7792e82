// SPDX-License-Identifier: Apache-2.0
// npm run bench: the numbers that the project aims at, as a table and as build/bench.json. What QEMU can do as well is
// measured in turns with it, so that both see the same machine; medians of several rounds. Run it on an idle machine.
//
//   npm run bench -- [--rounds 3] [--only boot,kernels,idle,download,setup]
//   npm run bench -- --fresh       besides, `npm start`'s set-up from nothing: an empty cache and a fresh clone (minutes)
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from './lib/content-cache.mjs';
import { needNewNode } from './lib/node-version.mjs';
import { buildDir, execute, readOptions, root, run, runMain, toolEnvironment, UserError } from './lib/project.mjs';
import { setUp } from './setup.mjs';

const kernelNames = ['sieve', 'crc', 'sort', 'calls', 'mix', 'matrix', 'bytecode', 'chase', 'text'];
const groups = ['boot', 'kernels', 'idle', 'download', 'setup'];
const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Our initramfs with the guest's programs in /root. */
async function benchInitrd() {
  const { folder } = await cached({
    name: 'bench-initramfs',
    paths: ['tools/bench/kernels.c', 'kernel/build-initramfs.sh', 'kernel/lib-debian.sh', 'kernel/initramfs'],
    make: async (out) => {
      const program = join(out, 'kernels');
      await run('riscv64-linux-gnu-gcc', ['-O2', '-static', '-march=rv64gc', '-o', program, 'tools/bench/kernels.c']);
      await run('kernel/build-initramfs.sh', [out, program]);
    },
  });
  return join(folder, 'initramfs.cpio');
}

/** One row: measured against a target, both in `unit`; `atLeast` if more is better. */
function row(what, value, { unit, target, atLeast = false, digits = 0, samples }) {
  const reached = target === undefined ? undefined : atLeast ? value >= target : value <= target;
  return { what, value, unit, target, reached, samples, digits, sign: atLeast ? '>=' : '<=' };
}

async function measureBoot(side, qemu, files, rounds) {
  await side.boot();  // fills the HTTP cache
  const ours = [], theirs = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await side.boot());
    theirs.push(await qemu.bootQemu(files));
  }
  return [
    row('navigation to shell prompt, 2 harts, warm cache', median(ours), { unit: 'ms', target: 1500, samples: ours }),
    row('QEMU to shell prompt, 2 harts', median(theirs), { unit: 'ms', samples: theirs }),
  ];
}

async function measureKernels(side, qemu, files, rounds) {
  const ours = [], theirs = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await side.kernels(kernelNames));
    theirs.push(await qemu.kernelsOnQemu(files, kernelNames));
  }
  const rows = [];
  const rates = [], ratios = [];
  for (const name of kernelNames) {
    const result = theirs[0].get(name).result;
    for (const round of [...ours, ...theirs]) {
      if (round.get(name).result !== result) throw new UserError(`kernel ${name}: results differ, ${round.get(name).result} and ${result}`);
    }
    const seconds = median(ours.map((round) => round.get(name).seconds));
    const reference = median(theirs.map((round) => round.get(name).seconds));
    const rate = median(ours.map((round) => round.get(name).instructions / round.get(name).seconds / 1e6));
    rates.push(rate);
    ratios.push(seconds / reference);
    rows.push(row(`kernel ${name}: time as a multiple of QEMU's (${rate.toFixed(0)} MIPS)`, seconds / reference,
      { unit: 'x', digits: 2, samples: ours.map((round) => round.get(name).seconds) }));
  }
  return [
    ...rows,
    row('interpreter, integer kernels, geometric mean', geometricMean(rates), { unit: 'MIPS', target: 400, atLeast: true }),
    row("time as a multiple of QEMU's, geometric mean", geometricMean(ratios), { unit: 'x', target: 2.2, digits: 2 }),
  ];
}

/** Time of the set-up when there is nothing to do; with `fresh`, also of a clone with an empty cache. */
async function measureSetup(fresh) {
  const again = await run('node', ['tools/setup.mjs']);
  const rows = [row('set-up, second time', again.seconds, { unit: 's', target: 10, digits: 1 })];
  if (!fresh) return rows;
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-fresh-'));
  try {
    const clone = join(folder, 'clone');
    await run('git', ['clone', '-q', root, clone]);
    const env = toolEnvironment({ HARTWOOD_CACHE: join(folder, 'cache'), CCACHE_DIR: join(folder, 'ccache') });
    delete env.CCACHE_BASEDIR;
    const result = await execute('npm', ['run', '--silent', 'setup'], { cwd: clone, env, log: join(buildDir, 'log', 'bench-fresh.log') });
    if (result.code !== 0) throw new UserError('the set-up from nothing failed', { log: join(buildDir, 'log', 'bench-fresh.log'), tail: result.lines });
    rows.push(row('set-up from nothing (system packages installed)', result.seconds / 60, { unit: 'min', target: 15, digits: 1 }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

await runMain(async (args) => {
  await needNewNode();
  const { options } = readOptions(args, { rounds: '3', only: groups.join(','), fresh: false });
  const rounds = Number(options.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new UserError(`--rounds must be a whole number above 0: ${options.rounds}`);
  const chosen = options.only.split(',');
  const unknown = chosen.filter((name) => !groups.includes(name));
  if (unknown.length) throw new UserError(`nothing to measure under ${unknown.join(', ')}; there are: ${groups.join(' ')}`);

  await setUp(['dist'], { tests: true });
  const kernel = join(buildDir, 'guest/kernel/Image');
  const files = { kernel, initrd: join(buildDir, 'guest/initramfs/initramfs.cpio') };
  const withKernels = { kernel, initrd: await benchInitrd() };
  // These need the installed packages.
  const { PageSide } = await import('./bench/page-side.mjs');
  const qemu = await import('./bench/qemu-side.mjs');
  const rows = [];
  const side = await PageSide.open(withKernels.initrd);
  try {
    const measures = {
      boot: () => measureBoot(side, qemu, files, rounds),
      kernels: () => measureKernels(side, qemu, withKernels, rounds),
      idle: async () => [row('idle at the prompt, 2 harts, the whole browser', 100 * await side.idle(10), { unit: '% of a core', target: 5, digits: 1 })],
      download: async () => [row('download for the page, compressed', await side.download() / 1e6, { unit: 'MB', target: 8, digits: 2 })],
      setup: () => measureSetup(options.fresh),
    };
    for (const name of groups) {
      if (!chosen.includes(name)) continue;
      console.log(`measuring ${name}`);
      rows.push(...await measures[name]());
    }
  } finally {
    await side.close();
  }

  console.log();
  for (const { what, value, unit, target, reached, digits, sign } of rows) {
    const aim = target === undefined ? '' : `${sign} ${target} ${unit}  ${reached ? 'reached' : 'MISSED'}`;
    console.log(`${what.padEnd(64)} ${value.toFixed(digits).padStart(8)} ${unit.padEnd(12)} ${aim}`.trimEnd());
  }
  const report = join(buildDir, 'bench.json');
  writeFileSync(report, `${JSON.stringify(rows.map(({ digits, sign, ...kept }) => kept), null, 2)}\n`);
  console.log(`\nthe same as JSON: ${report}`);
});
