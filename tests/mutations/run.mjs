// SPDX-License-Identifier: Apache-2.0
// Shows that the seeded tests catch the bugs they are for: each *.patch beside this script is applied to a copy of
// host/ in a temporary folder, only what it changes is compiled anew, and the tests that it names have to fail, within
// a time limit and by a failed expectation rather than a hang. Prints after how many seeds each was caught; tests that have
// no seeds, because the bug needs no race, say so in their patch ("Seeds: none").
//
// "Schedules: NAME" instead of tests, or besides them, is a scenario of the schedule search (tests/schedule), which has to
// find the bug: by some seed, which has to fail the same way when it is executed again.
//
// Bugs of what the compiler emits need its programs: such a patch names tests of tests/jit/cases.mjs ("Cases: "), which
// run on a core that is linked with what the patch changes.
//
//   node tests/mutations/run.mjs [NAME]...        needs build/native and build/wasm (npm run setup native core layout)
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { buildDir, execute, root, runMain, UserError } from '../../tools/lib/project.mjs';
import { toolchainEnvironment } from '../../tools/setup.mjs';

const here = join(root, 'tests/mutations');
const testSources = [
  'tests/shm/attention_native_test.cpp', 'tests/machine/programs_seeds_native_test.cpp', 'tests/machine/parts_native_test.cpp',
  'tests/jit/registry_test.cpp', 'tests/hart/tlb_test.cpp',
];
// In the order of the layers, highest first.
const layers = ['machine', 'debug', 'boot', 'sbi', 'devices', 'jit', 'wasm', 'hart', 'memory', 'fdt', 'isa', 'shm', 'base'];
const scheduleSources = ['schedules_native', 'scenarios', 'modules', 'stage'].map((name) => `tests/schedule/${name}.cpp`);
const secondsToRun = 120;
const scheduleSeeds = '100000', scheduleSeconds = '60';

const googletest = '/usr/src/googletest/googletest/include';
const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-ffp-contract=off', '-fno-strict-aliasing', '-isystem', googletest];

async function must(command, args, options) {
  const result = await execute(command, args, { keep: true, ...options });
  if (result.code !== 0) throw new UserError(`${command} failed`, { tail: result.lines.slice(-25) });
}

