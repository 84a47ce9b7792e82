// SPDX-License-Identifier: Apache-2.0
// Bare-metal ELF files on two harts in Chromium: atomics, interrupts between harts, WFI, timers, one clock, HTIF's end.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kSlow, useSite, Visit } from './support.ts';

const site = useSite();
const kPrograms = fileURLToPath(new URL('programs', import.meta.url));

function compile(name: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-'));
  try {
    const elf = join(folder, name);
    execFileSync('riscv64-linux-gnu-gcc', [
      '-O2', '-march=rv64gc_zihintpause', '-mabi=lp64d', '-mcmodel=medany', '-ffreestanding', '-fno-pic', '-nostdlib', '-static',
      '-Wl,--build-id=none,--no-warn-rwx-segments', '-T', join(kPrograms, 'link.ld'), join(kPrograms, `${name}.c`), '-o', elf,
    ], { stdio: ['ignore', 'inherit', 'inherit'] });
    return readFileSync(elf);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('two harts count, interrupt each other, sleep and read one clock', async () => {
  const elf = compile('two-harts');
  const visit = await Visit.blank(site);
  await visit.page.route('**/program.elf', (route) => route.fulfill({ contentType: 'application/octet-stream', body: elf }));
  await visit.page.goto(`${site.url}licences.html`); // any page of the site
  const result = await visit.page.evaluate(async ({ base, timeout }) => {
    const { Machine } = await import(`${base}hartwood.js`) as typeof import('../web/api/index.ts');
    const kernel = await (await fetch('program.elf')).arrayBuffer();
    const machine = await Machine.boot({ harts: 2, memory: 64, firmware: 'none', console: 'uart', kernel });
    await machine.waitFor(/counted\s+played\s+slept/, { timeout });
    return machine.exited;
  }, { base: site.url, timeout: kSlow });
  assert.deepEqual(result, { reason: 'exited', code: 0 });
  await visit.close();
});
