// SPDX-License-Identifier: Apache-2.0
// Bare-metal ELF files on two harts in Chromium: atomics, interrupts between harts, WFI, timers, one clock, HTIF's end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileBare } from './guest-programs.ts';
import { kSlow, useSite, Visit } from './support.ts';

const site = useSite();

test('two harts count, interrupt each other, sleep and read one clock', async () => {
  const elf = compileBare('two-harts');
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
