// SPDX-License-Identifier: Apache-2.0
// The schedule search: every scenario of hartwood_schedules under as many seeds as the time allows, on all processors.
// Seeds begin at the same number each time, so a run repeats the one before as far as it gets. A seed that fails is
// executed twice more, to show that it is the same execution each time.
//
//   node tests/schedule/run.mjs [--seconds N] [--first SEED] [--only NAME,NAME]        needs build/native (npm run setup native)
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDir, execute, runMain, UserError } from '../../tools/lib/project.mjs';

const program = join(buildDir, 'native/hartwood_schedules');

async function call(args) {
  const { code, lines } = await execute(program, args, { keep: true });
  if (code !== 0 && code !== 1) throw new UserError(`hartwood_schedules ${args.join(' ')} ended with ${code}`, { tail: lines.slice(-20) });
  return lines;
}

/** What `replay` prints, twice: the same, or an error. */
async function replayTwice(name, seed) {
  const [one, two] = [await call(['replay', name, seed]), await call(['replay', name, seed])].map((lines) => lines.join('\n'));
  if (one !== two) throw new UserError(`${name} seed ${seed} is two different executions`, { tail: [one, two] });
  return one;
}
const fingerprint = (replayed) => /console .*/.exec(replayed)[0];

async function search(seconds, first, only) {
  const processes = availableParallelism();
  const outputs = await Promise.all(Array.from({ length: processes }, (_, i) => call(
    ['run', '--seconds', seconds, '--first', String(first + BigInt(i)), '--step', String(processes), ...(only ? ['--only', only] : [])])));
  const seeds = new Map();
  for (const [, name, count] of outputs.flat().map((line) => /^(\S+) +(\d+) seeds/.exec(line)).filter(Boolean)) {
    seeds.set(name, (seeds.get(name) ?? 0) + Number(count));
  }
  const failures = outputs.flatMap((lines) => lines.flatMap((line, i) => (line.startsWith('FAILED') ? [lines.slice(i, i + 3)] : [])));
  return { seeds, failures };
}

await runMain(async (args) => {
  const { values } = parseArgs({
    args, options: { seconds: { type: 'string', default: '100' }, first: { type: 'string', default: '1' }, only: { type: 'string' } },
  });
  const first = BigInt(values.first);
  const names = values.only?.split(',') ?? (await call(['list'])).map((line) => line.split(' ')[0]);
  for (const name of names) {
    const [one, other] = [await replayTwice(name, String(first)), await replayTwice(name, String(first + 1n))];
    if (fingerprint(one) === fingerprint(other)) throw new UserError(`${name}: two seeds are one execution`, { tail: [one, other] });
  }
  console.log(`${names.length} scenarios: one seed is one execution, another seed another`);
  const { seeds, failures } = await search(values.seconds, first, values.only);
  for (const lines of failures) {
    console.log(lines.join('\n'));
    const [, name, seed] = /^FAILED (\S+) seed (\d+)/.exec(lines[0]);
    console.log(`  twice more: ${fingerprint(await replayTwice(name, seed))}`);
  }
  for (const [name, count] of seeds) console.log(`${name.padEnd(8)} ${String(count).padStart(9)} seeds from ${first} on`);
  const total = [...seeds.values()].reduce((sum, count) => sum + count, 0);
  const failed = new Set(failures.map(([line]) => line.split(' ')[1])).size;
  console.log(`${total} seeds in all\n\n${names.length - failed} passed, ${failed} failed`);
  return failed === 0 && total > 0 ? 0 : 1;
});
