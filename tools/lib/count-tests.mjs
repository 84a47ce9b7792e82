// SPDX-License-Identifier: Apache-2.0
// Reads how many tests passed and failed out of a test program's output. Knows GoogleTest, node:test, vitest, the
// Playwright runner, and our own closing line "N passed, N failed".

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
const last = (text, pattern) => [...text.matchAll(pattern)].at(-1);

const readers = [
  // Ours: alone on a line, the last one counts.
  (text) => {
    const match = last(text, /^(\d+) passed, (\d+) failed$/gm);
    return match && { passed: Number(match[1]), failed: Number(match[2]) };
  },
  // GoogleTest; several programs may have run.
  (text) => /^\[==========\] \d+ tests? .*ran\./m.test(text) && {
    passed: sum(text, /^\[  PASSED  \] (\d+) tests?/gm),
    failed: sum(text, /^\[  FAILED  \] (\d+) tests?, listed below/gm),
  },
  // node:test: "# pass 3" (TAP) or "ℹ pass 3" (spec).
  (text) => /^[#ℹ] pass \d+$/m.test(text) && {
    passed: sum(text, /^[#ℹ] pass (\d+)$/gm),
    failed: sum(text, /^[#ℹ] (?:fail|cancelled) (\d+)$/gm),
  },
  // vitest: "      Tests  1 failed | 12 passed (13)".
  (text) => {
    const match = last(text, /^\s*Tests\s+(?:(\d+) failed)?(?: \| )?(?:(\d+) passed)?.*\(\d+\)$/gm);
    return match && { passed: Number(match[2] ?? 0), failed: Number(match[1] ?? 0) };
  },
  // Playwright: "  12 passed (3.4s)".
  (text) => /^\s+\d+ (passed|failed)\b.*$/m.test(text) && {
    passed: sum(text, /^\s+(\d+) passed \(/gm),
    failed: sum(text, /^\s+(\d+) (?:failed|did not run)$/gm),
  },
];

/**
 * { passed, failed } of one part. Output without a count makes the part itself one test. A part that failed without
 * naming a failed test, or that counted and ran none, counts as one failure: it never adds up to a success.
 */
export function countTests(text, exitCode) {
  const plain = text.replace(/\x1b\[[0-9;]*m/g, '');
  for (const read of readers) {
    const count = read(plain);
    if (!count) continue;
    const broken = (exitCode !== 0 && count.failed === 0) || count.passed + count.failed === 0;
    return broken ? { passed: count.passed, failed: 1 } : count;
  }
  return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}
