// SPDX-License-Identifier: Apache-2.0
// Checks docs/points.md, the list of what the project claims. Its tables have the columns "point | command | state";
// the state is done, measured (reached, shown by a command that CI does not run), missed, open or later. A row marked
// done must have a command in backquotes, and every such command must succeed: one that is a part of the test suite
// (its command, or `npm test -- --only NAME`) is run there; any other is run here. Called by `npm test` as a part of its
// own; prints "N passed, N failed".
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSeconds } from './lib/progress.mjs';
import { execute, isMain, root, runMain, UserError } from './lib/project.mjs';
import { parts } from './test-parts.mjs';

const states = new Set(['done', 'measured', 'missed', 'open', 'later']);
const limitMinutes = 5;

/** Rows of every table in `text` whose header is point | command | state: { point, commands, state, line }. */
export function readPoints(text) {
  const rows = [];
  let inTable = false;
  for (const [index, line] of text.split('\n').entries()) {
    // A pipe inside backquotes or after a backslash belongs to the cell.
    const cells = line.trim().startsWith('|')
      ? [...line.trim().replace(/^\||\|$/g, '').matchAll(/((?:`[^`]*`|\\\||[^|`])*)(?:\||$)/g)].map((match) => match[1].trim())
      : [];
    if (cells.at(-1) === '' && cells.length > 1) cells.pop();
    if (cells.length < 3) {
      inTable = false;
    } else if (cells[0].toLowerCase() === 'point' && cells[1].toLowerCase() === 'command') {
      inTable = true;
    } else if (inTable && !/^:?-+:?$/.test(cells[0])) {
      const commands = [...cells[1].matchAll(/`([^`]+)`/g)].map((match) => match[1].replaceAll('\\|', '|'));
      rows.push({ point: cells[0], commands, state: cells[2].toLowerCase().split(/[\s:(,]/)[0], line: index + 1 });
    }
  }
  return rows;
}

/** The test part that a command stands for, if it does. */
export function partOf(command) {
  const name = /^npm (?:run )?test(?::long)? -- --only[= ](.+)$/.exec(command)?.[1]?.replace(/^(["'])(.*)\1$/, '$2');
  return parts.find((part) => part.command === command || part.name === name);
}

async function check(row, ran) {
  if (!states.has(row.state)) return `unknown state "${row.state}"`;
  if (row.state !== 'done') return undefined;
  if (!row.commands.length) return 'marked done without a command';
  for (const command of row.commands) {
    if (partOf(command)) continue;
    if (/^npm (run )?test/.test(command)) return `\`${command}\` is no part of the test suite`;
    if (!ran.has(command)) {
      console.log(`running ${command}`);
      ran.set(command, await execute('sh', ['-c', command], { timeoutSeconds: limitMinutes * 60, env: process.env }));
      console.log(`    ended with ${ran.get(command).code} in ${formatSeconds(ran.get(command).seconds)}`);
    }
    const result = ran.get(command);
    if (result.code !== 0) return `\`${command}\` ${result.timedOut ? `took over ${limitMinutes} minutes` : `ended with ${result.code}`}:\n    ${result.lines.slice(-10).join('\n    ')}`;
  }
  return undefined;
}

if (isMain(import.meta.url)) {
  await runMain(async () => {
    const file = 'docs/points.md';
    const rows = readPoints(readFileSync(join(root, file), 'utf8'));
    if (!rows.length) throw new UserError(`${file} has no table "point | command | state"`);
    const ran = new Map();
    let failed = 0;
    for (const row of rows) {
      const problem = await check(row, ran);
      if (problem) {
        failed++;
        console.log(`${file}:${row.line}: ${row.point}: ${problem}`);
      }
    }
    const counts = [...states].map((state) => `${rows.filter((row) => row.state === state).length} ${state}`);
    console.log(`${rows.length} points: ${counts.join(', ')}`);
    console.log(`${rows.length - failed} passed, ${failed} failed`);
    return failed ? 1 : 0;
  });
}
