// SPDX-License-Identifier: Apache-2.0
// Shows that the seeded tests catch the bugs they are for: each *.patch beside this script is applied to a copy of
// host/ in a temporary folder, only what it changes is compiled anew, and the tests that it names have to fail, within
// a time limit and by a failed expectation rather than a hang. Prints after how many seeds each was caught; tests that have
// no seeds, because the bug needs no race, say so in their patch ("Seeds: none").
//
//   node tests/mutations/run.mjs [NAME]...        needs build/native (cmake --build --preset native)
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buildDir, execute, root, runMain, UserError } from '../../tools/lib/project.mjs';

const here = join(root, 'tests/mutations');
const testSources = [
  'tests/shm/attention_native_test.cpp', 'tests/machine/programs_seeds_native_test.cpp', 'tests/machine/parts_native_test.cpp',
  'tests/jit/registry_test.cpp', 'tests/hart/tlb_test.cpp',
];
// In the order of the layers, highest first.
const layers = ['machine', 'debug', 'boot', 'sbi', 'devices', 'jit', 'wasm', 'hart', 'memory', 'fdt', 'isa', 'shm', 'base'];
const secondsToRun = 120;

const googletest = '/usr/src/googletest/googletest/include';
const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-ffp-contract=off', '-fno-strict-aliasing', '-isystem', googletest];

async function must(command, args, options) {
  const result = await execute(command, args, { keep: true, ...options });
  if (result.code !== 0) throw new UserError(`${command} failed`, { tail: result.lines.slice(-25) });
}

/** The tests' objects are made once: a mutation changes no header. */
async function compileTests(folder) {
  const objects = [];
  for (const source of testSources) {
    const object = join(folder, `${basename(source)}.o`);
    await must('c++', [...flags, '-Ihost', '-Itests', '-c', source, '-o', object]);
    objects.push(object);
  }
  return objects;
}

async function link(program, objects) {
  const libraries = [...layers, 'gtest'].map((name) => join(buildDir, `native/libhw_${name}.a`));
  await must('c++', [...objects, ...libraries, '-lboost_context', '-lpthread', '-o', program]);
}

/** { failed, seeds, message, timedOut } of a run of the tests that `filter` selects. */
async function runTests(program, filter, seeded = true) {
  const result = await execute(program, [`--gtest_filter=${filter}`], { keep: true, timeoutSeconds: secondsToRun });
  const text = result.lines.join('\n');
  const seeds = [...text.matchAll(/\bseed (\d+)$/gm)].map((match) => Number(match[1]));
  const message = /Which is: "(.*)"/.exec(text)?.[1] ?? /Failure\n(.*)/.exec(text)?.[1].trim() ?? '';
  const failed = result.code !== 0 && (seeds.length > 0 || !seeded) && /^\[  FAILED  \]/m.test(text);
  return { code: result.code, failed, seeds: Math.min(...seeds), message, timedOut: result.timedOut, lines: result.lines };
}

function readPatch(name) {
  const text = readFileSync(join(here, `${name}.patch`), 'utf8');
  const head = text.slice(0, text.indexOf('\n--- '));
  const bug = /^Bug: (.*?)$(?=\nTests:)/ms.exec(head)?.[1].replace(/\s+/g, ' ');
  const tests = /^Tests: (\S+)$/m.exec(head)?.[1];
  const seeded = !/^Seeds: none$/m.test(head);
  const sources = [...text.matchAll(/^\+\+\+ b\/(\S+)$/gm)].map((match) => match[1]);
  if (!bug || !tests || !sources.length || !sources.every((file) => /^host\/.*\.cpp$/.test(file)))
    throw new UserError(`${name}.patch: needs "Bug:" and "Tests:" before the changes, which are to .cpp files of host/`);
  return { name, bug, tests, seeded, sources };
}

async function buildMutant(mutation, work, testObjects) {
  const folder = join(work, mutation.name);
  mkdirSync(folder);
  cpSync(join(root, 'host'), join(folder, 'host'), { recursive: true });
  const applied = await execute('git', ['apply', '--whitespace=nowarn', '-C1', join(here, `${mutation.name}.patch`)], { cwd: folder, keep: true });
  if (applied.code !== 0) throw new UserError(`${mutation.name}.patch does not apply: what it changes has changed, make it anew`, { tail: applied.lines });
  const objects = [];
  for (const source of mutation.sources) {
    const object = join(folder, `${basename(source)}.o`);
    await must('c++', [...flags, '-fno-exceptions', '-fno-rtti', '-Ihost', '-c', source, '-o', object], { cwd: folder });
    objects.push(object);
  }
  const program = join(folder, 'tests');
  await link(program, [...testObjects, ...objects]);
  return program;
}

await runMain(async (names) => {
  const all = readdirSync(here).filter((file) => file.endsWith('.patch')).map((file) => file.slice(0, -6)).sort();
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length) throw new UserError(`no such mutation: ${unknown.join(', ')}; there are: ${all.join(', ')}`);
  const work = mkdtempSync(join(tmpdir(), 'hartwood-mutations-'));
  let passed = 0, failed = 0;
  const report = (good, text) => {
    console.log(`${good ? 'ok    ' : 'FAILED'} ${text}`);
    good ? passed++ : failed++;
  };
  try {
    const mutations = (names.length ? names : all).map(readPatch);
    const testObjects = await compileTests(work);
    const plain = join(work, 'plain');
    await link(plain, testObjects);
    const every = [...new Set(mutations.flatMap((mutation) => mutation.tests.split(':')))].join(':');
    const before = await runTests(plain, every);
    report(before.code === 0, 'without a mutation all tests pass');
    if (before.code !== 0) console.log(before.lines.slice(-30).map((line) => `    | ${line}`).join('\n'));
    for (const mutation of mutations) {
      const { failed: caught, seeds, message, timedOut } = await runTests(
        await buildMutant(mutation, work, testObjects), mutation.tests, mutation.seeded,
      );
      const outcome = caught && !mutation.seeded ? `caught ("${message}")`
        : caught ? `caught after ${seeds} ${seeds === 1 ? 'seed' : 'seeds'} ("${message}")`
        : timedOut ? `no end after ${secondsToRun} s` : 'NOT caught';
      report(caught && !timedOut, `${mutation.name}: ${outcome}\n       ${mutation.bug}`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
