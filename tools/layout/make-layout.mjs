// SPDX-License-Identifier: Apache-2.0
// Makes build/generated/layout.ts, the offsets by which TypeScript reads shared memory: compiles and runs layout_main.cpp
// with the system's compiler. The native CMake build makes the same file; this is for builds without one. The file is
// written only when its text changes.
//
//   node tools/layout/make-layout.mjs
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDir, isMain, output, root, run, runMain, UserError } from '../lib/project.mjs';

export async function makeLayout() {
  const folder = join(buildDir, 'generated');
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'layout');
  const compiler = process.env.CXX || 'g++';
  await run(compiler, ['-std=c++20', '-fno-exceptions', '-fno-rtti', '-I', join(root, 'host'),
    join(root, 'tools/layout/layout_main.cpp'), '-o', program]);
  const text = await output(program, []);
  if (text === undefined) throw new UserError(`${program} failed`);
  const file = join(folder, 'layout.ts');
  const whole = `${text.trimEnd()}\n`;
  if (!existsSync(file) || readFileSync(file, 'utf8') !== whole) writeFileSync(file, whole);
  return file;
}

if (isMain(import.meta.url)) await runMain(async () => void (await makeLayout()));
