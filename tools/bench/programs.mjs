// SPDX-License-Identifier: Apache-2.0
// The benchmark's C programs (tests/bench), compiled for who runs them: the guest, this machine, and the browser itself.
import { join } from 'node:path';
import { cached } from '../lib/content-cache.mjs';
import { output, root, run, UserError } from '../lib/project.mjs';

const kernels = ['kernels.h', 'kernels.c', 'rounds.h', 'rounds.c'];

/** What each program is made of. */
export const programs = {
  bench: { sources: ['bench.c'] },
  kernels: { sources: [...kernels, 'one_kernel.c'], loops: true },
  latency: { sources: ['latency.c'] },
  dispersed: { sources: ['dispersed.c'] },
  timed: { sources: ['timed.c'] },
  inputs: { sources: ['inputs.c'] },
  harts: { sources: [...kernels, 'two_harts.c'], loops: true },
};

const common = ['-O2', '-fno-math-errno', '-Wall', '-Wextra', '-Werror'];
// For kernels: everyone computes the same, nothing being contracted, and loops over bytes stay loops.
const loops = ['-ffp-contract=off', '-fno-builtin', '-Wno-unused-parameter'];
const gccLoops = [...loops, '-fno-tree-loop-distribute-patterns'];
const compilers = {
  guest: {
    program: process.env.HARTWOOD_GUEST_CC ?? 'riscv64-linux-gnu-gcc', extension: '',
    flags: [...common, '-static', '-march=rv64gc'], loops: gccLoops,
  },
  host: { program: 'gcc', extension: '', flags: common, loops: gccLoops },
  wasm32: {
    program: 'emcc', extension: '.mjs', loops,
    flags: [...common, '-sENVIRONMENT=worker', '-sMODULARIZE', '-sEXPORT_ES6', '-sEXIT_RUNTIME'],
  },
};

/** The arguments that compile program `name` for `kind` to the file `out`; `folder` has the sources. */
export function compileArguments(kind, name, out, folder = join(root, 'tests/bench')) {
  const flags = [...compilers[kind].flags, ...(programs[name].loops ? compilers[kind].loops : [])];
  const sources = programs[name].sources.filter((file) => file.endsWith('.c')).map((file) => join(folder, file));
  return [...flags, '-o', out, ...sources];
}

/** The folder with programs `names` for `kind`, compiled unless that was done before. `env`: what the toolchain needs. */
export async function compiledPrograms(kind, names, env) {
  const { program, extension } = compilers[kind];
  const version = await output(program, ['--version'], { env });
  if (version === undefined) throw new UserError(`${program} cannot be run; npm run setup -- --tests installs it`);
  const { folder } = await cached({
    name: `bench-${kind}`,
    paths: [...new Set(names.flatMap((name) => programs[name].sources))].map((file) => `tests/bench/${file}`),
    values: [program, version, ...names.flatMap((name) => [name, ...compileArguments(kind, name, '', '')])],
    make: async (out) => {
      for (const name of names) await run(program, compileArguments(kind, name, join(out, name + extension)), { env });
    },
  });
  return folder;
}
