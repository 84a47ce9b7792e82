// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countTests } from '../lib/count-tests.mjs';

test('GoogleTest: passed and failed, over several programs', () => {
  const good = '[==========] 12 tests from 3 test suites ran. (5 ms total)\n[  PASSED  ] 12 tests.\n';
  const bad = '[==========] 3 tests from 1 test suite ran. (1 ms total)\n[  PASSED  ] 1 test.\n[  FAILED  ] 2 tests, listed below:\n'
    + '[  FAILED  ] Mmu.Walk\n[  FAILED  ] Mmu.Dirty\n\n 2 FAILED TESTS\n';
  assert.deepEqual(countTests(good, 0), { passed: 12, failed: 0 });
  assert.deepEqual(countTests(good + bad, 1), { passed: 13, failed: 2 });
});

test('node:test in both of its formats', () => {
  assert.deepEqual(countTests('# tests 4\n# pass 3\n# fail 1\n# cancelled 0\n', 1), { passed: 3, failed: 1 });
  assert.deepEqual(countTests('ℹ tests 4\nℹ pass 2\nℹ fail 1\nℹ cancelled 1\n', 1), { passed: 2, failed: 2 });
});

test('vitest and Playwright, colours removed', () => {
  assert.deepEqual(countTests('\x1b[2m      Tests \x1b[22m 1 failed | 12 passed (13)\n', 1), { passed: 12, failed: 1 });
  assert.deepEqual(countTests('      Tests  7 passed (7)\n', 0), { passed: 7, failed: 0 });
  assert.deepEqual(countTests('  1 failed\n    boot.spec.ts\n  12 passed (3.4s)\n', 1), { passed: 12, failed: 1 });
});

test('our own closing line wins, and the last of several', () => {
  assert.deepEqual(countTests('5 passed, 0 failed\n[==========] 1 test from 1 test suite ran.\n6 passed, 2 failed\n', 1), { passed: 6, failed: 2 });
});

test('a part without a count is one test', () => {
  assert.deepEqual(countTests('fine\n', 0), { passed: 1, failed: 0 });
  assert.deepEqual(countTests('oh no\n', 3), { passed: 0, failed: 1 });
});

test('nothing adds up to a success that was none', () => {
  const ran = '[==========] 9 tests from 1 test suite ran. (1 ms total)\n[  PASSED  ] 9 tests.\n';
  assert.deepEqual(countTests(`${ran}==1==ERROR: LeakSanitizer\n`, 23), { passed: 9, failed: 1 });
  assert.deepEqual(countTests('[==========] 0 tests from 0 test suites ran. (0 ms total)\n[  PASSED  ] 0 tests.\n', 0), { passed: 0, failed: 1 });
  assert.deepEqual(countTests('0 passed, 0 failed\n', 0), { passed: 0, failed: 1 });
});