/** Objects of tests are made once: a mutation changes no header. */
async function compileTests(folder, sources, moreFlags = []) {
  const objects = [];
  for (const source of sources) {
    const object = join(folder, `${basename(source)}.o`);
    await must('c++', [...flags, ...moreFlags, '-Ihost', '-Itests', '-c', source, '-o', object]);
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
  const bug = /^Bug: (.*?)$(?=\n(Tests|Cases|Schedules):)/ms.exec(head)?.[1].replace(/\s+/g, ' ');
  const tests = /^Tests: (\S+)$/m.exec(head)?.[1];
  const cases = /^Cases: (.+)$/m.exec(head)?.[1];
  const schedules = /^Schedules: (\S+)$/m.exec(head)?.[1];
  const seeded = !/^Seeds: none$/m.test(head);
  const sources = [...text.matchAll(/^\+\+\+ b\/(\S+)$/gm)].map((match) => match[1]);
  if (!bug || !(tests || cases || schedules) || !sources.length || !sources.every((file) => /^host\/.*\.cpp$/.test(file)))
    throw new UserError(`${name}.patch: needs "Bug:" and "Tests:", "Schedules:" or "Cases:" before the changes, which are to .cpp files of host/`);
  return { name, bug, tests, cases, schedules, seeded, sources };
}

/** A copy of host/ with the mutation, in a folder of its own. */
async function mutate(mutation, work) {
  const folder = join(work, mutation.name);
  mkdirSync(folder);
  cpSync(join(root, 'host'), join(folder, 'host'), { recursive: true });
  const applied = await execute('git', ['apply', '--whitespace=nowarn', '-C1', join(here, `${mutation.name}.patch`)], { cwd: folder, keep: true });
  if (applied.code !== 0) throw new UserError(`${mutation.name}.patch does not apply: what it changes has changed, make it anew`, { tail: applied.lines });
  return folder;
}

async function compileMutant(mutation, work) {
  const folder = await mutate(mutation, work);
  const objects = [];
  for (const source of mutation.sources) {
    const object = join(folder, `${basename(source)}.o`);
    await must('c++', [...flags, '-fno-exceptions', '-fno-rtti', '-Ihost', '-c', source, '-o', object], { cwd: folder });
    objects.push(object);
  }
  return { folder, objects };
}

async function linkMutant({ folder, objects }, name, testObjects) {
  const program = join(folder, name);
  await link(program, [...testObjects, ...objects]);
  return program;
}

/** { found, seed, message, lines } of a search by one scenario. */
async function search(program, scenario) {
  const { lines, code } = await execute(program, ['run', '--only', scenario, '--seeds', scheduleSeeds, '--seconds', scheduleSeconds], { keep: true });
  const [, seed, message] = lines.map((line) => /^FAILED \S+ seed (\d+): (.*)/.exec(line)).find(Boolean) ?? [];
  if (seed === undefined) return { found: false, code, lines };
  const replay = async () => (await execute(program, ['replay', scenario, seed], { keep: true })).lines.join('\n');
  const [one, two] = [await replay(), await replay()];
  return { found: one === two && one.startsWith('FAILED') && one.includes(message), seed, message, code, lines };
}

/** The WebAssembly core with the mutation: what build/wasm was made with, on other files. */
async function buildMutantCore(mutation, work) {
  const folder = await mutate(mutation, work);
  const env = await toolchainEnvironment(), cwd = join(buildDir, 'wasm');
  const shell = (command) => must('sh', ['-c', command], { env, cwd });
  const compiles = JSON.parse(readFileSync(join(cwd, 'compile_commands.json'), 'utf8'));
  const objects = [];
  for (const source of mutation.sources) {
    const object = join(folder, `${basename(source)}.o`);
    const { command } = compiles.find(({ file }) => file === join(root, source));
    await shell(command.replaceAll(join(root, 'host'), join(folder, 'host')).replace(/ -o \S+/, ` -o ${object}`));
    objects.push(object);
  }
  const { lines } = await execute('ninja', ['-t', 'commands', 'hartwood_core'], { env, cwd, keep: true });
  const core = join(folder, 'core.wasm');
  // Objects come before libraries, so these are taken and the libraries' are not.
  await shell(lines.at(-1).replace(' -o hartwood_core.wasm ', ` ${objects.join(' ')} -o ${core} `));
  return core;
}

/** { code, failed, message } of the compiler's cases whose names match, on a core. */
async function runCases(pattern, core) {
  const result = await execute('node', ['--test', '--test-reporter=tap', '--test-name-pattern', pattern, 'tests/jit/cases.mjs'],
    { keep: true, timeoutSeconds: secondsToRun, env: { ...process.env, ...(core && { HARTWOOD_CORE: core }) } });
  const text = result.lines.join('\n');
  const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const message = /^ +error: (?:\|-\n)?\s*(.*)$/m.exec(text)?.[1] ?? '';
  return { code: result.code, ran: count('pass'), failed: count('fail') > 0 && !result.timedOut, message, timedOut: result.timedOut, lines: result.lines };
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
    const chosen = (names.length ? names : all).map(readPatch);
    const mutations = chosen.filter(({ tests }) => tests);
    const outcomeOf = (result, caught) => (result.timedOut ? `no end after ${secondsToRun} s` : caught ? `caught ("${result.message}")` : 'NOT caught');
    const testObjects = mutations.length ? await compileTests(work, testSources) : [];
    const searched = chosen.filter(({ schedules }) => schedules);
    const scheduleObjects = searched.length ? await compileTests(work, scheduleSources, ['-fno-exceptions', '-fno-rtti']) : [];
    const compiled = new Map();
    for (const mutation of new Set([...mutations, ...searched])) compiled.set(mutation, await compileMutant(mutation, work));
    if (mutations.length) {
      const plain = join(work, 'plain');
      await link(plain, testObjects);
      const every = [...new Set(mutations.flatMap((mutation) => mutation.tests.split(':')))].join(':');
      const before = await runTests(plain, every);
      report(before.code === 0, 'without a mutation all tests pass');
      if (before.code !== 0) console.log(before.lines.slice(-30).map((line) => `    | ${line}`).join('\n'));
    }
    for (const mutation of mutations) {
      const { failed: caught, seeds, message, timedOut } = await runTests(
        await linkMutant(compiled.get(mutation), 'tests', testObjects), mutation.tests, mutation.seeded,
      );
      const outcome = caught && mutation.seeded ? `caught after ${seeds} ${seeds === 1 ? 'seed' : 'seeds'} ("${message}")`
        : outcomeOf({ message, timedOut }, caught);
      report(caught && !timedOut, `${mutation.name}: ${outcome}\n       ${mutation.bug}`);
    }
    for (const mutation of searched) {
      const program = await linkMutant(compiled.get(mutation), 'schedules', scheduleObjects);
      const { found, seed, message, code } = await search(program, mutation.schedules);
      const outcome = found ? `found by seed ${seed} of ${mutation.schedules}, again each time ("${message}")`
        : `NOT found by ${mutation.schedules}${seed ? `: seed ${seed} does not repeat` : ` (exit code ${code})`}`;
      report(found, `${mutation.name}: ${outcome}\n       ${mutation.bug}`);
    }
    for (const mutation of chosen.filter(({ cases }) => cases)) {
      const sound = await runCases(mutation.cases);
      report(sound.code === 0 && sound.ran > 0, `without it ${sound.ran} of the compiler's cases pass`);
      const result = await runCases(mutation.cases, await buildMutantCore(mutation, work));
      report(result.failed, `${mutation.name}: ${outcomeOf(result, result.failed)}\n       ${mutation.bug}`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
