// SPDX-License-Identifier: Apache-2.0
// A tab that is hidden, slowed down or frozen for HIDDEN_SECONDS (6): the guest's clocks agree with the host's on return, or
// stood still while nothing could run; what was due meanwhile does not come in a storm of timer interrupts, and nobody in the
// kernel complains. The guest notes its clock and its timer interrupts all the time. Long in `npm run test:long -- --only hidden-long`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CDPSession, Page } from 'puppeteer-core';
import { inPage, openSparingChromium, type PuppeteerSite, type PuppeteerVisit } from './puppeteer-support.ts';

const kSeconds = Number(process.env['HIDDEN_SECONDS'] ?? 6);
const kTimeout = { timeout: 180_000 + 4000 * kSeconds };
/** A guest's timer has this many interrupts a second when somebody runs: CONFIG_HZ, and those of sleepers. */
const kHz = 100;
const kSleepers = 200;
/** What one look at /proc may be off by, in interrupts. */
const kSlack = 100;

let site: PuppeteerSite;
before(async () => {
  site = await openSparingChromium();
});
after(() => site.close());

/** Ten times a second: seconds since the boot, and each hart's timer interrupts up to now. */
const kNoter = [ // each fits on a line of the terminal
  'n() { read u r </proc/uptime; echo $u $(grep -i timer /proc/interrupts); }', '(while :; do n; usleep 100000; done >/tmp/notes) & true',
];

interface Times {
  /** Milliseconds on the host, before it was asked and after it has answered. */
  from: number;
  to: number;
  /** Seconds of the guest's since it booted, and since 1970. */
  uptime: number;
  unix: number;
}

async function times(visit: PuppeteerVisit): Promise<Times> {
  const from = Date.now();
  const { output } = await visit.run('cut -d" " -f1 /proc/uptime; date +%s');
  const [uptime, unix] = output.trim().split('\n').map(Number);
  assert.ok(uptime !== undefined && unix !== undefined && unix > 1e9, output);
  return { from, to: Date.now(), uptime, unix };
}

/** The page's time that was none of the guest's, in milliseconds: since when at the earliest, and how long at least. */
interface Still {
  from: number;
  least: number;
}

/** As exact as the questions were: whoever is late for them proves nothing against the clock. */
function clocksAgree(before: Times, after: Times, still: Still | null = null): void {
  const kExact = 50; // ms
  const passed = (after.uptime - before.uptime) * 1000;
  const least = (still?.from ?? after.from) - before.to - kExact;
  const most = after.to - before.from - (still?.least ?? 0) + kExact;
  assert.ok(passed >= least && passed <= most, `${passed} ms by the guest's clock, ${least} to ${most} by the host's`);
  // Linux sets its clock by whole seconds of the RTC, of which it takes the middle; `date` cuts off what is left.
  const kSet = 500;
  for (const { from, to, unix } of [before, after]) {
    assert.ok(unix * 1000 >= from - 1000 - kSet - kExact && unix * 1000 <= to + kSet + kExact, `${unix} is not between ${from} and ${to}`);
  }
}

interface Note {
  uptime: number;
  interrupts: number[];
}

async function notes(visit: PuppeteerVisit, harts: number): Promise<Note[]> {
  const { output } = await visit.run('cat /tmp/notes');
  const found = output.trim().split('\n').map((line) => {
    const [uptime = NaN, ...rest] = line.replace(/\S+:/, '').trim().split(/\s+/).map(Number);
    return { uptime, interrupts: rest.slice(0, harts) };
  });
  for (const { uptime, interrupts } of found) {
    assert.ok(uptime > 0 && interrupts.length === harts && interrupts.every((count) => count >= 0), output.slice(0, 300));
  }
  return found;
}

