// SPDX-License-Identifier: Apache-2.0
// Random programs, interpreted and compiled: registers, flags, memory and traps that they leave behind must agree in every
// byte. The interpreter is the native build (which tests/differential compares with QEMU); the compiler is eager, so that
// every place that is jumped to is compiled before it is executed a second time, once with all its passes and once without
// those that can be left out.
//
//   node tests/jit/random.mjs [--programs 20000] [--seed 1]        compare; ends with 1 at any difference
//   node tests/jit/random.mjs --seed S --program I --level L       one program again, with its listing
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, readOptions, runMain, UserError } from '../../tools/lib/project.mjs';
import { SyncMachine } from './sync-core.mjs';

const generator = join(root, 'build/native/differential_generate');
const hartwood = join(root, 'build/native/hartwood');
// What the console's ring holds at once.
const batch = 35;
const slices = [60, 251, 1000];

/** The programs' output, by the native interpreter. */
const interpreted = (elf) =>
  execFileSync(hartwood, ['--bios', 'none', '--kernel', elf, '--memory', '64M', '--zacas'], { maxBuffer: 1 << 24, timeout: 60_000 });

/** `passes`: whether the compiler makes its optional ones. */
function compiled(elf, slice, passes) {
  const configuration = { harts: 1, memory: 64, firmware: 'none', zacas: true, compiler: true, compiler_eager: true };
  const machine = new SyncMachine(configuration, { kernel: readFileSync(elf) });
  if (!passes) machine.exports.hw_compiler_passes(0);
  const parts = [];
  for (let runs = 0; machine.run(slice); runs++) {
    parts.push(machine.output());
    if (runs > 2_000_000) throw new Error('no end');
  }
  parts.push(machine.output());
  return { out: Buffer.concat(parts), modules: machine.modules };
}

await runMain(async (args) => {
  const { options } = readOptions(args, { programs: '20000', seed: '1', program: '', level: '' });
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-jit-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const isa = JSON.parse(execFileSync(generator, ['--list-isa']));
  const elf = join(folder, 'programs.elf');
  const generate = (level, first, count, extra = []) => execFileSync(generator, [
    '--seed', options.seed, '--first', String(first), '--count', String(count), '--level', level,
    '--extensions', isa.extensions.join(','), '--machine-elf', elf, '--slot', ...extra,
  ], { maxBuffer: 1 << 26 }).toString();

  let passed = 0, failed = 0, modules = 0;
  const compare = (level, first, count, slice) => {
    const layout = JSON.parse(generate(level, first, count));
    const expected = interpreted(elf);
    const outs = [];
    for (const passes of [true, false]) {
      const { out, modules: made } = compiled(elf, slice, passes);
      outs.push(out);
      modules += made;
    }
    if (expected.length !== layout.bytes * count) throw new UserError('the native machine wrote only a part of its output');
    const different = [];
    for (let i = 0; i < count; i++) {
      const of = (from) => from.subarray(i * layout.bytes, (i + 1) * layout.bytes);
      if (outs.some((out) => !of(expected).equals(of(out)))) different.push(i);
    }
    return { different, expected, outs, layout };
  };
  if (options.program !== '') {
    const { different, expected, outs, layout } = compare(options.level, Number(options.program), 1, slices[0]);
    if (different.length) {
      console.log(execFileSync(generator, ['--seed', options.seed, '--first', options.program, '--count', '1', '--level', options.level,
        '--extensions', isa.extensions.join(','), '--listing']).toString());
      for (let at = 0; at < layout.bytes; at += 8) {
        const [a, b, c] = [expected, ...outs].map((from) => (at + 8 <= from.length ? from.readBigUInt64LE(at).toString(16) : 'missing'));
        if (a !== b || a !== c) console.log(`at ${at}: interpreted ${a}, compiled ${b}, without passes ${c}`);
      }
    }
    console.log(`${1 - different.length} passed, ${different.length} failed`);
    return different.length;
  }
  const total = Number(options.programs);
  for (let first = 0, turn = 0; first < total; first += batch, turn++) {
    const level = turn % 3 === 2 ? 'machine' : 'user';
    const count = Math.min(batch, total - first);
    const { different } = compare(level, first, count, slices[turn % slices.length]);
    passed += count - different.length;
    failed += different.length;
    for (const i of different.slice(0, 3)) {
      console.log(`program ${first + i} differs; again: node tests/jit/random.mjs --seed ${options.seed} --program ${first + i} --level ${level}`);
    }
    if (failed > 20) break;
    if (turn % 50 === 49) console.log(`${first + count} programs, ${modules} modules`);
  }
  console.log(`${modules} modules compiled`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed ? 1 : 0;
});
