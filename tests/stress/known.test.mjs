// SPDX-License-Identifier: Apache-2.0
// The results that the guest's stress program expects are those of this machine, compiled with and without optimisation.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

for (const level of ['-O0', '-O2']) {
  test(`known results of kernels and series, ${level}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'hartwood-stress-'));
    try {
      const program = join(folder, 'known');
      const sources = ['known.c', 'kernels.c', 'series.c'].map((name) => new URL(name, import.meta.url).pathname);
      execFileSync('gcc', [level, '-ffp-contract=off', '-frounding-math', '-Wall', '-Wextra', '-Werror', '-o', program, ...sources, '-lm']);
      execFileSync(program, { stdio: ['ignore', 'ignore', 'inherit'] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
