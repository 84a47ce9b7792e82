// SPDX-License-Identifier: Apache-2.0
// The guest's stress program (tests/stress/) on the page with two harts: all of its sub-tests, for STRESS_SECONDS (60). Not one
// of the *.test.ts that the part e2e runs: `npm test -- --only stress` runs it, and for ten minutes `npm run test:long`.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { useSite, Visit } from './support.ts';

const kSeconds = Number(process.env['STRESS_SECONDS'] ?? 60);
/** Of STRESS_SEED the sub-tests draw their choices: by default another one each day. */
const kSeed = Number(process.env['STRESS_SEED'] ?? Math.floor(Date.now() / 86_400_000));
/** Of what the program runs in parallel, some takes its time to end; a sub-test that hangs is ended after 60 s by the program. */
const kPatience = (kSeconds * 2 + 240) * 1000; // ms
const kInitrd = fileURLToPath(new URL('../build/guest/stress/initramfs.cpio', import.meta.url));
assert.ok(existsSync(kInitrd), `${kInitrd} is missing; "npm test -- --only stress" builds it`);

const site = useSite();

test(`stress in the guest, 2 harts, ${kSeconds} s, seed ${kSeed}`, async () => {
  const visit = await Visit.blank(site);
  try {
    await visit.page.route('**/stress.cpio', (route) => route.fulfill({
      path: kInitrd, contentType: 'application/octet-stream', headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
    }));
    await visit.page.goto(`${site.url}?harts=2&memory=512&append=quiet&initrd=stress.cpio`);
    await visit.prompt();
    const names = (await visit.run('~/stress')).output.trim().split('\n');
    const { output, status } = await visit.run(`~/stress all ${kSeconds} ${kSeed}`, kPatience).catch(async (error: unknown) => {
      throw new Error(`no end; the screen shows:\n${(await visit.screen()).join('\n')}`, { cause: error });
    });
    console.log(output);
    assert.match(output, /^stress passed \d+\n$/m, `with seed ${kSeed}:\n${output}`);
    assert.equal(status, 0);
    for (const name of names.flatMap((each) => [each, `together/${each}`])) assert.match(output, new RegExp(`^stress ${name} ok [1-9]`, 'm'));
  } finally {
    await visit.close();
  }
});
