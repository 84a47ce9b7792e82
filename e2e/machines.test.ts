// SPDX-License-Identifier: Apache-2.0
// Saved machines in the page: in the browser's storage and as files, over a reload; pausing; the instant start.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { useSite, visiting, type Visit } from './support.ts';

const site = useSite();
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hartwood-machines-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

async function says(visit: Visit, command: string, expected: RegExp): Promise<void> {
  assert.match((await visit.run(command)).output, expected);
}

const dialog = '#machines';
const said = (visit: Visit): Promise<string> => visit.page.locator('#machines-say').innerText();

async function save(visit: Visit, name: string): Promise<void> {
  await visit.page.locator('#open-machines').click();
  await visit.page.locator('#machine-name').fill(name);
  await visit.page.locator('#save-machine button[type=submit]').click();
  await visit.page.waitForFunction(() => /Saved as|room|could not/.test(document.getElementById('machines-say')?.innerText ?? ''));
}

const inList = (visit: Visit): Promise<string[]> => visit.page.locator(`${dialog} li strong`).allInnerTexts();

test('the page is at a prompt at once, with what the machine printed before; ?boot=cold boots', async () => {
  await visiting(site, '', async (visit) => {
    await visit.page.waitForFunction(() => globalThis.hartwood?.machine != null);
    const { instructions } = await visit.page.evaluate(() => globalThis.hartwood.machine!.stat());
    assert.ok(instructions > 50e6, 'it has not booted before');
    await says(visit, 'echo $((6*7))', /42/);
    await says(visit, 'cat /proc/uptime', /\d+\.\d+ \d/);
  });
  await visiting(site, '?boot=cold', async (visit) => {
    await visit.page.waitForFunction(() => globalThis.hartwood?.machine != null);
    const { uptime } = await visit.page.evaluate(() => globalThis.hartwood.machine!.stat());
    assert.ok(uptime < 5000);
    await visit.page.evaluate(() => globalThis.hartwood.machine!.waitFor(/Linux version[^]*:~# /, { timeout: 60_000 }));
  });
});

test('a machine is saved in the browser, is there after a reload, renamed, restored and deleted', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=kept; echo file > /tmp/f; echo done', /done/);
    await save(visit, 'first & only');
    assert.match(await said(visit), /Saved as “first & only”, \d+\.\d MB/);
    assert.deepEqual(await inList(visit), ['first & only']);
    assert.match(await page.locator(`${dialog} li`).innerText(), /2 processors · 512 MiB/);
    await page.locator('#close-machines').click();
    await says(visit, 'X=changed; rm /tmp/f; echo gone', /gone/);

    await page.reload();
    await page.waitForFunction(() => globalThis.hartwood?.machine != null);
    await page.locator('#open-machines').click();
    await page.waitForFunction(() => document.querySelector('#machines li') !== null);
    page.once('dialog', (each) => void each.accept('second'));
    await page.getByLabel('Rename first & only').click();
    await page.waitForFunction(() => document.querySelector('#machines li strong')?.textContent === 'second');
    page.once('dialog', (each) => void each.accept()); // the machine that runs is turned off
    await page.getByLabel('Restore second').click();
    await page.waitForFunction(() => !document.querySelector<HTMLDialogElement>('#machines')!.open && globalThis.hartwood.machine !== null);
    await says(visit, 'echo =$X=$(cat /tmp/f)=', /=kept=file=/);

    await page.goto(`${site.url}?restore=second`);
    await page.waitForFunction(() => globalThis.hartwood?.machine != null);
    await says(visit, 'echo =$X=$(cat /tmp/f)=', /=kept=file=/);
    await page.locator('#open-machines').click();
    await page.waitForFunction(() => document.querySelector('#machines li') !== null);
    page.once('dialog', (each) => void each.dismiss());
    await page.getByLabel('Delete second').click();
    assert.deepEqual(await inList(visit), ['second']);
    page.once('dialog', (each) => void each.accept());
    await page.getByLabel('Delete second').click();
    await page.waitForFunction(() => document.querySelector('#machines li') === null);
    await page.goto(`${site.url}?restore=second`);
    await page.waitForFunction(() => !document.getElementById('failure')!.hidden);
    assert.match(await page.locator('#failure-text').innerText(), /no saved machine "second"/);
  }));

test('a machine goes to a file and comes back; what is damaged is refused', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'X=kept; echo done', /done/);
    await page.locator('#open-machines').click();
    await page.locator('#machine-name').fill('to a file');
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-file').click()]);
    assert.equal(download.suggestedFilename(), 'hartwood to a file.hws');
    const file = join(folder, 'machine.hws');
    await download.saveAs(file);
    page.once('dialog', (each) => void each.accept());
    await page.locator('#open-file').setInputFiles(file);
    await page.waitForFunction(() => !document.querySelector<HTMLDialogElement>('#machines')!.open);
    await page.waitForFunction(() => globalThis.hartwood.machine?.state === 'running');
    await says(visit, 'echo =$X=', /=kept=/);

    const damaged = readFileSync(file);
    damaged.fill(0, 100, 200);
    writeFileSync(join(folder, 'damaged.hws'), damaged);
    page.once('dialog', (each) => void each.accept());
    await page.locator('#open-machines').click();
    await page.locator('#open-file').setInputFiles(join(folder, 'damaged.hws'));
    await page.waitForFunction(() => !document.getElementById('failure')!.hidden);
    assert.match(await page.locator('#failure-title').innerText(), /saved machine cannot be used/);
    assert.match(await page.locator('#failure-text').innerText(), /damaged/);
  }));

test('a full disk is said, and leaves nothing broken behind', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin, quotaSize: 1_000_000 });
    await save(visit, 'too large');
    assert.match(await said(visit), /no room for this machine/);
    assert.deepEqual(await inList(visit), []);
    const left = await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const names: string[] = [];
      for await (const name of (await root.getDirectoryHandle('hartwood-machines')).keys()) names.push(name);
      return names;
    });
    assert.deepEqual(left, []);
    await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.url).origin });
    await page.locator('#save-machine button[type=submit]').click();
    await page.waitForFunction(() => /Saved as/.test(document.getElementById('machines-say')?.innerText ?? ''));
    await page.locator('#close-machines').click();
    await says(visit, 'echo $((6*7))', /42/);
  }));

test('the pause button stops the machine and has it go on', () =>
  visiting(site, '', async (visit) => {
    const { page } = visit;
    await says(visit, 'echo ready', /ready/);
    await page.locator('#pause').click();
    await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Paused');
    assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
    const stopped = await page.evaluate(() => globalThis.hartwood.machine!.stat().instructions);
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => globalThis.hartwood.machine!.stat().instructions), stopped);
    await page.getByText('Resume').click();
    await page.waitForFunction(() => document.getElementById('state')!.innerText === 'Running');
    await says(visit, 'echo $((6*7))', /42/);
  }));
