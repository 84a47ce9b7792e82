// SPDX-License-Identifier: Apache-2.0
// Saving and restoring under load in Chromium, RESTORE_ROUNDS times (10): each round saves what runs, terminates it, and goes
// on with what was saved, on 1, 2 and 4 harts in turn. Nothing may be lost: files, processes, what is being computed. Not one
// of the *.test.ts that the part e2e runs: `npm test -- --only restore`, 200 rounds by `npm run test:long`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withApi } from './api-page.ts';
import { restoreRounds } from './restore-rounds.ts';
import { kSlow, useSite } from './support.ts';

const kRounds = Number(process.env['RESTORE_ROUNDS'] ?? 10);
const kHarts = [2, 1, 4];
const kRoundsEach = Math.ceil(kRounds / kHarts.length);

const site = useSite();

for (const harts of kHarts) {
  test(`${kRoundsEach} restores of a machine of ${harts} harts that compiles, forks and writes`, { timeout: 120_000 + kRoundsEach * 60_000 }, () =>
    withApi(site, async ({ page }) => {
      page.setDefaultTimeout(60_000 * kRoundsEach);
      const log = await page.evaluate(restoreRounds, { base: site.url, harts, rounds: kRoundsEach, timeout: kSlow });
      console.log(log.join('\n'));
      assert.equal(log.length, kRoundsEach + 1);
    }));
}
