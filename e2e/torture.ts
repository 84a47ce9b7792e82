// SPDX-License-Identifier: Apache-2.0
// The torture suites (tests/torture/) on the page with two harts, a machine of its own for each, for TORTURE_SECONDS
// (60). Not one of the *.test.ts that the part e2e runs: `npm run test:long -- --only torture` runs it. TORTURE_SUITES
// names some of the suites.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { commandLine, judge, memoryMegabytes, patienceSeconds, suiteNames } from '../tests/torture/suites.mjs';
import { useSite, Visit } from './support.ts';

const kSeconds = Number(process.env['TORTURE_SECONDS'] || 60);
const kNames = (process.env['TORTURE_SUITES'] || suiteNames.join()).split(',');
const guestFile = (name: string) => fileURLToPath(new URL(`../build/guest/torture/${name}`, import.meta.url));
const kFiles = Object.fromEntries(['Image', 'initramfs.cpio'].map((name) => [name, guestFile(name)]));
for (const path of Object.values(kFiles)) {
  assert.ok(existsSync(path), `${path} is missing; "npm run test:long -- --only torture" builds it`);
}

const site = useSite();

/** What the suite prints in a machine of its own. */
async function outputOf(name: string, seconds: number): Promise<string> {
  const visit = await Visit.blank(site);
  try {
    for (const [file, path] of Object.entries(kFiles)) {
      await visit.page.route(`**/torture-${file}`, (route) => route.fulfill({
        path, contentType: 'application/octet-stream', headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
      }));
    }
    const machine = `harts=2&memory=${memoryMegabytes}&append=${encodeURIComponent(commandLine)}`;
    await visit.page.goto(`${site.url}?${machine}&kernel=torture-Image&initrd=torture-initramfs.cpio`);
    await visit.prompt();
    const patience = patienceSeconds(seconds) * 1000; // ms
    const { output } = await visit.run(`~/torture ${name} ${seconds}`, patience).catch(async (error: unknown) => {
      throw new Error(`no end; the screen shows:\n${(await visit.screen()).join('\n')}`, { cause: error });
    });
    return output;
  } finally {
    await visit.close();
  }
}

for (const name of kNames) {
  test(`torture ${name}, 2 harts, ${kSeconds} s`, async () => {
    const output = await outputOf(name, kSeconds);
    const { problems, ran } = judge(name, output, kSeconds);
    console.log(ran.join('\n'));
    assert.ok(problems.length === 0, `${problems.join('\n')}\nThe output's end:\n${output.slice(-20_000)}`);
  });
}

test('the torture modules notice locks and grace periods that are none', async () => {
  const seconds = 30;
  const { problems } = judge('broken', await outputOf('broken', seconds), seconds);
  for (const run of ['locktorture lock_busted', 'rcutorture busted']) {
    assert.ok(problems.includes(`${run} says: FAILURE`), problems.join('\n'));
  }
});
