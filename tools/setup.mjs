// SPDX-License-Identifier: Apache-2.0
// Set-up: brings a bare clone to the point where the named targets are made, and shows its progress. Each step is
// made in a temporary place and renamed, so an interrupted run resumes; with nothing to do it takes seconds.
//
//   node tools/setup.mjs [--tests] [TARGET...]       targets: see lib/targets.mjs; default: dist
//   node tools/setup.mjs --print-env                 the toolchain's variables, for a shell: eval "$(...)"
import { join } from 'node:path';
import { needNewNode } from './lib/node-version.mjs';
import { takeLock } from './lib/lock.mjs';
import { runSteps } from './lib/progress.mjs';
import { buildDir, execute, isMain, readOptions, root, runMain, UserError } from './lib/project.mjs';
import { makeTargets } from './lib/targets.mjs';
import { findProgram } from './lib/packages.mjs';

/**
 * Make the named targets and what they need. Two runs in one checkout wait for each other.
 * Returns { env, times }: the environment for commands that use the results, and how long each step took.
 */
export async function setUp(names, { tests = false } = {}) {
  const { targets, env } = makeTargets({ tests });
  const wanted = new Set();
  const want = (name) => {
    if (!targets[name]) throw new UserError(`no set-up target "${name}"; there are: ${Object.keys(targets).join(' ')}`);
    targets[name].needs.forEach(want);
    wanted.add(name);
  };
  names.forEach(want);
  // util-linux has flock; Debian always has it, and the packages step checks for it elsewhere.
  const release = findProgram('flock') ? await takeLock(join(buildDir, '.lock'), () => console.log('waiting for another run in this checkout')) : async () => {};
  try {
    const steps = Object.entries(targets).filter(([name]) => wanted.has(name)).map(([name, target]) => ({ name, ...target }));
    return { env, times: await runSteps(steps) };
  } finally {
    await release();
  }
}

/** The environment for commands that use the toolchain. */
export async function toolchainEnvironment() {
  const { targets, env } = makeTargets({ tests: false });
  await targets.emscripten.action({ see() {}, run: (command, args, options) => execute(command, args, options) });
  return env;
}

if (isMain(import.meta.url)) {
  await runMain(async (args) => {
    await needNewNode();
    const { options, rest } = readOptions(args, { tests: false, printEnv: false });
    if (options.printEnv) {
      const env = await toolchainEnvironment();
      for (const name of ['PATH', 'EM_CONFIG', 'EMSDK_PYTHON', 'EMSCRIPTEN_TOOLCHAIN', 'CCACHE_DIR', 'CCACHE_BASEDIR', 'CCACHE_NOHASHDIR']) {
        if (env[name]) console.log(`export ${name}='${env[name].replaceAll("'", "'\\''")}'`);
      }
      return;
    }
    await setUp(rest.length ? rest : ['dist'], { tests: options.tests });
    console.log(`set up in ${root}`);
  });
}
