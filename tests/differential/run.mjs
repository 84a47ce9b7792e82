// SPDX-License-Identifier: Apache-2.0
// Differential tests: random programs run in our machine and in references, whose registers, flags and memory must
// agree in every byte.
//
//   node tests/differential/run.mjs [--programs 10000] [--seed N]      compare; ends with 1 at any difference
//   node tests/differential/run.mjs --matrix                           only: which reference implements what
//   node tests/differential/run.mjs --seed N --program I --level L --reference NAME --extensions A,B [--drop 3,4]
//                                                                      one program again, as a failure prints it
// Also: --references FOLDER (kernel/fetch-references.sh makes it), --hartwood FILE, --generator FILE, --jobs N,
// --batch N (programs in one ELF file).
//
// Programs at level user run in every reference; those at level machine, which trap, in full-system ones. Each batch
// uses the extensions of the reference that it is for. A difference is reduced to the fewest units that still show it.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../tools/lib/project.mjs';
import { readOptions, runMain, UserError } from '../../tools/lib/project.mjs';
import { baseExtensions, defaultReferences, findCoverage, findReferences, makeScratch, printMatrix, runOurs, runProgram } from './references.mjs';
import { describe, minimise, numbersOf, ranges } from './minimise.mjs';

const shownFailures = 3;

/** Tools bound to this run's options: generate(), compare(). */
function makeTools(options, scratch) {
  let serial = 0;
  const isa = async () => JSON.parse((await generator(['--list-isa'])).toString());

  async function generator(args) {
    const result = await runProgram(options.generator, args, { seconds: 120 });
    if (result.code !== 0) throw new UserError(`the generator ended with ${result.code ?? result.signal}: ${result.errors}`);
    return result.out;
  }

  const common = ({ level, extensions, seed, first, count, drop = [] }) => [
    '--seed', String(seed), '--first', String(first), '--count', String(count), '--level', level,
    '--extensions', extensions.join(','), ...(drop.length ? ['--drop', ranges(drop)] : []),
  ];

  async function generate(what) {
    const name = join(scratch, `batch-${serial++}`);
    const files = { ...what, machine: `${name}.machine.elf`, process: `${name}.process.elf` };
    const out = await generator([...common(what), '--machine-elf', files.machine, '--process-elf', files.process, '--coverage', '--slot']);
    const [counts, layout] = out.toString().trim().split('\n').map((line) => JSON.parse(line));
    files.counts = counts;
    files.layout = layout;
    layout.outputBytes = layout.bytes * what.count;
    return files;
  }

  function discard(files) {
    for (const file of [files.machine, files.process]) rmSync(file, { force: true });
  }

  /** What is wrong with these programs, or undefined: { message, different: [index], ours, theirs }. */
  async function compare(reference, files, seconds = 60) {
    const [ours, theirs] = await Promise.all([runOurs(options.hartwood, files, seconds), reference.run(files, seconds)]);
    discard(files);
    if (ours.failed || theirs.failed) {
      const who = [ours.failed && `Hartwood ${ours.failed}`, theirs.failed && `${reference.name} ${theirs.failed}`];
      return { message: who.filter(Boolean).join('; '), different: [], ours: ours.out, theirs: theirs.out, broken: true };
    }
    if (ours.out.equals(theirs.out)) return undefined;
    const size = files.layout.bytes;
    const different = [];
    for (let i = 0; i < files.count; i++) {
      if (Buffer.compare(ours.out.subarray(i * size, (i + 1) * size), theirs.out.subarray(i * size, (i + 1) * size))) different.push(files.first + i);
    }
    return { message: `${different.length} programs differ`, different, ours: ours.out, theirs: theirs.out, layout: files.layout };
  }

  const listing = async (what) => (await generator([...common(what), '--listing'])).toString();
  return { isa, generate, compare, listing };
}

/** Programs of a batch that fail. A batch that broke a machine is halved until single programs do. */
async function findFailures(tools, reference, what, wrong) {
  if (wrong.different.length) return wrong.different.map((first) => ({ ...what, first, count: 1 }));
  if (what.count === 1) return [what];
  const half = what.count >> 1;
  const parts = [{ ...what, count: half }, { ...what, first: what.first + half, count: what.count - half }];
  for (const part of parts) {
    const again = await tools.compare(reference, await tools.generate(part), 10);
    if (again) return findFailures(tools, reference, part, again);
  }
  return [what];  // only all of them together
}

async function report(tools, reference, what) {
  const small = await minimise(tools, reference, what);
  const wrong = await tools.compare(reference, await tools.generate(small), 10);
  console.log(`\n${describe(wrong)}`);
  console.log(await tools.listing(small));
  const drop = small.drop.length ? ` --drop ${ranges(small.drop)}` : '';
  console.log(`again: node tests/differential/run.mjs --seed ${what.seed} --program ${what.first} --level ${what.level} --reference '${reference.name}' --extensions ${what.extensions.join(',')}${drop}\n`);
}