/** A note's interrupts were counted somewhere between its clock and the next one's. */
function noStorm(all: readonly Note[]): void {
  assert.ok(all.length > 20, `only ${all.length} notes`);
  for (let i = 0; i + 2 < all.length; i++) {
    const [one, next, last] = [all[i], all[i + 1], all[i + 2]] as [Note, Note, Note];
    const seconds = last.uptime - one.uptime;
    assert.ok(seconds >= 0, 'the clock goes backwards');
    next.interrupts.forEach((count, hart) => {
      const came = count - (one.interrupts[hart] ?? NaN);
      assert.ok(came >= 0 && came <= (kHz + kSleepers) * seconds + kSlack, `${came} timer interrupts on hart ${hart} in ${seconds} s, at ${next.uptime}`);
    });
  }
}

/** Where nothing was noted for longest, in seconds. */
const longestGap = (all: readonly Note[]): number => Math.max(...all.slice(1).map(({ uptime }, i) => uptime - (all[i] as Note).uptime));

const kLoads: Record<string, string> = { idle: ':', busy: '(while :; do :; done) & (while :; do (echo) > /dev/null; done) & true' };

/** `away`: what is done to the page, and what ends it; returns when the guest's time stood still, if it did. */
async function leaves(load: string, away: (visit: PuppeteerVisit, devtools: CDPSession) => Promise<Still | null>, check: (all: Note[]) => void = () => {}): Promise<void> {
  await inPage(site, async (visit) => {
    await visit.page.goto(`${site.url}?harts=2&memory=128`);
    await visit.prompt();
    const devtools = await visit.page.createCDPSession();
    for (const line of kNoter) await visit.run(line);
    await visit.run(kLoads[load] as string);
    await sleep(1500);
    const left = await times(visit);
    const still = await away(visit, devtools);
    await visit.page.bringToFront();
    await visit.page.waitForFunction(() => document.visibilityState === 'visible', { polling: 100 });
    const back = await times(visit);
    await sleep(1500);
    clocksAgree(left, back, still);
    const all = await notes(visit, 2);
    noStorm(all);
    check(all);
    clocksAgree(back, await times(visit));
    assert.equal((await visit.run('dmesg | grep -w -i -e stall -e stalls -e lockup -e bug -e hung -e oops')).output, '');
  });
}

/** Puts another tab in front of the page; resolves with what takes it away. */
async function hide(page: Page): Promise<() => Promise<void>> {
  const front = await page.browserContext().newPage();
  await front.bringToFront();
  await page.waitForFunction(() => document.visibilityState === 'hidden', { polling: 100 });
  return () => front.close();
}

for (const load of Object.keys(kLoads)) {
  test(`a hidden tab, ${load}: the machine goes on, and its clock is right`, kTimeout, () =>
    leaves(load, async ({ page }) => {
      const show = await hide(page);
      await sleep(kSeconds * 1000);
      assert.equal(await page.evaluate(() => document.visibilityState), 'hidden');
      await show();
      return null;
    }, (all) => assert.ok(longestGap(all) < Math.max(3, kSeconds / 2), `nothing was noted for ${longestGap(all)} s`)));

  test(`a throttled tab, ${load}`, kTimeout, () =>
    leaves(load, async (_visit, devtools) => {
      await devtools.send('Emulation.setCPUThrottlingRate', { rate: 20 });
      await sleep(kSeconds * 1000);
      await devtools.send('Emulation.setCPUThrottlingRate', { rate: 1 });
      return null;
    }));

  test(`a frozen tab, ${load}: for the guest it is a pause`, kTimeout, () =>
    leaves(load, async ({ page }, devtools) => {
      await page.evaluate(() => {
        document.addEventListener('freeze', () => (document.body.dataset['frozen'] = 'yes'));
      });
      const show = await hide(page);
      const from = Date.now();
      await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
      await sleep(kSeconds * 1000);
      await devtools.send('Page.setWebLifecycleState', { state: 'active' });
      assert.equal(await page.evaluate(() => document.body.dataset['frozen']), 'yes');
      await show();
      return { from, least: kSeconds * 500 }; // half of it: the browser may have been slow to begin
    }));
}
