// SPDX-License-Identifier: Apache-2.0
// npm test: set everything up, run every part of test-parts.mjs, print the ten slowest, and last of all one line with
// the sum: "N passed, N failed". The exit code is 0 only if nothing failed and something ran.
//
//   npm test -- [--only NAME]... comma-separated part names      npm run test:long adds the long parts
//   npm test -- --list                                            the parts and what they run
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { countTests } from './lib/count-tests.mjs';
import { needNewNode } from './lib/node-version.mjs';
import { formatSeconds, Ticker } from './lib/progress.mjs';
import { execute, logDir, readOptions, runMain, UserError } from './lib/project.mjs';
import { setUp } from './setup.mjs';
import { parts as allParts } from './test-parts.mjs';

const defaultMinutes = 10;
const tailLines = 60;

function select(options) {
  if (options.only) {
    const names = options.only.split(',');
    const unknown = names.filter((name) => !allParts.some((part) => part.name === name));
    if (unknown.length) throw new UserError(`no such part: ${unknown.join(', ')}; there are: ${allParts.map((part) => part.name).join(', ')}`);
    return allParts.filter((part) => names.includes(part.name));
  }
  return allParts.filter((part) => options.long || !part.long);
}

async function runPart(part, label, env) {
  const log = join(logDir, `test-${part.name.replace(/[^a-z0-9]+/gi, '-')}.log`);
  rmSync(log, { force: true });
  const ticker = new Ticker(label);
  const limit = (part.minutes ?? defaultMinutes) * 60;
  const result = await execute('sh', ['-c', part.command], { env, log, keep: true, timeoutSeconds: limit, onLine: (line) => ticker.see(line) });
  const count = countTests(result.lines.join('\n'), result.code);
  ticker.end(`${count.failed ? 'FAILED, ' : ''}${count.passed} passed, ${count.failed} failed in ${formatSeconds(result.seconds)}`);
  if (count.failed) {
    if (result.timedOut) console.log(`    ended after its limit of ${limit / 60} minutes`);
    const failures = result.lines.slice(0, -tailLines).filter((line) => /^(\[  FAILED  \]|not ok |✖ )|: Failure$|\bERROR: /.test(line)).slice(0, 40);
    for (const line of [...failures, ...result.lines.slice(-tailLines)]) console.log(`    | ${line}`);
    console.log(`    command: ${part.command}\n    whole output: ${log}`);
  }
  return { title: part.name, seconds: result.seconds, ...count };
}

await runMain(async (args) => {
  await needNewNode();
  const { options } = readOptions(args, { long: false, only: '', list: false });
  const parts = select(options);
  if (options.list) {
    for (const part of parts) console.log(`${part.name}${part.long ? ' (long)' : ''}: ${part.command}`);
    return 0;
  }
  const results = [];
  let env;
  try {
    const needs = new Set(parts.flatMap((part) => part.needs ?? []));
    const setup = await setUp(['packages', ...needs], { tests: true });
    env = setup.env;
    results.push(...setup.times.map(({ title, seconds }) => ({ title: `set-up: ${title}`, seconds, passed: 0, failed: 0 })));
  } catch (error) {
    // No test could run; the closing line has to say so, for whoever reads only that.
    if (!(error instanceof UserError)) throw error;
    for (const line of error.tail) console.log(`    | ${line}`);
    console.log(`\nset-up failed: ${error.message}${error.log ? `\nwhole output: ${error.log}` : ''}\n0 passed, 1 failed`);
    return 1;
  }
  mkdirSync(logDir, { recursive: true });
  for (const [index, part] of parts.entries()) results.push(await runPart(part, `(${index + 1}/${parts.length}) ${part.name}`, env));

  console.log('\nThe ten slowest parts:');
  for (const { title, seconds } of results.toSorted((a, b) => b.seconds - a.seconds).slice(0, 10)) {
    console.log(`${formatSeconds(seconds).padStart(12)}  ${title}`);
  }
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
  const failed = results.filter((result) => result.failed).map((result) => result.title);
  console.log(`${formatSeconds(total('seconds')).padStart(12)}  all together`);
  if (failed.length) console.log(`\nfailed: ${failed.join(', ')}`);
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`);
  return total('failed') === 0 && total('passed') > 0 ? 0 : 1;
});
