// SPDX-License-Identifier: Apache-2.0
// Arithmetic and text of the benchmark: what the guest's programs print, medians, ratios, the table.
import { UserError } from '../lib/project.mjs';

/** The shell's prompt at the end of what a console printed; the shell may ask for the cursor's place behind it. */
export const promptPattern = /:~# (?:\x1b\[6n)?$/;
/** A result line of tests/bench/*.c, or several, and the prompt after it. */
export const resultPattern = /bench \w+ \d+ [0-9a-f]{16}\r\n[^]*:~# (?:\x1b\[6n)?$/;

/** Map of name to { name, seconds, result }: the result lines in `text`. */
export function readResults(text) {
  const matches = text.matchAll(/^bench (\w+) (\d+) ([0-9a-f]{16})\r?$/gm);
  return new Map(Array.from(matches, ([, name, microseconds, result]) => [name, { name, seconds: Number(microseconds) / 1e6, result }]));
}

/** The last of them, or undefined. */
export function readResult(text) {
  return [...readResults(text).values()].at(-1);
}

/**
 * Every side must have computed the same in every round. `runs`: { side: [a Map as of readResults, for each round] };
 * `titles`: what the sides are called.
 */
export function checkResults(runs, names, titles) {
  for (const name of names) {
    const [[first, [{ result }]]] = Object.entries(runs).map(([side, rounds]) => [side, rounds.map((round) => round.get(name))]);
    for (const [side, rounds] of Object.entries(runs)) {
      for (const round of rounds) {
        const other = round.get(name).result;
        if (other !== result) throw new UserError(`${name} computes ${other} on ${titles[side]} and ${result} on ${titles[first]}`);
      }
    }
  }
}

export function median(values) {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/**
 * One row of the report. `value`: measured, in `unit`; null with a `note` if it was not. `target`: the most it may be, or
 * the least with `atLeast`. `reference`: what native QEMU took, same unit. `samples`: what the median is of.
 */
export function row(group, what, value, { unit, target = null, atLeast = false, digits = 0, reference = null, samples, note }) {
  const met = target === null || value === null ? null : atLeast ? value >= target : value <= target;
  return { group, what, value, unit, target, atLeast, met, reference, digits, samples, note };
}

/** The rows as aligned columns. */
export function formatTable(rows) {
  const shown = (value, digits) => (value === null ? '-' : value.toFixed(digits));
  const lines = [['what', 'value', 'unit', 'QEMU', 'target', 'met', '']].concat(rows.map((each) => [
    each.what, shown(each.value, each.digits), each.unit, shown(each.reference, each.digits),
    each.target === null ? '' : `${each.atLeast ? '>=' : '<='} ${each.target}`,
    each.met === null ? '' : each.met ? 'yes' : 'NO', each.note ?? '',
  ]));
  const numeric = new Set([1, 3]);
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) => line
    .map((cell, column) => (numeric.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
    .join('  ').trimEnd()).join('\n');
}