/** How many programs each reference gets, at which level: most of them where the most is implemented. */
function share(references, programs) {
  const users = references.filter((one) => one.kind === 'qemu-user');
  const systems = references.filter((one) => one.kind === 'qemu-system');
  const weights = [];
  users.forEach((reference, i) => weights.push({ reference, level: 'user', weight: i === 0 ? 60 : 8 }));
  systems.forEach((reference, i) => {
    // Programs that trap need the privileged architecture to agree as a whole.
    const level = reference.extensions.includes('s') ? 'machine' : 'user';
    weights.push({ reference, level, weight: i === 0 ? 26 : 6 });
  });
  const total = weights.reduce((sum, one) => sum + one.weight, 0);
  return weights.map((one) => ({ ...one, programs: Math.ceil(programs * one.weight / total) }));
}

function planBatches(shares, { seed, batch }) {
  const batches = [];
  let first = 0;
  for (const { reference, level, programs } of shares) {
    const extensions = reference.extensions;
    for (let left = programs; left > 0; left -= batch) {
      const count = Math.min(left, batch);
      batches.push({ reference, what: { level, extensions, seed, first, count } });
      first += count;
    }
  }
  return batches;
}

async function compareAll(tools, batches, jobs) {
  const counts = new Map();
  const failures = [];
  let passed = 0, next = 0, failedPrograms = 0;
  const worker = async () => {
    while (next < batches.length) {
      const { reference, what } = batches[next++];
      const files = await tools.generate(what);
      for (const row of files.counts) counts.set(row.name, { ...row, count: row.count + (counts.get(row.name)?.count ?? 0) });
      const wrong = await tools.compare(reference, files, 120);
      if (wrong) {
        const programs = await findFailures(tools, reference, what, wrong);
        failedPrograms += programs.length;
        passed += what.count - programs.length;
        for (const program of programs) failures.push({ reference, what: program });
        console.log(`${reference.name}, level ${what.level}, programs ${what.first} to ${what.first + what.count - 1}: ${wrong.message}`);
      } else {
        passed += what.count;
      }
      if (next % 100 === 0) console.log(`${passed} programs agree so far`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return { passed, failedPrograms, failures, counts };
}

async function one(tools, options, references, extensions) {
  const reference = references.find((each) => each.name === options.reference);
  if (!reference) throw new UserError(`--reference: choose one of ${references.map((each) => `'${each.name}'`).join(', ')}`);
  const what = {
    level: options.level, seed: options.seed, first: Number(options.program), count: 1,
    extensions: options.extensions ? options.extensions.split(',') : extensions,
    drop: numbersOf(options.drop),
  };
  const wrong = await tools.compare(reference, await tools.generate(what), 10);
  if (!wrong) {
    console.log('no difference\n1 passed, 0 failed');
    return 0;
  }
  await report(tools, reference, what);
  console.log('0 passed, 1 failed');
  return 1;
}

await runMain(async (args) => {
  const { options } = readOptions(args, {
    programs: '10000', seed: '1', batch: '500', jobs: '2', matrix: false, program: '', level: 'user', reference: '',
    extensions: '', drop: '', references: defaultReferences,
    hartwood: join(root, 'build/native/hartwood'), generator: join(root, 'build/native/differential_generate'),
  });
  options.batch = Number(options.batch);
  for (const file of [options.hartwood, options.generator]) {
    if (!existsSync(file)) throw new UserError(`${file} is not there; build it with: cmake --build --preset native`);
  }
  const references = findReferences(options.references);
  if (!references.length) throw new UserError('there is no reference to compare with; kernel/fetch-references.sh fetches some, and qemu-user-static is one');
  const scratch = makeScratch();
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const started = performance.now();
  const tools = makeTools(options, scratch);
  const { extensions } = await tools.isa();

  if (options.program !== '') return one(tools, options, references, extensions);

  await findCoverage(references, extensions, tools.generate, tools.compare);
  printMatrix(references, extensions);
  const uncovered = extensions.filter((name) => !references.some((one) => one.extensions.includes(name)));
  for (const name of uncovered) {
    console.log(`no reference implements ${name}:`);
    for (const each of references) if (each.refused.has(name)) console.log(`  ${each.name}: ${each.refused.get(name).message}`);
  }
  if (options.matrix) {
    console.log(`${extensions.length - uncovered.length} passed, ${uncovered.length} failed`);
    return uncovered.length ? 1 : 0;
  }

  for (const each of references) {
    if (baseExtensions.some((name) => !each.extensions.includes(name))) throw new UserError(`${each.name} fails with the simplest programs: ${[...each.refused.values()][0]?.message}`);
  }
  const shares = share(references, Number(options.programs));
  const result = await compareAll(tools, planBatches(shares, options), Number(options.jobs));
  console.log(`\nseed ${options.seed}: ${shares.map((each) => `${each.programs} at level ${each.level} with ${each.reference.name}`).join(', ')}; ${((performance.now() - started) / 1000).toFixed(1)} s`);
  const rows = [...result.counts.values()];
  const absent = rows.filter((row) => row.count === 0);
  const least = rows.reduce((a, b) => (a.count <= b.count ? a : b));
  console.log(`${rows.reduce((sum, row) => sum + row.count, 0)} instructions of ${rows.length} rows of the tables; the rarest is ${least.name}, ${least.count} times`);
  if (absent.length) console.log(`never generated: ${absent.map((row) => row.name).join(', ')}`);
  for (const { reference, what } of result.failures.slice(0, shownFailures)) await report(tools, reference, what);
  console.log(`${result.passed} passed, ${result.failedPrograms + absent.length + uncovered.length} failed`);
  return result.failedPrograms + absent.length + uncovered.length ? 1 : 0;
});
