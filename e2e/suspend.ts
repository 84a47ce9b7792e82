// SPDX-License-Identifier: Apache-2.0
// The guest's suspend program (tests/suspend/) in Chromium, on one hart and on two, with whatever is hot compiled: stopping,
// tracing, timers, shares, blocking, harts that go and come. Lateness and shares depend on who else uses the processors, so
// they are told and not judged. Not one of the *.test.ts that the part e2e runs: `npm test -- --only suspend-page`.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkOutput, kinds } from '../tests/suspend/output.mjs';
import { useSite, Visit } from './support.ts';

const kPatience = 300_000; // ms: what takes 50 s where nobody else is
const kInitrd = fileURLToPath(new URL('../build/guest/suspend/initramfs.cpio', import.meta.url));
assert.ok(existsSync(kInitrd), `${kInitrd} is missing; "npm test -- --only suspend-page" builds it`);

const site = useSite();

for (const [harts, names] of [[1, ['stop', 'alarm', 'ptrace', 'timers', 'sleep', 'blocking']], [2, kinds]] as const) {
  test(`suspend in the guest, ${harts} hart(s)`, async (context) => {
    const visit = await Visit.blank(site);
    try {
      await visit.page.route('**/suspend.cpio', (route) => route.fulfill({
        path: kInitrd, contentType: 'application/octet-stream', headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
      }));
      await visit.page.goto(`${site.url}?harts=${harts}&memory=256&append=quiet&initrd=suspend.cpio`);
      await visit.prompt();
      const { output, status } = await visit.run(`~/suspend loose ${names.join(' ')}`, kPatience).catch(async (error: unknown) => {
        throw new Error(`no end; the screen shows:\n${(await visit.screen()).join('\n')}`, { cause: error });
      });
      for (const line of checkOutput(output, [...names])) context.diagnostic(line);
      assert.equal(status, 0);
    } finally {
      await visit.close();
    }
  });
}
