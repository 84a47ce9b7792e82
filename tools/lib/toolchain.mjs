// SPDX-License-Identifier: Apache-2.0
// The compiler for Wasm: an emcc of version 4 or newer on PATH, else the private Emscripten of
// tools/toolchain/setup-emscripten.sh. Either way the result is a set of environment variables.
import { realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findProgram, isSupportedDebian } from './packages.mjs';
import { output, pathWith, root, UserError } from './project.mjs';

const oldestMajor = 4;

async function systemToolchain() {
  const emcc = findProgram('emcc');
  if (!emcc) return undefined;
  const version = /(\d+)\.(\d+)\.(\d+)/.exec(await output(emcc, ['--version']) ?? '');
  if (!version || Number(version[1]) < oldestMajor) return undefined;
  const program = realpathSync(emcc);
  const folder = (await output(join(dirname(program), 'em-config'), ['EMSCRIPTEN_ROOT']))?.trim() || dirname(program);
  return { EMSCRIPTEN_TOOLCHAIN: join(folder, 'cmake/Modules/Platform/Emscripten.cmake') };
}

/** Returns { env, worked }: the variables to add for Emscripten, and whether something had to be installed. */
export async function prepareToolchain(step) {
  const system = await systemToolchain();
  if (system) return { env: system, worked: false };
  if (!isSupportedDebian()) throw new UserError(`Emscripten ${oldestMajor} or newer is needed: put its emcc on PATH`);
  const { lines, seconds } = await step.run(join(root, 'tools/toolchain/setup-emscripten.sh'), [], { keep: true });
  const script = lines.findLast((line) => line.endsWith('/env.sh'));
  const values = await output('sh', ['-c', '. "$1" && printf "%s\\n" "$PATH" "$EM_CONFIG" "$EMSDK_PYTHON" "$EMSCRIPTEN_TOOLCHAIN"', 'sh', script]);
  const [path, config, python, toolchain] = values.split('\n');
  return {
    env: { PATH: pathWith(path.split(delimiter)[0]), EM_CONFIG: config, EMSDK_PYTHON: python, EMSCRIPTEN_TOOLCHAIN: toolchain },
    worked: seconds > 2,
  };
}
