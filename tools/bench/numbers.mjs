// SPDX-License-Identifier: Apache-2.0
// Arithmetic and text of the benchmark: what the guest's program prints, medians, ratios, the table.

/** The shell's prompt at the end of what a console printed; the shell may ask for the cursor's place behind it. */
export const promptPattern = /:~# (?:\x1b\[6n)?$/;
/** A result line of tests/bench/bench.c and the prompt after it. */
export const resultPattern = /bench \w+ \d+ [0-9a-f]{16}\r\n[^]*:~# (?:\x1b\[6n)?$/;

/** { name, seconds, result } of the last result line in `text`, or undefined. */
export function readResult(text) {
  const match = [...text.matchAll(/^bench (\w+) (\d+) ([0-9a-f]{16})\r?$/gm)].at(-1);
  return match && { name: match[1], seconds: Number(match[2]) / 1e6, result: match[3] };
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
